/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <errno.h>
#include <linux/pci_regs.h>

/* A large resource "VFIO", then the end tag; the rest of the memory is not used. */
const uint8_t device_vpd[DEVICE_VPD_SIZE] = {
	0x82, 4, 0, 'V', 'F', 'I', 'O', 0x78, [DEVICE_VPD_SIZE - 1] = 0x5a,
};

/* Length, and that transactions can be asked for and a reset done; control; status. */
static const uint8_t advanced_features[] = { 6, PCI_AF_CAP_TP | PCI_AF_CAP_FLR, 0, 0 };
/* Expansion slots; chassis number. Not shown to a user of VFIO. */
static const uint8_t slot_id[] = { 0x21, 7 };
/* Length, and seven bytes of the vendor's own, of which some can be written. */
static const uint8_t vendor[] = { 10, 'v', 'e', 'n', 'd', 'o', 'r', 0 };

const uint8_t device_vendor_writable[8] = { 0, 0, 0xff, 0x0f, 0, 0, 0xf0, 0xff };

static const struct vfio_capability_description capabilities[] = {
	{ .id = PCI_CAP_ID_AF, .length = sizeof(advanced_features), .bytes = advanced_features },
	{ .id = PCI_CAP_ID_SLOTID, .length = sizeof(slot_id), .bytes = slot_id },
	{ .id = PCI_CAP_ID_VNDR, .length = sizeof(vendor), .bytes = vendor,
	  .writable = device_vendor_writable },
};

static const struct vfio_function_description description = {
	.size = sizeof(description),
	.name = "reference",
	.vendor = 0x1b36, .device = 0x0005, .subsystem_vendor = 0x1af4, .subsystem = 0x1100,
	.revision = 1, .class_code = 0xff0000,
	.interrupt_pin = 1,
	.msi_vectors = DEVICE_VECTORS, .msi_mask = true,
	.msix_vectors = DEVICE_VECTORS,
	.msix_bar = DEVICE_MEMORY, .msix_table = DEVICE_TABLE, .msix_pba = DEVICE_PENDING,
	.power_management = true, .express = true,
	.bars = {
		[DEVICE_MEMORY] = { .size = DEVICE_MEMORY_SIZE },
		[DEVICE_WIDE] = { .size = DEVICE_WIDE_SIZE,
				  .flags = VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH },
		[DEVICE_PORTS] = { .size = DEVICE_PORTS_SIZE, .flags = VFIO_BAR_IO },
	},
	.ncapabilities = sizeof(capabilities) / sizeof(capabilities[0]),
	.capabilities = capabilities,
	.vpd = device_vpd, .vpd_size = sizeof(device_vpd),
};

static uint64_t read_port(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			  unsigned int width)
{
	const struct device *d = vfio_function_state(fn);

	return bar == DEVICE_PORTS && offset == PORT_RESETS ? d->resets : UINT64_MAX;
}

static void write_port(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		       unsigned int width, uint64_t value)
{
	struct device *d = vfio_function_state(fn);

	if (bar != DEVICE_PORTS)
		return;
	switch (offset) {
	case PORT_MSI:
		vfio_function_msi(fn, value);
		break;
	case PORT_INTX:
		vfio_function_intx(fn, value);
		break;
	case PORT_ERROR:
		vfio_function_error(fn);
		break;
	case PORT_REQUEST:
		vfio_function_request(fn);
		break;
	case PORT_BACKDOOR:
		vfio_function_backdoor_reset(fn);
		break;
	case PORT_FAIL:
		d->fails = value;
		break;
	}
}

static int reset(struct vfio_function *fn)
{
	struct device *d = vfio_function_state(fn);

	if (d->fails) {
		d->fails = false;
		return -EIO;
	}
	d->resets++;
	vfio_function_intx(fn, false);
	return 0;
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = read_port,
	.write = write_port,
	.reset = reset,
};

int device_new(struct vfio_function **fn, struct device *device, struct vfio_error *err)
{
	int r;

	device->fails = false;
	r = vfio_function_new(fn, &description, &ops, device, err);
	device->resets = 0;	/* it was made, and not reset */
	return r;
}
