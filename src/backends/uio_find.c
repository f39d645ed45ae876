/* SPDX-License-Identifier: MIT */
/* Which device a name means, whether uio_pci_generic has it, where its node is; and if not, why. */
#include "backends/uio.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define DRIVER "uio_pci_generic"

static int not_bound(const struct kernel_place *p, struct vfio_error *err)
{
	char remedy[sizeof(err->remedy)];

	snprintf(remedy, sizeof(remedy),
		 "as root: modprobe " DRIVER "; driverctl set-override %s " DRIVER "%s", p->bdf,
		 p->driver[0] ? "; its driver then loses it" : "");
	return error_set(err, ENODEV, VFIO_E_NOT_BOUND, VFIO_BY_KERNEL, remedy,
			 "%s has %s%s, and not " DRIVER, p->bdf,
			 p->driver[0] ? "the driver " : "no driver", p->driver);
}

int uio_find(const struct kernel_roots *roots, const char *name, struct kernel_place *p,
	     struct vfio_error *err)
{
	char bdf[KERNEL_BDF];
	int r;

	if (!kernel_parse(name, bdf))
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "write it as uio:0000:03:00.0: domain, bus, device below 20, function "
				 "below 8", "'uio:%.40s' has no PCI address", name);
	r = kernel_look(roots, bdf, p, err);
	return r == 0 && strcmp(p->driver, DRIVER) ? not_bound(p, err) : r;
}

/* ---- its node ------------------------------------------------------------------------------- */

static bool is_node(const char *name)
{
	size_t digits = strncmp(name, "uio", 3) ? 0 : strspn(name + 3, "0123456789");

	return digits && digits < 10 && !name[3 + digits];
}

/* The folder uio of the device holds one folder, uioN. */
int uio_find_node(const struct kernel_roots *roots, const struct kernel_place *p,
		  char path[PATH_MAX], struct vfio_error *err)
{
	struct dirent *entry = NULL;
	DIR *dir;

	snprintf(path, PATH_MAX, "%s/bus/pci/devices/%s/uio", roots->sys, p->bdf);
	dir = opendir(path);
	if (!dir && errno != ENOENT)
		return error_system(err, errno, "reading %.180s", path);
	while (dir && (entry = readdir(dir)) && !is_node(entry->d_name))
		;
	if (entry)
		snprintf(path, PATH_MAX, "%s/%s", roots->dev, entry->d_name);
	if (dir)
		closedir(dir);
	return entry ? 0 : kernel_no_sense(path, "there is no uioN in it", err);
}

static int is_used(const struct kernel_roots *roots, const struct kernel_place *p,
		   const char *node, struct vfio_error *err)
{
	if (kernel_held(roots, p, node, err) < 0)
		return -EBUSY;
	return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_LIBRARY,
			 "wait until it has gone; as root, fuser -v on the node says who it is",
			 "%s is in use: a process that cannot be seen has %.150s", p->bdf, node);
}

int uio_node_failed(const struct kernel_roots *roots, const struct kernel_place *p,
		    const char *path, int e, struct vfio_error *err)
{
	if (e == EWOULDBLOCK)
		return is_used(roots, p, path, err);
	if (e == ENOENT || e == ENXIO || e == ENODEV)
		return error_set(err, ENODEV, VFIO_E_NO_KERNEL, VFIO_BY_KERNEL,
				 "in a container, have the node passed in; else: is /dev a devtmpfs?",
				 "opening %s: there is no %.150s", p->bdf, path);
	return kernel_node_failed(roots, p, path, e, err);
}
