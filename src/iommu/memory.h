/* SPDX-License-Identifier: MIT */
/*
 * The memory behind a map, of any kind, and none that can hurt.
 *
 * A memory file is mapped only when it is sealed against shrinking: another file could be truncated
 * under the map, and touching it would then kill this process. Such a file is reached by pread() and pwrite(),
 * which return an error instead.
 */
#ifndef LIBVFIO_IOMMU_MEMORY_H
#define LIBVFIO_IOMMU_MEMORY_H

#include <stdbool.h>
#include <sys/types.h>

#include <vfio/error.h>

#include "iommu/map.h"

enum memory_kind {
	MEMORY_HERE,		/* the mapper's own, in this process */
	MEMORY_MAPPED,		/* a sealed memory file, mapped by us */
	MEMORY_FILE,		/* another file, by pread and pwrite */
	MEMORY_PEER,		/* by asking the mapper */
};

struct memory {
	enum memory_kind kind;
	uint8_t *addr;			/* HERE, MAPPED */
	void *map_base;			/* MAPPED: what munmap wants */
	size_t map_len;
	int fd;				/* FILE */
	uint64_t fd_offset;		/* of the map's first byte */
	dev_t dev;			/* which file it is */
	ino_t ino;
	const struct dma_peer *peer;	/* PEER */
};

int memory_init(struct memory *m, const struct dma_map *map, struct vfio_error *err);
void memory_finish(struct memory *m);

/* Is this the very file memory that map asks for? */
bool memory_is_same(const struct memory *m, const struct dma_map *map);

/* Copy len bytes at offset out of or into (write) the memory; iova is what a peer is asked for. */
int memory_copy(const struct memory *m, uint64_t offset, uint64_t iova, void *buf, size_t len,
		bool write);

#endif
