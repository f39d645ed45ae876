/* SPDX-License-Identifier: MIT */
#include "steps.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "trace.h"

#define CONFIG	7
#define REGIONS 9

/* ---- configuration space ---------------------------------------------------------------- */

static void step_read(struct steps *steps, struct chance *c)
{
	unsigned width = pick_width(c);

	rd(steps->session, places_pick(&steps->places, steps->session, c, width), width);
}

/* What was written, as it is read, and as the hardware has it. */
static void look(struct session *s, uint64_t offset, unsigned width)
{
	for (uint64_t at = offset & ~3ull; at < offset + width && at + 4 <= s->size; at += 4) {
		rd(s, at, 4);
		hw(s, (unsigned)at, 4);
	}
}

static void write_at(struct steps *steps, struct chance *c, uint64_t offset, unsigned width)
{
	if (!may_write(&steps->places, steps->session, offset, width))
		return;
	wr(steps->session, offset, width, pick_value(steps->session, c, offset, width));
	look(steps->session, offset, width);
}

static void step_write(struct steps *steps, struct chance *c)
{
	unsigned width = pick_width(c);

	write_at(steps, c, places_pick(&steps->places, steps->session, c, width), width);
}

static void step_bars(struct steps *steps, struct chance *c)
{
	static const unsigned char widths[] = {1, 2, 4, 4, 4, 8};
	unsigned width = ONE_OF(c, widths);
	uint64_t at = (one_in(c, 5) ? 0x30 : 0x10) + below(c, one_in(c, 5) ? 0x20 : 4) / 4 * 4;

	if (one_in(c, 2))
		at = 0x10 + 4 * below(c, 6);
	if (one_in(c, 4))
		at += below(c, 4);
	write_at(steps, c, at, width);
	rd(steps->session, 0x10 + 8 * below(c, 3), 8);
}

/* ---- regions ---------------------------------------------------------------------------- */

static uint64_t bar_offset(const struct session *s, struct chance *c, unsigned region)
{
	uint64_t size = region < 7 ? s->bars[region] : 0;

	switch (below(c, 5)) {
	case 0:
		return size + below(c, 12);
	case 1:
		return draw(c) & 0xffffffffff;
	case 2:
		return size > 8 ? size - 8 : 0;
	default:
		return 0;
	}
}

/* In the table of MSI-X or at its ends: no access of a device's. */
static void read_vectors(struct session *s, struct chance *c)
{
	unsigned at = find_cap(s, 0x11), width = 1 + below(c, 8);

	if (!at)
		return;
	unsigned size = 16 * ((hw16(s, at + 2) & 0x7ffu) + 1);
	uint32_t offset = (hw32(s, at + 4) & ~7u) + below(c, size);
	bar_read(s, hw32(s, at + 4) & 7, offset, width);
}

/* Some registers do something when they are read: only the first, the last, and none. */
static void step_region(struct steps *steps, struct chance *c)
{
	static const unsigned char widths[] = {4, 4, 4, 1, 2, 8, 0, 3};
	unsigned region = below(c, one_in(c, 6) ? 16 : 7);

	if (one_in(c, 3))
		read_vectors(steps->session, c);
	else if (region != CONFIG)
		bar_read(steps->session, region, bar_offset(steps->session, c, region),
			 ONE_OF(c, widths));
}

static void read_bars(struct session *s)
{
	for (unsigned i = 0; i < 6; i++)
		if (s->bars[i])
			bar_read(s, i, 0, 4);
}

/* Nothing of this reaches a register of the device's. */
static void step_write_region(struct steps *steps, struct chance *c)
{
	struct session *s = steps->session;
	unsigned region = below(c, 7), at = find_cap(s, 0x11), width = 1 + below(c, 8);

	switch (below(c, 4)) {
	case 0:
		bar_write(s, 6, below(c, 64), width, draw(c));
		break;
	case 1:
		if (at)
			bar_write(s, hw32(s, at + 4) & 7,
				  (hw32(s, at + 4) & ~7u) + below(c, 8), width, draw(c));
		break;
	case 2:
		bar_write(s, region, s->bars[region] + below(c, 12), width, draw(c));
		break;
	default:
		wr(s, 0x04, 2, 0);
		for (unsigned i = 0; i < 6; i++)
			if (!s->io[i])
				bar_write(s, i, below(c, 64), width, draw(c));
		wr(s, 0x04, 2, 3);
		break;
	}
}

/* ---- registers that do something -------------------------------------------------------- */

static void step_command(struct steps *steps, struct chance *c)
{
	static const unsigned values[] = {0x000, 0x001, 0x002, 0x003, 0x006, 0x007,
					  0x400, 0x402, 0x403, 0x407, 0x147, 0x547};
	struct session *s = steps->session;
	unsigned value = one_in(c, 3) ? below(c, 0x10000) : ONE_OF(c, values);

	switch (below(c, 6)) {
	case 0:
		wr(s, 0x04, 1, value);
		break;
	case 1:
		wr(s, 0x05, 1, value >> 8);
		break;
	case 2:
		wr(s, 0x04, 4, value | (uint64_t)below(c, 0x10000) << 16);
		break;
	default:
		wr(s, 0x04, 2, value);
		break;
	}
	look(s, 0x04, 4);
	if (one_in(c, 2))
		read_bars(s);
}

static void step_power(struct steps *steps, struct chance *c)
{
	struct session *s = steps->session;
	unsigned at = find_cap(s, 0x01);

	if (!at)
		return;
	wr(s, at + 4, one_in(c, 4) ? 1 : 2, below(c, 4) | (one_in(c, 4) ? 0xff00 : 0));
	look(s, at + 4, 4);
	if (one_in(c, 2))
		read_bars(s);
	if (one_in(c, 2))
		step_irq_life(steps, c);
	if (one_in(c, 4))
		wr(s, 0x04, 2, below(c, 8));
	if (one_in(c, 4))
		return;
	wr(s, at + 4, 2, one_in(c, 2) ? 0 : 0x1e00);
	look(s, at + 4, 4);
	read_bars(s);
}

static void step_message_control(struct steps *steps, struct chance *c)
{
	struct session *s = steps->session;
	unsigned at = find_cap(s, one_in(c, 3) ? 0x11 : 0x05);

	if (!at)
		return;
	if (one_in(c, 2))
		wr(s, at + 2, 2, below(c, 0x80) | (one_in(c, 2) ? 0xff00 : 0));
	else
		wr(s, at + 2, 1, below(c, 0x100));
	look(s, at, 4);
}

static void step_vpd(struct steps *steps, struct chance *c)
{
	struct session *s = steps->session;
	unsigned at = find_cap(s, 0x03);

	if (!at)
		return;
	if (one_in(c, 3))
		wr(s, at + 4, 4, draw(c));
	wr(s, at + 2, one_in(c, 5) ? 1 : 2, below(c, 0x200) | (one_in(c, 4) ? 0x8000 : 0));
	rd(s, at, 8);
}

/* Whatever was done, it is a device that can be worked with. */
static void step_settle(struct steps *steps, struct chance *c)
{
	struct session *s = steps->session;
	unsigned pm = find_cap(s, 0x01);

	if (pm)
		wr(s, pm + 4, 2, 0);
	wr(s, 0x04, 2, one_in(c, 2) ? 0x0007 : 0x0003);
	irqs_off(steps);
	look(s, 0x04, 4);
}

static void step_info(struct steps *steps, struct chance *c)
{
	switch (below(c, 5)) {
	case 0:
		device_info(steps->session);
		break;
	case 1:
	case 2:
		region_info(steps->session, below(c, REGIONS + 3));
		break;
	default:
		irq_info(steps->session, below(c, INDEXES + 2));
		break;
	}
}

static void step_reset(struct steps *steps, struct chance *c)
{
	struct session *s = steps->session;

	device_reset(s);
	for (unsigned offset = 0; offset < 0x40; offset += 4)
		rd(s, offset, 4);
	for (unsigned i = 1; i < steps->places.count; i++)
		rd(s, steps->places.list[i].at, 8);
	look(s, 0x04, 4);
}

/* ---- which ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	unsigned weight;
	void (*step)(struct steps *steps, struct chance *c);
} kinds[] = {
	{"read", 250, step_read},
	{"write", 295, step_write},
	{"bars", 60, step_bars},
	{"region", 60, step_region},
	{"write region", 20, step_write_region},
	{"command", 60, step_command},
	{"power", 13, step_power},
	{"message control", 30, step_message_control},
	{"vpd", 10, step_vpd},
	{"irq", 90, step_irq},
	{"irq life", 40, step_irq_life},
	{"info", 40, step_info},
	{"settle", 28, step_settle},
	{"reset", 4, step_reset},
};

/* Linux 6.5 was the first that can add vectors of MSI-X to those that are enabled. */
static bool is_before_6_5(void)
{
	struct utsname system;
	int major = 0, minor = 0;

	uname(&system);
	sscanf(system.release, "%d.%d", &major, &minor);
	return major < 6 || (major == 6 && minor < 5);
}

void steps_init(struct steps *steps, struct session *s)
{
	memset(steps, 0, sizeof(*steps));
	steps->session = s;
	steps->fixed = is_before_6_5();
	places_find(&steps->places, s);
}

void steps_do(struct steps *steps, uint64_t seed, unsigned number)
{
	struct chance c = chance_of(seed, number);
	unsigned at = below(&c, 1000), i = 0;

	while (at >= kinds[i].weight)
		at -= kinds[i++].weight;
	printf("# step %u %s\n", number, kinds[i].name);
	kinds[i].step(steps, &c);
}

_Static_assert(250 + 295 + 60 + 60 + 20 + 60 + 13 + 30 + 10 + 90 + 40 + 40 + 28 + 4 == 1000,
	       "one of them is done");
