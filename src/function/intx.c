/* SPDX-License-Identifier: MIT */
/*
 * INTx: a level. It fires once when asserted, and is then masked until somebody re-arms it: by a
 * call, by an eventfd, or by the INTx disable bit of the Command register.
 */
#include <errno.h>

#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "function/function.h"

static bool is_disabled(const struct vfio_function *fn)
{
	return function_command(fn) & PCI_COMMAND_INTX_DISABLE;
}

static void deliver(struct vfio_function *fn)
{
	struct interrupts *irq = &fn->irq;

	if (fn->line || irq->active != VFIO_PCI_INTX_IRQ_INDEX || !irq->asserted || irq->masked ||
	    is_disabled(fn) || irq->intx < 0)
		return;
	irq->masked = true;
	signaler_signal(&fn->signaler, irq->intx);
}

static int arm(struct vfio_function *fn)
{
	struct interrupts *irq = &fn->irq;

	if (!fn->line || irq->masked || irq->intx < 0)
		return 0;
	return side_keep(fn, fn->line->arm(fn->line, irq->intx, fn->err));
}

static void disarm(struct vfio_function *fn)
{
	if (fn->line && fn->irq.intx >= 0)
		fn->line->disarm(fn->line);
}

static void mask(struct vfio_function *fn)
{
	fn->irq.masked = true;
	disarm(fn);
}

static int unmask(struct vfio_function *fn)
{
	if (is_disabled(fn))
		return 0;
	fn->irq.masked = false;
	deliver(fn);
	return arm(fn);
}

/* A line may have fired, and be masked, without a word to us. */
static bool may_be_masked(const struct vfio_function *fn)
{
	return fn->irq.masked || fn->line;
}

/* The INTx disable bit of the Command register masks and unmasks, too. */
void function_intx_disable_changed(struct vfio_function *fn, bool disabled)
{
	if (fn->irq.disabled == disabled)
		return;
	fn->irq.disabled = disabled;
	if (function_is_real(fn))
		hardware_write(fn, PCI_COMMAND, 2, disabled ? PCI_COMMAND_INTX_DISABLE : 0,
			       PCI_COMMAND_INTX_DISABLE);
	if (disabled)
		mask(fn);
	else if (fn->irq.active == VFIO_PCI_INTX_IRQ_INDEX && fn->irq.masked)
		unmask(fn);
}

static int set_eventfd(struct vfio_function *fn, const struct irq_request *q)
{
	struct interrupts *irq = &fn->irq;
	bool active = irq->active == VFIO_PCI_INTX_IRQ_INDEX;
	int r;

	if (!active && irq->active != NO_INDEX)
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "MSI or MSI-X is active");
	if (!active && !irq_can_deliver(fn, VFIO_PCI_INTX_IRQ_INDEX))
		return irq_refuse(fn, ENODEV, VFIO_E_UNDELIVERABLE, q,
				  "the policy host-lacks names INTx");
	disarm(fn);
	r = irq_replace_eventfd(fn, q, &irq->intx, q->fds[0]);
	if (r < 0) {
		arm(fn);
		return r;
	}
	if (!active) {
		irq->active = VFIO_PCI_INTX_IRQ_INDEX;
		irq->masked = is_disabled(fn);
	}
	deliver(fn);
	r = arm(fn);
	if (r < 0)
		intx_close(fn);
	return r;
}

void intx_forget_rearm(struct vfio_function *fn)
{
	events_forget_edge(fn, fn->irq.unmask);
	fd_close(&fn->irq.unmask);
}

void intx_close(struct vfio_function *fn)
{
	disarm(fn);
	fd_close(&fn->irq.intx);
	intx_forget_rearm(fn);
	if (fn->irq.active == VFIO_PCI_INTX_IRQ_INDEX)
		fn->irq.active = NO_INDEX;
}

int intx_trigger(struct vfio_function *fn, const struct irq_request *q)
{
	struct interrupts *irq = &fn->irq;
	bool active = irq->active == VFIO_PCI_INTX_IRQ_INDEX;

	if (q->count == 0) {
		if (!active || !(q->flags & VFIO_IRQ_SET_DATA_NONE))
			return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "INTx is not active");
		intx_close(fn);
		return 0;
	}
	if (q->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return set_eventfd(fn, q);
	if (!active)
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "INTx is not active");
	if (irq_is_named(q, 0) && !is_disabled(fn) && irq->intx >= 0)
		signaler_signal(&fn->signaler, irq->intx);
	return 0;
}

/*
 * Each signal of the eventfd re-arms INTx once; one that came before it was handed over counts,
 * too.
 */
static int unmask_by_eventfd(struct vfio_function *fn, const struct irq_request *q)
{
	bool second = q->fds[0] >= 0 && fn->irq.unmask >= 0;
	int fd = -1, r = 0;

	if (q->flags & VFIO_IRQ_SET_ACTION_MASK)
		return irq_refuse(fn, ENOTTY, VFIO_E_UNSUPPORTED, q,
				  "masking by eventfd is not offered, here as in the kernel");
	if (!second || fn->policy.behaviour >= 2)	/* version 1: a second one is not looked at */
		r = irq_replace_eventfd(fn, q, &fd, q->fds[0]);
	if (r < 0)
		return r;
	if (second) {
		fd_close(&fd);
		return irq_refuse(fn, EBUSY, VFIO_E_IRQ_STATE, q,
				  "an eventfd is set for this already");
	}
	r = events_watch_rearm(fn, fd);
	if (r < 0) {
		fd_close(&fd);
		return side_keep(fn, error_system(fn->err, -r, "watching an eventfd"));
	}
	intx_forget_rearm(fn);
	fn->irq.unmask = fd;
	intx_rearm(fn);
	return 0;
}

void intx_rearm(struct vfio_function *fn)
{
	if (fn->irq.unmask >= 0 && fd_take(fn->irq.unmask) && may_be_masked(fn))
		unmask(fn);
}

int intx_set_mask(struct vfio_function *fn, const struct irq_request *q)
{
	if (fn->irq.active != VFIO_PCI_INTX_IRQ_INDEX || q->count != 1)
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "INTx is not active");
	if (q->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return unmask_by_eventfd(fn, q);
	if (!irq_is_named(q, 0))
		return 0;
	if (q->flags & VFIO_IRQ_SET_ACTION_MASK)
		mask(fn);
	else if (may_be_masked(fn))
		return unmask(fn);
	return 0;
}

EXPORT void vfio_function_intx(struct vfio_function *fn, bool asserted)
{
	uint8_t *status = fn->registers.value + PCI_STATUS;

	fn->irq.asserted = asserted;
	*status &= ~PCI_STATUS_INTERRUPT;
	if (asserted && function_vectors_of(fn, VFIO_PCI_INTX_IRQ_INDEX))
		*status |= PCI_STATUS_INTERRUPT;
	deliver(fn);
}
