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

/* What an older vfiod does not say is not so. */
static bool reply_unsafe(struct reader *r, struct json_object *in, bool *unsafe)
{
	struct json_object *value;

	if (!json_object_object_get_ex(in, "unsafe", &value))
		return true;
	*unsafe = json_object_get_boolean(value);
	return json_object_is_type(value, json_type_boolean) ||
	       reader_refuse(r, "unsafe", "true or false");
}

bool reply_tainted(struct reader *r, struct json_object *in, struct tainted *tainted)
{
	struct json_object *o;

	if (!member_is_there(in, "tainted"))
		return true;
	return member_object_or_null(r, in, "tainted", &o) &&
	       (!o || (member_string(r, o, "time", &tainted->time) &&
		       member_number32(r, o, "uid", &tainted->uid)));
}

bool reply_device(struct reader *r, struct json_object *in, struct served *s)
{
	if (!member_string(r, in, "name", &s->name) || !member_string(r, in, "device", &s->device) ||
	    !member_string_or_null(r, in, "socket", &s->socket) ||
	    !member_string(r, in, "owner", &s->owner) || !member_string(r, in, "group", &s->group) ||
	    !member_string(r, in, "mode", &s->mode) || !member_string(r, in, "state", &s->state) ||
	    !reply_pid(r, in, &s->pid) || !member_number32(r, in, "restarts", &s->restarts) ||
	    !reply_unsafe(r, in, &s->unsafe) || !reply_client(r, in, &s->client))
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

/* null, or missing: the device, or its vfiod, cannot tell. */
static bool reply_vectors(struct reader *r, struct json_object *in, struct irq *irq)
{
	struct json_object *o;

	if (!member_is_there(in, "vectors"))
		return true;
	if (!member_object_or_null(r, in, "vectors", &o))
		return false;
	irq->limited = o != NULL;
	return !o || (member_number32(r, o, "advertised", &irq->advertised) &&
		      member_number32(r, o, "granted", &irq->granted));
}

static bool reply_signalled(struct reader *r, struct json_object *in, struct irq *irq)
{
	struct json_object *list;

	if (!member_is_there(in, "signalled") || !json_object_object_get(in, "signalled"))
		return true;
	if (!member_list(r, in, "signalled", VFIO_MAX_VECTORS, &list))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *one = json_object_array_get_idx(list, i);
		int64_t v = json_object_get_int64(one);

		if (!json_object_is_type(one, json_type_int) || v < 0 || v >= VFIO_MAX_VECTORS)
			return reader_refuse(r, "signalled", "a list of numbers below 2048");
		irq->signalled[v / 64] |= 1ull << v % 64;
	}
	irq->told = true;
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
		    !member_flags(r, one, "flags", irq_flags, &irq->flags) ||
		    !reply_vectors(r, one, irq) || !reply_signalled(r, one, irq))
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

bool reply_address(struct reader *r, struct json_object *in, const char *key, uint64_t *address)
{
	char *text = NULL;
	bool ok = member_string(r, in, key, &text);

	if (ok && !parse_iova(text, address))
		ok = reader_refuse(r, key, "a string of 0x and up to 16 digits");
	free(text);
	return ok;
}

static bool parse_direction(const char *text, bool *write)
{
	*write = !strcmp(text, "write");
	return *write || !strcmp(text, "read");
}

static bool reply_fault_words(struct reader *r, struct json_object *in, struct fault *fault)
{
	char *direction = NULL;
	bool ok = reply_address(r, in, "iova", &fault->iova) &&
		  member_string(r, in, "direction", &direction);

	if (ok && !parse_direction(direction, &fault->write))
		ok = reader_refuse(r, "direction", "\"read\" or \"write\"");
	free(direction);
	return ok;
}

static bool reply_errno(struct reader *r, struct json_object *in, const char *key, int *err)
{
	uint64_t wide;

	if (!member_number(r, in, key, 4095, &wide))
		return false;
	*err = (int)wide;
	return true;
}

static bool reply_fault(struct reader *r, struct json_object *in, struct fault *fault)
{
	struct json_object *o;

	if (!member_object_or_null(r, in, "fault", &o))
		return false;
	fault->present = o != NULL;
	if (!o)
		return true;
	reader_at(r, "fault");
	return reply_fault_words(r, o, fault) &&
	       member_number(r, o, "size", INT64_MAX, &fault->size) &&
	       reply_errno(r, o, "errno", &fault->err) &&
	       member_number(r, o, "count", INT64_MAX, &fault->count);
}

/* null, or missing: the device, or its vfiod, cannot tell. */
static bool reply_isolation(struct reader *r, struct json_object *in, struct isolation *isolation)
{
	struct json_object *o;

	reader_at(r, "the description");
	if (!member_is_there(in, "isolation"))
		return true;
	if (!member_object_or_null(r, in, "isolation", &o))
		return false;
	reader_at(r, "isolation");
	return !o || (member_string(r, o, "dma", &isolation->dma) &&
		      member_string(r, o, "interrupts", &isolation->interrupts));
}

static bool reply_setting(struct reader *r, struct json_object *in, const char *key,
			  struct description *d)
{
	struct setting *setting = &d->settings[d->nsettings];

	if (d->nsettings == MAX_SETTINGS)
		return reader_refuse(r, "policy", "an object of at most 64 members");
	d->nsettings++;
	setting->key = text_clean(key, strlen(key));
	return member_string(r, in, key, &setting->value);
}

static bool reply_policy(struct reader *r, struct json_object *in, struct description *d)
{
	struct json_object *o;

	reader_at(r, "the description");
	d->has_policy = member_is_there(in, "policy");
	if (!d->has_policy)
		return true;
	if (!member_object(r, in, "policy", &o))
		return false;
	reader_at(r, "the policy");
	json_object_object_foreach(o, key, value) {
		(void)value;
		if (!reply_setting(r, o, key, d))
			return false;
	}
	return true;
}

static bool reply_reset(struct reader *r, struct json_object *in, struct reset *reset)
{
	struct json_object *o;

	reader_at(r, "the description");
	if (!member_is_there(in, "reset"))
		return true;
	if (!member_object_or_null(r, in, "reset", &o))
		return false;
	reset->known = o != NULL;
	reader_at(r, "reset");
	return !o || (member_flags(r, o, "methods", reset_methods, &reset->methods) &&
		      member_number32(r, o, "others", &reset->others) &&
		      member_number(r, o, "count", INT64_MAX, &reset->count) &&
		      reply_errno(r, o, "last", &reset->last));
}

static bool reply_record(struct reader *r, struct json_object *in, struct record *record)
{
	return member_number32(r, in, "code", &record->code) &&
	       member_string(r, in, "who", &record->who) &&
	       reply_errno(r, in, "errno", &record->err) &&
	       member_string(r, in, "text", &record->text) &&
	       member_string(r, in, "remedy", &record->remedy);
}

static bool reply_records(struct reader *r, struct json_object *in, struct description *d)
{
	struct json_object *list, *one;

	reader_at(r, "the description");
	d->has_records = member_is_there(in, "records");
	if (!d->has_records)
		return true;
	if (!member_list(r, in, "records", MAX_RECORDS, &list))
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		one = json_object_array_get_idx(list, i);
		if (!json_object_is_type(one, json_type_object))
			return reader_refuse(r, "records", "a list of objects");
		reader_at(r, "records[%zu]", i);
		if (!reply_record(r, one, &d->records[d->nrecords++]))
			return false;
	}
	return true;
}

bool reply_description(struct reader *r, struct json_object *in, struct description *d)
{
	reader_at(r, "the description");
	return member_string(r, in, "backend", &d->backend) &&
	       member_flags(r, in, "flags", device_flags, &d->flags) &&
	       reply_config(r, in, d) && reply_fault(r, in, &d->fault) &&
	       reply_dma(r, in, &d->dma) && reply_isolation(r, in, &d->isolation) &&
	       reply_regions(r, in, d) && reply_irqs(r, in, d) && reply_policy(r, in, d) &&
	       reply_reset(r, in, &d->reset) && reply_records(r, in, d);
}
