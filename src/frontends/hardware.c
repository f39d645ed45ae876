/* SPDX-License-Identifier: MIT */
/* The driver API: what only hardware has, of which the kernel gives us the use. */
#include <errno.h>

#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

static int cannot(struct vfio_dev *dev, const char *what)
{
	return error_set(&dev->error, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY,
			 "devices of the kernel's, opened by their PCI address, have it",
			 "%s: not with a device of the back end %s", what, dev->backend->name);
}

/* ---- hot reset ------------------------------------------------------------------------------ */

EXPORT int vfio_hot_reset_info(struct vfio_dev *dev, struct vfio_hot_reset_device *list,
			       unsigned int max)
{
	if (!dev->backend->hot_reset_info)
		return cannot(dev, "hot reset");
	return dev->backend->hot_reset_info(dev, list, max);
}

EXPORT int vfio_hot_reset(struct vfio_dev *dev)
{
	return dev->backend->hot_reset ? dev->backend->hot_reset(dev) : cannot(dev, "hot reset");
}

/* ---- low power ------------------------------------------------------------------------------ */

EXPORT int vfio_low_power_enter(struct vfio_dev *dev, int wakeup_fd)
{
	if (!dev->backend->low_power_enter)
		return cannot(dev, "low power");
	return dev->backend->low_power_enter(dev, wakeup_fd);
}

EXPORT int vfio_low_power_exit(struct vfio_dev *dev)
{
	return dev->backend->low_power_exit ? dev->backend->low_power_exit(dev)
					    : cannot(dev, "low power");
}

/* ---- virtual functions ---------------------------------------------------------------------- */

EXPORT int vfio_set_vf_token(struct vfio_dev *dev, const char *uuid)
{
	return dev->backend->set_vf_token ? dev->backend->set_vf_token(dev, uuid)
					  : cannot(dev, "VF tokens");
}

/* ---- capabilities of the kernel's ----------------------------------------------------------- */

EXPORT ssize_t vfio_info_chain(struct vfio_dev *dev, uint32_t what, uint32_t index, void *buf,
			       size_t size)
{
	if (!dev->backend->info_chain)
		return cannot(dev, "what the kernel says of it");
	return dev->backend->info_chain(dev, what, index, buf, size);
}
