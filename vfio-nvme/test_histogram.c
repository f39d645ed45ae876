/* SPDX-License-Identifier: MIT */
/* Numbers in, numbers out: the histogram against sorting, and sizes as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "histogram.h"
#include "program.h"

/* Every value lies in its bucket, and the buckets follow one another without a gap. */
static void test_buckets(void **state)
{
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		uint64_t first = histogram_value(i), next = histogram_value(i + 1);

		assert_true(first < next);
		assert_int_equal(histogram_bucket(first), i);
		assert_int_equal(histogram_bucket(next - 1), i);
		/* 1.6 per cent. */
		assert_true((next - first - 1) * HISTOGRAM_STEPS <= first);
	}
	assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
	assert_int_equal(histogram_value(HISTOGRAM_BUCKETS), 1ull << HISTOGRAM_MOST);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What sorting says, a bucket's width aside. */
static void check_percentile(const struct histogram *h, const uint64_t *sorted, size_t n,
			     uint32_t of_a_million)
{
	size_t rank = ((uint64_t)n * of_a_million + 999999) / 1000000;
	uint64_t exact = sorted[rank ? rank - 1 : 0], got = histogram_percentile(h, of_a_million);

	assert_true(got >= exact);
	assert_true(got - exact <= exact / HISTOGRAM_STEPS);
}

static void test_percentiles(void **state)
{
	static const uint32_t asked[] = { 0, 1, 500000, 900000, 990000, 999000, 999999, 1000000 };
	static uint64_t values[5000];
	struct histogram h, half;
	size_t n = sizeof(values) / sizeof(*values);

	histogram_init(&h);
	histogram_init(&half);
	srandom(1);
	for (size_t i = 0; i < n; i++) {
		values[i] = (uint64_t)random() >> random() % 31;
		histogram_add(i % 2 ? &h : &half, values[i]);
	}
	histogram_merge(&h, &half);
	qsort(values, n, sizeof(*values), by_value);
	assert_int_equal(h.count, n);
	assert_int_equal(h.least, values[0]);
	assert_int_equal(h.most, values[n - 1]);
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++)
		check_percentile(&h, values, n, asked[i]);
	assert_int_equal(histogram_percentile(&h, 1000000), values[n - 1]);
}

static void test_empty(void **state)
{
	struct histogram h;

	histogram_init(&h);
	assert_int_equal(histogram_percentile(&h, 500000), 0);
	histogram_add(&h, UINT64_MAX);
	assert_int_equal(histogram_percentile(&h, 500000), UINT64_MAX);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{ "0", 0 }, { "512", 512 }, { "4k", 4096 }, { "4K", 4096 }, { "4KiB", 4096 },
		{ "1M", 1 << 20 }, { "3g", 3ull << 30 }, { "2T", 2ull << 40 }, { "0x200", 512 },
		{ "18446744073709551615", UINT64_MAX }, { "010", 10 },
	};
	static const char *const bad[] = {
		"", "k", "-1", "+1", " 1", "1 ", "4kb", "4kk", "1.5k", "0x", "x",
		"18446744073709551616", "18014398509481984k", "99999999999T", "4Ki", "4e",
	};
	uint64_t value;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(parse_size(good[i].text, &value));
		assert_int_equal(value, good[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(parse_size(bad[i], &value));
}

static void test_seconds(void **state)
{
	static const char *const bad[] = {
		"", ".", ".5", "5.", "1.2345", "-1", "1e3", "1 ", " 1", "1.5s", "1.-5", "1234567890123456",
	};
	uint64_t value;

	assert_true(parse_seconds("5", &value));
	assert_int_equal(value, 5000);
	assert_true(parse_seconds("0.25", &value));
	assert_int_equal(value, 250);
	assert_true(parse_seconds("1.007", &value));
	assert_int_equal(value, 1007);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(parse_seconds(bad[i], &value));
}

static void test_texts(void **state)
{
	char text[TIME_TEXT > SIZE_TEXT ? TIME_TEXT : SIZE_TEXT];

	assert_string_equal(size_text(text, 1023), "1023 bytes");
	assert_string_equal(size_text(text, 1536), "1.5 KiB");
	assert_string_equal(size_text(text, UINT64_MAX), "16.0 EiB");
	assert_string_equal(time_text(text, 999), "999 ns");
	assert_string_equal(time_text(text, 1500), "1.5 us");
	assert_string_equal(time_text(text, 2000000), "2.0 ms");
	assert_string_equal(time_text(text, 3000000000), "3.0 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
