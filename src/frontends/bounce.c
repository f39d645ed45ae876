/* SPDX-License-Identifier: MIT */
/*
 * Bounce buffers: the device sees a window of the library's memory instead of the caller's, and
 * bytes are copied between the two when the driver says so. For memory that cannot be mapped as it is:
 * of any alignment, too high for the device, or scattered where no IOMMU gathers it.
 */
#include <errno.h>
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

/*
 * The window begins as a copy, whatever the directions: what the device does not write then stays as
 * it was when all of it is copied back.
 */
int bounce_map(struct vfio_space *s, struct vfio_dma *dma, struct vfio_error *err)
{
	struct dma_entry *e;
	int r = check(dma, err);

	if (r == 0)
		r = chunks_window(s, dma->size, dma->prot, &e, err);
	if (r < 0)
		return r;
	memcpy(e->dma.vaddr, dma->vaddr, dma->size);
	e->bounced = dma->vaddr;
	e->bounced_size = dma->size;
	dma->iova = e->dma.iova;
	return 0;
}

/* ---- copying -------------------------------------------------------------------------------- */

static int outside(const struct vfio_dma *dma, size_t offset, size_t len, struct vfio_error *err)
{
	return error_set(err, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY,
			 "give a part of the buffer that was mapped",
			 "synchronising %zu bytes at offset %zu of %zu bytes at %p", len, offset,
			 dma->size, dma->vaddr);
}

/* The buffer's map, if the bytes are the buffer's; otherwise NULL, *r and a record. */
static const struct dma_entry *find(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset,
				    size_t len, int *r)
{
	struct vfio_space *s = space_of(dev);
	const struct dma_entry *e = s ? maps_find(s, dma) : NULL;

	*r = 0;
	if (!s)
		*r = -ENOMEM;
	else if (!e)
		*r = maps_not_there("synchronising", dma, &dev->error);
	else if (!is_inside(offset, len, dma->size))
		*r = outside(dma, offset, len, &dev->error);
	return *r < 0 ? NULL : e;
}

EXPORT int vfio_dma_sync_for_device(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset,
				    size_t len)
{
	int r;
	const struct dma_entry *e = find(dev, dma, offset, len, &r);

	if (e && e->bounced && (e->dma.prot & VFIO_DMA_READ))
		memcpy((uint8_t *)e->dma.vaddr + offset, (uint8_t *)e->bounced + offset, len);
	return r;
}

EXPORT int vfio_dma_sync_for_cpu(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset,
				 size_t len)
{
	int r;
	const struct dma_entry *e = find(dev, dma, offset, len, &r);

	if (e && e->bounced && (e->dma.prot & VFIO_DMA_WRITE))
		memcpy((uint8_t *)e->bounced + offset, (uint8_t *)e->dma.vaddr + offset, len);
	return r;
}
