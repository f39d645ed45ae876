/* SPDX-License-Identifier: MIT */
/*
 * A host of an NVMe controller in this process, for its fuzz target: memory of every kind that a
 * hostile driver can give it, and beside that queues and data of an honest driver, in memory that
 * nothing else names. What comes there must be right.
 */
#ifndef FUZZ_NVME_HOST_H
#define FUZZ_NVME_HOST_H

#include <endian.h>

#include <vfio/nvme.h>

#include "check.h"
#include "contract.h"

#define BAR    VFIO_PCI_BAR0_REGION_INDEX
#define PAGE   4096u
#define QUEUES 7u			/* the honest ones; 0: admin */
#define CIDS   0x400u
#define OWN_CID   0x100u		/* the host's own commands, one at a time */
#define ASYNC_CID 0x200u		/* + n: requests of events, which wait */

/* ---- memory -------------------------------------------------------------------------------- */

/* Honest: the queues, doorbell buffers, a list, data. No input names it but the data. */
#define HONEST_AT    UINT64_C(0x5ad3c9b17000)
#define SQ_PAGE(q)   (q)
#define CQ_PAGE(q)   (QUEUES + (q))
#define SHADOW_PAGE  (2 * QUEUES)
#define EVENTS_PAGE  (2 * QUEUES + 1)
#define LIST_PAGE    (2 * QUEUES + 2)	/* and the next one */
#define DATA_PAGE    (2 * QUEUES + 4)
#define DATA_PAGES   17u
#define HONEST_PAGES (DATA_PAGE + DATA_PAGES)
#define DATA_AT      (HONEST_AT + DATA_PAGE * PAGE)

#define WINDOW_AT    UINT64_C(0x10000000)
#define WINDOW_PAGES 32u

enum kind {
	HERE,				/* in place */
	PEER,				/* by asking */
	LOOSE,				/* a file that can be cut off */
};

/* A map that can come and go. The device's view of it allows what the map does, or nothing. */
struct place {
	uint64_t iova;
	unsigned int pages;
	enum kind kind;
	uint32_t prot;
	bool mapped;
	uint8_t *bytes;			/* as the host sees them; NULL: by the file */
	uint8_t *view;
	int fd;
};

#define PLACES 9u
#define HONEST (PLACES - 1)		/* the place */

/* ---- the host ------------------------------------------------------------------------------ */

struct queue {
	bool exists;
	uint32_t entries, cq_entries;
	uint32_t tail, sq_head, head;
	uint32_t rung;			/* the tail that the device was told */
	uint16_t phase;
	uint16_t under_way[CIDS];
	unsigned int count;		/* of them, those aside that wait for events */
};

#define NAMESPACES 4u			/* two in memory, two in files, of which one is read-only */
#define NS_BYTES   (16 * PAGE)

struct host {
	struct vfio_function *fn;
	struct vfio_dev *dev;
	struct place places[PLACES];
	struct dma_peer peer;
	int files[2];			/* of the namespaces */
	bool files_fit;			/* they are as long as they were, and can be written */
	bool trusted;			/* it was told nothing that is not honest, and is ready */
	bool shadow;			/* doorbell buffers are set up */
	bool silent;			/* bus mastering is off: nothing will come */
	struct queue queues[QUEUES];
	uint16_t status[CIDS];		/* of the last answer */
	bool peer_fails;
	void (*asked)(void *arg);	/* while the device waits for the peer */
	void *asked_arg;
};

/* how: OPEN_… */
#define OPEN_RING   1u			/* io=uring */
#define OPEN_POLLS  2u			/* poll=50 */
#define OPEN_DIRECT 4u
void host_open(struct host *h, unsigned int how);
void host_close(struct host *h);

void host_map(struct host *h, struct place *p);
void host_unmap(struct host *h, struct place *p);
/* All maps have gone with their user. */
void host_gone(struct host *h);
/* What is mapped, or was, at iova; NULL: nothing. */
struct place *host_place(struct host *h, uint64_t iova);
/* Write there what lies inside of one place. */
void host_put(struct host *h, uint64_t iova, const void *data, size_t len);
/* Honest memory. */
uint8_t *host_bytes(struct host *h, unsigned int page);

/* ---- queues -------------------------------------------------------------------------------- */

void host_write32(struct host *h, uint64_t offset, uint32_t value);
/* 7.6.1, with honest queues. The device must become ready. */
void host_bring_up(struct host *h, uint32_t entries);
/* Forget that all was honest: the device has been told something else, or was reset. */
void host_distrust(struct host *h);

/* Put a command; false when there is no room. cid is the host's order. */
bool host_submit(struct host *h, unsigned int q, const struct vfio_nvme_command *cmd);
void host_ring(struct host *h, unsigned int q);
/* Take the answers, and check them. */
void host_reap(struct host *h);
/* Let the device work; an honest one's commands are answered in the end. */
void host_settle(struct host *h);
/* Whatever there was: when nobody does anything, it sleeps. */
void host_check_sleep(struct host *h);
/* Nothing is under way but requests of events. */
bool host_idle(const struct host *h);
/* The host's own command: its status. */
uint16_t host_run(struct host *h, unsigned int q, struct vfio_nvme_command cmd);

bool host_make_queue(struct host *h, unsigned int q, uint32_t entries);
void host_use_shadow(struct host *h);

/* ---- namespaces ---------------------------------------------------------------------------- */

struct contents {
	uint32_t shift[NAMESPACES];
	uint8_t bytes[NAMESPACES][NS_BYTES];
};

/* As they are, by an honest queue; false when that cannot be known now. */
bool host_look(struct host *h, unsigned int q, struct contents *c);

/* A command, alone: if it failed, or is none that writes, it has changed nothing. */
void check_alone(struct host *h, unsigned int q, struct vfio_nvme_command cmd);
/*
 * Write, Read, Compare or Write Zeroes, of which cdw10 is all of the LBA, with data at offset of
 * the data pages, filled before: status, blocks and data are as they have to be. how is a matter of
 * the data pointers.
 */
void check_io(struct host *h, struct vfio_nvme_command cmd, uint32_t offset, uint8_t how,
	      bool fill);

#endif
