/* SPDX-License-Identifier: MIT */
/* A folder with sys, dev, proc and run in it, in which a test says what the system is. */
#ifndef UNIT_TREE_H
#define UNIT_TREE_H

#include <limits.h>
#include <stddef.h>

#include "backends/kernel.h"

#define BDF "0000:03:00.0"
#define DEV "sys/bus/pci/devices/" BDF

struct tree {
	char at[64], sys[80], dev[80], proc[80];
	struct kernel_roots roots;
	struct kernel_place place;
	struct vfio_error err;
};

/* Names are below the folder. */
void path_of(const struct tree *t, const char *name, char path[PATH_MAX]);
void make_folder(const struct tree *t, const char *name);
void make_link(const struct tree *t, const char *name, const char *target);
void make_file(const struct tree *t, const char *name, const char *text);
void make_bytes(const struct tree *t, const char *name, const void *bytes, size_t len);
void drop(const struct tree *t, const char *name);

/* A device of group 7 that vfio-pci has, with a node, and a neighbour without a driver. */
int tree_setup(void **state);
int tree_teardown(void **state);

/* r is -errno, the record has the code, and says (what or remedy) each of the words. */
void assert_says(const struct tree *t, int r, int e, enum vfio_error_code code, const char *what,
		 const char *remedy);

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

#endif
