/* SPDX-License-Identifier: MIT */
#include "iommu/type1.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"

#define INFO_MIN    16		/* bytes that argsz must have */
#define MAX_BITMAP  0x10000000ull

#define MAP_BOTH    (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define MAP_KNOWN   (MAP_BOTH | VFIO_DMA_MAP_FLAG_VADDR)
#define UNMAP_BITS  VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP
#define UNMAP_KNOWN (UNMAP_BITS | VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)

typedef unsigned long long ull;

/* ---- errors ------------------------------------------------------------------------------- */

int type1_invalid(struct vfio_error *err, const char *call, const char *why)
{
	return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL, "%s: %s", call, why);
}

int type1_bad_address(uint64_t address, const char *what, struct vfio_error *err)
{
	return error_set(err, EFAULT, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
			 "%s at %#llx: no memory that can be used so", what, (ull)address);
}

static int not_usable(const struct vfio_iommu_type1_dma_map *m, struct vfio_error *err)
{
	return error_set(err, EFAULT, VFIO_E_DMA_MEMORY, VFIO_BY_LIBRARY,
			 "map memory that is there, and may be written if the device shall write",
			 "map of %#llx bytes at IOVA %#llx: the memory at %#llx cannot be used so",
			 (ull)m->size, (ull)m->iova, (ull)m->vaddr);
}

static int take_in(const struct type1 *t, uint64_t arg, void *to, size_t len,
		   struct vfio_error *err)
{
	return t->caller->read(t->caller->arg, arg, to, len) < 0
		? type1_bad_address(arg, "reading an argument", err) : 0;
}

static int put_out(const struct type1 *t, uint64_t arg, const void *from, size_t len,
		   struct vfio_error *err)
{
	return t->caller->write(t->caller->arg, arg, from, len) < 0
		? type1_bad_address(arg, "writing a result", err) : 0;
}

/* ---- what it can do ----------------------------------------------------------------------- */

static int check_extension(uint64_t extension)
{
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_DMA_CC_IOMMU:
	case VFIO_UNMAP_ALL:
	case VFIO_UPDATE_VADDR:
		return 1;
	}
	return 0;
}

/* The structure and, behind one another, its capabilities. */
struct answer {
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[128 + SPACE_MAX_ALLOWED * sizeof(struct vfio_iova_range)];
	};
	size_t used;
	struct vfio_info_cap_header *end;	/* whose next is the next one */
};

static void add_capability(struct answer *a, unsigned int id, void *capability, size_t size)
{
	struct vfio_info_cap_header *header = (void *)(a->bytes + a->used);

	if (a->end)
		a->end->next = a->used;
	memcpy(header, capability, size);
	*header = (struct vfio_info_cap_header){ .id = id, .version = 1 };
	a->end = header;
	a->used += align_up(size, 8);
}

/* The kernel, too, says nothing when everything can be mapped. */
static void add_ranges(struct answer *a, const struct space *s)
{
	union {
		struct vfio_iommu_type1_info_cap_iova_range cap;
		uint8_t bytes[sizeof(struct vfio_iommu_type1_info_cap_iova_range) +
			      SPACE_MAX_ALLOWED * sizeof(struct vfio_iova_range)];
	} u = { .cap.nr_iovas = s->nallowed };
	const size_t size = s->nallowed * sizeof(*s->allowed);

	if (!s->nallowed)
		return;
	memcpy(u.cap.iova_ranges, s->allowed, size);
	add_capability(a, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, &u, sizeof(u.cap) + size);
}

static void answer(struct answer *a, const struct space *s)
{
	uint64_t left = s->maps.granted > s->maps.used ? s->maps.granted - s->maps.used : 0;
	struct vfio_iommu_type1_info_cap_migration migration = {
		.pgsize_bitmap = DMA_PAGE, .max_dirty_bitmap_size = MAX_BITMAP,
	};
	struct vfio_iommu_type1_info_dma_avail avail = {
		.avail = left < UINT32_MAX ? left : UINT32_MAX,
	};

	memset(a, 0, sizeof(*a));
	a->used = sizeof(a->info);
	a->info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	a->info.iova_pgsizes = ~(uint64_t)(DMA_PAGE - 1);
	add_capability(a, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, &migration, sizeof(migration));
	add_capability(a, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, &avail, sizeof(avail));
	add_ranges(a, s);
}

static int get_info(struct type1 *t, uint64_t arg, struct vfio_error *err)
{
	uint8_t in[INFO_MIN];
	struct answer a;
	uint32_t argsz;
	int r = take_in(t, arg, in, sizeof(in), err);

	if (r < 0)
		return r;
	memcpy(&argsz, in, sizeof(argsz));
	if (argsz < INFO_MIN)
		return type1_invalid(err, "VFIO_IOMMU_GET_INFO", "argsz is below 16");
	answer(&a, t->space);
	if (argsz < a.used) {
		a.info.argsz = a.used;
		a.used = argsz < sizeof(a.info) ? argsz : sizeof(a.info);
	} else {
		a.info.argsz = argsz;
		a.info.cap_offset = sizeof(a.info);
	}
	return put_out(t, arg, &a, a.used, err);
}

/* ---- map ---------------------------------------------------------------------------------- */

static bool wraps(uint64_t address, uint64_t size)
{
	return address + size - 1 < address;
}

static int check_map(const struct vfio_iommu_type1_dma_map *m, struct vfio_error *err)
{
	const char *call = "VFIO_IOMMU_MAP_DMA";
	bool vaddr = m->flags & VFIO_DMA_MAP_FLAG_VADDR, both = m->flags & MAP_BOTH;

	if (m->argsz < sizeof(*m) || (m->flags & ~MAP_KNOWN))
		return type1_invalid(err, call, "argsz is below 32, or an unknown flag");
	if (!m->size)
		return type1_invalid(err, call, "size 0");
	if (wraps(m->iova, m->size) || wraps(m->vaddr, m->size))
		return error_set(err, EOVERFLOW, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY, NULL,
				 "map of %#llx bytes at IOVA %#llx, address %#llx wraps round",
				 (ull)m->size, (ull)m->iova, (ull)m->vaddr);
	if (vaddr == both)
		return type1_invalid(err, call, "flags: give READ, WRITE or both, or VADDR alone");
	if (!is_aligned(m->iova | m->vaddr | m->size, DMA_PAGE))
		return error_set(err, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
				 "make them multiples of 4096",
				 "map of %#llx bytes at IOVA %#llx from %#llx: not page aligned",
				 (ull)m->size, (ull)m->iova, (ull)m->vaddr);
	return 0;
}

static struct dma_map dma_map(const struct type1 *t, const struct vfio_iommu_type1_dma_map *m)
{
	struct dma_map map = {
		.iova = m->iova, .size = m->size, .fd = -1,
		.prot = (m->flags & VFIO_DMA_MAP_FLAG_READ ? VFIO_DMA_READ : 0) |
			(m->flags & VFIO_DMA_MAP_FLAG_WRITE ? VFIO_DMA_WRITE : 0),
	};

	t->caller->locate(t->caller->arg, m->vaddr, &map);
	return map;
}

/*
 * The kernel takes page after page: what it meets first, one that cannot be used or the limit, is
 * what it says. r is what the space says of the map without looking at the memory.
 */
static int check_memory(const struct type1 *t, const struct vfio_iommu_type1_dma_map *m,
			const struct dma_map *map, int r, struct vfio_error *err)
{
	const struct vfio_quota *bytes = &t->space->bytes;
	uint64_t left = bytes->granted > bytes->used ? bytes->granted - bytes->used : 0;
	uint64_t size = m->size;

	if (r < 0 && r != -ENOMEM)
		return r;
	if (r == -ENOMEM)
		size = left / DMA_PAGE * DMA_PAGE + DMA_PAGE;
	if (t->caller->usable(t->caller->arg, m->vaddr, size, map->prot))
		return r;
	return not_usable(m, err);
}

/* Memory that was invalidated is mapped again, maybe by another process and elsewhere. */
static int renew(struct type1 *t, const struct vfio_iommu_type1_dma_map *m, struct vfio_error *err)
{
	const char *call = "VFIO_IOMMU_MAP_DMA, VADDR";
	uint64_t last = m->iova + m->size - 1;
	struct dma_map map = dma_map(t, m);
	const struct mapping *old;
	struct range r;

	if (!space_next(t->space, m->iova, &r) || r.start > last)
		return rules_nothing(call, m->iova, last, err);
	old = r.value;
	if (!old->stale)
		return type1_invalid(err, call, "the map's address was not taken back");
	if (r.start != m->iova || r.last != last)
		return type1_invalid(err, call, "the map has another IOVA or size");
	return space_renew(t->space, &map, err);
}

static int map_dma(struct type1 *t, uint64_t arg, struct vfio_error *err)
{
	struct vfio_iommu_type1_dma_map m;
	struct dma_map map;
	int r = take_in(t, arg, &m, sizeof(m), err);

	if (r == 0)
		r = check_map(&m, err);
	if (r < 0)
		return r;
	if (m.flags & VFIO_DMA_MAP_FLAG_VADDR)
		return renew(t, &m, err);
	map = dma_map(t, &m);
	r = check_memory(t, &m, &map, space_check(t->space, &map, err), err);
	return r < 0 ? r : space_map(t->space, &map, err);
}

/* ---- unmap -------------------------------------------------------------------------------- */

struct unmap {
	struct vfio_bitmap bitmap;		/* with UNMAP_BITS */
	uint64_t last;
	struct vfio_iommu_type1_dma_unmap u;
};

/* data[] begins where the structure ends. */
static int take_unmap(struct type1 *t, uint64_t arg, struct unmap *a, struct vfio_error *err)
{
	const char *call = "VFIO_IOMMU_UNMAP_DMA";
	int r = take_in(t, arg, &a->u, sizeof(a->u), err);

	if (r < 0)
		return r;
	if (a->u.argsz < sizeof(a->u) || (a->u.flags & ~UNMAP_KNOWN))
		return type1_invalid(err, call, "argsz is below 24, or an unknown flag");
	if (!(a->u.flags & UNMAP_BITS))
		return 0;
	if (a->u.flags & ~UNMAP_BITS)
		return type1_invalid(err, call, "GET_DIRTY_BITMAP goes with no other flag");
	if (a->u.argsz < sizeof(a->u) + sizeof(a->bitmap))
		return type1_invalid(err, call, "argsz is below 48, which the bitmap needs");
	r = take_in(t, arg + sizeof(a->u), &a->bitmap, sizeof(a->bitmap), err);
	return r < 0 ? r : type1_check_bitmap(&a->bitmap, a->u.size, err);
}

static int check_unmap(const struct type1 *t, struct unmap *a, struct vfio_error *err)
{
	const struct vfio_iommu_type1_dma_unmap *u = &a->u;
	int r;

	if (u->flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		a->last = UINT64_MAX;
		return u->iova || u->size ? type1_invalid(err, "VFIO_IOMMU_UNMAP_DMA",
							  "ALL with an IOVA or a size") : 0;
	}
	a->last = u->iova + u->size - 1;
	r = rules_check_unmap(t->space, u->iova, u->size, err);
	if (r == 0 && (u->flags & UNMAP_BITS))
		r = type1_check_tracking(t, &a->bitmap, err);
	if (r == 0 && t->space->rules == SPACE_TYPE1_V2)
		r = rules_check_cut(t->space, u->iova, a->last, err);
	return r;
}

/* The maps that an unmap takes; those of v1 end with one that begins before the range. */
static bool next_taken(const struct type1 *t, const struct unmap *a, struct range_walk *w,
		       struct range *r)
{
	return range_map_step(&t->space->ranges, w, r) && r->start >= a->u.iova;
}

/* The process is about to lose the memory, or to be another one. */
static int invalidate(struct type1 *t, struct unmap *a, struct vfio_error *err)
{
	struct range_walk look = { .at = a->u.iova, .last = a->last }, w = look;
	struct range r;
	int ret = 0;

	while (next_taken(t, a, &look, &r)) {
		const struct mapping *m = r.value;

		if (m->stale)
			return type1_invalid(err, "VFIO_IOMMU_UNMAP_DMA, VADDR",
					     "the address of a map was taken back before");
	}
	a->u.size = 0;
	while (ret == 0 && next_taken(t, a, &w, &r)) {
		ret = space_retire(t->space, r.start, err);
		a->u.size += r.last - r.start + 1;
	}
	return ret;
}

static int unmap_range(struct type1 *t, struct unmap *a, uint64_t last, struct vfio_error *err)
{
	bool all = a->u.flags & VFIO_DMA_UNMAP_FLAG_ALL;
	uint64_t unmapped;
	int r = space_unmap(t->space, a->u.iova, all ? DMA_ALL : last - a->u.iova + 1, &unmapped,
			    t->gone, t->gone_arg, err);

	a->u.size = unmapped;
	return r;
}

/*
 * The bits first: whoever writes to a page that goes may do so to the end, so that all of them
 * count as written. Where they cannot be put, maps before that have gone, as the kernel has it.
 */
static int unmap_with_bits(struct type1 *t, struct unmap *a, struct vfio_error *err)
{
	uint64_t failed;

	if (type1_put_all(t, &a->bitmap, a->u.iova, a->last, &failed, err) == 0)
		return unmap_range(t, a, a->last, err);
	if (failed > a->u.iova)
		unmap_range(t, a, failed - 1, NULL);
	return -EFAULT;
}

static int unmap_dma(struct type1 *t, uint64_t arg, struct vfio_error *err)
{
	struct unmap a;
	int r = take_unmap(t, arg, &a, err);

	if (r == 0)
		r = check_unmap(t, &a, err);
	if (r < 0)
		return r;
	if (a.u.flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		r = invalidate(t, &a, err);
	else if (a.u.flags & UNMAP_BITS)
		r = unmap_with_bits(t, &a, err);
	else
		r = unmap_range(t, &a, a.last, err);
	return r < 0 ? r : put_out(t, arg, &a.u, sizeof(a.u), err);
}

/* ------------------------------------------------------------------------------------------- */

int type1_attach(struct type1 *t, const struct vfio_iova_range *ranges, unsigned int n,
		 struct vfio_error *err)
{
	struct range_walk w = { .last = UINT64_MAX };
	struct range r;

	while (range_map_step(&t->space->ranges, &w, &r)) {
		const struct mapping *m = r.value;

		if (m->stale)
			return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_LIBRARY,
					 "map it again with VADDR first",
					 "a group cannot come or go: the address of [%#llx, %#llx] "
					 "was taken back", (ull)r.start, (ull)r.last);
	}
	if (!n)
		return type1_invalid(err, "attaching a group", "no I/O address could be mapped");
	return space_allow(t->space, ranges, n, err);
}

int type1_ioctl(struct type1 *t, unsigned int number, uint64_t arg, struct vfio_error *err)
{
	switch (number) {
	case VFIO_CHECK_EXTENSION:
		return check_extension(arg);
	case VFIO_IOMMU_GET_INFO:
		return get_info(t, arg, err);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(t, arg, err);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(t, arg, err);
	case VFIO_IOMMU_DIRTY_PAGES:
		return type1_dirty_pages(t, arg, err);
	}
	return error_set(err, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY, NULL,
			 "ioctl %#x: a type1 container has no such call", number);
}
