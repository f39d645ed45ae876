/* SPDX-License-Identifier: MIT */
/*
 * The lists of capabilities, as the user sees them: well-formed, whatever the function's own are, and
 * without what is hidden.
 */
#include <string.h>

#include "base/bits.h"
#include "function/function.h"

#define FIRST_EXTENDED PCI_CFG_SPACE_SIZE

/* One of the two lists of the function's own. */
struct list {
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	unsigned int n;
	uint32_t extended;		/* VFIO_PCI_EXTENDED, or 0 */
	unsigned int end;		/* of the part of configuration space */
	bool shown[VFIO_PCI_MAX_EXTENDED];
};

/* ---- what is shown ------------------------------------------------------------------------- */

/* A capability that says that it has no length is none. */
static bool is_empty(const struct vfio_function *fn, uint32_t number, unsigned int at)
{
	const uint8_t *cap = fn->registers.value + at;

	switch (number) {
	case PCI_CAP_ID_VNDR:
		return cap[PCI_CAP_FLAGS] == 0;
	case VFIO_PCI_EXTENDED | PCI_EXT_CAP_ID_VNDR:
	case VFIO_PCI_EXTENDED | PCI_EXT_CAP_ID_DVSEC:
		return at + 8 > fn->config_size || le32_get(cap + PCI_VNDR_HEADER) >> 20 == 0;
	}
	return (number & 0xffff) == 0;
}

static bool is_shown(const struct vfio_function *fn, uint32_t number, unsigned int at)
{
	const struct vfio_pci_structure *s = vfio_pci_find(number);
	bool filtered = fn->policy.view == VIEW_FILTERED;	/* all that the registers have */

	if (policy_hides(&fn->policy, number))
		return false;
	if (!filtered && (!s || s->exposure == VFIO_PCI_HIDDEN || is_empty(fn, number, at)))
		return false;
	if (fn->policy.lacking != LACKING_HIDE)
		return true;
	if (number == PCI_CAP_ID_MSI)
		return irq_can_deliver(fn, VFIO_PCI_MSI_IRQ_INDEX);
	return number != PCI_CAP_ID_MSIX || irq_can_deliver(fn, VFIO_PCI_MSIX_IRQ_INDEX);
}

/* How long one is of which the table does not know it: up to the next, or to the end. */
static unsigned int whole_length(const struct list *l, unsigned int i)
{
	const struct vfio_pci_capability *cap = &l->caps[i];
	unsigned int end = l->end;

	if (cap->length > (l->extended ? 4 : 2))
		return cap->length;
	for (unsigned int k = 0; k < l->n; k++)
		if (l->caps[k].offset > cap->offset && l->caps[k].offset < end)
			end = l->caps[k].offset;
	return end - cap->offset;
}

/* In the order of the list: where capabilities overlap, the later one has the bytes. */
static void show_and_hide(struct vfio_function *fn, struct list *l)
{
	for (unsigned int i = 0; i < l->n; i++) {
		struct vfio_pci_capability *cap = &l->caps[i];
		uint32_t number = l->extended | cap->id;

		l->shown[i] = is_shown(fn, number, cap->offset);
		if (l->shown[i])
			view_show(fn, cap, number);
		else if (fn->policy.hidden_zero)
			view_blank(&fn->view, cap->offset, whole_length(l, i));
	}
}

/* ---- links --------------------------------------------------------------------------------- */

static void link_standard(struct view *v, const struct list *l)
{
	uint8_t *link = v->shadow + PCI_CAPABILITY_LIST;

	*link = 0;
	view_keep(v, PCI_CAPABILITY_LIST, 1);
	v->kept[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	for (unsigned int i = 0; i < l->n; i++) {
		unsigned int next = l->caps[i].offset + PCI_CAP_LIST_NEXT;

		if (!l->shown[i])
			continue;
		view_keep(v, next, 1);
		*link = l->caps[i].offset;
		link = v->shadow + next;
		*link = 0;
	}
	if (v->shadow[PCI_CAPABILITY_LIST] == 0)
		v->shadow[PCI_STATUS] &= ~PCI_STATUS_CAP_LIST;
}

/*
 * The list of extended capabilities begins at 0x100, always. What is hidden there leaves a null
 * capability that says only where the next one is.
 */
static void link_extended(struct view *v, const struct list *l)
{
	uint8_t *link = v->shadow + FIRST_EXTENDED;

	if (l->n && !l->shown[0]) {
		view_blank(v, FIRST_EXTENDED, 4);
		view_own_null(v, FIRST_EXTENDED);
	}
	for (unsigned int i = 0; i < l->n; i++) {
		unsigned int at = l->caps[i].offset;

		if (!l->shown[i])
			continue;
		view_keep(v, at, 4);
		if (at != FIRST_EXTENDED)
			le32_put(link, le32_get(link) | at << 20);
		link = v->shadow + at;
		le32_put(link, le32_get(link) & 0x000fffff);
	}
}

/* ---- those that have a life of their own ---------------------------------------------------- */

static void note_place(struct layout *l, const struct vfio_pci_capability *cap)
{
	switch (cap->id) {
	case PCI_CAP_ID_PM:	l->pm = cap->offset; break;
	case PCI_CAP_ID_MSI:	l->msi = cap->offset; break;
	case PCI_CAP_ID_MSIX:	l->msix = cap->offset; break;
	case PCI_CAP_ID_EXP:	l->express = cap->offset; break;
	case PCI_CAP_ID_AF:	l->af = cap->offset; break;
	case PCI_CAP_ID_VPD:	l->vpd = cap->offset; break;
	}
}

/* Wake-up is the host's business: what the registers say of it is hidden. */
static void hide_wake_up(struct vfio_function *fn)
{
	uint8_t *cap = fn->view.shadow + fn->layout.pm;

	le16_put(cap + PCI_PM_PMC, le16_get(cap + PCI_PM_PMC) & ~PCI_PM_CAP_PME_MASK);
	le16_put(cap + PCI_PM_CTRL, le16_get(cap + PCI_PM_CTRL) &
		 ~(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
}

/* If it is cut off before the registers that make it work, it is shown, and dead. */
static bool is_whole(const struct vfio_function *fn, const struct vfio_pci_capability *cap)
{
	uint16_t control = le16_get(fn->registers.value + cap->offset + PCI_CAP_FLAGS);

	switch (cap->id) {
	case PCI_CAP_ID_PM:
	case PCI_CAP_ID_AF:
		return cap->length >= 6;
	case PCI_CAP_ID_VPD:
		return cap->length >= PCI_CAP_VPD_SIZEOF;
	case PCI_CAP_ID_EXP:
	case PCI_CAP_ID_MSIX:
		return cap->length >= 12;
	case PCI_CAP_ID_MSI:
		return cap->length >= 10 + (control & PCI_MSI_FLAGS_64BIT ? 4 : 0) +
				      (control & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
	}
	return true;
}

/* All its bytes are its own: another that overlaps it may have some. */
static bool is_alone(const struct view *v, const struct vfio_pci_capability *cap)
{
	for (unsigned int at = cap->offset; at < cap->offset + (unsigned int)cap->length; at++)
		if (v->owner[at] == NO_OWNER || v->owners[v->owner[at]].offset != cap->offset)
			return false;
	return true;
}

static void find_places(struct vfio_function *fn, const struct list *l)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (l->shown[i] && is_whole(fn, &l->caps[i]) && is_alone(&fn->view, &l->caps[i]))
			note_place(&fn->layout, &l->caps[i]);
	if (fn->layout.pm)
		hide_wake_up(fn);
}

/* ---- the lists ----------------------------------------------------------------------------- */

void lists_show(struct vfio_function *fn)
{
	struct view *v = &fn->view;
	struct list l = { .end = PCI_CFG_SPACE_SIZE };

	l.n = vfio_pci_walk(fn->registers.value, fn->config_size, l.caps, v->problem);
	if (v->shadow[PCI_STATUS] & PCI_STATUS_CAP_LIST) {
		show_and_hide(fn, &l);
		find_places(fn, &l);
		link_standard(v, &l);
	}
	l = (struct list){ .extended = VFIO_PCI_EXTENDED, .end = fn->config_size };
	l.n = vfio_pci_walk_extended(fn->registers.value, fn->config_size, l.caps,
				     v->problem[0] ? NULL : v->problem);
	show_and_hide(fn, &l);
	link_extended(v, &l);
}
