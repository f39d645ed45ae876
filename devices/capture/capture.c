/* SPDX-License-Identifier: MIT */
/*
 * The "capture" device: a real PCI device of which only the configuration space is there, as
 * somebody wrote it down. What it does is not: its BARs are memory that begins as zero, and it
 * raises no interrupt.
 *
 * Reading order: capture.h, this file, options.c, load.c, bars.c.
 */
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

/* What the library takes. */
#define MAX_ROM (16u << 20)
#define MAX_VPD (32u << 10)

/* ---- errors ------------------------------------------------------------------------------ */

int refuse(struct vfio_error *err, int number, enum vfio_error_code code, const char *remedy,
	   const char *format, ...)
{
	va_list args;

	*err = (struct vfio_error){ .err = number, .code = code, .who = VFIO_BY_MODEL };
	snprintf(err->remedy, sizeof(err->remedy), "%s", remedy);
	va_start(args, format);
	vsnprintf(err->what, sizeof(err->what), format, args);
	va_end(args);
	return -number;
}

int refuse_memory(struct vfio_error *err)
{
	return refuse(err, ENOMEM, VFIO_E_NO_MEMORY, "", "capture: the device cannot be made");
}

/* ---- BARs -------------------------------------------------------------------------------- */

/* Where the trapped bytes of an access are; the library divides it so that it touches one part. */
static uint8_t *find_bytes(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			   unsigned int width)
{
	struct capture *c = vfio_function_state(fn);

	for (unsigned int i = 0; i < c->ntrapped; i++) {
		const struct trapped *t = &c->trapped[i];

		if (t->bar == bar && offset >= t->offset && offset - t->offset < t->size &&
		    width <= t->size - (offset - t->offset))
			return t->bytes + (offset - t->offset);
	}
	return NULL;
}

static uint64_t capture_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			     unsigned int width)
{
	const uint8_t *bytes = find_bytes(fn, bar, offset, width);
	uint64_t value = 0;

	if (!bytes)
		return ~UINT64_C(0);
	memcpy(&value, bytes, width);
	return le64toh(value);
}

static void capture_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			  unsigned int width, uint64_t value)
{
	uint8_t *bytes = find_bytes(fn, bar, offset, width);

	value = htole64(value);
	if (bytes)
		memcpy(bytes, &value, width);
}

/* Shared memory is the library's: it is new for each user, and a reset leaves it alone. */
static int capture_reset(struct vfio_function *fn)
{
	struct capture *c = vfio_function_state(fn);

	for (unsigned int i = 0; i < c->ntrapped; i++)
		memset(c->trapped[i].bytes, 0, c->trapped[i].size);
	return 0;
}

static void capture_destroy(struct capture *c)
{
	for (unsigned int i = 0; i < c->ntrapped; i++)
		free(c->trapped[i].bytes);
	free(c->rom.at);
	free(c->vpd.at);
	free(c);
}

static void capture_free(struct vfio_function *fn)
{
	capture_destroy(vfio_function_state(fn));
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = capture_read,
	.write = capture_write,
	.reset = capture_reset,
	.free = capture_free,
};

/* ---- description ------------------------------------------------------------------------- */

/* A ROM of which only the size is known has a BAR. Flash that nobody wrote reads as ones. */
static int blank_rom(struct capture *c, struct vfio_error *err)
{
	uint64_t size = c->virtual_function ? 0 : c->dump.rom.size;

	if (size == 0 || size > MAX_ROM)
		return 0;
	c->rom = (struct bytes){ malloc(size), size };
	if (!c->rom.at)
		return refuse_memory(err);
	memset(c->rom.at, 0xff, size);
	return 0;
}

static int load_memories(struct capture *c, const struct options *o, struct vfio_error *err)
{
	int r = o->rom ? load_file(&c->rom, o->rom, MAX_ROM, err) : blank_rom(c, err);

	if (r == 0 && o->vpd)
		r = load_file(&c->vpd, o->vpd, MAX_VPD, err);
	return r;
}

/* What the device string says goes before what the file's place does. */
static int identify(struct capture *c, const struct options *o, struct vfio_error *err)
{
	const uint8_t *id = c->dump.config;

	c->virtual_function |= o->virtual_function;
	if (o->vendor) {
		c->vendor = o->vendor;
		c->device = o->device;
	}
	if (c->vendor || id[0] != 0xff || id[1] != 0xff)
		return 0;
	return refuse(err, EINVAL, VFIO_E_DESCRIPTION,
		      "if it is a virtual function, add vf=1,id=VENDOR:DEVICE, as lspci -n has it",
		      "capture: '%s' does not say which device it is: its vendor ID is ffff",
		      o->file);
}

static int describe(struct capture *c, const struct options *o, struct vfio_error *err)
{
	int r = load_dump(c, o, err);

	if (r == 0)
		r = identify(c, o, err);
	if (r == 0)
		r = describe_bars(c, o, err);
	if (r == 0)
		r = load_memories(c, o, err);
	if (r < 0)
		return r;
	c->description.size = sizeof(c->description);
	c->description.name = "capture";
	c->description.config = c->dump.config;
	c->description.config_size = c->dump.length;
	c->description.virtual_function = c->virtual_function;
	c->description.vendor = c->vendor;
	c->description.device = c->device;
	c->description.rom = c->rom.size ? c->rom.at : NULL;
	c->description.rom_size = c->rom.size;
	c->description.vpd = c->vpd.size ? c->vpd.at : NULL;
	c->description.vpd_size = c->vpd.size;
	return 0;
}

static int capture_create(struct vfio_function **fn, const char *text, struct vfio_error *err)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct options o = { 0 };
	int r;

	if (!c)
		return refuse_memory(err);
	r = options_parse(&o, text, err);
	if (r == 0)
		r = describe(c, &o, err);
	if (r == 0)
		r = vfio_function_new(fn, &c->description, &ops, c, err);
	options_free(&o);
	if (r < 0)
		capture_destroy(c);
	return r;
}

extern const struct vfio_device_module vfio_device_module;

__attribute__((visibility("default")))
const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "the configuration space of a real device, from a file",
	.create = capture_create,
};
