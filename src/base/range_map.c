/* SPDX-License-Identifier: MIT */
#include "base/range_node.h"

/* ---- finding ------------------------------------------------------------------------------ */

const struct range_node *range_behind(const struct path *p)
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
	return range_behind(p);
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

		range_descend(m, w->at, &p);
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

bool range_map_exact(const struct range_map *m, uint64_t start, uint64_t last, struct range *r)
{
	const struct range_node *leaf;
	struct path p;
	unsigned int at;

	if (!m->root)
		return false;
	range_descend(m, start, &p);
	leaf = p.nodes[p.depth];
	at = p.at[p.depth];
	if (leaf->start[at] != start || leaf->slots[at].last != last)
		return false;
	*r = range_at(leaf, at);
	return true;
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
