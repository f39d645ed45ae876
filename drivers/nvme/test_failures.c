/* SPDX-License-Identifier: MIT */
/* Controllers that are not what they should be, do not answer, lie, fail, or go away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake.h"
#include "private.h"

struct fixture {
	struct fake fake;
	struct vfio_nvme *nvme;
	struct vfio_nvme_queue *queue;
	const struct vfio_nvme_namespace *ns;
};

static struct fixture *fixture(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_init(&f->fake, FAKE_TRAPPED);
	return f;
}

static void start(struct fixture *f)
{
	const struct vfio_nvme_options options = { .size = sizeof(options), .timeout_ms = 100 };
	struct vfio_error err;
	int ret = vfio_nvme_attach(&f->nvme, fake_open(&f->fake), &options, &err);

	if (ret < 0)
		fail_msg("%s", err.what);
	assert_int_equal(vfio_nvme_queue_new(&f->queue, f->nvme, NULL), 0);
	f->ns = vfio_nvme_next_namespace(f->nvme, 0);
}

static void end(struct fixture *f)
{
	vfio_nvme_close(f->nvme);
	free(f);
}

static int put(struct fixture *f, void *tag)
{
	int ret = vfio_nvme_read(f->queue, f->ns, 0, 1, 0x1000, tag);

	vfio_nvme_ring(f->queue);
	return ret;
}

static void works(struct fixture *f)
{
	struct vfio_nvme_done done;

	f->fake.work = NULL;
	assert_int_equal(put(f, f), 0);
	assert_int_equal(vfio_nvme_wait(f->queue, &done, 1, 5000), 1);
	assert_ptr_equal(done.tag, f);
	assert_int_equal(done.status, 0);
}

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

/* ---- time-outs and reset -------------------------------------------------------------------- */

/* What vfio_nvme_check() says when it first says something. */
static int check_until(struct fixture *f)
{
	for (int i = 0; i < 10000; i++) {
		int ret = vfio_nvme_check(f->nvme);

		if (ret < 0)
			return ret;
		usleep(1000);
	}
	return 0;
}

static void silence_is_a_timeout_and_reset_helps(void **state)
{
	struct fixture *f = fixture();
	struct vfio_nvme_queue *second;
	struct vfio_nvme_done done[4];
	int tags[3];

	start(f);
	assert_int_equal(vfio_nvme_queue_new(&second, f->nvme, NULL), 0);
	works(f);
	assert_int_equal(vfio_nvme_check(f->nvme), 0);
	f->fake.work = fake_hold;
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(f, &tags[i]), 0);
	assert_int_equal(check_until(f), -ETIMEDOUT);
	assert_int_equal(vfio_nvme_error(f->nvme)->err, ETIMEDOUT);
	assert_int_equal(vfio_nvme_check(f->nvme), -ETIMEDOUT);
	assert_int_equal(put(f, f), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_flush(second, f->ns, NULL), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 4), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_admin(f->nvme, &(struct vfio_nvme_command){ 0 }, NULL, 0, false,
					 NULL), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_queue_new(&second, f->nvme, NULL), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	assert_int_equal(f->fake.enables, 2);
	assert_int_equal(vfio_nvme_queue_busy(f->queue), 3);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 2), 2);
	assert_int_equal(vfio_nvme_poll(f->queue, done + 2, 2), 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(done[i].status, VFIO_NVME_ABORT_REQUESTED);
		assert_in_range((uintptr_t)done[i].tag, (uintptr_t)tags, (uintptr_t)(tags + 2));
	}
	assert_int_equal(vfio_nvme_queue_busy(f->queue), 0);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 4), 0);
	for (int i = 0; i < 1000; i++)
		works(f);
	assert_int_equal(vfio_nvme_check(f->nvme), 0);
	end(f);
}

/* An answer that nobody has taken is none that is missing; and new commands are not old ones. */
static void slow_users_are_not_timed_out(void **state)
{
	struct fixture *f = fixture();
	struct vfio_nvme_done done;

	start(f);
	assert_int_equal(put(f, f), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(vfio_nvme_check(f->nvme), 0);
		usleep(1000);
	}
	assert_int_equal(vfio_nvme_poll(f->queue, &done, 1), 1);
	for (int i = 0; i < 300; i++) {
		works(f);
		assert_int_equal(vfio_nvme_check(f->nvme), 0);
		usleep(1000);
	}
	end(f);
}

static void second_reset_forgets_nothing(void **state)
{
	struct fixture *f = fixture();
	struct vfio_nvme_done done[300];
	int n = 0;

	start(f);
	f->fake.work = fake_hold;
	for (uintptr_t i = 0; i < 5; i++)
		assert_int_equal(put(f, (void *)i), 0);
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	while (put(f, (void *)77) == 0)
		n++;
	assert_int_equal(n, 250);
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	assert_int_equal(put(f, NULL), -EAGAIN);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 300), 255);
	works(f);
	end(f);
}

static void failed_reset_can_be_repeated(void **state)
{
	struct fixture *f = fixture();
	struct vfio_nvme_done done;
	unsigned int resets;

	start(f);
	f->fake.work = fake_hold;
	assert_int_equal(put(f, &f->fake), 0);
	f->fake.fatal = true;
	assert_int_equal(vfio_nvme_reset(f->nvme), -ENODEV);
	assert_int_equal(put(f, f), -ESHUTDOWN);
	f->fake.fatal = false;
	/* Less is granted than before, but there is one queue only. */
	f->fake.granted = 0;
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	assert_int_equal(vfio_nvme_poll(f->queue, &done, 1), 1);
	assert_ptr_equal(done.tag, &f->fake);
	works(f);
	/* It does not even stop: the function is reset. */
	f->fake.stuck = true;
	resets = f->fake.resets;
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	assert_int_equal(f->fake.resets, resets + 1);
	works(f);
	end(f);
}

/* ---- failures ------------------------------------------------------------------------------- */

static void fatal_state_is_seen(void **state)
{
	struct fixture *f = fixture();

	start(f);
	f->fake.csts |= VFIO_NVME_PUT(1u, CSTS_CFS);
	assert_int_equal(vfio_nvme_check(f->nvme), -EIO);
	assert_int_equal(put(f, f), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	works(f);
	f->fake.csts = 0;
	assert_int_equal(vfio_nvme_check(f->nvme), -EIO);
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	works(f);
	end(f);
}

static void gone_controller_is_seen(void **state)
{
	struct vfio_nvme_registers registers;
	struct fixture *f = fixture();

	start(f);
	f->fake.gone = true;
	vfio_nvme_registers(f->nvme, &registers);
	assert_int_equal(registers.cap, UINT64_MAX);
	assert_int_equal(registers.csts, UINT32_MAX);
	assert_int_equal(vfio_nvme_check(f->nvme), -ENODEV);
	assert_int_equal(vfio_nvme_check(f->nvme), -ENODEV);
	assert_int_equal(put(f, f), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_wait(f->queue, &(struct vfio_nvme_done){ 0 }, 1, -1),
			 -ESHUTDOWN);
	assert_int_equal(vfio_nvme_reset(f->nvme), -ENODEV);
	vfio_nvme_queue_free(f->queue);
	end(f);
}

static void silent_admin_queue_is_a_timeout(void **state)
{
	uint32_t data[16];
	struct fixture *f = fixture();

	start(f);
	f->fake.deaf = true;
	assert_int_equal(vfio_nvme_log(f->nvme, VFIO_NVME_LOG_SMART, 1, data, 64), -ETIMEDOUT);
	assert_int_equal(vfio_nvme_log(f->nvme, VFIO_NVME_LOG_SMART, 1, data, 64), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_error(f->nvme)->code, VFIO_E_TIMEOUT);
	assert_int_equal(put(f, f), -ESHUTDOWN);
	f->fake.deaf = false;
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	assert_int_equal(vfio_nvme_log(f->nvme, VFIO_NVME_LOG_SMART, 1, data, 64), 0);
	works(f);
	end(f);
}

/* A queue whose deletion is not confirmed keeps its memory until the controller has stopped. */
static void undeleted_queue_waits_for_the_reset(void **state)
{
	struct fixture *f = fixture();
	struct vfio_nvme_queue *second;

	start(f);
	assert_int_equal(vfio_nvme_queue_new(&second, f->nvme, NULL), 0);
	f->fake.deaf = true;
	vfio_nvme_queue_free(second);
	assert_int_equal(vfio_nvme_check(f->nvme), -ETIMEDOUT);
	assert_ptr_equal(f->nvme->queues[1], second);
	f->fake.deaf = false;
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	assert_null(f->nvme->queues[1]);
	works(f);
	end(f);
}

static void admin_arguments_and_statuses(void **state)
{
	struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_GET_LOG_PAGE };
	struct fixture *f = fixture();
	static uint8_t data[VFIO_NVME_ADMIN_DATA + 4];

	start(f);
	assert_int_equal(vfio_nvme_admin(f->nvme, &cmd, data, sizeof(data), false, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_admin(f->nvme, &cmd, data, 6, false, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_admin(f->nvme, &cmd, NULL, 8, false, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_log(f->nvme, 2, 1, data, 0), -EINVAL);
	f->fake.refuse = VFIO_NVME_LOG_PAGE_INVALID | VFIO_NVME_STATUS_DNR;
	f->fake.refused = VFIO_NVME_GET_LOG_PAGE;
	memset(data, 0x5a, 8);
	assert_int_equal(vfio_nvme_log(f->nvme, 0x77, 1, data, 8), -EIO);
	assert_int_equal(vfio_nvme_status(f->nvme), f->fake.refuse);
	assert_int_equal(vfio_nvme_error(f->nvme)->code, VFIO_E_COMMAND);
	assert_int_equal(data[7], 0x5a);
	f->fake.refuse = 0;
	assert_int_equal(vfio_nvme_log(f->nvme, 2, 1, data, 8), 0);
	assert_int_equal(data[7], 0);
	assert_int_equal(vfio_nvme_status(f->nvme), 0);
	cmd = f->fake.admin[f->fake.nadmin - 1];
	assert_int_equal(le32toh(cmd.cdw10), 1 << 16 | 2);
	assert_int_equal(vfio_nvme_admin(f->nvme, &cmd, data, VFIO_NVME_ADMIN_DATA, true, NULL), 0);
	end(f);
}

static void events_are_told_once(void **state)
{
	struct fixture *f = fixture();
	uint32_t event = 0;

	start(f);
	assert_int_equal(f->fake.nevents, 3);
	assert_int_equal(vfio_nvme_event(f->nvme, &event), 0);
	fake_answer(&f->fake, 0, f->fake.events[1], 0, 0x020100);
	fake_answer(&f->fake, 0, f->fake.events[0], VFIO_NVME_EVENT_LIMIT, 0);
	assert_int_equal(vfio_nvme_event(f->nvme, &event), 1);
	assert_int_equal(event, 0x020100);
	assert_int_equal(f->fake.nevents, 4);
	assert_int_equal(vfio_nvme_event(f->nvme, &event), 0);
	/* One that is told in the middle of a command, and not lost by a reset. */
	fake_answer(&f->fake, 0, f->fake.events[3], 0, 7);
	assert_int_equal(vfio_nvme_log(f->nvme, 2, 1, &event, 4), 0);
	assert_int_equal(vfio_nvme_reset(f->nvme), 0);
	assert_int_equal(f->fake.nevents, 2);
	assert_int_equal(vfio_nvme_event(f->nvme, &event), 1);
	assert_int_equal(event, 7);
	assert_int_equal(f->fake.nevents, 3);
	assert_int_equal(vfio_nvme_event(f->nvme, &event), 0);
	works(f);
	/* One that is answered twice. */
	fake_answer(&f->fake, 0, f->fake.events[0], 0, 1);
	fake_answer(&f->fake, 0, f->fake.events[0], 0, 1);
	assert_int_equal(vfio_nvme_event(f->nvme, &event), -EPROTO);
	assert_int_equal(vfio_nvme_event(f->nvme, &event), -ESHUTDOWN);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_flaw_is_refused),
		cmocka_unit_test(unusable_blocks_are_none),
		cmocka_unit_test(namespaces_are_found),
		cmocka_unit_test(without_a_list_each_number_is_tried),
		cmocka_unit_test(without_namespaces_it_opens),
		cmocka_unit_test(transfer_limit_is_obeyed),
		cmocka_unit_test(answers_that_nobody_asked_break_the_queue),
		cmocka_unit_test(stale_phase_is_no_answer),
		cmocka_unit_test(statuses_come_through),
		cmocka_unit_test(nonsense_gives_no_tag_twice),
		cmocka_unit_test(random_identities_are_survived),
		cmocka_unit_test(silence_is_a_timeout_and_reset_helps),
		cmocka_unit_test(slow_users_are_not_timed_out),
		cmocka_unit_test(second_reset_forgets_nothing),
		cmocka_unit_test(failed_reset_can_be_repeated),
		cmocka_unit_test(fatal_state_is_seen),
		cmocka_unit_test(gone_controller_is_seen),
		cmocka_unit_test(silent_admin_queue_is_a_timeout),
		cmocka_unit_test(undeleted_queue_waits_for_the_reset),
		cmocka_unit_test(admin_arguments_and_statuses),
		cmocka_unit_test(events_are_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
