/* SPDX-License-Identifier: MIT */
/*
 * I/O commands: where data are (PRPs, SGLs), each bad field and its status, what each command does to
 * blocks. The second namespace has blocks of 4096 bytes, the third cannot be written; the same
 * tests run on a file, by both roads.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test_host.h"

#define DNR    VFIO_NVME_STATUS_DNR
#define BLOCKS 32768u		/* of the first namespace */
#define FAR    0x7000000000ull	/* nothing is mapped there */

typedef struct vfio_nvme_command command;

static char device[256], path[] = "/tmp/vfio-nvme-io-XXXXXX";

static int set_up(void **state)
{
	static struct host h;

	host_open(&h, device);
	host_enable(&h);
	host_make_queues(&h, 1, 16);
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	host_close(*state);
	return 0;
}

static command io(uint8_t opcode, uint32_t nsid, uint64_t lba, uint32_t blocks)
{
	return (command){
		.opcode = opcode, .nsid = htole32(nsid), .cdw10 = htole32((uint32_t)lba),
		.cdw11 = htole32((uint32_t)(lba >> 32)), .cdw12 = htole32(blocks - 1),
	};
}

/* ---- 4.3: PRPs ----------------------------------------------------------------------------- */

static uint8_t *page_of(struct host *h, unsigned int i)
{
	return (uint8_t *)h->data.vaddr + i * HOST_PAGE;
}

static uint64_t iova_of(struct host *h, unsigned int i)
{
	return h->data.iova + i * HOST_PAGE;
}

/* A number for each byte of the disk, and another after the next writing. */
static uint8_t byte_at(uint64_t at, unsigned int generation)
{
	return (uint8_t)((at * 2654435761u >> 13) + at / 511 + generation * 77);
}

/*
 * len bytes as PRPs: page i of the data is page order[i] of the buffer, the first from an offset on. A
 * list is in the last page of the buffer, from entry at on; it goes on in the page before.
 */
static void put_prps(struct host *h, command *cmd, const uint8_t *order, uint32_t offset,
		     uint32_t len, unsigned int at)
{
	uint64_t *list = (uint64_t *)(void *)page_of(h, 63);
	uint32_t left = len > HOST_PAGE - offset ? len - (HOST_PAGE - offset) : 0;
	unsigned int i = 1;

	cmd->prp1 = htole64(iova_of(h, order[0]) + offset);
	if (left && left <= HOST_PAGE)
		cmd->prp2 = htole64(iova_of(h, order[1]));
	else if (left)
		cmd->prp2 = htole64(iova_of(h, 63) + 8 * at);
	for (; left > HOST_PAGE || (left && i > 1); i++) {
		if (at == 511 && left > HOST_PAGE) {
			list[at] = htole64(iova_of(h, 62));
			list = (uint64_t *)(void *)page_of(h, 62);
			at = 0;
		}
		list[at++] = htole64(iova_of(h, order[i]));
		left = left > HOST_PAGE ? left - HOST_PAGE : 0;
	}
}

static uint8_t *byte_of(struct host *h, const uint8_t *order, uint32_t offset, uint32_t i)
{
	return page_of(h, order[(offset + i) / HOST_PAGE]) + (offset + i) % HOST_PAGE;
}

static void there_and_back(struct host *h, uint32_t offset, uint32_t len, unsigned int at,
			   unsigned int generation)
{
	static const uint8_t out[] = { 5, 3, 4, 9, 8, 0, 1, 2, 20, 19 };
	static const uint8_t in[] = { 40, 30, 31, 32, 29, 28, 50, 45, 44, 10 };
	uint64_t lba = 100 + at + generation;
	command cmd = io(VFIO_NVME_WRITE, 1, lba, len / 512);

	put_prps(h, &cmd, out, offset, len, at);
	for (uint32_t i = 0; i < len; i++)
		*byte_of(h, out, offset, i) = byte_at(lba * 512 + i, generation);
	assert_int_equal(host_run(h, 1, cmd), VFIO_NVME_SUCCESS);
	for (unsigned int i = 0; i < 62; i++)
		memset(page_of(h, i), 0xee, HOST_PAGE);
	cmd = io(VFIO_NVME_READ, 1, lba, len / 512);
	put_prps(h, &cmd, in, offset, len, at);
	assert_int_equal(host_run(h, 1, cmd), VFIO_NVME_SUCCESS);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(*byte_of(h, in, offset, i), byte_at(lba * 512 + i, generation));
	/* Nothing before and nothing behind. */
	if (offset)
		assert_int_equal(*(byte_of(h, in, offset, 0) - 1), 0xee);
	if ((offset + len) % HOST_PAGE)
		assert_int_equal(*(byte_of(h, in, offset, len - 1) + 1), 0xee);
}

static void prps(void **state)
{
	static const uint32_t offsets[] = { 0, 4, 512, 2048, 3584, 4092 };
	static const uint32_t lengths[] = { 512, 1024, 4096, 4608, 8192, 8704, 12288, 32768 };
	static const unsigned int places[] = { 0, 1, 508, 510, 511 };
	unsigned int generation = 0;

	for (size_t o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++)
		for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++)
			for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
				there_and_back(*state, offsets[o], lengths[l], places[p],
					       ++generation);
}

/* All that one command can move: 1 MiB, in a buffer that lies in one piece. */
static void largest(void **state)
{
	struct host *h = *state;
	const uint32_t len = 1 << 20;
	struct vfio_dma buffer, list;
	command cmd = io(VFIO_NVME_WRITE, 1, 0, len / 512);

	assert_int_equal(vfio_dma_alloc(h->dev, &buffer, len, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_alloc(h->dev, &list, HOST_PAGE, VFIO_DMA_RW), 0);
	for (uint32_t i = 0; i < len; i++)
		((uint8_t *)buffer.vaddr)[i] = byte_at(i, 3);
	for (uint32_t i = 1; i < len / HOST_PAGE; i++)
		((uint64_t *)list.vaddr)[i - 1] = htole64(buffer.iova + i * HOST_PAGE);
	cmd.prp1 = htole64(buffer.iova);
	cmd.prp2 = htole64(list.iova);
	assert_int_equal(host_run(h, 1, cmd), VFIO_NVME_SUCCESS);
	memset(buffer.vaddr, 0, len);
	cmd.opcode = VFIO_NVME_READ;
	assert_int_equal(host_run(h, 1, cmd), VFIO_NVME_SUCCESS);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(((uint8_t *)buffer.vaddr)[i], byte_at(i, 3));
	cmd.cdw12 = htole32(len / 512);		/* one more */
	assert_int_equal(host_run(h, 1, cmd), VFIO_NVME_INVALID_FIELD | DNR);
}

static void bad_prps(void **state)
{
	static const struct {
		uint64_t first, second;		/* from the data on, or FAR */
		uint32_t blocks;
		uint16_t status;
	} bad[] = {
		{ 2, 0, 1, VFIO_NVME_PRP_OFFSET_INVALID },
		{ FAR, 0, 1, VFIO_NVME_DATA_TRANSFER },
		{ 0, 4, 16, VFIO_NVME_PRP_OFFSET_INVALID },
		{ 0, FAR, 16, VFIO_NVME_DATA_TRANSFER },
		{ 0, HOST_PAGE + 4, 64, VFIO_NVME_PRP_OFFSET_INVALID },
		{ 0, FAR, 64, VFIO_NVME_DATA_TRANSFER },
	};
	struct host *h = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		command cmd = io(VFIO_NVME_READ, 1, 0, bad[i].blocks);

		cmd.prp1 = htole64(bad[i].first + (bad[i].first == FAR ? 0 : h->data.iova));
		cmd.prp2 = htole64(bad[i].second + (bad[i].second == FAR ? 0 : h->data.iova));
		assert_int_equal(host_run(h, 1, cmd) & ~DNR, bad[i].status);
	}
}

/* An entry of a list that is off its page; a chain that does not point to a page. */
static void bad_lists(void **state)
{
	struct host *h = *state;
	uint64_t *list = (uint64_t *)(void *)page_of(h, 63);
	command cmd = io(VFIO_NVME_READ, 1, 0, 64);

	for (unsigned int i = 0; i < 512; i++)
		list[i] = htole64(iova_of(h, 1));
	cmd.prp1 = htole64(iova_of(h, 0));
	cmd.prp2 = htole64(iova_of(h, 63));
	assert_int_equal(host_run(h, 1, cmd), VFIO_NVME_SUCCESS);
	list[3] = htole64(iova_of(h, 1) + 512);
	assert_int_equal(host_run(h, 1, cmd) & ~DNR, VFIO_NVME_PRP_OFFSET_INVALID);
	list[3] = htole64(FAR);
	assert_int_equal(host_run(h, 1, cmd) & ~DNR, VFIO_NVME_DATA_TRANSFER);
	list[511] = htole64(iova_of(h, 62) + 8);
	cmd.prp2 = htole64(iova_of(h, 63) + 511 * 8);
	assert_int_equal(host_run(h, 1, cmd) & ~DNR, VFIO_NVME_PRP_OFFSET_INVALID);
}

/* ---- 4.4: SGLs ----------------------------------------------------------------------------- */

static struct vfio_nvme_sgl sgl(uint64_t address, uint32_t length, uint8_t type)
{
	return (struct vfio_nvme_sgl){
		.address = htole64(address), .length = htole32(length),
		.type = (uint8_t)(type << 4),
	};
}

static command with_sgl(uint8_t opcode, uint64_t lba, uint32_t blocks, struct vfio_nvme_sgl s)
{
	command cmd = io(opcode, 1, lba, blocks);

	cmd.flags = VFIO_NVME_PSDT_SGL;
	cmd.sgl = s;
	return cmd;
}

/* One block; then odd pieces in two segments. */
static void sgls(void **state)
{
	static const uint32_t pieces[] = { 1, 3, 500, 8, 512, 4096, 7000, 168 };	/* 12288 */
	const unsigned int n = sizeof(pieces) / sizeof(pieces[0]);
	struct host *h = *state;
	struct vfio_nvme_sgl *list = (struct vfio_nvme_sgl *)(void *)page_of(h, 63);
	struct vfio_nvme_sgl whole = sgl(iova_of(h, 0), 12288, VFIO_NVME_SGL_DATA);
	uint64_t at = iova_of(h, 8) + 3;
	uint8_t *back = page_of(h, 8) + 3;

	for (unsigned int i = 0; i < 12288; i++)
		page_of(h, 0)[i] = byte_at(i, 9);
	assert_int_equal(host_run(h, 1, with_sgl(VFIO_NVME_WRITE, 40, 24, whole)), 0);
	for (unsigned int i = 0; i < n; i++) {
		list[i < 3 ? i : i + 1] = sgl(at, pieces[i], VFIO_NVME_SGL_DATA);
		at += pieces[i] + 5;
	}
	list[3] = sgl(iova_of(h, 63) + 4 * 16, 5 * 16, VFIO_NVME_SGL_LAST_SEGMENT);
	memset(page_of(h, 8), 0xee, 5 * HOST_PAGE);
	assert_int_equal(host_run(h, 1, with_sgl(VFIO_NVME_READ, 40, 24,
			 sgl(iova_of(h, 63), 4 * 16, VFIO_NVME_SGL_SEGMENT))), 0);
	for (unsigned int i = 0, done = 0; i < n; done += pieces[i++]) {
		assert_memory_equal(back, page_of(h, 0) + done, pieces[i]);
		back += pieces[i];
		for (unsigned int k = 0; k < 5; k++)
			assert_int_equal(*back++, 0xee);
	}
}

static void bad_sgls(void **state)
{
	struct host *h = *state;
	struct vfio_nvme_sgl *list = (struct vfio_nvme_sgl *)(void *)page_of(h, 63);
	const uint64_t at = iova_of(h, 63);
	const struct {
		struct vfio_nvme_sgl s;
		uint16_t status;
	} bad[] = {
		{ sgl(iova_of(h, 0), 511, VFIO_NVME_SGL_DATA), VFIO_NVME_SGL_LENGTH_INVALID },
		{ sgl(iova_of(h, 0), 0, VFIO_NVME_SGL_DATA), VFIO_NVME_SGL_LENGTH_INVALID },
		{ sgl(iova_of(h, 0), 512, VFIO_NVME_SGL_BIT_BUCKET), VFIO_NVME_SGL_TYPE_INVALID },
		{ sgl(iova_of(h, 0), 512, 0xf), VFIO_NVME_SGL_TYPE_INVALID },
		{ sgl(FAR, 512, VFIO_NVME_SGL_DATA), VFIO_NVME_DATA_TRANSFER },
		{ sgl(UINT64_MAX - 100, 512, VFIO_NVME_SGL_DATA), VFIO_NVME_DATA_TRANSFER },
		{ sgl(at, 0, VFIO_NVME_SGL_LAST_SEGMENT), VFIO_NVME_SGL_SEGMENT_INVALID },
		{ sgl(at, 24, VFIO_NVME_SGL_LAST_SEGMENT), VFIO_NVME_SGL_SEGMENT_INVALID },
		{ sgl(FAR, 16, VFIO_NVME_SGL_LAST_SEGMENT), VFIO_NVME_DATA_TRANSFER },
		/* The first descriptor of the list is one of data, the second a segment. */
		{ sgl(at, 16, VFIO_NVME_SGL_LAST_SEGMENT), VFIO_NVME_SGL_LENGTH_INVALID },
		{ sgl(at, 16, VFIO_NVME_SGL_SEGMENT), VFIO_NVME_SGL_SEGMENT_INVALID },
		{ sgl(at, 32, VFIO_NVME_SGL_LAST_SEGMENT), VFIO_NVME_SGL_TYPE_INVALID },
		/* A segment that leads to itself, and never to data. */
		{ sgl(at + 16, 16, VFIO_NVME_SGL_SEGMENT), VFIO_NVME_SGL_LENGTH_INVALID },
	};

	list[0] = sgl(iova_of(h, 0), 256, VFIO_NVME_SGL_DATA);
	list[1] = sgl(at + 16, 16, VFIO_NVME_SGL_SEGMENT);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint16_t status = host_run(h, 1, with_sgl(VFIO_NVME_READ, 0, 1, bad[i].s));

		if ((status & ~DNR) != bad[i].status)
			fail_msg("row %zu: %#x instead of %#x", i, status, bad[i].status);
	}
	/* Longer than the data is fine: SGLS, bit 18. */
	assert_int_equal(host_run(h, 1, with_sgl(VFIO_NVME_READ, 0, 1,
			 sgl(iova_of(h, 0), 4096, VFIO_NVME_SGL_DATA))), 0);
	/* So are descriptors of no bytes, but not for ever. */
	memset(h->data.vaddr, 0, HOST_DATA);
	list[HOST_PAGE / sizeof(*list) - 1] = sgl(iova_of(h, 0), HOST_DATA, VFIO_NVME_SGL_SEGMENT);
	assert_int_equal(host_run(h, 1, with_sgl(VFIO_NVME_READ, 0, 1,
			 sgl(iova_of(h, 0), HOST_DATA, VFIO_NVME_SGL_SEGMENT))) & ~DNR,
			 VFIO_NVME_SGL_COUNT_INVALID);
}

/* ---- bad fields ---------------------------------------------------------------------------- */

static void bad_fields(void **state)
{
	struct host *h = *state;
	const struct {
		const char *what;
		command cmd;
		uint16_t status;
	} bad[] = {
		{ "opcode", io(0x7f, 1, 0, 1), VFIO_NVME_INVALID_OPCODE },
		{ "namespace 0", io(VFIO_NVME_READ, 0, 0, 1), VFIO_NVME_INVALID_NAMESPACE },
		{ "namespace 4", io(VFIO_NVME_READ, 4, 0, 1), VFIO_NVME_INVALID_NAMESPACE },
		{ "all", io(VFIO_NVME_FLUSH, UINT32_MAX, 0, 1), VFIO_NVME_INVALID_NAMESPACE },
		{ "behind", io(VFIO_NVME_READ, 1, BLOCKS, 1), VFIO_NVME_LBA_RANGE },
		{ "over the end", io(VFIO_NVME_WRITE, 1, BLOCKS - 1, 2), VFIO_NVME_LBA_RANGE },
		{ "wraps", io(VFIO_NVME_READ, 1, UINT64_MAX, 2), VFIO_NVME_LBA_RANGE },
		{ "compare", io(VFIO_NVME_COMPARE, 1, BLOCKS, 1), VFIO_NVME_LBA_RANGE },
		{ "zeroes", io(VFIO_NVME_WRITE_ZEROES, 2, 4096, 1), VFIO_NVME_LBA_RANGE },
		{ "protected", io(VFIO_NVME_WRITE, 3, 0, 1), VFIO_NVME_WRITE_PROTECTED },
		{ "protected", io(VFIO_NVME_WRITE_ZEROES, 3, 0, 1), VFIO_NVME_WRITE_PROTECTED },
		{ "protected", io(VFIO_NVME_DATASET_MANAGEMENT, 3, 0, 1),
		  VFIO_NVME_WRITE_PROTECTED },
		{ "too much", io(VFIO_NVME_READ, 2, 0, 257), VFIO_NVME_INVALID_FIELD },
		{ "fused", { .opcode = VFIO_NVME_COMPARE, .flags = 1, .nsid = htole32(1) },
		  VFIO_NVME_INVALID_FIELD },
		{ "PSDT", { .opcode = VFIO_NVME_READ, .flags = 0xc0, .nsid = htole32(1) },
		  VFIO_NVME_INVALID_FIELD },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		command cmd = bad[i].cmd;
		uint16_t status;

		cmd.prp1 = htole64(h->data.iova);
		status = host_run(h, 1, cmd);
		if ((status & ~DNR) != bad[i].status)
			fail_msg("%s: %#x instead of %#x", bad[i].what, status, bad[i].status);
	}
}

/* ---- what commands do ---------------------------------------------------------------------- */

static void fill(struct host *h, uint64_t lba, unsigned int blocks, uint8_t value)
{
	memset(h->data.vaddr, value, blocks * 512);
	assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, 1, lba, (uint16_t)blocks), 0);
}

/* So many blocks have this byte, all of it. */
static void expect(struct host *h, uint64_t lba, unsigned int blocks, uint8_t value)
{
	memset(h->data.vaddr, ~value, blocks * 512);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, lba, (uint16_t)blocks), 0);
	for (unsigned int i = 0; i < blocks * 512; i++)
		assert_int_equal(((uint8_t *)h->data.vaddr)[i], value);
}

static void zeroes(void **state)
{
	struct host *h = *state;
	command cmd = io(VFIO_NVME_WRITE_ZEROES, 1, 1003, 7);

	for (int deallocate = 0; deallocate < 2; deallocate++) {
		fill(h, 1000, 16, 0x55);
		if (deallocate)
			cmd.cdw12 |= htole32(VFIO_NVME_DEALLOCATE);
		assert_int_equal(host_run(h, 1, cmd), 0);
		expect(h, 1000, 3, 0x55);
		expect(h, 1003, 7, 0);
		expect(h, 1010, 6, 0x55);
	}
}

static void compare(void **state)
{
	struct host *h = *state;

	fill(h, 2000, 8, 0x31);
	assert_int_equal(host_io(h, 1, VFIO_NVME_COMPARE, 1, 2000, 8), 0);
	((uint8_t *)h->data.vaddr)[8 * 512 - 1] ^= 1;
	assert_int_equal(host_io(h, 1, VFIO_NVME_COMPARE, 1, 2000, 8),
			 VFIO_NVME_COMPARE_FAILURE);
	assert_int_equal(host_io(h, 1, VFIO_NVME_COMPARE, 1, 2000, 7), 0);
	expect(h, 2000, 8, 0x31);
}

static uint16_t deallocate(struct host *h, const struct vfio_nvme_range *ranges, unsigned int n)
{
	command cmd = {
		.opcode = VFIO_NVME_DATASET_MANAGEMENT, .nsid = htole32(1),
		.prp1 = htole64(iova_of(h, 20)), .cdw10 = htole32(n - 1),
		.cdw11 = htole32(VFIO_NVME_DSM_DEALLOCATE),
	};

	memcpy(page_of(h, 20), ranges, n * sizeof(*ranges));
	return host_run(h, 1, cmd);
}

/* When one range is bad, none is touched. */
static void dataset_management(void **state)
{
	struct host *h = *state;
	struct vfio_nvme_range ranges[3] = {
		{ 0, htole32(2), htole64(3001) }, { 0, 0, htole64(3009) },
		{ 0, htole32(4), htole64(3012) },
	};

	fill(h, 3000, 16, 0x77);
	assert_int_equal(deallocate(h, ranges, 3), 0);
	expect(h, 3000, 1, 0x77);
	expect(h, 3001, 2, 0);
	expect(h, 3003, 9, 0x77);
	expect(h, 3012, 4, 0);
	fill(h, 3000, 16, 0x78);
	ranges[1].blocks = htole32(BLOCKS);
	assert_int_equal(deallocate(h, ranges, 3), VFIO_NVME_LBA_RANGE | DNR);
	expect(h, 3000, 16, 0x78);
}

/* Memory that the controller may only read, or only write. */
static void direction(void **state)
{
	struct host *h = *state;
	command cmd = io(VFIO_NVME_READ, 1, 0, 1);
	struct vfio_dma dma;

	assert_int_equal(vfio_dma_alloc(h->dev, &dma, 1 << 20, VFIO_DMA_READ), 0);
	cmd.prp1 = htole64(dma.iova);
	assert_int_equal(host_run(h, 1, cmd) & ~DNR, VFIO_NVME_DATA_TRANSFER);
	cmd.opcode = VFIO_NVME_WRITE;
	assert_int_equal(host_run(h, 1, cmd), 0);
}

/* Three queues at once, laps of them, answers in whatever order; each command has one. */
static void laps(void **state)
{
	struct host *h = *state;
	unsigned int got = 0;

	host_make_queues(h, 2, 2);
	host_make_queues(h, 3, 5);
	for (unsigned int i = 0; i < 200; i++) {
		for (uint16_t q = 1; q <= 3; q++) {
			command cmd = io(VFIO_NVME_WRITE_ZEROES, 1, i, 1);

			host_submit(h, q, cmd);
		}
		for (uint16_t q = 1; q <= 3; q++) {
			assert_int_equal(host_answer(h, q), 0);
			got++;
		}
	}
	assert_int_equal(got, 600);
	for (uint16_t q = 1; q <= 3; q++)
		assert_true(host_silent(h, q));
}

static int run(const char *name)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(prps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(largest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_prps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sgls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_sgls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(zeroes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(compare, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dataset_management, set_up, tear_down),
		cmocka_unit_test_setup_teardown(direction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(laps, set_up, tear_down),
	};

	snprintf(device, sizeof(device), "nvme,%s,block=512,memory=16M,block=4096,memory=1M,ro,poll=50",
		 name);
	printf("%s\n", device);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	char name[128];
	int fd = mkstemp(path), failed;

	if (fd < 0 || ftruncate(fd, 16 << 20) < 0)
		return 1;
	failed = run("memory=16M");
	snprintf(name, sizeof(name), "io=uring,file=%s", path);
	failed += run(name);
	snprintf(name, sizeof(name), "io=sync,file=%s", path);
	failed += run(name);
	close(fd);
	unlink(path);
	return failed;
}
