/* SPDX-License-Identifier: MIT */
/*
 * The newer road: the device has a node of its own, which is bound to an iommufd and attached to an
 * IOAS in it. One iommufd for each device.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "backends/iommufd.h"
#include "backends/kernel.h"
#include "base/error.h"

static int cdev_map(struct kernel *k, uint64_t iova, uint64_t size, void *vaddr, uint32_t prot)
{
	struct iommufd_map q = {
		.size = sizeof(q), .ioas = k->ioas,
		.flags = IOMMUFD_MAP_FIXED | (prot & VFIO_DMA_READ ? IOMMUFD_MAP_READ : 0) |
			 (prot & VFIO_DMA_WRITE ? IOMMUFD_MAP_WRITE : 0),
		.vaddr = (uintptr_t)vaddr, .length = size, .iova = iova,
	};

	return ioctl(k->iommufd, IOMMUFD_MAP, &q) < 0 ? -errno : 0;
}

/* That nothing is there is an error of its own; all of nothing is none. */
static int cdev_unmap(struct kernel *k, uint64_t iova, uint64_t size)
{
	struct iommufd_unmap q = {
		.size = sizeof(q), .ioas = k->ioas, .iova = iova, .length = size,
	};

	if (ioctl(k->iommufd, IOMMUFD_UNMAP, &q) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

/* Those that do not fit are not told of: addresses that are not known are not used. */
static int cdev_ranges(struct kernel *k, struct feature_iova_ranges *answer)
{
	struct iommufd_range ranges[VFIO_MAX_IOVA_RANGES];
	struct iommufd_ranges q = {
		.size = sizeof(q), .ioas = k->ioas, .count = VFIO_MAX_IOVA_RANGES,
		.ranges = (uintptr_t)ranges,
	};

	if (ioctl(k->iommufd, IOMMUFD_IOVA_RANGES, &q) < 0 && errno != EMSGSIZE)
		return -errno;
	answer->count = q.count < VFIO_MAX_IOVA_RANGES ? q.count : VFIO_MAX_IOVA_RANGES;
	for (uint64_t i = 0; i < answer->count; i++)
		answer->ranges[i] = (struct vfio_iova_range){ ranges[i].start, ranges[i].last };
	return 0;
}

static int cdev_maps_left(struct kernel *k, uint64_t *left)
{
	*left = UINT64_MAX;
	return 0;
}

static const struct kernel_iommu iommufd = {
	.map = cdev_map,
	.unmap = cdev_unmap,
	.ranges = cdev_ranges,
	.maps_left = cdev_maps_left,
};

/* ---- opening ------------------------------------------------------------------------------- */

static int open_node(struct kernel *k, const struct kernel_roots *roots, const char *path, int *fd,
		     struct vfio_error *err)
{
	*fd = open(path, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT)
		return error_set(err, ENODEV, VFIO_E_NO_KERNEL, VFIO_BY_KERNEL,
				 "give the PCI address, which works without, too; or a kernel with "
				 "IOMMUFD and VFIO_DEVICE_CDEV; in a container, have the node passed in",
				 "opening %s: there is no %s", k->place.bdf, path);
	return kernel_node_failed(roots, &k->place, path, errno, err);
}

/* EINVAL: somebody else has bound the node; EBUSY: somebody has the group. */
static int bind(struct kernel *k, const struct kernel_roots *roots, const char *path,
		struct vfio_error *err)
{
	struct cdev_bind q = { .argsz = sizeof(q), .iommufd = k->iommufd };

	if (ioctl(k->device, CDEV_BIND_IOMMUFD, &q) == 0)
		return 0;
	switch (errno) {
	case EACCES:
		return error_set(err, EACCES, VFIO_E_PERMISSION, VFIO_BY_KERNEL,
				 "it is a virtual function: open it by the program that has the "
				 "physical one", "%s: the kernel asks for its VF token",
				 k->place.bdf);
	case EINVAL:
	case EBUSY:
	case EPERM:
		return kernel_not_granted(roots, &k->place, path, errno, err);
	}
	return kernel_step_failed(&k->place, "binding it to an iommufd", errno, err);
}

static int attach(struct kernel *k, struct vfio_error *err)
{
	struct iommufd_alloc q = { .size = sizeof(q) };
	struct cdev_attach a = { .argsz = sizeof(a) };

	if (ioctl(k->iommufd, IOMMUFD_IOAS_ALLOC, &q) < 0)
		return kernel_step_failed(&k->place, "making an address space for it", errno, err);
	k->ioas = a.pt_id = q.id;
	if (ioctl(k->device, CDEV_ATTACH, &a) < 0)
		return kernel_step_failed(&k->place, "attaching it to an address space", errno, err);
	return 0;
}

int kernel_cdev_open(struct kernel *k, const struct kernel_roots *roots, struct vfio_error *err)
{
	char node[PATH_MAX], iommu[PATH_MAX];
	int r;

	snprintf(node, sizeof(node), "%s" KERNEL_NODE "/devices/%s", roots->dev, k->place.node);
	snprintf(iommu, sizeof(iommu), "%s/iommu", roots->dev);
	k->iommu = &iommufd;
	r = open_node(k, roots, node, &k->device, err);
	if (r == 0)
		r = open_node(k, roots, iommu, &k->iommufd, err);
	if (r == 0)
		r = bind(k, roots, node, err);
	return r < 0 ? r : attach(k, err);
}
