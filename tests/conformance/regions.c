/* SPDX-License-Identifier: MIT */
/* Rows 64 to 84: what regions there are, and how they are accessed. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "requests.h"
#include "row.h"

#define VGA VFIO_PCI_VGA_REGION_INDEX

static struct vfio_device_info info_of(struct bed *b)
{
	struct vfio_device_info info;

	assert_int_equal(vfio_info(b->dev, &info), 0);
	return info;
}

/* ---- what there is -------------------------------------------------------------------------- */

/*
 * any -> argsz one below minimum: SET_IRQS 19 -> EINVAL (the other calls of this row have no argsz
 * here)
 */
static void row_064_argsz_below_minimum(struct bed *b)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set) - 1, .flags = NONE | TRIGGER, .index = REQ, .count = 1,
	};

	assign(b, REQ, 0, 1);
	assert_int_equal(vfio_irq_set(b->dev, &set), -EINVAL);
	set.argsz++;
	assert_int_equal(vfio_irq_set(b->dev, &set), 0);
}

/* any -> GET_INFO argsz 16 -> flags has PCI, num_regions>=9, num_irqs 5 */
static void row_065_info(struct bed *b)
{
	struct vfio_device_info info = info_of(b);

	assert_true(info.flags & VFIO_DEVICE_FLAGS_PCI);
	assert_true(info.num_regions >= VFIO_PCI_NUM_REGIONS);
	assert_int_equal(info.num_irqs, VFIO_PCI_NUM_IRQS);
}

/* any -> GET_REGION_INFO index num_regions -> EINVAL */
static void row_067_no_such_region(struct bed *b)
{
	struct vfio_region region;

	assert_int_equal(vfio_region(b->dev, info_of(b).num_regions, &region), -EINVAL);
}

static void check_bar_flags(struct bed *b, unsigned int bar)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct vfio_region region = region_of(b, bar);
	bool mappable = region.flags & VFIO_REGION_INFO_FLAG_MMAP;
	enum bar_kind kind = bar_kind(b, bar);

	if (kind == NO_BAR) {
		assert_int_equal(region.flags, 0);
		return;
	}
	assert_int_equal(region.flags & ~VFIO_REGION_INFO_FLAG_MMAP, rw);
	assert_int_equal(mappable, region.nareas > 0);
	if (kind == IO_BAR)
		assert_false(mappable);
	else if (!ours(b) && region.size >= 4096)
		assert_true(mappable);
}

/*
 * any -> GET_REGION_INFO index 7 / unimplemented BAR / mem BAR >= page / I/O BAR -> flags 3, size
 * 256 or 4096 / flags 0, size 0 / flags 7 / flags 3. Ours: 7 only for what has areas of memory.
 */
static void row_068_region_info(struct bed *b)
{
	struct vfio_region config = region_of(b, CONFIG);

	assert_int_equal(config.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_true(config.size == PCI_CFG_SPACE_SIZE || config.size == PCI_CFG_SPACE_EXP_SIZE);
	assert_int_equal(config.nareas, 0);
	for (unsigned int bar = 0; bar < 6; bar++)
		check_bar_flags(b, bar);
	if (!b->rig->subject)
		return;
	for (unsigned int bar = 0; bar < 6; bar++)
		assert_int_equal(region_of(b, bar).size,
				 b->rig->subject->description->bars[bar].size);
}

/* ROM with bad signature -> GET_REGION_INFO 6 -> size 0 flags 0 */
static void row_070_bad_rom(struct bed *b)
{
	uint8_t byte;

	assert_int_equal(region_of(b, ROM).size, 0);
	assert_int_equal(region_of(b, ROM).flags, 0);
	assert_true(vfio_pread(b->dev, ROM, 0, &byte, 1) < 0);
}

/* non VGA -> GET_REGION_INFO 8 -> EINVAL. Of the driver API: a region of size 0. */
static void row_071_no_vga(struct bed *b)
{
	struct vfio_region region;

	assert_int_equal(vfio_region(b->dev, VGA, &region), 0);
	assert_int_equal(region.size, 0);
}

/* ---- the expansion ROM ---------------------------------------------------------------------- */

/* ROM -> pwrite -> EINVAL */
static void row_072_rom_is_read_only(struct bed *b)
{
	const uint8_t byte = 0;

	assert_int_equal(region_of(b, ROM).flags, VFIO_REGION_INFO_FLAG_READ);
	assert_int_equal(vfio_pwrite(b->dev, ROM, 0, &byte, 1), -EINVAL);
}

/* ROM image shorter than BAR -> pread past image -> 0xff bytes */
static void row_073_behind_the_rom(struct bed *b)
{
	const struct vfio_function_description *d = b->rig->subject->description;
	uint64_t size = region_of(b, ROM).size;
	uint8_t image[4096];

	assert_true(size > d->rom_size && size <= sizeof(image));
	assert_int_equal(vfio_pread(b->dev, ROM, 0, image, size), size);
	assert_memory_equal(image, d->rom, d->rom_size);
	for (size_t i = d->rom_size; i < size; i++)
		assert_int_equal(image[i], 0xff);
}

/* ---- BARs ----------------------------------------------------------------------------------- */

/* BAR length L, unimplemented BAR, or index >= num_regions -> pread at/after end -> EINVAL */
static void row_074_outside(struct bed *b)
{
	uint8_t byte;

	for (unsigned int bar = 0; bar < 6; bar++) {
		uint64_t size = region_of(b, bar).size;

		assert_int_equal(vfio_pread(b->dev, bar, size, &byte, 1), -EINVAL);
		assert_int_equal(vfio_pread(b->dev, bar, size + 4096, &byte, 1), -EINVAL);
		assert_int_equal(vfio_pwrite(b->dev, bar, size, &byte, 1), -EINVAL);
	}
	assert_int_equal(vfio_pread(b->dev, info_of(b).num_regions, 0, &byte, 1), -EINVAL);
}

/* BAR length L -> pread 16 at L-4 -> 4 */
static void row_075_short_read(struct bed *b)
{
	uint8_t bytes[16];

	for (unsigned int bar = 0; bar < 6; bar++)
		if (bar_kind(b, bar) != NO_BAR)
			assert_int_equal(vfio_pread(b->dev, bar, region_of(b, bar).size - 4, bytes,
						    sizeof(bytes)), 4);
}

/* ---- MSI-X ---------------------------------------------------------------------------------- */

struct msix_place {
	unsigned int bar;
	uint64_t offset;
};

/* Where the table is, or the pending bits. */
static struct msix_place msix_place(struct bed *b, unsigned int reg)
{
	uint32_t value = get(b, cap(b, PCI_CAP_ID_MSIX) + reg, 4);

	return (struct msix_place){
		.bar = value & PCI_MSIX_TABLE_BIR, .offset = value & PCI_MSIX_TABLE_OFFSET,
	};
}

/*
 * MSI-X table -> pread / pwrite in table / pread crossing its start -> all 0xff / full count, no
 * effect / real bytes then 0xff
 */
static void row_076_msix_table(struct bed *b)
{
	struct msix_place table = msix_place(b, PCI_MSIX_TABLE);
	size_t size = 16 * vectors_of(b, MSIX);
	uint8_t bytes[4096], zeros[16] = { 0 }, before[4];

	assert_int_equal(vfio_pread(b->dev, table.bar, table.offset, bytes, size), size);
	for (size_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], 0xff);
	assert_int_equal(vfio_pwrite(b->dev, table.bar, table.offset, zeros, 16), 16);
	assert_int_equal(vfio_pread(b->dev, table.bar, table.offset, bytes, 16), 16);
	for (size_t i = 0; i < 16; i++)
		assert_int_equal(bytes[i], 0xff);
	if (table.offset == 0)
		return;
	assert_int_equal(vfio_pread(b->dev, table.bar, table.offset - 4, before, 4), 4);
	assert_int_equal(vfio_pread(b->dev, table.bar, table.offset - 4, bytes, 8), 8);
	assert_memory_equal(bytes, before, 4);
	for (size_t i = 4; i < 8; i++)
		assert_int_equal(bytes[i], 0xff);
}

/* PBA -> pread -> real values */
static void row_077_pending_bits(struct bed *b)
{
	struct msix_place pending = msix_place(b, PCI_MSIX_PBA);
	uint64_t bits;
	int fd;

	assign(b, MSIX, 0, 3);
	assert_int_equal(request_fd(b, TRIGGER, MSIX, 1, -1), 0);
	raise_message(b, 0);
	raise_message(b, 1);
	assert_int_equal(vfio_pread(b->dev, pending.bar, pending.offset, &bits, 8), 8);
	assert_int_equal(bits, 1 << 1);
	fd = assign(b, MSIX, 1, 1);
	assert_signals(b, fd, 1);
	assert_int_equal(vfio_pread(b->dev, pending.bar, pending.offset, &bits, 8), 8);
	assert_int_equal(bits, 0);
}

/* ---- widths --------------------------------------------------------------------------------- */

/* BAR -> pread 8 aligned -> one 64-bit access */
static void row_078_eight_bytes_at_once(struct bed *b)
{
	uint64_t value;

	model_put(b, MODEL_LOGGED, 0);
	assert_int_equal(vfio_pread(b->dev, b->rig->subject->model_bar, MODEL_SCRATCH, &value, 8),
			 8);
	assert_int_equal(model_get(b, MODEL_LOGGED), 1);
	assert_int_equal(model_get(b, MODEL_LOG), MODEL_ACCESS(false, 8, MODEL_SCRATCH));
}

/*
 * ROM -> pread 8 aligned -> two 32-bit accesses (which cannot be seen; that the bytes are the same
 * can)
 */
static void row_079_rom_in_halves(struct bed *b)
{
	uint8_t whole[8], halves[8];

	assert_int_equal(vfio_pread(b->dev, ROM, 0x18, whole, 8), 8);
	assert_int_equal(vfio_pread(b->dev, ROM, 0x18, halves, 4), 4);
	assert_int_equal(vfio_pread(b->dev, ROM, 0x1c, halves + 4, 4), 4);
	assert_memory_equal(whole, halves, 8);
}

/* ---- maps ----------------------------------------------------------------------------------- */

static void check_no_map(struct bed *b, unsigned int region, uint64_t offset, size_t len)
{
	assert_null(vfio_map(b->dev, region, offset, len));
	assert_int_equal(vfio_last_error(b->dev)->err, EINVAL);
}

/*
 * any -> mmap: beyond page-rounded BAR size, or of config/ROM/VGA -> EINVAL (vfio_map() has no
 * MAP_PRIVATE)
 */
static void row_080_what_cannot_be_mapped(struct bed *b)
{
	check_no_map(b, CONFIG, 0, 4096);
	check_no_map(b, ROM, 0, 4096);
	check_no_map(b, VGA, 0, 4096);
	for (unsigned int bar = 0; bar < 6; bar++) {
		uint64_t size = (region_of(b, bar).size + 4095) & ~4095ull;

		check_no_map(b, bar, size, 4096);
		check_no_map(b, bar, 0, size + 4096);
	}
}

/* MEM=0 -> mmap BAR -> succeeds */
static void row_081_map_with_memory_off(struct bed *b)
{
	struct vfio_region region = region_of(b, mappable_bar(b));

	set_memory(b, false);
	assert_non_null(vfio_map(b->dev, region.index, region.areas[0].offset, 4096));
}

/* VGA region -> pread at 0x3bc -> EINVAL */
static void row_084_outside_of_vga(struct bed *b)
{
	uint8_t byte;

	assert_int_equal(vfio_pread(b->dev, VGA, 0x3bc, &byte, 1), -EINVAL);
}

const struct row region_rows[] = {
	ROW(row_064_argsz_below_minimum, ANY),
	ROW(row_065_info, ANY),
	ROW(row_067_no_such_region, ANY),
	ROW(row_068_region_info, ANY),
	ROW(row_070_bad_rom, NEEDS_BAD_ROM),
	ROW(row_071_no_vga, ANY),
	ROW(row_072_rom_is_read_only, NEEDS_ROM_IMAGE),
	ROW(row_073_behind_the_rom, NEEDS_ROM_IMAGE, NEEDS_MODEL),
	ROW(row_074_outside, ANY),
	ROW(row_075_short_read, ANY),
	ROW(row_076_msix_table, NEEDS_MSIX_3),
	ROW(row_077_pending_bits, NEEDS_MSIX_3, NEEDS_MODEL),
	ROW(row_078_eight_bytes_at_once, NEEDS_MODEL),
	ROW(row_079_rom_in_halves, NEEDS_ROM_IMAGE),
	ROW(row_080_what_cannot_be_mapped, ANY),
	ROW(row_081_map_with_memory_off, NEEDS_MAPPABLE),
	ROW(row_084_outside_of_vga, ANY),
	ROWS_END
};
