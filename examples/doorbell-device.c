/* SPDX-License-Identifier: MIT */
/*
 * A device with DMA and an interrupt: write an I/O address to the doorbell, register 0, and it
 * increments the 8-byte number that lies there in the driver's memory, then sends MSI-X vector 0.
 *
 * This is a module: any program of libvfio opens it by file name, and vfiod serves it.
 */
#include <endian.h>
#include <errno.h>

#include <vfio/device.h>

static void ring(struct vfio_function *fn, unsigned int bar, uint64_t offset, unsigned int width,
		 uint64_t iova)
{
	uint64_t number;

	if (offset != 0 || width != 8)
		return;
	if (vfio_function_dma_read(fn, iova, &number, sizeof(number)) < 0)
		return;
	number = htole64(le64toh(number) + 1);	/* PCI is little-endian */
	if (vfio_function_dma_write(fn, iova, &number, sizeof(number)) < 0)
		return;
	vfio_function_msi(fn, 0);
}

static const struct vfio_function_description description = {
	.size = sizeof(description), .name = "doorbell",
	.vendor = 0x1234, .device = 0x0002, .class_code = 0xff0000,
	/* A page for the doorbell, one for the vector table, one for its pending bits. */
	.bars[0].size = 0x4000,
	.msix_vectors = 1, .msix_bar = 0, .msix_table = 0x1000, .msix_pba = 0x2000,
};

static const struct vfio_function_ops ops = { .size = sizeof(ops), .write = ring };

static int create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	if (!*options)
		return vfio_function_new(fn, &description, &ops, NULL, err);
	*err = (struct vfio_error){ EINVAL, VFIO_E_OPTION, VFIO_BY_MODEL,
				    "doorbell was given an option", "it has none: leave it out" };
	return -EINVAL;
}

extern const struct vfio_device_module vfio_device_module;
const struct vfio_device_module vfio_device_module = {
	VFIO_DEVICE_MODULE_VERSION, "increments a number in memory when its doorbell rings", create,
};
