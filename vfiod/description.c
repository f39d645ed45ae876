/* SPDX-License-Identifier: MIT */
#include "description.h"

#include <string.h>

#include <vfio/pci.h>

#include "message.h"

#define DIGITS 8	/* of a dword of configuration space */

struct shape {
	const char *key;
	enum json_type type;
	/* Of an object, or of each object in a list. NULL: of strings; number_shape: of numbers. */
	const struct shape *members;
	bool may_be_null;
};

#define END { NULL, json_type_null, NULL, false }

static const struct shape number_shape[] = { END };

static const struct shape area_shape[] = {
	{ "offset", json_type_int, NULL, false },
	{ "size", json_type_int, NULL, false },
	END
};

static const struct shape region_shape[] = {
	{ "index", json_type_int, NULL, false },
	{ "name", json_type_string, NULL, false },
	{ "size", json_type_int, NULL, false },
	{ "flags", json_type_array, NULL, false },
	{ "areas", json_type_array, area_shape, false },
	END
};

static const struct shape vectors_shape[] = {
	{ "advertised", json_type_int, NULL, false },
	{ "granted", json_type_int, NULL, false },
	END
};

static const struct shape irq_shape[] = {
	{ "index", json_type_int, NULL, false },
	{ "name", json_type_string, NULL, false },
	{ "count", json_type_int, NULL, false },
	{ "flags", json_type_array, NULL, false },
	{ "vectors", json_type_object, vectors_shape, true },
	{ "signalled", json_type_array, number_shape, true },
	END
};

static const struct shape fault_shape[] = {
	{ "iova", json_type_string, NULL, false },
	{ "size", json_type_int, NULL, false },
	{ "direction", json_type_string, NULL, false },
	{ "errno", json_type_int, NULL, false },
	{ "count", json_type_int, NULL, false },
	END
};

static const struct shape quota_shape[] = {
	{ "advertised", json_type_int, NULL, true },
	{ "granted", json_type_int, NULL, true },
	{ "used", json_type_int, NULL, false },
	END
};

static const struct shape mapping_shape[] = {
	{ "iova", json_type_string, NULL, false },
	{ "size", json_type_int, NULL, false },
	{ "prot", json_type_array, NULL, false },
	{ "access", json_type_string, NULL, false },
	END
};

static const struct shape dma_shape[] = {
	{ "maps", json_type_object, quota_shape, false },
	{ "bytes", json_type_object, quota_shape, false },
	{ "list", json_type_array, mapping_shape, false },
	{ "more", json_type_int, NULL, false },
	END
};

static const struct shape reset_shape[] = {
	{ "methods", json_type_array, NULL, false },
	{ "others", json_type_int, NULL, false },
	{ "count", json_type_int, NULL, false },
	{ "last", json_type_int, NULL, false },
	END
};

static const struct shape record_shape[] = {
	{ "code", json_type_int, NULL, false },
	{ "who", json_type_string, NULL, false },
	{ "errno", json_type_int, NULL, false },
	{ "text", json_type_string, NULL, false },
	{ "remedy", json_type_string, NULL, false },
	END
};

static const struct shape isolation_shape[] = {
	{ "dma", json_type_string, NULL, false },
	{ "interrupts", json_type_string, NULL, false },
	END
};

static const struct shape description_shape[] = {
	{ "backend", json_type_string, NULL, false },
	{ "flags", json_type_array, NULL, false },
	{ "isolation", json_type_object, isolation_shape, true },
	{ "regions", json_type_array, region_shape, false },
	{ "irqs", json_type_array, irq_shape, false },
	{ "config", json_type_string, NULL, false },
	{ "fault", json_type_object, fault_shape, true },
	{ "dma", json_type_object, dma_shape, true },
	{ "policy", json_type_object, NULL, false },
	{ "reset", json_type_object, reset_shape, true },
	{ "records", json_type_array, record_shape, false },
	END
};

static const struct shape map_shape[] = {
	{ "structure", json_type_string, NULL, false },
	{ "virtual", json_type_string, NULL, false },
	{ "writable", json_type_string, NULL, false },
	{ "cleared", json_type_string, NULL, false },
	{ "trapped", json_type_string, NULL, false },
	{ "refused", json_type_string, NULL, false },
	{ "raw", json_type_string, NULL, false },
	END
};

static bool object_fits(struct json_object *json, const struct shape *members);

static bool item_fits(struct json_object *item, const struct shape *members)
{
	if (members == number_shape)
		return json_object_is_type(item, json_type_int);
	return members ? object_fits(item, members) : json_object_is_type(item, json_type_string);
}

static bool list_fits(struct json_object *list, const struct shape *members)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!item_fits(json_object_array_get_idx(list, i), members))
			return false;
	return true;
}

static bool strings_fit(struct json_object *json)
{
	json_object_object_foreach(json, key, value) {
		if (!json_object_is_type(value, json_type_string))
			return false;
		(void)key;
	}
	return true;
}

static bool member_fits(struct json_object *value, const struct shape *shape)
{
	if (!value)
		return shape->may_be_null;
	if (!json_object_is_type(value, shape->type))
		return false;
	if (shape->type == json_type_array)
		return list_fits(value, shape->members);
	if (shape->type == json_type_object)
		return shape->members ? object_fits(value, shape->members) : strings_fit(value);
	return true;
}

static bool object_fits(struct json_object *json, const struct shape *members)
{
	struct json_object *value;

	if (!json_object_is_type(json, json_type_object))
		return false;
	for (; members->key; members++)
		if (!json_object_object_get_ex(json, members->key, &value) ||
		    !member_fits(value, members))
			return false;
	return true;
}

bool description_is_valid(struct json_object *description)
{
	return object_fits(description, description_shape);
}

/* Each member says as many dwords as the others. */
bool description_map_is_valid(struct json_object *map)
{
	size_t len = 0;

	if (!object_fits(map, map_shape))
		return false;
	for (const struct shape *s = map_shape; s->key; s++) {
		const char *text = message_string(map, s->key);

		if (s == map_shape)
			len = strlen(text);
		if (strlen(text) != len || strspn(text, "0123456789abcdef") != len)
			return false;
	}
	return len && len % DIGITS == 0 && len / DIGITS <= VFIO_PCI_MAX_DWORDS;
}
