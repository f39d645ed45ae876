/* SPDX-License-Identifier: MIT */
/* The driver's way through a good controller, and what it says to one that is not. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
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

/* Attach; the queue has so many entries. */
static void start(struct fixture *f, unsigned int entries)
{
	const struct vfio_nvme_queue_options options = {
		.size = sizeof(options), .entries = entries,
	};
	struct vfio_error err;
	int ret = vfio_nvme_attach(&f->nvme, fake_open(&f->fake), NULL, &err);

	if (ret < 0)
		fail_msg("%s", err.what);
	assert_int_equal(vfio_nvme_queue_new(&f->queue, f->nvme, &options), 0);
	f->ns = vfio_nvme_namespace(f->nvme, 1);
	assert_non_null(f->ns);
}

static struct fixture *fixture(enum fake_doorbells doorbells)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_init(&f->fake, doorbells);
	return f;
}

static void end(struct fixture *f)
{
	vfio_nvme_close(f->nvme);
	assert_false(f->fake.overrun);
	free(f);
}

static void read_one(struct fixture *f, uint64_t lba, void *tag)
{
	struct vfio_nvme_done done;

	assert_int_equal(vfio_nvme_read(f->queue, f->ns, lba, 1, 0x1000, tag), 0);
	assert_int_equal(vfio_nvme_wait(f->queue, &done, 1, 5000), 1);
	assert_ptr_equal(done.tag, tag);
	assert_int_equal(done.status, 0);
}

/* ---- the way -------------------------------------------------------------------------------- */

static void goes_by_the_steps(enum fake_doorbells doorbells)
{
	static const uint8_t expected[] = {
		VFIO_NVME_IDENTIFY, VFIO_NVME_IDENTIFY, VFIO_NVME_IDENTIFY,
		VFIO_NVME_SET_FEATURES, VFIO_NVME_DOORBELL_BUFFERS, VFIO_NVME_SET_FEATURES,
		VFIO_NVME_ASYNC_EVENT, VFIO_NVME_ASYNC_EVENT, VFIO_NVME_ASYNC_EVENT,
		VFIO_NVME_CREATE_CQ, VFIO_NVME_CREATE_SQ, VFIO_NVME_DELETE_SQ, VFIO_NVME_DELETE_CQ,
	};
	struct fixture *f = fixture(doorbells);
	unsigned int n = 0;
	struct fake *copy;

	start(f, 16);
	assert_int_equal(f->fake.cc, 0x00460001);
	assert_int_equal(f->fake.aqa, 31 << 16 | 31);
	assert_int_equal(vfio_nvme_queue_id(f->queue), 1);
	assert_int_equal(vfio_nvme_queue_depth(f->queue), 15);
	for (int i = 0; i < 100; i++)
		read_one(f, (uint64_t)i, &f->fake.seen[i]);
	assert_int_equal(f->fake.nseen, 100);
	/* Of 20 entries for answers, four are told at a time, over each end of the queue too. */
	if (doorbells != FAKE_MEMORY)
		assert_int_equal(f->fake.cq_writes, 25);
	assert_int_equal(le64toh(((uint64_t *)&f->fake.seen[99])[5]), 99);
	vfio_nvme_close(f->nvme);
	copy = &f->fake;
	assert_int_equal(copy->shutdowns, 1);
	assert_int_equal(copy->cc & 1, 0);
	for (unsigned int i = 0; i < sizeof(expected); i++) {
		if (expected[i] == VFIO_NVME_DOORBELL_BUFFERS && doorbells != FAKE_SHADOW)
			continue;
		assert_int_equal(copy->admin[n++].opcode, expected[i]);
	}
	assert_int_equal(n, copy->nadmin);
	assert_false(copy->overrun);
	free(f);
}

static void goes_by_the_steps_trapped(void **state)
{
	goes_by_the_steps(FAKE_TRAPPED);
}

static void goes_by_the_steps_memory(void **state)
{
	goes_by_the_steps(FAKE_MEMORY);
}

static void goes_by_the_steps_shadow(void **state)
{
	goes_by_the_steps(FAKE_SHADOW);
}

/* All tags come back, once each, over many laps of queues that are no power of two. */
static void many_laps(enum fake_doorbells doorbells, unsigned int entries)
{
	struct fixture *f = fixture(doorbells);
	struct vfio_nvme_done done[32];
	uintptr_t put = 0, taken = 0;

	start(f, entries);
	while (taken < 5000) {
		unsigned int batch = 1 + put * 7 % (entries + 2);
		int n;

		while (batch-- && vfio_nvme_read(f->queue, f->ns, put % 1000, 1, 0x1000,
						 (void *)put) == 0)
			put++;
		assert_int_equal(vfio_nvme_queue_busy(f->queue), put - taken);
		n = vfio_nvme_wait(f->queue, done, 1 + put % 31, 5000);
		assert_true(n > 0);
		for (int i = 0; i < n; i++)
			assert_int_equal((uintptr_t)done[i].tag, taken++);
	}
	if (doorbells == FAKE_TRAPPED && entries >= 32 && entries < 2048)
		assert_in_range(f->fake.cq_writes, 1, put / (entries / 4) + 1);
	end(f);
}

static void answers_come_back_over_many_laps(void **state)
{
	static const unsigned int entries[] = { 2, 3, 7, 33, 1024, 2048 };

	for (unsigned int i = 0; i < 6; i++)
		for (enum fake_doorbells d = FAKE_TRAPPED; d <= FAKE_SHADOW; d++)
			many_laps(d, entries[i]);
}

static void full_queue_says_so(void **state)
{
	struct fixture *f = fixture(FAKE_TRAPPED);
	struct vfio_nvme_done done[8];

	start(f, 8);
	for (int i = 0; i < 7; i++)
		assert_int_equal(vfio_nvme_read(f->queue, f->ns, 0, 1, 0x1000, NULL), 0);
	assert_int_equal(vfio_nvme_read(f->queue, f->ns, 0, 1, 0x1000, NULL), -EAGAIN);
	assert_int_equal(vfio_nvme_flush(f->queue, f->ns, NULL), -EAGAIN);
	assert_int_equal(f->fake.nseen, 0);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 8), 0);
	vfio_nvme_ring(f->queue);
	assert_int_equal(f->fake.sq_writes, 1);
	vfio_nvme_ring(f->queue);
	assert_int_equal(f->fake.sq_writes, 1);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 3), 3);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 8), 4);
	assert_int_equal(vfio_nvme_poll(f->queue, done, 0), 0);
	assert_int_equal(vfio_nvme_queue_busy(f->queue), 0);
	end(f);
}

static void bounds_are_checked(void **state)
{
	struct fixture *f = fixture(FAKE_TRAPPED);
	struct vfio_nvme_queue *q;

	start(f, 8);
	q = f->queue;
	assert_int_equal(f->ns->max_blocks, 32);
	assert_int_equal(vfio_nvme_read(q, f->ns, 0, 0, 0x1000, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_read(q, f->ns, 1000, 1, 0x1000, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_read(q, f->ns, UINT64_MAX, 1, 0x1000, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_write(q, f->ns, 999, 2, 0x1000, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_write(q, f->ns, 0, 33, 0x1000, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_write(q, f->ns, 0, UINT32_MAX, 0x1000, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_read(q, f->ns, 0, 1, 0x1002, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_read(q, f->ns, 0, 1, UINT64_MAX - 0xfff + 4, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_write_zeroes(q, f->ns, 1, 1000, false, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_write_zeroes(q, f->ns, 0, 0, false, NULL), -EINVAL);
	assert_int_equal(vfio_nvme_queue_busy(q), 0);
	assert_int_equal(vfio_nvme_write(q, f->ns, 968, 32, 0x1000, NULL), 0);
	assert_int_equal(vfio_nvme_write_zeroes(q, f->ns, 0, 1000, true, NULL), 0);
	assert_int_equal(vfio_nvme_flush(q, f->ns, NULL), 0);
	vfio_nvme_ring(q);
	assert_int_equal(f->fake.seen[0].opcode, VFIO_NVME_WRITE);
	assert_int_equal(le32toh(f->fake.seen[0].cdw10), 968);
	assert_int_equal(le32toh(f->fake.seen[0].cdw12), 31);
	assert_int_equal(f->fake.seen[1].opcode, VFIO_NVME_WRITE_ZEROES);
	assert_int_equal(le32toh(f->fake.seen[1].cdw12), 999 | VFIO_NVME_DEALLOCATE);
	assert_int_equal(f->fake.seen[2].opcode, VFIO_NVME_FLUSH);
	assert_int_equal(le32toh(f->fake.seen[2].nsid), 1);
	end(f);
}

/* ---- queues --------------------------------------------------------------------------------- */

static void queues_are_as_many_as_granted(void **state)
{
	struct fixture *f = fixture(FAKE_TRAPPED);
	struct vfio_nvme_queue *more[3], *none;
	struct vfio_nvme_queue_options options = { .size = sizeof(options), .threaded = true };

	start(f, 8);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vfio_nvme_queue_new(&more[i], f->nvme, NULL), 0);
	assert_int_equal(vfio_nvme_queue_depth(more[0]), 255);
	assert_int_equal(vfio_nvme_queue_new(&none, f->nvme, NULL), -ENOSPC);
	assert_null(none);
	vfio_nvme_queue_free(more[1]);
	/* Three vectors: the third queue shares the admin queue's. */
	assert_int_not_equal(vfio_nvme_queue_fd(f->queue), vfio_nvme_queue_fd(more[0]));
	assert_int_equal(f->fake.queues[4].vector, 0);
	assert_int_equal(vfio_nvme_queue_new(&none, f->nvme, &options), -ENOTSUP);
	options = (struct vfio_nvme_queue_options){ .size = sizeof(options), .entries = 2049 };
	assert_int_equal(vfio_nvme_queue_new(&none, f->nvme, &options), -EINVAL);
	options.entries = 1;
	assert_int_equal(vfio_nvme_queue_new(&none, f->nvme, &options), -EINVAL);
	assert_int_equal(vfio_nvme_queue_new(&more[1], f->nvme, NULL), 0);
	assert_int_equal(vfio_nvme_queue_id(more[1]), 3);
	vfio_nvme_queue_free(NULL);
	end(f);
}

static void refused_queue_leaves_nothing(void **state)
{
	struct fixture *f = fixture(FAKE_TRAPPED);
	struct vfio_nvme_queue *none;

	start(f, 8);
	f->fake.refused = VFIO_NVME_CREATE_SQ;
	f->fake.refuse = VFIO_NVME_QUEUE_SIZE_INVALID;
	assert_int_equal(vfio_nvme_queue_new(&none, f->nvme, NULL), -EIO);
	assert_int_equal(vfio_nvme_status(f->nvme), VFIO_NVME_QUEUE_SIZE_INVALID);
	assert_non_null(strstr(vfio_nvme_error(f->nvme)->what,
			       "invalid queue size (status 1/02h)"));
	assert_int_equal(f->fake.admin[f->fake.nadmin - 1].opcode, VFIO_NVME_DELETE_CQ);
	f->fake.refuse = 0;
	assert_int_equal(vfio_nvme_queue_new(&none, f->nvme, NULL), 0);
	assert_int_equal(vfio_nvme_queue_id(none), 2);
	end(f);
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static int timer = -1;

static void timer_fired(struct vfio_function *fn, int fd, void *arg)
{
	struct fake *fake = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) > 0)
		fake_answer(fake, 1, le16toh(fake->seen[fake->nseen - 1].cid), 0, 0);
}

static void answer_later(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	const struct itimerspec when = { .it_value.tv_nsec = 20000000 };

	timerfd_settime(timer, 0, &when, NULL);
}

static void waits(enum fake_doorbells doorbells, unsigned int msix, unsigned int msi,
		  unsigned int intx)
{
	struct fixture *f = fixture(doorbells);

	f->fake.msix = msix;
	f->fake.msi = msi;
	f->fake.intx = intx;
	f->fake.work = answer_later;
	start(f, 8);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	assert_int_equal(vfio_function_watch(f->fake.fn, timer, timer_fired, &f->fake), 0);
	assert_int_equal(vfio_nvme_queue_fd(f->queue) >= 0, msix || msi || intx);
	for (int i = 0; i < 3; i++)
		read_one(f, 0, f);
	f->fake.work = fake_hold;
	assert_int_equal(vfio_nvme_read(f->queue, f->ns, 0, 1, 0x1000, NULL), 0);
	assert_int_equal(vfio_nvme_wait(f->queue, &(struct vfio_nvme_done){ 0 }, 1, 30), 0);
	assert_int_equal(vfio_nvme_wait(f->queue, &(struct vfio_nvme_done){ 0 }, 1, 0), 0);
	/* Before it sleeps it has told what it took: else INTx would go on. */
	fake_work(&f->fake);
	assert_int_equal(f->fake.queues[1].cq_head, f->fake.queues[1].cq_tail);
	vfio_function_watch(f->fake.fn, timer, NULL, NULL);
	close(timer);
	end(f);
}

static void waits_for_interrupts_of_each_kind(void **state)
{
	for (enum fake_doorbells d = FAKE_TRAPPED; d <= FAKE_SHADOW; d++) {
		waits(d, 3, 0, 0);
		waits(d, 1, 0, 0);
		waits(d, 0, 2, 0);
		waits(d, 0, 0, 1);
		waits(d, 0, 0, 0);
	}
}

/* ---- threads -------------------------------------------------------------------------------- */

struct thread {
	struct vfio_nvme_queue *queue;
	const struct vfio_nvme_namespace *ns;
	int done;			/* 1: all well, -1: not */
};

static void *read_many(void *arg)
{
	struct thread *t = arg;
	struct vfio_nvme_done done;

	for (uintptr_t i = 0; i < 300; i++) {
		if (vfio_nvme_read(t->queue, t->ns, i, 1, 0x1000, (void *)i) < 0 ||
		    vfio_nvme_wait(t->queue, &done, 1, 20000) != 1 || done.tag != (void *)i) {
			__atomic_store_n(&t->done, -1, __ATOMIC_RELEASE);
			return NULL;
		}
	}
	__atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void threads_use_queues_of_their_own(void **state)
{
	const struct vfio_nvme_queue_options options = {
		.size = sizeof(options), .threaded = true,
	};
	struct fixture *f = fixture(FAKE_MEMORY);
	struct thread threads[3] = { { .queue = NULL } };
	pthread_t ids[3];

	start(f, 8);
	f->fake.mapped = (const uint32_t *)f->nvme->doorbells;
	for (int i = 0; i < 3; i++) {
		threads[i].ns = f->ns;
		assert_int_equal(vfio_nvme_queue_new(&threads[i].queue, f->nvme, &options), 0);
		assert_int_equal(pthread_create(&ids[i], NULL, read_many, &threads[i]), 0);
	}
	/* The first two have a vector each, the admin queue has the third. */
	assert_int_equal(vfio_nvme_queue_fd(threads[2].queue), -1);
	for (int i = 0; i < 3; i++) {
		while (!__atomic_load_n(&threads[i].done, __ATOMIC_ACQUIRE)) {
			assert_int_equal(vfio_dispatch(vfio_nvme_device(f->nvme)), 0);
			assert_int_equal(vfio_nvme_check(f->nvme), 0);
		}
		pthread_join(ids[i], NULL);
		assert_int_equal(threads[i].done, 1);
	}
	end(f);
}

/* ---- doorbell buffers ----------------------------------------------------------------------- */

static void doorbells_are_rung_when_asked_for(void **state)
{
	struct fixture *f = fixture(FAKE_SHADOW);
	struct vfio_nvme_done done;
	uint32_t *event;

	start(f, 16);
	event = (uint32_t *)f->nvme->event.vaddr + 2;
	read_one(f, 0, NULL);
	assert_int_equal(f->fake.sq_writes, 1);
	*event = htole32(9);		/* awake: it need not be told before the tenth */
	for (int i = 1; i < 9; i++) {
		assert_int_equal(vfio_nvme_read(f->queue, f->ns, 0, 1, 0x1000, NULL), 0);
		vfio_nvme_ring(f->queue);
		assert_int_equal(f->fake.sq_writes, 1);
	}
	fake_work(&f->fake);
	assert_int_equal(f->fake.nseen, 9);
	while (vfio_nvme_poll(f->queue, &done, 1) > 0)
		;
	*event = htole32(9);
	assert_int_equal(vfio_nvme_read(f->queue, f->ns, 0, 1, 0x1000, NULL), 0);
	vfio_nvme_ring(f->queue);
	assert_int_equal(f->fake.sq_writes, 2);
	end(f);
}

static void step_is_asked_for_or_not(void **state)
{
	for (uint32_t entries = 2; entries < 12; entries++)
		for (uint32_t old = 0; old < entries; old++)
			for (uint32_t steps = 1; steps < entries; steps++)
				for (uint32_t event = 0; event < entries; event++) {
					uint32_t to = (old + steps) % entries;
					uint32_t distance = (event + entries - old) % entries;

					assert_int_equal(nvme_need_event(event, to, old),
							 distance < steps);
				}
}

static void doorbell_buffers_can_be_refused(void **state)
{
	struct fixture *f = fixture(FAKE_SHADOW);

	f->fake.refused = VFIO_NVME_DOORBELL_BUFFERS;
	f->fake.refuse = VFIO_NVME_INVALID_OPCODE;
	start(f, 8);
	read_one(f, 0, NULL);
	assert_int_equal(f->fake.sq_writes, 1);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_by_the_steps_trapped),
		cmocka_unit_test(goes_by_the_steps_memory),
		cmocka_unit_test(goes_by_the_steps_shadow),
		cmocka_unit_test(answers_come_back_over_many_laps),
		cmocka_unit_test(full_queue_says_so),
		cmocka_unit_test(bounds_are_checked),
		cmocka_unit_test(queues_are_as_many_as_granted),
		cmocka_unit_test(refused_queue_leaves_nothing),
		cmocka_unit_test(waits_for_interrupts_of_each_kind),
		cmocka_unit_test(threads_use_queues_of_their_own),
		cmocka_unit_test(doorbells_are_rung_when_asked_for),
		cmocka_unit_test(step_is_asked_for_or_not),
		cmocka_unit_test(doorbell_buffers_can_be_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
