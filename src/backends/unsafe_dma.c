/* SPDX-License-Identifier: MIT */
/*
 * Maps without an IOMMU. The rules are type1v2's, as everywhere; what is left to do is to hold the
 * memory, and to see that the device is given its address.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/unsafe.h"
#include "base/error.h"
#include "iommu/memory.h"
#include "iommu/space.h"

typedef unsigned long long ull;

/* The rules alone; nothing is in it. */
static const struct space type1 = { .rules = SPACE_TYPE1_V2 };

struct unsafe_map {
	void *vaddr;
	size_t size;
	struct memory_part part;	/* a file that was mapped for this */
	struct pin pin;
};

int unsafe_maps_open(struct unsafe_maps *m, struct vfio_error *err)
{
	range_map_init(&m->maps);
	pins_open(&m->pins);
	return physical_open(&m->source, err);
}

static void release(struct unsafe_maps *m, struct unsafe_map *u)
{
	pin_release(&m->pins, &u->pin);
	memory_part_unmap(&u->part);
	free(u);
}

static uint64_t forget(struct unsafe_maps *m, uint64_t iova, uint64_t last)
{
	struct range_walk walk = { .at = iova, .last = last };
	uint64_t bytes = 0;
	struct range r;

	while (range_map_step(&m->maps, &walk, &r)) {
		bytes += r.last - r.start + 1;
		release(m, r.value);
		range_map_erase(&m->maps, r.start);
	}
	range_map_reap(&m->maps);
	m->bytes -= bytes;
	return bytes;
}

void unsafe_maps_close(struct unsafe_maps *m)
{
	forget(m, 0, UINT64_MAX);
	range_map_finish(&m->maps);
	pins_close(&m->pins);
	physical_close(m->source);
	m->source = NULL;
}

/* ---- mapping -------------------------------------------------------------------------------- */

/* The memory of the map, here: its own, or a file's, which stays mapped to be looked at. */
static int find_memory(const struct dma_map *map, struct unsafe_map *u, struct vfio_error *err)
{
	int r = map->vaddr ? 0 : memory_part_map(&u->part, map, err);

	u->vaddr = map->vaddr ? map->vaddr : u->part.vaddr;
	return r;
}

/* May this process write all of it? Its lines of maps lie in order. */
static bool is_writable(const void *vaddr, size_t size)
{
	uintptr_t at = (uintptr_t)vaddr, end = at + size;
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long first, behind;
	char *line = NULL, write;
	size_t room = 0;

	while (f && at < end && getline(&line, &room, f) > 0)
		if (sscanf(line, "%lx-%lx %*c%c", &first, &behind, &write) == 3 && first <= at &&
		    at < behind && write == 'w')
			at = behind;
	free(line);
	if (f)
		fclose(f);
	return at >= end;
}

/*
 * What is pinned can be written. What is only locked may be a page that others have, too: that of
 * zeros, or a file's.
 */
static bool is_ours(const struct unsafe_map *u, const struct dma_map *map)
{
	return u->pin.count || u->part.base || !(map->prot & VFIO_DMA_WRITE) ||
	       is_writable(u->vaddr, u->size);
}

/* The kernel counts what is locked, and not all that is pinned. */
static int check_limit(const struct unsafe_maps *m, const struct unsafe_map *u,
		       struct vfio_error *err)
{
	uint64_t limit = kernel_memlock();

	if (u->size <= limit && m->bytes <= limit - u->size)
		return 0;
	return error_set(err, ENOMEM, VFIO_E_DMA_LIMIT, VFIO_BY_KERNEL,
			 "raise the memlock limit: ulimit -l, LimitMEMLOCK= of a systemd unit",
			 "mapping %zu KiB for DMA: the memlock limit is %llu KiB, of which %llu are used "
			 "by this device", u->size / 1024, (ull)limit / 1024, (ull)m->bytes / 1024);
}

static int hold(struct unsafe_maps *m, const struct dma_map *map, struct unsafe_map *u,
		struct vfio_error *err)
{
	int r = check_limit(m, u, err);

	if (r < 0)
		return r;
	if (pin_hold(&m->pins, &u->pin, u->vaddr, u->size) == 0 && is_ours(u, map))
		return 0;
	return error_set(err, EFAULT, VFIO_E_DMA_MEMORY, VFIO_BY_KERNEL,
			 "map memory that is there, and writable if the device shall write",
			 "map of %#zx bytes: there is no such memory at %p, or it cannot be locked, or "
			 "not written", u->size, u->vaddr);
}

/* First it is held, then it is asked where it is: holding may move it, to where it can stay. */
static int take(struct unsafe_maps *m, const struct dma_map *map, struct unsafe_map *u,
		struct vfio_error *err)
{
	int r = find_memory(map, u, err);

	if (r == 0)
		r = hold(m, map, u, err);
	return r < 0 ? r : physical_check_map(m->source, map, u->vaddr, err);
}

int unsafe_dma_map(struct unsafe_maps *m, const struct dma_map *map, struct vfio_error *err)
{
	struct range range = {
		.start = map->iova, .last = map->iova + map->size - 1, .word = map->prot,
	};
	struct unsafe_map *u;
	struct range other;
	int r = rules_check_map(&type1, map, err);

	if (r < 0)
		return r;
	u = malloc(sizeof(*u));
	if (!u)
		return error_system(err, ENOMEM, "mapping memory for DMA");
	*u = (struct unsafe_map){ .size = map->size };
	range.value = u;
	r = range_map_insert(&m->maps, &range, &other);
	if (r == -EEXIST)
		rules_taken(map, &other, err);
	else if (r < 0)
		error_system(err, -r, "mapping memory for DMA");
	else
		r = take(m, map, u, err);
	if (r == 0)
		m->bytes += map->size;
	else if (r != -EEXIST)
		range_map_erase(&m->maps, map->iova);
	if (r < 0)
		release(m, u);
	range_map_reap(&m->maps);
	return r;
}

/* ---- unmapping ------------------------------------------------------------------------------ */

static int check_cut(struct unsafe_maps *m, uint64_t iova, uint64_t last, struct vfio_error *err)
{
	const uint64_t ends[] = { iova, last };

	for (unsigned int i = 0; i < 2; i++) {
		struct range r;

		if (range_map_find(&m->maps, ends[i], &r) && (r.start < iova || r.last > last))
			return rules_cut(EINVAL, iova, last, &r, err);
	}
	return 0;
}

int unsafe_dma_unmap(struct unsafe_maps *m, uint64_t iova, uint64_t size, uint64_t *unmapped,
		     struct vfio_error *err)
{
	bool all = iova == 0 && size == DMA_ALL;
	uint64_t last = all ? UINT64_MAX : iova + size - 1;
	int r = all ? 0 : rules_check_unmap(&type1, iova, size, err);

	*unmapped = 0;
	if (r == 0)
		r = check_cut(m, iova, last, err);
	if (r == 0)
		*unmapped = forget(m, iova, last);
	return r;
}

/* ---- what can be asked ---------------------------------------------------------------------- */

static void get_mode(struct unsafe_maps *m, void *data)
{
	const uint32_t mode = VFIO_ADDRESS_PHYSICAL;

	memcpy(data, &mode, sizeof(mode));
}

static void get_map(struct unsafe_maps *m, void *data)
{
	struct feature_dma_map *q = data;
	struct range r;

	q->found = range_map_next(&m->maps, q->cursor, &r);
	if (!q->found)
		return;
	q->info = (struct vfio_dma_info){
		.iova = r.start, .size = r.last - r.start + 1, .prot = (uint32_t)r.word,
		.access = VFIO_DMA_IN_PLACE,
	};
	q->cursor = r.last + 1;
}

static void get_limits(struct unsafe_maps *m, void *data)
{
	const struct vfio_dma_limits q = {
		.maps = { UINT64_MAX, UINT64_MAX, m->maps.count },
		.bytes = { UINT64_MAX, kernel_memlock(), m->bytes },
	};

	memcpy(data, &q, sizeof(q));
}

static void get_ranges(struct unsafe_maps *m, void *data)
{
	const struct feature_iova_ranges q = { .count = 1, .ranges = { { 0, UINT64_MAX } } };

	memcpy(data, &q, sizeof(q));
}

static void get_isolation(struct unsafe_maps *m, void *data)
{
	const struct vfio_isolation q = { VFIO_ISOLATED_NOT, VFIO_ISOLATED_NOT };

	memcpy(data, &q, sizeof(q));
}

static const struct {
	uint32_t number;
	size_t size;
	void (*get)(struct unsafe_maps *m, void *data);
} features[] = {
	{ FEATURE_ADDRESSING, sizeof(uint32_t), get_mode },
	{ FEATURE_ISOLATION, sizeof(struct vfio_isolation), get_isolation },
	{ FEATURE_DMA_MAP, sizeof(struct feature_dma_map), get_map },
	{ FEATURE_DMA_LIMITS, sizeof(struct vfio_dma_limits), get_limits },
	{ FEATURE_IOVA_RANGES, sizeof(struct feature_iova_ranges), get_ranges },
};

int unsafe_feature(struct unsafe_maps *m, uint32_t flags, void *data, size_t len,
		   struct vfio_error *err)
{
	const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (features[i].number != (flags & VFIO_DEVICE_FEATURE_MASK))
			continue;
		if ((flags & VFIO_DEVICE_FEATURE_SET) || (!(flags & probe) && len < features[i].size))
			return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
					 "feature %#x with flags %#x and %zu bytes",
					 features[i].number, flags, len);
		if (!(flags & probe))
			features[i].get(m, data);
		return 0;
	}
	return -ENOTTY;
}
