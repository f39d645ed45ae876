/* SPDX-License-Identifier: MIT */
#include "base/signaler.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

#define EVENTS 8

void signaler_init(struct signaler *s)
{
	*s = (struct signaler){ .zero = -1 };
}

void signaler_start(struct signaler *s)
{
	if (s->zero >= 0)
		return;
	s->zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (s->zero >= 0 && syscall(SYS_io_setup, EVENTS, &s->context) < 0)
		s->context = 0;
}

void signaler_finish(struct signaler *s)
{
	if (s->context)
		syscall(SYS_io_destroy, s->context);
	s->context = 0;
	fd_close(&s->zero);
}

void signaler_signal(const struct signaler *s, int efd)
{
	static const struct timespec now;
	struct io_event done[EVENTS];
	uint8_t byte;
	struct iocb read = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = s->zero,
		.aio_buf = (uintptr_t)&byte, .aio_nbytes = sizeof(byte),
		.aio_flags = IOCB_FLAG_RESFD, .aio_resfd = efd,
	};
	struct iocb *list = &read;

	/* A read of /dev/zero is over when the call returns; its event is taken off the ring. */
	if (s->context && syscall(SYS_io_submit, s->context, 1, &list) == 1)
		syscall(SYS_io_getevents, s->context, 0, EVENTS, done, &now);
	else
		fd_signal(efd);
}
