/* SPDX-License-Identifier: MIT */
/*
 * An IOAS of iommufd: maps of a process's memory, which devices see while it is attached to a
 * space. The calls are those of IOMMU_IOAS_*, with the kernel's errno in its order of checks; what
 * numbers objects have, and how a call's size is taken, is the affair of who calls these.
 *
 *   ioas.c        life, attach and detach, MAP, UNMAP, COPY
 *   ioas_place.c  addresses: which there are, which one is chosen, ALLOW_IOVAS, HUGE_PAGES
 *
 * Without a device any address and length will do, and the memory is not looked at. Otherwise than
 * the kernel does it: nothing is pinned. Memory is there when a device comes to see it. Of memory
 * that is mapped once and copied in parts, what lies between the parts counts as locked, too. An
 * address that is not page aligned gets an I/O address that is as far from its page, which need not
 * be the lowest; and a gap of one byte is one.
 */
#ifndef LIBVFIO_IOMMU_IOAS_H
#define LIBVFIO_IOMMU_IOAS_H

#include "iommu/caller.h"
#include "iommu/space.h"

/* IOMMU_IOAS_MAP_*. */
#define IOAS_FIXED_IOVA 1u
#define IOAS_WRITEABLE	2u
#define IOAS_READABLE	4u

/* Ranges that may be allowed. */
#define IOAS_MAX_ALLOWED 65536u

struct ioas {
	struct range_map areas;		/* value: struct ioas_area */
	struct range_map allowed;	/* where addresses are chosen; empty: everywhere */
	struct space *space;		/* what devices see; NULL: there are none */
	bool small_pages;		/* HUGE_PAGES 0 */
	const struct caller *caller;
	/* Maps, and bytes that are locked (UINT64_MAX: CAP_IPC_LOCK), of all IOASes of a user. */
	struct vfio_dma_limits *limits;
	space_gone_fn *gone;		/* is told of maps that devices saw; or NULL */
	void *gone_arg;
};

/* As in <linux/iommufd.h>, which not every system has. The numbers of objects are not read. */
struct ioas_map {
	uint32_t size, flags, ioas_id, reserved;
	uint64_t user_va, length, iova;
};

struct ioas_unmap {
	uint32_t size, ioas_id;
	uint64_t iova, length;
};

struct ioas_copy {
	uint32_t size, flags, dst_ioas_id, src_ioas_id;
	uint64_t length, dst_iova, src_iova;
};

struct ioas_iova_ranges {
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t allowed_iovas, out_iova_alignment;
};

struct ioas_allow_iovas {
	uint32_t size, ioas_id, num_iovas, reserved;
	uint64_t allowed_iovas;
};

void ioas_init(struct ioas *i, const struct caller *caller, struct vfio_dma_limits *limits);
void ioas_finish(struct ioas *i);

/*
 * Devices that can reach these addresses see the maps through an empty space. -EADDRINUSE: a map,
 * or an allowed range, is elsewhere, or a map is not page aligned; -EFAULT, -ENOMEM: memory cannot
 * be used, or is too much. Then nothing has changed. With the space that it is attached to only the
 * addresses change.
 */
int ioas_attach(struct ioas *i, struct space *s, const struct vfio_iova_range *ranges,
		unsigned int n, struct vfio_error *err);
void ioas_detach(struct ioas *i);

/*
 * The calls. NULL is an object that there is not: -ENOENT, when its turn comes. Structures are
 * written to when a call succeeds.
 */
int ioas_map(struct ioas *i, struct ioas_map *m, struct vfio_error *err);
int ioas_unmap(struct ioas *i, struct ioas_unmap *u, struct vfio_error *err);
int ioas_copy(struct ioas *dst, struct ioas *src, struct ioas_copy *c, struct vfio_error *err);
/* -EMSGSIZE: those that fit are there, and the structure is written to, too. */
int ioas_iova_ranges(struct ioas *i, struct ioas_iova_ranges *q, struct vfio_error *err);
int ioas_allow_iovas(struct ioas *i, const struct ioas_allow_iovas *a, struct vfio_error *err);
/* IOMMU_OPTION_HUGE_PAGES. */
int ioas_set_huge_pages(struct ioas *i, uint64_t value, struct vfio_error *err);

/* ---- inside ------------------------------------------------------------------------------- */

/* Memory that was mapped once; areas of several IOASes show parts of it. */
struct ioas_pages {
	uint64_t va;
	bool writable;
	size_t areas;
	size_t seen;			/* of the areas, by devices */
	uint64_t first, last;		/* pages from the first to the last one of those */
};

struct ioas_area {
	struct ioas_pages *pages;
	uint64_t offset;		/* of its first byte in pages */
};

/* The alignment that addresses and lengths must have. */
uint64_t ioas_alignment(const struct ioas *i);
bool ioas_is_aligned(const struct range *r, uint64_t alignment);
/* May [first, last] be mapped for the devices? */
bool ioas_is_usable(const struct vfio_iova_range *ranges, unsigned int n, uint64_t first,
		    uint64_t last);
/* A fixed place: -EINVAL, -EOVERFLOW, -EEXIST. */
int ioas_check_place(const struct ioas *i, uint64_t iova, uint64_t length, struct vfio_error *err);
/* A place for length bytes from that address in memory. -EOVERFLOW, -EINVAL, -ENOSPC. */
int ioas_find_place(const struct ioas *i, uint64_t address, uint64_t length, uint64_t *iova,
		    struct vfio_error *err);
int ioas_refuse(struct vfio_error *err, int errnum, enum vfio_error_code code, const char *why);
int ioas_no_object(struct vfio_error *err);

#endif
