/* SPDX-License-Identifier: MIT */
/* What else can be asked of a device of the kernel's, and what libvfio knows of it itself. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backends/kernel.h"
#include "base/error.h"

#define PROBE VFIO_DEVICE_FEATURE_PROBE

#define MIG_DATA_SIZE 9u	/* the kernel's, which older headers do not have */

/* ---- libvfio's own -------------------------------------------------------------------------- */

static int next_map(struct kernel *k, void *data)
{
	struct feature_dma_map *q = data;
	struct range r;

	do {
		q->found = range_map_next(&k->space->maps, q->cursor, &r);
		if (!q->found)
			return 0;
		q->cursor = r.last + 1;
	} while (!(r.word & KERNEL_USER(k)));
	q->info = (struct vfio_dma_info){
		.iova = r.start, .size = r.last - r.start + 1, .prot = r.word & VFIO_DMA_RW,
		.access = VFIO_DMA_IN_PLACE,
	};
	return 0;
}

static int limits(struct kernel *k, void *data)
{
	struct vfio_dma_limits q = {
		.maps = { .used = k->space->maps.count },
		.bytes = { .advertised = UINT64_MAX, .granted = kernel_memlock(),
			   .used = k->space->bytes },
	};
	uint64_t left;
	int r = k->iommu->maps_left(k, &left);

	if (r < 0)
		return error_system(&k->dev.error, -r, "asking for the limits of DMA maps");
	q.maps.advertised = q.maps.granted = left == UINT64_MAX ? left : left + k->space->maps.count;
	memcpy(data, &q, sizeof(q));
	return 0;
}

static int ranges(struct kernel *k, void *data)
{
	struct feature_iova_ranges q = { .count = 0 };
	int r = k->iommu->ranges(k, &q);

	if (r < 0)
		return error_system(&k->dev.error, -r, "asking for the ranges of I/O addresses");
	memcpy(data, &q, sizeof(q));
	return 0;
}

static int isolation(struct kernel *k, void *data)
{
	memcpy(data, &k->isolation, sizeof(k->isolation));
	return 0;
}

static const struct {
	uint32_t number;
	size_t size;
	int (*get)(struct kernel *k, void *data);
} own[] = {
	{ FEATURE_DMA_MAP, sizeof(struct feature_dma_map), next_map },
	{ FEATURE_DMA_LIMITS, sizeof(struct vfio_dma_limits), limits },
	{ FEATURE_IOVA_RANGES, sizeof(struct feature_iova_ranges), ranges },
	{ FEATURE_ISOLATION, sizeof(struct vfio_isolation), isolation },
};

static int unknown(struct kernel *k, uint32_t number)
{
	return error_set(&k->dev.error, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_KERNEL, NULL,
			 "feature %#x: the device does not have it", number);
}

static int own_feature(struct kernel *k, uint32_t flags, void *data, size_t len)
{
	uint32_t number = flags & VFIO_DEVICE_FEATURE_MASK;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (own[i].number != number)
			continue;
		if ((flags & VFIO_DEVICE_FEATURE_SET) || (!(flags & PROBE) && len < own[i].size))
			return error_set(&k->dev.error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
					 NULL, "feature %#x with flags %#x and %zu bytes", number,
					 flags, len);
		return flags & PROBE ? 0 : own[i].get(k, data);
	}
	return unknown(k, number);
}

/* ---- the kernel's --------------------------------------------------------------------------- */

int kernel_ask_feature(struct kernel *k, uint32_t flags, void *data, size_t len)
{
	union {
		struct vfio_device_feature head;
		uint8_t raw[sizeof(struct vfio_device_feature) + FEATURE_MAX];
	} q;
	int r;

	if (len > FEATURE_MAX)
		return -EINVAL;
	q.head.argsz = sizeof(q.head) + len;
	q.head.flags = flags;
	memcpy(q.head.data, data, len);
	r = ioctl(k->device, VFIO_DEVICE_FEATURE, &q);
	if (r < 0)
		return -errno;
	memcpy(data, q.head.data, len);
	return r;
}

/* Everything that can be mapped, or those ranges that are behind it. */
static int start_logging(struct kernel *k, const struct dirty_start *start, const void *behind,
			 size_t len)
{
	struct vfio_device_feature_dma_logging_range list[VFIO_MAX_IOVA_RANGES];
	struct vfio_device_feature_dma_logging_control q = {
		.page_size = start->page, .num_ranges = start->nranges,
		.ranges = (uintptr_t)list,
	};
	struct feature_iova_ranges all;

	if (start->nranges > VFIO_MAX_IOVA_RANGES || len < start->nranges * sizeof(list[0]))
		return -EINVAL;
	memcpy(list, behind, start->nranges * sizeof(list[0]));
	if (!start->nranges && k->iommu->ranges(k, &all) == 0) {
		for (uint64_t i = 0; i < all.count; i++) {
			uint64_t first = all.ranges[i].start, last = all.ranges[i].end;

			if (first == 0 && last == UINT64_MAX)
				last -= start->page;	/* 2^64 bytes are no number */
			list[i].iova = first;
			list[i].length = last - first + 1;
		}
		q.num_ranges = all.count;
	}
	return kernel_ask_feature(k, FEATURE_DIRTY_START | VFIO_DEVICE_FEATURE_SET, &q, sizeof(q));
}

static int get_logged(struct kernel *k, const struct dirty_report *report, uint64_t *bitmap)
{
	struct vfio_device_feature_dma_logging_report q = {
		.iova = report->iova, .length = report->size, .page_size = report->page,
		.bitmap = (uintptr_t)bitmap,
	};

	return kernel_ask_feature(k, FEATURE_DIRTY_REPORT | VFIO_DEVICE_FEATURE_GET, &q, sizeof(q));
}

/* A bit for each page must have room in the whole words of the bitmap. */
static bool has_room(const struct dirty_report *q, size_t bytes)
{
	return q->page && q->size / q->page <= bytes / sizeof(uint64_t) * 64;
}

/* By the device's means, which few have, or else by the IOMMU's. */
static int dirty(struct kernel *k, uint32_t number, void *data, size_t len)
{
	uint64_t bitmap[FEATURE_MAX / sizeof(uint64_t)] = { 0 };
	struct dirty_report report = { 0 };
	struct dirty_start start = { 0 };
	size_t room = 0;
	int r;

	if (number == FEATURE_DIRTY_START) {
		memcpy(&start, data, sizeof(start));
		r = start_logging(k, &start, (uint8_t *)data + sizeof(start), len - sizeof(start));
	} else if (number == FEATURE_DIRTY_STOP) {
		r = kernel_ask_feature(k, number | VFIO_DEVICE_FEATURE_SET, data, 0);
	} else {
		memcpy(&report, data, sizeof(report));
		room = (len - sizeof(report)) & ~(sizeof(uint64_t) - 1);
		if (!has_room(&report, room))
			return -EINVAL;
		r = get_logged(k, &report, bitmap);
	}
	if (r == -ENOTTY && k->iommu->dirty)
		r = k->iommu->dirty(k, number, &report, bitmap, room);
	if (r == 0 && room)
		memcpy((uint8_t *)data + sizeof(report), bitmap, room);
	return r;
}

static int kernel_dirty(struct kernel *k, uint32_t flags, void *data, size_t len)
{
	static const size_t least[] = { sizeof(struct dirty_start), 0, sizeof(struct dirty_report) };
	uint32_t number = flags & VFIO_DEVICE_FEATURE_MASK;
	int r = -EINVAL;

	if (flags & PROBE)
		r = k->iommu->dirty && k->iommu->has_dirty(k) ? 0 :
		    kernel_ask_feature(k, flags, data, 0);
	else if (len >= least[number - FEATURE_DIRTY_START] && len <= FEATURE_MAX)
		r = dirty(k, number, data, len);
	if (r == -ENOTTY)
		return unknown(k, number);
	return r < 0 ? error_system(&k->dev.error, -r, "tracking which pages the device writes") : r;
}

/*
 * Data with descriptors or pointers of this process in them are none of a stranger's, who may be
 * the one that asks.
 */
static bool is_plain(uint32_t number)
{
	return number == VFIO_DEVICE_FEATURE_MIGRATION || number == KERNEL_LOW_POWER ||
	       number == KERNEL_LOW_POWER_EXIT || number == MIG_DATA_SIZE;
}

int kernel_feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	uint32_t number = flags & VFIO_DEVICE_FEATURE_MASK;
	struct kernel *k = kernel_of(dev);
	int r = -ENOTTY;

	if (number >= FEATURE_CONFIG_INFO)
		return own_feature(k, flags, data, len);
	if (number >= FEATURE_DIRTY_START && number <= FEATURE_DIRTY_REPORT)
		return kernel_dirty(k, flags, data, len);
	if (is_plain(number) || (flags & PROBE))
		r = kernel_ask_feature(k, flags, data, len);
	if (r == -ENOTTY)
		return unknown(k, number);
	return r < 0 ? error_system(&dev->error, -r, "feature %u of the device", number) : r;
}
