/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int loop_init(struct loop *loop)
{
	TAILQ_INIT(&loop->timers);
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	return loop->epoll < 0 ? -errno : 0;
}

void loop_finish(struct loop *loop)
{
	if (loop->epoll >= 0)
		close(loop->epoll);
	loop->epoll = -1;
}

int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	watch->fd = fd;
	watch->events = events;
	return 0;
}

void loop_change(struct loop *loop, struct watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (watch->fd < 0 || watch->events == events)
		return;
	/* Changing what is registered needs no memory and cannot fail. */
	epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
	watch->events = events;
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
	if (watch->fd >= 0)
		epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
}

void loop_set_timer(struct loop *loop, struct timer *timer, int64_t milliseconds)
{
	loop_clear_timer(loop, timer);
	timer->at = now_ms() + milliseconds;
	timer->armed = true;
	TAILQ_INSERT_TAIL(&loop->timers, timer, entry);
}

void loop_clear_timer(struct loop *loop, struct timer *timer)
{
	if (timer->armed)
		TAILQ_REMOVE(&loop->timers, timer, entry);
	timer->armed = false;
}

static struct timer *earliest(struct loop *loop)
{
	struct timer *timer, *first = NULL;

	TAILQ_FOREACH(timer, &loop->timers, entry)
		if (!first || timer->at < first->at)
			first = timer;
	return first;
}

static int timeout(const struct timer *first)
{
	int64_t left;

	if (!first)
		return -1;
	left = first->at - now_ms();
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

int loop_turn(struct loop *loop)
{
	struct timer *first = earliest(loop);
	struct epoll_event event;
	struct watch *watch;
	int n;

	/*
	 * One event a turn, so that a handler may free any other watch. The kernel takes turns
	 * too.
	 */
	n = epoll_wait(loop->epoll, &event, 1, timeout(first));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 1) {
		watch = event.data.ptr;
		watch->ready(watch, event.events);
	}
	/* A stream of events must not keep deadlines waiting. */
	first = earliest(loop);
	if (first && first->at <= now_ms()) {
		loop_clear_timer(loop, first);
		first->fire(first);
	}
	return 0;
}
