/* SPDX-License-Identifier: MIT */
/* VFIO_DEVICE_SET_IRQS: every kind of request in every state, descriptors, what outlives what. */
#include "sections.h"

#include <stdio.h>

#include "trace.h"

enum state { NOTHING, INTX, MSI, MSIX };

static const char *const names[] = {"nothing", "INTx", "MSI", "MSI-X"};

static int request(struct session *s, unsigned index, uint32_t flags, uint32_t start,
		   uint32_t count)
{
	return set_irqs(s, &(struct irq_set){index, flags, start, count, 0, 0, {0}});
}

static int with_fd(struct session *s, unsigned index, uint32_t action, uint32_t start, int fd)
{
	return set_irqs(s, &(struct irq_set){.index = index,
					     .flags = DATA_EVENTFD | action,
					     .start = start,
					     .count = 1,
					     .used = 1,
					     .data = {fd}});
}

static void teardown(struct session *s)
{
	for (unsigned index = 0; index < 3; index++)
		if (s->vectors[index])
			request(s, index, DATA_NONE | TRIGGER, 0, 0);
}

static bool possible(const struct session *s, enum state state)
{
	return state == NOTHING || s->vectors[state - 1];
}

static unsigned active_vectors(const struct session *s, enum state state)
{
	if (state == NOTHING)
		return 0;
	return s->vectors[state - 1] < 3 ? s->vectors[state - 1] : 3;
}

static void establish(struct session *s, enum state state)
{
	teardown(s);
	if (state != NOTHING)
		request(s, state - 1, DATA_EVENTFD | TRIGGER, 0, active_vectors(s, state));
	events_read(s, 0);
}

static void clear_notifier(struct session *s, unsigned index)
{
	with_fd(s, index, TRIGGER, 0, FD_NONE);
}

/* Undoes what a request of the matrix did. */
static void undo(struct session *s, enum state state, const struct irq_set *set, int result)
{
	if (set->index >= INDEXES)
		return;
	if (set->index > 2) {
		if (!result && set->flags == (DATA_EVENTFD | TRIGGER))
			clear_notifier(s, set->index);
		return;
	}
	if (set->flags == (DATA_EVENTFD | UNMASK) && !result)
		with_fd(s, 0, UNMASK, 0, FD_NONE);
	else if (set->flags & MASK && !result)
		request(s, 0, DATA_NONE | UNMASK, 0, 1);
	else if (set->flags == (DATA_EVENTFD | TRIGGER) && (!result || set->index + 1 == state))
		establish(s, state);
	else if (set->flags == (DATA_NONE | TRIGGER) && !set->count && !result)
		establish(s, state);
}

static void matrix_request(struct session *s, enum state state, const struct irq_set *set)
{
	int result = set_irqs(s, set);
	bool signals = set->flags & TRIGGER && set->flags & (DATA_NONE | DATA_BOOL);

	events_read(s, !result && signals ? 2 : 0);
	undo(s, state, set, result);
}

static void matrix_of_flags(struct session *s, enum state state, unsigned index, uint32_t flags)
{
	uint32_t n = index < INDEXES ? s->vectors[index] : 1;
	const uint32_t ranges[][2] = {{0, 0}, {0, 1},	  {0, 2},     {1, 1},
				      {n, 0}, {n - 1, 1}, {0, n + 1}, {0, 0xffffffff}};

	for (unsigned i = 0; i < 8; i++) {
		unsigned same = 0;
		while (ranges[same][0] != ranges[i][0] || ranges[same][1] != ranges[i][1])
			same++;
		if (same == i)
			matrix_request(s, state, &(struct irq_set){.index = index,
								   .flags = flags,
								   .start = ranges[i][0],
								   .count = ranges[i][1]});
	}
}

/* Flags with no bit or two of a kind: once while nothing is active, and for the active index. */
static void matrix_of_index(struct session *s, enum state state, unsigned index)
{
	const uint32_t data[] = {DATA_NONE, DATA_BOOL, DATA_EVENTFD, 0, DATA_NONE | DATA_BOOL};
	const uint32_t action[] = {MASK, UNMASK, TRIGGER, 0, MASK | TRIGGER};
	unsigned kinds = state == NOTHING || index + 1 == state ? 5 : 3;

	section("irq matrix: index %u while %s is active", index, names[state]);
	for (unsigned d = 0; d < kinds; d++)
		for (unsigned a = 0; a < kinds; a++)
			matrix_of_flags(s, state, index, data[d] | action[a]);
}

void record_irq_matrix(struct session *s)
{
	for (enum state state = NOTHING; state <= MSIX; state++) {
		if (!possible(s, state))
			continue;
		section("irq matrix: begin with %s active", names[state]);
		establish(s, state);
		for (unsigned index = 0; index < 3; index++)
			matrix_of_index(s, state, index);
		if (state != NOTHING && state != INTX)
			continue;
		matrix_of_index(s, state, 3);
		matrix_of_index(s, state, 4);
		if (state == NOTHING)
			matrix_of_index(s, state, 5);
	}
	section("irq matrix: end");
	establish(s, NOTHING);
}

static void loopback(struct session *s, unsigned index, unsigned count)
{
	request(s, index, DATA_NONE | TRIGGER, 0, count);
	events_read(s, count < 4 ? count : 4);
}

static void sizes(struct session *s, unsigned index)
{
	const uint32_t argsz[] = {1, 4, 19, 20, 21, 23, 24, 25, 100};
	const uint32_t flags[] = {DATA_NONE | TRIGGER, DATA_BOOL | TRIGGER, DATA_EVENTFD | TRIGGER,
				  DATA_EVENTFD | UNMASK};

	section("argsz of index %u", index);
	for (unsigned f = 0; f < 4; f++)
		for (unsigned i = 0; i < sizeof(argsz) / sizeof(*argsz); i++)
			set_irqs(s, &(struct irq_set){.index = index,
						      .flags = flags[f],
						      .count = 1,
						      .argsz = argsz[i]});
	set_irqs(s, &(struct irq_set){.index = index, .flags = 0x40, .count = 1});
	set_irqs(s, &(struct irq_set){.index = index, .flags = 0x61, .count = 1});
	set_irqs(s, &(struct irq_set){.index = index, .flags = 0x80000021, .count = 1});
	request(s, index, DATA_NONE | TRIGGER, 0xffffffff, 0);
	request(s, index, DATA_NONE | TRIGGER, 0xfffffffe, 1);
	request(s, index, DATA_NONE | TRIGGER, 1, 0xfffffffe);
	with_fd(s, index, UNMASK, 0, FD_NONE);
	if (index < 3)
		request(s, index, DATA_NONE | TRIGGER, 0, 0);
	else
		clear_notifier(s, index);
	events_read(s, 1);
}

static const int odd[] = {FD_BAD, FD_FILE, FD_LESS, FD_NONE};

static void intx_descriptors(struct session *s)
{
	section("INTx descriptors while nothing is active");
	for (unsigned i = 0; i < 4; i++) {
		with_fd(s, 0, TRIGGER, 0, odd[i]);
		loopback(s, 0, 1);
		request(s, 0, DATA_NONE | TRIGGER, 0, 0);
	}
	section("INTx descriptors while INTx is active");
	for (unsigned i = 0; i < 4; i++) {
		with_fd(s, 0, TRIGGER, 0, 0);
		loopback(s, 0, 1);
		with_fd(s, 0, TRIGGER, 0, odd[i]);
		loopback(s, 0, 1);
		with_fd(s, 0, TRIGGER, 0, 1);
		loopback(s, 0, 1);
		events_read(s, 2);
	}
	request(s, 0, DATA_NONE | TRIGGER, 0, 0);
}

static void intx_unmask_fd(struct session *s)
{
	section("INTx unmask descriptors");
	with_fd(s, 0, UNMASK, 0, 2);
	with_fd(s, 0, TRIGGER, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		with_fd(s, 0, UNMASK, 0, odd[i]);
	with_fd(s, 0, UNMASK, 0, 2);
	with_fd(s, 0, UNMASK, 0, 3);
	with_fd(s, 0, UNMASK, 0, 2);
	for (unsigned i = 0; i < 4; i++)
		with_fd(s, 0, MASK, 0, odd[i]);
	request(s, 0, DATA_NONE | MASK, 0, 1);
	hw(s, 0x04, 2);
	event_write(s, 2);
	hw(s, 0x04, 2);
	events_read(s, 3);
	with_fd(s, 0, UNMASK, 0, FD_LESS);
	event_write(s, 2);
	events_read(s, 3);
	request(s, 0, DATA_NONE | MASK, 0, 1);
	event_write(s, 3);
	with_fd(s, 0, UNMASK, 0, 3);
	hw(s, 0x04, 2);
	event_read(s, 3);
	request(s, 0, DATA_NONE | TRIGGER, 0, 0);
	with_fd(s, 0, UNMASK, 0, 3);
	events_read(s, 0);
}

static void block(struct session *s, unsigned index, unsigned start, int a, int b, int c)
{
	set_irqs(s, &(struct irq_set){.index = index,
				      .flags = DATA_EVENTFD | TRIGGER,
				      .start = start,
				      .count = 3,
				      .used = 3,
				      .data = {a, b, c}});
	loopback(s, index, s->vectors[index] < 6 ? s->vectors[index] : 6);
}

static void single_vectors(struct session *s, unsigned index)
{
	section("index %u descriptors while nothing is active", index);
	for (unsigned i = 0; i < 4; i++) {
		with_fd(s, index, TRIGGER, 0, odd[i]);
		loopback(s, index, 1);
		request(s, index, DATA_NONE | TRIGGER, 0, 0);
	}
	section("index %u descriptors while it is active", index);
	for (unsigned i = 0; i < 4; i++) {
		with_fd(s, index, TRIGGER, 0, 0);
		loopback(s, index, 1);
		with_fd(s, index, TRIGGER, 0, odd[i]);
		loopback(s, index, 1);
		with_fd(s, index, TRIGGER, 0, 1);
		loopback(s, index, 1);
		events_read(s, 2);
	}
	request(s, index, DATA_NONE | TRIGGER, 0, 0);
}

static void late_vectors(struct session *s, unsigned index)
{
	section("index %u vectors that come later", index);
	with_fd(s, index, TRIGGER, 2, 1);
	loopback(s, index, 4);
	block(s, index, 0, 3, 4, 5);
	request(s, index, DATA_NONE | TRIGGER, 1, 0);
	loopback(s, index, 1);
	request(s, index, DATA_EVENTFD | TRIGGER, 2, 0);
	with_fd(s, index, TRIGGER, 1, 1);
	with_fd(s, index, TRIGGER, 2, 2);
	loopback(s, index, 4);
	request(s, index, DATA_NONE | TRIGGER, 0, 0);
}

static void blocks(struct session *s, unsigned index)
{
	section("index %u blocks of vectors", index);
	block(s, index, 0, 0, FD_BAD, 2);
	request(s, index, DATA_NONE | TRIGGER, 0, 0);
	block(s, index, 0, 0, 1, 2);
	block(s, index, 0, 3, FD_BAD, 4);
	block(s, index, 0, 0, 1, 2);
	block(s, index, 0, FD_NONE, 5, FD_LESS);
	block(s, index, 0, 0, 1, FD_FILE);
	block(s, index, 0, 0, 1, 2);
	block(s, index, 1, 6, 7, 8);
	loopback(s, index, s->vectors[index]);
	set_irqs(s, &(struct irq_set){.index = index,
				      .flags = DATA_BOOL | TRIGGER,
				      .count = 4,
				      .used = 4,
				      .data = {0, 1, 0, 1}});
	events_read(s, 4);
	with_fd(s, index, TRIGGER, s->vectors[index] - 1, 9);
	loopback(s, index, s->vectors[index]);
	events_read(s, 10);
	request(s, index, DATA_NONE | TRIGGER, 0, 0);
}

static void notifier(struct session *s, unsigned index)
{
	section("index %u descriptors", index);
	loopback(s, index, 1);
	for (unsigned i = 0; i < 4; i++) {
		with_fd(s, index, TRIGGER, 0, odd[i]);
		with_fd(s, index, TRIGGER, 0, 0);
		loopback(s, index, 1);
		with_fd(s, index, TRIGGER, 0, odd[i]);
		loopback(s, index, 1);
	}
	with_fd(s, index, TRIGGER, 0, 1);
	with_fd(s, index, TRIGGER, 0, 0);
	for (int value = 0; value < 2; value++) {
		set_irqs(s, &(struct irq_set){.index = index,
					      .flags = DATA_BOOL | TRIGGER,
					      .count = 1,
					      .used = 1,
					      .data = {value}});
		events_read(s, 2);
	}
	request(s, index, DATA_NONE | TRIGGER, 0, 0);
	request(s, index, DATA_NONE | TRIGGER, 0, 0);
	request(s, index, DATA_BOOL | TRIGGER, 0, 1);
	request(s, index, DATA_NONE | TRIGGER, 0, 1);
	events_read(s, 2);
}

void record_irq_descriptors(struct session *s)
{
	for (unsigned index = 0; index < INDEXES; index++)
		if (s->vectors[index])
			sizes(s, index);
	if (s->vectors[0]) {
		intx_descriptors(s);
		intx_unmask_fd(s);
	}
	for (unsigned index = 1; index < 3; index++) {
		if (!s->vectors[index])
			continue;
		single_vectors(s, index);
		if (s->vectors[index] < 4)
			continue;
		blocks(s, index);
		late_vectors(s, index);
	}
	for (unsigned index = 3; index < INDEXES; index++)
		if (s->vectors[index])
			notifier(s, index);
}

static void command(struct session *s, unsigned value)
{
	wr(s, 0x04, 2, value);
	rd(s, 0x04, 2);
	hw(s, 0x04, 2);
}

static void intx_and_command(struct session *s, unsigned before)
{
	section("INTx and DisINTx");
	with_fd(s, 0, TRIGGER, 0, 0);
	command(s, before | 0x400);
	loopback(s, 0, 1);
	request(s, 0, DATA_NONE | UNMASK, 0, 1);
	hw(s, 0x04, 2);
	loopback(s, 0, 1);
	command(s, before);
	loopback(s, 0, 1);
	request(s, 0, DATA_NONE | MASK, 0, 1);
	hw(s, 0x04, 2);
	rd(s, 0x04, 2);
	loopback(s, 0, 1);
	command(s, before | 0x400);
	command(s, before);
	request(s, 0, DATA_NONE | TRIGGER, 0, 0);
	hw(s, 0x04, 2);
	command(s, before | 0x400);
	with_fd(s, 0, TRIGGER, 0, 0);
	hw(s, 0x04, 2);
	loopback(s, 0, 1);
	wr(s, 0x05, 1, before >> 8);
	hw(s, 0x04, 2);
	loopback(s, 0, 1);
	request(s, 0, DATA_NONE | TRIGGER, 0, 0);
	command(s, before);
}

static void across_reset(struct session *s, enum state state)
{
	section("%s across a reset", names[state]);
	establish(s, state);
	hw(s, 0x04, 2);
	device_reset(s);
	hw(s, 0x04, 2);
	rd(s, 0x04, 2);
	loopback(s, state - 1, active_vectors(s, state));
	teardown(s);
	hw(s, 0x04, 2);
	rd(s, 0x04, 2);
}

static void notifiers_across_reset(struct session *s)
{
	section("ERR and REQ across a reset");
	with_fd(s, 3, TRIGGER, 0, 0);
	with_fd(s, 4, TRIGGER, 0, 1);
	device_reset(s);
	request(s, 3, DATA_NONE | TRIGGER, 0, 1);
	request(s, 4, DATA_NONE | TRIGGER, 0, 1);
	events_read(s, 2);
	clear_notifier(s, 3);
	clear_notifier(s, 4);
}

void record_irq_life(struct session *s)
{
	unsigned before = (unsigned)rd(s, 0x04, 2) & ~0x400u;

	if (s->vectors[0])
		intx_and_command(s, before);
	for (enum state state = INTX; state <= MSIX; state++)
		if (possible(s, state))
			across_reset(s, state);
	notifiers_across_reset(s);
}
