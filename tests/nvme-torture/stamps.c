/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "stamps.h"

struct stamp_bytes {
	uint64_t place;			/* nsid << 56 | number in the block << 40 | lba */
	uint64_t version;
};

static struct stamp_bytes make(uint32_t nsid, uint64_t lba, size_t i, uint64_t version)
{
	if (version == 0)
		return (struct stamp_bytes){ 0, 0 };
	return (struct stamp_bytes){ (uint64_t)nsid << 56 | (uint64_t)i << 40 | lba, version };
}

static struct stamp_bytes get(const void *block, size_t i)
{
	struct stamp_bytes s;

	memcpy(&s, (const uint8_t *)block + i * sizeof(s), sizeof(s));
	return s;
}

void stamp_write(void *block, size_t size, uint32_t nsid, uint64_t lba, uint64_t version)
{
	for (size_t i = 0; i < size / sizeof(struct stamp_bytes); i++) {
		struct stamp_bytes s = make(nsid, lba, i, version);

		memcpy((uint8_t *)block + i * sizeof(s), &s, sizeof(s));
	}
}

static uint32_t nsid_of(struct stamp_bytes s)
{
	return (uint32_t)(s.place >> 56);
}

static uint64_t lba_of(struct stamp_bytes s)
{
	return s.place & ((UINT64_C(1) << 40) - 1);
}

enum stamp stamp_read(const void *block, size_t size, uint32_t nsid, uint64_t lba,
		      uint64_t *version)
{
	struct stamp_bytes first = get(block, 0);

	*version = first.version;
	for (size_t i = 0; i < size / sizeof(first); i++) {
		struct stamp_bytes s = get(block, i);
		struct stamp_bytes want = make(nsid_of(first), lba_of(first), i, first.version);

		if (memcmp(&s, &want, sizeof(s)) != 0)
			return TORN;
	}
	if (first.version && (nsid_of(first) != nsid || lba_of(first) != lba))
		return MISPLACED;
	return WHOLE;
}

void stamp_tell(const void *block, size_t size)
{
	size_t n = size / sizeof(struct stamp_bytes);
	struct stamp_bytes last = { 0, 0 };
	unsigned int lines = 0;

	for (size_t i = 0; i < n && lines < 16; i++) {
		struct stamp_bytes s = get(block, i), next = last;

		next.place += last.version ? UINT64_C(1) << 40 : 0;
		if (i == 0 || memcmp(&s, &next, sizeof(s)) != 0) {
			fprintf(stderr, "  from byte %zu on: namespace %u, block %llu, part %u, "
				"version %llu\n", i * sizeof(s), nsid_of(s),
				(unsigned long long)lba_of(s),
				(unsigned int)(s.place >> 40) & 0xffff,
				(unsigned long long)s.version);
			lines++;
		}
		last = s;
	}
}
