/* SPDX-License-Identifier: MIT */
/* Bytes, alignment, ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/bits.h"

static void loads_are_little_endian_at_any_address(void **state)
{
	const uint8_t bytes[] = { 0xee, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88 };

	assert_int_equal(le16_get(bytes + 1), 0x2211);
	assert_int_equal(le32_get(bytes + 1), 0x44332211);
	assert_int_equal(le_get(bytes + 1, 1), 0x11);
	assert_int_equal(le_get(bytes + 1, 2), 0x2211);
	assert_int_equal(le_get(bytes + 1, 4), 0x44332211);
	assert_true(le_get(bytes + 1, 8) == 0x8877665544332211ull);
}

static void stores_touch_their_width_only(void **state)
{
	static const unsigned int widths[] = { 1, 2, 4, 8 };

	for (size_t i = 0; i < 4; i++) {
		uint8_t bytes[10];

		memset(bytes, 0xee, sizeof(bytes));
		le_put(bytes + 1, widths[i], 0x8877665544332211ull);
		assert_int_equal(bytes[0], 0xee);
		assert_int_equal(bytes[1], 0x11);
		assert_int_equal(bytes[widths[i]], 0x11 * widths[i]);
		assert_int_equal(bytes[widths[i] + 1], 0xee);
		assert_true(le_get(bytes + 1, widths[i]) ==
			    (0x8877665544332211ull & (UINT64_MAX >> (64 - 8 * widths[i]))));
	}
}

static void fixed_stores(void **state)
{
	uint8_t bytes[5] = { 0 };

	le16_put(bytes + 1, 0xbeef);
	assert_int_equal(bytes[1], 0xef);
	assert_int_equal(bytes[2], 0xbe);
	le32_put(bytes + 1, 0xdeadbeef);
	assert_int_equal(bytes[4], 0xde);
}

static void alignment(void **state)
{
	assert_true(is_aligned(0, 4096));
	assert_true(is_aligned(8192, 4096));
	assert_false(is_aligned(4095, 4096));
	assert_false(is_aligned(UINT64_MAX, 2));
	assert_true(is_aligned(UINT64_MAX, 1));
	assert_int_equal(align_up(0, 4096), 0);
	assert_int_equal(align_up(1, 4096), 4096);
	assert_int_equal(align_up(4096, 4096), 4096);
}

static void powers_of_two(void **state)
{
	assert_false(is_power_of_two(0));
	assert_true(is_power_of_two(1));
	assert_true(is_power_of_two(1ull << 63));
	assert_false(is_power_of_two(3));
	assert_false(is_power_of_two(UINT64_MAX));
}

static void inside_never_wraps(void **state)
{
	assert_true(is_inside(0, 0, 0));
	assert_true(is_inside(0, UINT64_MAX, UINT64_MAX));
	assert_true(is_inside(UINT64_MAX, 0, UINT64_MAX));
	assert_true(is_inside(UINT64_MAX - 1, 1, UINT64_MAX));
	assert_false(is_inside(UINT64_MAX, 1, UINT64_MAX));
	assert_false(is_inside(1, UINT64_MAX, UINT64_MAX));
	assert_false(is_inside(UINT64_MAX, UINT64_MAX, UINT64_MAX));
	assert_false(is_inside(2, UINT64_MAX, 16));	/* the sum would be 1 */
	assert_false(is_inside(0, 1, 0));
	assert_true(is_inside(12, 4, 16));
	assert_false(is_inside(13, 4, 16));
}

static void natural_width_is_the_widest(void **state)
{
	assert_int_equal(natural_width(0, 8, 8), 8);
	assert_int_equal(natural_width(0, 8, 4), 4);
	assert_int_equal(natural_width(4, 8, 8), 4);
	assert_int_equal(natural_width(2, 8, 8), 2);
	assert_int_equal(natural_width(1, 8, 8), 1);
	assert_int_equal(natural_width(8, 3, 8), 2);
	assert_int_equal(natural_width(8, 1, 8), 1);
	assert_int_equal(natural_width(UINT64_MAX, SIZE_MAX, 8), 1);
	assert_int_equal(natural_width(UINT64_MAX - 7, SIZE_MAX, 8), 8);
}

/* Whatever the start and length: aligned pieces that cover it exactly. */
static void natural_width_covers_everything(void **state)
{
	for (uint64_t start = 0; start < 16; start++) {
		for (size_t len = 1; len < 40; len++) {
			size_t done = 0;

			while (done < len) {
				unsigned int w = natural_width(start + done, len - done, 8);

				assert_true(is_power_of_two(w) && w <= 8);
				assert_true(is_aligned(start + done, w));
				done += w;
			}
			assert_int_equal(done, len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_are_little_endian_at_any_address),
		cmocka_unit_test(stores_touch_their_width_only),
		cmocka_unit_test(fixed_stores),
		cmocka_unit_test(alignment),
		cmocka_unit_test(powers_of_two),
		cmocka_unit_test(inside_never_wraps),
		cmocka_unit_test(natural_width_is_the_widest),
		cmocka_unit_test(natural_width_covers_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
