/* SPDX-License-Identifier: MIT */
/* What devices have to say beside PCI: a block of records for each. */
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

static char *errno_text(int err)
{
	const char *name = strerrorname_np(err);

	if (!err)
		return NULL;
	return name ? memory_copy(name) : memory_printf("%d", err);
}

static void record_lines(struct libscols_table *table, const struct record *record)
{
	struct libscols_line *line = table_line(table);

	table_put(line, 0, memory_printf("VFIO-%03u", record->code));
	table_put(line, 1, memory_copy(record->who));
	table_put(line, 2, errno_text(record->err));
	table_put(line, 3, memory_copy(record->text));
	if (!record->remedy[0])
		return;
	line = table_line(table);
	table_put(line, 3, memory_printf("  %s", record->remedy));
}

static void print_records(const struct description *desc, const struct look *look)
{
	struct libscols_table *table = table_new(look);

	table_column(table, "CODE", 0, 0);
	table_column(table, "WHO", 0, 0);
	table_column(table, "ERRNO", 0, 0);
	table_column(table, "TEXT", 0, SCOLS_FL_WRAP);
	for (size_t i = 0; i < desc->nrecords; i++)
		record_lines(table, &desc->records[i]);
	table_end(table);
}

static void print_device(const struct device *d, const struct look *look)
{
	title_print(d, look);
	for (size_t i = 0; i < d->nproblems; i++)
		puts(d->problems[i]);
	if (!d->description)
		printf("nothing to read: its state is %s\n", d->served->state);
	else if (!d->description->has_records)
		puts("no side channel");
	else if (!d->description->nrecords)
		puts("no records");
	else
		print_records(d->description, look);
}

void errors_print(const struct device_list *list, const struct look *look)
{
	const struct device *d;

	TAILQ_FOREACH(d, list, entry) {
		if (d != TAILQ_FIRST(list))
			putchar('\n');
		print_device(d, look);
	}
}
