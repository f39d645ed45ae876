/* SPDX-License-Identifier: MIT */
/* Software devices from shared objects: finding, loading and making them. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/backends.h"
#include "base/error.h"

#define SYMBOL "vfio_device_module"

/* Does dir hold name.so? Fills path. */
static bool is_in(const char *dir, size_t dir_len, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%.*s/%s.so", (int)dir_len, dir, name);

	return dir_len && n > 0 && n < PATH_MAX && access(path, F_OK) == 0;
}

/* Look through $VFIO_DEVICE_PATH, then where the library's own modules are installed. */
static int find_module(const char *name, char path[PATH_MAX], struct vfio_error *err)
{
	const char *search = secure_getenv("VFIO_DEVICE_PATH");

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return 0;
	}
	while (search && *search) {
		size_t len = strcspn(search, ":");

		if (is_in(search, len, name, path))
			return 0;
		search += len + (search[len] == ':');
	}
	if (is_in(LIBVFIO_MODULE_DIR, strlen(LIBVFIO_MODULE_DIR), name, path))
		return 0;
	return error_set(err, ENODEV, VFIO_E_NO_DEVICE, VFIO_BY_LIBRARY,
			 "name a device that is installed, a socket (unix:/path), or a module file "
			 "(./NAME.so); VFIO_DEVICE_PATH lists further directories",
			 "there is no software device '%s': no %s.so in $VFIO_DEVICE_PATH or "
			 LIBVFIO_MODULE_DIR, name, name);
}

static int load(const char *path, const struct vfio_device_module **module, struct vfio_error *err)
{
	/*
	 * NODELETE: the device's callbacks must outlive any handle that somebody forgot to close.
	 */
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!handle && access(path, F_OK) < 0)
		return error_set(err, ENODEV, VFIO_E_MODULE, VFIO_BY_KERNEL,
				 "name a module file that is there", "there is no file %s", path);
	if (!handle)
		return error_set(err, ENOEXEC, VFIO_E_MODULE,
				 VFIO_BY_KERNEL, "build it against this version of libvfio, and "
				 "check its permissions", "loading %s: %s", path, dlerror());
	*module = dlsym(handle, SYMBOL);
	if (*module && (*module)->version == VFIO_DEVICE_MODULE_VERSION) {
		dlclose(handle);
		return 0;
	}
	error_set(err, ENOEXEC, VFIO_E_MODULE, VFIO_BY_LIBRARY,
		  "a device module exports a struct vfio_device_module of version 1",
		  *module ? "%s is of another version of the module interface"
			  : "%s has no symbol " SYMBOL ": it is no device module", path);
	dlclose(handle);
	return -ENOEXEC;
}

int module_open(struct vfio_dev **dev, const char *string, struct vfio_error *err)
{
	struct vfio_error ours = { 0 };		/* a module is promised a record to fill */
	const struct vfio_device_module *module = NULL;
	const char *comma = strchrnul(string, ',');
	const char *options = *comma ? comma + 1 : "";
	struct vfio_function *fn = NULL;
	char name[256], path[PATH_MAX];
	int r;

	*dev = NULL;
	if ((size_t)(comma - string) >= sizeof(name))
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY, NULL,
				 "the name of a software device is too long");
	snprintf(name, sizeof(name), "%.*s", (int)(comma - string), string);
	r = find_module(name, path, err);
	if (r == 0)
		r = load(path, &module, err);
	if (r < 0)
		return r;
	r = module->create(&fn, options, &ours);
	if (r == 0 && !fn)
		r = -EINVAL;
	if (r < 0) {
		if (!ours.err)
			error_set(&ours, -r, VFIO_E_MODULE, VFIO_BY_MODEL,
				  "mend the module: create() makes a function, or fails and says why",
				  "%s made no device, and gave no reason", path);
		if (err)
			*err = ours;
		return r;
	}
	r = inprocess_open(dev, fn, err);
	if (r < 0)
		vfio_function_free(fn);
	return r;
}
