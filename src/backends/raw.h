/* SPDX-License-Identifier: MIT */
/*
 * A virtual function of a PCI device of this machine, by nothing but sysfs: its configuration space
 * (config), its BARs (resource0 …), its ROM (rom), its reset (reset). Neither interrupts nor DMA
 * are looked after here.
 *
 *   raw.c            life; accesses
 *   raw_resource.c   what sysfs says of BARs and ROM, checked
 */
#ifndef LIBVFIO_BACKENDS_RAW_H
#define LIBVFIO_BACKENDS_RAW_H

#include <limits.h>

#include "backends/kernel.h"
#include "function/function.h"

struct raw_bar {
	uint64_t start, size;		/* of the machine's addresses; 0: there is none */
	uint32_t flags;			/* VFIO_BAR_… */
	int fd;				/* resourceN */
	uint8_t *pages;			/* of memory: those in which it lies, */
	size_t length;
	uint8_t *base;			/* and its first byte */
};

struct raw {
	struct vfio_function *fn;
	char bdf[KERNEL_BDF];
	char path[PATH_MAX];		/* of its folder, for people */
	int folder, config, reset;	/* reset: -1 where it has none */
	struct vfio_function_ops ops;
	struct raw_bar bars[NUM_BARS];
	uint64_t rom_size;
	uint16_t vendor, device;	/* of a virtual function, else 0 */
	uint32_t config_size;
	uint8_t dump[CONFIG_MAX];	/* as it was found */
};

/*
 * The function of the device, which is handed over as the kernel would (bus mastering off, reset).
 * Free it with vfio_function_free(), or by the handle that was made of it: bus mastering then ends
 * first, and what was in its registers is put back. 0, or -errno and a record.
 */
int raw_open(struct raw **raw, const struct kernel_roots *roots, const char *bdf,
	     struct vfio_error *err);

/* ---- raw_resource.c ------------------------------------------------------------------------- */

/* Fill bars (start, size, flags) and rom_size. */
int raw_read_resources(struct raw *raw, struct vfio_error *err);
/* Open resourceN, and map what is memory. */
int raw_open_bars(struct raw *raw, struct vfio_error *err);
void raw_close_bars(struct raw *raw);
/* The image, rom_size bytes that the caller frees; NULL when there is none that can be read. */
uint8_t *raw_read_rom(struct raw *raw);

/* It cannot be mapped, or written, with EPERM: nobody may. */
int raw_locked_down(const struct raw *raw, const char *what, const char *name, int e,
		    struct vfio_error *err);

/* A file of the device's folder makes no sense. */
int raw_no_sense(const struct raw *raw, const char *name, const char *why, struct vfio_error *err);

#endif
