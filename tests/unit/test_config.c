/* SPDX-License-Identifier: MIT */
/* Configuration space, row by row of what VFIO promises. */
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
#include "function/function.h"
#include "model.h"

static int set_up(void **state)
{
	struct model *m = calloc(1, sizeof(*m));

	*state = m;
	return m ? model_new(m, NULL) : -1;
}

static int tear_down(void **state)
{
	struct model *m = *state;

	vfio_function_free(m->fn);
	free(m);
	return 0;
}

static struct vfio_function *function_of(void **state)
{
	return ((struct model *)*state)->fn;
}

static void put(struct vfio_function *fn, unsigned int at, uint32_t value, unsigned int width)
{
	uint8_t bytes[4];

	le_put(bytes, width, value);
	assert_int_equal(function_config_write(fn, at, bytes, width), width);
}

static uint32_t get(struct vfio_function *fn, unsigned int at, unsigned int width)
{
	uint8_t bytes[4];

	assert_int_equal(function_config_read(fn, at, bytes, width), width);
	return le_get(bytes, width);
}

/* ---- accesses ----------------------------------------------------------------------------- */

static void row_001_past_the_end(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t buf[8];

	memset(buf, 0x55, sizeof(buf));
	assert_int_equal(function_config_read(fn, CONFIG_SIZE, buf, 1), -EFAULT);
	assert_int_equal(function_config_read(fn, CONFIG_SIZE - 4, buf, 8), -EFAULT);
	assert_int_equal(function_config_read(fn, UINT64_MAX, buf, 1), -EFAULT);
	assert_int_equal(function_config_read(fn, 0, buf, SIZE_MAX), -EFAULT);
	assert_int_equal(buf[0], 0x55);
	assert_int_equal(function_config_write(fn, CONFIG_SIZE, buf, 1), -EFAULT);
	assert_int_equal(function_config_write(fn, CONFIG_SIZE - 1, buf, 2), -EFAULT);
	assert_int_equal(fn->err->code, VFIO_E_RANGE);
}

static void row_003_nothing_is_read_anywhere(void **state)
{
	struct vfio_function *fn = function_of(state);

	assert_int_equal(function_config_read(fn, 0, NULL, 0), 0);
	assert_int_equal(function_config_read(fn, UINT64_MAX, NULL, 0), 0);
	assert_int_equal(function_config_write(fn, 999, NULL, 0), 0);
}

static void row_004_any_length_and_alignment(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t all[CONFIG_SIZE], some[16];

	assert_int_equal(function_config_read(fn, 0, all, CONFIG_SIZE), CONFIG_SIZE);
	for (unsigned int at = 0; at < 0x90; at++) {
		for (unsigned int len = 1; len < sizeof(some); len++) {
			assert_int_equal(function_config_read(fn, at, some, len), len);
			assert_memory_equal(some, all + at, len);
		}
	}
}

static void row_006_identity_is_read_only(void **state)
{
	struct vfio_function *fn = function_of(state);

	put(fn, PCI_VENDOR_ID, 0xffff, 2);
	put(fn, PCI_CLASS_REVISION, 0xffffffff, 4);
	put(fn, PCI_SUBSYSTEM_VENDOR_ID, 0xffffffff, 4);
	assert_int_equal(get(fn, PCI_VENDOR_ID, 2), model_description.vendor);
	assert_int_equal(get(fn, PCI_DEVICE_ID, 2), model_description.device);
	assert_int_equal(get(fn, PCI_CLASS_REVISION, 4), 0x05800003);
	assert_int_equal(get(fn, PCI_SUBSYSTEM_VENDOR_ID, 2), model_description.subsystem_vendor);
	assert_int_equal(get(fn, PCI_SUBSYSTEM_ID, 2), model_description.subsystem);
	assert_int_equal(get(fn, PCI_HEADER_TYPE, 1), 0);
}

static void row_008_interrupt_line(void **state)
{
	struct vfio_function *fn = function_of(state);

	put(fn, PCI_INTERRUPT_LINE, 0x5a, 1);
	assert_int_equal(get(fn, PCI_INTERRUPT_LINE, 1), 0x5a);
	put(fn, PCI_INTERRUPT_PIN, 0, 1);			/* row 9 */
	assert_int_equal(get(fn, PCI_INTERRUPT_PIN, 1), 1);
}

/* ---- BARs --------------------------------------------------------------------------------- */

static void size_all(struct vfio_function *fn)
{
	for (unsigned int at = PCI_BASE_ADDRESS_0; at <= PCI_BASE_ADDRESS_5; at += 4)
		put(fn, at, 0xffffffff, 4);
	put(fn, PCI_ROM_ADDRESS, 0xffffffff, 4);
}

static void row_010_bar_sizing(void **state)
{
	struct vfio_function *fn = function_of(state);

	size_all(fn);
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_0, 4), 0xffff0000);
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_2, 4), 0xffff000c);	/* row 11 */
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_3, 4), 0xffffffff);
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_1, 4), 0);		/* row 12 */
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_5, 4), 0);
	assert_int_equal(get(fn, PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_4, 4), 0xffffffe1);	/* row 13 */
}

static void row_011_bars_of_every_size(void **state)
{
	for (unsigned int bits = 4; bits <= 40; bits++) {
		struct vfio_function_description d = {
			.size = sizeof(d), .bars[0] = { 1ull << bits, VFIO_BAR_MEM64, 0, NULL },
		};
		const uint64_t mask = ~((1ull << bits) - 1);
		struct model m;

		assert_int_equal(model_new_as(&m, &d, &model_ops, NULL), 0);
		size_all(m.fn);
		assert_int_equal(get(m.fn, PCI_BASE_ADDRESS_0, 4), (uint32_t)mask | 4);
		assert_int_equal(get(m.fn, PCI_BASE_ADDRESS_1, 4), mask >> 32);
		vfio_function_free(m.fn);
	}
}

static void row_014_a_byte_of_a_bar(void **state)
{
	struct vfio_function *fn = function_of(state);

	put(fn, PCI_BASE_ADDRESS_0, 0xfebf0000, 4);
	put(fn, PCI_BASE_ADDRESS_0 + 3, 0x12, 1);
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_0, 4), 0x12bf0000);
	put(fn, PCI_BASE_ADDRESS_0, 0xff, 1);
	assert_int_equal(get(fn, PCI_BASE_ADDRESS_0, 4), 0x12bf0000);
}

static void row_016_bars_do_not_move_regions(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t id[4];

	put(fn, PCI_BASE_ADDRESS_0, 0xfebf0000, 4);
	assert_int_equal(function_read(fn, 0, MODEL_ID, id, 4), 4);
	assert_int_equal(le32_get(id), MODEL_ID_VALUE);
}

/* ---- command and status ------------------------------------------------------------------- */

static void row_017_command_after_open(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint16_t command = get(fn, PCI_COMMAND, 2);

	assert_false(command & PCI_COMMAND_MASTER);
	assert_true(command & PCI_COMMAND_MEMORY);			/* row 19 */
	assert_true(command & PCI_COMMAND_IO);
	put(fn, PCI_COMMAND, command | PCI_COMMAND_MASTER, 2);		/* row 18 */
	assert_true(get(fn, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	put(fn, PCI_COMMAND, command, 2);
	assert_false(get(fn, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
}

static void row_020_intx_disable_reads_back(void **state)
{
	struct vfio_function *fn = function_of(state);

	put(fn, PCI_COMMAND + 1, PCI_COMMAND_INTX_DISABLE >> 8, 1);
	assert_true(get(fn, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	put(fn, PCI_COMMAND, 0, 2);
	assert_false(get(fn, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
}

/*
 * Row 22 says that the kernel drops such a write. PCI says that it clears (3.0, 6.2.3), and so does
 * ours, by choice: libvfio(7), "Differences".
 */
static void not_row_022_status_bits_are_cleared_by_ones(void **state)
{
	struct vfio_function *fn = function_of(state);
	const uint16_t error = PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_DETECTED_PARITY;

	fn->registers.value[PCI_STATUS + 1] |= error >> 8;
	put(fn, PCI_STATUS, 0, 2);
	assert_int_equal(get(fn, PCI_STATUS, 2) & error, error);
	put(fn, PCI_STATUS, PCI_STATUS_REC_MASTER_ABORT, 2);
	assert_int_equal(get(fn, PCI_STATUS, 2) & error, PCI_STATUS_DETECTED_PARITY);
}

static void row_023_capability_bit(void **state)
{
	struct vfio_function *fn = function_of(state);

	assert_true(get(fn, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	put(fn, PCI_CAPABILITY_LIST, 0xff, 1);
	assert_int_equal(get(fn, PCI_CAPABILITY_LIST, 1), 0x40);
}

static void row_024_memory_off(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t buf[4] = { 0 };

	put(fn, PCI_COMMAND, PCI_COMMAND_IO, 2);
	for (unsigned int bar = 0; bar <= 2; bar += 2) {
		assert_int_equal(function_read(fn, bar, 0, buf, 4), -EIO);
		assert_int_equal(function_write(fn, bar, 0x1000, buf, 4), -EIO);
	}
	assert_int_equal(fn->err->code, VFIO_E_MEMORY_OFF);
	assert_int_equal(function_read(fn, 4, 0, buf, 4), 4);		/* row 25: ports */
	assert_int_equal(function_write(fn, 4, 0, buf, 4), 4);
	put(fn, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(function_read(fn, 0, 0, buf, 4), 4);
	assert_int_equal(function_read(fn, 4, 0, buf, 4), 4);		/* I/O off: no effect */
}

static void a_decoder_that_is_not_there(void **state)
{
	const struct vfio_function_description d = { .size = sizeof(d) };
	struct model m;

	assert_int_equal(model_new_as(&m, &d, &model_ops, NULL), 0);
	assert_int_equal(get(m.fn, PCI_COMMAND, 2), 0);
	put(m.fn, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO | PCI_COMMAND_MASTER, 2);
	assert_int_equal(get(m.fn, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
	vfio_function_free(m.fn);
}

/* ---- capabilities ------------------------------------------------------------------------- */

static void the_list_is_as_described(void **state)
{
	struct vfio_function *fn = function_of(state);
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	uint8_t config[CONFIG_SIZE];
	char problem[VFIO_PCI_PROBLEM_ROOM];

	assert_int_equal(function_config_read(fn, 0, config, CONFIG_SIZE), CONFIG_SIZE);
	assert_int_equal(vfio_pci_walk(config, CONFIG_SIZE, caps, problem), 3);
	assert_string_equal(problem, "");
	assert_int_equal(caps[0].id, PCI_CAP_ID_PM);
	assert_int_equal(caps[1].id, PCI_CAP_ID_MSI);
	assert_int_equal(caps[2].id, PCI_CAP_ID_MSIX);
	for (unsigned int i = 0; i < 3; i++)
		put(fn, caps[i].offset, 0xffff, 2);
	assert_int_equal(get(fn, caps[0].offset, 2), PCI_CAP_ID_PM | caps[1].offset << 8);
	assert_int_equal(get(fn, caps[2].offset, 2), PCI_CAP_ID_MSIX);
}

static void row_038_no_power_management_events(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t pm = fn->layout.pm;

	assert_int_equal(get(fn, pm + PCI_PM_PMC, 2) & 0xf800, 0);
	put(fn, pm + PCI_PM_CTRL, PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS, 2);	/* 39 */
	assert_int_equal(get(fn, pm + PCI_PM_CTRL, 2) & 0x8100, 0);
}

static void row_040_d3hot(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t pm = fn->layout.pm, buf[4];

	put(fn, PCI_INTERRUPT_LINE, 0x5a, 1);
	put(fn, pm + PCI_PM_CTRL, 3, 2);
	assert_int_equal(get(fn, pm + PCI_PM_CTRL, 2) & 3, 3);
	assert_int_equal(function_read(fn, 0, 0, buf, 4), -EIO);
	assert_int_equal(function_write(fn, 2, 0x1000, buf, 4), -EIO);
	assert_int_equal(function_read(fn, 4, 0, buf, 4), 4);
	assert_int_equal(get(fn, PCI_VENDOR_ID, 2), model_description.vendor);
	put(fn, pm + PCI_PM_CTRL, 0, 2);				/* row 41 */
	assert_int_equal(function_read(fn, 0, 0, buf, 4), 4);
	assert_int_equal(get(fn, PCI_INTERRUPT_LINE, 1), 0x5a);
}

static void d1_and_d2_change_nothing(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t at = fn->layout.pm + PCI_PM_CTRL, buf[4];

	for (unsigned int d = 1; d <= 2; d++) {
		put(fn, at, d, 2);
		assert_int_equal(get(fn, at, 2) & 3, 0);
		assert_int_equal(function_read(fn, 0, 0, buf, 4), 4);
		put(fn, at, 3, 2);
		put(fn, at, d, 2);
		assert_int_equal(get(fn, at, 2) & 3, 3);
		put(fn, at, 0, 2);
	}
}

static void row_043_the_upper_byte_of_pmcsr(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t at = fn->layout.pm + PCI_PM_CTRL, buf[4];

	put(fn, at + 1, 3, 1);
	assert_int_equal(get(fn, at, 2) & 3, 0);
	assert_int_equal(function_read(fn, 0, 0, buf, 4), 4);
}

static int enable(struct vfio_function *fn, uint32_t index, uint32_t count)
{
	const int none[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	const struct irq_request q = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index, .count = count, .fds = none,
	};

	return function_set_irqs(fn, &q);
}

static void row_046_msi_is_enabled_by_set_irqs(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t at = fn->layout.msi + PCI_MSI_FLAGS;

	put(fn, at, PCI_MSI_FLAGS_ENABLE, 2);
	assert_false(get(fn, at, 2) & PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(get(fn, at, 2) & PCI_MSI_FLAGS_QMASK, 2 << 1);	/* 4 vectors */
	assert_int_equal(enable(fn, VFIO_PCI_MSI_IRQ_INDEX, 4), 0);
	assert_true(get(fn, at, 2) & PCI_MSI_FLAGS_ENABLE);
	put(fn, at, PCI_MSI_FLAGS_ENABLE | 5 << 4, 2);			/* row 47 */
	assert_int_equal((get(fn, at, 2) & PCI_MSI_FLAGS_QSIZE) >> 4, 2);
	put(fn, at, 1 << 4, 2);						/* row 48 */
	assert_int_equal(get(fn, at, 2) & (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE), 1 << 4);
	put(fn, at, PCI_MSI_FLAGS_ENABLE, 2);
	assert_true(get(fn, at, 2) & PCI_MSI_FLAGS_ENABLE);
	put(fn, at, 0xff8e, 2);				/* what the device can is read only */
	assert_int_equal(get(fn, at, 2) & 0xff8e, PCI_MSI_FLAGS_64BIT | 2 << 1);
}

static void row_049_msi_address_and_data(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t at = fn->layout.msi;

	put(fn, at + PCI_MSI_ADDRESS_LO, 0xfee00000, 4);
	put(fn, at + PCI_MSI_ADDRESS_HI, 0x12345678, 4);
	put(fn, at + PCI_MSI_DATA_64, 0xabcd, 2);
	assert_int_equal(get(fn, at + PCI_MSI_ADDRESS_LO, 4), 0xfee00000);
	assert_int_equal(get(fn, at + PCI_MSI_ADDRESS_HI, 4), 0x12345678);
	assert_int_equal(get(fn, at + PCI_MSI_DATA_64, 2), 0xabcd);
}

static void row_051_msix_control_is_read_only(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t at = fn->layout.msix + PCI_MSIX_FLAGS;

	assert_int_equal(get(fn, at, 2), MODEL_MSIX_VECTORS - 1);
	put(fn, at, 0xffff, 2);
	assert_int_equal(get(fn, at, 2), MODEL_MSIX_VECTORS - 1);
	assert_int_equal(get(fn, fn->layout.msix + PCI_MSIX_TABLE, 4), MODEL_TABLE);
	assert_int_equal(get(fn, fn->layout.msix + PCI_MSIX_PBA, 4), MODEL_PENDING);
	assert_int_equal(enable(fn, VFIO_PCI_MSIX_IRQ_INDEX, 3), 0);	/* row 52 */
	assert_int_equal(get(fn, at, 2), PCI_MSIX_FLAGS_ENABLE | (MODEL_MSIX_VECTORS - 1));
}

/* Ones everywhere, then zeros everywhere: what is read only stays, and nothing breaks. */
static void writes_everywhere(void **state)
{
	struct vfio_function *fn = function_of(state);
	uint8_t bytes[CONFIG_SIZE];

	for (int ones = 1; ones >= 0; ones--) {
		memset(bytes, ones ? 0xff : 0, sizeof(bytes));
		for (unsigned int at = 0; at < CONFIG_SIZE; at++)
			assert_int_equal(function_config_write(fn, at, bytes, CONFIG_SIZE - at),
					 CONFIG_SIZE - at);
		assert_int_equal(get(fn, 0, 4), 0x00051b36);
		assert_int_equal(get(fn, PCI_CAPABILITY_LIST, 1), 0x40);
		assert_int_equal(get(fn, PCI_BASE_ADDRESS_4, 4), ones ? 0xffffffe1 : 1);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(row_001_past_the_end),
		TEST(row_003_nothing_is_read_anywhere),
		TEST(row_004_any_length_and_alignment),
		TEST(row_006_identity_is_read_only),
		TEST(row_008_interrupt_line),
		TEST(row_010_bar_sizing),
		TEST(row_011_bars_of_every_size),
		TEST(row_014_a_byte_of_a_bar),
		TEST(row_016_bars_do_not_move_regions),
		TEST(row_017_command_after_open),
		TEST(row_020_intx_disable_reads_back),
		TEST(not_row_022_status_bits_are_cleared_by_ones),
		TEST(row_023_capability_bit),
		TEST(row_024_memory_off),
		TEST(a_decoder_that_is_not_there),
		TEST(the_list_is_as_described),
		TEST(row_038_no_power_management_events),
		TEST(row_040_d3hot),
		TEST(d1_and_d2_change_nothing),
		TEST(row_043_the_upper_byte_of_pmcsr),
		TEST(row_046_msi_is_enabled_by_set_irqs),
		TEST(row_049_msi_address_and_data),
		TEST(row_051_msix_control_is_read_only),
		TEST(writes_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
