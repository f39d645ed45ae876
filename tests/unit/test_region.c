/* SPDX-License-Identifier: MIT */
/* Regions: what they are, the accesses that a model sees, memory areas, the MSI-X table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
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

/* ---- description -------------------------------------------------------------------------- */

static void row_068_regions(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t flags, nareas;
	} want[VFIO_PCI_NUM_REGIONS] = {
		[0] = { MODEL_BAR_SIZE, 3, 0 },
		[2] = { MODEL_BAR_SIZE, 7, 2 },
		[4] = { MODEL_PORTS, 3, 0 },
		[VFIO_PCI_CONFIG_REGION_INDEX] = { CONFIG_SIZE, 3, 0 },
	};
	struct model *m = *state;
	struct vfio_region r;

	for (uint32_t i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		assert_int_equal(function_region(m->fn, i, &r), 0);
		assert_int_equal(r.index, i);
		assert_int_equal(r.size, want[i].size);
		assert_int_equal(r.flags, want[i].flags);
		assert_int_equal(r.nareas, want[i].nareas);
		assert_true((r.fd >= 0) == (r.nareas > 0));
	}
	assert_int_equal(function_region(m->fn, VFIO_PCI_NUM_REGIONS, &r), -EINVAL);	/* row 67 */
	assert_int_equal(function_region(m->fn, UINT32_MAX, &r), -EINVAL);
	assert_int_equal(m->fn->err->code, VFIO_E_NO_REGION);
}

/* ---- which accesses a model sees ---------------------------------------------------------- */

/* Widths of the accesses that an access of len bytes at offset becomes. */
static const struct {
	uint64_t offset;
	size_t len;
	unsigned int widths[6];
} splits[] = {
	{ 0x1000, 1, { 1 } }, { 0x1000, 2, { 2 } }, { 0x1000, 4, { 4 } }, { 0x1000, 8, { 8 } },
	{ 0x1001, 3, { 1, 2 } }, { 0x1002, 4, { 2, 2 } }, { 0x1004, 8, { 4, 4 } },
	{ 0x1000, 3, { 2, 1 } }, { 0x1000, 7, { 4, 2, 1 } }, { 0x1001, 15, { 1, 2, 4, 8 } },
	{ 0x1000, 16, { 8, 8 } }, { 0x1007, 10, { 1, 8, 1 } }, { 0x1006, 2, { 2 } },
	{ 0x1003, 2, { 1, 1 } },
};

static void assert_log(struct model *m, bool write, uint64_t offset, const unsigned int *widths)
{
	unsigned int i;

	for (i = 0; i < 6 && widths[i]; i++) {
		assert_true(i < m->logged);
		assert_int_equal(m->log[i].write, write);
		assert_int_equal(m->log[i].offset, offset);
		assert_int_equal(m->log[i].width, widths[i]);
		offset += widths[i];
	}
	assert_int_equal(m->logged, i);
	m->logged = 0;
}

static void row_078_accesses_are_split_naturally(void **state)
{
	struct model *m = *state;
	uint8_t out[16], in[16];

	for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		size_t len = splits[i].len;

		for (size_t k = 0; k < len; k++)
			out[k] = 0x10 * i + k;
		assert_int_equal(function_write(m->fn, 0, splits[i].offset, out, len), len);
		assert_log(m, true, splits[i].offset, splits[i].widths);
		assert_int_equal(function_read(m->fn, 0, splits[i].offset, in, len), len);
		assert_log(m, false, splits[i].offset, splits[i].widths);
		assert_memory_equal(in, out, len);
	}
}

/* A model gets numbers, of which no more than the width is set. */
static void values_are_numbers(void **state)
{
	struct model *m = *state;
	const uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	assert_int_equal(function_write(m->fn, 0, 0x1000, bytes, 8), 8);
	assert_int_equal(function_write(m->fn, 0, 0x1000, bytes, 2), 2);
	assert_int_equal(function_write(m->fn, 0, 0x1001, bytes, 1), 1);
	assert_true(m->log[0].value == 0x0807060504030201ull);
	assert_int_equal(m->log[1].value, 0x0201);
	assert_int_equal(m->log[2].value, 0x01);
}

static void row_074_past_the_end(void **state)
{
	struct model *m = *state;
	uint8_t buf[16] = { 0 };

	assert_int_equal(function_read(m->fn, 0, MODEL_BAR_SIZE, buf, 1), -EINVAL);
	assert_int_equal(function_write(m->fn, 0, UINT64_MAX, buf, 8), -EINVAL);
	assert_int_equal(m->fn->err->code, VFIO_E_RANGE);
	assert_int_equal(function_read(m->fn, 1, 0, buf, 1), -EINVAL);
	assert_int_equal(m->fn->err->code, VFIO_E_NO_REGION);
	assert_int_equal(function_read(m->fn, VFIO_PCI_ROM_REGION_INDEX, 0, buf, 1), -EINVAL);
	assert_int_equal(function_write(m->fn, VFIO_PCI_ROM_REGION_INDEX, 0, buf, 1), -EINVAL);
	assert_int_equal(function_read(m->fn, VFIO_PCI_VGA_REGION_INDEX, 0x3bc, buf, 1), -EINVAL);
	assert_int_equal(function_read(m->fn, 99, 0, buf, 1), -EINVAL);
	assert_int_equal(function_read(m->fn, 0, MODEL_BAR_SIZE, buf, 0), 0);
	assert_int_equal(m->logged, 0);
}

static void row_075_cut_off_at_the_end(void **state)
{
	struct model *m = *state;
	uint8_t buf[16];

	memset(buf, 0x55, sizeof(buf));
	assert_int_equal(function_read(m->fn, 0, MODEL_BAR_SIZE - 4, buf, 16), 4);
	assert_int_equal(buf[3], 0xff);
	assert_int_equal(buf[4], 0x55);
	assert_int_equal(function_write(m->fn, 0, MODEL_BAR_SIZE - 4, buf, SIZE_MAX), 4);
	assert_int_equal(function_read(m->fn, 4, MODEL_PORTS - 1, buf, 16), 1);
}

/* Without callbacks a bus answers: ones, and writes go nowhere. */
static void a_model_without_callbacks(void **state)
{
	const struct vfio_function_ops ops = { .size = sizeof(ops) };
	uint8_t buf[4] = { 0 };
	struct model m;

	assert_int_equal(model_new_as(&m, &model_description, &ops, NULL), 0);
	assert_int_equal(function_write(m.fn, 0, 0, buf, 4), 4);
	assert_int_equal(function_read(m.fn, 0, 0, buf, 4), 4);
	assert_int_equal(le32_get(buf), UINT32_MAX);
	vfio_function_free(m.fn);
}

/* ---- MSI-X table -------------------------------------------------------------------------- */

static void row_076_the_table_reads_as_ones(void **state)
{
	struct model *m = *state;
	const uint32_t end = MODEL_TABLE + 16 * MODEL_MSIX_VECTORS;
	uint8_t buf[16 * MODEL_MSIX_VECTORS], ones[sizeof(buf)];

	memset(ones, 0xff, sizeof(ones));
	memset(buf, 0, sizeof(buf));
	assert_int_equal(function_write(m->fn, 0, MODEL_TABLE, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(function_read(m->fn, 0, MODEL_TABLE, buf, sizeof(buf)), sizeof(buf));
	assert_memory_equal(buf, ones, sizeof(buf));
	assert_int_equal(m->logged, 0);
	assert_int_equal(function_read(m->fn, 0, MODEL_TABLE - 4, buf, 8), 8);
	assert_int_equal(m->logged, 1);		/* what comes before it is the model's */
	assert_int_equal(m->log[0].offset, MODEL_TABLE - 4);
	assert_int_equal(m->log[0].width, 4);
	m->logged = 0;
	assert_int_equal(function_read(m->fn, 0, end - 4, buf, 8), 8);
	assert_int_equal(m->logged, 1);		/* and what comes behind it */
	assert_int_equal(m->log[0].offset, end);
}

static void row_077_no_interrupt_is_pending(void **state)
{
	struct model *m = *state;
	uint8_t buf[8];

	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(function_write(m->fn, 0, MODEL_PENDING, buf, 8), 8);
	assert_int_equal(function_read(m->fn, 0, MODEL_PENDING, buf, 8), 8);
	assert_true(le_get(buf, 8) == 0);
	assert_int_equal(m->logged, 0);
}

/* ---- memory ------------------------------------------------------------------------------- */

static uint8_t *map_area(struct model *m, uint64_t offset, uint64_t size)
{
	struct vfio_region r;
	void *at;

	assert_int_equal(function_region(m->fn, 2, &r), 0);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, r.fd_offset + offset);
	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void an_area_is_the_models_memory(void **state)
{
	struct model *m = *state;
	uint8_t *theirs = map_area(m, MODEL_AREA_1, MODEL_AREA_1_SIZE);
	uint8_t *mine = vfio_function_memory(m->fn, 2), buf[8];

	assert_non_null(mine);
	theirs[5] = 0x77;
	assert_int_equal(mine[MODEL_AREA_1 + 5], 0x77);
	mine[MODEL_AREA_1] = 0x33;
	assert_int_equal(theirs[0], 0x33);
	assert_int_equal(function_read(m->fn, 2, MODEL_AREA_1 + 5, buf, 1), 1);
	assert_int_equal(buf[0], 0x77);
	le_put(buf, 8, 0x1122334455667788ull);
	assert_int_equal(function_write(m->fn, 2, MODEL_AREA_1 + 8, buf, 8), 8);
	assert_true(le_get(theirs + 8, 8) == 0x1122334455667788ull);
	assert_int_equal(m->logged, 0);		/* no callback sees memory */
	munmap(theirs, MODEL_AREA_1_SIZE);
}

static void what_is_no_area_is_trapped(void **state)
{
	struct model *m = *state;
	uint8_t buf[16];

	assert_int_equal(function_read(m->fn, 2, MODEL_AREA_1 - 4, buf, 8), 8);
	assert_int_equal(m->logged, 1);
	assert_int_equal(m->log[0].offset, MODEL_AREA_1 - 4);
	assert_int_equal(m->log[0].bar, 2);
	assert_int_equal(le32_get(buf), UINT32_MAX);
	assert_int_equal(le32_get(buf + 4), 0);
	assert_int_equal(function_read(m->fn, 2, MODEL_AREA_2 + MODEL_AREA_2_SIZE, buf, 1), 1);
	assert_int_equal(m->logged, 2);
}

/* Whoever holds the file can neither cut it off nor blow it up. */
static void the_file_of_an_area_is_sealed(void **state)
{
	struct model *m = *state;
	struct vfio_region r;
	struct stat st;

	assert_int_equal(function_region(m->fn, 2, &r), 0);
	assert_int_equal(fstat(r.fd, &st), 0);
	assert_true(st.st_size >= MODEL_BAR_SIZE);
	assert_int_not_equal(ftruncate(r.fd, 0), 0);
	assert_int_not_equal(ftruncate(r.fd, 1 << 20), 0);
}

/* The last user may still hold the memory that it mapped: the next one gets other memory. */
static void memory_is_new_after_power_on(void **state)
{
	struct model *m = *state;
	uint8_t *old = map_area(m, MODEL_AREA_1, MODEL_AREA_1_SIZE), *fresh;
	uint8_t *mine = vfio_function_memory(m->fn, 2);

	old[0] = 0x11;
	assert_int_equal(mine[MODEL_AREA_1], 0x11);
	assert_int_equal(function_power_on(m->fn), 0);
	assert_ptr_equal(vfio_function_memory(m->fn, 2), mine);
	assert_int_equal(mine[MODEL_AREA_1], 0);
	old[0] = 0x22;
	assert_int_equal(mine[MODEL_AREA_1], 0);
	fresh = map_area(m, MODEL_AREA_1, MODEL_AREA_1_SIZE);
	fresh[1] = 0x33;
	assert_int_equal(mine[MODEL_AREA_1 + 1], 0x33);
	assert_int_equal(old[1], 0);
	munmap(old, MODEL_AREA_1_SIZE);
	munmap(fresh, MODEL_AREA_1_SIZE);
}

static void memory_stays_over_a_reset(void **state)
{
	struct model *m = *state;
	uint8_t *theirs = map_area(m, MODEL_AREA_2, MODEL_AREA_2_SIZE);

	assert_int_equal(function_reset(m->fn), 0);
	theirs[7] = 0x44;
	assert_int_equal(((uint8_t *)vfio_function_memory(m->fn, 2))[MODEL_AREA_2 + 7], 0x44);
	munmap(theirs, MODEL_AREA_2_SIZE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(row_068_regions),
		TEST(row_078_accesses_are_split_naturally),
		TEST(values_are_numbers),
		TEST(row_074_past_the_end),
		TEST(row_075_cut_off_at_the_end),
		cmocka_unit_test(a_model_without_callbacks),
		TEST(row_076_the_table_reads_as_ones),
		TEST(row_077_no_interrupt_is_pending),
		TEST(an_area_is_the_models_memory),
		TEST(what_is_no_area_is_trapped),
		TEST(the_file_of_an_area_is_sealed),
		TEST(memory_is_new_after_power_on),
		TEST(memory_stays_over_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
