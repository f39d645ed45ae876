/* SPDX-License-Identifier: MIT */
/* The range map against a table that says of each number which range it belongs to. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/range_map.h"

#define ROOM  4096u
#define STEPS 200000

/* The numbers that are used end at 2^64. */
#define BASE (0ull - ROOM)

struct model {
	struct range_map map;
	uint32_t owner[ROOM];		/* 0: nobody's */
	uint64_t start[ROOM + 2];	/* of owner's range; there is always a free one */
	uint32_t ranges;
};

static uint64_t word_of(uint32_t owner)
{
	return owner * 0x9e3779b97f4a7c15ull;
}

static unsigned int last_of(const struct model *m, unsigned int at)
{
	unsigned int end = at;

	while (end + 1 < ROOM && m->owner[end + 1] == m->owner[at])
		end++;
	return end;
}

static void check_range(const struct model *m, const struct range *r, unsigned int at)
{
	uint32_t owner = m->owner[at];

	assert_true(owner);
	assert_true(r->start == m->start[owner]);
	assert_true(r->last == BASE + last_of(m, at));
	assert_true(r->word == word_of(owner) && r->value == &m->start[owner]);
}

static void insert(struct model *m, unsigned int at, unsigned int size)
{
	uint32_t owner = 1;
	struct range other, r = { .start = BASE + at, .last = BASE + at + size - 1 };
	bool taken = false;

	while (m->start[owner])
		owner++;
	r.word = word_of(owner);
	r.value = &m->start[owner];
	for (unsigned int i = at; i < at + size; i++)
		taken |= m->owner[i] != 0;
	assert_int_equal(range_map_insert(&m->map, &r, &other), taken ? -EEXIST : 0);
	if (taken) {
		assert_true(other.start <= r.last && other.last >= r.start);
		check_range(m, &other, other.start - BASE);
		return;
	}
	for (unsigned int i = at; i < at + size; i++)
		m->owner[i] = owner;
	m->start[owner] = r.start;
	m->ranges++;
}

static void erase(struct model *m, unsigned int at)
{
	uint32_t owner = m->owner[at];
	bool there = owner && m->start[owner] == BASE + at;

	assert_int_equal(range_map_erase(&m->map, BASE + at), there);
	if (!there)
		return;
	for (unsigned int i = at; i < ROOM && m->owner[i] == owner; i++)
		m->owner[i] = 0;
	m->start[owner] = 0;
	m->ranges--;
}

static void check_finding(struct model *m, unsigned int at)
{
	struct range r, same;
	uint64_t version;
	unsigned int next = at;
	bool found = range_map_find(&m->map, BASE + at, &r);

	assert_int_equal(found, m->owner[at] != 0);
	assert_int_equal(range_map_peek(&m->map, BASE + at, &same, &version), found);
	assert_true(version == range_map_version(&m->map));
	if (found) {
		check_range(m, &r, at);
		assert_memory_equal(&r, &same, sizeof(r));
	}
	while (next < ROOM && !m->owner[next])
		next++;
	found = range_map_next(&m->map, BASE + at, &r);
	assert_int_equal(found, next < ROOM);
	if (found)
		check_range(m, &r, next);
}

/* Room for size numbers at a multiple of align (BASE is one) from low on, to high. */
static bool free_at(const struct model *m, unsigned int at, unsigned int size, unsigned int high)
{
	if (at + size - 1 > high)
		return false;
	for (unsigned int i = at; i < at + size; i++)
		if (m->owner[i])
			return false;
	return true;
}

static void check_gap(struct model *m)
{
	unsigned int size = 1 + rand() % 40, align = 1u << rand() % 5;
	unsigned int low = rand() % ROOM, high = low + rand() % (ROOM - low), at;
	const bool lowest = rand() % 2;
	const struct range_wish wish = { size, align, BASE + low, BASE + high, lowest };
	uint64_t start;
	bool found = range_map_gap(&m->map, &wish, &start);

	for (at = (low + align - 1) & ~(align - 1); at < ROOM; at += align)
		if (free_at(m, at, size, high))
			break;
	assert_int_equal(found, at < ROOM);
	if (!found)
		return;
	assert_true(start >= BASE + low && start % align == 0);
	assert_true(free_at(m, start - BASE, size, high));
	if (align == 1 || lowest)
		assert_true(start == BASE + at);
}

/* Another owner gets a range as it is. */
static void change(struct model *m, unsigned int at)
{
	uint32_t owner = m->owner[at], heir = 1;

	if (!owner) {
		assert_false(range_map_change(&m->map, BASE + at, 0, NULL));
		return;
	}
	while (m->start[heir])
		heir++;
	assert_true(range_map_change(&m->map, m->start[owner], word_of(heir), &m->start[heir]));
	m->start[heir] = m->start[owner];
	m->start[owner] = 0;
	for (unsigned int i = m->start[heir] - BASE; i < ROOM && m->owner[i] == owner; i++)
		m->owner[i] = heir;
}

static void step(struct model *m, unsigned int most)
{
	unsigned int at = rand() % ROOM, size = 1 + rand() % 8;

	if (at + size > ROOM)
		size = ROOM - at;
	if (m->ranges < most && rand() % 4)
		insert(m, at, size);
	else
		erase(m, m->owner[at] ? m->start[m->owner[at]] - BASE : at);
	if (rand() % 4 == 0)
		change(m, rand() % ROOM);
	check_finding(m, rand() % ROOM);
	if (rand() % 64 == 0)
		check_gap(m);
	if (rand() % 128 == 0)
		range_map_reap(&m->map);
	assert_int_equal(m->map.count, m->ranges);
}

static void clear(struct model *m)
{
	range_map_clear(&m->map);
	memset(m->owner, 0, sizeof(m->owner));
	memset(m->start, 0, sizeof(m->start));
	m->ranges = 0;
}

static void random_operations_agree(void **state)
{
	struct model *m = calloc(1, sizeof(*m));

	srand(20101117);
	range_map_init(&m->map);
	for (unsigned int i = 0; i < STEPS; i++) {
		step(m, i / 10000 % 2 ? 20 : ROOM);
		if (rand() % 20000 == 0)
			clear(m);
	}
	range_map_finish(&m->map);
	free(m);
}

/* All in one order and out in another: what is left is always right, and in the end nothing is. */
static void in_every_order(void **state)
{
	enum { UP, DOWN, MIXED, ORDERS };
	static uint32_t mixed[ROOM];
	struct model *m = calloc(1, sizeof(*m));

	for (uint32_t i = 0; i < ROOM; i++)
		mixed[i] = i * 2655435761u % ROOM;
	range_map_init(&m->map);
	for (unsigned int order = 0; order < ORDERS * ORDERS; order++) {
		for (uint32_t i = 0; i < ROOM; i++) {
			const uint32_t at[ORDERS] = { i, ROOM - 1 - i, mixed[i] };
			const struct range r = { .start = BASE + at[order % ORDERS],
						 .last = BASE + at[order % ORDERS] };

			assert_int_equal(range_map_insert(&m->map, &r, NULL), 0);
		}
		assert_int_equal(m->map.count, ROOM);
		for (uint32_t i = 0; i < ROOM; i++) {
			const uint32_t at[ORDERS] = { i, ROOM - 1 - i, mixed[i] };
			uint64_t start = BASE + at[order / ORDERS];
			struct range r;

			assert_true(range_map_find(&m->map, start, &r) && r.start == start);
			assert_true(range_map_erase(&m->map, start));
			assert_false(range_map_find(&m->map, start, &r));
		}
		assert_null(m->map.root);
	}
	range_map_finish(&m->map);
	free(m);
}

static void the_whole_line(void **state)
{
	const struct range all = { .start = 0, .last = UINT64_MAX };
	struct range_wish wish = { 1, 1, 0, UINT64_MAX, false };
	struct range_map m;
	struct range r;
	uint64_t start;

	range_map_init(&m);
	assert_true(range_map_gap(&m, &wish, &start) && start == 0);
	wish.size = UINT64_MAX;
	assert_true(range_map_gap(&m, &wish, &start) && start == 0);
	assert_int_equal(range_map_insert(&m, &all, NULL), 0);
	assert_true(range_map_find(&m, UINT64_MAX, &r) && r.last == UINT64_MAX);
	assert_true(range_map_find(&m, 0, &r));
	wish.size = 1;
	assert_false(range_map_gap(&m, &wish, &start));
	assert_true(range_map_erase(&m, 0));
	range_map_finish(&m);
}

/* ---- other threads ------------------------------------------------------------------------- */

#define PAIRS     500u
#define LOOKERS   2
#define LOOKS     200000u
#define CHANGES   100000u

/* In each pair of ranges the first is always there; the other one comes and goes. */
struct shared {
	struct range_map map;
	struct looker {
		pthread_t id;
		struct shared *shared;
		unsigned int seed;
		uint32_t looks, met;	/* of those that come and go */
		uint32_t wrong;
	} lookers[LOOKERS];
};

static struct range shared_range(unsigned int n)
{
	return (struct range){
		.start = n * 100, .last = n * 100 + 10 + n % 80, .word = word_of(n),
	};
}

static void *look(void *arg)
{
	struct looker *l = arg;

	for (uint32_t looks = 0; looks < LOOKS; looks++) {
		unsigned int n = rand_r(&l->seed) % (2 * PAIRS);
		const struct range want = shared_range(n);
		struct range r;
		uint64_t version;
		bool found = range_map_peek(&l->shared->map, want.start + n % 11, &r, &version);

		if (found ? memcmp(&r, &want, sizeof(r)) != 0 : n % 2 == 0)
			l->wrong++;
		l->met += found && n % 2;
		__atomic_store_n(&l->looks, looks, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool is_looking(const struct shared *s)
{
	bool looking = false;

	for (unsigned int i = 0; i < LOOKERS; i++)
		looking |= __atomic_load_n(&s->lookers[i].looks, __ATOMIC_RELAXED) < LOOKS - 1;
	return looking;
}

/* One comes, or goes; first most come, then most go, so that nodes are split and merged. */
static void come_or_go(struct shared *s, bool come, unsigned int *seed)
{
	const struct range r = shared_range(rand_r(seed) % PAIRS * 2 + 1);

	if (come == (rand_r(seed) % 8 > 0))
		range_map_insert(&s->map, &r, NULL);
	else
		range_map_erase(&s->map, r.start);
}

static void those_who_look_see_whole_ranges(void **state)
{
	struct shared *s = calloc(1, sizeof(*s));
	unsigned int seed = 20101117;

	range_map_init(&s->map);
	for (unsigned int n = 0; n < 2 * PAIRS; n += 2) {
		const struct range r = shared_range(n);

		assert_int_equal(range_map_insert(&s->map, &r, NULL), 0);
	}
	for (unsigned int i = 0; i < LOOKERS; i++) {
		s->lookers[i].shared = s;
		s->lookers[i].seed = i;
		assert_int_equal(pthread_create(&s->lookers[i].id, NULL, look, &s->lookers[i]), 0);
	}
	for (unsigned int i = 0; i < CHANGES || is_looking(s); i++)
		come_or_go(s, i / 1000 % 2 == 0, &seed);
	for (unsigned int i = 0; i < LOOKERS; i++) {
		pthread_join(s->lookers[i].id, NULL);
		assert_int_equal(s->lookers[i].wrong, 0);
		assert_true(s->lookers[i].met);
	}
	range_map_finish(&s->map);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree),
		cmocka_unit_test(in_every_order),
		cmocka_unit_test(the_whole_line),
		cmocka_unit_test(those_who_look_see_whole_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
