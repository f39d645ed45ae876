/* SPDX-License-Identifier: MIT */
/*
 * Which pages a device has written: a bitmap for each map, whose bits readers set and the owner
 * takes. Bitmaps come and go with the tracking, and with the maps.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/error.h"
#include "iommu/space.h"

#define BITS 64

typedef unsigned long long ull;

static uint64_t words_for(uint64_t size, uint64_t page)
{
	uint64_t pages = size / page + 2;	/* it need not begin or end with one */

	return pages / BITS + 1;
}

/* Bit 0 is the page that holds the map's first byte. */
static uint64_t bit_of(uint64_t page, uint64_t start, uint64_t iova)
{
	return iova / page - start / page;
}

static int attach(struct mapping *m, uint64_t size, uint64_t page)
{
	uint64_t *bits = calloc(words_for(size, page), sizeof(*bits));

	if (!bits)
		return -ENOMEM;
	__atomic_store_n(&m->dirty, bits, __ATOMIC_RELEASE);
	return 0;
}

int dirty_attach(const struct space *s, struct mapping *m, uint64_t size)
{
	return s->dirty_page ? attach(m, size, s->dirty_page) : 0;
}

/* The page size is read once: when tracking ends, the bitmaps wait for readers, and it does not. */
void dirty_mark(const struct space *s, const struct range *r, uint64_t iova, uint64_t len)
{
	uint64_t page = __atomic_load_n(&s->dirty_page, __ATOMIC_SEQ_CST), *bits, last;
	const struct mapping *m = r->value;

	if (!page)
		return;
	bits = __atomic_load_n(&m->dirty, __ATOMIC_ACQUIRE);
	if (!bits)
		return;
	last = bit_of(page, r->start, iova + len - 1);
	for (uint64_t bit = bit_of(page, r->start, iova); bit <= last; bit++)
		__atomic_fetch_or(&bits[bit / BITS], 1ull << bit % BITS, __ATOMIC_RELAXED);
}

void space_dirty_stop(struct space *s)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct range r;

	if (!s->dirty_page)
		return;
	__atomic_store_n(&s->dirty_page, 0, __ATOMIC_SEQ_CST);
	space_wait(s);
	while (range_map_step(&s->ranges, &walk, &r)) {
		struct mapping *m = r.value;

		free(m->dirty);
		m->dirty = NULL;
	}
}

int space_dirty_start(struct space *s, uint64_t page, struct vfio_error *err)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct range r;

	if (page < DMA_PAGE || !is_power_of_two(page))
		return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give a power of two from 4096 on",
				 "tracking writes in pages of %llu bytes", (ull)page);
	space_dirty_stop(s);
	if (memory_files_reserve(&s->files) < 0)
		return error_system(err, ENOMEM, "tracking writes");
	__atomic_store_n(&s->dirty_page, page, __ATOMIC_SEQ_CST);
	while (range_map_step(&s->ranges, &walk, &r)) {
		if (attach(r.value, r.last - r.start + 1, page) == 0)
			continue;
		space_dirty_stop(s);
		return error_system(err, ENOMEM, "tracking writes");
	}
	return 0;
}

/* The bits of a map for [first, last]; base is the page of the caller's bit 0. */
static void take(const struct mapping *m, const struct range *r, uint64_t page, uint64_t first,
		 uint64_t last, uint64_t base, uint64_t *bitmap)
{
	uint64_t end = bit_of(page, r->start, last), shift = r->start / page - base;

	for (uint64_t bit = bit_of(page, r->start, first); bit <= end; bit++) {
		uint64_t mask = 1ull << bit % BITS, to = bit + shift;

		if (__atomic_load_n(&m->dirty[bit / BITS], __ATOMIC_RELAXED) == 0) {
			bit |= BITS - 1;
			continue;
		}
		if (__atomic_fetch_and(&m->dirty[bit / BITS], ~mask, __ATOMIC_RELAXED) & mask)
			bitmap[to / BITS] |= 1ull << to % BITS;
	}
}

int space_dirty_take(struct space *s, uint64_t iova, uint64_t size, uint64_t *bitmap,
		     struct vfio_error *err)
{
	uint64_t last = iova + size - 1, page = s->dirty_page;
	struct range_walk walk = { .at = iova, .last = last };
	struct range r;

	if (!page)
		return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "call vfio_dirty_start() first", "no writes are tracked");
	if (!size || last < iova)
		return error_set(err, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
				 "give one page at least, and an end below 2^64",
				 "dirty pages of %#llx bytes at IOVA %#llx: %s", (ull)size, (ull)iova,
				 size ? "the range wraps round" : "the range is empty");
	if (!is_aligned(iova | size, page))
		return error_set(err, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
				 "make both multiples of the page size",
				 "dirty pages of %#llx bytes at IOVA %#llx: not in whole pages of "
				 "%llu bytes", (ull)size, (ull)iova, (ull)page);
	while (range_map_step(&s->ranges, &walk, &r))
		take(r.value, &r, page, r.start > iova ? r.start : iova,
		     r.last < last ? r.last : last, iova / page, bitmap);
	return 0;
}

void space_dirty(struct space *s, uint64_t iova, uint64_t len)
{
	uint64_t last = iova + len - 1;
	struct range_walk walk = { .at = iova, .last = last };
	struct range r;

	while (len && last >= iova && range_map_step(&s->ranges, &walk, &r)) {
		uint64_t from = r.start > iova ? r.start : iova;

		dirty_mark(s, &r, from, (r.last < last ? r.last : last) - from + 1);
	}
}
