/* SPDX-License-Identifier: MIT */
/*
 * A controller for tests of the driver, in this process: it does what the test says, and nothing
 * behind its back. It checks what a controller can see of the driver: no queue may overflow.
 */
#ifndef NVME_FAKE_H
#define NVME_FAKE_H

#include <vfio/device.h>

#include "vfio-nvme.h"

enum fake_doorbells {
	FAKE_TRAPPED,			/* each write is a call */
	FAKE_MEMORY,			/* a page that the driver maps, and an eventfd */
	FAKE_SHADOW,			/* doorbell buffers, and trapped registers */
};

#define FAKE_QUEUES 6u			/* I/O queues, and the admin queue */
#define FAKE_SEEN   4096u

struct fake_queue {
	uint64_t sq, cq;		/* I/O addresses; 0: there is none */
	unsigned int sq_entries, cq_entries;
	unsigned int sq_tail, sq_head, cq_tail, cq_head;
	unsigned int phase;
	bool interrupts;
	unsigned int vector;
};

struct fake {
	/* What it is: to be changed before it is opened. */
	enum fake_doorbells doorbells;
	uint32_t class_code;
	uint64_t cap;
	unsigned int msix, msi, intx;
	struct vfio_nvme_controller_data id;
	struct vfio_nvme_namespace_data ns;
	uint32_t active[2048];		/* numbers of namespaces; 0 ends them */
	bool no_list;			/* as NVMe 1.0 */
	uint32_t granted;		/* queues: the value of the feature */

	/* How it behaves: to be changed at any time. */
	bool gone;			/* all registers read all ones */
	bool never_ready, fatal, stuck;	/* at CC.EN = 1; stuck: at CC.EN = 0 */
	bool deaf;			/* to all admin commands but asynchronous events */
	uint16_t refuse;		/* this status for admin commands of opcode refused */
	uint8_t refused;
	/* Does the command; NULL: success. */
	void (*work)(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd);

	/* What happened. */
	uint32_t cc, csts, aqa;
	uint64_t asq, acq, shadow, event;
	struct fake_queue queues[1 + FAKE_QUEUES];
	unsigned int sq_writes, cq_writes;	/* of doorbell registers of I/O queues */
	unsigned int enables, shutdowns, resets;
	bool overrun;			/* a completion queue was full */
	struct vfio_nvme_command seen[FAKE_SEEN];	/* I/O commands, and admin's */
	unsigned int nseen;
	struct vfio_nvme_command admin[FAKE_SEEN];
	unsigned int nadmin;
	uint16_t events[16];		/* ids of requests */
	unsigned int nevents;
	/*
	 * The doorbells where the driver has them mapped, if threads use it: ThreadSanitizer does
	 * not know that two addresses are one page.
	 */
	const uint32_t *mapped;
	struct vfio_function *fn;
};

/* A good one: one namespace of 1000 blocks of 4096 bytes, MDTS 128 KiB, four queues. */
void fake_init(struct fake *fake, enum fake_doorbells doorbells);

/* Its handle; fake must stay. */
struct vfio_dev *fake_open(struct fake *fake);

/* Look at all doorbells, and work. */
void fake_work(struct fake *fake);

/* Answer: any id, any status. */
void fake_answer(struct fake *fake, unsigned int id, uint16_t cid, uint16_t status,
		 uint32_t result);

/* Answer nothing. */
void fake_hold(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd);

#endif
