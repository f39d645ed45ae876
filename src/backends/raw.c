/* SPDX-License-Identifier: MIT */
#include "backends/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/areas.h"
#include "backends/sysfs_file.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

static struct raw *raw_of(struct vfio_function *fn)
{
	return vfio_function_state(fn);
}

/* ---- what the function asks of the device ---------------------------------------------------- */

/* Of a device that has gone the file gives ones, or nothing. */
static uint32_t config_read(struct vfio_function *fn, unsigned int offset, unsigned int width)
{
	uint8_t bytes[4];

	if (pread(raw_of(fn)->config, bytes, width, offset) != (ssize_t)width)
		return width_mask(width);
	return le_get(bytes, width);
}

static void write_config(const struct raw *raw, unsigned int offset, unsigned int width,
			 uint32_t value)
{
	uint8_t bytes[4];
	ssize_t n;

	le_put(bytes, width, value);
	n = pwrite(raw->config, bytes, width, offset);
	(void)n;		/* it has gone: its reads will say so */
}

static void config_write(struct vfio_function *fn, unsigned int offset, unsigned int width,
			 uint32_t value)
{
	write_config(raw_of(fn), offset, width, value);
}

/* Ports are 1, 2 or 4 bytes wide, and each width is another access. */
static uint64_t port_read(const struct raw_bar *bar, uint64_t offset, unsigned int width)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < width; i += 4) {
		unsigned int part = width < 4 ? width : 4;

		if (pread(bar->fd, bytes + i, part, offset + i) != (ssize_t)part)
			return UINT64_MAX;
	}
	return le_get(bytes, width);
}

static void port_write(const struct raw_bar *bar, uint64_t offset, unsigned int width,
		       uint64_t value)
{
	uint8_t bytes[8];
	ssize_t n = 0;

	le_put(bytes, width, value);
	for (unsigned int i = 0; i < width && n >= 0; i += 4)
		n = pwrite(bar->fd, bytes + i, width < 4 ? width : 4, offset + i);
}

/* What is not in an area: small BARs, and what lies in a page with vectors. */
static uint64_t bar_read(struct vfio_function *fn, unsigned int i, uint64_t offset,
			 unsigned int width)
{
	const struct raw_bar *bar = &raw_of(fn)->bars[i];

	return bar->flags & VFIO_BAR_IO ? port_read(bar, offset, width)
					: function_memory_read(bar->base + offset, width);
}

static void bar_write(struct vfio_function *fn, unsigned int i, uint64_t offset, unsigned int width,
		      uint64_t value)
{
	const struct raw_bar *bar = &raw_of(fn)->bars[i];

	if (bar->flags & VFIO_BAR_IO)
		port_write(bar, offset, width, value);
	else
		function_memory_write(bar->base + offset, width, value);
}

/* The kernel saves configuration space before, and restores it. */
static int reset(struct vfio_function *fn)
{
	return pwrite(raw_of(fn)->reset, "1", 1, 0) == 1 ? 0 : -errno;
}

/* ---- closing --------------------------------------------------------------------------------- */

static void release(struct raw *raw)
{
	raw_close_bars(raw);
	fd_close(&raw->reset);
	fd_close(&raw->config);
	fd_close(&raw->folder);
	free(raw);
}

/*
 * Bus mastering ends first; then everything is as it was handed over, and reset; then Command is as
 * it was found, but for bus mastering, which nobody is there for any more.
 */
static void give_back(struct vfio_function *fn)
{
	struct raw *raw = raw_of(fn);
	bool keep = fn->policy.keep;

	function_recycle(fn);
	if (!keep)
		write_config(raw, PCI_COMMAND, 2,
			     le16_get(raw->dump + PCI_COMMAND) & ~PCI_COMMAND_MASTER);
	release(raw);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_folder(struct raw *raw, const struct kernel_roots *roots, struct vfio_error *err)
{
	snprintf(raw->path, sizeof(raw->path), "%s/bus/pci/devices/%s", roots->sys, raw->bdf);
	raw->folder = open(raw->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (raw->folder >= 0)
		return 0;
	if (errno == ENOENT)
		return error_set(err, ENODEV, VFIO_E_NO_DEVICE, VFIO_BY_KERNEL,
				 "lsvfio lists the devices that there are",
				 "there is no PCI device %s", raw->bdf);
	return error_system(err, errno, "opening %.180s", raw->path);
}

static int need_root(const struct raw *raw, const char *name, int e, struct vfio_error *err)
{
	return error_set(err, e, VFIO_E_PERMISSION, VFIO_BY_KERNEL,
			 "run it as root: all of configuration space needs CAP_SYS_ADMIN",
			 "opening %.180s/%s", raw->path, name);
}

static int read_config(struct raw *raw, struct vfio_error *err)
{
	struct stat st;
	ssize_t n;

	raw->config = openat(raw->folder, "config", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (raw->config < 0)
		return errno == EACCES ? need_root(raw, "config", errno, err)
				       : error_system(err, errno, "opening %.180s/config", raw->path);
	if (fstat(raw->config, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (st.st_size != CONFIG_SIZE && st.st_size != CONFIG_MAX))
		return raw_no_sense(raw, "config", "it has neither 256 nor 4096 bytes", err);
	raw->config_size = st.st_size;
	n = pread(raw->config, raw->dump, raw->config_size, 0);
	if (n == PCI_STD_HEADER_SIZEOF)		/* what the kernel shows to everybody */
		return need_root(raw, "config", EPERM, err);
	if (n != st.st_size)
		return error_system(err, n < 0 ? errno : EIO, "reading %.180s/config", raw->path);
	if (le16_get(raw->dump + PCI_VENDOR_ID) == 0xffff && !raw->vendor)
		return error_set(err, ENODEV, VFIO_E_GONE, VFIO_BY_MODEL,
				 "was it pulled, or does it sleep too deeply?",
				 "%s does not answer: its configuration space reads as ones", raw->bdf);
	return 0;
}

/* In configuration space a virtual function has no IDs. */
static int read_id(struct raw *raw, const char *name, uint16_t *id, struct vfio_error *err)
{
	char text[16], *end;
	ssize_t n = sysfs_read_text(raw->folder, name, text, sizeof(text));
	unsigned long value;

	if (n < 0)
		return error_system(err, -n, "reading %.180s/%s", raw->path, name);
	value = strtoul(text, &end, 16);
	if (end == text || (*end && *end != '\n') || !value || value >= 0xffff)
		return raw_no_sense(raw, name, "it is no ID", err);
	*id = value;
	return 0;
}

static int read_ids(struct raw *raw, struct vfio_error *err)
{
	int r;

	if (faccessat(raw->folder, "physfn", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	r = read_id(raw, "vendor", &raw->vendor, err);
	return r < 0 ? r : read_id(raw, "device", &raw->device, err);
}

/* The pages of the MSI-X table are not mapped: its vectors are nobody's memory. */
static void cut_msix(const struct raw *raw, unsigned int bar, struct vfio_region *region)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	const uint64_t page = sysconf(_SC_PAGESIZE);
	unsigned int n = vfio_pci_walk(raw->dump, raw->config_size, caps, NULL);

	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *cap = raw->dump + caps[i].offset;
		uint32_t table, entries;

		if (caps[i].id != PCI_CAP_ID_MSIX || caps[i].length < PCI_CAP_MSIX_SIZEOF)
			continue;
		table = le32_get(cap + PCI_MSIX_TABLE);
		entries = (le16_get(cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1u;
		if ((table & PCI_MSIX_TABLE_BIR) != bar)
			continue;
		table &= PCI_MSIX_TABLE_OFFSET;
		areas_cut(region, table & ~(page - 1),
			  align_up((uint64_t)table + entries * PCI_MSIX_ENTRY_SIZE, page));
	}
}

/* What of a BAR can be mapped: whole pages. */
static void find_areas(const struct raw *raw, unsigned int i, struct vfio_region *region)
{
	const struct raw_bar *bar = &raw->bars[i];

	region->nareas = 0;
	if (!bar->pages || bar->size < (uint64_t)sysconf(_SC_PAGESIZE))
		return;
	region->areas[region->nareas++] = (struct vfio_area){ 0, bar->size };
	cut_msix(raw, i, region);
}

/* By the type in its config file a BAR is what resource says, or one of the two lies. */
static int make_function(struct raw *raw, struct vfio_error *err)
{
	struct vfio_function_description d = {
		.size = sizeof(d), .name = raw->bdf, .config = raw->dump,
		.config_size = raw->config_size, .virtual_function = raw->vendor,
		.vendor = raw->vendor, .device = raw->device, .rom_size = raw->rom_size,
	};
	struct vfio_region regions[NUM_BARS];
	uint8_t *rom = raw_read_rom(raw);
	struct vfio_error said;
	int r;

	d.rom = rom;
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		find_areas(raw, i, &regions[i]);
		d.bars[i] = (struct vfio_bar_description){
			.size = raw->bars[i].size, .flags = raw->bars[i].flags,
			.nareas = regions[i].nareas, .areas = regions[i].areas,
		};
	}
	r = vfio_function_new(&raw->fn, &d, &raw->ops, raw, &said);
	free(rom);
	if (r < 0 && said.code == VFIO_E_DESCRIPTION)
		return raw_no_sense(raw, "resource", said.what, err);
	if (r < 0 && err)
		*err = said;
	return r;
}

static int check_type(const struct raw *raw, struct vfio_error *err)
{
	if ((raw->dump[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK) == PCI_HEADER_TYPE_NORMAL)
		return 0;
	return error_set(err, ENODEV, VFIO_E_BIND, VFIO_BY_LIBRARY,
			 "name one of the devices behind it",
			 "%s is a bridge, and no device that can be driven", raw->bdf);
}

/*
 * That sysfs has the file does not say that it works: another device on the bus may be in the way.
 */
static void find_reset(struct raw *raw)
{
	raw->reset = openat(raw->folder, "reset", O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (raw->reset >= 0 && pwrite(raw->reset, "1", 1, 0) != 1 && errno == ENOTTY)
		fd_close(&raw->reset);
	raw->ops = (struct vfio_function_ops){
		.size = sizeof(raw->ops), .read = bar_read, .write = bar_write, .free = give_back,
		.reset = raw->reset < 0 ? NULL : reset,
		.config_read = config_read, .config_write = config_write,
	};
}

/*
 * A kernel that is locked down lets configuration space and ports be opened and read, and writes fail.
 * What is written here is what a device is handed over with.
 */
static int check_writes(const struct raw *raw, struct vfio_error *err)
{
	uint8_t command[2];

	le16_put(command, le16_get(raw->dump + PCI_COMMAND) & ~PCI_COMMAND_MASTER);
	if (pwrite(raw->config, command, sizeof(command), PCI_COMMAND) >= 0 || errno != EPERM)
		return 0;
	return raw_locked_down(raw, "writing", "config", EPERM, err);
}

static int start(struct raw *raw, const struct kernel_roots *roots, struct vfio_error *err)
{
	int r = open_folder(raw, roots, err);

	if (r == 0)
		r = read_ids(raw, err);
	if (r == 0)
		r = read_config(raw, err);
	if (r == 0)
		r = check_type(raw, err);
	if (r == 0)
		r = raw_read_resources(raw, err);
	if (r == 0)
		r = raw_open_bars(raw, err);
	if (r == 0)
		r = check_writes(raw, err);
	if (r < 0)
		return r;
	find_reset(raw);
	return make_function(raw, err);
}

int raw_open(struct raw **out, const struct kernel_roots *roots, const char *bdf,
	     struct vfio_error *err)
{
	struct raw *raw = calloc(1, sizeof(*raw));
	int r;

	*out = NULL;
	if (!raw)
		return error_system(err, ENOMEM, "opening %s", bdf);
	raw->folder = raw->config = raw->reset = -1;
	for (unsigned int i = 0; i < NUM_BARS; i++)
		raw->bars[i].fd = -1;
	snprintf(raw->bdf, sizeof(raw->bdf), "%s", bdf);
	r = start(raw, roots, err);
	if (r < 0) {
		release(raw);
		return r;
	}
	for (unsigned int i = 0; i < NUM_BARS; i++)
		if (raw->fn->description.bars[i].nareas)
			function_memory_give(raw->fn, i, raw->bars[i].base, raw->bars[i].fd);
	*out = raw;
	return 0;
}
