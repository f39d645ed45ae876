/* SPDX-License-Identifier: MIT */
/*
 * The ioctls of a container whose IOMMU is type1, over a space: the kernel's structures, its errno,
 * and its order of checks. The space's rules say whether it is v1 or v2; its limits are how many
 * maps there can be, and how much memory may be locked (UINT64_MAX: CAP_IPC_LOCK).
 *
 *   type1.c        extensions, GET_INFO, MAP_DMA, UNMAP_DMA
 *   type1_dirty.c  DIRTY_PAGES, and the bitmap of UNMAP_DMA
 *
 * Otherwise than the kernel does it: nothing is pinned. Memory is there when it is mapped; when its
 * owner takes it away later, the device faults, where the kernel's would go on with the old pages.
 * What an address is made of is not asked: all page sizes from 4096 on are offered. A map that an
 * MMIO region of a real device's is behind is -EFAULT.
 */
#ifndef LIBVFIO_IOMMU_TYPE1_H
#define LIBVFIO_IOMMU_TYPE1_H

#include <linux/vfio.h>

#include "iommu/caller.h"
#include "iommu/space.h"

struct type1 {
	struct space *space;
	const struct caller *caller;
	/*
	 * Dirty pages are those that were written. Otherwise, as the kernel has it for devices that
	 * it cannot watch, all that are mapped.
	 */
	bool exact;
	bool tracking;
	space_gone_fn *gone;		/* is told of maps that go; or NULL */
	void *gone_arg;
};

/* VFIO_CHECK_EXTENSION, and VFIO_IOMMU_*; others are -ENOTTY. arg is what the caller gave. */
int type1_ioctl(struct type1 *t, unsigned int number, uint64_t arg, struct vfio_error *err);

/*
 * A group comes or has gone: from now on only these addresses can be mapped. -EBUSY while the
 * address of a map is taken back; -EINVAL when a map is elsewhere, or there are no addresses.
 */
int type1_attach(struct type1 *t, const struct vfio_iova_range *ranges, unsigned int n,
		 struct vfio_error *err);

/* ---- inside ------------------------------------------------------------------------------- */

int type1_dirty_pages(struct type1 *t, uint64_t arg, struct vfio_error *err);
/* Of size bytes: does the bitmap fit? */
int type1_check_bitmap(const struct vfio_bitmap *b, uint64_t size, struct vfio_error *err);
/* Is something tracked, in such pages? */
int type1_check_tracking(const struct type1 *t, const struct vfio_bitmap *b,
			 struct vfio_error *err);
/* All pages of the maps in [iova, last] into the bitmap. On failure, *failed is the map's start. */
int type1_put_all(struct type1 *t, const struct vfio_bitmap *b, uint64_t iova, uint64_t last,
		  uint64_t *failed, struct vfio_error *err);
int type1_bad_address(uint64_t address, const char *what, struct vfio_error *err);
int type1_invalid(struct vfio_error *err, const char *call, const char *why);

#endif
