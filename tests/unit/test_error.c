/* SPDX-License-Identifier: MIT */
/* Error records: filling, meaning, printing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static const int codes[] = {
#define CODE(name, number, text) number,
	VFIO_ERROR_CODES(CODE)
#undef CODE
};

#define NUM_CODES (sizeof(codes) / sizeof(codes[0]))

/* What vfio_error_print() writes; the caller frees it. */
static char *printed(const char *prefix, const struct vfio_error *err)
{
	size_t len;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(vfio_error_print(f, prefix, err), 1);
	fclose(f);
	return text;
}

static void every_code_has_a_meaning(void **state)
{
	for (size_t i = 0; i < NUM_CODES; i++) {
		assert_non_null(vfio_error_meaning(codes[i]));
		assert_true(strlen(vfio_error_meaning(codes[i])) > 5);
	}
	assert_null(vfio_error_meaning(1));
	assert_null(vfio_error_meaning(-1));
	assert_null(vfio_error_meaning(999999));
}

static void codes_ascend(void **state)
{
	for (size_t i = 1; i < NUM_CODES; i++)
		assert_true(codes[i - 1] < codes[i]);
}

static void every_refuser_has_its_own_name(void **state)
{
	for (int a = VFIO_BY_NOBODY; a <= VFIO_BY_POLICY; a++)
		for (int b = VFIO_BY_NOBODY; b < a; b++)
			assert_string_not_equal(vfio_refuser_name(a), vfio_refuser_name(b));
	assert_string_equal(vfio_refuser_name(VFIO_BY_KERNEL), "kernel");
	assert_string_equal(vfio_refuser_name(1000), "unknown");
}

static void set_fills_everything(void **state)
{
	struct vfio_error e;

	memset(&e, 0xff, sizeof(e));
	assert_int_equal(error_set(&e, ENOENT, VFIO_E_NO_DEVICE, VFIO_BY_SERVER, "do %s",
				   "no %d", 7), -ENOENT);
	assert_int_equal(e.err, ENOENT);
	assert_int_equal(e.code, VFIO_E_NO_DEVICE);
	assert_int_equal(e.who, VFIO_BY_SERVER);
	assert_string_equal(e.what, "no 7");
	assert_string_equal(e.remedy, "do %s");		/* words, not a format */
}

static void set_without_remedy_empties_it(void **state)
{
	struct vfio_error e = { .remedy = "old" };

	error_set(&e, EIO, VFIO_E_SYSTEM, VFIO_BY_KERNEL, NULL, "x");
	assert_string_equal(e.remedy, "");
}

static void set_takes_no_record(void **state)
{
	assert_int_equal(error_set(NULL, EIO, VFIO_E_SYSTEM, VFIO_BY_KERNEL, "r", "x %d", 1), -EIO);
	assert_int_equal(error_system(NULL, EIO, "x %d", 1), -EIO);
	error_clear(NULL);
}

static void long_texts_are_cut(void **state)
{
	struct vfio_error e;
	char text[1000];

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&e, EIO, VFIO_E_SYSTEM, VFIO_BY_KERNEL, text, "%s", text);
	assert_int_equal(strlen(e.what), sizeof(e.what) - 1);
	assert_int_equal(strlen(e.remedy), sizeof(e.remedy) - 1);
}

/* Strangers' words are quoted, and do nothing to a terminal. */
static void control_characters_do_not_pass(void **state)
{
	struct vfio_error e;

	error_set(&e, EIO, VFIO_E_SYSTEM, VFIO_BY_KERNEL, NULL, "'%s'",
		  "a\033[2J\n\x7f\rz\xc3\xa9");
	assert_string_equal(e.what, "'a?[2J???z\xc3\xa9'");
}

static void system_errors_tell_exhaustion_apart(void **state)
{
	struct vfio_error e;

	assert_int_equal(error_system(&e, EMFILE, "opening"), -EMFILE);
	assert_int_equal(e.code, VFIO_E_NO_MEMORY);
	assert_non_null(strstr(e.remedy, "ulimit"));
	error_system(&e, ENOMEM, "opening");
	assert_int_equal(e.code, VFIO_E_NO_MEMORY);
	error_system(&e, EIO, "opening %s", "it");
	assert_int_equal(e.code, VFIO_E_SYSTEM);
	assert_int_equal(e.who, VFIO_BY_KERNEL);
	assert_string_equal(e.what, "opening it");
}

static void clear_makes_no_error(void **state)
{
	struct vfio_error e, zero = { 0 };

	memset(&e, 0xff, sizeof(e));
	error_clear(&e);
	assert_memory_equal(&e, &zero, sizeof(e));
}

static void prints_one_line_or_two(void **state)
{
	struct vfio_error e;
	char *text;

	error_set(&e, ENOENT, VFIO_E_NO_DEVICE, VFIO_BY_KERNEL, NULL, "no socket at %s", "/x");
	text = printed(NULL, &e);
	assert_string_equal(text,
			    "VFIO-103: no socket at /x: No such file or directory (kernel)\n");
	free(text);
	error_set(&e, EBUSY, VFIO_E_BUSY, VFIO_BY_SERVER, "wait", "taken");
	text = printed("prog", &e);
	assert_string_equal(text, "prog: VFIO-105: taken: Device or resource busy (server)\n"
				  "prog: wait\n");
	free(text);
}

/* A record that a server has sent may hold anything. */
static void strangers_records_are_put_right(void **state)
{
	struct vfio_error e, strange = { .err = INT32_MIN, .code = (enum vfio_error_code)-1, .who = 99 };

	memset(strange.what, 'w', sizeof(strange.what));
	memset(strange.remedy, 'r', sizeof(strange.remedy));
	assert_int_equal(error_import(&e, -1, &strange), -EIO);
	assert_int_equal(e.err, EIO);
	assert_int_equal(e.code, VFIO_E_REMOTE);
	assert_int_equal(e.who, VFIO_BY_SERVER);
	assert_int_equal(strlen(e.what), sizeof(e.what) - 1);
	assert_int_equal(error_import(&e, EBUSY, &strange), -EBUSY);
	assert_int_equal(error_set(NULL, INT32_MIN, VFIO_E_BUSY, VFIO_BY_KERNEL, NULL, "x"), -EIO);
	/* CSI in one character, and what writes the rest of the line backwards. */
	strcpy(strange.what, "a\xc2\x9b" "31m b\xe2\x80\xae" "c \xc3\xa9");
	error_import(&e, EIO, &strange);
	assert_string_equal(e.what, "a??31m b???c \xc3\xa9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_a_meaning),
		cmocka_unit_test(codes_ascend),
		cmocka_unit_test(every_refuser_has_its_own_name),
		cmocka_unit_test(set_fills_everything),
		cmocka_unit_test(set_without_remedy_empties_it),
		cmocka_unit_test(set_takes_no_record),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(control_characters_do_not_pass),
		cmocka_unit_test(system_errors_tell_exhaustion_apart),
		cmocka_unit_test(clear_makes_no_error),
		cmocka_unit_test(prints_one_line_or_two),
		cmocka_unit_test(strangers_records_are_put_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
