/* SPDX-License-Identifier: MIT */
/*
 * An IOAS against the kernel's: tests/data/kernel-dma has what Linux answered, call by call
 * (tests/guest/README). Here the same is asked, and each answer must be the same, but for what is
 * listed here. Numbers of objects are not ours: those of the kernel are taken for its IOASes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dma_trace.h"
#include "iommu/ioas.h"

#define MAX_ID	   16
#define MAX_SPANS  32		/* of a call that has them; with more, they are in a hole */
#define DESTROY	   0x3b80
#define HUGE_PAGES 1

/*
 * The kernel rounds the start of a gap to the alignment that it wants, and then adds the bits of
 * the address within its page, so that the distance from a page's start may be another one.
 */
#define OFFSET "a place for an address that is not page aligned keeps its distance from a page"
/* A gap of one byte is none to the kernel. */
#define BYTE   "a gap of one byte is used"
/* See ioas.h: what lies between copied parts is counted, too. */
#define LOCKED "memory that is copied in parts counts from the first to the last one"

struct object {
	struct ioas ioas;
	struct space space;
	bool there;
};

struct replay {
	struct trace trace;
	struct vfio_dma_limits limits;
	struct object objects[MAX_ID];
	struct object *attached;
};

static struct object *object(struct replay *r, uint64_t id)
{
	return id < MAX_ID && r->objects[id].there ? &r->objects[id] : NULL;
}

static struct ioas *ioas(struct replay *r, uint64_t id)
{
	struct object *o = object(r, id);

	return o ? &o->ioas : NULL;
}

static bool compare(struct replay *r, uint64_t ours, uint64_t theirs)
{
	return trace_compare(&r->trace, ours, theirs, NULL);
}

/* ---- locked memory ------------------------------------------------------------------------ */

#define MAX_AREAS 256

struct part {
	const struct ioas_pages *pages;
	uint64_t first, last;		/* pages from address 0 */
};

static unsigned int seen_parts(struct replay *r, struct part *parts)
{
	struct range_walk w = { .last = UINT64_MAX };
	unsigned int n = 0;
	struct range area;

	while (r->attached && range_map_step(&r->attached->ioas.areas, &w, &area)) {
		const struct ioas_area *a = area.value;
		uint64_t va = a->pages->va + a->offset;

		assert_in_range(n, 0, MAX_AREAS - 1);
		parts[n++] = (struct part){ a->pages, va / DMA_PAGE,
					    (va + area.last - area.start) / DMA_PAGE };
	}
	return n;
}

/* Every page of each memory once, as the kernel counts. */
static uint64_t locked(struct replay *r)
{
	struct part parts[MAX_AREAS];
	unsigned int n = seen_parts(r, parts);
	uint64_t pages = 0;

	for (unsigned int i = 0; i < n; i++)
		for (uint64_t page = parts[i].first; page <= parts[i].last; page++) {
			bool counted = false;

			for (unsigned int j = 0; j < i && !counted; j++)
				counted = parts[j].pages == parts[i].pages &&
					  page >= parts[j].first && page <= parts[j].last;
			pages += !counted;
		}
	return pages * DMA_PAGE;
}

/* Ours was too much, and the kernel's not: then it fits when it is counted as the kernel does. */
static bool is_too_strict(struct replay *r, int ours, int theirs)
{
	if (ours != -ENOMEM || theirs != 0 || r->trace.memlock == UINT64_MAX)
		return false;
	trace_compare(&r->trace, ours, theirs, LOCKED);
	r->limits.bytes.granted = UINT64_MAX;
	return true;
}

static void strict_again(struct replay *r)
{
	r->limits.bytes.granted = r->trace.memlock;
	assert_true(locked(r) <= r->trace.memlock);
}

/* ---- objects ------------------------------------------------------------------------------ */

static void replay_new(struct replay *r)
{
	const char *answer = trace_answer(&r->trace);
	struct object *o;
	uint64_t id;

	if (take_number(&answer, 10) != 0)	/* a flag: before there is an object */
		return;
	id = take_number(&answer, 10);
	assert_in_range(id, 1, MAX_ID - 1);
	o = &r->objects[id];
	assert_false(o->there);
	o->there = true;
	space_init(&o->space);
	ioas_init(&o->ioas, &caller_self, &r->limits);
}

static void destroy(struct object *o)
{
	ioas_detach(&o->ioas);
	assert_int_equal(o->space.maps.used, 0);
	ioas_finish(&o->ioas);
	space_finish(&o->space);
	o->there = false;
}

/* That it is in use, or that there is none, is the business of whoever keeps the numbers. */
static void replay_destroy(struct replay *r, const char *p)
{
	uint64_t id = take_number(&p, 10);

	if (atoi(trace_answer(&r->trace)) == 0)
		destroy(object(r, id));
}

static void replay_detach(struct replay *r)
{
	if (r->attached)
		ioas_detach(&r->attached->ioas);
	r->attached = NULL;
}

static void replay_attach(struct replay *r, const char *p)
{
	struct object *o = object(r, take_number(&p, 10));
	int ours, theirs = atoi(trace_answer(&r->trace));
	bool strict;

	if (!o)
		return;
	ours = ioas_attach(&o->ioas, &o->space, r->trace.ranges, r->trace.nranges, NULL);
	strict = is_too_strict(r, ours, theirs);
	if (strict)
		ours = ioas_attach(&o->ioas, &o->space, r->trace.ranges, r->trace.nranges, NULL);
	compare(r, ours, theirs);
	if (ours == 0 && o != r->attached) {
		replay_detach(r);
		r->attached = o;
	}
	if (strict)
		strict_again(r);
}

/* ---- maps --------------------------------------------------------------------------------- */

/* A place that was chosen, by us and by the kernel; a negative result is that there is none. */
struct choice {
	int ours, theirs;
	uint64_t our_iova, their_iova;
};

/* Why another place may have been chosen for memory at that address; or NULL. */
static const char *place_differs(const struct ioas *i, uint32_t flags, uint64_t address,
				 uint64_t length)
{
	if (!i || i->space || (flags & IOAS_FIXED_IOVA))
		return NULL;
	if (address % DMA_PAGE)
		return OFFSET;
	return length == 1 ? BYTE : NULL;
}

/*
 * Compares what was chosen. True: not the same on purpose; ours is undone, and as the kernel has
 * found a place, the same shall be mapped there, so that both have the same maps afterwards.
 */
static bool compare_choice(struct replay *r, struct ioas *i, const struct choice *c,
			   uint64_t length, const char *because)
{
	struct ioas_unmap u = { .iova = c->our_iova, .length = length };
	bool same;

	if ((c->ours != 0 && c->ours != -ENOSPC) || (c->theirs != 0 && c->theirs != -ENOSPC))
		because = NULL;
	same = trace_compare(&r->trace, c->ours, c->theirs, because);
	same = trace_compare(&r->trace, c->our_iova, c->their_iova, because) && same;
	if (same || !because)
		return false;
	if (c->ours == 0)
		assert_int_equal(ioas_unmap(i, &u, NULL), 0);
	return c->theirs == 0;
}

static struct choice their_choice(struct replay *r)
{
	const char *answer = trace_answer(&r->trace);
	struct choice c = { .theirs = take_number(&answer, 10) };

	c.their_iova = take_number(&answer, 16);
	return c;
}

static void replay_map(struct replay *r, const char *p)
{
	struct ioas *i = ioas(r, take_number(&p, 10));
	struct choice c = their_choice(r);
	struct ioas_map m = { .flags = take_number(&p, 16) };

	m.user_va = take_address(&r->trace, &p);
	m.length = take_number(&p, 16);
	m.iova = take_number(&p, 16);
	c.ours = ioas_map(i, &m, NULL);
	if (is_too_strict(r, c.ours, c.theirs)) {
		c.ours = ioas_map(i, &m, NULL);
		strict_again(r);
	}
	c.our_iova = m.iova;
	if (!compare_choice(r, i, &c, m.length, place_differs(i, m.flags, m.user_va, m.length)))
		return;
	m.flags |= IOAS_FIXED_IOVA;
	m.iova = c.their_iova;
	assert_int_equal(ioas_map(i, &m, NULL), 0);
}

static uint64_t address_of(const struct ioas *i, uint64_t iova)
{
	const struct ioas_area *a;
	struct range r;

	if (!i || !range_map_find(&i->areas, iova, &r))
		return 0;
	a = r.value;
	return a->pages->va + a->offset + (iova - r.start);
}

static void replay_copy(struct replay *r, const char *p)
{
	struct ioas *dst = ioas(r, take_number(&p, 10)), *src = ioas(r, take_number(&p, 10));
	struct ioas_copy copy = { .flags = take_number(&p, 16) };
	struct choice c = their_choice(r);
	uint64_t address;

	copy.length = take_number(&p, 16);
	copy.dst_iova = take_number(&p, 16);
	copy.src_iova = take_number(&p, 16);
	address = address_of(src, copy.src_iova);
	c.ours = ioas_copy(dst, src, &copy, NULL);
	if (is_too_strict(r, c.ours, c.theirs)) {
		c.ours = ioas_copy(dst, src, &copy, NULL);
		strict_again(r);
	}
	c.our_iova = copy.dst_iova;
	if (!compare_choice(r, dst, &c, copy.length,
			    place_differs(dst, copy.flags, address, copy.length)))
		return;
	copy.flags |= IOAS_FIXED_IOVA;
	copy.dst_iova = c.their_iova;
	assert_int_equal(ioas_copy(dst, src, &copy, NULL), 0);
}

static void replay_unmap(struct replay *r, const char *p)
{
	struct ioas *i = ioas(r, take_number(&p, 10));
	const char *answer = trace_answer(&r->trace);
	struct ioas_unmap u = { .iova = take_number(&p, 16) };

	u.length = take_number(&p, 16);
	compare(r, ioas_unmap(i, &u, NULL), take_number(&answer, 10));
	compare(r, u.length, take_number(&answer, 16));
}

/* ---- addresses ---------------------------------------------------------------------------- */

static struct vfio_iova_range take_span(const char **p)
{
	struct vfio_iova_range range;

	range.start = take_number(p, 16);
	++*p;
	range.end = take_number(p, 16);
	return range;
}

static void replay_ranges(struct replay *r, const char *p)
{
	struct ioas *i = ioas(r, take_number(&p, 10));
	const char *answer = trace_answer(&r->trace);
	struct vfio_iova_range spans[MAX_SPANS], theirs;
	struct ioas_iova_ranges q = { .allowed_iovas = (uintptr_t)spans };
	uint32_t num = q.num_iovas = take_number(&p, 10);

	if (num > MAX_SPANS)
		q.allowed_iovas = (uintptr_t)r->trace.buffer + r->trace.hole;
	compare(r, ioas_iova_ranges(i, &q, NULL), take_number(&answer, 10));
	compare(r, q.num_iovas, take_number(&answer, 10));
	compare(r, q.out_iova_alignment, take_number(&answer, 16));
	for (uint32_t k = 0; *answer && k < num && k < MAX_SPANS; k++) {
		theirs = take_span(&answer);
		compare(r, spans[k].start, theirs.start);
		compare(r, spans[k].end, theirs.end);
	}
}

static void replay_allow(struct replay *r, const char *p)
{
	struct vfio_iova_range spans[MAX_SPANS];
	struct ioas *i = ioas(r, take_number(&p, 10));
	struct ioas_allow_iovas a = { .num_iovas = take_number(&p, 10) };

	a.allowed_iovas = (uintptr_t)spans;
	if (a.num_iovas > MAX_SPANS)
		a.allowed_iovas = (uintptr_t)r->trace.buffer + r->trace.hole;
	for (uint32_t k = 0; k < a.num_iovas && a.num_iovas <= MAX_SPANS; k++)
		spans[k] = take_span(&p);
	compare(r, ioas_allow_iovas(i, &a, NULL), atoi(trace_answer(&r->trace)));
}

/* RLIMIT_MODE, and what an operation is, are the affair of who keeps the objects. */
static void replay_option(struct replay *r, const char *p)
{
	uint64_t option = take_number(&p, 10), op = take_number(&p, 10);
	struct ioas *i = ioas(r, take_number(&p, 10));
	uint64_t value = take_number(&p, 16);
	const char *answer = trace_answer(&r->trace);
	int theirs = take_number(&answer, 10);

	if (option != HUGE_PAGES || op > 1)
		return;
	if (op == 0)
		compare(r, ioas_set_huge_pages(i, value, NULL), theirs);
	else if (theirs == 0)
		compare(r, !i->small_pages, take_number(&answer, 16));
}

static void replay_line(struct replay *r)
{
	const char *p = r->trace.line + 1;

	switch (r->trace.line[0]) {
	case 'N': replay_new(r); break;
	case 'K': replay_destroy(r, p); break;
	case 'A': replay_attach(r, p); break;
	case 'Z': replay_detach(r); break;
	case 'M': replay_map(r, p); break;
	case 'U': replay_unmap(r, p); break;
	case 'C': replay_copy(r, p); break;
	case 'R': replay_ranges(r, p); break;
	case 'L': replay_allow(r, p); break;
	case 'O': replay_option(r, p); break;
	case 'S': break;	/* sizes of calls: not ours */
	default: fail_msg("%s:%u: %s", r->trace.name, r->trace.number, r->trace.line);
	}
}

/* ---- one test a trace --------------------------------------------------------------------- */

static const char *path;

static void replay_trace(void **state)
{
	static struct replay r;
	struct difference differences[4] = { { .why = NULL } };
	unsigned int n = 0;

	if (strstr(path, "ioas.trace"))
		differences[n++].why = BYTE;
	if (!strstr(path, "-device"))
		differences[n++].why = strstr(path, "-limits") ? LOCKED : OFFSET;

	trace_open(&r.trace, path, differences);
	r.limits.maps.granted = UINT64_MAX;
	r.limits.bytes.granted = r.trace.memlock;
	while (trace_next(&r.trace))
		replay_line(&r);
	for (unsigned int id = 0; id < MAX_ID; id++)
		if (object(&r, id))
			destroy(&r.objects[id]);
	assert_int_equal(r.limits.maps.used, 0);
	assert_int_equal(r.limits.bytes.used, 0);
	trace_finish(&r.trace);
	trace_close(&r.trace);
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');
		const struct CMUnitTest tests[] = {
			{ slash ? slash + 1 : argv[i], replay_trace, NULL, NULL, NULL },
		};

		path = argv[i];
		failed += cmocka_run_group_tests_name("kernel ioas", tests, NULL, NULL);
	}
	return argc < 2 ? 2 : failed;
}
