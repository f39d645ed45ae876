/* SPDX-License-Identifier: MIT */
/* What the device says of the memory that it was given: maps, limits, faults, dirty pages. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "frontends/driver.h"

/* ---- maps and limits ---------------------------------------------------------------------- */

EXPORT int vfio_dma_next(struct vfio_dev *dev, uint64_t *cursor, struct vfio_dma_info *info)
{
	struct feature_dma_map q = { .cursor = *cursor };
	int r;

	if (*cursor == UINT64_MAX)
		return 0;
	r = driver_get(dev, FEATURE_DMA_MAP, &q, sizeof(q));
	if (driver_is_unknown(r))
		return driver_cannot_tell(dev, "which maps the device has");
	if (r < 0 || !q.found)
		return r;
	if (q.cursor <= *cursor && q.cursor)
		return error_set(&dev->error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "the server's maps do not go on");
	*cursor = q.cursor ? q.cursor : UINT64_MAX;	/* the last one ends at 2^64 */
	*info = q.info;
	return 1;
}

EXPORT int vfio_dma_limits(struct vfio_dev *dev, struct vfio_dma_limits *limits)
{
	int r = driver_get(dev, FEATURE_DMA_LIMITS, limits, sizeof(*limits));

	return driver_is_unknown(r) ? driver_cannot_tell(dev, "how much can be mapped") : r;
}

static bool is_sound(const struct feature_iova_ranges *q)
{
	if (q->count < 1 || q->count > VFIO_MAX_IOVA_RANGES)
		return false;
	for (uint64_t i = 0; i < q->count; i++)
		if (q->ranges[i].end < q->ranges[i].start ||
		    (i && q->ranges[i].start <= q->ranges[i - 1].end))
			return false;
	return true;
}

/* Whoever does not say so has nothing against any address. */
EXPORT int vfio_iova_ranges(struct vfio_dev *dev, struct vfio_iova_range *ranges)
{
	struct feature_iova_ranges q = { .count = 0 };
	int r = driver_get(dev, FEATURE_IOVA_RANGES, &q, sizeof(q));

	if (driver_is_unknown(r)) {
		ranges[0] = (struct vfio_iova_range){ 0, UINT64_MAX };
		return 1;
	}
	if (r < 0)
		return r;
	if (!is_sound(&q))
		return error_set(&dev->error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "the server's ranges of I/O addresses make no sense");
	memcpy(ranges, q.ranges, q.count * sizeof(ranges[0]));
	return q.count;
}

/* ---- faults ------------------------------------------------------------------------------- */

EXPORT int vfio_fault(struct vfio_dev *dev, struct vfio_fault *fault)
{
	int r = driver_get(dev, FEATURE_FAULT, fault, sizeof(*fault));

	if (driver_is_unknown(r))
		return driver_cannot_tell(dev, "whether accesses were refused");
	return r < 0 ? r : fault->count != 0;
}

/* The operation that is a SET: unlike driver_get(), what the device says stands. */
static int set(struct vfio_dev *dev, uint32_t number, void *data, size_t len, const char *what)
{
	int r = -ENOTTY;

	if (dev->backend->feature)
		r = dev->backend->feature(dev, number | VFIO_DEVICE_FEATURE_SET, data, len);
	return r == -ENOTTY ? driver_cannot_tell(dev, what) : r;
}

EXPORT int vfio_fault_fd(struct vfio_dev *dev)
{
	struct driver *d = driver_of(dev);
	struct feature_fault_event q;
	int r;

	if (!d)
		return -ENOMEM;
	if (d->fault_fd >= 0)
		return d->fault_fd;
	q = (struct feature_fault_event){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	if (q.fd < 0)
		return error_system(&dev->error, errno, "making an eventfd for faults");
	d->fault_fd = q.fd;
	r = set(dev, FEATURE_FAULT_EVENT, &q, sizeof(q), "when accesses are refused");
	if (r < 0 && driver_is_unknown(r))	/* it is an eventfd: nothing else could be wrong */
		r = driver_cannot_tell(dev, "when accesses are refused");
	if (r < 0)
		fd_close(&d->fault_fd);
	return r < 0 ? r : d->fault_fd;
}

void driver_faults_close(struct vfio_dev *dev)
{
	fd_close(&dev->driver->fault_fd);
}

/* ---- dirty pages -------------------------------------------------------------------------- */

#define REPORT_WORDS ((FEATURE_MAX - sizeof(struct dirty_report)) / sizeof(uint64_t))

EXPORT int vfio_dirty_start(struct vfio_dev *dev, uint64_t page)
{
	struct dirty_start q = { .page = page };
	int r;

	if (page < DMA_PAGE || !is_power_of_two(page))
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give a power of two from 4096 on",
				 "tracking writes in pages of %llu bytes", (unsigned long long)page);
	r = set(dev, FEATURE_DIRTY_START, &q, sizeof(q), "which pages are written");
	return driver_is_unknown(r) ? driver_cannot_tell(dev, "which pages are written") : r;
}

EXPORT int vfio_dirty_stop(struct vfio_dev *dev)
{
	uint8_t nothing;

	return set(dev, FEATURE_DIRTY_STOP, &nothing, 0, "which pages are written");
}

/* One message's worth: words of the bitmap for size bytes, in pages of page bytes. */
static int report(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t page, uint64_t *bitmap,
		  size_t words)
{
	struct {
		struct dirty_report q;
		uint64_t words[REPORT_WORDS];
	} data = { .q = { iova, size, page } };
	int r = -ENOTTY;

	if (dev->backend->feature)
		r = dev->backend->feature(dev, FEATURE_DIRTY_REPORT | VFIO_DEVICE_FEATURE_GET, &data,
					  sizeof(data.q) + words * sizeof(uint64_t));
	if (r == -ENOTTY)
		return driver_cannot_tell(dev, "which pages are written");
	for (size_t i = 0; i < words && r >= 0; i++)
		bitmap[i] |= data.words[i];
	return r;
}

EXPORT int vfio_dirty_get(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t page,
			  uint64_t *bitmap)
{
	const uint64_t most = REPORT_WORDS * 64;
	uint64_t pages = page ? size / page : 0;
	int r;

	do {
		uint64_t n = pages < most ? pages : most;

		r = report(dev, iova, pages <= most ? size : n * page, page, bitmap, (n + 63) / 64);
		iova += n * page;
		size -= n * page;
		bitmap += n / 64;
		pages -= n;
	} while (r >= 0 && pages);
	return r;
}
