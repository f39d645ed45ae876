/* SPDX-License-Identifier: MIT */
/*
 * What a function waits for: descriptors of the model's, such as timers, the user's eventfd that
 * re-arms INTx and those that ring doorbells, faults. All are behind one descriptor, which whoever drives the function polls.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "function/function.h"

#define REARM 0		/* watches are numbered from FIRST_WATCH */
#define FAULT 1
#define DOORBELL 2	/* and one for each BAR */
#define FIRST_WATCH (DOORBELL + NUM_BARS)
#define BATCH 16

struct watch {
	LIST_ENTRY(watch) link;
	uint64_t number;		/* a descriptor's may come again */
	int fd;
	void (*callback)(struct vfio_function *fn, int fd, void *arg);
	void *arg;
};


static struct watch *find(struct vfio_function *fn, int fd)
{
	struct watch *w;

	LIST_FOREACH(w, &fn->watches, link)
		if (w->fd == fd)
			return w;
	return NULL;
}

static struct watch *find_number(struct vfio_function *fn, uint64_t number)
{
	struct watch *w;

	LIST_FOREACH(w, &fn->watches, link)
		if (w->number == number)
			return w;
	return NULL;
}

static void forget(struct vfio_function *fn, struct watch *w)
{
	/* Its owner may have closed it already. */
	epoll_ctl(fn->events, EPOLL_CTL_DEL, w->fd, NULL);
	LIST_REMOVE(w, link);
	free(w);
}

void events_finish(struct vfio_function *fn)
{
	while (!LIST_EMPTY(&fn->watches))
		forget(fn, LIST_FIRST(&fn->watches));
	fd_close(&fn->events);
}

static int add(struct vfio_function *fn, int fd, uint32_t events, uint64_t tag)
{
	struct epoll_event e = { .events = events, .data.u64 = tag };

	return epoll_ctl(fn->events, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int events_init(struct vfio_function *fn)
{
	LIST_INIT(&fn->watches);
	fn->watch_number = FIRST_WATCH;
	fn->events = epoll_create1(EPOLL_CLOEXEC);
	fn->space.fault_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fn->events < 0 || fn->space.fault_event < 0)
		return -errno;
	return add(fn, fn->space.fault_event, EPOLLIN, FAULT);
}

EXPORT int vfio_function_watch(struct vfio_function *fn, int fd,
			       void (*callback)(struct vfio_function *fn, int fd, void *arg),
			       void *arg)
{
	struct watch *w = find(fn, fd);
	int r;

	if (!callback) {
		if (!w)
			return -ENOENT;
		forget(fn, w);
		return 0;
	}
	if (w)
		return -EEXIST;
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	*w = (struct watch){
		.number = fn->watch_number++, .fd = fd, .callback = callback, .arg = arg,
	};
	r = add(fn, fd, EPOLLIN, w->number);
	if (r < 0) {
		free(w);
		return r;
	}
	LIST_INSERT_HEAD(&fn->watches, w, link);
	return 0;
}

/*
 * The eventfd that re-arms INTx is the user's, and may be one that a read does not empty: hear of
 * each signal once. 0 or a negative errno.
 */
int events_watch_rearm(struct vfio_function *fn, int fd)
{
	return fd < 0 ? 0 : add(fn, fd, EPOLLIN | EPOLLET, REARM);
}

/*
 * So may one that rings doorbells: its user can fill it, drain it and have reads of it wait, so that it
 * is never read.
 */
int events_watch_doorbell(struct vfio_function *fn, int fd, unsigned int bar)
{
	return add(fn, fd, EPOLLIN | EPOLLET, DOORBELL + bar);
}

/* Before it is closed: its other holder keeps it open. */
void events_forget_edge(struct vfio_function *fn, int fd)
{
	if (fd >= 0)
		epoll_ctl(fn->events, EPOLL_CTL_DEL, fd, NULL);
}

int function_poll_fd(const struct vfio_function *fn)
{
	return fn->events;
}

/*
 * A callback may take out any watch, so that each is looked for again. It is not called in the middle
 * of another.
 */
void function_dispatch(struct vfio_function *fn)
{
	struct epoll_event events[BATCH];
	int n = fn->dispatching ? 0 : epoll_wait(fn->events, events, BATCH, 0);

	if (n <= 0)
		return;
	fn->dispatching = true;
	for (int i = 0; i < n; i++) {
		uint64_t tag = events[i].data.u64;
		struct watch *w = find_number(fn, tag);

		if (tag == REARM)
			intx_rearm(fn);
		else if (tag == FAULT)
			function_faulted(fn);
		else if (tag < FIRST_WATCH)
			doorbells_signalled(fn, tag - DOORBELL);
		else if (w)
			w->callback(fn, w->fd, w->arg);
	}
	fn->dispatching = false;
}
