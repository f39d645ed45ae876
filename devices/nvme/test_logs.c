/* SPDX-License-Identifier: MIT */
/* Log pages, asynchronous events, and Abort. */
#include <endian.h>
#include <string.h>

#include "test_host.h"

#define DEVICE "nvme,memory=16M,memory=1M,queues=4,serial=ABC"

#define DNR VFIO_NVME_STATUS_DNR
#define ALL UINT32_MAX

#define RETAIN (1u << 15)

typedef struct vfio_nvme_command command;

static int set_up(void **state)
{
	static struct host h;

	host_open(&h, DEVICE);
	host_enable(&h);
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	host_close(*state);
	return 0;
}

/* ---- log pages ----------------------------------------------------------------------------- */

static uint16_t get_log(struct host *h, uint32_t id, uint32_t nsid, uint32_t bytes, uint64_t offset)
{
	uint32_t dwords = bytes / 4 - 1;

	memset(h->data.vaddr, 0x55, h->data.size);
	return host_admin(h, (command){ .opcode = VFIO_NVME_GET_LOG_PAGE, .nsid = htole32(nsid),
		.prp2 = htole64(h->data.iova + HOST_PAGE),
		.cdw10 = htole32(dwords << 16 | id), .cdw11 = htole32(dwords >> 16),
		.cdw12 = htole32((uint32_t)offset), .cdw13 = htole32((uint32_t)(offset >> 32)) });
}

static const void *log_page(struct host *h, uint32_t id, uint32_t bytes, uint64_t offset)
{
	assert_int_equal(get_log(h, id, 0, bytes, offset), VFIO_NVME_SUCCESS);
	return h->data.vaddr;
}

/* Newest first, and 64 of them; each is what the host got. */
static void errors_are_logged(void **state)
{
	struct host *h = *state;
	const struct vfio_nvme_error_entry *e = log_page(h, 1, 4096, 0);
	uint16_t cid = 0;

	assert_int_equal(e[0].count, 0);
	for (uint32_t i = 1; i <= 70; i++) {
		cid = host_submit(h, 0, (command){ .opcode = 0x7f, .nsid = htole32(i),
						       .cdw10 = htole32(i) });
		assert_int_equal(host_answer(h, 0), VFIO_NVME_INVALID_OPCODE | DNR);
	}
	e = log_page(h, 1, 4096, 0);
	for (uint32_t i = 0; i < 64; i++) {
		assert_int_equal(le64toh(e[i].count), 70 - i);
		assert_int_equal(le16toh(e[i].cid), cid - i);
		assert_int_equal(le16toh(e[i].sqid), 0);
		assert_int_equal(e[i].lba, 0);
		assert_int_equal(le32toh(e[i].nsid), 70 - i);
		assert_int_equal(le16toh(e[i].status) >> 1, VFIO_NVME_INVALID_OPCODE | DNR);
	}
	host_make_queues(h, 1, 16);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, 0x123456789, 1),
			 VFIO_NVME_LBA_RANGE | DNR);
	e = log_page(h, 1, 64, 0);
	assert_int_equal(le64toh(e->count), 71);
	assert_int_equal(le16toh(e->sqid), 1);
	assert_int_equal(le64toh(e->lba), 0x123456789);
}

/* After a reset of the function, as for another user, they are not told, but they have been counted. */
static void errors_are_not_told_to_others(void **state)
{
	struct host *h = *state;
	const struct vfio_nvme_error_entry *e;

	host_run(h, 0, (command){ .opcode = 0x7f, .nsid = htole32(9) });
	host_disable(h);
	host_enable(h);
	e = log_page(h, 1, 128, 0);
	assert_int_equal(le64toh(e->count), 1);
	assert_int_equal(vfio_reset(h->dev), 0);
	memset(h->queues, 0, sizeof(h->queues));
	host_enable(h);
	e = log_page(h, 1, 64, 0);
	assert_int_equal(e->count, 0);
	assert_int_equal(e->nsid, 0);
	host_run(h, 0, (command){ .opcode = 0x7f });
	e = log_page(h, 1, 128, 0);
	assert_int_equal(le64toh(e[0].count), 2);
	assert_int_equal(e[1].count, 0);
}

static uint64_t count(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static void health(void **state)
{
	struct host *h = *state;
	const struct vfio_nvme_smart *s;

	host_make_queues(h, 1, 16);
	for (unsigned int i = 0; i < 130; i++)
		assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, 1, 0, 8), VFIO_NVME_SUCCESS);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, 0, 8), VFIO_NVME_SUCCESS);
	host_run(h, 1, (command){ .opcode = 0x7f });
	assert_int_equal(get_log(h, 2, ALL, 512, 0), VFIO_NVME_SUCCESS);
	s = h->data.vaddr;
	assert_int_equal(s->critical_warning, 0);
	assert_int_equal(s->temperature[0] | s->temperature[1] << 8, 300);
	assert_int_equal(s->spare, 100);
	assert_int_equal(s->used, 0);
	assert_int_equal(count(s->writes), 130);
	assert_int_equal(count(s->reads), 3);
	assert_int_equal(count(s->units_written), 2);
	assert_int_equal(count(s->units_read), 1);
	assert_int_equal(count(s->power_cycles), 1);
	assert_int_equal(count(s->media_errors), 0);
	assert_int_equal(count(s->error_entries), 1);
}

static void firmware_and_effects(void **state)
{
	struct host *h = *state;
	const struct vfio_nvme_firmware *f = log_page(h, 3, 512, 0);
	const uint32_t *e;
	unsigned int commands = 0;

	assert_int_equal(f->active, 1);
	assert_memory_equal(f->revisions[0], LIBVFIO_VERSION "   ", 8);
	assert_int_equal(f->revisions[1][0], 0);
	e = log_page(h, 5, 4096, 0);
	assert_int_equal(le32toh(e[VFIO_NVME_FORMAT]), 0x10007);
	assert_int_equal(le32toh(e[256 + VFIO_NVME_WRITE]), 3);
	assert_int_equal(le32toh(e[256 + VFIO_NVME_READ]), 1);
	for (unsigned int i = 0; i < 1024; i++)
		commands += le32toh(e[i]) & 1;
	assert_int_equal(commands, 12 + 6);
}

/* Parts of pages, and what lies behind their end. */
static void parts_of_pages(void **state)
{
	struct host *h = *state;
	uint8_t whole[512], zeroes[2 * HOST_PAGE] = { 0 };
	const uint8_t *part;

	memcpy(whole, log_page(h, 3, 512, 0), 512);
	part = log_page(h, 3, 16, 8);
	assert_memory_equal(part, whole + 8, 16);
	assert_int_equal(part[16], 0x55);
	part = log_page(h, 3, 2 * HOST_PAGE, 4);
	assert_memory_equal(part, whole + 4, 508);
	assert_memory_equal(part + 508, zeroes, 2 * HOST_PAGE - 508);
	assert_int_equal(part[2 * HOST_PAGE], 0x55);
	assert_memory_equal(log_page(h, 3, 8, 512), zeroes, 8);
}

static void bad_logs(void **state)
{
	struct host *h = *state;
	static const struct {
		uint32_t id, nsid, bytes;
		uint64_t offset;
		uint16_t status;
	} rows[] = {
		{ 0x00, 0, 512, 0, VFIO_NVME_LOG_PAGE_INVALID },
		{ 0x06, 0, 512, 0, VFIO_NVME_LOG_PAGE_INVALID },
		{ 0xff, 0, 512, 0, VFIO_NVME_LOG_PAGE_INVALID },
		{ 0x02, 1, 512, 0, VFIO_NVME_INVALID_FIELD },
		{ 0x02, 3, 512, 0, VFIO_NVME_INVALID_NAMESPACE },
		{ 0x02, 0, 512, 2, VFIO_NVME_INVALID_FIELD },
		{ 0x02, 0, 512, 516, VFIO_NVME_INVALID_FIELD },
		{ 0x02, 0, 512, UINT64_C(1) << 32, VFIO_NVME_INVALID_FIELD },
		{ 0x02, 0, (1 << 20) + 4, 0, VFIO_NVME_INVALID_FIELD },
		{ 0x02, 0, 0, 0, VFIO_NVME_INVALID_FIELD },	/* 16 GiB */
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint16_t got = get_log(h, rows[i].id, rows[i].nsid, rows[i].bytes, rows[i].offset);

		if (got != (rows[i].status | DNR))
			fail_msg("row %u: %#x, not %#x", i, got, rows[i].status | DNR);
	}
}

/* ---- asynchronous events ------------------------------------------------------------------- */

static uint16_t set(struct host *h, uint32_t id, uint32_t value)
{
	return host_admin(h, (command){ .opcode = VFIO_NVME_SET_FEATURES, .cdw10 = htole32(id),
					.cdw11 = htole32(value) });
}

static uint16_t ask(struct host *h)
{
	return host_submit(h, 0, (command){ .opcode = VFIO_NVME_ASYNC_EVENT });
}

static void told(struct host *h, uint16_t cid, uint32_t event)
{
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
	assert_int_equal(le16toh(h->last.cid), cid);
	assert_int_equal(le32toh(h->last.result), event);
}

#define TOO_WARM 0x020101u	/* page 2, temperature, health */
#define CHANGED  0x040002u	/* page 4, namespace attributes, notice */
#define BAD_VALUE 0x010100u	/* page 1, invalid value, error */

/* One of a type is told; the next when its page was read, and the host did not say to retain. */
static void events_of_temperature(void **state)
{
	struct host *h = *state;
	uint16_t first = ask(h), second = ask(h);

	assert_int_equal(set(h, 0x04, 290), VFIO_NVME_SUCCESS);
	assert_true(host_silent(h, 0));		/* it is not wanted */
	assert_int_equal(set(h, 0x0b, 0x02), VFIO_NVME_SUCCESS);
	host_submit(h, 0, (command){ .opcode = VFIO_NVME_SET_FEATURES, .cdw10 = htole32(4),
				     .cdw11 = htole32(291) });
	told(h, first, TOO_WARM);
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
	assert_int_equal(set(h, 0x04, 292), VFIO_NVME_SUCCESS);
	assert_true(host_silent(h, 0));		/* masked */
	assert_int_equal(get_log(h, RETAIN | 2, 0, 512, 0), VFIO_NVME_SUCCESS);
	assert_int_equal(((struct vfio_nvme_smart *)h->data.vaddr)->critical_warning, 2);
	assert_true(host_silent(h, 0));
	host_submit(h, 0, (command){ .opcode = VFIO_NVME_GET_LOG_PAGE,
		.cdw10 = htole32(127 << 16 | 2), .prp1 = htole64(h->data.iova) });
	told(h, second, TOO_WARM);
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
}

static void events_of_namespaces(void **state)
{
	struct host *h = *state;
	const uint32_t *list;
	uint16_t cid;

	assert_int_equal(set(h, 0x0b, 0x100), VFIO_NVME_SUCCESS);
	cid = ask(h);
	host_submit(h, 0, (command){ .opcode = VFIO_NVME_FORMAT, .nsid = htole32(2),
				     .cdw10 = htole32(1) });
	told(h, cid, CHANGED);
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
	list = log_page(h, RETAIN | 4, 4096, 0);
	assert_int_equal(le32toh(list[0]), 2);
	list = log_page(h, 4, 4096, 0);
	assert_int_equal(le32toh(list[0]), 2);
	assert_int_equal(list[1], 0);
	list = log_page(h, 4, 4096, 0);
	assert_int_equal(list[0], 0);
}

/*
 * A doorbell beyond its queue is an event and an error of no command, once, and nothing else. The
 * event waits for a request.
 */
static void events_of_doorbells(void **state)
{
	struct host *h = *state;
	const struct vfio_nvme_error_entry *e;

	host_make_queues(h, 1, 16);
	host_ring(h, 1, false, 16);
	assert_true(host_silent(h, 0));
	told(h, ask(h), BAD_VALUE);
	ask(h);
	host_ring(h, 1, false, 99);
	assert_true(host_silent(h, 0));
	host_ring(h, 1, false, 0);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, 0, 1), VFIO_NVME_SUCCESS);
	e = log_page(h, 1, 128, 0);
	assert_int_equal(le64toh(e[0].count), 1);
	assert_int_equal(le16toh(e[0].sqid), 1);
	assert_int_equal(e[0].cid, 0xffff);
	assert_int_equal(e[1].count, 0);
}

/* What nobody has asked for waits, each thing once, in its order; each type for its log page. */
static void events_wait(void **state)
{
	struct host *h = *state;
	uint16_t cid;

	host_make_queues(h, 1, 16);
	assert_int_equal(set(h, 0x0b, 0x102), VFIO_NVME_SUCCESS);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(set(h, 0x04, 290 + i), VFIO_NVME_SUCCESS);
		host_ring(h, 1, false, 16 + i);
		assert_true(host_silent(h, 0));
		assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_FORMAT,
			.nsid = htole32(2), .cdw10 = htole32(1) }), VFIO_NVME_SUCCESS);
	}
	told(h, ask(h), TOO_WARM);
	told(h, ask(h), BAD_VALUE);
	assert_int_equal(set(h, 0x04, 295), VFIO_NVME_SUCCESS);	/* masked; not in the way */
	told(h, ask(h), CHANGED);
	cid = ask(h);
	assert_true(host_silent(h, 0));
	host_submit(h, 0, (command){ .opcode = VFIO_NVME_GET_LOG_PAGE,
		.cdw10 = htole32(127 << 16 | 2), .prp1 = htole64(h->data.iova) });
	told(h, cid, TOO_WARM);
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
	ask(h);
	for (uint32_t page = 1; page <= 4; page++)
		log_page(h, page, 512, 0);
	assert_true(host_silent(h, 0));		/* nothing is told twice */
	host_disable(h);
	host_enable(h);
	ask(h);
	assert_true(host_silent(h, 0));
}

static void too_many_requests(void **state)
{
	struct host *h = *state;
	uint16_t cids[8];

	for (unsigned int i = 0; i < 8; i++)
		cids[i] = ask(h);
	assert_true(host_silent(h, 0));
	assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_ASYNC_EVENT }),
			 VFIO_NVME_EVENT_LIMIT);
	host_make_queues(h, 1, 16);
	host_ring(h, 1, false, 16);
	told(h, cids[0], BAD_VALUE);
	cids[0] = ask(h);
	assert_true(host_silent(h, 0));
}

/* A completion queue of three: one answer is kept for the event, one is for all else. */
static void small_queues(void **state)
{
	struct host *h = *state;
	struct host_queue *q = &h->queues[0];
	uint16_t cid;

	host_disable(h);
	memset(q->cq.vaddr, 0, q->cq.size);
	q->entries = 3;
	q->tail = q->head = 0;
	q->phase = 1;
	host_put(h, VFIO_NVME_AQA, 2 << 16 | 2);
	host_put(h, VFIO_NVME_CC, HOST_CC);
	cid = ask(h);
	assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_ASYNC_EVENT }),
			 VFIO_NVME_EVENT_LIMIT);
	for (unsigned int i = 0; i < 10; i++)
		log_page(h, 2, 512, 0);
	assert_int_equal(set(h, 0x0b, 2), VFIO_NVME_SUCCESS);
	host_submit(h, 0, (command){ .opcode = VFIO_NVME_SET_FEATURES, .cdw10 = htole32(4),
				     .cdw11 = htole32(1 << 20 | 300) });
	told(h, cid, TOO_WARM);
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
}

/* ---- Abort --------------------------------------------------------------------------------- */

static uint32_t abort_it(struct host *h, uint16_t qid, uint16_t cid)
{
	assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_ABORT,
		.cdw10 = htole32((uint32_t)cid << 16 | qid) }), VFIO_NVME_SUCCESS);
	return le32toh(h->last.result);
}

static void requests_are_aborted(void **state)
{
	struct host *h = *state;
	uint16_t first = ask(h), second = ask(h), cid;

	assert_int_equal(abort_it(h, 0, 0xabcd), 1);
	assert_int_equal(abort_it(h, 1, first), 1);
	assert_int_equal(abort_it(h, 0xffff, first), 1);
	cid = host_submit(h, 0, (command){ .opcode = VFIO_NVME_ABORT,
					   .cdw10 = htole32((uint32_t)first << 16) });
	assert_int_equal(host_answer(h, 0), VFIO_NVME_ABORT_REQUESTED);
	assert_int_equal(le16toh(h->last.cid), first);
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
	assert_int_equal(le16toh(h->last.cid), cid);
	assert_int_equal(le32toh(h->last.result), 0);
	assert_int_equal(abort_it(h, 0, first), 1);
	host_make_queues(h, 1, 16);
	host_ring(h, 1, false, 16);
	told(h, second, BAD_VALUE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_are_logged), TEST(errors_are_not_told_to_others), TEST(health),
		TEST(firmware_and_effects),
		TEST(parts_of_pages), TEST(bad_logs),
		TEST(events_of_temperature), TEST(events_of_namespaces),
		TEST(events_of_doorbells), TEST(events_wait), TEST(too_many_requests),
		TEST(small_queues), TEST(requests_are_aborted),
	};

	host_take_road(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
