/* SPDX-License-Identifier: MIT */
/* Capabilities whose registers do more than store what is written. */
#include "sections.h"

#include <stdio.h>

#include "trace.h"

static void read_bars(struct session *s)
{
	for (unsigned i = 0; i < 7; i++)
		if (s->bars[i] && !s->io[i])
			bar_read(s, i, 0, 4);
}

static void in_d3(struct session *s)
{
	rd(s, 0x00, 4);
	rd(s, 0x04, 4);
	rd(s, 0x10, 4);
	read_bars(s);
	set_irqs(s, &(struct irq_set){.index = 0, .flags = DATA_EVENTFD | TRIGGER, .count = 1});
	set_irqs(s, &(struct irq_set){.index = 0, .flags = DATA_NONE | TRIGGER});
	for (unsigned index = 1; index < 3; index++) {
		if (!s->vectors[index])
			continue;
		set_irqs(s, &(struct irq_set){.index = index, .flags = DATA_EVENTFD | TRIGGER,
					      .count = 1});
		set_irqs(s, &(struct irq_set){.index = index, .flags = DATA_NONE | TRIGGER});
	}
	region_info(s, 0);
	region_info(s, 6);
}

static void power_state(struct session *s, unsigned pmcsr, unsigned state)
{
	wr(s, pmcsr, 2, state);
	rd(s, pmcsr, 4);
	rd(s, pmcsr, 2);
	hw(s, pmcsr, 2);
	read_bars(s);
	wr(s, pmcsr, 2, 0);
	rd(s, pmcsr, 4);
}

static void power_bytes(struct session *s, unsigned pmcsr)
{
	section("power bytes");
	wr(s, pmcsr + 1, 1, 0xff);
	rd(s, pmcsr, 4);
	hw(s, pmcsr, 4);
	wr(s, pmcsr + 1, 1, 0);
	rd(s, pmcsr, 4);
	for (unsigned i = 2; i < 4; i++) {
		wr(s, pmcsr + i, 1, 0xff);
		rd(s, pmcsr, 4);
		wr(s, pmcsr + i, 1, 0);
		rd(s, pmcsr, 4);
	}
	wr(s, pmcsr, 2, 0xff00);
	rd(s, pmcsr, 4);
	wr(s, pmcsr, 2, 0xfffc);
	rd(s, pmcsr, 4);
	hw(s, pmcsr, 4);
	wr(s, pmcsr, 4, 0xfffffffc);
	rd(s, pmcsr, 4);
	wr(s, pmcsr, 4, 0);
	rd(s, pmcsr, 4);
	hw(s, pmcsr, 4);
}

void record_power(struct session *s)
{
	unsigned at = find_cap(s, 0x01);

	if (!at)
		return;
	section("power states");
	rd(s, at, 8);
	for (unsigned i = 0; i < 5; i++)
		power_state(s, at + 4, i % 4);
	power_bytes(s, at + 4);
	section("power D3 by a byte and a dword");
	wr(s, at + 4, 1, 3);
	rd(s, at + 4, 4);
	wr(s, at + 4, 1, 0);
	rd(s, at + 4, 4);
	wr(s, at + 4, 4, 0xffffffff);
	rd(s, at + 4, 4);
	wr(s, at + 4, 4, 0);
	rd(s, at + 4, 4);
	section("power in D3");
	wr(s, at + 4, 2, 3);
	in_d3(s);
	wr(s, at + 4, 2, 2);
	rd(s, at + 4, 2);
	wr(s, at + 4, 2, 1);
	rd(s, at + 4, 2);
	wr(s, at + 4, 2, 3);
	wr(s, at + 4, 2, 0);
	record_dump(s, "back in D0");
	section("reset in D3");
	wr(s, at + 4, 2, 3);
	device_reset(s);
	rd(s, at + 4, 2);
	rd(s, 0x04, 4);
	wr(s, at + 4, 2, 0);
}

static void control_writes(struct session *s, unsigned at)
{
	const unsigned values[] = {0x0000, 0x0001, 0x0010, 0x0011, 0x0021, 0x0031, 0x0041, 0x0051,
				   0x0061, 0x0071, 0x008e, 0xff00, 0xffff, 0x0000, 0x0001};

	for (unsigned i = 0; i < sizeof(values) / sizeof(*values); i++) {
		wr(s, at + 2, 2, values[i]);
		rd(s, at, 4);
		hw(s, at + 2, 2);
	}
	wr(s, at + 2, 1, 0x71);
	rd(s, at, 4);
	wr(s, at + 3, 1, 0xff);
	rd(s, at, 4);
	wr(s, at, 4, 0x0011ffff);
	rd(s, at, 4);
	hw(s, at + 2, 2);
	wr(s, at + 1, 2, 0x7100);
	rd(s, at, 4);
	hw(s, at + 2, 2);
}

static void enable(struct session *s, unsigned index, unsigned count)
{
	set_irqs(s, &(struct irq_set){.index = index, .flags = DATA_EVENTFD | TRIGGER,
				      .count = count});
}

static void disable(struct session *s, unsigned index)
{
	set_irqs(s, &(struct irq_set){.index = index, .flags = DATA_NONE | TRIGGER});
}

static void loopback(struct session *s, unsigned index, unsigned count)
{
	set_irqs(s, &(struct irq_set){.index = index, .flags = DATA_NONE | TRIGGER,
				      .count = count});
	events_read(s, 1);
}

/* Restores Message Control as far as it is virtual, so that the next section starts the same. */
static void msi_registers(struct session *s, unsigned at, unsigned length)
{
	for (unsigned offset = at + 4; offset < at + length; offset += 2) {
		uint64_t before = rd(s, offset, 2);
		wr(s, offset, 2, 0xffff);
		rd(s, offset & ~3u, 4);
		wr(s, offset, 2, 0x0000);
		rd(s, offset & ~3u, 4);
		wr(s, offset, 2, before);
	}
}

static unsigned msi_length(const struct session *s, unsigned at)
{
	unsigned control = hw16(s, at + 2);

	return 10 + (control & 0x80 ? 4 : 0) + (control & 0x100 ? 10 : 0);
}

void record_msi(struct session *s)
{
	unsigned at = find_cap(s, 0x05), most = s->vectors[1];

	if (!at || !most)
		return;
	unsigned control = (unsigned)rd(s, at + 2, 2), length = msi_length(s, at);
	section("MSI control while nothing is active");
	control_writes(s, at);
	wr(s, at + 2, 2, control);
	for (unsigned count = 1; count <= most && count <= 32; count += count < 4 ? 1 : count) {
		section("MSI with %u vectors", count);
		enable(s, 1, count);
		rd(s, at, 4);
		hw(s, at + 2, 2);
		control_writes(s, at);
		msi_registers(s, at, length);
		loopback(s, 1, count);
		disable(s, 1);
		rd(s, at, 4);
		hw(s, at + 2, 2);
		control_writes(s, at);
		wr(s, at + 2, 2, control);
		rd(s, at, 4);
	}
	section("MSI across a reset");
	enable(s, 1, most);
	wr(s, at + 4, 4, 0xfee00000);
	rd(s, at, 8);
	device_reset(s);
	rd(s, at, 8);
	hw(s, at + 2, 2);
	loopback(s, 1, most);
	disable(s, 1);
	wr(s, at + 2, 2, control);
	rd(s, at, 4);
}

static void msix_writes(struct session *s, unsigned at)
{
	const unsigned values[] = {0x0000, 0x8000, 0x4000, 0xc000, 0xffff, 0x07ff};

	for (unsigned i = 0; i < 6; i++) {
		wr(s, at + 2, 2, values[i]);
		rd(s, at + 2, 2);
		hw(s, at + 2, 2);
	}
	wr(s, at + 3, 1, 0xc0);
	rd(s, at, 4);
	wr(s, at, 4, 0xffffffff);
	rd(s, at, 4);
	wr(s, at + 4, 8, ~0ull);
	rd(s, at + 4, 8);
}

static void msix_counts(struct session *s, unsigned at)
{
	const unsigned counts[] = {1, 2, s->vectors[2]};

	for (unsigned i = 0; i < 3; i++) {
		if (counts[i] > s->vectors[2])
			continue;
		section("MSI-X with %u vectors", counts[i]);
		enable(s, 2, counts[i]);
		rd(s, at, 4);
		hw(s, at + 2, 2);
		rd(s, 0x04, 2);
		hw(s, 0x04, 2);
		msix_writes(s, at);
		loopback(s, 2, counts[i]);
		disable(s, 2);
		rd(s, at, 4);
		hw(s, at + 2, 2);
	}
}

void record_msix(struct session *s)
{
	unsigned at = find_cap(s, 0x11);

	if (!at || !s->vectors[2])
		return;
	section("MSI-X control while nothing is active");
	msix_writes(s, at);
	msix_counts(s, at);
	section("MSI-X without memory");
	unsigned before = (unsigned)rd(s, 0x04, 2);
	wr(s, 0x04, 2, before & ~2u);
	enable(s, 2, 1);
	rd(s, 0x04, 2);
	hw(s, 0x04, 2);
	loopback(s, 2, 1);
	disable(s, 2);
	rd(s, 0x04, 2);
	wr(s, 0x04, 2, before);
	section("MSI-X across a reset");
	enable(s, 2, 1);
	rd(s, at, 4);
	device_reset(s);
	rd(s, at, 4);
	loopback(s, 2, 1);
	disable(s, 2);
	rd(s, at, 4);
}

static void device_control(struct session *s, unsigned control)
{
	unsigned before = (unsigned)rd(s, control, 2);

	section("device control bit by bit");
	for (unsigned bit = 0; bit < 15; bit++) {
		wr(s, control, 2, before ^ 1u << bit);
		rd(s, control, 4);
		hw(s, control, 2);
	}
	section("device control sizes");
	for (unsigned size = 0; size < 8; size++) {
		wr(s, control, 2, (before & 0x0f1fu) | size << 5 | (7 - size) << 12);
		rd(s, control, 4);
		hw(s, control, 2);
	}
	section("device control patterns");
	wr(s, control, 2, 0x7fff);
	rd(s, control, 4);
	wr(s, control, 4, 0xffff0000);
	rd(s, control, 4);
	wr(s, control, 1, 0xff);
	rd(s, control, 4);
	wr(s, control + 1, 1, 0x7f);
	rd(s, control, 4);
	hw(s, control, 2);
	wr(s, control + 2, 2, 0xffff);
	rd(s, control, 4);
	wr(s, control, 2, 0);
	rd(s, control, 4);
	hw(s, control, 2);
	wr(s, control, 2, before);
	rd(s, control, 4);
}

static void function_reset(struct session *s, unsigned offset, unsigned width, unsigned value)
{
	wr(s, 0x3c, 1, 0x77);
	wr(s, 0x0c, 1, 0x08);
	wr(s, offset, width, value);
	rd(s, offset & ~3u, 4);
	hw(s, offset, width);
	for (unsigned i = 0; i < 0x40; i += 4)
		rd(s, i, 4);
	hw(s, 0x04, 2);
}

void record_pcie(struct session *s)
{
	unsigned at = find_cap(s, 0x10);

	if (!at)
		return;
	device_control(s, at + 8);
	section("function level reset by PCI Express");
	unsigned before = (unsigned)rd(s, at + 8, 2);
	function_reset(s, at + 8, 2, before | 0x8000);
	function_reset(s, at + 9, 1, 0x80);
	record_dump(s, "after a function level reset");
	wr(s, at + 8, 2, before);
	rd(s, at + 8, 4);
}

void record_af(struct session *s)
{
	unsigned at = find_cap(s, 0x13);

	if (!at)
		return;
	section("AF");
	rd(s, at, 4);
	rd(s, at + 4, 2);
	wr(s, at + 4, 1, 0xfe);
	rd(s, at + 4, 1);
	wr(s, at + 5, 1, 0xff);
	rd(s, at + 5, 1);
	function_reset(s, at + 4, 1, 0x01);
	record_dump(s, "after a reset by AF");
}

void record_vpd(struct session *s)
{
	const unsigned addresses[] = {0x0000, 0x0004, 0x0001, 0x0080, 0x7ffc, 0x8000, 0x8004,
				      0x8001, 0xfffc};
	unsigned at = find_cap(s, 0x03);

	if (!at)
		return;
	section("VPD");
	rd(s, at, 8);
	for (unsigned i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		wr(s, at + 4, 4, 0x11223344);
		wr(s, at + 2, 2, addresses[i]);
		rd(s, at, 4);
		rd(s, at + 4, 4);
	}
	wr(s, at + 2, 1, 0x10);
	rd(s, at, 4);
	wr(s, at + 3, 1, 0x00);
	rd(s, at, 4);
	wr(s, at, 4, 0);
	rd(s, at, 8);
}

static void ext_patterns(struct session *s, unsigned at, unsigned length, unsigned width)
{
	for (unsigned offset = at; offset < at + length; offset += width) {
		uint64_t before = rd(s, offset, width);
		wr(s, offset, width, ~0ull);
		rd(s, offset & ~3u, 4);
		wr(s, offset, width, 0);
		rd(s, offset & ~3u, 4);
		wr(s, offset, width, before);
	}
}

/* Dwords were done with all the others. */
void record_extended(struct session *s)
{
	unsigned at = s->size > 256 && hw32(s, 0x100) ? 0x100 : 0;

	for (int i = 0; at >= 0x100 && i < 960; i++, at = hw32(s, at) >> 20 & ~3u) {
		bool aer = hw16(s, at) == 1;
		section("extended capability %04x at %03x", hw16(s, at), at);
		ext_patterns(s, at, aer ? 0x2c : 0x0c, 2);
		ext_patterns(s, at, aer ? 0x1c : 0x08, 1);
	}
}
