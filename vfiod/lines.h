/* SPDX-License-Identifier: MIT */
/* Lines out of a stream socket, of bounded length. */
#ifndef VFIOD_LINES_H
#define VFIOD_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct lines {
	char *buf;
	size_t size;		/* the longest line, newline included */
	size_t start, end;	/* what was received and not yet taken */
};

/* 0 or -ENOMEM. */
int lines_init(struct lines *lines, size_t size);
void lines_finish(struct lines *lines);

/*
 * Receive once, without waiting. Returns the number of bytes, 0 at the end of the stream, -EAGAIN,
 * -EMSGSIZE when a line is longer than the buffer, or what recv() failed with. What lines_next()
 * gave is invalid from then on.
 */
int lines_receive(struct lines *lines, int fd);

/* The next whole line, without its newline, or NULL. It may hold any byte. */
const char *lines_next(struct lines *lines, size_t *len);

/* Would lines_next() give a line? */
bool lines_pending(const struct lines *lines);

#endif
