/* SPDX-License-Identifier: MIT */
/* The registry of back ends: which of them a device string means. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vfio/driver.h>

#include "backends/backends.h"
#include "backends/unsafe.h"
#include "base/error.h"
#include "base/export.h"

static int open_unix(struct vfio_dev **dev, const char *path, struct vfio_error *err)
{
	return socket_open_path(dev, path, err);
}

static int open_fd(struct vfio_dev **dev, const char *number, struct vfio_error *err)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(number, &end, 10);
	if (!isdigit((unsigned char)*number) || (*end && *end != ',') || errno || fd > INT32_MAX)
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "write fd:N with the number of a connected socket, or of a node of VFIO's",
				 "'fd:%.40s' names no descriptor", number);
	if (kernel_is_fd(fd))
		return kernel_open_fd(dev, fd, end, err);
	if (*end)
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "nodes of VFIO's have options, sockets have none",
				 "'fd:%.40s': descriptor %ld is no node", number, fd);
	return socket_open_fd(dev, fd, err);
}

/* The back ends for devices without an IOMMU can be left out. */
#if !LIBVFIO_UNSAFE
static int open_left_out(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	return unsafe_check(name, err);
}
#define uio_open open_left_out
#define noiommu_open open_left_out
#endif

static const struct {
	const char *prefix;
	int (*open)(struct vfio_dev **dev, const char *rest, struct vfio_error *err);
} schemes[] = {
	{ "unix:", open_unix },
	{ "fd:", open_fd },
	{ "sysfs:", sysfs_open },
	{ "uio:", uio_open },
	{ "unsafe-noiommu:", noiommu_open },
};

static bool is_module_name(const char *s)
{
	size_t len = strcspn(s, ",");

	if (memchr(s, '/', len))
		return len > 3 && strncmp(s + len - 3, ".so", 3) == 0;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return len > 0;
}

static int open_by_name(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t len = strlen(schemes[i].prefix);

		if (strncmp(name, schemes[i].prefix, len) == 0)
			return schemes[i].open(dev, name + len, err);
	}
	if (kernel_is_name(name))
		return kernel_open(dev, name, err);
	if (is_module_name(name))
		return module_open(dev, name, err);
	return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
			 "write unix:/path, fd:N, a PCI address (behind uio:, unsafe-noiommu: or sysfs:, "
			 "too), vfioN, a software device's name (edu), or its file with a slash "
			 "(./NAME.so)",
			 "'%.80s' is no device string", name);
}

/* The level that VFIO_ISOLATION names, or a negative errno: a minimum that is not understood. */
static int least_isolation(struct vfio_error *err)
{
	const char *word = secure_getenv("VFIO_ISOLATION"), *name;

	if (!word || !*word)
		return VFIO_ISOLATED_NOT;
	for (int level = 0; (name = vfio_isolation_name(level)); level++)
		if (strcmp(word, name) == 0)
			return level;
	return error_set(err, EINVAL, VFIO_E_ISOLATION, VFIO_BY_LIBRARY,
			 "set it to iommu, software or none, or take it out of the environment",
			 "VFIO_ISOLATION='%.40s' is no level of isolation", word);
}

/* Whoever set the environment asks it of programs that know nothing of it. */
static int check_isolation(struct vfio_dev **dev, int least, struct vfio_error *err)
{
	int r = vfio_require_isolation(*dev, least);

	if (r == 0)
		return 0;
	if (err)
		*err = *vfio_last_error(*dev);
	vfio_close(*dev);
	*dev = NULL;
	return r;
}

int contract_open(struct vfio_dev **dev, const char *name, open_beside *beside, void *arg,
		struct vfio_error *err)
{
	int least, r;

	*dev = NULL;
	error_clear(err);
	if (!name)
		name = secure_getenv("VFIO_DEVICE");
	if (!name || !*name)
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "give a device string, or set VFIO_DEVICE: unix:/path, "
				 "0000:03:00.0, edu; libvfio(7) has them all",
				 "no device was named");
	least = least_isolation(err);
	if (least < 0)
		return least;
	r = beside ? beside(arg, dev, name, err) : 1;
	if (r == 1)
		r = open_by_name(dev, name, err);
	if (r == 0)
		r = check_isolation(dev, least, err);
	if (r == 0)
		(*dev)->name = strdup(name);	/* without memory for it, it has none */
	return r;
}

EXPORT int vfio_open(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	return contract_open(dev, name, NULL, NULL, err);
}

EXPORT int vfio_function_open(struct vfio_dev **dev, struct vfio_function *fn,
			      struct vfio_error *err)
{
	error_clear(err);
	return inprocess_open(dev, fn, err);
}
