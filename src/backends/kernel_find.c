/* SPDX-License-Identifier: MIT */
/*
 * Where a device of the kernel's is. What sysfs says is checked before it becomes part of a path or
 * of a message: in a container, or in a test, anybody may have made it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "backends/sysfs_file.h"
#include "base/error.h"

const struct kernel_roots kernel_roots = { "/sys", "/dev", "/proc" };

bool kernel_parse(const char *name, char bdf[KERNEL_BDF])
{
	unsigned int domain = 0, bus, slot, func;
	int end = 0;

	/* Lengths are bounded so that sscanf() cannot overflow; signs and blanks are no digits. */
	if (name[strspn(name, "0123456789abcdefABCDEF:.")])
		return false;
	if (sscanf(name, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &func, &end) != 4 ||
	    name[end]) {
		domain = 0;
		end = 0;
		if (sscanf(name, "%2x:%2x.%1x%n", &bus, &slot, &func, &end) != 3 || name[end])
			return false;
	}
	if (slot > 31 || func > 7)
		return false;
	snprintf(bdf, KERNEL_BDF, "%04x:%02x:%02x.%x", domain, bus, slot, func);
	return true;
}

int kernel_no_sense(const char *path, const char *why, struct vfio_error *err)
{
	return error_set(err, EINVAL, VFIO_E_SYSFS, VFIO_BY_LIBRARY,
			 "is sysfs mounted at /sys, and is it the kernel's own?",
			 "%.180s makes no sense: %s", path, why);
}

/* May it be part of a path? */
static bool is_plain(const char *name)
{
	if (!*name || *name == '.')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.:-", *name))
			return false;
	return true;
}

int kernel_link(const char *path, char *name, size_t size, struct vfio_error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *last;

	*name = '\0';
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return errno == EINVAL ? kernel_no_sense(path, "it is no link", err)
				       : error_system(err, errno, "reading the link %s", path);
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= size || !is_plain(last))
		return kernel_no_sense(path, "it points to a name that the kernel does not give", err);
	strcpy(name, last);
	return strlen(name);
}

/* The names begin with it, and a number follows. -1: it is none of those. */
static int64_t number_behind(const char *name, const char *begin)
{
	size_t len = strlen(begin);
	char *end;
	unsigned long n;

	if (strncmp(name, begin, len) || !isdigit((unsigned char)name[len]))
		return -1;
	errno = 0;
	n = strtoul(name + len, &end, 10);
	return *end || errno || n > INT32_MAX ? -1 : (int64_t)n;
}

static int find_group(const char *folder, struct kernel_place *p, struct vfio_error *err)
{
	char path[PATH_MAX], name[KERNEL_NAME];
	int r;

	snprintf(path, sizeof(path), "%.4000s/iommu_group", folder);
	r = kernel_link(path, name, sizeof(name), err);
	p->group = r > 0 ? number_behind(name, "") : -1;
	return r > 0 && p->group < 0 ? kernel_no_sense(path, "it names no group", err) : r;
}

/* The folder vfio-dev holds one folder, vfioN. Before Linux 6.1 there is none. */
static int find_node(const char *folder, struct kernel_place *p, struct vfio_error *err)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%.4000s/vfio-dev", folder);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : error_system(err, errno, "reading %s", path);
	while (!p->node[0] && (entry = readdir(dir)))
		if (number_behind(entry->d_name, "vfio") >= 0 &&
		    strlen(entry->d_name) < sizeof(p->node))
			strcpy(p->node, entry->d_name);
	closedir(dir);
	return p->node[0] ? 0 : kernel_no_sense(path, "there is no vfioN in it", err);
}

bool kernel_is_vfio(const struct kernel_roots *roots, const char *bdf, const char *driver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/vfio-dev", roots->sys, bdf);
	return strstr(driver, "vfio") || (*driver && access(path, F_OK) == 0);
}

int kernel_header_type(const struct kernel_roots *roots, const char *bdf)
{
	char folder[PATH_MAX];
	uint8_t type;
	int dir, r;

	snprintf(folder, sizeof(folder), "%s/bus/pci/devices/%s", roots->sys, bdf);
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = sysfs_is_off(dir) ? -EAGAIN :
	    sysfs_read_bytes(dir, "config", PCI_HEADER_TYPE, &type, 1);
	close(dir);
	return r < 0 ? r : type & PCI_HEADER_TYPE_MASK;
}

/* ---- what is found must be of use ---------------------------------------------------------- */

static int not_bound(const struct kernel_place *p, struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	snprintf(remedy, sizeof(remedy), "as root: lsvfio --bind %s, which looks first who uses it; "
		 "or, to make it last: driverctl set-override %s vfio-pci", p->bdf, p->bdf);
	if (!p->driver[0])
		return error_set(err, ENODEV, VFIO_E_NOT_BOUND, VFIO_BY_KERNEL, remedy,
				 "%s has no driver, and so is not given to users", p->bdf);
	return error_set(err, ENODEV, VFIO_E_NOT_BOUND, VFIO_BY_KERNEL, remedy,
			 "%s has the driver %s, and so is not given to users", p->bdf, p->driver);
}

int kernel_no_iommu(const char *bdf, struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	snprintf(remedy, sizeof(remedy), "switch the IOMMU on in the firmware (VT-d, AMD-Vi), and boot "
		 "Linux with intel_iommu=on or amd_iommu=on; or, knowing that it is unsafe, open "
		 UNSAFE_NOIOMMU "%s", strchr(bdf, ':') ? bdf : "ADDRESS");
	return error_set(err, ENODEV, VFIO_E_NO_IOMMU, VFIO_BY_KERNEL, remedy,
			 "%s is in no IOMMU group: nothing would confine its DMA", bdf);
}

/* In this mode the kernel makes groups for devices that have none, and says so in their names. */
static bool is_unguarded(const struct kernel_roots *roots, const struct kernel_place *p)
{
	char path[PATH_MAX], name[KERNEL_NAME];

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%lld/name", roots->sys,
		 (long long)p->group);
	sysfs_read_text(AT_FDCWD, path, name, sizeof(name));	/* groups have none as a rule */
	return strcmp(name, "vfio-noiommu\n") == 0;
}

int kernel_need_iommu(const struct kernel_roots *roots, const struct kernel_place *p,
		      struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	if (p->group < 0)
		return kernel_no_iommu(p->bdf, err);
	if (!is_unguarded(roots, p))
		return 0;
	snprintf(remedy, sizeof(remedy), "switch the IOMMU on in the firmware, and boot Linux with it; "
		 "or, knowing that it is unsafe, open " UNSAFE_NOIOMMU "%s",
		 strchr(p->bdf, ':') ? p->bdf : "ADDRESS");
	return error_set(err, ENOTSUP, VFIO_E_NO_IOMMU, VFIO_BY_LIBRARY, remedy,
			 "%s is given to users without an IOMMU: libvfio does not use it so unasked",
			 p->bdf);
}

/* The kernel gives no bridge away, whatever it is told. */
static int is_bridge(const struct kernel_place *p, unsigned int header, struct vfio_error *err)
{
	return error_set(err, ENODEV, VFIO_E_BIND, VFIO_BY_LIBRARY,
			 "drive what is behind it; a bridge stays with its driver",
			 "%s is no ordinary function: its header is of type %u, a bridge's", p->bdf,
			 header);
}

int kernel_need_driver(const struct kernel_roots *roots, const struct kernel_place *p,
		       struct vfio_error *err)
{
	int header;

	if (kernel_is_vfio(roots, p->bdf, p->driver))
		return 0;
	header = kernel_header_type(roots, p->bdf);
	return header > 0 ? is_bridge(p, header, err) : not_bound(p, err);
}

int kernel_look(const struct kernel_roots *roots, const char *bdf, struct kernel_place *p,
		struct vfio_error *err)
{
	char folder[PATH_MAX], path[PATH_MAX];
	int r;

	*p = (struct kernel_place){ .group = -1 };
	snprintf(p->bdf, sizeof(p->bdf), "%s", bdf);
	snprintf(folder, sizeof(folder), "%s/bus/pci/devices/%s", roots->sys, bdf);
	if (access(folder, F_OK) < 0)
		return error_set(err, ENODEV, VFIO_E_NO_DEVICE, VFIO_BY_KERNEL,
				 "lsvfio lists the devices that there are",
				 "there is no PCI device %s", bdf);
	snprintf(path, sizeof(path), "%.4000s/driver", folder);
	r = kernel_link(path, p->driver, sizeof(p->driver), err);
	if (r >= 0)
		r = find_group(folder, p, err);
	return r < 0 ? r : find_node(folder, p, err);
}

int kernel_find(const struct kernel_roots *roots, const char *bdf, struct kernel_place *p,
		struct vfio_error *err)
{
	int r = kernel_look(roots, bdf, p, err);

	if (r == 0)	/* without an IOMMU no such driver takes it */
		r = kernel_need_iommu(roots, p, err);
	return r < 0 ? r : kernel_need_driver(roots, p, err);
}

/* ---- without an IOMMU ----------------------------------------------------------------------- */

static int is_guarded(const struct kernel_place *p, struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	snprintf(remedy, sizeof(remedy), "use the plain address: %s", p->bdf);
	return error_set(err, EINVAL, VFIO_E_UNSAFE, VFIO_BY_LIBRARY, remedy,
			 "%s has an IOMMU: it is in group %lld, and need not be used without", p->bdf,
			 (long long)p->group);
}

static int not_bound_unguarded(const struct kernel_place *p, struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	snprintf(remedy, sizeof(remedy), "as root: modprobe vfio-pci; echo Y > "
		 "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode; driverctl set-override %s "
		 "vfio-pci%s", p->bdf, p->driver[0] ? "; its driver then loses it" : "");
	return error_set(err, ENODEV, VFIO_E_NOT_BOUND, VFIO_BY_KERNEL, remedy,
			 "%s has %s%s, and so is not given to users", p->bdf,
			 p->driver[0] ? "the driver " : "no driver", p->driver);
}

int kernel_find_unguarded(const struct kernel_roots *roots, const char *bdf,
			  struct kernel_place *p, struct vfio_error *err)
{
	int r = kernel_look(roots, bdf, p, err);

	if (r < 0)
		return r;
	if (p->group >= 0 && !is_unguarded(roots, p))
		return is_guarded(p, err);
	return p->group < 0 || !kernel_is_vfio(roots, bdf, p->driver) ?
	       not_bound_unguarded(p, err) : 0;
}

/* ---- by node -------------------------------------------------------------------------------- */

int kernel_node_address(const struct kernel_roots *roots, const char *node, char bdf[KERNEL_BDF],
			struct vfio_error *err)
{
	char path[PATH_MAX], name[KERNEL_NAME];
	int r;

	snprintf(path, sizeof(path), "%s/class/vfio-dev/%.40s/device", roots->sys, node);
	r = kernel_link(path, name, sizeof(name), err);
	if (r == 0)
		return error_set(err, ENODEV, VFIO_E_NO_DEVICE, VFIO_BY_KERNEL,
				 "ls /sys/class/vfio-dev lists them; or give the PCI address",
				 "the kernel has no VFIO device '%.40s'", node);
	if (r < 0)
		return r;
	if (!kernel_parse(name, bdf) || strcmp(name, bdf))
		return kernel_no_sense(path, "it names no PCI device", err);
	return 0;
}

int kernel_find_node(const struct kernel_roots *roots, const char *node, struct kernel_place *p,
		     struct vfio_error *err)
{
	char path[PATH_MAX], bdf[KERNEL_BDF];
	int r = kernel_node_address(roots, node, bdf, err);

	if (r == 0)
		r = kernel_find(roots, bdf, p, err);
	if (r < 0 || strcmp(p->node, node) == 0)
		return r;
	snprintf(path, sizeof(path), "%s/class/vfio-dev/%.40s/device", roots->sys, node);
	return kernel_no_sense(path, "the device has another node", err);
}
