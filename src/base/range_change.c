/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/range_node.h"

#define FEW      (FAN / 4)	/* a node with no more is merged with its neighbour, */
#define ENOUGH   (FAN * 3 / 4)	/* if both together have no more */

/* ---- slots -------------------------------------------------------------------------------- */

static inline void put(struct range_node *n, unsigned int i, uint64_t start, const struct slot *s)
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

static inline void insert_slot(struct range_node *n, unsigned int at, uint64_t start,
			       const struct slot *s)
{
	const unsigned int count = n->count;

	for (unsigned int i = count; i > at; i--)
		put(n, i, n->start[i - 1], &n->slots[i - 1]);
	put(n, at, start, s);
	STORE(n->count, count + 1);
}

static void erase_slot(struct range_node *n, unsigned int at)
{
	const unsigned int last = n->count - 1;

	for (unsigned int i = at; i < last; i++)
		put(n, i, n->start[i + 1], &n->slots[i + 1]);
	STORE(n->count, last);
	blank(n, last);
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

/* The slot of the parent that tells of a node. */
static struct slot summary(struct range_node *n)
{
	return (struct slot){ n->slots[n->count - 1].last, largest_gap(n), n };
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

static inline void insert_on(struct range_map *m, struct path *p, unsigned int d, unsigned int at,
			     uint64_t start, const struct slot *s);

/* The same where the node is full. */
static void insert_split(struct range_map *m, struct path *p, unsigned int d, unsigned int at,
			 uint64_t start, const struct slot *s)
{
	struct range_node *n = p->nodes[d], *right = split(m, n, at);
	struct slot told;

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

/* Put a slot into the node at depth d of a path, at slot at, and what that takes above. */
static inline void insert_on(struct range_map *m, struct path *p, unsigned int d, unsigned int at,
			     uint64_t start, const struct slot *s)
{
	p->at[d] = at;
	if (p->nodes[d]->count == FAN) {
		insert_split(m, p, d, at, start, s);
		return;
	}
	insert_slot(p->nodes[d], at, start, s);
	p->nodes[d]->near = at;
	if (d)
		update(p, d);
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

/* Does what is at slot at of the path's leaf, or behind that leaf, begin before last? */
static bool is_taken(const struct path *p, unsigned int at, uint64_t last, struct range *other)
{
	const struct range_node *n = p->nodes[p->depth];

	if (at == n->count) {
		n = range_behind(p);
		at = 0;
	}
	if (!n || n->start[at] > last)
		return false;
	if (other)
		*other = range_at(n, at);
	return true;
}

int range_map_insert(struct range_map *m, const struct range *r, struct range *other)
{
	const struct slot s = { r->last, r->word, r->value };
	const struct range_node *leaf;
	unsigned int at;
	struct path p;

	if (!m->root)
		return insert_first(m, r);
	range_descend(m, r->start, &p);
	leaf = p.nodes[p.depth];
	at = p.at[p.depth];
	at += leaf->slots[at].last < r->start;
	if (is_taken(&p, at, r->last, other))
		return -EEXIST;
	if (leaf->count == FAN && need_spare(m, nodes_to_make(&p)) < 0)
		return -ENOMEM;
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

/* The leaf of a path has lost a slot: what that takes above. */
static void settle(struct range_map *m, struct path *p)
{
	unsigned int depth = p->depth;

	if (!p->nodes[depth]->count)
		depth = unlink_node(m, p, depth);
	update(p, depth);
	tidy(m, p, depth);
}

bool range_map_erase(struct range_map *m, uint64_t start)
{
	struct range_node *leaf;
	struct path p;
	unsigned int at;

	if (!m->root)
		return false;
	range_descend(m, start, &p);
	leaf = p.nodes[p.depth];
	at = p.at[p.depth];
	if (leaf->start[at] != start)
		return false;
	begin_change(m);
	m->count--;
	erase_slot(leaf, at);
	if (p.depth || !leaf->count)
		settle(m, &p);
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
	range_descend(m, start, &p);
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

void range_map_free_garbage(struct range_map *m)
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
