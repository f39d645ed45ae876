/* SPDX-License-Identifier: MIT */
/*
 * A device without an IOMMU can read and write all memory, and so can who drives it: that is for
 * those who may do so anyway, and whoever looks at the machine afterwards shall find it.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/sysfs_file.h"
#include "backends/unsafe.h"
#include "base/capability.h"
#include "base/error.h"
#include "base/fd.h"

#define FOLDER "/run/libvfio"
#define FILE_NAME "taint"

int unsafe_check(const char *what, struct vfio_error *err)
{
	if (!LIBVFIO_UNSAFE)
		return error_set(err, ENOTSUP, VFIO_E_NO_BACKEND, VFIO_BY_LIBRARY,
				 "give the device to vfio-pci, and name it by its PCI address alone; or "
				 "build libvfio without -Dunsafe=disabled",
				 "opening %.60s: this libvfio was built without the back ends for devices "
				 "without an IOMMU", what);
	if (!capability_have(CAP_SYS_RAWIO))
		return error_set(err, EPERM, VFIO_E_UNSAFE, VFIO_BY_LIBRARY,
				 "run as root; or with CAP_SYS_RAWIO, CAP_SYS_ADMIN for physical addresses, "
				 "and CAP_IPC_LOCK or a memlock limit for the memory",
				 "opening %.60s: without an IOMMU its user has all of memory, and so "
				 "needs the capability CAP_SYS_RAWIO, which this process lacks", what);
	if (!capability_is_initial())
		return error_set(err, EPERM, VFIO_E_UNSAFE, VFIO_BY_LIBRARY,
				 "run it outside of the container or user namespace",
				 "opening %.60s: CAP_SYS_RAWIO counts for nothing in this user namespace",
				 what);
	return 0;
}

int unsafe_allowed(const char *what, struct vfio_error *err)
{
	int r = unsafe_check(what, err);

	return r < 0 ? r : unsafe_record(FOLDER, what, err);
}

/* ---- the record ----------------------------------------------------------------------------- */

/* The file is lines of words: nothing in a program's name may look like another. */
static void program_name(char *name, size_t size)
{
	snprintf(name, size, "%s", program_invocation_short_name);
	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_.+", *c))
			*c = '?';
}

static int write_line(int fd, const char *what)
{
	const char *colon = strchr(what, ':');
	char line[512], when[32], name[64];
	time_t now = time(NULL);
	struct tm utc;
	int len;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	program_name(name, sizeof(name));
	len = snprintf(line, sizeof(line),
		       "%s uid=%u pid=%d program=%s device=%.60s backend=%.*s\n", when, getuid(),
		       getpid(), name, colon ? colon + 1 : what,
		       colon ? (int)(colon - what) : 0, what);
	return write(fd, line, len) == len ? 0 : -EIO;	/* one write, which O_APPEND keeps whole */
}

/* Others may read it, whatever the umask. */
static int open_file(int folder)
{
	int fd = openat(folder, FILE_NAME,
			O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	if (!st.st_size && st.st_uid == geteuid() && fchmod(fd, 0644) < 0) {
		close(fd);
		return -EPERM;
	}
	if (st.st_size < UNSAFE_RECORD_MAX)
		return fd;
	close(fd);
	return renameat(folder, FILE_NAME, folder, FILE_NAME ".1") < 0 ? -errno : -EAGAIN;
}

static int record_in(int folder, const char *what)
{
	int fd = open_file(folder), r;

	if (fd == -EAGAIN)		/* it was full, and is another's name now */
		fd = open_file(folder);
	if (fd < 0)
		return fd;
	r = write_line(fd, what);
	close(fd);
	return r;
}

static int open_folder(const char *path)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	bool made = mkdir(path, 0755) == 0;
	int e = errno, fd = open(path, flags);

	if (fd < 0)
		return errno == ENOENT ? -e : -errno;	/* why it could not be made */
	if (made && fchmod(fd, 0755) < 0) {
		close(fd);
		return -EPERM;
	}
	return fd;
}

int unsafe_record(const char *folder, const char *what, struct vfio_error *err)
{
	int fd = open_folder(folder), r = fd;

	if (fd >= 0) {
		r = record_in(fd, what);
		close(fd);
	}
	if (r == 0 || r == -EROFS)
		return 0;
	return error_set(err, -r, VFIO_E_UNSAFE, VFIO_BY_LIBRARY,
			 "let root open it, or give this user the folder; a link, or anything but a "
			 "file, is not written",
			 "opening %.60s: that it is used cannot be recorded in %.60s/" FILE_NAME
			 ", and so it is not", what, folder);
}

/* ---- what an IOMMU makes of physical addresses ---------------------------------------------- */

int unsafe_check_domain(const struct kernel_roots *roots, const char *bdf, struct vfio_error *err)
{
	char path[PATH_MAX], type[32];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%.20s/iommu_group/type", roots->sys, bdf);
	n = sysfs_read_text(AT_FDCWD, path, type, sizeof(type));
	if (n == -ENOENT)
		return 0;		/* it is in no group: nothing translates */
	if (n < 0)
		return error_system(err, (int)-n, "reading %.150s", path);
	if (strcmp(type, "identity\n") == 0)
		return 0;
	type[strcspn(type, "\n")] = '\0';
	return error_set(err, ENOTSUP, VFIO_E_PHYSICAL, VFIO_BY_KERNEL,
			 "bind it to vfio-pci, which is safe, and name it by its PCI address; or boot "
			 "Linux with iommu=pt",
			 "memory for %.20s: the machine's IOMMU translates its addresses (%.20s says "
			 "%.20s), so physical ones do not reach memory", bdf, "iommu_group/type", type);
}
