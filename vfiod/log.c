/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

static int log_level = LOG_INFO;
static bool log_for_journal;

void log_open(int level)
{
	log_level = level;
	/* A terminal that was started by a service inherits the variable, but is no journal. */
	log_for_journal = getenv("JOURNAL_STREAM") && !isatty(STDERR_FILENO);
}

#define CUT "…"

/* Like snprintf() at *used, but *used stays inside the buffer when the text does not. */
static void append(char *line, size_t size, size_t *used, const char *format, va_list args)
{
	int n = vsnprintf(line + *used, size - *used, format, args);

	if (n < 0)
		return;
	if ((size_t)n < size - *used) {
		*used += (size_t)n;
		return;
	}
	*used = size - 1;
	/* The mark replaces whole characters: what is left of one is not printable. */
	memcpy(line + size - sizeof(CUT), CUT, sizeof(CUT));
}

__attribute__((format(printf, 4, 5)))
static void add(char *line, size_t size, size_t *used, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(line, size, used, format, args);
	va_end(args);
}

void log_line(int level, const char *device, const char *format, ...)
{
	char line[1536];
	size_t used = 0;
	va_list args;

	if (level > log_level)
		return;
	if (log_for_journal)
		add(line, sizeof(line) - 1, &used, "<%d>", level);
	add(line, sizeof(line) - 1, &used, "vfiod: ");
	if (device)
		add(line, sizeof(line) - 1, &used, "%s: ", device);
	va_start(args, format);
	append(line, sizeof(line) - 1, &used, format, args);
	va_end(args);
	make_printable(line);
	line[used++] = '\n';
	/* One write for a line: the lines of several processes do not mix. */
	if (write(STDERR_FILENO, line, used) < 0)
		return;		/* nobody to tell */
}

void log_record_text(char *text, size_t size, const struct vfio_error *err)
{
	snprintf(text, size, "VFIO-%03d: %s%s%s (%s)%s%s", (int)err->code, err->what,
		 err->err ? ": " : "", err->err ? strerror(err->err) : "",
		 vfio_refuser_name(err->who), err->remedy[0] ? ": " : "", err->remedy);
}
