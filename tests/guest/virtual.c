/* SPDX-License-Identifier: MIT */
#include "virtual.h"

#include <errno.h>
#include <linux/vfio.h>
#include <string.h>

#include <vfio/driver.h>

#include "backends/raw.h"

static void virtual_open(struct session *s, const char *token)
{
	struct vfio_error err;
	struct raw *raw;

	if (raw_open(&raw, &kernel_roots, s->bdf, &err) < 0 ||
	    vfio_function_open((struct vfio_dev **)&s->other, raw->fn, &err) < 0)
		fail(err.what);
}

static void virtual_close(struct session *s)
{
	vfio_close(s->other);
}

/* What a call of the system's would have made of it. */
static ssize_t told(ssize_t r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

static ssize_t virtual_read(struct session *s, void *buf, size_t len, uint64_t offset)
{
	return told(vfio_pread(s->other, offset >> 40, offset & 0xffffffffff, buf, len));
}

static ssize_t virtual_write(struct session *s, const void *buf, size_t len, uint64_t offset)
{
	return told(vfio_pwrite(s->other, offset >> 40, offset & 0xffffffffff, buf, len));
}

static int region(struct session *s, struct vfio_region_info *info)
{
	struct vfio_region found;
	int r = vfio_region(s->other, info->index, &found);

	info->size = found.size;
	info->flags = found.flags;
	return r;
}

static int set_irqs(struct session *s, const struct vfio_irq_set *set)
{
	int r = vfio_irq_set(s->other, set);

	vfio_dispatch(s->other);
	return r;
}

static int virtual_ioctl(struct session *s, unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return told(vfio_info(s->other, arg));
	case VFIO_DEVICE_GET_REGION_INFO:
		return told(region(s, arg));
	case VFIO_DEVICE_GET_IRQ_INFO:
		return told(vfio_irq_info(s->other, ((struct vfio_irq_info *)arg)->index, arg));
	case VFIO_DEVICE_SET_IRQS:
		return told(set_irqs(s, arg));
	case VFIO_DEVICE_RESET:
		return told(vfio_reset(s->other));
	}
	return told(-ENOTTY);
}

static void virtual_wait(struct session *s)
{
	vfio_dispatch(s->other);
}

const struct road virtual_road = {
	.open = virtual_open,
	.read = virtual_read,
	.write = virtual_write,
	.ioctl = virtual_ioctl,
	.wait = virtual_wait,
	.close = virtual_close,
};
