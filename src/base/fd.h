/* SPDX-License-Identifier: MIT */
/* File descriptors: closing, eventfds, sockets that carry descriptors, deadlines. */
#ifndef LIBVFIO_FD_H
#define LIBVFIO_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The kernel's own ceiling for descriptors in one message (SCM_MAX_FD). */
#define FD_MAX_PASSED 253

/* Close *fd unless it is negative, and make it -1. Keeps errno. */
void fd_close(int *fd);

/* Close n descriptors. */
void fd_close_all(const int *fds, size_t n);

/* A copy that an exec does not inherit; a negative errno on failure. */
int fd_copy(int fd);

bool fd_is_eventfd(int fd);

/*
 * Add one to an eventfd. A counter that is full says that the event is pending already. Waits only if
 * somebody else fills it in between: for eventfds of strangers there is base/signaler.h.
 */
void fd_signal(int efd);

/* Take the count of an eventfd without waiting; 0 when there is none. */
uint64_t fd_take(int efd);

/* Monotonic time in milliseconds. */
int64_t clock_ms(void);

/* Milliseconds left until deadline, for poll(): 0 when it has passed. */
int clock_left(int64_t deadline);

/*
 * Send up to len bytes and, with the first of them, nfds descriptors. Does not wait. Returns the
 * bytes sent, -EAGAIN, or a negative errno; never raises SIGPIPE.
 */
ssize_t fd_send(int sock, const void *buf, size_t len, const int *fds, size_t nfds);

/*
 * Receive up to len bytes. Descriptors that came with them are stored in fds (room for
 * FD_MAX_PASSED) and counted in *nfds. flags as for recvmsg(). Returns the bytes, 0 at the end of
 * the stream, -EAGAIN, or a negative errno; -EMSGSIZE when descriptors were lost, and then none are
 * kept.
 */
ssize_t fd_receive(int sock, void *buf, size_t len, int *fds, size_t *nfds, int flags);

#endif
