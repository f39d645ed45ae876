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
#include "function/function.h"
#include "model.h"

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI  VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define ERR  VFIO_PCI_ERR_IRQ_INDEX
#define REQ  VFIO_PCI_REQ_IRQ_INDEX

#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK    VFIO_IRQ_SET_ACTION_MASK
#define UNMASK  VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

struct fixture {
	struct model model;
	struct vfio_function *fn;
	int fd;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || model_new(&f->model, NULL) < 0)
		return -1;
	f->fn = f->model.fn;
	f->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vfio_function_free(f->fn);
	close(f->fd);
	free(f);
	return 0;
}

static int set(struct fixture *f, uint32_t index, uint32_t flags, uint32_t start, uint32_t count)
{
	const uint8_t ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	const int fds[8] = { f->fd, f->fd, f->fd, f->fd, f->fd, f->fd, f->fd, f->fd };
	const struct irq_request q = {
		.flags = flags, .index = index, .start = start, .count = count,
		.bools = ones, .fds = fds,
	};

	return function_set_irqs(f->fn, &q);
}

static int set_fd(struct fixture *f, uint32_t index, int fd)
{
	const struct irq_request q = {
		.flags = EVENTFD | TRIGGER, .index = index, .count = 1, .fds = &fd,
	};

	return function_set_irqs(f->fn, &q);
}

static int set_bool(struct fixture *f, uint32_t index, uint32_t action, uint8_t value)
{
	const struct irq_request q = {
		.flags = BOOL | action, .index = index, .count = 1, .bools = &value,
	};

	return function_set_irqs(f->fn, &q);
}

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
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
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
