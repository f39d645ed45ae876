/* SPDX-License-Identifier: MIT */
/* A device of the kernel's cannot be opened: whose fault is it, and what would help? */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "base/error.h"

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

static int is_busy(const struct kernel_roots *roots, const struct kernel_place *p,
		   const char *path, struct vfio_error *err)
{
	int pid = holder(roots, path);

	if (pid == getpid())
		return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_KERNEL,
				 "close the other handle first; devices of one IOMMU group have one user",
				 "%s is in use by this process: it has %s open", p->bdf, path);
	if (pid)
		return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_KERNEL,
				 "wait until it has closed the device, or end it",
				 "%s is in use by process %d: it has %s open", p->bdf, pid, path);
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

/* The first device of the group that is in the way. */
static bool find_culprit(const struct kernel_roots *roots, const char *folder,
			 char bdf[KERNEL_BDF], char driver[KERNEL_NAME])
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(folder);
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		if (!kernel_parse(entry->d_name, bdf))
			continue;
		snprintf(path, sizeof(path), "%.3000s/bus/pci/devices/%s/driver", roots->sys, bdf);
		found = kernel_link(path, driver, KERNEL_NAME, NULL) > 0 &&
			!is_harmless(roots, bdf, driver);
	}
	if (dir)
		closedir(dir);
	return found;
}

static int is_blocked(const struct kernel_place *p, const char *bdf, const char *driver,
		      struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	snprintf(remedy, sizeof(remedy), "as root: driverctl set-override %s vfio-pci; or put the "
		 "card into another slot", bdf);
	return error_set(err, EPERM, VFIO_E_GROUP, VFIO_BY_KERNEL, remedy,
			 "%s: its IOMMU group %lld has %s in it, too, whose driver is %s", p->bdf,
			 (long long)p->group, bdf, driver);
}

/* The device's DMA would be confined, but not its interrupts. */
static int is_unsafe(const struct kernel_place *p, struct vfio_error *err)
{
	return error_set(err, EPERM, VFIO_E_REMAPPING, VFIO_BY_KERNEL,
			 "switch interrupt remapping on in the firmware; or, trusting the device, set "
			 "allow_unsafe_interrupts=1 of vfio_iommu_type1 or iommufd",
			 "%s: the machine does not keep it from forging interrupts", p->bdf);
}

int kernel_not_granted(const struct kernel_roots *roots, const struct kernel_place *p,
		       const char *path, int e, struct vfio_error *err)
{
	char folder[PATH_MAX], bdf[KERNEL_BDF], driver[KERNEL_NAME];

	snprintf(folder, sizeof(folder), "%.3000s/kernel/iommu_groups/%lld/devices", roots->sys,
		 (long long)p->group);
	if (find_culprit(roots, folder, bdf, driver))
		return is_blocked(p, bdf, driver, err);
	return e == EPERM ? is_unsafe(p, err) : is_busy(roots, p, path, err);
}
