/* SPDX-License-Identifier: MIT */
/*
 * Bytes and integers: little-endian loads and stores at any address, alignment, ranges.
 * Everything that crosses a border goes through these, never through a cast pointer.
 */
#ifndef LIBVFIO_BITS_H
#define LIBVFIO_BITS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t le16_get(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t le32_get(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline void le16_put(void *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void le32_put(void *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

/* A register of 1, 2, 4 or 8 bytes. */
static inline uint64_t le_get(const void *p, unsigned int width)
{
	uint64_t v = 0;

	memcpy(&v, p, width);
	return le64toh(v);
}

static inline void le_put(void *p, unsigned int width, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, width);
}

static inline bool is_aligned(uint64_t v, uint64_t power_of_two)
{
	return (v & (power_of_two - 1)) == 0;
}

static inline uint64_t align_up(uint64_t v, uint64_t power_of_two)
{
	return (v + power_of_two - 1) & ~(power_of_two - 1);
}

static inline bool is_power_of_two(uint64_t v)
{
	return v && (v & (v - 1)) == 0;
}

/* Is [start, start + len) inside [0, size)? Never wraps. */
static inline bool is_inside(uint64_t start, uint64_t len, uint64_t size)
{
	return len <= size && start <= size - len;
}

/* The widest access at offset that is naturally aligned, inside len bytes, and at most max wide. */
static inline unsigned int natural_width(uint64_t offset, size_t len, unsigned int max)
{
	unsigned int width = max;

	while (width > len || !is_aligned(offset, width))
		width /= 2;
	return width;
}

/* All bits of a register of 1 to 4 bytes. */
static inline uint32_t width_mask(unsigned int width)
{
	return UINT32_MAX >> (32 - 8 * width);
}

#endif
