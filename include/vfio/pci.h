/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration space as data.
 *
 * One table describes every structure, register and bit that libvfio knows: the headers, the
 * standard capabilities, the extended ones of PCI Express. It drives the virtual function, which
 * serves configuration space, and the decoder, which explains it. Nothing here opens or changes a
 * device.
 */
#ifndef VFIO_PCI_H
#define VFIO_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the table ---------------------------------------------------------------------------- */

/* What a write does to a field of the device's own registers. */
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

/* What the user of a real device is shown of a structure. */
enum vfio_pci_exposure {
	VFIO_PCI_SHOWN,		/* it is in the list; writes go where the rows say */
	VFIO_PCI_OPEN,		/* it is in the list; writes reach the device wherever they go */
	VFIO_PCI_HIDDEN,	/* it is taken out of the list */
};

/* A row of the table: one field of one register. */
struct vfio_pci_field {
	uint16_t reg;		/* the register's offset in its structure, bytes */
	uint8_t width;		/* of the register: 1, 2 or 4 bytes */
	uint8_t lsb, bits;	/* where the field lies in the register */
	enum vfio_pci_access access;	/* at the device itself */
	bool user_writes;	/* the device's user may write it; others' bits stay as they are */
	enum vfio_pci_view view;
	/*
	 * Which structures have it: all if if_mask is 0. Otherwise the field if_mask of the 16-bit
	 * word at +2 has a value v, and bit v of if_values is set.
	 */
	uint16_t if_mask;
	uint32_t if_values;
	const char *reg_name;	/* e.g. "Command" */
	const char *name;	/* e.g. "BusMaster"; "" when the field is the whole register */
};

/* The number of a structure is its capability ID, 0 for the header, plus one of these: */
#define VFIO_PCI_EXTENDED 0x10000	/* a capability of PCI Express, at 0x100 or above */
#define VFIO_PCI_BRIDGE   0x20000	/* as it is in a function whose header is of type 1 */

struct vfio_pci_structure {
	uint32_t number;
	uint16_t length;	/* in bytes; 0: not the same for all, or not known */
	enum vfio_pci_exposure exposure;
	const char *name;	/* e.g. "MSI" */
	const struct vfio_pci_field *fields;	/* up to one of width 0; NULL: just the name */
};

/* The table, in order of number; *count gets how many structures it has. */
const struct vfio_pci_structure *vfio_pci_table(size_t *count);

/* The structure of this number, or NULL. */
const struct vfio_pci_structure *vfio_pci_find(uint32_t number);

/* Has a structure that lies at bytes, length of them, this field? */
bool vfio_pci_applies(const struct vfio_pci_field *field, const uint8_t *bytes, size_t length);

/* ---- the lists of capabilities ------------------------------------------------------------- */

/* One capability that was found by walking a list. */
struct vfio_pci_capability {
	uint16_t id;		/* 0: a null capability, which says only where the next is */
	uint8_t version;	/* of an extended capability; else 0 */
	uint16_t offset;
	uint16_t next;		/* as the register says */
	uint16_t length;	/* bytes, no more than there are; 2 or 4 when not known */
};

/* PCI leaves room for 48 capabilities from 0x40 to 0xff, and for 960 from 0x100 to 0xfff. */
#define VFIO_PCI_MAX_CAPABILITIES 48
#define VFIO_PCI_MAX_EXTENDED     960

/* Enough for what can be wrong with a list, in words. */
#define VFIO_PCI_PROBLEM_ROOM 120

/*
 * Walk the list of standard, or of extended capabilities in len bytes of configuration space, which
 * may be anything. Stores up to VFIO_PCI_MAX_CAPABILITIES, or VFIO_PCI_MAX_EXTENDED, and returns
 * how many were found. A list that loops, or leaves its part of configuration space, ends there. If
 * problem is not NULL it gets what is wrong, in words: that, or that capabilities overlap; it gets
 * "" when all is well.
 *
 * Extended capabilities are looked for only if there is a PCI Express or PCI-X 2.0 capability.
 */
unsigned vfio_pci_walk(const uint8_t *config, size_t len,
		       struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES],
		       char problem[VFIO_PCI_PROBLEM_ROOM]);
unsigned vfio_pci_walk_extended(const uint8_t *config, size_t len,
				struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED],
				char problem[VFIO_PCI_PROBLEM_ROOM]);

/* ---- what can be done with it --------------------------------------------------------------- */

/* How the 32 bits at a dword of configuration space behave; one mask for each question. */
struct vfio_config_info {
	uint16_t offset;	/* of the dword */
	uint16_t capability;	/* ID of what it belongs to; 0: the header, or nothing */
	uint16_t base;		/* where that begins; 0 also for what belongs to nothing */
	uint8_t extended;	/* the ID is of an extended capability */
	uint8_t exact;		/* told by who does it; 0: what the table says of a kernel's device */
	uint32_t virt;		/* answered by the virtual function, the rest by the device */
	uint32_t write;		/* can be written */
	uint32_t clear;		/* cleared by writing ones */
	uint32_t trapped;	/* a write sets something off: decoding, power, reset, interrupts */
	uint32_t policy;	/* writable by PCI or VFIO, and refused by policy */
	uint32_t raw;		/* what the device's own registers hold there, if exact */
};

#define VFIO_PCI_MAX_DWORDS 1024

/*
 * By the table, what the kernel lets its user do with a device that has these len bytes of
 * configuration space: an entry for each dword. Returns how many there are; 0 when len is below 64.
 */
unsigned vfio_pci_config_map(const uint8_t *config, size_t len,
			     struct vfio_config_info map[VFIO_PCI_MAX_DWORDS]);

/* ---- the decoder --------------------------------------------------------------------------- */

/* One decoded field; passed to the callback of vfio_pci_decode(). */
struct vfio_pci_value {
	const char *structure;		/* "Header", "MSI", …; "Capability": unknown */
	uint16_t id;			/* capability ID, 0 for the header */
	bool extended;			/* the ID is of an extended capability */
	uint8_t version;		/* of an extended capability; else 0 */
	uint16_t base;			/* of the structure, from the start of configuration space */
	uint16_t offset;		/* of the register, from there too */
	const struct vfio_pci_field *field;	/* NULL: no row is known, value is the ID */
	uint32_t value;
};

/*
 * Explain len (64 or more) bytes of configuration space: callback once for each field of the
 * header, then of each capability in list order, extended ones last. A non-zero return of the
 * callback ends the walk and is returned; otherwise 0. -EINVAL when len is below 64, or when the
 * header is of neither type 0 nor type 1.
 */
int vfio_pci_decode(const uint8_t *config, size_t len,
		    int (*callback)(void *arg, const struct vfio_pci_value *value), void *arg);

/* ---- dumps --------------------------------------------------------------------------------- */

/* A BAR, or the expansion ROM, as lspci -v tells of it; the configuration space does not. */
struct vfio_pci_resource {
	uint64_t size;		/* in bytes; 0: nothing is told */
	bool io, mem64, prefetchable;
};

/* A device that somebody wrote down. */
struct vfio_pci_dump {
	char name[24];		/* "00:1f.2", "0000:00:1f.2"; "" if all there was is bytes */
	uint16_t length;	/* how many bytes of config there were */
	uint8_t config[4096];
	struct vfio_pci_resource bars[6], rom;
};

/*
 * Read the next device of a dump: what lspci prints with -x, -xxx or -xxxx, and maybe -v, of one
 * device or several; or 64 to 4096 raw bytes. *at is 0 at first; each call that returns 1 stores a
 * device and moves it on; 0 when there is no further one. -EINVAL when the text makes no sense, or
 * names no device: problem, if it is not NULL, gets why, in words, with the line.
 */
int vfio_pci_dump_next(const void *text, size_t len, size_t *at, struct vfio_pci_dump *dump,
		       char problem[VFIO_PCI_PROBLEM_ROOM]);

#ifdef __cplusplus
}
#endif
#endif
