/* SPDX-License-Identifier: MIT */
/*
 * The vfio-user server against a hostile client. The input is a script of what the client does; the
 * server is dispatched after each step, in the same thread.
 *
 * Whatever happens: no descriptor is lost, no request that arrived is forgotten, and after the
 * client has gone the device is as at power-on.
 */
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "device.h"
#include "frontends/server.h"
#include "function/function.h"
#include "peer.h"

/* Short for the fuzzer's sake; a replay can wait, so that it does the same on a busy machine. */
#ifndef TIMEOUT_MS
#define TIMEOUT_MS 25
#endif
#define MAX_STEPS  64
#define MAX_WAITS  4
#define MAX_GUESTS 3

struct run {
	struct device device;
	struct vfio_function *fn;
	struct vfio_server *server;
	struct peer peer;
	int guests[MAX_GUESTS];		/* other clients, who are refused */
	int poke;			/* the device does DMA of its own accord */
	uint16_t next_id;
	uint32_t waits;			/* time-outs are slow: only so many */
	uint8_t power_on[PCI_CFG_SPACE_SIZE];
};

/* ---- the server --------------------------------------------------------------------------- */

/*
 * A client does many things wrong, but what the kernel calls invalid was said by the server; and
 * who has not hung up is not said to have.
 */
static void log_line(void *arg, enum vfio_log_level level, const char *line)
{
	const struct run *run = arg;

	CHECK(run->peer.fd < 0 || !strstr(line, "it closed"));
	CHECK(!strstr(line, strerror(EINVAL)) && !strstr(line, strerror(EFAULT)));
	CHECK(level >= VFIO_LOG_ERROR && level <= VFIO_LOG_INFO);
	CHECK(*line && !strchr(line, '\n'));
}

static void poked(void *arg, int fd)
{
	struct run *run = arg;

	fd_take(fd);
	device_go(run->fn, GO_TWICE);
}

/* Everything that arrived whole has been served, unless a reply does not fit into the socket. */
static void check_served(const struct run *run)
{
	const struct client *c = &run->server->client;
	struct wire_header h;
	size_t left;

	if (c->source.fd < 0 || c->blocked || c->behind)
		return;		/* or it has had its time, and the timer will go on */
	CHECK(STAILQ_EMPTY(&c->postponed));
	CHECK(c->in.nfresh == 0 && c->in.end <= WIRE_INBOX);
	left = c->in.end - c->in.start - c->in.taken;
	if (left < sizeof(h))
		return;
	memcpy(&h, c->in.buf + c->in.start + c->in.taken, sizeof(h));
	CHECK(left < h.size);
}

/* Dispatch until nothing is left to do. */
static void settle(struct run *run)
{
	for (unsigned int i = 0; i < 64; i++) {
		struct pollfd p = { .fd = vfio_server_fd(run->server), .events = POLLIN };

		CHECK(vfio_server_dispatch(run->server, 0) == 0);
		if (poll(&p, 1, 0) != 1) {
			check_served(run);
			return;
		}
	}
}

/* The hostile client can lose its own connection, and do nothing else. */
static void check_power_on(struct run *run)
{
	struct vfio_dev *dev = vfio_server_device(run->server);
	uint8_t config[PCI_CFG_SPACE_SIZE];
	const struct device *d = &run->device;
	const uint8_t *memory = vfio_function_memory(run->fn, 0);

	CHECK(vfio_pread(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, config, sizeof(config)) ==
	      sizeof(config));
	CHECK(memcmp(config, run->power_on, sizeof(config)) == 0);
	CHECK(run->fn->irq.active == NO_INDEX && run->fn->irq.allocated == 0);
	CHECK(run->fn->irq.intx < 0 && run->fn->irq.unmask < 0 && run->fn->irq.req < 0);
	CHECK(!run->fn->irq.masked && !run->fn->irq.asserted);
	for (unsigned int i = 0; i < 8; i++)
		CHECK(run->fn->irq.vectors[i] < 0);
	CHECK(run->fn->space.ranges.count == 0 && run->fn->power_state == 0);
	CHECK(!d->iova && !d->len && !d->intx && !d->gone && !d->scratch && !d->nspans);
	for (unsigned int i = 0; i < 4096; i++)
		CHECK(memory[4096 + i] == 0);
}

static void disconnect(struct run *run)
{
	peer_disconnect(&run->peer);
	settle(run);
	if (vfio_server_client(run->server, NULL)) {
		/* It has sent its own end of the connection, in a message that never ends. */
		usleep((TIMEOUT_MS + 1) * 1000);
		settle(run);
	}
	CHECK(!vfio_server_client(run->server, NULL));
	check_power_on(run);
}

/* ---- the client --------------------------------------------------------------------------- */

static void send_command(struct run *run, uint16_t command, uint32_t flags, const void *payload,
			 size_t len)
{
	struct wire_header h = {
		.id = run->next_id++, .command = command, .flags = flags, .size = sizeof(h) + len,
	};

	peer_send_message(&run->peer, &h, payload, len);
}

/* A greeting, which may limit the data of a message so that DMA takes several. */
static void greet(struct run *run, uint8_t kind)
{
	static const char *const greetings[] = {
		"", "{\"capabilities\":{\"max_data_xfer_size\":1024}}",
		"{\"capabilities\":{\"max_msg_fds\":8,\"pgsizes\":4096}}", "{}",
	};
	struct {
		struct wire_version version;
		char json[64];
	} hello = { .version = { 0, 1 } };
	const char *json = greetings[kind % 4];

	strcpy(hello.json, json);
	send_command(run, WIRE_VERSION, 0, &hello,
		     sizeof(hello.version) + (*json ? strlen(json) + 1 : 0));
}

/* kind: which greeting, and (bit 2) none at all. */
static void reconnect(struct run *run, uint8_t kind)
{
	if (run->peer.fd >= 0 || vfio_server_client(run->server, NULL))
		disconnect(run);
	CHECK(vfio_server_add_client(run->server, peer_connect(&run->peer, true)) == 0);
	if (!(kind & 4))
		greet(run, kind);
}

/* Somebody else who wants the device, and says something or nothing. */
static void add_guest(struct run *run, struct input *in)
{
	uint8_t which = take8(in), header[sizeof(struct wire_header)];
	int *slot = &run->guests[which % MAX_GUESTS];
	struct peer guest = { .fd = -1 };

	fd_close(slot);
	if (run->peer.fd < 0 || !vfio_server_client(run->server, NULL))
		return;
	CHECK(vfio_server_add_client(run->server, peer_connect(&guest, true)) == -EBUSY);
	peer_send(&guest, header, take(in, header, which >> 4));
	*slot = guest.fd;
}

/* What the client owes for DMA that the device is about to do: right, or wrong in one way. */
static void answer_dma(struct run *run, struct input *in)
{
	const struct client *c = &run->server->client;
	uint8_t how = take8(in), chunk = how >> 5;
	struct {
		struct wire_dma q;
		uint8_t data[DEVICE_BUFFER];
	} answer = { .q = { run->device.iova, run->device.len } };
	struct wire_header h = {
		.id = c->next_id + chunk, .command = how & 1 ? WIRE_DMA_WRITE : WIRE_DMA_READ,
		.flags = WIRE_IS_REPLY | (how & 2 ? WIRE_ERROR : 0),
	};
	size_t len;

	if (answer.q.count > c->caps.max_data) {
		answer.q.iova += (uint64_t)chunk * c->caps.max_data;
		answer.q.count = c->caps.max_data;
	}
	len = sizeof(answer.q) + (how & 1 ? 0 : answer.q.count);
	memset(answer.data, take8(in), sizeof(answer.data));
	if (how & 4)
		h.id += take8(in);
	if (how & 8)
		len = len > 9 ? len - 9 : 0;
	if (how & 16)
		answer.q.iova ^= take8(in);
	h.size = sizeof(h) + len;
	peer_send_message(&run->peer, &h, &answer, len);
}

static void write_register(struct run *run, uint32_t region, uint64_t offset, const void *data,
			   uint32_t len)
{
	struct {
		struct wire_access q;
		uint8_t data[16];
	} m = { .q = { .offset = offset, .region = region, .count = len } };

	memcpy(m.data, data, len);
	send_command(run, WIRE_REGION_WRITE, 0, &m, sizeof(m.q) + len);
}

/* ---- steps -------------------------------------------------------------------------------- */

static void step_command(struct run *run, struct input *in)
{
	uint8_t command = take8(in), flags = take8(in), payload[255];
	size_t len = take(in, payload, take8(in));

	send_command(run, command, flags, payload, len);
}

static void step_raw(struct run *run, struct input *in)
{
	uint8_t bytes[255];

	peer_send(&run->peer, bytes, take(in, bytes, take8(in)));
}

/* Many bytes from few: one chunk again and again. */
static void step_flood(struct run *run, struct input *in)
{
	static uint8_t flood[3u << 20];
	uint8_t chunk[64];
	size_t total = (size_t)take16(in) * 48, n = take(in, chunk, 1 + take8(in) % sizeof(chunk));

	for (size_t at = 0; n && at < total; at += n)
		memcpy(flood + at, chunk, n < total - at ? n : total - at);
	peer_send(&run->peer, flood, n ? total : 0);
}

static void step_dma_map(struct run *run, struct input *in)
{
	uint8_t where = take8(in), what = take8(in);
	struct wire_dma_map q = {
		.argsz = sizeof(q), .flags = what & 3, .offset = (what >> 2 & 3) * 4096,
		.iova = (uint64_t)(where & 15) * 4096, .size = (uint64_t)(where >> 4) * 4096,
	};

	send_command(run, WIRE_DMA_MAP, 0, &q, sizeof(q));
}

static void step_dma_unmap(struct run *run, struct input *in)
{
	uint8_t where = take8(in);
	struct wire_dma_unmap q = {
		.argsz = sizeof(q), .flags = where == 255 ? WIRE_UNMAP_ALL : 0,
		.iova = (uint64_t)(where & 15) * 4096, .size = (uint64_t)(where >> 4) * 4096,
	};

	if (q.flags)
		q.iova = q.size = 0;
	send_command(run, WIRE_DMA_UNMAP, 0, &q, sizeof(q));
}

static void step_irqs(struct run *run, struct input *in)
{
	uint8_t flags = take8(in), what = take8(in), bools[3];
	struct {
		struct wire_irq_set q;
		uint8_t bools[3];
	} m = { .q = {
		.argsz = sizeof(m), .flags = flags & 0x3f, .index = what & 7,
		.start = what >> 3 & 3, .count = what >> 5,
	} };

	take(in, bools, sizeof(bools));
	memcpy(m.bools, bools, sizeof(bools));
	send_command(run, WIRE_SET_IRQS, 0, &m, sizeof(m));
}

static void step_config(struct run *run, struct input *in)
{
	uint8_t offset = take8(in), bytes[4], len = 1 + take8(in) % 4;

	take(in, bytes, len);
	write_register(run, VFIO_PCI_CONFIG_REGION_INDEX, offset, bytes, len);
}

static void step_register(struct run *run, struct input *in)
{
	uint8_t reg = take8(in) & 0x3c;
	uint32_t value = reg == REG_IOVA ? take16(in) * 16u : take16(in);

	if (reg == REG_GO && run->waits++ >= MAX_WAITS)
		return;
	write_register(run, 0, reg, &value, sizeof(value));
}

static void step_poke(struct run *run, struct input *in)
{
	if (run->waits++ < MAX_WAITS)
		fd_signal(run->poke);
}

static void step_read(struct run *run, struct input *in)
{
	uint8_t region = take8(in);
	struct wire_access q = {
		.region = region & 15, .offset = take16(in),
		.count = (uint32_t)take16(in) << (region >> 5),
	};

	send_command(run, WIRE_REGION_READ, region & 16 ? WIRE_NO_REPLY : 0, &q, sizeof(q));
}

static void step_time(struct run *run, struct input *in)
{
	if (run->waits++ < MAX_WAITS)
		usleep((TIMEOUT_MS + 1) * 1000);
}

static void step(struct run *run, struct input *in)
{
	uint8_t op = take8(in);

	switch (op & 15) {
	case 0: step_command(run, in); break;
	case 1: step_raw(run, in); break;
	case 2: step_flood(run, in); break;
	case 3: peer_attach(&run->peer, in); break;
	case 4: peer_receive(&run->peer, (size_t)take8(in) << (op >> 4)); break;
	case 5: reconnect(run, take8(in)); break;
	case 6: answer_dma(run, in); break;
	case 7: step_dma_map(run, in); break;
	case 8: step_dma_unmap(run, in); break;
	case 9: step_irqs(run, in); break;
	case 10: step_config(run, in); break;
	case 11: step_register(run, in); break;
	case 12: step_poke(run, in); break;
	case 13: add_guest(run, in); break;
	case 14: step_read(run, in); break;
	case 15: op & 16 ? step_time(run, in) : peer_resize_loose(&run->peer, take8(in)); break;
	}
	/* With bit 7 the server sees this step together with the next. */
	if (!(op & 128))
		settle(run);
}

/* ---- a run -------------------------------------------------------------------------------- */

static void start(struct run *run)
{
	const struct vfio_server_options options = {
		.size = sizeof(options), .arg = run, .log = log_line,
		.timeout_ms = TIMEOUT_MS,
	};
	struct vfio_dev *dev;

	run->fn = device_new(&run->device);
	CHECK(vfio_function_open(&dev, run->fn, NULL) == 0);
	CHECK(vfio_pread(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, run->power_on,
			 sizeof(run->power_on)) == sizeof(run->power_on));
	CHECK(vfio_server_new(&run->server, dev, &options, NULL) == 0);
	run->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(vfio_server_watch(run->server, run->poke, poked, run) == 0);
	for (unsigned int i = 0; i < MAX_GUESTS; i++)
		run->guests[i] = -1;
	peer_init(&run->peer);
}

static void finish(struct run *run, bool abruptly)
{
	for (unsigned int i = 0; i < MAX_GUESTS; i++)
		fd_close(&run->guests[i]);
	if (!abruptly)
		disconnect(run);
	peer_finish(&run->peer);
	vfio_server_free(run->server);
	fd_close(&run->poke);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int before = open_fds();
	struct run run = { .next_id = 0 };
	uint8_t first = take8(&in);

	start(&run);
	reconnect(&run, first & 7);
	settle(&run);
	for (unsigned int i = 0; in.left && i < MAX_STEPS; i++)
		step(&run, &in);
	settle(&run);
	finish(&run, first & 8);
	CHECK(open_fds() == before);
	return 0;
}
