/* SPDX-License-Identifier: MIT */
/* What every device of the kernel's VFIO needs of the machine. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/check.h"
#include "backends/sysfs_file.h"
#include "backends/unsafe.h"
#include "base/error.h"
#include "base/fd.h"

typedef unsigned long long ull;

#define ENOUGH_MEMLOCK (64ull << 20)	/* what drivers of disks and networks need at least */

/* A regular file below a folder, or NULL. */
static FILE *open_below(const char *folder, const char *name)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = dir < 0 ? -1 : sysfs_open_file(dir, name);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f)
		fd_close(&fd);
	fd_close(&dir);
	return f;
}

/* A text below a folder, without its last newline: its length, 0 when there is none. */
static size_t read_below(const char *folder, const char *name, char *text, size_t size)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n = 0;

	*text = '\0';
	if (dir >= 0)
		n = sysfs_read_text(dir, name, text, size);
	fd_close(&dir);
	if (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* ---- IOMMU, and the kernel's part ------------------------------------------------------------ */

/* Groups that the kernel made for devices without an IOMMU do not count. */
bool check_has_iommu(struct check *c)
{
	char path[PATH_MAX];
	struct dirent *entry;
	struct vfio_error err;
	unsigned int count = 0;
	DIR *dir;

	kernel_no_iommu(c->place.bdf, &err);
	snprintf(path, sizeof(path), "%.3000s/kernel/iommu_groups", c->root.sys);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct kernel_place group = c->place;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		group.group = atoi(entry->d_name);
		if (kernel_need_iommu(&c->root.roots, &group, &err) == 0)
			count++;
	}
	if (dir)
		closedir(dir);
	if (count)
		check_pass(c, "iommu", "there are %u IOMMU groups", count);
	else
		check_tell(c, VFIO_FAIL, "iommu", &err);
	return count > 0;
}

void check_nodes_are_there(struct check *c)
{
	char vfio[PATH_MAX], iommu[PATH_MAX], driver[PATH_MAX];
	struct vfio_error err;

	snprintf(vfio, sizeof(vfio), "%.3000s/vfio/vfio", c->root.dev);
	snprintf(iommu, sizeof(iommu), "%.3000s/iommu", c->root.dev);
	snprintf(driver, sizeof(driver), "%.3000s/bus/pci/drivers/vfio-pci", c->root.sys);
	if (access(vfio, F_OK) < 0 && access(iommu, F_OK) < 0) {
		kernel_node_failed(&c->root.roots, &c->place, vfio, ENOENT, &err);
		check_tell(c, VFIO_FAIL, "kernel", &err);
	} else if (access(driver, F_OK) < 0) {
		error_set(&err, ENODEV, VFIO_E_NO_KERNEL, VFIO_BY_KERNEL,
			  "as root: modprobe vfio-pci", "the driver vfio-pci is not loaded: no device can be bound to it");
		check_tell(c, VFIO_WARN, "kernel", &err);
	} else {
		check_pass(c, "kernel", "VFIO and its driver vfio-pci are there");
	}
}

static bool is_yes(const struct check *c, const char *module, const char *parameter)
{
	char folder[PATH_MAX], text[8];

	snprintf(folder, sizeof(folder), "%.3000s/module/%s/parameters", c->root.sys, module);
	return read_below(folder, parameter, text, sizeof(text)) && text[0] == 'Y';
}

bool check_noiommu_is_on(const struct check *c)
{
	return is_yes(c, "vfio", "enable_unsafe_noiommu_mode");
}

/* ---- interrupt remapping --------------------------------------------------------------------- */

enum remapping { REMAPPED, NOT_REMAPPED, NOT_KNOWN };

#define INTERRUPTS_MAX (16u << 20)	/* thousands of interrupts of a thousand processors */

static bool has(const char *text, size_t len, const char *word)
{
	return memmem(text, len, word, strlen(word));
}

/* How interrupts come is in the names of their controllers. A line may be longer than text. */
static enum remapping find_remapping(const struct check *c)
{
	FILE *f = open_below(c->root.proc, "interrupts");
	enum remapping found = NOT_KNOWN;
	size_t n, kept = 0, all = 0;
	char text[4096];

	while (f && found != REMAPPED && all < INTERRUPTS_MAX &&
	       (n = fread(text + kept, 1, sizeof(text) - kept, f)) > 0) {
		const size_t len = kept + n;

		if (has(text, len, " IR-") || has(text, len, " ITS-"))
			found = REMAPPED;
		else if (has(text, len, " IO-APIC") || has(text, len, " PCI-MSI"))
			found = NOT_REMAPPED;
		kept = len < 8 ? len : 8;	/* of a word that goes on in what is read next */
		memmove(text, text + len - kept, kept);
		all += n;
	}
	if (f)
		fclose(f);
	return found;
}

void check_remapping(struct check *c)
{
	static const char allow[] = "allow_unsafe_interrupts";
	enum remapping how = find_remapping(c);
	struct vfio_error err, forgeable;

	kernel_forgeable(&c->place, &forgeable);
	err = forgeable;
	if (how == REMAPPED) {
		check_pass(c, "remapping", "interrupts are remapped: a device cannot forge any");
		return;
	}
	if (how == NOT_KNOWN)
		error_set(&err, 0, VFIO_E_REMAPPING, VFIO_BY_NOBODY, forgeable.remedy,
			  "it is not known whether the machine keeps devices from forging "
			  "interrupts");
	check_tell(c, how == NOT_KNOWN || is_yes(c, "vfio_iommu_type1", allow) ||
		   is_yes(c, "iommufd", allow) ? VFIO_WARN : VFIO_FAIL, "remapping", &err);
}

/* ---- memory ---------------------------------------------------------------------------------- */

void check_memlock(struct check *c)
{
	uint64_t limit = kernel_memlock();
	struct vfio_error err;

	if (limit == UINT64_MAX) {
		check_pass(c, "memlock", "memory for DMA may be locked without limit");
	} else if (limit >= ENOUGH_MEMLOCK) {
		check_pass(c, "memlock", "%llu KiB of memory may be locked for DMA",
			   (ull)limit / 1024);
	} else {
		error_set(&err, ENOMEM, VFIO_E_DMA_LIMIT, VFIO_BY_KERNEL, KERNEL_MEMLOCK_REMEDY,
			  "the memlock limit is %llu KiB: no more can be mapped for DMA",
			  (ull)limit / 1024);
		check_tell(c, VFIO_WARN, "memlock", &err);
	}
}

static ull number_below(const char *folder, const char *name)
{
	char text[24];

	return read_below(folder, name, text, sizeof(text)) && isdigit((unsigned char)text[0]) ?
	       strtoull(text, NULL, 10) : 0;
}

/* Those that are promised to somebody are not free, whatever the kernel calls them. */
static bool check_size(struct check *c, const char *sizes, const char *name)
{
	char folder[PATH_MAX];
	ull all, left, promised;

	snprintf(folder, sizeof(folder), "%.3000s/%.60s", sizes, name);
	all = number_below(folder, "nr_hugepages");
	left = number_below(folder, "free_hugepages");
	promised = number_below(folder, "resv_hugepages");
	if (left <= promised)
		return false;
	check_pass(c, "hugepages", "%.40s: %llu, of which %llu are free", name, all,
		   left - promised);
	return true;
}

void check_hugepages(struct check *c, bool physical)
{
	struct vfio_error err;
	char sizes[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(sizes, sizeof(sizes), "%.3000s/kernel/mm/hugepages", c->root.sys);
	dir = opendir(sizes);
	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, "hugepages-", 10) == 0 &&
		    check_size(c, sizes, entry->d_name))
			found = true;
	if (dir)
		closedir(dir);
	if (found)
		return;
	error_set(&err, 0, VFIO_E_NONE, VFIO_BY_NOBODY,
		  "as root: echo 64 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
		  "no huge page is free: memory for DMA is of small pages, %s",
		  physical ? "and no buffer can be larger than one" : "which maps more slowly");
	check_tell(c, VFIO_WARN, "hugepages", &err);
}

/* ---- what was done before -------------------------------------------------------------------- */

/*
 * A line for each time that a device was given away without protection. Of a file that is longer than
 * the library's can be, what follows is not looked at.
 */
void check_taint(struct check *c)
{
	char text[UNSAFE_RECORD_MAX + 1024];
	size_t n = read_below(c->root.run, "libvfio/taint", text, sizeof(text));
	const char *last = text, *newline;
	unsigned int count = n > 0;
	struct vfio_error err;

	while ((newline = memchr(last, '\n', n - (size_t)(last - text)))) {
		last = newline + 1;
		count++;
	}
	if (!count) {
		check_pass(c, "taint",
			   "no device was used without protection since the machine started");
		return;
	}
	error_set(&err, 0, VFIO_E_UNSAFE, VFIO_BY_NOBODY,
		  "what memory they have written nobody knows: start the machine again",
		  "devices were used without protection, %u time%s, the last: %.128s",
		  count, count == 1 ? "" : "s", last);
	check_tell(c, VFIO_WARN, "taint", &err);
}
