/* SPDX-License-Identifier: MIT */
/*
 * Low power: the kernel lets a device go that its user leaves alone, even to D3cold, which no write to
 * configuration space reaches.
 */
#include <errno.h>

#include "backends/kernel.h"
#include "base/error.h"
#include "base/fd.h"

#define SET VFIO_DEVICE_FEATURE_SET

/* Older headers do not have it. */
struct wakeup {
	int32_t fd;
	uint32_t reserved;
};

static int refused(struct kernel *k, bool entering, int e)
{
	struct vfio_error *err = &k->dev.error;

	if (e == ENOTTY)
		return error_set(err, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_KERNEL,
				 "use Linux 6.1 or a newer one",
				 "this kernel has no low power for devices that users drive");
	if (e == EINVAL && entering)
		return error_set(err, EINVAL, VFIO_E_LOW_POWER, VFIO_BY_KERNEL,
				 "call vfio_low_power_exit() first",
				 "%s is in low power already", k->place.bdf);
	return error_system(err, e, "%s low power with %s", entering ? "entering" : "leaving",
			    k->place.bdf);
}

int kernel_low_power_enter(struct vfio_dev *dev, int wakeup_fd)
{
	struct kernel *k = kernel_of(dev);
	struct wakeup q = { .fd = wakeup_fd };
	int r;

	if (wakeup_fd >= 0 && !fd_is_eventfd(wakeup_fd))
		return error_set(&dev->error, EINVAL, VFIO_E_IRQ_FD, VFIO_BY_LIBRARY,
				 "make it with eventfd(2), or give -1",
				 "entering low power: descriptor %d is not an eventfd", wakeup_fd);
	if (wakeup_fd >= 0)
		r = kernel_ask_feature(k, KERNEL_LOW_POWER_WAKEUP | SET, &q, sizeof(q));
	else
		r = kernel_ask_feature(k, KERNEL_LOW_POWER | SET, &q, 0);
	return r < 0 ? refused(k, true, -r) : 0;
}

int kernel_low_power_exit(struct vfio_dev *dev)
{
	uint8_t none = 0;
	int r = kernel_ask_feature(kernel_of(dev), KERNEL_LOW_POWER_EXIT | SET, &none, 0);

	return r < 0 ? refused(kernel_of(dev), false, -r) : 0;
}
