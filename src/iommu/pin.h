/* SPDX-License-Identifier: MIT */
/*
 * Pages that stay where they are, for devices that know where they are.
 *
 * mlock(2) is not enough: the kernel moves locked pages, too (compaction, other NUMA nodes, memory
 * that is taken away). What it does not move are pages that it was told a device uses; the way for a
 * program to say so without a device is to register them as a buffer of io_uring.
 */
#ifndef LIBVFIO_IOMMU_PIN_H
#define LIBVFIO_IOMMU_PIN_H

#include <stddef.h>

/* Memory that is held. */
struct pin {
	int ring;		/* of io_uring, which pins it; -1: it is only locked, and may move */
};

/*
 * Hold whole pages. Where io_uring is not to be had, or does not take the memory (what cannot be
 * written), they are locked instead. 0, or a negative errno: -ENOMEM beyond the memlock limit, or
 * where no memory is.
 */
int pin_hold(struct pin *pin, void *vaddr, size_t size);

/*
 * Locked memory stays locked until it is unmapped: the program may have locked it, too, and locks are
 * not counted.
 */
void pin_release(struct pin *pin);

#endif
