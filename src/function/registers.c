/* SPDX-License-Identifier: MIT */
/*
 * The function's own registers in configuration space: what a device behind a bus would answer. How
 * the bits behave is the "access" column of the table (pci/table.c). What the table does not know
 * is read-only.
 */
#include "base/bits.h"
#include "function/function.h"
#include "pci/fields.h"

static void behave(struct registers *r, uint32_t structure, unsigned int base, unsigned int length)
{
	const struct vfio_pci_structure *s = vfio_pci_find(structure);
	const struct vfio_pci_field *f = s ? s->fields : NULL;

	for (; f && f->width; f++) {
		uint8_t *mask = f->access == VFIO_PCI_RW ? r->write :
				f->access == VFIO_PCI_RW1C ? r->clear : NULL;

		if (mask && vfio_pci_applies(f, r->value + base, length))
			field_add(mask + base + f->reg, f);
	}
}

/* Fill the masks for what the values hold. */
void registers_behave(struct registers *r, unsigned int size)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	unsigned int n;

	behave(r, 0, 0, PCI_STD_HEADER_SIZEOF);
	n = vfio_pci_walk(r->value, size, caps, NULL);
	for (unsigned int i = 0; i < n; i++)
		if (caps[i].id)
			behave(r, caps[i].id, caps[i].offset, caps[i].length);
	n = vfio_pci_walk_extended(r->value, size, caps, NULL);
	for (unsigned int i = 0; i < n; i++)
		behave(r, VFIO_PCI_EXTENDED | caps[i].id, caps[i].offset, caps[i].length);
	/* A decoder that the device lacks cannot be switched on. */
	r->write[PCI_COMMAND] &= ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY) | r->value[PCI_COMMAND];
}

void registers_write(struct registers *r, unsigned int at, uint32_t value, uint32_t mask)
{
	uint32_t write = le32_get(r->write + at) & mask, clear = le32_get(r->clear + at) & mask;
	uint32_t now = le32_get(r->value + at);

	le32_put(r->value + at, ((now & ~write) | (value & write)) & ~(value & clear));
}

uint32_t registers_kept(const struct vfio_function *fn, unsigned int at)
{
	const struct registers *r = &fn->registers;

	return function_is_real(fn) ? UINT32_MAX : le32_get(r->write + at) | le32_get(r->clear + at);
}

void registers_put(struct vfio_function *fn, unsigned int at, unsigned int width, uint32_t value,
		   uint32_t bits)
{
	uint8_t *own = fn->registers.value + at;

	if (function_is_real(fn))
		hardware_write(fn, at, width, value, bits);
	else
		le_put(own, width, (le_get(own, width) & ~bits) | (value & bits));
}
