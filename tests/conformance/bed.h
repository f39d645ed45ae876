/* SPDX-License-Identifier: MIT */
/* One device on one back end, while one row runs; and short ways to ask it things. */
#ifndef CONFORMANCE_BED_H
#define CONFORMANCE_BED_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vfio/pci.h>
#include <vfio/server.h>

#include "model.h"
#include "subjects.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define ROM    VFIO_PCI_ROM_REGION_INDEX
#define INTX   VFIO_PCI_INTX_IRQ_INDEX
#define MSI    VFIO_PCI_MSI_IRQ_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX
#define ERR    VFIO_PCI_ERR_IRQ_INDEX
#define REQ    VFIO_PCI_REQ_IRQ_INDEX

/*
 * What the program was asked to test: a subject on a back end, or whatever a device string names.
 */
struct rig {
	const struct subject *subject;	/* NULL: what vfio_open(name) opens */
	bool socket;
	const char *name;
};

#define BED_EVENTFDS 16

struct bed {
	const struct rig *rig;
	struct vfio_dev *dev;		/* what the row drives */
	/* What lies behind the virtual function, as it is at first; no bytes: nobody knows. */
	uint8_t hw[4096];
	size_t hw_size;
	struct vfio_server *server;	/* of the socket, run by this thread */
	pthread_t thread;
	bool serving;
	int fds[BED_EVENTFDS];
	unsigned int nfds;
};

/* An administrator's choice, from before the driver comes. */
struct policy {
	const char *key, *value;
};

/* -ENOTSUP when the device has no policy. policy->key may be NULL. */
int bed_open(struct bed *b, const struct rig *rig, const struct policy *policy);
void bed_close(struct bed *b);

/* The driver goes, and the next one comes. */
void bed_reopen(struct bed *b);

/* Is it this library that answers, and not a kernel? */
bool ours(struct bed *b);

/* Has it been mapped from sysfs? */
bool by_uio(struct bed *b);

/* A new eventfd, which goes with the bed, or when all go. */
int bed_eventfd(struct bed *b);
void bed_close_eventfds(struct bed *b);

/* ---- configuration space: an access is one call, and must not fail -------------------------- */

uint32_t get(struct bed *b, unsigned int at, unsigned int width);
void put(struct bed *b, unsigned int at, unsigned int width, uint32_t value);

/* put(), and where that went (VFIO_WENT_…); -1 if this back end cannot tell. */
int put_where(struct bed *b, unsigned int at, unsigned int width, uint32_t value);

/* put() must reach these places and no other, if the back end can tell. */
void assert_went(struct bed *b, unsigned int at, unsigned int width, uint32_t value, int where);

/* What the device's own register holds, if that can be told; it lies in one dword. */
void assert_behind(struct bed *b, unsigned int at, unsigned int width, uint32_t value);

/* A capability that the device has. */
unsigned int cap(struct bed *b, uint8_t id);
unsigned int ecap(struct bed *b, uint16_t id);

/* All that a user sees, and how much it is. */
size_t see_all(struct bed *b, uint8_t config[4096]);

/* ---- regions -------------------------------------------------------------------------------- */

enum bar_kind { NO_BAR, IO_BAR, MEM32_BAR, MEM64_BAR };

/* NO_BAR also for the place that the upper half of a 64-bit BAR takes. */
enum bar_kind bar_kind(struct bed *b, unsigned int bar);

struct vfio_region region_of(struct bed *b, unsigned int index);

/* The first BAR of the kind, or -1. */
int first_bar(struct bed *b, enum bar_kind kind);

/* The first memory BAR, which decodes only if Command says so; or -1. */
int memory_bar(struct bed *b);

/* The first BAR with an area that can be mapped, or -1. */
int mappable_bar(struct bed *b);

/* The result of reading the last 4 bytes of a region: there is never an MSI-X table. */
ssize_t peek(struct bed *b, unsigned int region);

/* The state of the memory bit of Command. */
void set_memory(struct bed *b, bool on);

/* ---- the model's registers ------------------------------------------------------------------ */

bool has_model(struct bed *b);
uint32_t model_get(struct bed *b, unsigned int reg);
void model_put(struct bed *b, unsigned int reg, uint32_t value);

#endif
