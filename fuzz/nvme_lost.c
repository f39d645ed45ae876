/* SPDX-License-Identifier: MIT */
/*
 * A device that can be lost, as one behind a socket whose server has died: from then on each call of
 * the contract says so.
 */
#include <errno.h>

#include "base/error.h"
#include "contract.h"
#include "nvme_controller.h"

static const struct backend *real;
static bool lost;

static int gone(struct vfio_dev *dev)
{
	return error_set(&dev->error, ENODEV, VFIO_E_GONE, VFIO_BY_LIBRARY, NULL, "it is lost");
}

static ssize_t lost_read(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf,
			 size_t len)
{
	return lost ? gone(dev) : real->read(dev, region, offset, buf, len);
}

static ssize_t lost_write(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
			  size_t len)
{
	return lost ? gone(dev) : real->write(dev, region, offset, buf, len);
}

static int lost_set_irqs(struct vfio_dev *dev, const struct irq_request *request)
{
	return lost ? gone(dev) : real->set_irqs(dev, request);
}

static int lost_map(struct vfio_dev *dev, const struct dma_map *map)
{
	return lost ? gone(dev) : real->dma_map(dev, map);
}

/* What is unmapped is so on this side in any case. */
static int lost_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	int ret = real->dma_unmap(dev, iova, size, unmapped);

	return lost ? gone(dev) : ret;
}

static int lost_reset(struct vfio_dev *dev)
{
	return lost ? gone(dev) : real->reset(dev);
}

static int lost_poll_fd(struct vfio_dev *dev)
{
	return lost ? gone(dev) : real->poll_fd(dev);
}

static int lost_dispatch(struct vfio_dev *dev)
{
	return lost ? gone(dev) : real->dispatch(dev);
}

void controller_can_be_lost(struct vfio_dev *dev)
{
	static struct backend backend;

	real = dev->backend;
	lost = false;
	backend = *real;
	backend.read = lost_read;
	backend.write = lost_write;
	backend.set_irqs = lost_set_irqs;
	backend.dma_map = lost_map;
	backend.dma_unmap = lost_unmap;
	backend.reset = lost_reset;
	backend.poll_fd = lost_poll_fd;
	backend.dispatch = lost_dispatch;
	dev->backend = &backend;
}

void controller_lose(void)
{
	lost = true;
}
