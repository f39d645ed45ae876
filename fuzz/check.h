/* SPDX-License-Identifier: MIT */
/* What must hold whatever the input is. A check that fails ends the program, as a crash does. */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: %s: does not hold: %s\n", __FILE__, __LINE__,      \
				__func__, #what);                                                  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* How many descriptors this process has open. */
static inline unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif
