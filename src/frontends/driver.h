/* SPDX-License-Identifier: MIT */
/*
 * The driver API's own state: what a driver has got from us and has not given back.
 *
 *   driver.c   what the device is, registers, life
 *   channel.c  what PCI cannot tell: where a write went, records, policy
 *   irqs.c     interrupts
 *   dma.c      memory
 */
#ifndef LIBVFIO_FRONTENDS_DRIVER_H
#define LIBVFIO_FRONTENDS_DRIVER_H

#include <sys/queue.h>

#include "contract.h"

#define DRIVER_INDEXES 5

/* Registers that are mapped. */
struct register_map {
	SLIST_ENTRY(register_map) link;
	uint32_t region;
	uint64_t offset;
	size_t len;
	uint8_t *addr;
};

/* Memory that is mapped for the device; in order of IOVA. */
struct dma_entry {
	TAILQ_ENTRY(dma_entry) link;
	struct vfio_dma dma;
	bool ours;		/* made by vfio_dma_alloc() */
};

/* The eventfds of an interrupt index that vfio_irq_enable() made. */
struct irq_entry {
	int *fds;
	uint32_t count;
};

struct driver {
	SLIST_HEAD(, register_map) maps;
	TAILQ_HEAD(dma_list, dma_entry) dma;
	struct irq_entry irqs[DRIVER_INDEXES];
	unsigned int dma_bits;
};

/* The state of dev, made at need; NULL and a record when there is no memory. */
struct driver *driver_of(struct vfio_dev *dev);

/* All of configuration space; returns how many bytes there are. */
ssize_t driver_config(struct vfio_dev *dev, uint8_t config[4096]);

void driver_irqs_close(struct vfio_dev *dev);
void driver_dma_close(struct vfio_dev *dev);

#endif
