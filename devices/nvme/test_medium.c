/* SPDX-License-Identifier: MIT */
/* What admin commands say of a namespace in a file, and do to it: both by io_uring and without. */
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_host.h"

#define SIZE  (8u << 20)
#define BLOCK 512u
#define ERASE (1u << 9)

typedef struct vfio_nvme_command command;

struct bed {
	struct host h;
	char path[64];
	int fd;
};

static bool synchronous;

static int set_up(void **state)
{
	static struct bed b;
	char device[160];

	snprintf(b.path, sizeof(b.path), "/tmp/nvme-medium-XXXXXX");
	b.fd = mkstemp(b.path);
	if (b.fd < 0 || ftruncate(b.fd, SIZE) < 0)
		return -1;
	snprintf(device, sizeof(device), "nvme,file=%s,memory=1M,queues=2%s", b.path,
		 synchronous ? ",io=sync" : "");
	host_open(&b.h, device);
	host_enable(&b.h);
	host_make_queues(&b.h, 1, 16);
	*state = &b;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;

	host_close(&b->h);
	close(b->fd);
	return unlink(b->path);
}

static const void *identify(struct host *h, uint32_t cns, uint32_t nsid)
{
	assert_int_equal(host_admin(h, (command){ .opcode = VFIO_NVME_IDENTIFY,
		.nsid = htole32(nsid), .cdw10 = htole32(cns) }), VFIO_NVME_SUCCESS);
	return h->data.vaddr;
}

static void write_blocks(struct bed *b, uint64_t lba, uint16_t blocks, int byte)
{
	memset(b->h.data.vaddr, byte, blocks * BLOCK);
	assert_int_equal(host_io(&b->h, 1, VFIO_NVME_WRITE, 1, lba, blocks), VFIO_NVME_SUCCESS);
}

/* Is that so much of the file's contents? */
static void check_file(struct bed *b, uint64_t offset, size_t len, int byte)
{
	uint8_t *got = malloc(len);

	assert_non_null(got);
	assert_int_equal(pread(b->fd, got, len, (off_t)offset), len);
	for (size_t i = 0; i < len; i++)
		if (got[i] != byte)
			fail_msg("byte %zu is %#x, not %#x", (size_t)offset + i, got[i], byte);
	free(got);
}

/* Blocks are in use that the file has; of a part in memory all are. */
static void holes_are_free(void **state)
{
	struct bed *b = *state;
	const struct vfio_nvme_namespace_data *d = identify(&b->h, VFIO_NVME_CNS_NAMESPACE, 1);
	struct stat st;

	assert_int_equal(d->nsfeat & 1, 1);
	assert_int_equal(le64toh(d->nsze), SIZE / BLOCK);
	assert_int_equal(le64toh(d->ncap), SIZE / BLOCK);
	write_blocks(b, 100, 16, 0x5a);
	assert_int_equal(host_run(&b->h, 1, (command){ .opcode = VFIO_NVME_FLUSH,
		.nsid = htole32(1) }), VFIO_NVME_SUCCESS);
	d = identify(&b->h, VFIO_NVME_CNS_NAMESPACE, 1);
	assert_int_equal(fstat(b->fd, &st), 0);
	assert_int_equal(le64toh(d->nuse), st.st_blocks);
	assert_in_range(le64toh(d->nuse), 16, SIZE / BLOCK / 2);
	d = identify(&b->h, VFIO_NVME_CNS_NAMESPACE, 2);
	assert_int_equal(d->nsfeat & 1, 0);
	assert_true(d->nuse == d->ncap);
}

static uint16_t write_cache(struct bed *b, bool set, uint32_t value)
{
	return host_admin(&b->h, (command){
		.opcode = set ? VFIO_NVME_SET_FEATURES : VFIO_NVME_GET_FEATURES,
		.cdw10 = htole32(VFIO_NVME_FEATURE_WRITE_CACHE), .cdw11 = htole32(value) });
}

static void the_write_cache(void **state)
{
	struct bed *b = *state;
	const struct vfio_nvme_controller_data *d = identify(&b->h, VFIO_NVME_CNS_CONTROLLER, 0);

	assert_int_equal(d->vwc, 5);
	for (uint32_t on = 1; on <= 2; on++) {
		assert_int_equal(write_cache(b, false, 0), VFIO_NVME_SUCCESS);
		assert_int_equal(le32toh(b->h.last.result), on & 1);
		write_blocks(b, 8, 8, (int)on);
		assert_int_equal(write_cache(b, true, !(on & 1)), VFIO_NVME_SUCCESS);
		write_blocks(b, 16, 8, (int)on);
		check_file(b, 8 * BLOCK, 16 * BLOCK, (int)on);
		assert_int_equal(write_cache(b, true, 0), VFIO_NVME_SUCCESS);
	}
}

/* Both formats erase all of the file, and free it; it keeps its size. */
static void erase(void **state)
{
	struct bed *b = *state;
	struct stat st;

	for (uint32_t format = 0; format < 2; format++) {
		const struct vfio_nvme_namespace_data *d;

		if (format == 0)
			for (uint64_t lba = 0; lba < SIZE / BLOCK; lba += 2000)
				write_blocks(b, lba, 16, 0xa5);
		assert_int_equal(host_admin(&b->h, (command){ .opcode = VFIO_NVME_FORMAT,
			.nsid = htole32(1), .cdw10 = htole32(format | ERASE) }), 0);
		check_file(b, 0, SIZE, 0);
		assert_int_equal(fstat(b->fd, &st), 0);
		assert_int_equal(st.st_size, SIZE);
		assert_true(st.st_blocks < 64);
		d = identify(&b->h, VFIO_NVME_CNS_NAMESPACE, 1);
		assert_int_equal(le64toh(d->nsze), SIZE >> (format ? 12 : 9));
		assert_int_equal(d->flbas, format);
	}
	assert_int_equal(host_io(&b->h, 1, VFIO_NVME_READ, 1, SIZE / 4096 - 1, 1), 0);
}

/* Commands under way are answered, or gone, and never answered late, when the queue or all goes. */
static void queues_go_with_work_in_them(void **state)
{
	struct bed *b = *state;
	struct host *h = &b->h;
	command slow = {		/* all of the file, forced to the medium */
		.opcode = VFIO_NVME_WRITE_ZEROES, .nsid = htole32(1),
		.cdw12 = htole32(VFIO_NVME_FUA | (SIZE / BLOCK - 1)),
	};
	unsigned int answers;

	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 12; i++)
			host_submit(h, 1, slow);
		if (round % 3)		/* else it goes before they are fetched */
			assert_int_equal(vfio_dispatch(h->dev), 0);
		assert_int_equal(host_admin(h, (command){ .opcode = VFIO_NVME_DELETE_SQ,
							  .cdw10 = htole32(1) }), 0);
		for (answers = 0; !host_silent(h, 1); answers++)
			assert_int_equal(le16toh(h->last.status) >> 1, VFIO_NVME_SUCCESS);
		if (h->server)		/* it may have fetched some of them */
			assert_in_range(answers, 0, 12);
		else			/* at least one, until its time is over */
			assert_in_range(answers, round % 3 ? 1 : 0, round % 3 ? 12 : 0);
		assert_int_equal(host_admin(h, (command){ .opcode = VFIO_NVME_DELETE_CQ,
							  .cdw10 = htole32(1) }), 0);
		host_make_queues(h, 1, 16);
		for (unsigned int i = 0; i < 12; i++)
			host_submit(h, 1, slow);
		assert_int_equal(vfio_dispatch(h->dev), 0);
		host_disable(h);
		host_enable(h);
		host_make_queues(h, 1, 16);
		assert_true(host_run(h, 1, slow) == VFIO_NVME_SUCCESS);
	}
	host_put(h, VFIO_NVME_CC, HOST_CC | VFIO_NVME_SHN_NORMAL << 14);
	while (VFIO_NVME_GET(host_get(h, VFIO_NVME_CSTS), CSTS_SHST) == VFIO_NVME_SHST_OCCURRING)
		usleep(1000);
	assert_int_equal(VFIO_NVME_GET(host_get(h, VFIO_NVME_CSTS), CSTS_SHST),
			 VFIO_NVME_SHST_COMPLETE);
}

static bool is_awake(struct host *h, int milliseconds)
{
	struct pollfd p = { .fd = vfio_poll_fd(h->dev), .events = POLLIN };

	return poll(&p, 1, milliseconds) == 1;
}

/* What ends while it may not master the bus is answered later, and meanwhile the device sleeps. */
static void work_that_ends_without_the_bus(void **state)
{
	struct bed *b = *state;
	struct host *h = &b->h;
	unsigned int asleep = 0;

	for (unsigned int i = 0; i < 12; i++)
		host_submit(h, 1, (command){ .opcode = VFIO_NVME_FLUSH, .nsid = htole32(1) });
	if (!h->server)
		assert_int_equal(vfio_dispatch(h->dev), 0);
	assert_int_equal(vfio_set_bus_master(h->dev, false), 0);
	/* It looks now and then whether it may: every 16 ms. */
	for (unsigned int i = 0; i < 10000 && asleep < 10 && !h->server; i++) {
		asleep += !is_awake(h, 5);
		assert_int_equal(vfio_dispatch(h->dev), 0);
	}
	assert_int_equal(asleep, h->server ? 0 : 10);
	assert_int_equal(vfio_set_bus_master(h->dev, true), 0);
	for (unsigned int i = 0; i < 12; i++)
		assert_int_equal(host_answer(h, 1), VFIO_NVME_SUCCESS);
}

static bool is_answered(struct host *h, uint16_t qid)
{
	const struct host_queue *q = &h->queues[qid];
	const struct vfio_nvme_completion *at =
		(const struct vfio_nvme_completion *)q->cq.vaddr + q->head;

	return (le16toh(__atomic_load_n(&at->status, __ATOMIC_ACQUIRE)) & 1) == q->phase;
}

/*
 * It sleeps while a file works, and then has to wait for that because memory goes, another's perhaps:
 * there is an answer now, of which it has yet to tell.
 */
static void answers_while_it_sleeps_are_told(void **state)
{
	struct bed *b = *state;
	struct host *h = &b->h;
	struct vfio_dma other;
	bool early;

	for (unsigned int round = 0; round < 20 && !h->server; round++) {
		assert_int_equal(vfio_dma_alloc(h->dev, &other, 2 << 20, VFIO_DMA_RW), 0);
		host_submit(h, 1, (command){ .opcode = VFIO_NVME_WRITE_ZEROES, .nsid = htole32(1),
			.cdw12 = htole32(VFIO_NVME_FUA | (SIZE / BLOCK - 1)) });
		for (unsigned int i = 0; i < 10000 && is_awake(h, 0); i++)
			assert_int_equal(vfio_dispatch(h->dev), 0);
		early = is_answered(h, 1);
		assert_int_equal(vfio_dma_free(h->dev, &other), 0);
		assert_true(is_answered(h, 1));
		assert_true(early || is_awake(h, 0));
		assert_int_equal(host_answer(h, 1), VFIO_NVME_SUCCESS);
	}
}

/* A shutdown before the controller is enabled, and again while it lasts: neither is told of later. */
static void shutdowns_end(void **state)
{
	struct bed *b = *state;
	struct host *h = &b->h;

	for (unsigned int round = 0; round < 20; round++) {
		memset(h->data.vaddr, (int)round, BLOCK);
		assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, 1, round, 1), 0);
		host_disable(h);
		host_put(h, VFIO_NVME_CC, VFIO_NVME_SHN_NORMAL << 14);
		host_put(h, VFIO_NVME_CC, 0);
		host_put(h, VFIO_NVME_CC, VFIO_NVME_SHN_ABRUPT << 14);
		assert_int_not_equal(VFIO_NVME_GET(host_get(h, VFIO_NVME_CSTS), CSTS_SHST),
				     VFIO_NVME_SHST_NORMAL);
		host_put(h, VFIO_NVME_CC, 0);
		host_enable(h);
		host_make_queues(h, 1, 16);
		assert_int_equal(host_run(h, 1, (command){ .opcode = VFIO_NVME_FLUSH,
				 .nsid = htole32(1) }), 0);
		assert_int_equal(host_get(h, VFIO_NVME_CSTS), 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(holes_are_free), TEST(the_write_cache), TEST(erase),
		TEST(queues_go_with_work_in_them), TEST(work_that_ends_without_the_bus),
		TEST(answers_while_it_sleeps_are_told), TEST(shutdowns_end),
	};
	int failed;

	host_take_road(argc, argv);
	failed = cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);

	synchronous = true;
	return failed + cmocka_run_group_tests_name("system calls", tests, NULL, NULL);
}
