/* SPDX-License-Identifier: MIT */
/*
 * Doorbells (3.1.24, 3.1.25): registers from 0x1000 on, mapped if that can be. Where the controller
 * polls memory for them (7.13, doorbell buffers), they are in memory, and the registers are written
 * only when it asks for that. A device in software may need an eventfd to be told of stores.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

static uint32_t offset_of(const struct vfio_nvme *nvme, unsigned int id, unsigned int is_cq)
{
	return (2 * id + is_cq) * (4u << VFIO_NVME_GET(nvme->cap, CAP_DSTRD));
}

void nvme_map_doorbells(struct vfio_nvme *nvme)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = offset_of(nvme, nvme->options.queues, 1) + 4;
	struct vfio_region bar;

	nvme->doorbell_fd = -1;
	if (VFIO_NVME_DOORBELLS % page || vfio_region(nvme->dev, NVME_BAR, &bar) < 0)
		return;
	bytes = (bytes + page - 1) / page * page;
	/* A controller that has fewer queues may have a smaller area. */
	for (uint32_t i = 0; i < bar.nareas && !nvme->doorbells; i++) {
		struct vfio_area *a = &bar.areas[i];
		uint64_t end = a->offset + a->size;

		if (a->offset > VFIO_NVME_DOORBELLS || end <= VFIO_NVME_DOORBELLS)
			continue;
		if (bytes > end - VFIO_NVME_DOORBELLS)
			bytes = end - VFIO_NVME_DOORBELLS;
		nvme->doorbells = vfio_map(nvme->dev, NVME_BAR, VFIO_NVME_DOORBELLS, bytes);
		nvme->doorbells_size = bytes;
	}
	if (nvme->doorbells)
		nvme->doorbell_fd = vfio_doorbell_fd(nvme->dev, NVME_BAR, VFIO_NVME_DOORBELLS);
}

bool nvme_has_mapped_doorbells(const struct vfio_nvme *nvme, unsigned int id)
{
	return nvme->doorbells && offset_of(nvme, id, 1) + 4 <= nvme->doorbells_size;
}

void nvme_ring_register(struct vfio_nvme_queue *queue, const struct nvme_doorbell *doorbell,
			uint32_t value)
{
	const uint64_t one = 1;

	if (doorbell->mapped)
		__atomic_store_n(doorbell->mapped, htole32(value), __ATOMIC_RELEASE);
	else
		vfio_write32(queue->nvme->dev, NVME_BAR, VFIO_NVME_DOORBELLS + doorbell->offset,
			     value);
	/* The only failure is that of a full counter: the device has been told. */
	if (queue->doorbell_fd >= 0 && write(queue->doorbell_fd, &one, sizeof(one)) < 0)
		return;
}

static void place(struct vfio_nvme_queue *queue, struct nvme_doorbell *doorbell, unsigned int is_cq)
{
	struct vfio_nvme *nvme = queue->nvme;
	uint32_t offset = offset_of(nvme, queue->id, is_cq);

	*doorbell = (struct nvme_doorbell){ .offset = offset };
	if (nvme_has_mapped_doorbells(nvme, queue->id))
		doorbell->mapped = (volatile uint32_t *)(nvme->doorbells + offset);
	if (nvme->doorbell_fd < 0)
		doorbell->plain = doorbell->mapped;
	/* 5.7: those of the admin queue are always registers. */
	if (queue->id && nvme->shadow.size && offset + 4 <= NVME_PAGE) {
		doorbell->shadow = (uint32_t *)((uint8_t *)nvme->shadow.vaddr + offset);
		doorbell->event = (uint32_t *)((uint8_t *)nvme->event.vaddr + offset);
		__atomic_store_n(doorbell->shadow, 0, __ATOMIC_RELAXED);
		__atomic_store_n(doorbell->event, 0, __ATOMIC_RELAXED);
	}
}

void nvme_place_doorbells(struct vfio_nvme_queue *queue)
{
	queue->doorbell_fd = queue->nvme->doorbell_fd;
	place(queue, &queue->sq_doorbell, 0);
	place(queue, &queue->cq_doorbell, 1);
}

/* ---- doorbell buffers ----------------------------------------------------------------------- */

int nvme_new_doorbell_buffers(struct vfio_nvme *nvme)
{
	int ret;

	if (nvme->options.no_shadow ||
	    !(le16toh(nvme->identity.oacs) & VFIO_NVME_OACS_DOORBELLS))
		return 0;
	ret = vfio_dma_alloc(nvme->dev, &nvme->shadow, NVME_PAGE, VFIO_DMA_RW);
	if (ret == 0)
		ret = vfio_dma_alloc(nvme->dev, &nvme->event, NVME_PAGE, VFIO_DMA_RW);
	return ret < 0 ? nvme_library_failed(nvme, ret) : 0;
}

/* 5.7: Doorbell Buffer Config. One that says it can, and cannot, is used without. */
int nvme_use_doorbell_buffers(struct vfio_nvme *nvme)
{
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_DOORBELL_BUFFERS,
		.prp1 = htole64(nvme->shadow.iova), .prp2 = htole64(nvme->event.iova),
	};
	int ret;

	if (!nvme->shadow.size)
		return 0;
	memset(nvme->shadow.vaddr, 0, NVME_PAGE);
	memset(nvme->event.vaddr, 0, NVME_PAGE);
	ret = vfio_nvme_admin(nvme, &cmd, NULL, 0, false, NULL);
	if (ret == -EIO && nvme->status) {
		vfio_dma_free(nvme->dev, &nvme->shadow);
		vfio_dma_free(nvme->dev, &nvme->event);
		return 0;
	}
	return ret;
}
