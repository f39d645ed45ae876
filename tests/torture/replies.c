/* SPDX-License-Identifier: MIT */
/* Clients that are asked for their memory, and answer something. */
#include <errno.h>
#include <unistd.h>

#include "attack.h"

#define LONGER_MS 2500		/* than the time-out in torture.py */

static void answer(struct peer *p, uint16_t id, uint16_t command, uint32_t flags,
		   const void *body, size_t len)
{
	static uint8_t message[WIRE_MAX_MESSAGE];

	p->id = id;
	len = peer_pack(p, message, command, WIRE_IS_REPLY | flags, body, len);
	peer_send(p, message, len, NULL, 0);
}

/* One reply that is wrong in one way, or in none: then the end must be a good one. */
static bool answer_wrongly(struct peer *p)
{
	static uint8_t body[WIRE_MAX_DATA];
	const uint16_t id = p->header.id, command = p->header.command;
	size_t right = p->len;
	struct wire_dma q;
	uint64_t way = any(12);
	int fd;

	memcpy(&q, p->payload, sizeof(q));
	right = sizeof(q) + (command == WIRE_DMA_READ ? q.count : 0);
	switch (way) {
	case 0:
		answer(p, id + 1, command, 0, p->payload, right);
		break;
	case 1:
		answer(p, id, WIRE_DMA_READ + WIRE_DMA_WRITE - command, 0, p->payload, right);
		break;
	case 2:
		q.iova += PAGE;
		break;
	case 3:
		q.count = any(2) ? any(q.count) : UINT64_MAX - any(PAGE);
		break;
	case 4:
		answer(p, id, command, 0, p->payload, any(right));
		break;
	case 5:
		answer(p, id, command, 0, body, WIRE_MAX_DATA);
		break;
	case 6:
		answer(p, id, command, WIRE_ERROR, "", 0);
		break;
	case 7:
		fd = new_file(PAGE);
		peer_send(p, &p->header, sizeof(p->header), &fd, 1);
		break;
	case 8:
		peer_answer(p);		/* and once more */
		break;
	case 9:
		answer(p, id, command, 0x40, p->payload, right);
		break;
	default:
		peer_answer(p);
		return true;
	}
	memcpy(body, &q, sizeof(q));
	answer(p, id, command, 0, body, right);
	return false;
}

static void wrong_replies(struct peer *p, const char *path)
{
	bool good = true;

	peer_open(p, path);
	peer_map(p, 0, MIB, 0, RW, -1);
	for (int n = 0; n < 10 && good; n++) {
		peer_order(p, MILL_COPY, any(PAGE), any(PAGE), 1 + any(MIB / 2), 0);
		for (;;) {
			peer_receive(p);
			if ((p->header.flags & WIRE_TYPE) == WIRE_IS_REPLY)
				break;
			good = answer_wrongly(p) && good;
		}
	}
}

/* Much else first, and the answer in the end. */
static void slow_replies(struct peer *p, const char *path)
{
	const struct wire_access q = { .region = CONFIG, .count = 256 };

	peer_open(p, path);
	peer_map(p, 0, MIB, 0, RW, -1);
	peer_order(p, MILL_COPY, 0, MIB / 2, MIB / 4, 0);
	peer_receive(p);
	for (int n = 0; n < 200; n++)
		peer_post(p, WIRE_REGION_READ, 0, &q, sizeof(q), NULL, 0);
	peer_order(p, MILL_STAMP, 0, MIB / 2, MIB / 4, WIRE_NO_REPLY);
	usleep(any(20000));
	peer_answer(p);
	for (int n = 0; n < 201; n++)
		peer_reply(p);
}

static void late_replies(struct peer *p, const char *path)
{
	peer_open(p, path);
	peer_map(p, 0, MIB, 0, RW, -1);
	peer_order(p, MILL_COPY, 0, MIB / 2, 64, 0);
	peer_receive(p);
	usleep(LONGER_MS * 1000);
	peer_answer(p);
	if (peer_reply(p) == 0)
		broken("an answer that came too late was taken");
}

/* Memory is asked for, and unmapped instead of given. */
static void unmap_instead(struct peer *p, const char *path)
{
	const struct wire_dma_unmap q = unmap_of(0, MIB);

	peer_open(p, path);
	peer_map(p, 0, MIB, 0, RW, -1);
	peer_order(p, MILL_COPY, 0, MIB / 2, 64, 0);
	peer_receive(p);
	peer_post(p, WIRE_DMA_UNMAP, 0, &q, sizeof(q), NULL, 0);
	peer_answer(p);
	if (peer_reply(p) || peer_reply(p))
		broken("an unmap that crossed a request was not done");
	if (peer_mill(p, MILL_COPY, 0, MIB / 2, 64) != EFAULT)
		broken("unmapped memory was asked for");
}

const struct attack replies[] = {
	{ .name = "wrong replies", .run = wrong_replies },
	{ .name = "slow replies", .run = slow_replies },
	{ .name = "late replies", .run = late_replies, .patient = true },
	{ .name = "unmap when asked", .run = unmap_instead },
	{ .name = NULL },
};
