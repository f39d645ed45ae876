/* SPDX-License-Identifier: MIT */
/*
 * Inside of a range map.
 *
 *   range_map.c     finding, walking, gaps
 *   range_change.c  inserting, erasing, and the nodes that come and go by that
 *
 * Those who look see a node's fields at any moment of a change, in any mixture. So they check the
 * version when they are done, and begin again if it has moved. On the way nothing can lead them
 * astray: a node's level never changes, its slots hold nodes of the level below or NULL, and no node
 * is freed before range_map_reap().
 */
#ifndef LIBVFIO_BASE_RANGE_NODE_H
#define LIBVFIO_BASE_RANGE_NODE_H

#include "base/range_map.h"

#define GROUP    8
#define FAN      (GROUP * GROUP)
#define MAX_PATH 24		/* levels: more than 2^64 inserts can make */

/* What a reader may see is stored and loaded in order, and in one piece. */
#define LOAD(x)     __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/*
 * In a leaf a range. Above a child: word is no less than the largest gap between ranges inside of it.
 * Gaps that grow are told at once; that they shrink is seen where one is sought and not found.
 */
struct slot {
	uint64_t last, word;
	void *value;
};

struct range_node {
	uint64_t start[FAN];		/* ascending; UINT64_MAX in slots that are free */
	struct slot slots[FAN];
	uint32_t level;			/* 0: a leaf */
	uint32_t count;
	uint32_t near;			/* the slot that was sought or filled last; not for readers */
	struct range_node *link;	/* of spare or garbage */
} __attribute__((aligned(64)));

/* From the root to a leaf: in which slot it goes on. */
struct path {
	struct range_node *nodes[MAX_PATH];
	unsigned int at[MAX_PATH];
	unsigned int depth;		/* of the leaf */
};

static inline struct range_node *child(const struct range_node *n, unsigned int i)
{
	return n->slots[i].value;
}

static inline struct range range_at(const struct range_node *n, unsigned int i)
{
	return (struct range){ n->start[i], n->slots[i].last, n->slots[i].word,
			       n->slots[i].value };
}

static inline uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The largest gap before a slot, or inside of it. */
static inline uint64_t gap_at(const struct range_node *n, unsigned int i)
{
	uint64_t inside = n->level ? n->slots[i].word : 0;

	return i ? larger(inside, n->start[i] - n->slots[i - 1].last - 1) : inside;
}

static inline uint64_t largest_gap(const struct range_node *n)
{
	uint64_t gap = 0;

	for (unsigned int i = 0; i < n->count; i++)
		gap = larger(gap, gap_at(n, i));
	return gap;
}

/*
 * How many of the starts are not above key. The last of each group tells which group it is; no look
 * waits for another then, nor for a branch.
 */
static inline unsigned int rank(const struct range_node *n, uint64_t key)
{
	const uint64_t *p = n->start;
	unsigned int groups = 0, r = 0;

#pragma GCC unroll 8
	for (unsigned int i = 1; i < GROUP; i++)
		groups += LOAD(p[i * GROUP - 1]) <= key;
	p += groups * GROUP;
#pragma GCC unroll 8
	for (unsigned int i = 0; i < GROUP; i++)
		r += LOAD(p[i]) <= key;
	return groups * GROUP + r;
}

/* The last slot that does not start above key; the first one when all do. */
static inline unsigned int slot_for(const struct range_node *n, uint64_t key)
{
	unsigned int r = rank(n, key);

	if (key == UINT64_MAX && r > LOAD(n->count))	/* no other key finds slots that are free */
		r = LOAD(n->count);
	return r ? r - 1 : 0;
}

/*
 * The same for the thread that changes the map. Most often it is where the last one was, or next to
 * it: what was looked at is erased, and what is added follows what was.
 */
static inline unsigned int slot_near(struct range_node *n, uint64_t key)
{
	unsigned int i = n->near < n->count ? n->near : n->count - 1;

	if (n->start[i] > key || (i + 1 < n->count && n->start[i + 1] <= key))
		n->near = i = slot_for(n, key);
	return i;
}

/* Down to the leaf where key is or would be. The map is not empty. */
static inline void range_descend(const struct range_map *m, uint64_t key, struct path *p)
{
	struct range_node *n = m->root;

	p->depth = n->level;
	for (unsigned int d = 0;; d++) {
		p->nodes[d] = n;
		p->at[d] = slot_near(n, key);
		if (d == p->depth)
			return;
		n = child(n, p->at[d]);
	}
}

/* The leaf behind that of a path; NULL: it is the last. */
const struct range_node *range_behind(const struct path *p);

#endif
