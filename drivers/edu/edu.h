/* SPDX-License-Identifier: MIT */
/*
 * A driver for "edu", QEMU's PCI card for learning to write drivers (1234:11e8).
 *
 * Whatever takes the device time ends by interrupt, and every wait has a deadline: the same driver
 * works on a software device that is done at once and on QEMU's, where a transfer takes 100 ms.
 *
 * Calls return 0 or a negative errno, and edu_error() says the rest. One thread at a time for
 * each handle.
 */
#ifndef DRIVERS_EDU_H
#define DRIVERS_EDU_H

#include <stdint.h>

#include <vfio/driver.h>
#include <vfio/error.h>

struct edu;

#define EDU_BUFFER_SIZE	4096u	/* bytes of memory on the device */
#define EDU_DMA_BITS	28u	/* address bits that the device drives, unless it was told another mask */

enum edu_interrupt {
	EDU_MSI,
	EDU_INTX,
};

/*
 * Open the device that a device string names (NULL: $VFIO_DEVICE), check that it is an edu,
 * and make it ready: 28-bit DMA addresses, MSI (INTx where the device lacks MSI), bus mastering.
 * -ENODEV for a device of another kind. err may be NULL; on failure *edu is NULL.
 */
int edu_open(struct edu **edu, const char *device, struct vfio_error *err);

/* Stop the device and free the handle. Accepts NULL. */
void edu_close(struct edu *edu);

/* What went wrong in the last call that failed. Valid until the next call. */
const struct vfio_error *edu_error(const struct edu *edu);

/* The handle below, for vfio_dma_alloc() and vfio_backend_name(). Do not close it. */
struct vfio_dev *edu_device(struct edu *edu);

/* Use this kind of interrupt from now on. -ENOTSUP when the device has none of that kind. */
int edu_use_interrupt(struct edu *edu, enum edu_interrupt which);

/* The kind in use, as people write it: "MSI" or "INTx". */
const char *edu_interrupt_name(const struct edu *edu);

/* How many interrupts have come since edu_open(). */
uint64_t edu_interrupts(const struct edu *edu);

/* How long one operation may take, in milliseconds, 1 or more (5000 at first). */
void edu_set_deadline(struct edu *edu, unsigned int milliseconds);

/* The identification register: 0xRRrr00ed, major and minor version. All ones on failure. */
uint32_t edu_id(struct edu *edu);

/* Write some values to the liveness register. -EIO when one does not come back inverted. */
int edu_alive(struct edu *edu);

/* Let the device raise an interrupt with these status bits, and wait for it. */
int edu_raise(struct edu *edu, uint32_t bits);

/* n! modulo 2^32. */
int edu_factorial(struct edu *edu, uint32_t n, uint32_t *result);

/*
 * Copy len bytes (1 to 4096) from DMA memory at I/O address iova to the device's buffer at offset,
 * or back. The memory must lie below 2^28 and stay mapped. -EINVAL when a range does not fit.
 * The device cannot report a transfer that was refused on the way, because nothing is mapped at
 * iova: that succeeds here, and moves nothing.
 */
int edu_copy_to(struct edu *edu, uint32_t offset, uint64_t iova, uint32_t len);
int edu_copy_from(struct edu *edu, uint64_t iova, uint32_t offset, uint32_t len);

#endif
