/* SPDX-License-Identifier: MIT */
/* A device with everything that a description can have, and some capabilities byte by byte. */
#include <errno.h>

#include <vfio/device.h>

static const uint8_t vital[] = { 0x82, 0x04, 0x00, 'e', 'v', 'e', 'r', 0x78 };
static const uint8_t image[2048] = { 0x55, 0xaa, 0x04 };

/* What follows ID and next: Length, AFCap (TP, FLR), AFCtrl, AFStatus. */
static const uint8_t advanced[] = { 0x06, 0x03, 0x00, 0x00 };
/* Length, and what only the vendor knows. */
static const uint8_t vendor[] = { 0x10, 0xa5, 0x5a, 0x00, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
static const uint8_t subsystem[] = { 0x00, 0x00, 0x34, 0x12, 0x78, 0x56 };
static const uint8_t serial[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t latency[] = { 0x00, 0x10, 0x00, 0x10 };
static const uint8_t pasid[] = { 0x06, 0x10, 0x00, 0x00 };
static const uint8_t designated[] = { 0x34, 0x12, 0xc1, 0x00, 0x02, 0x00, 0xee, 0xff };

static const struct vfio_capability_description capabilities[] = {
	{ .id = 0x13, .length = sizeof(advanced), .bytes = advanced },
	{ .id = 0x0d, .length = sizeof(subsystem), .bytes = subsystem },
	{ .id = 0x09, .length = sizeof(vendor), .bytes = vendor },
	{ .extended = true, .version = 1, .id = 0x03, .length = sizeof(serial), .bytes = serial },
	{ .extended = true, .version = 1, .id = 0x1b, .length = sizeof(pasid), .bytes = pasid },
	{ .extended = true, .version = 1, .id = 0x18, .length = sizeof(latency), .bytes = latency },
	{ .extended = true, .version = 1, .id = 0x23, .length = sizeof(designated),
	  .bytes = designated },
};

static const struct vfio_function_description description = {
	.size = sizeof(description),
	.name = "express",
	.vendor = 0x1234, .device = 0x0e00, .class_code = 0xff0000,
	.subsystem_vendor = 0x1234, .subsystem = 1,
	.interrupt_pin = 1,
	.msi_vectors = 8, .msi_mask = true,
	.msix_vectors = 4, .msix_bar = 4, .msix_table = 0, .msix_pba = 0x1000,
	.power_management = true,
	.bars = {
		[0] = { .size = 1 << 20, .flags = VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH },
		[2] = { .size = 32, .flags = VFIO_BAR_IO },
		[4] = { .size = 1 << 14 },
	},
	.express = true,
	.ncapabilities = sizeof(capabilities) / sizeof(capabilities[0]),
	.capabilities = capabilities,
	.vpd = vital, .vpd_size = sizeof(vital),
	.rom = image, .rom_size = sizeof(image),
};

static int reset(struct vfio_function *fn)
{
	return 0;
}

static const struct vfio_function_ops ops = { .size = sizeof(ops), .reset = reset };

static int create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	if (!*options)
		return vfio_function_new(fn, &description, &ops, NULL, err);
	*err = (struct vfio_error){ EINVAL, VFIO_E_OPTION, VFIO_BY_MODEL, "express has no options",
				    "" };
	return -EINVAL;
}

extern const struct vfio_device_module vfio_device_module;

__attribute__((visibility("default")))
const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "everything that can be described",
	.create = create,
};
