/* SPDX-License-Identifier: MIT */
/*
 * Steps by io_uring. The ring is made before a client is there, and then it is locked: what it does
 * from then on is to read, write, sync and allocate in the files that were registered, whoever
 * should get hold of its descriptor.
 *
 * vfiod lets a device use no ring by descriptor, but only one that its thread has registered
 * before. In a driver's process the function may come to another thread, which knows nothing of
 * that, or has registered another ring under this number: there it is the descriptor that is used.
 */
#include <errno.h>
#include <string.h>

#include "files.h"

static const uint8_t operations[] = {
	IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC, IORING_OP_FALLOCATE,
};

#define RING_IS_REGISTERED 1u	/* of struct io_uring's int_flags: it is entered by its number */

#define OPERATIONS   (sizeof(operations) / sizeof(operations[0]))
#define RESTRICTIONS (3 + OPERATIONS)

/* Each thread has a number of its own, from 1 on. */
static uint64_t this_thread(void)
{
	static uint64_t last;
	static __thread uint64_t mine;

	if (!mine)
		mine = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	return mine;
}

/*
 * What is registered can be given back, and no more. The library's own calls are not in all
 * versions that are about.
 */
static int lock(struct io_uring *ring)
{
	struct io_uring_restriction rules[RESTRICTIONS] = {
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_RING_FDS },
		{ .opcode = IORING_RESTRICTION_REGISTER_OP,
		  .register_op = IORING_UNREGISTER_FILES },
	};
	unsigned int fd = (unsigned int)ring->ring_fd;
	int ret;

	for (size_t i = 0; i < OPERATIONS; i++) {
		rules[3 + i].opcode = IORING_RESTRICTION_SQE_OP;
		rules[3 + i].sqe_op = operations[i];
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
	if (ret == 0)
		ret = io_uring_register_ring_fd(&f->ring) == 1 ? 0 : -ENOSYS;
	if (ret == 0)
		ret = lock(&f->ring);
	if (ret < 0)
		io_uring_queue_exit(&f->ring);
	f->has_ring = ret == 0;
	f->thread = this_thread();
	return ret;
}

/* What the library's io_uring_unregister_ring_fd() does, but for the kernel's part. */
static void use_descriptor(struct files *f)
{
	f->ring.enter_ring_fd = f->ring.ring_fd;
	f->ring.int_flags &= (uint8_t)~RING_IS_REGISTERED;
	f->thread = 0;
}

static void check_thread(struct files *f)
{
	if (f->thread && f->thread != this_thread())
		use_descriptor(f);
}

/*
 * Another thread cannot take back the number; the ring is then there until the thread ends that has
 * it, but the files are not.
 */
void ring_close(struct files *f)
{
	if (!f->has_ring)
		return;
	check_thread(f);
	io_uring_unregister_files(&f->ring);
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

/* What it cannot take now it takes the next time. */
void ring_submit(struct files *f, bool wait)
{
	check_thread(f);
	if (wait)
		io_uring_submit_and_wait(&f->ring, 1);
	else if (io_uring_sq_ready(&f->ring))
		io_uring_submit(&f->ring);
}

/* There is room: each request has one step at a time, and the ring as many places. */
void ring_ask(struct files *f, struct work *w)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(&f->ring)))
		ring_submit(f, false);
	prepare(sqe, &w->step);
	io_uring_sqe_set_data(sqe, w);
	f->asked++;
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
