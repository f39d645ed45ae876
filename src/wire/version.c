/* SPDX-License-Identifier: MIT */
/* The JSON of a VERSION message (vfio-user, "Version data format"). */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

#include "wire/wire.h"

void wire_caps_default(struct wire_caps *caps)
{
	*caps = (struct wire_caps){
		.max_msg_fds = 1, .max_data = 1u << 20, .max_dma_maps = 65535, .pgsizes = 4096,
	};
}

/* A number from 0 to max; 0 and absence leave *value as it is. */
static int get_number(struct json_object *caps, const char *key, uint64_t max, uint64_t *value)
{
	struct json_object *o;
	int64_t n;

	if (!json_object_object_get_ex(caps, key, &o))
		return 0;
	if (!json_object_is_type(o, json_type_int))
		return -EINVAL;
	n = json_object_get_int64(o);
	if (n < 0 || (uint64_t)n > max)
		return -EINVAL;
	if (n)
		*value = n;
	return 0;
}

/* Members that we do not use still have a type. */
static int check_types(struct json_object *o, const char **why)
{
	static const struct {
		const char *key;
		enum json_type type;
		const char *why;
	} known[] = {
		{ "twin_socket", json_type_object, "twin_socket is not an object" },
		{ "migration", json_type_object, "migration is not an object" },
		{ "write_multiple", json_type_boolean, "write_multiple is not a boolean" },
	};
	struct json_object *member, *supported;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		*why = known[i].why;
		if (json_object_object_get_ex(o, known[i].key, &member) &&
		    !json_object_is_type(member, known[i].type))
			return -EINVAL;
	}
	*why = "twin_socket.supported is not a boolean";
	if (json_object_object_get_ex(o, "twin_socket", &member) &&
	    json_object_object_get_ex(member, "supported", &supported) &&
	    !json_object_is_type(supported, json_type_boolean))
		return -EINVAL;
	return 0;
}

static int read_caps(struct wire_caps *caps, struct json_object *o, const char **why)
{
	uint64_t fds = caps->max_msg_fds, data = caps->max_data, maps = caps->max_dma_maps;

	*why = "max_msg_fds is not a number from 0 to 1024";
	if (get_number(o, "max_msg_fds", 1024, &fds) < 0)
		return -EINVAL;
	*why = "max_data_xfer_size is not a number";
	if (get_number(o, "max_data_xfer_size", INT64_MAX, &data) < 0)
		return -EINVAL;
	*why = "max_dma_maps is not a number";
	if (get_number(o, "max_dma_maps", INT64_MAX, &maps) < 0)
		return -EINVAL;
	*why = "pgsizes is not a number";
	if (get_number(o, "pgsizes", INT64_MAX, &caps->pgsizes) < 0)
		return -EINVAL;
	if (check_types(o, why) < 0)
		return -EINVAL;
	*why = NULL;
	caps->max_msg_fds = fds;
	caps->max_data = data < WIRE_MAX_DATA ? data : WIRE_MAX_DATA;
	caps->max_dma_maps = maps < UINT32_MAX ? maps : UINT32_MAX;
	return 0;
}

int wire_caps_parse(struct wire_caps *caps, const char *json, size_t len, const char **why)
{
	struct json_tokener *tokener;
	struct json_object *top, *inner;
	int r = 0;

	wire_caps_default(caps);
	*why = NULL;
	if (len == 0)
		return 0;
	*why = "the version's JSON does not end with NUL";
	if (json[len - 1] != '\0')
		return -EINVAL;
	*why = "the version's JSON cannot be parsed";
	tokener = json_tokener_new_ex(8);
	if (!tokener)
		return -ENOMEM;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	top = json_tokener_parse_ex(tokener, json, len);
	json_tokener_free(tokener);
	if (!top)
		return -EINVAL;
	*why = "the version's JSON is not an object, or its capabilities are not";
	if (!json_object_is_type(top, json_type_object))
		r = -EINVAL;
	else if (json_object_object_get_ex(top, "capabilities", &inner))
		r = json_object_is_type(inner, json_type_object) ? read_caps(caps, inner, why)
								 : -EINVAL;
	if (r == 0)
		*why = NULL;
	json_object_put(top);
	return r;
}

size_t wire_caps_format(const struct wire_caps *caps, char *buf, size_t room)
{
	return 1 + snprintf(buf, room,
			    "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
			    "\"max_dma_maps\":%u,\"pgsizes\":%llu}}",
			    caps->max_msg_fds, caps->max_data, caps->max_dma_maps,
			    (unsigned long long)caps->pgsizes);
}
