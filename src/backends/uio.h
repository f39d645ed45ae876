/* SPDX-License-Identifier: MIT */
/*
 * Devices that uio_pci_generic has.
 *
 *   uio.c       the contract over its function
 *   uio_find.c  which device, and what is in its way
 *   uio_irq.c   its interrupt, which the kernel carries to the driver's eventfd
 *   uio_ring.c  by what the kernel does so
 */
#ifndef LIBVFIO_BACKENDS_UIO_H
#define LIBVFIO_BACKENDS_UIO_H

#include <limits.h>

#include "backends/kernel.h"
#include "function/function.h"

/* ---- uio_irq.c ------------------------------------------------------------------------------- */

/*
 * INTx by /dev/uioN: a read of it ends when the pin was asserted, and then the kernel has set the
 * INTx disable bit. That read, and behind it a write to the driver's eventfd, are queued with
 * io_uring, so that the driver polls its eventfd and nothing else, and no thread of ours stands
 * between.
 */
struct uio_irq {
	struct line line;
	struct vfio_function *fn;
	int uio;			/* /dev/uioN, the caller's */
	struct uio_ring *ring;		/* NULL: the kernel gives none, */
	int why;			/* with this errno */
	bool armed;
	int32_t count;			/* where the read goes, */
	uint64_t one;			/* and what is written */
};

/* For a function that is there; its line is this from now on. */
void uio_irq_open(struct uio_irq *irq, struct vfio_function *fn, int uio);
/* This thread is about to serve strangers, and may be shut in. */
void uio_irq_distrust(struct uio_irq *irq);
/* The function has no line any more. */
void uio_irq_close(struct uio_irq *irq);

/* ---- uio_find.c ------------------------------------------------------------------------------ */

#define UNSAFE_UIO "uio:"		/* how it is asked for */

/* What sysfs says of the device whose address name is: 0 when uio_pci_generic has it, or -errno. */
int uio_find(const struct kernel_roots *roots, const char *name, struct kernel_place *p,
	     struct vfio_error *err);
/* The path of its node, /dev/uioN. */
int uio_find_node(const struct kernel_roots *roots, const struct kernel_place *p,
		  char path[PATH_MAX], struct vfio_error *err);
/* Opening or locking that has failed with errno e: why? */
int uio_node_failed(const struct kernel_roots *roots, const struct kernel_place *p,
		    const char *path, int e, struct vfio_error *err);

/* ---- uio.c ----------------------------------------------------------------------------------- */

/* Open the device of an address. */
int uio_open_place(struct vfio_dev **dev, const struct kernel_roots *roots, const char *name,
		   struct vfio_error *err);

#endif
