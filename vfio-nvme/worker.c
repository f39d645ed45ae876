/* SPDX-License-Identifier: MIT */
/*
 * One queue, kept full: when a command is answered, its slot gets the next one. One reading of the
 * clock serves all answers that are taken together, as their end and as the next ones' beginning.
 */
#include <errno.h>

#include "bench.h"

#define ANSWERS 64u
#define LOOK_EVERY 200			/* ms: for the end */
#define CHECK_EVERY 200000000u		/* ns: is the disk alive, and not wanted back? */
#define PATIENCE 10u			/* looks, after a signal, for answers that do not come */

uint64_t worker_random(struct worker *worker)
{
	/* xorshift64* */
	worker->random ^= worker->random >> 12;
	worker->random ^= worker->random << 25;
	worker->random ^= worker->random >> 27;
	return worker->random * 0x2545f4914f6cdd1dull;
}

uint64_t worker_place(struct worker *worker)
{
	const struct bench *bench = worker->bench;
	uint64_t place;

	if (bench->pattern->random)
		return (uint64_t)(((unsigned __int128)worker_random(worker) * bench->places) >> 64);
	place = worker->next;
	worker->next = place + 1 < bench->places ? place + 1 : 0;
	return place;
}

bool worker_goes_on(const struct worker *worker, uint64_t now)
{
	return now < worker->bench->deadline && !stop_signal &&
	       !atomic_load_explicit(&worker->bench->stop, memory_order_relaxed);
}

static bool is_read(struct worker *worker)
{
	unsigned int reads = worker->bench->pattern->reads;

	return reads == 100 || (reads && (worker_random(worker) >> 32) % 100 < reads);
}

/* Put the next command into the queue, in this slot. */
static int put(struct worker *worker, struct slot *slot, uint64_t now)
{
	const struct vfio_nvme_namespace *ns = worker->bench->program->ns;
	uint32_t blocks = (uint32_t)(worker->bench->size >> ns->block_shift);

	slot->lba = worker_place(worker) * blocks;
	slot->read = is_read(worker);
	slot->start = now;
	return slot->read ? vfio_nvme_read(worker->queue, ns, slot->lba, blocks, slot->iova, slot) :
	       vfio_nvme_write(worker->queue, ns, slot->lba, blocks, slot->iova, slot);
}

static void count(struct worker *worker, const struct slot *slot, uint16_t status, uint64_t now)
{
	if (status) {
		worker->status = status;
		worker->lba = slot->lba;
		worker->failed_read = slot->read;
		atomic_store(&worker->bench->stop, true);
		return;
	}
	histogram_add(&worker->latency, now - slot->start);
	if (slot->read)
		worker->reads++;
	else
		worker->writes++;
}

/* Fill the queue. Returns how many commands are under way, or a negative errno. */
static int begin(struct worker *worker)
{
	unsigned int depth = worker->bench->depth;
	uint64_t now = now_ns();

	worker->begun = now;
	for (unsigned int i = 0; i < depth; i++) {
		struct slot *slot = &worker->slots[i];
		int ret;

		slot->iova = worker->buffers[i].iova;
		ret = put(worker, slot, now);
		if (ret < 0)
			return ret;
	}
	return (int)depth;
}

/* In the owner's thread there is nobody else who looks. */
static int check(struct worker *worker, uint64_t now, uint64_t *checked)
{
	if (!worker->owner || now - *checked < CHECK_EVERY)
		return 0;
	*checked = now;
	return bench_check(worker->bench);
}

/* Somebody outside wants an end: it is not to wait for a disk that does not answer. */
static bool is_told_to_end(const struct worker *worker)
{
	return stop_signal || atomic_load_explicit(&worker->bench->left, memory_order_relaxed);
}

static int work(struct worker *worker)
{
	struct vfio_nvme_done done[ANSWERS];
	unsigned int patience = PATIENCE;
	int under_way = begin(worker), n, ret = 0;
	uint64_t now = worker->begun, checked = now;

	while (under_way > 0 && ret == 0) {
		bool on;

		n = vfio_nvme_wait(worker->queue, done, ANSWERS, LOOK_EVERY);
		if (n < 0)
			return n;
		now = now_ns();
		worker->ended = n ? now : worker->ended;
		on = worker_goes_on(worker, now);
		for (int i = 0; i < n && ret == 0; i++) {
			count(worker, done[i].tag, done[i].status, now);
			if (on)
				ret = put(worker, done[i].tag, now);
		}
		under_way -= on ? 0 : n;
		if (!n && is_told_to_end(worker) && !patience--)
			break;
		if (ret == 0)
			ret = check(worker, now, &checked);
	}
	return under_way < 0 ? under_way : ret;
}

void worker_run(struct worker *worker)
{
	worker->ret = work(worker);
	if (worker->ret < 0)
		atomic_store(&worker->bench->stop, true);
}
