/* SPDX-License-Identifier: MIT */
/* Data pointers, entry by entry, against what 4.3 and 4.4 say; and what does not fit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "private.h"

#define LIMIT (128u << 10)		/* MDTS 5 */

struct fixture {
	struct fake fake;
	struct vfio_nvme *nvme;
	struct vfio_nvme_queue *queue;
	struct vfio_dma data;
};

static struct fixture *start(uint32_t sgls, bool no_sgl)
{
	const struct vfio_nvme_options options = { .size = sizeof(options), .no_sgl = no_sgl };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_init(&f->fake, FAKE_TRAPPED);
	f->fake.id.sgls = htole32(sgls);
	assert_int_equal(vfio_nvme_attach(&f->nvme, fake_open(&f->fake), &options, NULL), 0);
	assert_int_equal(vfio_nvme_queue_new(&f->queue, f->nvme, NULL), 0);
	return f;
}

static void end(struct fixture *f)
{
	vfio_nvme_close(f->nvme);
	free(f);
}

/* The last command that the controller has got; all answers are taken. */
static const struct vfio_nvme_command *ring(struct fixture *f)
{
	struct vfio_nvme_done done[8];

	vfio_nvme_ring(f->queue);
	assert_true(vfio_nvme_poll(f->queue, done, 8) > 0);
	assert_true(f->fake.nseen > 0);
	return &f->fake.seen[(f->fake.nseen - 1) % FAKE_SEEN];
}

static void fetch(struct fixture *f, uint64_t iova, void *to, size_t len)
{
	assert_int_equal(vfio_function_dma_read(f->fake.fn, iova, to, len), 0);
}

/* The pages that a command names by PRPs for len bytes, as a controller reads them. */
static unsigned int read_prps(struct fixture *f, const struct vfio_nvme_command *cmd, size_t len,
			      uint64_t *pages)
{
	uint64_t first = 4096 - le64toh(cmd->prp1) % 4096, list[512];
	size_t rest = len > first ? len - first : 0;
	unsigned int n = 1;

	assert_int_equal(cmd->flags & VFIO_NVME_PSDT_MASK, 0);
	pages[0] = le64toh(cmd->prp1);
	if (rest == 0) {
		assert_int_equal(cmd->prp2, 0);
	} else if (rest <= 4096) {
		pages[n++] = le64toh(cmd->prp2);
	} else {
		unsigned int more = (unsigned int)((rest + 4095) / 4096);

		assert_int_equal(le64toh(cmd->prp2) % 8, 0);
		assert_true(le64toh(cmd->prp2) % 4096 + more * 8 <= 4096);
		fetch(f, le64toh(cmd->prp2), list, more * 8);
		for (unsigned int i = 0; i < more; i++)
			pages[n++] = le64toh(list[i]);
	}
	return n;
}

static void check_prps(struct fixture *f, uint64_t iova, size_t len)
{
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_READ, .cdw10 = 77 };
	uint64_t pages[513];
	unsigned int n, i;

	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, iova, len, NULL), 0);
	n = read_prps(f, ring(f), len, pages);
	assert_int_equal(pages[0], iova);
	for (i = 1; i < n; i++)
		assert_int_equal(pages[i], (iova & ~UINT64_C(4095)) + i * 4096ull);
	assert_int_equal(n, (iova % 4096 + len + 4095) / 4096);
}

static void prps_name_every_page(void **state)
{
	static const uint64_t offsets[] = { 0, 4, 512, 4092 };
	static const size_t lens[] = { 4, 512, 4092, 4096, 4100, 8192, 8196, 12288, 65536, LIMIT };
	struct fixture *f = start(0, false);

	for (unsigned int i = 0; i < 4; i++)
		for (unsigned int j = 0; j < 10; j++)
			check_prps(f, 0x7000000 + offsets[i], lens[j]);
	end(f);
}

/* vfio_nvme_read() has ways of its own. */
static void reads_name_every_page(void **state)
{
	struct fixture *f = start(0, false);
	const struct vfio_nvme_namespace *ns = vfio_nvme_namespace(f->nvme, 1);

	for (uint32_t blocks = 1; blocks <= 32; blocks++)
		for (uint64_t iova = 0x7000000; iova < 0x7001000; iova += 1364) {
			const struct vfio_nvme_command *cmd;
			uint64_t pages[513];
			unsigned int n;

			assert_int_equal(vfio_nvme_read(f->queue, ns, 5, blocks, iova, NULL), 0);
			cmd = ring(f);
			assert_int_equal(cmd->opcode, VFIO_NVME_READ);
			assert_int_equal(le32toh(cmd->nsid), 1);
			assert_int_equal(le32toh(cmd->cdw10), 5);
			assert_int_equal(le32toh(cmd->cdw12), blocks - 1);
			assert_int_equal(cmd->cdw2 | cmd->cdw3 | cmd->mptr | cmd->cdw11 |
					 cmd->cdw13 | cmd->cdw14 | cmd->cdw15, 0);
			n = read_prps(f, cmd, blocks * 4096ull, pages);
			assert_int_equal(n, blocks + (iova % 4096 != 0));
			assert_int_equal(pages[n - 1], (iova & ~UINT64_C(4095)) + (n - 1) * 4096);
		}
	end(f);
}

/* The pages of lists need not lie side by side, nor in this order. */
static void turn_round(struct vfio_nvme_queue *queue)
{
	unsigned int first = NVME_LISTS, last = queue->nparts - 1;

	assert_true(last > first);
	for (; first < last; first++, last--) {
		struct vfio_dma part = queue->parts[first];

		queue->parts[first] = queue->parts[last];
		queue->parts[last] = part;
	}
}

/* Every command id has a list of its own: those of many commands at once do not mix. */
static void check_lists(bool turned)
{
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_WRITE };
	struct fixture *f = start(0, false);
	unsigned int depth = vfio_nvme_queue_depth(f->queue);
	uint64_t pages[513];

	if (turned)
		turn_round(f->queue);
	for (uint64_t i = 0; i < depth; i++)
		assert_int_equal(vfio_nvme_submit(f->queue, &cmd, i << 20 | 16, LIMIT, NULL), 0);
	f->fake.work = fake_hold;
	vfio_nvme_ring(f->queue);
	assert_int_equal(f->fake.nseen, depth);
	for (uint64_t i = 0; i < depth; i++) {
		assert_int_equal(read_prps(f, &f->fake.seen[i], LIMIT, pages), 33);
		for (unsigned int j = 1; j < 33; j++)
			assert_int_equal(pages[j], (i << 20) + j * 4096);
	}
	end(f);
}

static void lists_do_not_mix(void **state)
{
	check_lists(false);
}

static void lists_lie_anywhere(void **state)
{
	check_lists(true);
}

static void sgls_where_they_are_shorter(void **state)
{
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_READ };
	struct fixture *f = start(1, false);
	const struct vfio_nvme_command *got;

	check_prps(f, 0x10000, 8192);
	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, 0x10004, LIMIT, NULL), 0);
	got = ring(f);
	assert_int_equal(got->flags, VFIO_NVME_PSDT_SGL);
	assert_int_equal(le64toh(got->sgl.address), 0x10004);
	assert_int_equal(le32toh(got->sgl.length), LIMIT);
	assert_int_equal(got->sgl.type, VFIO_NVME_SGL_DATA << 4);
	end(f);
	f = start(1, true);
	check_prps(f, 0x10000, LIMIT);
	end(f);
	f = start(3, false);		/* reserved */
	check_prps(f, 0x10000, LIMIT);
	end(f);
}

static const struct vfio_nvme_piece pieces[] = {
	{ 0x10800, 0x800 }, { 0x40000, 0x2000 }, { 0x30000, 0x1000 }, { 0x90000, 0x204 },
};

static void pieces_as_sgls(void **state)
{
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_READ };
	struct fixture *f = start(2, false);
	const struct vfio_nvme_command *got;
	struct vfio_nvme_sgl list[4];

	assert_int_equal(vfio_nvme_submit_pieces(f->queue, &cmd, pieces, 4, NULL), 0);
	got = ring(f);
	assert_int_equal(got->flags, VFIO_NVME_PSDT_SGL);
	assert_int_equal(got->sgl.type, VFIO_NVME_SGL_LAST_SEGMENT << 4);
	assert_int_equal(le32toh(got->sgl.length), sizeof(list));
	fetch(f, le64toh(got->sgl.address), list, sizeof(list));
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(le64toh(list[i].address), pieces[i].iova);
		assert_int_equal(le32toh(list[i].length), pieces[i].len);
		assert_int_equal(list[i].type, VFIO_NVME_SGL_DATA << 4);
	}
	end(f);
}

static void pieces_as_prps(void **state)
{
	static const uint64_t expected[] = { 0x10800, 0x40000, 0x41000, 0x30000, 0x90000 };
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_READ };
	struct fixture *f = start(0, false);
	uint64_t pages[513];

	assert_int_equal(vfio_nvme_submit_pieces(f->queue, &cmd, pieces, 4, NULL), 0);
	assert_int_equal(read_prps(f, ring(f), 0x3a04, pages), 5);
	assert_memory_equal(pages, expected, sizeof(expected));
	end(f);
}

/* As many as there are pages: more descriptors than fit beside each other are PRPs again. */
static void many_pieces_fit(void **state)
{
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_READ };
	struct vfio_nvme_piece many[33];
	uint64_t pages[513];

	for (uint32_t sgls = 0; sgls < 2; sgls++) {
		struct fixture *f = start(sgls, false);

		for (unsigned int i = 0; i < 33; i++)
			many[i] = (struct vfio_nvme_piece){ 0x100000 + i * 0x10000ull, 4096 };
		assert_int_equal(vfio_nvme_submit_pieces(f->queue, &cmd, many, 32, NULL), 0);
		assert_int_equal(read_prps(f, ring(f), LIMIT, pages), 32);
		for (unsigned int i = 0; i < 32; i++)
			assert_int_equal(pages[i], many[i].iova);
		assert_int_equal(vfio_nvme_submit_pieces(f->queue, &cmd, many, 33, NULL), -EINVAL);
		end(f);
	}
}

static void what_does_not_fit_is_refused(void **state)
{
	static const struct vfio_nvme_piece bad[][3] = {
		{ { 0x1000, 0x800 }, { 0x3000, 0x1000 }, { 0x5000, 0x1000 } },	/* ends inside */
		{ { 0x1000, 0x1000 }, { 0x3800, 0x800 }, { 0x5000, 0x1000 } },	/* begins inside */
		{ { 0x1000, 0x1000 }, { 0x3000, 0 }, { 0x5000, 0x1000 } },
		{ { 0x1002, 0xffe }, { 0x3000, 0x1000 }, { 0x5000, 0x1000 } },
		{ { 0x1000, 0x1000 }, { 0x3000, 0x1000 }, { 0x5000, 0x1001 } },
		{ { 0x1000, LIMIT }, { 0x3000, 0x1000 }, { 0x5000, 0x1000 } },
		{ { 0x1000, SIZE_MAX - 0xfff }, { 0x3000, 0x1000 }, { 0x5000, 0x1000 } },
		{ { 0x1000, 0x1000 }, { UINT64_MAX - 0xfff, 0x1000 }, { 0x5000, 0x1000 } },
	};
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_READ };
	struct fixture *f = start(1, false);

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(vfio_nvme_submit_pieces(f->queue, &cmd, bad[i], 3, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, 0x1000, LIMIT + 4, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, 0x1000, 6, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, 0x1001, 4, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, UINT64_MAX - 3, 8, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_queue_busy(f->queue), 0);
	end(f);
}

/* Without data the pointers are the caller's, whatever he means by them. */
static void commands_of_the_callers(void **state)
{
	const struct vfio_nvme_command cmd = {
		.opcode = 0xc1, .flags = VFIO_NVME_PSDT_SGL | 1, .nsid = htole32(9), .cdw2 = 2,
		.cdw3 = 3, .mptr = 4, .prp1 = 5, .prp2 = 6, .cdw10 = 7, .cdw15 = 8, .cid = 0xffff,
	};
	struct fixture *f = start(1, false);
	struct vfio_nvme_command got;

	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, 0, 0, NULL), 0);
	got = *ring(f);
	assert_true(le16toh(got.cid) < vfio_nvme_queue_depth(f->queue));
	got.cid = 0xffff;
	assert_memory_equal(&got, &cmd, sizeof(cmd));
	assert_int_equal(vfio_nvme_submit(f->queue, &cmd, 0x1000, 4096, NULL), 0);
	got = *ring(f);
	assert_int_equal(got.flags, 1);
	assert_int_equal(le64toh(got.prp1), 0x1000);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prps_name_every_page),
		cmocka_unit_test(reads_name_every_page),
		cmocka_unit_test(lists_do_not_mix),
		cmocka_unit_test(lists_lie_anywhere),
		cmocka_unit_test(sgls_where_they_are_shorter),
		cmocka_unit_test(pieces_as_sgls),
		cmocka_unit_test(pieces_as_prps),
		cmocka_unit_test(many_pieces_fit),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(commands_of_the_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
