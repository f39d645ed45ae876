/* SPDX-License-Identifier: MIT */
/*
 * The record of devices that were used without anything to isolate them, which the library keeps in
 * /run/libvfio/taint; and what of it is shown. A line is a time and words KEY=VALUE. Whoever may use such
 * a device may have written anything into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

/* The library begins a new file before this. */
#define MAX_FILE  (128 << 10)
#define MAX_WORD  128u
#define MAX_MARKS 1000u

/* ---- reading ------------------------------------------------------------------------------- */

static bool is_time(const char *word, size_t len)
{
	static const char form[] = "0000-00-00T00:00:00Z";

	for (size_t i = 0; i < len && i < sizeof(form) - 1; i++)
		if (form[i] == '0' ? word[i] < '0' || word[i] > '9' : word[i] != form[i])
			return false;
	return len == sizeof(form) - 1;
}

static bool take_number(const char *value, size_t len, uint32_t *number)
{
	uint64_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9' || n > UINT32_MAX)
			return false;
		n = n * 10 + (uint64_t)(value[i] - '0');
	}
	*number = (uint32_t)n;
	return len && n <= UINT32_MAX;
}

static bool take_text(const char *value, size_t len, char **text)
{
	if (*text || !len)
		return false;
	*text = text_clean(value, len);
	return true;
}

/* A key that is not known is of a later version. */
static bool take_word(struct mark *mark, const char *word, size_t len)
{
	const char *equals = memchr(word, '=', len);
	size_t key = equals ? (size_t)(equals - word) : len, rest;

	if (!equals)
		return false;
	rest = len - key - 1;
	if (key == 3 && !memcmp(word, "uid", 3))
		return take_number(equals + 1, rest, &mark->uid);
	if (key == 3 && !memcmp(word, "pid", 3))
		return take_number(equals + 1, rest, &mark->pid);
	if (key == 7 && !memcmp(word, "program", 7))
		return take_text(equals + 1, rest, &mark->program);
	if (key == 6 && !memcmp(word, "device", 6))
		return take_text(equals + 1, rest, &mark->device);
	if (key == 7 && !memcmp(word, "backend", 7))
		return take_text(equals + 1, rest, &mark->backend);
	return true;
}

static void mark_free(struct mark *mark)
{
	free(mark->time);
	free(mark->program);
	free(mark->device);
	free(mark->backend);
}

static bool parse_line(struct mark *mark, const char *line, size_t len)
{
	const char *end = line + len;

	while (line < end) {
		const char *blank = memchr(line, ' ', (size_t)(end - line));
		size_t word = (size_t)((blank ? blank : end) - line);

		if (word > MAX_WORD)
			return false;
		if (!mark->time && !is_time(line, word))
			return false;
		if (!mark->time)
			mark->time = text_clean(line, word);
		else if (!take_word(mark, line, word))
			return false;
		line += word + 1;
	}
	return mark->time && mark->device;
}

/* Of too many the first are kept: the use that a machine has never got rid of is among them. */
static void take_line(struct taint *taint, const char *line, size_t len)
{
	struct mark mark = { 0 };

	if (!parse_line(&mark, line, len)) {
		mark_free(&mark);
		taint->nonsense++;
		return;
	}
	taint->uses++;
	if (taint->n == MAX_MARKS) {
		mark_free(&mark);
		return;
	}
	taint->marks = memory_check(realloc(taint->marks, (taint->n + 1) * sizeof(mark)));
	taint->marks[taint->n++] = mark;
}

static void complain(const char *path, int error)
{
	char *clean = text_clean(path, strlen(path));

	fprintf(stderr, "lsvfio: whether devices were used without isolation is not known: %s: %s\n",
		clean, strerror(error));
	free(clean);
}

bool taint_read(struct taint *taint, const char *path, bool named)
{
	char *text = memory_zeroed(MAX_FILE + 1, 1), *at = text;
	ssize_t n = sysfs_read(AT_FDCWD, path, text, MAX_FILE, NULL);
	bool ok = n >= 0 || (n == -ENOENT && !named);

	if (!ok)
		complain(path, (int)-n);
	for (const char *end = text + (n > 0 ? n : 0); at < end;) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((newline ? newline : end) - at);

		take_line(taint, at, len);
		at += len + 1;
	}
	free(text);
	return ok;
}

void taint_free(struct taint *taint)
{
	for (size_t i = 0; i < taint->n; i++)
		mark_free(&taint->marks[i]);
	free(taint->marks);
}

/* ---- devices ------------------------------------------------------------------------------- */

/* "unsafe-noiommu:0000:03:00.0" is 0000:03:00.0, too; what is in a file may be another machine's. */
static bool is_of(const struct device *d, const char *device)
{
	const char *name = d->kind == KIND_VFIOD ? d->served->device : d->name;
	size_t len = strlen(name), tail = strlen(device);

	if (d->kind == KIND_DUMP)
		return false;
	if (!strcmp(name, device))
		return true;
	return d->kind != KIND_PCI && len > tail && name[len - tail - 1] == ':' &&
	       !strcmp(name + len - tail, device);
}

void taint_mark(const struct taint *taint, struct device_list *list)
{
	struct device *d;

	TAILQ_FOREACH(d, list, entry)
		for (size_t i = 0; i < taint->n && !d->tainted.time; i++)
			if (is_of(d, taint->marks[i].device))
				d->tainted = (struct tainted){
					memory_copy(taint->marks[i].time), taint->marks[i].uid,
				};
}

/* ---- printing ------------------------------------------------------------------------------ */

char *taint_text(const struct tainted *tainted)
{
	if (!tainted->time)
		return NULL;
	return memory_printf("since %s, by user %" PRIu32 ": nothing isolated the device",
			     tainted->time, tainted->uid);
}

void taint_print(const struct taint *taint)
{
	const struct mark *first = taint->marks;

	if (taint->n)
		printf("\ntainted since %s: devices were used %zu time%s without isolation, %s first, by "
		       "user %" PRIu32 "\n", first->time, taint->uses, taint->uses == 1 ? "" : "s",
		       first->device, first->uid);
	if (taint->nonsense)
		printf("\ntainted: %zu line%s of the record make%s no sense\n", taint->nonsense,
		       taint->nonsense == 1 ? "" : "s", taint->nonsense == 1 ? "s" : "");
}

struct json_object *tainted_value(const struct tainted *tainted)
{
	struct json_object *o;

	if (!tainted->time)
		return NULL;
	o = value_object();
	value_set(o, "time", value_string(tainted->time));
	value_set(o, "uid", value_number(tainted->uid));
	return o;
}

static struct json_object *mark_value(const struct mark *mark)
{
	struct json_object *o = value_object();

	value_set(o, "time", value_string(mark->time));
	value_set(o, "uid", value_number(mark->uid));
	value_set(o, "pid", value_number(mark->pid));
	value_set(o, "program", value_string(mark->program));
	value_set(o, "device", value_string(mark->device));
	value_set(o, "backend", value_string(mark->backend));
	return o;
}

struct json_object *taint_value(const struct taint *taint)
{
	struct json_object *o = value_object(), *list = value_list();

	for (size_t i = 0; i < taint->n; i++)
		value_add(list, mark_value(&taint->marks[i]));
	value_set(o, "uses", value_number(taint->uses));
	value_set(o, "marks", list);
	value_set(o, "nonsense", value_number(taint->nonsense));
	return o;
}
