/* SPDX-License-Identifier: MIT */
/* The process that calls an ioctl, whose memory the arguments and the buffers for DMA are. */
#ifndef LIBVFIO_IOMMU_CALLER_H
#define LIBVFIO_IOMMU_CALLER_H

#include "iommu/map.h"

/* Addresses are the caller's; nothing is known of them. */
struct caller {
	/* 0 or -EFAULT. */
	int (*read)(void *arg, uint64_t from, void *to, size_t len);
	int (*write)(void *arg, uint64_t to, const void *from, size_t len);
	/*
	 * Is all of it memory that can be read (VFIO_DMA_READ) and written (VFIO_DMA_WRITE)? It is
	 * there from then on: the kernel, too, finds out by bringing it in.
	 */
	bool (*usable)(void *arg, uint64_t address, uint64_t size, uint32_t prot);
	/* How map->size bytes from there are reached: vaddr, fd, fd_offset, by_process, peer. */
	void (*locate)(void *arg, uint64_t address, struct dma_map *map);
	void *arg;
};

/* This process. */
extern const struct caller caller_self;

/* 0, or -EFAULT when the address cannot be one of a process's, as the kernel sees at once. */
int caller_check_range(uint64_t address, uint64_t size);

#endif
