/* SPDX-License-Identifier: MIT */
/*
 * What kind of addresses a device is given. Behind an IOMMU the library chooses them; without one they
 * are where the memory is, and whoever maps it can only find that out.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

typedef unsigned long long ull;

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22		/* since Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/* Asked once: a device does not change in this. */
static int learn_mode(struct driver *d)
{
	uint32_t mode = VFIO_ADDRESS_IOVA;
	int r;

	if (d->addr_mode >= 0)
		return d->addr_mode;
	r = driver_get(d->dev, FEATURE_ADDRESSING, &mode, sizeof(mode));
	if (r < 0 && !driver_is_unknown(r))
		return r;
	if (r >= 0 && mode > VFIO_ADDRESS_PHYSICAL)
		return error_set(&d->dev->error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "the device takes addresses of an unknown kind, %u", mode);
	d->addr_mode = r < 0 ? VFIO_ADDRESS_IOVA : (int)mode;
	return d->addr_mode;
}

EXPORT int vfio_addr_mode(struct vfio_dev *dev)
{
	struct driver *d = driver_of(dev);

	return d ? learn_mode(d) : -ENOMEM;
}

int addressing_mode(struct vfio_space *s, struct vfio_error *err)
{
	int mode = VFIO_ADDRESS_IOVA;
	struct driver *d;

	LIST_FOREACH(d, &s->members, member) {
		int r = learn_mode(d);

		if (r < 0) {
			maps_explain(s, d->dev, err);
			return r;
		}
		if (r == VFIO_ADDRESS_PHYSICAL)
			mode = r;
	}
	return mode;
}

/* ---- where memory is ------------------------------------------------------------------------ */

static int need_source(struct vfio_space *s, struct vfio_error *err)
{
	return s->physical ? 0 : physical_open(&s->physical, err);
}

/* Memory that was not touched yet is nowhere; if it cannot be had, the source says so. */
static void touch(const void *vaddr, size_t size)
{
	uintptr_t start = (uintptr_t)vaddr & ~(uintptr_t)(DMA_PAGE - 1);
	size_t len = (uintptr_t)vaddr + size - start;

	if (madvise((void *)start, len, MADV_POPULATE_WRITE) < 0)
		madvise((void *)start, len, MADV_POPULATE_READ);
}

static int not_reached(const void *vaddr, size_t size, uint64_t address, struct vfio_error *err)
{
	return error_set(err, ENOSPC, VFIO_E_IOVA_SPACE, VFIO_BY_LIBRARY,
			 "use memory of vfio_dma_alloc(), or VFIO_DMA_BOUNCE; or allow more address bits "
			 "with vfio_dma_set_bits() if the device has them",
			 "the %zu bytes at %p are at physical address %#llx, which the device cannot drive",
			 size, vaddr, (ull)address);
}

int addressing_find(struct vfio_space *s, const void *vaddr, size_t size, int errnum,
		    uint64_t *iova, struct vfio_error *err)
{
	int r = need_source(s, err);

	if (r < 0)
		return r;
	touch(vaddr, size);
	r = physical_address(s->physical, vaddr, size, errnum, iova, err);
	if (r == 0 && !iova_suits_all(s, *iova, size))
		r = not_reached(vaddr, size, *iova, err);
	return r;
}

/* ---- what the device is given --------------------------------------------------------------- */

EXPORT int vfio_dma_segments(struct vfio_dev *dev, const struct vfio_dma *dma,
			     struct vfio_dma_segment *list, unsigned int max)
{
	struct vfio_space *s = space_of(dev);
	int mode = s ? addressing_mode(s, &dev->error) : -ENOMEM, r;

	if (mode < 0)
		return mode;
	if (maps_find(s, dma) || bounce_find(s, dma)) {	/* a map is one piece, everywhere */
		if (max)
			*list = (struct vfio_dma_segment){ dma->iova, dma->size };
		return 1;
	}
	if (mode == VFIO_ADDRESS_IOVA || !dma->size || !dma->vaddr)
		return maps_not_there("what the device is given", dma, &dev->error);
	r = need_source(s, &dev->error);
	if (r < 0)
		return r;
	touch(dma->vaddr, dma->size);
	return s->physical->segments(s->physical, dma->vaddr, dma->size,
				     (struct physical_segment *)list, max, &dev->error);
}

_Static_assert(sizeof(struct vfio_dma_segment) == sizeof(struct physical_segment) &&
	       offsetof(struct vfio_dma_segment, size) == offsetof(struct physical_segment, size),
	       "they are the same");

/* ---- is it still there? --------------------------------------------------------------------- */

static int moved(const struct dma_entry *e, struct vfio_error *err)
{
	return error_set(err, ESTALE, VFIO_E_MOVED, VFIO_BY_LIBRARY,
			 "stop the device, with vfio_set_bus_master(); unmap the memory, and map it anew",
			 "the %zu bytes at %p, which the device has at %#llx, are no longer there",
			 e->dma.size, e->dma.vaddr, (ull)e->dma.iova);
}

/* Pages that have gone to the swap, or were unmapped, have moved, too. */
static int check_entry(struct vfio_space *s, const struct dma_entry *e, struct vfio_error *err)
{
	uint64_t address;
	int r = physical_address(s->physical, e->dma.vaddr, e->dma.size, ESTALE, &address, err);

	if (r == -ESTALE || r == -EFAULT || (r == 0 && address != e->dma.iova))
		return moved(e, err);
	return r;
}

EXPORT int vfio_dma_recheck(struct vfio_dev *dev)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct vfio_space *s = space_of(dev);
	int r = s ? addressing_mode(s, &dev->error) : -ENOMEM;
	struct range range;

	if (r != VFIO_ADDRESS_PHYSICAL)
		return r;
	r = need_source(s, &dev->error);
	while (r == 0 && range_map_step(&s->maps, &walk, &range))
		r = check_entry(s, range.value, &dev->error);
	return r;
}
