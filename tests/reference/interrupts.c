/* SPDX-License-Identifier: MIT */
/* The reference's interrupts. */
#include "interrupts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <string.h>

#define INTX     VFIO_PCI_INTX_IRQ_INDEX
#define MSI      VFIO_PCI_MSI_IRQ_INDEX
#define MSIX     VFIO_PCI_MSIX_IRQ_INDEX
#define ERR      VFIO_PCI_ERR_IRQ_INDEX
#define REQ      VFIO_PCI_REQ_IRQ_INDEX

#define NONE     VFIO_IRQ_SET_DATA_NONE
#define BOOL     VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD  VFIO_IRQ_SET_DATA_EVENTFD
#define MASK     VFIO_IRQ_SET_ACTION_MASK
#define UNMASK   VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER  VFIO_IRQ_SET_ACTION_TRIGGER

/* ---- delivery ------------------------------------------------------------------------------ */

static void signal(struct reference *r, int event)
{
	if (event != NO_EVENT)
		r->signals[event]++;
}

static void set_bit(uint8_t *byte, uint8_t bit, bool on)
{
	*byte = on ? *byte | bit : *byte & ~bit;
}

static bool in_d0(const struct reference *r)
{
	return !(r->config[r->pm_at + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK);
}

/*
 * Ours: a message that cannot be delivered now waits until it can. In D3hot the device sends none
 * (PCI PM 1.2, 5.4.1).
 */
static bool deliverable(const struct reference *r, unsigned int v)
{
	const uint8_t *msi = r->config + r->msi_at;

	if (r->vectors[v].event == NO_EVENT || !reference_command(r, PCI_COMMAND_MASTER) ||
	    !in_d0(r))
		return false;
	return r->active == MSIX || ((msi[MSI_CONTROL] & PCI_MSI_FLAGS_ENABLE) &&
				     !(reference_get(msi + MSI_MASKS, 4) >> v & 1));
}

/* What the device shows of itself: I 52, C1, and the pending bits of PCI 3.0, 6.8.1. */
static void show(struct reference *r)
{
	set_bit(r->config + PCI_STATUS, PCI_STATUS_INTERRUPT, r->level);
	set_bit(r->config + r->msix_at + PCI_MSIX_FLAGS + 1, PCI_MSIX_FLAGS_ENABLE >> 8,
		r->active == MSIX);
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++)
		set_bit(r->config + r->msi_at + MSI_PENDING, 1u << v,
			r->active == MSI && r->vectors[v].pending);
}

/* After every change: deliver what can be delivered. */
void reference_settle(struct reference *r)
{
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++) {
		if (r->vectors[v].pending && deliverable(r, v)) {
			r->vectors[v].pending = false;
			signal(r, r->vectors[v].event);
		}
	}
	/* C3: it masks itself. Ours: without an eventfd it is not delivered, and waits. */
	if (r->active == INTX && r->level && !r->masked && r->intx != NO_EVENT) {
		r->masked = true;
		signal(r, r->intx);
	}
	show(r);
}

/* C3: not while INTx Disable is set. */
void reference_unmask(struct reference *r)
{
	if (!reference_command(r, PCI_COMMAND_INTX_DISABLE))
		r->masked = false;
}

/* ---- configuration ------------------------------------------------------------------------- */

/* C3, C4. Ours: the control register of MSI follows. */
void reference_tear_down(struct reference *r)
{
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++)
		r->vectors[v] = (struct reference_vector){ .event = NO_EVENT };
	if (r->active == MSI)
		r->config[r->msi_at + MSI_CONTROL] &=
			~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	r->active = NO_INDEX;
	r->intx = r->rearm = NO_EVENT;
	r->masked = false;
}

/* C4: vectors 0 to count - 1. A7.3: as many messages as a power of two can say. */
static void enable_messages(struct reference *r, int index, unsigned int count)
{
	uint8_t *control = r->config + r->msi_at + MSI_CONTROL;

	r->active = index;
	r->used = count;
	for (unsigned int v = 0; v < (index == MSI ? count : DEVICE_VECTORS); v++)
		r->vectors[v].allocated = true;
	if (index != MSI)
		return;
	for (r->allowed = 0; 1u << r->allowed < count; )
		r->allowed++;
	*control = (*control & ~PCI_MSI_FLAGS_QSIZE) | r->allowed << 4 | PCI_MSI_FLAGS_ENABLE;
}

static int fd_at(const struct vfio_irq_set *set, unsigned int i)
{
	int fd;

	memcpy(&fd, set->data + i * sizeof(fd), sizeof(fd));
	return fd;
}

/* The event that fd is; a negative descriptor is none. */
static int event_of(const struct reference *r, int fd, int *event)
{
	*event = NO_EVENT;
	if (fd < 0)
		return 0;
	for (unsigned int i = 0; i < r->nevents; i++)
		if (r->fds[i] == fd)
			*event = i;
	if (*event != NO_EVENT)
		return 0;
	return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EINVAL;
}

/* C4.1, 1 to 4. What the policy grants no more, but was granted, stays. */
static int assign_one(struct reference *r, unsigned int vector, int fd)
{
	struct reference_vector *v = &r->vectors[vector];

	v->event = NO_EVENT;
	if (fd < 0)
		return 0;
	if (!v->allocated)
		return -EINVAL;
	if (vector >= r->granted && vector >= r->used)
		return -ENOSPC;
	if (vector >= r->used)
		r->used = vector + 1;
	return event_of(r, fd, &v->event);
}

/* C4.1, the block rule: those before the one that failed, and it, end without. */
static int assign(struct reference *r, const struct vfio_irq_set *set)
{
	int error = 0;

	for (unsigned int i = 0; i < set->count && !error; i++) {
		error = assign_one(r, set->start + i, fd_at(set, i));
		for (unsigned int j = 0; error && j <= i; j++)
			r->vectors[set->start + j].event = NO_EVENT;
	}
	return error;
}

/* Loopback: is entry i to be signalled? */
static bool says(const struct vfio_irq_set *set, unsigned int i)
{
	return (set->flags & NONE) || ((set->flags & BOOL) && set->data[i]);
}

/*
 * C4, first use: if there are fewer, their number and nothing else. Of none at all the kernel says that
 * to MSI-X before it looks at the power state, to MSI behind it.
 */
static int begin_messages(struct reference *r, const struct vfio_irq_set *set)
{
	unsigned int wanted = set->start + set->count;
	int error;

	if (wanted == 0 && (in_d0(r) || set->index == MSIX))
		return -ERANGE;
	if (!in_d0(r))
		return -EINVAL;
	if (wanted > r->granted)
		return r->granted;
	enable_messages(r, set->index, wanted);
	error = assign(r, set);
	if (error)
		reference_tear_down(r);
	return error;
}

/* C4: MSI and MSI-X. */
static int set_messages(struct reference *r, const struct vfio_irq_set *set)
{
	bool active = r->active == (int)set->index;

	if (!active && r->active != NO_INDEX)
		return -EINVAL;
	if (!active && (set->flags & EVENTFD))
		return begin_messages(r, set);
	if (!active)
		return -EINVAL;
	if (set->flags & EVENTFD)
		return assign(r, set);
	if ((set->flags & NONE) && !set->count)
		reference_tear_down(r);
	for (unsigned int i = 0; i < set->count; i++)
		if (says(set, i))
			signal(r, r->vectors[set->start + i].event);
	return 0;
}

/* C3: TRIGGER. */
static int trigger_intx(struct reference *r, const struct vfio_irq_set *set)
{
	bool active = r->active == INTX;
	int event, error;

	if (active && (set->flags & NONE) && !set->count) {
		reference_tear_down(r);
		return 0;
	}
	if ((!active && r->active != NO_INDEX) || set->count != 1)
		return -EINVAL;
	if (set->flags & EVENTFD) {
		error = event_of(r, fd_at(set, 0), &event);
		if (error)
			return error;
		if (!active)
			r->masked = reference_command(r, PCI_COMMAND_INTX_DISABLE);
		r->active = INTX;
		r->intx = event;
		return 0;
	}
	if (!active)
		return -EINVAL;
	if (says(set, 0) && !reference_command(r, PCI_COMMAND_INTX_DISABLE))
		signal(r, r->intx);
	return 0;
}

/* C3: an eventfd that unmasks. */
static int set_rearm(struct reference *r, int fd)
{
	int event, error = event_of(r, fd, &event);

	if (error)
		return error;
	if (event != NO_EVENT && r->rearm != NO_EVENT)
		return -EBUSY;
	r->rearm = event;
	return 0;
}

/* C3: MASK and UNMASK. */
static int mask_intx(struct reference *r, const struct vfio_irq_set *set)
{
	if (r->active != INTX || set->count != 1)
		return -EINVAL;
	if (set->flags & EVENTFD)
		return set->flags & MASK ? -ENOTTY : set_rearm(r, fd_at(set, 0));
	if (!says(set, 0))
		return 0;
	if (set->flags & MASK)
		r->masked = true;
	else
		reference_unmask(r);
	return 0;
}

static int set_single_fd(struct reference *r, int *event, int fd)
{
	int new, error = fd < -1 ? -EINVAL : event_of(r, fd, &new);

	if (!error)
		*event = new;
	return error;
}

/* C5: ERR and REQ. */
static int set_single(struct reference *r, int *event, const struct vfio_irq_set *set)
{
	if (set->flags & NONE) {
		if (*event == NO_EVENT)
			return -EINVAL;
		if (set->count)
			signal(r, *event);
		else
			*event = NO_EVENT;
		return 0;
	}
	if (!set->count)
		return -EINVAL;
	if (set->flags & EVENTFD)
		return set_single_fd(r, event, fd_at(set, 0));
	if (says(set, 0))
		signal(r, *event);
	return 0;
}

static bool one_bit(uint32_t v)
{
	return v && !(v & (v - 1));
}

/* C1. */
int reference_irq_info(const struct reference *r, uint32_t index, struct vfio_irq_info *info)
{
	static const uint32_t counts[] = { 1, DEVICE_VECTORS, DEVICE_VECTORS, 1, 1 };
	static const uint32_t flags[] = { 7, 9, 1, 9, 9 };	/* MSI-X: vectors come and go */

	if (index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info->index = index;
	info->count = counts[index];
	info->flags = flags[index];
	return 0;
}

/* C2, in this order. */
static int check_request(const struct reference *r, const struct vfio_irq_set *set)
{
	uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
	uint32_t entry = data == EVENTFD ? sizeof(int) : data == BOOL;
	struct vfio_irq_info info;

	if (set->argsz < sizeof(*set) || reference_irq_info(r, set->index, &info) ||
	    set->count >= UINT32_MAX - set->start || set->flags != (data | action))
		return -EINVAL;
	if (set->start >= info.count || set->start + set->count > info.count || !one_bit(data))
		return -EINVAL;
	if (set->argsz - sizeof(*set) < set->count * entry)
		return -EINVAL;
	if (!one_bit(action) || (set->index != INTX && action != TRIGGER))
		return -ENOTTY;
	return 0;
}

int reference_set_irqs(struct reference *r, const struct vfio_irq_set *set)
{
	int error = check_request(r, set);

	if (error)
		return error;
	if (set->index == ERR)
		error = set_single(r, &r->error, set);
	else if (set->index == REQ)
		error = set_single(r, &r->request, set);
	else if (set->index != INTX)
		error = set_messages(r, set);
	else
		error = set->flags & TRIGGER ? trigger_intx(r, set) : mask_intx(r, set);
	reference_settle(r);
	return error;
}

void reference_rearm(struct reference *r)
{
	reference_unmask(r);
	reference_settle(r);
}

/* ---- the device --------------------------------------------------------------------------- */

/* Ours: of a vector that was not asked for nothing is kept. */
void reference_msi(struct reference *r, unsigned int vector)
{
	if (vector < DEVICE_VECTORS && r->vectors[vector].allocated)
		r->vectors[vector].pending = true;
	reference_settle(r);
}

void reference_intx(struct reference *r, bool level)
{
	r->level = level;
	reference_settle(r);
}

void reference_error(struct reference *r)
{
	signal(r, r->error);
}

void reference_request(struct reference *r)
{
	signal(r, r->request);
}

uint64_t reference_pending(const struct reference *r)
{
	uint64_t bits = 0;

	for (unsigned int v = 0; r->active == MSIX && v < DEVICE_VECTORS; v++)
		bits |= (uint64_t)r->vectors[v].pending << v;
	return bits;
}

