/* SPDX-License-Identifier: MIT */
/*
 * A device that is never done: it keeps a descriptor readable, so as to be called again at once. Register
 * 0 tells how often it was.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vfio/device.h>

static uint32_t turns;

static void turn(struct vfio_function *fn, int fd, void *arg)
{
	turns++;
}

static uint64_t read_register(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			      unsigned int width)
{
	return offset ? ~0ull : turns;
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = read_register,
};

static int create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	const struct vfio_function_description description = {
		.size = sizeof(description),
		.name = "busy",
		.vendor = 0x1234,
		.device = 0x6275,
		.class_code = 0xff0000,
		.bars = { { .size = 4096 } },
	};
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), ret;

	if (fd < 0) {
		*err = (struct vfio_error){ .err = errno, .code = VFIO_E_SYSTEM,
					    .who = VFIO_BY_KERNEL, .what = "no eventfd" };
		return -err->err;
	}
	ret = vfio_function_new(fn, &description, &ops, NULL, err);
	if (ret < 0)
		close(fd);
	return ret < 0 ? ret : vfio_function_watch(*fn, fd, turn, NULL);
}

const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "is never done",
	.create = create,
};
