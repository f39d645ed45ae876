/* SPDX-License-Identifier: MIT */
/* Where there is room for a map that every device of an address space can reach. */
#include <errno.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

/* I/O addresses that are never chosen, so that 0 and what is near it stay traps for mistakes. */
#define FIRST_IOVA 0x10000u

/* The highest I/O address that the device can drive. */
static uint64_t highest(const struct driver *d)
{
	return d->dma_bits == 64 ? UINT64_MAX : (1ull << d->dma_bits) - 1;
}

/* Ask once which addresses there are: the machine does not change. */
static int learn_ranges(struct driver *d)
{
	int r;

	if (d->nranges)
		return 0;
	r = vfio_iova_ranges(d->dev, d->ranges);
	if (r > 0)
		d->nranges = r;
	return r < 0 ? r : 0;
}

/* The first place from start on that the machine allows; false when there is none. */
static bool next_allowed(const struct driver *d, uint64_t start, uint64_t size, uint64_t align,
			 uint64_t *place)
{
	for (unsigned int i = 0; i < d->nranges; i++) {
		const struct vfio_iova_range *r = &d->ranges[i];
		uint64_t low = align_up(r->start, align);

		if (low < r->start)
			continue;	/* it is above the last multiple of align */
		if (low < start)
			low = start;
		if (low <= r->end && size - 1 <= r->end - low) {
			*place = low;
			return true;
		}
	}
	return false;
}

int iova_suits(struct driver *d, uint64_t iova, uint64_t size)
{
	uint64_t place;
	int r = learn_ranges(d);

	if (r < 0)
		return r;
	return is_inside(iova, size - 1, highest(d)) && next_allowed(d, iova, size, 1, &place) &&
	       place == iova;
}

bool iova_suits_all(struct vfio_space *s, uint64_t iova, uint64_t size)
{
	struct driver *d;

	LIST_FOREACH(d, &s->members, member)
		if (iova_suits(d, iova, size) <= 0)
			return false;
	return true;
}

/* Is it allowed for all? If not, *low is where to look on; false: there is none. */
static bool allow_all(const struct vfio_space *s, struct range_wish *wish, uint64_t align,
		      uint64_t place)
{
	const struct driver *d;

	wish->low = place;
	LIST_FOREACH(d, &s->members, member)
		if (!next_allowed(d, wish->low, wish->size, align, &wish->low))
			return false;
	return true;
}

/*
 * A gap between the maps, then the next address that suits the devices, if it does not: each round
 * but the last goes on to another range of a device's, and they have few.
 */
static bool find_place(const struct vfio_space *s, struct range_wish *wish, uint64_t align,
		       uint64_t *iova)
{
	while (range_map_gap(&s->maps, wish, iova)) {
		if (!allow_all(s, wish, align, *iova))
			return false;
		if (wish->low == *iova)
			return true;
	}
	return false;
}

int iova_choose(struct vfio_space *s, uint64_t size, uint64_t align, uint64_t *iova,
		struct vfio_error *err)
{
	/* What is mapped begins and ends at pages: a gap does, too, without asking for it. */
	struct range_wish wish = {
		.size = size, .align = align > DMA_PAGE ? align : 1, .low = FIRST_IOVA,
		.high = UINT64_MAX,
	};
	struct driver *d;

	LIST_FOREACH(d, &s->members, member) {
		int r = learn_ranges(d);

		if (r < 0) {
			maps_explain(s, d->dev, err);
			return r;
		}
		if (highest(d) < wish.high)
			wish.high = highest(d);
	}
	if (find_place(s, &wish, align, iova))
		return 0;
	if (wish.high < FIRST_IOVA)
		return error_set(err, ENOSPC, VFIO_E_IOVA_SPACE, VFIO_BY_LIBRARY,
				 "give one of your own to vfio_dma_map(), or allow more address bits "
				 "with vfio_dma_set_bits() if the device has them",
				 "no I/O address is chosen below %#x, and the device ends at %#llx",
				 FIRST_IOVA, (unsigned long long)wish.high);
	return error_set(err, ENOSPC, VFIO_E_IOVA_SPACE, VFIO_BY_LIBRARY,
			 "unmap something, or allow more address bits with vfio_dma_set_bits() if "
			 "the device has them",
			 "no room for %#llx bytes up to I/O address %#llx",
			 (unsigned long long)size, (unsigned long long)wish.high);
}

EXPORT int vfio_dma_set_bits(struct vfio_dev *dev, unsigned int bits)
{
	struct driver *d = driver_of(dev);

	if (!d)
		return -ENOMEM;
	if (bits < 12 || bits > 64)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give 12 to 64", "%u address bits", bits);
	d->dma_bits = bits;
	return 0;
}
