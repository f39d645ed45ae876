/* SPDX-License-Identifier: MIT */
/* A device of the kernel's cannot be opened: whose fault is it, and what would help? */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "backends/sysfs_file.h"
#include "base/error.h"
#include "base/fd.h"

int kernel_step_failed(const struct kernel_place *p, const char *step, int e,
		       struct vfio_error *err)
{
	return error_system(err, e, "opening %s: %s", p->bdf, step);
}

/* ---- permission --------------------------------------------------------------------------- */

/* Numbers, not names: looking those up may ask the network. */
static int no_permission(const char *path, int e, struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];
	struct stat st;

	if (stat(path, &st) < 0)
		return error_set(err, e, VFIO_E_PERMISSION, VFIO_BY_KERNEL,
				 "see who may enter the folder that it is in",
				 "you (user %u) may not see %s", getuid(), path);
	snprintf(remedy, sizeof(remedy), "as root: chown %u %.80s, or a udev rule that does so",
		 getuid(), path);
	return error_set(err, e, VFIO_E_PERMISSION, VFIO_BY_KERNEL, remedy,
			 "you (user %u) may not open %s, which is user %u's and group %u's, mode %04o",
			 getuid(), path, st.st_uid, st.st_gid, st.st_mode & 07777);
}

/* ---- in use -------------------------------------------------------------------------------- */

static bool holds(const char *folder, const char *pid, const char *path)
{
	char fds[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(fds, sizeof(fds), "%.3000s/%.20s/fd", folder, pid);
	dir = opendir(fds);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		found = n > 0 && (size_t)n == strlen(path) && memcmp(target, path, (size_t)n) == 0;
	}
	closedir(dir);
	return found;
}

/* A process that has the file open: its number, or 0. Only root sees those of others. */
static int holder(const struct kernel_roots *roots, const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(roots->proc);
	int pid = 0;

	while (dir && !pid && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    holds(roots->proc, entry->d_name, path))
			pid = atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return pid;
}

/* What the process calls itself, in brackets and behind a blank; it may be anything. */
static void program_name(const struct kernel_roots *roots, int pid, char *name, size_t size)
{
	char comm[32], file[32];
	int proc = open(roots->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(file, sizeof(file), "%d/comm", pid);
	*name = '\0';
	if (proc >= 0 && sysfs_read_text(proc, file, comm, sizeof(comm)) > 1)
		snprintf(name, size, " (%.*s)", (int)strcspn(comm, "\n"), comm);
	fd_close(&proc);
}

int kernel_held(const struct kernel_roots *roots, const struct kernel_place *p, const char *path,
		struct vfio_error *err)
{
	int pid = holder(roots, path);
	char name[48];

	if (!pid)
		return 0;
	if (pid == getpid())
		return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_KERNEL,
				 "close the other handle first; or, of two devices of one IOMMU group, "
				 "open both with vfio_space_open()",
				 "%s is in use by this process: it has %s open", p->bdf, path);
	program_name(roots, pid, name, sizeof(name));
	return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_KERNEL,
			 "wait until it has closed the device, or end it",
			 "%s is in use by process %d%s: it has %s open", p->bdf, pid, name, path);
}

static int is_busy(const struct kernel_roots *roots, const struct kernel_place *p,
		   const char *path, struct vfio_error *err)
{
	int r = kernel_held(roots, p, path, err);

	if (r < 0)
		return r;
	return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_KERNEL,
			 "as root, `fuser -v` tells which process has the node open",
			 "%s, or a device of its IOMMU group %lld, is in use: %s", p->bdf,
			 (long long)p->group, path);
}

int kernel_node_failed(const struct kernel_roots *roots, const struct kernel_place *p,
		       const char *path, int e, struct vfio_error *err)
{
	switch (e) {
	case EACCES:
	case EPERM:
		return no_permission(path, e, err);
	case EBUSY:
		return is_busy(roots, p, path, err);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return error_set(err, ENODEV, VFIO_E_NO_KERNEL, VFIO_BY_KERNEL,
				 "as root: modprobe vfio-pci; in a container, have the node passed in",
				 "opening %s: there is no %s", p->bdf, path);
	}
	return error_system(err, e, "opening %s: opening %s", p->bdf, path);
}

/* ---- the group ----------------------------------------------------------------------------- */

/* Drivers that leave DMA alone, so that they do not keep a group from being used. */
static bool is_harmless(const struct kernel_roots *roots, const char *bdf, const char *driver)
{
	return !*driver || strcmp(driver, "pci-stub") == 0 || strcmp(driver, "pcieport") == 0 ||
	       kernel_is_vfio(roots, bdf, driver);
}

static int is_blocked(const struct kernel_place *p, const char *bdf, const char *driver,
		      struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	snprintf(remedy, sizeof(remedy), "as root: lsvfio --bind %s, or driverctl set-override %s "
		 "vfio-pci; or put the card into another slot", bdf, bdf);
	return error_set(err, EPERM, VFIO_E_GROUP, VFIO_BY_KERNEL, remedy,
			 "%s: its IOMMU group %lld has %s in it, too, whose driver is %s", p->bdf,
			 (long long)p->group, bdf, driver);
}

unsigned int kernel_neighbours(const struct kernel_roots *roots, const struct kernel_place *p,
			       void (*each)(void *arg, const struct vfio_error *err), void *arg)
{
	char path[PATH_MAX], bdf[KERNEL_BDF], driver[KERNEL_NAME];
	unsigned int count = 0;
	struct dirent *entry;
	struct vfio_error err;
	DIR *dir;

	snprintf(path, sizeof(path), "%.3000s/kernel/iommu_groups/%lld/devices", roots->sys,
		 (long long)p->group);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!kernel_parse(entry->d_name, bdf) || strcmp(bdf, p->bdf) == 0)
			continue;
		snprintf(path, sizeof(path), "%.3000s/bus/pci/devices/%s/driver", roots->sys, bdf);
		if (kernel_link(path, driver, sizeof(driver), NULL) <= 0 ||
		    is_harmless(roots, bdf, driver))
			continue;
		is_blocked(p, bdf, driver, &err);
		each(arg, &err);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

int kernel_forgeable(const struct kernel_place *p, struct vfio_error *err)
{
	return error_set(err, EPERM, VFIO_E_REMAPPING, VFIO_BY_KERNEL,
			 "switch interrupt remapping on in the firmware; or, trusting the device, set "
			 "allow_unsafe_interrupts=1 of vfio_iommu_type1 or iommufd",
			 "%s: the machine does not keep it from forging interrupts", p->bdf);
}

int kernel_noiommu_off(const struct kernel_place *p, struct vfio_error *err)
{
	return error_set(err, ENODEV, VFIO_E_NO_KERNEL, VFIO_BY_KERNEL,
			 "as root: echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode; the "
			 "kernel must have been built with CONFIG_VFIO_NOIOMMU",
			 "opening %s: the kernel's mode without an IOMMU is off", p->bdf);
}

/* Any of them will do. */
static void keep(void *arg, const struct vfio_error *err)
{
	if (arg)
		*(struct vfio_error *)arg = *err;
}

/* A device of the group whose node a process has open, with the path of that. */
static bool find_user(const struct kernel_roots *roots, const char *folder, char path[PATH_MAX])
{
	struct kernel_place other;
	struct dirent *entry;
	DIR *dir = opendir(folder);
	char bdf[KERNEL_BDF];
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (!kernel_parse(entry->d_name, bdf) || kernel_find(roots, bdf, &other, NULL) < 0 ||
		    !other.node[0])
			continue;
		snprintf(path, PATH_MAX, "%.3000s" KERNEL_NODE "/devices/%s", roots->dev, other.node);
		found = holder(roots, path) > 0;
	}
	if (dir)
		closedir(dir);
	return found;
}

int kernel_not_granted(const struct kernel_roots *roots, const struct kernel_place *p,
		       const char *path, int e, struct vfio_error *err)
{
	char folder[PATH_MAX], used[PATH_MAX];

	if (kernel_neighbours(roots, p, keep, err))
		return -EPERM;
	snprintf(folder, sizeof(folder), "%.3000s/kernel/iommu_groups/%lld/devices", roots->sys,
		 (long long)p->group);
	if (e == EPERM && find_user(roots, folder, used))
		return is_busy(roots, p, used, err);	/* the group is another iommufd's */
	return e == EPERM ? kernel_forgeable(p, err) : is_busy(roots, p, path, err);
}
