/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/export.h"

#define MAX_ERRNO 4095

EXPORT const char *vfio_refuser_name(enum vfio_refuser who)
{
	switch (who) {
	case VFIO_BY_NOBODY:	return "nobody";
	case VFIO_BY_LIBRARY:	return "library";
	case VFIO_BY_KERNEL:	return "kernel";
	case VFIO_BY_SERVER:	return "server";
	case VFIO_BY_FUNCTION:	return "virtual function";
	case VFIO_BY_MODEL:	return "device model";
	case VFIO_BY_POLICY:	return "policy";
	}
	return "unknown";
}

EXPORT const char *vfio_error_meaning(int code)
{
	switch (code) {
#define MEANING(name, number, text) case number: return text;
	VFIO_ERROR_CODES(MEANING)
#undef MEANING
	}
	return NULL;
}

EXPORT int vfio_error_print(FILE *out, const char *prefix, const struct vfio_error *err)
{
	const char *start = prefix ? prefix : "";
	const char *colon = prefix ? ": " : "";

	/* A record of something that is no error has no errno. */
	fprintf(out, "%s%sVFIO-%03d: %s%s%s (%s)\n", start, colon, (int)err->code, err->what,
		err->err ? ": " : "", err->err ? strerror(err->err) : "",
		vfio_refuser_name(err->who));
	if (err->remedy[0])
		fprintf(out, "%s%s%s\n", start, colon, err->remedy);
	return 1;
}

/* How many bytes at s are a control character in UTF-8: C0, DEL, C1, or one that turns text round. */
static unsigned int control_length(const unsigned char *s)
{
	if (*s < 0x20 || *s == 0x7f)
		return 1;
	if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
		return 2;
	if (s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae)))
		return 3;
	if (s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)
		return 3;
	return 0;
}

/* What was asked may quote a stranger's string: no control character of it reaches a terminal. */
static void make_printable(char *s)
{
	unsigned int n;

	for (; *s; s += n ? n : 1) {
		n = control_length((const unsigned char *)s);
		memset(s, '?', n);
	}
}

static void clear_tail(char *text, size_t size)
{
	size_t len = strlen(text);

	memset(text + len, 0, size - len);
}

static int fill(struct vfio_error *e, int err, enum vfio_error_code code, enum vfio_refuser who,
		const char *remedy, const char *format, va_list args)
{
	if (err < 0 || err > MAX_ERRNO)		/* a stranger's */
		err = EIO;
	if (!e)
		return -err;
	e->err = err;
	e->code = code;
	e->who = who;
	vsnprintf(e->what, sizeof(e->what), format, args);
	make_printable(e->what);
	snprintf(e->remedy, sizeof(e->remedy), "%s", remedy ? remedy : "");
	make_printable(e->remedy);
	/* Records are sent whole: nothing of earlier ones may be left in them. */
	clear_tail(e->what, sizeof(e->what));
	clear_tail(e->remedy, sizeof(e->remedy));
	return -err;
}

int error_set(struct vfio_error *e, int err, enum vfio_error_code code, enum vfio_refuser who,
	      const char *remedy, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	err = fill(e, err, code, who, remedy, format, args);
	va_end(args);
	return err;
}

int error_system(struct vfio_error *e, int err, const char *format, ...)
{
	enum vfio_error_code code = VFIO_E_SYSTEM;
	const char *remedy = NULL;
	va_list args;

	if (err == EMFILE || err == ENFILE) {
		code = VFIO_E_NO_MEMORY;
		remedy = "too many files are open: raise the limit with `ulimit -n`";
	} else if (err == ENOMEM) {
		code = VFIO_E_NO_MEMORY;
	}
	va_start(args, format);
	err = fill(e, err, code, VFIO_BY_KERNEL, remedy, format, args);
	va_end(args);
	return err;
}

int error_import(struct vfio_error *e, int err, const struct vfio_error *record)
{
	enum vfio_error_code code = record->code;
	enum vfio_refuser who = record->who;

	if (code == VFIO_E_NONE || !vfio_error_meaning(code))
		code = VFIO_E_REMOTE;
	if (who <= VFIO_BY_NOBODY || who > VFIO_BY_POLICY)
		who = VFIO_BY_SERVER;
	return error_set(e, err < 0 ? record->err : err, code, who,
			 strndupa(record->remedy, sizeof(record->remedy) - 1), "%s",
			 strndupa(record->what, sizeof(record->what) - 1));
}

void error_clear(struct vfio_error *e)
{
	if (e)
		memset(e, 0, sizeof(*e));
}
