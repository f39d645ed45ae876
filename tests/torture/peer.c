/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TURN_MS 20000		/* how long a device may take to get rid of its last client */

static _Thread_local uint64_t state;

uint64_t any(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

void seed_any(uint64_t seed)
{
	state = seed * 2 + 1;
	for (int i = 0; i < 16; i++)
		any(1);
}

void broken(const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "attack: %s\n", line);
	_exit(ENDS_BROKEN);
}

/* ---- bytes -------------------------------------------------------------------------------- */

void peer_send(struct peer *p, const void *bytes, size_t len, const int *fds, size_t nfds)
{
	char control[CMSG_SPACE(FD_MAX_PASSED * sizeof(int))] = { 0 };
	const uint8_t *at = bytes;

	while (len) {
		struct iovec iov = { .iov_base = (void *)at, .iov_len = len };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		if (nfds) {
			m.msg_control = control;
			m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
			CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(nfds * sizeof(int));
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, nfds * sizeof(int));
		}
		n = sendmsg(p->fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == ETOOMANYREFS) {
			usleep(1000);	/* so many descriptors are on their way */
			continue;
		}
		if (n < 0)
			_exit(ENDS_WELL);
		at += n;
		len -= n;
		nfds = 0;
	}
}

static void receive(struct peer *p, void *buf, size_t len)
{
	uint8_t *at = buf;

	while (len) {
		ssize_t n = recv(p->fd, at, len, 0);

		if (n <= 0)
			_exit(ENDS_WELL);
		at += n;
		len -= n;
	}
}

size_t peer_pack(struct peer *p, uint8_t *buf, uint16_t command, uint32_t flags, const void *body,
		 size_t len)
{
	struct wire_header h = {
		.id = p->id++, .command = command, .size = sizeof(h) + len, .flags = flags,
	};

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), body, len);
	return h.size;
}

/* ---- messages ----------------------------------------------------------------------------- */

void peer_post(struct peer *p, uint16_t command, uint32_t flags, const void *body, size_t len,
	       const int *fds, size_t nfds)
{
	static uint8_t message[WIRE_MAX_MESSAGE];

	peer_send(p, message, peer_pack(p, message, command, flags, body, len), fds, nfds);
}

void peer_receive(struct peer *p)
{
	receive(p, &p->header, sizeof(p->header));
	if (p->header.size < sizeof(p->header) || p->header.size > WIRE_MAX_MESSAGE)
		broken("vfiod sent a message of %u bytes", p->header.size);
	p->len = p->header.size - sizeof(p->header);
	receive(p, p->payload, p->len);
}

void peer_answer(struct peer *p)
{
	static uint8_t message[WIRE_MAX_MESSAGE];
	struct wire_dma q;
	uint16_t id = p->id;
	size_t len;

	memcpy(&q, p->payload, sizeof(q));
	len = sizeof(q) + (p->header.command == WIRE_DMA_READ ? q.count : 0);
	p->id = p->header.id;
	memset(p->payload + sizeof(q), 0, len - sizeof(q));
	len = peer_pack(p, message, p->header.command, WIRE_IS_REPLY, p->payload, len);
	peer_send(p, message, len, NULL, 0);
	p->id = id;
}

int peer_reply(struct peer *p)
{
	for (;;) {
		peer_receive(p);
		if ((p->header.flags & WIRE_TYPE) == WIRE_IS_REPLY)
			return p->header.flags & WIRE_ERROR ? (int)p->header.error : 0;
		peer_answer(p);
	}
}

int peer_call(struct peer *p, uint16_t command, const void *body, size_t len, const int *fds,
	      size_t nfds)
{
	peer_post(p, command, 0, body, len, fds, nfds);
	return peer_reply(p);
}

/* ---- coming and going --------------------------------------------------------------------- */

void peer_connect(struct peer *p, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	p->id = 0;
	p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (p->fd < 0 || connect(p->fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		broken("nobody listens at %s: %s", path, strerror(errno));
}

int peer_hello(struct peer *p)
{
	static const char offer[] = "\0\0\1\0{\"capabilities\": {\"max_msg_fds\": 16}}";

	return peer_call(p, WIRE_VERSION, offer, sizeof(offer), NULL, 0);
}

void peer_close(struct peer *p)
{
	close(p->fd);
}

static void enable(struct peer *p)
{
	const uint16_t memory_and_bus_master = 6;
	const struct wire_access q = { .offset = 4, .region = CONFIG, .count = 2 };
	uint8_t body[sizeof(q) + 2];

	memcpy(body, &q, sizeof(q));
	memcpy(body + sizeof(q), &memory_and_bus_master, 2);
	if (peer_call(p, WIRE_REGION_WRITE, body, sizeof(body), NULL, 0))
		broken("bus mastering cannot be switched on");
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

void peer_open(struct peer *p, const char *path)
{
	int64_t end = now_ms() + TURN_MS;
	int err;

	for (;;) {
		peer_connect(p, path);
		err = peer_hello(p);
		if (!err)
			break;
		peer_close(p);
		if (now_ms() > end)
			broken("%s is not to be had: %s", path, strerror(err));
		usleep(500);
	}
	enable(p);
}

/* ---- maps and the mill -------------------------------------------------------------------- */

struct wire_dma_map map_of(uint64_t iova, uint64_t size, uint64_t offset, uint32_t prot)
{
	return (struct wire_dma_map){
		.argsz = sizeof(struct wire_dma_map), .flags = prot, .offset = offset,
		.iova = iova, .size = size,
	};
}

struct wire_dma_unmap unmap_of(uint64_t iova, uint64_t size)
{
	return (struct wire_dma_unmap){
		.argsz = sizeof(struct wire_dma_unmap), .iova = iova, .size = size,
	};
}

int peer_map(struct peer *p, uint64_t iova, uint64_t size, uint64_t offset, uint32_t prot, int fd)
{
	const struct wire_dma_map q = map_of(iova, size, offset, prot);

	return peer_call(p, WIRE_DMA_MAP, &q, sizeof(q), &fd, fd >= 0);
}

int peer_unmap(struct peer *p, uint64_t iova, uint64_t size)
{
	const struct wire_dma_unmap q = unmap_of(iova, size);

	return peer_call(p, WIRE_DMA_UNMAP, &q, sizeof(q), NULL, 0);
}

int peer_unmap_all(struct peer *p)
{
	struct wire_dma_unmap q = unmap_of(0, 0);

	q.flags = WIRE_UNMAP_ALL;
	return peer_call(p, WIRE_DMA_UNMAP, &q, sizeof(q), NULL, 0);
}

void peer_order(struct peer *p, uint64_t command, uint64_t from, uint64_t to, uint64_t len,
		uint32_t flags)
{
	const struct {
		struct wire_access at;
		struct mill_order order;
	} q = {
		.at = { .offset = MILL_SOURCE, .count = sizeof(q.order) },
		.order = { from, to, len, command },
	};

	peer_post(p, WIRE_REGION_WRITE, flags, &q, sizeof(q), NULL, 0);
}

int peer_mill(struct peer *p, uint64_t command, uint64_t from, uint64_t to, uint64_t len)
{
	const struct wire_access q = { .offset = MILL_RESULT, .count = sizeof(uint64_t) };
	uint64_t result;

	peer_order(p, command, from, to, len, 0);
	if (peer_reply(p) || peer_call(p, WIRE_REGION_READ, &q, sizeof(q), NULL, 0))
		broken("the mill cannot be driven");
	memcpy(&result, p->payload + sizeof(q), sizeof(result));
	return (int)result;
}
