/* SPDX-License-Identifier: MIT */
/* What a DMA map is, for everybody who asks for one or serves one. */
#ifndef LIBVFIO_IOMMU_MAP_H
#define LIBVFIO_IOMMU_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The granule of I/O addresses, whatever the host's page size. */
#define DMA_PAGE 4096u

/* As the size of an unmap from address 0: everything. */
#define DMA_ALL UINT64_MAX

/* Memory that can be reached only by asking whoever mapped it. Returns 0 or a negative errno. */
struct dma_peer {
	int (*read)(void *arg, uint64_t iova, void *buf, size_t len);
	int (*write)(void *arg, uint64_t iova, const void *buf, size_t len);
	void *arg;
};

/* One DMA map. The first of vaddr, fd, peer that is there and that can be used is used. */
struct dma_map {
	uint64_t iova, size;
	uint32_t prot;			/* VFIO_DMA_READ, VFIO_DMA_WRITE */
	/*
	 * The memory is that of another process, whose /proc/PID/mem fd is, at fd_offset; on the
	 * way there it is this process's, at vaddr.
	 */
	bool by_process;
	void *vaddr;			/* memory of this process, or NULL */
	int fd;				/* a memory file, or -1; who maps it keeps a copy if need be */
	uint64_t fd_offset;
	const struct dma_peer *peer;	/* or NULL; stays valid until the unmap */
};

#endif
