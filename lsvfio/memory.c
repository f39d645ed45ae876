/* SPDX-License-Identifier: MIT */
/* A program that prints once and ends has nothing better to do without memory than to say so. */
#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

void *memory_check(void *p)
{
	if (!p)
		errx(EXIT_NONE, "out of memory");
	return p;
}

void *memory_zeroed(size_t n, size_t size)
{
	return memory_check(calloc(n ? n : 1, size));
}

char *memory_copy(const char *s)
{
	return s ? memory_check(strdup(s)) : NULL;
}

char *memory_printf(const char *format, ...)
{
	char *s = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&s, format, args) < 0)
		s = NULL;
	va_end(args);
	return memory_check(s);
}
