/* SPDX-License-Identifier: MIT */
/*
 * The device string: file=PATH or memory=SIZE for each namespace, what concerns it behind it, and
 * what concerns the controller anywhere. See vfio-nvme(7).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nvme.h"

#define REMEDY "nvme's options are file=PATH or memory=SIZE for each namespace, behind it " \
	       "block=512 or block=4096, ro, direct; queues=, serial=, poll=, look=, io=; see " \
	       "vfio-nvme(7)"

#define POLL_MOST 10000000u	/* microseconds */
#define LOOK_LEAST 100u
#define LOOK_MOST 10000000u

/* A bit for each option of the controller, and of a namespace, that was said already. */
struct said {
	unsigned int controller, namespace;
};

struct option {
	const char *name;
	bool of_namespace;
	/* False when the value is none; value is NULL when there is none. */
	bool (*parse)(struct options *o, const char *value);
	const char *wants;
};

/* ---- values ------------------------------------------------------------------------------ */

/* "64K", "1048576". */
static bool parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(text, "0123456789");
	const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;
	unsigned int shift = unit ? 10 * (unsigned int)(unit - units + 1) : 0;

	if (!digits || digits > 15 || text[digits + (unit != NULL)])
		return false;
	*size = strtoull(text, NULL, 10);
	if (*size > (uint64_t)INT64_MAX >> shift)
		return false;
	*size <<= shift;
	return *size != 0;
}

static bool parse_number(const char *text, uint32_t least, uint32_t most, uint32_t *number)
{
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 9 || text[digits])
		return false;
	*number = (uint32_t)strtoul(text, NULL, 10);
	return *number >= least && *number <= most;
}

/* ---- namespaces -------------------------------------------------------------------------- */

static struct namespace_options *last(struct options *o)
{
	return &o->namespaces[o->nnamespaces - 1];
}

static bool parse_file(struct options *o, const char *value)
{
	if (!value || !*value)
		return false;
	*last(o) = (struct namespace_options){ .file = strdup(value), .block = 512 };
	return last(o)->file != NULL;
}

static bool parse_memory(struct options *o, const char *value)
{
	*last(o) = (struct namespace_options){ .block = 512 };
	return value && parse_size(value, &last(o)->memory);
}

static bool parse_block(struct options *o, const char *value)
{
	return value && parse_number(value, 512, 4096, &last(o)->block) &&
	       (last(o)->block == 512 || last(o)->block == 4096);
}

static bool parse_ro(struct options *o, const char *value)
{
	last(o)->read_only = true;
	return !value;
}

static bool parse_direct(struct options *o, const char *value)
{
	last(o)->direct = true;
	return !value && last(o)->file;
}

/* ---- the controller ---------------------------------------------------------------------- */

static bool parse_queues(struct options *o, const char *value)
{
	return value && parse_number(value, 1, MAX_IO_QUEUES, &o->queues);
}

/* Printable ASCII, 1.5. */
static bool parse_serial(struct options *o, const char *value)
{
	size_t len = value ? strlen(value) : 0;

	for (size_t i = 0; i < len; i++)
		if (value[i] < ' ' || value[i] > '~')
			return false;
	if (!len || len >= sizeof(o->serial))
		return false;
	memcpy(o->serial, value, len + 1);
	return true;
}

static bool parse_poll(struct options *o, const char *value)
{
	return value && parse_number(value, 0, POLL_MOST, &o->poll);
}

static bool parse_look(struct options *o, const char *value)
{
	return value && parse_number(value, LOOK_LEAST, LOOK_MOST, &o->look);
}

static bool parse_io(struct options *o, const char *value)
{
	o->synchronous = value && !strcmp(value, "sync");
	return o->synchronous || (value && !strcmp(value, "uring"));
}

static const struct option options[] = {
	{ "file", true, parse_file, "a path" },
	{ "memory", true, parse_memory, "a size above 0 and below 2^63, in bytes or as in 64M" },
	{ "block", true, parse_block, "512 or 4096" },
	{ "ro", true, parse_ro, "no value" },
	{ "direct", true, parse_direct, "no value, and a file in front of it" },
	{ "queues", false, parse_queues, "a number from 1 to 64" },
	{ "serial", false, parse_serial, "1 to 20 printable characters of ASCII" },
	{ "poll", false, parse_poll, "microseconds, 0 to 10000000" },
	{ "look", false, parse_look, "microseconds, 100 to 10000000" },
	{ "io", false, parse_io, "uring or sync" },
};

/* ---- the string -------------------------------------------------------------------------- */

static const struct option *find_option(const char *name)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(name, options[i].name))
			return &options[i];
	return NULL;
}

static bool begins_namespace(const struct option *option)
{
	return option->parse == parse_file || option->parse == parse_memory;
}

/* The next namespace is the last now, and nothing is said of it. */
static int begin_namespace(struct options *o, struct said *said, struct vfio_error *err)
{
	if (o->nnamespaces == MAX_NAMESPACES)
		return refuse(err, EINVAL, VFIO_E_OPTION, "divide them among several controllers",
			      "nvme: more than %u namespaces", MAX_NAMESPACES);
	o->nnamespaces++;
	said->namespace = 0;
	return 0;
}

static int check_place(const struct options *o, const struct option *option, struct said *said,
		       struct vfio_error *err)
{
	unsigned int *before = option->of_namespace ? &said->namespace : &said->controller;
	unsigned int bit = 1u << (option - options);

	if (option->of_namespace && !o->nnamespaces)
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "nvme: option '%s' is of no namespace: it comes behind the file= or "
			      "memory= that it is about", option->name);
	if (*before & bit)
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "nvme: option '%s' is said twice%s", option->name,
			      option->of_namespace ? " of a namespace" : "");
	*before |= bit;
	return 0;
}

static int parse_option(struct options *o, struct said *said, char *text, struct vfio_error *err)
{
	char *value = text, *name = strsep(&value, "=");
	const struct option *option = find_option(name);
	int r = 0;

	if (!option)
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "nvme: option '%s': there is no such option", name);
	if (begins_namespace(option))
		r = begin_namespace(o, said, err);
	if (r == 0)
		r = check_place(o, option, said, err);
	if (r == 0 && !option->parse(o, value))
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "nvme: option '%s' wants %s", name, option->wants);
	return r;
}

int options_parse(struct options *o, const char *text, struct vfio_error *err)
{
	char *copy = strdup(text), *rest = copy;
	struct said said = { 0 };
	int r = 0;

	*o = (struct options){ .queues = MAX_IO_QUEUES, .poll = 500, .look = 16000 };
	if (!copy)
		return refuse(err, ENOMEM, VFIO_E_NO_MEMORY, "", "nvme: no memory");
	while (r == 0 && *text && rest)
		r = parse_option(o, &said, strsep(&rest, ","), err);
	free(copy);
	if (r == 0 && !o->nnamespaces)
		r = refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			   "nvme: there is no namespace; say file=PATH or memory=SIZE");
	return r;
}

void options_free(struct options *o)
{
	for (unsigned int i = 0; i < o->nnamespaces; i++)
		free(o->namespaces[i].file);
}
