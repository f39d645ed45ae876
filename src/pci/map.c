/* SPDX-License-Identifier: MIT */
/*
 * What the kernel lets the user of a device do with each bit of its configuration space, by the
 * table. (function/view.c does the same for a device that is here, and knows what becomes of it.)
 */
#include <linux/pci_regs.h>
#include <string.h>
#include <vfio/pci.h>

#include "base/export.h"
#include "pci/fields.h"

struct map {
	const uint8_t *config;
	struct vfio_config_info *dwords;
};

static void add_field(struct map *m, unsigned int base, const struct vfio_pci_field *f)
{
	unsigned int at = base + f->reg;
	struct vfio_config_info *info = &m->dwords[at / 4];
	uint32_t bits = field_mask(f) << 8 * (at % 4);

	if (f->view == VFIO_PCI_VIRTUAL)
		info->virt |= bits;
	if (f->user_writes && f->access == VFIO_PCI_RW1C)
		info->clear |= bits;
	else if (f->user_writes)
		info->write |= bits;
}

static void add_fields(struct map *m, const struct vfio_pci_structure *s, unsigned int base,
		       unsigned int length)
{
	for (const struct vfio_pci_field *f = s->fields; f && f->width; f++)
		if (vfio_pci_applies(f, m->config + base, length))
			add_field(m, base, f);
}

/* A byte of a capability: nothing of it is written unless its rows say so, and links are virtual. */
static void own_byte(struct map *m, const struct vfio_pci_capability *cap, bool extended, bool open,
		     unsigned int at)
{
	struct vfio_config_info *info = &m->dwords[at / 4];
	uint32_t bits = 0xffu << 8 * (at % 4);
	bool header = at - cap->offset < (extended ? 4u : 2u);

	if (!open || header)
		info->write &= ~bits;
	if (header && (extended || at - cap->offset == PCI_CAP_LIST_NEXT))
		info->virt |= bits;
	if (at % 4 == 0) {
		info->capability = cap->id;
		info->base = cap->offset;
		info->extended = extended;
	}
}

/* What is hidden belongs to nothing: it is the device's, all of it. */
static void add_capability(struct map *m, const struct vfio_pci_capability *cap, bool extended)
{
	const struct vfio_pci_structure *s =
		vfio_pci_find(cap->id | (extended ? VFIO_PCI_EXTENDED : 0));
	bool open = s && s->exposure == VFIO_PCI_OPEN;

	if (!s || !cap->id || s->exposure == VFIO_PCI_HIDDEN)
		return;
	for (unsigned int at = cap->offset; at < cap->offset + (unsigned int)cap->length; at++)
		own_byte(m, cap, extended, open, at);
	add_fields(m, s, cap->offset, cap->length);
}

EXPORT unsigned vfio_pci_config_map(const uint8_t *config, size_t len,
				    struct vfio_config_info map[VFIO_PCI_MAX_DWORDS])
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	struct map m = { config, map };
	unsigned int n, dwords = len / 4;

	if (len < PCI_STD_HEADER_SIZEOF)
		return 0;
	if (dwords > VFIO_PCI_MAX_DWORDS)
		dwords = VFIO_PCI_MAX_DWORDS;
	memset(map, 0, dwords * sizeof(*map));
	for (unsigned int i = 0; i < dwords; i++) {
		map[i].offset = 4 * i;
		map[i].write = i < PCI_STD_HEADER_SIZEOF / 4 ? 0 : UINT32_MAX;
	}
	add_fields(&m, vfio_pci_find(0), 0, PCI_STD_HEADER_SIZEOF);
	n = vfio_pci_walk(config, 4 * dwords, caps, NULL);
	for (unsigned int i = 0; i < n; i++)
		add_capability(&m, &caps[i], false);
	n = vfio_pci_walk_extended(config, 4 * dwords, caps, NULL);
	for (unsigned int i = 0; i < n; i++)
		add_capability(&m, &caps[i], true);
	return dwords;
}
