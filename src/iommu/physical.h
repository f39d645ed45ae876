/* SPDX-License-Identifier: MIT */
/*
 * Where memory of this process physically is: for devices that no IOMMU stands before, which are
 * given these addresses.
 *
 * Who knows is a source. There are two, and those of tests:
 *
 *   physical.c           what all of them share; /proc/self/pagemap
 *   physical_iommufd.c   the call that was proposed to Linux, IOMMU_IOAS_NOIOMMU_GET_PA
 *
 * What a source says holds as long as the pages do not move: see pin.h.
 */
#ifndef LIBVFIO_IOMMU_PHYSICAL_H
#define LIBVFIO_IOMMU_PHYSICAL_H

#include <stddef.h>
#include <stdint.h>

#include <vfio/error.h>

#include "iommu/map.h"

/* Memory that is contiguous for a device: not to be made longer. */
struct physical_segment {
	uint64_t address, size;
};

struct physical_source {
	/*
	 * The segments of [vaddr, vaddr + size), in order: their number, of which the first max are
	 * stored. A negative errno and a record when an address is not known: no segment is ever made
	 * up.
	 */
	int (*segments)(struct physical_source *source, const void *vaddr, size_t size,
			struct physical_segment *list, unsigned int max, struct vfio_error *err);
	void (*close)(struct physical_source *source);	/* frees it */
};

/* The best source that there is: the kernel's call if it answers, else pagemap. */
int physical_open(struct physical_source **source, struct vfio_error *err);
int physical_open_pagemap(struct physical_source **source, const char *path,
			  struct vfio_error *err);
/* Accepts NULL. */
void physical_close(struct physical_source *source);

/*
 * Is the I/O address of the map the bus address of all its bytes, which are at vaddr here? 0; or
 * -EINVAL, and the record is VFIO_E_SCATTERED where there is no one such address, VFIO_E_PHYSICAL
 * where it is another, which it says; or what the source says.
 */
int physical_check_map(struct physical_source *source, const struct dma_map *map,
		       const void *vaddr, struct vfio_error *err);

/* The one address of all the bytes. -errnum and VFIO_E_SCATTERED when there is none. */
int physical_address(struct physical_source *source, const void *vaddr, size_t size, int errnum,
		     uint64_t *address, struct vfio_error *err);

/* ---- for sources ---------------------------------------------------------------------------- */

/* What segments() is building: neighbours become one. */
struct physical_list {
	struct physical_segment *list;
	unsigned int max, count;
	struct physical_segment last;	/* of which list may have no copy any more */
};

void physical_add(struct physical_list *l, uint64_t address, uint64_t size);

/* ---- physical_iommufd.c --------------------------------------------------------------------- */

/* How the kernel is asked: 0 or a negative errno. A test answers itself. */
typedef int physical_call_fn(int iommufd, unsigned long number, void *data);

/*
 * Memory is mapped into an IOAS of iommufd for the moment, and the kernel asked where it is. -ENOTTY,
 * or another errno, where it does not answer. The descriptor is the source's from then on, and is
 * still the caller's on failure.
 */
int physical_open_iommufd(struct physical_source **source, int iommufd, physical_call_fn *call,
			  struct vfio_error *err);

#endif
