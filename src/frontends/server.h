/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user server.
 *
 *   server.c   life, loop, who may come in
 *   client.c   one connection: bytes in, replies out, requests for the client's memory, deadlines
 *   commands.c each command, turned into a call on the device contract
 */
#ifndef LIBVFIO_FRONTENDS_SERVER_H
#define LIBVFIO_FRONTENDS_SERVER_H

#include <stdint.h>
#include <sys/queue.h>

#include <vfio/server.h>

#include "contract.h"
#include "wire/wire.h"

#define MAX_REFUSED 16

/* Something that the loop watches. */
struct source {
	int fd;
	void (*ready)(struct vfio_server *server, struct source *source, uint32_t events);
	LIST_ENTRY(source) link;		/* vfio_server_watch() only */
	void (*callback)(void *arg, int fd);
	void *arg;
};

/* A command that came while the server waited for its client's memory. */
struct postponed {
	STAILQ_ENTRY(postponed) link;
	struct wire_header header;
	uint32_t len;
	size_t nfds;
	int fds[FD_MAX_PASSED];
	uint8_t payload[];
};

/* What is being sent: a reply, header first. */
struct outgoing {
	uint8_t *buf;			/* WIRE_MAX_MESSAGE bytes */
	size_t sent, len;
	int fd;				/* to go with the first byte, or -1; a copy */
};

struct client {
	struct source source;		/* fd -1: there is no client */
	struct vfio_peer peer;
	struct vfio_server *server;
	struct inbox in;
	struct outgoing reply;
	bool greeted;			/* VERSION is done */
	bool blocked;			/* the reply has not gone out yet */
	bool leaving;			/* close when the reply has gone out */
	bool dead;			/* close now; nothing is sent any more */
	char why[160];			/* it is leaving or dead */
	int64_t deadline;		/* of what it has begun; 0: of nothing */
	struct wire_caps caps;
	uint64_t first_record;		/* older ones are another client's */
	bool listens;			/* for requests to give the device back */
	struct dma_peer memory;		/* its memory, by message */
	uint8_t *request;		/* buffer for such messages */
	uint16_t next_id;
	bool asking;			/* one is under way */
	bool behind;			/* some of what has arrived waits for its turn */
	STAILQ_HEAD(, postponed) postponed;
	size_t postponed_bytes;
};

/* A connection that is not wanted: it gets the errno as the answer to its first message. */
struct refused {
	struct source source;		/* fd -1: free */
	int err;
	int64_t deadline;
	uint8_t header[sizeof(struct wire_header)];
	size_t have;
};

struct vfio_server {
	struct vfio_dev *dev;
	struct vfio_server_options options;
	int epoll;
	struct source listener, timer, stop;
	struct source device;		/* a copy of what the device wants to be polled, or -1 */
	char *path;			/* of the listening socket, if it is to be removed */
	struct client client;
	struct refused refused[MAX_REFUSED];
	LIST_HEAD(, source) watched;
	int64_t resume;			/* when to listen again; 0: now */
	bool stopping;
	int broken;			/* a negative errno that ends the server */
};

/* server.c */
void server_log(struct vfio_server *s, enum vfio_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int server_add(struct vfio_server *s, struct source *source, int fd, uint32_t events);
void server_remove(struct vfio_server *s, struct source *source);
void server_wake_at(struct vfio_server *s, int64_t deadline);
int server_wait(struct vfio_server *s, int timeout_ms);
/* What the device wants to be polled may have changed. */
void server_hush_device(struct vfio_server *s, bool hush);
void server_watch_device(struct vfio_server *s);

/* client.c */
int client_init(struct client *c, struct vfio_server *s);
void client_finish(struct client *c);
int client_begin(struct client *c, int fd, const struct vfio_peer *peer);
void client_timer(struct client *c);
/* Close the connection, now or (client_leave) when its reply has gone out. */
void client_fail(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void client_leave(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void client_reap(struct client *c);
/* Serve what has arrived and is not served yet. */
void client_catch_up(struct client *c);

/* commands.c: handle a message and fill c->reply (len 0: nothing to send). */
void client_handle(struct client *c, const struct wire_message *m);

#endif
