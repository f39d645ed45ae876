/* SPDX-License-Identifier: MIT */
/* Steps by chance: what is asked of a device, the same whoever answers. */
#ifndef GUEST_STEPS_H
#define GUEST_STEPS_H

#include "places.h"

struct steps {
	struct session *session;
	struct places places;
	bool fixed;		/* an old kernel: vectors that were not enabled cannot be named */
	unsigned active;	/* which kind of interrupts is, */
	uint64_t enabled;	/* and how many vectors of it; 0: none is */
};

void steps_init(struct steps *steps, struct session *s);

/* Does step number `number` of the sequence that has this seed. */
void steps_do(struct steps *steps, uint64_t seed, unsigned number);

/* steps_irq.c */
void step_irq(struct steps *steps, struct chance *c);
void step_irq_life(struct steps *steps, struct chance *c);
void irqs_off(struct steps *steps);

#endif
