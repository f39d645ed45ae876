/* SPDX-License-Identifier: MIT */
/*
 * What the back ends offer to the registry (src/open.c). Each returns 0 and *dev, or a negative
 * errno.
 */
#ifndef LIBVFIO_BACKENDS_H
#define LIBVFIO_BACKENDS_H

#include "contract.h"

/* inprocess.c: a function in this process; the device owns it from then on. */
int inprocess_open(struct vfio_dev **dev, struct vfio_function *fn, struct vfio_error *err);

/* module.c: "NAME[,options]" or "PATH.so[,options]", in this process. */
int module_open(struct vfio_dev **dev, const char *name, struct vfio_error *err);

/*
 * socket.c: a vfio-user server at a path, or behind a connected socket, which the device owns from
 * then on; on failure it is still the caller's.
 */
int socket_open_path(struct vfio_dev **dev, const char *path, struct vfio_error *err);
int socket_open_fd(struct vfio_dev **dev, int fd, struct vfio_error *err);

/*
 * kernel_open.c: a device of the kernel's VFIO, by its PCI address, or as vfioN by its node; and does
 * the name look like one of those?
 */
bool kernel_is_name(const char *name);
int kernel_open(struct vfio_dev **dev, const char *name, struct vfio_error *err);

/*
 * kernel_passed.c: could the descriptor be a node of VFIO's? It stays the caller's; text is what is
 * behind the number, options with commas.
 */
bool kernel_is_fd(int fd);
int kernel_open_fd(struct vfio_dev **dev, int fd, const char *text, struct vfio_error *err);

/* sysfs.c: any PCI device, only to look at: its address, or its folder in some sysfs. */
int sysfs_open(struct vfio_dev **dev, const char *name, struct vfio_error *err);

/* uio.c: one by its PCI address, that uio_pci_generic has. */
int uio_open(struct vfio_dev **dev, const char *name, struct vfio_error *err);

/* noiommu.c: one by its PCI address, that the kernel's VFIO gives away without an IOMMU. */
int noiommu_open(struct vfio_dev **dev, const char *name, struct vfio_error *err);

#endif
