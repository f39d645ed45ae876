/* SPDX-License-Identifier: MIT */
/* What the kernel says of a device, of a region and of the IOMMU, in its own words. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backends/iommufd.h"
#include "backends/kernel.h"
#include "base/error.h"

static int of_device(struct kernel *k, void *buf)
{
	return ioctl(k->device, VFIO_DEVICE_GET_INFO, buf) < 0 ? -errno : 0;
}

static int of_region(struct kernel *k, void *buf)
{
	return ioctl(k->device, VFIO_DEVICE_GET_REGION_INFO, buf) < 0 ? -errno : 0;
}

static int choose(struct kernel *k, struct iommufd_vfio_ioas *q, uint16_t op)
{
	q->size = sizeof(*q);
	q->op = op;
	return ioctl(k->space->iommufd, IOMMUFD_VFIO_IOAS, q) < 0 ? -errno : 0;
}

/*
 * An iommufd answers as a container does, of the one IOAS that was chosen for that: ours, for this
 * moment, as somebody else may have chosen another.
 */
static int of_ioas(struct kernel *k, void *buf)
{
	struct iommufd_vfio_ioas before = { 0 }, ours = { .ioas = k->ioas };
	bool had_one = choose(k, &before, IOMMUFD_VFIO_IOAS_GET) == 0;
	int r = choose(k, &ours, IOMMUFD_VFIO_IOAS_SET);

	if (r < 0)
		return r;
	r = ioctl(k->space->iommufd, VFIO_IOMMU_GET_INFO, buf) < 0 ? -errno : 0;
	choose(k, &before, had_one ? IOMMUFD_VFIO_IOAS_SET : IOMMUFD_VFIO_IOAS_CLEAR);
	return r;
}

static int of_iommu(struct kernel *k, void *buf)
{
	if (k->space->iommufd >= 0)
		return of_ioas(k, buf);
	return ioctl(k->space->container, VFIO_IOMMU_GET_INFO, buf) < 0 ? -errno : 0;
}

static const struct {
	const char *name;
	size_t least;			/* bytes, that every kernel takes */
	int (*get)(struct kernel *k, void *buf);
} whats[] = {
	[VFIO_CHAIN_DEVICE] = { "the device", 16, of_device },
	[VFIO_CHAIN_REGION] = { "a region", sizeof(struct vfio_region_info), of_region },
	[VFIO_CHAIN_IOMMU] = { "the IOMMU", 16, of_iommu },
};

/* All three begin with argsz and flags; index is what only a region has, behind them. */
ssize_t kernel_info_chain(struct vfio_dev *dev, uint32_t what, uint32_t index, void *buf, size_t size)
{
	struct vfio_region_info head = { .index = index };
	uint32_t needed;
	int r;

	if (what >= sizeof(whats) / sizeof(whats[0]) || size < whats[what].least)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "ask for VFIO_CHAIN_DEVICE, _REGION or _IOMMU, with room for the "
				 "structure at least", "information of kind %u, with room for %zu bytes",
				 what, size);
	head.argsz = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
	memset(buf, 0, size);
	memcpy(buf, &head, whats[what].get == of_region ? sizeof(head) : sizeof(head.argsz));
	r = whats[what].get(kernel_of(dev), buf);
	if (r == -ENOTTY && what == VFIO_CHAIN_IOMMU)
		return error_set(&dev->error, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_KERNEL, NULL,
				 "%s: there is no IOMMU to tell of", kernel_of(dev)->place.bdf);
	if (r < 0)
		return error_system(&dev->error, -r, "asking the kernel about %s", whats[what].name);
	memcpy(&needed, buf, sizeof(needed));
	return needed > size ? needed : (ssize_t)size;	/* an iommufd says how much it has filled */
}
