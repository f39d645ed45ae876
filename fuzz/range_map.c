/* SPDX-License-Identifier: MIT */
/*
 * The range map against the simplest model of one: a table that says of each of some numbers, at
 * the bottom, in the middle or at the very top of all, which range it belongs to.
 */
#include <errno.h>

#include "base/range_map.h"
#include "check.h"
#include "input.h"

#define ROOM      4096u
#define MAX_STEPS 1024

struct run {
	struct range_map map;
	uint64_t base;
	uint32_t ranges;
	/* Of the range that each number belongs to: where it begins, plus 1; 0: none. */
	uint16_t owner[ROOM];
	uint64_t word[ROOM];		/* of the range that begins there */
	uint64_t words;			/* there were so far */
};

static unsigned int end_of(const struct run *run, unsigned int at)
{
	unsigned int end = at;

	while (end < ROOM && run->owner[end] == run->owner[at])
		end++;
	return end;
}

static void check_range(const struct run *run, const struct range *r, unsigned int at)
{
	unsigned int first = run->owner[at] - 1u;

	CHECK(run->owner[at]);
	CHECK(r->start == run->base + first && r->last == run->base + end_of(run, at) - 1);
	CHECK(r->word == run->word[first] && r->value == &run->word[first]);
}

/* ---- changes -------------------------------------------------------------------------------- */

static void forget(struct run *run, unsigned int at)
{
	unsigned int first = run->owner[at] - 1u, end = end_of(run, at);

	for (unsigned int i = first; i < end; i++)
		run->owner[i] = 0;
	run->ranges--;
}

static void insert(struct run *run, unsigned int at, unsigned int size)
{
	struct range other, r = { .start = run->base + at, .word = ++run->words };
	bool taken = false;

	if (at + size > ROOM)
		size = ROOM - at;
	r.last = r.start + size - 1;
	r.value = &run->word[at];
	for (unsigned int i = at; i < at + size; i++)
		taken |= run->owner[i] != 0;
	CHECK(range_map_insert(&run->map, &r, &other) == (taken ? -EEXIST : 0));
	if (taken) {
		CHECK(other.start <= r.last && other.last >= r.start);
		if (other.start > r.start)
			at = other.start - run->base;
		check_range(run, &other, at);
		return;
	}
	run->word[at] = r.word;
	for (unsigned int i = at; i < at + size; i++)
		run->owner[i] = at + 1;
	run->ranges++;
}

static void erase(struct run *run, unsigned int at)
{
	bool there = run->owner[at] == at + 1;

	CHECK(range_map_erase(&run->map, run->base + at) == there);
	if (there)
		forget(run, at);
}

static void change(struct run *run, unsigned int at)
{
	bool there = run->owner[at] == at + 1;

	CHECK(range_map_change(&run->map, run->base + at, ++run->words, &run->word[at]) == there);
	if (there)
		run->word[at] = run->words;
}

static void clear(struct run *run)
{
	range_map_clear(&run->map);
	memset(run->owner, 0, sizeof(run->owner));
	run->ranges = 0;
}

/* ---- looks ---------------------------------------------------------------------------------- */

static void find(const struct run *run, unsigned int at)
{
	struct range r, same;
	uint64_t version;
	bool found = range_map_find(&run->map, run->base + at, &r);
	unsigned int next = at;

	CHECK(found == (run->owner[at] != 0));
	CHECK(range_map_peek(&run->map, run->base + at, &same, &version) == found);
	CHECK(version == range_map_version(&run->map));
	if (found) {
		check_range(run, &r, at);
		CHECK(memcmp(&r, &same, sizeof(r)) == 0);
	}
	while (next < ROOM && !run->owner[next])
		next++;
	CHECK(range_map_next(&run->map, run->base + at, &r) == (next < ROOM));
	if (next < ROOM)
		check_range(run, &r, next);
}

/* What was found last goes, once in every some times. */
static void walk(struct run *run, unsigned int from, unsigned int to, unsigned int every)
{
	struct range_walk w = { .at = run->base + from, .last = run->base + to };
	unsigned int at = from, n = 0;
	struct range r;

	while (range_map_step(&run->map, &w, &r)) {
		while (at <= to && !run->owner[at])
			at++;
		CHECK(at <= to);
		check_range(run, &r, at);
		if (every && ++n % every == 0)
			erase(run, run->owner[at] - 1);
		at = r.last - run->base + 1;
	}
	while (at <= to && !run->owner[at])
		at++;
	CHECK(at > to);
}

static bool is_free(const struct run *run, unsigned int at, unsigned int size, unsigned int high)
{
	if (at + size - 1 > high)
		return false;
	for (unsigned int i = at; i < at + size; i++)
		if (run->owner[i])
			return false;
	return true;
}

static void gap(const struct run *run, struct input *in)
{
	unsigned int low = take16(in) % ROOM, high = low + take16(in) % (ROOM - low), at;
	unsigned int size = 1 + take8(in) % 96, how = take8(in), align = 1u << how % 8;
	const struct range_wish wish = {
		.size = size, .align = align, .low = run->base + low, .high = run->base + high,
		.lowest = how & 8,
	};
	uint64_t start;
	bool found = range_map_gap(&run->map, &wish, &start);

	for (at = (low + align - 1) & ~(align - 1); at < ROOM; at += align)
		if (is_free(run, at, size, high))
			break;
	CHECK(found == (at < ROOM));
	if (!found)
		return;
	CHECK(start >= wish.low && start % align == 0);
	CHECK(is_free(run, start - run->base, size, high));
	if (wish.lowest || align == 1)
		CHECK(start == run->base + at);
}

/* ---- a run ---------------------------------------------------------------------------------- */

/* Many at once, so that there are nodes enough to be split and merged. */
static void step_many(struct run *run, struct input *in, bool coming)
{
	unsigned int at = take16(in) % ROOM, stride = 1 + take16(in) % 512, n = take8(in) * 4u;
	unsigned int size = 1 + take8(in) % 4;

	for (unsigned int i = 0; i < n; i++, at = (at + stride) % ROOM) {
		if (coming)
			insert(run, at, size);
		else
			erase(run, run->owner[at] ? run->owner[at] - 1u : at);
	}
}

static void step(struct run *run, struct input *in)
{
	unsigned int op = take8(in), at = take16(in) % ROOM, from;

	switch (op % 8) {
	case 0: insert(run, at, 1 + op / 8); break;
	case 1: erase(run, run->owner[at] && op & 8 ? run->owner[at] - 1u : at); break;
	case 2: step_many(run, in, true); break;
	case 3: step_many(run, in, false); break;
	case 4: find(run, at); break;
	case 5: gap(run, in); break;
	case 6:
		from = take16(in) % (at + 1);
		walk(run, from, at, op / 8);
		break;
	default:
		if (op == 0xff)
			clear(run);
		else if (op & 8)
			range_map_reap(&run->map);
		else
			change(run, at);
		break;
	}
	CHECK(run->map.count == run->ranges);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t bases[] = { 0, 0ull - ROOM, 1ull << 32, (1ull << 63) - ROOM / 2 };
	struct input in = { data, size };
	static struct run run;

	memset(&run, 0, sizeof(run));
	run.base = bases[take8(&in) % 4];
	range_map_init(&run.map);
	for (unsigned int i = 0; in.left && i < MAX_STEPS; i++)
		step(&run, &in);
	walk(&run, 0, ROOM - 1, 0);
	range_map_finish(&run.map);
	return 0;
}
