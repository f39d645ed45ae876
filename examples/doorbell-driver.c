/* SPDX-License-Identifier: MIT */
/*
 * DMA and an interrupt: put a number into memory, ring the doorbell, wait, see it incremented.
 *
 *     doorbell-driver DEVICE          for example ./doorbell-device.so
 */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

#include <vfio/driver.h>

int main(int argc, char **argv)
{
	struct vfio_dev *dev;
	struct vfio_error err;
	struct vfio_dma memory;
	uint64_t *number;
	int interrupt;

	/* 1. Open it. */
	if (vfio_open(&dev, argc > 1 ? argv[1] : NULL, &err) < 0)
		return vfio_error_print(stderr, argv[0], &err);

	/* 2. Memory for it, an eventfd for its interrupt, and its leave to use both. */
	if (vfio_dma_alloc(dev, &memory, sizeof(*number), VFIO_DMA_RW) < 0 ||
	    vfio_irq_enable(dev, VFIO_PCI_MSIX_IRQ_INDEX, 1, &interrupt) < 0 ||
	    vfio_set_bus_master(dev, true) < 0)
		goto failed;

	/* 3. Ring, with the address as the device sees it. */
	number = memory.vaddr;
	*number = htole64(41);
	vfio_write64(dev, VFIO_PCI_BAR0_REGION_INDEX, 0, memory.iova);

	/* 4. Sleep until it interrupts. */
	if (vfio_irq_wait(dev, interrupt, 1000) <= 0) {
		fprintf(stderr, "%s: no interrupt within a second\n", argv[0]);
		vfio_close(dev);
		return 1;
	}
	printf("%" PRIu64 "\n", le64toh(*number));

	vfio_close(dev);
	return 0;
failed:
	vfio_error_print(stderr, argv[0], vfio_last_error(dev));
	vfio_close(dev);
	return 1;
}
