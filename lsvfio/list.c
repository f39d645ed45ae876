/* SPDX-License-Identifier: MIT */
/* All devices in one table. */
#include <libsmartcols.h>
#include <string.h>

#include "lsvfio.h"

static const char *state_colour(const char *state)
{
	if (!strcmp(state, "ready"))
		return "green";
	return strcmp(state, "failed") ? "yellow" : "red";
}

static void add(struct libscols_table *table, const struct columns *columns, const struct device *d)
{
	struct libscols_line *line = table_line(table);

	for (size_t i = 0; i < columns->n; i++) {
		const struct column *column = columns->column[i];

		table_put(line, i, column_text(column, d));
		if (d->served && !strcmp(column->name, "STATE"))
			table_paint(line, i, state_colour(d->served->state));
	}
}

void list_print(const struct device_list *list, const struct columns *columns,
		const struct look *look)
{
	struct libscols_table *table = table_new(look);
	const struct device *d;

	for (size_t i = 0; i < columns->n; i++)
		table_column(table, columns->column[i]->name, columns->column[i]->width,
			     columns->column[i]->flags);
	TAILQ_FOREACH(d, list, entry)
		add(table, columns, d);
	table_end(table);
}
