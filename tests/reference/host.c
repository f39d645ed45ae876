/* SPDX-License-Identifier: MIT */
#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract.h"

#define GONE_MS 5000	/* a server has seen by then that its client left */

static void *serve(void *arg)
{
	struct host *h = arg;

	return (void *)(intptr_t)vfio_server_run(h->server);
}

static void stop(struct host *h)
{
	if (!h->serving)
		return;
	vfio_server_stop(h->server);
	pthread_join(h->thread, NULL);
	h->serving = false;
}

int host_make(struct host *h, bool remote)
{
	struct vfio_dev *dev;
	int r;

	memset(h, 0, sizeof(*h));
	h->remote = remote;
	r = device_new(&h->fn, &h->device, NULL);
	if (r < 0)
		return r;
	r = vfio_function_open(&dev, h->fn, NULL);
	if (r < 0) {
		vfio_function_free(h->fn);
		return r;
	}
	if (!remote) {
		h->dev = dev;
		return 0;
	}
	r = vfio_server_new(&h->server, dev, NULL, NULL);
	if (r < 0)
		vfio_close(dev);
	return r;
}

/* A connected pair: one end for the server, the other for vfio_open(). */
int host_open(struct host *h)
{
	char name[16];
	int sv[2], r;

	if (!h->remote)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	snprintf(name, sizeof(name), "fd:%d", sv[1]);
	r = vfio_server_add_client(h->server, sv[0]);
	if (r == 0)
		r = -pthread_create(&h->thread, NULL, serve, h);
	h->serving = r == 0;
	if (r == 0)
		r = vfio_open(&h->dev, name, NULL);
	if (r < 0)
		close(sv[1]);
	return r;
}

int host_change_users(struct host *h)
{
	if (!h->remote)
		return h->dev->backend->recycle(h->dev);
	vfio_close(h->dev);
	h->dev = NULL;
	stop(h);
	while (vfio_server_client(h->server, NULL))
		if (vfio_server_dispatch(h->server, GONE_MS) < 0)
			return -EIO;
	return host_open(h);
}

void host_close(struct host *h)
{
	vfio_close(h->dev);
	h->dev = NULL;
	stop(h);
	vfio_server_free(h->server);
	h->server = NULL;
}
