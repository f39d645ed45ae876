/* SPDX-License-Identifier: MIT */
/* Opening a device of the kernel's, by the newer road where there is one. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "base/error.h"

static bool is_there(const char *root, const char *rest, int mode)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", root, rest);
	return access(path, mode) == 0;
}

/*
 * The newer road, if its nodes are there; but not if they are not this user's, and the group is. (If
 * neither is, the complaint is about the newer one.)
 */
bool kernel_has_nodes(const struct kernel_roots *roots, const struct kernel_place *p)
{
	char node[KERNEL_NAME + 16], group[32];

	snprintf(node, sizeof(node), "vfio/devices/%s", p->node);
	snprintf(group, sizeof(group), "vfio/%lld", (long long)p->group);
	if (!p->node[0] || !is_there(roots->dev, "iommu", F_OK) ||
	    !is_there(roots->dev, node, F_OK))
		return false;
	return (is_there(roots->dev, "iommu", R_OK | W_OK) &&
		is_there(roots->dev, node, R_OK | W_OK)) ||
	       !is_there(roots->dev, group, R_OK | W_OK);
}

static struct kernel *new(const struct kernel_place *p, const struct backend *backend)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->dev.backend = backend;
	k->place = *p;
	k->device = k->group = k->container = k->iommufd = -1;
	range_map_init(&k->maps);
	return k;
}

static int open_place(struct vfio_dev **dev, const struct kernel_place *p, bool by_node,
		      struct vfio_error *err)
{
	struct kernel *k = new(p, by_node ? &kernel_cdev_backend : &kernel_group_backend);
	int r;

	if (!k)
		return error_system(err, ENOMEM, "opening %s", p->bdf);
	r = by_node ? kernel_cdev_open(k, &kernel_roots, err)
		    : kernel_group_open(k, &kernel_roots, err);
	if (r == 0) {
		k->isolation = kernel_isolation(&kernel_roots, by_node);
		r = kernel_start(k);
		if (r < 0 && err)
			*err = k->dev.error;
	}
	if (r == 0)
		*dev = &k->dev;
	else
		k->dev.backend->close(&k->dev);
	return r;
}

int kernel_open_address(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	struct kernel_place p;
	char bdf[KERNEL_BDF];
	int r;

	*dev = NULL;
	if (!kernel_parse(name, bdf))
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "write it as 0000:03:00.0: domain, bus, device below 20, function "
				 "below 8", "'%.40s' is no PCI address", name);
	r = kernel_find(&kernel_roots, bdf, &p, err);
	return r < 0 ? r : open_place(dev, &p, kernel_has_nodes(&kernel_roots, &p), err);
}

int kernel_open_node(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	struct kernel_place p;
	int r;

	*dev = NULL;
	r = kernel_find_node(&kernel_roots, name, &p, err);
	return r < 0 ? r : open_place(dev, &p, true, err);
}
