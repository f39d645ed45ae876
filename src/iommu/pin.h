/* SPDX-License-Identifier: MIT */
/*
 * Pages that stay where they are, for devices that know where they are.
 *
 * mlock(2) is not enough: the kernel moves locked pages, too (compaction, other NUMA nodes, memory
 * that is taken away). What it does not move are pages that it was told a device uses; the way for a
 * program to say so without a device is to register them as buffers of a ring of io_uring.
 */
#ifndef LIBVFIO_IOMMU_PIN_H
#define LIBVFIO_IOMMU_PIN_H

#include <stddef.h>
#include <stdint.h>

/* The ring, and which of its buffers are free. */
struct pins {
	int ring;			/* -1: there is none, and memory is only locked */
	uint16_t *free;
	unsigned int nfree;
};

/* Memory that is held: by these buffers; none: it is locked, and may move. */
struct pin {
	uint16_t *buffers;
	unsigned int count;
};

/*
 * Before a process gives up what it may do: later it changes the ring, and makes none. That there is no
 * ring to be had is no error.
 */
void pins_open(struct pins *p);
void pins_close(struct pins *p);

/*
 * Hold whole pages. What the ring does not take (what cannot be written), is locked. 0, or a negative
 * errno: -ENOMEM beyond the memlock limit, or where no memory is.
 */
int pin_hold(struct pins *p, struct pin *pin, void *vaddr, size_t size);

/*
 * Locked memory stays locked until it is unmapped: the program may have locked it, too, and locks are
 * not counted.
 */
void pin_release(struct pins *p, struct pin *pin);

#endif
