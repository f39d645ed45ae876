/* SPDX-License-Identifier: MIT */
/* The virtual function: descriptions that contradict themselves, life, power-on and reset, DMA. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/fd.h"
#include "function/function.h"
#include "model.h"

#define PAGE 0x1000u
#define IOVA 0x40000u

static uint8_t memory[4 * PAGE] __attribute__((aligned(4096)));

static int set_up(void **state)
{
	struct model *m = calloc(1, sizeof(*m));

	*state = m;
	memset(memory, 0, sizeof(memory));
	return m ? model_new(m, NULL) : -1;
}

static int tear_down(void **state)
{
	struct model *m = *state;

	vfio_function_free(m->fn);
	free(m);
	return 0;
}

/* ---- descriptions ------------------------------------------------------------------------- */

typedef struct vfio_function_description description;

static const struct vfio_area unaligned[] = { { 0x1001, 0x1000 } };
static const struct vfio_area empty[] = { { 0x1000, 0 } };
static const struct vfio_area outside[] = { { 0xf000, 0x2000 } };
static const struct vfio_area wrapping[] = { { 0xfffffffffffff000ull, 0x2000 } };
static const struct vfio_area descending[] = { { 0x2000, 0x1000 }, { 0x1000, 0x1000 } };
static const struct vfio_area overlapping[] = { { 0x1000, 0x2000 }, { 0x2000, 0x1000 } };
static const struct vfio_area on_the_table[] = { { MODEL_TABLE, 0x1000 } };
static const struct vfio_area on_pending[] = { { MODEL_PENDING, 0x1000 } };
static const struct vfio_area many[VFIO_MAX_AREAS + 1];

static void areas(description *d, const struct vfio_area *a, uint32_t n)
{
	d->bars[2].areas = a;
	d->bars[2].nareas = n;
}

static void bad_size(description *d) { d->size--; }
static void bad_class(description *d) { d->class_code = 1u << 24; }
static void bad_pin(description *d) { d->interrupt_pin = 5; }
static void bad_msi_3(description *d) { d->msi_vectors = 3; }
static void bad_msi_64(description *d) { d->msi_vectors = 64; }
static void bad_msix_many(description *d) { d->msix_vectors = 2049; }
static void bad_msix_bar(description *d) { d->msix_bar = 6; }
static void bad_msix_no_bar(description *d) { d->msix_bar = 1; }
static void bad_msix_io(description *d) { d->msix_bar = 4; }
static void bad_msix_unaligned(description *d) { d->msix_table = 0x8010; }
static void bad_msix_outside(description *d) { d->msix_table = MODEL_BAR_SIZE; }
static void bad_pba_outside(description *d) { d->msix_pba = MODEL_BAR_SIZE; }
static void bad_msix_overlap(description *d) { d->msix_pba = d->msix_table; }
static void bad_bar_size(description *d) { d->bars[0].size = 0x18000; }
static void bad_bar_small(description *d) { d->bars[1].size = 8; }
static void bad_bar_flags(description *d) { d->bars[0].flags = 8; }
static void bad_bar_none(description *d) { d->bars[1].flags = VFIO_BAR_MEM64; }
static void bad_io_prefetch(description *d) { d->bars[4].flags |= VFIO_BAR_PREFETCH; }
static void bad_io_large(description *d) { d->bars[4].size = 512; }
static void bad_io_small(description *d) { d->bars[4].size = 2; }
static void bad_bar_4g(description *d) { d->bars[1].size = 1ull << 32; }
static void bad_bar_2t(description *d) { d->bars[2].size = 1ull << 41; }
static void bad_upper(description *d) { d->bars[3].size = 4096; }
static void bad_last_64(description *d) { d->bars[5] = d->bars[2]; }
static void bad_unaligned(description *d) { areas(d, unaligned, 1); }
static void bad_empty(description *d) { areas(d, empty, 1); }
static void bad_outside(description *d) { areas(d, outside, 1); }
static void bad_wrapping(description *d) { areas(d, wrapping, 1); }
static void bad_descending(description *d) { areas(d, descending, 2); }
static void bad_overlapping(description *d) { areas(d, overlapping, 2); }
static void bad_many(description *d) { areas(d, many, VFIO_MAX_AREAS + 1); }
static void bad_io_areas(description *d) { d->bars[4].nareas = 1; d->bars[4].areas = empty; }

static void bad_table_area(description *d)
{
	d->bars[0].areas = on_the_table;
	d->bars[0].nareas = 1;
}

static void bad_pending_area(description *d)
{
	d->bars[0].areas = on_pending;
	d->bars[0].nareas = 1;
}

/* How to spoil a description, and a word of the record that must come of it. */
static const struct {
	void (*spoil)(description *d);
	const char *says;
} mistakes[] = {
	{ bad_size, "size member" }, { bad_class, "24 bits" }, { bad_pin, "interrupt pin" },
	{ bad_msi_3, "MSI vectors" }, { bad_msi_64, "MSI vectors" }, { bad_msix_many, "2048" },
	{ bad_msix_bar, "impossible BAR" }, { bad_msix_no_bar, "memory BAR" },
	{ bad_msix_io, "memory BAR" }, { bad_msix_unaligned, "unaligned" },
	{ bad_msix_outside, "outside" }, { bad_pba_outside, "outside" },
	{ bad_msix_overlap, "overlap" }, { bad_bar_size, "power of two" },
	{ bad_bar_small, "too small" }, { bad_bar_flags, "unknown flags" },
	{ bad_bar_none, "size 0" }, { bad_io_prefetch, "I/O BAR" }, { bad_io_large, "I/O BAR" },
	{ bad_io_small, "too small" }, { bad_bar_4g, "64-bit" }, { bad_bar_2t, "1 TiB" },
	{ bad_upper, "next BAR" }, { bad_last_64, "next BAR" }, { bad_unaligned, "page aligned" },
	{ bad_empty, "empty" }, { bad_outside, "past the end" }, { bad_wrapping, "past the end" },
	{ bad_descending, "ascending" }, { bad_overlapping, "ascending" },
	{ bad_many, "VFIO_MAX_AREAS" }, { bad_io_areas, "I/O BAR" },
	{ bad_table_area, "mappable area" }, { bad_pending_area, "mappable area" },
};

static void every_contradiction_is_named(void **state)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		struct vfio_function_description d = model_description;
		struct vfio_error e = { 0 };
		struct model m;

		mistakes[i].spoil(&d);
		assert_int_equal(model_new_as(&m, &d, &model_ops, &e), -EINVAL);
		assert_null(m.fn);
		assert_int_equal(e.code, VFIO_E_DESCRIPTION);
		assert_int_equal(e.who, VFIO_BY_FUNCTION);
		if (!strstr(e.what, mistakes[i].says))
			fail_msg("mistake %zu: '%s' does not say '%s'", i, e.what,
				 mistakes[i].says);
		assert_int_equal(model_new_as(&m, &d, &model_ops, NULL), -EINVAL);
		assert_int_equal(m.freed + m.resets, 0);
	}
}

static void ops_of_another_size(void **state)
{
	struct vfio_function_ops ops = model_ops;
	struct vfio_error e = { 0 };
	struct model m;

	ops.size--;
	assert_int_equal(model_new_as(&m, &model_description, &ops, &e), -EINVAL);
	assert_int_equal(e.code, VFIO_E_DESCRIPTION);
	assert_null(m.fn);
}

/* No callback, no name, no capability, no BAR: still a function. */
static void the_least_function(void **state)
{
	const struct vfio_function_description d = { .size = sizeof(d) };
	const struct vfio_function_ops ops = { .size = sizeof(ops) };
	struct vfio_function *fn;
	uint8_t status[2];
	struct vfio_dev *dev;

	assert_int_equal(vfio_function_new(&fn, &d, &ops, NULL, NULL), 0);
	assert_null(vfio_function_state(fn));
	assert_null(vfio_function_memory(fn, 0));
	assert_null(vfio_function_memory(fn, 99));
	vfio_function_msi(fn, 0);
	vfio_function_msi(fn, UINT32_MAX);
	vfio_function_intx(fn, true);
	assert_int_equal(function_config_read(fn, PCI_STATUS, status, 2), 2);
	assert_int_equal(le16_get(status), 0);		/* row 23; and no pin, no interrupt */
	assert_int_equal(vfio_function_open(&dev, fn, NULL), 0);
	assert_int_equal(vfio_reset(dev), -EINVAL);
	vfio_close(dev);
}

/* ---- life --------------------------------------------------------------------------------- */

static void the_model_is_reset_first_and_freed_last(void **state)
{
	struct model m;

	assert_int_equal(model_new(&m, NULL), 0);
	assert_int_equal(m.resets, 1);
	assert_ptr_equal(vfio_function_state(m.fn), &m);
	vfio_function_free(m.fn);
	assert_int_equal(m.freed, 1);
	vfio_function_free(NULL);
}

static void the_description_is_copied(void **state)
{
	struct vfio_area *area = malloc(sizeof(*area));
	struct vfio_function_description d = model_description;
	struct vfio_region r;
	struct model m;

	*area = (struct vfio_area){ 0x3000, 0x1000 };
	d.bars[2].areas = area;
	d.bars[2].nareas = 1;
	assert_int_equal(model_new_as(&m, &d, &model_ops, NULL), 0);
	free(area);
	assert_int_equal(function_region(m.fn, 2, &r), 0);
	assert_int_equal(r.areas[0].offset, 0x3000);
	vfio_function_free(m.fn);
}

static void a_handle_frees_its_function(void **state)
{
	struct vfio_dev *dev;
	struct model m;

	assert_int_equal(model_new(&m, NULL), 0);
	assert_int_equal(vfio_function_open(&dev, m.fn, NULL), 0);
	assert_string_equal(vfio_backend_name(dev), "inprocess");
	vfio_close(dev);
	assert_int_equal(m.freed, 1);
	vfio_close(NULL);
}

static void put_config(struct vfio_function *fn, unsigned int at, uint32_t value,
		       unsigned int width)
{
	uint8_t bytes[4];

	le_put(bytes, width, value);
	assert_int_equal(function_config_write(fn, at, bytes, width), width);
}

static uint32_t get_config(struct vfio_function *fn, unsigned int at, unsigned int width)
{
	uint8_t bytes[4];

	assert_int_equal(function_config_read(fn, at, bytes, width), width);
	return le_get(bytes, width);
}

static void master(struct model *m, bool on)
{
	put_config(m->fn, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO |
		   (on ? PCI_COMMAND_MASTER : 0), 2);
}

static int map(struct model *m, uint32_t prot)
{
	const struct dma_map map = {
		.iova = IOVA, .size = 2 * PAGE, .prot = prot, .vaddr = memory, .fd = -1,
	};

	return function_dma_map(m->fn, &map);
}

/* Nothing of a user is left for the next one (row 63). */
static void power_on_forgets_its_user(void **state)
{
	struct model *m = *state;
	int fd = eventfd(0, EFD_NONBLOCK);
	const struct irq_request q = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 1, .fds = &fd,
	};
	struct vfio_fault fault;
	uint8_t before[CONFIG_SIZE], after[CONFIG_SIZE], byte;

	assert_int_equal(function_config_read(m->fn, 0, before, CONFIG_SIZE), CONFIG_SIZE);
	put_config(m->fn, PCI_BASE_ADDRESS_0, 0xfebf0000, 4);
	put_config(m->fn, PCI_INTERRUPT_LINE, 0x5a, 1);
	master(m, true);
	assert_int_equal(function_set_irqs(m->fn, &q), 0);
	put_config(m->fn, m->fn->layout.pm + PCI_PM_CTRL, 3, 2);
	assert_int_equal(map(m, VFIO_DMA_RW), 0);
	vfio_function_dma_read(m->fn, 0, &byte, 1);
	assert_true(vfio_function_fault(m->fn, &fault));
	m->late = true;
	m->iova = IOVA;
	assert_int_equal(function_power_on(m->fn), 0);
	assert_int_equal(function_config_read(m->fn, 0, after, CONFIG_SIZE), CONFIG_SIZE);
	assert_memory_equal(after, before, CONFIG_SIZE);
	assert_int_equal(m->gone, 1);
	assert_int_equal(m->resets, 2);
	assert_false(vfio_function_fault(m->fn, &fault));
	master(m, true);
	vfio_function_msi(m->fn, 0);
	assert_int_equal(fd_take(fd), 0);
	assert_int_equal(vfio_function_dma_read(m->fn, IOVA, &byte, 1), -EFAULT);
	close(fd);
}

static void row_062_reset_keeps_what_is_the_users(void **state)
{
	struct model *m = *state;
	uint8_t msi = m->fn->layout.msi, pm = m->fn->layout.pm, byte;

	put_config(m->fn, PCI_BASE_ADDRESS_0, 0xfebf0000, 4);
	put_config(m->fn, PCI_INTERRUPT_LINE, 0x5a, 1);
	put_config(m->fn, msi + PCI_MSI_ADDRESS_LO, 0xfee01000, 4);
	put_config(m->fn, pm + PCI_PM_CTRL, 3, 2);
	master(m, true);
	assert_int_equal(map(m, VFIO_DMA_RW), 0);
	vfio_function_intx(m->fn, true);
	assert_int_equal(function_reset(m->fn), 0);
	assert_int_equal(m->resets, 2);
	assert_int_equal(get_config(m->fn, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
	assert_int_equal(get_config(m->fn, PCI_INTERRUPT_LINE, 1), 0x5a);
	assert_int_equal(get_config(m->fn, msi + PCI_MSI_ADDRESS_LO, 4), 0xfee01000);
	assert_true(get_config(m->fn, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_int_equal(get_config(m->fn, pm + PCI_PM_CTRL, 2) & 3, 0);	/* in D0 */
	assert_false(get_config(m->fn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(vfio_function_dma_read(m->fn, IOVA, &byte, 1), 0);
	assert_int_equal(m->gone, 0);
}

/* ---- DMA ---------------------------------------------------------------------------------- */

static void dma_needs_bus_mastering(void **state)
{
	struct model *m = *state;
	struct vfio_span span;
	struct vfio_fault fault;
	uint8_t byte = 0x55;

	assert_int_equal(map(m, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_function_dma_read(m->fn, IOVA, &byte, 1), -EPERM);
	assert_int_equal(vfio_function_dma_write(m->fn, IOVA, &byte, 1), -EPERM);
	assert_int_equal(vfio_function_dma_spans(m->fn, IOVA, 1, VFIO_DMA_READ, &span, 1), -EPERM);
	assert_int_equal(memory[0], 0);
	assert_true(vfio_function_fault(m->fn, &fault));
	assert_int_equal(fault.err, EPERM);
	assert_int_equal(fault.iova, IOVA);
	assert_int_equal(fault.count, 3);
	master(m, true);
	assert_int_equal(vfio_function_dma_write(m->fn, IOVA, &byte, 1), 0);
	assert_int_equal(memory[0], 0x55);
	assert_int_equal(vfio_function_dma_spans(m->fn, IOVA, 1, VFIO_DMA_READ, &span, 1), 1);
	master(m, false);
	assert_int_equal(vfio_function_dma_read(m->fn, IOVA, &byte, 1), -EPERM);
}

static void dma_needs_power(void **state)
{
	struct model *m = *state;
	uint8_t pm = m->fn->layout.pm, byte;

	assert_int_equal(map(m, VFIO_DMA_RW), 0);
	master(m, true);
	put_config(m->fn, pm + PCI_PM_CTRL, 3, 2);
	assert_int_equal(vfio_function_dma_read(m->fn, IOVA, &byte, 1), -EPERM);
	put_config(m->fn, pm + PCI_PM_CTRL, 0, 2);
	assert_int_equal(vfio_function_dma_read(m->fn, IOVA, &byte, 1), 0);
}

/* Of a reset that fails nothing has come: what was raised waits on. */
static void a_failed_reset_is_told_and_loses_nothing(void **state)
{
	struct model *m = *state;
	int fd = eventfd(0, EFD_NONBLOCK);
	const struct irq_request q = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX, .count = 1, .fds = &fd,
	};

	assert_int_equal(function_set_irqs(m->fn, &q), 0);
	vfio_function_msi(m->fn, 0);
	vfio_function_intx(m->fn, true);
	m->stuck = true;
	assert_int_equal(function_reset(m->fn), -EIO);
	assert_int_equal(m->fn->err->code, VFIO_E_RESET);
	assert_int_equal(m->fn->err->who, VFIO_BY_MODEL);
	assert_int_equal(m->fn->last_reset, -EIO);
	assert_true(m->fn->registers.value[PCI_STATUS] & PCI_STATUS_INTERRUPT);
	assert_int_equal(vectors_pending_word(m->fn, 0), 1);
	master(m, true);
	assert_int_equal(fd_take(fd), 1);
	m->stuck = false;
	assert_int_equal(function_reset(m->fn), 0);
	assert_int_equal(m->fn->last_reset, 0);
	assert_false(m->fn->registers.value[PCI_STATUS] & PCI_STATUS_INTERRUPT);
	close(fd);
}

static void the_model_hears_of_an_unmap(void **state)
{
	struct model *m = *state;
	uint64_t unmapped;

	assert_int_equal(map(m, VFIO_DMA_RW), 0);
	assert_int_equal(function_dma_unmap(m->fn, IOVA, PAGE, &unmapped), -EINVAL);
	assert_int_equal(m->gone, 0);
	assert_int_equal(function_dma_unmap(m->fn, IOVA, 2 * PAGE, &unmapped), 0);
	assert_int_equal(m->gone, 1);
	assert_int_equal(m->gone_iova, IOVA);
	assert_int_equal(m->gone_size, 2 * PAGE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_contradiction_is_named),
		cmocka_unit_test(ops_of_another_size),
		cmocka_unit_test(the_least_function),
		cmocka_unit_test(the_model_is_reset_first_and_freed_last),
		cmocka_unit_test(the_description_is_copied),
		cmocka_unit_test(a_handle_frees_its_function),
		TEST(power_on_forgets_its_user),
		TEST(row_062_reset_keeps_what_is_the_users),
		TEST(dma_needs_bus_mastering),
		TEST(dma_needs_power),
		TEST(a_failed_reset_is_told_and_loses_nothing),
		TEST(the_model_hears_of_an_unmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
