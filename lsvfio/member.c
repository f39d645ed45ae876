/* SPDX-License-Identifier: MIT */
/* Members of JSON objects that a stranger wrote: every type and every range is checked. */
#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

/* Longer than any path, and short enough not to flood a terminal. */
#define STRING_MAX_BYTES 4096

void reader_at(struct reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->where, sizeof(r->where), format, args);
	va_end(args);
}

bool reader_refuse(struct reader *r, const char *key, const char *expected)
{
	if (!r->why[0])
		snprintf(r->why, sizeof(r->why), "its reply breaks the protocol: \"%s\" in %s is "
			 "not %s", key, r->where, expected);
	return false;
}

static struct json_object *get(struct json_object *in, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(in, key, &value);
	return value;
}

/* null that is there, in contrast to a member that is missing. */
static bool is_null(struct json_object *in, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(in, key, &value) && !value;
}

static bool take_string(struct reader *r, const char *key, struct json_object *value, char **to)
{
	size_t len;

	if (!json_object_is_type(value, json_type_string))
		return reader_refuse(r, key, "a string");
	len = (size_t)json_object_get_string_len(value);
	if (len > STRING_MAX_BYTES)
		return reader_refuse(r, key, "a string of at most 4096 bytes");
	*to = text_clean(json_object_get_string(value), len);
	return true;
}

bool member_is_there(struct json_object *in, const char *key)
{
	return json_object_object_get_ex(in, key, NULL);
}

bool member_string(struct reader *r, struct json_object *in, const char *key, char **to)
{
	return take_string(r, key, get(in, key), to);
}

bool member_string_or_null(struct reader *r, struct json_object *in, const char *key, char **to)
{
	return is_null(in, key) || take_string(r, key, get(in, key), to);
}

bool member_number(struct reader *r, struct json_object *in, const char *key, uint64_t max,
		   uint64_t *to)
{
	struct json_object *value = get(in, key);
	char expected[64];

	/* json_object_get_uint64() turns what is negative into 0. */
	if (json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0 &&
	    json_object_get_uint64(value) <= max) {
		*to = json_object_get_uint64(value);
		return true;
	}
	snprintf(expected, sizeof(expected), "a whole number from 0 to %llu",
		 (unsigned long long)max);
	return reader_refuse(r, key, expected);
}

bool member_number32(struct reader *r, struct json_object *in, const char *key, uint32_t *to)
{
	uint64_t wide;

	if (!member_number(r, in, key, UINT32_MAX, &wide))
		return false;
	*to = (uint32_t)wide;
	return true;
}

bool member_list(struct reader *r, struct json_object *in, const char *key, size_t max,
		 struct json_object **to)
{
	char expected[64];

	*to = get(in, key);
	if (!json_object_is_type(*to, json_type_array))
		return reader_refuse(r, key, "a list");
	if (json_object_array_length(*to) <= max)
		return true;
	snprintf(expected, sizeof(expected), "a list of at most %zu", max);
	return reader_refuse(r, key, expected);
}

bool member_object(struct reader *r, struct json_object *in, const char *key,
		   struct json_object **to)
{
	*to = get(in, key);
	return json_object_is_type(*to, json_type_object) || reader_refuse(r, key, "an object");
}

bool member_object_or_null(struct reader *r, struct json_object *in, const char *key,
			   struct json_object **to)
{
	*to = NULL;
	return is_null(in, key) || member_object(r, in, key, to);
}

/* Words that this lsvfio does not know are passed over: a newer vfiod may have more. */
bool member_flags(struct reader *r, struct json_object *in, const char *key,
		  const struct flag *table, uint32_t *flags)
{
	struct json_object *list;

	if (!member_list(r, in, key, 32, &list))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *word = json_object_array_get_idx(list, i);

		if (!json_object_is_type(word, json_type_string))
			return reader_refuse(r, key, "a list of strings");
		*flags |= flag_bit(table, json_object_get_string(word));
	}
	return true;
}
