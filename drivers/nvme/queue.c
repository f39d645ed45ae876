/* SPDX-License-Identifier: MIT */
/* Queues: Create and Delete, and what a reset leaves of them. */
#include <errno.h>
#include <string.h>

#include "private.h"

#define ENTRIES 256u			/* if the user does not say */
#define FEW     (NVME_PAGE / sizeof(struct nvme_entry))	/* fill a page */

/* ---- restart ------------------------------------------------------------------------------- */

/* What is under way is free, or waits at the far end of the stack: there is room for each id. */
static void abort_all(struct vfio_nvme_queue *queue, bool forget)
{
	for (unsigned int cid = 0; cid < queue->depth; cid++) {
		if (queue->slots[cid].epoch == NVME_FREE)
			continue;
		queue->slots[cid].epoch = NVME_FREE;
		if (forget)
			queue->free[queue->nfree++] = (uint16_t)cid;
		else
			queue->free[queue->depth - ++queue->aborted] = (uint16_t)cid;
	}
}

void nvme_queue_restart(struct vfio_nvme_queue *queue, uint32_t epoch, bool forget)
{
	memset(queue->cq, 0, (size_t)(queue->cq_end - queue->cq) * sizeof(*queue->cq));
	queue->tail = queue->sq;
	queue->rung = 0;
	queue->head = queue->cq;
	queue->report_in = queue->report_at;
	queue->lap = NVME_PHASE;
	queue->broken = false;
	queue->epoch = epoch;
	abort_all(queue, forget);
}

void nvme_queue_release(struct vfio_nvme_queue *queue)
{
	if (queue->id)
		queue->nvme->queues[queue->id - 1] = NULL;
	nvme_queue_drop(queue);
}

/* ---- create and delete ---------------------------------------------------------------------- */

static int delete(struct vfio_nvme_queue *queue, uint8_t opcode)
{
	const struct vfio_nvme_command cmd = { .opcode = opcode, .cdw10 = htole32(queue->id) };

	return vfio_nvme_admin(queue->nvme, &cmd, NULL, 0, false, NULL);
}

int nvme_queue_create(struct vfio_nvme_queue *queue)
{
	struct vfio_nvme *nvme = queue->nvme;
	uint32_t sq_last = (uint32_t)(queue->sq_end - queue->sq) - 1;
	uint32_t cq_last = (uint32_t)(queue->cq_end - queue->cq) - 1;
	uint32_t vector = queue->vector < 0 ? 0 :
			  (uint32_t)queue->vector << 16 | VFIO_NVME_CQ_INTERRUPTS;
	struct vfio_nvme_command cmd;
	int ret;

	nvme_place_doorbells(queue);
	/* 7.6.1, 10: the completion queue first (5.3). */
	cmd = (struct vfio_nvme_command){
		.opcode = VFIO_NVME_CREATE_CQ, .prp1 = htole64(queue->cq_iova),
		.cdw10 = htole32(cq_last << 16 | queue->id),
		.cdw11 = htole32(vector | VFIO_NVME_QUEUE_CONTIGUOUS),
	};
	ret = vfio_nvme_admin(nvme, &cmd, NULL, 0, false, NULL);
	if (ret < 0)
		return ret;
	/* 11: the submission queue, which names it (5.4). */
	cmd = (struct vfio_nvme_command){
		.opcode = VFIO_NVME_CREATE_SQ, .prp1 = htole64(queue->sq_iova),
		.cdw10 = htole32(sq_last << 16 | queue->id),
		.cdw11 = htole32((uint32_t)queue->id << 16 | VFIO_NVME_QUEUE_CONTIGUOUS),
	};
	ret = vfio_nvme_admin(nvme, &cmd, NULL, 0, false, NULL);
	if (ret < 0) {
		struct vfio_error why = nvme->error;
		uint16_t status = nvme->status;

		delete(queue, VFIO_NVME_DELETE_CQ);
		nvme->error = why;
		nvme->status = status;
	}
	return ret;
}

static int choose_id(struct vfio_nvme *nvme)
{
	for (unsigned int i = 0; i < nvme->nqueues; i++)
		if (!nvme->queues[i])
			return (int)i + 1;
	return nvme_error(nvme, ENOSPC, VFIO_E_ARGUMENT, VFIO_BY_MODEL,
			  "free a queue, or ask for more with the option queues",
			  "nvme: a new queue: all %u that the controller grants are in use",
			  nvme->nqueues);
}

static int check_options(struct vfio_nvme *nvme, struct vfio_nvme_queue_options *options)
{
	if (options->entries == 0)
		options->entries = nvme->entries < ENTRIES ? nvme->entries : ENTRIES;
	if (options->entries < 2 || options->entries > nvme->entries)
		return nvme_error(nvme, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				  "choose a number in between",
				  "nvme: a queue of %u entries: it can have 2 to %u",
				  options->entries, nvme->entries);
	return 0;
}

/* A handle is one thread's, and so is a doorbell that is a call on it. */
static int check_thread(struct vfio_nvme *nvme, const struct vfio_nvme_queue_options *options,
			int id)
{
	if (options->threaded && !nvme_has_mapped_doorbells(nvme, (unsigned int)id))
		return nvme_error(nvme, ENOTSUP, VFIO_E_NOT_MAPPABLE, VFIO_BY_LIBRARY,
				  "use the queue from the owner's thread",
				  "nvme: a queue for another thread: the doorbells of this device "
				  "cannot be mapped, so each is a call on its one handle");
	return 0;
}

/* Half as many entries will do, down to a page, as long as there is no piece so large. */
static int get_memory(struct vfio_nvme *nvme, unsigned int entries, struct vfio_nvme_queue **queue)
{
	for (;;) {
		struct nvme_shape shape = nvme_shape(entries, nvme->entries, nvme->max_bytes);
		int ret = nvme_queue_alloc(nvme, &shape, queue);

		if (ret == 0 || nvme->error.code != VFIO_E_SCATTERED || entries <= FEW)
			return ret;
		entries = entries / 2 < FEW ? FEW : entries / 2;
	}
}

/* The queue, in memory of the device's, not yet in the controller. */
static int make(struct vfio_nvme *nvme, const struct vfio_nvme_queue_options *options, int id,
		struct vfio_nvme_queue **queue)
{
	int ret = get_memory(nvme, options->entries, queue);

	if (ret < 0)
		return ret;
	(*queue)->id = (uint16_t)id;
	(*queue)->sgl = nvme->sgl;
	(*queue)->threaded = options->threaded;
	(*queue)->epoch = nvme->epoch;
	(*queue)->vector = nvme_choose_vector(nvme, options->threaded);
	if ((*queue)->vector >= 0)
		(*queue)->fd = nvme->fds[(*queue)->vector];
	return 0;
}

int vfio_nvme_queue_new(struct vfio_nvme_queue **queue, struct vfio_nvme *nvme,
			const struct vfio_nvme_queue_options *options)
{
	struct vfio_nvme_queue_options o = { .size = sizeof(o) };
	int ret, id;

	*queue = NULL;
	if (options)
		memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	ret = nvme_check_works(nvme) ?: check_options(nvme, &o);
	if (ret < 0)
		return ret;
	id = choose_id(nvme);
	if (id < 0)
		return id;
	ret = check_thread(nvme, &o, id) ?: make(nvme, &o, id, queue);
	if (ret < 0)
		return ret;
	nvme->queues[id - 1] = *queue;
	ret = nvme_queue_create(*queue);
	if (ret < 0) {
		(*queue)->orphan = true;
		if (!nvme->failure.err)
			nvme_queue_release(*queue);
		*queue = NULL;
	}
	return ret;
}

/* A controller that does not confirm that it is done may write on: memory stays until a reset. */
void vfio_nvme_queue_free(struct vfio_nvme_queue *queue)
{
	if (!queue)
		return;
	queue->orphan = true;
	if (nvme_check_works(queue->nvme) < 0 ||
	    delete(queue, VFIO_NVME_DELETE_SQ) < 0 || delete(queue, VFIO_NVME_DELETE_CQ) < 0)
		return;
	nvme_queue_release(queue);
}

uint16_t vfio_nvme_queue_id(const struct vfio_nvme_queue *queue)
{
	return queue->id;
}

unsigned int vfio_nvme_queue_depth(const struct vfio_nvme_queue *queue)
{
	return queue->depth;
}

unsigned int vfio_nvme_queue_busy(const struct vfio_nvme_queue *queue)
{
	return queue->depth - (unsigned int)queue->nfree;
}

int vfio_nvme_queue_fd(const struct vfio_nvme_queue *queue)
{
	return queue->fd;
}
