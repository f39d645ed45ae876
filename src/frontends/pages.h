/* SPDX-License-Identifier: MIT */
/*
 * Memory for DMA from the system: the best pages that can be had.
 *
 * Large pages are locked in memory and are found faster by whoever walks page tables. What the
 * memory is worth, whatever its kind:
 *
 * - It is zeroed, and a memory file (fd), so that another process can map it.
 * - All of it is there when it is handed out: touching it cannot fail later for want of pages. Huge
 *   pages of the first two kinds stay for good; the system may still move or swap out the others,
 *   unless mlock() forbids it.
 * - Nobody can change the size of the file. A file on a mounted hugetlbfs is the exception: it
 *   cannot be sealed, and so whoever else is given its descriptor must be trusted.
 */
#ifndef LIBVFIO_FRONTENDS_PAGES_H
#define LIBVFIO_FRONTENDS_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include <vfio/driver.h>

/* Memory of this size or more lies at a multiple of it. */
#define PAGES_LARGE (2u << 20)

struct pages {
	void *addr;
	size_t size;
	int fd;
	uint32_t kind;		/* VFIO_PAGES_… */
	size_t page_size;
};

/* Where the system tells what it has. */
struct pages_places {
	const char *mounts;		/* /proc/self/mounts */
	const char *transparent;	/* /sys/kernel/mm/transparent_hugepage */
};

/*
 * Get size bytes, a multiple of the system's page size, of the first kind from best on that can be
 * had, at a multiple of the page size (and see PAGES_LARGE). Huge pages are not wasted: reserved
 * ones are used where they fill the size exactly, and transparent ones where the size is one at
 * least. 0; -EINVAL for a size that is no multiple or 0; -ENOMEM for more than the machine has, or
 * RLIMIT_FSIZE allows; or the errno of the last resort.
 */
int pages_get(struct pages *p, size_t size, uint32_t best);

/* The same, where the system is described elsewhere. */
int pages_get_from(struct pages *p, size_t size, uint32_t best,
		   const struct pages_places *places);

/* Accepts what is empty: size 0. */
void pages_free(struct pages *p);

#endif
