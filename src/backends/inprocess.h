/* SPDX-License-Identifier: MIT */
/* The contract over a virtual function, for back ends that have one and do some things otherwise. */
#ifndef LIBVFIO_BACKENDS_INPROCESS_H
#define LIBVFIO_BACKENDS_INPROCESS_H

#include "contract.h"

/* What a device begins with that uses its calls. */
struct inprocess {
	struct vfio_dev dev;
	struct vfio_function *fn;	/* its records go to dev.error */
};

extern const struct backend inprocess_backend;

#endif
