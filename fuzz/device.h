/* SPDX-License-Identifier: MIT */
/* A device with everything that a function can have, for the fuzz targets to use and misuse. */
#ifndef FUZZ_DEVICE_H
#define FUZZ_DEVICE_H

#include <vfio/device.h>

#define DEVICE_VENDOR 0x1234
#define DEVICE_DEVICE 0x5678

/* Registers of BAR 0; its second page is memory. BAR 2 has MSI-X and memory, BAR 5 is I/O. */
enum {
	REG_IOVA = 0x00,		/* 8 bytes */
	REG_LEN = 0x08,			/* at most DEVICE_BUFFER counts */
	REG_GO = 0x0c,			/* write: one of GO_* */
	REG_INTX = 0x10,		/* bit 0: the level */
	REG_MSI = 0x14,			/* write: send this vector */
	REG_GONE = 0x18,		/* bit 0: do DMA when memory goes */
	REG_SCRATCH = 0x20,
};

enum { GO_READ = 1, GO_WRITE, GO_SPANS, GO_TOUCH, GO_TWICE };

#define DEVICE_BUFFER 8192
#define DEVICE_SPANS  8
#define DEVICE_BARS   6

struct device {
	uint64_t iova;
	uint32_t len, intx, gone, scratch;
	struct vfio_span spans[DEVICE_SPANS];
	int nspans;
	unsigned int resets;
	uint8_t buffer[DEVICE_BUFFER];
};

/* Sizes and flags of the BARs. */
extern const struct vfio_bar_description device_bars[DEVICE_BARS];

/* A new function of it, whose state is *d, which must outlive it. Ends the program on failure. */
struct vfio_function *device_new(struct device *d);

/* Do what REG_GO does. */
void device_go(struct vfio_function *fn, uint32_t what);

#endif
