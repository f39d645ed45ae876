/* SPDX-License-Identifier: MIT */
/*
 * What the NVMe driver itself costs: the instructions of a read of 4 KiB, from vfio_nvme_read()
 * until vfio_nvme_poll() has its answer, on a queue in plain memory. A controller of a few lines
 * answers; what it and the caller make is measured alone and taken off.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "private.h"

#define ENTRIES  256u
#define COMMANDS 1024u			/* several laps, with all that comes once in a while */

static const struct vfio_nvme_namespace disk = {
	.nsid = 1, .block_shift = 12, .blocks = 1 << 20, .max_blocks = 32,
	.page_blocks = 1, .page_last = (1 << 20) - 1,
};

struct bench {
	unsigned int depth;
	bool shadow;
	struct vfio_nvme_queue *queue;
	uint32_t doorbells[2], shadows[2], events[2];
	unsigned int sq_head, cq_tail;
	uint32_t lap;
};

/* ---- the controller ------------------------------------------------------------------------- */

__attribute__((noinline))
static void answer(struct bench *b, unsigned int n)
{
	struct nvme_entry *sq = b->queue->sq;
	struct nvme_answer *cq = b->queue->cq;
	unsigned int cq_entries = (unsigned int)(b->queue->cq_end - cq);

	while (n--) {
		cq[b->cq_tail].dword[3] = sq[b->sq_head].cid_opcode >> 16 | b->lap;
		b->sq_head = (b->sq_head + 1) % ENTRIES;
		if (++b->cq_tail == cq_entries) {
			b->cq_tail = 0;
			b->lap ^= NVME_PHASE;
		}
	}
}

/* ---- the driver ----------------------------------------------------------------------------- */

static void set_doorbell(struct bench *b, struct nvme_doorbell *doorbell, unsigned int i)
{
	doorbell->plain = doorbell->mapped = &b->doorbells[i];
	if (b->shadow) {
		doorbell->shadow = &b->shadows[i];
		doorbell->event = &b->events[i];
		b->events[i] = ENTRIES / 2;		/* it asks once a lap */
	}
}

static void prepare(void *arg)
{
	struct bench *b = arg;
	const struct nvme_shape shape = nvme_shape(ENTRIES, 1024, 128 << 10);
	size_t bytes = nvme_queue_bytes(&shape);
	void *memory = aligned_alloc(NVME_PAGE, bytes);

	if (!memory)
		die("memory");
	memset(memory, 0, bytes);
	b->queue = nvme_queue_on(memory, 0x100000, &shape);
	if (!b->queue)
		die("queue");
	set_doorbell(b, &b->queue->sq_doorbell, 0);
	set_doorbell(b, &b->queue->cq_doorbell, 1);
	b->sq_head = b->cq_tail = 0;
	b->lap = NVME_PHASE;
}

/* The calls, or in their place functions that do nothing: so that their caller can be taken off. */
static struct calls {
	int (*read)(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
		    uint64_t lba, uint32_t blocks, uint64_t iova, void *tag);
	void (*ring)(struct vfio_nvme_queue *queue);
	int (*poll)(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done, unsigned int max);
} calls;

/* Instructions of functions that do nothing: one to return, one for a value to return. */
#define READ_NOTHING 2
#define RING_NOTHING 1
#define POLL_NOTHING 2

static int read_nothing(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
			uint64_t lba, uint32_t blocks, uint64_t iova, void *tag)
{
	return 0;
}

static void ring_nothing(struct vfio_nvme_queue *queue)
{
}

static int poll_nothing(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done,
			unsigned int max)
{
	return (int)max;
}

static void act(void *arg)
{
	struct bench *b = arg;
	struct vfio_nvme_done done[32];

	for (unsigned int i = 0; i < COMMANDS; i += b->depth) {
		for (unsigned int j = 0; j < b->depth; j++)
			if (calls.read(b->queue, &disk, i + j, 1, 0x200000, b) < 0)
				exit(1);
		calls.ring(b->queue);
		answer(b, b->depth);
		if (calls.poll(b->queue, done, b->depth) != (int)b->depth)
			exit(1);
	}
}

/* ---- measuring ------------------------------------------------------------------------------ */

static bool report(unsigned int depth, bool shadow, double most)
{
	static const struct calls nothing = { read_nothing, ring_nothing, poll_nothing };
	static const struct calls real = { vfio_nvme_read, vfio_nvme_ring, vfio_nvme_poll };
	struct bench b = { .depth = depth, .shadow = shadow };
	long all, rest;
	double each;

	calls = real;
	all = count_instructions(prepare, act, &b);
	calls = nothing;
	rest = count_instructions(prepare, act, &b);
	each = (double)(all - rest) / COMMANDS + READ_NOTHING +
	       (double)(RING_NOTHING + POLL_NOTHING) / depth;
	if (all < 0 || rest < 0) {
		printf("instructions cannot be counted here\n");
		return true;
	}
	printf("read of 4 KiB, %2u at a time, %-16s %6.1f instructions (at most %.0f wanted)\n",
	       depth, shadow ? "doorbell buffers" : "mapped doorbells", each, most);
	return each <= most;
}

int main(void)
{
	bool good = report(1, false, 120);

	good &= report(1, true, 120);
	good &= report(32, false, 80);
	good &= report(32, true, 80);
	return good ? 0 : 1;
}
