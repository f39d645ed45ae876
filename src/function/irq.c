/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_SET_IRQS and what belongs to all interrupts. At most one of INTx (intx.c), MSI and
 * MSI-X (vectors.c) is active; ERR and REQ stand beside them. The order of the checks is the
 * kernel's, so that the same mistake gets the same errno.
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

/* Is there a way from here to the user for this kind of interrupt? */
bool irq_can_deliver(const struct vfio_function *fn, uint32_t index)
{
	return !(fn->policy.host_lacks >> index & 1) || fn->policy.lacking == LACKING_EMULATE;
}

uint32_t function_vectors_of(const struct vfio_function *fn, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:	return fn->view.shadow[PCI_INTERRUPT_PIN] ? 1 : 0;
	case VFIO_PCI_MSI_IRQ_INDEX:	return fn->layout.msi ? fn->irq.msi : 0;
	case VFIO_PCI_MSIX_IRQ_INDEX:	return fn->layout.msix ? fn->irq.msix : 0;
	case VFIO_PCI_ERR_IRQ_INDEX:	return fn->layout.express ? 1 : 0;
	case VFIO_PCI_REQ_IRQ_INDEX:	return 1;
	default:			return 0;
	}
}

int function_eventfd(const struct vfio_function *fn, uint32_t index, uint32_t vector)
{
	const struct interrupts *irq = &fn->irq;

	switch (index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		return irq->intx;
	case VFIO_PCI_ERR_IRQ_INDEX:
		return irq->err;
	case VFIO_PCI_REQ_IRQ_INDEX:
		return irq->req;
	default:
		return irq->active == index && vector < irq->allocated ? irq->vectors[vector] : -1;
	}
}

int irq_refuse(struct vfio_function *fn, int err, enum vfio_error_code code,
	       const struct irq_request *q, const char *why)
{
	enum vfio_refuser who = code == VFIO_E_VECTORS || code == VFIO_E_UNDELIVERABLE
				? VFIO_BY_POLICY : VFIO_BY_FUNCTION;

	return side_keep(fn, error_set(fn->err, err, code, who, "see vfio_irq_set(3)",
				       "%s vectors %u to %u: %s", index_names[q->index], q->start,
				       q->start + (q->count ? q->count - 1 : 0), why));
}

/* ---- eventfds ----------------------------------------------------------------------------- */

/* *copy: a copy of the caller's eventfd, or -1 for none. */
static int take_eventfd(struct vfio_function *fn, const struct irq_request *q, int fd, int *copy)
{
	*copy = -1;
	if (fd < 0)
		return 0;
	if (fcntl(fd, F_GETFD) < 0)
		return irq_refuse(fn, EBADF, VFIO_E_IRQ_FD, q, "the descriptor is not open");
	if (!fd_is_eventfd(fd))
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_FD, q, "the descriptor is not an eventfd");
	*copy = fd_copy(fd);
	if (*copy < 0) {
		int err = -*copy;

		*copy = -1;
		return side_keep(fn, error_system(fn->err, err, "keeping an eventfd"));
	}
	return 0;
}

int irq_replace_eventfd(struct vfio_function *fn, const struct irq_request *q, int *slot, int fd)
{
	int copy, r = take_eventfd(fn, q, fd, &copy);

	if (r < 0)
		return r;
	fd_close(slot);
	*slot = copy;
	return 0;
}

/* ---- ERR: an error that cannot be corrected; REQ: the device is wanted back ---------------- */

EXPORT void vfio_function_error(struct vfio_function *fn)
{
	if (fn->irq.err >= 0)
		signaler_signal(&fn->signaler, fn->irq.err);
}

EXPORT void vfio_function_request(struct vfio_function *fn)
{
	if (fn->irq.req >= 0)
		signaler_signal(&fn->signaler, fn->irq.req);
}

static int event_trigger(struct vfio_function *fn, const struct irq_request *q, int *slot)
{
	uint32_t data = q->flags & DATA;

	if (data == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (q->count != 1 || q->fds[0] < -1)
			return irq_refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q, "one eventfd, or -1");
		return irq_replace_eventfd(fn, q, slot, q->fds[0]);
	}
	if (data == VFIO_IRQ_SET_DATA_BOOL) {
		if (q->count != 1)
			return irq_refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q, "one boolean");
	} else if (*slot < 0) {
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "no eventfd is set");
	} else if (q->count == 0) {
		fd_close(slot);
		return 0;
	}
	if (*slot >= 0 && irq_is_named(q, 0))
		signaler_signal(&fn->signaler, *slot);
	return 0;
}

/* ---- the calls ---------------------------------------------------------------------------- */

static int no_such_index(struct vfio_function *fn, uint32_t index)
{
	return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_FUNCTION,
			"vfio_info() says how many interrupt indexes there are",
			"interrupt index %u: the device has %d", index, VFIO_PCI_NUM_IRQS));
}

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
		return no_such_index(fn, index);
	*info = (struct vfio_irq_info){
		.argsz = sizeof(*info), .flags = flags[index], .index = index,
		.count = function_vectors_of(fn, index),
	};
	return 0;
}

static int check_request(struct vfio_function *fn, const struct irq_request *q)
{
	uint32_t count;

	if (q->index >= VFIO_PCI_NUM_IRQS)
		return no_such_index(fn, q->index);
	if (q->count >= UINT32_MAX - q->start || (q->flags & ~(DATA | ACTION)))
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q,
				  "unknown flags, or count too large");
	count = function_vectors_of(fn, q->index);
	if (q->start >= count || q->start + q->count > count)
		return irq_refuse(fn, EINVAL, VFIO_E_NO_IRQ, q, "the device does not have these");
	if (!is_power_of_two(q->flags & DATA))
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_FLAGS, q, "not exactly one type of data");
	if (!is_power_of_two(q->flags & ACTION) ||
	    (q->index != VFIO_PCI_INTX_IRQ_INDEX && !(q->flags & VFIO_IRQ_SET_ACTION_TRIGGER)))
		return irq_refuse(fn, ENOTTY, VFIO_E_IRQ_FLAGS, q,
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
	case VFIO_PCI_ERR_IRQ_INDEX:
		return event_trigger(fn, q, &fn->irq.err);
	case VFIO_PCI_REQ_IRQ_INDEX:
		return event_trigger(fn, q, &fn->irq.req);
	default:
		return vectors_trigger(fn, q);
	}
}

/* ---- life --------------------------------------------------------------------------------- */

static void place_msix(struct vfio_function *fn, const uint8_t *cap)
{
	uint32_t table = le32_get(cap + PCI_MSIX_TABLE), pending = le32_get(cap + PCI_MSIX_PBA);

	fn->irq.msix = (le16_get(cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;
	fn->msix = (struct msix_place){
		.table_bar = table & PCI_MSIX_TABLE_BIR, .table = table & PCI_MSIX_TABLE_OFFSET,
		.pending_bar = pending & PCI_MSIX_PBA_BIR, .pending = pending & PCI_MSIX_PBA_OFFSET,
		.table_size = 16ull * fn->irq.msix,
		.pending_size = align_up(fn->irq.msix, 64) / 8,
	};
}

/* What the function's own capabilities say, shown or not. */
static void find_vectors(struct vfio_function *fn)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(fn->registers.value, fn->config_size, caps, NULL);

	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *cap = fn->registers.value + caps[i].offset;
		unsigned int capable = (cap[PCI_MSI_FLAGS] & PCI_MSI_FLAGS_QMASK) >> 1;

		if (caps[i].id == PCI_CAP_ID_MSI)
			fn->irq.msi = 1u << (capable > 5 ? 5 : capable);
		if (caps[i].id == PCI_CAP_ID_MSIX && caps[i].length >= PCI_CAP_MSIX_SIZEOF)
			place_msix(fn, cap);
	}
}

int function_irqs_init(struct vfio_function *fn)
{
	uint32_t n;

	fn->irq = (struct interrupts){
		.active = NO_INDEX, .intx = -1, .unmask = -1, .err = -1, .req = -1,
	};
	find_vectors(fn);
	n = fn->irq.msi > fn->irq.msix ? fn->irq.msi : fn->irq.msix;
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
	if (fn->irq.allocated)
		vectors_disable(fn);
	intx_close(fn);
	fd_close(&fn->irq.err);
	fd_close(&fn->irq.req);
	fn->irq.active = NO_INDEX;
	fn->irq.masked = false;
	fn->irq.msi_allowed = 0;
}
