/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

void section(const char *format, ...)
{
	va_list args;

	printf("# section: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

void print_head(const char *what, const char *name)
{
	struct utsname system;

	uname(&system);
	system.release[strcspn(system.release, "-+")] = 0;
	printf("# SPDX-License-Identifier: MIT\n");
	printf("# Made by tests/guest/record.py; see README there.\n");
	printf("%s %s\nkernel %s\n", what, name, system.release);
}
