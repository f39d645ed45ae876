/* SPDX-License-Identifier: MIT */
/* Random numbers that can be had again: the same seed, the same numbers. */
#ifndef CHANCE_H
#define CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline uint64_t any(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* 0 to n - 1. */
static inline uint64_t below(struct chance *c, uint64_t n)
{
	return any(c) % n;
}

static inline bool percent(struct chance *c, unsigned int n)
{
	return below(c, 100) < n;
}

/* least to most, small ones as often as large ones: by their logarithm. */
static inline uint64_t small_or_large(struct chance *c, uint64_t least, uint64_t most)
{
	uint64_t n = most >> below(c, (unsigned int)(64 - __builtin_clzll(most)));

	n = n < least ? least : n;
	return least + below(c, n - least + 1);
}

#endif
