/* SPDX-License-Identifier: MIT */
/*
 * A machine in a folder: sys, dev, proc and run, with a device of group 7 that vfio-pci has and
 * that UIO could have, and a neighbour of it. It stays, and each input replaces a few things in it.
 */
#ifndef FUZZ_MACHINE_TREE_H
#define FUZZ_MACHINE_TREE_H

#include <sys/types.h>

#include "input.h"

#define BDF   "0000:03:00.0"
#define DEV   "sys/bus/pci/devices/" BDF
#define OTHER "sys/bus/pci/devices/0000:03:00.1"

/* The folder; it is made when it is asked for first, and goes with the process. */
const char *machine_root(void);

/* The files that a device's user writes to are as at first, and then the input replaces things. */
void machine_change(struct input *in);
/* What was replaced is there again. */
void machine_restore(void);

/* The beginning of a file: how much there was, or a negative number. */
ssize_t machine_read(const char *path, void *buf, size_t len);

#endif
