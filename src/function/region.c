/* SPDX-License-Identifier: MIT */
/* Regions: what they are, and accesses to BARs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "function/function.h"

#define READ_WRITE (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE)

/* ---- memory areas ------------------------------------------------------------------------- */

static void drop_bar(struct bar_memory *m, uint64_t size)
{
	if (m->base)
		munmap(m->base, size);
	m->base = NULL;
	fd_close(&m->fd);
}

void function_memory_free(struct vfio_function *fn)
{
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		struct bar_memory *m = &fn->memory[i];

		if (!m->given)
			drop_bar(m, fn->description.bars[i].size);
	}
}

void function_memory_give(struct vfio_function *fn, unsigned int bar, uint8_t *base, int fd)
{
	struct bar_memory *m = &fn->memory[bar];

	drop_bar(m, fn->description.bars[bar].size);
	*m = (struct bar_memory){ .base = base, .fd = fd, .given = true };
}

/* A memory file that whoever holds it can neither shrink nor grow. */
static int sealed_file(uint64_t size)
{
	int fd = memfd_create("vfio-bar", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* What old has in [at, end) into the file fd, holes left out. */
static int copy_area(const struct bar_memory *old, int fd, off_t at, off_t end)
{
	off_t data, hole;

	while ((data = lseek(old->fd, at, SEEK_DATA)) >= 0 && data < end) {
		hole = lseek(old->fd, data, SEEK_HOLE);
		at = hole < 0 || hole > end ? end : hole;
		while (data < at) {
			ssize_t n = pwrite(fd, old->base + data, at - data, data);

			if (n < 0)
				return -errno;
			data += n;
		}
	}
	return 0;
}

/* New memory at the same addresses, zeroed or with the same contents. */
static int renew_bar(struct vfio_function *fn, unsigned int i, bool keep)
{
	const struct vfio_bar_description *bar = &fn->description.bars[i];
	struct bar_memory *m = &fn->memory[i];
	uint64_t page = sysconf(_SC_PAGESIZE);
	int fd;

	if (!m->base) {
		void *base = mmap(NULL, bar->size, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (base == MAP_FAILED)
			return -errno;
		m->base = base;
	}
	fd = sealed_file(align_up(bar->size, page));
	if (fd < 0)
		return fd;
	for (uint32_t a = 0; a < bar->nareas; a++) {
		const struct vfio_area *area = &bar->areas[a];
		int r = keep ? copy_area(m, fd, area->offset, area->offset + area->size) : 0;

		if (r == 0 && mmap(m->base + area->offset, area->size, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_FIXED, fd, area->offset) == MAP_FAILED)
			r = -errno;
		if (r < 0) {
			close(fd);
			return r;
		}
	}
	fd_close(&m->fd);
	m->fd = fd;
	return 0;
}

/* Whatever it holds: the last user may still hold the old. */
int function_memory_renew(struct vfio_function *fn, bool keep, struct vfio_error *err)
{
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		bool ours = fn->description.bars[i].nareas && !fn->memory[i].given;
		int r = ours ? renew_bar(fn, i, keep) : 0;

		if (r < 0)
			return error_system(err, -r, "making the memory of BAR %u", i);
	}
	return 0;
}

EXPORT void *vfio_function_memory(struct vfio_function *fn, unsigned int bar)
{
	return bar < NUM_BARS ? fn->memory[bar].base : NULL;
}

/* An image that does not begin like one is not shown (PCI 3.0, 6.3.1.1). */
static bool has_rom(const struct vfio_function *fn)
{
	return fn->rom && fn->description.rom_size >= 2 && fn->rom[0] == 0x55 && fn->rom[1] == 0xaa;
}

/* ---- description -------------------------------------------------------------------------- */

int function_region(struct vfio_function *fn, uint32_t index, struct vfio_region *region)
{
	*region = (struct vfio_region){ .index = index, .fd = -1 };
	if (index >= VFIO_PCI_NUM_REGIONS)
		return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_NO_REGION, VFIO_BY_FUNCTION,
				"vfio_info() says how many regions there are",
				"region %u: the device has %d", index, VFIO_PCI_NUM_REGIONS));
	if (index == VFIO_PCI_CONFIG_REGION_INDEX) {
		region->size = fn->config_size;
		region->flags = READ_WRITE;
	}
	if (index == VFIO_PCI_ROM_REGION_INDEX && has_rom(fn)) {
		region->size = fn->rom_size;
		region->flags = VFIO_REGION_INFO_FLAG_READ;
	}
	if (index < NUM_BARS) {
		const struct vfio_bar_description *bar = &fn->description.bars[index];

		region->size = bar->size;
		region->flags = bar->size ? READ_WRITE : 0;
		region->nareas = bar->nareas;
		for (uint32_t i = 0; i < bar->nareas; i++)
			region->areas[i] = bar->areas[i];
		if (bar->nareas) {
			region->flags |= VFIO_REGION_INFO_FLAG_MMAP;
			region->fd = fn->memory[index].fd;
		}
	}
	return 0;
}

/* ---- accesses ----------------------------------------------------------------------------- */

enum place { TRAPPED, MEMORY, MSIX_TABLE, MSIX_PENDING };

/*
 * Areas begin on pages, and MSI-X structures at multiples of 8, so one naturally aligned access has
 * one place.
 */
static enum place place_of(const struct vfio_function *fn, unsigned int i, uint64_t offset)
{
	const struct vfio_bar_description *bar = &fn->description.bars[i];
	const struct msix_place *m = &fn->msix;

	for (uint32_t a = 0; a < bar->nareas; a++)
		if (offset - bar->areas[a].offset < bar->areas[a].size)
			return MEMORY;
	if (m->table_bar == i && offset - m->table < m->table_size)
		return MSIX_TABLE;
	if (m->pending_bar == i && offset - m->pending < m->pending_size)
		return MSIX_PENDING;
	return TRAPPED;
}

/* One access of 1, 2, 4 or 8 bytes to memory that somebody else may be writing. */
uint64_t function_memory_read(const uint8_t *at, unsigned int width)
{
	switch (width) {
	case 1: return *(const volatile uint8_t *)at;
	case 2: return le16toh(*(const volatile uint16_t *)at);
	case 4: return le32toh(*(const volatile uint32_t *)at);
	default: return le64toh(*(const volatile uint64_t *)at);
	}
}

void function_memory_write(uint8_t *at, unsigned int width, uint64_t value)
{
	switch (width) {
	case 1: *(volatile uint8_t *)at = value; break;
	case 2: *(volatile uint16_t *)at = htole16(value); break;
	case 4: *(volatile uint32_t *)at = htole32(value); break;
	default: *(volatile uint64_t *)at = htole64(value); break;
	}
}

static uint64_t pending_read(const struct vfio_function *fn, uint64_t offset, unsigned int width)
{
	uint64_t at = offset - fn->msix.pending, word = vectors_pending_word(fn, at / 8);

	return word >> (8 * (at % 8)) & (width == 8 ? UINT64_MAX : (1ull << 8 * width) - 1);
}

static uint64_t bar_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			 unsigned int width)
{
	switch (place_of(fn, bar, offset)) {
	case MEMORY:
		return function_memory_read(fn->memory[bar].base + offset, width);
	case MSIX_TABLE:
		return UINT64_MAX;	/* vectors belong to SET_IRQS, as in the kernel */
	case MSIX_PENDING:
		return pending_read(fn, offset, width);
	case TRAPPED:
		break;
	}
	return fn->ops->read ? fn->ops->read(fn, bar, offset, width) : UINT64_MAX;
}

static void bar_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value)
{
	switch (place_of(fn, bar, offset)) {
	case MEMORY:
		function_memory_write(fn->memory[bar].base + offset, width, value);
		doorbells_written(fn, bar, offset, width);
		break;
	case MSIX_TABLE:
	case MSIX_PENDING:
		fn->side.where |= VFIO_WENT_NOWHERE;
		return;
	case TRAPPED:
		if (fn->ops->write)
			fn->ops->write(fn, bar, offset, width, value);
		break;
	}
	fn->side.where |= VFIO_WENT_DEVICE;
}

/* How many bytes of a BAR or the ROM may be accessed; a negative errno when none. */
static ssize_t check_access(struct vfio_function *fn, uint32_t index, uint64_t offset, size_t len,
			    const char *verb)
{
	uint64_t size = index < NUM_BARS ? fn->description.bars[index].size :
			index == VFIO_PCI_ROM_REGION_INDEX && has_rom(fn) ? fn->rom_size : 0;
	ssize_t n = contract_check_access(index, size, offset, len, verb, fn->err);

	return n < 0 ? side_keep(fn, n) : n;
}

/* Memory that is not decoded. Ports always are, as the kernel has it. */
static bool is_off(const struct vfio_function *fn, uint32_t index)
{
	return !(index < NUM_BARS && (fn->description.bars[index].flags & VFIO_BAR_IO)) &&
	       !function_decodes_memory(fn);
}

static int refuse_off(struct vfio_function *fn, uint32_t index, uint64_t offset, const char *verb)
{
	return side_keep(fn, error_set(fn->err, EIO, VFIO_E_MEMORY_OFF, VFIO_BY_FUNCTION,
			 "set the memory bit of the Command register and power state D0",
			 "%s at %#llx of region %u: %s", verb, (unsigned long long)offset, index,
			 fn->power_state == 3 ? "the device is in D3hot" : "memory decoding is off"));
}

/* The vectors of MSI-X are nobody's memory: no decoder is asked for them. */
static bool is_refused(const struct vfio_function *fn, uint32_t index, uint64_t offset, bool off)
{
	bool always = fn->policy.behaviour >= 2 && place_of(fn, index, offset) == MSIX_TABLE;

	return off && !always;		/* behaviour version 1: those neither */
}

static ssize_t bar_access(struct vfio_function *fn, uint32_t bar, uint64_t offset, uint8_t *out,
			  const uint8_t *in, size_t len)
{
	const char *verb = out ? "read" : "write";
	ssize_t n = check_access(fn, bar, offset, len, verb);
	bool off = is_off(fn, bar);

	for (ssize_t done = 0; done < n; ) {
		uint64_t at = offset + done;
		unsigned int width = natural_width(at, n - done, 8);

		if (is_refused(fn, bar, at, off))
			return refuse_off(fn, bar, at, verb);
		if (out)
			le_put(out + done, width, bar_read(fn, bar, at, width));
		else
			bar_write(fn, bar, at, width, le_get(in + done, width));
		done += width;
	}
	return n;
}

static ssize_t rom_access(struct vfio_function *fn, uint64_t offset, uint8_t *out, size_t len)
{
	const uint32_t rom = VFIO_PCI_ROM_REGION_INDEX;
	ssize_t n = check_access(fn, rom, offset, len, "read");

	if (n > 0 && is_off(fn, rom))
		return refuse_off(fn, rom, offset, "read");
	for (ssize_t i = 0; i < n; i++)		/* behind the image there are ones */
		out[i] = offset + i < fn->description.rom_size ? fn->rom[offset + i] : 0xff;
	return n;
}

ssize_t function_read(struct vfio_function *fn, uint32_t region, uint64_t offset, void *buf,
		      size_t len)
{
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return function_config_read(fn, offset, buf, len);
	if (region == VFIO_PCI_ROM_REGION_INDEX)
		return rom_access(fn, offset, buf, len);
	return bar_access(fn, region, offset, buf, NULL, len);
}

ssize_t function_write(struct vfio_function *fn, uint32_t region, uint64_t offset, const void *buf,
		       size_t len)
{
	fn->side.where = 0;
	if (region == VFIO_PCI_CONFIG_REGION_INDEX)
		return function_config_write(fn, offset, buf, len);
	if (region == VFIO_PCI_ROM_REGION_INDEX && len)
		return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_RANGE, VFIO_BY_FUNCTION, NULL,
				"write at %#llx of the ROM: it can only be read",
				(unsigned long long)offset));
	return bar_access(fn, region, offset, NULL, buf, len);
}
