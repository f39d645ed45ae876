/* SPDX-License-Identifier: MIT */
#include "title.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

static char *command_line;
static size_t command_line_size;

void title_init(int argc, char *argv[])
{
	char *end;

	if (argc == 0)
		return;
	command_line = end = argv[0];
	/*
	 * The kernel lays the strings out one behind the other; stop where somebody changed that.
	 */
	for (int i = 0; i < argc && argv[i] == end; i++)
		end += strlen(end) + 1;
	command_line_size = (size_t)(end - command_line);
}

void title_set(const char *name)
{
	char title[128];

	snprintf(title, sizeof(title), "vfiod: %s", name);
	prctl(PR_SET_NAME, title);	/* cut to 15 bytes by the kernel */
	if (!command_line_size)
		return;
	memset(command_line, 0, command_line_size);
	strncpy(command_line, title, command_line_size - 1);
}
