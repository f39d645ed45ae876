/* SPDX-License-Identifier: MIT */
/*
 * A made-up machine whose kernel answers in this process: sysfs and the nodes of VFIO in a folder,
 * and behind open(), close() and ioctl(), which the linker hands us, groups, containers, iommufds and
 * devices. It keeps to the kernel's rules as far as libvfio meets them.
 */
#ifndef LIBVFIO_TESTS_FAKE_KERNEL_H
#define LIBVFIO_TESTS_FAKE_KERNEL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <vfio/driver.h>

#define FAKE_MAPS 16

struct fake_map {
	uint64_t iova, size;		/* size 0: none */
	uint64_t vaddr;
};

/* What the devices of a table see. */
struct fake_table {
	uint32_t id;			/* of an IOAS; 0 of a container */
	struct fake_map maps[FAKE_MAPS];
};

struct fake_device {
	const char *bdf, *node;
	int64_t group;
	const char *driver;		/* NULL: vfio-pci */
	bool picky;			/* its IOMMU is not like that of the others */
	unsigned int slot;		/* others of this number are reset with it; 0: cannot be */
	bool in_low_power;
	int wakeup_fd;			/* given with it, or -1 */
	bool has_dirty;			/* its IOMMU can tell which pages were written */
	const char *token;		/* the UUID that it asks for; NULL: none */
	bool is_physical;		/* and can be told one, for the device behind it */
	unsigned int uses;		/* descriptors of it that are open */
};

/* What a test looks at. Counts are of calls that succeeded. */
struct fake {
	char at[64];
	bool has_nodes;			/* is there the newer road? */
	bool is_old;			/* the kernel has no VFIO_DEVICE_FEATURE_…, nodes no tokens */
	struct fake_device devices[4];
	unsigned int containers, iommufds, ioases, groups;	/* that there are */
	unsigned int maps, copies, unmaps;
	unsigned int by_process;	/* iommufds that use the memlock limit of a process, not a user */
	uint64_t pinned;		/* bytes */
	unsigned int hot_resets;
	bool cannot_reset;		/* but by a hot reset */
	uint64_t written;		/* where a device has written, if that is remembered */
	unsigned int tables;		/* for that, that there are */
	bool is_tracking;
	unsigned long fail;		/* the ioctl that fails once, */
	unsigned int more;		/* and so often more, */
	int with;			/* with this errno */
};

extern struct fake fake;
extern char fake_token[37];		/* that a physical function was told */

/* Makes the tree for fake.devices; then it begins. */
void fake_begin(void);
/* There is no sysfs any more, as in a sandbox. */
void fake_shut(void);
/* Everything is closed, or the test fails. */
void fake_end(void);

/* Opens a node by its path below /dev. */
int fake_node(const char *name);

/* Does the device, by its container or IOAS, see memory at iova? Its address here, or 0. */
uint64_t fake_sees(const struct fake_device *d, uint64_t iova);

#endif
