/* SPDX-License-Identifier: MIT */
/*
 * "fd:7": a device of the kernel's whose node, or whose group's, somebody else has opened and handed
 * to this process. What a descriptor is, sysfs says by its number. All work is done on copies; what
 * the descriptors stand for is left as it was found, as far as the kernel lets.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "backends/kernel.h"
#include "base/error.h"

#define ADVICE                                                                                     \
	"pass a node of /dev/vfio/devices or of a group, or a connected AF_UNIX stream socket"

/* What a descriptor is of, by the names that the kernel has for it: "vfio-dev" and "vfio3". */
struct node {
	char kind[KERNEL_NAME], name[KERNEL_NAME];
};

static int look(const struct kernel_roots *roots, int fd, struct node *n, struct vfio_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int r = 0;

	*n = (struct node){ .name = "" };
	if (fstat(fd, &st) < 0)
		return error_set(err, errno, VFIO_E_NAME, VFIO_BY_KERNEL, ADVICE,
				 "descriptor %d is not open", fd);
	if (!S_ISCHR(st.st_mode))
		return 0;
	snprintf(path, sizeof(path), "%s/dev/char/%u:%u", roots->sys, major(st.st_rdev),
		 minor(st.st_rdev));
	r = kernel_link(path, n->name, sizeof(n->name), err);
	if (r > 0) {
		strncat(path, "/subsystem", sizeof(path) - strlen(path) - 1);
		r = kernel_link(path, n->kind, sizeof(n->kind), err);
	}
	return r < 0 ? r : 0;
}

/* Is the descriptor the node of that name which the library itself would open? */
static int check_root(const struct kernel_roots *roots, int fd, const char *name,
		      struct vfio_error *err)
{
	struct node n;
	int r = look(roots, fd, &n, err);

	if (r < 0 || (strcmp(n.kind, "misc") == 0 && strcmp(n.name, name) == 0))
		return r;
	return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
			 "container=N is for /dev/vfio/vfio, iommufd=N for /dev/iommu",
			 "descriptor %d is not the node %s", fd, name);
}

/* ---- options -------------------------------------------------------------------------------- */

/* A descriptor behind the key, if the option has that. */
static bool take_fd(const char *text, size_t len, const char *key, int *fd)
{
	size_t n = strlen(key);
	char *end;
	long value;

	if (len <= n || strncmp(text, key, n) || !isdigit((unsigned char)text[n]) || *fd >= 0)
		return false;
	errno = 0;
	value = strtol(text + n, &end, 10);
	if (end != text + len || errno || value > INT32_MAX)
		return false;
	*fd = (int)value;
	return true;
}

static bool take_device(const char *text, size_t len, char bdf[KERNEL_BDF])
{
	static const char key[] = "device=";
	char name[KERNEL_BDF];
	size_t n = sizeof(key) - 1;

	if (len <= n || strncmp(text, key, n) || len - n >= sizeof(name) || *bdf)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(len - n), text + n);
	return kernel_parse(name, bdf);
}

static int options(struct kernel_request *q, struct kernel_passed *p, char bdf[KERNEL_BDF],
		   const char *text, struct vfio_error *err)
{
	int r = 0;

	while (r == 0 && *text == ',') {
		size_t len = strcspn(++text, ",");

		if (!take_fd(text, len, "container=", &p->container) &&
		    !take_fd(text, len, "iommufd=", &p->iommufd) && !take_device(text, len, bdf))
			r = kernel_option(q, text, len, err);
		text += len;
	}
	if (r == 0 && p->container >= 0)
		r = check_root(q->roots, p->container, "vfio", err);
	if (r == 0 && p->iommufd >= 0)
		r = check_root(q->roots, p->iommufd, "iommu", err);
	return r;
}

/* ---- which device? -------------------------------------------------------------------------- */

/* The one device of the group that a driver of VFIO's has. */
static int find_only(struct kernel_request *q, const char *group, char bdf[KERNEL_BDF],
		     struct vfio_error *err)
{
	char path[PATH_MAX], name[KERNEL_BDF];
	struct kernel_place p;
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%s/devices", q->roots->sys, group);
	dir = opendir(path);
	if (!dir)
		return error_system(err, errno, "reading %s", path);
	while ((entry = readdir(dir)))
		if (kernel_parse(entry->d_name, name) && kernel_find(q->roots, name, &p, NULL) == 0) {
			strcpy(bdf, name);
			n++;
		}
	closedir(dir);
	if (n == 1)
		return 0;
	return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
			 "say which: fd:N,device=0000:03:00.0",
			 "group %s has %u devices that are given to users", group, n);
}

static int find_in_group(struct kernel_request *q, const char *group, char bdf[KERNEL_BDF],
			 struct vfio_error *err)
{
	int r = *bdf ? 0 : find_only(q, group, bdf, err);

	if (r == 0)
		r = kernel_find(q->roots, bdf, &q->place, err);
	if (r < 0 || q->place.group == strtol(group, NULL, 10))
		return r;
	return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
			 "pass the group that it is in", "%s is in group %lld, and the descriptor is "
			 "of group %s", bdf, (long long)q->place.group, group);
}

/* A group in the mode without an IOMMU has another name. */
static bool is_group(const struct node *n)
{
	return strcmp(n->kind, "vfio") == 0 && *n->name &&
	       !n->name[strspn(n->name, "0123456789")];
}

/* By the newer road there is no container, by the older no iommufd; a node is of one device. */
static int check_kind(const struct kernel_request *q, const struct kernel_passed *p, const char *bdf,
		      struct vfio_error *err)
{
	if (q->by_node ? p->container < 0 && (!*bdf || strcmp(bdf, q->place.bdf) == 0)
		       : p->iommufd < 0)
		return 0;
	return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
			 "a node goes with iommufd=N, a group with container=N and device=ADDRESS",
			 "descriptor %d is the %s of %s, with which one of the options does not go",
			 q->by_node ? p->device : p->group, q->by_node ? "node" : "group",
			 q->place.bdf);
}

static int find_passed(struct kernel_request *q, struct kernel_passed *p, int fd, const char *text,
		       struct vfio_error *err)
{
	char bdf[KERNEL_BDF] = "";
	struct node n;
	int r = look(q->roots, fd, &n, err);

	if (r == 0)
		r = options(q, p, bdf, text, err);
	if (r < 0)
		return r;
	if (strcmp(n.kind, "vfio-dev") == 0) {
		p->device = fd;
		q->by_node = true;
		r = kernel_find_node(q->roots, n.name, &q->place, err);
	} else if (is_group(&n)) {
		p->group = fd;
		r = find_in_group(q, n.name, bdf, err);
	} else if (strncmp(n.name, "noiommu-", 8) == 0) {
		return error_set(err, ENOTSUP, VFIO_E_NO_IOMMU, VFIO_BY_LIBRARY,
				 "open it by its address, knowing what that means: "
				 UNSAFE_NOIOMMU "0000:03:00.0",
				 "descriptor %d is of a group without an IOMMU, which is not passed", fd);
	} else {
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY, ADVICE,
				 "descriptor %d is neither a device's nor a group's", fd);
	}
	return r < 0 ? r : check_kind(q, p, bdf, err);
}

bool kernel_is_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

int kernel_open_fd(struct vfio_dev **dev, int fd, const char *text, struct vfio_error *err)
{
	struct kernel_passed p = { -1, -1, -1, -1 };
	struct kernel_request q = { .roots = &kernel_roots, .passed = &p };
	int r = find_passed(&q, &p, fd, text, err);

	*dev = NULL;
	return r < 0 ? r : kernel_open_request(dev, &q, NULL, err);
}
