/* SPDX-License-Identifier: MIT */
/* Where the device of device.h lives: in this process, or behind a socket that a thread serves. */
#ifndef TESTS_REFERENCE_HOST_H
#define TESTS_REFERENCE_HOST_H

#include <pthread.h>

#include <vfio/server.h>

#include "device.h"

struct host {
	bool remote;
	struct device device;
	struct vfio_function *fn;	/* for its thread: the server's, if there is one */
	struct vfio_dev *dev;		/* the user's handle */
	struct vfio_server *server;
	pthread_t thread;
	bool serving;
};

/* Make the device, and (remote) a server that does not run yet. 0, or a negative errno. */
int host_make(struct host *h, bool remote);

/* Open it for a user, and (remote) let the server run. */
int host_open(struct host *h);

/* The user leaves, and another comes. */
int host_change_users(struct host *h);

/* Close what is there. */
void host_close(struct host *h);

#endif
