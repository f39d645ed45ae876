/* SPDX-License-Identifier: MIT */
/* The memory that a device has from its client: how much, how much it may be, and each map. */
#include <inttypes.h>
#include <json-c/json.h>
#include <libsmartcols.h>
#include <stdlib.h>

#include "lsvfio.h"

void dma_ask(struct dma *dma, struct vfio_dev *dev)
{
	uint64_t cursor = 0;

	if (vfio_dma_limits(dev, &dma->limits) < 0)
		return;		/* not every back end knows */
	dma->known = true;
	while (dma->nmaps < MAX_MAPS && vfio_dma_next(dev, &cursor, &dma->maps[dma->nmaps]) == 1)
		dma->nmaps++;
	if (dma->limits.maps.used > dma->nmaps)
		dma->more = dma->limits.maps.used - dma->nmaps;
}

/* ---- text -------------------------------------------------------------------------------- */

static char *amount(uint64_t n, bool bytes)
{
	return bytes ? text_size(n) : memory_printf("%" PRIu64, n);
}

/* What is advertised is of interest where it is not granted. */
static char *quota_text(const struct vfio_quota *quota, bool bytes)
{
	char *used = amount(quota->used, bytes), *granted = amount(quota->granted, bytes);
	char *advertised = amount(quota->advertised, bytes), *text;

	if (quota->granted == UINT64_MAX)
		text = memory_printf("%s, without limit", used);
	else if (quota->granted == quota->advertised || quota->advertised == UINT64_MAX)
		text = memory_printf("%s of %s", used, granted);
	else
		text = memory_printf("%s of %s granted, %s advertised", used, granted, advertised);
	free(used);
	free(granted);
	free(advertised);
	return text;
}

char *dma_maps_text(const struct dma *dma)
{
	return dma->known ? quota_text(&dma->limits.maps, false) : NULL;
}

char *dma_bytes_text(const struct dma *dma)
{
	return dma->known ? quota_text(&dma->limits.bytes, true) : NULL;
}

static void map_line(struct libscols_table *table, const struct vfio_dma_info *map)
{
	struct libscols_line *line = table_line(table);
	char *way = flag_names(dma_ways, map->access);

	table_put(line, 0, memory_printf("0x%" PRIx64 "-0x%" PRIx64, map->iova,
					 map->iova + (map->size - 1)));
	table_put(line, 1, text_size(map->size));
	table_put(line, 2, memory_printf("%" PRIu64, map->size));
	table_put(line, 3, flag_names(dma_directions, map->prot));
	table_put(line, 4, way ? way : memory_copy("unknown"));
}

struct libscols_table *dma_table(const struct dma *dma, const struct look *look)
{
	struct libscols_table *table = table_new(look);

	table_column(table, "IOVA", 0, 0);
	table_column(table, "SIZE", 0, SCOLS_FL_RIGHT);
	table_column(table, "BYTES", 0, SCOLS_FL_RIGHT);
	table_column(table, "DIRECTION", 0, 0);
	table_column(table, "ACCESS", 0, 0);
	for (size_t i = 0; i < dma->nmaps; i++)
		map_line(table, &dma->maps[i]);
	if (dma->more)
		table_put(table_line(table), 0, memory_printf("(%" PRIu64 " more)", dma->more));
	return table;
}

/* ---- JSON -------------------------------------------------------------------------------- */

static struct json_object *limit_value(uint64_t n)
{
	return n == UINT64_MAX ? NULL : value_number(n);
}

static struct json_object *quota_value(const struct vfio_quota *quota)
{
	struct json_object *o = value_object();

	value_set(o, "advertised", limit_value(quota->advertised));
	value_set(o, "granted", limit_value(quota->granted));
	value_set(o, "used", value_number(quota->used));
	return o;
}

static struct json_object *map_value(const struct vfio_dma_info *map)
{
	struct json_object *o = value_object();
	char *way = flag_names(dma_ways, map->access);

	value_set(o, "iova", value_hex(map->iova));
	value_set(o, "size", value_number(map->size));
	value_set(o, "prot", value_flags(dma_directions, map->prot));
	value_set(o, "access", value_string(way));
	free(way);
	return o;
}

struct json_object *dma_value(const struct dma *dma)
{
	struct json_object *o, *list;

	if (!dma->known)
		return NULL;
	o = value_object();
	list = value_list();
	for (size_t i = 0; i < dma->nmaps; i++)
		value_add(list, map_value(&dma->maps[i]));
	value_set(o, "maps", quota_value(&dma->limits.maps));
	value_set(o, "bytes", quota_value(&dma->limits.bytes));
	value_set(o, "list", list);
	value_set(o, "more", value_number(dma->more));
	return o;
}
