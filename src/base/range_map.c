/* SPDX-License-Identifier: MIT */
/*
 * Those who look see a node's fields at any moment of a change, in any mixture. So they check the
 * version when they are done, and begin again if it has moved. On the way nothing can lead them
 * astray: a node's level never changes, its slots hold nodes of the level below or NULL, and no node
 * is freed before range_map_reap().
 */
#include "base/range_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROUP    8
#define FAN      (GROUP * GROUP)
#define FEW      (FAN / 4)	/* a node with no more is merged with its neighbour, */
#define ENOUGH   (FAN * 3 / 4)	/* if both together have no more */
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

/* ---- nodes -------------------------------------------------------------------------------- */

static struct range_node *child(const struct range_node *n, unsigned int i)
{
	return n->slots[i].value;
}

static void put(struct range_node *n, unsigned int i, uint64_t start, const struct slot *s)
{
	STORE(n->start[i], start);
	STORE(n->slots[i].last, s->last);
	STORE(n->slots[i].word, s->word);
	STORE(n->slots[i].value, s->value);
}

/* A free slot must not keep what it held: that may be freed one day. */
static void blank(struct range_node *n, unsigned int i)
{
	put(n, i, UINT64_MAX, &(struct slot){ 0 });
}

static void insert_slot(struct range_node *n, unsigned int at, uint64_t start, const struct slot *s)
{
	for (unsigned int i = n->count; i > at; i--)
		put(n, i, n->start[i - 1], &n->slots[i - 1]);
	put(n, at, start, s);
	STORE(n->count, n->count + 1);
}

static void erase_slot(struct range_node *n, unsigned int at)
{
	for (unsigned int i = at; i + 1 < n->count; i++)
		put(n, i, n->start[i + 1], &n->slots[i + 1]);
	STORE(n->count, n->count - 1);
	blank(n, n->count);
}

/* The slots of from, from first on, to the end of to. */
static void move_slots(struct range_node *to, struct range_node *from, unsigned int first)
{
	unsigned int count = from->count, n = to->count;

	for (unsigned int i = first; i < count; i++)
		put(to, n++, from->start[i], &from->slots[i]);
	STORE(to->count, n);
	STORE(from->count, first);
	for (unsigned int i = first; i < count; i++)
		blank(from, i);
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

static uint64_t largest_gap(const struct range_node *n)
{
	uint64_t gap = 0;

	for (unsigned int i = 0; i < n->count; i++)
		gap = larger(gap, gap_at(n, i));
	return gap;
}

/* The slot of the parent that tells of a node. */
static struct slot summary(struct range_node *n)
{
	return (struct slot){ n->slots[n->count - 1].last, largest_gap(n), n };
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

/* ---- memory ------------------------------------------------------------------------------- */

static void free_list(struct range_node **list)
{
	while (*list) {
		struct range_node *n = *list;

		*list = n->link;
		free(n);
	}
}

static int need_spare(struct range_map *m, unsigned int number)
{
	while (number--) {
		struct range_node *n = aligned_alloc(64, sizeof(*n));

		if (!n) {
			free_list(&m->spare);
			return -ENOMEM;
		}
		n->link = m->spare;
		m->spare = n;
	}
	return 0;
}

static struct range_node *take_spare(struct range_map *m, uint32_t level)
{
	struct range_node *n = m->spare;

	m->spare = n->link;
	memset(n, 0, sizeof(*n));
	memset(n->start, 0xff, sizeof(n->start));
	n->level = level;
	return n;
}

static void discard(struct range_map *m, struct range_node *n)
{
	n->link = m->garbage;
	m->garbage = n;
}

/* ---- finding ------------------------------------------------------------------------------ */

static struct range range_at(const struct range_node *n, unsigned int i)
{
	return (struct range){ n->start[i], n->slots[i].last, n->slots[i].word,
			       n->slots[i].value };
}

/* Down to the leaf where key is or would be. The map is not empty. */
static void descend(const struct range_map *m, uint64_t key, struct path *p)
{
	struct range_node *n = m->root;

	p->depth = n->level;
	for (unsigned int d = 0;; d++) {
		p->nodes[d] = n;
		p->at[d] = slot_for(n, key);
		if (d == p->depth)
			return;
		n = child(n, p->at[d]);
	}
}

/* The leaf behind that of a path; NULL: it is the last. */
static const struct range_node *behind(const struct path *p)
{
	for (unsigned int d = p->depth; d-- > 0;) {
		const struct range_node *n = p->nodes[d];

		if (p->at[d] + 1 == n->count)
			continue;
		n = child(n, p->at[d] + 1);
		while (n->level)
			n = child(n, 0);
		return n;
	}
	return NULL;
}

/* The leaf and the slot of the first range that ends at or behind key, where its path ends. */
static const struct range_node *next_on(const struct path *p, uint64_t key, unsigned int *at)
{
	const struct range_node *leaf = p->nodes[p->depth];

	*at = p->at[p->depth];
	if (leaf->slots[*at].last < key)
		++*at;
	if (*at < leaf->count)
		return leaf;
	*at = 0;
	return behind(p);
}

bool range_map_next(const struct range_map *m, uint64_t key, struct range *r)
{
	struct range_walk w = { .at = key, .last = UINT64_MAX };

	return range_map_step(m, &w, r);
}

/* As long as nothing changes, the next range is most often the next of the leaf. */
static bool step_in_leaf(const struct range_map *m, struct range_walk *w)
{
	return w->leaf && w->version == m->version && ++w->slot < w->leaf->count;
}

bool range_map_step(const struct range_map *m, struct range_walk *w, struct range *r)
{
	if (w->over || !m->root)
		return false;
	if (!step_in_leaf(m, w)) {
		struct path p;

		descend(m, w->at, &p);
		w->leaf = next_on(&p, w->at, &w->slot);
		w->version = m->version;
		if (!w->leaf)
			return false;
	}
	*r = range_at(w->leaf, w->slot);
	w->over = r->last >= w->last;
	w->at = r->last + 1;
	return r->start <= w->last;
}

/* One look, in whatever state the tree is. That each level is one down needs no look at the nodes. */
static inline bool look(const struct range_map *m, uint64_t key, struct range *r)
{
	const struct range_node *n = LOAD(m->root);
	unsigned int at;

	if (!n)
		return false;
	for (uint32_t level = n->level; level; level--) {
		n = LOAD(n->slots[slot_for(n, key)].value);
		if (!n)
			return false;
	}
	at = slot_for(n, key);
	*r = (struct range){ LOAD(n->start[at]), LOAD(n->slots[at].last), LOAD(n->slots[at].word),
			     LOAD(n->slots[at].value) };
	return r->start <= key && key <= r->last;
}

bool range_map_find(const struct range_map *m, uint64_t key, struct range *r)
{
	return look(m, key, r);
}

bool range_map_peek(const struct range_map *m, uint64_t key, struct range *r, uint64_t *version)
{
	for (;;) {
		uint64_t before = range_map_version(m);
		bool found = !(before & 1) && look(m, key, r);

		if (!(before & 1) && LOAD(m->version) == before) {
			*version = before;
			return found;
		}
	}
}

/* ---- gaps --------------------------------------------------------------------------------- */

struct gap_search {
	const struct range_wish *wish;
	uint64_t from;			/* nothing below is free, or wanted */
	uint64_t least;			/* gaps below that are passed over */
	bool over;			/* there is nothing more above */
};

/* Is there room in [from, end)? end 0 is 2^64. */
static bool fits(const struct gap_search *g, uint64_t end, uint64_t *start)
{
	uint64_t align = g->wish->align, at = (g->from + align - 1) & ~(align - 1);
	uint64_t last = end - 1 < g->wish->high ? end - 1 : g->wish->high;

	if (at < g->from || at > last || last - at < g->wish->size - 1)
		return false;
	*start = at;
	return true;
}

static bool search(struct gap_search *g, struct range_node *n, uint64_t *start);

/* What is not found there, and what was thought to be, costs the next search nothing. */
static bool search_child(struct gap_search *g, struct slot *s, uint64_t *start)
{
	if (s->word < g->least)
		return false;
	if (search(g, s->value, start))
		return true;
	STORE(s->word, largest_gap(s->value));
	return false;
}

static bool search(struct gap_search *g, struct range_node *n, uint64_t *start)
{
	for (unsigned int i = 0; i < n->count && !g->over; i++) {
		struct slot *s = &n->slots[i];

		if (s->last < g->from)
			continue;
		if (n->start[i] > g->from && fits(g, n->start[i], start))
			return true;
		if (n->level && search_child(g, s, start))
			return true;
		g->from = s->last + 1;
		g->over = s->last == UINT64_MAX || g->from > g->wish->high;
	}
	return false;
}

static bool search_all(const struct range_map *m, const struct range_wish *wish, uint64_t least,
		       uint64_t *start)
{
	struct gap_search g = { .wish = wish, .from = wish->low, .least = least };

	if (m->root && search(&g, m->root, start))
		return true;
	return !g.over && fits(&g, 0, start);
}

/*
 * First among the gaps that are large enough wherever they begin: each that is looked at will do, so
 * that it costs a logarithm. Only then among those that may happen to be aligned.
 */
bool range_map_gap(const struct range_map *m, const struct range_wish *wish, uint64_t *start)
{
	uint64_t sure = wish->size + wish->align - 1;

	if (!wish->size || wish->low > wish->high)
		return false;
	if (!wish->lowest && sure >= wish->size && search_all(m, wish, sure, start))
		return true;
	return search_all(m, wish, wish->size, start);
}

/* ---- changing ----------------------------------------------------------------------------- */

static void begin_change(struct range_map *m)
{
	STORE(m->version, m->version + 1);
}

/* Whoever waits for readers after that sees those that have missed the change. */
static void end_change(struct range_map *m)
{
	__atomic_store_n(&m->version, m->version + 1, __ATOMIC_SEQ_CST);
}

/* The largest gap on either side of slot at, and inside of it. */
static uint64_t gap_about(const struct range_node *n, unsigned int at)
{
	uint64_t before = at < n->count ? gap_at(n, at) : 0;

	return at + 1 < n->count ? larger(before, gap_at(n, at + 1)) : before;
}

/*
 * What the nodes above say of a node at depth d, which is not empty, and of those on the way: in each,
 * what is at or about the slot of the path has changed.
 */
static void update(const struct path *p, unsigned int d)
{
	while (d-- > 0) {
		struct range_node *n = p->nodes[d], *c = p->nodes[d + 1];
		struct slot *old = &n->slots[p->at[d]], new = {
			.last = c->slots[c->count - 1].last, .value = c,
			.word = larger(old->word, gap_about(c, p->at[d + 1])),
		};

		if (n->start[p->at[d]] == c->start[0] && old->last == new.last &&
		    old->word == new.word)
			return;
		put(n, p->at[d], c->start[0], &new);
	}
}

/* Half of a full node into a new one behind it; none of it if that is where things are added. */
static struct range_node *split(struct range_map *m, struct range_node *n, unsigned int at)
{
	struct range_node *right = take_spare(m, n->level);

	move_slots(right, n, at == FAN ? FAN : FAN / 2);
	return right;
}

static void grow(struct range_map *m, struct range_node *left, struct range_node *right)
{
	struct range_node *root = take_spare(m, left->level + 1);
	struct slot l = summary(left), r = summary(right);

	put(root, 0, left->start[0], &l);
	put(root, 1, right->start[0], &r);
	root->count = 2;
	STORE(m->root, root);
}

/* Put a slot into the node at depth d of a path, at slot at, and what that takes above. */
static void insert_on(struct range_map *m, struct path *p, unsigned int d, unsigned int at,
		      uint64_t start, const struct slot *s)
{
	struct range_node *n = p->nodes[d], *right;
	struct slot told;

	p->at[d] = at;
	if (n->count < FAN) {
		insert_slot(n, at, start, s);
		update(p, d);
		return;
	}
	right = split(m, n, at);
	if (at > n->count || at == FAN)
		insert_slot(right, at - n->count, start, s);
	else
		insert_slot(n, at, start, s);
	if (d == 0) {
		grow(m, n, right);
		return;
	}
	update(p, d);
	told = summary(right);
	insert_on(m, p, d - 1, p->at[d - 1] + 1, right->start[0], &told);
}

static int insert_first(struct range_map *m, const struct range *r)
{
	const struct slot s = { r->last, r->word, r->value };
	struct range_node *n;

	if (need_spare(m, 1) < 0)
		return -ENOMEM;
	n = take_spare(m, 0);
	insert_slot(n, 0, r->start, &s);
	begin_change(m);
	STORE(m->root, n);
	m->count = 1;
	end_change(m);
	return 0;
}

/* How many nodes an insert at the end of a path makes. */
static unsigned int nodes_to_make(const struct path *p)
{
	unsigned int d = p->depth, n = 0;

	while (p->nodes[d]->count == FAN) {
		n++;
		if (d-- == 0)
			return n + 1;		/* the root, too */
	}
	return n;
}

int range_map_insert(struct range_map *m, const struct range *r, struct range *other)
{
	const struct slot s = { r->last, r->word, r->value };
	const struct range_node *next;
	struct path p;
	unsigned int at;

	if (!m->root)
		return insert_first(m, r);
	descend(m, r->start, &p);
	next = next_on(&p, r->start, &at);
	if (next && next->start[at] <= r->last) {
		if (other)
			*other = range_at(next, at);
		return -EEXIST;
	}
	if (need_spare(m, nodes_to_make(&p)) < 0)
		return -ENOMEM;
	at = p.at[p.depth];
	if (p.nodes[p.depth]->start[at] < r->start)
		at++;
	begin_change(m);
	insert_on(m, &p, p.depth, at, r->start, &s);
	m->count++;
	end_change(m);
	return 0;
}

/* The node at depth d has become empty. Returns the depth of the lowest node that is left. */
static unsigned int unlink_node(struct range_map *m, struct path *p, unsigned int d)
{
	for (;; d--) {
		discard(m, p->nodes[d]);
		if (d == 0) {
			STORE(m->root, NULL);
			return 0;
		}
		erase_slot(p->nodes[d - 1], p->at[d - 1]);
		if (p->nodes[d - 1]->count)
			return d - 1;
	}
}

/* Two neighbours below the node at depth d, at slots left and left + 1, become one if they can. */
static bool merge(struct range_map *m, struct path *p, unsigned int d, unsigned int left)
{
	struct range_node *n = p->nodes[d], *l = child(n, left), *r = child(n, left + 1);
	struct slot told;

	if (l->count + r->count > ENOUGH)
		return false;
	move_slots(l, r, 0);
	discard(m, r);
	erase_slot(n, left + 1);
	told = summary(l);
	put(n, left, l->start[0], &told);
	update(p, d);
	return true;
}

/* Nodes from depth d up that have become small are joined with others. */
static void tidy(struct range_map *m, struct path *p, unsigned int d)
{
	while (d-- > 0) {
		unsigned int at = p->at[d];

		if (child(p->nodes[d], at)->count > FEW)
			break;
		if (!(at + 1 < p->nodes[d]->count && merge(m, p, d, at)) && at > 0)
			merge(m, p, d, at - 1);
	}
	while (m->root && m->root->level && m->root->count == 1) {
		struct range_node *old = m->root;

		STORE(m->root, child(old, 0));
		discard(m, old);
	}
}

bool range_map_erase(struct range_map *m, uint64_t start)
{
	struct range_node *leaf;
	unsigned int depth;
	struct path p;

	if (!m->root)
		return false;
	descend(m, start, &p);
	leaf = p.nodes[p.depth];
	if (leaf->start[p.at[p.depth]] != start)
		return false;
	depth = p.depth;
	begin_change(m);
	m->count--;
	erase_slot(leaf, p.at[depth]);
	if (!leaf->count)
		depth = unlink_node(m, &p, depth);
	update(&p, depth);
	tidy(m, &p, depth);
	end_change(m);
	return true;
}

bool range_map_change(struct range_map *m, uint64_t start, uint64_t word, void *value)
{
	struct range_node *leaf;
	struct slot *slot;
	struct path p;

	if (!m->root)
		return false;
	descend(m, start, &p);
	leaf = p.nodes[p.depth];
	slot = &leaf->slots[p.at[p.depth]];
	if (leaf->start[p.at[p.depth]] != start)
		return false;
	begin_change(m);
	STORE(slot->word, word);
	STORE(slot->value, value);
	end_change(m);
	return true;
}

static void discard_all(struct range_map *m, struct range_node *n)
{
	for (unsigned int i = 0; n->level && i < n->count; i++)
		discard_all(m, child(n, i));
	discard(m, n);
}

void range_map_clear(struct range_map *m)
{
	struct range_node *root = m->root;

	begin_change(m);
	STORE(m->root, NULL);
	m->count = 0;
	end_change(m);
	if (root)
		discard_all(m, root);
}

void range_map_reap(struct range_map *m)
{
	free_list(&m->garbage);
}

void range_map_init(struct range_map *m)
{
	memset(m, 0, sizeof(*m));
}

void range_map_finish(struct range_map *m)
{
	range_map_clear(m);
	range_map_reap(m);
	free_list(&m->spare);
}
