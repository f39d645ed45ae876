/* SPDX-License-Identifier: MIT */
/*
 * MSI and MSI-X. A message that cannot be delivered now, because its vector is masked or has no
 * eventfd, MSI is switched off in its capability, or the device may not master the bus, is pending
 * until it can.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "function/function.h"

/* ---- what the capabilities show ----------------------------------------------------------- */

static void put_bits(uint8_t *at, uint8_t mask, uint8_t bits)
{
	*at = (*at & ~mask) | bits;
}

/* The capabilities show what SET_IRQS has done. */
static void show_enable(struct vfio_function *fn, uint32_t index, bool on)
{
	uint8_t *own = fn->registers.value, msi = 0;

	if (index == VFIO_PCI_MSI_IRQ_INDEX) {
		unsigned int at = fn->layout.msi + PCI_MSI_FLAGS;

		if (on)
			msi = PCI_MSI_FLAGS_ENABLE | fn->irq.msi_allowed << 4;
		put_bits(own + at, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, msi);
		put_bits(fn->view.shadow + at, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, msi);
	} else {
		put_bits(own + fn->layout.msix + PCI_MSIX_FLAGS + 1, PCI_MSIX_FLAGS_ENABLE >> 8,
			 on ? PCI_MSIX_FLAGS_ENABLE >> 8 : 0);
	}
}

/* Where the MSI capability keeps its mask bits; the pending bits follow. NULL: it has none. */
static uint8_t *msi_masks(struct vfio_function *fn)
{
	uint8_t *cap = fn->registers.value + fn->layout.msi;
	uint16_t control = le16_get(cap + PCI_MSI_FLAGS);

	if (!fn->layout.msi || !(control & PCI_MSI_FLAGS_MASKBIT))
		return NULL;
	return cap + (control & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
}

static void show_pending(struct vfio_function *fn)
{
	uint8_t *masks = msi_masks(fn);

	if (masks)
		le32_put(masks + 4, fn->irq.active == VFIO_PCI_MSI_IRQ_INDEX ? fn->irq.pending[0] : 0);
}

/* ---- messages ----------------------------------------------------------------------------- */

static bool is_open(struct vfio_function *fn, unsigned int vector)
{
	uint8_t *masks;

	if (fn->irq.vectors[vector] < 0 || !function_masters_bus(fn))
		return false;
	if (fn->irq.active != VFIO_PCI_MSI_IRQ_INDEX)
		return true;
	masks = msi_masks(fn);
	return (fn->registers.value[fn->layout.msi + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_ENABLE) &&
	       !(masks && le32_get(masks) >> vector & 1);
}

/* The table of MSI-X has an entry for each vector; those without an eventfd are masked. */
static uint32_t can_pend(const struct vfio_function *fn)
{
	return fn->irq.active == VFIO_PCI_MSIX_IRQ_INDEX ? fn->irq.msix : fn->irq.allocated;
}

EXPORT void vfio_function_msi(struct vfio_function *fn, unsigned int vector)
{
	struct interrupts *irq = &fn->irq;

	if (vector >= can_pend(fn))
		return;
	if (is_open(fn, vector)) {
		signaler_signal(&fn->signaler, irq->vectors[vector]);
	} else if (fn->policy.behaviour >= 2) {
		irq->pending[vector / 64] |= 1ull << vector % 64;
		irq->any_pending = true;
		show_pending(fn);
	}
}

void vectors_deliver(struct vfio_function *fn)
{
	struct interrupts *irq = &fn->irq;

	if (!irq->any_pending)
		return;
	irq->any_pending = false;
	for (uint32_t i = 0; i < can_pend(fn); i++) {
		uint64_t *word = &irq->pending[i / 64], bit = 1ull << i % 64;

		if (!(*word & bit))
			continue;
		if (is_open(fn, i)) {
			*word &= ~bit;
			signaler_signal(&fn->signaler, irq->vectors[i]);
		} else {
			irq->any_pending = true;
		}
	}
	show_pending(fn);
}

void vectors_drop_pending(struct vfio_function *fn)
{
	memset(fn->irq.pending, 0, sizeof(fn->irq.pending));
	fn->irq.any_pending = false;
	show_pending(fn);
}

/* 64 of MSI-X's pending bits. */
uint64_t vectors_pending_word(const struct vfio_function *fn, unsigned int word)
{
	return fn->irq.active == VFIO_PCI_MSIX_IRQ_INDEX ? fn->irq.pending[word] : 0;
}

/* ---- VFIO_DEVICE_SET_IRQS ----------------------------------------------------------------- */

uint32_t vectors_granted(const struct vfio_function *fn, uint32_t index)
{
	uint32_t count = function_vectors_of(fn, index);

	if (!irq_can_deliver(fn, index))
		return 0;
	if (index != VFIO_PCI_MSI_IRQ_INDEX && index != VFIO_PCI_MSIX_IRQ_INDEX)
		return count;
	return count < fn->policy.vectors ? count : fn->policy.vectors;
}

void vectors_disable(struct vfio_function *fn)
{
	for (uint32_t i = 0; i < fn->irq.allocated; i++)
		fd_close(&fn->irq.vectors[i]);
	show_enable(fn, fn->irq.active, false);
	fn->irq.active = NO_INDEX;
	fn->irq.allocated = 0;
	vectors_drop_pending(fn);
}

/* What the vector had is gone in any case, and -1 is never an error. MSI cannot grow; MSI-X can. */
static int assign_one(struct vfio_function *fn, const struct irq_request *q, uint32_t i)
{
	uint32_t vector = q->start + i;

	fd_close(&fn->irq.vectors[vector]);
	if (q->fds[i] < 0)
		return 0;
	if (vector >= fn->irq.allocated && q->index == VFIO_PCI_MSI_IRQ_INDEX)
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q,
				  "MSI cannot get more vectors while it is enabled");
	if (vector >= fn->irq.allocated && vector >= vectors_granted(fn, q->index))
		return irq_refuse(fn, ENOSPC, VFIO_E_VECTORS, q, "the policy grants fewer vectors");
	if (vector >= fn->irq.allocated)
		fn->irq.allocated = vector + 1;
	return irq_replace_eventfd(fn, q, &fn->irq.vectors[vector], q->fds[i]);
}

/* Behaviour version 1: one that goes past the vectors of MSI fails as a whole, whatever it holds. */
static bool fails_whole(const struct vfio_function *fn, const struct irq_request *q)
{
	return fn->policy.behaviour < 2 && q->index == VFIO_PCI_MSI_IRQ_INDEX &&
	       q->start + q->count > fn->irq.allocated;
}

static int fail_whole(struct vfio_function *fn, const struct irq_request *q)
{
	for (uint32_t i = q->start; i < fn->irq.allocated; i++)
		fd_close(&fn->irq.vectors[i]);
	return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q,
			  "MSI cannot get more vectors while it is enabled");
}

/* Ascending; on a failure every vector up to the failing one is left unassigned. */
static int assign(struct vfio_function *fn, const struct irq_request *q)
{
	int r = 0;

	if (fails_whole(fn, q))
		return fail_whole(fn, q);
	for (uint32_t i = 0; i < q->count && r == 0; i++) {
		r = assign_one(fn, q, i);
		for (uint32_t k = 0; r < 0 && k < i; k++)
			fd_close(&fn->irq.vectors[q->start + k]);
	}
	vectors_deliver(fn);
	return r;
}

static int enable(struct vfio_function *fn, const struct irq_request *q)
{
	uint32_t wanted = q->start + q->count, granted = vectors_granted(fn, q->index);
	/* Behaviour version 1: in any state. */
	bool asleep = fn->power_state != 0 && fn->policy.behaviour >= 2;
	int r;

	/* The kernel asks MSI for its power state first, and MSI-X for the number. */
	if (wanted == 0 && (!asleep || q->index == VFIO_PCI_MSIX_IRQ_INDEX))
		return irq_refuse(fn, ERANGE, VFIO_E_IRQ_FLAGS, q, "no vector was asked for");
	if (asleep)
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "the device is not in D0");
	if (!irq_can_deliver(fn, q->index))
		return irq_refuse(fn, EOPNOTSUPP, VFIO_E_UNDELIVERABLE, q,
				  "the policy host-lacks names this kind of interrupt");
	if (wanted > granted) {
		r = irq_refuse(fn, ENOSPC, VFIO_E_VECTORS, q, "the policy grants fewer vectors");
		return granted ? (int)granted : r;
	}
	fn->irq.active = q->index;
	fn->irq.allocated = wanted;
	if (q->index == VFIO_PCI_MSI_IRQ_INDEX)
		fn->irq.msi_allowed = wanted == 1 ? 0 : 32 - __builtin_clz(wanted - 1);
	show_enable(fn, q->index, true);
	r = assign(fn, q);
	if (r < 0)
		vectors_disable(fn);
	return r;
}

static int loop_back(struct vfio_function *fn, const struct irq_request *q)
{
	const struct interrupts *irq = &fn->irq;

	if (irq->active != q->index)
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "the index is not active");
	for (uint32_t i = 0; i < q->count; i++)
		if (q->start + i < irq->allocated && irq->vectors[q->start + i] >= 0 &&
		    irq_is_named(q, i))
			signaler_signal(&fn->signaler, irq->vectors[q->start + i]);
	return 0;
}

int vectors_trigger(struct vfio_function *fn, const struct irq_request *q)
{
	bool active = fn->irq.active == q->index;

	if (active && (q->flags & VFIO_IRQ_SET_DATA_NONE) && q->count == 0) {
		vectors_disable(fn);
		return 0;
	}
	if (!active && fn->irq.active != NO_INDEX)
		return irq_refuse(fn, EINVAL, VFIO_E_IRQ_STATE, q, "another interrupt type is active");
	if (q->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		return active ? assign(fn, q) : enable(fn, q);
	return loop_back(fn, q);
}
