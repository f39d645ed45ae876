/* SPDX-License-Identifier: MIT */
/* Memory that the controller reads and writes by itself: queues and their lists. */
#include <errno.h>
#include <string.h>

#include "private.h"

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/*
 * A PRP list of the longest command: a power of two, as max_bytes is one. Not less than a cache
 * line, so that no two commands share one.
 */
static uint32_t list_bytes_of(uint32_t max_bytes)
{
	uint32_t bytes = max_bytes / NVME_PAGE * (uint32_t)sizeof(uint64_t);

	return bytes < 64 ? 64 : bytes;
}

static size_t sq_bytes(const struct nvme_shape *shape)
{
	return round_up(shape->sq_entries * sizeof(struct nvme_entry), NVME_PAGE);
}

static size_t cq_bytes(const struct nvme_shape *shape)
{
	return round_up(shape->cq_entries * sizeof(struct nvme_answer), NVME_PAGE);
}

struct nvme_shape nvme_shape(unsigned int entries, unsigned int most, uint32_t max_bytes)
{
	unsigned int more = entries + entries / 4;

	return (struct nvme_shape){ entries, more < most ? more : most, max_bytes };
}

static unsigned int list_pages(const struct nvme_shape *shape)
{
	size_t bytes = (size_t)(shape->sq_entries - 1) * list_bytes_of(shape->max_bytes);

	return (unsigned int)(round_up(bytes, NVME_PAGE) / NVME_PAGE);
}

/*
 * Its parts, each in one piece for the controller: the queues, and the lists by the page. More in
 * one piece there need not be, where addresses are physical.
 */
static size_t part_bytes(const struct nvme_shape *shape, unsigned int part)
{
	return part == 0 ? sq_bytes(shape) : part == 1 ? cq_bytes(shape) : NVME_PAGE;
}

size_t nvme_queue_bytes(const struct nvme_shape *shape)
{
	return sq_bytes(shape) + cq_bytes(shape) + (size_t)list_pages(shape) * NVME_PAGE;
}

void nvme_queue_drop(struct vfio_nvme_queue *queue)
{
	if (!queue)
		return;
	for (unsigned int i = 0; queue->nvme && i < queue->nparts; i++)
		vfio_dma_free(queue->nvme->dev, &queue->parts[i]);
	free(queue->parts);
	free(queue->slots);
	free(queue->free);
	free(queue);
}

/* ---- a queue -------------------------------------------------------------------------------- */

/* One without memory for the controller, which nvme_queue_drop() frees. */
static struct vfio_nvme_queue *queue_new(struct vfio_nvme *nvme, const struct nvme_shape *shape)
{
	size_t size = round_up(sizeof(struct vfio_nvme_queue), 128);
	struct vfio_nvme_queue *queue = aligned_alloc(128, size);

	if (!queue)
		return NULL;
	memset(queue, 0, size);
	queue->nvme = nvme;
	queue->depth = shape->sq_entries - 1;
	queue->parts = calloc(NVME_LISTS + list_pages(shape), sizeof(*queue->parts));
	queue->slots = calloc(queue->depth, sizeof(*queue->slots));
	queue->free = calloc(queue->depth, sizeof(*queue->free));
	if (queue->parts && queue->slots && queue->free)
		return queue;
	nvme_queue_drop(queue);
	return NULL;
}

/* All its parts are there. */
static void start(struct vfio_nvme_queue *queue, const struct nvme_shape *shape)
{
	queue->sq = queue->parts[0].vaddr;
	queue->sq_end = queue->sq + shape->sq_entries;
	queue->sq_iova = queue->parts[0].iova;
	queue->cq = queue->parts[1].vaddr;
	queue->cq_end = queue->cq + shape->cq_entries;
	queue->cq_iova = queue->parts[1].iova;
	queue->list_bytes = list_bytes_of(shape->max_bytes);
	queue->max_bytes = shape->max_bytes;
	queue->report_at = (ptrdiff_t)(shape->cq_entries - shape->sq_entries);
	if (queue->report_at == 0)
		queue->report_at = 1;
	for (unsigned int cid = queue->depth; cid-- > 0;)
		queue->free[queue->nfree++] = (uint16_t)cid;
	queue->vector = queue->fd = queue->doorbell_fd = -1;
	nvme_queue_restart(queue, 1, true);
}

struct vfio_nvme_queue *nvme_queue_on(void *memory, uint64_t iova, const struct nvme_shape *shape)
{
	struct vfio_nvme_queue *queue = queue_new(NULL, shape);
	size_t at = 0;

	if (!queue)
		return NULL;
	for (unsigned int i = 0; i < NVME_LISTS + list_pages(shape); i++) {
		queue->parts[i].vaddr = (uint8_t *)memory + at;
		queue->parts[i].iova = iova + at;
		at += part_bytes(shape, i);
	}
	start(queue, shape);
	return queue;
}

int nvme_queue_alloc(struct vfio_nvme *nvme, const struct nvme_shape *shape,
		     struct vfio_nvme_queue **queue)
{
	*queue = queue_new(nvme, shape);
	if (!*queue)
		return nvme_no_memory(nvme);
	for (unsigned int i = 0; i < NVME_LISTS + list_pages(shape); i++) {
		int ret = vfio_dma_alloc(nvme->dev, &(*queue)->parts[i], part_bytes(shape, i),
					 VFIO_DMA_RW);

		if (ret < 0) {
			nvme_library_failed(nvme, ret);
			nvme_queue_drop(*queue);
			*queue = NULL;
			return ret;
		}
		(*queue)->nparts++;
	}
	start(*queue, shape);
	return 0;
}

int nvme_alloc_most(struct vfio_nvme *nvme, struct vfio_dma *memory, size_t size)
{
	for (;;) {
		int ret = vfio_dma_alloc(nvme->dev, memory, size, VFIO_DMA_RW);

		if (ret == 0)
			return 0;
		nvme_library_failed(nvme, ret);
		if (nvme->error.code != VFIO_E_SCATTERED || size <= NVME_PAGE)
			return ret;
		size /= 2;
	}
}
