/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <vfio/server.h>

#include "test_host.h"

#define BAR VFIO_PCI_BAR0_REGION_INDEX

#define PATIENCE 20		/* seconds, after which the device is taken for dead */

/* ---- registers ----------------------------------------------------------------------------- */

uint32_t host_get(struct host *h, uint32_t reg)
{
	return vfio_read32(h->dev, BAR, reg);
}

uint64_t host_get64(struct host *h, uint32_t reg)
{
	return vfio_read64(h->dev, BAR, reg);
}

void host_put(struct host *h, uint32_t reg, uint32_t value)
{
	vfio_write32(h->dev, BAR, reg, value);
}

void host_put64(struct host *h, uint32_t reg, uint64_t value)
{
	vfio_write64(h->dev, BAR, reg, value);
}

/* ---- life ---------------------------------------------------------------------------------- */

/* Memory that is nobody's file is the driver's alone. */
static void get_memory(struct host *h, struct vfio_dma *dma, size_t size)
{
	if (!h->by_message) {
		assert_int_equal(vfio_dma_alloc(h->dev, dma, size, VFIO_DMA_RW), 0);
		return;
	}
	*dma = (struct vfio_dma){ .size = size, .fd = -1, .prot = VFIO_DMA_RW,
				  .iova = VFIO_IOVA_ANY };
	dma->vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(dma->vaddr != MAP_FAILED);
	assert_int_equal(vfio_dma_map(h->dev, dma), 0);
}

static void give_memory_back(struct host *h, struct vfio_dma *dma)
{
	if (h->by_message && dma->size)
		munmap(dma->vaddr, dma->size);
}

static void open_device(struct host *h, const char *device)
{
	struct vfio_error err;

	if (vfio_open(&h->dev, device, &err) < 0)
		fail_msg("%s: %s", device, err.what);
	assert_int_equal(vfio_set_bus_master(h->dev, true), 0);
	get_memory(h, &h->data, HOST_DATA);
}

static bool behind_socket, asks;		/* the road that was asked for */

void host_take_road(int argc, char **argv)
{
	asks = argc > 1 && !strcmp(argv[1], "message");
	behind_socket = asks || (argc > 1 && !strcmp(argv[1], "socket"));
}

void host_open(struct host *h, const char *device)
{
	if (behind_socket) {
		host_open_served(h, device, asks);
		return;
	}
	memset(h, 0, sizeof(*h));
	open_device(h, device);
}

static void *serve(void *server)
{
	vfio_server_run(server);
	return NULL;
}

void host_open_served(struct host *h, const char *device, bool by_message)
{
	struct vfio_dev *dev;
	char name[16];
	int ends[2];

	memset(h, 0, sizeof(*h));
	h->by_message = by_message;
	assert_int_equal(vfio_open(&dev, device, NULL), 0);
	assert_int_equal(vfio_server_new(&h->server, dev, NULL, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(vfio_server_add_client(h->server, ends[0]), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, serve, h->server), 0);
	snprintf(name, sizeof(name), "fd:%d", ends[1]);
	open_device(h, name);
}

void host_close(struct host *h)
{
	vfio_close(h->dev);
	if (h->server) {
		vfio_server_stop(h->server);
		pthread_join(h->thread, NULL);
		vfio_server_free(h->server);
	}
	give_memory_back(h, &h->data);
	for (unsigned int i = 0; i < HOST_QUEUES; i++) {
		give_memory_back(h, &h->queues[i].sq);
		give_memory_back(h, &h->queues[i].cq);
	}
}

/* Memory of a queue is used again when the queue is made again. */
static void prepare(struct host *h, uint16_t qid, uint32_t entries)
{
	struct host_queue *q = &h->queues[qid];

	if (!q->sq.size) {
		get_memory(h, &q->sq, 16 * HOST_PAGE);
		get_memory(h, &q->cq, 16 * HOST_PAGE);
	}
	memset(q->cq.vaddr, 0, q->cq.size);
	q->id = qid;
	q->entries = entries;
	q->tail = q->head = 0;
	q->phase = 1;
}

void host_enable(struct host *h)
{
	h->shadow = NULL;
	prepare(h, 0, HOST_ENTRIES);
	host_put(h, VFIO_NVME_AQA, (HOST_ENTRIES - 1) << 16 | (HOST_ENTRIES - 1));
	host_put64(h, VFIO_NVME_ASQ, h->queues[0].sq.iova);
	host_put64(h, VFIO_NVME_ACQ, h->queues[0].cq.iova);
	host_put(h, VFIO_NVME_CC, HOST_CC);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 1);
}

void host_disable(struct host *h)
{
	host_put(h, VFIO_NVME_CC, HOST_CC & ~1u);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 0);
}

struct vfio_nvme_command host_create_cq(struct host *h, uint16_t qid, uint32_t entries)
{
	prepare(h, qid, entries);
	return (struct vfio_nvme_command){
		.opcode = VFIO_NVME_CREATE_CQ, .prp1 = htole64(h->queues[qid].cq.iova),
		.cdw10 = htole32((entries - 1) << 16 | qid),
		.cdw11 = htole32((uint32_t)qid << 16 | VFIO_NVME_CQ_INTERRUPTS |
				 VFIO_NVME_QUEUE_CONTIGUOUS),
	};
}

struct vfio_nvme_command host_create_sq(struct host *h, uint16_t qid, uint32_t entries)
{
	return (struct vfio_nvme_command){
		.opcode = VFIO_NVME_CREATE_SQ, .prp1 = htole64(h->queues[qid].sq.iova),
		.cdw10 = htole32((entries - 1) << 16 | qid),
		.cdw11 = htole32((uint32_t)qid << 16 | VFIO_NVME_QUEUE_CONTIGUOUS),
	};
}

void host_make_queues(struct host *h, uint16_t qid, uint32_t entries)
{
	assert_int_equal(host_run(h, 0, host_create_cq(h, qid, entries)), VFIO_NVME_SUCCESS);
	assert_int_equal(host_run(h, 0, host_create_sq(h, qid, entries)), VFIO_NVME_SUCCESS);
}

/* ---- commands ------------------------------------------------------------------------------ */

void host_ring(struct host *h, uint16_t qid, bool completion, uint32_t value)
{
	uint32_t at = 2u * qid + completion;

	if (h->shadow && qid)
		__atomic_store_n(&h->shadow[at], htole32(value), __ATOMIC_SEQ_CST);
	else
		host_put(h, VFIO_NVME_DOORBELLS + 4 * at, value);
}

uint16_t host_submit(struct host *h, uint16_t qid, struct vfio_nvme_command cmd)
{
	struct host_queue *q = &h->queues[qid];

	cmd.cid = htole16(++h->next_cid);
	memcpy((struct vfio_nvme_command *)q->sq.vaddr + q->tail, &cmd, sizeof(cmd));
	q->tail = (q->tail + 1) % q->entries;
	host_ring(h, qid, false, q->tail);
	return h->next_cid;
}

/* The next answer, if it is there. */
static bool take(struct host *h, struct host_queue *q)
{
	const struct vfio_nvme_completion *at =
		(const struct vfio_nvme_completion *)q->cq.vaddr + q->head;

	if ((le16toh(__atomic_load_n(&at->status, __ATOMIC_ACQUIRE)) & 1) != q->phase)
		return false;
	h->last = *at;
	if (++q->head == q->entries) {
		q->head = 0;
		q->phase ^= 1;
	}
	host_ring(h, q->id, true, q->head);
	return true;
}

/* The device works when it is asked to, if it is in this process. */
static void let_work(struct host *h, int milliseconds)
{
	struct pollfd p = { .fd = vfio_poll_fd(h->dev), .events = POLLIN };

	poll(&p, 1, milliseconds);
	assert_int_equal(vfio_dispatch(h->dev), 0);
}

uint16_t host_answer(struct host *h, uint16_t qid)
{
	time_t end = time(NULL) + PATIENCE;

	while (!take(h, &h->queues[qid])) {
		if (time(NULL) > end)
			fail_msg("queue %u: no answer; CSTS %#x", qid,
				 host_get(h, VFIO_NVME_CSTS));
		let_work(h, h->server ? 1 : 10);
	}
	assert_int_equal(le16toh(h->last.sqid), qid);
	return le16toh(h->last.status) >> 1;
}

bool host_silent(struct host *h, uint16_t qid)
{
	for (int i = 0; i < 20; i++) {
		if (take(h, &h->queues[qid]))
			return false;
		let_work(h, 1);
	}
	return true;
}

uint16_t host_run(struct host *h, uint16_t qid, struct vfio_nvme_command cmd)
{
	uint16_t cid = host_submit(h, qid, cmd);
	uint16_t status = host_answer(h, qid);

	assert_int_equal(le16toh(h->last.cid), cid);
	return status;
}

uint16_t host_admin(struct host *h, struct vfio_nvme_command cmd)
{
	if (!cmd.prp1)
		cmd.prp1 = htole64(h->data.iova);
	return host_run(h, 0, cmd);
}

uint16_t host_io(struct host *h, uint16_t qid, uint8_t opcode, uint32_t nsid, uint64_t lba,
		 uint16_t blocks)
{
	return host_run(h, qid, (struct vfio_nvme_command){
		.opcode = opcode, .nsid = htole32(nsid), .prp1 = htole64(h->data.iova),
		.prp2 = htole64(h->data.iova + HOST_PAGE), .cdw10 = htole32((uint32_t)lba),
		.cdw11 = htole32((uint32_t)(lba >> 32)), .cdw12 = htole32(blocks - 1u),
	});
}
