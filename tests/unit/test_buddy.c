/* SPDX-License-Identifier: MIT */
/* Carving pieces from a block: against a map that says of each cache line who has it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buddy.h"

#define MIN    BUDDY_MIN
#define BLOCK  (64u * 1024)
#define PLACES (BLOCK / MIN)

/* ---- the reference ------------------------------------------------------------------------- */

/* For each place of MIN bytes the size of the piece that it belongs to, or 0. */
static size_t owner[PLACES];

static size_t rounded(size_t size)
{
	size_t s = MIN;

	while (s < size)
		s *= 2;
	return s;
}

static bool is_free(size_t offset, size_t size)
{
	for (size_t i = offset; i < offset + size; i += MIN)
		if (owner[i / MIN])
			return false;
	return true;
}

static void set_owner(size_t offset, size_t size, size_t value)
{
	for (size_t i = offset; i < offset + size; i += MIN)
		owner[i / MIN] = value;
}

/* The lowest aligned room, or -1. */
static ssize_t room_for(size_t size)
{
	for (size_t offset = 0; offset + size <= BLOCK; offset += size)
		if (is_free(offset, size))
			return offset;
	return -1;
}

/* ---- tests --------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	static struct buddy b;

	memset(owner, 0, sizeof(owner));
	*state = &b;
	return buddy_init(&b, BLOCK);
}

static int tear_down(void **state)
{
	struct buddy *b = *state;

	buddy_finish(b);
	assert_null(b->nodes);
	buddy_finish(b);		/* once more does no harm */
	return 0;
}

static void blocks(void **state)
{
	static const size_t bad[] = { 0, 1, 32, 63, 65, 96, BLOCK - 1, BLOCK + MIN, SIZE_MAX };
	static const size_t good[] = { MIN, 2 * MIN, 2u << 20, 64u << 20 };
	struct buddy b;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(buddy_init(&b, bad[i]), -EINVAL);
		buddy_finish(&b);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(buddy_init(&b, good[i]), 0);
		assert_true(buddy_is_empty(&b));
		assert_int_equal(buddy_take(&b, good[i]), 0);
		assert_int_equal(buddy_take(&b, 1), -1);
		assert_int_equal(buddy_give(&b, 0), good[i]);
		buddy_finish(&b);
	}
}

static void sizes_and_alignment(void **state)
{
	static const struct {
		size_t asked, got;
		ssize_t offset;		/* in the order of this table */
	} takes[] = {
		{ 1, 64, 0 },
		{ 64, 64, 64 },
		{ 65, 128, 128 },
		{ 129, 256, 256 },
		{ 100, 128, 512 },
		{ 4096, 4096, 4096 },
		{ 4097, 8192, 8192 },
		{ 63, 64, 640 },
		{ BLOCK / 2, BLOCK / 2, BLOCK / 2 },
		{ 513, 1024, 1024 },
	};
	struct buddy *b = *state;
	size_t n = sizeof(takes) / sizeof(takes[0]);

	for (size_t i = 0; i < n; i++)
		assert_int_equal(buddy_take(b, takes[i].asked), takes[i].offset);
	for (size_t i = 0; i < n; i++) {
		assert_false(buddy_is_empty(b));
		assert_int_equal(buddy_give(b, takes[i].offset), takes[i].got);
	}
	assert_true(buddy_is_empty(b));
}

static void sizes_that_nothing_holds(void **state)
{
	struct buddy *b = *state;

	assert_int_equal(buddy_take(b, 0), -1);
	assert_int_equal(buddy_take(b, BLOCK + 1), -1);
	assert_int_equal(buddy_take(b, SIZE_MAX / 2 + 2), -1);
	assert_int_equal(buddy_take(b, SIZE_MAX), -1);
	assert_true(buddy_is_empty(b));
	assert_int_equal(buddy_take(b, BLOCK), 0);
}

static void down_to_the_last_place(void **state)
{
	struct buddy *b = *state;

	for (size_t i = 0; i < PLACES; i++)
		assert_int_equal(buddy_take(b, MIN), i * MIN);
	assert_int_equal(buddy_take(b, MIN), -1);
	assert_int_equal(buddy_give(b, 5 * MIN), MIN);
	assert_int_equal(buddy_take(b, 2 * MIN), -1);
	assert_int_equal(buddy_take(b, MIN), 5 * MIN);
	assert_int_equal(buddy_take(b, MIN), -1);
}

static void neighbours_grow_together(void **state)
{
	struct buddy *b = *state;

	for (size_t i = 0; i < PLACES; i++)
		buddy_take(b, MIN);
	for (size_t i = 1; i < PLACES; i += 2)
		assert_int_equal(buddy_give(b, i * MIN), MIN);
	assert_int_equal(buddy_take(b, 2 * MIN), -1);	/* half is free, and no two together */
	for (size_t i = 0; i < PLACES; i += 2)
		assert_int_equal(buddy_give(b, i * MIN), MIN);
	assert_true(buddy_is_empty(b));
	assert_int_equal(buddy_take(b, BLOCK), 0);
}

static void neighbours_that_are_no_buddies(void **state)
{
	struct buddy *b = *state;

	for (size_t i = 0; i < PLACES; i++)
		buddy_take(b, MIN);
	buddy_give(b, 1 * MIN);
	buddy_give(b, 2 * MIN);
	assert_int_equal(buddy_take(b, 2 * MIN), -1);	/* it would not be aligned */
	buddy_give(b, 3 * MIN);
	assert_int_equal(buddy_take(b, 2 * MIN), 2 * MIN);
}

static void what_is_not_taken_cannot_be_given(void **state)
{
	static const size_t wrong[] = {
		0, MIN, 1, 4095, 4097, 4096 + MIN, 6144, 8191, 8192, BLOCK - MIN, BLOCK, SIZE_MAX,
	};
	struct buddy *b = *state;

	assert_int_equal(buddy_take(b, 4096), 0);
	assert_int_equal(buddy_take(b, 4096), 4096);
	assert_int_equal(buddy_give(b, 0), 4096);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(buddy_give(b, wrong[i]), 0);
	assert_int_equal(buddy_give(b, 4096), 4096);	/* whole, for all that */
	assert_int_equal(buddy_give(b, 4096), 0);
	assert_true(buddy_is_empty(b));
}

/* Where a large piece is cut up, the offsets that it had and has are told apart. */
static void pieces_at_one_offset(void **state)
{
	struct buddy *b = *state;

	assert_int_equal(buddy_take(b, BLOCK), 0);
	assert_int_equal(buddy_give(b, 0), BLOCK);
	assert_int_equal(buddy_take(b, MIN), 0);
	assert_int_equal(buddy_take(b, MIN), MIN);
	assert_int_equal(buddy_give(b, 0), MIN);
	assert_int_equal(buddy_give(b, 0), 0);
	assert_int_equal(buddy_give(b, MIN), MIN);
	assert_true(buddy_is_empty(b));
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void take_some(struct buddy *b, size_t asked)
{
	size_t size = rounded(asked);
	ssize_t at = buddy_take(b, asked);

	assert_int_equal(at, room_for(size));
	if (at >= 0)
		set_owner(at, size, size);
}

/* Any offset, most often none that was handed out. */
static void give_some(struct buddy *b, size_t offset)
{
	size_t size = offset % MIN ? 0 : owner[offset / MIN];

	if (offset & (size - 1))
		size = 0;		/* the middle of a piece */
	assert_int_equal(buddy_give(b, offset), size);
	set_owner(offset, size, 0);
}

static void anything_in_any_order(void **state)
{
	struct buddy *b = *state;
	uint64_t x = 0x9e3779b97f4a7c15;

	for (unsigned int i = 0; i < 200000; i++) {
		uint64_t r = next_random(&x);

		if (r % 3 == 0)		/* as often small as large */
			take_some(b, 1 + (r >> 8) % (MIN << (r >> 40) % 9));
		else
			give_some(b, (r >> 8) % PLACES * MIN + ((r >> 32) % 16 == 0));
		if (i % 1000 == 0)
			assert_int_equal(buddy_is_empty(b), is_free(0, BLOCK));
	}
	for (size_t i = 0; i < PLACES; i++)
		give_some(b, i * MIN);
	assert_true(buddy_is_empty(b));
}

#define BLOCK_OF(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks),
		BLOCK_OF(sizes_and_alignment),
		BLOCK_OF(sizes_that_nothing_holds),
		BLOCK_OF(down_to_the_last_place),
		BLOCK_OF(neighbours_grow_together),
		BLOCK_OF(neighbours_that_are_no_buddies),
		BLOCK_OF(what_is_not_taken_cannot_be_given),
		BLOCK_OF(pieces_at_one_offset),
		BLOCK_OF(anything_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
