/* SPDX-License-Identifier: MIT */
/* Fields of the table as masks over bytes. */
#ifndef LIBVFIO_FIELDS_H
#define LIBVFIO_FIELDS_H

#include <vfio/pci.h>

static inline uint32_t field_mask(const struct vfio_pci_field *f)
{
	return (f->bits == 32 ? UINT32_MAX : (1u << f->bits) - 1) << f->lsb;
}

/* Set the field's bits in the bytes of its register. */
static inline void field_add(uint8_t *reg, const struct vfio_pci_field *f)
{
	uint32_t mask = field_mask(f);

	for (unsigned int i = 0; i < f->width; i++)
		reg[i] |= mask >> (8 * i);
}

#endif
