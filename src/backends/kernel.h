/* SPDX-License-Identifier: MIT */
/*
 * Devices of the kernel's VFIO.
 *
 *   kernel_find.c     from a name to a place: what sysfs says of the device, checked
 *   kernel_blame.c    who is in the way, and what to do about it
 *   sysfs.c           the observer: any device, only looked at
 *   kernel_name.c     its device strings
 *   kernel_passed.c   descriptors of its node, or its group's, that the caller has
 *   kernel_token.c    VF tokens, which are asked for when it is opened
 *   kernel_open.c     which road to take
 *   kernel_group.c    the older road: group, container, type1
 *   kernel_cdev.c     the newer one: device node, iommufd, IOAS
 *   kernel_dirty.c    which pages are written, by an IOMMU that can tell
 *   kernel_space.c    what devices that see the same memory share of it
 *   kernel_device.c   the contract over the device's descriptor, which is the same on both
 *   kernel_region.c   its regions
 *   kernel_dma.c      its memory
 *   kernel_reset.c    hot reset
 *   kernel_power.c    low power
 *   kernel_chain.c    what the kernel says of it, in its own words
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
#define KERNEL_TOKEN   37		/* a UUID in words, and a NUL */
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
struct kernel_passed;

/*
 * One of the two roads to the IOMMU, or a third. Each call returns 0 or a negative errno, without a
 * record.
 *
 * A back end of this kind has a place (kernel_find()), makes a struct kernel of it with
 * kernel_new(), fills in iommu, device and what its space has (container and the group with
 * kernel_space_add_group(), or iommufd), and then calls kernel_start(); its struct backend has the
 * calls below, and kernel_close() undoes whatever was done.
 */
struct kernel_iommu {
	int (*map)(struct kernel *k, uint64_t iova, uint64_t size, void *vaddr, uint32_t prot);
	/* Whole maps only, or (0, DMA_ALL); that there is none is no error. */
	int (*unmap)(struct kernel *k, uint64_t iova, uint64_t size);
	/* What from has there, k gets, too. NULL: devices that share a space share all of it. */
	int (*copy)(struct kernel *k, const struct kernel *from, uint64_t iova, uint64_t size,
		    uint32_t prot);
	int (*ranges)(struct kernel *k, struct feature_iova_ranges *q);
	/* How many more maps there can be; UINT64_MAX: no such limit. */
	int (*maps_left)(struct kernel *k, uint64_t *left);
	/* VFIO_DEVICE_FEATURE_DMA_LOGGING_… by the IOMMU's means, if it has any; NULL: it has none. */
	bool (*has_dirty)(struct kernel *k);
	int (*dirty)(struct kernel *k, uint32_t number, const struct dirty_report *q,
		     uint64_t *bitmap, size_t bytes);
};

#define KERNEL_USERS 62			/* of a space: as many as a word has bits behind the direction */

struct kernel_group {
	int64_t number;
	int fd;
	unsigned int users;		/* 0: no group */
	bool is_passed;			/* the caller has it, too, and gets it back without container */
};

/* Where the kernel keeps memory: for one device, or for several that see the same. */
struct kernel_space {
	int container;			/* the older road; else -1 */
	int iommufd;			/* the newer one; else -1 */
	bool is_passed;			/* the caller has it, too, and may have more in it */
	struct kernel *users[KERNEL_USERS];
	unsigned int nusers;
	struct kernel_group groups[KERNEL_USERS];
	/* The word is the direction and KERNEL_USER() of each that has it; the value is vaddr. */
	struct range_map maps;
	uint64_t bytes;			/* that are mapped */
};

#define KERNEL_USER(k) ((uint64_t)(VFIO_DMA_RW + 1) << (k)->number)

struct kernel {
	struct vfio_dev dev;
	const struct kernel_roots *roots;
	struct kernel_place place;
	const struct kernel_iommu *iommu;
	struct kernel_space *space;	/* which it is in, */
	unsigned int number;		/* and among its users */
	struct kernel_group *group;	/* the older road; else NULL */
	int device;			/* what everything is asked of */
	bool is_passed;			/* the caller has it, too */
	char token[KERNEL_TOKEN];	/* it was opened with; empty: none */
	uint32_t id;			/* the newer road: what the iommufd calls it */
	uint32_t table;			/* that tells which pages were written; 0: not begun */
	uint32_t ioas;			/* the newer road: its own, or that of others of the space */
	struct vfio_device_info info;
	struct vfio_region regions[KERNEL_REGIONS];
	bool asked[KERNEL_REGIONS];
	uint64_t msix_start, msix_end;	/* the pages of the MSI-X table, in msix_bar */
	uint32_t msix_bar;
	uint16_t pm;			/* its capability of power management, or 0 */
	uint8_t header[64];		/* of configuration space, when it was opened */
	struct vfio_isolation isolation;
	bool is_served;			/* to strangers: sysfs is out of reach, maybe, and not asked */
	struct vfio_hot_reset_device *known;	/* what it said before of those that are reset with it */
	unsigned int nknown;
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

/* The kernel does not give devices away without an IOMMU. */
int kernel_noiommu_off(const struct kernel_place *p, struct vfio_error *err);

/* Another step of opening the device has failed. */
int kernel_step_failed(const struct kernel_place *p, const char *step, int e,
		       struct vfio_error *err);

/* ---- kernel_group.c, kernel_cdev.c ----------------------------------------------------------- */

/*
 * Open the device at k->place in k->space. What was done when this fails is undone by kernel_close().
 * KERNEL_ELSEWHERE: the container of the others cannot take it.
 */
int kernel_group_open(struct kernel *k, const struct kernel_passed *passed, struct vfio_error *err);
int kernel_cdev_open(struct kernel *k, const struct kernel_passed *passed, struct vfio_error *err);

#define KERNEL_ELSEWHERE 1

/* The device's descriptor stays open elsewhere: no memory is to be reached by it. */
void kernel_cdev_detach(struct kernel *k);

/* To an IOAS, or to a page table of it; from another, if it is attached already. */
int kernel_cdev_attach(struct kernel *k, uint32_t id);

/* An IOAS or a table of the space's iommufd that nobody uses any more. */
void kernel_cdev_drop(struct kernel_space *s, uint32_t id);

/* ---- kernel_dirty.c -------------------------------------------------------------------------- */

bool kernel_cdev_has_dirty(struct kernel *k);
int kernel_cdev_dirty(struct kernel *k, uint32_t number, const struct dirty_report *report,
		      uint64_t *bitmap, size_t bytes);

/* The device is closed. */
void kernel_cdev_forget_dirty(struct kernel *k);

/* ---- kernel_space.c -------------------------------------------------------------------------- */

/* k becomes a user of s, or, where that is NULL, of a new one. 0, -ENOMEM, -ENOSPC. */
int kernel_space_join(struct kernel_space *s, struct kernel *k);

/* The device is closed: its maps and its group go, and with its last user the space. */
void kernel_space_leave(struct kernel *k);

/* The group's entry, with one more user: of the group that is there, or else of fd. */
struct kernel_group *kernel_space_add_group(struct kernel_space *s, int64_t number, int fd);
struct kernel_group *kernel_space_find_group(struct kernel_space *s, int64_t number);

/* Those of the space that reach memory by the same table as k, as bits of a word. */
uint64_t kernel_space_peers(const struct kernel *k);

/* ---- kernel_name.c --------------------------------------------------------------------------- */

/* What a device string asks for. */
struct kernel_request {
	const struct kernel_roots *roots;
	struct kernel_place place;
	bool by_node;			/* by the newer road */
	char token[KERNEL_TOKEN];	/* empty: none */
	const struct kernel_passed *passed;	/* or NULL */
};

/* Descriptors of the caller's that take the place of what would be opened; -1: none. */
struct kernel_passed {
	int device, group, container, iommufd;
};

/* Fill *q, whose roots are set, from a name for which kernel_is_name() holds. */
int kernel_find_name(struct kernel_request *q, const char *name, struct vfio_error *err);

/* "vf_token=UUID", of len bytes. */
int kernel_option(struct kernel_request *q, const char *text, size_t len, struct vfio_error *err);

/* ---- kernel_token.c -------------------------------------------------------------------------- */

bool kernel_parse_token(const char *text, uint8_t uuid[16]);
int kernel_bad_token(const char *text, struct vfio_error *err);

/* The device was not given, with errno e, which is EACCES, or EINVAL because of the token. */
int kernel_token_failed(const struct kernel *k, int e, struct vfio_error *err);

int kernel_set_vf_token(struct vfio_dev *dev, const char *uuid);

/* ---- kernel_open.c --------------------------------------------------------------------------- */

/* A device that is not open yet, in a space of its own or in that of others; NULL: no memory. */
struct kernel *kernel_new(const struct kernel_roots *roots, const struct kernel_place *p,
			  const struct backend *backend, struct kernel_space *s);

/* In a space of its own (NULL), or in that of others. */
int kernel_open_request(struct vfio_dev **dev, const struct kernel_request *q,
			struct kernel_space *s, struct vfio_error *err);

/* open_beside() of the contract. */
int kernel_open_beside(struct vfio_dev *beside, struct vfio_dev **dev, const char *name,
		       struct vfio_error *err);

/* Is the newer road to be taken? */
bool kernel_has_nodes(const struct kernel_roots *roots, const struct kernel_place *p);

/* ---- kernel_device.c ------------------------------------------------------------------------ */

extern const struct backend kernel_group_backend, kernel_cdev_backend;

/* What the device is: asked once it is open. */
int kernel_start(struct kernel *k);

/* However far opening it came. */
void kernel_close(struct vfio_dev *dev);

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

/* The device is closed: what only it had is unmapped. */
void kernel_dma_drop(struct kernel *k);
/* RLIMIT_MEMLOCK in bytes, or UINT64_MAX for those whom it does not bind. */
uint64_t kernel_memlock(void);

/* ---- kernel_reset.c ------------------------------------------------------------------------- */

int kernel_hot_reset_info(struct vfio_dev *dev, struct vfio_hot_reset_device *list,
			  unsigned int max);
int kernel_hot_reset(struct vfio_dev *dev);
/* From now on sysfs is not asked: a sandbox may end who opens a file. */
void kernel_reset_serve(struct kernel *k);

/* ---- kernel_power.c ------------------------------------------------------------------------- */

int kernel_low_power_enter(struct vfio_dev *dev, int wakeup_fd);
int kernel_low_power_exit(struct vfio_dev *dev);

/* ---- kernel_chain.c ------------------------------------------------------------------------- */

ssize_t kernel_info_chain(struct vfio_dev *dev, uint32_t what, uint32_t index, void *buf,
			  size_t size);

/* ---- kernel_feature.c ----------------------------------------------------------------------- */

/* The kernel's numbers, some of which older headers do not have. */
#define KERNEL_VF_TOKEN         0u
#define KERNEL_LOW_POWER        3u
#define KERNEL_LOW_POWER_WAKEUP 4u
#define KERNEL_LOW_POWER_EXIT   5u

/* VFIO_DEVICE_FEATURE, as it is: a negative errno without a record. */
int kernel_ask_feature(struct kernel *k, uint32_t flags, void *data, size_t len);

int kernel_feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len);

/* ---- kernel_isolation.c --------------------------------------------------------------------- */

/* Of a device that the kernel has just given out; by_node: on the newer road. */
struct vfio_isolation kernel_isolation(const struct kernel_roots *roots, bool by_node);

#endif
