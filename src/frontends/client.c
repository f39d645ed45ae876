/* SPDX-License-Identifier: MIT */
/*
 * One connection of the server. Everything it does is without waiting, save one: a request for the
 * client's memory waits for the answer, and serves the rest of the loop meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "frontends/server.h"

/* What may pile up while a client owes us its memory. */
#define MAX_POSTPONED_BYTES (4u << 20)

/* How long one client's requests may keep the loop from its other work. */
#define SLICE_MS 10
#define SLICE_CHECK 4

/* ---- ending ------------------------------------------------------------------------------- */

static void say_why(struct client *c, const char *format, va_list args)
{
	if (!c->why[0])
		vsnprintf(c->why, sizeof(c->why), format, args);
}

void client_fail(struct client *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_why(c, format, args);
	va_end(args);
	c->dead = true;
}

void client_leave(struct client *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_why(c, format, args);
	va_end(args);
	c->leaving = true;
}

static void drop_postponed(struct client *c)
{
	while (!STAILQ_EMPTY(&c->postponed)) {
		struct postponed *p = STAILQ_FIRST(&c->postponed);

		STAILQ_REMOVE_HEAD(&c->postponed, link);
		fd_close_all(p->fds, p->nfds);
		free(p);
	}
	c->postponed_bytes = 0;
}

/* Close the connection if it is to be closed, and leave nothing of it behind. */
void client_reap(struct client *c)
{
	struct vfio_server *s = c->server;
	int r;

	if (c->source.fd < 0 || (!c->dead && !(c->leaving && !c->blocked)))
		return;
	server_remove(s, &c->source);
	drop_postponed(c);
	inbox_clear(&c->in);
	fd_close(&c->reply.fd);
	/* Our copy of the device's descriptor would keep its connection open. */
	if (s->device.fd >= 0)
		server_remove(s, &s->device);
	r = s->dev->backend->recycle(s->dev);
	server_watch_device(s);
	server_log(s, VFIO_LOG_INFO, "client pid %d uid %u has gone: %s",
		   (int)c->peer.pid, (unsigned int)c->peer.uid, c->why);
	if (r < 0) {
		s->broken = r;
		server_log(s, VFIO_LOG_ERROR, "the device could not be reset: %s",
			   s->dev->error.what);
	}
	if (s->options.client)
		s->options.client(s->options.arg, NULL);
}

/* ---- deadlines ---------------------------------------------------------------------------- */

/*
 * A deadline runs while the client owes something: its greeting, the rest of a message, room for a
 * reply.
 */
static void set_deadline(struct client *c)
{
	bool owes = !c->greeted || c->blocked || inbox_is_partial(&c->in);

	if (!owes) {
		c->deadline = 0;
	} else if (!c->deadline) {
		c->deadline = clock_ms() + c->server->options.timeout_ms;
		server_wake_at(c->server, c->deadline);
	}
}

void client_timer(struct client *c)
{
	if (c->source.fd < 0 || !c->deadline)
		return;
	if (clock_ms() < c->deadline) {
		server_wake_at(c->server, c->deadline);
		return;
	}
	client_fail(c, "it did not %s within %u ms",
		    c->blocked ? "take a reply" : !c->greeted ? "send its VERSION message" :
		    "finish a message", c->server->options.timeout_ms);
}

/* ---- sending ------------------------------------------------------------------------------ */

/* Send what can be sent of the reply. Blocked means that some is left. */
static void send_reply(struct client *c)
{
	struct outgoing *o = &c->reply;

	while (o->sent < o->len) {
		bool first = o->sent == 0 && o->fd >= 0;
		ssize_t n = fd_send(c->source.fd, o->buf + o->sent, o->len - o->sent, &o->fd,
				    first ? 1 : 0);

		if (n == -EAGAIN)
			break;
		if (n < 0) {
			client_fail(c, "it does not read: %s", strerror(-n));
			return;
		}
		o->sent += n;
	}
	c->blocked = o->sent < o->len;
	if (!c->blocked)
		c->deadline = 0;
}

/*
 * Watch for room instead of requests, or the other way round: no new request before the reply is
 * gone.
 */
static void watch(struct client *c, bool was_blocked)
{
	struct epoll_event e = {
		.events = c->blocked ? EPOLLOUT : EPOLLIN, .data.ptr = &c->source,
	};

	if (c->blocked != was_blocked)
		epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->source.fd, &e);
}

/* ---- requests ----------------------------------------------------------------------------- */

static void serve(struct client *c, const struct wire_message *m)
{
	c->deadline = 0;	/* it has finished what it began */
	client_handle(c, m);
	if (!c->dead)
		send_reply(c);
}

/* First what came while the server waited for the client's memory. */
static bool serve_postponed(struct client *c)
{
	struct postponed *p = STAILQ_FIRST(&c->postponed);
	struct wire_message m;

	if (!p)
		return false;
	STAILQ_REMOVE_HEAD(&c->postponed, link);
	c->postponed_bytes -= sizeof(*p) + p->len;
	m = (struct wire_message){
		.header = p->header, .payload = p->payload, .len = p->len,
		.fds = p->fds, .nfds = p->nfds,
	};
	serve(c, &m);
	fd_close_all(p->fds, p->nfds);
	free(p);
	return true;
}

/* One message of what has arrived; false when there is no whole one. */
static bool serve_next(struct client *c)
{
	struct wire_message m;
	const char *why;
	int r;

	if (serve_postponed(c))
		return true;
	r = inbox_next(&c->in, &m, &why);
	if (r < 0)
		client_fail(c, "%s", why);
	else if (r == 1)
		serve(c, &m);
	return r != 0;
}

/*
 * What has arrived, until a reply does not fit into the socket or the time is up; then the timer
 * brings us back, after others have had their turn.
 */
static void serve_all(struct client *c)
{
	int64_t end = 0;

	/* The time is looked at now and then: for one small request it would cost too much. */
	for (unsigned int n = 1; !c->dead && !c->leaving && !c->blocked && serve_next(c); n++) {
		if (n % SLICE_CHECK)
			continue;
		if (!end)
			end = clock_ms() + SLICE_MS;
		if (clock_left(end) == 0) {
			c->behind = true;
			server_wake_at(c->server, clock_ms());
			return;
		}
	}
	c->behind = false;
}

/* One receive. */
static void receive(struct client *c)
{
	size_t room;
	uint8_t *at = inbox_room(&c->in, &room);
	ssize_t n = fd_receive(c->source.fd, at, room, c->in.fresh, &c->in.nfresh, MSG_DONTWAIT);

	if (n == -EAGAIN)
		return;
	if (n == -EMSGSIZE)
		client_fail(c, "descriptors that it sent were lost");
	else if (n < 0)
		client_fail(c, "%s", strerror(-n));
	else if (n == 0)
		client_fail(c, inbox_is_partial(&c->in) ? "it closed in the middle of a message"
							 : "it closed the connection");
	else
		inbox_received(&c->in, n);
}

static void client_ready(struct vfio_server *s, struct source *source, uint32_t events)
{
	struct client *c = &s->client;
	bool was_blocked = c->blocked;

	if (c->asking)
		return;		/* request_exchange() reads for itself */
	if (c->blocked)
		send_reply(c);
	else if (!c->behind)
		receive(c);
	else if (events & EPOLLHUP)
		client_fail(c, "it closed the connection");	/* nobody waits for the rest */
	serve_all(c);
	if (!c->dead) {
		watch(c, was_blocked);
		set_deadline(c);
	}
}

/* ---- the client's memory, by message ------------------------------------------------------ */

static int postpone(struct client *c, const struct wire_message *m)
{
	struct postponed *p;
	size_t bytes = sizeof(*p) + m->len;

	if (c->postponed_bytes + bytes > MAX_POSTPONED_BYTES) {
		client_fail(c, "it sent more than %u bytes of commands while it owed its memory",
			    MAX_POSTPONED_BYTES);
		return -EIO;
	}
	p = malloc(bytes);
	if (!p) {
		client_fail(c, "out of memory");
		return -EIO;
	}
	p->header = m->header;
	p->len = m->len;
	p->nfds = m->nfds;
	memcpy(p->fds, m->fds, m->nfds * sizeof(int));
	memcpy(p->payload, m->payload, m->len);
	inbox_take_fds(&c->in);
	STAILQ_INSERT_TAIL(&c->postponed, p, link);
	c->postponed_bytes += bytes;
	return 0;
}

/*
 * Does the reply repeat what was asked? A READ's has iova and count before its data. A WRITE's
 * should have them, too, but there are clients whose count has 32 bits, with or without padding
 * behind it, or that send the header alone.
 */
static bool repeats(const struct wire_message *m, const struct wire_dma *q, bool read)
{
	struct wire_dma a = { 0 };
	size_t whole = sizeof(a) + (read ? q->count : 0);
	bool short_count = !read && m->len == sizeof(a) - 4;

	if (!read && m->len == 0)
		return true;
	if (m->len != whole && !short_count)
		return false;
	memcpy(&a, m->payload, short_count ? m->len : sizeof(a));
	return a.iova == q->iova && (read ? a.count == q->count : (uint32_t)a.count == q->count);
}

static int check_answer(struct client *c, const struct wire_message *m, const struct wire_header *asked,
			const struct wire_dma *q)
{
	if (m->header.id != asked->id || m->header.command != asked->command || m->nfds) {
		client_fail(c, "it sent a reply that nobody asked for (id %u)", m->header.id);
		return -EIO;
	}
	if (m->header.flags & WIRE_ERROR)
		return -EIO;
	if (repeats(m, q, asked->command == WIRE_DMA_READ))
		return 0;
	client_fail(c, "its reply to %s does not fit the request", wire_command_name(asked->command));
	return -EIO;
}

/*
 * What has arrived while the client owes an answer: 1 when that is there, 0 when not yet, or -EIO.
 */
static int take_answer(struct client *c, const struct wire_header *asked, const struct wire_dma *q,
		       void *data)
{
	struct wire_message m;
	const char *why;
	int r;

	while ((r = inbox_next(&c->in, &m, &why)) == 1) {
		if ((m.header.flags & WIRE_TYPE) == WIRE_IS_CALL) {
			if (postpone(c, &m) < 0)
				return -EIO;
			continue;
		}
		r = check_answer(c, &m, asked, q);
		if (r < 0)
			return r;
		if (asked->command == WIRE_DMA_READ)
			memcpy(data, m.payload + sizeof(*q), q->count);
		return 1;
	}
	if (r < 0) {
		client_fail(c, "%s", why);
		return -EIO;
	}
	return 0;
}

/* Send the request, behind what is left of a reply, without waiting. True when it is out. */
static bool send_request(struct client *c, size_t *sent, size_t len)
{
	if (c->blocked)
		send_reply(c);
	while (!c->dead && !c->blocked && *sent < len) {
		ssize_t n = fd_send(c->source.fd, c->request + *sent, len - *sent, NULL, 0);

		if (n == -EAGAIN)
			return false;
		if (n < 0)
			client_fail(c, "it does not read: %s", strerror(-n));
		else
			*sent += n;
	}
	return *sent == len;
}

/*
 * Wait for something to read or, when there is something to send, for room; the loop's other work
 * goes on.
 */
static void wait_for_client(struct client *c, bool to_send, int64_t deadline)
{
	struct pollfd p[2] = {
		{ .fd = c->source.fd, .events = POLLIN | (to_send ? POLLOUT : 0) },
		{ .fd = c->server->epoll, .events = POLLIN },
	};

	if (clock_left(deadline) == 0) {
		client_fail(c, "it did not answer a request for its memory within %u ms",
			    c->server->options.timeout_ms);
		return;
	}
	if (c->server->stopping) {
		client_fail(c, "the server stops");
		return;
	}
	if (poll(p, 2, clock_left(deadline)) < 0)
		return;
	if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
		receive(c);
	if (!c->dead && (p[1].revents & POLLIN))
		server_wait(c->server, 0);
}

static int request_exchange(struct client *c, size_t len, const struct wire_header *asked,
			    const struct wire_dma *q, void *data)
{
	int64_t deadline = clock_ms() + c->server->options.timeout_ms;
	size_t sent = 0;
	int r = 0;

	while (r == 0 && !c->dead) {
		bool out = send_request(c, &sent, len);

		r = c->dead ? -EIO : take_answer(c, asked, q, data);
		if (r == 0)
			wait_for_client(c, !out, deadline);
	}
	return c->dead ? -EIO : r < 0 ? r : 0;
}

/* One DMA_READ or DMA_WRITE of at most the client's max_data_xfer_size. */
static int request(struct client *c, uint16_t command, uint64_t iova, void *data, size_t count)
{
	struct wire_dma q = { .iova = iova, .count = count };
	size_t body = sizeof(q) + (command == WIRE_DMA_WRITE ? count : 0);
	struct wire_header h = {
		.id = c->next_id++, .command = command, .size = sizeof(h) + body,
	};
	struct epoll_event e = { .events = 0, .data.ptr = &c->source };
	int r;

	memcpy(c->request, &h, sizeof(h));
	memcpy(c->request + sizeof(h), &q, sizeof(q));
	if (command == WIRE_DMA_WRITE)
		memcpy(c->request + sizeof(h) + sizeof(q), data, count);
	/* The loop must not turn round on bytes that are read here. */
	epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->source.fd, &e);
	c->asking = true;
	server_hush_device(c->server, true);
	inbox_pin(&c->in);
	r = request_exchange(c, h.size, &h, &q, data);
	inbox_unpin(&c->in);
	server_hush_device(c->server, false);
	c->asking = false;
	c->behind = true;	/* something may have come meanwhile */
	e.events = c->blocked ? EPOLLOUT : EPOLLIN;
	epoll_ctl(c->server->epoll, EPOLL_CTL_MOD, c->source.fd, &e);
	return r;
}

/*
 * What came while a callback of vfio_server_watch() waited for memory: no event will tell of it
 * again.
 */
void client_catch_up(struct client *c)
{
	bool was_blocked = c->blocked;

	if (!c->behind || c->source.fd < 0 || c->asking || c->dead || c->leaving || c->blocked)
		return;
	serve_all(c);
	if (!c->dead) {
		watch(c, was_blocked);
		set_deadline(c);
	}
}

static int request_all(struct client *c, uint16_t command, uint64_t iova, void *data, size_t len)
{
	uint8_t *at = data;

	if (c->source.fd < 0 || c->dead || c->asking)
		return -EIO;
	while (len) {
		size_t n = len < c->caps.max_data ? len : c->caps.max_data;
		int r = request(c, command, iova, at, n);

		if (r < 0)
			return r;
		iova += n;
		at += n;
		len -= n;
	}
	return 0;
}

static int memory_read(void *arg, uint64_t iova, void *buf, size_t len)
{
	return request_all(arg, WIRE_DMA_READ, iova, buf, len);
}

static int memory_write(void *arg, uint64_t iova, const void *buf, size_t len)
{
	return request_all(arg, WIRE_DMA_WRITE, iova, (void *)buf, len);
}

/* ---- life --------------------------------------------------------------------------------- */

int client_init(struct client *c, struct vfio_server *s)
{
	c->source.fd = -1;
	c->server = s;
	c->memory = (struct dma_peer){ .read = memory_read, .write = memory_write, .arg = c };
	STAILQ_INIT(&c->postponed);
	c->reply.fd = -1;
	c->reply.buf = malloc(WIRE_MAX_MESSAGE);
	c->request = malloc(WIRE_MAX_MESSAGE);
	return c->reply.buf && c->request ? inbox_init(&c->in) : -ENOMEM;
}

void client_finish(struct client *c)
{
	if (c->source.fd >= 0) {
		client_fail(c, "the server stops");
		client_reap(c);
	}
	if (c->in.buf)
		inbox_finish(&c->in);
	free(c->reply.buf);
	free(c->request);
}

/* The cursor behind the last record that there is. */
static uint64_t last_record(struct vfio_dev *dev)
{
	struct feature_record q = { .found = 1 };

	for (int i = 0; i < FEATURE_MANY_RECORDS && q.found && dev->backend->feature; i++)
		if (dev->backend->feature(dev, FEATURE_RECORD | VFIO_DEVICE_FEATURE_GET, &q,
					  sizeof(q)) < 0)
			break;
	return q.cursor;
}

int client_begin(struct client *c, int fd, const struct vfio_peer *peer)
{
	int r;

	c->peer = *peer;
	c->peer.fd = fd;
	c->greeted = c->blocked = c->leaving = c->dead = c->behind = c->listens = false;
	c->why[0] = '\0';
	c->deadline = 0;
	c->first_record = last_record(c->server->dev);
	wire_caps_default(&c->caps);
	c->source.ready = client_ready;
	r = server_add(c->server, &c->source, fd, EPOLLIN);
	if (r < 0)
		return r;
	set_deadline(c);
	server_log(c->server, VFIO_LOG_INFO, "client pid %d uid %u has come", (int)peer->pid,
		   (unsigned int)peer->uid);
	if (c->server->options.client)
		c->server->options.client(c->server->options.arg, &c->peer);
	return 0;
}
