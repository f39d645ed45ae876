/* SPDX-License-Identifier: MIT */
/* INTx: a level that signals once, and is then masked until somebody re-arms it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/fd.h"
#include "irqs.h"

static void command(struct fixture *f, uint16_t value)
{
	uint8_t bytes[2];

	le16_put(bytes, value | PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	assert_int_equal(function_config_write(f->fn, PCI_COMMAND, bytes, 2), 2);
}

static bool status_asserted(struct fixture *f)
{
	uint8_t bytes[2];

	assert_int_equal(function_config_read(f->fn, PCI_STATUS, bytes, 2), 2);
	return le16_get(bytes) & PCI_STATUS_INTERRUPT;
}

static void row_101_intx_signals(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(fd_take(f->fd), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 1);
	assert_true(status_asserted(f));
	vfio_function_intx(f->fn, false);			/* row 102: once until unmasked */
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 0);
	vfio_function_intx(f->fn, false);
	assert_false(status_asserted(f));
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1), 0);
	assert_int_equal(fd_take(f->fd), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 1);
}

static void row_103_still_asserted_signals_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 1);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1), 0);
	assert_int_equal(fd_take(f->fd), 1);
	assert_int_equal(set_bool(f, INTX, UNMASK, 0), 0);
	assert_int_equal(fd_take(f->fd), 0);
	assert_int_equal(set_bool(f, INTX, UNMASK, 1), 0);
	assert_int_equal(fd_take(f->fd), 1);
}

static void asserted_before_it_is_enabled(void **state)
{
	struct fixture *f = *state;

	vfio_function_intx(f->fn, true);
	assert_true(status_asserted(f));
	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(fd_take(f->fd), 1);
}

static void row_104_loopback(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 1), 0);
	assert_int_equal(set_bool(f, INTX, TRIGGER, 0), 0);
	assert_int_equal(set_bool(f, INTX, TRIGGER, 7), 0);
	assert_int_equal(fd_take(f->fd), 2);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), 0);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 1), 0);	/* a mask is no matter */
	assert_int_equal(fd_take(f->fd), 1);
	command(f, PCI_COMMAND_INTX_DISABLE);				/* row 105 */
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 1), 0);
	assert_int_equal(fd_take(f->fd), 0);
}

static void a_mask_holds(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(set_bool(f, INTX, MASK, 0), 0);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), 0);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 0);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1), 0);
	assert_int_equal(fd_take(f->fd), 1);
}

static void row_106_intx_that_is_not_active(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), -EINVAL);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1), -EINVAL);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 1), -EINVAL);
	assert_int_equal(f->fn->err->code, VFIO_E_IRQ_STATE);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 0), -EINVAL);	/* row 113 */
	assert_int_equal(set(f, INTX, BOOL | TRIGGER, 0, 1), -EINVAL);
}

static void row_107_no_mask_by_eventfd(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(set(f, INTX, EVENTFD | MASK, 0, 1), -ENOTTY);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 0), -EINVAL);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 0), -EINVAL);
}

/* Each signal of the driver's eventfd re-arms INTx, even if it came before the hand-over. */
static void row_108_unmask_by_eventfd(void **state)
{
	struct fixture *f = *state;
	int unmask = eventfd(1, EFD_NONBLOCK), other = eventfd(0, EFD_NONBLOCK);
	struct irq_request q = {
		.flags = EVENTFD | UNMASK, .index = INTX, .count = 1, .fds = &unmask,
	};

	assert_int_equal(function_set_irqs(f->fn, &q), -EINVAL);	/* not active */
	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 1);
	assert_int_equal(function_set_irqs(f->fn, &q), 0);
	assert_int_equal(fd_take(f->fd), 1);
	assert_true(function_poll_fd(f->fn) >= 0);
	function_dispatch(f->fn);
	assert_int_equal(fd_take(f->fd), 0);
	fd_signal(unmask);
	function_dispatch(f->fn);
	assert_int_equal(fd_take(f->fd), 1);
	q.fds = &other;
	assert_int_equal(function_set_irqs(f->fn, &q), -EBUSY);
	close(unmask);
	close(other);
}

static void row_109_no_unmask_by_eventfd_any_more(void **state)
{
	struct fixture *f = *state;
	int fd = -1;
	struct irq_request q = {
		.flags = EVENTFD | UNMASK, .index = INTX, .count = 1, .fds = &fd,
	};

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(function_set_irqs(f->fn, &q), 0);	/* there was none */
	fd = f->fd;
	assert_int_equal(function_set_irqs(f->fn, &q), 0);
	fd = -1;
	assert_int_equal(function_set_irqs(f->fn, &q), 0);
	assert_int_equal(f->fn->irq.unmask, -1);
	fd = 0;
	assert_int_equal(function_set_irqs(f->fn, &q), -EINVAL);
	fd = f->fd;
	assert_int_equal(function_set_irqs(f->fn, &q), 0);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 0), 0);	/* goes with INTx */
	assert_int_equal(f->fn->irq.unmask, -1);
}

static void row_110_intx_without_an_eventfd(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(set_fd(f, INTX, -1), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 0);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), 0);		/* active all the same */
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 0, 1), -EINVAL);	/* row 111 */
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, 1), -EINVAL);
	assert_int_equal(f->fn->err->code, VFIO_E_IRQ_STATE);
}

static void row_112_teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set(f, INTX, BOOL | TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set(f, INTX, NONE | TRIGGER, 0, 0), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 0);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), -EINVAL);
	assert_int_equal(set(f, MSI, EVENTFD | TRIGGER, 0, 1), 0);
}

static void row_114_the_disable_bit_masks_and_unmasks(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), 0);
	command(f, PCI_COMMAND_INTX_DISABLE);
	vfio_function_intx(f->fn, true);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1), 0);	/* dropped */
	assert_int_equal(fd_take(f->fd), 0);
	command(f, 0);
	assert_int_equal(fd_take(f->fd), 1);
}

static void disabled_before_it_is_enabled(void **state)
{
	struct fixture *f = *state;

	command(f, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 0);
	command(f, 0);
	assert_int_equal(fd_take(f->fd), 1);
}

/* Only a change of the disable bit masks or unmasks: other bits of Command are set at any time. */
static void other_command_bits_do_not_unmask(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 1);
	command(f, PCI_COMMAND_MASTER);
	assert_int_equal(fd_take(f->fd), 0);
	vfio_function_intx(f->fn, false);
	assert_int_equal(set(f, INTX, NONE | UNMASK, 0, 1), 0);
	assert_int_equal(set(f, INTX, NONE | MASK, 0, 1), 0);
	command(f, 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 0);
}

static void another_eventfd_takes_over(void **state)
{
	struct fixture *f = *state;
	int other = eventfd(0, EFD_NONBLOCK);

	assert_int_equal(set_fd(f, INTX, f->fd), 0);
	assert_int_equal(set_fd(f, INTX, other), 0);
	vfio_function_intx(f->fn, true);
	assert_int_equal(fd_take(f->fd), 0);
	assert_int_equal(fd_take(other), 1);
	close(other);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, irq_set_up, irq_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(row_101_intx_signals),
		TEST(row_103_still_asserted_signals_again),
		TEST(asserted_before_it_is_enabled),
		TEST(row_104_loopback),
		TEST(a_mask_holds),
		TEST(row_106_intx_that_is_not_active),
		TEST(row_107_no_mask_by_eventfd),
		TEST(row_108_unmask_by_eventfd),
		TEST(row_109_no_unmask_by_eventfd_any_more),
		TEST(row_110_intx_without_an_eventfd),
		TEST(row_112_teardown),
		TEST(row_114_the_disable_bit_masks_and_unmasks),
		TEST(disabled_before_it_is_enabled),
		TEST(other_command_bits_do_not_unmask),
		TEST(another_eventfd_takes_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
