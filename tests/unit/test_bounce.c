/* SPDX-License-Identifier: MIT */
/* Bounce buffers: a device works on a window, and the driver says when bytes cross over. */
#include "both.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"

#define PAGE 0x1000u
#define SIZE 5000u			/* of a buffer, at an odd address */

static uint8_t memory[8 * PAGE];

static struct vfio_dma bounced(size_t offset, size_t size, uint32_t prot)
{
	return (struct vfio_dma){
		.vaddr = memory + offset, .iova = VFIO_IOVA_ANY, .size = size, .fd = -1, .prot = prot,
		.flags = VFIO_DMA_BOUNCE,
	};
}

static int setup(void **state)
{
	memset(memory, 0, sizeof(memory));
	return both_setup(state) < 0 ? -1 : vfio_set_bus_master(((struct both *)*state)->dev, true);
}

/* What the device reads at that offset of the buffer. */
static int device_byte(struct both *b, const struct vfio_dma *dma, size_t offset)
{
	vfio_write8(b->dev, 0, MODEL_BYTES, 0xee);
	if (model_dma(b, MODEL_DMA_READ, dma->iova + offset, 1) < 0)
		return -1;
	return vfio_read8(b->dev, 0, MODEL_BYTES);
}

static void device_writes(struct both *b, const struct vfio_dma *dma, size_t offset, uint8_t byte)
{
	vfio_write8(b->dev, 0, MODEL_BYTES, byte);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, dma->iova + offset, 1), 0);
}

static void assert_refused(struct both *b, int r, int e, enum vfio_error_code code)
{
	assert_int_equal(r, -e);
	assert_record(vfio_last_error(b->dev), e, code);
}

static size_t count_maps(struct both *b)
{
	struct vfio_dma_info info;
	uint64_t cursor = 0;
	size_t n = 0;

	while (vfio_dma_next(b->dev, &cursor, &info) == 1)
		n++;
	return n;
}

/* ---- bytes cross over when they are told to ------------------------------------------------- */

static void to_the_device(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = bounced(123, SIZE, VFIO_DMA_RW);

	memory[123 + 100] = 1;
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_ptr_equal(dma.vaddr, memory + 123);
	assert_int_equal(dma.size, SIZE);
	assert_int_equal(device_byte(b, &dma, 100), 1);		/* it began as a copy */
	memory[123 + 100] = 2;
	memory[123 + 101] = 3;
	assert_int_equal(device_byte(b, &dma, 100), 1);
	assert_int_equal(vfio_dma_sync_for_device(b->dev, &dma, 100, 1), 0);
	assert_int_equal(device_byte(b, &dma, 100), 2);
	assert_int_equal(device_byte(b, &dma, 101), 0);
	assert_int_equal(vfio_dma_sync_for_device(b->dev, &dma, 0, SIZE), 0);
	assert_int_equal(device_byte(b, &dma, 101), 3);
}

static void from_the_device(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = bounced(123, SIZE, VFIO_DMA_RW);

	memory[123 + 7] = 5;
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	device_writes(b, &dma, SIZE - 1, 9);
	device_writes(b, &dma, 8, 9);
	assert_int_equal(memory[123 + SIZE - 1], 0);
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, &dma, SIZE - 1, 1), 0);
	assert_int_equal(memory[123 + SIZE - 1], 9);
	assert_int_equal(memory[123 + 8], 0);
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, &dma, 0, SIZE), 0);
	assert_int_equal(memory[123 + 8], 9);
	assert_int_equal(memory[123 + 7], 5);	/* what it did not write is as it was */
	assert_int_equal(memory[122], 0);
	assert_int_equal(memory[123 + SIZE], 0);
}

/* A map for one direction carries nothing the other way. */
static void directions(void **state)
{
	struct both *b = *state;
	struct vfio_dma in = bounced(0, PAGE, VFIO_DMA_WRITE), out = bounced(PAGE, PAGE, VFIO_DMA_READ);

	assert_int_equal(vfio_dma_map(b->dev, &in), 0);
	assert_int_equal(vfio_dma_map(b->dev, &out), 0);
	device_writes(b, &in, 0, 7);
	memory[0] = 1;
	assert_int_equal(vfio_dma_sync_for_device(b->dev, &in, 0, PAGE), 0);
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, &in, 0, PAGE), 0);
	assert_int_equal(memory[0], 7);
	memory[PAGE] = 2;
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, &out, 0, PAGE), 0);
	assert_int_equal(memory[PAGE], 2);
	assert_true(model_dma(b, MODEL_DMA_WRITE, out.iova, 1) < 0);
	assert_true(model_dma(b, MODEL_DMA_READ, in.iova, 1) < 0);
}

/* The same driver works with memory that does not bounce. */
static void others_need_nothing(void **state)
{
	static uint8_t page[PAGE] __attribute__((aligned(4096)));
	struct both *b = *state;
	struct vfio_dma own, mapped = {
		.vaddr = page, .iova = VFIO_IOVA_ANY, .size = PAGE, .fd = -1, .prot = VFIO_DMA_RW,
	};

	assert_int_equal(vfio_dma_alloc(b->dev, &own, 100, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_map(b->dev, &mapped), 0);
	page[5] = 3;
	assert_int_equal(vfio_dma_sync_for_device(b->dev, &mapped, 0, PAGE), 0);
	assert_int_equal(device_byte(b, &mapped, 5), 3);
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, &mapped, PAGE, 0), 0);
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, &own, 0, own.size), 0);
	assert_refused(b, vfio_dma_sync_for_cpu(b->dev, &own, 0, own.size + 1), EINVAL,
		       VFIO_E_DMA_RANGE);
	assert_refused(b, vfio_dma_sync_for_device(b->dev, &mapped, 1, PAGE), EINVAL,
		       VFIO_E_DMA_RANGE);
}

/* ---- limits --------------------------------------------------------------------------------- */

static void outside_of_the_buffer(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = bounced(1, SIZE, VFIO_DMA_RW), lie;

	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, &dma, SIZE, 0), 0);
	assert_refused(b, vfio_dma_sync_for_cpu(b->dev, &dma, SIZE, 1), EINVAL, VFIO_E_DMA_RANGE);
	assert_refused(b, vfio_dma_sync_for_device(b->dev, &dma, 0, SIZE + 1), EINVAL,
		       VFIO_E_DMA_RANGE);
	assert_refused(b, vfio_dma_sync_for_device(b->dev, &dma, SIZE_MAX, 2), EINVAL,
		       VFIO_E_DMA_RANGE);
	lie = dma;
	lie.size = SIZE + 1;		/* the window has the room, but not the memory */
	assert_refused(b, vfio_dma_sync_for_cpu(b->dev, &lie, SIZE, 1), ENOENT, VFIO_E_NOT_MAPPED);
	lie = dma;
	lie.vaddr = memory;
	assert_refused(b, vfio_dma_sync_for_cpu(b->dev, &lie, 0, 1), ENOENT, VFIO_E_NOT_MAPPED);
	assert_int_equal(vfio_dma_free(b->dev, &lie), -ENOENT);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_refused(b, vfio_dma_sync_for_cpu(b->dev, &dma, 0, 0), ENOENT, VFIO_E_NOT_MAPPED);
}

static void what_cannot_bounce(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = bounced(0, PAGE, VFIO_DMA_RW);

	dma.iova = 0x10000;
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_ARGUMENT);
	dma = bounced(0, PAGE, VFIO_DMA_RW);
	dma.flags |= VFIO_DMA_BY_PROCESS;
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_ARGUMENT);
	dma = bounced(0, 0, VFIO_DMA_RW);
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_DMA_RANGE);
	dma = bounced(0, SIZE_MAX - PAGE, VFIO_DMA_RW);
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_DMA_RANGE);
	dma = bounced(0, PAGE, 0);
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_DMA_PROT);
	dma = bounced(0, PAGE, VFIO_DMA_RW);
	dma.vaddr = NULL;
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_DMA_RANGE);
	assert_int_equal(dma.iova, VFIO_IOVA_ANY);
	assert_int_equal(count_maps(b), 0);
}

/* A device of few address bits reaches memory that lies wherever it likes. */
static void few_address_bits(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma[16];

	assert_int_equal(vfio_dma_set_bits(b->dev, 32), 0);
	for (unsigned int i = 0; i < 16; i++) {
		dma[i] = bounced(i * 1000, 1000, VFIO_DMA_RW);
		memory[i * 1000 + 5] = 100 + i;
		assert_int_equal(vfio_dma_map(b->dev, &dma[i]), 0);
		assert_true(dma[i].iova + dma[i].size <= 1ull << 32);
	}
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(device_byte(b, &dma[i], 5), 100 + i);
	assert_int_equal(vfio_dma_set_bits(b->dev, 12), 0);
	dma[0] = bounced(0, 10, VFIO_DMA_RW);
	assert_refused(b, vfio_dma_map(b->dev, &dma[0]), ENOSPC, VFIO_E_IOVA_SPACE);
}

/* ---- the end -------------------------------------------------------------------------------- */

static void each_way_out(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = bounced(10, SIZE, VFIO_DMA_RW);

	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(count_maps(b), 1);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(count_maps(b), 0);
	assert_int_equal(dma.size, 0);
	dma = bounced(10, SIZE, VFIO_DMA_RW);
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_forget(b->dev, memory, 10), 0);
	assert_int_equal(vfio_dma_forget(b->dev, memory + 10 + SIZE, 10), 0);
	assert_int_equal(count_maps(b), 1);
	assert_int_equal(vfio_dma_forget(b->dev, memory + 9 + SIZE, 10), 1);
	assert_int_equal(count_maps(b), 0);
	dma = bounced(10, SIZE, VFIO_DMA_RW);
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_unmap(b->dev, 0, UINT64_MAX), 0);
	assert_int_equal(vfio_dma_free(b->dev, &dma), -ENOENT);
	dma = bounced(10, SIZE, VFIO_DMA_RW);
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);	/* and vfio_close() */
}

/* A window that is a map by itself, unmapped as such: nothing is left that could be copied to. */
static void unmapped_as_a_map(void **state)
{
	static uint8_t large[512 << 10];
	struct both *b = *state;
	struct vfio_dma dma = {
		.vaddr = large, .iova = VFIO_IOVA_ANY, .size = sizeof(large), .fd = -1,
		.prot = VFIO_DMA_RW, .flags = VFIO_DMA_BOUNCE,
	}, again = dma;

	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_unmap(b->dev, dma.iova, dma.size), 0);
	assert_refused(b, vfio_dma_sync_for_device(b->dev, &dma, 0, 1), ENOENT, VFIO_E_NOT_MAPPED);
	assert_refused(b, vfio_dma_free(b->dev, &dma), ENOENT, VFIO_E_NOT_MAPPED);
	assert_int_equal(vfio_dma_map(b->dev, &again), 0);
	assert_int_equal(again.iova, dma.iova);
}

static void in_a_space(void **state)
{
	struct both *b = *state, other;
	struct vfio_dma dma = bounced(3, 100, VFIO_DMA_RW);
	struct vfio_space *space;

	assert_int_equal(both_open(&other, !b->is_socket), 0);
	assert_int_equal(vfio_set_bus_master(other.dev, true), 0);
	assert_int_equal(vfio_space_new(&space, NULL), 0);
	assert_int_equal(vfio_space_attach(space, b->dev), 0);
	assert_int_equal(vfio_space_map(space, &dma), 0);
	memory[3] = 77;
	assert_int_equal(vfio_space_attach(space, other.dev), 0);
	assert_int_equal(vfio_dma_sync_for_device(other.dev, &dma, 0, 1), 0);
	assert_int_equal(device_byte(b, &dma, 0), 77);
	assert_int_equal(device_byte(&other, &dma, 0), 77);
	assert_int_equal(vfio_space_dma_free(space, &dma), 0);
	vfio_space_free(space);
	both_close(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, both_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(to_the_device),
		TEST(from_the_device),
		TEST(directions),
		TEST(others_need_nothing),
		TEST(outside_of_the_buffer),
		TEST(what_cannot_bounce),
		TEST(few_address_bits),
		TEST(each_way_out),
		TEST(unmapped_as_a_map),
		TEST(in_a_space),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
