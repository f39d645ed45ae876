/* SPDX-License-Identifier: MIT */
#include "backends/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/error.h"

#define DEFAULT_TIMEOUT_MS 5000
#define MAX_RECEIVES 64

int link_init(struct link *l, int fd, struct space *space, struct vfio_error *err)
{
	int r;

	*l = (struct link){
		.fd = -1, .timeout_ms = DEFAULT_TIMEOUT_MS, .space = space, .err = err,
	};
	wire_caps_default(&l->caps);
	l->out = malloc(WIRE_MAX_MESSAGE);
	r = l->out ? inbox_init(&l->in) : -ENOMEM;
	if (r < 0) {
		free(l->out);
		l->out = NULL;
		return error_system(err, -r, "making a connection");
	}
	l->fd = fd;
	return 0;
}

void link_finish(struct link *l)
{
	fd_close(&l->fd);
	inbox_finish(&l->in);
	free(l->out);
}

/* ---- a broken link ------------------------------------------------------------------------ */

/* What an exchange was about; written only when it has failed. */
static const char *describe(const struct exchange *x, char *buf, size_t size)
{
	if (x->len)
		snprintf(buf, size, "%s, %#llx bytes at %#llx", x->what,
			 (unsigned long long)x->len, (unsigned long long)x->at);
	else
		snprintf(buf, size, "%s", x->what);
	return buf;
}

static int broken(struct link *l, int err, enum vfio_error_code code, const char *remedy,
		  const char *what, const char *why)
{
	fd_close(&l->fd);
	inbox_clear(&l->in);
	return error_set(l->err, err, code, VFIO_BY_SERVER, remedy, "%s: %s", what, why);
}

static int gone(struct link *l, const char *what)
{
	return broken(l, ENODEV, VFIO_E_GONE, "close the device and open it again; the server's log "
		      "says why it closed the connection", what, "the server has closed the connection");
}

/* An earlier call has found the end of it, and said why. */
static int given_up(struct link *l, const char *what)
{
	return error_set(l->err, ENODEV, VFIO_E_GONE, VFIO_BY_LIBRARY,
			 "close the device and open it again",
			 "%s: the connection was given up at an earlier error", what);
}

static int late(struct link *l, const char *what)
{
	return broken(l, ETIMEDOUT, VFIO_E_TIMEOUT, "is the server stopped or overloaded? "
		      "vfio_set_timeout() allows it more time", what, "the server did not answer in time");
}

static int malformed(struct link *l, const char *what, const char *why)
{
	return broken(l, EPROTO, VFIO_E_PROTOCOL, "the other end is not a sound vfio-user server", what,
		      why);
}

/* ---- bytes -------------------------------------------------------------------------------- */

static void start_clock(struct link *l)
{
	l->deadline = clock_ms() + l->timeout_ms;
	if (l->end && l->end < l->deadline)
		l->deadline = l->end;
}

/* Wait until the socket is ready for events; what is being done names the culprit. */
static int wait_ready(struct link *l, short events, const char *what)
{
	struct pollfd p = { .fd = l->fd, .events = events };
	int n;

	do
		n = poll(&p, 1, clock_left(l->deadline));
	while (n < 0 && errno == EINTR && clock_left(l->deadline));
	return n > 0 ? 0 : late(l, what);
}

/* Take what is there into the inbox; -EAGAIN when there is nothing. */
static int receive(struct link *l, int flags, const char *what)
{
	size_t room;
	uint8_t *at = inbox_room(&l->in, &room);
	ssize_t n = fd_receive(l->fd, at, room, l->in.fresh, &l->in.nfresh, flags);

	if (n == -EAGAIN)
		return -EAGAIN;
	if (n <= 0)
		return gone(l, what);
	inbox_received(&l->in, n);
	return 0;
}

/*
 * Send len bytes of l->out, with descriptors on the first. The server owes us nothing then, so it
 * reads.
 */
static int send_out(struct link *l, size_t len, const int *fds, size_t nfds, const char *what)
{
	size_t sent = 0;

	while (sent < len) {
		ssize_t n = fd_send(l->fd, l->out + sent, len - sent, fds, sent ? 0 : nfds);
		int r;

		if (n >= 0) {
			sent += n;
			continue;
		}
		if (n != -EAGAIN)
			return gone(l, what);
		r = wait_ready(l, POLLOUT, what);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the server's requests ---------------------------------------------------------------- */

/* Answer DMA_READ or DMA_WRITE from our address space; the server gets what the map allows. */
static int serve(struct link *l, const struct wire_message *m, const char *what)
{
	bool read = m->header.command == WIRE_DMA_READ;
	struct wire_header h = m->header;
	struct wire_dma q;
	size_t body = sizeof(q);
	int r = -EINVAL;

	if ((!read && m->header.command != WIRE_DMA_WRITE) || m->nfds)
		return malformed(l, what, "the server sent a command that is not its to send");
	if (clock_left(l->deadline) == 0)
		return late(l, what);
	if (read && (h.flags & WIRE_NO_REPLY))
		return 0;		/* asked for and not wanted */
	if (m->len >= sizeof(q)) {
		memcpy(&q, m->payload, sizeof(q));
		if (q.count <= WIRE_MAX_DATA && (read || m->len == sizeof(q) + q.count))
			r = space_copy(l->space, q.iova,
				       read ? l->out + sizeof(h) + sizeof(q)
					    : (uint8_t *)m->payload + sizeof(q),
				       q.count, read ? VFIO_DMA_READ : VFIO_DMA_WRITE);
	}
	if (h.flags & WIRE_NO_REPLY)
		return 0;
	if (r == 0) {
		memcpy(l->out + sizeof(h), &q, sizeof(q));
		body += read ? q.count : 0;
	} else {
		body = 0;
	}
	h.flags = WIRE_IS_REPLY | (r < 0 ? WIRE_ERROR : 0);
	h.error = r < 0 ? -r : 0;
	h.size = sizeof(h) + body;
	memcpy(l->out, &h, sizeof(h));
	return send_out(l, h.size, NULL, 0, what);
}

/*
 * The next message for us, requests served on the way: 1, 0 when no whole one has arrived, or a
 * negative errno.
 */
static int next_reply(struct link *l, struct wire_message *m, const char *what)
{
	const char *why;
	int r;

	while ((r = inbox_next(&l->in, m, &why)) == 1) {
		uint32_t type = m->header.flags & WIRE_TYPE;

		if (type == WIRE_IS_REPLY)
			return 1;
		r = type == WIRE_IS_CALL ? serve(l, m, what)
					 : malformed(l, what, "a message is of no known type");
		if (r < 0)
			return r;
	}
	return r < 0 ? malformed(l, what, why) : 0;
}

int link_dispatch(struct link *l)
{
	static const char what[] = "serving the device's requests";
	struct wire_message m;
	int r = 0;

	if (l->fd < 0)
		return given_up(l, what);
	start_clock(l);
	/* A server that never stops asking must not keep the caller here. */
	for (int i = 0; i < MAX_RECEIVES && r == 0; i++) {
		r = next_reply(l, &m, what);
		if (r == 1)
			r = malformed(l, what, "it sent a reply that nobody asked for");
		if (r == 0)
			r = receive(l, MSG_DONTWAIT, what);
	}
	return r == 0 || r == -EAGAIN ? 0 : -ENODEV;
}

/* ---- commands ----------------------------------------------------------------------------- */

/* What an errno means as the answer to a command, and what helps. */
static const struct refusal {
	uint16_t command;
	int err;
	enum vfio_error_code code;
	const char *remedy;
} refusals[] = {
	{ WIRE_VERSION, EBUSY, VFIO_E_BUSY,
	  "wait until its client has gone; lsvfio shows who that is" },
	{ WIRE_VERSION, EACCES, VFIO_E_PERMISSION,
	  "the server's configuration names the users and the group that may use this device" },
	{ WIRE_VERSION, 0, VFIO_E_VERSION, "the server's log says what it did not like" },
	{ WIRE_REGION_READ, EIO, VFIO_E_MEMORY_OFF,
	  "set the memory bit of the Command register and power state D0" },
	{ WIRE_REGION_WRITE, EIO, VFIO_E_MEMORY_OFF,
	  "set the memory bit of the Command register and power state D0" },
	{ WIRE_REGION_READ, 0, VFIO_E_RANGE, "vfio_region() says which regions there are, and their sizes" },
	{ WIRE_REGION_WRITE, 0, VFIO_E_RANGE, "vfio_region() says which regions there are, and their sizes" },
	{ WIRE_GET_REGION_INFO, 0, VFIO_E_NO_REGION, "vfio_info() says how many regions there are" },
	{ WIRE_GET_IRQ_INFO, 0, VFIO_E_NO_IRQ, "vfio_info() says how many interrupt indexes there are" },
	{ WIRE_SET_IRQS, ENOTTY, VFIO_E_IRQ_FLAGS, "see vfio_irq_set(3)" },
	{ WIRE_SET_IRQS, 0, VFIO_E_NO_IRQ, "vfio_irq_info() says which vectors there are; one of INTx, "
	  "MSI and MSI-X can be active at a time" },
	{ WIRE_DMA_MAP, EEXIST, VFIO_E_OVERLAP, "unmap the old range first, or choose another IOVA" },
	{ WIRE_DMA_MAP, ENOSPC, VFIO_E_DMA_LIMIT, "map fewer, larger ranges" },
	{ WIRE_DMA_MAP, 0, VFIO_E_DMA_MEMORY, "pass a memfd, or a file on tmpfs, that is long enough" },
	{ WIRE_DMA_UNMAP, ENOENT, VFIO_E_NOT_MAPPED, NULL },
	{ WIRE_RESET, EINVAL, VFIO_E_UNSUPPORTED, "the device has no way to be reset by its user" },
	{ 0, 0, VFIO_E_REMOTE, "the server's log may say more" },
};

static int refused(struct link *l, const struct exchange *x, uint32_t err)
{
	const struct refusal *f = refusals;
	char what[160];

	if (err == 0 || err > 4095)		/* no errno: unspecified */
		err = EIO;
	while (f->command && (f->command != x->command || (f->err && f->err != (int)err)))
		f++;
	return error_set(l->err, err, f->code, VFIO_BY_SERVER, f->remedy, "%s: refused",
			 describe(x, what, sizeof(what)));
}

static int check_reply(struct link *l, struct exchange *x, const struct wire_message *m, uint16_t id)
{
	if (m->header.id != id || m->header.command != x->command)
		return malformed(l, x->what, "the reply is to another command");
	if (m->header.flags & WIRE_ERROR)
		return refused(l, x, m->header.error);
	if (m->len < x->reply_least || m->len > x->reply_room)
		return malformed(l, x->what, "the reply has the wrong length");
	if (m->nfds > x->fds_room)
		return malformed(l, x->what, "the reply brought descriptors that nobody asked for");
	if (m->len)
		memcpy(x->reply, m->payload, m->len);
	x->reply_len = m->len;
	if (m->nfds) {
		memcpy(x->reply_fds, m->fds, m->nfds * sizeof(int));
		x->reply_nfds = m->nfds;
		inbox_take_fds(&l->in);
	}
	return 0;
}

/*
 * Serve the requests that came behind a reply: the socket will not become readable for those again.
 */
static void serve_rest(struct link *l, const char *what)
{
	struct wire_message m;
	struct wire_header h;
	const char *why;
	int r = 1;

	while (r == 1 && l->fd >= 0 && inbox_peek(&l->in, &h) &&
	       (h.flags & WIRE_TYPE) == WIRE_IS_CALL) {
		r = inbox_next(&l->in, &m, &why);
		if (r < 0)
			malformed(l, what, why);
		else if (r == 1 && serve(l, &m, what) < 0)
			return;
	}
}

static int finish_reply(struct link *l, struct exchange *x, const struct wire_message *m, uint16_t id)
{
	int r = check_reply(l, x, m, id);
	struct vfio_error told;

	if (r < 0)
		told = *l->err;
	serve_rest(l, x->what);
	if (r < 0)
		*l->err = told;		/* what this call says, and not what came after it */
	return r;
}

static int wait_reply(struct link *l, struct exchange *x, uint16_t id)
{
	struct wire_message m;

	for (bool again = false;; again = true) {
		int r = next_reply(l, &m, x->what);

		if (r < 0)
			return r;
		if (r == 1)
			return finish_reply(l, x, &m, id);
		if (again && clock_left(l->deadline) == 0)
			return late(l, x->what);
		/* Sleep in the receive, which has a time-out, and not in a poll() before it. */
		r = receive(l, 0, x->what);
		if (r == -EAGAIN)
			r = wait_ready(l, POLLIN, x->what);
		if (r < 0)
			return r;
	}
}

int link_call(struct link *l, struct exchange *x)
{
	size_t body = x->fixed_len + x->data_len;
	struct wire_header h = {
		.id = l->next_id++, .command = x->command, .size = sizeof(h) + body,
	};
	int r;

	x->reply_len = x->reply_nfds = 0;
	if (l->fd < 0)
		return given_up(l, x->what);
	start_clock(l);
	memcpy(l->out, &h, sizeof(h));
	if (x->fixed_len)
		memcpy(l->out + sizeof(h), x->fixed, x->fixed_len);
	if (x->data_len)
		memcpy(l->out + sizeof(h) + x->fixed_len, x->data, x->data_len);
	r = send_out(l, h.size, x->fds, x->nfds, x->what);
	return r < 0 ? r : wait_reply(l, x, h.id);
}
