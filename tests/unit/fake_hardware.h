/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of a device that is there, as a bus shows it: bits that can be written, that
 * ones clear, that do something; and a record of each access.
 */
#ifndef TESTS_FAKE_HARDWARE_H
#define TESTS_FAKE_HARDWARE_H

#include <vfio/device.h>

#define FAKE_PM      0x40
#define FAKE_MSI     0x50	/* 64-bit, with masks, 4 vectors */
#define FAKE_MSIX    0x70	/* 8 vectors in BAR 0 */
#define FAKE_EXPRESS 0x80
#define FAKE_VPD     0xc0
#define FAKE_HIDDEN  0xd0	/* Secure, which VFIO shows to nobody */
#define FAKE_VENDOR  0xe0	/* 16 bytes */
#define FAKE_AER     0x100

struct fake_write {
	unsigned int offset, width;
	uint32_t value;
};

struct fake_hardware {
	uint8_t bytes[4096], write[4096], clear[4096];
	uint8_t vital[64];
	unsigned int reads, resets;
	unsigned int nwrites;
	struct fake_write writes[64];	/* the last of them, from its beginning again */
	bool mute;			/* vital product data never come */
	bool gone;
};

/* As the firmware and a driver have left it: in use, BAR 0 of 16 KiB at an address. */
void fake_init(struct fake_hardware *h);

/* The device as the description and the callbacks of a function; its state is the fake. */
extern const struct vfio_function_description fake_description;
extern const struct vfio_function_ops fake_ops;
int fake_function(struct vfio_function **fn, struct fake_hardware *h, struct vfio_error *err);

uint32_t fake_get(const struct fake_hardware *h, unsigned int offset, unsigned int width);
void fake_put(struct fake_hardware *h, unsigned int offset, unsigned int width, uint32_t value);
/* Was anything written that touches the byte since then? */
bool fake_was_written(const struct fake_hardware *h, unsigned int since, unsigned int offset);

#endif
