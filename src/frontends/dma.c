/* SPDX-License-Identifier: MIT */
/* DMA memory of the driver API: what is mapped where, and where there is room. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

/* I/O addresses that are never chosen, so that 0 and what is near it stay traps for mistakes. */
#define FIRST_IOVA 0x10000u

static uint64_t last_of(const struct vfio_dma *dma)
{
	return dma->iova + dma->size - 1;
}

/* The highest I/O address that the device can drive. */
static uint64_t highest(const struct driver *d)
{
	return d->dma_bits == 64 ? UINT64_MAX : (1ull << d->dma_bits) - 1;
}

/* The first gap of size bytes; 0 when there is none. */
static uint64_t find_gap(const struct driver *d, uint64_t size)
{
	const struct dma_entry *e;
	uint64_t from = FIRST_IOVA;

	TAILQ_FOREACH(e, &d->dma, link) {
		if (e->dma.iova >= from && e->dma.iova - from >= size)
			break;
		if (last_of(&e->dma) >= from) {
			from = last_of(&e->dma) + 1;
			if (from == 0)
				return 0;	/* mapped up to the very top */
		}
	}
	return is_inside(from, size - 1, highest(d)) ? from : 0;
}

/* Add to the list, in order of IOVA. */
static void insert(struct driver *d, struct dma_entry *entry)
{
	struct dma_entry *e;

	TAILQ_FOREACH(e, &d->dma, link)
		if (e->dma.iova > entry->dma.iova)
			break;
	if (e)
		TAILQ_INSERT_BEFORE(e, entry, link);
	else
		TAILQ_INSERT_TAIL(&d->dma, entry, link);
}

static int choose_iova(struct vfio_dev *dev, struct driver *d, struct vfio_dma *dma)
{
	uint64_t iova = dma->size ? find_gap(d, dma->size) : FIRST_IOVA;

	if (!iova)
		return error_set(&dev->error, ENOSPC, VFIO_E_IOVA_SPACE, VFIO_BY_LIBRARY,
				 "unmap something, or allow more address bits with "
				 "vfio_dma_set_bits() if the device has them",
				 "no room for %#zx bytes below I/O address 2^%u", dma->size, d->dma_bits);
	dma->iova = iova;
	return 0;
}

static int map(struct vfio_dev *dev, struct vfio_dma *dma, bool ours)
{
	struct driver *d = driver_of(dev);
	bool any = dma->iova == VFIO_IOVA_ANY;
	struct dma_entry *entry;
	int r;

	if (!d)
		return -ENOMEM;
	if (!dma->vaddr || !is_aligned((uintptr_t)dma->vaddr, DMA_PAGE))
		return error_set(&dev->error, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
				 "allocate it with vfio_dma_alloc() or aligned_alloc(4096, …)",
				 "memory at %p cannot be mapped: it is not page aligned", dma->vaddr);
	r = any ? choose_iova(dev, d, dma) : 0;
	if (r < 0)
		return r;
	entry = malloc(sizeof(*entry));
	if (!entry) {
		r = error_system(&dev->error, ENOMEM, "mapping memory for DMA");
	} else {
		const struct dma_map m = {
			.iova = dma->iova, .size = dma->size, .prot = dma->prot,
			.vaddr = dma->vaddr, .fd = dma->fd, .fd_offset = dma->fd_offset,
			.by_process = dma->flags & VFIO_DMA_BY_PROCESS,
		};

		*entry = (struct dma_entry){ .dma = *dma, .ours = ours };
		r = dev->backend->dma_map(dev, &m);
	}
	if (r < 0) {
		free(entry);
		if (any)
			dma->iova = VFIO_IOVA_ANY;
		return r;
	}
	insert(d, entry);
	return 0;
}

EXPORT int vfio_dma_map(struct vfio_dev *dev, struct vfio_dma *dma)
{
	return map(dev, dma, false);
}

/* Give back what vfio_dma_alloc() got from the system. */
static void release(struct vfio_dma *dma)
{
	if (dma->vaddr)
		munmap(dma->vaddr, dma->size);
	if (dma->fd >= 0)
		close(dma->fd);
}

static void forget(struct driver *d, struct dma_entry *e)
{
	TAILQ_REMOVE(&d->dma, e, link);
	if (e->ours)
		release(&e->dma);
	free(e);
}

/* *gone: the maps are, even if the device's other end had something to say against it. */
static int unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, bool *gone)
{
	struct dma_entry *e, *next;
	uint64_t unmapped = 0;
	int r = dev->backend->dma_unmap(dev, iova, size, &unmapped);

	*gone = unmapped > 0;
	if (r == 0 && !*gone && size != DMA_ALL)
		return error_set(&dev->error, ENOENT, VFIO_E_NOT_MAPPED, VFIO_BY_LIBRARY, NULL,
				 "unmap of %#llx bytes at IOVA %#llx: nothing is mapped there",
				 (unsigned long long)size, (unsigned long long)iova);
	if (!*gone || !dev->driver)
		return r;
	for (e = TAILQ_FIRST(&dev->driver->dma); e; e = next) {
		next = TAILQ_NEXT(e, link);
		if (e->dma.iova >= iova && last_of(&e->dma) - iova < size)
			forget(dev->driver, e);
	}
	return r;
}

EXPORT int vfio_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size)
{
	bool gone;

	return unmap(dev, iova, size, &gone);
}

/* ---- memory of ours ----------------------------------------------------------------------- */

/* A memory file that cannot shrink: the device's process may then map it. */
static int allocate(struct vfio_dma *dma)
{
	dma->fd = memfd_create("vfio-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (dma->fd < 0)
		return -errno;
	if (ftruncate(dma->fd, dma->size) < 0 ||
	    fcntl(dma->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	dma->vaddr = mmap(NULL, dma->size, PROT_READ | PROT_WRITE, MAP_SHARED, dma->fd, 0);
	if (dma->vaddr == MAP_FAILED) {
		dma->vaddr = NULL;
		return -errno;
	}
	return 0;
}

EXPORT int vfio_dma_alloc(struct vfio_dev *dev, struct vfio_dma *dma, size_t size, uint32_t prot)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	int r;

	*dma = (struct vfio_dma){ .iova = VFIO_IOVA_ANY, .fd = -1, .prot = prot };
	if (!size || size > SIZE_MAX - page)
		return error_set(&dev->error, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY, NULL,
				 "allocating %zu bytes for DMA", size);
	dma->size = align_up(size, page);
	r = allocate(dma);
	if (r < 0)
		error_system(&dev->error, -r, "allocating %zu bytes for DMA", dma->size);
	else
		r = map(dev, dma, true);
	if (r < 0) {
		release(dma);
		*dma = (struct vfio_dma){ .fd = -1 };
	}
	return r;
}

EXPORT int vfio_dma_free(struct vfio_dev *dev, struct vfio_dma *dma)
{
	bool gone = true;
	int r = dma->size ? unmap(dev, dma->iova, dma->size, &gone) : 0;

	if (gone)
		*dma = (struct vfio_dma){ .fd = -1 };
	return r;
}

EXPORT int vfio_dma_set_bits(struct vfio_dev *dev, unsigned int bits)
{
	struct driver *d = driver_of(dev);

	if (!d)
		return -ENOMEM;
	if (bits < 12 || bits > 64)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give 12 to 64", "%u address bits", bits);
	d->dma_bits = bits;
	return 0;
}

void driver_dma_close(struct vfio_dev *dev)
{
	struct dma_entry *e;
	uint64_t unused;

	while ((e = TAILQ_FIRST(&dev->driver->dma))) {
		dev->backend->dma_unmap(dev, e->dma.iova, e->dma.size, &unused);
		forget(dev->driver, e);
	}
}
