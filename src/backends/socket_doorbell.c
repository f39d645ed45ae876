/* SPDX-License-Identifier: MIT */
/*
 * Doorbells of a device behind a socket: the server's eventfds, asked for once a region. A server
 * is a stranger: of what it says, all is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backends/socket.h"
#include "base/bits.h"
#include "base/error.h"

#define ROOM (sizeof(struct wire_io_fds) + MAX_DOORBELLS * WIRE_IO_FD_LONG)

void socket_forget_doorbells(struct sock *s, uint32_t region)
{
	struct region_doorbells *d = s->doorbells[region];

	if (d)
		fd_close_all(d->fds, d->nfds);
	free(d);
	s->doorbells[region] = NULL;
}

static int malformed(struct sock *s, uint32_t region, const char *why)
{
	return error_set(&s->dev.error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
			 "asking for the doorbells of region %u: %s", region, why);
}

/* Kinds that are not known, and those for certain values alone, are none of the driver's. */
static int take_entry(struct sock *s, struct region_doorbells *d, uint32_t region,
		      const struct wire_io_fd *e)
{
	if (e->type != WIRE_IOEVENTFD || e->flags)
		return 0;
	if (!is_inside(e->offset, e->size ? e->size : 1, s->regions[region].size))
		return malformed(s, region, "one lies outside the region");
	if (e->fd_index >= d->nfds)
		return malformed(s, region, "one has a descriptor that did not come");
	d->list[d->count++] = (struct doorbell){ e->offset, e->size, d->fds[e->fd_index] };
	return 0;
}

/* The reply has all entries, of one of two lengths, or none: then there are more than we take. */
static int take_entries(struct sock *s, struct region_doorbells *d, uint32_t region,
			const uint8_t *reply, size_t len)
{
	struct wire_io_fds q;
	size_t stride;
	int r = 0;

	memcpy(&q, reply, sizeof(q));
	if (!q.count)
		return 0;
	if (q.count > MAX_DOORBELLS)
		return error_set(&s->dev.error, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY, NULL,
				 "region %u has %u doorbells: %d are possible", region, q.count,
				 MAX_DOORBELLS);
	stride = (len - sizeof(q)) / q.count;
	if (q.argsz != len || len != sizeof(q) + q.count * stride ||
	    (stride != sizeof(struct wire_io_fd) && stride != WIRE_IO_FD_LONG))
		return malformed(s, region, "the reply has the wrong length");
	for (size_t i = 0; i < d->nfds; i++) {
		if (!fd_is_eventfd(d->fds[i]))
			return malformed(s, region, "a descriptor is not an eventfd");
		/* One that is full would otherwise keep the driver that rings. */
		if (fcntl(d->fds[i], F_SETFL, O_NONBLOCK) < 0)
			return malformed(s, region, "a descriptor cannot be used");
	}
	for (uint32_t i = 0; i < q.count && r == 0; i++) {
		struct wire_io_fd e;

		memcpy(&e, reply + sizeof(q) + i * stride, sizeof(e));
		r = take_entry(s, d, region, &e);
	}
	return r;
}

static int ask(struct sock *s, uint32_t region, struct region_doorbells *d)
{
	struct wire_io_fds q = { .argsz = ROOM, .index = region };
	uint8_t reply[ROOM];
	struct exchange x = {
		.command = WIRE_GET_REGION_IO_FDS, .fixed = &q, .fixed_len = sizeof(q),
		.reply = reply, .reply_least = sizeof(q), .reply_room = sizeof(reply),
		.reply_fds = d->fds, .fds_room = WIRE_MAX_FDS,
		.what = "asking for the doorbells of a region",
	};
	int r = socket_call(s, &x);

	d->nfds = x.reply_nfds;
	return r < 0 ? r : take_entries(s, d, region, reply, x.reply_len);
}

static int fetch(struct sock *s, uint32_t region)
{
	int r;

	s->doorbells[region] = calloc(1, sizeof(*s->doorbells[region]));
	if (!s->doorbells[region])
		return error_system(&s->dev.error, ENOMEM, "asking for doorbells");
	r = ask(s, region, s->doorbells[region]);
	if (r < 0)
		socket_forget_doorbells(s, region);
	return r;
}

int socket_doorbells(struct vfio_dev *dev, uint32_t region, struct doorbell *list, unsigned int max)
{
	struct sock *s = (struct sock *)dev;
	int r = socket_need_region(s, region);
	struct region_doorbells *d;

	if (r == 0 && !s->doorbells[region])
		r = fetch(s, region);
	if (r < 0)
		return r;
	d = s->doorbells[region];
	if (d->count && d->count <= max)
		memcpy(list, d->list, d->count * sizeof(*list));
	return d->count;
}
