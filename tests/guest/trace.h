/* SPDX-License-Identifier: MIT */
/* Each call does one access and prints the line that tells it (see README). */
#ifndef GUEST_TRACE_H
#define GUEST_TRACE_H

#include "output.h"
#include "session.h"

/* What stands for a descriptor in the data of SET_IRQS, beside the numbers of eventfds. */
#define FD_NONE (-1)
#define FD_LESS (-2)
#define FD_BAD	(-100)
#define FD_FILE (-101)

#define DATA_NONE    0x01
#define DATA_BOOL    0x02
#define DATA_EVENTFD 0x04
#define MASK	     0x08
#define UNMASK	     0x10
#define TRIGGER	     0x20

struct irq_set {
	unsigned index;
	uint32_t flags;
	uint32_t start;
	uint32_t count;
	uint32_t argsz; /* 0: what the data needs */
	int used;	/* of data; 0: as many as count, e0 e1 ... or 1 0 1 ... */
	int data[EVENTS];
};

uint64_t rd(struct session *s, uint64_t offset, unsigned width);
void wr(struct session *s, uint64_t offset, unsigned width, uint64_t value);
void bar_read(struct session *s, unsigned region, uint64_t offset, unsigned width);
void bar_write(struct session *s, unsigned region, uint64_t offset, unsigned width, uint64_t value);
void hw(struct session *s, unsigned offset, unsigned width);

void device_info(struct session *s);
void region_info(struct session *s, unsigned index);
void irq_info(struct session *s, unsigned index);
void device_reset(struct session *s);

int set_irqs(struct session *s, const struct irq_set *set);
uint64_t event_read(struct session *s, unsigned number);
void event_write(struct session *s, unsigned number);
/* Prints those that counted something, and the first few whatever they counted. */
void events_read(struct session *s, unsigned always);

#endif
