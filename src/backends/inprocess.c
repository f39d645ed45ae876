/* SPDX-License-Identifier: MIT */
/* The contract over a virtual function in this process: the thinnest back end there is. */
#include "backends/inprocess.h"

#include <errno.h>
#include <stdlib.h>

#include "backends/backends.h"
#include "base/error.h"
#include "function/function.h"

static struct vfio_function *function_of(struct vfio_dev *dev)
{
	return ((struct inprocess *)dev)->fn;
}

static int in_info(struct vfio_dev *dev, struct vfio_device_info *info)
{
	*info = (struct vfio_device_info){
		.argsz = sizeof(*info),
		.flags = VFIO_DEVICE_FLAGS_PCI |
			 (function_of(dev)->ops->reset ? VFIO_DEVICE_FLAGS_RESET : 0),
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
	};
	return 0;
}

static int in_region(struct vfio_dev *dev, uint32_t index, struct vfio_region *region)
{
	return function_region(function_of(dev), index, region);
}

static ssize_t in_read(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf, size_t len)
{
	return function_read(function_of(dev), region, offset, buf, len);
}

static ssize_t in_write(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
			size_t len)
{
	return function_write(function_of(dev), region, offset, buf, len);
}

static int in_irq_info(struct vfio_dev *dev, uint32_t index, struct vfio_irq_info *info)
{
	return function_irq_info(function_of(dev), index, info);
}

static int in_set_irqs(struct vfio_dev *dev, const struct irq_request *request)
{
	return function_set_irqs(function_of(dev), request);
}

static int in_dma_map(struct vfio_dev *dev, const struct dma_map *map)
{
	return function_dma_map(function_of(dev), map);
}

static int in_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	return function_dma_unmap(function_of(dev), iova, size, unmapped);
}

static int in_reset(struct vfio_dev *dev)
{
	return function_reset(function_of(dev));
}

static void in_distrust(struct vfio_dev *dev, bool guarded)
{
	signaler_start(&function_of(dev)->signaler);
	if (guarded)
		memory_files_guard(&function_of(dev)->space.files);
}

static bool in_mend(struct vfio_dev *dev, const void *addr)
{
	return space_mend(&function_of(dev)->space, addr);
}

static int in_recycle(struct vfio_dev *dev)
{
	return function_recycle(function_of(dev));
}

static int in_feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	return function_feature(function_of(dev), flags, data, len);
}

static int in_policy_set(struct vfio_dev *dev, const char *key, const char *value)
{
	return function_policy_set(function_of(dev), key, value);
}

static int in_policy_get(struct vfio_dev *dev, const char *key, char *value, size_t size)
{
	return function_policy_get(function_of(dev), key, value, size);
}

static int in_poll_fd(struct vfio_dev *dev)
{
	return function_poll_fd(function_of(dev));
}

static int in_dispatch(struct vfio_dev *dev)
{
	function_dispatch(function_of(dev));
	return 0;
}

static int in_set_timeout(struct vfio_dev *dev, unsigned int milliseconds)
{
	return 0;
}

static int in_doorbells(struct vfio_dev *dev, uint32_t region, struct doorbell *list,
			unsigned int max)
{
	return function_doorbells(function_of(dev), region, list, max);
}

static void in_close(struct vfio_dev *dev)
{
	vfio_function_free(function_of(dev));
	free(dev);
}

const struct backend inprocess_backend = {
	.name = "inprocess",
	.who = VFIO_BY_FUNCTION,
	.info = in_info,
	.region = in_region,
	.read = in_read,
	.write = in_write,
	.irq_info = in_irq_info,
	.set_irqs = in_set_irqs,
	.dma_map = in_dma_map,
	.dma_unmap = in_dma_unmap,
	.reset = in_reset,
	.distrust = in_distrust,
	.mend = in_mend,
	.recycle = in_recycle,
	.feature = in_feature,
	.policy_set = in_policy_set,
	.policy_get = in_policy_get,
	.poll_fd = in_poll_fd,
	.dispatch = in_dispatch,
	.set_timeout = in_set_timeout,
	.doorbells = in_doorbells,
	.close = in_close,
};

int inprocess_open(struct vfio_dev **dev, struct vfio_function *fn, struct vfio_error *err)
{
	struct inprocess *in = calloc(1, sizeof(*in));

	*dev = NULL;
	if (!in)
		return error_system(err, ENOMEM, "opening a device in this process");
	in->dev.backend = &inprocess_backend;
	in->fn = fn;
	fn->err = &in->dev.error;
	*dev = &in->dev;
	return 0;
}
