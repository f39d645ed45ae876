/* SPDX-License-Identifier: MIT */
/*
 * A controller that a driver may meet: it does what NVM Express says, but where the input says that
 * it lies: then its registers, its data, and what it answers, and when, are the input's.
 */
#ifndef FUZZ_NVME_CONTROLLER_H
#define FUZZ_NVME_CONTROLLER_H

#include <vfio/device.h>
#include <vfio/nvme.h>

#include "input.h"

#define PAGE   4096u
#define QUEUES 8u			/* the admin queue's pair included */
#define LATE   16u			/* answers that are kept back */

struct pair {				/* as Create told of them */
	uint64_t sq, cq;		/* 0: there is none */
	uint32_t sq_entries, cq_entries;
	uint32_t head, tail;		/* of the one, of the other */
	uint16_t phase, vector;
	bool interrupts;
};

struct late {
	unsigned int q;
	struct vfio_nvme_completion answer;
};

struct controller {
	struct vfio_function *fn;
	struct input *in;
	int awake;			/* an eventfd that is always readable: see turn() */
	uint64_t cap, asq, acq;
	uint32_t cc, csts, aqa;
	bool gone;			/* all ones, and no work */
	/* So often it is still asked for its status, and may be not ready: time is dear. */
	unsigned int patience, stalls;
	unsigned int honest_reads, read_lies;	/* so many are honest, then so many lie */
	unsigned int honest_answers, answer_lies;
	struct pair pairs[QUEUES];
	uint32_t bells[2 * QUEUES];	/* when they are not mapped */
	uint64_t shadow, events;
	unsigned int nlate;
	struct late late[LATE];
	unsigned int nevents;		/* requests that wait */
	uint16_t event_cids[16];
};

/* how: CONTROLLER_… */
#define CONTROLLER_MAPS   1u		/* its doorbells can be mapped, */
#define CONTROLLER_SLEEPS 2u		/* and it wants to be woken then */
#define CONTROLLER_MSIX   4u
#define CONTROLLER_MSI    8u
#define CONTROLLER_PIN    16u
#define CONTROLLER_OTHER  32u		/* is no NVMe controller */
void controller_make(struct controller *c, struct input *in, uint8_t how);
/* Behind vfio_close(). */
void controller_finish(struct controller *c);

/* nvme_lost.c: between its driver and it there is something that can break, for good. */
void controller_can_be_lost(struct vfio_dev *dev);
void controller_lose(void);

/* Of its own accord: an event, late answers, an answer to nothing. */
void controller_event(struct controller *c, uint32_t what);
void controller_late(struct controller *c);
void controller_answer(struct controller *c, unsigned int q, uint16_t cid, uint16_t status);
/* Look at the doorbells. */
void controller_work(struct controller *c);

#endif
