/* SPDX-License-Identifier: MIT */
/* Steps by system calls. */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "files.h"

static ssize_t call(const struct step *s)
{
	switch (s->kind) {
	case STEP_READ:
		return preadv2(s->fd, s->iov, (int)s->niov, (off_t)s->offset, s->flags);
	case STEP_WRITE:
	case STEP_ZEROES:
		return pwritev2(s->fd, s->iov, (int)s->niov, (off_t)s->offset, s->flags);
	case STEP_ALLOCATE:
		return fallocate(s->fd, s->flags, (off_t)s->offset, (off_t)s->bytes);
	default:
		return fdatasync(s->fd);
	}
}

int call_step(const struct step *s)
{
	ssize_t result = call(s);

	return result < 0 ? -errno : (int)result;
}
