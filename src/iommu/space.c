/* SPDX-License-Identifier: MIT */
#include "iommu/space.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"

/* ---- who waits for whom ------------------------------------------------------------------- */

void reader_init(struct reader *r, struct space *s)
{
	*r = (struct reader){ .space = s, .version = NO_VERSION };
	LIST_INSERT_HEAD(&s->readers, r, link);
}

void reader_finish(struct reader *r)
{
	LIST_REMOVE(r, link);
}

/*
 * Either who takes memory away sees that this reader is inside, or the reader, whose next load is of
 * the version or the gate, sees that it is away: all four are in the one order of SEQ_CST.
 */
void reader_enter(struct reader *r)
{
	__atomic_store_n(&r->inside, r->inside + 1, __ATOMIC_SEQ_CST);
}

void reader_leave(struct reader *r)
{
	__atomic_store_n(&r->inside, r->inside + 1, __ATOMIC_RELEASE);
}

void space_wait(struct space *s)
{
	struct reader *r;

	LIST_FOREACH(r, &s->readers, link) {
		uint32_t inside = __atomic_load_n(&r->inside, __ATOMIC_SEQ_CST);

		while ((inside & 1) && __atomic_load_n(&r->inside, __ATOMIC_ACQUIRE) == inside)
			sched_yield();
	}
}

void space_gate(struct space *s, bool open)
{
	if ((s->gate & GATE_OPEN) == open)
		return;
	if (open) {
		__atomic_or_fetch(&s->gate, GATE_OPEN, __ATOMIC_SEQ_CST);
	} else {
		__atomic_and_fetch(&s->gate, ~GATE_OPEN, __ATOMIC_SEQ_CST);
		space_wait(s);
	}
}

bool space_mend(struct space *s, const void *addr)
{
	/* First: as soon as other memory is there, other threads must not take it for the client's. */
	__atomic_or_fetch(&s->gate, GATE_LOST, __ATOMIC_SEQ_CST);
	if (!memory_mend(&s->files, addr))
		return false;
	__atomic_store_n(&s->lost_at, (uintptr_t)addr, __ATOMIC_SEQ_CST);
	if (s->fault_event >= 0)
		fd_signal(s->fault_event);
	return true;
}

void space_record_lost(struct space *s)
{
	uintptr_t at = __atomic_exchange_n(&s->lost_at, 0, __ATOMIC_SEQ_CST);
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct range r;

	while (at && range_map_step(&s->ranges, &walk, &r)) {
		uintptr_t addr = r.word & ~MAP_FLAGS;

		if (!(r.word & MAP_IN_PLACE) || at < addr || at - addr > r.last - r.start)
			continue;
		space_refuse(s, r.start + (at - addr), 1, r.word & MAP_PROT, EIO);
		return;
	}
}

/* ---- life --------------------------------------------------------------------------------- */

void space_init(struct space *s)
{
	*s = (struct space){
		.gate = GATE_OPEN, .fault_event = -1, .self = { .space = s, .version = NO_VERSION },
	};
	range_map_init(&s->ranges);
	memory_files_init(&s->files);
	LIST_INIT(&s->readers);
	pthread_mutex_init(&s->fault_lock, NULL);
	space_limit(s, SPACE_MAPS, UINT64_MAX);
	s->maps.advertised = SPACE_MAPS;
	s->bytes.advertised = UINT64_MAX;
}

void space_limit(struct space *s, uint64_t maps, uint64_t bytes)
{
	s->maps.granted = maps;
	s->bytes.granted = bytes;
}

static void mapping_free(struct mapping *m)
{
	memory_finish(&m->memory);
	free(m->dirty);
	free(m);
}

bool space_next(const struct space *s, uint64_t iova, struct range *r)
{
	return range_map_next(&s->ranges, iova, r);
}

/* Before any of them goes: whoever is told may still use the space. */
static void tell_gone(struct space *s, uint64_t first, uint64_t last, space_gone_fn *gone, void *arg)
{
	struct range_walk walk = { .at = first, .last = last };
	struct range r;

	while (gone && range_map_step(&s->ranges, &walk, &r))
		gone(arg, r.start, r.last - r.start + 1);
}

/* What begins in [first, last], chained, and still there. */
static struct mapping *chain(struct space *s, uint64_t first, uint64_t last, size_t *count,
			     uint64_t *bytes)
{
	struct range_walk walk = { .at = first, .last = last };
	struct mapping *taken = NULL, *m;
	struct range r;

	*count = *bytes = 0;
	while (range_map_step(&s->ranges, &walk, &r)) {
		m = r.value;
		m->start = r.start;
		m->next = taken;
		taken = m;
		++*count;
		*bytes += r.last - r.start + 1;
	}
	return taken;
}

/* Out of reach first, and when no reader has them any more, for good. Returns their bytes. */
static uint64_t take(struct space *s, uint64_t first, uint64_t last)
{
	struct mapping *taken, *m;
	uint64_t bytes;
	size_t count;

	taken = chain(s, first, last, &count, &bytes);
	if (!count)
		return 0;
	if (count == s->ranges.count)
		range_map_clear(&s->ranges);
	else
		for (m = taken; m; m = m->next)
			range_map_erase(&s->ranges, m->start);
	space_wait(s);
	range_map_reap(&s->ranges);
	range_map_reap(&s->files.places);
	while ((m = taken)) {
		taken = m->next;
		mapping_free(m);
	}
	s->maps.used -= count;
	s->bytes.used -= bytes;
	return bytes;
}

void space_forget_faults(struct space *s)
{
	__atomic_store_n(&s->lost_at, 0, __ATOMIC_SEQ_CST);
	pthread_mutex_lock(&s->fault_lock);
	memset(&s->fault, 0, sizeof(s->fault));
	pthread_mutex_unlock(&s->fault_lock);
	if (s->fault_event >= 0)
		fd_take(s->fault_event);
}

void space_clear(struct space *s, space_gone_fn *gone, void *arg)
{
	tell_gone(s, 0, UINT64_MAX, gone, arg);
	take(s, 0, UINT64_MAX);
	if (s->gate & GATE_LOST)
		memory_files_blank(&s->files);
	__atomic_and_fetch(&s->gate, ~GATE_LOST, __ATOMIC_SEQ_CST);
	space_dirty_stop(s);
	space_forget_faults(s);
}

void space_finish(struct space *s)
{
	space_clear(s, NULL, NULL);
	range_map_finish(&s->ranges);
	memory_files_finish(&s->files);
	fd_close(&s->fault_event);
	pthread_mutex_destroy(&s->fault_lock);
}

/* ---- map and unmap ------------------------------------------------------------------------ */

static uint64_t word_of(const struct mapping *m, uint32_t prot)
{
	if (m->memory.access == VFIO_DMA_IN_PLACE)
		return (uintptr_t)m->memory.addr | MAP_IN_PLACE | prot;
	return prot;
}

static int add(struct space *s, const struct dma_map *map, struct mapping *m, struct vfio_error *err)
{
	struct range r = {
		.start = map->iova, .last = map->iova + map->size - 1, .value = m,
	};
	int ret = memory_init(&m->memory, &s->files, map, s->careful, err);

	if (ret < 0)
		return ret;
	r.word = word_of(m, map->prot);
	ret = dirty_attach(s, m, map->size);
	if (ret == 0)
		ret = range_map_insert(&s->ranges, &r, NULL);
	if (ret < 0) {
		memory_finish(&m->memory);
		free(m->dirty);
		return error_system(err, -ret, "making a DMA map");
	}
	s->maps.used++;
	s->bytes.used += map->size;
	return 0;
}

/* The one that is in the way, or 0. */
static bool overlaps(const struct space *s, const struct dma_map *map, struct range *other)
{
	return space_next(s, map->iova, other) && other->start <= map->iova + map->size - 1;
}

int space_check(const struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	struct range other;
	int r = rules_check_map(s, map, err);

	if (r < 0)
		return r;
	if (overlaps(s, map, &other))
		return rules_taken(map, &other, err);
	return rules_check_room(s, map, err);
}

int space_map(struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	struct range other;
	struct mapping *m;
	int r = rules_check_map(s, map, err);

	if (r < 0)
		return r;
	if (overlaps(s, map, &other))
		return rules_overlap(map, &other, err);
	r = rules_check_room(s, map, err);
	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_system(err, ENOMEM, "making a DMA map");
	r = add(s, map, m, err);
	if (r < 0)
		free(m);
	return r;
}

/* The mapping that a range has gets other memory, in one step for whoever looks. */
static int change(struct space *s, const struct range *r, const struct dma_map *map, bool careful,
		  struct vfio_error *err)
{
	struct mapping *old = r->value, *new = calloc(1, sizeof(*new));
	int ret;

	if (!new)
		return error_system(err, ENOMEM, "changing a DMA map");
	ret = memory_init(&new->memory, &s->files, map, careful, err);
	if (ret < 0) {
		free(new);
		return ret;
	}
	new->dirty = old->dirty;
	range_map_change(&s->ranges, r->start, word_of(new, r->word & MAP_PROT), new);
	space_wait(s);
	memory_finish(&old->memory);
	free(old);
	return 0;
}

int space_retire(struct space *s, uint64_t start, struct vfio_error *err)
{
	struct dma_map map = { .fd = -1 };
	struct mapping *m;
	struct range r;
	int ret = 0;

	if (!range_map_find(&s->ranges, start, &r) || r.start != start)
		return rules_nothing("taking back", start, start, err);
	m = r.value;
	map.vaddr = m->memory.addr;
	if (m->memory.access == VFIO_DMA_IN_PLACE && !m->memory.file)
		ret = change(s, &r, &map, true, err);
	if (ret == 0 && range_map_find(&s->ranges, start, &r)) {
		m = r.value;
		m->stale = true;
	}
	return ret;
}

int space_renew(struct space *s, const struct dma_map *map, struct vfio_error *err)
{
	uint64_t last = map->iova + map->size - 1;
	struct dma_map as = *map;
	struct range r;

	if (!range_map_find(&s->ranges, map->iova, &r) || r.start != map->iova || r.last != last)
		return rules_nothing("new memory for", map->iova, last, err);
	as.prot = r.word & MAP_PROT;
	return change(s, &r, &as, s->careful, err);
}

static int unmap(struct space *s, uint64_t first, uint64_t last, uint64_t *unmapped,
		 space_gone_fn *gone, void *arg)
{
	tell_gone(s, first, last, gone, arg);
	*unmapped = take(s, first, last);
	return 0;
}

/* Type1 v1 begins with the first map that ends in or behind the range, and takes whole ones. */
static int unmap_v1(struct space *s, uint64_t iova, uint64_t last, uint64_t *unmapped,
		    space_gone_fn *gone, void *arg)
{
	struct range r;

	if (space_next(s, iova, &r) && r.start < iova)
		return 0;
	return unmap(s, iova, last, unmapped, gone, arg);
}

/* iommufd goes from map to map, and what is done is done. */
static int unmap_iommufd(struct space *s, uint64_t iova, uint64_t last, uint64_t *unmapped,
			 space_gone_fn *gone, void *arg, struct vfio_error *err)
{
	struct range_walk walk = { .at = iova, .last = last };
	uint64_t end = iova;
	struct range r;
	bool cut = false;

	while (!cut && range_map_step(&s->ranges, &walk, &r)) {
		cut = r.start < iova || r.last > last;
		if (!cut)
			end = r.last;
	}
	if (end > iova)
		unmap(s, iova, end, unmapped, gone, arg);
	if (cut)
		return rules_cut(ENOENT, iova, last, &r, err);
	return *unmapped ? 0 : rules_nothing("unmap of", iova, last, err);
}

int space_unmap(struct space *s, uint64_t iova, uint64_t size, uint64_t *unmapped,
		space_gone_fn *gone, void *arg, struct vfio_error *err)
{
	uint64_t last = size == DMA_ALL ? UINT64_MAX : iova + size - 1;
	int r;

	*unmapped = 0;
	if (iova == 0 && size == DMA_ALL)
		return unmap(s, 0, last, unmapped, gone, arg);
	r = rules_check_unmap(s, iova, size, err);
	if (r < 0)
		return r;
	if (s->rules == SPACE_IOMMUFD)
		return unmap_iommufd(s, iova, last, unmapped, gone, arg, err);
	if (s->rules == SPACE_TYPE1_V1)
		return unmap_v1(s, iova, last, unmapped, gone, arg);
	r = rules_check_cut(s, iova, last, err);
	return r < 0 ? r : unmap(s, iova, last, unmapped, gone, arg);
}
