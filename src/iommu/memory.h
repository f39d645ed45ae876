/* SPDX-License-Identifier: MIT */
/*
 * The memory behind a map, of any kind, and none that can hurt.
 *
 * A memory file is mapped once, however many maps come from it. It is touched only when it is
 * sealed against shrinking: another could be truncated under the map, and touching it would then
 * kill this process. Of such a file bytes are copied by a system call, which returns an error
 * instead; in the same way those of our own memory where its owner may have unmapped it, and those of
 * another process, through its /proc/PID/mem.
 */
#ifndef LIBVFIO_IOMMU_MEMORY_H
#define LIBVFIO_IOMMU_MEMORY_H

#include <stdbool.h>
#include <sys/queue.h>

#include <vfio/driver.h>
#include <vfio/error.h>

#include "iommu/map.h"

struct memory_file;

/* The files that maps of one space come from, found by what they are. */
struct memory_files {
	void *tree;
};

/* access says which of the others are there. */
struct memory {
	uint32_t access;		/* VFIO_DMA_IN_PLACE, … */
	uint8_t *addr;			/* IN_PLACE, BY_FILE: the map's first byte in this process */
	struct memory_file *file;	/* what addr points into, or whose memory is copied; or NULL */
	uint64_t offset;		/* of the map's first byte in the file */
	const struct dma_peer *peer;	/* BY_MESSAGE */
};

/*
 * careful: our own memory is not touched in place. -EINVAL, -EACCES (the descriptor is no memory, or
 * does not allow the direction), -ENOMEM, …
 */
int memory_init(struct memory *m, struct memory_files *files, const struct dma_map *map,
		bool careful, struct vfio_error *err);
void memory_finish(struct memory *m);

/* Is this the very file memory that map asks for? */
bool memory_is_same(const struct memory *m, const struct dma_map *map);

/* Copy len bytes at offset out of or into (write) the memory; iova is what a peer is asked for. */
int memory_copy(const struct memory *m, uint64_t offset, uint64_t iova, void *buf, size_t len,
		bool write);

#endif
