/* SPDX-License-Identifier: MIT */
/*
 * The columns of the list, in one table: it makes the header, --output, --list-columns, the
 * types in JSON and the help. A column that once existed keeps its name and meaning.
 */
#include <ctype.h>
#include <json-c/json.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lsvfio.h"

#define SERVED(d, member) ((d)->served ? value_string((d)->served->member) : NULL)

static struct json_object *device(const struct device *d)
{
	return value_string(d->name);
}

static struct json_object *kind(const struct device *d)
{
	return value_string(kind_name(d->kind));
}

static struct json_object *id(const struct device *d)
{
	char text[16];

	snprintf(text, sizeof(text), "%04x:%04x", d->id.vendor, d->id.device);
	return d->id.known ? value_string(text) : NULL;
}

static struct json_object *class(const struct device *d)
{
	char text[16];

	snprintf(text, sizeof(text), "%06x", d->id.class_code);
	return d->id.known ? value_string(text) : NULL;
}

static struct json_object *class_name(const struct device *d)
{
	return value_string(d->id.class_name);
}

static struct json_object *name(const struct device *d)
{
	const char *vendor = d->id.vendor_name, *model = d->id.device_name;
	struct json_object *value;
	char *both;

	if (!model && d->served)
		return value_string(d->served->device);
	if (!vendor || !model)
		return value_string(vendor ? vendor : model);
	both = memory_printf("%s %s", vendor, model);
	value = value_string(both);
	free(both);
	return value;
}

static struct json_object *driver(const struct device *d)
{
	return value_string(d->driver);
}

static struct json_object *group(const struct device *d)
{
	return d->group < 0 ? NULL : value_number((uint64_t)d->group);
}

static struct json_object *string(const struct device *d)
{
	return value_string(d->string);
}

static struct json_object *model(const struct device *d)
{
	return SERVED(d, device);
}

static struct json_object *socket(const struct device *d)
{
	return SERVED(d, socket);
}

static struct json_object *owner(const struct device *d)
{
	return SERVED(d, owner);
}

static struct json_object *group_name(const struct device *d)
{
	return SERVED(d, group);
}

static struct json_object *mode(const struct device *d)
{
	return SERVED(d, mode);
}

static struct json_object *state(const struct device *d)
{
	return SERVED(d, state);
}

static struct json_object *control(const struct device *d)
{
	return SERVED(d, control);
}

static struct json_object *client(const struct device *d)
{
	return d->served ? value_client(&d->served->client) : NULL;
}

static struct json_object *pid(const struct device *d)
{
	return d->served && d->served->pid ? value_number(d->served->pid) : NULL;
}

static struct json_object *restarts(const struct device *d)
{
	return d->served ? value_number(d->served->restarts) : NULL;
}

static struct json_object *maps(const struct device *d)
{
	return d->served && d->served->used.known ? value_number(d->served->used.maps) : NULL;
}

static struct json_object *mapped(const struct device *d)
{
	return d->served && d->served->used.known ? value_number(d->served->used.bytes) : NULL;
}

static struct json_object *isolation(const struct device *d)
{
	return d->unguarded ? value_string("none") : SERVED(d, isolation);
}

static struct json_object *tainted(const struct device *d)
{
	return value_string(d->tainted.time);
}

static const struct column table[] = {
	{ "DEVICE", 0, 0, "string", false, device,
	  "name: vfiod's for what it serves, else the PCI address" },
	{ "KIND", 0, 0, "string", false, kind, "vfiod, or pci for the machine's own" },
	{ "ID", 0, 0, "string", true, id, "PCI vendor and device ID" },
	{ "CLASS", 0, 0, "string", true, class, "PCI class code, six hexadecimal digits" },
	{ "CLASSNAME", 0.1, SCOLS_FL_TRUNC, "string", true, class_name, "name of the class" },
	{ "NAME", 0.2, SCOLS_FL_TRUNC, "string", true, name,
	  "names of vendor and device; or what vfiod serves" },
	{ "DRIVER", 0, 0, "string", false, driver, "kernel driver bound to the device" },
	{ "GROUP", 0, SCOLS_FL_RIGHT, "number", false, group, "IOMMU group" },
	{ "STATE", 0, 0, "string", false, state, "starting, ready or failed" },
	{ "CLIENT", 0, 0, "object", false, client, "process and user ID of the client: PID/UID" },
	{ "MAPS", 0, SCOLS_FL_RIGHT, "number", true, maps,
	  "DMA maps that the client has made" },
	{ "MAPPED", 0, SCOLS_FL_RIGHT, "number", true, mapped,
	  "bytes that the client has mapped for DMA" },
	{ "ISOLATION", 0, 0, "string", true, isolation,
	  "what keeps DMA from other memory: iommu, software or none" },
	{ "TAINTED", 0, 0, "string", false, tainted,
	  "when it was first used with nothing to isolate it" },
	{ "STRING", 0, 0, "string", false, string, "the device string to open it with" },
	{ "MODEL", 0, 0, "string", false, model, "device string of what vfiod serves" },
	{ "SOCKET", 0, 0, "string", false, socket, "path where clients connect" },
	{ "OWNER", 0, 0, "string", false, owner, "owner of the socket" },
	{ "GROUPNAME", 0, 0, "string", false, group_name, "group of the socket" },
	{ "MODE", 0, 0, "string", false, mode, "mode of the socket, octal" },
	{ "PID", 0, SCOLS_FL_RIGHT, "number", false, pid, "the device's own process" },
	{ "RESTARTS", 0, SCOLS_FL_RIGHT, "number", false, restarts,
	  "how often that process had to be started again" },
	{ "CONTROL", 0, 0, "string", false, control, "control socket of the vfiod" },
};

#define COLUMNS (sizeof(table) / sizeof(table[0]))

static const char default_columns[] = "DEVICE,KIND,ID,NAME,DRIVER,GROUP,STATE,CLIENT,"
	"MAPS,MAPPED";

static const struct column *find(const char *text, size_t len)
{
	for (size_t i = 0; i < COLUMNS; i++)
		if (!strncasecmp(table[i].name, text, len) && !table[i].name[len])
			return &table[i];
	return NULL;
}

static char *all_names(void)
{
	char *all = memory_copy(table[0].name);

	for (size_t i = 1; i < COLUMNS; i++) {
		char *longer = memory_printf("%s, %s", all, table[i].name);

		free(all);
		all = longer;
	}
	return all;
}

static char *unknown(const char *text, size_t len)
{
	char *word = text_clean(text, len), *all = all_names();
	char *what = memory_printf("no column is called '%s'; there are: %s", word, all);

	free(word);
	free(all);
	return what;
}

static char *append(struct columns *columns, const char *list)
{
	for (;; list++) {
		size_t len = strcspn(list, ",");
		const struct column *column = find(list, len);

		if (!column)
			return unknown(list, len);
		if (columns->n == MAX_COLUMNS)
			return memory_printf("more than %d columns", MAX_COLUMNS);
		columns->column[columns->n++] = column;
		list += len;
		if (!*list)
			return NULL;
	}
}

char *columns_parse(struct columns *columns, const char *list)
{
	columns->n = 0;
	if (!list || *list == '+')
		append(columns, default_columns);
	if (!list)
		return NULL;
	return append(columns, list + (*list == '+'));
}

bool columns_described(const struct columns *columns)
{
	for (size_t i = 0; i < columns->n; i++)
		if (columns->column[i]->described)
			return true;
	return false;
}

char *column_key(const struct column *column)
{
	char *key = memory_copy(column->name);

	for (char *c = key; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return key;
}

/* The one object there is: a client. */
static char *object_text(struct json_object *o)
{
	struct json_object *client_pid, *client_uid;

	json_object_object_get_ex(o, "pid", &client_pid);
	json_object_object_get_ex(o, "uid", &client_uid);
	return memory_printf("%s/%s", json_object_get_string(client_pid),
			     json_object_get_string(client_uid));
}

char *column_text(const struct column *column, const struct device *d)
{
	struct json_object *value = column->value(d);
	char *text;

	if (json_object_is_type(value, json_type_object))
		text = object_text(value);
	else
		text = value ? memory_copy(json_object_get_string(value)) : NULL;
	json_object_put(value);
	return text;
}

void columns_print(bool raw, bool noheadings)
{
	struct libscols_table *out = table_new(&(struct look){ .raw = raw,
							       .noheadings = noheadings });

	table_column(out, "COLUMN", 0, 0);
	table_column(out, "TYPE", 0, 0);
	table_column(out, "DESCRIPTION", 0, 0);
	for (size_t i = 0; i < COLUMNS; i++) {
		struct libscols_line *line = table_line(out);

		table_put(line, 0, memory_copy(table[i].name));
		table_put(line, 1, memory_copy(table[i].type));
		table_put(line, 2, memory_copy(table[i].help));
	}
	table_end(out);
}
