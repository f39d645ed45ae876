/* SPDX-License-Identifier: MIT */
#include "iommu/space.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "iommu/memory.h"

struct range {
	uint64_t iova, last;		/* first and last byte: a range may end at 2^64 */
	uint32_t prot;
	struct memory memory;
};

void space_init(struct space *s)
{
	memset(s, 0, sizeof(*s));
	LIST_INIT(&s->files);
}

static void range_free(struct range *r)
{
	memory_finish(&r->memory);
	free(r);
}

/* Before any of them goes: whoever is told may still use the space. */
static void tell_gone(struct space *s, size_t from, size_t to, space_gone_fn *gone, void *arg)
{
	for (size_t i = from; i < to && gone; i++)
		gone(arg, s->ranges[i]->iova, s->ranges[i]->last - s->ranges[i]->iova + 1);
}

void space_clear(struct space *s, space_gone_fn *gone, void *arg)
{
	tell_gone(s, 0, s->count, gone, arg);
	for (size_t i = 0; i < s->count; i++)
		range_free(s->ranges[i]);
	s->count = 0;
	s->last = 0;
	memset(&s->fault, 0, sizeof(s->fault));
}

void space_finish(struct space *s)
{
	space_clear(s, NULL, NULL);
	free(s->ranges);
	space_init(s);
}

/* The first range that ends at or after iova; count when there is none. */
static size_t find(const struct space *s, uint64_t iova)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->ranges[middle]->last < iova)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The range that holds iova, which is most often the last one again; NULL when there is none. */
static struct range *look_up(struct space *s, uint64_t iova)
{
	struct range *r;

	if (s->last < s->count) {
		r = s->ranges[s->last];
		if (iova >= r->iova && iova <= r->last)
			return r;
	}
	s->last = find(s, iova);
	if (s->last == s->count)
		return NULL;
	r = s->ranges[s->last];
	return r->iova <= iova ? r : NULL;
}

static int check_map(const struct dma_map *map, struct vfio_error *err)
{
	unsigned long long iova = map->iova, size = map->size;

	if (!map->size || map->iova + map->size - 1 < map->iova)
		return error_set(err, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY, NULL,
				 "map of %#llx bytes at IOVA %#llx: %s", size, iova,
				 size ? "the range wraps round the address space" : "it is empty");
	if (!is_aligned(map->iova | map->size, DMA_PAGE))
		return error_set(err, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
				 "make IOVA and size multiples of 4096",
				 "map of %#llx bytes at IOVA %#llx is not page aligned", size, iova);
	if (!(map->prot & VFIO_DMA_RW) || (map->prot & ~VFIO_DMA_RW))
		return error_set(err, EINVAL, VFIO_E_DMA_PROT, VFIO_BY_LIBRARY,
				 "give VFIO_DMA_READ, VFIO_DMA_WRITE or both",
				 "map at IOVA %#llx with directions %#x", iova, map->prot);
	return 0;
}

/* Overlap: -EEXIST, or 1 when it is the same map again. 0: free. */
static int check_overlap(const struct space *s, size_t at, const struct dma_map *map,
			 struct vfio_error *err)
{
	const struct range *r = at < s->count ? s->ranges[at] : NULL;
	uint64_t last = map->iova + map->size - 1;

	if (!r || r->iova > last)
		return 0;
	if (r->iova == map->iova && r->last == last && r->prot == map->prot &&
	    memory_is_same(&r->memory, map))
		return 1;
	return error_set(err, EEXIST, VFIO_E_OVERLAP, VFIO_BY_LIBRARY,
			 "unmap the old range first, or choose another IOVA",
			 "map of [%#llx, %#llx] overlaps [%#llx, %#llx]",
			 (unsigned long long)map->iova, (unsigned long long)last,
			 (unsigned long long)r->iova, (unsigned long long)r->last);
}

static int make_room(struct space *s, struct vfio_error *err)
{
	size_t room = s->room ? s->room * 2 : 16;
	struct range **ranges;

	if (s->count == SPACE_MAX_MAPS)
		return error_set(err, ENOSPC, VFIO_E_DMA_LIMIT, VFIO_BY_LIBRARY,
				 "map fewer, larger ranges",
				 "all %d DMA maps of the device are in use", SPACE_MAX_MAPS);
	if (s->count < s->room)
		return 0;
	ranges = realloc(s->ranges, room * sizeof(*ranges));
	if (!ranges)
		return error_system(err, ENOMEM, "making room for %zu DMA maps", room);
	s->ranges = ranges;
	s->room = room;
	return 0;
}

int space_map(struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	struct range *range;
	size_t at;
	int r = check_map(map, err);

	if (r < 0)
		return r;
	at = find(s, map->iova);
	r = check_overlap(s, at, map, err);
	if (r)
		return r < 0 ? r : 0;
	r = make_room(s, err);
	if (r < 0)
		return r;
	range = malloc(sizeof(*range));
	if (!range)
		return error_system(err, ENOMEM, "making a DMA map");
	*range = (struct range){
		.iova = map->iova, .last = map->iova + map->size - 1, .prot = map->prot,
	};
	r = memory_init(&range->memory, &s->files, map, err);
	if (r < 0) {
		free(range);
		return r;
	}
	memmove(s->ranges + at + 1, s->ranges + at, (s->count - at) * sizeof(*s->ranges));
	s->ranges[at] = range;
	s->count++;
	return 0;
}

static int cut(struct vfio_error *err, uint64_t iova, uint64_t last, const struct range *r)
{
	return error_set(err, EINVAL, VFIO_E_DMA_SPLIT, VFIO_BY_LIBRARY,
			 "unmap whole maps, as they were mapped",
			 "unmap of [%#llx, %#llx] would cut the map [%#llx, %#llx]",
			 (unsigned long long)iova, (unsigned long long)last,
			 (unsigned long long)r->iova, (unsigned long long)r->last);
}

int space_unmap(struct space *s, uint64_t iova, uint64_t size, uint64_t *unmapped,
		space_gone_fn *gone, void *arg, struct vfio_error *err)
{
	uint64_t last = size == DMA_ALL ? UINT64_MAX : iova + size - 1;
	size_t from, to;

	*unmapped = 0;
	if (!size || last < iova)
		return error_set(err, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY, NULL,
				 "unmap of %#llx bytes at IOVA %#llx: the range is empty or wraps round",
				 (unsigned long long)size, (unsigned long long)iova);
	if (size != DMA_ALL && !is_aligned(iova | size, DMA_PAGE))
		return error_set(err, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
				 "make IOVA and size multiples of 4096",
				 "unmap of %#llx bytes at IOVA %#llx is not page aligned",
				 (unsigned long long)size, (unsigned long long)iova);
	from = find(s, iova);
	for (to = from; to < s->count && s->ranges[to]->iova <= last; to++)
		if (s->ranges[to]->iova < iova || s->ranges[to]->last > last)
			return cut(err, iova, last, s->ranges[to]);
	if (from == to && size != DMA_ALL)
		return error_set(err, ENOENT, VFIO_E_NOT_MAPPED, VFIO_BY_LIBRARY, NULL,
				 "unmap of [%#llx, %#llx]: nothing is mapped there",
				 (unsigned long long)iova, (unsigned long long)last);
	if (from == to)
		return 0;
	tell_gone(s, from, to, gone, arg);
	for (size_t i = from; i < to; i++) {
		*unmapped += s->ranges[i]->last - s->ranges[i]->iova + 1;
		range_free(s->ranges[i]);
	}
	memmove(s->ranges + from, s->ranges + to, (s->count - to) * sizeof(*s->ranges));
	s->count -= to - from;
	s->last = 0;
	return 0;
}

int space_refuse(struct space *s, uint64_t iova, uint64_t size, uint32_t prot, int err)
{
	s->fault = (struct vfio_fault){
		.iova = iova, .size = size, .prot = prot, .err = err, .count = s->fault.count + 1,
	};
	return -err;
}

/* How many of len bytes from iova lie in r. */
static size_t bytes_in(const struct range *r, uint64_t iova, size_t len)
{
	uint64_t room = r->last - iova;		/* one less than the bytes, which may be 2^64 */

	return room < len ? room + 1 : len;
}

/* May the whole range be accessed so? The last look-up is then that of its last piece. */
static int check_access(struct space *s, uint64_t iova, size_t len, uint32_t prot)
{
	uint64_t start = iova, all = len;

	if (len && iova + len - 1 < iova)
		return space_refuse(s, start, all, prot, EFAULT);
	while (len) {
		const struct range *r = look_up(s, iova);
		size_t n;

		if (!r || !prot || (r->prot & prot) != prot)
			return space_refuse(s, start, all, prot, EFAULT);
		n = bytes_in(r, iova, len);
		iova += n;
		len -= n;
	}
	return 0;
}

int space_copy(struct space *s, uint64_t iova, void *buf, size_t len, uint32_t prot)
{
	uint8_t *p = buf;
	int r = check_access(s, iova, len, prot);

	while (r == 0 && len) {
		/* A peer may be asked meanwhile, but it cannot unmap before this returns. */
		const struct range *range = look_up(s, iova);
		size_t n = bytes_in(range, iova, len);

		r = memory_copy(&range->memory, iova - range->iova, iova, p, n,
				prot == VFIO_DMA_WRITE);
		if (r < 0)
			return space_refuse(s, iova, n, prot, EIO);
		iova += n;
		p += n;
		len -= n;
	}
	return r;
}

/* How many pieces an accessible range has; 0 when one of them cannot be reached in place. */
static unsigned int count_spans(struct space *s, uint64_t iova, size_t len)
{
	unsigned int n = 0;

	for (; len; n++) {
		const struct range *range = look_up(s, iova);
		size_t bytes = bytes_in(range, iova, len);

		if (!range->memory.addr)
			return 0;
		iova += bytes;
		len -= bytes;
	}
	return n;
}

int space_spans(struct space *s, uint64_t iova, size_t len, uint32_t prot, struct vfio_span *spans,
		unsigned int max)
{
	int r = check_access(s, iova, len, prot);
	unsigned int n = r < 0 ? 0 : count_spans(s, iova, len);

	if (r < 0)
		return r;
	if (len && !n)
		return -ENOTSUP;
	for (unsigned int i = 0; i < n && n <= max; i++) {
		const struct range *range = look_up(s, iova);
		size_t bytes = bytes_in(range, iova, len);

		spans[i] = (struct vfio_span){ range->memory.addr + (iova - range->iova), bytes };
		iova += bytes;
		len -= bytes;
	}
	return n;
}
