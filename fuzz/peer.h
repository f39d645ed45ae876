/* SPDX-License-Identifier: MIT */
/* The hostile end of a vfio-user connection: sends bytes with descriptors, reads what comes. */
#ifndef FUZZ_PEER_H
#define FUZZ_PEER_H

#include "input.h"
#include "wire/wire.h"

#define PEER_MAX_FDS FD_MAX_PASSED

struct peer {
	int fd;				/* -1: not connected */
	int fds[PEER_MAX_FDS];		/* to go with the next send */
	size_t nfds;
	int loose;			/* a memory file that is not sealed, or -1 */
	size_t have;			/* of the header of what is being received */
	uint64_t skip;			/* bytes of its payload that are still to come */
	struct wire_header header;
	uint32_t calls, replies;	/* how many messages were received, whole or in part */
};

void peer_init(struct peer *p);
void peer_finish(struct peer *p);

/* Make a pair of sockets and return the other end, which does not block when so asked. */
int peer_connect(struct peer *p, bool nonblocking);
void peer_disconnect(struct peer *p);

/* Take the number and the kinds of descriptors from the input, for the next send. */
void peer_attach(struct peer *p, struct input *in);

/* As much as fits, without waiting. */
void peer_send(struct peer *p, const void *buf, size_t len);

/* A whole message. */
void peer_send_message(struct peer *p, const struct wire_header *h, const void *payload,
		       size_t len);

/* Receive up to max bytes of what is there, and count the messages in it. */
void peer_receive(struct peer *p, size_t max);

/* Cut the loose memory file, or make it grow. */
void peer_resize_loose(struct peer *p, unsigned int pages);

#endif
