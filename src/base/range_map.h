/* SPDX-License-Identifier: MIT */
/*
 * A set of ranges of 64-bit numbers, none of which overlaps another, each with a word and a value.
 *
 * A B+ tree: every operation costs the logarithm of the number of ranges, whatever their order, and
 * what is erased is freed. One thread changes the map. Others may look things up meanwhile with
 * range_map_peek(), which takes no lock; nodes that they may be looking at are kept until
 * range_map_reap().
 */
#ifndef LIBVFIO_BASE_RANGE_MAP_H
#define LIBVFIO_BASE_RANGE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range_node;

struct range_map {
	struct range_node *root;	/* NULL: empty */
	struct range_node *spare;	/* got before a change, so that it cannot fail */
	struct range_node *garbage;	/* out of the tree, not freed yet */
	uint64_t version;		/* odd while a change is under way */
	size_t count;
};

struct range {
	uint64_t start, last;		/* first and last number: a range may end at 2^64 - 1 */
	uint64_t word;
	void *value;
};

/* Where a new range may lie: within [low, high], at a multiple of align (a power of two). */
struct range_wish {
	uint64_t size, align, low, high;
	bool lowest;			/* the lowest place, though that may cost more */
};

void range_map_init(struct range_map *m);
/* Nobody may be looking. Values are the caller's. */
void range_map_finish(struct range_map *m);

/* 0, -ENOMEM, or -EEXIST and (unless it is NULL) in *other a range that is in the way. */
int range_map_insert(struct range_map *m, const struct range *r, struct range *other);

/* The range that begins at start has another word and value from now on, in one step; or false. */
bool range_map_change(struct range_map *m, uint64_t start, uint64_t word, void *value);

/* The range that begins at start goes; false when there is none. */
bool range_map_erase(struct range_map *m, uint64_t start);

/* All of them go. */
void range_map_clear(struct range_map *m);

/* Free what was erased. Nobody may be looking who began before the last erase or clear. */
void range_map_free_garbage(struct range_map *m);

static inline void range_map_reap(struct range_map *m)
{
	if (m->garbage)
		range_map_free_garbage(m);
}

/* The range that holds key. */
bool range_map_find(const struct range_map *m, uint64_t key, struct range *r);

/* Is [start, last] one of the ranges, exactly? */
bool range_map_exact(const struct range_map *m, uint64_t start, uint64_t last, struct range *r);

/* The first range that ends at or behind key. */
bool range_map_next(const struct range_map *m, uint64_t key, struct range *r);

/* The ranges from at to last, one after the other; those that were found may be erased meanwhile. */
struct range_walk {
	uint64_t at, last;
	bool over;
	const struct range_node *leaf;	/* where the last one was, in a map of this version */
	unsigned int slot;
	uint64_t version;
};

bool range_map_step(const struct range_map *m, struct range_walk *w, struct range *r);

/* The lowest place for a new range, or a low one; false when there is none. */
bool range_map_gap(const struct range_map *m, const struct range_wish *wish, uint64_t *start);

/*
 * range_map_find() from any thread, beside changes: what was found was there at one moment of the
 * call. *version is that moment's: as long as range_map_version() says the same, it still is.
 */
bool range_map_peek(const struct range_map *m, uint64_t key, struct range *r, uint64_t *version);

static inline uint64_t range_map_version(const struct range_map *m)
{
	return __atomic_load_n(&m->version, __ATOMIC_SEQ_CST);
}

#endif
