/* SPDX-License-Identifier: MIT */
/*
 * What would be lost with a device's driver: network interfaces that are in use, disks with mounted
 * file systems, the console, virtual functions. Everything is told, not only the first.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lsvfio.h"

#define DEPTH 10u	/* of folders below a device's */

struct use {
	const char *sysfs, *bdf;
	const char *why;		/* what that device is to the one that is asked for */
	unsigned int count;
};

static void __attribute__((format(printf, 2, 3))) tell(struct use *u, const char *format, ...)
{
	va_list args;

	u->count++;
	fprintf(stderr, "lsvfio: %s%s: ", u->bdf, u->why);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A folder of the machine whose sysfs it is. */
static char *beside(const char *sysfs, const char *name)
{
	size_t len = strlen(sysfs);
	const char *slash;

	while (len > 1 && sysfs[len - 1] == '/')
		len--;
	slash = memrchr(sysfs, '/', len);
	if (!slash)
		return memory_copy(name);
	return memory_printf("%.*s/%s", (int)(slash - sysfs), sysfs, name);
}

static FILE *open_beside(const char *sysfs, const char *name)
{
	char *path = beside(sysfs, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	FILE *f = NULL;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		f = fdopen(fd, "r");
	if (!f && fd >= 0)
		close(fd);
	free(path);
	return f;
}

/* The first line of a file, without its end; NULL when there is none. */
static char *line_of(int dir, const char *name)
{
	char text[256];
	ssize_t n = sysfs_read(dir, name, text, sizeof(text) - 1, NULL);

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	return memory_printf("%.*s", (int)strcspn(text, "\n"), text);
}

static bool says(int dir, const char *name, const char *wanted)
{
	char *line = line_of(dir, name);
	bool same = line && !strcmp(line, wanted);

	free(line);
	return same;
}

/* ---- network interfaces ---------------------------------------------------------------------- */

static bool has_route(const char *sysfs, const char *name)
{
	FILE *f = open_beside(sysfs, "proc/net/route");
	size_t size = 0, len = strlen(name);
	bool found = false;
	char *line = NULL;

	while (f && !found && getline(&line, &size, f) > 0)
		found = !strncmp(line, name, len) && line[len] == '\t';
	free(line);
	if (f)
		fclose(f);
	return found;
}

static void look_at_interface(struct use *u, int folder, const char *name)
{
	bool route = has_route(u->sysfs, name), carrier = says(folder, "carrier", "1");
	uint32_t flags;

	if (!sysfs_number(folder, "flags", UINT32_MAX, &flags) || !(flags & IFF_UP))
		return;
	if (route)
		tell(u, "its network interface %s is up, with a route", name);
	else if (carrier)
		tell(u, "its network interface %s is up, and connected", name);
}

/*
 * What is in another network namespace (a container's) is not seen from here, but for the folder that
 * it lies in: of a device that has no interface there is none.
 */
static void look_for_moved(struct use *u, int parent, const char *name, unsigned int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	bool is_net = !strcmp(name, "net"), is_empty = true;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		is_empty = false;
		if (depth && !is_net && entry->d_type != DT_REG && entry->d_type != DT_LNK)
			look_for_moved(u, fd, entry->d_name, depth - 1);
	}
	if (dir && is_net && is_empty)
		tell(u, "it has a network interface in another network namespace, a container's perhaps");
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

/* ---- disks ----------------------------------------------------------------------------------- */

/* With several paths to a disk the one that is used has no path in its name: nvme0c1n2, nvme0n2. */
static char *common_name(const char *name)
{
	unsigned int subsystem, disk;
	int end = 0;

	if (sscanf(name, "nvme%uc%*un%u%n", &subsystem, &disk, &end) == 2 && !name[end])
		return memory_printf("nvme%un%u", subsystem, disk);
	return memory_copy(name);
}

/* Is it, or a partition of it, what source (/dev/sda1, /dev/nvme0n2p1) names? */
static bool is_named(const char *source, const char *name)
{
	const char *last = strrchr(source, '/');
	size_t len = strlen(name);

	if (!last || strncmp(last + 1, name, len))
		return false;
	last += 1 + len;
	if (*last == 'p' && isdigit((unsigned char)name[len - 1]))
		last++;
	else if (*last && isdigit((unsigned char)name[len - 1]))
		return false;
	return !last[strspn(last, "0123456789")];
}

/* A line of mountinfo: two numbers, the device's, root, place, options... - type, source. */
static void look_at_mount(struct use *u, char *line, const char *name, const char *number)
{
	char *fields[5], *rest = line, *type = strstr(line, " - "), *source;

	source = type ? strchr(type + 3, ' ') : NULL;
	if (!source)
		return;
	*type = '\0';
	source++;
	source[strcspn(source, " \n")] = '\0';
	for (int i = 0; i < 5; i++)
		if (!(fields[i] = strsep(&rest, " ")))
			return;
	if ((number && !strcmp(fields[2], number)) || is_named(source, name)) {
		char *place = text_clean(fields[4], strlen(fields[4]));

		tell(u, "its disk %s is mounted at %s", name, place);
		free(place);
	}
}

static void look_at_mounts(struct use *u, const char *name, const char *number)
{
	/* The first process sees what all do; where it may not be looked at, this one's must do. */
	FILE *f = open_beside(u->sysfs, "proc/1/mountinfo");
	char *line = NULL;
	size_t size = 0;

	if (!f)
		f = open_beside(u->sysfs, "proc/self/mountinfo");
	while (f && getline(&line, &size, f) > 0)
		look_at_mount(u, line, name, number);
	free(line);
	if (f)
		fclose(f);
}

static void look_at_swaps(struct use *u, const char *name)
{
	FILE *f = open_beside(u->sysfs, "proc/swaps");
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		line[strcspn(line, " \t\n")] = '\0';
		if (is_named(line, name))
			tell(u, "its disk %s is swapped to", name);
	}
	free(line);
	if (f)
		fclose(f);
}

static void look_at_holders(struct use *u, int folder, const char *name)
{
	int fd = openat(folder, "holders", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char *clean = text_clean(entry->d_name, strlen(entry->d_name));

		if (entry->d_name[0] != '.')
			tell(u, "its disk %s is a part of %s", name, clean);
		free(clean);
	}
	if (dir)
		closedir(dir);
}

/* Whatever else in the kernel has it: nobody can have it exclusively then. */
static bool is_claimed(const struct use *u, const char *name)
{
	char *dev = beside(u->sysfs, "dev"), *path = memory_printf("%s/%s", dev, name);
	struct stat st;
	int fd = -1;

	if (stat(path, &st) == 0 && S_ISBLK(st.st_mode))
		fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	else
		errno = 0;
	if (fd >= 0) {
		close(fd);
		errno = 0;
	}
	free(path);
	free(dev);
	return errno == EBUSY;
}

static void look_at_disk(struct use *u, int folder, const char *full)
{
	char *name = common_name(full), *number = line_of(folder, "dev");
	unsigned int before = u->count;

	look_at_mounts(u, name, number);
	look_at_swaps(u, name);
	look_at_holders(u, folder, name);
	if (u->count == before && is_claimed(u, name))
		tell(u, "its disk %s is in use by the kernel", name);
	free(number);
	free(name);
}

/* ---- consoles -------------------------------------------------------------------------------- */

static void look_at_terminal(struct use *u, int folder, const char *name)
{
	char *path = memory_printf("%s/class/tty/console", u->sysfs), *line = NULL, *rest, *word;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0) {
		line = line_of(dir, "active");
		close(dir);
	}
	rest = line;
	while (rest && (word = strsep(&rest, " ")))
		if (!strcmp(word, name))
			tell(u, "its terminal %s is the console", name);
	free(line);
	free(path);
}

/* ---- a device -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*look)(struct use *u, int folder, const char *name);
} classes[] = {
	{ "net", look_at_interface }, { "block", look_at_disk }, { "tty", look_at_terminal },
};

static void look_at_member(struct use *u, int class, const char *name,
			   void (*look)(struct use *, int, const char *))
{
	char target[4096], *below = memory_printf("/%s/", u->bdf);
	ssize_t n = readlinkat(class, name, target, sizeof(target) - 1);
	char *clean = text_clean(name, strlen(name));
	int folder;

	target[n < 0 ? 0 : n] = '\0';
	if (strstr(target, below) && !strcmp(clean, name)) {
		folder = openat(class, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder >= 0) {
			look(u, folder, name);
			close(folder);
		}
	}
	free(clean);
	free(below);
}

/* Everything of a class that lies below the device, which may be a bridge, too. */
static void look_at_class(struct use *u, const char *name,
			  void (*look)(struct use *, int, const char *))
{
	char *path = memory_printf("%s/class/%s", u->sysfs, name);
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			look_at_member(u, dirfd(dir), entry->d_name, look);
	if (dir)
		closedir(dir);
	free(path);
}

/* They go with their physical function's driver, whoever has them. */
static void look_at_functions(struct use *u, int dir)
{
	char *count = line_of(dir, "sriov_numvfs");

	if (count && strtoul(count, NULL, 10))
		tell(u, "it has virtual functions: %lu", strtoul(count, NULL, 10));
	free(count);
}

static void look_at_device(struct use *u)
{
	char *path = memory_printf("%s/bus/pci/devices/%s", u->sysfs, u->bdf);
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0) {
		if (says(dir, "boot_vga", "1"))
			tell(u, "it is the display that the machine has started with");
		look_at_functions(u, dir);
		look_for_moved(u, dir, ".", DEPTH);
		close(dir);
	}
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		look_at_class(u, classes[i].name, classes[i].look);
	free(path);
}

unsigned int use_functions(int device, const char *bdf)
{
	struct use u = { .bdf = bdf, .why = "" };

	look_at_functions(&u, device);
	return u.count;
}

unsigned int use_report(const char *sysfs, const char *bdf, int64_t group)
{
	char *path = memory_printf("%s/kernel/iommu_groups/%lld/devices", sysfs, (long long)group);
	DIR *dir = group < 0 ? NULL : opendir(path);
	struct use u = { .sysfs = sysfs, .bdf = bdf, .why = "" };
	struct dirent *entry;
	struct pci_address a;

	look_at_device(&u);
	u.why = " (of the same IOMMU group)";
	while (dir && (entry = readdir(dir))) {
		if (!pci_parse_address(entry->d_name, &a) || !strcmp(entry->d_name, bdf))
			continue;
		u.bdf = entry->d_name;
		look_at_device(&u);
	}
	if (dir)
		closedir(dir);
	free(path);
	return u.count;
}
