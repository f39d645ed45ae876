/* SPDX-License-Identifier: MIT */
/* Where in configuration space something may be found out, and what is written there. */
#ifndef GUEST_PLACES_H
#define GUEST_PLACES_H

#include "chance.h"
#include "session.h"

#define MAX_PLACES 64

struct place {
	unsigned at, length, id;
};

struct places {
	unsigned count;
	struct place list[MAX_PLACES]; /* the header, and every capability */
};

void places_find(struct places *p, const struct session *s);
/* An offset for an access of so many bytes, mostly aligned and mostly in a place. */
uint64_t places_pick(const struct places *p, const struct session *s, struct chance *c,
		     unsigned width);

unsigned pick_width(struct chance *c);
/* What may be written there: it starts no reset most of the time, and no transfer. */
uint64_t pick_value(const struct session *s, struct chance *c, uint64_t offset, unsigned width);
bool may_write(const struct places *p, const struct session *s, uint64_t offset, unsigned width);

#endif
