/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/bits.h"
#include "base/error.h"
#include "iommu/ioas.h"

#define HUGE_PAGE 0x200000ull
#define WHOLE	  ((struct vfio_iova_range){ 0, UINT64_MAX })

int ioas_refuse(struct vfio_error *err, int errnum, enum vfio_error_code code, const char *why)
{
	return error_set(err, errnum, code, VFIO_BY_LIBRARY, NULL, "IOAS: %s", why);
}

int ioas_no_object(struct vfio_error *err)
{
	return ioas_refuse(err, ENOENT, VFIO_E_ARGUMENT, "there is no object of this number");
}

uint64_t ioas_alignment(const struct ioas *i)
{
	return i->space || i->small_pages ? DMA_PAGE : 1;
}

bool ioas_is_aligned(const struct range *r, uint64_t alignment)
{
	const struct ioas_area *a = r->value;

	return is_aligned(r->start | (r->last + 1) | (a->pages->va + a->offset), alignment);
}

bool ioas_is_usable(const struct vfio_iova_range *ranges, unsigned int n, uint64_t first,
		    uint64_t last)
{
	for (unsigned int k = 0; k < n; k++)
		if (first >= ranges[k].start && last <= ranges[k].end)
			return true;
	return n == 0;
}

static unsigned int usable(const struct ioas *i, struct vfio_iova_range *ranges)
{
	unsigned int n = i->space ? i->space->nallowed : 0;

	ranges[0] = WHOLE;
	for (unsigned int k = 0; k < n; k++)
		ranges[k] = i->space->allowed[k];
	return n ? n : 1;
}

/* ---- a place for a map -------------------------------------------------------------------- */

int ioas_check_place(const struct ioas *i, uint64_t iova, uint64_t length, struct vfio_error *err)
{
	uint64_t last = iova + length - 1;
	struct vfio_iova_range ranges[SPACE_MAX_ALLOWED];
	struct range r;

	if (!is_aligned(iova, ioas_alignment(i)))
		return ioas_refuse(err, EINVAL, VFIO_E_ALIGN,
				   "the I/O address is not page aligned");
	if (last < iova)
		return ioas_refuse(err, EOVERFLOW, VFIO_E_DMA_RANGE,
				   "I/O address and length wrap round");
	if (!ioas_is_usable(ranges, usable(i, ranges), iova, last))
		return ioas_refuse(err, EINVAL, VFIO_E_IOVA_RANGE,
				   "the device cannot be given these I/O addresses");
	if (range_map_next(&i->areas, iova, &r) && r.start <= last)
		return ioas_refuse(err, EEXIST, VFIO_E_OVERLAP,
				   "something is mapped at these I/O addresses");
	return 0;
}

/*
 * As the address in memory is, but for what a huge page or the length makes senseless: so that an
 * IOMMU, or a device, finds the same pages to be huge.
 */
static uint64_t wanted_alignment(uint64_t address, uint64_t length)
{
	uint64_t align = 1, lowest = address & -address;

	while (align < length && align < HUGE_PAGE)
		align <<= 1;
	return address && lowest < align ? lowest : align;
}

/* The lowest place within both ranges. */
static bool find_within(const struct ioas *i, struct range_wish *wish,
			const struct vfio_iova_range *a, const struct vfio_iova_range *b,
			uint64_t *start)
{
	wish->low = a->start > b->start ? a->start : b->start;
	wish->high = a->end < b->end ? a->end : b->end;
	if (wish->low < DMA_PAGE)	/* 0 is what programs take for no address */
		wish->low = DMA_PAGE;
	return wish->low <= wish->high && range_map_gap(&i->areas, wish, start);
}

static bool find(const struct ioas *i, struct range_wish *wish,
		 const struct vfio_iova_range *within, uint64_t *start)
{
	struct vfio_iova_range ranges[SPACE_MAX_ALLOWED];
	unsigned int n = usable(i, ranges);

	for (unsigned int k = 0; k < n; k++)
		if (find_within(i, wish, within, &ranges[k], start))
			return true;
	return false;
}

static bool find_allowed(const struct ioas *i, struct range_wish *wish, uint64_t *start)
{
	struct vfio_iova_range within = { DMA_PAGE, UINT64_MAX - DMA_PAGE };
	struct range_walk w = { .last = UINT64_MAX };
	struct range r;

	if (!i->allowed.count)
		return find(i, wish, &within, start);
	while (range_map_step(&i->allowed, &w, &r)) {
		within = (struct vfio_iova_range){ r.start, r.last };
		if (find(i, wish, &within, start))
			return true;
	}
	return false;
}

int ioas_find_place(const struct ioas *i, uint64_t address, uint64_t length, uint64_t *iova,
		    struct vfio_error *err)
{
	uint64_t offset = address % DMA_PAGE, start;
	struct range_wish wish = { .size = length, .lowest = true };

	if (length >= INT64_MAX)
		return ioas_refuse(err, EOVERFLOW, VFIO_E_DMA_RANGE,
				   "half of all addresses are too many");
	wish.align = wanted_alignment(address, length);
	if (wish.align < ioas_alignment(i))
		return ioas_refuse(err, EINVAL, VFIO_E_ALIGN,
				   "the address in memory is not page aligned");
	if (offset) {
		wish.size += offset;
		wish.align = DMA_PAGE;
	}
	if (!find_allowed(i, &wish, &start))
		return ioas_refuse(err, ENOSPC, VFIO_E_IOVA_SPACE, "there is no room for the map");
	*iova = start + offset;
	return 0;
}

/* ---- calls -------------------------------------------------------------------------------- */

int ioas_iova_ranges(struct ioas *i, struct ioas_iova_ranges *q, struct vfio_error *err)
{
	struct vfio_iova_range ranges[SPACE_MAX_ALLOWED];
	unsigned int n, room = q->num_iovas;

	if (q->reserved)
		return ioas_refuse(err, EOPNOTSUPP, VFIO_E_ARGUMENT, "a reserved field is not 0");
	if (!i)
		return ioas_no_object(err);
	n = usable(i, ranges);
	if (i->caller->write(i->caller->arg, q->allowed_iovas, ranges,
			     (n < room ? n : room) * sizeof(*ranges)) < 0)
		return ioas_refuse(err, EFAULT, VFIO_E_ARGUMENT, "the ranges cannot be stored");
	q->num_iovas = n;
	q->out_iova_alignment = ioas_alignment(i);
	if (n > room)
		return ioas_refuse(err, EMSGSIZE, VFIO_E_ARGUMENT, "there are more ranges");
	return 0;
}

static int take_allowed(const struct ioas *i, const struct ioas_allow_iovas *a,
			struct range_map *allowed, struct vfio_error *err)
{
	for (uint32_t k = 0; k < a->num_iovas; k++) {
		struct vfio_iova_range given;
		struct range r;
		int ret;

		if (k == IOAS_MAX_ALLOWED)
			return ioas_refuse(err, ENOMEM, VFIO_E_NO_MEMORY, "too many ranges");
		if (i->caller->read(i->caller->arg, a->allowed_iovas + k * sizeof(given), &given,
				    sizeof(given)) < 0)
			return ioas_refuse(err, EFAULT, VFIO_E_ARGUMENT, "a range is not there");
		r = (struct range){ .start = given.start, .last = given.end };
		ret = r.start < r.last ? range_map_insert(allowed, &r, NULL) : -EINVAL;
		if (ret == -ENOMEM)
			return error_system(err, ENOMEM, "allowing I/O addresses");
		if (ret < 0)
			return ioas_refuse(err, EINVAL, VFIO_E_ARGUMENT,
					   "a range is of one byte or less, or overlaps another");
	}
	return 0;
}

static int check_allowed(const struct ioas *i, const struct range_map *allowed,
			 struct vfio_error *err)
{
	struct vfio_iova_range ranges[SPACE_MAX_ALLOWED];
	struct range_walk w = { .last = UINT64_MAX };
	unsigned int n = usable(i, ranges);
	struct range r;

	while (range_map_step(allowed, &w, &r))
		if (!ioas_is_usable(ranges, n, r.start, r.last))
			return ioas_refuse(err, EADDRINUSE, VFIO_E_IOVA_RANGE,
					   "the device cannot be given some of these addresses");
	return 0;
}

int ioas_allow_iovas(struct ioas *i, const struct ioas_allow_iovas *a, struct vfio_error *err)
{
	struct range_map allowed, old;
	int r;

	if (a->reserved)
		return ioas_refuse(err, EOPNOTSUPP, VFIO_E_ARGUMENT, "a reserved field is not 0");
	if (!i)
		return ioas_no_object(err);
	range_map_init(&allowed);
	r = take_allowed(i, a, &allowed, err);
	if (r == 0)
		r = check_allowed(i, &allowed, err);
	old = allowed;
	if (r == 0) {
		old = i->allowed;
		i->allowed = allowed;
	}
	range_map_finish(&old);
	return r;
}

int ioas_set_huge_pages(struct ioas *i, uint64_t value, struct vfio_error *err)
{
	struct range_walk w = { .last = UINT64_MAX };
	struct range r;

	if (!i)
		return ioas_no_object(err);
	if (value > 1)
		return ioas_refuse(err, EINVAL, VFIO_E_ARGUMENT, "huge pages: 0 or 1");
	if (value == 0 && i->space && i->areas.count)
		return ioas_refuse(err, EINVAL, VFIO_E_ARGUMENT, "a device has maps already");
	while (value == 0 && range_map_step(&i->areas, &w, &r))
		if (!ioas_is_aligned(&r, DMA_PAGE))
			return ioas_refuse(err, EADDRINUSE, VFIO_E_ALIGN,
					   "a map is not page aligned");
	i->small_pages = value == 0;
	return 0;
}
