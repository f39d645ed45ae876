/* SPDX-License-Identifier: MIT */
/*
 * Dirty pages. Bit n of a bitmap is page n from the range's start. Only words that hold a page of a
 * map are stored, and those as a whole: but for the bits before the map, which stay as they are.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "iommu/type1.h"

#define BITS  64
#define CHUNK 512		/* words that are put at once */

#define DIRTY_KNOWN (VFIO_IOMMU_DIRTY_PAGES_FLAG_START | VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP | \
		     VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP)
#define MAX_BITMAP  0x10000000ull

static const char call[] = "VFIO_IOMMU_DIRTY_PAGES";

int type1_check_bitmap(const struct vfio_bitmap *b, uint64_t size, struct vfio_error *err)
{
	uint64_t pages = b->pgsize ? size >> __builtin_ctzll(b->pgsize) : 0;

	if (caller_check_range((uintptr_t)b->data, b->size) < 0)
		return type1_invalid(err, "a bitmap", "no memory of a process is there");
	if (!pages || !b->size || b->size > MAX_BITMAP || b->size < align_up(pages, BITS) / 8)
		return type1_invalid(err, "a bitmap", "its size does not fit");
	return 0;
}

int type1_check_tracking(const struct type1 *t, const struct vfio_bitmap *b, struct vfio_error *err)
{
	if (!t->tracking)
		return type1_invalid(err, "dirty pages", "they are not tracked");
	if (b->pgsize != DMA_PAGE)
		return type1_invalid(err, "dirty pages", "they are tracked in pages of 4096 bytes");
	return 0;
}

static void set_bits(uint64_t *words, uint64_t from, uint64_t to)
{
	for (uint64_t bit = from; bit <= to; bit = (bit | (BITS - 1)) + 1) {
		uint64_t mask = ~0ull << bit % BITS;

		if (bit / BITS == to / BITS)
			mask &= ~0ull >> (BITS - 1 - to % BITS);
		words[bit / BITS] |= mask;
	}
}

/* The bits of pages first to last that are dirty, into words, whose bit 0 is page base. */
static void fill(struct type1 *t, uint64_t *words, uint64_t iova, uint64_t base, uint64_t first,
		 uint64_t last, bool all)
{
	if (!all) {
		space_dirty_take(t->space, iova + base * DMA_PAGE, (last - base + 1) * DMA_PAGE,
				 words, NULL);
		return;
	}
	set_bits(words, first - base, last - base);
}

/* What was taken, and could not be handed out. */
static void give_back(struct type1 *t, const uint64_t *words, uint64_t n, uint64_t iova)
{
	for (uint64_t i = 0; i < n * BITS; i++)
		if (words[i / BITS] >> i % BITS & 1)
			space_dirty(t->space, iova + i * DMA_PAGE, DMA_PAGE);
}

/* The bits of one map. */
static int put(struct type1 *t, uint64_t to, uint64_t iova, const struct range *r, bool all)
{
	const uint64_t first = (r->start - iova) / DMA_PAGE, end = (r->last - iova) / DMA_PAGE;
	uint64_t words[CHUNK], kept = 0, word = first / BITS;
	const struct caller *c = t->caller;

	if (first % BITS && c->read(c->arg, to + word * 8, &kept, sizeof(kept)) < 0)
		return -EFAULT;
	kept &= (1ull << first % BITS) - 1;
	for (uint64_t n; word <= end / BITS; word += n, kept = 0) {
		uint64_t base = word * BITS, last = base + CHUNK * BITS - 1;

		if (last > end)
			last = end;
		n = (last - base) / BITS + 1;
		memset(words, 0, sizeof(words));
		fill(t, words, iova, base, first > base ? first : base, last, all);
		words[0] |= kept;
		if (c->write(c->arg, to + word * 8, words, n * 8) < 0) {
			give_back(t, words, all ? 0 : n, iova + base * DMA_PAGE);
			return -EFAULT;
		}
	}
	return 0;
}

static int put_range(struct type1 *t, const struct vfio_bitmap *b, uint64_t iova, uint64_t last,
		     bool all, uint64_t *failed, struct vfio_error *err)
{
	struct range_walk w = { .at = iova, .last = last };
	uint64_t to = (uintptr_t)b->data;
	struct range r;

	while (range_map_step(&t->space->ranges, &w, &r)) {
		if (put(t, to, iova, &r, all) == 0)
			continue;
		*failed = r.start;
		return type1_bad_address(to, "a bitmap", err);
	}
	return 0;
}

int type1_put_all(struct type1 *t, const struct vfio_bitmap *b, uint64_t iova, uint64_t last,
		  uint64_t *failed, struct vfio_error *err)
{
	return put_range(t, b, iova, last, true, failed, err);
}

static int get(struct type1 *t, uint64_t arg, uint32_t argsz, struct vfio_error *err)
{
	const size_t head = sizeof(struct vfio_iommu_type1_dirty_bitmap);
	struct vfio_iommu_type1_dirty_bitmap_get g;
	uint64_t last, failed;
	int r;

	if (argsz - head < sizeof(g))
		return type1_invalid(err, call, "argsz is below 48");
	if (t->caller->read(t->caller->arg, arg + head, &g, sizeof(g)) < 0)
		return type1_bad_address(arg + head, "reading an argument", err);
	last = g.iova + g.size - 1;
	if (!g.size)
		return type1_invalid(err, call, "size 0");
	if (last < g.iova)
		return error_set(err, EOVERFLOW, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY, NULL,
				 "%s: the range wraps round", call);
	r = type1_check_bitmap(&g.bitmap, g.size, err);
	if (r == 0)
		r = type1_check_tracking(t, &g.bitmap, err);
	if (r == 0 && !is_aligned(g.iova | g.size, DMA_PAGE))
		r = type1_invalid(err, call, "IOVA or size is not page aligned");
	if (r == 0)
		r = rules_check_cut(t->space, g.iova, last, err);
	return r < 0 ? r : put_range(t, &g.bitmap, g.iova, last, !t->exact, &failed, err);
}

static int start(struct type1 *t, struct vfio_error *err)
{
	int r = t->tracking || !t->exact ? 0 : space_dirty_start(t->space, DMA_PAGE, err);

	if (r == 0)
		t->tracking = true;
	return r;
}

static int stop(struct type1 *t)
{
	if (t->exact)
		space_dirty_stop(t->space);
	t->tracking = false;
	return 0;
}

int type1_dirty_pages(struct type1 *t, uint64_t arg, struct vfio_error *err)
{
	struct vfio_iommu_type1_dirty_bitmap d;

	if (t->space->rules == SPACE_TYPE1_V1)
		return error_set(err, EACCES, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY,
				 "set VFIO_TYPE1v2_IOMMU", "%s: type1 v1 has no dirty pages", call);
	if (t->caller->read(t->caller->arg, arg, &d, sizeof(d)) < 0)
		return type1_bad_address(arg, "reading an argument", err);
	if (d.argsz < sizeof(d) || (d.flags & ~DIRTY_KNOWN))
		return type1_invalid(err, call, "argsz is below 8, or an unknown flag");
	switch (d.flags) {
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_START:
		return start(t, err);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP:
		return stop(t);
	case VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP:
		return get(t, arg, d.argsz, err);
	}
	return type1_invalid(err, call, "give one flag");
}
