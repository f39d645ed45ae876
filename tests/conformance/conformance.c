/* SPDX-License-Identifier: MIT */
/*
 * Run every row over one device on one back end:
 *
 *   conformance full inprocess      a subject of subjects.c, in this process
 *   conformance full socket         the same behind a socket
 *   conformance open NAME           whatever vfio_open() makes of NAME
 *   conformance rows                is each row somewhere, and has a subject what it needs?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "row.h"

#define MAX_ROWS 256
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static const struct row *const tables[] = {
	config_rows, command_rows, hidden_rows, capability_rows, express_rows, region_rows,
	interrupt_rows, message_rows, device_rows, reset_rows, channel_rows,
};

/* All rows of all tables; how many there are. */
static size_t gather(const struct row *rows[MAX_ROWS])
{
	size_t n = 0;

	for (size_t i = 0; i < LENGTH(tables); i++)
		for (const struct row *row = tables[i]; row->name; row++) {
			assert_true(n < MAX_ROWS);
			rows[n++] = row;
		}
	return n;
}

/* ---- one row on the rig --------------------------------------------------------------------- */

static struct rig rig;
static struct bed bed;
static const char *lacks;

/*
 * Nothing is wrong with the bed, so that the next driver may have it: what one row does to a device
 * behind a server is forgotten when its driver goes, or the rows after it find out.
 */
static bool reusable;

static int make_bed(const struct row *row)
{
	int r;

	bed_close(&bed);
	r = bed_open(&bed, &rig, &row->policy);
	if (r == -ENOTSUP && row->policy.key) {
		lacks = "a device that has policies";
		return 0;
	}
	if (r < 0)
		print_error("%s: cannot be made: %s\n", row->name, strerror(-r));
	return r;
}

static int set_up(void **state)
{
	const struct row *row = *state;
	int r = 0;

	lacks = NULL;
	if (reusable && !row->policy.key)
		bed_reopen(&bed);
	else
		r = make_bed(row);
	reusable = false;
	return r;
}

static int tear_down(void **state)
{
	bed_close_eventfds(&bed);
	return 0;
}

static int close_bed(void **state)
{
	bed_close(&bed);
	return 0;
}

static void run_row(void **state)
{
	const struct row *row = *state;

	if (!lacks)
		lacks = row_lacks(row, &bed);
	if (lacks) {
		reusable = bed.dev && !row->policy.key;
		print_message("%s: skipped: needs %s\n", row->name, lacks);
		skip();
	}
	row->test(&bed);
	reusable = !row->policy.key;
}

static int run_rows(const char *title)
{
	static struct CMUnitTest tests[MAX_ROWS];
	const struct row *rows[MAX_ROWS];
	size_t n = gather(rows);

	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){
			.name = rows[i]->name,
			.test_func = run_row,
			.setup_func = set_up,
			.teardown_func = tear_down,
			.initial_state = (void *)rows[i],
		};
	return _cmocka_run_group_tests(title, tests, n, NULL, close_bed);
}

/* ---- the rows themselves -------------------------------------------------------------------- */

static void each_row_is_in_one_place(void **state)
{
	unsigned int places[ROWS + 1] = { 0 };
	const struct row *rows[MAX_ROWS];
	size_t n = gather(rows);

	for (size_t i = 0; i < n; i++) {
		assert_in_range(row_number(rows[i]), 0, ROWS);
		places[row_number(rows[i])]++;
	}
	for (const struct no_row *no = not_applicable; no->number; no++) {
		assert_in_range(no->number, 1, ROWS);
		print_message("row %d: not applicable: %s\n", no->number, no->reason);
		places[no->number]++;
	}
	for (unsigned int number = 1; number <= ROWS; number++)
		if (places[number] != 1)
			fail_msg("row %u is in %u places", number, places[number]);
}

/* Note which rows the subject has all that they need for. */
static void note(const struct subject *s, bool socket, const struct row **rows, size_t n, bool *met)
{
	const struct rig one = { .subject = s, .socket = socket };
	const struct policy none = { NULL, NULL };

	assert_int_equal(bed_open(&bed, &one, &none), 0);
	for (size_t i = 0; i < n; i++)
		met[i] |= !row_lacks(rows[i], &bed);
	bed_close(&bed);
}

static void each_row_has_a_subject(void **state)
{
	const struct row *rows[MAX_ROWS];
	bool met[MAX_ROWS] = { false };
	size_t n = gather(rows);

	for (const struct subject *s = subjects; s->name; s++) {
		note(s, false, rows, n, met);
		note(s, true, rows, n, met);
	}
	for (size_t i = 0; i < n; i++)
		if (!met[i])
			fail_msg("%s: no subject has what it needs", rows[i]->name);
}

static int check_rows(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_is_in_one_place),
		cmocka_unit_test(each_row_has_a_subject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

static int usage(void)
{
	fprintf(stderr, "usage: conformance SUBJECT inprocess|socket\n"
			"       conformance open NAME\n"
			"       conformance rows\n");
	return 2;
}

int main(int argc, char **argv)
{
	char title[128];

	if (argc == 2 && strcmp(argv[1], "rows") == 0)
		return check_rows() != 0;
	if (argc != 3)
		return usage();
	if (strcmp(argv[1], "open") == 0) {
		rig.name = argv[2];
	} else {
		rig.subject = subject_find(argv[1]);
		rig.socket = strcmp(argv[2], "socket") == 0;
		if (!rig.subject || (!rig.socket && strcmp(argv[2], "inprocess") != 0))
			return usage();
	}
	snprintf(title, sizeof(title), "%s %s", argv[1], argv[2]);
	return run_rows(title) != 0;
}
