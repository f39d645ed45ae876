/* SPDX-License-Identifier: MIT */
#include "backends/uio_ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

#define ENTRIES 4
#define READ_TAG   1
#define WRITE_TAG  2
#define CANCEL_TAG 3
#define TRIES 1000		/* a millisecond each */

/* The two queues that are shared with the kernel: io_uring_setup(2) says where what is in them. */
struct uio_ring {
	int fd;
	uint8_t *queues;
	size_t queues_size;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
	unsigned int tail;		/* of what was submitted, */
	unsigned int waiting, cancels;	/* and what of it is not done */
	pid_t thread;			/* that knows it by this number, too; 0: none */
	unsigned int number;
};

static _Atomic unsigned int *at(const struct uio_ring *r, uint32_t offset)
{
	return (_Atomic unsigned int *)(void *)(r->queues + offset);
}

static int enter(struct uio_ring *r, unsigned int submit, unsigned int wait, unsigned int flags)
{
	bool registered = r->thread && r->thread == gettid();
	long n = syscall(SYS_io_uring_enter, registered ? (int)r->number : r->fd, submit, wait,
			 flags | (registered ? IORING_ENTER_REGISTERED_RING : 0), NULL, 0);

	return n < 0 ? -errno : (int)n;
}

/* vfiod's sandbox lets a ring be used by such a number only. */
int uio_ring_register(struct uio_ring *r)
{
	struct io_uring_rsrc_update u = { .offset = UINT32_MAX, .data = r->fd };
	long n = syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_RING_FDS, &u, 1);

	if (n != 1)
		return n < 0 ? -errno : -ENOSPC;
	r->number = u.offset;
	r->thread = gettid();
	return 0;
}

/* Another thread cannot: the ring then lasts as long as the one that has the number. */
static void unregister(struct uio_ring *r)
{
	struct io_uring_rsrc_update u = { .offset = r->number };

	if (r->thread && r->thread == gettid())
		syscall(SYS_io_uring_register, r->fd, IORING_UNREGISTER_RING_FDS, &u, 1);
	r->thread = 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static size_t queues_size(const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
	size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);

	return sq > cq ? sq : cq;
}

static int map(struct uio_ring *r)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
	void *p;

	r->queues_size = queues_size(&r->p);
	p = mmap(NULL, r->queues_size, prot, flags, r->fd, IORING_OFF_SQ_RING);
	if (p == MAP_FAILED)
		return -errno;
	r->queues = p;
	p = mmap(NULL, ENTRIES * sizeof(*r->sqes), prot, flags, r->fd, IORING_OFF_SQES);
	if (p == MAP_FAILED)
		return -errno;
	r->sqes = p;
	return 0;
}

/* Reads, writes and their end are all that the ring is good for, whoever should get hold of it. */
static int restrict_it(struct uio_ring *r)
{
	static const struct io_uring_restriction only[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE },
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_ASYNC_CANCEL },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_IO_LINK },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_RING_FDS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_UNREGISTER_RING_FDS },
	};

	if (syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_RESTRICTIONS, only,
		    sizeof(only) / sizeof(only[0])) < 0 ||
	    syscall(SYS_io_uring_register, r->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	return 0;
}

/*
 * The kernel's own thread submits, and does what is left to do when the read has ended. Without it
 * that would be done by the thread that submitted: its waits would be interrupted for it, and the
 * interrupt would go when that thread does. It sleeps but for a millisecond after each submission.
 */
int uio_ring_open(struct uio_ring **ring)
{
	struct uio_ring *r = calloc(1, sizeof(*r));
	int ret;

	*ring = NULL;
	if (!r)
		return -ENOMEM;
	r->p.flags = IORING_SETUP_SQPOLL | IORING_SETUP_R_DISABLED;
	r->p.sq_thread_idle = 1;
	r->fd = syscall(SYS_io_uring_setup, ENTRIES, &r->p);
	ret = r->fd < 0 ? -errno : 0;
	/* Both came with 5.11; before, it works only with files that were registered. */
	if (ret == 0 && (~r->p.features & (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_SQPOLL_NONFIXED)))
		ret = -ENOSYS;
	if (ret == 0)
		ret = restrict_it(r);
	if (ret == 0)
		ret = map(r);
	if (ret < 0)
		uio_ring_close(r);
	else
		*ring = r;
	return ret;
}

void uio_ring_close(struct uio_ring *r)
{
	if (!r)
		return;
	unregister(r);
	if (r->queues)
		munmap(r->queues, r->queues_size);
	if (r->sqes)
		munmap(r->sqes, ENTRIES * sizeof(*r->sqes));
	fd_close(&r->fd);
	free(r);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void put(struct uio_ring *r, const struct io_uring_sqe *sqe)
{
	unsigned int mask = *at(r, r->p.sq_off.ring_mask), i = r->tail & mask;

	r->sqes[i] = *sqe;
	*at(r, r->p.sq_off.array + i * sizeof(uint32_t)) = i;
	r->tail++;
	r->waiting++;
}

/* Show them to the kernel's thread, and wake it if it sleeps. */
static int submit(struct uio_ring *r, unsigned int count)
{
	int ret = 0;

	atomic_store_explicit(at(r, r->p.sq_off.tail), r->tail, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);	/* the tail before the look at the flag */
	if (atomic_load(at(r, r->p.sq_off.flags)) & IORING_SQ_NEED_WAKEUP)
		ret = enter(r, count, 0, IORING_ENTER_SQ_WAKEUP);
	return ret < 0 ? ret : 0;
}

/* Forget what is done. */
static void reap(struct uio_ring *r)
{
	const struct io_uring_cqe *cqes = (const void *)(r->queues + r->p.cq_off.cqes);
	unsigned int head = *at(r, r->p.cq_off.head), mask = *at(r, r->p.cq_off.ring_mask);
	unsigned int tail = atomic_load_explicit(at(r, r->p.cq_off.tail), memory_order_acquire);

	for (; head != tail; head++) {
		r->cancels -= cqes[head & mask].user_data == CANCEL_TAG;
		r->waiting--;
	}
	atomic_store_explicit(at(r, r->p.cq_off.head), tail, memory_order_release);
}

int uio_ring_queue(struct uio_ring *r, int in, int32_t *count, int out, const uint64_t *one)
{
	const struct io_uring_sqe read = {
		.opcode = IORING_OP_READ, .flags = IOSQE_IO_LINK, .fd = in,
		.addr = (uintptr_t)count, .len = sizeof(*count), .user_data = READ_TAG,
	};
	const struct io_uring_sqe write = {
		.opcode = IORING_OP_WRITE, .fd = out, .addr = (uintptr_t)one, .len = sizeof(*one),
		.user_data = WRITE_TAG,
	};

	put(r, &read);
	put(r, &write);
	return submit(r, 2);
}

static void put_cancel(struct uio_ring *r, uint64_t tag)
{
	const struct io_uring_sqe cancel = {
		.opcode = IORING_OP_ASYNC_CANCEL, .addr = tag, .user_data = CANCEL_TAG,
	};

	put(r, &cancel);
	r->cancels++;
}

/* Cancel both once. What is between them, is done and not told yet, or not begun, is not found. */
static int try_cancel(struct uio_ring *r)
{
	int ret;

	put_cancel(r, READ_TAG);
	put_cancel(r, WRITE_TAG);
	ret = submit(r, 2);
	while (ret >= 0 || ret == -EINTR) {
		reap(r);
		if (!r->cancels)
			return 0;
		ret = enter(r, 0, 1, IORING_ENTER_GETEVENTS);
	}
	return ret;
}

/* The eventfd is its user's, who may have filled it, so that the write waits, too. */
int uio_ring_cancel(struct uio_ring *r)
{
	int ret = 0;

	reap(r);
	for (unsigned int tries = 0; ret == 0 && r->waiting; tries++) {
		if (tries == TRIES)
			return -ETIMEDOUT;
		if (tries)
			poll(NULL, 0, 1);
		ret = try_cancel(r);
	}
	return ret;
}
