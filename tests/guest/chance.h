/* SPDX-License-Identifier: MIT */
/* Numbers by chance: the same for the same seed, whatever was drawn for other steps. */
#ifndef GUEST_CHANCE_H
#define GUEST_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

/* splitmix64 */
static inline uint64_t draw(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline unsigned below(struct chance *c, unsigned n)
{
	return (unsigned)(draw(c) % n);
}

static inline bool one_in(struct chance *c, unsigned n)
{
	return below(c, n) == 0;
}

static inline struct chance chance_of(uint64_t seed, uint64_t step)
{
	struct chance c = {seed << 32 ^ step};

	c.state = draw(&c);
	return c;
}

#define ONE_OF(chance, list) ((list)[below(chance, sizeof(list) / sizeof(*(list)))])

#endif
