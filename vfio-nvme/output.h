/* SPDX-License-Identifier: MIT */
/*
 * A file that appears only when it is complete. Until output_keep() the bytes are in a temporary
 * file beside it, and what was there before under that name stays.
 */
#ifndef VFIO_NVME_OUTPUT_H
#define VFIO_NVME_OUTPUT_H

#include "program.h"

struct output {
	const char *path;	/* the caller's, must stay */
	char *part;		/* the temporary file; NULL when there is none */
	int fd;
};

/* path must be new, or a regular file that may be written. output_close() it in any case. */
int output_open(struct program *program, struct output *out, const char *path);

/* Bring everything to its disk, and give the file its name. */
int output_keep(struct program *program, struct output *out);

/* Remove the temporary file, if the output was not kept. */
void output_close(struct output *out);

#endif
