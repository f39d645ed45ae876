/* SPDX-License-Identifier: MIT */
/*
 * A second statement of what a virtual function does: of one device (device.h), without its table
 * of registers, its chunks and its cases, and written from the description of the kernel's VFIO,
 * not from src/function. What a step does to both must look the same from outside.
 *
 * "A7.3" and the like are sections of that description, "I 47" its assertions. "Ours" is where
 * libvfio differs by choice, which libvfio(7) lists.
 */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/vfio.h>

#include "device.h"

/* An event is an index into the eventfds that the test has; this is none. */
#define NO_EVENT      (-1)
#define MAX_EVENTS    16

/* One message: an entry of MSI or MSI-X. */
struct reference_vector {
	bool allocated;
	bool pending;			/* was sent, and could not be delivered */
	int event;
};

struct reference {
	uint8_t config[DEVICE_CONFIG_SIZE];	/* as a read shows it */
	uint8_t power_on[DEVICE_CONFIG_SIZE];
	uint8_t writable[DEVICE_CONFIG_SIZE];	/* bits that keep what is written */
	uint8_t cleared[DEVICE_CONFIG_SIZE];	/* bits that a one clears: here none is ever set */
	uint8_t vpd[DEVICE_VPD_SIZE];
	/* Where the capabilities are. */
	unsigned int pm_at, vpd_at, msi_at, msix_at, express_at, af_at, vendor_at, hidden_at;

	int active;			/* VFIO_PCI_…_IRQ_INDEX, or NO_INDEX */
	struct reference_vector vectors[DEVICE_VECTORS];
	unsigned int allowed;		/* MSI: the largest Multiple Message Enable */
	unsigned int granted;		/* vectors, by the administrator's policy */
	unsigned int used;		/* those that were granted already */
	bool level;			/* of the INTx pin */
	bool masked;
	int intx, error, request, rearm;	/* events */

	const int *fds;			/* the eventfds */
	unsigned int nevents;
	uint64_t signals[MAX_EVENTS];	/* how often each must have been signalled */
	uint64_t resets;		/* of the device; and what became of the last */
	int last_reset;
	bool failing;			/* the next reset will fail */
	bool changing;			/* the last write was to change something */
};

/* Begin with what the device shows at power-on. */
void reference_init(struct reference *r, const uint8_t *power_on, const int *fds,
		    unsigned int nevents);

/* What a user does. The results are those of the calls. */
ssize_t reference_read(const struct reference *r, uint64_t offset, void *buf, size_t len);
ssize_t reference_write(struct reference *r, uint64_t offset, const void *buf, size_t len);
int reference_set_irqs(struct reference *r, const struct vfio_irq_set *set);
int reference_irq_info(const struct reference *r, uint32_t index, struct vfio_irq_info *info);
int reference_reset(struct reference *r);
/* The eventfd that unmasks INTx was signalled. */
void reference_rearm(struct reference *r);
/* The user has gone, and another has come. */
void reference_recycle(struct reference *r);

/* What the device does. */
void reference_msi(struct reference *r, unsigned int vector);
void reference_intx(struct reference *r, bool level);
void reference_error(struct reference *r);
void reference_request(struct reference *r);
void reference_backdoor_reset(struct reference *r);

/* Do BARs of memory answer? The pending bits of MSI-X, which are in one. */
bool reference_memory(const struct reference *r);
uint64_t reference_pending(const struct reference *r);

#endif
