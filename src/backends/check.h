/* SPDX-License-Identifier: MIT */
/*
 * The doctor.
 *
 *   check.c           what is asked for, and of a device: what is in its way
 *   check_machine.c   of the machine: what every device needs
 */
#ifndef LIBVFIO_BACKENDS_CHECK_H
#define LIBVFIO_BACKENDS_CHECK_H

#include <vfio/check.h>

#include "backends/sysfs.h"

struct check {
	struct sysfs_root root;
	void (*check)(struct check *c, const char *bdf);	/* by the way in which it is to be used */
	struct kernel_place place;	/* of the device; else its bdf is "a device" */
	void (*callback)(void *arg, const struct vfio_finding *finding);
	void *arg;
	int worst;
};

/* A finding, with what the record says. */
void check_tell(struct check *c, enum vfio_verdict verdict, const char *topic,
		const struct vfio_error *err);

/* All is well with it. */
void check_pass(struct check *c, const char *topic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- check_machine.c ------------------------------------------------------------------------- */

bool check_has_iommu(struct check *c);
void check_nodes_are_there(struct check *c);
bool check_noiommu_is_on(const struct check *c);
void check_remapping(struct check *c);
void check_memlock(struct check *c);
void check_hugepages(struct check *c, bool physical);
void check_taint(struct check *c);

#endif
