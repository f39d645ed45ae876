/* SPDX-License-Identifier: MIT */
/*
 * Signalling eventfds of strangers without ever waiting.
 *
 * A write waits when the counter is full, and the other holder of an eventfd can fill it, and make it
 * blocking, between any look at it and the write. The kernel itself signals without waiting: an
 * asynchronous read that is done at once lets it do so. Where there is no such thing (aio-max-nr is
 * used up, or a sandbox forbids it), a look and a write have to do.
 */
#ifndef LIBVFIO_SIGNALER_H
#define LIBVFIO_SIGNALER_H

#include <linux/aio_abi.h>

struct signaler {
	aio_context_t context;		/* 0: there is none */
	int zero;			/* /dev/zero, or -1 */
};

void signaler_init(struct signaler *s);
/* From now on there are strangers. Before that, or if this cannot be had, it is a look and a write. */
void signaler_start(struct signaler *s);
/* Takes some milliseconds, once it was started. */
void signaler_finish(struct signaler *s);

/* Add one to the eventfd. A counter that is full says that the event is pending already. */
void signaler_signal(const struct signaler *s, int efd);

#endif
