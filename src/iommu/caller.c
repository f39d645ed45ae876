/* SPDX-License-Identifier: MIT */
#include "iommu/caller.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vfio/driver.h>

#include "base/bits.h"

/* Linux 5.14; the C library of Debian 11 has no names for them. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

static bool is_whole(ssize_t n, size_t len)
{
	return n >= 0 && (size_t)n == len;
}

/* By system calls, which say what a copy in place would die of. */
static int self_read(void *arg, uint64_t from, void *to, size_t len)
{
	struct iovec here = { .iov_base = to, .iov_len = len };
	struct iovec there = { .iov_base = (void *)(uintptr_t)from, .iov_len = len };

	return is_whole(process_vm_readv(getpid(), &here, 1, &there, 1, 0), len) ? 0 : -EFAULT;
}

static int self_write(void *arg, uint64_t to, const void *from, size_t len)
{
	struct iovec here = { .iov_base = (void *)(uintptr_t)from, .iov_len = len };
	struct iovec there = { .iov_base = (void *)(uintptr_t)to, .iov_len = len };

	return is_whole(process_vm_writev(getpid(), &here, 1, &there, 1, 0), len) ? 0 : -EFAULT;
}

static bool self_usable(void *arg, uint64_t address, uint64_t size, uint32_t prot)
{
	uint64_t start = address & ~(uint64_t)(DMA_PAGE - 1);
	int advice = prot & VFIO_DMA_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	return caller_check_range(address, size) == 0 &&
	       madvise((void *)(uintptr_t)start, align_up(address + size, DMA_PAGE) - start,
		       advice) == 0;
}

static void self_locate(void *arg, uint64_t address, struct dma_map *map)
{
	map->vaddr = (void *)(uintptr_t)address;
	map->fd = -1;
}

const struct caller caller_self = {
	.read = self_read, .write = self_write, .usable = self_usable, .locate = self_locate,
};

int caller_check_range(uint64_t address, uint64_t size)
{
	return size > INT64_MAX || address > INT64_MAX - size ? -EFAULT : 0;
}
