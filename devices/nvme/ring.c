/* SPDX-License-Identifier: MIT */
/*
 * Steps by io_uring. The ring is made before a client is there, and then it is locked: what it does
 * from then on is to read, write, sync and allocate in the files that were registered, whoever
 * should get hold of its descriptor.
 */
#include <errno.h>
#include <string.h>

#include "files.h"

static const uint8_t operations[] = {
	IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
};

#define RING_IS_REGISTERED 1u	/* of struct io_uring's int_flags: as entered by its number */
#define RESTRICTIONS (sizeof(operations) / sizeof(operations[0]) + 2)

/* The library's own calls for it are not in all versions that are about. */
static int lock(struct io_uring *ring)
{
	struct io_uring_restriction rules[RESTRICTIONS] = {
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
		/* Its number is given back in the end. */
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_RING_FDS },
	};
	unsigned int fd = (unsigned int)ring->ring_fd;
	int ret;

	for (size_t i = 2; i < RESTRICTIONS; i++) {
		rules[i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[i].sqe_op = operations[i - 2];
	}
	ret = io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, rules, RESTRICTIONS);
	return ret < 0 ? ret : io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int ring_open(struct files *f)
{
	struct nvme *n = f->nvme;
	int fds[MAX_NAMESPACES], ret;

	for (unsigned int i = 0; i < n->nnamespaces; i++)
		fds[i] = n->namespaces[i].fd;	/* -1: a gap */
	ret = io_uring_queue_init(DEPTH, &f->ring, IORING_SETUP_R_DISABLED);
	if (ret < 0)
		return ret;
	ret = io_uring_register_files(&f->ring, fds, n->nnamespaces);
	/* One is registered: the answer is a number. */
	if (ret == 0 && io_uring_register_ring_fd(&f->ring) != 1)
		ret = -ENOTSUP;
	if (ret == 0)
		ret = lock(&f->ring);
	f->ring_thread = pthread_self();
	if (ret < 0)
		io_uring_queue_exit(&f->ring);
	f->has_ring = ret == 0;
	return ret;
}

void ring_close(struct files *f)
{
	if (f->has_ring)
		io_uring_queue_exit(&f->ring);
	f->has_ring = false;
}

static void prepare(struct io_uring_sqe *sqe, const struct step *s)
{
	int slot = (int)s->slot;

	switch (s->kind) {
	case STEP_READ:
		io_uring_prep_readv2(sqe, slot, s->iov, s->niov, s->offset, s->flags);
		break;
	case STEP_WRITE:
	case STEP_ZEROES:
		io_uring_prep_writev2(sqe, slot, s->iov, s->niov, s->offset, s->flags);
		break;
	case STEP_ALLOCATE:
		io_uring_prep_fallocate(sqe, slot, s->flags, (off_t)s->offset, (off_t)s->bytes);
		break;
	case STEP_SYNC:
		io_uring_prep_fsync(sqe, slot, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
}

/*
 * vfiod's filter lets rings through that are registered, and no other. They are so for one thread;
 * another one that has the device now enters by the descriptor.
 */
static void mind_thread(struct files *f)
{
	if (pthread_equal(f->ring_thread, pthread_self()))
		return;
	f->ring.enter_ring_fd = f->ring.ring_fd;
	f->ring.int_flags &= (uint8_t)~RING_IS_REGISTERED;
	f->ring_thread = pthread_self();
}

/* There is room: each request has one step at a time, and the ring as many places. */
void ring_ask(struct files *f, struct work *w)
{
	struct io_uring_sqe *sqe;

	mind_thread(f);
	while (!(sqe = io_uring_get_sqe(&f->ring)))
		io_uring_submit(&f->ring);
	prepare(sqe, &w->step);
	io_uring_sqe_set_data(sqe, w);
	f->asked++;
}

/* What it cannot take now it takes the next time. */
void ring_submit(struct files *f, bool wait)
{
	mind_thread(f);
	if (wait)
		io_uring_submit_and_wait(&f->ring, 1);
	else if (io_uring_sq_ready(&f->ring))
		io_uring_submit(&f->ring);
}

struct work *ring_answer(struct files *f, int *result)
{
	struct io_uring_cqe *cqe;
	struct work *w;

	if (!f->asked || io_uring_peek_cqe(&f->ring, &cqe) < 0)
		return NULL;
	w = io_uring_cqe_get_data(cqe);
	*result = cqe->res;
	io_uring_cqe_seen(&f->ring, cqe);
	f->asked--;
	return w;
}
