/* SPDX-License-Identifier: MIT */
/* The supervisor's event loop: descriptors and deadlines, one thread. */
#ifndef VFIOD_LOOP_H
#define VFIOD_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* The structure that a watch or timer is a member of. */
#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

/* A descriptor that is waited for; ready() may remove and free it. */
struct watch {
	int fd;			/* -1: not watched */
	uint32_t events;	/* EPOLLIN, … */
	void (*ready)(struct watch *watch, uint32_t events);
};

/* A deadline; fires once for each timer_set(). */
struct timer {
	TAILQ_ENTRY(timer) entry;
	bool armed;
	int64_t at;
	void (*fire)(struct timer *timer);
};

struct loop {
	int epoll;
	TAILQ_HEAD(, timer) timers;
};

/* Milliseconds that never go backwards. */
int64_t now_ms(void);

/* 0 or a negative errno. */
int loop_init(struct loop *loop);
void loop_finish(struct loop *loop);

int loop_watch(struct loop *loop, struct watch *watch, int fd, uint32_t events);
/* Wait for other events from now on; 0: only for errors and hang-up. */
void loop_change(struct loop *loop, struct watch *watch, uint32_t events);
/* Stop watching; does not close the descriptor. Nothing happens when it is not watched. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Arm a timer, or arm it anew. */
void loop_set_timer(struct loop *loop, struct timer *timer, int64_t milliseconds);
void loop_clear_timer(struct loop *loop, struct timer *timer);

/* Wait for one event or deadline and handle it. 0 or a negative errno. */
int loop_turn(struct loop *loop);

#endif
