/* SPDX-License-Identifier: MIT */
#include "iommu/physical.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

typedef unsigned long long ull;

void physical_close(struct physical_source *source)
{
	if (source)
		source->close(source);
}

void physical_add(struct physical_list *l, uint64_t address, uint64_t size)
{
	if (l->count && l->last.address + l->last.size == address) {
		l->last.size += size;
	} else {
		l->last = (struct physical_segment){ address, size };
		l->count++;
	}
	if (l->count <= l->max)
		l->list[l->count - 1] = l->last;
}

/* ---- is it where it should be? -------------------------------------------------------------- */

static int scattered(const struct physical_segment *first, int count, const void *vaddr,
		     size_t size, int errnum, struct vfio_error *err)
{
	return error_set(err, errnum, VFIO_E_SCATTERED, VFIO_BY_LIBRARY,
			 "reserve huge pages (as root: echo 64 > /proc/sys/vm/nr_hugepages), use buffers "
			 "of up to a page, or map with VFIO_DMA_BOUNCE",
			 "the %zu bytes at %p lie in %d pieces of physical memory: what follows the "
			 "first %#llx, at %#llx, is elsewhere", size, vaddr, count, (ull)first->size,
			 (ull)first->address);
}

int physical_address(struct physical_source *source, const void *vaddr, size_t size, int errnum,
		     uint64_t *address, struct vfio_error *err)
{
	struct physical_segment first = { 0 };
	int n = source->segments(source, vaddr, size, &first, 1, err);

	if (n < 0)
		return n;
	*address = first.address;
	return n == 1 ? 0 : scattered(&first, n, vaddr, size, errnum, err);
}

int physical_check_map(struct physical_source *source, const struct dma_map *map,
		       const void *vaddr, struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];
	uint64_t address;
	int r = physical_address(source, vaddr, map->size, EINVAL, &address, err);

	if (r < 0 || address == map->iova)
		return r;
	snprintf(remedy, sizeof(remedy), "map it at %#llx, or give VFIO_IOVA_ANY", (ull)address);
	return error_set(err, EINVAL, VFIO_E_PHYSICAL, VFIO_BY_LIBRARY, remedy,
			 "map of %#llx bytes at %#llx: without an IOMMU the device is given bus "
			 "addresses, and that of this memory is %#llx", (ull)map->size, (ull)map->iova,
			 (ull)address);
}

/* ---- /proc/self/pagemap --------------------------------------------------------------------- */

#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_FRAME   ((1ull << 55) - 1)
#define ENTRIES       256u		/* that are read at once: a MiB's */

struct pagemap {
	struct physical_source source;
	int fd;
	size_t page;
};

static int not_there(const void *at, uint64_t entry, struct vfio_error *err)
{
	return error_set(err, EFAULT, VFIO_E_DMA_MEMORY, VFIO_BY_KERNEL,
			 "write to it, or lock it with mlock(2); or allocate it with vfio_dma_alloc()",
			 "the page at %p has no physical address: it is %s", at,
			 entry & ENTRY_SWAPPED ? "swapped out"
					       : "not there, or was not touched yet");
}

/* The kernel gives zeros for frames to who may not know them. Nothing of a process's is there. */
static int hidden(struct vfio_error *err)
{
	return error_set(err, EPERM, VFIO_E_UNSAFE, VFIO_BY_KERNEL,
			 "run as root, or with CAP_SYS_ADMIN in the initial user namespace",
			 "/proc/self/pagemap hides physical addresses from those without CAP_SYS_ADMIN");
}

/* Bytes of one page, from at on. */
static int add_page(struct pagemap *p, struct physical_list *l, uint64_t entry, uintptr_t at,
		    size_t size, struct vfio_error *err)
{
	uint64_t frame = entry & ENTRY_FRAME;

	if (!(entry & ENTRY_PRESENT))
		return not_there((const void *)at, entry, err);
	if (!frame)
		return hidden(err);
	physical_add(l, frame * p->page + at % p->page, size);
	return 0;
}

/* Entries of n pages from the one of at on. */
static int read_entries(struct pagemap *p, uintptr_t at, uint64_t *entries, size_t n,
			struct vfio_error *err)
{
	ssize_t len = n * sizeof(*entries);
	ssize_t got = pread(p->fd, entries, len, at / p->page * sizeof(*entries));

	if (got == len)
		return 0;
	return error_system(err, got < 0 ? errno : EFAULT,
			    "asking for the physical address of the memory at %#llx", (ull)at);
}

static int pagemap_segments(struct physical_source *source, const void *vaddr, size_t size,
			    struct physical_segment *list, unsigned int max,
			    struct vfio_error *err)
{
	struct pagemap *p = (struct pagemap *)source;
	struct physical_list l = { .list = list, .max = max };
	uintptr_t at = (uintptr_t)vaddr, end = at + size;
	uint64_t entries[ENTRIES];
	int r = end < at ? -EFAULT : 0;

	if (r < 0)
		return error_system(err, EFAULT, "%zu bytes at %p", size, vaddr);
	while (r == 0 && at < end) {
		size_t pages = (end - 1) / p->page - at / p->page + 1;
		size_t n = pages < ENTRIES ? pages : ENTRIES;

		r = read_entries(p, at, entries, n, err);
		for (size_t i = 0; i < n && r == 0; i++) {
			uintptr_t next = (at / p->page + 1) * p->page, until = next < end ? next : end;

			r = add_page(p, &l, entries[i], at, until - at, err);
			at = until;
		}
	}
	return r < 0 ? r : (int)l.count;
}

static void pagemap_close(struct physical_source *source)
{
	struct pagemap *p = (struct pagemap *)source;

	fd_close(&p->fd);
	free(p);
}

int physical_open_pagemap(struct physical_source **source, const char *path,
			  struct vfio_error *err)
{
	struct pagemap *p = malloc(sizeof(*p));

	if (!p)
		return error_system(err, ENOMEM, "opening %s", path);
	*p = (struct pagemap){
		.source = { .segments = pagemap_segments, .close = pagemap_close },
		.fd = open(path, O_RDONLY | O_CLOEXEC), .page = sysconf(_SC_PAGESIZE),
	};
	if (p->fd < 0) {
		int e = errno;

		free(p);
		return error_system(err, e, "opening %s, for physical addresses", path);
	}
	*source = &p->source;
	return 0;
}

/* ---- the best there is ---------------------------------------------------------------------- */

static int ask_kernel(int iommufd, unsigned long number, void *data)
{
	return ioctl(iommufd, number, data) < 0 ? -errno : 0;
}

int physical_open(struct physical_source **source, struct vfio_error *err)
{
	int iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (iommufd >= 0 && physical_open_iommufd(source, iommufd, ask_kernel, NULL) == 0)
		return 0;
	fd_close(&iommufd);
	return physical_open_pagemap(source, "/proc/self/pagemap", err);
}
