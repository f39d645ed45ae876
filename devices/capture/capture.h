/* SPDX-License-Identifier: MIT */
/* What the files of this device offer each other. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfio/device.h>
#include <vfio/pci.h>

#define BARS 6

/* A file's bytes, or none. */
struct bytes {
	uint8_t *at;
	size_t size;
};

/* The device string, taken apart. NULL, 0: not said. */
struct options {
	char *file, *slot, *rom, *vpd;
	struct vfio_pci_resource bars[BARS];
	uint16_t vendor, device;
	bool virtual_function;
};

/* Bytes of a BAR that are no shared memory: accesses come one by one. */
struct trapped {
	unsigned int bar;
	uint64_t offset, size;
	uint8_t *bytes;
};

/* BARs that are all trapped, and the two parts of MSI-X. */
#define MAX_TRAPPED (BARS + 2)
/* Around and between those two parts. */
#define MAX_AREAS 3

struct capture {
	struct vfio_pci_dump dump;
	/* A virtual function's registers do not say which device it is. */
	bool virtual_function;
	uint16_t vendor, device;
	struct vfio_function_description description;
	struct vfio_area areas[BARS][MAX_AREAS];
	struct trapped trapped[MAX_TRAPPED];
	unsigned int ntrapped;
	struct bytes rom, vpd;
};

/* Fill *err; returns the negative errno. */
int refuse(struct vfio_error *err, int number, enum vfio_error_code code, const char *remedy,
	   const char *format, ...) __attribute__((format(printf, 5, 6)));
int refuse_memory(struct vfio_error *err);

/* ---- options.c --------------------------------------------------------------------------- */

int options_parse(struct options *o, const char *text, struct vfio_error *err);
void options_free(struct options *o);

/* ---- load.c ------------------------------------------------------------------------------ */

/* All of a file, which may not be larger than most. */
int load_file(struct bytes *bytes, const char *path, size_t most, struct vfio_error *err);
/* The dump that the options name, and what else its place says of the device. */
int load_dump(struct capture *c, const struct options *o, struct vfio_error *err);

/* ---- bars.c ------------------------------------------------------------------------------ */

/* Describe the BARs, each in areas of memory and trapped bytes. */
int describe_bars(struct capture *c, const struct options *o, struct vfio_error *err);

#endif
