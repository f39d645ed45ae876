/* SPDX-License-Identifier: MIT */
/* Explaining configuration space that may hold anything. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <vfio/pci.h>

#include "base/bits.h"
#include "base/export.h"

struct decoder {
	const uint8_t *config;
	int (*callback)(void *arg, const struct vfio_pci_value *value);
	void *arg;
	bool bridge;		/* the header is of type 1 */
};

/* Bridges have some structures of their own, and the others like everybody. */
static const struct vfio_pci_structure *find(const struct decoder *d, uint32_t number)
{
	const struct vfio_pci_structure *s = NULL;

	if (d->bridge)
		s = vfio_pci_find(VFIO_PCI_BRIDGE | number);
	return s ? s : vfio_pci_find(number);
}

static uint32_t field_value(const struct vfio_pci_field *f, const uint8_t *structure)
{
	uint32_t value = le_get(structure + f->reg, f->width) >> f->lsb;

	return f->bits < 32 ? value & ((1u << f->bits) - 1) : value;
}

/* The fields of the structure that *v is about, length bytes at v->base. */
static int decode_structure(const struct decoder *d, struct vfio_pci_value *v, size_t length)
{
	const struct vfio_pci_structure *s = find(d, v->id | (v->extended ? VFIO_PCI_EXTENDED : 0));
	const struct vfio_pci_field *f = s ? s->fields : NULL;
	const uint8_t *bytes = d->config + v->base;
	bool told = false;
	int r = 0;

	v->structure = s ? s->name : "Capability";
	for (; f && f->width && !r; f++) {
		if (!vfio_pci_applies(f, bytes, length))
			continue;
		told = true;
		v->offset = v->base + f->reg;
		v->field = f;
		v->value = field_value(f, bytes);
		r = d->callback(d->arg, v);
	}
	if (told)
		return r;
	v->offset = v->base;
	v->field = NULL;
	v->value = v->id;
	return d->callback(d->arg, v);
}

static int decode_capability(const struct decoder *d, const struct vfio_pci_capability *c,
			     bool extended)
{
	struct vfio_pci_value v = {
		.id = c->id, .extended = extended, .version = c->version, .base = c->offset,
	};

	if (c->id == 0 && !extended)	/* the header's number, and no capability's */
		return 0;
	return decode_structure(d, &v, c->length);
}

static int decode_standard(const struct decoder *d, size_t len)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(d->config, len, caps, NULL);
	int r = 0;

	for (unsigned int i = 0; i < n && !r; i++)
		r = decode_capability(d, &caps[i], false);
	return r;
}

static int decode_extended(const struct decoder *d, size_t len)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	unsigned int n = vfio_pci_walk_extended(d->config, len, caps, NULL);
	int r = 0;

	for (unsigned int i = 0; i < n && !r; i++)
		r = decode_capability(d, &caps[i], true);
	return r;
}

EXPORT int vfio_pci_decode(const uint8_t *config, size_t len,
			   int (*callback)(void *arg, const struct vfio_pci_value *value),
			   void *arg)
{
	struct decoder d = { .config = config, .callback = callback, .arg = arg };
	struct vfio_pci_value header = { .id = 0 };
	uint8_t layout;
	int r;

	if (len < PCI_STD_HEADER_SIZEOF)
		return -EINVAL;
	layout = config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK;
	if (layout != PCI_HEADER_TYPE_NORMAL && layout != PCI_HEADER_TYPE_BRIDGE)
		return -EINVAL;
	d.bridge = layout == PCI_HEADER_TYPE_BRIDGE;
	r = decode_structure(&d, &header, PCI_STD_HEADER_SIZEOF);
	if (!r)
		r = decode_standard(&d, len);
	return r ? r : decode_extended(&d, len);
}
