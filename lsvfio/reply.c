/* SPDX-License-Identifier: MIT */
/* Replies of vfiod, as docs/control.md describes them, become what model.h describes. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

static bool reply_client(struct reader *r, struct json_object *in, struct client *client)
{
	struct json_object *o;

	if (!member_object_or_null(r, in, "client", &o))
		return false;
	client->present = o != NULL;
	return !o || (member_number32(r, o, "pid", &client->pid) &&
		      member_number32(r, o, "uid", &client->uid) &&
		      member_number32(r, o, "gid", &client->gid));
}

static bool reply_pid(struct reader *r, struct json_object *in, uint32_t *pid)
{
	struct json_object *value;

	if (json_object_object_get_ex(in, "pid", &value) && !value)
		return true;
	return member_number32(r, in, "pid", pid);
}

static bool is_octal(const char *mode)
{
	size_t len = strlen(mode);

	return len >= 1 && len <= 5 && strspn(mode, "01234567") == len;
}

bool reply_device(struct reader *r, struct json_object *in, struct served *s)
{
	if (!member_string(r, in, "name", &s->name) || !member_string(r, in, "device", &s->device) ||
	    !member_string_or_null(r, in, "socket", &s->socket) ||
	    !member_string(r, in, "owner", &s->owner) || !member_string(r, in, "group", &s->group) ||
	    !member_string(r, in, "mode", &s->mode) || !member_string(r, in, "state", &s->state) ||
	    !reply_pid(r, in, &s->pid) || !member_number32(r, in, "restarts", &s->restarts) ||
	    !reply_client(r, in, &s->client))
		return false;
	if (!s->name[0])
		return reader_refuse(r, "name", "a name: it is empty");
	return is_octal(s->mode) || reader_refuse(r, "mode", "an octal number");
}

static bool reply_area(struct reader *r, struct json_object *in, struct region *region)
{
	struct vfio_area *area = &region->areas[region->nareas];

	if (!json_object_is_type(in, json_type_object))
		return reader_refuse(r, "areas", "a list of objects");
	if (!member_number(r, in, "offset", region->size, &area->offset) ||
	    !member_number(r, in, "size", region->size - area->offset, &area->size))
		return false;
	region->nareas++;
	return true;
}

static bool reply_region(struct reader *r, struct json_object *in, struct region *region)
{
	struct json_object *areas;

	if (!member_number32(r, in, "index", &region->index) ||
	    !member_string(r, in, "name", &region->name) ||
	    !member_number(r, in, "size", INT64_MAX, &region->size) ||
	    !member_flags(r, in, "flags", region_flags, &region->flags) ||
	    !member_list(r, in, "areas", VFIO_MAX_AREAS, &areas))
		return false;
	for (size_t i = 0; i < json_object_array_length(areas); i++)
		if (!reply_area(r, json_object_array_get_idx(areas, i), region))
			return false;
	return true;
}

static bool reply_regions(struct reader *r, struct json_object *in, struct description *d)
{
	struct json_object *list;

	reader_at(r, "the description");
	if (!member_list(r, in, "regions", MAX_REGIONS, &list))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);

		if (!json_object_is_type(one, json_type_object))
			return reader_refuse(r, "regions", "a list of objects");
		reader_at(r, "regions[%zu]", i);
		if (!reply_region(r, one, &d->regions[d->nregions++]))
			return false;
	}
	return true;
}

static bool reply_irqs(struct reader *r, struct json_object *in, struct description *d)
{
	struct json_object *list;

	reader_at(r, "the description");
	if (!member_list(r, in, "irqs", MAX_IRQS, &list))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		struct irq *irq = &d->irqs[d->nirqs++];

		if (!json_object_is_type(one, json_type_object))
			return reader_refuse(r, "irqs", "a list of objects");
		reader_at(r, "irqs[%zu]", i);
		if (!member_number32(r, one, "index", &irq->index) ||
		    !member_string(r, one, "name", &irq->name) ||
		    !member_number32(r, one, "count", &irq->count) ||
		    !member_flags(r, one, "flags", irq_flags, &irq->flags))
			return false;
	}
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_config(const char *hex, struct description *d)
{
	size_t len = strlen(hex);

	if (len % 2 || len / 2 > CONFIG_MAX)
		return false;
	for (d->config_len = 0; d->config_len < len / 2; d->config_len++, hex += 2) {
		int high = digit(hex[0]), low = digit(hex[1]);

		if (high < 0 || low < 0)
			return false;
		d->config[d->config_len] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool reply_config(struct reader *r, struct json_object *in, struct description *d)
{
	struct json_object *hex;

	if (!json_object_object_get_ex(in, "config", &hex) ||
	    !json_object_is_type(hex, json_type_string) ||
	    !parse_config(json_object_get_string(hex), d))
		return reader_refuse(r, "config", "up to 4096 bytes in hexadecimal digits");
	return true;
}

static bool parse_iova(const char *text, uint64_t *iova)
{
	size_t digits;

	if (strncmp(text, "0x", 2))
		return false;
	text += 2;
	digits = strspn(text, "0123456789abcdefABCDEF");
	if (digits < 1 || digits > 16 || text[digits])
		return false;
	*iova = strtoull(text, NULL, 16);
	return true;
}

static bool parse_direction(const char *text, bool *write)
{
	*write = !strcmp(text, "write");
	return *write || !strcmp(text, "read");
}

static bool reply_fault_words(struct reader *r, struct json_object *in, struct fault *fault)
{
	char *iova = NULL, *direction = NULL;
	bool ok = member_string(r, in, "iova", &iova) &&
		  member_string(r, in, "direction", &direction);

	if (ok && !parse_iova(iova, &fault->iova))
		ok = reader_refuse(r, "iova", "a string of 0x and up to 16 digits");
	if (ok && !parse_direction(direction, &fault->write))
		ok = reader_refuse(r, "direction", "\"read\" or \"write\"");
	free(iova);
	free(direction);
	return ok;
}

static bool reply_fault(struct reader *r, struct json_object *in, struct fault *fault)
{
	struct json_object *o;
	uint64_t err = 0;

	if (!member_object_or_null(r, in, "fault", &o))
		return false;
	fault->present = o != NULL;
	if (!o)
		return true;
	reader_at(r, "fault");
	if (!reply_fault_words(r, o, fault) ||
	    !member_number(r, o, "size", INT64_MAX, &fault->size) ||
	    !member_number(r, o, "errno", 4095, &err) ||
	    !member_number(r, o, "count", INT64_MAX, &fault->count))
		return false;
	fault->err = (int)err;
	return true;
}

bool reply_description(struct reader *r, struct json_object *in, struct description *d)
{
	reader_at(r, "the description");
	return member_string(r, in, "backend", &d->backend) &&
	       member_flags(r, in, "flags", device_flags, &d->flags) &&
	       reply_config(r, in, d) && reply_fault(r, in, &d->fault) &&
	       reply_regions(r, in, d) && reply_irqs(r, in, d);
}
