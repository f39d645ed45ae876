/* SPDX-License-Identifier: MIT */
/*
 * Bounce buffers: the device sees a window of the library's memory instead of the caller's, and
 * bytes are copied between the two when the driver says so. For memory that cannot be mapped as it is:
 * of any alignment, too high for the device, or scattered where no IOMMU gathers it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

static int check(const struct vfio_dma *dma, struct vfio_error *err)
{
	if (dma->flags != VFIO_DMA_BOUNCE || dma->iova != VFIO_IOVA_ANY)
		return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give VFIO_DMA_BOUNCE alone, and VFIO_IOVA_ANY",
				 "bounce buffer with flags %#x at IOVA %#llx", dma->flags,
				 (unsigned long long)dma->iova);
	if (!dma->vaddr || (uintptr_t)dma->vaddr + dma->size < (uintptr_t)dma->vaddr)
		return error_set(err, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY,
				 "give memory of this process",
				 "bounce buffer for %zu bytes at %p: there is no such memory",
				 dma->size, dma->vaddr);
	return 0;
}

static int keep(struct vfio_space *s, const struct vfio_dma *window, const struct vfio_dma *dma,
		struct vfio_error *err)
{
	struct bounce *b = malloc(sizeof(*b));
	struct range range = {
		.start = window->iova, .last = window->iova + window->size - 1, .value = b,
	};

	if (b)
		*b = (struct bounce){ *window, dma->vaddr, dma->size };
	if (b && range_map_insert(&s->bounces, &range, NULL) == 0)
		return 0;
	free(b);
	return error_system(err, ENOMEM, "mapping a bounce buffer");
}

/*
 * The window begins as a copy, whatever the directions: what the device does not write then stays as
 * it was when all of it is copied back.
 */
int bounce_map(struct vfio_space *s, struct vfio_dma *dma, struct vfio_error *err)
{
	struct vfio_error unused;
	struct vfio_dma window;
	int r = check(dma, err);

	if (r == 0)
		r = chunks_alloc(s, &window, dma->size, dma->prot, err);
	if (r < 0)
		return r;
	r = keep(s, &window, dma, err);
	if (r < 0) {
		maps_free(s, &window, &unused);
		return r;
	}
	memcpy(window.vaddr, dma->vaddr, dma->size);
	dma->iova = window.iova;
	return 0;
}

struct bounce *bounce_find(const struct vfio_space *s, const struct vfio_dma *dma)
{
	struct range range;
	struct bounce *b;

	if (!dma->size || !range_map_find(&s->bounces, dma->iova, &range))
		return NULL;
	b = range.value;
	return (uintptr_t)dma->vaddr - (uintptr_t)b->vaddr == dma->iova - range.start &&
	       is_inside(dma->iova - range.start, dma->size, b->size) ? b : NULL;
}

void bounce_drop(struct vfio_space *s, uint64_t iova, uint64_t last)
{
	struct range_walk walk = { .at = iova, .last = last };
	struct range range;

	while (range_map_step(&s->bounces, &walk, &range)) {
		free(range.value);
		range_map_erase(&s->bounces, range.start);
	}
	range_map_reap(&s->bounces);
}

/* The window may go with its map, and then *b has gone already. */
int bounce_free(struct vfio_space *s, const struct bounce *b, struct vfio_error *err)
{
	struct vfio_dma window = b->window;
	const uint64_t iova = window.iova;
	int r = maps_free(s, &window, err);

	if (!window.size)
		bounce_drop(s, iova, iova);
	return r;
}

int bounce_forget(struct vfio_space *s, const void *vaddr, size_t size, struct vfio_error *err)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	uintptr_t asked = (uintptr_t)vaddr;
	struct range range;
	int r = 0, n = 0;

	while (size && r >= 0 && range_map_step(&s->bounces, &walk, &range)) {
		const struct bounce *b = range.value;
		uintptr_t mine = (uintptr_t)b->vaddr;

		if (asked < mine ? mine - asked < size : asked - mine < b->size) {
			r = bounce_free(s, b, err);
			n++;
		}
	}
	return r < 0 ? r : n;
}

/* ---- copying -------------------------------------------------------------------------------- */

static int outside(const struct vfio_dma *dma, size_t offset, size_t len, struct vfio_error *err)
{
	return error_set(err, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY,
			 "give a part of the buffer that was mapped",
			 "synchronising %zu bytes at offset %zu of %zu bytes at %p", len, offset,
			 dma->size, dma->vaddr);
}

/* 0 if there is something like dma and the bytes are its; *b is where they bounce, or NULL. */
static int find(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset, size_t len,
		struct bounce **b)
{
	struct vfio_space *s = space_of(dev);

	*b = s ? bounce_find(s, dma) : NULL;
	if (!s)
		return -ENOMEM;
	if (!*b && !maps_find(s, dma))
		return maps_not_there("synchronising", dma, &dev->error);
	return is_inside(offset, len, dma->size) ? 0 : outside(dma, offset, len, &dev->error);
}

/* Where the bytes at offset of dma are in the window. */
static uint8_t *in_window(const struct bounce *b, const struct vfio_dma *dma, size_t offset)
{
	return (uint8_t *)b->window.vaddr + (dma->iova - b->window.iova) + offset;
}

EXPORT int vfio_dma_sync_for_device(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset,
				    size_t len)
{
	struct bounce *b;
	int r = find(dev, dma, offset, len, &b);

	if (r == 0 && b && (b->window.prot & VFIO_DMA_READ))
		memcpy(in_window(b, dma, offset), (uint8_t *)dma->vaddr + offset, len);
	return r;
}

EXPORT int vfio_dma_sync_for_cpu(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset,
				 size_t len)
{
	struct bounce *b;
	int r = find(dev, dma, offset, len, &b);

	if (r == 0 && b && (b->window.prot & VFIO_DMA_WRITE))
		memcpy((uint8_t *)dma->vaddr + offset, in_window(b, dma, offset), len);
	return r;
}
