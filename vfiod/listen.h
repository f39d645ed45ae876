/* SPDX-License-Identifier: MIT */
/* Listening sockets: made at a path with an owner, a group and a mode, or inherited. */
#ifndef VFIOD_LISTEN_H
#define VFIOD_LISTEN_H

#include <stdbool.h>
#include <sys/types.h>

#include "admit.h"

struct listener {
	int fd;			/* -1: none */
	char *path;		/* NULL: inherited, without a path */
	bool ours;		/* made here: the path goes with it */
	dev_t dev;		/* what lies at the path, while it is ours */
	ino_t ino;
};

#define LISTENER_NONE { .fd = -1 }

/* The longest path that a socket address can hold. */
#define LISTENER_MAX_PATH 107

/*
 * Make a socket at path and listen. What a dead server left there is replaced; a live server's
 * socket is not, nor is anything else. Logs what went wrong. 0 or a negative errno.
 */
int listener_open(struct listener *listener, const char *device, const char *path,
		  const struct access *access);

/*
 * Take an inherited descriptor: 0 when it is a listening UNIX stream socket, 1 when it is a
 * connected one. Logs, and returns a negative errno, when it is neither.
 */
int listener_inherit(struct listener *listener, const char *device, int fd);

/* Close, and remove the path if what lies there is still what was made. */
void listener_close(struct listener *listener);

#endif
