/* SPDX-License-Identifier: MIT */
/* Devices as JSON: the list with the chosen columns, or each device in full. */
#include <json-c/json.h>
#include <stdlib.h>

#include "lsvfio.h"

/* Counts up when a member changes its meaning or goes; new members may come at any time. */
#define SCHEMA 1

void json_print_devices(struct json_object *devices, const struct taint *taint)
{
	struct json_object *top = value_object(), *about = value_object();
	const char *text;

	value_set(about, "schema", value_number(SCHEMA));
	value_set(top, "lsvfio", about);
	value_set(top, "devices", devices);
	if (taint)
		value_set(top, "taint", taint_value(taint));
	text = json_object_to_json_string_ext(top, JSON_C_TO_STRING_SPACED |
					      JSON_C_TO_STRING_PRETTY |
					      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text)
		memory_check(NULL);
	puts(text);
	json_object_put(top);
}

static struct json_object *columns_value(const struct device *d, const struct columns *columns)
{
	struct json_object *o = value_object();

	for (size_t i = 0; i < columns->n; i++) {
		char *key = column_key(columns->column[i]);

		value_set(o, key, columns->column[i]->value(d));
		free(key);
	}
	return o;
}

void json_print_list(const struct device_list *list, const struct columns *columns,
		     const struct taint *taint)
{
	struct json_object *devices = value_list();
	const struct device *d;

	TAILQ_FOREACH(d, list, entry)
		value_add(devices, columns_value(d, columns));
	json_print_devices(devices, taint);
}

static struct json_object *served_value(const struct served *s)
{
	struct json_object *o;

	if (!s)
		return NULL;
	o = value_object();
	value_set(o, "control", value_string(s->control));
	value_set(o, "name", value_string(s->name));
	value_set(o, "device", value_string(s->device));
	value_set(o, "socket", value_string(s->socket));
	value_set(o, "owner", value_string(s->owner));
	value_set(o, "group", value_string(s->group));
	value_set(o, "mode", value_string(s->mode));
	value_set(o, "unsafe", json_object_new_boolean(s->unsafe));
	value_set(o, "state", value_string(s->state));
	value_set(o, "pid", s->pid ? value_number(s->pid) : NULL);
	value_set(o, "restarts", value_number(s->restarts));
	value_set(o, "client", value_client(&s->client));
	return o;
}

static struct json_object *areas_value(const struct region *r)
{
	struct json_object *list = value_list();

	for (uint32_t i = 0; i < r->nareas; i++) {
		struct json_object *o = value_object();

		value_set(o, "offset", value_number(r->areas[i].offset));
		value_set(o, "size", value_number(r->areas[i].size));
		value_add(list, o);
	}
	return list;
}

static struct json_object *regions_value(const struct description *desc)
{
	struct json_object *list = value_list();

	for (size_t i = 0; i < desc->nregions; i++) {
		const struct region *r = &desc->regions[i];
		struct json_object *o = value_object();

		value_set(o, "index", value_number(r->index));
		value_set(o, "name", value_string(r->name));
		value_set(o, "size", value_number(r->size));
		value_set(o, "address", r->address ? value_hex(r->address) : NULL);
		value_set(o, "flags", value_flags(region_flags, r->flags));
		value_set(o, "areas", areas_value(r));
		value_add(list, o);
	}
	return list;
}

static struct json_object *vectors_value(const struct irq *irq)
{
	struct json_object *o;

	if (!irq->limited)
		return NULL;
	o = value_object();
	value_set(o, "advertised", value_number(irq->advertised));
	value_set(o, "granted", value_number(irq->granted));
	return o;
}

static struct json_object *signalled_value(const struct irq *irq)
{
	struct json_object *list;

	if (!irq->told)
		return NULL;
	list = value_list();
	for (uint64_t v = 0; v < VFIO_MAX_VECTORS; v++)
		if (irq->signalled[v / 64] >> v % 64 & 1)
			value_add(list, value_number(v));
	return list;
}

static struct json_object *irqs_value(const struct description *desc)
{
	struct json_object *list = value_list();

	for (size_t i = 0; i < desc->nirqs; i++) {
		const struct irq *irq = &desc->irqs[i];
		struct json_object *o = value_object();

		value_set(o, "index", value_number(irq->index));
		value_set(o, "name", value_string(irq->name));
		value_set(o, "count", value_number(irq->count));
		value_set(o, "flags", value_flags(irq_flags, irq->flags));
		value_set(o, "vectors", vectors_value(irq));
		value_set(o, "signalled", signalled_value(irq));
		value_add(list, o);
	}
	return list;
}

static struct json_object *config_value(const struct description *desc)
{
	char hex[2 * CONFIG_MAX + 1] = "";

	for (size_t i = 0; i < desc->config_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", desc->config[i]);
	return value_string(hex);
}

static struct json_object *isolation_value(const struct isolation *isolation)
{
	struct json_object *o;

	if (!isolation->dma)
		return NULL;
	o = value_object();
	value_set(o, "dma", value_string(isolation->dma));
	value_set(o, "interrupts", value_string(isolation->interrupts));
	return o;
}

static struct json_object *fault_value(const struct fault *f)
{
	struct json_object *o;

	if (!f->present)
		return NULL;
	o = value_object();
	value_set(o, "iova", value_hex(f->iova));
	value_set(o, "size", value_number(f->size));
	value_set(o, "direction", value_string(f->write ? "write" : "read"));
	value_set(o, "errno", value_number((uint64_t)f->err));
	value_set(o, "count", value_number(f->count));
	return o;
}

static struct json_object *policy_value(const struct description *desc)
{
	struct json_object *o;

	if (!desc->has_policy)
		return NULL;
	o = value_object();
	for (size_t i = 0; i < desc->nsettings; i++)
		value_set(o, desc->settings[i].key, value_string(desc->settings[i].value));
	return o;
}

static struct json_object *reset_value(const struct reset *reset)
{
	struct json_object *o;

	if (!reset->known)
		return NULL;
	o = value_object();
	value_set(o, "methods", value_flags(reset_methods, reset->methods));
	value_set(o, "others", value_number(reset->others));
	value_set(o, "count", value_number(reset->count));
	value_set(o, "last", value_number((uint64_t)reset->last));
	return o;
}

static struct json_object *record_value(const struct record *record)
{
	struct json_object *o = value_object();

	value_set(o, "code", value_number(record->code));
	value_set(o, "who", value_string(record->who));
	value_set(o, "errno", value_number((uint64_t)record->err));
	value_set(o, "text", value_string(record->text));
	value_set(o, "remedy", value_string(record->remedy));
	return o;
}

static struct json_object *records_value(const struct description *desc)
{
	struct json_object *list;

	if (!desc || !desc->has_records)
		return NULL;
	list = value_list();
	for (size_t i = 0; i < desc->nrecords; i++)
		value_add(list, record_value(&desc->records[i]));
	return list;
}

static struct json_object *field_value(const struct vfio_pci_value *v)
{
	static const char *const access[] = {
		[VFIO_PCI_RO] = "ro", [VFIO_PCI_RW] = "rw", [VFIO_PCI_RW1C] = "rw1c",
	};
	static const char *const view[] = {
		[VFIO_PCI_RAW] = "raw", [VFIO_PCI_VIRTUAL] = "virtual",
	};
	struct json_object *o = value_object();

	value_set(o, "name", value_string(v->field->name));
	value_set(o, "lsb", value_number(v->field->lsb));
	value_set(o, "bits", value_number(v->field->bits));
	value_set(o, "value", value_number(v->value));
	value_set(o, "access", value_string(access[v->field->access]));
	value_set(o, "user_writes", json_object_new_boolean(v->field->user_writes));
	value_set(o, "view", value_string(view[v->field->view]));
	return o;
}

/* Store the list of the fields in *fields. */
static struct json_object *register_value(const struct vfio_pci_value *v,
					  struct json_object **fields)
{
	struct json_object *o = value_object();

	*fields = value_list();
	value_set(o, "structure", value_string(v->structure));
	value_set(o, "id", value_number(v->id));
	value_set(o, "extended", json_object_new_boolean(v->extended));
	value_set(o, "version", v->extended ? value_number(v->version) : NULL);
	value_set(o, "base", value_number(v->base));
	value_set(o, "offset", value_number(v->offset));
	value_set(o, "register", v->field ? value_string(v->field->reg_name) : NULL);
	value_set(o, "fields", *fields);
	return o;
}

static struct json_object *decoded_value(const struct description *desc)
{
	struct json_object *list = value_list(), *fields = NULL;
	const struct vfio_pci_value *above = NULL;

	for (size_t i = 0; i < desc->nvalues; i++) {
		const struct vfio_pci_value *v = &desc->values[i];

		if (!above || above->base != v->base || above->offset != v->offset)
			value_add(list, register_value(v, &fields));
		if (v->field)
			value_add(fields, field_value(v));
		above = v;
	}
	return list;
}

static struct json_object *problems_value(const struct device *d)
{
	struct json_object *list = value_list();

	for (size_t i = 0; i < d->nproblems; i++)
		value_add(list, value_string(d->problems[i]));
	return list;
}

static struct json_object *subsystem_value(const struct identity *id)
{
	char text[16];

	snprintf(text, sizeof(text), "%04x:%04x", id->subsystem_vendor, id->subsystem);
	return id->known ? value_string(text) : NULL;
}

static struct json_object *full_value(const struct device *d, const struct columns *columns)
{
	const struct description *desc = d->description;
	struct json_object *o = columns_value(d, columns);

	value_set(o, "subsystem", subsystem_value(&d->id));
	value_set(o, "revision", d->id.known ? value_number(d->id.revision) : NULL);
	value_set(o, "tainted", tainted_value(&d->tainted));
	value_set(o, "vfiod", served_value(d->served));
	value_set(o, "backend", value_string(desc->backend));
	value_set(o, "flags", value_flags(device_flags, desc->flags));
	value_set(o, "isolation", isolation_value(&desc->isolation));
	value_set(o, "regions", regions_value(desc));
	value_set(o, "irqs", irqs_value(desc));
	value_set(o, "config", config_value(desc));
	value_set(o, "fault", fault_value(&desc->fault));
	value_set(o, "dma", dma_value(&desc->dma));
	value_set(o, "policy", policy_value(desc));
	value_set(o, "reset", reset_value(&desc->reset));
	value_set(o, "records", records_value(desc));
	value_set(o, "decoded", decoded_value(desc));
	value_set(o, "problems", problems_value(d));
	return o;
}

void json_print_full(const struct device_list *list, const struct taint *taint)
{
	struct json_object *devices = value_list();
	struct columns columns;
	const struct device *d;

	columns_parse(&columns, "DEVICE,KIND,STRING,ID,CLASS,CLASSNAME,NAME,DRIVER,GROUP");
	TAILQ_FOREACH(d, list, entry)
		value_add(devices, full_value(d, &columns));
	json_print_devices(devices, taint);
}

void json_print_errors(const struct device_list *list)
{
	struct json_object *devices = value_list(), *o;
	struct columns columns;
	const struct device *d;

	columns_parse(&columns, "DEVICE,KIND,STRING");
	TAILQ_FOREACH(d, list, entry) {
		o = columns_value(d, &columns);
		value_set(o, "records", records_value(d->description));
		value_set(o, "problems", problems_value(d));
		value_add(devices, o);
	}
	json_print_devices(devices, NULL);
}

void json_print_map(const struct device_list *list)
{
	struct json_object *devices = value_list(), *o;
	struct columns columns;
	const struct device *d;

	columns_parse(&columns, "DEVICE,KIND,STRING");
	TAILQ_FOREACH(d, list, entry) {
		o = columns_value(d, &columns);
		value_set(o, "map", config_map_value(d));
		value_set(o, "problems", problems_value(d));
		value_add(devices, o);
	}
	json_print_devices(devices, NULL);
}
