/* SPDX-License-Identifier: MIT */
/* Where the control sockets of this user's and the system's vfiods are (docs/control.md). */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lsvfio.h"

#define SYSTEM_DIRECTORY "/run/vfiod"
#define SUFFIX           ".control"

void paths_add(struct paths *paths, const char *path)
{
	size_t size = (paths->n + 1) * sizeof(*paths->path);

	paths->path = memory_check(realloc(paths->path, size));
	paths->path[paths->n++] = memory_copy(path);
}

void paths_free(struct paths *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->path[i]);
	free(paths->path);
}

static int is_control_socket(const struct dirent *entry)
{
	size_t digits = strspn(entry->d_name, "0123456789");

	return digits && !strcmp(entry->d_name + digits, SUFFIX);
}

/* Process numbers, so that 99.control comes before 100.control. */
static int by_number(const struct dirent **a, const struct dirent **b)
{
	size_t left = strlen((*a)->d_name), right = strlen((*b)->d_name);

	if (left != right)
		return left < right ? -1 : 1;
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void complain(const char *directory)
{
	char *clean = text_clean(directory, strlen(directory));

	fprintf(stderr, "lsvfio: the vfiods in %s are left out: the directory cannot be read: %s\n",
		clean, strerror(errno));
	free(clean);
}

static void scan(struct paths *paths, const char *directory)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, is_control_socket, by_number);

	if (n < 0) {
		if (errno != ENOENT)
			complain(directory);
		return;
	}
	for (int i = 0; i < n; i++) {
		char *path = memory_printf("%s/%s", directory, entries[i]->d_name);

		paths_add(paths, path);
		free(path);
		free(entries[i]);
	}
	free(entries);
}

/* In /tmp anybody may have made a directory of this name. */
static bool is_our_own(const char *directory)
{
	struct stat st;

	return !lstat(directory, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static void scan_temporary(struct paths *paths)
{
	char *directory = memory_printf("/tmp/vfiod-%u", (unsigned int)geteuid());

	if (is_our_own(directory))
		scan(paths, directory);
	free(directory);
}

static void scan_session(struct paths *paths, const char *runtime)
{
	char *directory = memory_printf("%s/vfiod", runtime);

	scan(paths, directory);
	free(directory);
}

void runtime_scan(struct paths *paths)
{
	const char *only = getenv("VFIOD_RUNTIME_DIR");
	const char *session = getenv("XDG_RUNTIME_DIR");

	if (only && *only) {
		scan(paths, only);
		return;
	}
	scan(paths, SYSTEM_DIRECTORY);
	if (session && *session)
		scan_session(paths, session);
	scan_temporary(paths);
}
