/* SPDX-License-Identifier: MIT */
#include "machine_tree.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tests/unit/fake_hardware.h"
#include "backends/raw.h"
#include "check.h"

#define GROUP       "sys/kernel/iommu_groups/7"
#define NONE        "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
#define MAX_CHANGES 8
#define BYTES_MAX   (1 << 14)

enum kind { FOLDER, TEXT, BYTES, LINK, NOTHING };

/* The machine as it is when nothing is replaced. */
static const struct entry {
	const char *path;
	enum kind kind;
	const char *text;		/* of a file, or where the link points; BYTES: how many */
} entries[] = {
	{ "sys/bus/pci/devices", FOLDER, NULL },
	{ DEV, FOLDER, NULL },
	{ DEV "/config", BYTES, "4096" },
	{ DEV "/resource", TEXT,
	  "0x00000000febf0000 0x00000000febf3fff 0x0000000000040200\n"
	  "0x00000000fe100100 0x00000000fe10011f 0x0000000000040200\n"
	  "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n" NONE NONE NONE
	  "0x00000000fe200000 0x00000000fe200fff 0x0000000000046200\n" },
	{ DEV "/resource0", BYTES, "16384" },
	{ DEV "/resource1", BYTES, "32" },
	{ DEV "/resource2", BYTES, "32" },
	{ DEV "/rom", BYTES, "4096" },
	{ DEV "/reset", BYTES, "1" },
	{ DEV "/reset_method", TEXT, "flr bus\n" },
	{ DEV "/power_state", TEXT, "D0\n" },
	{ DEV "/driver", LINK, "../../../../bus/pci/drivers/vfio-pci" },
	{ DEV "/iommu_group", LINK, "../../../../kernel/iommu_groups/7" },
	{ DEV "/vfio-dev", FOLDER, NULL },
	{ DEV "/vfio-dev/vfio3", FOLDER, NULL },
	{ DEV "/uio", FOLDER, NULL },
	{ DEV "/uio/uio4", FOLDER, NULL },
	{ DEV "/physfn", NOTHING, NULL },
	{ DEV "/vendor", TEXT, "0x1af4\n" },
	{ DEV "/device", TEXT, "0x1100\n" },
	{ OTHER, FOLDER, NULL },
	{ OTHER "/config", BYTES, "256" },
	{ OTHER "/driver", LINK, "../../../../bus/pci/drivers/e1000e" },
	{ GROUP, FOLDER, NULL },
	{ GROUP "/devices", FOLDER, NULL },
	{ GROUP "/devices/" BDF, FOLDER, NULL },
	{ GROUP "/devices/0000:03:00.1", FOLDER, NULL },
	{ GROUP "/name", NOTHING, NULL },
	{ GROUP "/type", TEXT, "identity\n" },
	{ "sys/class/vfio-dev/vfio3", FOLDER, NULL },
	{ "sys/class/vfio-dev/vfio3/device", LINK, "../../../devices/" BDF },
	{ "sys/bus/pci/drivers/vfio-pci", FOLDER, NULL },
	{ "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", TEXT, "N\n" },
	{ "sys/module/iommufd/parameters/allow_unsafe_interrupts", TEXT, "N\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB", FOLDER, NULL },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", TEXT, "64\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", TEXT, "64\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", TEXT, "1\n" },
	{ "dev/vfio", FOLDER, NULL },
	{ "dev/vfio/vfio", TEXT, "" },
	{ "dev/vfio/7", TEXT, "" },
	{ "dev/vfio/devices", FOLDER, NULL },
	{ "dev/vfio/devices/vfio3", TEXT, "" },
	{ "dev/iommu", TEXT, "" },
	{ "dev/uio4", TEXT, "" },
	{ "proc/interrupts", TEXT, " 24: 0 0 IR-PCI-MSI 0-edge nvme0q0\n" },
	{ "proc/self", FOLDER, NULL },
	{ "proc/77/fd", FOLDER, NULL },
	{ "proc/77/fd/3", LINK, "" },	/* a node: made with its path */
	{ "proc/77/comm", TEXT, "qemu\n" },
	{ "run/libvfio", FOLDER, NULL },
	{ "run/libvfio/taint", NOTHING, NULL },
};

#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

static struct {
	unsigned int entry;
	bool moved;			/* what was there is in the attic */
} changes[MAX_CHANGES];
static unsigned int nchanges;

static char root[64];
static int top = -1;			/* its descriptor */

/* ---- as it is when nothing is replaced ------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void remove_root(void)
{
	close(top);
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folders(const char *path)
{
	char part[PATH_MAX];

	snprintf(part, sizeof(part), "%s/", path);
	for (char *slash = part; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdirat(top, part, 0755);
	}
}

/* What cannot be made is not there. Not truncated first: file systems then write at once. */
static void make_file(const char *path, const void *bytes, size_t len)
{
	int fd = openat(top, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return;
	CHECK(write(fd, bytes, len) == (ssize_t)len && ftruncate(fd, len) == 0);
	close(fd);
}

/* What the device's file holds before anybody has written to it. */
static size_t bytes_of(const struct entry *e, uint8_t bytes[BYTES_MAX])
{
	struct fake_hardware h;

	memset(bytes, 0, BYTES_MAX);
	if (strcmp(e->path, DEV "/config") == 0) {
		fake_init(&h);
		fake_put(&h, PCI_BASE_ADDRESS_1, 4, 0xfe100100);
		fake_put(&h, PCI_BASE_ADDRESS_2, 4, 0xc001);
		memcpy(bytes, h.bytes, sizeof(h.bytes));
	}
	return atoi(e->text);
}

static void make_entry(const struct entry *e)
{
	char folder[PATH_MAX], node[PATH_MAX];
	uint8_t bytes[BYTES_MAX];

	snprintf(folder, sizeof(folder), "%s", e->path);
	if (e->kind != FOLDER)
		*strrchr(folder, '/') = '\0';
	make_folders(folder);
	snprintf(node, sizeof(node), "%s/dev/vfio/devices/vfio3", root);
	if (e->kind == TEXT)
		make_file(e->path, e->text, strlen(e->text));
	else if (e->kind == BYTES)
		make_file(e->path, bytes, bytes_of(e, bytes));
	else if (e->kind == LINK)
		CHECK(symlinkat(*e->text ? e->text : node, top, e->path) == 0);
}

static void make_machine(void)
{
	strcpy(root, "/tmp/vfio-fuzz-XXXXXX");
	CHECK(mkdtemp(root));
	top = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(top >= 0);
	make_folders("attic");
	for (unsigned int i = 0; i < ENTRIES; i++)
		make_entry(&entries[i]);
	atexit(remove_root);
}

/* ---- what is replaced ------------------------------------------------------------------------ */

/* The same file with some bytes replaced. */
static void patch(struct input *in, const struct entry *e)
{
	uint8_t bytes[BYTES_MAX];
	size_t len = 0;

	if (e->kind == TEXT) {
		len = strlen(e->text);
		memcpy(bytes, e->text, len);
	} else if (e->kind == BYTES) {
		len = bytes_of(e, bytes);
	}
	for (unsigned int n = take8(in); n && len; n--) {
		size_t at = take16(in) % len;

		bytes[at] = take8(in);
	}
	make_file(e->path, bytes, len);
}

/* It points to where it did, to another name; never out of the folder. */
static void make_link(const struct entry *e, const char *name)
{
	char target[PATH_MAX];
	const char *last = e->kind == LINK ? strrchr(e->text, '/') : NULL;

	snprintf(target, sizeof(target), "%.*s%s", last ? (int)(last + 1 - e->text) : 0,
		 last ? e->text : "", name);
	for (char *c = target + (last ? last + 1 - e->text : 0); *c; c++)
		if (*c == '/')
			*c = ':';
	symlinkat(target, top, e->path);
}

static void make_large(const char *path, uint32_t log2)
{
	int fd = openat(top, path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd >= 0) {
		ftruncate(fd, 1ll << log2 % 41);
		close(fd);
	}
}

static void replace(struct input *in, const struct entry *e)
{
	uint8_t how = take8(in);
	char text[512];
	size_t len;

	switch (how % 8) {
	case 0: break;			/* nothing is there */
	case 1: mkdirat(top, e->path, 0755); break;
	case 2: mkfifoat(top, e->path, 0600); break;
	case 3: make_large(e->path, how / 8); break;
	case 4: case 5: patch(in, e); break;
	default:
		len = take16(in) % sizeof(text);
		take(in, text, len);
		text[len] = '\0';
		if (how % 8 == 6)
			make_file(e->path, text, len);
		else
			make_link(e, text);
	}
}

static void change(struct input *in)
{
	const struct entry *e = &entries[take8(in) % ENTRIES];
	char attic[32];

	snprintf(attic, sizeof(attic), "attic/%u", nchanges);
	changes[nchanges].entry = e - entries;
	changes[nchanges++].moved = renameat(top, e->path, top, attic) == 0;
	replace(in, e);
}

/* The last first: what is replaced may lie in a folder that was. */
void machine_restore(void)
{
	while (nchanges) {
		const char *path = entries[changes[--nchanges].entry].path;
		char attic[32];

		if (unlinkat(top, path, 0) < 0)
			unlinkat(top, path, AT_REMOVEDIR);
		snprintf(attic, sizeof(attic), "attic/%u", nchanges);
		if (changes[nchanges].moved)
			CHECK(renameat(top, attic, top, path) == 0);
	}
}

/* ---- a machine ------------------------------------------------------------------------------- */

const char *machine_root(void)
{
	if (top < 0)
		make_machine();
	return root;
}

void machine_change(struct input *in)
{
	for (unsigned int i = 0; i < ENTRIES; i++)
		if (entries[i].kind == BYTES)
			make_entry(&entries[i]);
	for (unsigned int n = take8(in) % (MAX_CHANGES + 1); n; n--)
		change(in);
}

ssize_t machine_read(const char *path, void *buf, size_t len)
{
	int fd = openat(top, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, len, 0);

	if (fd >= 0)
		close(fd);
	return n;
}
