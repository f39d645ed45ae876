/* SPDX-License-Identifier: MIT */
/* What wakes a device that does not look at its registers while it sleeps. */
#include <errno.h>

#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

static bool is_at(const struct doorbell *d, uint64_t offset)
{
	return offset == d->offset || offset - d->offset < d->size;
}

/* A server that does not know the question has refused it. */
static bool is_unknown(const struct vfio_dev *dev, int r)
{
	return r < 0 && dev->error.who == VFIO_BY_SERVER && dev->error.code == VFIO_E_REMOTE;
}

EXPORT int vfio_doorbell_fd(struct vfio_dev *dev, uint32_t index, uint64_t offset)
{
	struct doorbell list[MAX_DOORBELLS];
	struct vfio_region region;
	int n = dev->backend->region(dev, index, &region);

	if (n < 0)
		return n;
	if (!dev->backend->doorbells)
		return driver_cannot_tell(dev, "what wakes the device");
	n = dev->backend->doorbells(dev, index, list, MAX_DOORBELLS);
	if (is_unknown(dev, n))
		return driver_cannot_tell(dev, "what wakes the device");
	for (int i = 0; i < n; i++)
		if (is_at(&list[i], offset))
			return list[i].fd;
	return n < 0 ? n : error_set(&dev->error, ENOENT, VFIO_E_NO_DOORBELL, VFIO_BY_LIBRARY, NULL,
				     "offset %#llx of region %u: the device sees writes there by itself",
				     (unsigned long long)offset, index);
}
