/* SPDX-License-Identifier: MIT */
/* The honest driver among the hostile things of nvme_device.c: its answers must be right. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nvme_host.h"

#define TURNS    64u			/* of the device, after which it should have slept */
#define MANY_TURNS 3000u
#define PATIENCE 8			/* seconds, in which it has to answer */

/* ---- doorbells ----------------------------------------------------------------------------- */

void host_write32(struct host *h, uint64_t offset, uint32_t value)
{
	value = htole32(value);
	vfio_pwrite(h->dev, BAR, offset, &value, sizeof(value));
}

static uint32_t read32(struct host *h, uint64_t offset)
{
	return vfio_read32(h->dev, BAR, offset);
}

/* 7.13, of which the admin queue has nothing. */
static void ring(struct host *h, unsigned int index, uint32_t value)
{
	uint32_t *shadow = (uint32_t *)(void *)host_bytes(h, SHADOW_PAGE) + index;
	const uint32_t *events = (uint32_t *)(void *)host_bytes(h, EVENTS_PAGE);
	uint16_t old = (uint16_t)*shadow, event = (uint16_t)events[index];

	if (h->shadow && index > 1) {
		*shadow = value;
		if ((uint16_t)(value - event - 1) >= (uint16_t)(value - old))
			return;
	}
	host_write32(h, VFIO_NVME_DOORBELLS + 4 * index, value);
}

void host_ring(struct host *h, unsigned int q)
{
	struct queue *queue = &h->queues[q];

	if (!queue->exists || queue->rung == queue->tail)
		return;
	queue->rung = queue->tail;
	ring(h, 2 * q, queue->tail);
}

/* ---- answers ------------------------------------------------------------------------------- */

static const struct vfio_nvme_completion *slot(struct host *h, unsigned int q, uint32_t i)
{
	return (const struct vfio_nvme_completion *)(void *)host_bytes(h, CQ_PAGE(q)) + i;
}

static bool is_new(struct host *h, unsigned int q, uint32_t i)
{
	const struct queue *queue = &h->queues[q];
	uint16_t phase = i < queue->head ? !queue->phase : queue->phase;

	return (le16toh(slot(h, q, i)->status) & 1) == phase;
}

static void take(struct host *h, unsigned int q, const struct vfio_nvme_completion *c)
{
	struct queue *queue = &h->queues[q];

	CHECK(c->sqid == q && c->cid < CIDS && queue->under_way[c->cid]);
	CHECK(c->sqhd < queue->entries);
	CHECK(c->reserved == 0 && !(c->status >> 1 & 0x1000));
	queue->under_way[c->cid]--;
	queue->count -= c->cid < ASYNC_CID;
	queue->sq_head = c->sqhd;
	h->status[c->cid] = c->status >> 1;
}

/* Those that are new come one behind the other, and never more than there is room for. */
static void reap(struct host *h, unsigned int q)
{
	struct queue *queue = &h->queues[q];
	uint32_t at = queue->head, n = 0, total = 0;

	for (uint32_t i = 0; i < queue->cq_entries; i++)
		total += is_new(h, q, i);
	CHECK(total < queue->cq_entries);
	for (; n < total; n++) {
		CHECK(is_new(h, q, at));
		take(h, q, slot(h, q, at));
		at = at + 1 == queue->cq_entries ? 0 : at + 1;
	}
	queue->phase ^= at < queue->head;
	queue->head = at;
	if (n)
		ring(h, 2 * q + 1, at);
}

void host_reap(struct host *h)
{
	if (!h->trusted)
		return;
	CHECK(h->silent || read32(h, VFIO_NVME_CSTS) == 1);
	for (unsigned int q = 0; q < QUEUES; q++)
		if (h->queues[q].exists)
			reap(h, q);
}

/* Those that the device does not know of are not under way for it. */
bool host_idle(const struct host *h)
{
	for (unsigned int q = 0; q < QUEUES; q++)
		if (h->queues[q].exists && h->queues[q].count)
			return false;
	return true;
}

static bool rung_all(const struct host *h)
{
	for (unsigned int q = 0; q < QUEUES; q++)
		if (h->queues[q].exists && h->queues[q].rung != h->queues[q].tail)
			return false;
	return true;
}

static bool wants_a_turn(struct host *h, int ms)
{
	struct pollfd p = { .fd = vfio_poll_fd(h->dev), .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, ms);
	while (n < 0 && errno == EINTR);	/* the fuzzer has an alarm */
	return n == 1;
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

void host_settle(struct host *h)
{
	time_t end = now() + PATIENCE;

	for (;;) {
		for (unsigned int i = 0; i < TURNS && wants_a_turn(h, 0); i++)
			CHECK(vfio_dispatch(h->dev) == 0);
		host_reap(h);
		if (!h->trusted || h->silent || host_idle(h) || !rung_all(h))
			return;
		CHECK(now() <= end);
		wants_a_turn(h, 1000);
	}
}

void host_check_sleep(struct host *h)
{
	unsigned int i;

	if (h->silent)
		usleep(2000);		/* what was under way ends meanwhile, and is not answered */
	for (i = 0; i < MANY_TURNS && wants_a_turn(h, 0); i++)
		CHECK(vfio_dispatch(h->dev) == 0);
	CHECK(i < MANY_TURNS);
}

/* ---- commands ------------------------------------------------------------------------------ */

static uint32_t next(const struct queue *queue)
{
	return queue->tail + 1 == queue->entries ? 0 : queue->tail + 1;
}

bool host_submit(struct host *h, unsigned int q, const struct vfio_nvme_command *cmd)
{
	struct queue *queue = &h->queues[q];

	if (!h->trusted || !queue->exists || next(queue) == queue->sq_head)
		return false;
	memcpy(host_bytes(h, SQ_PAGE(q)) + queue->tail * sizeof(*cmd), cmd, sizeof(*cmd));
	queue->tail = next(queue);
	queue->under_way[cmd->cid]++;
	queue->count += cmd->cid < ASYNC_CID;
	return true;
}

uint16_t host_run(struct host *h, unsigned int q, struct vfio_nvme_command cmd)
{
	cmd.cid = OWN_CID;
	CHECK(host_submit(h, q, &cmd));
	host_ring(h, q);
	host_settle(h);
	CHECK(!h->queues[q].under_way[OWN_CID]);
	return h->status[OWN_CID];
}

/* ---- life ---------------------------------------------------------------------------------- */

void host_distrust(struct host *h)
{
	h->trusted = h->shadow = false;
	for (unsigned int q = 0; q < QUEUES; q++)
		h->queues[q].exists = false;
}

static void prepare(struct host *h, unsigned int q, uint32_t entries, uint32_t cq_entries)
{
	memset(host_bytes(h, CQ_PAGE(q)), 0, PAGE);
	h->queues[q] = (struct queue){
		.exists = true, .entries = entries, .cq_entries = cq_entries, .phase = 1,
	};
}

/* Whatever there was before: memory is decoded, power is on, the bus can be mastered. */
static void wake(struct host *h)
{
	const uint16_t command = htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	const uint16_t d0 = 0;
	int pm = vfio_find_capability(h->dev, PCI_CAP_ID_PM);

	CHECK(pm > 0);
	vfio_pwrite(h->dev, VFIO_PCI_CONFIG_REGION_INDEX, (unsigned int)pm + PCI_PM_CTRL, &d0,
		    sizeof(d0));
	vfio_pwrite(h->dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, sizeof(command));
	h->silent = false;
	host_map(h, &h->places[HONEST]);
}

void host_bring_up(struct host *h, uint32_t entries)
{
	host_distrust(h);
	wake(h);
	host_write32(h, VFIO_NVME_CC, 0);
	CHECK(!VFIO_NVME_GET(read32(h, VFIO_NVME_CSTS), CSTS_RDY));
	prepare(h, 0, entries, entries);
	host_write32(h, VFIO_NVME_AQA, (entries - 1) << 16 | (entries - 1));
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t at = HONEST_AT + (i ? CQ_PAGE(0) : SQ_PAGE(0)) * PAGE;

		host_write32(h, VFIO_NVME_ASQ + 8 * i, (uint32_t)at);
		host_write32(h, VFIO_NVME_ASQ + 8 * i + 4, (uint32_t)(at >> 32));
	}
	host_write32(h, VFIO_NVME_CC, 0x00460001);
	CHECK(read32(h, VFIO_NVME_CSTS) == 1);
	h->trusted = true;
}

/*
 * There may be one of that number that was not made here; but then nothing is honest any more. The
 * last one has hardly any room for answers.
 */
bool host_make_queue(struct host *h, unsigned int q, uint32_t entries)
{
	uint32_t cq_entries = q == QUEUES - 1 ? 3 : entries;
	struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_CREATE_CQ, .prp1 = HONEST_AT + CQ_PAGE(q) * PAGE,
		.cdw10 = (cq_entries - 1) << 16 | q,
		.cdw11 = q << 16 | VFIO_NVME_CQ_INTERRUPTS | VFIO_NVME_QUEUE_CONTIGUOUS,
	};

	if (!h->trusted || h->silent || h->queues[q].exists || !host_idle(h))
		return false;
	if (next(&h->queues[0]) == h->queues[0].sq_head)
		return false;
	memset(host_bytes(h, CQ_PAGE(q)), 0, PAGE);
	CHECK(host_run(h, 0, cmd) == 0);
	cmd.opcode = VFIO_NVME_CREATE_SQ;
	cmd.prp1 = HONEST_AT + SQ_PAGE(q) * PAGE;
	cmd.cdw10 = (entries - 1) << 16 | q;
	CHECK(host_run(h, 0, cmd) == 0);
	prepare(h, q, entries, cq_entries);
	return true;
}

void host_use_shadow(struct host *h)
{
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_DOORBELL_BUFFERS,
		.prp1 = HONEST_AT + SHADOW_PAGE * PAGE, .prp2 = HONEST_AT + EVENTS_PAGE * PAGE,
	};

	if (!h->trusted || h->silent || h->shadow || !host_idle(h))
		return;
	if (next(&h->queues[0]) == h->queues[0].sq_head)
		return;
	memset(host_bytes(h, SHADOW_PAGE), 0, 2 * PAGE);
	CHECK(host_run(h, 0, cmd) == 0);
	h->shadow = true;
}

/* ---- namespaces ---------------------------------------------------------------------------- */

/* All of it by one command: the list is of the pages behind the first. */
static bool read_whole(struct host *h, unsigned int q, unsigned int ns, uint32_t shift, uint8_t *to)
{
	uint64_t *list = (uint64_t *)(void *)host_bytes(h, LIST_PAGE);
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_READ, .nsid = ns + 1, .prp1 = DATA_AT,
		.prp2 = HONEST_AT + LIST_PAGE * PAGE, .cdw12 = (NS_BYTES >> shift) - 1,
	};

	for (unsigned int i = 1; i < NS_BYTES / PAGE; i++)
		list[i - 1] = DATA_AT + i * PAGE;
	CHECK(host_run(h, q, cmd) == 0);
	memcpy(to, host_bytes(h, DATA_PAGE), NS_BYTES);
	return true;
}

static uint32_t find_shift(struct host *h, unsigned int ns)
{
	const struct vfio_nvme_namespace_data *d = (const void *)host_bytes(h, DATA_PAGE);
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_IDENTIFY, .nsid = ns + 1, .prp1 = DATA_AT,
	};

	CHECK(host_run(h, 0, cmd) == 0);
	CHECK(d->nsze << d->lbaf[d->flbas & 0xf].lbads == NS_BYTES);
	return d->lbaf[d->flbas & 0xf].lbads;
}

bool host_look(struct host *h, unsigned int q, struct contents *c)
{
	uint8_t data[DATA_PAGES * PAGE];

	if (!h->trusted || h->silent || !q || !h->queues[q].exists || !host_idle(h))
		return false;
	if (next(&h->queues[0]) == h->queues[0].sq_head)
		return false;
	memcpy(data, host_bytes(h, DATA_PAGE), sizeof(data));
	for (unsigned int i = 0; i < NAMESPACES; i++) {
		c->shift[i] = find_shift(h, i);
		memset(c->bytes[i], 0, NS_BYTES);
		if (i < 2)
			read_whole(h, q, i, c->shift[i], c->bytes[i]);
		else
			CHECK(pread(h->files[i - 2], c->bytes[i], NS_BYTES, 0) >= 0);
	}
	memcpy(host_bytes(h, DATA_PAGE), data, sizeof(data));
	return true;
}
