/* SPDX-License-Identifier: MIT */
/* The model finds what is wrong, and nothing else. Each test is about one block, at given times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model.h"
#include "stamps.h"

#define BLOCK 3u

static struct model *m;

static int begin(void **state)
{
	m = model_new(8);
	return m ? 0 : -1;
}

static int end(void **state)
{
	model_free(m);
	return 0;
}

static void write_begins(uint64_t version, uint64_t now)
{
	assert_true(model_has_room(m, BLOCK, 1, 0));
	model_begin(m, BLOCK, 1, version, now);
}

static void write_ends(uint64_t begun, uint64_t now, bool acknowledged)
{
	model_end(m, BLOCK, 1, begun, now, acknowledged);
}

static enum verdict read_gives(uint64_t version, uint64_t sent, uint64_t answered)
{
	struct seen seen;

	return model_read(m, BLOCK, version, sent, answered, &seen);
}

static void new_is_zeros(void **state)
{
	assert_int_equal(read_gives(0, 1, 2), FINE);
	assert_int_equal(read_gives(1, 3, 4), INVENTED);
}

static void acknowledged_is_there(void **state)
{
	write_begins(1, 1);
	write_ends(1, 2, true);
	assert_int_equal(read_gives(0, 3, 4), LOST);
	assert_int_equal(read_gives(1, 3, 4), FINE);
}

static void under_way_may_be_there(void **state)
{
	write_begins(1, 1);
	assert_int_equal(read_gives(0, 2, 3), FINE);
	assert_int_equal(read_gives(1, 4, 5), FINE);
	/* Once seen, it is there. */
	assert_int_equal(read_gives(0, 6, 7), LOST);
}

static void read_sent_before_the_answer_may_see_the_old(void **state)
{
	write_begins(1, 1);
	write_ends(1, 3, true);
	assert_int_equal(read_gives(0, 2, 4), FINE);
	assert_int_equal(read_gives(0, 4, 5), LOST);
}

static void read_answered_before_the_write_cannot_see_it(void **state)
{
	write_begins(1, 5);
	assert_int_equal(read_gives(1, 3, 4), LOST);
}

static void together_in_either_order(void **state)
{
	write_begins(1, 1);
	write_begins(2, 2);
	write_ends(2, 3, true);
	write_ends(1, 4, true);
	assert_int_equal(read_gives(0, 5, 6), LOST);
	assert_int_equal(read_gives(1, 5, 6), FINE);
	/* It has been decided. */
	assert_int_equal(read_gives(2, 7, 8), LOST);
	assert_int_equal(read_gives(1, 9, 10), FINE);
}

static void one_after_the_other(void **state)
{
	write_begins(1, 1);
	write_ends(1, 2, true);
	write_begins(2, 3);
	write_ends(3, 4, true);
	assert_int_equal(read_gives(1, 5, 6), LOST);
}

static void reads_do_not_go_back(void **state)
{
	write_begins(1, 1);
	write_ends(1, 2, true);
	write_begins(2, 3);
	assert_int_equal(read_gives(2, 4, 5), FINE);
	assert_int_equal(read_gives(1, 6, 7), LOST);
}

static void reads_together_need_not_agree(void **state)
{
	write_begins(1, 1);
	assert_int_equal(read_gives(1, 2, 5), FINE);
	assert_int_equal(read_gives(0, 3, 6), FINE);
	assert_int_equal(read_gives(0, 7, 8), LOST);
}

static void without_an_answer_either_way(void **state)
{
	write_begins(1, 1);
	write_ends(1, 2, false);
	assert_int_equal(read_gives(0, 3, 4), FINE);
	/* It was over before that read: it may not be done now. */
	assert_int_equal(read_gives(1, 5, 6), LOST);
}

static void without_an_answer_and_done(void **state)
{
	write_begins(1, 1);
	write_ends(1, 2, false);
	assert_int_equal(read_gives(1, 3, 4), FINE);
	assert_int_equal(read_gives(0, 5, 6), LOST);
}

static void without_an_answer_drops_nothing(void **state)
{
	write_begins(1, 1);
	write_ends(1, 2, true);
	write_begins(2, 3);
	write_ends(3, 4, false);
	assert_true(model_may_differ(m, BLOCK, 2, 5, 6));
	assert_int_equal(read_gives(1, 5, 6), FINE);
	assert_false(model_may_differ(m, BLOCK, 1, 7, 8));
}

static void zeros_of_several_writes(void **state)
{
	write_begins(0, 1);
	write_begins(5, 2);
	write_ends(2, 3, true);
	write_ends(1, 4, true);
	assert_int_equal(read_gives(0, 5, 6), FINE);
	assert_int_equal(read_gives(5, 7, 8), LOST);
}

static void history_ends_and_is_forgotten(void **state)
{
	uint64_t now = 1;

	while (model_has_room(m, BLOCK, 1, 0)) {
		model_begin(m, BLOCK, 1, now, now);
		write_ends(now, now + 1, true);
		now += 2;
	}
	assert_true(model_has_room(m, BLOCK, 1, now));
	assert_int_equal(read_gives(now - 4, now, now + 1), LOST);
	assert_int_equal(read_gives(now - 2, now, now + 1), FINE);
}

static void stamps(void **state)
{
	uint8_t block[512], other[512];
	uint64_t version;

	stamp_write(block, sizeof(block), 1, 7, 42);
	assert_int_equal(stamp_read(block, sizeof(block), 1, 7, &version), WHOLE);
	assert_int_equal(version, 42);
	assert_int_equal(stamp_read(block, sizeof(block), 1, 8, &version), MISPLACED);
	assert_int_equal(stamp_read(block, sizeof(block), 2, 7, &version), MISPLACED);
	stamp_write(other, sizeof(other), 1, 7, 43);
	for (size_t i = 16; i < sizeof(block); i += 16) {
		uint8_t torn[512];

		for (size_t k = 0; k < sizeof(torn); k++)
			torn[k] = k < i ? block[k] : other[k];
		assert_int_equal(stamp_read(torn, sizeof(torn), 1, 7, &version), TORN);
	}
	stamp_write(block, sizeof(block), 1, 7, 0);
	assert_int_equal(stamp_read(block, sizeof(block), 1, 9, &version), WHOLE);
	block[511] = 1;
	assert_int_equal(stamp_read(block, sizeof(block), 1, 9, &version), TORN);
}

#define MODEL(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MODEL(new_is_zeros),
		MODEL(acknowledged_is_there),
		MODEL(under_way_may_be_there),
		MODEL(read_sent_before_the_answer_may_see_the_old),
		MODEL(read_answered_before_the_write_cannot_see_it),
		MODEL(together_in_either_order),
		MODEL(one_after_the_other),
		MODEL(reads_do_not_go_back),
		MODEL(reads_together_need_not_agree),
		MODEL(without_an_answer_either_way),
		MODEL(without_an_answer_and_done),
		MODEL(without_an_answer_drops_nothing),
		MODEL(zeros_of_several_writes),
		MODEL(history_ends_and_is_forgotten),
		cmocka_unit_test(stamps),
	};

	return cmocka_run_group_tests_name("nvme model", tests, NULL, NULL);
}
