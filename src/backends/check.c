/* SPDX-License-Identifier: MIT */
/*
 * Can a device be opened, and if not, why? The reasons are those of kernel_find.c and kernel_blame.c,
 * which vfio_open() gives, too; but all of them at once.
 */
#include "backends/check.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/uio.h"
#include "backends/unsafe.h"
#include "base/error.h"
#include "base/export.h"

void check_tell(struct check *c, enum vfio_verdict verdict, const char *topic,
		const struct vfio_error *err)
{
	const struct vfio_finding finding = {
		.verdict = verdict, .topic = topic, .code = err->code, .what = err->what,
		.remedy = err->remedy,
	};

	if ((int)verdict > c->worst)
		c->worst = verdict;
	c->callback(c->arg, &finding);
}

void check_pass(struct check *c, const char *topic, const char *format, ...)
{
	char text[sizeof(((struct vfio_error *)0)->what)];
	struct vfio_error err;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(&err, 0, VFIO_E_NONE, VFIO_BY_NOBODY, NULL, "%s", text);
	check_tell(c, VFIO_PASS, topic, &err);
}

/* ---- the device ------------------------------------------------------------------------------ */

static bool has_iommu(struct check *c)
{
	struct vfio_error err;

	if (kernel_need_iommu(&c->root.roots, &c->place, &err) < 0) {
		check_tell(c, VFIO_FAIL, "iommu", &err);
		return false;
	}
	check_pass(c, "iommu", "%s is in IOMMU group %lld", c->place.bdf,
		   (long long)c->place.group);
	return true;
}

static bool has_driver(struct check *c)
{
	struct vfio_error err;

	if (kernel_need_driver(&c->root.roots, &c->place, &err) < 0) {
		check_tell(c, VFIO_FAIL, "driver", &err);
		return false;
	}
	check_pass(c, "driver", "%s has the driver %s", c->place.bdf, c->place.driver);
	return true;
}

static void blocked(void *arg, const struct vfio_error *err)
{
	check_tell(arg, VFIO_FAIL, "group", err);
}

static void check_group(struct check *c)
{
	if (!kernel_neighbours(&c->root.roots, &c->place, blocked, c))
		check_pass(c, "group", "no device in IOMMU group %lld has a driver that blocks it",
			   (long long)c->place.group);
}

static void check_node(struct check *c, const char *path)
{
	struct vfio_error err;

	if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0) {
		check_pass(c, "node", "you (user %u) may open %s", geteuid(), path);
		return;
	}
	kernel_node_failed(&c->root.roots, &c->place, path, errno, &err);
	check_tell(c, VFIO_FAIL, "node", &err);
}

static bool is_held(struct check *c, const char *path)
{
	struct vfio_error err;

	if (kernel_held(&c->root.roots, &c->place, path, &err) == 0)
		return false;
	check_tell(c, VFIO_FAIL, "holder", &err);
	return true;
}

/* The nodes that are opened: one that all share, and that of the device or its group. */
static void check_nodes(struct check *c, const char *shared, const char *own)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.3000s/%s", c->root.dev, shared);
	check_node(c, path);
	snprintf(path, sizeof(path), "%.3000s/%s", c->root.dev, own);
	check_node(c, path);
}

/* Who has the device has its own node, or the group's. */
static void check_holders(struct check *c, const char *node, const char *group)
{
	const char *names[] = { node, group };
	char path[PATH_MAX];
	struct vfio_error err;

	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%.3000s/%s", c->root.dev, names[i]);
		if (is_held(c, path))
			return;
	}
	snprintf(path, sizeof(path), "%.3000s/self", c->root.proc);
	if (access(path, F_OK) == 0) {
		check_pass(c, "holder", "no process that can be seen has %s open", c->place.bdf);
		return;
	}
	error_set(&err, 0, VFIO_E_BUSY, VFIO_BY_NOBODY, "mount -t proc proc /proc",
		  "it is not known who has %s open: there is no %s", c->place.bdf, path);
	check_tell(c, VFIO_WARN, "holder", &err);
}

/* Of the road that vfio_open() would take. */
static void check_road(struct check *c)
{
	bool by_node = kernel_has_nodes(&c->root.roots, &c->place);
	char node[KERNEL_NAME + 16], group[32];

	snprintf(node, sizeof(node), "vfio/devices/%s", c->place.node);
	snprintf(group, sizeof(group), "vfio/%lld", (long long)c->place.group);
	check_nodes(c, by_node ? "iommu" : "vfio/vfio", by_node ? node : group);
	check_holders(c, c->place.node[0] ? node : group, group);
}

/* ---- a device that nothing shall guard --------------------------------------------------------- */

static const char *topic_of(const struct vfio_error *err)
{
	switch (err->code) {
	case VFIO_E_UNSAFE:
		return "iommu";
	case VFIO_E_NOT_BOUND:
		return "driver";
	default:
		return "device";
	}
}

static void check_privilege(struct check *c, const char *scheme)
{
	char what[sizeof(UNSAFE_NOIOMMU) + KERNEL_BDF];
	struct vfio_error err;

	snprintf(what, sizeof(what), "%s%s", scheme, c->place.bdf);
	if (unsafe_check(what, &err) < 0)
		check_tell(c, VFIO_FAIL, "privilege", &err);
	else
		check_pass(c, "privilege", "you may use devices that can reach all memory");
}

static void check_noiommu(struct check *c, const char *bdf)
{
	struct vfio_error err;
	char group[40];

	if (kernel_find_unguarded(&c->root.roots, bdf, &c->place, &err) < 0) {
		check_tell(c, VFIO_FAIL, topic_of(&err), &err);
		return;
	}
	check_pass(c, "device", "%s is there", bdf);
	check_pass(c, "iommu", "%s is used without an IOMMU, as is asked for", bdf);
	check_pass(c, "driver", "%s has the driver %s", bdf, c->place.driver);
	if (!check_noiommu_is_on(c)) {
		kernel_noiommu_off(&c->place, &err);
		check_tell(c, VFIO_FAIL, "kernel", &err);
	}
	check_privilege(c, UNSAFE_NOIOMMU);
	snprintf(group, sizeof(group), "vfio/noiommu-%lld", (long long)c->place.group);
	check_nodes(c, "vfio/vfio", group);
	check_holders(c, group, group);
}

static void check_uio_node(struct check *c)
{
	struct vfio_error err;
	char path[PATH_MAX];

	if (uio_find_node(&c->root.roots, &c->place, path, &err) < 0) {
		check_tell(c, VFIO_FAIL, "node", &err);
		return;
	}
	if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0) {
		uio_node_failed(&c->root.roots, &c->place, path, errno, &err);
		check_tell(c, VFIO_FAIL, "node", &err);
	} else {
		check_pass(c, "node", "you (user %u) may open %s", geteuid(), path);
	}
	check_holders(c, strrchr(path, '/') + 1, strrchr(path, '/') + 1);
}

/* Where an IOMMU translates, the device can be opened, and its registers used. */
static void check_uio(struct check *c, const char *bdf)
{
	struct vfio_error err;

	if (uio_find(&c->root.roots, bdf, &c->place, &err) < 0) {
		check_tell(c, VFIO_FAIL, topic_of(&err), &err);
		return;
	}
	check_pass(c, "device", "%s is there", bdf);
	check_pass(c, "driver", "%s has the driver %s", bdf, c->place.driver);
	if (unsafe_check_domain(&c->root.roots, bdf, &err) < 0)
		check_tell(c, VFIO_WARN, "iommu", &err);
	else
		check_pass(c, "iommu", "nothing translates the addresses that %s sends", bdf);
	check_privilege(c, UNSAFE_UIO);
	check_uio_node(c);
}

/* ---- any other ---------------------------------------------------------------------------------- */

static void check_device(struct check *c, const char *bdf)
{
	struct vfio_error err;
	bool confined, bound;

	if (kernel_look(&c->root.roots, bdf, &c->place, &err) < 0) {
		check_tell(c, VFIO_FAIL, "device", &err);
		return;
	}
	check_pass(c, "device", "%s is there", bdf);
	confined = has_iommu(c);
	bound = has_driver(c);
	if (confined)
		check_group(c);
	if (!bound)
		check_nodes_are_there(c);
	else if (confined)
		check_road(c);
	if (confined)
		check_remapping(c);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static bool is_node(const char *name)
{
	return strncmp(name, "vfio", 4) == 0 && isdigit((unsigned char)name[4]) &&
	       !name[4 + strspn(name + 4, "0123456789")];
}

static const struct {
	const char *prefix;
	void (*check)(struct check *c, const char *bdf);
} schemes[] = {
	{ "sysfs:", check_device },
	{ UNSAFE_NOIOMMU, check_noiommu },
	{ UNSAFE_UIO, check_uio },
};

/* What follows sysfs: may be a machine alone. */
static bool find_scheme(struct check *c, const char *name, char bdf[KERNEL_BDF])
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i].prefix);

		if (strncmp(name, schemes[i].prefix, len))
			continue;
		c->check = schemes[i].check;
		return sysfs_parse(name + len, &c->root, bdf) && (bdf[0] || i == 0);
	}
	return false;
}

/* *bdf is empty for the machine. */
static int find_name(struct check *c, const char *name, char bdf[KERNEL_BDF],
		     struct vfio_error *err)
{
	sysfs_parse(kernel_roots.sys, &c->root, bdf);
	if (!name)
		return 0;
	if (is_node(name))
		return kernel_node_address(&c->root.roots, name, bdf, err);
	if (kernel_parse(name, bdf) || find_scheme(c, name, bdf))
		return 0;
	return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
			 "write a PCI address (0000:03:00.0), also behind sysfs:, " UNSAFE_UIO " or "
			 UNSAFE_NOIOMMU ", or vfioN; others need nothing of the kernel's VFIO",
			 "'%.80s' is no PCI device that could be checked", name);
}

EXPORT int vfio_check(const char *name,
		      void (*callback)(void *arg, const struct vfio_finding *finding), void *arg,
		      struct vfio_error *err)
{
	struct check c = { .check = check_device, .callback = callback, .arg = arg };
	char bdf[KERNEL_BDF];
	int r;

	error_clear(err);
	r = find_name(&c, name, bdf, err);
	if (r < 0)
		return r;
	if (bdf[0]) {
		c.check(&c, bdf);
	} else {
		c.place = (struct kernel_place){ .bdf = "a device", .group = -1 };
		if (check_has_iommu(&c))
			check_remapping(&c);
		check_nodes_are_there(&c);
	}
	check_memlock(&c);
	check_hugepages(&c, c.check == check_noiommu || c.check == check_uio);
	check_taint(&c);
	return c.worst;
}
