/* SPDX-License-Identifier: MIT */
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int lines_init(struct lines *lines, size_t size)
{
	*lines = (struct lines){ .buf = malloc(size), .size = size };
	return lines->buf ? 0 : -ENOMEM;
}

void lines_finish(struct lines *lines)
{
	free(lines->buf);
	*lines = (struct lines){ 0 };
}

int lines_receive(struct lines *lines, int fd)
{
	ssize_t n;

	if (lines->start) {
		lines->end -= lines->start;
		memmove(lines->buf, lines->buf + lines->start, lines->end);
		lines->start = 0;
	}
	if (lines->end == lines->size)
		return -EMSGSIZE;
	do
		n = recv(fd, lines->buf + lines->end, lines->size - lines->end, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	lines->end += (size_t)n;
	return (int)n;
}

static const char *newline(const struct lines *lines)
{
	return memchr(lines->buf + lines->start, '\n', lines->end - lines->start);
}

const char *lines_next(struct lines *lines, size_t *len)
{
	const char *line = lines->buf + lines->start, *end = newline(lines);

	if (!end)
		return NULL;
	*len = (size_t)(end - line);
	lines->start += *len + 1;
	return line;
}

bool lines_pending(const struct lines *lines)
{
	return newline(lines);
}
