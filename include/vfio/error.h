/* SPDX-License-Identifier: MIT */
/*
 * Errors that speak: what was asked, who refused, why, and what to do about it.
 *
 * Every function of libvfio that can fail returns 0 or a positive number, or a negative errno.
 * Beside the errno there is a record of this type: calls on a handle leave it in the handle
 * (vfio_last_error()), calls that make a handle fill one of the caller's, which may be NULL.
 */
#ifndef VFIO_ERROR_H
#define VFIO_ERROR_H

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Who said no. */
enum vfio_refuser {
	VFIO_BY_NOBODY = 0,
	VFIO_BY_LIBRARY,	/* libvfio checked the call itself */
	VFIO_BY_KERNEL,		/* a system call failed */
	VFIO_BY_SERVER,		/* the other end of a vfio-user socket answered with an error */
	VFIO_BY_FUNCTION,	/* the virtual function: PCI's or VFIO's own rules */
	VFIO_BY_MODEL,		/* the software device behind the function */
	VFIO_BY_POLICY,		/* an administrator's choice: permission, limit */
};

/*
 * Permanent codes, printed as VFIO-nnn. A code is never reused and never changes its meaning;
 * vfio-errors(7) has a paragraph for each.
 */
#define VFIO_ERROR_CODES(X) \
	X(VFIO_E_NONE,            0, "no error") \
	/* naming and opening a device */ \
	X(VFIO_E_NAME,          101, "the device string is not of a known form") \
	X(VFIO_E_NO_BACKEND,    102, "no back end in this build serves that kind of device") \
	X(VFIO_E_NO_DEVICE,     103, "nothing there by that name") \
	X(VFIO_E_PERMISSION,    104, "permission denied") \
	X(VFIO_E_BUSY,          105, "the device has a client already") \
	X(VFIO_E_MODULE,        106, "the software device could not be loaded") \
	X(VFIO_E_OPTION,        107, "a device option is unknown or out of range") \
	X(VFIO_E_NO_LISTENER,   108, "the socket is there, but no server listens on it") \
	X(VFIO_E_IN_USE,        109, "the socket's path belongs to another server") \
	X(VFIO_E_CROWDED,       110, "too many clients are waiting for the server") \
	X(VFIO_E_NOT_BOUND,     111, "the device is not bound to a driver of VFIO's") \
	X(VFIO_E_GROUP,         112, "another device of the IOMMU group has a driver of the kernel's") \
	X(VFIO_E_NO_IOMMU,      113, "no IOMMU stands between the device and memory") \
	X(VFIO_E_REMAPPING,     114, "the machine cannot isolate the device's interrupts") \
	X(VFIO_E_NO_KERNEL,     115, "a part of the kernel's VFIO is not there") \
	X(VFIO_E_SYSFS,         116, "what sysfs says of the device makes no sense") \
	X(VFIO_E_UNSAFE,        117, "a way without an IOMMU is not allowed, or not wanted") \
	X(VFIO_E_ISOLATION,     118, "the device is isolated less than was asked for") \
	X(VFIO_E_TOKEN,         119, "the VF token is missing, is another one, or is of no use") \
	X(VFIO_E_OBSERVED,      120, "the device is only looked at") \
	X(VFIO_E_BIND,          121, "the device cannot be given to a driver of VFIO's") \
	/* talking to a server */ \
	X(VFIO_E_TIMEOUT,       201, "the other end did not answer in time") \
	X(VFIO_E_GONE,          202, "the other end closed the connection") \
	X(VFIO_E_PROTOCOL,      203, "the other end broke the protocol") \
	X(VFIO_E_VERSION,       204, "no common protocol version") \
	X(VFIO_E_REMOTE,        205, "the server answered with an error") \
	X(VFIO_E_UNSUPPORTED,   206, "this back end cannot do that") \
	/* regions */ \
	X(VFIO_E_NO_REGION,     301, "no such region") \
	X(VFIO_E_RANGE,         302, "the access lies outside the region") \
	X(VFIO_E_NOT_MAPPABLE,  303, "that part of the region cannot be mapped") \
	X(VFIO_E_MEMORY_OFF,    304, "memory decoding is off, or the device is in D3") \
	X(VFIO_E_NO_CAPABILITY, 306, "the device has no such capability") \
	X(VFIO_E_READ_ONLY,     307, "a write was to change bits that are read-only") \
	X(VFIO_E_REFUSED,       308, "a write was to change bits that the policy protects") \
	X(VFIO_E_VPD,           309, "the vital product data cannot be accessed there") \
	X(VFIO_E_POWER,         310, "the device has no such power state") \
	X(VFIO_E_RESTORED,      311, "the device had reset itself; its BARs were restored") \
	X(VFIO_E_RESET,         312, "the device could not be reset") \
	X(VFIO_E_NO_DOORBELL,   313, "writes there need not be signalled") \
	/* interrupts */ \
	X(VFIO_E_NO_IRQ,        401, "no such interrupt index or vector") \
	X(VFIO_E_IRQ_FLAGS,     402, "the data and action of the interrupt request do not go together") \
	X(VFIO_E_IRQ_STATE,     403, "another interrupt type is active, or none is") \
	X(VFIO_E_IRQ_FD,        404, "the file descriptor is not an eventfd") \
	X(VFIO_E_VECTORS,       405, "fewer vectors are granted than were asked for") \
	X(VFIO_E_UNDELIVERABLE, 406, "interrupts of this kind cannot be delivered here") \
	X(VFIO_E_NO_NOTIFIER,   407, "nothing can carry the interrupt to an eventfd") \
	X(VFIO_E_REQUESTED,     408, "the device is wanted back") \
	X(VFIO_E_REPORTED,      409, "the device has reported an error") \
	/* DMA */ \
	X(VFIO_E_ALIGN,         501, "address or size is not aligned to a page") \
	X(VFIO_E_OVERLAP,       502, "the range overlaps one that is mapped already") \
	X(VFIO_E_NOT_MAPPED,    503, "nothing is mapped there") \
	X(VFIO_E_DMA_RANGE,     504, "the range is empty, wraps round, or is too large") \
	X(VFIO_E_DMA_PROT,      505, "the map allows no direction, or not this one") \
	X(VFIO_E_DMA_MEMORY,    506, "the file descriptor is not memory that can be used for DMA") \
	X(VFIO_E_DMA_LIMIT,     507, "a limit on DMA maps or memory is reached") \
	X(VFIO_E_IOVA_SPACE,    509, "no free I/O address is left below the device's limit") \
	X(VFIO_E_DMA_SPLIT,     510, "an unmap would cut a map in two") \
	X(VFIO_E_IOVA_RANGE,    511, "the I/O address cannot be used on this machine") \
	X(VFIO_E_SPACE,         512, "the device is in another address space, or in none") \
	X(VFIO_E_PHYSICAL,      513, "the I/O address is not the memory's bus address") \
	X(VFIO_E_SCATTERED,     514, "the memory is not contiguous, and the device needs it so") \
	X(VFIO_E_MOVED,         515, "memory is no longer at the address that the device was given") \
	/* the rest */ \
	X(VFIO_E_ARGUMENT,      601, "an argument is invalid") \
	X(VFIO_E_NO_MEMORY,     602, "out of memory or file descriptors") \
	X(VFIO_E_SYSTEM,        603, "a system call failed") \
	X(VFIO_E_DESCRIPTION,   604, "the description of the PCI function contradicts itself") \
	X(VFIO_E_DEVICE,        605, "the device does not do what its specification says") \
	X(VFIO_E_AT_WORK,       606, "the device is at work on something that was asked before") \
	X(VFIO_E_POLICY_VALUE,  607, "there is no such policy, or it cannot be that") \
	X(VFIO_E_MALFORMED,     608, "the device's configuration space is malformed") \
	X(VFIO_E_COMMAND,       609, "the device answered a command with an error status") \
	X(VFIO_E_LOW_POWER,     610, "the device is in low power already")

enum vfio_error_code {
#define VFIO_ERROR_ENUM(name, number, text) name = number,
	VFIO_ERROR_CODES(VFIO_ERROR_ENUM)
#undef VFIO_ERROR_ENUM
};

struct vfio_error {
	int err;			/* positive errno; 0 when there was no error */
	enum vfio_error_code code;
	enum vfio_refuser who;
	char what[240];			/* what was asked and why it was refused, one sentence */
	char remedy[240];		/* what to do about it; empty when nothing helps */
};

/* The word for a refuser: "library", "kernel", … Never NULL. */
const char *vfio_refuser_name(enum vfio_refuser who);

/* The one-line meaning of a code, as in the table above; NULL for a number that is no code. */
const char *vfio_error_meaning(int code);

/*
 * Print a record as one or two lines: "VFIO-103: …: No such file or directory (kernel)" and,
 * where there is one, the remedy. prefix comes first, followed by ": ", unless it is NULL.
 * Returns 1, so that a program can end with `return vfio_error_print(stderr, argv[0], &err);`.
 */
int vfio_error_print(FILE *out, const char *prefix, const struct vfio_error *err);

#ifdef __cplusplus
}
#endif
#endif
