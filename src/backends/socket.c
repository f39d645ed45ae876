/* SPDX-License-Identifier: MIT */
/* The contract over a vfio-user server. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "backends/areas.h"
#include "backends/socket.h"
#include "base/error.h"

static struct sock *sock_of(struct vfio_dev *dev)
{
	return (struct sock *)dev;
}

/* ---- what the server knows beside the protocol --------------------------------------------- */

/* The answer is the question's length, whatever the question was. */
static int ask_feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	const struct feature_fault_event *event = data;
	struct wire_feature q = { .argsz = sizeof(q) + len, .flags = flags };
	uint8_t reply[sizeof(q) + FEATURE_MAX];
	struct exchange x = {
		.command = WIRE_DEVICE_FEATURE, .fixed = &q, .fixed_len = sizeof(q),
		.data = data, .data_len = len,
		.reply = reply, .reply_least = sizeof(q) + len, .reply_room = sizeof(q) + len,
		.what = "asking for a feature of the device",
	};
	int r;

	if (flags == (FEATURE_FAULT_EVENT | VFIO_DEVICE_FEATURE_SET) && event->fd >= 0) {
		x.fds = &event->fd;
		x.nfds = 1;
	}

	if (len > FEATURE_MAX)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "a feature of %zu bytes", len);
	r = link_call(&sock_of(dev)->link, &x);
	if (r == 0)
		memcpy(data, reply + sizeof(q), len);
	return r;
}

/* The last record of a refused call that has this errno; false when there is none. */
static bool find_record(struct sock *s, int err, struct vfio_error *record)
{
	struct feature_record q = { .cursor = s->records, .found = 1 };
	bool found = false;

	for (unsigned int i = 0; i < FEATURE_MANY_RECORDS; i++) {
		s->is_mute = ask_feature(&s->dev, FEATURE_RECORD | VFIO_DEVICE_FEATURE_GET, &q,
					  sizeof(q)) < 0;
		if (s->is_mute || !q.found || q.cursor <= s->records)
			break;
		s->records = q.cursor;
		if (!q.of_call || q.record.err != err)
			continue;
		*record = q.record;
		found = true;
	}
	return found;
}

/*
 * The server has refused a call, with no more than an errno. One of libvfio's own has a record of
 * it, which says who refused, why, and what to do. All this takes no longer than one call may.
 */
static void explain(struct sock *s, int err)
{
	unsigned int timeout = s->link.timeout_ms;
	struct vfio_error told = s->dev.error, record;

	s->link.end = clock_ms() + timeout;
	if (find_record(s, err, &record))
		error_import(&s->dev.error, err, &record);
	else
		s->dev.error = told;
	s->link.end = 0;
}

/* The server has refused it, and may say more. */
static bool can_explain(const struct sock *s, int r)
{
	return r < 0 && s->link.fd >= 0 && !s->is_mute && s->dev.error.who == VFIO_BY_SERVER;
}

int socket_call(struct sock *s, struct exchange *x)
{
	int r = link_call(&s->link, x);

	if (can_explain(s, r))
		explain(s, -r);
	return r;
}

static int sock_feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	struct sock *s = sock_of(dev);
	int r = ask_feature(dev, flags, data, len);

	/* It has nothing to say of a feature that it does not know, nor of its records. */
	if (r != -ENOTTY && (flags & VFIO_DEVICE_FEATURE_MASK) != FEATURE_RECORD &&
	    can_explain(s, r))
		explain(s, -r);
	return r;
}

/* ---- what the device is ------------------------------------------------------------------- */

static int sock_info(struct vfio_dev *dev, struct vfio_device_info *info)
{
	*info = sock_of(dev)->info;
	return 0;
}

/* One question; the answer may say that it needs more room. Returns the room that it needs. */
static ssize_t ask_region(struct sock *s, uint32_t index, uint8_t *reply, size_t room,
			  struct vfio_region *region)
{
	struct wire_region_info q = { .argsz = room, .index = index };
	int fd = -1;
	struct exchange x = {
		.command = WIRE_GET_REGION_INFO, .fixed = &q, .fixed_len = sizeof(q),
		.reply = reply, .reply_least = sizeof(q), .reply_room = room,
		.reply_fds = &fd, .fds_room = 1,
		.what = "asking for a region",
	};
	int r = socket_call(s, &x);

	if (r < 0)
		return r;
	memcpy(&q, reply, sizeof(q));
	*region = (struct vfio_region){
		.index = index, .size = q.size, .fd = fd, .fd_offset = q.offset,
		.flags = q.flags & ~VFIO_REGION_INFO_FLAG_CAPS,
	};
	if ((q.flags & VFIO_REGION_INFO_FLAG_CAPS) &&
	    !areas_take(region, reply, x.reply_len, q.cap_offset)) {
		fd_close(&region->fd);
		return error_set(&s->dev.error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "asking for region %u: its capabilities are malformed", index);
	}
	return q.argsz;
}

static int fetch_region(struct sock *s, uint32_t index)
{
	uint8_t reply[1024];
	struct vfio_region *region = &s->regions[index];
	ssize_t need = ask_region(s, index, reply, sizeof(reply), region);

	if (need < 0)
		return need;
	if (!(region->flags & VFIO_REGION_INFO_FLAG_MMAP) || region->fd < 0) {
		fd_close(&region->fd);
		region->flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
		region->nareas = 0;
	} else if (!region->nareas) {
		region->areas[0] = (struct vfio_area){ 0, region->size };
		region->nareas = 1;
	}
	s->asked[index] = true;
	return 0;
}

int socket_need_region(struct sock *s, uint32_t index)
{
	if (index >= s->info.num_regions)
		return error_set(&s->dev.error, EINVAL, VFIO_E_NO_REGION, VFIO_BY_LIBRARY,
				 "vfio_info() says how many regions there are",
				 "region %u: the device has %u", index, s->info.num_regions);
	return s->asked[index] ? 0 : fetch_region(s, index);
}

static int sock_region(struct vfio_dev *dev, uint32_t index, struct vfio_region *region)
{
	int r = socket_need_region(sock_of(dev), index);

	if (r == 0)
		*region = sock_of(dev)->regions[index];
	return r;
}

static int sock_irq_info(struct vfio_dev *dev, uint32_t index, struct vfio_irq_info *info)
{
	struct wire_irq_info q = { .argsz = sizeof(q), .index = index };
	struct exchange x = {
		.command = WIRE_GET_IRQ_INFO, .fixed = &q, .fixed_len = sizeof(q),
		.reply = &q, .reply_least = sizeof(q), .reply_room = sizeof(q),
		.what = "asking for an interrupt index",
	};
	int r = socket_call(sock_of(dev), &x);

	if (r < 0)
		return r;
	*info = (struct vfio_irq_info){
		.argsz = sizeof(*info), .flags = q.flags, .index = index, .count = q.count,
	};
	return 0;
}

/* ---- accesses ----------------------------------------------------------------------------- */

#define NAMES(verb) {                                                                              \
	verb " of BAR 0", verb " of BAR 1", verb " of BAR 2", verb " of BAR 3", verb " of BAR 4",  \
	verb " of BAR 5", verb " of the ROM", verb " of configuration space", verb " of VGA",      \
	verb " of a device-specific region",                                                       \
}
static const char *const read_names[] = NAMES("read"), *const write_names[] = NAMES("write");

/* At most a message's worth of a region access. */
static ssize_t access_once(struct sock *s, bool write, uint32_t region, uint64_t offset, void *buf,
			   size_t len)
{
	struct wire_access q = { .offset = offset, .region = region, .count = len };
	uint8_t small[sizeof(q) + 8];
	uint8_t *reply = len <= 8 ? small : NULL;
	struct exchange x = {
		.command = write ? WIRE_REGION_WRITE : WIRE_REGION_READ,
		.fixed = &q, .fixed_len = sizeof(q), .data = buf, .data_len = write ? len : 0,
		.reply_least = sizeof(q), .reply_room = sizeof(q) + (write ? 0 : len),
		.what = (write ? write_names : read_names)[region < 9 ? region : 9], .len = len, .at = offset,
	};
	ssize_t r;

	if (!reply)
		reply = malloc(x.reply_room);
	if (!reply)
		return error_system(&s->dev.error, ENOMEM, "%s", x.what);
	x.reply = reply;
	r = socket_call(s, &x);
	if (r == 0) {
		memcpy(&q, reply, sizeof(q));
		if (q.count > len || x.reply_len != sizeof(q) + (write ? 0 : q.count))
			r = error_set(&s->dev.error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				      "%s: the reply's count is wrong", x.what);
		else
			r = q.count;
	}
	if (r > 0 && !write)
		memcpy(buf, reply + sizeof(q), r);
	if (reply != small)
		free(reply);
	return r;
}

static ssize_t access_region(struct vfio_dev *dev, bool write, uint32_t index, uint64_t offset,
			     void *buf, size_t len)
{
	struct sock *s = sock_of(dev);
	size_t done = 0;
	ssize_t n = socket_need_region(s, index);

	if (n < 0)
		return n;
	n = contract_check_access(index, s->regions[index].size, offset, len,
				  write ? "write" : "read", &dev->error);
	if (n < 0)
		return n;
	len = n;
	while (done < len) {
		size_t chunk = len - done < s->link.caps.max_data ? len - done : s->link.caps.max_data;

		n = access_once(s, write, index, offset + done, (uint8_t *)buf + done, chunk);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

static ssize_t sock_read(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf,
			 size_t len)
{
	return access_region(dev, false, region, offset, buf, len);
}

static ssize_t sock_write(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
			  size_t len)
{
	return access_region(dev, true, region, offset, (void *)buf, len);
}

static int sock_reset(struct vfio_dev *dev)
{
	struct exchange x = { .command = WIRE_RESET, .what = "resetting the device" };

	return socket_call(sock_of(dev), &x);
}

/* ---- interrupts --------------------------------------------------------------------------- */

/* count eventfds that are all there, or (have false) all absent. */
static int set_run(struct sock *s, const struct irq_request *request, uint32_t first, uint32_t count,
		   bool have)
{
	struct wire_irq_set q = {
		.argsz = sizeof(q), .flags = request->flags, .index = request->index,
		.start = request->start + first, .count = count,
	};
	struct exchange x = {
		.command = WIRE_SET_IRQS, .fixed = &q, .fixed_len = sizeof(q),
		.what = "setting interrupts",
	};

	if (request->flags & VFIO_IRQ_SET_DATA_BOOL) {
		x.data = request->bools;
		x.data_len = request->count;
		q.argsz += request->count;
	} else if (have) {
		x.fds = request->fds + first;
		x.nfds = count;
	}
	return socket_call(s, &x);
}

/* After a failure half-way. What went wrong before is what is told. */
static void disable(struct sock *s, uint32_t index)
{
	const struct irq_request off = {
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, .index = index,
	};
	struct vfio_error told = s->dev.error;

	set_run(s, &off, 0, 0, false);
	s->dev.error = told;
}

/* From first on, how many vectors one message can set: all with a descriptor, or all without. */
static uint32_t run_length(const struct sock *s, const struct irq_request *request, uint32_t first)
{
	bool have = request->fds[first] >= 0;
	uint32_t n = 1, max = s->link.caps.max_msg_fds;

	if (max > FD_MAX_PASSED)
		max = FD_MAX_PASSED;
	while (first + n < request->count && (!have || n < max) &&
	       (request->fds[first + n] >= 0) == have)
		n++;
	return n;
}

/*
 * An array with holes, or with more descriptors than the server takes at once, becomes several
 * messages. MSI cannot grow once it is enabled, so that the first of them asks for all vectors,
 * none with an eventfd.
 */
static int set_eventfds(struct sock *s, const struct irq_request *request)
{
	bool *enabled = &s->enabled[request->index % MAX_INDEXES];
	bool begin = !*enabled && run_length(s, request, 0) < request->count;
	int r = begin ? set_run(s, request, 0, request->count, false) : 0;

	for (uint32_t i = 0; i < request->count && r == 0; ) {
		uint32_t n = run_length(s, request, i);

		r = set_run(s, request, i, n, request->fds[i] >= 0);
		i += n;
	}
	if (r == 0)
		*enabled = true;
	else if (begin)
		disable(s, request->index);
	return r;
}

static int check_eventfds(struct sock *s, const struct irq_request *request)
{
	/* On the wire, any number below 0 is "none". */
	if (request->index >= VFIO_PCI_ERR_IRQ_INDEX && request->fds[0] < -1)
		return error_set(&s->dev.error, EINVAL, VFIO_E_IRQ_FLAGS, VFIO_BY_LIBRARY, NULL,
				 "setting interrupts: one eventfd, or -1, not %d", request->fds[0]);
	for (uint32_t i = 0; i < request->count; i++)
		if (request->fds[i] >= 0 && !fd_is_eventfd(request->fds[i]))
			return error_set(&s->dev.error, fcntl(request->fds[i], F_GETFD) < 0 ? EBADF : EINVAL,
					 VFIO_E_IRQ_FD, VFIO_BY_LIBRARY, "make it with eventfd(2)",
					 "setting interrupts: descriptor %d is not an eventfd",
					 request->fds[i]);
	return 0;
}

static int sock_set_irqs(struct vfio_dev *dev, const struct irq_request *request)
{
	struct sock *s = sock_of(dev);
	int r;

	if (request->count > MSIX_MAX)
		return error_set(&dev->error, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_LIBRARY, NULL,
				 "setting %u interrupts: no index has more than %d", request->count,
				 MSIX_MAX);
	if (!(request->flags & VFIO_IRQ_SET_DATA_EVENTFD) || request->count == 0) {
		r = set_run(s, request, 0, request->count, false);
		if (r == 0 && request->count == 0 &&
		    (request->flags & VFIO_IRQ_SET_ACTION_TRIGGER))
			s->enabled[request->index % MAX_INDEXES] = false;
		return r;
	}
	r = check_eventfds(s, request);
	return r < 0 ? r : set_eventfds(s, request);
}

/* ---- the rest ----------------------------------------------------------------------------- */

/* The eventfds are the server's affair. */
static void sock_distrust(struct vfio_dev *dev, bool guarded)
{
}

/* Memory of theirs is not used here. */
static bool sock_mend(struct vfio_dev *dev, const void *addr)
{
	return false;
}

static int sock_recycle(struct vfio_dev *dev)
{
	return socket_reconnect(sock_of(dev));
}

static int sock_poll_fd(struct vfio_dev *dev)
{
	int fd = sock_of(dev)->link.fd;

	return fd >= 0 ? fd : error_set(&dev->error, ENODEV, VFIO_E_GONE, VFIO_BY_LIBRARY,
					"close the device and open it again",
					"the connection was given up at an earlier error");
}

static int sock_dispatch(struct vfio_dev *dev)
{
	return link_dispatch(&sock_of(dev)->link);
}

static int sock_set_timeout(struct vfio_dev *dev, unsigned int milliseconds)
{
	struct link *l = &sock_of(dev)->link;
	struct timeval t = {
		.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000,
	};

	l->timeout_ms = milliseconds;
	if (l->fd >= 0 && setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0)
		return error_system(&dev->error, errno, "setting a time-out");
	return 0;
}

void socket_disconnect(struct sock *s)
{
	for (uint32_t i = 0; i < MAX_REGIONS; i++) {
		fd_close(&s->regions[i].fd);
		socket_forget_doorbells(s, i);
	}
	memset(s->asked, 0, sizeof(s->asked));
	memset(s->enabled, 0, sizeof(s->enabled));
	s->records = 0;
	s->is_mute = s->takes_no_process = s->unmaps_one = false;
	link_finish(&s->link);
	space_clear(&s->space, NULL, NULL);
}

static void sock_close(struct vfio_dev *dev)
{
	struct sock *s = sock_of(dev);

	socket_disconnect(s);
	space_finish(&s->space);
	free(s->path);
	free(s);
}

const struct backend socket_backend = {
	.name = "socket",
	.who = VFIO_BY_SERVER,
	.info = sock_info,
	.region = sock_region,
	.read = sock_read,
	.write = sock_write,
	.irq_info = sock_irq_info,
	.set_irqs = sock_set_irqs,
	.dma_map = socket_dma_map,
	.dma_unmap = socket_dma_unmap,
	.reset = sock_reset,
	.distrust = sock_distrust,
	.mend = sock_mend,
	.recycle = sock_recycle,
	.feature = sock_feature,
	.poll_fd = sock_poll_fd,
	.dispatch = sock_dispatch,
	.set_timeout = sock_set_timeout,
	.doorbells = socket_doorbells,
	.close = sock_close,
};
