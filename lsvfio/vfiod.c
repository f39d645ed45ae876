/* SPDX-License-Identifier: MIT */
/* The devices of running vfiods, asked over their control sockets: looking changes nothing. */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

static void complain(const char *path, const char *asked, char *why)
{
	char *clean = text_clean(path, strlen(path));

	fprintf(stderr, "lsvfio: vfiod at %s cannot be asked for %s: %s\n", clean, asked, why);
	free(clean);
	free(why);
}

/* NULL after a complaint, or in silence where a vfiod has died and its socket is left over. */
static struct control *open_or_complain(const struct vfiods *vfiods, const char *path,
					const char *asked)
{
	int error;
	char *why;
	struct control *c = control_open(path, &error, &why);

	if (c)
		return c;
	if (!vfiods->named && (error == ECONNREFUSED || error == ENOENT))
		free(why);
	else
		complain(path, asked, why);
	return NULL;
}

/* One of those that the vfiod behind path, process vfiod, serves. */
static struct device *make_device(struct reader *r, const char *path, uint32_t vfiod,
				  struct json_object *in)
{
	struct device *d = device_new(KIND_VFIOD, NULL, NULL);

	d->served->control = text_clean(path, strlen(path));
	d->served->vfiod = vfiod;
	if (!json_object_is_type(in, json_type_object))
		reader_refuse(r, "devices", "a list of objects");
	else if (reply_device(r, in, d->served) && reply_tainted(r, in, &d->tainted)) {
		d->name = memory_copy(d->served->name);
		if (d->served->socket)
			d->string = memory_printf("unix:%s", d->served->socket);
		return d;
	}
	device_free(d);
	return NULL;
}

static bool parse_list(struct device_list *list, const char *path, uint32_t vfiod,
		       struct json_object *in, char **why)
{
	struct device_list found = TAILQ_HEAD_INITIALIZER(found);
	struct reader r = { .where = "the reply" };
	struct json_object *devices;
	struct device *d;

	if (!member_list(&r, in, "devices", SIZE_MAX, &devices))
		goto refuse;
	for (size_t i = 0; i < json_object_array_length(devices); i++) {
		reader_at(&r, "devices[%zu]", i);
		d = make_device(&r, path, vfiod, json_object_array_get_idx(devices, i));
		if (!d)
			goto refuse;
		TAILQ_INSERT_TAIL(&found, d, entry);
	}
	TAILQ_CONCAT(list, &found, entry);
	return true;
refuse:
	device_list_free(&found);
	*why = memory_copy(r.why);
	return false;
}

/* A list keeps that of a description. */
static void note(struct served *served, const struct description *desc)
{
	const struct dma *dma = &desc->dma;

	served->used = (struct used){ dma->known, dma->limits.maps.used, dma->limits.bytes.used };
	if (desc->isolation.dma)
		served->isolation = memory_copy(desc->isolation.dma);
}

static bool parse_description(struct device *d, struct json_object *in, char **why)
{
	struct reader r = { .where = "the reply" };
	struct json_object *description;

	if (member_object(&r, in, "description", &description) &&
	    reply_description(&r, description, device_describe(d)) &&
	    reply_map(&r, in, d->description)) {
		config_explain(d);
		note(d->served, d->description);
		return true;
	}
	description_free(d->description);
	d->description = NULL;
	*why = memory_copy(r.why);
	return false;
}

/* The identity of a device that was listed. False when the conversation is over. */
static bool describe(struct control *c, struct device *d)
{
	struct json_object *parameters;
	char *why = NULL;
	int r;

	if (strcmp(d->served->state, "ready"))
		return true;
	r = control_describe(c, d->served->name, false, &parameters, &why);
	if (r == 0) {
		r = parse_description(d, parameters, &why) ? 0 : -EPROTO;
		json_object_put(parameters);
	}
	if (r == 0)
		return true;
	if (r == -EAGAIN || r == -ENODEV || r == -EREMOTEIO) {
		device_problem(d, why);
		return true;
	}
	complain(d->served->control, "the description of a device", why);
	return false;
}

static void describe_all(struct control *c, struct device_list *list, enum detail detail,
			 struct ids *ids)
{
	struct device *d;

	control_allow_time(c);
	TAILQ_FOREACH(d, list, entry) {
		if (!describe(c, d))
			break;
		ids_name(ids, &d->id);
		if (detail == DESCRIBED)
			continue;
		/* A list shows no more than this, and may be long. */
		description_free(d->description);
		d->description = NULL;
	}
}

static void keep_selected(struct device_list *to, struct device_list *from, struct ids *ids)
{
	struct device *d;

	while ((d = TAILQ_FIRST(from))) {
		TAILQ_REMOVE(from, d, entry);
		if (ids_match(ids, d))
			TAILQ_INSERT_TAIL(to, d, entry);
		else
			device_free(d);
	}
}

static bool list_one(struct device_list *list, const struct vfiods *vfiods, const char *path,
		     enum detail detail, struct ids *ids)
{
	struct device_list found = TAILQ_HEAD_INITIALIZER(found);
	struct control *c = open_or_complain(vfiods, path, "its devices");
	struct json_object *parameters;
	char *why = NULL;
	bool ok = false;

	if (!c)
		return false;
	if (control_list(c, &parameters, &why) == 0) {
		ok = parse_list(&found, path, control_process(c), parameters, &why);
		json_object_put(parameters);
	}
	if (!ok)
		complain(path, "its devices", why);
	else if (detail != AS_LISTED)
		describe_all(c, &found, detail, ids);
	control_close(c);
	keep_selected(list, &found, ids);
	return ok;
}

bool vfiod_list(struct device_list *list, const struct vfiods *vfiods, enum detail detail,
		struct ids *ids)
{
	bool ok = true;

	for (size_t i = 0; i < vfiods->paths.n; i++)
		if (!list_one(list, vfiods, vfiods->paths.path[i], detail, ids) &&
		    vfiods->named)
			ok = false;
	return ok;
}

static bool parse_one(struct device_list *list, const char *path, uint32_t vfiod,
		      struct json_object *in, char **why)
{
	struct reader r = { .where = "the reply" };
	struct json_object *device;
	struct device *d = NULL;

	if (member_object(&r, in, "device", &device)) {
		reader_at(&r, "the device");
		d = make_device(&r, path, vfiod, device);
	}
	if (!d) {
		*why = memory_copy(r.why);
		return false;
	}
	if (!parse_description(d, in, why)) {
		device_free(d);
		return false;
	}
	TAILQ_INSERT_TAIL(list, d, entry);
	return true;
}

/* 1 if this vfiod has the device, 0 if not, -1 after a complaint. */
static int show_one(struct device_list *list, const struct vfiods *vfiods, const char *path,
		    const char *name, bool map)
{
	struct control *c = open_or_complain(vfiods, path, "a device");
	struct json_object *parameters;
	char *why = NULL;
	int r;

	if (!c)
		return vfiods->named ? -1 : 0;
	r = control_describe(c, name, map, &parameters, &why);
	if (r == 0) {
		r = parse_one(list, path, control_process(c), parameters, &why) ? 1 : -1;
		json_object_put(parameters);
	}
	control_close(c);
	if (r == -ENODEV) {
		free(why);
		return 0;
	}
	if (r < 0)
		complain(path, "a device", why);
	return r < 0 ? -1 : 1;
}

int vfiod_show(struct device_list *list, const struct vfiods *vfiods, const char *name, bool map)
{
	int found = 0;
	bool complained = false;

	for (size_t i = 0; i < vfiods->paths.n; i++) {
		int r = show_one(list, vfiods, vfiods->paths.path[i], name, map);

		if (r > 0)
			found++;
		else if (r < 0)
			complained = true;
	}
	return found || !complained ? found : -1;
}
