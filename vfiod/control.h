/* SPDX-License-Identifier: MIT */
/* The control socket: tells whoever asks about the devices that they may use (docs/control.md). */
#ifndef VFIOD_CONTROL_H
#define VFIOD_CONTROL_H

#include <sys/queue.h>

#include "device.h"
#include "listen.h"
#include "loop.h"

struct control_client;

struct control {
	struct loop *loop;
	struct listener listener;
	struct watch watch;
	struct timer pause;		/* of accepting, when there is nothing to accept with */
	struct device *devices;
	unsigned int ndevices;
	TAILQ_HEAD(, control_client) clients;	/* the longest idle first */
	unsigned int nclients;
};

/* The caller sets devices and ndevices afterwards. */
void control_init(struct control *control, struct loop *loop);

/* Listen at path, or at the default path when it is NULL. Logs; 0 or a negative errno. */
int control_open(struct control *control, const char *path);

/* Close it and all connections. */
void control_close(struct control *control);

#endif
