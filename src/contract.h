/* SPDX-License-Identifier: MIT */
/*
 * The device contract: everything that may be asked of a VFIO device.
 *
 * The waist of the hourglass. A front end (driver API, vfio-user server) speaks only this; a back
 * end (socket, in process) implements only this. Any front end works over any back end.
 *
 * Results are 0 or positive, or a negative errno with the device's error record filled
 * (error_set()). A back end checks everything that it is asked: front ends forward what strangers
 * say.
 */
#ifndef LIBVFIO_CONTRACT_H
#define LIBVFIO_CONTRACT_H

#include <vfio/device.h>
#include <vfio/driver.h>

#include "iommu/map.h"

#define MSIX_MAX VFIO_MAX_VECTORS	/* vectors, and no index has more (PCI 3.0, 6.8.2.3) */

struct driver;

/* What every back end's device begins with. The public handle is this. */
struct vfio_dev {
	const struct backend *backend;
	struct vfio_error error;	/* of the last call that failed */
	struct driver *driver;		/* the driver API's own state; NULL until it needs any */
	char *name;			/* the device string, for people; or NULL */
};

/*
 * VFIO_DEVICE_SET_IRQS. For DATA_EVENTFD fds has count entries, -1 for none; the back end copies
 * them.
 */
struct irq_request {
	uint32_t flags;			/* one VFIO_IRQ_SET_DATA_*, one VFIO_IRQ_SET_ACTION_* */
	uint32_t index, start, count;
	const uint8_t *bools;		/* DATA_BOOL: count bytes */
	const int *fds;			/* DATA_EVENTFD: count descriptors */
};

/*
 * Features of VFIO_DEVICE_FEATURE that are libvfio's own; the kernel has none of these numbers. GETs
 * unless it says SET, some with a question in the data. They cross the wire as they are.
 */
#define FEATURE_CONFIG_INFO 0xf000	/* struct vfio_config_info; offset is the question */
#define FEATURE_WRITE_WHERE 0xf001	/* uint32_t, VFIO_WENT_… of the last write */
#define FEATURE_RECORD      0xf002	/* struct feature_record; cursor is the question */
#define FEATURE_RESET_INFO  0xf003	/* struct vfio_reset_info */
#define FEATURE_VECTORS     0xf004	/* struct feature_vectors; index is the question */
#define FEATURE_DMA_MAP     0xf005	/* struct feature_dma_map; cursor is the question */
#define FEATURE_DMA_LIMITS  0xf006	/* struct vfio_dma_limits */
#define FEATURE_IOVA_RANGES 0xf007	/* struct feature_iova_ranges */
#define FEATURE_FAULT       0xf008	/* struct vfio_fault; count 0: there was none */
#define FEATURE_FAULT_EVENT 0xf009	/* SET: struct feature_fault_event */
#define FEATURE_ADDRESSING  0xf00a	/* uint32_t, VFIO_ADDRESS_…; who does not know it: IOVA */
#define FEATURE_ISOLATION   0xf00b	/* struct vfio_isolation */
#define FEATURE_SIGNALLED   0xf018	/* struct feature_signalled; index is the question */

/*
 * Features of the kernel's whose data has pointers there: as vfio-user has them, that is behind one
 * another. START: struct dirty_start and ranges; STOP: nothing; REPORT: struct dirty_report and the
 * bitmap.
 */
#define FEATURE_DIRTY_START  VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define FEATURE_DIRTY_STOP   VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define FEATURE_DIRTY_REPORT VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT

#define FEATURE_MAX 8192		/* bytes of data, at most */
#define FEATURE_MANY_RECORDS 100	/* more than any device keeps: where to stop asking */

struct feature_record {
	uint64_t cursor;
	struct vfio_error record;
	uint32_t found;			/* is there one? */
	uint32_t of_call;		/* is it of a call that failed, and not of a silent loss? */
};

struct feature_vectors {
	uint32_t index;
	struct vfio_vectors vectors;
};

struct feature_signalled {
	uint32_t index, reserved;
	uint64_t set[VFIO_MAX_VECTORS / 64];
};

struct feature_dma_map {
	uint64_t cursor;
	struct vfio_dma_info info;
	uint32_t found;			/* is there one? */
	uint32_t reserved;
};

struct feature_iova_ranges {
	uint64_t count;
	struct vfio_iova_range ranges[VFIO_MAX_IOVA_RANGES];
};

/* On the wire the eventfd goes beside the message, and fd says only whether (not -1) there is one. */
struct feature_fault_event {
	int32_t fd;			/* copied; -1: no longer */
	uint32_t reserved;
};

struct dirty_start {
	uint64_t page;
	uint32_t nranges;		/* 0: everything */
	uint32_t reserved;
};

struct dirty_report {
	uint64_t iova, size, page;
};

/* A register in memory that a device polls only while it is at work. */
struct doorbell {
	uint64_t offset, size;		/* size 0: of any width */
	int fd;				/* an eventfd, the device's own: whoever wants it copies it */
};

#define MAX_DOORBELLS 64		/* of a region */

struct backend {
	const char *name;
	enum vfio_refuser who;		/* answers */
	int (*info)(struct vfio_dev *dev, struct vfio_device_info *info);
	int (*region)(struct vfio_dev *dev, uint32_t index, struct vfio_region *region);
	ssize_t (*read)(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf, size_t len);
	ssize_t (*write)(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
			 size_t len);
	int (*irq_info)(struct vfio_dev *dev, uint32_t index, struct vfio_irq_info *info);
	int (*set_irqs)(struct vfio_dev *dev, const struct irq_request *request);
	int (*dma_map)(struct vfio_dev *dev, const struct dma_map *map);
	/*
	 * Every map inside the range (iova 0, size DMA_ALL: all of them); that there is none is no
	 * error. *unmapped gets their bytes, on failure too: what is counted is gone.
	 */
	int (*dma_unmap)(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped);
	int (*reset)(struct vfio_dev *dev);
	/*
	 * The users are strangers from now on: what they hold, too, must not be waited for. guarded:
	 * mend() is called when touching memory of theirs raises SIGBUS.
	 */
	void (*distrust)(struct vfio_dev *dev, bool guarded);
	/* May be called in a signal handler: true when touching addr again will do. */
	bool (*mend)(struct vfio_dev *dev, const void *addr);
	/* The user has gone: interrupts and maps dropped, device at power-on. */
	int (*recycle)(struct vfio_dev *dev);
	/*
	 * VFIO_DEVICE_FEATURE: flags are a number and VFIO_DEVICE_FEATURE_GET, _SET, _PROBE; the
	 * question is in data, and the answer comes there. -ENOTTY for a number that it does not
	 * have, or where there are none (NULL, too).
	 */
	int (*feature)(struct vfio_dev *dev, uint32_t flags, void *data, size_t len);
	/* vfio_policy_set(), vfio_policy_get(); NULL: there is no policy. */
	int (*policy_set)(struct vfio_dev *dev, const char *key, const char *value);
	int (*policy_get)(struct vfio_dev *dev, const char *key, char *value, size_t size);
	/*
	 * Something to poll for events from the other end, or -ENOTSUP (without a record, since it
	 * is asked at each wait); and what to do when it is readable.
	 */
	int (*poll_fd)(struct vfio_dev *dev);
	int (*dispatch)(struct vfio_dev *dev);
	int (*set_timeout)(struct vfio_dev *dev, unsigned int milliseconds);
	/*
	 * The doorbells of a region: their number; when that is more than max, nothing was stored,
	 * and nobody has promised to signal. NULL: they are not to be had.
	 */
	int (*doorbells)(struct vfio_dev *dev, uint32_t region, struct doorbell *list,
			 unsigned int max);
	/* vfio_hot_reset_info(), vfio_hot_reset(); NULL: there is no such thing. */
	int (*hot_reset_info)(struct vfio_dev *dev, struct vfio_hot_reset_device *list,
			      unsigned int max);
	int (*hot_reset)(struct vfio_dev *dev);
	/* vfio_low_power_enter(), vfio_low_power_exit(); NULL: likewise. */
	int (*low_power_enter)(struct vfio_dev *dev, int wakeup_fd);
	int (*low_power_exit)(struct vfio_dev *dev);
	/* vfio_set_vf_token(); NULL: likewise. */
	int (*set_vf_token)(struct vfio_dev *dev, const char *uuid);
	/* vfio_info_chain(); NULL: likewise. */
	ssize_t (*info_chain)(struct vfio_dev *dev, uint32_t what, uint32_t index, void *buf,
			      size_t size);
	/*
	 * Open the device called name so that memory of both is kept once. 1, without a record: that
	 * cannot be with these two. NULL: it never can.
	 */
	int (*open_beside)(struct vfio_dev *beside, struct vfio_dev **dev, const char *name,
			   struct vfio_error *err);
	/* Frees dev. */
	void (*close)(struct vfio_dev *dev);
};

/*
 * What vfio_open() does (open.c), for a front end that has something to say first: beside() opens the
 * device, or returns 1 if it does not.
 */
typedef int open_beside(void *arg, struct vfio_dev **dev, const char *name, struct vfio_error *err);
int contract_open(struct vfio_dev **dev, const char *name, open_beside *beside, void *arg,
		struct vfio_error *err);

/*
 * The rule for every access: how many of len bytes at offset lie in a region of size bytes (0 for
 * len 0), or -EINVAL when none does, as the kernel says; of configuration space all or -EFAULT.
 */
ssize_t contract_check_access(uint32_t region, uint64_t size, uint64_t offset, size_t len,
			      const char *verb, struct vfio_error *err);

/* FEATURE_ISOLATION, for a back end that knows the answer beforehand. */
int contract_isolation(const struct vfio_isolation *answer, uint32_t flags, void *data, size_t len,
		       struct vfio_error *err);

#endif
