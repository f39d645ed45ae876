/* SPDX-License-Identifier: MIT */
/* Rows 1 to 16: how configuration space is accessed, who the function is, BARs. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "row.h"

/* ---- accesses ------------------------------------------------------------------------------- */

/* any device -> pread 1 byte at cfg_size -> EFAULT */
static void row_001_past_the_end(struct bed *b)
{
	uint8_t byte;

	assert_int_equal(vfio_pread(b->dev, CONFIG, region_of(b, CONFIG).size, &byte, 1), -EFAULT);
}

/* cfg_size 4096 -> pread 8 bytes at 0xffc -> EFAULT, nothing copied */
static void row_002_across_the_end(struct bed *b)
{
	uint8_t bytes[8], before[8];

	memset(bytes, 0x5a, sizeof(bytes));
	memcpy(before, bytes, sizeof(bytes));
	assert_int_equal(vfio_pread(b->dev, CONFIG, 0xffc, bytes, sizeof(bytes)), -EFAULT);
	assert_memory_equal(bytes, before, sizeof(bytes));
}

/* any -> pread 0 bytes at any offset -> 0 */
static void row_003_no_bytes(struct bed *b)
{
	static const uint64_t offsets[] = { 0, 3, 0xff, 0x1000, 1ull << 39 };
	uint8_t byte;

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++)
		assert_int_equal(vfio_pread(b->dev, CONFIG, offsets[i], &byte, 0), 0);
}

/* any -> pread 3 bytes at 0x01 -> 3, bytes equal three 1-byte reads */
static void row_004_unaligned(struct bed *b)
{
	uint8_t bytes[3];

	assert_int_equal(vfio_pread(b->dev, CONFIG, 1, bytes, 3), 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(bytes[i], get(b, 1 + i, 1));
}

/* any -> pread 64 bytes at 0 -> 64, equals per-dword reads */
static void row_005_whole_header(struct bed *b)
{
	uint8_t bytes[64];

	assert_int_equal(vfio_pread(b->dev, CONFIG, 0, bytes, 64), 64);
	for (unsigned int at = 0; at < 64; at += 4)
		assert_int_equal(get(b, at, 4), bytes[at] | bytes[at + 1] << 8 |
				 bytes[at + 2] << 16 | (uint32_t)bytes[at + 3] << 24);
}

/* ---- who it is, and scratch registers ------------------------------------------------------- */

/* any -> write 0xffff to Vendor ID -> returns 2, value unchanged */
static void row_006_vendor_is_read_only(struct bed *b)
{
	uint32_t vendor = get(b, PCI_VENDOR_ID, 2);

	assert_went(b, PCI_VENDOR_ID, 2, vendor ^ 0xffff, VFIO_WENT_NOWHERE);
	put(b, PCI_VENDOR_ID, 2, 0xffff);
	assert_int_equal(get(b, PCI_VENDOR_ID, 2), vendor);
}

/* PF -> read Vendor/Device ID -> equal sysfs vendor/device */
static void row_007_ids(struct bed *b)
{
	uint8_t ids[4];

	assert_int_equal(vfio_pread(b->dev, CONFIG, PCI_VENDOR_ID, ids, 4), 4);
	assert_memory_equal(ids, b->hw, 4);
	if (!b->rig->subject->capture) {
		assert_int_equal(get(b, PCI_VENDOR_ID, 2), b->rig->subject->description->vendor);
		assert_int_equal(get(b, PCI_DEVICE_ID, 2), b->rig->subject->description->device);
	}
}

/* any -> write 0x5a to 3c (interrupt line), read -> 0x5a, no hw write */
static void row_008_interrupt_line(struct bed *b)
{
	uint32_t before = get(b, PCI_INTERRUPT_LINE, 1);

	assert_went(b, PCI_INTERRUPT_LINE, 1, 0x5a, VFIO_WENT_VIRTUAL);
	assert_int_equal(get(b, PCI_INTERRUPT_LINE, 1), 0x5a);
	assert_behind(b, PCI_INTERRUPT_LINE, 1, before);
}

/* any -> write 0 to 3d (interrupt pin), read -> returns 1, value unchanged */
static void row_009_interrupt_pin(struct bed *b)
{
	uint32_t pin = get(b, PCI_INTERRUPT_PIN, 1);

	put(b, PCI_INTERRUPT_PIN, 1, pin ^ 1);
	assert_int_equal(get(b, PCI_INTERRUPT_PIN, 1), pin);
	put(b, PCI_INTERRUPT_PIN, 1, 0);
	assert_int_equal(get(b, PCI_INTERRUPT_PIN, 1), pin);
}

/* ---- BARs ----------------------------------------------------------------------------------- */

static unsigned int bar_at(unsigned int bar)
{
	return PCI_BASE_ADDRESS_0 + 4 * bar;
}

/* The type bits that do not change; those of a capture are known. */
static uint32_t type_bits(struct bed *b, unsigned int bar)
{
	uint32_t low = get(b, bar_at(bar), 4);
	uint32_t mask = low & PCI_BASE_ADDRESS_SPACE_IO ? 3 : 0xf;

	if (b->rig->subject && b->rig->subject->capture)
		assert_int_equal(low & mask, b->hw[bar_at(bar)] & mask);
	return low & mask;
}

/* What the low dword of a BAR reads after ones were written. */
static uint32_t size_mask(struct bed *b, unsigned int bar)
{
	return (uint32_t)~(region_of(b, bar).size - 1) | type_bits(b, bar);
}

/* any -> write 0xffffffff to BAR of N-byte 32-bit mem BAR, read -> ~(N-1) | type bits */
static void row_010_bar_sizing(struct bed *b)
{
	for (unsigned int bar = 0; bar < 6; bar++) {
		if (bar_kind(b, bar) != MEM32_BAR)
			continue;
		assert_int_equal(type_bits(b, bar) & ~PCI_BASE_ADDRESS_MEM_PREFETCH, 0);
		put(b, bar_at(bar), 4, 0xffffffff);
		assert_int_equal(get(b, bar_at(bar), 4), size_mask(b, bar));
	}
}

/*
 * 64-bit BAR of N bytes -> write all ones to both dwords, read -> low ~(N-1)|0xc or 0x4, high =
 * high half of ~(N-1)
 */
static void row_011_bar_64_sizing(struct bed *b)
{
	for (unsigned int bar = 0; bar < 5; bar++) {
		if (bar_kind(b, bar) != MEM64_BAR)
			continue;
		assert_int_equal(type_bits(b, bar) & ~PCI_BASE_ADDRESS_MEM_PREFETCH, 4);
		put(b, bar_at(bar), 4, 0xffffffff);
		put(b, bar_at(bar + 1), 4, 0xffffffff);
		assert_int_equal(get(b, bar_at(bar), 4), size_mask(b, bar));
		assert_int_equal(get(b, bar_at(bar + 1), 4),
				 ~(region_of(b, bar).size - 1) >> 32);
	}
}

/* unimplemented BAR or ROM -> write all ones, read -> 0 */
static void row_012_no_bar(struct bed *b)
{
	bool upper = false;

	for (unsigned int bar = 0; bar < 6; bar++) {
		enum bar_kind kind = bar_kind(b, bar);

		if (kind == NO_BAR && !upper) {
			put(b, bar_at(bar), 4, 0xffffffff);
			assert_int_equal(get(b, bar_at(bar), 4), 0);
		}
		upper = kind == MEM64_BAR;
	}
	/* A capture may have a ROM BAR whose image is not there. */
	if (b->hw_size > 0 && region_of(b, ROM).size == 0 && b->hw[PCI_ROM_ADDRESS + 2] == 0) {
		put(b, PCI_ROM_ADDRESS, 4, 0xffffffff);
		assert_int_equal(get(b, PCI_ROM_ADDRESS, 4), 0);
	}
}

/* I/O BAR of N bytes -> write all ones, read -> ~(N-1) | 1 */
static void row_013_io_bar_sizing(struct bed *b)
{
	unsigned int bar = first_bar(b, IO_BAR);

	put(b, bar_at(bar), 4, 0xffffffff);
	assert_int_equal(get(b, bar_at(bar), 4), (uint32_t)~(region_of(b, bar).size - 1) | 1);
}

/* any BAR -> write 1 byte at BAR+3, read dword -> only that byte changed, then size-masked */
static void row_014_byte_of_a_bar(struct bed *b)
{
	for (unsigned int bar = 0; bar < 6; bar++) {
		if (bar_kind(b, bar) == NO_BAR)
			continue;
		put(b, bar_at(bar), 4, 0x12345678);
		put(b, bar_at(bar) + 3, 1, 0xab);
		assert_int_equal(get(b, bar_at(bar), 4),
				 (0xab345678u & (uint32_t)~(region_of(b, bar).size - 1)) |
				 type_bits(b, bar));
	}
}

/* ROM BAR of N bytes -> write 0xffffffff, read -> ~(N-1) | 1 */
static void row_015_rom_sizing(struct bed *b)
{
	put(b, PCI_ROM_ADDRESS, 4, 0xffffffff);
	assert_int_equal(get(b, PCI_ROM_ADDRESS, 4),
			 (uint32_t)~(region_of(b, ROM).size - 1) | PCI_ROM_ADDRESS_ENABLE);
}

/*
 * BAR resized virtually -> access region through its index -> unchanged, virtual BAR has no effect
 */
static void row_016_bars_do_not_decode(struct bed *b)
{
	uint8_t before[4], after[4];

	for (unsigned int bar = 0; bar < 6; bar++) {
		if (bar_kind(b, bar) == NO_BAR)
			continue;
		assert_int_equal(vfio_pread(b->dev, bar, 0, before, 4), 4);
		put(b, bar_at(bar), 4, 0xffffffff);
		assert_int_equal(vfio_pread(b->dev, bar, 0, after, 4), 4);
		assert_memory_equal(before, after, 4);
		put(b, bar_at(bar), 4, 0);
		assert_int_equal(vfio_pread(b->dev, bar, 0, after, 4), 4);
		assert_memory_equal(before, after, 4);
	}
}

const struct row config_rows[] = {
	ROW(row_001_past_the_end, ANY),
	ROW(row_002_across_the_end, NEEDS_EXTENDED),
	ROW(row_003_no_bytes, ANY),
	ROW(row_004_unaligned, ANY),
	ROW(row_005_whole_header, ANY),
	ROW(row_006_vendor_is_read_only, ANY),
	ROW(row_007_ids, NEEDS_PF, NEEDS_BEHIND),
	ROW(row_008_interrupt_line, ANY),
	ROW(row_009_interrupt_pin, ANY),
	ROW(row_010_bar_sizing, NEEDS_MEM32),
	ROW(row_011_bar_64_sizing, NEEDS_MEM64),
	ROW(row_012_no_bar, ANY),
	ROW(row_013_io_bar_sizing, NEEDS_IO),
	ROW(row_014_byte_of_a_bar, ANY),
	ROW(row_015_rom_sizing, NEEDS_ROM_IMAGE),
	ROW(row_016_bars_do_not_decode, ANY),
	ROWS_END
};
