/* SPDX-License-Identifier: MIT */
/*
 * A preloaded write(2): what is written below $FAKE_SYS does there what the kernel would do, and is
 * noted in $FAKE_LOG. A driver in $FAKE_BROKEN takes no device; $FAKE_STUCK: none lets go of one.
 * What a device goes to if nobody says so is in its file "natural".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void note(const char *file, const char *text)
{
	const char *log = getenv("FAKE_LOG");
	FILE *f = log ? fopen(log, "a") : NULL;

	if (!f)
		return;
	fprintf(f, "%s %s\n", file, text);
	fclose(f);
}

static void read_line(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "r");

	if (!f || !fgets(text, (int)size, f))
		*text = '\0';
	if (f)
		fclose(f);
	text[strcspn(text, "\n")] = '\0';
}

static void device_file(char path[PATH_MAX], const char *bdf, const char *name)
{
	snprintf(path, PATH_MAX, "%s/bus/pci/devices/%s/%s", getenv("FAKE_SYS"), bdf, name);
}

static int probe(const char *bdf)
{
	const char *broken = getenv("FAKE_BROKEN");
	char path[PATH_MAX], driver[64], target[128];

	device_file(path, bdf, "driver_override");
	read_line(path, driver, sizeof(driver));
	if (!*driver || strcmp(driver, "(null)") == 0) {
		device_file(path, bdf, "natural");
		read_line(path, driver, sizeof(driver));
	}
	snprintf(target, sizeof(target), "../../drivers/%s", driver);
	device_file(path, bdf, "driver");
	if (*driver && !(broken && strcmp(broken, driver) == 0) && access(path, F_OK) < 0)
		return symlink(target, path);
	return 0;
}

static bool ends(const char *path, const char *with)
{
	size_t len = strlen(path), n = strlen(with);

	return len >= n && strcmp(path + len - n, with) == 0;
}

/* 0, or -1 with errno, as the kernel's write. */
static int react(int fd, const char *file, const char *text)
{
	char path[PATH_MAX];

	if (ends(file, "/driver_override"))
		return ftruncate(fd, 0);
	if (ends(file, "/unbind")) {
		if (getenv("FAKE_STUCK")) {
			errno = ENODEV;
			return -1;
		}
		device_file(path, text, "driver");
		return unlink(path);
	}
	return ends(file, "/drivers_probe") ? probe(text) : 0;
}

ssize_t write(int fd, const void *buf, size_t n);

ssize_t write(int fd, const void *buf, size_t n)
{
	const char *sys = getenv("FAKE_SYS");
	char link[64], path[PATH_MAX], text[256];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len < 0 ? 0 : len] = '\0';
	if (sys && strncmp(path, sys, strlen(sys)) == 0) {
		snprintf(text, sizeof(text), "%.*s", (int)n, (const char *)buf);
		text[strcspn(text, "\n")] = '\0';
		note(path + strlen(sys) + strlen("/bus/pci/"), text);
		if (react(fd, path, text) < 0)
			return -1;
	}
	return syscall(SYS_write, fd, buf, n);
}
