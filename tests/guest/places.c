/* SPDX-License-Identifier: MIT */
#include "places.h"

#define PM	0x01
#define VPD	0x03
#define VENDOR	0x09
#define EXPRESS 0x10
#define DOE	(0x10000 | 0x2e)
#define AF	0x13
#define VIRTIO	0x1af4

static void add(struct places *p, unsigned at, unsigned length, unsigned id)
{
	if (p->count < MAX_PLACES)
		p->list[p->count++] = (struct place){at, length, id};
}

/* About as long as they are: what lies behind is of interest, too. */
static unsigned length_of(const struct session *s, unsigned at, unsigned id)
{
	static const unsigned char lengths[] = {[0x01] = 8,  [0x02] = 12, [0x03] = 8,  [0x05] = 24,
						[0x07] = 24, [0x08] = 28, [0x10] = 60, [0x11] = 12,
						[0x12] = 16, [0x13] = 8,  [0x14] = 8};

	if (id == VENDOR)
		return s->hw[at + 2] ? s->hw[at + 2] : 4;
	return id < sizeof(lengths) && lengths[id] ? lengths[id] : 4;
}

void places_find(struct places *p, const struct session *s)
{
	unsigned at = s->hw[0x06] & 0x10 ? s->hw[0x34] & ~3u : 0;

	add(p, 0, 0x40, 0);
	for (int i = 0; at >= 0x40 && i < 48; i++, at = s->hw[at + 1] & ~3u)
		add(p, at, length_of(s, at, s->hw[at]), s->hw[at]);
	at = s->size > 256 && hw32(s, 0x100) ? 0x100 : 0;
	for (int i = 0; at >= 0x100 && i < 960; i++, at = hw32(s, at) >> 20 & ~3u)
		add(p, at, hw16(s, at) == 0x10 ? 0x40 : 0x2c, 0x10000 | hw16(s, at));
}

static uint64_t boundary(const struct session *s, struct chance *c)
{
	switch (below(c, 6)) {
	case 0:
		return 0xfc + below(c, 8);
	case 1:
		return 0x3c + below(c, 8);
	case 2:
		return 0x1000 - 4 + below(c, 8);
	case 3:
		return draw(c) & 0xffffffffff;
	default:
		return s->size - 8 + below(c, 12);
	}
}

uint64_t places_pick(const struct places *p, const struct session *s, struct chance *c,
		     unsigned width)
{
	const struct place *place = &p->list[one_in(c, 3) ? 0 : below(c, p->count)];
	uint64_t at = place->at + below(c, place->length + 4);

	if (one_in(c, 20))
		return boundary(s, c);
	if (one_in(c, 12))
		at = below(c, (unsigned)s->size);
	if (width && !one_in(c, 4))
		at -= at % (width > 4 ? 4 : width);
	return at;
}

unsigned pick_width(struct chance *c)
{
	static const unsigned char widths[] = {4, 4, 4, 4, 2, 2, 2, 2, 1, 1, 1, 3, 5, 6, 7, 8, 0};

	return ONE_OF(c, widths);
}

/* The bits of a byte at `reg`, in an access at `offset`. */
static uint64_t bits_at(uint64_t offset, unsigned width, unsigned reg, uint8_t bits)
{
	if (reg < offset || reg >= offset + width)
		return 0;
	return (uint64_t)bits << 8 * (reg - offset);
}

/* What takes long to do: power states, resets, vital product data. */
static uint64_t slow_bits(const struct session *s, uint64_t offset, unsigned width)
{
	unsigned pm = find_cap(s, PM), express = find_cap(s, EXPRESS), af = find_cap(s, AF);
	unsigned vpd = find_cap(s, VPD);
	uint64_t bits = 0;

	if (vpd)
		bits |= bits_at(offset, width, vpd + 3, 0x80);
	if (pm)
		bits |= bits_at(offset, width, pm + 4, 0x03);
	if (express)
		bits |= bits_at(offset, width, express + 9, 0x80);
	if (af)
		bits |= bits_at(offset, width, af + 4, 0x01);
	return bits;
}

uint64_t pick_value(const struct session *s, struct chance *c, uint64_t offset, unsigned width)
{
	uint64_t value = draw(c), slow = slow_bits(s, offset, width);
	unsigned bit = below(c, width ? 8 * width : 1);

	switch (below(c, 6)) {
	case 0:
		value = ~0ull;
		break;
	case 1:
		value = 0;
		break;
	case 2:
		value = 1ull << bit;
		break;
	case 3:
		value = ~(1ull << bit);
		break;
	}
	return one_in(c, 12) ? value : value & ~slow;
}

/*
 * The window that virtio has into its BARs is a way to registers behind them; and what was put into
 * the mailbox of data object exchange cannot be taken back.
 */
static bool is_closed(const struct session *s, const struct place *place)
{
	return place->id == DOE ||
	       (place->id == VENDOR && hw16(s, 0) == VIRTIO && s->hw[place->at + 3] == 5);
}

bool may_write(const struct places *p, const struct session *s, uint64_t offset, unsigned width)
{
	for (unsigned i = 0; i < p->count; i++) {
		const struct place *place = &p->list[i];

		if (offset < place->at + place->length && offset + width > place->at &&
		    is_closed(s, place))
			return false;
	}
	return true;
}
