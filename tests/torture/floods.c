/* SPDX-License-Identifier: MIT */
/* Much of everything. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack.h"

#define BATCH 100
#define FILES 3000
#define MAPS 70000

/* Read the replies of a batch. */
static unsigned int take_replies(struct peer *p, unsigned int count)
{
	unsigned int good = 0;

	while (count--)
		good += peer_reply(p) == 0;
	return good;
}

static void post_map(struct peer *p, uint64_t iova, int fd)
{
	const struct wire_dma_map q = map_of(iova, PAGE, 0, RW);

	peer_post(p, WIRE_DMA_MAP, 0, &q, sizeof(q), &fd, fd >= 0);
}

static void post_unmap(struct peer *p, uint64_t iova)
{
	const struct wire_dma_unmap q = unmap_of(iova, PAGE);

	peer_post(p, WIRE_DMA_UNMAP, 0, &q, sizeof(q), NULL, 0);
}

/* A file for each map. */
static void many_files(struct peer *p, const char *path)
{
	peer_open(p, path);
	for (unsigned int n = 0; n < FILES; n++) {
		int fd = any(2) ? new_file(PAGE) : new_sealed_file(PAGE);

		post_map(p, n * PAGE, fd);
		close(fd);
		if (n % BATCH == BATCH - 1 && take_replies(p, BATCH) < BATCH)
			break;
	}
	peer_mill(p, 1 + any(2), 0, FILES / 2 * PAGE, MIB);
	if (any(2))
		peer_unmap_all(p);
}

/* Maps until there are no more to be had, unmapped in any order, or left. */
static void many_maps(struct peer *p, const char *path)
{
	int fd = -1;

	peer_open(p, path);
	if (any(2))
		fd = new_sealed_file(PAGE);
	for (uint64_t n = 0; n < MAPS; n++) {
		post_map(p, 2 * n * PAGE, fd);
		if (n % BATCH == BATCH - 1 && take_replies(p, BATCH) < BATCH)
			break;
	}
	for (unsigned int n = 0; n < 2000; n += BATCH) {
		for (unsigned int i = 0; i < BATCH; i++)
			post_unmap(p, any(2 * MAPS) * PAGE);
		take_replies(p, BATCH);
	}
	if (any(2))
		peer_unmap_all(p);
}

/* As much as the socket takes, and not one reply read. */
static void no_reading(struct peer *p, const char *path)
{
	uint8_t buf[256];
	unsigned int sent = 0;
	size_t len;
	ssize_t n;

	peer_open(p, path);
	do {
		const struct wire_dma_map map = map_of(any(64) * PAGE, PAGE, 0, RW);
		const struct wire_dma_unmap unmap = unmap_of(any(64) * PAGE, PAGE);

		len = any(2) ? peer_pack(p, buf, WIRE_DMA_MAP, 0, &map, sizeof(map))
			     : peer_pack(p, buf, WIRE_DMA_UNMAP, 0, &unmap, sizeof(unmap));
		n = send(p->fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		sent += n == (ssize_t)len;
	} while (n == (ssize_t)len && sent < MAPS);
	if (n < 0 && errno == EAGAIN && any(2))
		take_replies(p, sent);
}

/* Orders, maps and unmaps of what they work on, in one stream. */
static void churn(struct peer *p, const char *path)
{
	unsigned int owed = 0;
	int fd;

	peer_open(p, path);
	fd = any(2) ? new_file(PAGE) : new_sealed_file(PAGE);
	for (unsigned int n = 0; n < 600; n++) {
		uint64_t iova = any(16) * PAGE;

		switch (any(4)) {
		case 0:
			post_map(p, iova, fd);
			owed++;
			break;
		case 1:
			post_unmap(p, iova);
			owed++;
			break;
		default:
			peer_order(p, 1 + any(3), iova, any(16) * PAGE, 1 + any(2 * PAGE),
				   WIRE_NO_REPLY);
		}
		if (owed == BATCH) {
			take_replies(p, owed);
			owed = 0;
		}
	}
}

/* One descriptor as often as fits into a message, then in one map after the other. */
static void same_file(struct peer *p, const char *path)
{
	const struct wire_dma_map q = map_of(0, PAGE, 0, RW);
	int fds[FD_MAX_PASSED];
	int fd;

	peer_open(p, path);
	fd = any(2) ? new_file(PAGE) : new_sealed_file(PAGE);
	for (int i = 0; i < FD_MAX_PASSED; i++)
		fds[i] = fd;
	if (peer_call(p, WIRE_DMA_MAP, &q, sizeof(q), fds, 2 + any(FD_MAX_PASSED - 1)) == 0)
		broken("a map came with several descriptors and was accepted");
	for (unsigned int n = 0; n < 1000; n++) {
		post_map(p, n * PAGE, fd);
		if (n % BATCH == BATCH - 1)
			take_replies(p, BATCH);
	}
	peer_mill(p, 1 + any(2), 0, PAGE, any(2) ? 10 * PAGE : 200 * PAGE);
}

const struct attack floods[] = {
	{ .name = "many files", .run = many_files },
	{ .name = "many maps", .run = many_maps },
	{ .name = "no reply read", .run = no_reading },
	{ .name = "map and unmap in use", .run = churn },
	{ .name = "the same file", .run = same_file },
	{ .name = NULL },
};
