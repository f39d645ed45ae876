/* SPDX-License-Identifier: MIT */
/*
 * A file that appears only when it is complete. Until output_keep() the bytes are in a temporary
 * file beside it, and what was there before under that name stays.
 *
 * Calls return 0, or a negative errno with *err filled.
 */
#ifndef DRIVERS_EDU_OUTPUT_H
#define DRIVERS_EDU_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include <vfio/error.h>

struct output {
	const char *path;	/* the caller's, must stay */
	char *part;		/* the temporary file; NULL when there is none */
	int fd;
};

/* path must be new, or a regular file that may be written. output_close() it in any case. */
int output_open(struct output *out, const char *path, struct vfio_error *err);

int output_write(struct output *out, const void *data, size_t len, struct vfio_error *err);

/* Bring everything to the disk and read it back: its CRC-32. */
int output_verify(struct output *out, uint32_t *crc, struct vfio_error *err);

/* Give the file its name. */
int output_keep(struct output *out, struct vfio_error *err);

/* Remove the temporary file, if the output was not kept. */
void output_close(struct output *out);

/* Fill *err for a system call on a file that failed with errno: "doing 'path'". Returns -errno. */
int file_error(struct vfio_error *err, const char *doing, const char *path, const char *remedy);

#endif
