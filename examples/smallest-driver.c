/* SPDX-License-Identifier: MIT */
/*
 * The smallest driver: open a device, see which one it is, read a register.
 *
 *     smallest-driver [DEVICE]        without DEVICE: $VFIO_DEVICE
 */
#include <inttypes.h>
#include <stdio.h>

#include <vfio/driver.h>

int main(int argc, char **argv)
{
	struct vfio_dev *dev;
	struct vfio_error err;
	uint32_t id, value;

	if (vfio_open(&dev, argc > 1 ? argv[1] : NULL, &err) < 0)
		return vfio_error_print(stderr, argv[0], &err);

	/* Configuration space begins with the vendor and the device ID. */
	id = vfio_read32(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0);
	printf("device %04" PRIx32 ":%04" PRIx32 "\n", id & 0xffff, id >> 16);

	/* The first register of BAR 0. What it means is the device's affair. */
	value = vfio_read32(dev, VFIO_PCI_BAR0_REGION_INDEX, 0);
	printf("BAR 0, register 0: 0x%08" PRIx32 "\n", value);

	vfio_close(dev);
	return 0;
}
