/* SPDX-License-Identifier: MIT */
/* Interrupts that the device really raises: QEMU's edu does so when a register is written. */
#include "sections.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "trace.h"

#define RAISE 0x60
#define LOWER 0x64

static int write_register(struct session *s, unsigned offset, uint32_t value)
{
	return pwrite(s->device, &value, sizeof(value), offset) < 0 ? -errno : 0;
}

/* The device raises or lowers its interrupt: a line of its own, whatever the register is. */
static void level(struct session *s, unsigned up)
{
	printf("A %u = %d\n", up, write_register(s, up ? RAISE : LOWER, 1));
	usleep(20000);
}

static void look(struct session *s)
{
	events_read(s, 3);
	rd(s, 0x04, 4);
	hw(s, 0x04, 4);
}

static void intx(struct session *s, uint32_t flags, int fd)
{
	set_irqs(s, &(struct irq_set){.index = 0,
				      .flags = flags,
				      .count = 1,
				      .used = flags & DATA_EVENTFD ? 1 : 0,
				      .data = {fd}});
	usleep(20000);
	look(s);
}

static void disable(struct session *s, unsigned index)
{
	set_irqs(s, &(struct irq_set){.index = index, .flags = DATA_NONE | TRIGGER});
	look(s);
}

static void command(struct session *s, unsigned value)
{
	wr(s, 0x04, 2, value);
	usleep(20000);
	look(s);
}

static void raise_and_unmask(struct session *s)
{
	section("INTx raised, lowered, unmasked");
	intx(s, DATA_EVENTFD | TRIGGER, 0);
	level(s, 1);
	look(s);
	level(s, 1);
	look(s);
	level(s, 0);
	look(s);
	intx(s, DATA_NONE | UNMASK, 0);
	level(s, 1);
	look(s);
	section("INTx unmasked while it is raised");
	intx(s, DATA_NONE | UNMASK, 0);
	intx(s, DATA_NONE | UNMASK, 0);
	intx(s, DATA_NONE | TRIGGER, 0);
	level(s, 0);
	intx(s, DATA_NONE | UNMASK, 0);
}

static void raise_while_masked(struct session *s)
{
	section("INTx raised while it is masked");
	intx(s, DATA_NONE | MASK, 0);
	level(s, 1);
	look(s);
	intx(s, DATA_NONE | MASK, 0);
	intx(s, DATA_NONE | UNMASK, 0);
	level(s, 0);
	look(s);
	intx(s, DATA_NONE | UNMASK, 0);
	intx(s, DATA_NONE | MASK, 0);
	level(s, 1);
	level(s, 0);
	look(s);
	intx(s, DATA_NONE | UNMASK, 0);
}

static void raise_while_disabled(struct session *s, unsigned before)
{
	section("INTx raised with DisINTx");
	command(s, before | 0x400);
	level(s, 1);
	look(s);
	intx(s, DATA_NONE | UNMASK, 0);
	command(s, before);
	command(s, before | 0x400);
	command(s, before);
	level(s, 0);
	command(s, before | 0x400);
	command(s, before);
	section("INTx masked, then DisINTx there and back");
	intx(s, DATA_NONE | MASK, 0);
	command(s, before | 0x400);
	command(s, before);
	level(s, 1);
	look(s);
	level(s, 0);
	intx(s, DATA_NONE | UNMASK, 0);
}

static void raise_for_others(struct session *s)
{
	section("INTx raised, the descriptor changed");
	level(s, 1);
	look(s);
	intx(s, DATA_EVENTFD | TRIGGER, 1);
	intx(s, DATA_NONE | UNMASK, 0);
	intx(s, DATA_EVENTFD | TRIGGER, FD_NONE);
	intx(s, DATA_NONE | UNMASK, 0);
	intx(s, DATA_EVENTFD | TRIGGER, 0);
	intx(s, DATA_NONE | UNMASK, 0);
	section("INTx raised, a descriptor unmasks");
	intx(s, DATA_EVENTFD | UNMASK, 4);
	event_write(s, 4);
	look(s);
	level(s, 0);
	event_write(s, 4);
	look(s);
	level(s, 1);
	look(s);
	intx(s, DATA_EVENTFD | UNMASK, FD_NONE);
	event_write(s, 4);
	intx(s, DATA_EVENTFD | UNMASK, 4);
	event_read(s, 4);
	section("INTx raised, disabled, lowered, enabled");
	disable(s, 0);
	level(s, 0); /* QEMU's IOAPIC forgets a line that was up before it was asked for */
	intx(s, DATA_EVENTFD | TRIGGER, 0);
}

static void raise_and_reset(struct session *s)
{
	section("INTx raised, then a reset");
	level(s, 1);
	look(s);
	device_reset(s);
	look(s);
	intx(s, DATA_NONE | UNMASK, 0);
	level(s, 0);
	intx(s, DATA_NONE | UNMASK, 0);
	level(s, 1);
	look(s);
	level(s, 0);
	disable(s, 0);
	section("INTx raised while nothing is active");
	level(s, 1);
	look(s);
	level(s, 0);
	look(s);
}

static void raise_msi(struct session *s, unsigned before)
{
	section("MSI raised, without and with bus mastering");
	set_irqs(s, &(struct irq_set){.index = 1, .flags = DATA_EVENTFD | TRIGGER, .count = 1});
	for (unsigned i = 0; i < 3; i++) {
		level(s, 1);
		look(s);
		level(s, 0);
		if (!i)
			wr(s, 0x04, 2, before | 0x4);
	}
	level(s, 1);
	level(s, 1);
	level(s, 0);
	look(s);
	device_reset(s);
	level(s, 1);
	look(s);
	level(s, 0);
	set_irqs(s, &(struct irq_set){.index = 1,
				      .flags = DATA_EVENTFD | TRIGGER,
				      .count = 1,
				      .used = 1,
				      .data = {FD_NONE}});
	level(s, 1);
	look(s);
	level(s, 0);
	disable(s, 1);
	wr(s, 0x04, 2, before);
}

void record_asserts(struct session *s)
{
	unsigned before;

	section("begin");
	before = (unsigned)rd(s, 0x04, 2);
	raise_and_unmask(s);
	raise_while_masked(s);
	raise_while_disabled(s, before);
	raise_for_others(s);
	raise_and_reset(s);
	raise_msi(s, before);
}
