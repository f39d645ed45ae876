/* SPDX-License-Identifier: MIT */
/*
 * What may be mapped and unmapped, and the words for what may not. The errno and the order of the
 * checks are those of the kernel: drivers/vfio/vfio_iommu_type1.c and drivers/iommu/iommufd.
 */
#include <errno.h>

#include "base/bits.h"
#include "base/error.h"
#include "iommu/space.h"

typedef unsigned long long ull;

static int no_range(struct vfio_error *err, int errnum, const char *verb, uint64_t iova, uint64_t size)
{
	return error_set(err, errnum, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY, NULL,
			 "%s of %#llx bytes at IOVA %#llx: %s", verb, (ull)size, (ull)iova,
			 size ? "the range wraps round the address space" : "it is empty");
}

static int not_aligned(struct vfio_error *err, const char *verb, uint64_t iova, uint64_t size)
{
	return error_set(err, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
			 "make IOVA, size and address multiples of 4096",
			 "%s of %#llx bytes at IOVA %#llx is not page aligned", verb, (ull)size,
			 (ull)iova);
}

static int no_direction(struct vfio_error *err, const struct dma_map *map)
{
	return error_set(err, EINVAL, VFIO_E_DMA_PROT, VFIO_BY_LIBRARY,
			 "give VFIO_DMA_READ, VFIO_DMA_WRITE or both",
			 "map at IOVA %#llx with directions %#x", (ull)map->iova, map->prot);
}

/* The memory, too: the low bits of its address are not kept. */
static bool has_alignment(const struct dma_map *map)
{
	return is_aligned(map->iova | map->size | (uintptr_t)map->vaddr, DMA_PAGE);
}

static bool wraps(uint64_t iova, uint64_t size)
{
	return iova + size - 1 < iova;
}

static bool has_direction(const struct dma_map *map)
{
	return (map->prot & VFIO_DMA_RW) && !(map->prot & ~VFIO_DMA_RW);
}

/* iommufd has no number for the end of the last byte's map. */
static bool is_end(uint64_t iova, uint64_t size)
{
	return iova == UINT64_MAX || size == UINT64_MAX;
}

static bool is_allowed(const struct vfio_iova_range *ranges, unsigned int n, uint64_t first,
		       uint64_t last)
{
	for (unsigned int i = 0; i < n; i++)
		if (first >= ranges[i].start && last <= ranges[i].end)
			return true;
	return n == 0;
}

static int check_allowed(const struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	if (is_allowed(s->allowed, s->nallowed, map->iova, map->iova + map->size - 1))
		return 0;
	return error_set(err, EINVAL, VFIO_E_IOVA_RANGE, VFIO_BY_POLICY,
			 "vfio_iova_ranges() says what can be; iova in vfiod.conf decides it",
			 "map of %#llx bytes at IOVA %#llx: the policy iova does not allow those "
			 "addresses", (ull)map->size, (ull)map->iova);
}

static int check_type1(const struct dma_map *map, struct vfio_error *err)
{
	if (!map->size)
		return no_range(err, EINVAL, "map", map->iova, map->size);
	if (wraps(map->iova, map->size))
		return no_range(err, EOVERFLOW, "map", map->iova, map->size);
	if (!has_direction(map))
		return no_direction(err, map);
	if (!has_alignment(map))
		return not_aligned(err, "map", map->iova, map->size);
	return 0;
}

static int check_iommufd(const struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	if (is_end(map->iova, map->size))
		return no_range(err, EOVERFLOW, "map", map->iova, map->size);
	if (!has_direction(map))
		return no_direction(err, map);
	if (!map->size)
		return no_range(err, EINVAL, "map", map->iova, map->size);
	if (!has_alignment(map))
		return not_aligned(err, "map", map->iova, map->size);
	if (wraps(map->iova, map->size))
		return no_range(err, EOVERFLOW, "map", map->iova, map->size);
	return check_allowed(s, map, err);
}

int rules_check_map(const struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	return s->rules == SPACE_IOMMUFD ? check_iommufd(s, map, err) : check_type1(map, err);
}

int rules_overlap(const struct dma_map *map, const struct range *other, struct vfio_error *err)
{
	const struct mapping *m = other->value;

	if (other->start == map->iova && other->last == map->iova + map->size - 1 &&
	    (other->word & MAP_PROT) == map->prot && memory_is_same(&m->memory, map))
		return 0;
	return rules_taken(map, other, err);
}

int rules_taken(const struct dma_map *map, const struct range *other, struct vfio_error *err)
{
	uint64_t last = map->iova + map->size - 1;

	return error_set(err, EEXIST, VFIO_E_OVERLAP, VFIO_BY_LIBRARY,
			 "unmap the old range first, or choose another IOVA",
			 "map of [%#llx, %#llx] overlaps [%#llx, %#llx]", (ull)map->iova, (ull)last,
			 (ull)other->start, (ull)other->last);
}

/* The policy can give less than the library has, and not more. */
static int too_many(const struct space *s, struct vfio_error *err)
{
	bool policy = s->maps.granted < s->maps.advertised;

	return error_set(err, ENOSPC, VFIO_E_DMA_LIMIT, policy ? VFIO_BY_POLICY : VFIO_BY_LIBRARY,
			 policy ? "map fewer, larger ranges, or have max-maps raised in vfiod.conf"
				: "map fewer, larger ranges",
			 "one more DMA map: %llu of %llu are in use, and %s allows no more",
			 (ull)s->maps.used, (ull)s->maps.granted,
			 policy ? "the policy max-maps" : "the library");
}

int rules_check_room(const struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	int r;

	if (s->maps.used >= s->maps.granted)
		return too_many(s, err);
	r = check_allowed(s, map, err);
	if (r < 0)
		return r;
	if (map->size > s->bytes.granted || s->bytes.used > s->bytes.granted - map->size)
		return error_set(err, ENOMEM, VFIO_E_DMA_LIMIT, VFIO_BY_POLICY,
				 "unmap something, or have max-dma raised in vfiod.conf",
				 "mapping %llu bytes for DMA: %llu of %llu are in use, and the "
				 "policy max-dma allows no more",
				 (ull)map->size, (ull)s->bytes.used, (ull)s->bytes.granted);
	return 0;
}

int rules_check_unmap(const struct space *s, uint64_t iova, uint64_t size, struct vfio_error *err)
{
	if (s->rules == SPACE_IOMMUFD) {
		if (is_end(iova, size))
			return no_range(err, EOVERFLOW, "unmap", iova, size);
		if (!size)
			return no_range(err, EINVAL, "unmap", iova, size);
		return wraps(iova, size) ? no_range(err, EOVERFLOW, "unmap", iova, size) : 0;
	}
	if (!is_aligned(iova, DMA_PAGE))
		return not_aligned(err, "unmap", iova, size);
	if (!size)
		return no_range(err, EINVAL, "unmap", iova, size);
	if (!is_aligned(size, DMA_PAGE))
		return not_aligned(err, "unmap", iova, size);
	return wraps(iova, size) ? no_range(err, EOVERFLOW, "unmap", iova, size) : 0;
}

int rules_cut(int errnum, uint64_t iova, uint64_t last, const struct range *r,
	      struct vfio_error *err)
{
	return error_set(err, errnum, VFIO_E_DMA_SPLIT, VFIO_BY_LIBRARY,
			 "unmap whole maps, as they were mapped",
			 "unmap of [%#llx, %#llx] would cut the map [%#llx, %#llx]", (ull)iova,
			 (ull)last, (ull)r->start, (ull)r->last);
}

int rules_nothing(const char *what, uint64_t iova, uint64_t last, struct vfio_error *err)
{
	return error_set(err, ENOENT, VFIO_E_NOT_MAPPED, VFIO_BY_LIBRARY, NULL,
			 "%s [%#llx, %#llx]: nothing is mapped there", what, (ull)iova, (ull)last);
}

int rules_check_cut(const struct space *s, uint64_t iova, uint64_t last, struct vfio_error *err)
{
	struct range r;

	if (range_map_find(&s->ranges, iova, &r)) {
		if (r.start != iova)
			return rules_cut(EINVAL, iova, last, &r, err);
		if (r.last == last)
			return 0;
	}
	if (range_map_find(&s->ranges, last, &r) && r.last != last)
		return rules_cut(EINVAL, iova, last, &r, err);
	return 0;
}

static int check_ranges(const struct vfio_iova_range *ranges, unsigned int n, struct vfio_error *err)
{
	if (n > SPACE_MAX_ALLOWED)
		return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "%u ranges of I/O addresses: at most %d", n, SPACE_MAX_ALLOWED);
	for (unsigned int i = 0; i < n; i++)
		if (ranges[i].end < ranges[i].start || (i && ranges[i].start <= ranges[i - 1].end))
			return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
					 "give them in ascending order, none overlapping another",
					 "range %u of I/O addresses: [%#llx, %#llx]", i,
					 (ull)ranges[i].start, (ull)ranges[i].end);
	return 0;
}

int space_allow(struct space *s, const struct vfio_iova_range *ranges, unsigned int n,
		struct vfio_error *err)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct range r;
	int ret = check_ranges(ranges, n, err);

	if (ret < 0)
		return ret;
	while (range_map_step(&s->ranges, &walk, &r))
		if (!is_allowed(ranges, n, r.start, r.last))
			return error_set(err, EINVAL, VFIO_E_IOVA_RANGE, VFIO_BY_LIBRARY,
					 "unmap it first", "[%#llx, %#llx] is mapped, and would "
					 "not be allowed", (ull)r.start, (ull)r.last);
	s->nallowed = n;
	for (unsigned int i = 0; i < n; i++)
		s->allowed[i] = ranges[i];
	return 0;
}
