/* SPDX-License-Identifier: MIT */
/*
 * The virtual function: a PCI function as VFIO shows it, over a software model.
 *
 *   config.c   configuration space, driven by the table in pci/table.c
 *   build.c    what a description says, as configuration space
 *   region.c   BARs: trapped, memory, MSI-X table
 *   irq.c      INTx, MSI, MSI-X, REQ
 *   dma.c      the device's way to memory, through the bus-master gate and the IOMMU
 *   function.c life: new, power-on, reset, free
 */
#ifndef LIBVFIO_FUNCTION_H
#define LIBVFIO_FUNCTION_H

#include <linux/pci_regs.h>

#include <vfio/device.h>
#include <vfio/pci.h>

#include "base/signaler.h"
#include "contract.h"
#include "iommu/space.h"

#define CONFIG_SIZE 256
#define NUM_BARS    6
#define NO_INDEX    UINT32_MAX
#define MSI_MAX     32
#define MSIX_MAX    2048

/* Where a description's capabilities lie; 0: the function has none. */
struct layout {
	uint8_t pm, msi, msix;
};

/*
 * Configuration space: what the device itself would answer (raw) and what the virtual function
 * answers instead (shadow); for each bit, who answers (virt), and what a write does (write, w1c).
 */
struct config {
	uint8_t raw[CONFIG_SIZE], shadow[CONFIG_SIZE];
	uint8_t virt[CONFIG_SIZE], write[CONFIG_SIZE], w1c[CONFIG_SIZE];
};

/* The part of a BAR that is memory. base spans the whole BAR; only the areas are backed. */
struct bar_memory {
	uint8_t *base;
	int fd;
};

struct interrupts {
	uint32_t active;		/* VFIO_PCI_INTX_IRQ_INDEX, MSI, MSI-X or NO_INDEX */
	int intx;			/* eventfd or -1 */
	int unmask;			/* eventfd that re-arms INTx, or -1 */
	bool masked, asserted;
	bool disabled;			/* the INTx disable bit, as it was last */
	uint32_t allocated;		/* MSI, MSI-X: vectors that exist */
	uint32_t msi_allowed;		/* log2 of the vectors of the last MSI enable */
	int *vectors;			/* eventfds or -1, as many as the larger of MSI and MSI-X */
	int req;
};

struct vfio_function {
	struct vfio_function_description description;
	struct vfio_area *areas[NUM_BARS];	/* our copy */
	const struct vfio_function_ops *ops;
	void *state;
	struct layout layout;
	struct config config, power_on;
	uint8_t power_state;		/* 0 or 3: D0 or D3hot */
	struct bar_memory memory[NUM_BARS];
	struct interrupts irq;
	struct signaler signaler;
	struct space space;
	struct vfio_error *err;		/* where refusals are recorded; never NULL */
	struct vfio_error no_handle;	/* err, until a handle is made */
};

/* function.c */
int function_power_on(struct vfio_function *fn);
int function_reset(struct vfio_function *fn);

/* dma.c */
void function_dma_clear(struct vfio_function *fn);
int function_dma_map(struct vfio_function *fn, const struct dma_map *map);
int function_dma_unmap(struct vfio_function *fn, uint64_t iova, uint64_t size, uint64_t *unmapped);

/* build.c */
int function_check(const struct vfio_function_description *d, struct vfio_error *err);
void function_build(struct vfio_function *fn);

/* config.c */
ssize_t function_config_read(struct vfio_function *fn, uint64_t offset, void *buf, size_t len);
ssize_t function_config_write(struct vfio_function *fn, uint64_t offset, const void *buf, size_t len);
void function_config_masks(struct vfio_function *fn);
uint16_t function_command(const struct vfio_function *fn);
bool function_decodes_memory(const struct vfio_function *fn);
bool function_masters_bus(const struct vfio_function *fn);

/* region.c */
int function_region(struct vfio_function *fn, uint32_t index, struct vfio_region *region);
ssize_t function_read(struct vfio_function *fn, uint32_t region, uint64_t offset, void *buf, size_t len);
ssize_t function_write(struct vfio_function *fn, uint32_t region, uint64_t offset, const void *buf,
		       size_t len);
int function_memory_renew(struct vfio_function *fn, struct vfio_error *err);
void function_memory_free(struct vfio_function *fn);

/* irq.c */
int function_irqs_init(struct vfio_function *fn);
void function_irqs_clear(struct vfio_function *fn);
int function_irq_info(struct vfio_function *fn, uint32_t index, struct vfio_irq_info *info);
int function_set_irqs(struct vfio_function *fn, const struct irq_request *request);
/* Something to poll and then to dispatch, or -1. */
int function_poll_fd(const struct vfio_function *fn);
void function_dispatch(struct vfio_function *fn);
void function_intx_disable_changed(struct vfio_function *fn, bool disabled);

#endif
