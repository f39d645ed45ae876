/* SPDX-License-Identifier: MIT */
/* Where on the disk, and how much: --offset or --lba, --size or --count. */
#ifndef VFIO_NVME_PLACE_H
#define VFIO_NVME_PLACE_H

#include "program.h"

/* What contradicts itself on any disk: EXIT_USAGE, after a message, or 0. */
int place_check(const struct settings *settings);

/* The first block. -ERANGE behind the end of the namespace; one at the end has no bytes. */
int place_start(struct program *program, uint64_t *lba);

/* How many bytes lie from there to the end. */
uint64_t place_rest(const struct program *program, uint64_t lba);

/*
 * The bytes that were asked for, *bytes if none were; -ERANGE when there are not as many, -EINVAL
 * when they are no whole blocks, and must be.
 */
int place_length(struct program *program, uint64_t lba, bool whole, uint64_t *bytes);

#endif
