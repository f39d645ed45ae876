/* SPDX-License-Identifier: MIT */
/* Controllers that are not what they should be, or lie. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

/* ---- no controller -------------------------------------------------------------------------- */

static void wrong_class(struct fake *fake) { fake->class_code = 0x010801; }
static void no_entries(struct fake *fake) { fake->cap &= ~UINT64_C(0xffff); }
static void no_nvm(struct fake *fake) { fake->cap &= ~VFIO_NVME_PUT(1ull, CAP_CSS); }
static void large_pages(struct fake *fake) { fake->cap |= VFIO_NVME_PUT(1ull, CAP_MPSMIN); }
static void all_ones(struct fake *fake) { fake->gone = true; }
static void never_ready(struct fake *fake) { fake->never_ready = true; }
static void fatal(struct fake *fake) { fake->fatal = true; }
static void never_off(struct fake *fake) { fake->cc = fake->csts = 1; fake->stuck = true; }
static void wide_entries(struct fake *fake) { fake->id.sqes = 0x77; }
static void descending(struct fake *fake) { fake->id.nn = 9; fake->active[0] = 0xdead; }

static void repeated(struct fake *fake)
{
	fake->id.nn = htole32(UINT32_MAX);
	fake->active[0] = fake->active[1] = 0xdead;
}

static void each_flaw_is_refused(void **state)
{
	static const struct {
		void (*flaw)(struct fake *fake);
		const char *says;
	} flaws[] = {
		{ wrong_class, "class 010801" }, { no_entries, "MQES" }, { no_nvm, "CSS" },
		{ large_pages, "MPSMIN" }, { all_ones, "all ones" }, { never_ready, "enabling" },
		{ fatal, "fatal" }, { never_off, "disabling" }, { wide_entries, "SQES" },
		{ descending, "list of namespaces" }, { repeated, "list of namespaces" },
	};

	for (unsigned int i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++) {
		struct fixture *f = fixture();
		struct vfio_error err = { .err = 0 };
		struct vfio_dma_info map;
		struct vfio_dev *dev;
		uint64_t cursor = 0;

		if (flaws[i].flaw == wrong_class)
			flaws[i].flaw(&f->fake);
		dev = fake_open(&f->fake);	/* which resets it */
		flaws[i].flaw(&f->fake);
		assert_int_equal(vfio_nvme_attach(&f->nvme, dev, NULL, &err), -ENODEV);
		assert_null(f->nvme);
		assert_int_equal(err.err, ENODEV);
		if (!strstr(err.what, flaws[i].says))
			fail_msg("'%s' does not say '%s'", err.what, flaws[i].says);
		/* The handle is ours still, and the memory was given back. */
		f->fake.gone = f->fake.stuck = false;
		assert_int_equal(vfio_read32(dev, NVME_BAR, VFIO_NVME_VS), VFIO_NVME_VERSION_1_4);
		assert_int_equal(vfio_dma_next(dev, &cursor, &map), 0);
		vfio_close(dev);
		free(f);
	}
	assert_true(vfio_nvme_open(&(struct vfio_nvme *){ 0 }, "./no-such.so", NULL, NULL) < 0);
	vfio_nvme_close(NULL);
}

/* ---- namespaces ----------------------------------------------------------------------------- */

static void unusable_blocks_are_none(void **state)
{
	static const struct {
		unsigned int lbads, ms;
		uint64_t nsze;
		unsigned int shift;		/* 0: cannot be used */
	} cases[] = {
		{ 9, 0, 77, 9 }, { 16, 0, 77, 16 }, { 8, 0, 77, 0 }, { 17, 0, 77, 0 },
		{ 255, 0, 77, 0 }, { 12, 8, 77, 0 }, { 12, 0, UINT64_MAX, 0 },
		{ 12, 0, INT64_MAX >> 12, 12 }, { 9, 0, 1, 9 },
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f = fixture();

		f->fake.ns.flbas = 3;
		f->fake.ns.lbaf[3].lbads = (uint8_t)cases[i].lbads;
		f->fake.ns.lbaf[3].ms = htole16((uint16_t)cases[i].ms);
		f->fake.ns.nsze = htole64(cases[i].nsze);
		start(f);
		assert_non_null(f->ns);
		assert_int_equal(f->ns->block_shift, cases[i].shift);
		assert_int_equal(f->ns->blocks, cases[i].shift ? cases[i].nsze : 0);
		assert_int_equal(put(f, f), cases[i].shift ? 0 : -EINVAL);
		assert_int_equal(vfio_nvme_read(f->queue, f->ns, f->ns->blocks, 1, 0x1000, NULL),
				 -EINVAL);
		assert_int_equal(vfio_nvme_write_zeroes(f->queue, f->ns, 0, 1, false, NULL),
				 cases[i].shift ? 0 : -EINVAL);
		end(f);
	}
}

static void namespaces_are_found(void **state)
{
	struct fixture *f = fixture();
	unsigned int n = 0;

	f->fake.id.nn = htole32(UINT32_MAX);
	for (uint32_t i = 0; i < 2000; i++)
		f->fake.active[i] = 3 * i + 2;
	start(f);
	for (const struct vfio_nvme_namespace *ns = f->ns; ns;
	     ns = vfio_nvme_next_namespace(f->nvme, ns->nsid)) {
		assert_int_equal(ns->nsid, 3 * n++ + 2);
		assert_ptr_equal(vfio_nvme_namespace(f->nvme, ns->nsid), ns);
		assert_null(vfio_nvme_namespace(f->nvme, ns->nsid + 1));
	}
	assert_int_equal(n, 1024);
	end(f);
}

static void without_a_list_each_number_is_tried(void **state)
{
	struct fixture *f = fixture();

	f->fake.no_list = true;
	f->fake.id.nn = htole32(5);
	start(f);
	assert_non_null(vfio_nvme_namespace(f->nvme, 5));
	assert_null(vfio_nvme_next_namespace(f->nvme, 5));
	end(f);
}

static void without_namespaces_it_opens(void **state)
{
	struct fixture *f = fixture();

	f->fake.active[0] = 0;
	start(f);
	assert_null(f->ns);
	assert_null(vfio_nvme_namespace(f->nvme, 1));
	end(f);
}

/* The list names ever more that are none: there are not asked 2^32 questions. */
static void namespaces_that_are_none_come_to_an_end(void **state)
{
	struct fixture *f = fixture();

	f->fake.id.nn = htole32(UINT32_MAX);
	f->fake.ns.nsze = 0;
	for (uint32_t i = 0; i < 2048; i++)
		f->fake.active[i] = i + 1;
	start(f);
	assert_null(f->ns);
	assert_in_range(f->fake.nadmin, 1024, 1024 + 50);
	end(f);
}

static void transfer_limit_is_obeyed(void **state)
{
	static const uint8_t mdts[] = { 0, 1, 5, 8, 9, 255 };
	static const uint32_t blocks[] = { 512, 2, 32, 256, 512, 512 };

	for (unsigned int i = 0; i < 6; i++) {
		struct fixture *f = fixture();

		f->fake.id.mdts = mdts[i];
		start(f);
		assert_int_equal(f->ns->max_blocks, blocks[i]);
		end(f);
	}
}

/* ---- lies ----------------------------------------------------------------------------------- */

static void wrong_id(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	fake_answer(fake, id, (uint16_t)(le16toh(cmd->cid) + 1), 0, 0);
}

static void far_id(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	fake_answer(fake, id, 0xffff, 0, 0);
}

static void first_id_behind(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	fake_answer(fake, id, 255, 0, 0);
}

static void twice(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	fake_answer(fake, id, le16toh(cmd->cid), 0, 0);
	fake_answer(fake, id, le16toh(cmd->cid), 0, 0);
}

static void answers_that_nobody_asked_break_the_queue(void **state)
{
	static void (*const lies[])(struct fake *fake, unsigned int id,
				    const struct vfio_nvme_command *cmd) = {
		wrong_id, far_id, first_id_behind, twice,
	};

	for (unsigned int i = 0; i < 4; i++) {
		struct fixture *f = fixture();
		struct vfio_nvme_done done[4];

		start(f);
		f->fake.work = lies[i];
		assert_int_equal(put(f, &f->fake), 0);
		if (lies[i] == twice)
			assert_int_equal(vfio_nvme_poll(f->queue, done, 4), 1);
		assert_int_equal(vfio_nvme_poll(f->queue, done, 4), -EPROTO);
		assert_int_equal(vfio_nvme_wait(f->queue, done, 4, -1), -EPROTO);
		assert_int_equal(put(f, f), -ESHUTDOWN);
		assert_int_equal(vfio_nvme_check(f->nvme), -EPROTO);
		assert_int_equal(vfio_nvme_reset(f->nvme), 0);
		if (lies[i] != twice) {
			assert_int_equal(vfio_nvme_poll(f->queue, done, 4), 1);
			assert_ptr_equal(done[0].tag, &f->fake);
			assert_int_equal(done[0].status, VFIO_NVME_ABORT_REQUESTED);
		}
		works(f);
		end(f);
	}
}

/* What has not the phase of this lap is not there, whatever else it says. */
static void stale_phase_is_no_answer(void **state)
{
	struct fixture *f = fixture();
	struct vfio_nvme_done done;
	uint32_t nonsense[4] = { 1, 2, 3, 0xfffe0000 };

	start(f);
	f->fake.work = fake_hold;
	assert_int_equal(put(f, f), 0);
	vfio_function_dma_write(f->fake.fn, f->fake.queues[1].cq, nonsense, sizeof(nonsense));
	assert_int_equal(vfio_nvme_poll(f->queue, &done, 1), 0);
	fake_answer(&f->fake, 1, le16toh(f->fake.seen[0].cid), 0, 0xabcd);
	assert_int_equal(vfio_nvme_poll(f->queue, &done, 1), 1);
	assert_int_equal(done.result, 0xabcd);
	end(f);
}

static void media_error(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	fake_answer(fake, id, le16toh(cmd->cid), VFIO_NVME_READ_ERROR | VFIO_NVME_STATUS_DNR, 5);
}

static void statuses_come_through(void **state)
{
	struct fixture *f = fixture();
	struct vfio_nvme_done done;

	start(f);
	f->fake.work = media_error;
	assert_int_equal(put(f, f), 0);
	assert_int_equal(vfio_nvme_poll(f->queue, &done, 1), 1);
	assert_int_equal(done.status, VFIO_NVME_READ_ERROR | VFIO_NVME_STATUS_DNR);
	assert_string_equal(vfio_nvme_status_text(done.status), "unrecovered read error");
	assert_string_equal(vfio_nvme_status_text(0x142), "status 1/42");
	assert_string_equal(vfio_nvme_status_text(0), "success");
	works(f);
	end(f);
}

/* ---- nonsense ------------------------------------------------------------------------------- */

static uint32_t random_number(void)
{
	static uint32_t state = 2463534242;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Answers of any id and status, at any place of the queue, and some that are right. */
static void nonsense(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	struct fake_queue *q = &fake->queues[id];
	uint32_t garbage[4] = { random_number(), random_number(), random_number(), random_number() };
	uint16_t cid = random_number() % 8 ? le16toh(cmd->cid) : (uint16_t)(random_number() % 300);

	if (random_number() % 16 == 0)
		vfio_function_dma_write(fake->fn, q->cq + random_number() % q->cq_entries * 16,
					garbage, sizeof(garbage));
	if (random_number() % 4)
		fake_answer(fake, id, cid, (uint16_t)(random_number() & 0x7fff), garbage[0]);
}

/* Whatever is answered: each tag comes back at most once, and after a reset each one has. */
static void nonsense_gives_no_tag_twice(void **state)
{
	static uint8_t times[30000];
	struct fixture *f = fixture();
	struct vfio_nvme_done done[40];
	unsigned int put_so_far = 0, taken = 0;

	start(f);
	f->fake.work = nonsense;
	while (put_so_far < 30000) {
		int n;

		while (put_so_far < 30000 && random_number() % 8 &&
		       put(f, &times[put_so_far]) == 0)
			put_so_far++;
		n = vfio_nvme_poll(f->queue, done, 1 + random_number() % 40);
		for (int i = 0; i < n; i++) {
			assert_in_range((uintptr_t)done[i].tag, (uintptr_t)times,
					(uintptr_t)(times + put_so_far - 1));
			assert_int_equal(++*(uint8_t *)done[i].tag, 1);
			taken++;
		}
		assert_int_equal(vfio_nvme_queue_busy(f->queue), put_so_far - taken);
		if (n == -EPROTO || n == -ESHUTDOWN ||
		    vfio_nvme_queue_busy(f->queue) == vfio_nvme_queue_depth(f->queue))
			assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	}
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	for (int n; (n = vfio_nvme_poll(f->queue, done, 40)) > 0;)
		taken += (unsigned int)n;
	assert_int_equal(taken, put_so_far);
	works(f);
	end(f);
}

/* Identify of random bytes: it opens or says why not, and what it then says of blocks holds. */
static void random_identities_are_survived(void **state)
{
	unsigned int opened = 0;

	for (unsigned int i = 0; i < 300; i++) {
		struct fixture *f = fixture();
		struct vfio_dev *dev = fake_open(&f->fake);
		uint32_t *id = (uint32_t *)&f->fake.id, *ns = (uint32_t *)&f->fake.ns;
		struct vfio_error err = { .err = 0 };

		for (unsigned int j = 0; j < 1024; j++) {
			id[j] = random_number();
			ns[j] = random_number();
		}
		if (i % 8) {
			f->fake.id.sqes = 0x66;
			f->fake.id.cqes = 0x44;
		}
		f->fake.id.nn = htole32(1 + random_number() % 3);
		f->fake.granted = random_number();
		f->fake.ns.lbaf[f->fake.ns.flbas & 0xf].ms &= htole16(i % 2);
		f->fake.ns.lbaf[f->fake.ns.flbas & 0xf].lbads %= 20;
		f->fake.ns.nsze >>= random_number() % 64;
		if (vfio_nvme_attach(&f->nvme, dev, NULL, &err) < 0) {
			assert_int_not_equal(err.err, 0);
			vfio_close(dev);
			free(f);
			continue;
		}
		opened++;
		f->ns = vfio_nvme_next_namespace(f->nvme, 0);
		if (f->ns && f->ns->blocks) {
			assert_in_range(f->ns->max_blocks, 1, f->ns->blocks);
			assert_true((uint64_t)f->ns->max_blocks << f->ns->block_shift <= 2u << 20);
			assert_true(f->ns->page_blocks <= f->ns->max_blocks);
			assert_int_equal(f->ns->page_last, f->ns->blocks - f->ns->page_blocks);
		}
		end(f);
	}
	assert_true(opened > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_flaw_is_refused),
		cmocka_unit_test(unusable_blocks_are_none),
		cmocka_unit_test(namespaces_are_found),
		cmocka_unit_test(without_a_list_each_number_is_tried),
		cmocka_unit_test(without_namespaces_it_opens),
		cmocka_unit_test(namespaces_that_are_none_come_to_an_end),
		cmocka_unit_test(transfer_limit_is_obeyed),
		cmocka_unit_test(answers_that_nobody_asked_break_the_queue),
		cmocka_unit_test(stale_phase_is_no_answer),
		cmocka_unit_test(statuses_come_through),
		cmocka_unit_test(nonsense_gives_no_tag_twice),
		cmocka_unit_test(random_identities_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
