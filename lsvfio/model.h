/* SPDX-License-Identifier: MIT */
/*
 * What lsvfio knows about a device, wherever it learned it.
 *
 * Strings are the device's own, allocated, and clean: text_clean() has been over everything that
 * came from outside. NULL means not known or not applicable.
 */
#ifndef LSVFIO_MODEL_H
#define LSVFIO_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <vfio/driver.h>
#include <vfio/pci.h>

#define MAX_REGIONS 64
#define MAX_IRQS    64
#define MAX_SETTINGS 64
#define MAX_RECORDS 64
#define MAX_MAPS    256		/* of DMA memory: vfiod tells no more */
#define CONFIG_MAX  4096u	/* configuration space of a PCI Express function */

enum kind {
	KIND_VFIOD,		/* served by a vfiod, which was asked over its control socket */
	KIND_PCI,		/* one of the machine's, read from sysfs */
	KIND_OPENED,		/* opened by its device string, as a client */
	KIND_DUMP,		/* configuration space alone, from a file */
};

struct pci_address {
	uint32_t domain;
	uint8_t bus, slot, func;
};

struct identity {
	bool known;
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code;	/* 24 bits */
	uint8_t revision;
	char *vendor_name, *device_name, *class_name;
};

struct client {
	bool present;
	uint32_t pid, uid, gid;
};

/* How much DMA memory a device has from its client, which lists show, too. */
struct used {
	bool known;
	uint64_t maps, bytes;
};

/* The first time that a device was used with nothing to isolate it. */
struct tainted {
	char *time;		/* NULL: it was not, as far as is known */
	uint32_t uid;
};

/* A device as vfiod lists it. */
struct served {
	char *control;		/* the control socket that was asked */
	uint32_t vfiod;		/* the process behind it; 0: not known */
	char *name, *device, *socket, *owner, *group, *mode, *state;
	uint32_t pid;		/* 0: no process now */
	uint32_t restarts;
	bool unsafe;		/* nothing isolates it */
	struct client client;
	struct used used;	/* known only from its description, */
	char *isolation;	/* of DMA, and so is this */
};

/* Flags of a BAR as sysfs tells them; above those of struct vfio_region_info. */
#define REGION_MEMORY   (1u << 16)
#define REGION_IO       (1u << 17)
#define REGION_64BIT    (1u << 18)
#define REGION_PREFETCH (1u << 19)

struct region {
	uint32_t index;
	char *name;
	uint64_t size;		/* 0: the device has no such region */
	uint64_t address;	/* on the machine's bus; 0: not placed, or not on it */
	uint32_t flags;		/* VFIO_REGION_INFO_FLAG_…, REGION_… */
	uint32_t nareas;
	struct vfio_area areas[VFIO_MAX_AREAS];
};

struct irq {
	uint32_t index;
	char *name;
	uint32_t count;
	uint32_t flags;		/* VFIO_IRQ_INFO_… */
	bool limited;		/* granted is known */
	uint32_t advertised, granted;
	bool told;		/* which vectors have an eventfd: */
	uint64_t signalled[VFIO_MAX_VECTORS / 64];
};

/* What keeps the device in its place, in vfio_isolation_name()'s words, or newer ones. */
struct isolation {
	char *dma, *interrupts;		/* NULL: not known */
};

/* The last refused DMA. */
struct fault {
	bool present;
	uint64_t iova, size;
	bool write;
	int err;
	uint64_t count;
};

/* The client's memory. */
struct dma {
	bool known;
	struct vfio_dma_limits limits;
	size_t nmaps;
	struct vfio_dma_info maps[MAX_MAPS];	/* by address; access 0: in a way that is new */
	uint64_t more;			/* that are not among them */
};

/* What the administrator has decided, or left as it is. */
struct setting {
	char *key, *value;
};

struct reset {
	bool known;
	uint32_t methods;	/* VFIO_RESET_… */
	uint32_t others;	/* functions that are reset with it */
	uint64_t count;		/* resets so far; 0: none, or not known */
	int last;		/* what became of the last: 0 or a positive errno */
};

/* One of the device's side channel. */
struct record {
	uint32_t code;
	char *who;
	int err;
	char *text, *remedy;
};

struct description {
	char *backend;
	uint32_t flags;		/* VFIO_DEVICE_FLAGS_… */
	struct isolation isolation;
	size_t nregions, nirqs;
	struct region regions[MAX_REGIONS];
	struct irq irqs[MAX_IRQS];
	size_t config_len;
	uint8_t config[CONFIG_MAX];
	struct fault fault;
	struct dma dma;
	bool has_policy;
	size_t nsettings;
	struct setting settings[MAX_SETTINGS];
	struct reset reset;
	bool has_records;
	size_t nrecords;
	struct record records[MAX_RECORDS];	/* the oldest first */
	size_t nvalues;		/* configuration space, decoded */
	struct vfio_pci_value *values;
	size_t nmap;			/* how its dwords behave; NULL: nobody was asked */
	struct vfio_config_info *map;
};

struct device {
	TAILQ_ENTRY(device) entry;
	enum kind kind;
	char *name;
	char *string;		/* for vfio_open() */
	struct identity id;
	char *driver;
	int64_t group;		/* IOMMU group, -1: none */
	bool unguarded;		/* it is one that the kernel has invented: nothing isolates the device */
	struct tainted tainted;
	struct pci_address address;	/* KIND_PCI */
	struct served *served;		/* KIND_VFIOD */
	struct description *description;
	size_t nproblems;
	char **problems;	/* what could not be read or contradicts itself, in words */
};

TAILQ_HEAD(device_list, device);

#endif
