/* SPDX-License-Identifier: MIT */
/*
 * Which request waits for which. Requests are under way in any order, and the driver may not expect
 * one (6.1); but it may expect each block to be as one of the writes left it, and a read not to
 * show a half of one (6.4). Neither the kernel nor a file system promises that, so of two that
 * touch the same bytes, one of them writing, the newer waits.
 */
#include "files.h"

static bool conflict(const struct work *a, const struct work *b)
{
	return (a->writes || b->writes) && a->request->ns == b->request->ns &&
	       a->from < b->to && b->from < a->to;
}

bool order_enter(struct files *f, struct work *w)
{
	w->blockers = 0;
	for (const struct work *i = f->oldest; i; i = i->newer)
		w->blockers += conflict(i, w);
	w->newer = NULL;
	w->older = f->newest;
	*(f->newest ? &f->newest->newer : &f->oldest) = w;
	f->newest = w;
	return !w->blockers;
}

static void append(struct files *f, struct work *w)
{
	w->next = NULL;
	*f->ready_end = w;
	f->ready_end = &w->next;
}

void order_leave(struct files *f, struct work *w)
{
	*(w->older ? &w->older->newer : &f->oldest) = w->newer;
	*(w->newer ? &w->newer->older : &f->newest) = w->older;
	for (struct work *i = w->newer; i; i = i->newer)
		if (i->blockers && conflict(i, w) && !--i->blockers)
			append(f, i);
}
