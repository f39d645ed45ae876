/* SPDX-License-Identifier: MIT */
/* Which device of which sysfs a name means. */
#ifndef LIBVFIO_BACKENDS_SYSFS_H
#define LIBVFIO_BACKENDS_SYSFS_H

#include <limits.h>

#include "backends/kernel.h"

/* The machine, or another system whose sysfs was named; what else it has lies beside that. */
struct sysfs_root {
	struct kernel_roots roots;
	char sys[PATH_MAX], dev[PATH_MAX], proc[PATH_MAX], run[PATH_MAX];
};

/*
 * What follows "sysfs:" is a PCI address; or the path of a device's folder, which ends in
 * bus/pci/devices/ADDRESS; or the path of a sysfs alone, and then *bdf is empty. False: none of them.
 */
bool sysfs_parse(const char *name, struct sysfs_root *root, char bdf[KERNEL_BDF]);

#endif
