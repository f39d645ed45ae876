/* SPDX-License-Identifier: MIT */
/* JSON values that are there, or the program has ended for want of memory. */
#include <inttypes.h>
#include <json-c/json.h>

#include "lsvfio.h"

struct json_object *value_string(const char *s)
{
	return s ? memory_check(json_object_new_string(s)) : NULL;
}

struct json_object *value_number(uint64_t n)
{
	return memory_check(json_object_new_uint64(n));
}

struct json_object *value_hex(uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, n);
	return value_string(text);
}

struct json_object *value_object(void)
{
	return memory_check(json_object_new_object());
}

struct json_object *value_list(void)
{
	return memory_check(json_object_new_array());
}

struct json_object *value_flags(const struct flag *table, uint32_t flags)
{
	struct json_object *list = value_list();

	for (; table->name; table++)
		if (flags & table->bit)
			value_add(list, value_string(table->name));
	return list;
}

struct json_object *value_client(const struct client *client)
{
	struct json_object *o;

	if (!client->present)
		return NULL;
	o = value_object();
	value_set(o, "pid", value_number(client->pid));
	value_set(o, "uid", value_number(client->uid));
	value_set(o, "gid", value_number(client->gid));
	return o;
}

void value_set(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value) < 0)
		memory_check(NULL);
}

void value_add(struct json_object *list, struct json_object *value)
{
	if (json_object_array_add(list, value) < 0)
		memory_check(NULL);
}
