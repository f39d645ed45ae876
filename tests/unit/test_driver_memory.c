/* SPDX-License-Identifier: MIT */
/* What a driver can learn of the memory that its device has, over each back end. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 0x1000u
#define TOP  0xfffffffffffff000ull

static const struct vfio_error *last(struct both *b)
{
	return vfio_last_error(b->dev);
}

static void *pages(size_t n)
{
	void *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

/* Anonymous memory at an I/O address. */
static void *map(struct both *b, uint64_t iova, size_t n, uint32_t prot, uint32_t flags)
{
	struct vfio_dma dma = {
		.vaddr = pages(n), .iova = iova, .size = n * PAGE, .prot = prot, .fd = -1,
		.flags = flags,
	};

	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	return dma.vaddr;
}

/* How the device reaches the first map that ends at or behind iova. */
static uint32_t access_at(struct both *b, uint64_t iova)
{
	struct vfio_dma_info info = { 0 };

	assert_int_equal(vfio_dma_next(b->dev, &iova, &info), 1);
	return info.access;
}

/* ---- maps --------------------------------------------------------------------------------- */

static void maps_are_listed(void **state)
{
	struct both *b = *state;
	struct vfio_dma_info info;
	uint64_t cursor = 0;

	assert_int_equal(vfio_dma_next(b->dev, &cursor, &info), 0);
	map(b, TOP, 1, VFIO_DMA_RW, 0);
	map(b, 0x40000, 2, VFIO_DMA_READ, 0);
	map(b, 0x42000, 1, VFIO_DMA_WRITE, 0);
	assert_int_equal(vfio_dma_next(b->dev, &cursor, &info), 1);
	assert_true(info.iova == 0x40000 && info.size == 2 * PAGE && info.prot == VFIO_DMA_READ);
	assert_int_equal(vfio_dma_next(b->dev, &cursor, &info), 1);
	assert_true(info.iova == 0x42000 && info.size == PAGE && info.prot == VFIO_DMA_WRITE);
	assert_int_equal(vfio_dma_next(b->dev, &cursor, &info), 1);
	assert_true(info.iova == TOP && info.size == PAGE && info.prot == VFIO_DMA_RW);
	assert_int_equal(vfio_dma_next(b->dev, &cursor, &info), 0);
	assert_int_equal(vfio_dma_next(b->dev, &cursor, &info), 0);
}

static void how_memory_is_reached(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = {
		.iova = 0x50000, .size = PAGE, .prot = VFIO_DMA_RW,
		.fd = memfd_create("test", MFD_CLOEXEC),
	};

	map(b, 0x40000, 1, VFIO_DMA_RW, 0);
	assert_int_equal(access_at(b, 0x40000),
			 b->is_socket ? VFIO_DMA_BY_MESSAGE : VFIO_DMA_IN_PLACE);
	assert_int_equal(ftruncate(dma.fd, PAGE), 0);
	dma.vaddr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dma.fd, 0);
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(access_at(b, 0x50000), b->is_socket ? VFIO_DMA_BY_FILE : VFIO_DMA_IN_PLACE);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(access_at(b, dma.iova), VFIO_DMA_IN_PLACE);
}

static void limits(void **state)
{
	struct both *b = *state;
	struct vfio_dma_limits l;

	map(b, 0x40000, 3, VFIO_DMA_RW, 0);
	map(b, 0x50000, 1, VFIO_DMA_RW, 0);
	assert_int_equal(vfio_dma_limits(b->dev, &l), 0);
	assert_true(l.maps.used == 2 && l.bytes.used == 4 * PAGE);
	assert_true(l.maps.granted <= l.maps.advertised && l.bytes.granted <= l.bytes.advertised);
	assert_int_equal(vfio_dma_unmap(b->dev, 0x40000, 3 * PAGE), 0);
	assert_int_equal(vfio_dma_limits(b->dev, &l), 0);
	assert_true(l.maps.used == 1 && l.bytes.used == PAGE);
}

static void addresses(void **state)
{
	struct vfio_iova_range ranges[VFIO_MAX_IOVA_RANGES];
	struct both *b = *state;

	assert_int_equal(vfio_iova_ranges(b->dev, ranges), 1);
	assert_true(ranges[0].start == 0 && ranges[0].end == UINT64_MAX);
}

/* ---- the process's memory ----------------------------------------------------------------- */

static void memory_of_the_process(void **state)
{
	struct both *b = *state;
	uint8_t *memory = map(b, 0x40000, 2, VFIO_DMA_RW, VFIO_DMA_BY_PROCESS);

	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(access_at(b, 0x40000),
			 b->is_socket ? VFIO_DMA_BY_PROCESS : VFIO_DMA_IN_PLACE);
	memset(memory, 0x5a, 2 * PAGE);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000 + PAGE - 8, 16), 0);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES + 15), 0x5a);
	vfio_write32(b->dev, 0, MODEL_BYTES, 0x11223344);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x40000 + PAGE - 2, 4), 0);
	assert_int_equal(memory[PAGE - 2], 0x44);
	assert_int_equal(memory[PAGE + 1], 0x11);
}

/* A map that is refused for another reason says nothing of how memory is reached. */
static void memory_of_the_process_after_a_refusal(void **state)
{
	struct both *b = *state;
	struct vfio_dma more = {
		.vaddr = pages(1), .iova = 0x50000, .size = PAGE, .fd = -1, .prot = VFIO_DMA_RW,
		.flags = VFIO_DMA_BY_PROCESS,
	};

	both_limit(b, 1, UINT64_MAX);
	map(b, 0x40000, 1, VFIO_DMA_RW, VFIO_DMA_BY_PROCESS);
	assert_int_equal(vfio_dma_map(b->dev, &more), -ENOSPC);
	assert_int_equal(vfio_dma_unmap(b->dev, 0x40000, PAGE), 0);
	assert_int_equal(vfio_dma_map(b->dev, &more), 0);
	assert_int_equal(access_at(b, 0x50000),
			 b->is_socket ? VFIO_DMA_BY_PROCESS : VFIO_DMA_IN_PLACE);
}

/* Nothing is at these addresses any more, nor will be anything else of this process's. */
static void vanish(void *memory, size_t size)
{
	int empty = memfd_create("empty", MFD_CLOEXEC);

	assert_ptr_equal(mmap(memory, size, PROT_READ, MAP_SHARED | MAP_FIXED, empty, 0), memory);
	close(empty);
}

/* By whatever way: what is not there any more is an error of the device's, and nobody dies. */
static void memory_that_has_vanished(void **state)
{
	static const uint32_t flags[] = { 0, VFIO_DMA_BY_PROCESS };
	struct both *b = *state;

	if (!b->is_socket)
		return;		/* as any pointer */
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	for (size_t i = 0; i < 2; i++) {
		uint64_t iova = 0x40000 + i * 0x10000;
		void *memory = map(b, iova, 2, VFIO_DMA_RW, flags[i]);
		struct vfio_fault fault;

		vanish(memory, 2 * PAGE);
		assert_int_equal(model_dma(b, MODEL_DMA_READ, iova, 16), -EIO);
		assert_int_equal(model_dma(b, MODEL_DMA_WRITE, iova, 16), -EIO);
		assert_int_equal(vfio_fault(b->dev, &fault), 1);
		assert_true(fault.iova == iova && fault.err == EIO);
	}
}

/* ---- dirty pages -------------------------------------------------------------------------- */

static void dirty_pages(void **state)
{
	struct both *b = *state;
	uint64_t bitmap[2] = { 0 };

	map(b, 0x40000, 4, VFIO_DMA_RW, 0);
	map(b, 0x44000, 2, VFIO_DMA_READ, 0);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_dirty_get(b->dev, 0x40000, PAGE, PAGE, bitmap), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_ARGUMENT);
	assert_non_null(strstr(last(b)->what, "no writes are tracked"));
	assert_int_equal(vfio_dirty_start(b->dev, 1000), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_ARGUMENT);
	assert_int_equal(vfio_dirty_start(b->dev, PAGE), 0);
	map(b, 0x3f000, 1, VFIO_DMA_RW, 0);		/* while it is on */
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, 16), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x41ffe, 4), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x3f000, 1), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x45000, 1), -EFAULT);
	assert_int_equal(vfio_dirty_get(b->dev, 0x3e000, 10 * PAGE, PAGE, bitmap), 0);
	assert_true(bitmap[0] == (1 << 1 | 1 << 3 | 1 << 4) && bitmap[1] == 0);
	bitmap[0] = 1ull << 60;
	assert_int_equal(vfio_dirty_get(b->dev, 0x3e000, 10 * PAGE, PAGE, bitmap), 0);
	assert_true(bitmap[0] == 1ull << 60);		/* taken, and nothing is cleared */
	assert_int_equal(vfio_dirty_get(b->dev, 0x40000, PAGE, 2 * PAGE, bitmap), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_ARGUMENT);
	assert_int_equal(vfio_dirty_get(b->dev, 0x40001, PAGE, PAGE, bitmap), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_ALIGN);
	assert_int_equal(vfio_dirty_get(b->dev, 0x40000, 0, PAGE, bitmap), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_ALIGN);
	assert_int_equal(vfio_dirty_stop(b->dev), 0);
	assert_int_equal(vfio_dirty_get(b->dev, 0x40000, PAGE, PAGE, bitmap), -EINVAL);
}

/* More pages than one message can tell of. */
static void many_dirty_pages(void **state)
{
	const uint64_t pages_at_all = 200000, at[] = { 0, 65343, 65344, 131000, 199999 };
	struct both *b = *state;
	uint64_t *bitmap = calloc(pages_at_all / 64 + 1, sizeof(*bitmap));

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		map(b, (at[i] + 16) * PAGE, 1, VFIO_DMA_RW, 0);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_dirty_start(b->dev, PAGE), 0);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		assert_int_equal(model_dma(b, MODEL_DMA_WRITE, (at[i] + 16) * PAGE, 1), 0);
	assert_int_equal(vfio_dirty_get(b->dev, 16 * PAGE, pages_at_all * PAGE, PAGE, bitmap), 0);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		assert_true(bitmap[at[i] / 64] >> at[i] % 64 & 1);
		bitmap[at[i] / 64] &= ~(1ull << at[i] % 64);
	}
	for (size_t i = 0; i <= pages_at_all / 64; i++)
		assert_true(bitmap[i] == 0);
	free(bitmap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(maps_are_listed),
		BOTH(how_memory_is_reached),
		BOTH(limits),
		BOTH(addresses),
		BOTH(memory_of_the_process),
		BOTH(memory_of_the_process_after_a_refusal),
		BOTH(memory_that_has_vanished),
		BOTH(dirty_pages),
		BOTH(many_dirty_pages),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
