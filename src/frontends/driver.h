/* SPDX-License-Identifier: MIT */
/*
 * The driver API's own state: what a driver has got from us and has not given back.
 *
 *   driver.c     what the device is, registers, life
 *   channel.c    what PCI cannot tell: where a write went, records, policy
 *   irqs.c       interrupts
 *   space.h      memory
 *   faults.c     what the device says of its memory: maps, limits, faults, dirty pages
 *   events.c     what ends the use of a device
 *   hardware.c   what only hardware has
 *   doorbells.c  eventfds that wake the device
 */
#ifndef LIBVFIO_FRONTENDS_DRIVER_H
#define LIBVFIO_FRONTENDS_DRIVER_H

#include <sys/queue.h>

#include "contract.h"
#include "frontends/space.h"

#define DRIVER_INDEXES 5

/* Registers that are mapped. */
struct register_map {
	SLIST_ENTRY(register_map) link;
	uint32_t region;
	uint64_t offset;
	size_t len;
	uint8_t *addr;
};

/* The eventfds of an interrupt index that vfio_irq_enable() made. */
struct irq_entry {
	int *fds;
	uint32_t count;
};

struct driver {
	struct vfio_dev *dev;
	SLIST_HEAD(, register_map) maps;
	struct irq_entry irqs[DRIVER_INDEXES];
	int fault_fd;		/* -1: not made yet */
	int event_fd;		/* the same */
	struct vfio_space *space;	/* what it is attached to, */
	LIST_ENTRY(driver) member;	/* and among which others; */
	struct vfio_space own;		/* this one at first */
	unsigned int dma_bits;
	int addr_mode;		/* VFIO_ADDRESS_…; -1: not asked yet */
	unsigned int nranges;		/* 0: not asked yet */
	struct vfio_iova_range ranges[VFIO_MAX_IOVA_RANGES];
};

/* The state of dev, made at need; NULL and a record when there is no memory. */
struct driver *driver_new(struct vfio_dev *dev);

static inline struct driver *driver_of(struct vfio_dev *dev)
{
	return dev->driver ? dev->driver : driver_new(dev);
}

/* All of configuration space; returns how many bytes there are. */
ssize_t driver_config(struct vfio_dev *dev, uint8_t config[4096]);

/* channel.c */
/* A feature; that the other end does not know it is no error yet: the record stays as it was. */
int driver_get(struct vfio_dev *dev, uint32_t number, void *data, size_t len);
bool driver_is_unknown(int r);
/* -ENOTSUP. */
int driver_cannot_tell(struct vfio_dev *dev, const char *what);

/* faults.c */
void driver_faults_close(struct vfio_dev *dev);

void driver_irqs_close(struct vfio_dev *dev);

/* events.c: after the interrupts, whose eventfds are looked at */
void driver_events_close(struct vfio_dev *dev);

/* dma.c: the space that the device is attached to; NULL and a record when there is no memory. */
struct vfio_space *space_of(struct vfio_dev *dev);

/* space.c */
void driver_dma_open(struct driver *d);
void driver_dma_close(struct vfio_dev *dev);

#endif
