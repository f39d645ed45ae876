/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "backends/uio.h"
#include "backends/uio_ring.h"
#include "base/bits.h"
#include "base/error.h"

static struct uio_irq *irq_of(struct line *line)
{
	return (struct uio_irq *)((char *)line - offsetof(struct uio_irq, line));
}

/* The kernel sets it when the pin is asserted; clearing it lets the next assertion through. */
static bool is_masked(struct uio_irq *irq)
{
	hardware_refresh(irq->fn, PCI_COMMAND, 2);
	return le16_get(irq->fn->registers.value + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
}

static void set_mask(struct uio_irq *irq, bool masked)
{
	hardware_write(irq->fn, PCI_COMMAND, 2, masked ? PCI_COMMAND_INTX_DISABLE : 0,
		       PCI_COMMAND_INTX_DISABLE);
}

/* What came while nobody wanted it. */
static void drain(struct uio_irq *irq)
{
	struct pollfd p = { .fd = irq->uio, .events = POLLIN };
	ssize_t n = 0;

	if (poll(&p, 1, 0) > 0 && (p.revents & POLLIN))
		n = read(irq->uio, &irq->count, sizeof(irq->count));
	(void)n;
}

/* A ring that cannot take anything back is given up with all that is in it. */
static void cancel(struct uio_irq *irq)
{
	irq->armed = false;
	if (!irq->ring || uio_ring_cancel(irq->ring) == 0)
		return;
	uio_ring_close(irq->ring);
	irq->ring = NULL;
	irq->why = EIO;
}

static int no_ring(const struct uio_irq *irq, int e, struct vfio_error *err)
{
	return error_set(err, e, VFIO_E_NO_NOTIFIER, VFIO_BY_KERNEL,
			 "allow io_uring (sysctl kernel.io_uring_disabled=0, no seccomp filter against "
			 "it, Linux 5.11 or newer, behind vfiod 5.18); or poll the device's registers",
			 "INTx of %s: the kernel gives no io_uring, which would carry it from UIO to "
			 "an eventfd", irq->fn->description.name);
}

/*
 * Masked, it has fired, or the eventfd is a new one: there may be something left of the last time.
 * An assertion that gets lost here is made again when the mask goes, since INTx is a level.
 */
static int arm(struct line *line, int eventfd, struct vfio_error *err)
{
	struct uio_irq *irq = irq_of(line);
	int r;

	if (irq->armed && !is_masked(irq))
		return 0;
	cancel(irq);
	if (!irq->ring)
		return no_ring(irq, irq->why, err);
	drain(irq);
	irq->one = 1;
	r = uio_ring_queue(irq->ring, irq->uio, &irq->count, eventfd, &irq->one);
	irq->armed = true;
	if (r < 0) {
		cancel(irq);
		return no_ring(irq, -r, err);
	}
	set_mask(irq, false);
	return 0;
}

static void disarm(struct line *line)
{
	struct uio_irq *irq = irq_of(line);

	if (!irq->armed)
		return;
	set_mask(irq, true);
	cancel(irq);
}

/* The ring is made here, and not when INTx is enabled: by then a sandbox may be round us. */
void uio_irq_open(struct uio_irq *irq, struct vfio_function *fn, int uio)
{
	*irq = (struct uio_irq){ .line = { arm, disarm }, .fn = fn, .uio = uio };
	irq->why = -uio_ring_open(&irq->ring);
	fn->line = &irq->line;
}

/* To use it by its descriptor ends a process in a sandbox, and any client could bring that about. */
void uio_irq_distrust(struct uio_irq *irq)
{
	int r = irq->ring ? uio_ring_register(irq->ring) : 0;

	if (r == 0)
		return;
	uio_ring_close(irq->ring);
	irq->ring = NULL;
	irq->why = -r;
}

void uio_irq_close(struct uio_irq *irq)
{
	if (!irq->fn)
		return;
	intx_close(irq->fn);
	irq->fn->line = NULL;
	uio_ring_close(irq->ring);
	irq->ring = NULL;
}
