/* SPDX-License-Identifier: MIT */
/*
 * The commands of vfio-user, each turned into a call on the contract. A handler gets a payload that
 * is long enough for its fixed part, and writes its reply behind the header in the client's buffer.
 * It returns the length of that, or a negative errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "frontends/server.h"

typedef int handler(struct client *c, const struct wire_message *m, uint8_t *reply);

/*
 * How many maps the client may have. Never a larger number than its own, which is 65535 where it
 * says nothing: QEMU leaves a server that says more. It gets more all the same.
 */
static uint32_t maps_promised(struct client *c)
{
	struct vfio_dev *dev = c->server->dev;
	struct vfio_dma_limits limits;

	if (!dev->backend->feature ||
	    dev->backend->feature(dev, FEATURE_DMA_LIMITS | VFIO_DEVICE_FEATURE_GET, &limits,
				  sizeof(limits)) < 0 ||
	    limits.maps.granted > c->caps.max_dma_maps)
		return c->caps.max_dma_maps;
	return limits.maps.granted;
}

static int handle_version(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct wire_version v;
	struct wire_caps ours = {
		.max_msg_fds = WIRE_MAX_FDS, .max_data = WIRE_MAX_DATA, .pgsizes = DMA_PAGE,
	};
	const char *why;

	if (c->greeted)
		return -EINVAL;
	memcpy(&v, m->payload, sizeof(v));
	if (v.major != WIRE_MAJOR) {
		client_leave(c, "it speaks version %u.%u, and we %u.%u", v.major, v.minor,
			     WIRE_MAJOR, WIRE_MINOR);
		return -EINVAL;
	}
	if (m->len > WIRE_MAX_VERSION) {
		client_leave(c, "its version message is longer than %u bytes", WIRE_MAX_VERSION);
		return -EINVAL;
	}
	if (wire_caps_parse(&c->caps, (const char *)m->payload + sizeof(v), m->len - sizeof(v),
			    &why) < 0) {
		client_leave(c, "%s", why);
		return -EINVAL;
	}
	c->greeted = true;
	ours.max_dma_maps = maps_promised(c);
	if (v.minor > WIRE_MINOR)
		v.minor = WIRE_MINOR;
	memcpy(reply, &v, sizeof(v));
	return sizeof(v) + wire_caps_format(&ours, (char *)reply + sizeof(v), 256);
}

#define WIRE_MAP_WAYS (WIRE_MAP_FILE | WIRE_MAP_PROCESS)

/* Is that a way to use what came with the message? */
static bool is_way(uint32_t way, size_t nfds)
{
	return !way || (nfds && way != WIRE_MAP_WAYS);
}

static int handle_dma_map(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct wire_dma_map q;
	struct dma_map map;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q) || m->nfds > 1 || !is_way(q.flags & WIRE_MAP_WAYS, m->nfds))
		return -EINVAL;
	map = (struct dma_map){
		.iova = q.iova, .size = q.size, .prot = q.flags & ~WIRE_MAP_WAYS,
		.by_process = q.flags & WIRE_MAP_PROCESS,
		.fd = m->nfds ? m->fds[0] : -1, .fd_offset = q.offset,
		.peer = m->nfds ? NULL : &c->memory,
	};
	return c->server->dev->backend->dma_map(c->server->dev, &map);
}

static int handle_dma_unmap(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct vfio_dev *dev = c->server->dev;
	struct wire_dma_unmap q;
	uint64_t size;
	int r;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q) || (q.flags & ~WIRE_UNMAP_ALL))
		return -EINVAL;
	size = q.size;
	if (q.flags & WIRE_UNMAP_ALL) {
		if (q.iova || q.size)
			return -EINVAL;
		size = DMA_ALL;
	} else if (size == DMA_ALL) {
		return -EINVAL;
	}
	r = dev->backend->dma_unmap(dev, q.iova, size, &q.size);
	if (r < 0)
		return r;
	memcpy(reply, &q, sizeof(q));
	return sizeof(q);
}

static int handle_info(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct vfio_dev *dev = c->server->dev;
	struct vfio_device_info info;
	struct wire_device_info q;
	int r;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q))
		return -EINVAL;
	r = dev->backend->info(dev, &info);
	if (r < 0)
		return r;
	q = (struct wire_device_info){
		.argsz = sizeof(q), .flags = info.flags,
		.num_regions = info.num_regions, .num_irqs = info.num_irqs,
	};
	memcpy(reply, &q, sizeof(q));
	return sizeof(q);
}

/* The sparse capability behind a region's description. Returns its length. */
static size_t put_areas(uint8_t *at, const struct vfio_region *region)
{
	struct wire_sparse cap = { .id = WIRE_CAP_SPARSE, .version = 1, .nr_areas = region->nareas };

	memcpy(at, &cap, sizeof(cap));
	for (uint32_t i = 0; i < region->nareas; i++) {
		struct wire_area a = { region->areas[i].offset, region->areas[i].size };

		memcpy(at + sizeof(cap) + i * sizeof(a), &a, sizeof(a));
	}
	return sizeof(cap) + region->nareas * sizeof(struct wire_area);
}

/*
 * Strangers get memory, and no other descriptor: with that of a device of the kernel's they could do
 * anything to it.
 */
static bool is_for_strangers(const struct vfio_region *region)
{
	return region->nareas && region->fd >= 0 && fcntl(region->fd, F_GET_SEALS) >= 0;
}

static int handle_region_info(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct vfio_dev *dev = c->server->dev;
	struct wire_region_info q;
	struct vfio_region region;
	size_t chain = 0, len = sizeof(q);
	int r;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q))
		return -EINVAL;
	r = dev->backend->region(dev, q.index, &region);
	if (r < 0)
		return r;
	if (is_for_strangers(&region))
		chain = sizeof(struct wire_sparse) + region.nareas * sizeof(struct wire_area);
	else
		region.flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
	if (chain && q.argsz >= sizeof(q) + chain) {
		region.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		len += put_areas(reply + sizeof(q), &region);
		c->reply.fd = fd_copy(region.fd);	/* the device may close its own meanwhile */
		if (c->reply.fd < 0)
			return c->reply.fd;
	}
	q = (struct wire_region_info){
		.argsz = sizeof(q) + chain, .flags = region.flags, .index = q.index,
		.cap_offset = len > sizeof(q) ? sizeof(q) : 0,
		.size = region.size, .offset = region.fd_offset,
	};
	memcpy(reply, &q, sizeof(q));
	return len;
}

/* The doorbells of a region, which share one eventfd, behind the reply's fixed part. */
static int put_doorbells(struct client *c, uint32_t index, uint8_t *at, unsigned int count)
{
	struct vfio_dev *dev = c->server->dev;
	struct doorbell list[MAX_DOORBELLS];
	int n = dev->backend->doorbells(dev, index, list, count);

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		struct wire_io_fd e = {
			.offset = list[i].offset, .size = list[i].size, .type = WIRE_IOEVENTFD,
		};

		if (list[i].fd != list[0].fd)
			return -ENOTSUP;
		memcpy(at + i * sizeof(e), &e, sizeof(e));
	}
	c->reply.fd = fd_copy(list[0].fd);
	return c->reply.fd < 0 ? c->reply.fd : 0;
}

static int count_doorbells(struct vfio_dev *dev, uint32_t index)
{
	struct vfio_region region;
	int r = dev->backend->region(dev, index, &region);

	return r < 0 || !dev->backend->doorbells ? r : dev->backend->doorbells(dev, index, NULL, 0);
}

/* All entries, or none when they do not fit: then nobody has promised to signal. */
static int handle_io_fds(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct wire_io_fds q;
	uint32_t room;
	int n, r;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q) || q.flags || q.count)
		return -EINVAL;
	n = count_doorbells(c->server->dev, q.index);
	if (n < 0)
		return n;
	room = q.argsz;
	q.argsz = sizeof(q) + n * sizeof(struct wire_io_fd);
	q.count = n;
	memcpy(reply, &q, sizeof(q));
	if (!n || room < q.argsz)
		return sizeof(q);
	r = put_doorbells(c, q.index, reply + sizeof(q), n);
	return r < 0 ? r : (int)q.argsz;
}

static int handle_irq_info(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct vfio_dev *dev = c->server->dev;
	struct vfio_irq_info info;
	struct wire_irq_info q;
	int r;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q))
		return -EINVAL;
	r = dev->backend->irq_info(dev, q.index, &info);
	if (r < 0)
		return r;
	q = (struct wire_irq_info){
		.argsz = sizeof(q), .flags = info.flags, .index = info.index, .count = info.count,
	};
	memcpy(reply, &q, sizeof(q));
	return sizeof(q);
}

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

/* Would this signal the eventfd for requests, or take it away? */
static bool is_about_requests(const struct irq_request *q)
{
	if (q->index != VFIO_PCI_REQ_IRQ_INDEX || q->start || q->count > 1)
		return false;
	return q->flags == (VFIO_IRQ_SET_DATA_NONE | TRIGGER) ||
	       (q->flags == (VFIO_IRQ_SET_DATA_BOOL | TRIGGER) && q->count) ||
	       (q->flags == (VFIO_IRQ_SET_DATA_EVENTFD | TRIGGER) && q->count && q->fds[0] < 0);
}

/*
 * Whoever serves the device may listen there himself, for the kernel: a client that has set no eventfd
 * of its own has nothing to signal, and nothing to take away.
 */
static int set_irqs(struct client *c, const struct irq_request *q)
{
	bool events = q->flags & VFIO_IRQ_SET_DATA_EVENTFD;
	int r;

	if (!c->listens && is_about_requests(q))
		return q->flags & VFIO_IRQ_SET_DATA_NONE ? -EINVAL : 0;
	r = c->server->dev->backend->set_irqs(c->server->dev, q);
	if (r == 0 && q->index == VFIO_PCI_REQ_IRQ_INDEX && (events || !q->count))
		c->listens = events && q->fds[0] >= 0;
	return r;
}

/* On the wire, eventfds without descriptors mean "none": -1 in the contract. */
static int handle_set_irqs(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct irq_request request;
	struct wire_irq_set q;
	int fds[MSIX_MAX], r;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q) || q.count > MSIX_MAX)
		return -EINVAL;
	if ((q.flags & VFIO_IRQ_SET_DATA_BOOL) &&
	    (m->len - sizeof(q) < q.count || q.argsz - sizeof(q) < q.count))
		return -EINVAL;
	if (m->nfds && (!(q.flags & VFIO_IRQ_SET_DATA_EVENTFD) || m->nfds != q.count))
		return -EINVAL;
	for (uint32_t i = 0; i < q.count; i++)
		fds[i] = m->nfds ? m->fds[i] : -1;
	request = (struct irq_request){
		.flags = q.flags, .index = q.index, .start = q.start, .count = q.count,
		.bools = m->payload + sizeof(q), .fds = fds,
	};
	r = set_irqs(c, &request);
	server_watch_device(c->server);
	return r > 0 ? -ENOSPC : r;	/* fewer vectors are possible: the wire has no number for it */
}

static int handle_region_read(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct vfio_dev *dev = c->server->dev;
	struct wire_access q;
	ssize_t n;

	memcpy(&q, m->payload, sizeof(q));
	if (q.count > WIRE_MAX_DATA)
		return -EINVAL;
	n = dev->backend->read(dev, q.region, q.offset, reply + sizeof(q), q.count);
	if (n < 0)
		return n;
	q.count = n;
	memcpy(reply, &q, sizeof(q));
	return sizeof(q) + n;
}

static int handle_region_write(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct vfio_dev *dev = c->server->dev;
	struct wire_access q;
	ssize_t n;

	memcpy(&q, m->payload, sizeof(q));
	if (q.count > WIRE_MAX_DATA || m->len - sizeof(q) != q.count)
		return -EINVAL;
	n = dev->backend->write(dev, q.region, q.offset, m->payload + sizeof(q), q.count);
	if (n < 0)
		return n;
	q.count = n;
	memcpy(reply, &q, sizeof(q));
	return sizeof(q);
}

static int handle_reset(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	return c->server->dev->backend->reset(c->server->dev);
}

/*
 * What was refused to the clients before is not this one's business, not even how much it was: its
 * cursors count from the first record that is its own.
 */
static void shift_cursor(uint32_t flags, void *data, size_t len, uint64_t by)
{
	struct feature_record *q = data;

	if ((flags & VFIO_DEVICE_FEATURE_MASK) == FEATURE_RECORD && len >= sizeof(*q))
		q->cursor += by;
}

/* A descriptor belongs to an eventfd for faults, and nothing else: the number there is the client's. */
static bool take_event(const struct wire_message *m, uint32_t flags, void *data, size_t len)
{
	struct feature_fault_event q = { .fd = m->nfds ? m->fds[0] : -1 };

	if ((flags & VFIO_DEVICE_FEATURE_MASK) != FEATURE_FAULT_EVENT)
		return m->nfds == 0;
	if (len >= sizeof(q))
		memcpy(data, &q, sizeof(q));
	return m->nfds <= 1;
}

/* Bytes of data, of which asked came: the answer to a GET may be longer than its question. */
static size_t feature_len(const struct wire_feature *q, size_t asked)
{
	size_t room = q->argsz - sizeof(*q);

	const uint32_t how = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET |
			     VFIO_DEVICE_FEATURE_PROBE;

	if ((q->flags & how) != VFIO_DEVICE_FEATURE_GET)
		return asked;
	return room < FEATURE_MAX ? room : FEATURE_MAX;
}

/* The data of a GET comes back in place of the question; any other as it was. */
static int handle_feature(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	struct vfio_dev *dev = c->server->dev;
	size_t asked = m->len - sizeof(struct wire_feature), len;
	struct wire_feature q;
	int r;

	memcpy(&q, m->payload, sizeof(q));
	if (q.argsz < sizeof(q) || asked > FEATURE_MAX)
		return -EINVAL;
	len = feature_len(&q, asked);
	if (len < asked)
		return -EINVAL;
	if (!dev->backend->feature)
		return -ENOTTY;
	memcpy(reply + sizeof(q), m->payload + sizeof(q), asked);
	memset(reply + sizeof(q) + asked, 0, len - asked);
	shift_cursor(q.flags, reply + sizeof(q), len, c->first_record);
	if (!take_event(m, q.flags, reply + sizeof(q), len))
		return -EINVAL;
	r = dev->backend->feature(dev, q.flags, reply + sizeof(q), len);
	if (r < 0)
		return r;
	shift_cursor(q.flags, reply + sizeof(q), len, -c->first_record);
	if (q.flags & (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PROBE))
		memcpy(reply + sizeof(q), m->payload + sizeof(q), len);
	q.argsz = sizeof(q) + len;
	memcpy(reply, &q, sizeof(q));
	return sizeof(q) + len;
}

static handler *const handlers[WIRE_COMMANDS] = {
	[WIRE_VERSION] = handle_version,
	[WIRE_DMA_MAP] = handle_dma_map,
	[WIRE_DMA_UNMAP] = handle_dma_unmap,
	[WIRE_GET_INFO] = handle_info,
	[WIRE_GET_REGION_INFO] = handle_region_info,
	[WIRE_GET_REGION_IO_FDS] = handle_io_fds,
	[WIRE_GET_IRQ_INFO] = handle_irq_info,
	[WIRE_SET_IRQS] = handle_set_irqs,
	[WIRE_REGION_READ] = handle_region_read,
	[WIRE_REGION_WRITE] = handle_region_write,
	[WIRE_RESET] = handle_reset,
	[WIRE_DEVICE_FEATURE] = handle_feature,
};

/* The length of the reply's payload, or a negative errno. */
static int handle(struct client *c, const struct wire_message *m, uint8_t *reply)
{
	const struct wire_header *h = &m->header;
	handler *f = h->command < WIRE_COMMANDS ? handlers[h->command] : NULL;

	if (!c->greeted && h->command != WIRE_VERSION) {
		client_leave(c, "its first message was %u and not VERSION", h->command);
		return -EINVAL;
	}
	if (!f || (h->flags & ~(WIRE_TYPE | WIRE_NO_REPLY)))
		return -EINVAL;
	if (m->len < wire_least_payload(h->command) || (m->nfds && !wire_takes_fds(h->command))) {
		if (!c->greeted)
			client_leave(c, "its VERSION message is malformed");
		return -EINVAL;
	}
	return f(c, m, reply);
}

void client_handle(struct client *c, const struct wire_message *m)
{
	struct wire_header h = m->header;
	int r;

	c->reply.len = c->reply.sent = 0;
	fd_close(&c->reply.fd);
	if ((h.flags & WIRE_TYPE) != WIRE_IS_CALL) {
		client_fail(c, "it sent a reply that nobody asked for (id %u)", h.id);
		return;
	}
	r = handle(c, m, c->reply.buf + sizeof(h));
	if (h.flags & WIRE_NO_REPLY) {
		fd_close(&c->reply.fd);
		return;
	}
	h.flags = WIRE_IS_REPLY | (r < 0 ? WIRE_ERROR : 0);
	h.error = r < 0 ? -r : 0;
	h.size = sizeof(h) + (r < 0 ? 0 : r);
	memcpy(c->reply.buf, &h, sizeof(h));
	c->reply.len = h.size;
	if (r < 0)
		fd_close(&c->reply.fd);
}
