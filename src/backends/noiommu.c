/* SPDX-License-Identifier: MIT */
/*
 * "unsafe-noiommu:0000:03:00.0": the kernel's VFIO in the mode for machines without an IOMMU. The
 * kernel sees to registers, interrupts and resets as ever, and so does kernel_device.c with its kin;
 * of memory it knows nothing, and so that is unsafe_dma.c's affair.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "backends/unsafe.h"
#include "base/error.h"

struct noiommu {
	struct kernel k;
	struct backend backend;		/* the kernel's, but for what is below */
	struct unsafe_maps maps;
};

static struct noiommu *noiommu_of(struct vfio_dev *dev)
{
	return (struct noiommu *)dev;
}

/* ---- memory -------------------------------------------------------------------------------- */

static int dma_map(struct vfio_dev *dev, const struct dma_map *map)
{
	return unsafe_dma_map(&noiommu_of(dev)->maps, map, &dev->error);
}

/*
 * Nothing but the device itself keeps from memory what it has sent: its answer to a read comes behind
 * that.
 */
static int dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	uint8_t status[2];

	kernel_read(dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_STATUS, status, sizeof(status));
	return unsafe_dma_unmap(&noiommu_of(dev)->maps, iova, size, unmapped, &dev->error);
}

/* Which pages are written nobody can tell: neither an IOMMU, nor a device by addresses of its own. */
static bool is_kernels(uint32_t number)
{
	return number < FEATURE_CONFIG_INFO &&
	       (number < FEATURE_DIRTY_START || number > FEATURE_DIRTY_REPORT);
}

static int feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	uint32_t number = flags & VFIO_DEVICE_FEATURE_MASK;
	int r = unsafe_feature(&noiommu_of(dev)->maps, flags, data, len, &dev->error);

	if (r != -ENOTTY)
		return r;
	if (is_kernels(number))
		return kernel_feature(dev, flags, data, len);
	return error_set(&dev->error, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY, NULL,
			 "feature %#x: the device does not have it", number);
}

/* When the user has gone: the kernel's device takes its maps away by this. */
static int unmap_all(struct kernel *k, uint64_t iova, uint64_t size)
{
	uint64_t unmapped;

	return unsafe_dma_unmap(&noiommu_of(&k->dev)->maps, 0, DMA_ALL, &unmapped, &k->dev.error);
}

static const struct kernel_iommu none = { .unmap = unmap_all };

/* Closing stops the device, ends its interrupts and resets it; only then is its memory let go. */
static void close_device(struct vfio_dev *dev)
{
	struct noiommu n = *noiommu_of(dev);

	kernel_close(dev);
	unsafe_maps_close(&n.maps);
}

/* ---- opening ------------------------------------------------------------------------------- */

static int open_container(struct noiommu *n, const struct kernel_roots *roots,
			  struct vfio_error *err)
{
	const struct kernel_place *p = &n->k.place;
	int *container = &n->k.space->container;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" KERNEL_NODE "/vfio", roots->dev);
	*container = open(path, O_RDWR | O_CLOEXEC);
	if (*container < 0)
		return kernel_node_failed(roots, p, path, errno, err);
	if (ioctl(*container, VFIO_GET_API_VERSION) == VFIO_API_VERSION &&
	    ioctl(*container, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU) == 1)
		return 0;
	return kernel_noiommu_off(p, err);
}

static int open_group(struct noiommu *n, const struct kernel_roots *roots, struct vfio_error *err)
{
	const struct kernel_place *p = &n->k.place;
	struct kernel_space *s = n->k.space;
	char path[PATH_MAX];
	int group;

	snprintf(path, sizeof(path), "%s" KERNEL_NODE "/noiommu-%lld", roots->dev,
		 (long long)p->group);
	group = open(path, O_RDWR | O_CLOEXEC);
	if (group < 0)
		return kernel_node_failed(roots, p, path, errno, err);
	n->k.group = kernel_space_add_group(s, p->group, group);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &s->container) < 0)
		return kernel_step_failed(p, "putting its group into a container", errno, err);
	if (ioctl(s->container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU) < 0)
		return kernel_step_failed(p, "choosing to have no IOMMU", errno, err);
	n->k.device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, p->bdf);
	return n->k.device < 0 ? kernel_step_failed(p, "asking its group for it", errno, err) : 0;
}

static int open_kernel(struct noiommu *n, const char *what, const struct kernel_roots *roots,
		       struct vfio_error *err)
{
	int r = open_container(n, roots, err);

	if (r == 0)
		r = unsafe_allowed(what, err);
	if (r == 0)
		r = open_group(n, roots, err);
	if (r == 0)
		r = unsafe_maps_open(&n->maps, err);
	if (r < 0)
		return r;
	r = kernel_start(&n->k);
	if (r < 0 && err)
		*err = n->k.dev.error;
	return r;
}

static struct noiommu *new(const struct kernel_place *p)
{
	struct noiommu *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->backend = kernel_group_backend;
	n->backend.name = "noiommu";
	n->backend.dma_map = dma_map;
	n->backend.dma_unmap = dma_unmap;
	n->backend.feature = feature;
	n->backend.open_beside = NULL;
	n->backend.close = close_device;
	n->k.dev.backend = &n->backend;
	n->k.roots = &kernel_roots;
	n->k.place = *p;
	n->k.iommu = &none;
	n->k.device = -1;
	if (kernel_space_join(NULL, &n->k) == 0)
		return n;
	free(n);
	return NULL;
}

int noiommu_open(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	char bdf[KERNEL_BDF], what[KERNEL_BDF + sizeof(UNSAFE_NOIOMMU)];
	struct kernel_place p;
	struct noiommu *n;
	int r;

	*dev = NULL;
	if (!kernel_parse(name, bdf))
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "write " UNSAFE_NOIOMMU "0000:03:00.0, with a PCI address",
				 "'" UNSAFE_NOIOMMU "%.40s' names no PCI device", name);
	r = kernel_find_unguarded(&kernel_roots, bdf, &p, err);
	snprintf(what, sizeof(what), UNSAFE_NOIOMMU "%s", bdf);
	if (r == 0)
		r = unsafe_check(what, err);
	if (r < 0)
		return r;
	n = new(&p);
	if (!n)
		return error_system(err, ENOMEM, "opening %s", what);
	r = open_kernel(n, what, &kernel_roots, err);
	if (r == 0)
		*dev = &n->k.dev;
	else
		n->backend.close(&n->k.dev);
	return r;
}
