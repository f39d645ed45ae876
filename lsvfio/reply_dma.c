/* SPDX-License-Identifier: MIT */
/* What vfiod says of a client's memory, as docs/control.md has it. */
#include <json-c/json.h>
#include <stdlib.h>

#include "lsvfio.h"

/* Where JSON has a larger number, json-c says UINT64_MAX. */
#define MOST (UINT64_MAX - 1)

/* null: without limit. */
static bool reply_limit(struct reader *r, struct json_object *in, const char *key, uint64_t *limit)
{
	struct json_object *value;

	*limit = UINT64_MAX;
	if (json_object_object_get_ex(in, key, &value) && !value)
		return true;
	return member_number(r, in, key, MOST, limit);
}

static bool reply_quota(struct reader *r, struct json_object *in, const char *key,
			struct vfio_quota *quota)
{
	struct json_object *o;

	return member_object(r, in, key, &o) &&
	       reply_limit(r, o, "advertised", &quota->advertised) &&
	       reply_limit(r, o, "granted", &quota->granted) &&
	       member_number(r, o, "used", MOST, &quota->used);
}

static bool reply_mapping(struct reader *r, struct json_object *in, struct vfio_dma_info *map)
{
	char *access = NULL;
	bool ok;

	if (!json_object_is_type(in, json_type_object))
		return reader_refuse(r, "list", "a list of objects");
	ok = reply_address(r, in, "iova", &map->iova) &&
	     member_number(r, in, "size", MOST, &map->size) &&
	     member_flags(r, in, "prot", dma_directions, &map->prot) &&
	     member_string(r, in, "access", &access);
	if (ok && (!map->size || map->iova + (map->size - 1) < map->iova))
		ok = reader_refuse(r, "size", "of a range inside the address space");
	if (ok)
		map->access = flag_bit(dma_ways, access);
	free(access);
	return ok;
}

bool reply_dma(struct reader *r, struct json_object *in, struct dma *dma)
{
	struct json_object *o, *list;

	reader_at(r, "the description");
	if (!member_is_there(in, "dma"))
		return true;
	if (!member_object_or_null(r, in, "dma", &o))
		return false;
	dma->known = o != NULL;
	if (!o)
		return true;
	reader_at(r, "dma");
	if (!reply_quota(r, o, "maps", &dma->limits.maps) ||
	    !reply_quota(r, o, "bytes", &dma->limits.bytes) ||
	    !member_number(r, o, "more", MOST, &dma->more) ||
	    !member_list(r, o, "list", MAX_MAPS, &list))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!reply_mapping(r, json_object_array_get_idx(list, i), &dma->maps[dma->nmaps++]))
			return false;
	return true;
}
