/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define HISTORY 24u		/* entries of a block */

struct entry {
	uint64_t version;
	uint64_t begun;			/* when the write was sent, */
	uint64_t over;			/* and over; ALWAYS: it is under way */
	uint64_t dropped;		/* who asks later cannot read it; ALWAYS: it is possible */
	bool acknowledged;
};

struct block {
	unsigned int n;
	struct entry entries[HISTORY];
};

struct model {
	uint64_t newest;		/* version that was sent */
	uint64_t nblocks;
	struct block blocks[];
};

struct model *model_new(uint64_t blocks)
{
	struct model *m = calloc(1, sizeof(*m) + blocks * sizeof(m->blocks[0]));

	if (!m)
		return NULL;
	m->nblocks = blocks;
	model_clear(m, 0);
	return m;
}

void model_free(struct model *m)
{
	free(m);
}

void model_clear(struct model *m, uint64_t now)
{
	for (uint64_t i = 0; i < m->nblocks; i++) {
		m->blocks[i].n = 1;
		m->blocks[i].entries[0] = (struct entry){
			.begun = now, .over = now, .dropped = ALWAYS, .acknowledged = true,
		};
	}
}

/* ---- writes -------------------------------------------------------------------------------- */

static void forget(struct block *b, uint64_t horizon)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < b->n; i++)
		if (b->entries[i].dropped >= horizon)
			b->entries[kept++] = b->entries[i];
	b->n = kept;
}

bool model_has_room(struct model *m, uint64_t lba, uint64_t blocks, uint64_t horizon)
{
	for (uint64_t i = lba; i < lba + blocks; i++) {
		forget(&m->blocks[i], horizon);
		if (m->blocks[i].n == HISTORY)
			return false;
	}
	return true;
}

void model_begin(struct model *m, uint64_t lba, uint64_t blocks, uint64_t version, uint64_t now)
{
	if (version > m->newest)
		m->newest = version;
	for (uint64_t i = lba; i < lba + blocks; i++) {
		struct block *b = &m->blocks[i];

		b->entries[b->n++] = (struct entry){
			.version = version, .begun = now, .over = ALWAYS, .dropped = ALWAYS,
		};
	}
}

static void drop(struct entry *e, uint64_t now)
{
	if (e->dropped > now)
		e->dropped = now;
}

static void end(struct block *b, uint64_t begun, uint64_t now, bool acknowledged)
{
	for (unsigned int i = 0; i < b->n; i++) {
		struct entry *e = &b->entries[i];

		if (e->begun == begun && e->over == ALWAYS) {
			e->over = now;
			e->acknowledged = acknowledged;
		} else if (acknowledged && e->over < begun) {
			drop(e, now);
		}
	}
}

void model_end(struct model *m, uint64_t lba, uint64_t blocks, uint64_t begun, uint64_t now,
	       bool acknowledged)
{
	for (uint64_t i = lba; i < lba + blocks; i++)
		end(&m->blocks[i], begun, now, acknowledged);
}

/* ---- reads --------------------------------------------------------------------------------- */

static bool is_possible(const struct entry *e, uint64_t sent, uint64_t answered)
{
	return e->begun < answered && e->dropped > sent;
}

/* The first write that may have been read; NULL: none. Zeros may be of several. */
static const struct entry *find(const struct block *b, uint64_t version, uint64_t sent,
				uint64_t answered)
{
	const struct entry *first = NULL;

	for (unsigned int i = 0; i < b->n; i++) {
		const struct entry *e = &b->entries[i];

		if (e->version == version && is_possible(e, sent, answered) &&
		    (!first || e->begun < first->begun))
			first = e;
	}
	return first;
}

static void look(const struct block *b, const struct entry *found, uint64_t sent,
		 uint64_t answered, struct seen *seen)
{
	*seen = (struct seen){ .unknown = found->over != ALWAYS && !found->acknowledged };
	for (unsigned int i = 0; i < b->n; i++) {
		const struct entry *e = &b->entries[i];

		if (e->version == found->version || !is_possible(e, sent, answered))
			continue;
		seen->ambiguous = true;
		if (e->begun > found->begun && e->over < sent && found->over < sent &&
		    e->acknowledged && found->acknowledged)
			seen->swapped = true;
	}
}

enum verdict model_read(struct model *m, uint64_t lba, uint64_t version, uint64_t sent,
			uint64_t answered, struct seen *seen)
{
	struct block *b = &m->blocks[lba];
	const struct entry *found = find(b, version, sent, answered);
	uint64_t settled;

	if (!found)
		return version > m->newest ? INVENTED : LOST;
	look(b, found, sent, answered, seen);
	settled = found->begun > sent ? found->begun : sent;
	for (unsigned int i = 0; i < b->n; i++)
		if (b->entries[i].version != version && b->entries[i].over < settled)
			drop(&b->entries[i], answered);
	return FINE;
}

bool model_may_differ(const struct model *m, uint64_t lba, uint64_t version, uint64_t sent,
		      uint64_t answered)
{
	const struct block *b = &m->blocks[lba];

	for (unsigned int i = 0; i < b->n; i++)
		if (b->entries[i].version != version && is_possible(&b->entries[i], sent, answered))
			return true;
	return false;
}

uint64_t model_guess(const struct model *m, uint64_t lba, uint64_t n)
{
	const struct block *b = &m->blocks[lba];

	for (unsigned int i = 0; i < b->n; i++) {
		const struct entry *e = &b->entries[(n + i) % b->n];

		if (e->dropped == ALWAYS)
			return e->version;
	}
	return 0;
}

/* ---- for people ---------------------------------------------------------------------------- */

void model_tell(const struct model *m, uint64_t lba)
{
	const struct block *b = &m->blocks[lba];

	for (unsigned int i = 0; i < b->n; i++) {
		const struct entry *e = &b->entries[i];

		fprintf(stderr, "  version %llu: sent at %llu, ", (unsigned long long)e->version,
			(unsigned long long)e->begun);
		if (e->over == ALWAYS)
			fprintf(stderr, "under way");
		else
			fprintf(stderr, "%s at %llu", e->acknowledged ? "answered" : "given up",
				(unsigned long long)e->over);
		if (e->dropped != ALWAYS)
			fprintf(stderr, ", not to be read from %llu on",
				(unsigned long long)e->dropped);
		fprintf(stderr, "\n");
	}
}
