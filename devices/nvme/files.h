/* SPDX-License-Identifier: MIT */
/*
 * Namespaces in files: what their parts offer each other.
 *
 *   image.c   opening a file or a block device
 *   files.c   requests, from their begin to their end
 *   order.c   which of them has to wait for which
 *   steps.c   a command as steps, each of them one call of the kernel's
 *   ring.c    steps by io_uring
 *   call.c    steps by system calls: where there is no io_uring, and while nobody waits
 */
#ifndef FILES_H
#define FILES_H

#include <liburing.h>

#include "nvme.h"

#define DEPTH  256u		/* requests under way, at most */
#define ZEROES (1u << 20)	/* bytes of zeros that are written at once */

enum step_kind {
	STEP_READ,
	STEP_WRITE,
	STEP_ZEROES,		/* writes zeros */
	STEP_ALLOCATE,		/* fallocate() */
	STEP_SYNC,		/* fdatasync() */
};

/* What to ask of the kernel, or what is left of it. */
struct step {
	enum step_kind kind;
	int fd;
	unsigned int slot;		/* which of the ring's files that is */
	uint64_t offset, bytes;
	struct iovec *iov;
	unsigned int niov;
	int flags;			/* RWF_…, FALLOC_FL_… */
};

/* A request under way. */
struct work {
	struct request *request;
	struct step step;
	unsigned int next_range;
	uint8_t *buffer;		/* aligned, where the request's memory is not */
	struct iovec own;		/* that, or zeros */
	uint64_t from, to;		/* bytes of the namespace that it is about */
	bool writes;
	unsigned int blockers;		/* older ones that it waits for */
	struct work *older, *newer;
	struct work *next;		/* that can begin, too */
};

struct files {
	struct nvme *nvme;
	struct request requests[DEPTH];
	struct work works[DEPTH];
	struct iovec (*iovs)[MAX_PIECES];
	struct request *unused;
	struct work *oldest, *newest;
	struct work *ready, **ready_end;
	uint8_t *zeroes;
	size_t alignment[MAX_NAMESPACES];	/* of memory, for direct I/O; 0: any */
	bool is_memory[MAX_NAMESPACES];	/* files of tmpfs */
	bool has_ring;
	struct io_uring ring;
	uint64_t thread;		/* that has registered the ring; 0: by descriptor */
	unsigned int asked;		/* of the ring, and not yet answered */
};

/* ---- order.c ------------------------------------------------------------------------------- */

/* Another one is there. True: it need not wait. */
bool order_enter(struct files *f, struct work *w);
/* It is over: those that waited for it alone are ready. */
void order_leave(struct files *f, struct work *w);

/* ---- steps.c ------------------------------------------------------------------------------- */

/* The first step. VFIO_NVME_SUCCESS, or why there is none. */
uint16_t steps_begin(struct files *f, struct work *w);
/* The kernel's answer, as of a system call. True: there is another step; else *status is it. */
bool steps_answer(struct files *f, struct work *w, int result, uint16_t *status);
/* Part of a step is done: how much is left? */
uint64_t step_advance(struct step *s, uint64_t bytes);
/* Zeros in a range, by a call that leaves no data there; and by writing them. */
void step_hole(struct step *s, uint64_t offset, uint64_t bytes, bool give_back);
void step_zeroes(struct files *f, struct step *s, struct iovec *iov);
/* The file system knows no holes, or not there. */
bool step_unsupported(int result);

/* ---- ring.c -------------------------------------------------------------------------------- */

/* 0, or a negative errno: the system, or somebody who may say so, wants none. */
int ring_open(struct files *f);
void ring_close(struct files *f);
/* The work's step; it goes to the kernel with ring_submit(). */
void ring_ask(struct files *f, struct work *w);
/* Hand over what was asked; wait for an answer if there is none. */
void ring_submit(struct files *f, bool wait);
/* The next answer, if there is one. */
struct work *ring_answer(struct files *f, int *result);

/* ---- call.c -------------------------------------------------------------------------------- */

/* A result as of the system call, or -errno. */
int call_step(const struct step *s);

#endif
