/* SPDX-License-Identifier: MIT */
/* VFIO_DEVICE_SET_IRQS by chance. */
#include "steps.h"
#include "trace.h"

/* An index that the device has, mostly; MSI and MSI-X before others. */
static unsigned pick_index(const struct session *s, struct chance *c)
{
	static const unsigned char indexes[] = {0, 0, 1, 1, 1, 2, 2, 2, 3, 4};
	unsigned index = ONE_OF(c, indexes);

	if (one_in(c, 30))
		return below(c, 8);
	for (unsigned i = 0; i < 4 && !s->vectors[index]; i++)
		index = ONE_OF(c, indexes);
	return index;
}

static uint32_t pick_flags(struct chance *c, unsigned index)
{
	static const uint32_t data[] = {DATA_NONE, DATA_BOOL, DATA_EVENTFD, DATA_EVENTFD};
	static const uint32_t action[] = {MASK, UNMASK, TRIGGER, TRIGGER};

	if (one_in(c, 12))
		return below(c, one_in(c, 4) ? 0x100 : 0x40);
	return ONE_OF(c, data) | (index ? TRIGGER : ONE_OF(c, action));
}

static void pick_range(struct chance *c, uint32_t n, uint32_t *start, uint32_t *count)
{
	*start = 0;
	switch (below(c, 10)) {
	case 0:
		*count = 0;
		break;
	case 1:
	case 2:
	case 3:
		*count = 1;
		break;
	case 4:
		*count = n;
		break;
	case 5:
		*start = n ? n - 1 : 0;
		*count = 1;
		break;
	case 6:
		*start = below(c, n + 1);
		*count = below(c, n + 2);
		break;
	case 7:
		*start = draw(c) & 0xffffffff;
		*count = draw(c) & 0xffffffff;
		break;
	default:
		*count = 1 + below(c, n < 6 ? n + 1 : 6);
		*start = n > *count ? below(c, n - *count + 1) : 0;
		break;
	}
}

static int pick_descriptor(struct chance *c)
{
	static const int odd[] = {FD_NONE, FD_NONE, FD_NONE, FD_LESS, FD_BAD, FD_FILE};

	return one_in(c, 3) ? ONE_OF(c, odd) : (int)below(c, EVENTS);
}

/* What Linux answers otherwise since it can add vectors to those that are enabled. */
static bool is_of_version(const struct steps *steps, const struct irq_set *set)
{
	uint64_t end = (uint64_t)set->start + set->count;

	if (!steps->fixed || set->index == 0)
		return false;
	if (set->index > 2)
		return set->used && set->data[0] == FD_LESS;
	if (steps->enabled)
		return set->index == steps->active && end > steps->enabled;
	return !set->count && set->start;
}

/* What became of a request that was answered with 0. */
static void keep_count(struct steps *steps, const struct irq_set *set)
{
	if (set->index > 2 || !(set->flags & TRIGGER))
		return;
	if (set->flags & DATA_NONE && !set->count && set->index == steps->active)
		steps->enabled = 0;
	if (set->flags & DATA_EVENTFD && !steps->enabled) {
		steps->active = set->index;
		steps->enabled = (uint64_t)set->start + set->count;
	}
}

static void request(struct steps *steps, const struct irq_set *set)
{
	if (is_of_version(steps, set))
		return;
	if (set_irqs(steps->session, set) == 0)
		keep_count(steps, set);
}

void step_irq(struct steps *steps, struct chance *c)
{
	static const uint32_t sizes[] = {0, 4, 16, 19, 20, 21, 23, 24, 28, 100, 5000};
	struct irq_set set = {.index = pick_index(steps->session, c)};
	uint32_t n = set.index < INDEXES ? steps->session->vectors[set.index] : 1;

	set.flags = pick_flags(c, set.index);
	pick_range(c, n, &set.start, &set.count);
	if (set.count <= EVENTS && one_in(c, 2)) {
		set.used = (int)set.count;
		for (int i = 0; i < set.used; i++)
			set.data[i] = set.flags & DATA_BOOL ? (int)below(c, 3) : pick_descriptor(c);
	}
	if (one_in(c, 15))
		set.argsz = ONE_OF(c, sizes);
	request(steps, &set);
	events_read(steps->session, 0);
	if (one_in(c, 4))
		hw(steps->session, 0x04, 2);
}

static void ask(struct steps *steps, unsigned index, uint32_t flags, uint32_t count)
{
	request(steps, &(struct irq_set){.index = index, .flags = flags, .count = count});
}

void irqs_off(struct steps *steps)
{
	for (unsigned index = 0; index < 3; index++)
		if (steps->session->vectors[index])
			ask(steps, index, DATA_NONE | TRIGGER, 0);
}

static void look_at(struct session *s, unsigned index)
{
	unsigned at = find_cap(s, index == 1 ? 0x05 : 0x11);

	hw(s, 0x04, 2);
	rd(s, 0x04, 2);
	if (index && at) {
		rd(s, at, 4);
		hw(s, at, 4);
	}
}

static void unmask_by_eventfd(struct steps *steps, struct chance *c)
{
	struct irq_set set = {.flags = DATA_EVENTFD | UNMASK, .count = 1, .used = 1};

	set.data[0] = pick_descriptor(c);
	request(steps, &set);
	event_write(steps->session, below(c, EVENTS));
	if (set.data[0] >= 0)
		event_write(steps->session, (unsigned)set.data[0]);
	events_read(steps->session, 0);
	look_at(steps->session, 0);
}

/* One kind of interrupt is enabled, used, masked, and mostly left so. */
void step_irq_life(struct steps *steps, struct chance *c)
{
	struct session *s = steps->session;
	unsigned index = below(c, 3);
	uint32_t n = s->vectors[index];

	if (!n)
		return;
	if (!one_in(c, 3))
		irqs_off(steps);
	n = 1 + below(c, n > 8 && !one_in(c, 8) ? 8 : n);
	ask(steps, index, DATA_EVENTFD | TRIGGER, n);
	look_at(s, index);
	ask(steps, index, DATA_NONE | TRIGGER, n);
	events_read(s, 0);
	if (index == 0) {
		ask(steps, index, DATA_NONE | (one_in(c, 2) ? MASK : UNMASK), 1);
		look_at(s, index);
		if (one_in(c, 3))
			unmask_by_eventfd(steps, c);
	}
	ask(steps, index, DATA_BOOL | TRIGGER, n);
	events_read(s, 0);
	if (one_in(c, 2))
		ask(steps, index, DATA_NONE | TRIGGER, 0);
	look_at(s, index);
}
