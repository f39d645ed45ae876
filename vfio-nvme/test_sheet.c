/* SPDX-License-Identifier: MIT */
/* What a device says, made safe, for JSON as for people: both take the same way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sheet.h"

static int setup(void **state)
{
	static struct sheet sheet;

	sheet_begin(&sheet, true);
	sheet_group(&sheet, "Test", "test");
	*state = &sheet;
	return 0;
}

static int finish(void **state)
{
	struct sheet *sheet = *state;

	json_object_put(sheet->top);
	return 0;
}

static const char *value(const struct sheet *sheet, const char *key)
{
	struct json_object *found;

	assert_true(json_object_object_get_ex(sheet->group, key, &found));
	return found ? json_object_to_json_string_ext(found, JSON_C_TO_STRING_PLAIN) : NULL;
}

static void check_chars(struct sheet *sheet, const char *chars, size_t len, const char *expected)
{
	sheet_chars(sheet, "chars", "chars", chars, len);
	assert_string_equal(value(sheet, "chars"), expected);
}

static void test_chars(void **state)
{
	struct sheet *sheet = *state;
	char all[256];

	check_chars(sheet, "disk    ", 8, "\"disk\"");
	check_chars(sheet, "        ", 8, "\"\"");
	check_chars(sheet, "ends here\0not here", 18, "\"ends here\"");
	check_chars(sheet, "not behind it", 3, "\"not\"");
	check_chars(sheet, "\x1b[31m\n\x7f\xc3\xa4", 9, "\"\\\\x1b[31m\\\\x0a\\\\x7f\\\\xc3\\\\xa4\"");
	check_chars(sheet, "\\x41", 4, "\"\\\\x5cx41\"");
	memset(all, 0xff, sizeof(all));
	sheet_chars(sheet, "chars", "chars", all, sizeof(all));
	assert_int_equal(strlen(value(sheet, "chars")), 5 * sizeof(all) + 2);
}

static void test_hex(void **state)
{
	static const uint8_t bytes[16] = { 0xab, 0, [15] = 1 }, none[16];
	struct sheet *sheet = *state;

	sheet_hex(sheet, "hex", "hex", bytes, sizeof(bytes));
	assert_string_equal(value(sheet, "hex"), "\"ab000000000000000000000000000001\"");
	sheet_hex(sheet, "none", "none", none, sizeof(none));
	assert_null(value(sheet, "none"));
}

static void test_big(void **state)
{
	static const uint8_t small[16] = { 0x39, 0x30 }, none[16];
	struct sheet *sheet = *state;
	uint8_t most[16];

	memset(most, 0xff, sizeof(most));
	sheet_big(sheet, "big", "big", most, " bytes");
	assert_string_equal(value(sheet, "big"), "340282366920938463463374607431768211455");
	sheet_big(sheet, "big", "big", small, NULL);
	assert_string_equal(value(sheet, "big"), "12345");
	sheet_big(sheet, "big", "big", none, NULL);
	assert_string_equal(value(sheet, "big"), "0");
}

static void test_flags(void **state)
{
	static const struct flag_name names[] = { { 1, "one" }, { 4, "four" }, { 0, NULL } };
	struct sheet *sheet = *state;

	sheet_flags(sheet, "flags", "flags", names, 0x80000005u);
	assert_string_equal(value(sheet, "flags"), "[\"one\",\"four\",\"bit 31\"]");
	sheet_flags(sheet, "flags", "flags", names, 0);
	assert_string_equal(value(sheet, "flags"), "[]");
}

static void test_numbers(void **state)
{
	struct sheet *sheet = *state;

	sheet_number(sheet, "n", "n", UINT64_MAX, " blocks");
	assert_string_equal(value(sheet, "n"), "18446744073709551615");
	sheet_size(sheet, "n", "n", 1 << 20);
	assert_string_equal(value(sheet, "n"), "1048576");
	sheet_real(sheet, "n", "n", 1.0 / 3, " s");
	assert_string_equal(value(sheet, "n"), "0.333333");
	sheet_yes(sheet, "n", "n", true);
	assert_string_equal(value(sheet, "n"), "true");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chars),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, setup, finish);
}
