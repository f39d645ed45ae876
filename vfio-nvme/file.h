/* SPDX-License-Identifier: MIT */
/* A file as the source or the sink of a transfer. */
#ifndef VFIO_NVME_FILE_H
#define VFIO_NVME_FILE_H

#include "program.h"

struct file {
	struct program *program;
	const char *path;		/* for messages */
	int fd;
	uint64_t at;			/* bytes that went through */
	void *buffer;			/* of file_compare() */
};

/* Open a regular file for reading; *size is its size now. file_close() it in any case. */
int file_open(struct file *file, struct program *program, const char *path, uint64_t *size);

/* Standard input or output. */
void file_use(struct file *file, struct program *program, const char *path, int fd);

void file_close(struct file *file);

/* For transfer_in(); the argument is a struct file. */
int64_t file_read(void *arg, void *data, size_t len);

/* For transfer_out(). */
int file_write(void *arg, const void *data, size_t len);

/* For transfer_out(): -EILSEQ when other bytes are in the file there. */
int file_compare(void *arg, const void *data, size_t len);

#endif
