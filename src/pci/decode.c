/* SPDX-License-Identifier: MIT */
/* Walking and explaining configuration space that may hold anything. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <vfio/pci.h>

#include "base/bits.h"
#include "base/export.h"

#define FIRST_CAPABILITY 0x40
#define CAPABILITY_END   0x100

EXPORT unsigned vfio_pci_walk(const uint8_t *config, size_t len,
			      struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES],
			      const char **problem)
{
	size_t end = len < CAPABILITY_END ? len : CAPABILITY_END;
	uint8_t seen[CAPABILITY_END] = { 0 };
	const char *what = NULL;
	unsigned n = 0;
	uint8_t at;

	if (len < PCI_STD_HEADER_SIZEOF || !(config[PCI_STATUS] & PCI_STATUS_CAP_LIST)) {
		if (problem)
			*problem = NULL;
		return 0;
	}
	for (at = config[PCI_CAPABILITY_LIST] & ~3; at; at = config[at + PCI_CAP_LIST_NEXT] & ~3) {
		if (at < FIRST_CAPABILITY)
			what = "the capability list points into the header";
		else if (seen[at])
			what = "the capability list loops";
		else if ((size_t)at + 4 > end)
			what = "the capability list goes on past the bytes that can be read";
		else if (n == VFIO_PCI_MAX_CAPABILITIES)
			what = "the capability list is longer than there is room for";
		if (what)
			break;
		seen[at] = 1;
		caps[n++] = (struct vfio_pci_capability){
			.id = config[at], .offset = at, .next = config[at + PCI_CAP_LIST_NEXT],
		};
	}
	if (problem)
		*problem = what;
	return n;
}

/* The fields of one structure that begins at base. */
static int decode_structure(const uint8_t *config, size_t len, uint8_t id, uint8_t base,
			    int (*callback)(void *arg, const struct vfio_pci_value *value),
			    void *arg)
{
	const char *name = vfio_pci_structure_name(id);
	struct vfio_pci_value v = { .structure = name ? name : "Capability", .id = id };
	bool known = false;
	size_t rows;
	const struct vfio_pci_field *f = vfio_pci_table(&rows);

	for (; rows; rows--, f++) {
		if (f->structure != id)
			continue;
		known = true;
		if (f->if_mask && (le16_get(config + base + 2) & f->if_mask) != f->if_value)
			continue;
		if (!is_inside(base + f->reg, f->width, len))
			continue;
		v.offset = base + f->reg;
		v.field = f;
		v.value = le_get(config + v.offset, f->width) >> f->lsb;
		if (f->bits < 32)
			v.value &= (1u << f->bits) - 1;
		int r = callback(arg, &v);
		if (r)
			return r;
	}
	if (known)
		return 0;
	v.offset = base;
	v.field = NULL;
	v.value = id;
	return callback(arg, &v);
}

EXPORT int vfio_pci_decode(const uint8_t *config, size_t len,
			   int (*callback)(void *arg, const struct vfio_pci_value *value),
			   void *arg)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned n;
	int r;

	if (len < PCI_STD_HEADER_SIZEOF || (config[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
		return -EINVAL;
	r = decode_structure(config, len, 0, 0, callback, arg);
	n = vfio_pci_walk(config, len, caps, NULL);
	for (unsigned i = 0; i < n && !r; i++) {
		if (caps[i].id == 0)	/* the header's number, and no capability's */
			continue;
		r = decode_structure(config, len, caps[i].id, caps[i].offset, callback, arg);
	}
	return r;
}
