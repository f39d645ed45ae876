/* SPDX-License-Identifier: MIT */
/*
 * How often which latency was seen: 64 buckets for each power of two, so that a value is known to
 * 1.6 per cent, whatever it is. Of fixed size; adding allocates nothing and searches nothing.
 */
#ifndef VFIO_NVME_HISTOGRAM_H
#define VFIO_NVME_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BITS 6u
#define HISTOGRAM_STEPS (1u << HISTOGRAM_BITS)
#define HISTOGRAM_MOST 40u		/* what is 2^40 ns, 18 minutes, or more is in the last */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_MOST - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS];
	uint64_t count, sum, least, most;
};

/* Below 64 each value has a bucket; above, the 6 bits behind the highest choose one. */
static inline unsigned int histogram_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < HISTOGRAM_STEPS)
		return (unsigned int)value;
	if (value >> HISTOGRAM_MOST)
		return HISTOGRAM_BUCKETS - 1;
	shift = 63 - (unsigned int)__builtin_clzll(value) - HISTOGRAM_BITS;
	return (shift << HISTOGRAM_BITS) + (unsigned int)(value >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	h->buckets[histogram_bucket(value)]++;
	h->count++;
	h->sum += value;
	if (value < h->least)
		h->least = value;
	if (value > h->most)
		h->most = value;
}

void histogram_init(struct histogram *h);
void histogram_merge(struct histogram *h, const struct histogram *other);

/* The smallest value of a bucket; of HISTOGRAM_BUCKETS, the first that is in none. */
uint64_t histogram_value(unsigned int bucket);

/* The value that so many of a million are not above; 0 when there is none. */
uint64_t histogram_percentile(const struct histogram *h, uint32_t of_a_million);

/* Draw it on standard output. */
void histogram_draw(const struct histogram *h);

/* "8.2 µs", into text. Returns it. */
#define TIME_TEXT 32
const char *time_text(char *text, uint64_t ns);

#endif
