/* SPDX-License-Identifier: MIT */
/* A device whose list of capabilities runs in a circle, and whose name is not in UTF-8. */
#include <vfio/device.h>

static const uint8_t config[256] = {
	[0x00] = 0x34, [0x01] = 0x12,	/* vendor */
	[0x02] = 0x61, [0x03] = 0x6d,	/* device */
	[0x06] = 0x10,			/* Status: there is a list */
	[0x0b] = 0xff,			/* class */
	[0x34] = 0x40,			/* where it begins */
	[0x40] = 0x09, [0x41] = 0x50, [0x42] = 0x08,
	[0x50] = 0x09, [0x51] = 0x40, [0x52] = 0x08,
};

static const struct vfio_function_ops ops = { .size = sizeof(ops) };

static int create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	const struct vfio_function_description description = {
		.size = sizeof(description),
		.name = "malf\xffrmed",
		.config = config,
		.config_size = sizeof(config),
	};

	return vfio_function_new(fn, &description, &ops, NULL, err);
}

extern const struct vfio_device_module vfio_device_module;

const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "a device whose configuration space is malformed",
	.create = create,
};
