/* SPDX-License-Identifier: MIT */
/* Configuration space: reads, patterns over every register, the header, regions, reset. */
#include "sections.h"

#include <stdio.h>

#include "trace.h"

void record_info(struct session *s)
{
	section("info");
	device_info(s);
	for (unsigned i = 0; i < 10; i++)
		region_info(s, i);
	for (unsigned i = 0; i <= INDEXES; i++)
		irq_info(s, i);
}

static void read_outside(struct session *s)
{
	const unsigned widths[] = {0, 1, 2, 3, 4, 8};

	for (unsigned i = 0; i < 6; i++) {
		for (unsigned back = 0; back <= 8; back++)
			rd(s, s->size - back, widths[i]);
		rd(s, s->size + 1, widths[i]);
		rd(s, 0x1000, widths[i]);
		rd(s, 0xffffffff, widths[i]);
		rd(s, 0xfffffffffcull, widths[i]);
	}
	for (unsigned i = 0; i < 6; i++) {
		wr(s, s->size - 1, widths[i] > 1 ? widths[i] : 0, 0);
		wr(s, s->size, widths[i], 0);
		wr(s, 0xfffffffffcull, widths[i], 0);
	}
}

static void read_widths(struct session *s, unsigned from, unsigned to)
{
	const unsigned widths[] = {1, 2, 3, 8};

	for (unsigned offset = from; offset < to; offset++)
		for (unsigned i = 0; i < 4; i++)
			if (widths[i] != 8 || offset % 4 < 2)
				rd(s, offset, widths[i]);
}

void record_reads(struct session *s)
{
	section("read dwords");
	for (unsigned offset = 0; offset < s->size; offset += 4)
		if (worth_reading(s, offset))
			rd(s, offset, 4);
	section("read widths");
	read_widths(s, 0x00, 0x12);
	read_widths(s, 0x2c, 0x42);
	for (unsigned at = s->hw[0x34] & ~3u, i = 0; at >= 0x40 && i < 48; i++) {
		read_widths(s, at, at + 6);
		at = s->hw[at + 1] & ~3u;
	}
	if (s->size > 256)
		read_widths(s, 0xfe, 0x106);
	for (unsigned i = 1; i < 4; i++)
		rd(s, 0x3c + i, 4);
	section("read outside");
	read_outside(s);
}

/* Inside 64 bytes from the start of an extended capability, or not zero, or one in 64. */
bool worth_reading(const struct session *s, unsigned offset)
{
	if (offset < 0x100 || hw32(s, offset & ~3u) || offset % 0x40 == 0)
		return true;
	unsigned at = hw32(s, 0x100) ? 0x100 : 0;
	for (int i = 0; at >= 0x100 && i < 960; i++, at = hw32(s, at) >> 20 & ~3u)
		if (offset >= at && offset < at + 0x40)
			return true;
	return false;
}

/* Dwords that have a section of their own, since ones there would do more than be stored. */
static bool special(const struct session *s, unsigned offset)
{
	const struct {
		unsigned id, offset;
	} own[] = {{0x01, 4}, {0x03, 0}, {0x05, 0}, {0x10, 8}, {0x13, 4}};

	offset &= ~3u;
	if (offset == 0x04)
		return true;
	for (unsigned i = 0; i < sizeof(own) / sizeof(*own); i++) {
		unsigned at = find_cap(s, own[i].id);
		if (at && offset == at + own[i].offset)
			return true;
	}
	return false;
}

static void pattern(struct session *s, unsigned offset, unsigned width)
{
	uint64_t before = rd(s, offset, width);

	wr(s, offset, width, ~0ull);
	rd(s, offset & ~3u, 4);
	wr(s, offset, width, 0);
	rd(s, offset & ~3u, 4);
	wr(s, offset, width, before);
	if (rd(s, offset, width) != before)
		printf("# not as before\n");
}

static void patterns(struct session *s, unsigned from, unsigned to, unsigned width)
{
	for (unsigned offset = from; offset < to; offset += width)
		if (!special(s, offset) && worth_reading(s, offset))
			pattern(s, offset, width);
}

static bool in_known_cap(const struct session *s, unsigned offset)
{
	const unsigned char length[] = {[1] = 8,     [2] = 12,    [3] = 8,   [5] = 24,
					[7] = 24,    [8] = 28,    [9] = 20,    [16] = 60, [17] = 12,
					[18] = 8,    [19] = 8};

	for (unsigned id = 1; id < sizeof(length); id++) {
		unsigned at = find_cap(s, id);
		if (at && offset >= at && offset < at + length[id])
			return true;
	}
	return false;
}

void record_patterns(struct session *s)
{
	section("patterns dwords");
	patterns(s, 0, (unsigned)s->size, 4);
	section("patterns words");
	patterns(s, 0, 0x40, 2);
	for (unsigned offset = 0x40; offset < 0x100; offset += 2)
		if (in_known_cap(s, offset))
			patterns(s, offset, offset + 2, 2);
	section("patterns bytes");
	patterns(s, 0, 0x40, 1);
	for (unsigned offset = 0x40; offset < 0x100; offset++)
		if (in_known_cap(s, offset))
			patterns(s, offset, offset + 1, 1);
}

static void read_bars(struct session *s)
{
	for (unsigned i = 0; i < 7; i++)
		if (s->bars[i])
			bar_read(s, i, 0, 4);
}

static void command_bits(struct session *s, unsigned before)
{
	section("command bit by bit");
	for (unsigned bit = 0; bit < 16; bit++) {
		wr(s, 0x04, 2, before ^ 1u << bit);
		rd(s, 0x04, 2);
		hw(s, 0x04, 2);
		wr(s, 0x04, 2, before);
		rd(s, 0x04, 2);
	}
	for (unsigned bit = 0; bit < 16; bit++) {
		wr(s, 0x04, 2, 1u << bit);
		rd(s, 0x04, 4);
		hw(s, 0x04, 2);
	}
	wr(s, 0x04, 2, before);
}

static void command_memory(struct session *s, unsigned before)
{
	const unsigned values[] = {0x0000, 0x0001, 0x0002, 0x0003, 0x0400, 0x0403};

	section("command memory and I/O");
	for (unsigned i = 0; i < 6; i++) {
		wr(s, 0x04, 2, values[i]);
		rd(s, 0x04, 2);
		hw(s, 0x04, 2);
		read_bars(s);
	}
	wr(s, 0x04, 1, 0);
	read_bars(s);
	wr(s, 0x04, 1, 3);
	wr(s, 0x05, 1, 4);
	rd(s, 0x04, 2);
	wr(s, 0x05, 1, 0);
	rd(s, 0x04, 2);
	wr(s, 0x04, 2, before);
	rd(s, 0x04, 2);
}

void record_command(struct session *s)
{
	unsigned before;

	section("command");
	before = (unsigned)rd(s, 0x04, 2);
	command_bits(s, before);
	command_memory(s, before);
	section("status");
	wr(s, 0x06, 2, 0xffff);
	rd(s, 0x04, 4);
	wr(s, 0x06, 2, 0);
	rd(s, 0x04, 4);
	wr(s, 0x07, 1, 0xff);
	wr(s, 0x06, 1, 0xff);
	rd(s, 0x06, 2);
	wr(s, 0x04, 4, 0xffff0000u | before);
	rd(s, 0x04, 4);
	wr(s, 0x04, 4, 0xffffffff);
	rd(s, 0x04, 4);
	hw(s, 0x04, 4);
	wr(s, 0x04, 4, 0);
	rd(s, 0x04, 4);
	hw(s, 0x04, 4);
	wr(s, 0x04, 2, before);
	rd(s, 0x04, 4);
}

static void size_bar(struct session *s, unsigned offset)
{
	const uint32_t values[] = {0xffffffff, 0, 0x12345678, 0xfffffffe, 0x00000fff, 0xfffff801};
	uint32_t before = (uint32_t)rd(s, offset, 4);

	for (unsigned i = 0; i < 6; i++) {
		wr(s, offset, 4, values[i]);
		rd(s, offset, 4);
	}
	wr(s, offset, 4, 0);
	for (unsigned i = 0; i < 4; i++) {
		wr(s, offset + i, 1, 0xff);
		rd(s, offset, 4);
		rd(s, offset + i, 1);
	}
	for (unsigned i = 0; i < 4; i += 2) {
		wr(s, offset + i, 2, 0x5aa5);
		rd(s, offset, 4);
	}
	wr(s, offset, 4, before);
	rd(s, offset, 4);
}

void record_bars(struct session *s)
{
	uint64_t before[3];

	for (unsigned i = 0; i < 6; i++) {
		section("bar %u", i);
		size_bar(s, 0x10 + 4 * i);
	}
	section("bar rom");
	size_bar(s, 0x30);
	section("bars across");
	for (unsigned i = 0; i < 3; i++) {
		before[i] = rd(s, 0x10 + 8 * i, 8);
		wr(s, 0x10 + 8 * i, 8, ~0ull);
		rd(s, 0x10 + 8 * i, 8);
		wr(s, 0x12 + 8 * i, 4, 0);
		rd(s, 0x10 + 8 * i, 8);
		wr(s, 0x11 + 8 * i, 3, 0xffffff);
		rd(s, 0x10 + 8 * i, 8);
	}
	wr(s, 0x26, 4, 0xffffffff);
	rd(s, 0x24, 8);
	for (unsigned i = 0; i < 3; i++)
		wr(s, 0x10 + 8 * i, 8, before[i]);
	for (unsigned offset = 0x10; offset < 0x28; offset += 4)
		rd(s, offset, 4);
}

static void read_past(struct session *s, unsigned region)
{
	uint64_t size = s->bars[region];
	const unsigned widths[] = {0, 1, 4, 8};

	for (unsigned i = 0; i < 4; i++) {
		bar_read(s, region, size, widths[i]);
		bar_read(s, region, size + 4, widths[i]);
		bar_read(s, region, 0xfffffffff8ull, widths[i]);
	}
}

/* The table of MSI-X is hidden whatever Command says: what it reads as is the same everywhere. */
static void read_msix_table(struct session *s)
{
	unsigned at = find_cap(s, 0x11);

	if (!at)
		return;
	unsigned bar = hw32(s, at + 4) & 7;
	uint32_t table = hw32(s, at + 4) & ~7u;
	uint32_t size = 16 * ((hw16(s, at + 2) & 0x7ffu) + 1);
	section("region of the MSI-X table");
	for (unsigned i = 0; i < 16; i += 4)
		bar_read(s, bar, table + i, 4);
	bar_read(s, bar, table, 8);
	bar_read(s, bar, table + 1, 3);
	bar_read(s, bar, table + size - 4, 4);
	bar_read(s, bar, table + size - 1, 1);
}

void record_regions(struct session *s)
{
	unsigned before;

	section("regions out of range");
	for (unsigned i = 0; i < 10; i++)
		if (i != 7)
			read_past(s, i < 7 ? i : 8);
	for (unsigned i = 9; i < 12; i++) {
		bar_read(s, i, 0, 0);
		bar_read(s, i, 0, 4);
	}
	section("regions without memory");
	before = (unsigned)rd(s, 0x04, 2);
	wr(s, 0x04, 2, before & ~2u);
	for (unsigned i = 0; i < 7; i++) {
		if (s->io[i])
			continue;
		bar_read(s, i, 0, 0);
		bar_read(s, i, 0, 1);
		bar_read(s, i, 0, 8);
		if (s->bars[i])
			bar_read(s, i, s->bars[i] - 4, 8);
	}
	read_msix_table(s);
	wr(s, 0x04, 2, before | 2u);
	read_msix_table(s);
	wr(s, 0x04, 2, before);
	rd(s, 0x04, 2);
}

void record_dump(struct session *s, const char *when)
{
	section("dump %s", when);
	for (unsigned offset = 0; offset < s->size; offset += 4)
		if (worth_reading(s, offset))
			rd(s, offset, 4);
}

void record_reset(struct session *s)
{
	section("reset");
	record_dump(s, "before reset");
	device_reset(s);
	record_dump(s, "after reset");
	section("reset keeps what is virtual");
	wr(s, 0x10, 4, 0xffffffff);
	wr(s, 0x3c, 1, 0x5a);
	wr(s, 0x0c, 1, 0x10);
	unsigned before = (unsigned)rd(s, 0x04, 2);
	wr(s, 0x04, 2, before | 0x404);
	device_reset(s);
	for (unsigned offset = 0; offset < 0x40; offset += 4)
		rd(s, offset, 4);
	hw(s, 0x04, 2);
	wr(s, 0x04, 2, before & ~3u);
	device_reset(s);
	rd(s, 0x04, 4);
	read_bars(s);
	wr(s, 0x04, 2, before);
	rd(s, 0x04, 4);
}
