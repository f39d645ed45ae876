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

/* Down to the leaf where key is or would be. The map is not empty. */
void range_descend(const struct range_map *m, uint64_t key, struct path *p);

/* The leaf and the slot of the first range that ends at or behind key, where its path ends. */
const struct range_node *range_next_on(const struct path *p, uint64_t key, unsigned int *at);

#endif
