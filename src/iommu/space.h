/* SPDX-License-Identifier: MIT */
/*
 * A software IOMMU: an address space with maps, and the accesses of a device through it.
 *
 * Maps are kept in order of address, so that a look-up is a binary search; the map that was hit
 * last is tried first. One thread at a time.
 */
#ifndef LIBVFIO_IOMMU_SPACE_H
#define LIBVFIO_IOMMU_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfio/device.h>

#include "iommu/map.h"
#include "iommu/memory.h"

/* As many as vfio-user's max_dma_maps may say. */
#define SPACE_MAX_MAPS 65535

struct range;

struct space {
	struct range **ranges;		/* by address */
	size_t count, room;
	size_t last;			/* where the last look-up ended */
	struct memory_files files;	/* that the maps come from */
	struct vfio_fault fault;	/* the last one; count 0: none yet */
};

/* The map [iova, iova + size) is going: called before it does. */
typedef void space_gone_fn(void *arg, uint64_t iova, uint64_t size);

void space_init(struct space *s);

/* Everything unmapped, faults forgotten. */
void space_clear(struct space *s, space_gone_fn *gone, void *arg);
void space_finish(struct space *s);

/*
 * -EINVAL (alignment, size, wrap, direction, memory), -EEXIST (overlap), -ENOSPC (SPACE_MAX_MAPS),
 * -EACCES (the descriptor does not allow the direction), -ENOMEM. A map that is there already, the
 * same in all, is success.
 */
int space_map(struct space *s, const struct dma_map *map, struct vfio_error *err);

/*
 * Every map inside [iova, iova + size). -EINVAL when one would be cut, -ENOENT when there is none.
 */
int space_unmap(struct space *s, uint64_t iova, uint64_t size, uint64_t *unmapped,
		space_gone_fn *gone, void *arg, struct vfio_error *err);

/* Copy out of (VFIO_DMA_READ) or into (VFIO_DMA_WRITE) the space; permission is all or nothing. */
int space_copy(struct space *s, uint64_t iova, void *buf, size_t len, uint32_t prot);

/*
 * The pieces of [iova, iova + len) in this process: their number (above max: none stored), -EFAULT,
 * -ENOTSUP.
 */
int space_spans(struct space *s, uint64_t iova, size_t len, uint32_t prot, struct vfio_span *spans,
		unsigned int max);

/* Record a refused access; returns -err. */
int space_refuse(struct space *s, uint64_t iova, uint64_t size, uint32_t prot, int err);

#endif
