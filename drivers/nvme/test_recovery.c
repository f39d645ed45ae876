/* SPDX-License-Identifier: MIT */
/* Controllers that do not answer, fail, or go away; and how they come back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

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

/* Whoever waits for its answer, for ever if need be, looks. */
static void gone_controller_ends_a_wait(void **state)
{
	struct vfio_nvme_done done;
	struct fixture *f = fixture();

	start(f);
	f->fake.gone = true;
	assert_int_equal(put(f, f), 0);
	assert_int_equal(vfio_nvme_wait(f->queue, &done, 1, -1), -ESHUTDOWN);
	assert_int_equal(vfio_nvme_check(f->nvme), -ENODEV);
	assert_int_equal(vfio_nvme_error(f->nvme)->code, VFIO_E_GONE);
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
		cmocka_unit_test(silence_is_a_timeout_and_reset_helps),
		cmocka_unit_test(slow_users_are_not_timed_out),
		cmocka_unit_test(second_reset_forgets_nothing),
		cmocka_unit_test(failed_reset_can_be_repeated),
		cmocka_unit_test(fatal_state_is_seen),
		cmocka_unit_test(gone_controller_is_seen),
		cmocka_unit_test(gone_controller_ends_a_wait),
		cmocka_unit_test(silent_admin_queue_is_a_timeout),
		cmocka_unit_test(undeleted_queue_waits_for_the_reset),
		cmocka_unit_test(admin_arguments_and_statuses),
		cmocka_unit_test(events_are_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
