/* SPDX-License-Identifier: MIT */
/* The little of io_uring(7) that one interrupt needs. */
#ifndef LIBVFIO_BACKENDS_UIO_RING_H
#define LIBVFIO_BACKENDS_UIO_RING_H

#include <stdbool.h>
#include <stdint.h>

struct uio_ring;

/* 0, or a negative errno: there is no io_uring, or not for this process. */
int uio_ring_open(struct uio_ring **ring);
/* For this thread, which is about to be shut in: 0, or -errno (before Linux 5.18), and it cannot be. */
int uio_ring_register(struct uio_ring *ring);
/* What is queued is cancelled. Accepts NULL. */
void uio_ring_close(struct uio_ring *ring);

/* When in has 4 bytes for count, write the 8 bytes at one to out. Once. */
int uio_ring_queue(struct uio_ring *ring, int in, int32_t *count, int out, const uint64_t *one);
/* Done, or given up: afterwards nothing touches memory or descriptors any more. 0 or -errno. */
int uio_ring_cancel(struct uio_ring *ring);

#endif
