/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space as data.
 *
 * One table describes every register and bit that libvfio knows (PCI Local Bus 3.0, PCI Power
 * Management 1.2). It drives the virtual function, which serves configuration space, and the
 * decoder, which explains it. Nothing here opens or changes a device.
 */
#ifndef VFIO_PCI_H
#define VFIO_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a write does to a field. */
enum vfio_pci_access {
	VFIO_PCI_RO,		/* nothing */
	VFIO_PCI_RW,		/* stores */
	VFIO_PCI_RW1C,		/* clears the bits that are written as one */
};

/* Who answers a read of a field when a device is seen through VFIO. */
enum vfio_pci_view {
	VFIO_PCI_RAW,		/* the device's own register */
	VFIO_PCI_VIRTUAL,	/* the virtual function */
};

/* A row of the table: one field of one register of one structure. */
struct vfio_pci_field {
	uint16_t structure;	/* 0: the type 0 header; else a capability ID */
	uint16_t reg;		/* the register's offset in the structure, bytes */
	uint8_t width;		/* of the register: 1, 2 or 4 bytes */
	uint8_t lsb, bits;	/* where the field lies in the register */
	enum vfio_pci_access access;
	enum vfio_pci_view view;
	uint16_t if_mask, if_value;	/* holds only if (16-bit word at +2 & if_mask) == if_value */
	const char *reg_name;	/* e.g. "Command" */
	const char *name;	/* e.g. "BusMaster"; "" when the field is the whole register */
};

/* The table, in order of structure and offset; *count gets the number of rows. */
const struct vfio_pci_field *vfio_pci_table(size_t *count);

/* The name of a structure: "Header", "PM", "MSI", …; NULL for an ID that the table lacks. */
const char *vfio_pci_structure_name(uint16_t structure);

/* One capability that was found by walking the list. */
struct vfio_pci_capability {
	uint8_t id;
	uint8_t offset;
	uint8_t next;		/* as the register says */
};

/* PCI leaves room for 48 capabilities between 0x40 and 0xff. */
#define VFIO_PCI_MAX_CAPABILITIES 48

/*
 * Walk the list of standard capabilities in len bytes of configuration space, which may be
 * anything. Stores up to VFIO_PCI_MAX_CAPABILITIES and returns how many were found. A list that
 * loops, or leaves 0x40 to 0xff, ends there, and *problem (if not NULL) points to what is wrong, in
 * words; otherwise *problem is NULL.
 */
unsigned vfio_pci_walk(const uint8_t *config, size_t len,
		       struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES],
		       const char **problem);

/* One decoded field; passed to the callback of vfio_pci_decode(). */
struct vfio_pci_value {
	const char *structure;		/* "Header", "MSI", …; "Capability": unknown */
	uint8_t id;			/* capability ID, 0 for the header */
	uint16_t offset;		/* of the register, from the start of configuration space */
	const struct vfio_pci_field *field;	/* NULL for an unknown capability: just its ID */
	uint32_t value;
};

/*
 * Explain len (64 or more) bytes of configuration space: callback once for each field of the
 * header, then of each capability in list order. A non-zero return of the callback ends the walk
 * and is returned; otherwise 0. -EINVAL when len is below 64, or when the header is not type 0.
 */
int vfio_pci_decode(const uint8_t *config, size_t len,
		    int (*callback)(void *arg, const struct vfio_pci_value *value), void *arg);

#ifdef __cplusplus
}
#endif
#endif
