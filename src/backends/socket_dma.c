/* SPDX-License-Identifier: MIT */
/* DMA maps of a device behind a socket: checked here, kept here, and told to the server. */
#include <errno.h>
#include <fcntl.h>

#include "backends/socket.h"

/*
 * The descriptor to send, or -1: servers take memory files only, which are those that have seals.
 * Other memory that is here, too, they get by message.
 */
static int memory_fd(const struct dma_map *map)
{
	return map->vaddr && map->fd >= 0 && fcntl(map->fd, F_GET_SEALS) < 0 ? -1 : map->fd;
}

/* fd -1: its bytes go by message. */
static int send_map(struct sock *s, const struct dma_map *map, int fd, uint64_t offset,
		    uint32_t flags)
{
	struct wire_dma_map q = {
		.argsz = sizeof(q), .flags = map->prot | flags, .offset = offset,
		.iova = map->iova, .size = map->size,
	};
	struct exchange x = {
		.command = WIRE_DMA_MAP, .fixed = &q, .fixed_len = sizeof(q),
		.fds = &fd, .nfds = fd >= 0 ? 1 : 0,
		.what = "mapping memory", .len = map->size, .at = map->iova,
	};

	return socket_call(s, &x);
}

/*
 * The server gets all of this process's memory. One that does not take such descriptors refuses the
 * first, and asks for the bytes then. Those of other processes are not passed on: socket_dma_map()
 * keeps a map itself, and does not take them.
 */
static int send_process_map(struct sock *s, const struct dma_map *map)
{
	int fd = s->takes_no_process ? -1 : open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	int r = -ENOTSUP;

	if (fd >= 0)
		r = send_map(s, map, fd, (uintptr_t)map->vaddr, WIRE_MAP_PROCESS);
	fd_close(&fd);
	if (r == 0 || s->link.fd < 0)
		return r;
	r = send_map(s, map, -1, 0, 0);
	if (r == 0)		/* there was nothing else against that map */
		s->takes_no_process = true;
	return r;
}

static int send_any_map(struct sock *s, const struct dma_map *map)
{
	int fd = memory_fd(map);

	if (map->by_process && map->vaddr && fd < 0)
		return send_process_map(s, map);
	return send_map(s, map, fd, fd >= 0 ? map->fd_offset : 0, 0);
}

int socket_dma_map(struct vfio_dev *dev, const struct dma_map *map)
{
	struct sock *s = (struct sock *)dev;
	size_t before = s->space.ranges.count;
	uint64_t unused;
	int r = space_map(&s->space, map, &dev->error);

	if (r < 0)
		return r;
	if (s->space.ranges.count == before)
		return 0;		/* it was there already */
	r = send_any_map(s, map);
	if (r < 0)
		space_unmap(&s->space, map->iova, map->size, &unused, NULL, NULL, NULL);
	return r;
}

/*
 * The server unmaps one map at a time (vfio-user: "must match exactly one"), we as the contract
 * says.
 */
struct unmap {
	struct sock *sock;
	int r;
};

static void send_unmap(void *arg, uint64_t iova, uint64_t size)
{
	struct unmap *u = arg;
	struct wire_dma_unmap q = { .argsz = sizeof(q), .iova = iova, .size = size };
	struct exchange x = {
		.command = WIRE_DMA_UNMAP, .fixed = &q, .fixed_len = sizeof(q),
		.reply = &q, .reply_least = sizeof(q), .reply_room = sizeof(q),
		.what = "unmapping memory", .len = size, .at = iova,
	};
	int r = socket_call(u->sock, &x);
	if (u->r == 0)
		u->r = r;
}

/* All with one message; false when the server is to be told of each. */
static bool send_unmap_all(struct sock *s)
{
	struct wire_dma_unmap q = { .argsz = sizeof(q), .flags = WIRE_UNMAP_ALL };
	struct exchange x = {
		.command = WIRE_DMA_UNMAP, .fixed = &q, .fixed_len = sizeof(q),
		.reply = &q, .reply_least = sizeof(q), .reply_room = sizeof(q),
		.what = "unmapping all memory",
	};

	if (s->space.ranges.count < 2 || s->unmaps_one)
		return false;
	s->unmaps_one = socket_call(s, &x) < 0;
	return !s->unmaps_one;
}

int socket_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	struct sock *s = (struct sock *)dev;
	struct unmap u = { .sock = s };
	bool done = iova == 0 && size == DMA_ALL && send_unmap_all(s);
	int r = space_unmap(&s->space, iova, size, unmapped, done ? NULL : send_unmap, &u,
			    &dev->error);

	return r < 0 ? r : u.r;
}
