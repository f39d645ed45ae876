/* SPDX-License-Identifier: MIT */
/*
 * When things go wrong. Commands carry no time: each slot has the epoch in which its command was
 * put, and the owner begins a new epoch every quarter of a time-out, and knows when.
 */
#include <errno.h>

#include "private.h"

/* Epochs are then enough for years, whatever the time-out. */
#define EPOCH_MS 20

int nvme_stop(struct vfio_nvme *nvme)
{
	nvme->failure = nvme->error;
	for (unsigned int i = 0; i < nvme->options.queues; i++)
		if (nvme->queues[i])
			__atomic_store_n(&nvme->queues[i]->epoch, NVME_FREE, __ATOMIC_RELAXED);
	return -nvme->failure.err;
}

int nvme_check_works(struct vfio_nvme *nvme)
{
	if (!nvme->failure.err)
		return 0;
	nvme->error = nvme->failure;
	nvme->error.err = ESHUTDOWN;
	return -ESHUTDOWN;
}

/* ---- time-outs ------------------------------------------------------------------------------ */

/* Unless its thread has found that it is broken. */
static void set_epoch(struct vfio_nvme_queue *queue, uint32_t epoch)
{
	uint32_t old = __atomic_load_n(&queue->epoch, __ATOMIC_RELAXED);

	if (old != NVME_FREE)
		__atomic_compare_exchange_n(&queue->epoch, &old, epoch, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
}

static void advance_epoch(struct vfio_nvme *nvme, int64_t now)
{
	int64_t each = nvme->options.timeout_ms / 4;

	if (now - nvme->began[nvme->epoch % NVME_EPOCHS] < (each < EPOCH_MS ? EPOCH_MS : each))
		return;
	nvme->epoch++;
	nvme->began[nvme->epoch % NVME_EPOCHS] = now;
	for (unsigned int i = 0; i < nvme->nqueues; i++)
		if (nvme->queues[i])
			set_epoch(nvme->queues[i], nvme->epoch);
}

/* A command of an epoch is as old as the next one at least. */
static bool is_overdue(const struct vfio_nvme *nvme, uint32_t epoch, int64_t now)
{
	uint32_t age = nvme->epoch - epoch;

	if (epoch == NVME_FREE || age == 0)
		return false;
	return age >= NVME_EPOCHS ||
	       now - nvme->began[(epoch + 1) % NVME_EPOCHS] >= nvme->options.timeout_ms;
}

/* An answer is there that the queue's thread has not taken: that is not the controller's fault. */
static bool has_answer(const struct vfio_nvme_queue *queue)
{
	struct nvme_answer *head = __atomic_load_n(&queue->head, __ATOMIC_RELAXED);
	uint32_t lap = __atomic_load_n(&queue->lap, __ATOMIC_RELAXED);
	uint32_t last = le32toh(__atomic_load_n(&head->dword[3], __ATOMIC_RELAXED));

	return (last & NVME_PHASE) == lap;
}

static int check_queue(struct vfio_nvme *nvme, const struct vfio_nvme_queue *queue, int64_t now)
{
	if (__atomic_load_n(&queue->broken, __ATOMIC_RELAXED))
		return nvme_error(nvme, EPROTO, VFIO_E_DEVICE, VFIO_BY_MODEL,
				  "reset the controller: vfio_nvme_reset()",
				  "nvme: queue %u: the controller answered a command that nobody "
				  "sent", queue->id);
	for (unsigned int cid = 0; cid < queue->depth; cid++) {
		uint32_t epoch = __atomic_load_n(&queue->slots[cid].epoch, __ATOMIC_RELAXED);

		if (is_overdue(nvme, epoch, now) && !has_answer(queue))
			return nvme_error(nvme, ETIMEDOUT, VFIO_E_TIMEOUT, VFIO_BY_MODEL,
					  "reset the controller: vfio_nvme_reset()",
					  "nvme: queue %u: a command had no answer for %u ms",
					  queue->id, nvme->options.timeout_ms);
	}
	return 0;
}

int vfio_nvme_check(struct vfio_nvme *nvme)
{
	int64_t now = nvme_now_ms();
	int ret;

	if (nvme->failure.err) {
		nvme->error = nvme->failure;
		return -nvme->failure.err;
	}
	ret = nvme_check_alive(nvme);
	advance_epoch(nvme, now);
	for (unsigned int i = 0; i < nvme->nqueues && ret == 0; i++)
		if (nvme->queues[i] && !nvme->queues[i]->orphan)
			ret = check_queue(nvme, nvme->queues[i], now);
	return ret < 0 ? nvme_stop(nvme) : 0;
}

/* ---- reset ---------------------------------------------------------------------------------- */

/* The controller is disabled and touches no memory: what was under way has no answer any more. */
static void forget(struct vfio_nvme *nvme)
{
	for (unsigned int i = 0; i < nvme->options.queues; i++) {
		struct vfio_nvme_queue *queue = nvme->queues[i];

		if (queue && queue->orphan)
			nvme_queue_release(queue);
		else if (queue)
			nvme_queue_restart(queue, nvme->epoch, false);
	}
	nvme_queue_restart(nvme->admin, nvme->epoch, true);
}

static int create_again(struct vfio_nvme *nvme)
{
	int ret = 0;

	for (unsigned int i = 0; i < nvme->options.queues && ret == 0; i++) {
		struct vfio_nvme_queue *queue = nvme->queues[i];

		if (!queue)
			continue;
		if (i >= nvme->nqueues)
			return nvme_error(nvme, EIO, VFIO_E_DEVICE, VFIO_BY_MODEL,
					  "free queues, then reset again",
					  "nvme: after the reset the controller grants %u queues, "
					  "and there is a queue %u", nvme->nqueues, i + 1);
		ret = nvme_queue_create(queue);
	}
	return ret;
}

/* 7.3.2: a controller reset; if that does not help, that of the whole function. */
int vfio_nvme_reset(struct vfio_nvme *nvme)
{
	int ret = nvme_disable(nvme);

	if (ret < 0 && nvme->error.code != VFIO_E_GONE && vfio_reset(nvme->dev) == 0)
		ret = nvme_disable(nvme);
	if (ret < 0)
		return nvme_stop(nvme);
	forget(nvme);
	nvme->failure = (struct vfio_error){ .err = 0 };
	ret = nvme_enable(nvme) ?: nvme_configure(nvme) ?: create_again(nvme);
	return ret < 0 ? nvme_stop(nvme) : 0;
}
