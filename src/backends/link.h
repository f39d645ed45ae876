/* SPDX-License-Identifier: MIT */
/*
 * The client's end of a vfio-user connection: one command at a time and its reply, within a
 * deadline, while the server's requests for our memory are served.
 */
#ifndef LIBVFIO_BACKENDS_LINK_H
#define LIBVFIO_BACKENDS_LINK_H

#include "iommu/space.h"
#include "wire/wire.h"

struct link {
	int fd;				/* -1 once the link is broken */
	unsigned int timeout_ms;
	uint16_t next_id;
	int64_t end;			/* no call goes on beyond that; 0: it may */
	int64_t deadline;		/* of the call that is under way, what it serves included */
	struct wire_caps caps;		/* the server's */
	struct inbox in;
	uint8_t *out;			/* WIRE_MAX_MESSAGE bytes: what is being sent */
	struct space *space;		/* our memory, as the server may ask for it */
	struct vfio_error *err;		/* where refusals are recorded; never NULL */
};

/* A command and where its reply goes. */
struct exchange {
	uint16_t command;
	const void *fixed;		/* payload: its fixed part, */
	size_t fixed_len;
	const void *data;		/* then data */
	size_t data_len;
	const int *fds;
	size_t nfds;
	void *reply;			/* payload of the reply, its first reply_least to reply_room bytes */
	size_t reply_least, reply_room;
	size_t reply_len;		/* out: how many came */
	int *reply_fds;			/* out: descriptors that came with it; the caller's, */
	size_t fds_room, reply_nfds;	/* of which there is room for so many; out: how many */
	const char *what;		/* for people: what is being asked, */
	uint64_t len, at;		/* of how many bytes, and where; len 0: not worth saying */
};

/* On success the link owns fd. */
int link_init(struct link *l, int fd, struct space *space, struct vfio_error *err);
void link_finish(struct link *l);

/*
 * Send and wait for the reply. 0, or a negative errno: the server's own (VFIO_E_REMOTE and its
 * kin), -ETIMEDOUT, -ENODEV once the link is broken, -EPROTO when the server broke the protocol.
 */
int link_call(struct link *l, struct exchange *x);

/* Serve the server's requests that are there, without waiting. 0 or -ENODEV. */
int link_dispatch(struct link *l);

#endif
