/* SPDX-License-Identifier: MIT */
/* Opening a device of the kernel's, by the newer road where there is one, or by that of another. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

struct kernel *kernel_new(const struct kernel_roots *roots, const struct kernel_place *p,
			  const struct backend *backend, struct kernel_space *s)
{
	struct kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->dev.backend = backend;
	k->roots = roots;
	k->place = *p;
	k->device = -1;
	if (kernel_space_join(s, k) == 0)
		return k;
	free(k);
	return NULL;
}

int kernel_open_request(struct vfio_dev **dev, const struct kernel_request *q,
			struct kernel_space *s, struct vfio_error *err)
{
	struct kernel *k = kernel_new(q->roots, &q->place, q->by_node ? &kernel_cdev_backend
								      : &kernel_group_backend, s);
	int r;

	if (!k)
		return error_system(err, ENOMEM, "opening %s", q->place.bdf);
	memcpy(k->token, q->token, sizeof(k->token));
	r = q->by_node ? kernel_cdev_open(k, q->passed, err) : kernel_group_open(k, q->passed, err);
	if (r == 0) {
		k->isolation = kernel_isolation(q->roots, q->by_node);
		r = kernel_start(k);
		if (r < 0 && err)
			*err = k->dev.error;
	}
	if (r == 0)
		*dev = &k->dev;
	else
		kernel_close(&k->dev);
	return r;
}

int kernel_open(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	struct kernel_request q = { .roots = &kernel_roots };
	int r = kernel_find_name(&q, name, err);

	*dev = NULL;
	if (r < 0)
		return r;
	q.by_node = q.by_node || kernel_has_nodes(q.roots, &q.place);
	return kernel_open_request(dev, &q, NULL, err);
}

/* ---- beside another ------------------------------------------------------------------------ */

static int check_free(const struct kernel_space *s, const struct kernel_place *p,
		      struct vfio_error *err)
{
	for (unsigned int i = 0; i < KERNEL_USERS; i++)
		if (s->users[i] && strcmp(s->users[i]->place.bdf, p->bdf) == 0)
			return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_LIBRARY,
					 "use the handle that there is",
					 "%s is in use by this program", p->bdf);
	return 0;
}

/* The road that the other one has taken is taken here, too, if it is there for this user. */
static bool shares_road(struct kernel *k, const struct kernel_request *q)
{
	char group[32];

	if (k->space->iommufd >= 0)
		return q->by_node || kernel_has_nodes(k->roots, &q->place);
	snprintf(group, sizeof(group), "vfio/%lld", (long long)q->place.group);
	return !q->by_node && (kernel_space_find_group(k->space, q->place.group) ||
			       is_there(k->roots->dev, group, R_OK | W_OK));
}

int kernel_open_beside(struct vfio_dev *beside, struct vfio_dev **dev, const char *name,
		       struct vfio_error *err)
{
	struct kernel *k = kernel_of(beside);
	struct kernel_request q = { .roots = k->roots };
	int r;

	if (!kernel_is_name(name))
		return KERNEL_ELSEWHERE;
	r = kernel_find_name(&q, name, err);
	if (r == 0)
		r = check_free(k->space, &q.place, err);
	if (r < 0)
		return r;
	if (k->space->nusers == KERNEL_USERS || !shares_road(k, &q))
		return KERNEL_ELSEWHERE;
	q.by_node = k->space->iommufd >= 0;
	return kernel_open_request(dev, &q, k->space, err);
}
