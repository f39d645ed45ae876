/* SPDX-License-Identifier: MIT */
/*
 * Doorbells: registers in memory that a model polls while it is at work. To one that sleeps, a write
 * by call is told; one by mapping is the user's to tell, by an eventfd that a BAR's doorbells share.
 */
#include <errno.h>
#include <sys/eventfd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "function/function.h"

static bool is_memory(const struct vfio_bar_description *bar, uint64_t offset, uint64_t size)
{
	for (uint32_t i = 0; i < bar->nareas; i++)
		if (offset >= bar->areas[i].offset &&
		    is_inside(offset - bar->areas[i].offset, size, bar->areas[i].size))
			return true;
	return false;
}

static bool touches(const struct function_doorbell *d, unsigned int bar, uint64_t offset,
		    uint64_t size)
{
	return d->bar == bar && offset < d->offset + d->size && d->offset < offset + size;
}

EXPORT int vfio_function_doorbell(struct vfio_function *fn, unsigned int bar, uint64_t offset,
				  uint64_t size, void (*rung)(struct vfio_function *fn, void *arg),
				  void *arg)
{
	struct doorbells *all = &fn->doorbells;

	if (bar >= NUM_BARS || !size || !rung ||
	    !is_memory(&fn->description.bars[bar], offset, size))
		return -EINVAL;
	for (unsigned int i = 0; i < all->count; i++)
		if (touches(&all->list[i], bar, offset, size))
			return -EEXIST;
	if (all->count == VFIO_MAX_DOORBELLS)
		return -ENOSPC;
	all->list[all->count++] = (struct function_doorbell){
		.bar = bar, .offset = offset, .size = size, .rung = rung, .arg = arg,
	};
	return 0;
}

EXPORT bool vfio_function_doorbell_asked(const struct vfio_function *fn, unsigned int bar)
{
	return bar < NUM_BARS && fn->doorbells.events[bar] >= 0;
}

void doorbells_written(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		       uint64_t size)
{
	for (unsigned int i = 0; i < fn->doorbells.count; i++) {
		const struct function_doorbell *d = &fn->doorbells.list[i];

		if (touches(d, bar, offset, size))
			d->rung(fn, d->arg);
	}
}

/* Which of them, the user does not say. */
void doorbells_signalled(struct vfio_function *fn, unsigned int bar)
{
	doorbells_written(fn, bar, 0, UINT64_MAX);
}

/* The eventfd is made for the first user's question, and nobody else holds it. */
static int need_event(struct vfio_function *fn, unsigned int bar)
{
	int *event = &fn->doorbells.events[bar];
	int r;

	if (*event >= 0)
		return 0;
	*event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (*event < 0)
		return -errno;
	r = events_watch_doorbell(fn, *event, bar);
	if (r < 0)
		fd_close(event);
	return r;
}

int function_doorbells(struct vfio_function *fn, uint32_t region, struct doorbell *list,
		       unsigned int max)
{
	unsigned int n = 0;
	int r;

	for (unsigned int i = 0; i < fn->doorbells.count; i++)
		n += fn->doorbells.list[i].bar == region;
	if (n == 0 || n > max)
		return n;
	r = need_event(fn, region);
	if (r < 0)
		return side_keep(fn, error_system(fn->err, -r, "making an eventfd for doorbells"));
	for (unsigned int i = 0; i < fn->doorbells.count; i++) {
		const struct function_doorbell *d = &fn->doorbells.list[i];

		if (d->bar == region)
			*list++ = (struct doorbell){
				.offset = d->offset, .size = d->size,
				.fd = fn->doorbells.events[region],
			};
	}
	return n;
}

void function_forget_doorbell_events(struct vfio_function *fn)
{
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		events_forget_edge(fn, fn->doorbells.events[i]);
		fd_close(&fn->doorbells.events[i]);
	}
}
