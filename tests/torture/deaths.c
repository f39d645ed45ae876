/* SPDX-License-Identifier: MIT */
/* Clients that go in the middle of something. */
#include <signal.h>
#include <unistd.h>

#include "attack.h"

static _Noreturn void die(void)
{
	kill(getpid(), SIGKILL);
	_exit(ENDS_WELL);
}

/* A valid message of some kind. */
static size_t some_message(struct peer *p, uint8_t *buf)
{
	const struct wire_dma_map map = map_of(any(1 << 20) * PAGE, PAGE, 0, RW);
	const struct wire_dma_unmap unmap = unmap_of(any(1 << 20) * PAGE, PAGE);
	const struct wire_access read = { .region = CONFIG, .count = 256 };
	const struct wire_access write = { .offset = MILL_SOURCE, .count = 8 };
	uint8_t body[sizeof(write) + 8] = { 0 };

	switch (any(4)) {
	case 0:
		return peer_pack(p, buf, WIRE_DMA_MAP, 0, &map, sizeof(map));
	case 1:
		return peer_pack(p, buf, WIRE_DMA_UNMAP, 0, &unmap, sizeof(unmap));
	case 2:
		return peer_pack(p, buf, WIRE_REGION_READ, 0, &read, sizeof(read));
	default:
		memcpy(body, &write, sizeof(write));
		return peer_pack(p, buf, WIRE_REGION_WRITE, 0, body, sizeof(body));
	}
}

/* Several messages, the last of which is cut, with a descriptor in one of them. */
static void die_in_message(struct peer *p, const char *path)
{
	uint8_t buf[256];
	int file;

	peer_open(p, path);
	file = new_file(PAGE);
	for (int n = any(8); n > 0; n--)
		peer_send(p, buf, some_message(p, buf), &file, any(2));
	peer_send(p, buf, 1 + any(some_message(p, buf) - 1), &file, any(2));
	if (any(2))
		die();
	peer_close(p);
}

/* The mill has megabytes to move in our memory, and we are gone. */
static void die_in_dma(struct peer *p, const char *path)
{
	uint64_t commands[] = { MILL_COPY, MILL_IN_PLACE, MILL_STAMP };
	int file;

	peer_open(p, path);
	file = any(2) ? new_sealed_file(2 * MIB) : new_file(2 * MIB);
	peer_map(p, 0, 2 * MIB, 0, RW, file);
	for (int n = 1 + any(40); n > 0; n--)
		peer_order(p, commands[any(3)], any(PAGE), MIB + any(PAGE), MIB - PAGE,
			   any(2) ? WIRE_NO_REPLY : 0);
	usleep(any(5000));
	die();
}

/* The server has asked for our memory, and waits. */
static void die_asked(struct peer *p, const char *path)
{
	uint8_t buf[256];
	struct wire_dma q;
	uint16_t id;
	size_t len;

	peer_open(p, path);
	peer_map(p, 0, 2 * MIB, 0, RW, -1);
	peer_order(p, MILL_COPY, 0, MIB, 64, 0);
	peer_receive(p);
	id = p->header.id;
	memcpy(&q, p->payload, sizeof(q));
	for (int n = any(4); n > 0; n--)
		peer_send(p, buf, some_message(p, buf), NULL, 0);
	p->id = id;
	len = peer_pack(p, buf, p->header.command, WIRE_IS_REPLY, p->payload, sizeof(q));
	peer_send(p, buf, any(len), NULL, 0);
	die();
}

/* Unmapping what the mill is at, and gone before the answer. */
static void die_in_unmap(struct peer *p, const char *path)
{
	int file;

	peer_open(p, path);
	file = new_sealed_file(MIB);
	for (uint64_t at = 0; at < MIB; at += 16 * PAGE)
		peer_map(p, at, 16 * PAGE, at, RW, file);
	peer_order(p, MILL_STAMP, 0, 0, MIB, 0);
	for (uint64_t at = 0; at < MIB; at += 16 * PAGE) {
		const struct wire_dma_unmap q = unmap_of(at, 16 * PAGE);

		peer_post(p, WIRE_DMA_UNMAP, 0, &q, sizeof(q), NULL, 0);
		peer_order(p, MILL_COPY, at, 0, PAGE, 0);
	}
	die();
}

const struct attack deaths[] = {
	{ .name = "die in a message", .run = die_in_message },
	{ .name = "die in DMA", .run = die_in_dma },
	{ .name = "die when asked", .run = die_asked },
	{ .name = "die in unmap", .run = die_in_unmap },
	{ .name = NULL },
};
