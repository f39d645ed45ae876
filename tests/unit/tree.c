/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void path_of(const struct tree *t, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s", t->at, name);
}

void make_folder(const struct tree *t, const char *name)
{
	char path[PATH_MAX];

	path_of(t, name, path);
	for (char *slash = path + strlen(t->at) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	mkdir(path, 0755);
}

void make_link(const struct tree *t, const char *name, const char *target)
{
	char path[PATH_MAX];

	path_of(t, name, path);
	unlink(path);
	assert_int_equal(symlink(target, path), 0);
}

void make_bytes(const struct tree *t, const char *name, const void *bytes, size_t len)
{
	char path[PATH_MAX];
	FILE *f;

	path_of(t, name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	fclose(f);
}

void make_file(const struct tree *t, const char *name, const char *text)
{
	make_bytes(t, name, text, strlen(text));
}

void drop(const struct tree *t, const char *name)
{
	char path[PATH_MAX];

	path_of(t, name, path);
	assert_int_equal(remove(path), 0);
}

int tree_setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	strcpy(t->at, "/tmp/vfio-unit-XXXXXX");
	assert_non_null(mkdtemp(t->at));
	snprintf(t->sys, sizeof(t->sys), "%s/sys", t->at);
	snprintf(t->dev, sizeof(t->dev), "%s/dev", t->at);
	snprintf(t->proc, sizeof(t->proc), "%s/proc", t->at);
	t->roots = (struct kernel_roots){ t->sys, t->dev, t->proc };
	make_folder(t, DEV "/vfio-dev/vfio3");
	make_link(t, DEV "/driver", "../../../../bus/pci/drivers/vfio-pci");
	make_link(t, DEV "/iommu_group", "../../../../kernel/iommu_groups/7");
	make_folder(t, "sys/bus/pci/devices/0000:03:00.1");
	make_folder(t, "sys/kernel/iommu_groups/7/devices/" BDF);
	make_folder(t, "sys/kernel/iommu_groups/7/devices/0000:03:00.1");
	make_folder(t, "sys/class/vfio-dev/vfio3");
	make_link(t, "sys/class/vfio-dev/vfio3/device", "../../../devices/" BDF);
	make_folder(t, "dev/vfio/devices");
	make_folder(t, "proc");
	*state = t;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int tree_teardown(void **state)
{
	struct tree *t = *state;

	nftw(t->at, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(t);
	return 0;
}

void assert_says(const struct tree *t, int r, int e, enum vfio_error_code code, const char *what,
		 const char *remedy)
{
	if (r != -e || t->err.err != e || t->err.code != code || !strstr(t->err.what, what) ||
	    !strstr(t->err.remedy, remedy))
		fail_msg("%d, VFIO-%03d: %s / %s", r, t->err.code, t->err.what, t->err.remedy);
}
