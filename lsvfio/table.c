/* SPDX-License-Identifier: MIT */
/* libsmartcols, with the one error that it has, no memory, taken care of. */
#include <libsmartcols.h>
#include <stdlib.h>

#include "lsvfio.h"

static void done(int r)
{
	if (r)
		memory_check(NULL);
}

struct libscols_table *table_new(const struct look *look)
{
	struct libscols_table *table = memory_check(scols_new_table());

	scols_table_enable_colors(table, look->colour);
	scols_table_enable_raw(table, look->raw);
	scols_table_enable_noheadings(table, look->noheadings);
	return table;
}

void table_column(struct libscols_table *table, const char *name, double width, int flags)
{
	memory_check(scols_table_new_column(table, name, width, flags));
}

struct libscols_line *table_line(struct libscols_table *table)
{
	return memory_check(scols_table_new_line(table, NULL));
}

void table_put(struct libscols_line *line, size_t column, char *text)
{
	if (text)
		done(scols_line_refer_data(line, column, text));
}

void table_paint(struct libscols_line *line, size_t column, const char *colour)
{
	done(scols_cell_set_color(scols_line_get_cell(line, column), colour));
}

void table_end(struct libscols_table *table)
{
	done(scols_print_table(table));
	scols_unref_table(table);
}
