/* SPDX-License-Identifier: MIT */
/*
 * What the user of a function sees of its registers: the rules of the kernel's vfio-pci, from the
 * "view", "user_writes" and "exposure" columns of the table (pci/table.c). What libvfio does on
 * purpose otherwise is listed in libvfio(7).
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"
#include "pci/fields.h"

/* ---- masks from the table ---------------------------------------------------------------- */

static void add_field(struct view *v, unsigned int base, const struct vfio_pci_field *f)
{
	unsigned int at = base + f->reg;

	if (f->view == VFIO_PCI_VIRTUAL)
		field_add(v->virt + at, f);
	if (f->user_writes)
		field_add(v->write + at, f);
	if (f->access == VFIO_PCI_RW1C && f->view == VFIO_PCI_RAW)
		field_add(v->clear + at, f);
}

/* Bits that a write clears are not bits that a write stores. */
static void add_fields(struct vfio_function *fn, uint32_t structure, unsigned int base,
		       unsigned int length)
{
	const struct vfio_pci_structure *s = vfio_pci_find(structure);
	const struct vfio_pci_field *f = s ? s->fields : NULL;
	struct view *v = &fn->view;

	for (; f && f->width; f++)
		if (vfio_pci_applies(f, fn->registers.value + base, length))
			add_field(v, base, f);
	for (unsigned int at = base; at < base + length; at++)
		v->write[at] &= ~v->clear[at];
}

/* The virtual function answers, in any view: links of what is shown, zeros for what is not. */
void view_keep(struct view *v, unsigned int at, unsigned int length)
{
	memset(v->virt + at, 0xff, length);
	memset(v->kept + at, 0xff, length);
	memset(v->write + at, 0, length);
	memset(v->clear + at, 0, length);
}

static void own(struct view *v, const struct vfio_pci_capability *cap)
{
	v->owners[v->nowners] = *cap;
	for (unsigned int at = cap->offset; at < cap->offset + cap->length; at++) {
		v->owner[at] = v->nowners;
		v->virt[at] = v->write[at] = v->clear[at] = 0;
	}
	v->nowners++;
}

/*
 * HyperTransport's many capabilities are as long as the longest of their kind to the kernel; the
 * table knows how long each of those is that it has rows for.
 */
static unsigned int owned_length(const struct vfio_function *fn, uint32_t number,
				 const struct vfio_pci_capability *cap)
{
	unsigned int length = cap->length, room = PCI_CFG_SPACE_SIZE - cap->offset;

	if (number == PCI_CAP_ID_HT)
		length = fn->registers.value[cap->offset + 3] & HT_3BIT_CAP_MASK
				 ? HT_CAP_SIZEOF_SHORT : HT_CAP_SIZEOF_LONG;
	return number == PCI_CAP_ID_HT && length > room ? room : length;
}

/* A capability that is shown. Links are no business of its rows. */
void view_show(struct vfio_function *fn, struct vfio_pci_capability *cap, uint32_t number)
{
	const struct vfio_pci_structure *s = vfio_pci_find(number);
	unsigned int header = number & VFIO_PCI_EXTENDED ? 4 : 2;
	struct view *v = &fn->view;

	cap->length = owned_length(fn, number, cap);
	own(v, cap);
	if (s && s->exposure == VFIO_PCI_OPEN)
		memset(v->write + cap->offset + header, 0xff, cap->length - header);
	else if (number & 0xffff)	/* 0 is the header's number, and no capability's */
		add_fields(fn, number, cap->offset, cap->length);
}

/* A null capability: four bytes that only say where the next one is. */
void view_own_null(struct view *v, unsigned int at)
{
	struct vfio_pci_capability null = { .offset = at, .length = 4 };

	own(v, &null);
	view_keep(v, at, 4);
}

/* Bytes that belong to nothing, read zero and take no write. */
void view_blank(struct view *v, unsigned int at, unsigned int length)
{
	memset(v->shadow + at, 0, length);
	memset(v->owner + at, 0xff, length * sizeof(v->owner[0]));
	view_keep(v, at, length);
}

/* ---- the header --------------------------------------------------------------------------- */

static void shadow_bars(struct vfio_function *fn)
{
	const struct vfio_function_description *d = &fn->description;

	for (unsigned int i = 0; i < NUM_BARS; i++) {
		uint8_t *at = fn->view.shadow + PCI_BASE_ADDRESS_0 + 4 * i;
		const struct vfio_bar_description *bar = &d->bars[i];
		uint32_t type = 0;

		if (!bar->size)
			continue;
		if (bar->flags & VFIO_BAR_IO)
			type |= PCI_BASE_ADDRESS_SPACE_IO;
		if (bar->flags & VFIO_BAR_MEM64)
			type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		if (bar->flags & VFIO_BAR_PREFETCH)
			type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
		le32_put(at, le32_get(at) | type);	/* a virtual function's own read zero */
	}
}

static void shadow_header(struct vfio_function *fn)
{
	const struct vfio_function_description *d = &fn->description;
	struct view *v = &fn->view;

	shadow_bars(fn);
	if (!irq_can_deliver(fn, VFIO_PCI_INTX_IRQ_INDEX) && fn->policy.lacking == LACKING_HIDE) {
		v->shadow[PCI_INTERRUPT_PIN] = 0;
		view_keep(v, PCI_INTERRUPT_PIN, 1);
	}
	if (!d->virtual_function)
		return;
	/* SR-IOV 1.1, 3.4.1: a virtual function has no IDs, no pin and no memory enable. */
	if (d->vendor) {
		le16_put(v->shadow + PCI_VENDOR_ID, d->vendor);
		le16_put(v->shadow + PCI_DEVICE_ID, d->device);
	}
	v->shadow[PCI_INTERRUPT_PIN] = 0;
	v->virt[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	v->shadow[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
}

/* ---- the whole ---------------------------------------------------------------------------- */

/*
 * The registers as they are, with the lists of what is not hidden by the administrator; what the
 * virtual view would keep for itself, or PCI would let a host write, is refused.
 */
static void filter(struct vfio_function *fn)
{
	const struct registers *r = &fn->registers;
	struct view *v = &fn->view;

	for (unsigned int at = 0; at < fn->config_size; at++) {
		uint8_t writable = v->write[at] | v->clear[at] | r->write[at] | r->clear[at];

		v->write[at] &= v->owner[at] == NO_OWNER ? 0 : ~v->virt[at];
		v->clear[at] &= ~v->virt[at];
		v->policy[at] = writable & ~(v->write[at] | v->clear[at]);
		v->trapped[at] &= v->write[at];
		v->virt[at] &= v->kept[at];
	}
}

/* Make the view anew for what the registers hold at power-on and the policy says. */
int function_view(struct vfio_function *fn)
{
	static const struct vfio_pci_capability header = { .length = PCI_STD_HEADER_SIZEOF };
	struct view *v = &fn->view;

	memcpy(fn->registers.value, fn->registers.power_on, CONFIG_MAX);
	memset(v, 0, sizeof(*v));
	memset(&fn->layout, 0, sizeof(fn->layout));
	memcpy(v->shadow, fn->registers.value, CONFIG_MAX);
	memset(v->owner, 0xff, sizeof(v->owner));
	memset(v->write + PCI_STD_HEADER_SIZEOF, 0xff, fn->config_size - PCI_STD_HEADER_SIZEOF);
	own(v, &header);
	add_fields(fn, 0, 0, PCI_STD_HEADER_SIZEOF);
	lists_show(fn);
	shadow_header(fn);
	memcpy(v->power_on, v->shadow, CONFIG_MAX);
	function_size_bars(fn);
	memcpy(v->power_on, v->shadow, CONFIG_MAX);
	if (v->problem[0] && fn->policy.refuse_malformed)
		return error_set(fn->err, EINVAL, VFIO_E_MALFORMED, VFIO_BY_POLICY,
				 "set the policy malformed = serve to serve it nevertheless",
				 "the configuration space of %s is malformed: %s",
				 fn->description.name, v->problem);
	function_add_hooks(fn);
	if (fn->policy.view == VIEW_FILTERED)
		filter(fn);
	return 0;
}
