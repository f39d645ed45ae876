/* SPDX-License-Identifier: MIT */
/* Rows 31 to 37: the lists of capabilities, and what is between them. */
#include <linux/pci_regs.h>
#include <string.h>

#include "lists.h"
#include "row.h"

/* What is seen is what is behind without what is hidden, in the same order and places. */
static void check_list(struct bed *b, bool extended)
{
	struct list behind = list_behind(b, extended), seen = list_seen(b, extended);
	unsigned int n = 0;

	for (unsigned int i = 0; i < behind.count; i++) {
		if (is_hidden(extended, behind.caps[i].id))
			continue;
		assert_in_range(n, 0, seen.count - 1);
		assert_int_equal(seen.caps[n].id, behind.caps[i].id);
		assert_int_equal(seen.caps[n].offset, behind.caps[i].offset);
		n++;
	}
	assert_int_equal(n, seen.count);
}

/* capability IDs 04,06,0A-0F,14 -> walk capability list -> never listed */
static void row_031_hidden_are_not_listed(struct bed *b)
{
	check_list(b, false);
}

/* hidden capability at offset X -> pread at X -> raw hw bytes */
static void row_032_hidden_are_readable(struct bed *b)
{
	struct vfio_pci_capability hidden = first_hidden(b, false);
	uint8_t bytes[256];

	assert_int_equal(vfio_pread(b->dev, CONFIG, hidden.offset, bytes, hidden.length),
			 hidden.length);
	assert_memory_equal(bytes, b->hw + hidden.offset, hidden.length);
}

/* Configuration space ends with a dword that belongs to nothing, or this returns 0. */
static unsigned int find_gap(struct bed *b)
{
	struct list list = list_behind(b, false);
	bool owned[256] = { false };

	for (unsigned int i = 0; i < list.count; i++)
		memset(owned + list.caps[i].offset, true, list.caps[i].length);
	for (unsigned int at = 0xfc; at >= PCI_STD_HEADER_SIZEOF; at -= 4)
		if (!memchr(owned + at, true, 4))
			return at;
	return 0;
}

/* unowned gap byte -> pwrite then pread -> raw hw access */
static void row_033_gaps(struct bed *b)
{
	unsigned int at = find_gap(b);

	assert_int_not_equal(at, 0);
	assert_int_equal(get(b, at, 1), b->hw[at]);
	put(b, at, 1, ~b->hw[at] & 0xff);
	if (ours(b))	/* where there is no register, there is nothing to write */
		assert_int_equal(get(b, at, 1), b->hw[at]);
}

/* ext cap PASID (1B) in middle of chain -> walk -> skipped, chain intact */
static void row_034_hidden_in_the_middle(struct bed *b)
{
	check_list(b, true);
}

/* first ext cap hidden -> read dword 100h -> id 0, version 0, next = next of hw */
static void row_035_hidden_first(struct bed *b)
{
	uint32_t behind = b->hw[0x102] << 16 | (uint32_t)b->hw[0x103] << 24;

	assert_int_equal(get(b, PCI_CFG_SPACE_SIZE, 4), behind & 0xfff00000);
	assert_int_equal(get(b, PCI_CFG_SPACE_SIZE, 2), 0);
	assert_int_equal(get(b, PCI_CFG_SPACE_SIZE, 1), 0);
}

/* all ext caps hidden -> read dword 100h -> 0 */
static void row_036_all_hidden(struct bed *b)
{
	assert_int_equal(get(b, PCI_CFG_SPACE_SIZE, 4), 0);
	assert_int_equal(list_seen(b, true).count, 0);
}

/* PCIe device with dword 100h == 0 -> write/read 104h -> raw hw */
static void row_037_no_extended(struct bed *b)
{
	uint32_t before = get(b, 0x104, 4);

	put(b, 0x104, 4, ~before);
	if (ours(b))
		assert_int_equal(get(b, 0x104, 4), before);
}

const struct row hidden_rows[] = {
	ROW(row_031_hidden_are_not_listed, NEEDS_HIDDEN),
	ROW(row_032_hidden_are_readable, NEEDS_HIDDEN),
	ROW(row_033_gaps, NEEDS_BEHIND),
	ROW(row_034_hidden_in_the_middle, NEEDS_HIDDEN_MIDDLE),
	ROW(row_035_hidden_first, NEEDS_HIDDEN_FIRST),
	ROW(row_036_all_hidden, NEEDS_HIDDEN_ALL),
	ROW(row_037_no_extended, NEEDS_NO_EXTENDED),
	ROWS_END
};
