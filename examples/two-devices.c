/* SPDX-License-Identifier: MIT */
/*
 * One buffer, two devices: both see it at the same I/O address, whoever serves them.
 *
 *     two-devices DEVICE DEVICE       for example ./doorbell-device.so unix:/tmp/doorbell.sock
 */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

#include <vfio/driver.h>

/* Open a device into the address space, and let it increment the number at an I/O address. */
static int ring(struct vfio_dev **dev, const char *name, struct vfio_space *space, uint64_t iova,
		struct vfio_error *err)
{
	int interrupt, r = vfio_open(dev, name, err);

	if (r < 0)
		return r;
	if ((r = vfio_space_attach(space, *dev)) < 0 ||
	    (r = vfio_irq_enable(*dev, VFIO_PCI_MSIX_IRQ_INDEX, 1, &interrupt)) < 0 ||
	    (r = vfio_set_bus_master(*dev, true)) < 0) {
		*err = *vfio_last_error(*dev);
		return r;
	}
	vfio_write64(*dev, VFIO_PCI_BAR0_REGION_INDEX, 0, iova);
	return vfio_irq_wait(*dev, interrupt, 1000) > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct vfio_dev *one = NULL, *two = NULL;
	struct vfio_space *space;
	struct vfio_dma memory;
	struct vfio_error err;
	uint64_t *number;
	int status = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: %s DEVICE DEVICE\n", argv[0]);
		return 2;
	}
	if (vfio_space_new(&space, &err) < 0)
		return vfio_error_print(stderr, argv[0], &err);
	if (vfio_space_alloc(space, &memory, sizeof(*number), VFIO_DMA_RW) < 0) {
		status = vfio_error_print(stderr, argv[0], vfio_space_last_error(space));
	} else {
		number = memory.vaddr;
		*number = htole64(40);
		if (ring(&one, argv[1], space, memory.iova, &err) < 0 ||
		    ring(&two, argv[2], space, memory.iova, &err) < 0)
			status = vfio_error_print(stderr, argv[0], &err);
		else
			printf("%" PRIu64 "\n", le64toh(*number));
	}
	vfio_close(one);
	vfio_close(two);
	vfio_space_free(space);
	return status;
}
