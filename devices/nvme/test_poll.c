/* SPDX-License-Identifier: MIT */
/*
 * When the controller works and when it sleeps: doorbells that are memory, with and without somebody
 * who tells of them, doorbell buffers, queues that are full, and memory that goes.
 *
 * The device is in this process, and works when it is dispatched: its poll descriptor is readable as
 * long as it is awake.
 */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test_host.h"

#define BAR VFIO_PCI_BAR0_REGION_INDEX
#define SOON 2000		/* ms that something may take which comes at all */

typedef struct vfio_nvme_command command;

static volatile uint32_t *page;	/* of doorbells, mapped */

static int set_up(void **state)
{
	static struct host h;

	host_open(&h, "nvme,memory=1M,poll=200,look=2000");
	page = vfio_map(h.dev, BAR, VFIO_NVME_DOORBELLS, HOST_PAGE);
	assert_non_null(page);
	host_enable(&h);
	host_make_queues(&h, 1, 8);
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	host_close(*state);
	return 0;
}

static bool is_awake(struct host *h, int milliseconds)
{
	struct pollfd p = { .fd = vfio_poll_fd(h->dev), .events = POLLIN };

	return poll(&p, 1, milliseconds) == 1;
}

/* Work until it sleeps, so that nothing comes any more for longer than it looks by itself. */
static void let_sleep(struct host *h)
{
	for (int i = 0; i < 100000 && is_awake(h, 0); i++)
		assert_int_equal(vfio_dispatch(h->dev), 0);
	assert_false(is_awake(h, 0));
}

/* Dispatch until the queue's next answer is there, or not within some time. */
static bool is_answered(struct host *h, struct host_queue *q)
{
	const struct vfio_nvme_completion *at =
		(const struct vfio_nvme_completion *)q->cq.vaddr + q->head;

	for (int i = 0; i < 50; i++) {
		if ((le16toh(__atomic_load_n(&at->status, __ATOMIC_ACQUIRE)) & 1) == q->phase)
			return true;
		if (is_awake(h, SOON / 50))
			vfio_dispatch(h->dev);
	}
	return false;
}

/* A Flush, in the queue's memory only. */
static void put(struct host *h, uint16_t qid)
{
	struct host_queue *q = &h->queues[qid];
	command cmd = { .opcode = VFIO_NVME_FLUSH, .nsid = htole32(1), .cid = htole16(77) };

	memcpy((command *)q->sq.vaddr + q->tail, &cmd, sizeof(cmd));
	q->tail = (q->tail + 1) % q->entries;
}

static void store(uint16_t qid, bool completion, uint32_t value)
{
	__atomic_store_n(&page[2 * qid + completion], htole32(value), __ATOMIC_RELEASE);
}

/* A write that is a call, though the register is mapped. */
static void call(struct host *h, uint16_t qid, uint32_t value)
{
	value = htole32(value);
	assert_int_equal(vfio_pwrite(h->dev, BAR, VFIO_NVME_DOORBELLS + 8u * qid, &value, 4), 4);
}

static void flush_by_store(struct host *h)
{
	put(h, 1);
	store(1, false, h->queues[1].tail);
}

/* ---- who wakes it -------------------------------------------------------------------------- */

/* A driver that only stores is found by looking. */
static void looks_by_itself(void **state)
{
	struct host *h = *state;

	for (int i = 0; i < 20; i++) {
		let_sleep(h);
		flush_by_store(h);
		assert_int_equal(host_answer(h, 1), 0);
	}
}

/* Who has the eventfd is believed: without a signal there is no look; with it there is work. */
static void woken_by_eventfd(void **state)
{
	struct host *h = *state;
	const uint64_t one = 1;
	int fd = vfio_doorbell_fd(h->dev, BAR, VFIO_NVME_DOORBELLS + 8);

	assert_true(fd >= 0);
	host_run(h, 1, (command){ .opcode = VFIO_NVME_FLUSH, .nsid = htole32(1) });
	for (int i = 0; i < 20; i++) {
		let_sleep(h);
		flush_by_store(h);
		assert_false(is_awake(h, 10));
		assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
		assert_int_equal(host_answer(h, 1), 0);
	}
}

static void woken_by_call(void **state)
{
	struct host *h = *state;

	assert_true(vfio_doorbell_fd(h->dev, BAR, VFIO_NVME_DOORBELLS) >= 0);
	let_sleep(h);
	put(h, 1);
	call(h, 1, h->queues[1].tail);
	assert_int_equal(host_answer(h, 1), 0);
}

/* ---- 7.13: doorbell buffers ---------------------------------------------------------------- */

static bool rings(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

static uint32_t event_of(const uint32_t *events, uint16_t qid, bool completion)
{
	return le32toh(__atomic_load_n(&events[2 * qid + completion], __ATOMIC_SEQ_CST));
}

static uint32_t *use_buffers(struct host *h)
{
	static struct vfio_dma shadow, events;

	assert_int_equal(vfio_dma_alloc(h->dev, &shadow, HOST_PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_alloc(h->dev, &events, HOST_PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_DOORBELL_BUFFERS,
			 .prp1 = htole64(shadow.iova), .prp2 = htole64(events.iova) }), 0);
	h->shadow = shadow.vaddr;
	return events.vaddr;
}

/* Asleep it asks for the next doorbell; awake it does not, for some laps. */
static void event_index(void **state)
{
	struct host *h = *state;
	uint32_t *events = use_buffers(h);
	struct host_queue *q = &h->queues[1];
	unsigned int asked = 0;

	assert_true(vfio_doorbell_fd(h->dev, BAR, VFIO_NVME_DOORBELLS) >= 0);
	for (int i = 0; i < 100; i++) {
		uint32_t old = q->tail;

		put(h, 1);
		host_ring(h, 1, false, q->tail);
		if (rings((uint16_t)event_of(events, 1, false), (uint16_t)q->tail, (uint16_t)old)) {
			asked++;
			call(h, 1, q->tail);
		}
		assert_int_equal(host_answer(h, 1), 0);
	}
	assert_true(asked < 50);
	for (int i = 0; i < 20; i++) {
		uint32_t old;

		let_sleep(h);
		old = q->tail;
		put(h, 1);
		host_ring(h, 1, false, q->tail);
		assert_true(rings((uint16_t)event_of(events, 1, false), (uint16_t)q->tail,
				  (uint16_t)old));
		assert_false(is_awake(h, 10));
		call(h, 1, q->tail);
		assert_int_equal(host_answer(h, 1), 0);
	}
}

/* A completion queue that is full, of another number than the one that waits for it: whose head? */
static void event_index_of_the_completion_queue(void **state)
{
	struct host *h = *state;
	uint32_t *events = use_buffers(h);
	struct host_queue *q = &h->queues[3];
	command sq;

	host_create_cq(h, 2, 16);	/* for memory: there is no such queue */
	sq = host_create_sq(h, 2, 16);
	sq.cdw11 = htole32(3u << 16 | VFIO_NVME_QUEUE_CONTIGUOUS);
	assert_true(vfio_doorbell_fd(h->dev, BAR, VFIO_NVME_DOORBELLS + 8) >= 0);
	assert_int_equal(host_run(h, 0, host_create_cq(h, 3, 3)), 0);
	assert_int_equal(host_run(h, 0, sq), 0);
	q->entries = 3;
	for (unsigned int i = 0; i < 15; i++)
		put(h, 2);
	host_ring(h, 2, false, 15);
	call(h, 2, 15);
	for (unsigned int i = 0; i < 15; i++) {
		uint32_t old = q->head, new = (old + 1) % 3;

		assert_true(is_answered(h, q));
		let_sleep(h);
		assert_true(rings((uint16_t)event_of(events, 3, true), (uint16_t)new, (uint16_t)old));
		q->head = new;
		q->phase ^= new == 0;
		host_ring(h, 3, true, new);
		call(h, 1, h->queues[1].tail);
	}
}

/* The admin queue's doorbells stay registers, which a driver that thinks otherwise is asked for. */
static void admin_queue_rings(void **state)
{
	struct host *h = *state;
	uint32_t *events = use_buffers(h);

	for (int i = 0; i < 200; i++) {
		uint32_t old = h->queues[0].tail;

		assert_true(rings((uint16_t)event_of(events, 0, false),
				  (uint16_t)((old + 1) % HOST_ENTRIES), (uint16_t)old));
		assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_GET_FEATURES,
				 .cdw10 = htole32(VFIO_NVME_FEATURE_QUEUES) }), 0);
	}
}

/* Their memory is unmapped: the controller cannot go on, and does nothing else. */
static void buffers_go(void **state)
{
	struct host *h = *state;

	use_buffers(h);
	let_sleep(h);
	assert_int_equal(vfio_dma_unmap(h->dev, 0, UINT64_MAX), 0);
	call(h, 1, 1);
	for (int i = 0; i < 10; i++)
		vfio_dispatch(h->dev);
	assert_true(host_get(h, VFIO_NVME_CSTS) & 2);
	let_sleep(h);
}

/* Memory that the driver does not want written any more is not: the controller fails instead. */
static void buffers_become_read_only(void **state)
{
	struct host *h = *state;
	struct vfio_dma shadow = { .iova = 0x10000000, .size = HOST_PAGE, .prot = VFIO_DMA_RW,
				   .fd = -1 };
	struct vfio_dma events = { .iova = 0x10001000, .size = HOST_PAGE, .prot = VFIO_DMA_RW,
				   .fd = -1 };
	uint8_t *at = mmap(NULL, 2 * HOST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	assert_true(at != MAP_FAILED);
	shadow.vaddr = at;
	events.vaddr = at + HOST_PAGE;
	assert_int_equal(vfio_dma_map(h->dev, &shadow), 0);
	assert_int_equal(vfio_dma_map(h->dev, &events), 0);
	assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_DOORBELL_BUFFERS,
			 .prp1 = htole64(shadow.iova), .prp2 = htole64(events.iova) }), 0);
	assert_int_equal(vfio_dma_unmap(h->dev, shadow.iova, shadow.size), 0);
	assert_int_equal(mprotect(at, HOST_PAGE, PROT_READ), 0);
	shadow.prot = VFIO_DMA_READ;
	assert_int_equal(vfio_dma_map(h->dev, &shadow), 0);
	host_submit(h, 0, host_create_cq(h, 2, 8));
	for (int i = 0; i < 100 && !(host_get(h, VFIO_NVME_CSTS) & 2); i++)
		if (is_awake(h, 20))
			vfio_dispatch(h->dev);
	assert_true(host_get(h, VFIO_NVME_CSTS) & 2);
	munmap(at, 2 * HOST_PAGE);
}

/* ---- queues -------------------------------------------------------------------------------- */

/* Nobody takes the answers: the rest waits, and the controller sleeps. Then it goes on. */
static void full(void **state)
{
	struct host *h = *state;
	struct host_queue *q = &h->queues[2];

	assert_int_equal(host_run(h, 0, host_create_cq(h, 2, 3)), 0);
	assert_int_equal(host_run(h, 0, host_create_sq(h, 2, 16)), 0);
	for (uint32_t i = 0; i < 15; i++) {
		command cmd = { .opcode = VFIO_NVME_FLUSH, .nsid = htole32(1),
				.cid = htole16((uint16_t)i) };

		memcpy((command *)q->sq.vaddr + i, &cmd, sizeof(cmd));
	}
	store(2, false, 15);
	q->entries = 3;
	for (unsigned int i = 0; i < 15; i++) {
		const struct vfio_nvme_completion *entries = q->cq.vaddr;

		assert_true(is_answered(h, q));
		let_sleep(h);
		/* Of three entries two are used. */
		assert_int_not_equal(le16toh(entries[(q->head + 2) % 3].status) & 1,
				     q->head == 0 ? q->phase : q->phase ^ 1);
		assert_int_equal(host_answer(h, 2), 0);
		assert_int_equal(le16toh(h->last.cid), i);
	}
}

/* A tail, and a head, that cannot be. */
static void nonsense(void **state)
{
	struct host *h = *state;
	uint16_t cid = host_submit(h, 0, (command){ .opcode = VFIO_NVME_ASYNC_EVENT });

	store(1, false, 8);
	assert_int_equal(host_answer(h, 0), 0);
	assert_int_equal(le16toh(h->last.cid), cid);
	assert_int_equal(le32toh(h->last.result), 0x010100);	/* invalid value; error log */
	assert_true(host_silent(h, 1));
	let_sleep(h);
	store(1, false, UINT32_MAX);
	assert_true(host_silent(h, 1));
	/* A right one is taken again. */
	flush_by_store(h);
	assert_int_equal(host_answer(h, 1), 0);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 1);
}

/* A tail beyond the queue, that is seen and then taken back, leaves nothing to look at. */
static void nonsense_taken_back(void **state)
{
	struct host *h = *state;

	call(h, 1, 99);
	let_sleep(h);
	call(h, 1, h->queues[1].tail);
	let_sleep(h);
	flush_by_store(h);
	assert_int_equal(host_answer(h, 1), 0);
}

/* Does the queue have an answer that was not taken? */
static bool has_answer(const struct host_queue *q)
{
	const struct vfio_nvme_completion *at =
		(const struct vfio_nvme_completion *)q->cq.vaddr + q->head;

	return (le16toh(__atomic_load_n(&at->status, __ATOMIC_ACQUIRE)) & 1) == q->phase;
}

/* Of a queue with much to do others have not to wait for the end: nor has whoever drives the device. */
static void turns(void **state)
{
	struct host *h = *state;
	const command zeroes = {	/* all of the namespace */
		.opcode = VFIO_NVME_WRITE_ZEROES, .nsid = htole32(1),
		.cdw12 = htole32((1u << 20) / 512 - 1),
	};
	unsigned int left = 63;

	host_make_queues(h, 2, 64);
	host_make_queues(h, 3, 8);
	for (unsigned int i = 0; i < left; i++)
		host_submit(h, 2, zeroes);
	host_submit(h, 3, (command){ .opcode = VFIO_NVME_FLUSH, .nsid = htole32(1) });
	while (!has_answer(&h->queues[3]))
		assert_int_equal(vfio_dispatch(h->dev), 0);
	for (; has_answer(&h->queues[2]); left--)
		assert_int_equal(host_answer(h, 2), 0);
	assert_in_range(left, 1, 62);
	while (left--)
		assert_int_equal(host_answer(h, 2), 0);
}

/* A driver that is not looked after has all its commands done, however many there are. */
static void all_is_done(void **state)
{
	static struct host h;
	const struct host_queue *q = &h.queues[1];
	const struct vfio_nvme_completion *entries;
	const unsigned int last = 4094;
	const command cmd = {		/* 64 KiB */
		.opcode = VFIO_NVME_WRITE_ZEROES, .nsid = htole32(1), .cdw12 = htole32(127),
	};

	host_open(&h, "nvme,memory=1M,poll=0,look=1000");
	page = vfio_map(h.dev, BAR, VFIO_NVME_DOORBELLS, HOST_PAGE);
	host_enable(&h);
	host_make_queues(&h, 1, 4096);
	assert_true(vfio_doorbell_fd(h.dev, BAR, VFIO_NVME_DOORBELLS) >= 0);
	let_sleep(&h);
	for (unsigned int i = 0; i <= last; i++)
		memcpy((command *)q->sq.vaddr + i, &cmd, sizeof(cmd));
	call(&h, 1, last + 1);
	entries = q->cq.vaddr;
	for (unsigned int i = 0; i < 100000 && is_awake(&h, 0); i++)
		assert_int_equal(vfio_dispatch(h.dev), 0);
	assert_int_equal(le16toh(entries[last].status), 1);
	host_close(&h);
}

/* While it may not master the bus, commands wait. */
static void bus_master_off(void **state)
{
	struct host *h = *state;

	assert_int_equal(vfio_set_bus_master(h->dev, false), 0);
	flush_by_store(h);
	assert_true(host_silent(h, 1));
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 1);
	assert_int_equal(vfio_set_bus_master(h->dev, true), 0);
	assert_int_equal(host_answer(h, 1), 0);
}

/* A queue's memory goes: fatal, until a reset. */
static void queue_goes(void **state)
{
	struct host *h = *state;

	assert_int_equal(vfio_dma_unmap(h->dev, 0, UINT64_MAX), 0);
	store(1, false, 1);
	for (int i = 0; i < 100 && !(host_get(h, VFIO_NVME_CSTS) & 2); i++)
		if (is_awake(h, 20))
			vfio_dispatch(h->dev);
	assert_true(host_get(h, VFIO_NVME_CSTS) & 2);
	host_put(h, VFIO_NVME_CC, 0);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 0);
	memset(h->queues, 0, sizeof(h->queues));
	host_enable(h);
	host_make_queues(h, 1, 8);
	assert_int_equal(host_run(h, 1, (command){ .opcode = VFIO_NVME_FLUSH,
			 .nsid = htole32(1) }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(looks_by_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(woken_by_eventfd, set_up, tear_down),
		cmocka_unit_test_setup_teardown(woken_by_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(event_index, set_up, tear_down),
		cmocka_unit_test_setup_teardown(event_index_of_the_completion_queue, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(admin_queue_rings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(buffers_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(buffers_become_read_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nonsense_taken_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bus_master_off, set_up, tear_down),
		cmocka_unit_test(all_is_done),
		cmocka_unit_test_setup_teardown(queue_goes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
