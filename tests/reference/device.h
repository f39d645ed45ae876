/* SPDX-License-Identifier: MIT */
/*
 * The device that reference.h is a second statement of: one that has every capability whose
 * registers do something, and ports that make it do what devices do of their own accord.
 */
#ifndef TESTS_REFERENCE_DEVICE_H
#define TESTS_REFERENCE_DEVICE_H

#include <vfio/device.h>

/* I/O ports, which answer in every power state; 4 bytes wide. */
enum device_port {
	PORT_MSI	= 0x00,		/* WO: send this vector */
	PORT_INTX	= 0x04,		/* WO: level of the pin */
	PORT_ERROR	= 0x08,		/* WO: report an error */
	PORT_REQUEST	= 0x0c,		/* WO: want the device back */
	PORT_RESETS	= 0x10,		/* RO: how often it was reset */
	PORT_BACKDOOR	= 0x14,		/* WO: lose BARs and Command register */
	PORT_FAIL	= 0x18,		/* WO: will the next reset fail? */
};

#define DEVICE_PORTS      4u		/* the BAR of the ports */
#define DEVICE_PORTS_SIZE 32u
#define DEVICE_MEMORY     0u		/* the BAR of the MSI-X table and its pending bits */
#define DEVICE_MEMORY_SIZE 0x4000u
#define DEVICE_TABLE      0x2000u
#define DEVICE_PENDING    0x3000u
#define DEVICE_WIDE       2u		/* a 64-bit BAR: nothing in it */
#define DEVICE_WIDE_SIZE  0x10000u
#define DEVICE_VECTORS    8u		/* of MSI, and of MSI-X */
#define DEVICE_VPD_SIZE   64u
#define DEVICE_CONFIG_SIZE 4096u

struct device {
	unsigned int resets;
	bool fails;
};

extern const uint8_t device_vpd[DEVICE_VPD_SIZE];
/* Behind ID and next of the vendor's capability: bits that can be written. */
extern const uint8_t device_vendor_writable[8];

/* Make the function. The device is the caller's, and must outlive it. */
int device_new(struct vfio_function **fn, struct device *device, struct vfio_error *err);

#endif
