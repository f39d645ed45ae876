/* SPDX-License-Identifier: MIT */
/* Message-signalled interrupts: MSI, which cannot grow, and MSI-X, which can. */
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
#include "function/function.h"
#include "model.h"

#define MSI  VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX

#define NONE    (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER)
#define BOOL    (VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER)
#define EVENTFD (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

struct fixture {
	struct model model;
	struct vfio_function *fn;
	int fds[8];
};

static void config(struct fixture *f, unsigned int at, uint16_t value)
{
	uint8_t bytes[2];

	le16_put(bytes, value);
	assert_int_equal(function_config_write(f->fn, at, bytes, 2), 2);
}

static void command(struct fixture *f, uint16_t value)
{
	config(f, PCI_COMMAND, value | PCI_COMMAND_MEMORY);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || model_new(&f->model, NULL) < 0)
		return -1;
	f->fn = f->model.fn;
	for (int i = 0; i < 8; i++)
		f->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	command(f, PCI_COMMAND_MASTER);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vfio_function_free(f->fn);
	fd_close_all(f->fds, 8);
	free(f);
	return 0;
}

/* fds[0] to fds[count - 1] for the vectors from start on. */
static int assign(struct fixture *f, uint32_t index, uint32_t start, uint32_t count, const int *fds)
{
	const struct irq_request q = {
		.flags = EVENTFD, .index = index, .start = start, .count = count, .fds = fds,
	};

	return function_set_irqs(f->fn, &q);
}

static int enable(struct fixture *f, uint32_t index, uint32_t count)
{
	return assign(f, index, 0, count, f->fds);
}

static int none(struct fixture *f, uint32_t index, uint32_t start, uint32_t count)
{
	const struct irq_request q = {
		.flags = NONE, .index = index, .start = start, .count = count,
	};

	return function_set_irqs(f->fn, &q);
}

/* Bit i of the result: descriptor i was signalled, once. */
static unsigned int signalled(struct fixture *f)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < 8; i++)
		mask |= fd_take(f->fds[i]) == 1 ? 1u << i : 0;
	return mask;
}

/* The same after each vector was raised once. */
static unsigned int delivered(struct fixture *f)
{
	for (unsigned int i = 0; i < 8; i++)
		vfio_function_msi(f->fn, i);
	return signalled(f);
}

static bool is_enabled(struct fixture *f, uint32_t index)
{
	uint8_t bytes[2], at = index == MSI ? f->fn->layout.msi : f->fn->layout.msix;

	assert_int_equal(function_config_read(f->fn, at + 2, bytes, 2), 2);
	return le16_get(bytes) & (index == MSI ? PCI_MSI_FLAGS_ENABLE : PCI_MSIX_FLAGS_ENABLE);
}

/* ---- enabling ----------------------------------------------------------------------------- */

static void row_115_enabling(void **state)
{
	struct fixture *f = *state;

	for (uint32_t index = MSI; index <= MSIX; index++) {
		assert_int_equal(delivered(f), 0);
		assert_int_equal(enable(f, index, 3), 0);
		assert_true(is_enabled(f, index));
		assert_int_equal(delivered(f), 7);
		assert_int_equal(none(f, index, 0, 0), 0);		/* row 124 */
		assert_false(is_enabled(f, index));
		assert_int_equal(delivered(f), 0);
	}
}

static void row_116_none_at_all(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSI, 0), -ERANGE);
	assert_int_equal(enable(f, MSIX, 0), -ERANGE);
	assert_int_equal(enable(f, MSIX, 1), 0);
	assert_int_equal(enable(f, MSIX, 0), 0);	/* active: nothing to do */
	assert_int_equal(delivered(f), 1);
}

/* The kernel asks MSI for its power state first, and MSI-X for the number. */
static void none_at_all_in_d3(void **state)
{
	struct fixture *f = *state;

	config(f, f->fn->layout.pm + PCI_PM_CTRL, 3);
	assert_int_equal(enable(f, MSI, 0), -EINVAL);
	assert_int_equal(enable(f, MSIX, 0), -ERANGE);
	assert_int_equal(enable(f, MSIX, 1), -EINVAL);
}

static void vectors_before_start_exist_too(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(assign(f, MSI, 2, 0, NULL), 0);
	assert_true(is_enabled(f, MSI));
	assert_int_equal(delivered(f), 0);
	assert_int_equal(assign(f, MSI, 0, 2, f->fds), 0);
	assert_int_equal(signalled(f), 3);	/* what was raised before had waited */
	assert_int_equal(delivered(f), 3);
}

static void one_kind_at_a_time(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSI, 1), 0);
	assert_int_equal(enable(f, MSIX, 1), -EINVAL);
	assert_int_equal(enable(f, VFIO_PCI_INTX_IRQ_INDEX, 1), -EINVAL);
	assert_int_equal(none(f, MSIX, 0, 0), -EINVAL);
	assert_int_equal(none(f, VFIO_PCI_INTX_IRQ_INDEX, 0, 1), -EINVAL);
	assert_int_equal(f->fn->err->code, VFIO_E_IRQ_STATE);
	assert_int_equal(delivered(f), 1);
}

static void a_bad_descriptor_enables_nothing(void **state)
{
	struct fixture *f = *state;
	const int fds[3] = { f->fds[0], f->fds[1], 0 };

	assert_int_equal(assign(f, MSIX, 0, 3, fds), -EINVAL);
	assert_false(is_enabled(f, MSIX));
	assert_int_equal(delivered(f), 0);
	assert_int_equal(enable(f, MSI, 1), 0);
}

/* ---- changing ----------------------------------------------------------------------------- */

static void row_118_msi_cannot_grow(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSI, 2), 0);
	assert_int_equal(assign(f, MSI, 3, 1, f->fds + 3), -EINVAL);
	assert_int_equal(delivered(f), 3);
	/* In ascending order up to the one that fails: vector 1 loses what it had. */
	assert_int_equal(assign(f, MSI, 1, 2, f->fds + 1), -EINVAL);
	assert_int_equal(delivered(f), 1);
}

static void row_119_msix_can_grow(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSIX, 2), 0);
	assert_int_equal(assign(f, MSIX, 6, 2, f->fds + 6), 0);
	assert_int_equal(delivered(f), 0xc3);
	assert_int_equal(assign(f, MSIX, 3, 1, f->fds + 3), 0);
	assert_int_equal(signalled(f), 0x08);
	assert_int_equal(delivered(f), 0xcb);
}

static void row_120_a_bad_descriptor_unassigns(void **state)
{
	struct fixture *f = *state;
	const int fds[3] = { f->fds[0], -1, 1 << 20 };	/* the last is not open */

	assert_int_equal(enable(f, MSIX, 5), 0);
	assert_int_equal(assign(f, MSIX, 0, 3, fds), -EBADF);
	assert_int_equal(delivered(f), 0x18);
	assert_true(is_enabled(f, MSIX));
}

static void any_negative_descriptor_means_none(void **state)
{
	struct fixture *f = *state;
	const int fds[2] = { -1, -77 };

	assert_int_equal(enable(f, MSIX, 3), 0);
	assert_int_equal(assign(f, MSIX, 0, 2, fds), 0);
	assert_int_equal(delivered(f), 4);
}

/* ---- triggering --------------------------------------------------------------------------- */

static void row_121_loopback_skips_what_has_none(void **state)
{
	struct fixture *f = *state;
	const int fds[3] = { f->fds[0], -1, f->fds[2] };

	assert_int_equal(assign(f, MSIX, 0, 3, fds), 0);
	assert_int_equal(none(f, MSIX, 0, MODEL_MSIX_VECTORS), 0);
	assert_int_equal(fd_take(f->fds[0]), 1);
	assert_int_equal(fd_take(f->fds[2]), 1);
}

static void row_122_loopback_by_booleans(void **state)
{
	static const uint8_t bools[3] = { 1, 0, 1 };
	const struct irq_request q = {
		.flags = BOOL, .index = MSIX, .start = 1, .count = 3, .bools = bools,
	};
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSIX, 8), 0);
	assert_int_equal(function_set_irqs(f->fn, &q), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(fd_take(f->fds[i]), i == 1 || i == 3);
}

static void row_123_loopback_of_what_is_not_active(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(none(f, MSIX, 0, 1), -EINVAL);
	assert_int_equal(none(f, MSIX, 0, 0), -EINVAL);
	assert_int_equal(none(f, MSI, 0, 1), -EINVAL);
}

static void row_125_the_device_keeps_a_copy(void **state)
{
	struct fixture *f = *state;
	int mine = dup(f->fds[0]);

	assert_int_equal(assign(f, MSIX, 0, 1, &mine), 0);
	close(mine);
	assert_int_equal(delivered(f), 1);
}

static void row_130_vectors_outlive_a_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSIX, 2), 0);
	assert_int_equal(function_reset(f->fn), 0);
	assert_true(is_enabled(f, MSIX));
	assert_int_equal(delivered(f), 3);
}

/* ---- the model's side --------------------------------------------------------------------- */

/* A message is a write to memory (PCI 3.0, 6.2.2): no bus mastering, no message. */
static void messages_need_bus_mastering_and_power(void **state)
{
	struct fixture *f = *state;
	uint8_t pm = f->fn->layout.pm + PCI_PM_CTRL;

	assert_int_equal(enable(f, MSIX, 1), 0);
	command(f, 0);
	assert_int_equal(delivered(f), 0);
	command(f, PCI_COMMAND_MASTER);
	assert_int_equal(signalled(f), 1);
	assert_int_equal(delivered(f), 1);
	config(f, pm, 3);
	assert_int_equal(delivered(f), 0);
	config(f, pm, 0);
	assert_int_equal(signalled(f), 1);
	assert_int_equal(delivered(f), 1);
}

static void msi_obeys_its_enable_bit(void **state)
{
	struct fixture *f = *state;
	uint8_t at = f->fn->layout.msi + PCI_MSI_FLAGS;

	assert_int_equal(enable(f, MSI, 1), 0);
	config(f, at, 0);
	assert_int_equal(delivered(f), 0);
	config(f, at, PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(signalled(f), 1);
	assert_int_equal(delivered(f), 1);
}

/* As the first version of the library had it: what cannot be delivered is lost. */
static void behaviour_1_loses_messages(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(function_policy_set(f->fn, "behaviour", "1"), 0);
	assert_int_equal(enable(f, MSIX, 1), 0);
	command(f, 0);
	assert_int_equal(delivered(f), 0);
	command(f, PCI_COMMAND_MASTER);
	assert_int_equal(signalled(f), 0);
	assert_int_equal(delivered(f), 1);
}

/* A message that waited is delivered once, and not to the next user. */
static void waiting_messages_end_with_the_index(void **state)
{
	struct fixture *f = *state;
	const int late[1] = { f->fds[0] };

	assert_int_equal(assign(f, MSIX, 2, 0, NULL), 0);
	vfio_function_msi(f->fn, 0);
	assert_int_equal(none(f, MSIX, 0, 0), 0);
	assert_int_equal(assign(f, MSIX, 0, 1, late), 0);
	assert_int_equal(signalled(f), 0);
	command(f, 0);
	vfio_function_msi(f->fn, 0);
	assert_int_equal(function_reset(f->fn), 0);
	command(f, PCI_COMMAND_MASTER);
	assert_int_equal(signalled(f), 0);
}

static void vectors_that_are_not_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSIX, 8), 0);
	vfio_function_msi(f->fn, 8);
	vfio_function_msi(f->fn, UINT32_MAX);
	assert_int_equal(delivered(f), 0xff);
}

static void messages_add_up(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(enable(f, MSI, 1), 0);
	for (int i = 0; i < 1000; i++)
		vfio_function_msi(f->fn, 0);
	assert_int_equal(fd_take(f->fds[0]), 1000);
}

/* ---- as many as there can be -------------------------------------------------------------- */

#define LAST (MSIX_MAX - 1)

static void the_last_of_2048_vectors(void **state)
{
	struct fixture *f = *state;
	struct vfio_function_description d = model_description;
	struct fixture wide = { .fds = { [0] = f->fds[0] } };
	uint8_t bytes[8];

	d.msix_vectors = MSIX_MAX;
	d.msix_table = 0x4000;
	d.msix_pba = 0x3000;
	assert_int_equal(model_new_as(&wide.model, &d, &model_ops, NULL), 0);
	wide.fn = wide.model.fn;
	command(&wide, PCI_COMMAND_MASTER);
	assert_int_equal(assign(&wide, MSIX, LAST, 0, NULL), 0);
	vfio_function_msi(wide.fn, LAST);
	assert_int_equal(function_read(wide.fn, 0, 0x3000 + (LAST / 64) * 8, bytes, 8), 8);
	assert_int_equal(bytes[7], 0x80);
	assert_int_equal(assign(&wide, MSIX, LAST + 1, 1, f->fds), -EINVAL);
	assert_int_equal(assign(&wide, MSIX, LAST, 1, f->fds), 0);
	assert_int_equal(fd_take(f->fds[0]), 1);
	vfio_function_msi(wide.fn, LAST - 1);
	assert_int_equal(fd_take(f->fds[0]), 0);
	vfio_function_msi(wide.fn, LAST);
	assert_int_equal(fd_take(f->fds[0]), 1);
	vfio_function_free(wide.fn);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(row_115_enabling),
		TEST(row_116_none_at_all),
		TEST(none_at_all_in_d3),
		TEST(vectors_before_start_exist_too),
		TEST(one_kind_at_a_time),
		TEST(a_bad_descriptor_enables_nothing),
		TEST(row_118_msi_cannot_grow),
		TEST(row_119_msix_can_grow),
		TEST(row_120_a_bad_descriptor_unassigns),
		TEST(any_negative_descriptor_means_none),
		TEST(row_121_loopback_skips_what_has_none),
		TEST(row_122_loopback_by_booleans),
		TEST(row_123_loopback_of_what_is_not_active),
		TEST(row_125_the_device_keeps_a_copy),
		TEST(row_130_vectors_outlive_a_reset),
		TEST(messages_need_bus_mastering_and_power),
		TEST(msi_obeys_its_enable_bit),
		TEST(behaviour_1_loses_messages),
		TEST(waiting_messages_end_with_the_index),
		TEST(vectors_that_are_not_there),
		TEST(messages_add_up),
		TEST(the_last_of_2048_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
