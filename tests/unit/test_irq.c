/* SPDX-License-Identifier: MIT */
/* Interrupts: what is checked first, and the request to give the device back. */
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

#include "base/fd.h"
#include "irqs.h"

/* ---- what there is, and what is refused --------------------------------------------------- */

static void assert_info(struct fixture *f, uint32_t index, uint32_t count, uint32_t flags)
{
	struct vfio_irq_info info;

	assert_int_equal(function_irq_info(f->fn, index, &info), 0);
	assert_int_equal(info.index, index);
	assert_int_equal(info.count, count);
	assert_int_equal(info.flags, flags);
}

static void row_091_indexes(void **state)
{
	struct fixture *f = *state;
	struct vfio_irq_info info;

	assert_info(f, INTX, 1, 7);
	assert_info(f, MSI, MODEL_MSI_VECTORS, 9);
	assert_info(f, MSIX, MODEL_MSIX_VECTORS, 1);		/* row 94 */
	assert_info(f, REQ, 1, 9);
	/* PCI Express only. The kernel refuses the question (row 92), clients ask it: none. */
	assert_info(f, ERR, 0, 9);
	assert_int_equal(set(f, ERR, NONE | TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(function_irq_info(f->fn, 5, &info), -EINVAL);
	assert_int_equal(function_irq_info(f->fn, UINT32_MAX, &info), -EINVAL);
	assert_int_equal(set(f, 5, NONE | TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(f->fn->err->code, VFIO_E_NO_IRQ);
}

static void row_093_no_pin_no_intx(void **state)
{
	struct vfio_function_description d = model_description;
	struct vfio_irq_info info;
	struct model m;

	d.interrupt_pin = 0;
	d.msi_vectors = d.msix_vectors = 0;
	assert_int_equal(model_new_as(&m, &d, &model_ops, NULL), 0);
	for (uint32_t i = INTX; i <= MSIX; i++) {
		const struct irq_request q = { .flags = NONE | TRIGGER, .index = i };

		assert_int_equal(function_irq_info(m.fn, i, &info), 0);
		assert_int_equal(info.count, 0);
		assert_int_equal(function_set_irqs(m.fn, &q), -EINVAL);	/* row 97 */
	}
	vfio_function_intx(m.fn, true);
	vfio_function_msi(m.fn, 0);
	vfio_function_free(m.fn);
}

static void row_095_data_and_flags(void **state)
{
	struct fixture *f = *state;

	for (uint32_t index = INTX; index <= REQ; index++) {
		assert_int_equal(set(f, index, NONE | BOOL | TRIGGER, 0, 1), -EINVAL);
		assert_int_equal(set(f, index, EVENTFD | BOOL | TRIGGER, 0, 1), -EINVAL);
		assert_int_equal(set(f, index, TRIGGER, 0, 1), -EINVAL);
		assert_int_equal(set(f, index, NONE | TRIGGER | 0x40, 0, 1), -EINVAL);
	}
}

static void row_096_vectors_that_are_not_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, MODEL_MSIX_VECTORS, 0), -EINVAL);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 0, MODEL_MSIX_VECTORS + 1), -EINVAL);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, MODEL_MSIX_VECTORS - 1, 2), -EINVAL);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, UINT32_MAX, 1), -EINVAL);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 1, UINT32_MAX), -EINVAL);
	assert_int_equal(set(f, MSIX, EVENTFD | TRIGGER, 1, UINT32_MAX - 1), -EINVAL);
	assert_int_equal(set(f, INTX, EVENTFD | TRIGGER, 0, 2), -EINVAL);
	assert_int_equal(set(f, REQ, EVENTFD | TRIGGER, 0, 2), -EINVAL);
}

static void row_098_actions(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, INTX, NONE | MASK | UNMASK, 0, 1), -ENOTTY);
	assert_int_equal(set(f, INTX, NONE, 0, 1), -ENOTTY);
	assert_int_equal(f->fn->err->code, VFIO_E_IRQ_FLAGS);
	assert_int_equal(set(f, MSI, NONE | MASK, 0, 1), -ENOTTY);		/* row 99 */
	assert_int_equal(set(f, MSIX, NONE | UNMASK, 0, 1), -ENOTTY);
	assert_int_equal(set(f, REQ, NONE | MASK, 0, 1), -ENOTTY);
}

static void descriptors_are_checked(void **state)
{
	struct fixture *f = *state;
	int closed = dup(0);

	close(closed);
	for (uint32_t index = INTX; index <= REQ; index++) {
		if (index == ERR)
			continue;
		assert_int_equal(set_fd(f, index, closed), -EBADF);
		assert_int_equal(f->fn->err->code, VFIO_E_IRQ_FD);
		assert_int_equal(set_fd(f, index, 0), -EINVAL);
		assert_int_equal(f->fn->err->code, VFIO_E_IRQ_FD);
	}
	assert_int_equal(set_fd(f, INTX, f->fd), 0);		/* nothing was left active */
}

/* ---- REQ ---------------------------------------------------------------------------------- */

static void row_126_the_request_line(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set(f, REQ, NONE | TRIGGER, 0, 1), -EINVAL);
	assert_int_equal(set(f, REQ, NONE | TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set_bool(f, REQ, TRIGGER, 1), 0);		/* row 127 */
	assert_int_equal(set_fd(f, REQ, -2), -EINVAL);			/* row 128 */
	assert_int_equal(set(f, REQ, EVENTFD | TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set(f, REQ, BOOL | TRIGGER, 0, 0), -EINVAL);
	assert_int_equal(set_fd(f, REQ, f->fd), 0);
	assert_int_equal(set(f, REQ, NONE | TRIGGER, 0, 1), 0);
	assert_int_equal(set_bool(f, REQ, TRIGGER, 0), 0);
	assert_int_equal(set_bool(f, REQ, TRIGGER, 1), 0);
	assert_int_equal(fd_take(f->fd), 2);
	assert_int_equal(set(f, REQ, NONE | TRIGGER, 0, 0), 0);
	assert_int_equal(set(f, REQ, NONE | TRIGGER, 0, 1), -EINVAL);
	assert_int_equal(set_fd(f, REQ, f->fd), 0);
	assert_int_equal(set_fd(f, REQ, -1), 0);
	assert_int_equal(set_fd(f, REQ, -1), 0);
	assert_int_equal(set(f, REQ, NONE | TRIGGER, 0, 1), -EINVAL);
}

static void the_request_line_stands_beside_the_others(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_fd(f, MSIX, f->fd), 0);
	assert_int_equal(set_fd(f, REQ, f->fd), 0);
	assert_int_equal(set(f, MSIX, NONE | TRIGGER, 0, 0), 0);
	assert_int_equal(set(f, REQ, NONE | TRIGGER, 0, 1), 0);
	assert_int_equal(fd_take(f->fd), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, irq_set_up, irq_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(row_091_indexes),
		cmocka_unit_test(row_093_no_pin_no_intx),
		TEST(row_095_data_and_flags),
		TEST(row_096_vectors_that_are_not_there),
		TEST(row_098_actions),
		TEST(descriptors_are_checked),
		TEST(row_126_the_request_line),
		TEST(the_request_line_stands_beside_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
