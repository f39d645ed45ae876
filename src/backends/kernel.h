/* SPDX-License-Identifier: MIT */
/*
 * Devices of the kernel's VFIO.
 *
 *   kernel_find.c     from a name to a place: what sysfs says of the device, checked
 *   kernel_blame.c    who is in the way, and what to do about it
 *   sysfs.c           the observer: any device, only looked at
 *   kernel_open.c     the two device strings; which road to take
 *   kernel_group.c    the older road: group, container, type1
 *   kernel_cdev.c     the newer one: device node, iommufd, IOAS
 *   kernel_device.c   the contract over the device's descriptor, which is the same on both
 *   kernel_region.c   its regions
 *   kernel_dma.c      its memory
 *   kernel_feature.c  what else can be asked
 *   kernel_isolation.c  what keeps it in its place
 *
 * noiommu.c, beside them, is about devices without an IOMMU, and makes use of what is here.
 */
#ifndef LIBVFIO_BACKENDS_KERNEL_H
#define LIBVFIO_BACKENDS_KERNEL_H

#include "backends/backends.h"
#include "base/range_map.h"

#define KERNEL_BDF     20		/* 0000:03:00.0, or a domain of eight digits, and a NUL */
#define KERNEL_NAME    64
#define KERNEL_REGIONS 64
#define KERNEL_NODE    "/vfio"		/* below the folder of nodes */

/* Where the system describes itself. A test has them elsewhere. */
struct kernel_roots {
	const char *sys, *dev, *proc;
};

extern const struct kernel_roots kernel_roots;

/* Where a device is. Strings hold letters, digits and "_.:-" only, whatever sysfs says. */
struct kernel_place {
	char bdf[KERNEL_BDF];
	char driver[KERNEL_NAME];	/* empty: none */
	char node[KERNEL_NAME];		/* vfio3; empty: the kernel has no such nodes */
	int64_t group;			/* -1: none */
};

struct kernel;

/* One of the two roads to the IOMMU. Each call returns 0 or a negative errno, without a record. */
struct kernel_iommu {
	int (*map)(struct kernel *k, uint64_t iova, uint64_t size, void *vaddr, uint32_t prot);
	/* Whole maps only, or (0, DMA_ALL); that there is none is no error. */
	int (*unmap)(struct kernel *k, uint64_t iova, uint64_t size);
	int (*ranges)(struct kernel *k, struct feature_iova_ranges *q);
	/* How many more maps there can be; UINT64_MAX: no such limit. */
	int (*maps_left)(struct kernel *k, uint64_t *left);
	/* VFIO_DEVICE_FEATURE_DMA_LOGGING_… by the IOMMU's means; NULL: it has none. */
	int (*dirty)(struct kernel *k, uint32_t number, const struct dirty_report *q,
		     uint64_t *bitmap, size_t bytes);
};

struct kernel {
	struct vfio_dev dev;
	struct kernel_place place;
	const struct kernel_iommu *iommu;
	int device;			/* what everything is asked of */
	int group, container;		/* the older road; else -1 */
	int iommufd;			/* the newer one; else -1 */
	uint32_t ioas;
	struct vfio_device_info info;
	struct vfio_region regions[KERNEL_REGIONS];
	bool asked[KERNEL_REGIONS];
	uint64_t msix_start, msix_end;	/* the pages of the MSI-X table, in msix_bar */
	uint32_t msix_bar;
	uint8_t header[64];		/* of configuration space, when it was opened */
	struct range_map maps;		/* the word is the direction */
	uint64_t bytes;			/* that are mapped */
	struct vfio_isolation isolation;
};

static inline struct kernel *kernel_of(struct vfio_dev *dev)
{
	return (struct kernel *)dev;
}

/* ---- kernel_find.c -------------------------------------------------------------------------- */

/* [dddd:]bb:dd.f, as sysfs writes it. False: it is no PCI address. */
bool kernel_parse(const char *name, char bdf[KERNEL_BDF]);

/*
 * Find a device by its address, or by the name of its node, and see whether a driver of VFIO's has
 * it. 0, or -errno and a record.
 */
int kernel_find(const struct kernel_roots *roots, const char *bdf, struct kernel_place *p,
		struct vfio_error *err);
int kernel_find_node(const struct kernel_roots *roots, const char *node, struct kernel_place *p,
		     struct vfio_error *err);

/*
 * The same in its steps. What sysfs says of any device, whoever has it; then two things that are
 * needed to use it.
 */
int kernel_look(const struct kernel_roots *roots, const char *bdf, struct kernel_place *p,
		struct vfio_error *err);
int kernel_need_iommu(const struct kernel_roots *roots, const struct kernel_place *p,
		      struct vfio_error *err);
int kernel_need_driver(const struct kernel_roots *roots, const struct kernel_place *p,
		       struct vfio_error *err);

/* Nothing would confine the DMA of bdf, which is a device or, in general, "a device". */
int kernel_no_iommu(const char *bdf, struct vfio_error *err);

/* The address of the device whose node it is. */
int kernel_node_address(const struct kernel_roots *roots, const char *node, char bdf[KERNEL_BDF],
			struct vfio_error *err);

/* The type of its header (0: an ordinary function), or -errno when that cannot be read. */
int kernel_header_type(const struct kernel_roots *roots, const char *bdf);

/* The file or link at path cannot be the kernel's. */
int kernel_no_sense(const char *path, const char *why, struct vfio_error *err);

/* One that the kernel gives away without an IOMMU, and no other. */
#define UNSAFE_NOIOMMU "unsafe-noiommu:"	/* how it is asked for */
int kernel_find_unguarded(const struct kernel_roots *roots, const char *bdf,
			  struct kernel_place *p, struct vfio_error *err);

/* The last part of what the link at path points to: its length, 0 when there is none, or -errno. */
int kernel_link(const char *path, char *name, size_t size, struct vfio_error *err);

/* Is it a driver of VFIO's: may users have the devices that it has? */
bool kernel_is_vfio(const struct kernel_roots *roots, const char *bdf, const char *driver);

/* ---- kernel_blame.c ------------------------------------------------------------------------- */

/* Opening the node at path has failed with errno e: why? */
int kernel_node_failed(const struct kernel_roots *roots, const struct kernel_place *p,
		       const char *path, int e, struct vfio_error *err);

/*
 * The node at path is open, but the kernel does not give the device or its group to us, with errno
 * e: has a neighbour's driver got it, or another user, or can its interrupts be forged (EPERM)?
 */
int kernel_not_granted(const struct kernel_roots *roots, const struct kernel_place *p,
		       const char *path, int e, struct vfio_error *err);

/*
 * What keeps the device's group from being used: each() for every neighbour that has a driver of the
 * kernel's. Returns how many there are.
 */
unsigned int kernel_neighbours(const struct kernel_roots *roots, const struct kernel_place *p,
			       void (*each)(void *arg, const struct vfio_error *err), void *arg);

/* Has a process that this user can look into the node at path open? 0, or -EBUSY and a record. */
int kernel_held(const struct kernel_roots *roots, const struct kernel_place *p, const char *path,
		struct vfio_error *err);

/* The device's DMA would be confined, but not its interrupts. */
int kernel_forgeable(const struct kernel_place *p, struct vfio_error *err);

/* Another step of opening the device has failed. */
int kernel_step_failed(const struct kernel_place *p, const char *step, int e,
		       struct vfio_error *err);

/* ---- kernel_group.c, kernel_cdev.c ----------------------------------------------------------- */

/* Open the device at k->place. What was done when this fails is undone by the backend's close(). */
int kernel_group_open(struct kernel *k, const struct kernel_roots *roots, struct vfio_error *err);
int kernel_cdev_open(struct kernel *k, const struct kernel_roots *roots, struct vfio_error *err);

/* ---- kernel_open.c --------------------------------------------------------------------------- */

/* Is the newer road to be taken? */
bool kernel_has_nodes(const struct kernel_roots *roots, const struct kernel_place *p);

/* ---- kernel_device.c ------------------------------------------------------------------------ */

extern const struct backend kernel_group_backend, kernel_cdev_backend;

/* What the device is: asked once it is open. */
int kernel_start(struct kernel *k);

/* ---- kernel_region.c ------------------------------------------------------------------------ */

/* Where the MSI-X table is, which is never mapped. */
int kernel_find_msix(struct kernel *k);

int kernel_region(struct vfio_dev *dev, uint32_t index, struct vfio_region *region);
ssize_t kernel_read(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf, size_t len);
ssize_t kernel_write(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
		     size_t len);

/* ---- kernel_dma.c --------------------------------------------------------------------------- */

int kernel_dma_map(struct vfio_dev *dev, const struct dma_map *map);
int kernel_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped);
#define KERNEL_MEMLOCK_REMEDY                                                                      \
	"raise the memlock limit: ulimit -l, LimitMEMLOCK= of a systemd unit, or memlock in "      \
	"/etc/security/limits.conf"

/* RLIMIT_MEMLOCK in bytes, or UINT64_MAX for those whom it does not bind. */
uint64_t kernel_memlock(void);

/* ---- kernel_feature.c ----------------------------------------------------------------------- */

int kernel_feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len);

/* ---- kernel_isolation.c --------------------------------------------------------------------- */

/* Of a device that the kernel has just given out; by_node: on the newer road. */
struct vfio_isolation kernel_isolation(const struct kernel_roots *roots, bool by_node);

#endif
