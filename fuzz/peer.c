/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define PAGE       4096
#define FILE_PAGES 16

/* ---- descriptors -------------------------------------------------------------------------- */

static int make_memory(unsigned int seals)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0);
	CHECK(ftruncate(fd, FILE_PAGES * PAGE) == 0);
	if (seals)
		CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

/* An eventfd that would block its next writer for ever. */
static int make_full_eventfd(void)
{
	uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, &full, sizeof(full)) == sizeof(full));
	return fd;
}

static int make_pipe(void)
{
	int ends[2];

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	close(ends[1]);
	return ends[0];
}

static int read_only(int fd)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	CHECK(again >= 0);
	return again;
}

static int make_fd(struct peer *p, uint8_t kind)
{
	switch (kind % 9) {
	case 0: return eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	case 1: return make_memory(F_SEAL_SHRINK | F_SEAL_GROW);
	case 2: return dup(p->loose);
	case 3: return make_pipe();
	case 4: return make_full_eventfd();
	case 5: return make_memory(F_SEAL_SHRINK | F_SEAL_WRITE);
	case 6: return read_only(make_memory(F_SEAL_SHRINK));
	case 7: return open("/dev/null", O_RDWR | O_CLOEXEC);
	default: return dup(p->fd);
	}
}

static void drop_fds(struct peer *p)
{
	fd_close_all(p->fds, p->nfds);
	p->nfds = 0;
}

void peer_attach(struct peer *p, struct input *in)
{
	uint8_t n = take8(in), kind = take8(in);

	drop_fds(p);
	if (p->fd < 0)
		return;
	/* Few of any kinds, or very many of one. */
	n = n < 240 ? n % 4 : PEER_MAX_FDS;
	for (size_t i = 0; i < n; i++) {
		int fd = make_fd(p, kind);

		CHECK(fd >= 0);
		p->fds[p->nfds++] = fd;
		if (n < PEER_MAX_FDS)
			kind = take8(in);
	}
}

void peer_resize_loose(struct peer *p, unsigned int pages)
{
	CHECK(ftruncate(p->loose, pages % (FILE_PAGES + 1) * PAGE) == 0);
}

/* ---- bytes -------------------------------------------------------------------------------- */

void peer_send(struct peer *p, const void *buf, size_t len)
{
	if (p->fd >= 0 && len)
		fd_send(p->fd, buf, len, p->fds, p->nfds);
	drop_fds(p);
}

void peer_send_message(struct peer *p, const struct wire_header *h, const void *payload,
		       size_t len)
{
	static uint8_t message[WIRE_MAX_MESSAGE];

	CHECK(sizeof(*h) + len <= sizeof(message));
	memcpy(message, h, sizeof(*h));
	if (len)
		memcpy(message + sizeof(*h), payload, len);
	peer_send(p, message, sizeof(*h) + len);
}

/* Follow the messages in n bytes that have arrived. What we are sent is always well formed. */
static void follow(struct peer *p, const uint8_t *at, size_t n)
{
	while (n) {
		size_t step = sizeof(p->header) - p->have;

		if (p->skip) {
			step = p->skip < n ? p->skip : n;
			p->skip -= step;
		} else {
			step = step < n ? step : n;
			memcpy((uint8_t *)&p->header + p->have, at, step);
			p->have += step;
		}
		at += step;
		n -= step;
		if (p->have < sizeof(p->header) || p->skip)
			continue;
		CHECK(p->header.size >= sizeof(p->header) && p->header.size <= WIRE_MAX_MESSAGE);
		CHECK(wire_command_name(p->header.command) || p->header.error);
		p->skip = p->header.size - sizeof(p->header);
		p->have = 0;
		if ((p->header.flags & WIRE_TYPE) == WIRE_IS_CALL)
			p->calls++;
		else
			p->replies++;
	}
}

void peer_receive(struct peer *p, size_t max)
{
	static uint8_t buf[1u << 16];

	while (p->fd >= 0 && max) {
		int fds[FD_MAX_PASSED];
		size_t nfds, room = max < sizeof(buf) ? max : sizeof(buf);
		ssize_t n = fd_receive(p->fd, buf, room, fds, &nfds, MSG_DONTWAIT);

		if (n <= 0)
			return;
		fd_close_all(fds, nfds);
		follow(p, buf, n);
		max -= n;
	}
}

/* ---- life --------------------------------------------------------------------------------- */

void peer_init(struct peer *p)
{
	*p = (struct peer){ .fd = -1, .loose = make_memory(0) };
}

int peer_connect(struct peer *p, bool nonblocking)
{
	int ends[2], size = 4 << 20;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	if (nonblocking)
		CHECK(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	/* As much as the system lets a stranger have: it is what one receive can bring. */
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
	p->fd = ends[0];
	p->have = 0;
	p->skip = 0;
	p->calls = p->replies = 0;
	return ends[1];
}

void peer_disconnect(struct peer *p)
{
	drop_fds(p);
	fd_close(&p->fd);
}

void peer_finish(struct peer *p)
{
	peer_disconnect(p);
	fd_close(&p->loose);
}
