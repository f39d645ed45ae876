/* SPDX-License-Identifier: MIT */
/* Calls to IOASes that chance chooses, over a few small windows of addresses. */
#include "ioas.h"

#define WINDOW	32 /* pages */
#define CALLS	3600
#define SECTION 300
#define IOASES	2

struct pair {
	uint32_t ids[IOASES];
	uint64_t start;
};

static uint64_t random_offset(struct run *r)
{
	static const uint32_t odd[] = {1, 4, 8, 16, 100, 2048, PAGE - 1};

	if (chance(r, r->cdev < 0 ? 70 : 95))
		return 0;
	return odd[pick(r, sizeof(odd) / sizeof(*odd))];
}

static uint64_t random_iova(struct run *r, const struct pair *p)
{
	uint64_t page = p->start + pick(r, WINDOW) * PAGE;

	return page + random_offset(r);
}

static uint64_t random_length(struct run *r)
{
	uint64_t pages = 1 + pick(r, chance(r, 20) ? 12 : 4);

	if (chance(r, 95))
		return pages * PAGE + random_offset(r);
	switch (pick(r, 5)) {
	case 0:
		return 0;
	case 1:
		return ~0ull - pick(r, 2);
	case 2:
		return 1ull << pick(r, 64);
	default:
		return random_offset(r);
	}
}

static uint64_t random_va(struct run *r)
{
	if (chance(r, 80))
		return at(r, RW + pick(r, 48) * PAGE) + random_offset(r);
	if (chance(r, 90))
		return at(r, pick(r, 112) * PAGE);
	return chance(r, 50) ? 0 - pick(r, 4) * PAGE : 0;
}

static uint32_t random_flags(struct run *r)
{
	static const uint32_t ways[] = {READ, WRITE, READ | WRITE};

	if (chance(r, 2))
		return pick(r, 16);
	return ways[pick(r, 3)] | (chance(r, 65) ? FIXED : 0);
}

static uint32_t random_ioas(struct run *r, const struct pair *p)
{
	return chance(r, 1) ? 99 : p->ids[pick(r, IOASES)];
}

static void random_allow(struct run *r, const struct pair *p)
{
	struct span spans[3];
	uint32_t num = pick(r, 4);

	for (uint32_t i = 0; i < num; i++) {
		spans[i].first = random_iova(r, p);
		spans[i].last = spans[i].first + random_length(r) * 4 - 1;
	}
	ioas_allow(r, random_ioas(r, p), num, spans);
}

static void random_map(struct run *r, const struct pair *p)
{
	uint32_t id = random_ioas(r, p), flags = random_flags(r);
	uint64_t va = random_va(r), length = random_length(r), iova = random_iova(r, p);

	ioas_map(r, id, flags, va, length, iova);
}

static void random_copy(struct run *r, const struct pair *p)
{
	uint32_t dst = random_ioas(r, p), src = random_ioas(r, p), flags = random_flags(r);
	uint64_t length = random_length(r), to = random_iova(r, p), from = random_iova(r, p);

	ioas_copy(r, dst, src, flags, length, to, from);
}

static void random_unmap(struct run *r, const struct pair *p)
{
	uint32_t id = random_ioas(r, p), pages = 1 + pick(r, WINDOW);
	uint64_t page = p->start + pick(r, WINDOW) * PAGE;
	uint64_t length = random_length(r), iova = random_iova(r, p);

	if (chance(r, 3))
		ioas_unmap(r, id, 0, ~0ull);
	else if (chance(r, 30))
		ioas_unmap(r, id, page, pages * PAGE);
	else
		ioas_unmap(r, id, iova, length);
}

static void random_rare(struct run *r, const struct pair *p)
{
	uint32_t id = random_ioas(r, p), kind = pick(r, 100);
	uint32_t op = pick(r, 2), value = pick(r, chance(r, 5) ? 3 : 2);

	if (kind < 25)
		ioas_ranges(r, id, pick(r, 8));
	else if (kind < 50)
		random_allow(r, p);
	else if (kind < 75)
		ioas_option(r, 1, op, id, value);
	else if (r->cdev >= 0 && kind < 95)
		ioas_attach(r, id);
	else if (r->cdev >= 0)
		ioas_detach(r);
}

static void random_call(struct run *r, const struct pair *p)
{
	uint32_t kind = pick(r, 100);

	if (kind < 45)
		random_map(r, p);
	else if (kind < 75)
		random_unmap(r, p);
	else if (kind < 90)
		random_copy(r, p);
	else
		random_rare(r, p);
}

void record_ioas_random(struct run *r)
{
	static const uint64_t starts[] = {0, 0x100000, 0xfee00000ull - 16 * PAGE,
					  0xfef00000ull - 16 * PAGE, 0 - WINDOW * PAGE,
					  (1ull << 39) - 16 * PAGE, (1ull << 48) - 16 * PAGE};

	for (uint32_t i = 0; i < CALLS; i += SECTION) {
		struct pair p = {.start = starts[i / SECTION % (sizeof(starts) / sizeof(*starts))]};

		section("chance, from %llx", (unsigned long long)p.start);
		for (uint32_t j = 0; j < IOASES; j++)
			p.ids[j] = ioas_new(r, NO_FLAGS);
		if (r->cdev >= 0)
			ioas_attach(r, p.ids[0]);
		for (uint32_t j = 0; j < SECTION; j++)
			random_call(r, &p);
		if (r->cdev >= 0)
			ioas_detach(r);
		for (uint32_t j = 0; j < IOASES; j++)
			ioas_destroy(r, p.ids[j]);
	}
}
