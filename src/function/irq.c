/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: VFIO_DEVICE_SET_IRQS and what the model raises.
 *
 * At most one of INTx, MSI and MSI-X is active; REQ stands beside them. The order of the checks is
 * the kernel's, so that the same mistake gets the same errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "function/function.h"

#define DATA   VFIO_IRQ_SET_DATA_TYPE_MASK
#define ACTION VFIO_IRQ_SET_ACTION_TYPE_MASK

static const char *const index_names[] = { "INTx", "MSI", "MSI-X", "ERR", "REQ" };

static uint32_t vectors_of(const struct vfio_function *fn, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:	return fn->description.interrupt_pin ? 1 : 0;
	case VFIO_PCI_MSI_IRQ_INDEX:	return fn->description.msi_vectors;
	case VFIO_PCI_MSIX_IRQ_INDEX:	return fn->description.msix_vectors;
	case VFIO_PCI_REQ_IRQ_INDEX:	return 1;
	default:			return 0;	/* ERR is for PCI Express */
	}
}

static int refuse(struct vfio_function *fn, int err, enum vfio_error_code code,
		  const struct irq_request *q, const char *why)
{
	return error_set(fn->err, err, code, VFIO_BY_FUNCTION, "see vfio_irq_set(3)",
			 "%s vectors %u to %u: %s", index_names[q->index], q->start,
			 q->start + (q->count ? q->count - 1 : 0), why);
}

/* ---- eventfds ----------------------------------------------------------------------------- */

/* *copy: a copy of the caller's eventfd, or -1 for none. */
static int take_eventfd(struct vfio_function *fn, const struct irq_request *q, int fd, int *copy)
{
	*copy = -1;
	if (fd < 0)
		return 0;
	if (fcntl(fd, F_GETFD) < 0)
		return refuse(fn, EBADF, VFIO_E_IRQ_FD, q, "the descriptor is not open");
	if (!fd_is_eventfd(fd))
		return refuse(fn, EINVAL, VFIO_E_IRQ_FD, q, "the descriptor is not an eventfd");
	*copy = fd_copy(fd);
	if (*copy < 0) {
		int err = -*copy;

		*copy = -1;
		return error_system(fn->err, err, "keeping an eventfd");
	}
	return 0;
}

static int replace_eventfd(struct vfio_function *fn, const struct irq_request *q, int *slot, int fd)
{
	int copy, r = take_eventfd(fn, q, fd, &copy);

	if (r < 0)
		return r;
	fd_close(slot);
	*slot = copy;
	return 0;
}

/* Which of the vectors does a NONE or BOOL request name? */
static bool is_named(const struct irq_request *q, uint32_t i)
{
	return (q->flags & DATA) == VFIO_IRQ_SET_DATA_NONE || q->bools[i];
}

/* ---- INTx --------------------------------------------------------------------------------- */

static bool intx_disabled(const struct vfio_function *fn)
{
	return function_command(fn) & PCI_COMMAND_INTX_DISABLE;
}

/* Level: fires once when asserted, and is then masked until somebody re-arms it. */
static void intx_deliver(struct vfio_function *fn)
{
	struct interrupts *irq = &fn->irq;

	if (irq->active != VFIO_PCI_INTX_IRQ_INDEX || !irq->asserted || irq->masked ||
	    intx_disabled(fn) || irq->intx < 0)
		return;
	irq->masked = true;
	signaler_signal(&fn->signaler, irq->intx);
}

static void intx_unmask(struct vfio_function *fn)
{
	if (intx_disabled(fn))
		return;
	fn->irq.masked = false;
	intx_deliver(fn);
}

/* The INTx disable bit of the Command register masks and unmasks, too. */
void function_intx_disable_changed(struct vfio_function *fn, bool disabled)
{
	if (fn->irq.disabled == disabled)
		return;
	fn->irq.disabled = disabled;
	if (disabled)
		fn->irq.masked = true;
	else if (fn->irq.active == VFIO_PCI_INTX_IRQ_INDEX && fn->irq.masked)
		intx_unmask(fn);
}

static int intx_trigger(struct vfio_function *fn, const struct irq_request *q)
{
	struct interrupts *irq = &fn->irq;
	bool active = irq->active == VFIO_PCI_INTX_IRQ_INDEX;
	uint32_t data = q->flags & DATA;
	int r;

	if (q->count == 0) {
		if (!active || data != VFIO_IRQ_SET_DATA_NONE)
			return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "INTx is not active");
		fd_close(&irq->intx);
		fd_close(&irq->unmask);
		irq->active = NO_INDEX;
		return 0;
	}
	if (data != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (!active)
			return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "INTx is not active");
		if (is_named(q, 0) && !intx_disabled(fn) && irq->intx >= 0)
			signaler_signal(&fn->signaler, irq->intx);
		return 0;
	}
	if (!active && irq->active != NO_INDEX)
		return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "MSI or MSI-X is active");
	r = replace_eventfd(fn, q, &irq->intx, q->fds[0]);
	if (r < 0)
		return r;
	if (!active) {
		irq->active = VFIO_PCI_INTX_IRQ_INDEX;
		irq->masked = intx_disabled(fn);
	}
	intx_deliver(fn);
	return 0;
}

/*
 * Each signal of the eventfd re-arms INTx once; one that came before it was handed over counts,
 * too.
 */
static int intx_unmask_by_eventfd(struct vfio_function *fn, const struct irq_request *q)
{
	int r;

	if (q->flags & VFIO_IRQ_SET_ACTION_MASK)
		return refuse(fn, ENOTTY, VFIO_E_UNSUPPORTED, q,
			      "masking by eventfd is not offered, here as in the kernel");
	if (q->fds[0] >= 0 && fn->irq.unmask >= 0)
		return refuse(fn, EBUSY, VFIO_E_IRQ_STATE, q, "an eventfd is set for this already");
	r = replace_eventfd(fn, q, &fn->irq.unmask, q->fds[0]);
	if (r == 0)
		function_dispatch(fn);
	return r;
}

int function_poll_fd(const struct vfio_function *fn)
{
	return fn->irq.unmask;
}

void function_dispatch(struct vfio_function *fn)
{
	if (fn->irq.unmask >= 0 && fd_take(fn->irq.unmask) && fn->irq.masked)
		intx_unmask(fn);
}

static int intx_set_mask(struct vfio_function *fn, const struct irq_request *q)
{
	if (fn->irq.active != VFIO_PCI_INTX_IRQ_INDEX || q->count != 1)
		return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "INTx is not active");
	if ((q->flags & DATA) == VFIO_IRQ_SET_DATA_EVENTFD)
		return intx_unmask_by_eventfd(fn, q);
	if (!is_named(q, 0))
		return 0;
	if (q->flags & VFIO_IRQ_SET_ACTION_MASK)
		fn->irq.masked = true;
	else if (fn->irq.masked)
		intx_unmask(fn);
	return 0;
}

EXPORT void vfio_function_intx(struct vfio_function *fn, bool asserted)
{
	uint8_t *status = fn->config.raw + PCI_STATUS;

	fn->irq.asserted = asserted && fn->description.interrupt_pin;
	*status = (*status & ~PCI_STATUS_INTERRUPT) |
		  (fn->irq.asserted ? PCI_STATUS_INTERRUPT : 0);
	intx_deliver(fn);
}

/* ---- MSI and MSI-X ------------------------------------------------------------------------ */

/* The capabilities show what SET_IRQS has done. */
static void show_enable(struct vfio_function *fn, uint32_t index, bool on)
{
	if (index == VFIO_PCI_MSI_IRQ_INDEX) {
		uint8_t *control = fn->config.shadow + fn->layout.msi + PCI_MSI_FLAGS;

		*control &= ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
		if (on)
			*control |= PCI_MSI_FLAGS_ENABLE | fn->irq.msi_allowed << 4;
	} else {
		uint8_t *control = fn->config.raw + fn->layout.msix + PCI_MSIX_FLAGS + 1;

		*control = (*control & ~(PCI_MSIX_FLAGS_ENABLE >> 8)) |
			   (on ? PCI_MSIX_FLAGS_ENABLE >> 8 : 0);
	}
}

static void vectors_disable(struct vfio_function *fn)
{
	for (uint32_t i = 0; i < fn->irq.allocated; i++)
		fd_close(&fn->irq.vectors[i]);
	show_enable(fn, fn->irq.active, false);
	fn->irq.active = NO_INDEX;
	fn->irq.allocated = 0;
}

/* Ascending; on a failure every vector up to the failing one is left unassigned. */
static int vectors_assign(struct vfio_function *fn, const struct irq_request *q)
{
	for (uint32_t i = 0; i < q->count; i++) {
		int r = replace_eventfd(fn, q, &fn->irq.vectors[q->start + i], q->fds[i]);

		if (r < 0) {
			for (uint32_t k = 0; k <= i; k++)
				fd_close(&fn->irq.vectors[q->start + k]);
			return r;
		}
	}
	return 0;
}

static int vectors_enable(struct vfio_function *fn, const struct irq_request *q)
{
	uint32_t wanted = q->start + q->count;
	int r;

	if (wanted == 0)
		return refuse(fn, ERANGE, VFIO_E_IRQ_FLAGS, q, "no vector was asked for");
	fn->irq.active = q->index;
	fn->irq.allocated = wanted;
	if (q->index == VFIO_PCI_MSI_IRQ_INDEX)
		fn->irq.msi_allowed = wanted == 1 ? 0 : 32 - __builtin_clz(wanted - 1);
	r = vectors_assign(fn, q);
	if (r < 0) {
		vectors_disable(fn);
		return r;
	}
	show_enable(fn, q->index, true);
	return 0;
}

/* More eventfds for an index that is active: MSI cannot grow, MSI-X can. */
static int vectors_change(struct vfio_function *fn, const struct irq_request *q)
{
	uint32_t end = q->start + q->count;

	if (end > fn->irq.allocated) {
		if (q->index == VFIO_PCI_MSI_IRQ_INDEX) {
			for (uint32_t i = q->start; i < fn->irq.allocated; i++)
				fd_close(&fn->irq.vectors[i]);
			return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q,
				      "MSI cannot get more vectors while it is enabled");
		}
		fn->irq.allocated = end;
	}
	return vectors_assign(fn, q);
}

static int vectors_trigger(struct vfio_function *fn, const struct irq_request *q)
{
	struct interrupts *irq = &fn->irq;
	uint32_t data = q->flags & DATA;
	bool active = irq->active == q->index;

	if (active && data == VFIO_IRQ_SET_DATA_NONE && q->count == 0) {
		vectors_disable(fn);
		return 0;
	}
	if (!active && irq->active != NO_INDEX)
		return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "another interrupt type is active");
	if (data == VFIO_IRQ_SET_DATA_EVENTFD)
		return active ? vectors_change(fn, q) : vectors_enable(fn, q);
	if (!active)
		return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "the index is not active");
	for (uint32_t i = 0; i < q->count; i++)
		if (q->start + i < irq->allocated && irq->vectors[q->start + i] >= 0 &&
		    is_named(q, i))
			signaler_signal(&fn->signaler, irq->vectors[q->start + i]);
	return 0;
}

EXPORT void vfio_function_msi(struct vfio_function *fn, unsigned int vector)
{
	const struct interrupts *irq = &fn->irq;
	uint8_t control = fn->config.shadow[fn->layout.msi + PCI_MSI_FLAGS];

	if (irq->active != VFIO_PCI_MSI_IRQ_INDEX && irq->active != VFIO_PCI_MSIX_IRQ_INDEX)
		return;
	if (irq->active == VFIO_PCI_MSI_IRQ_INDEX && !(control & PCI_MSI_FLAGS_ENABLE))
		return;
	if (vector < irq->allocated && irq->vectors[vector] >= 0 && function_masters_bus(fn))
		signaler_signal(&fn->signaler, irq->vectors[vector]);
}

/* ---- REQ: the device is wanted back ------------------------------------------------------- */

static int req_trigger(struct vfio_function *fn, const struct irq_request *q)
{
	uint32_t data = q->flags & DATA;
	bool set = fn->irq.req >= 0;

	if (data == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (q->count != 1 || q->fds[0] < -1)
			return refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q, "one eventfd, or -1");
		return replace_eventfd(fn, q, &fn->irq.req, q->fds[0]);
	}
	if (data == VFIO_IRQ_SET_DATA_BOOL) {
		if (q->count != 1)
			return refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q, "one boolean");
	} else if (!set) {
		return refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "no eventfd is set");
	} else if (q->count == 0) {
		fd_close(&fn->irq.req);
		return 0;
	}
	if (set && is_named(q, 0))
		signaler_signal(&fn->signaler, fn->irq.req);
	return 0;
}

/* ---- the calls ---------------------------------------------------------------------------- */

int function_irq_info(struct vfio_function *fn, uint32_t index, struct vfio_irq_info *info)
{
	static const uint32_t flags[] = {
		VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED,
		VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
		VFIO_IRQ_INFO_EVENTFD,
		VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
		VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
	};

	if (index >= VFIO_PCI_NUM_IRQS)
		return error_set(fn->err, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_FUNCTION,
				 "vfio_info() says how many interrupt indexes there are",
				 "interrupt index %u: the device has %d", index, VFIO_PCI_NUM_IRQS);
	*info = (struct vfio_irq_info){
		.argsz = sizeof(*info), .flags = flags[index], .index = index,
		.count = vectors_of(fn, index),
	};
	return 0;
}

static int check_request(struct vfio_function *fn, const struct irq_request *q)
{
	uint32_t count;

	if (q->index >= VFIO_PCI_NUM_IRQS)
		return error_set(fn->err, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_FUNCTION, NULL,
				 "interrupt index %u: the device has %d", q->index,
				 VFIO_PCI_NUM_IRQS);
	if (q->count >= UINT32_MAX - q->start || (q->flags & ~(DATA | ACTION)))
		return refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q, "unknown flags, or count too large");
	count = vectors_of(fn, q->index);
	if (q->start >= count || q->start + q->count > count)
		return refuse(fn, EINVAL, VFIO_E_NO_IRQ, q, "the device does not have these");
	if (!is_power_of_two(q->flags & DATA))
		return refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q, "not exactly one type of data");
	if (!is_power_of_two(q->flags & ACTION) ||
	    (q->index != VFIO_PCI_INTX_IRQ_INDEX && !(q->flags & VFIO_IRQ_SET_ACTION_TRIGGER)))
		return refuse(fn, ENOTTY, VFIO_E_IRQ_FLAGS, q,
			      "not one action, or one that this index does not have");
	return 0;
}

int function_set_irqs(struct vfio_function *fn, const struct irq_request *q)
{
	int r = check_request(fn, q);

	if (r < 0)
		return r;
	switch (q->index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return q->flags & VFIO_IRQ_SET_ACTION_TRIGGER ? intx_trigger(fn, q)
							      : intx_set_mask(fn, q);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return req_trigger(fn, q);
	default:
		return vectors_trigger(fn, q);
	}
}

int function_irqs_init(struct vfio_function *fn)
{
	uint32_t n = fn->description.msix_vectors;

	if (n < fn->description.msi_vectors)
		n = fn->description.msi_vectors;
	fn->irq = (struct interrupts){ .active = NO_INDEX, .intx = -1, .unmask = -1, .req = -1 };
	fn->irq.vectors = malloc((n + 1) * sizeof(int));
	if (!fn->irq.vectors)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		fn->irq.vectors[i] = -1;
	return 0;
}

/* Back to the state of a device that nobody uses; the level of the pin is the model's. */
void function_irqs_clear(struct vfio_function *fn)
{
	if (fn->irq.active == VFIO_PCI_MSI_IRQ_INDEX || fn->irq.active == VFIO_PCI_MSIX_IRQ_INDEX)
		vectors_disable(fn);
	fd_close(&fn->irq.intx);
	fd_close(&fn->irq.unmask);
	fd_close(&fn->irq.req);
	fn->irq.active = NO_INDEX;
	fn->irq.masked = fn->irq.disabled = false;
	fn->irq.msi_allowed = 0;
}
