/* SPDX-License-Identifier: MIT */
/* What the tests of interrupts share: a model, an eventfd, and requests in short. */
#ifndef TESTS_IRQS_H
#define TESTS_IRQS_H

#include "function/function.h"
#include "model.h"

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI  VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR  VFIO_PCI_ERR_IRQ_INDEX
#define REQ  VFIO_PCI_REQ_IRQ_INDEX

#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK    VFIO_IRQ_SET_ACTION_MASK
#define UNMASK  VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

struct fixture {
	struct model model;
	struct vfio_function *fn;
	int fd;
};

int irq_set_up(void **state);
int irq_tear_down(void **state);
int set(struct fixture *f, uint32_t index, uint32_t flags, uint32_t start, uint32_t count);
int set_fd(struct fixture *f, uint32_t index, int fd);
int set_bool(struct fixture *f, uint32_t index, uint32_t action, uint8_t value);

#endif
