/* SPDX-License-Identifier: MIT */
/*
 * What stands in the way of using a device, with what cures it; and how well a device behaves.
 * Neither changes anything.
 */
#ifndef VFIO_CHECK_H
#define VFIO_CHECK_H

#include <vfio/driver.h>
#include <vfio/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vfio_verdict {
	VFIO_PASS = 0,
	VFIO_WARN = 1,		/* it works, or may; but see what */
	VFIO_FAIL = 2,
};

struct vfio_finding {
	enum vfio_verdict verdict;
	const char *topic;	/* what was looked at: a word that scripts can rely on */
	enum vfio_error_code code;	/* what it is by vfio-errors(7), or 0 */
	const char *what;	/* one sentence */
	const char *remedy;	/* what to do about it; empty when there is nothing */
};

/*
 * Can this user open the device that name names, and if not, why? name is a PCI address, vfioN, or a
 * string that begins with "sysfs:", "uio:" or "unsafe-noiommu:"; NULL: the machine alone. callback is
 * called for each finding, which is good until it returns; a topic may have several. A failure has
 * the words of vfio_open()'s record when it fails for that reason. Returns the worst verdict; or
 * -errno with *err (which may be NULL) filled when name is none of these.
 *
 * sysfs:DIR is the machine whose sysfs is DIR, and sysfs:DIR/bus/pci/devices/ADDRESS a device of it:
 * its dev, proc and run lie beside DIR.
 */
int vfio_check(const char *name,
	       void (*callback)(void *arg, const struct vfio_finding *finding), void *arg,
	       struct vfio_error *err);

/*
 * Is this a well-behaved device, which can be given to users without a second thought? Each clause
 * of vfio_audit(3) is a finding, with its own topic. Nothing is written to the device, and only its
 * configuration space is read; what cannot be known like that is a warning. Returns the worst
 * verdict, or -errno when configuration space cannot be read.
 */
int vfio_audit(struct vfio_dev *dev,
	       void (*callback)(void *arg, const struct vfio_finding *finding), void *arg);

#ifdef __cplusplus
}
#endif
#endif
