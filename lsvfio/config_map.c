/* SPDX-License-Identifier: MIT */
/*
 * The map of configuration space: how each bit behaves when it is read and written. A device that
 * is opened is asked, and so is a vfiod; of others the table says what the kernel makes of such a
 * device.
 */
#include <json-c/json.h>
#include <libsmartcols.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

/* ---- the device is asked --------------------------------------------------------------------- */

void config_map_ask(struct device *d, struct vfio_dev *dev)
{
	struct description *desc = d->description;
	size_t n = desc->config_len / 4;

	desc->map = memory_zeroed(n ? n : 1, sizeof(*desc->map));
	while (desc->nmap < n &&
	       vfio_config_info(dev, (uint32_t)desc->nmap * 4, &desc->map[desc->nmap]) == 0)
		desc->nmap++;
}

/* ---- the table is ---------------------------------------------------------------------------- */

static void fill_by_table(struct description *desc)
{
	desc->map = memory_zeroed(VFIO_PCI_MAX_DWORDS, sizeof(*desc->map));
	if (desc->nvalues)		/* it is of a device, and not of a bridge of unknown kind */
		desc->nmap = vfio_pci_config_map(desc->config, desc->config_len, desc->map);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* A dword: the names of its registers, and what its bits do. */
struct dword {
	struct vfio_config_info info;
	char *names;
};

static void add_name(struct dword *row, const char *name)
{
	char *more = memory_printf("%s%s%s", row->names ? row->names : "", row->names ? "," : "",
				   name);

	free(row->names);
	row->names = more;
}

/* Each register once, of whose fields there may be many. */
static void add_names(const struct description *desc, struct dword *rows)
{
	const struct vfio_pci_value *above = NULL;

	for (size_t i = 0; i < desc->nvalues; i++) {
		const struct vfio_pci_value *v = &desc->values[i];

		if (!v->field || v->offset / 4u >= desc->nmap)
			continue;
		if (!above || above->base != v->base || above->offset != v->offset)
			add_name(&rows[v->offset / 4], v->field->reg_name);
		above = v;
	}
}

/* To be freed with free_rows(). */
static struct dword *make_rows(struct description *desc)
{
	struct dword *rows;

	if (!desc->map)
		fill_by_table(desc);
	rows = memory_zeroed(desc->nmap ? desc->nmap : 1, sizeof(*rows));
	for (size_t i = 0; i < desc->nmap; i++)
		rows[i].info = desc->map[i];
	add_names(desc, rows);
	return rows;
}

static void free_rows(struct dword *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i].names);
	free(rows);
}

static const char *structure_name(const struct vfio_config_info *info)
{
	const struct vfio_pci_structure *s =
		vfio_pci_find(info->capability | (info->extended ? VFIO_PCI_EXTENDED : 0));

	if (!info->capability && info->offset >= PCI_STD_HEADER_SIZEOF)
		return NULL;
	return s ? s->name : "Capability";
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static struct json_object *row_value(const struct dword *row)
{
	const struct vfio_config_info *info = &row->info;
	struct json_object *o = value_object();

	value_set(o, "offset", value_number(info->offset));
	value_set(o, "structure", value_string(structure_name(info)));
	value_set(o, "id", value_number(info->capability));
	value_set(o, "extended", json_object_new_boolean(info->extended));
	value_set(o, "base", value_number(info->base));
	value_set(o, "registers", value_string(row->names));
	value_set(o, "exact", json_object_new_boolean(info->exact));
	value_set(o, "virtual", value_number(info->virt));
	value_set(o, "device", value_number(~info->virt));
	value_set(o, "writable", value_number(info->write));
	value_set(o, "cleared", value_number(info->clear));
	value_set(o, "trapped", info->exact ? value_number(info->trapped) : NULL);
	value_set(o, "refused", info->exact ? value_number(info->policy) : NULL);
	value_set(o, "raw", info->exact ? value_number(info->raw) : NULL);
	return o;
}

struct json_object *config_map_value(const struct device *d)
{
	struct json_object *list = value_list();
	struct description *desc = d->description;
	struct dword *rows;

	if (!desc)
		return list;
	rows = make_rows(desc);
	for (size_t i = 0; i < desc->nmap; i++)
		value_add(list, row_value(&rows[i]));
	free_rows(rows, desc->nmap);
	return list;
}

/* ---- as a table ------------------------------------------------------------------------------ */

static char *mask_text(uint32_t mask)
{
	return mask ? memory_printf("%08x", mask) : memory_copy("-");
}

/* Rows first to last, which are alike. */
static void put_row(struct libscols_table *table, const struct dword *first,
		    const struct dword *last)
{
	struct libscols_line *line = table_line(table);
	const struct vfio_config_info *info = &first->info;
	const char *name = structure_name(info);

	table_put(line, 0, first == last ? memory_printf("0x%03x", info->offset) :
		  memory_printf("0x%03x-0x%03x", info->offset, last->info.offset));
	if (name && info->base)
		table_put(line, 1, memory_printf("%s [%02x]", name, info->base));
	else
		table_put(line, 1, memory_copy(name ? name : "-"));
	table_put(line, 2, memory_copy(first->names ? first->names : "-"));
	table_put(line, 3, mask_text(info->virt));
	table_put(line, 4, mask_text(~info->virt));
	table_put(line, 5, mask_text(info->write));
	table_put(line, 6, mask_text(info->clear));
	table_put(line, 7, info->exact ? mask_text(info->trapped) : memory_copy("?"));
	table_put(line, 8, info->exact ? mask_text(info->policy) : memory_copy("?"));
	table_put(line, 9, info->exact ? mask_text(info->raw) : memory_copy("?"));
}

/* Nothing is known of either, and the same. */
static bool are_alike(const struct dword *a, const struct dword *b)
{
	struct vfio_config_info x = a->info, y = b->info;

	x.offset = y.offset = 0;
	return !a->names && !b->names && memcmp(&x, &y, sizeof(x)) == 0;
}

void config_map_print(const struct device *d, const struct look *look)
{
	static const char *const columns[] = {
		"OFFSET", "STRUCTURE", "REGISTERS", "VIRTUAL", "DEVICE", "WRITABLE", "CLEARED",
		"TRAPPED", "REFUSED", "RAW",
	};
	struct libscols_table *table = table_new(look);
	struct description *desc = d->description;
	struct dword *rows = make_rows(desc);

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		table_column(table, columns[i], 0, 0);
	for (size_t i = 0, last; i < desc->nmap; i = last + 1) {
		for (last = i; last + 1 < desc->nmap && are_alike(&rows[i], &rows[last + 1]); )
			last++;
		put_row(table, &rows[i], &rows[last]);
	}
	title_print(d, look);
	for (size_t i = 0; i < d->nproblems; i++)
		puts(d->problems[i]);
	table_end(table);
	free_rows(rows, desc->nmap);
}
