/* SPDX-License-Identifier: MIT */
/*
 * The client's side of vfio-user against a hostile server. Without a handshake the whole input is
 * what the server sends, all at once. With one, the input is a script of the server's messages and
 * the driver's calls, in the same thread: what a call gets was sent before it.
 *
 * Whatever happens: no descriptor is lost, and memory that was not mapped for it is not written.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vfio/driver.h>

#include "check.h"
#include "peer.h"

#define PAGE       4096
#define MAPS       4
#define MAX_STEPS  96
#ifndef TIMEOUT_MS
#define TIMEOUT_MS 25
#endif

/* Two that the server may write, two that it may only read; one of each without descriptor. */
struct slot {
	struct vfio_dma dma;
	bool mapped;
};

struct run {
	struct vfio_dev *dev;
	struct peer peer;
	struct slot slots[MAPS];
	uint32_t asked;			/* requests of the server that want a reply */
	bool raw;			/* it also sent what may be anything */
};

/* ---- the driver's memory ------------------------------------------------------------------ */

static void make_slot(struct slot *s, unsigned int i)
{
	int fd = memfd_create("fuzz-slot", MFD_CLOEXEC);
	void *at;

	CHECK(fd >= 0 && ftruncate(fd, PAGE) == 0);
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(at != MAP_FAILED);
	memset(at, 0xa5, PAGE);
	if (i & 1)
		fd_close(&fd);
	s->dma = (struct vfio_dma){
		.vaddr = at, .iova = i * PAGE, .size = PAGE, .fd = fd,
		.prot = i & 2 ? VFIO_DMA_READ : VFIO_DMA_RW,
	};
}

static void check_slot(const struct slot *s)
{
	const uint8_t *at = s->dma.vaddr;

	for (unsigned int i = 0; !(s->dma.prot & VFIO_DMA_WRITE) && i < PAGE; i++)
		CHECK(at[i] == 0xa5);
}

static void free_slot(struct slot *s)
{
	check_slot(s);
	munmap(s->dma.vaddr, PAGE);
	fd_close(&s->dma.fd);
}

/* ---- what the server sends ---------------------------------------------------------------- */

static void server_replies(struct run *run, struct input *in, unsigned int op)
{
	uint8_t command = take8(in), how = take8(in), payload[255];
	struct wire_header h = {
		.id = run->peer.calls + (how & 3), .command = command,
		.flags = WIRE_IS_REPLY | (how & 4 ? WIRE_ERROR : 0),
	};
	size_t len;

	h.error = h.flags & WIRE_ERROR ? take8(in) : 0;
	len = take(in, payload, take8(in));
	h.size = sizeof(h) + len;
	peer_send_message(&run->peer, &h, payload, len);
}

static void server_asks(struct run *run, struct input *in)
{
	uint8_t how = take8(in), data = take8(in);
	struct {
		struct wire_dma q;
		uint8_t data[256];
	} m = { .q = { .iova = take16(in), .count = take8(in) } };
	bool write = how & 1;
	size_t len = sizeof(m.q) + (write ? m.q.count : 0);
	struct wire_header h = {
		.id = how, .command = write ? WIRE_DMA_WRITE : WIRE_DMA_READ,
		.flags = how & 2 ? WIRE_NO_REPLY : 0, .size = sizeof(h) + len,
	};

	if (how & 4)
		m.q.count <<= 12;
	run->asked += !(how & 2);
	memset(m.data, data, sizeof(m.data));
	peer_send_message(&run->peer, &h, &m, len);
}

static void server_sends_bytes(struct run *run, struct input *in)
{
	uint8_t bytes[255];

	run->raw = true;
	peer_send(&run->peer, bytes, take(in, bytes, take8(in)));
}

static void say_hello(struct run *run, uint8_t kind)
{
	static const char *const greetings[] = {
		"", "{\"capabilities\":{\"max_data_xfer_size\":4,\"max_msg_fds\":2}}",
	};
	const char *json = greetings[kind & 1];
	struct {
		struct wire_version version;
		char json[64];
	} hello = { .version = { 0, 1 } };
	const struct wire_device_info info = {
		.argsz = sizeof(info), .flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET,
		.num_regions = 9, .num_irqs = 5,
	};
	size_t len = sizeof(hello.version) + (*json ? strlen(json) + 1 : 0);
	struct wire_header h = {
		.command = WIRE_VERSION, .flags = WIRE_IS_REPLY, .size = sizeof(h) + len,
	};

	strcpy(hello.json, json);
	peer_send_message(&run->peer, &h, &hello, len);
	h = (struct wire_header){
		.id = 1, .command = WIRE_GET_INFO, .flags = WIRE_IS_REPLY,
		.size = sizeof(h) + sizeof(info),
	};
	peer_send_message(&run->peer, &h, &info, sizeof(info));
}

/* ---- what the driver does ----------------------------------------------------------------- */

static void drive_doorbell(struct run *run, uint32_t region, uint64_t offset)
{
	int fd = vfio_doorbell_fd(run->dev, region, offset);

	CHECK(fd < 0 || (fd_is_eventfd(fd) && vfio_doorbell_fd(run->dev, region, offset) == fd));
}

static void drive_region(struct run *run, uint8_t arg)
{
	struct vfio_region region;

	if (vfio_region(run->dev, arg & 15, &region) == 0) {
		CHECK(region.nareas <= VFIO_MAX_AREAS);
		for (uint32_t i = 0; i < region.nareas; i++) {
			CHECK(region.areas[i].offset <= region.size);
			CHECK(region.areas[i].size <= region.size - region.areas[i].offset);
		}
	}
	if (arg & 16)
		vfio_map(run->dev, arg & 15, (arg >> 5) * PAGE, PAGE);
	else if (arg & 32)
		drive_doorbell(run, arg & 15, (arg >> 6) * 8);
}

static void drive_access(struct run *run, uint8_t arg, bool write)
{
	uint8_t buf[256] = { 0 };
	size_t len = (size_t)1 << (arg & 7);
	ssize_t n = write ? vfio_pwrite(run->dev, arg >> 4, 8 * (arg >> 3 & 1), buf, len)
			  : vfio_pread(run->dev, arg >> 4, 8 * (arg >> 3 & 1), buf, len);

	CHECK(n <= (ssize_t)len);
}

static void drive_map(struct run *run, uint8_t arg)
{
	struct slot *s = &run->slots[arg % MAPS];

	if (s->mapped)
		CHECK(vfio_dma_map(run->dev, &s->dma) <= 0);
	else
		s->mapped = vfio_dma_map(run->dev, &s->dma) == 0;
}

/* From one slot to the end of another, or everything. */
static void drive_unmap(struct run *run, uint8_t arg)
{
	unsigned int from = arg & 3, to = arg >> 2 & 3;
	int r;

	if (to < from)
		from = 0, to = MAPS - 1;
	r = vfio_dma_unmap(run->dev, from * PAGE, arg & 16 ? UINT64_MAX : (to - from + 1) * PAGE);
	CHECK(r <= 0);
	for (unsigned int i = 0; i < MAPS; i++)
		run->slots[i].mapped = false;
}

static void drive_irqs(struct run *run, uint8_t arg)
{
	int fds[64];

	if (arg & 128)
		vfio_irq_disable(run->dev, arg & 7);
	else if (vfio_irq_enable(run->dev, arg & 7, 1 + (arg >> 3 & 15), fds) == 0)
		CHECK(vfio_irq_wait(run->dev, fds[0], 0) <= 0);
}

/* After it, every request that the server has made is answered. */
static void drive_dispatch(struct run *run)
{
	if (vfio_dispatch(run->dev) < 0)
		return;
	peer_receive(&run->peer, SIZE_MAX);
	CHECK(run->raw || run->peer.replies == run->asked);
}

static void drive_rest(struct run *run, uint8_t arg)
{
	struct vfio_dma dma;

	switch (arg & 7) {
	case 0: vfio_reset(run->dev); break;
	case 1: drive_dispatch(run); break;
	case 2: vfio_find_capability(run->dev, arg >> 4); break;
	case 3: vfio_set_bus_master(run->dev, arg & 16); break;
	case 4: vfio_irq_unmask(run->dev, VFIO_PCI_INTX_IRQ_INDEX, 0); break;
	case 5: vfio_read32(run->dev, arg >> 4, 0); break;
	case 6: vfio_write64(run->dev, arg >> 4, 0, arg); break;
	case 7:
		if (vfio_dma_alloc(run->dev, &dma, PAGE, VFIO_DMA_RW) == 0 && (arg & 8))
			vfio_dma_free(run->dev, &dma);
		break;
	}
}

/* ---- a run -------------------------------------------------------------------------------- */

/* A call that gets no answer ends the connection: after that nothing is left to learn. */
static void step(struct run *run, struct input *in)
{
	uint8_t op = take8(in);

	switch (op % 11) {
	case 0: case 1: server_replies(run, in, op); break;
	case 2: server_asks(run, in); break;
	case 3: peer_attach(&run->peer, in); break;
	case 4: server_sends_bytes(run, in); break;
	case 5: drive_region(run, take8(in)); break;
	case 6: drive_access(run, take8(in), op & 128); break;
	case 7: drive_map(run, take8(in)); break;
	case 8: drive_unmap(run, take8(in)); break;
	case 9: drive_irqs(run, take8(in)); break;
	case 10: drive_rest(run, take8(in)); break;
	}
	peer_receive(&run->peer, SIZE_MAX);
	/* What a call returns and what it leaves in the error record agree. */
	CHECK(vfio_last_error(run->dev)->err >= 0);
}

static void run_script(struct run *run, struct input *in)
{
	CHECK(vfio_set_timeout(run->dev, TIMEOUT_MS) == 0);
	peer_receive(&run->peer, SIZE_MAX);
	for (unsigned int i = 0; in->left && i < MAX_STEPS && vfio_poll_fd(run->dev) >= 0; i++)
		step(run, in);
	/* Now and then a server that is silent, mostly one that hangs up. */
	if (in->left != 1)
		shutdown(run->peer.fd, SHUT_WR);
	vfio_close(run->dev);
}

static void run_open(struct run *run, struct input *in, bool greeted, uint8_t kind)
{
	int fd = peer_connect(&run->peer, false);
	struct vfio_error err;
	char name[16];
	int r;

	if (greeted) {
		say_hello(run, kind);
	} else {
		peer_send(&run->peer, in->at, in->left);
		in->left = 0;
		shutdown(run->peer.fd, SHUT_WR);
	}
	snprintf(name, sizeof(name), "fd:%d", fd);
	r = vfio_open(&run->dev, name, &err);
	CHECK((r == 0) == (run->dev != NULL));
	if (r == 0) {
		run_script(run, in);
		return;
	}
	CHECK(!greeted && err.err == -r && err.code && err.what[0]);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int before = open_fds();
	struct run run = { .dev = NULL };
	uint8_t first = take8(&in);

	peer_init(&run.peer);
	for (unsigned int i = 0; i < MAPS; i++)
		make_slot(&run.slots[i], i);
	if (first & 8)
		peer_attach(&run.peer, &in);
	run_open(&run, &in, first & 1, first >> 1);
	for (unsigned int i = 0; i < MAPS; i++)
		free_slot(&run.slots[i]);
	peer_finish(&run.peer);
	CHECK(open_fds() == before);
	return 0;
}
