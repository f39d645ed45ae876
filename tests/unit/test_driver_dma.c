/* SPDX-License-Identifier: MIT */
/* The driver API over each back end: memory. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 0x1000u
#define TOP  0xfffffffffffff000ull

static uint8_t memory[8 * PAGE] __attribute__((aligned(4096)));

static const struct vfio_error *last(struct both *b)
{
	return vfio_last_error(b->dev);
}

static void master(struct both *b)
{
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
}

/* Map memory of the test's own, without a descriptor: over a socket its bytes go by message. */
static int map_at(struct both *b, uint64_t iova, size_t size, uint32_t prot)
{
	struct vfio_dma dma = {
		.vaddr = memory, .iova = iova, .size = size, .fd = -1, .prot = prot,
	};
	int r = vfio_dma_map(b->dev, &dma);

	assert_true(dma.iova == iova);
	return r;
}

/* ---- memory of the library's -------------------------------------------------------------- */

static void allocated_memory(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;

	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 1, VFIO_DMA_RW), 0);
	assert_int_equal(dma.size, PAGE);
	assert_int_equal(dma.iova % PAGE, 0);
	assert_true(dma.iova > 0);
	assert_int_equal(dma.prot, VFIO_DMA_RW);
	assert_true(fcntl(dma.fd, F_GET_SEALS) & F_SEAL_SHRINK);
	for (size_t i = 0; i < PAGE; i++)
		assert_int_equal(((uint8_t *)dma.vaddr)[i], 0);
	memset(dma.vaddr, 0x5a, PAGE);
	master(b);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma.iova + 0x10, 0x20), 0);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES + 0x1f), 0x5a);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES + 0x20), 0);
	vfio_write8(b->dev, 0, MODEL_BYTES, 0x77);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, dma.iova + PAGE - 1, 1), 0);
	assert_int_equal(((uint8_t *)dma.vaddr)[PAGE - 1], 0x77);
	assert_int_equal(model_dma(b, MODEL_SPANS, dma.iova, PAGE), 1);	/* in place, everywhere */
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(dma.size, 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x10000, 1), -EFAULT);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);	/* once more does no harm */
}

static void large_memory(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;

	assert_int_equal(vfio_dma_alloc(b->dev, &dma, (64u << 20) + 1, VFIO_DMA_WRITE), 0);
	assert_int_equal(dma.size, (64u << 20) + PAGE);
	master(b);
	vfio_write8(b->dev, 0, MODEL_BYTES, 0x11);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, dma.iova + (64u << 20), 1), 0);
	assert_int_equal(((uint8_t *)dma.vaddr)[64u << 20], 0x11);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma.iova, 1), -EFAULT);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
}

static void what_cannot_be_allocated(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;

	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 0, VFIO_DMA_RW), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_DMA_RANGE);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, SIZE_MAX, VFIO_DMA_RW), -EINVAL);
	assert_true(vfio_dma_alloc(b->dev, &dma, SIZE_MAX / 2, VFIO_DMA_RW) < 0);
	assert_true(last(b)->what[0]);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, 0), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_DMA_PROT);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, 8), -EINVAL);
	assert_int_equal(dma.size, 0);
	assert_int_equal(dma.fd, -1);
	assert_null(dma.vaddr);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
}

/* ---- memory of the caller's --------------------------------------------------------------- */

static void memory_without_a_descriptor(void **state)
{
	struct both *b = *state;

	assert_int_equal(map_at(b, 0x40000, 2 * PAGE, VFIO_DMA_RW), 0);
	master(b);
	memset(memory, 0x5a, sizeof(memory));
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000 + PAGE - 8, 0x100), 0);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES + 0xff), 0x5a);
	vfio_write64(b->dev, 0, MODEL_BYTES, 0x1122334455667788ull);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x40000, MODEL_BYTES_SIZE), 0);
	assert_int_equal(memory[0], 0x88);
	assert_int_equal(memory[7], 0x11);
	assert_int_equal(model_dma(b, MODEL_SPANS, 0x40000, 8), b->is_socket ? -ENOTSUP : 1);
}

static void memory_with_a_descriptor(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = {
		.iova = 0x40000, .size = PAGE, .prot = VFIO_DMA_RW, .fd_offset = PAGE,
		.fd = memfd_create("test", MFD_CLOEXEC),
	};

	assert_int_equal(ftruncate(dma.fd, 2 * PAGE), 0);
	dma.vaddr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dma.fd, PAGE);
	assert_ptr_not_equal(dma.vaddr, MAP_FAILED);
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	close(dma.fd);				/* the device has its own by now */
	master(b);
	strcpy(dma.vaddr, "hello");
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40001, 4), 0);
	assert_int_equal(vfio_read32(b->dev, 0, MODEL_BYTES), 0x6f6c6c65);
	vfio_write32(b->dev, 0, MODEL_BYTES, 0x21212121);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x40000, 4), 0);
	assert_string_equal(dma.vaddr, "!!!!o");
	assert_int_equal(vfio_dma_unmap(b->dev, 0x40000, PAGE), 0);
	strcpy(dma.vaddr, "the caller's still");
	munmap(dma.vaddr, PAGE);
}

static void what_cannot_be_mapped(void **state)
{
	static const struct {
		size_t skip;
		uint64_t iova;
		size_t size;
		uint32_t prot;
		int err;
		enum vfio_error_code code;
	} maps[] = {
		{ 1, 0x80000, PAGE, VFIO_DMA_RW, EINVAL, VFIO_E_ALIGN },
		{ 0, 0x80001, PAGE, VFIO_DMA_RW, EINVAL, VFIO_E_ALIGN },
		{ 0, 0x80000, PAGE - 1, VFIO_DMA_RW, EINVAL, VFIO_E_ALIGN },
		{ 0, 0x80000, 0, VFIO_DMA_RW, EINVAL, VFIO_E_DMA_RANGE },
		{ 0, TOP, 2 * PAGE, VFIO_DMA_RW, EOVERFLOW, VFIO_E_DMA_RANGE },
		{ 0, 0x80000, PAGE, 0, EINVAL, VFIO_E_DMA_PROT },
		{ 0, 0x80000, PAGE, 4, EINVAL, VFIO_E_DMA_PROT },
		{ 0, 0x41000, PAGE, VFIO_DMA_RW, EEXIST, VFIO_E_OVERLAP },
		{ 0, 0x3f000, 2 * PAGE, VFIO_DMA_RW, EEXIST, VFIO_E_OVERLAP },
		{ 0, 0x40000, 2 * PAGE, VFIO_DMA_READ, EEXIST, VFIO_E_OVERLAP },
	};
	struct both *b = *state;
	struct vfio_dma none = {
		.size = PAGE, .iova = VFIO_IOVA_ANY, .fd = -1, .prot = VFIO_DMA_RW,
	};

	assert_int_equal(map_at(b, 0x40000, 2 * PAGE, VFIO_DMA_RW), 0);
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		struct vfio_dma dma = {
			.vaddr = memory + maps[i].skip, .iova = maps[i].iova, .size = maps[i].size,
			.prot = maps[i].prot, .fd = -1,
		};

		assert_int_equal(vfio_dma_map(b->dev, &dma), -maps[i].err);
		assert_record(last(b), maps[i].err, maps[i].code);
	}
	assert_int_equal(vfio_dma_map(b->dev, &none), -EINVAL);
	assert_true(none.iova == VFIO_IOVA_ANY);
	master(b);				/* what is there is still there */
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, 2 * PAGE), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x80000, 1), -EFAULT);
}

/* ---- what the device may ------------------------------------------------------------------ */

static void directions(void **state)
{
	struct both *b = *state;

	assert_int_equal(map_at(b, 0x40000, PAGE, VFIO_DMA_READ), 0);
	assert_int_equal(map_at(b, 0x50000, PAGE, VFIO_DMA_WRITE), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, 1), -EPERM);	/* no bus master */
	master(b);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, PAGE), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x50000, PAGE), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, 0x40000, 1), -EFAULT);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x50000, 1), -EFAULT);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40001, PAGE), -EFAULT);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, UINT64_MAX, 2), -EFAULT);
}

static void adjacent_maps_are_one_range(void **state)
{
	struct both *b = *state;
	struct vfio_dma one, two;

	assert_int_equal(vfio_dma_alloc(b->dev, &one, PAGE, VFIO_DMA_READ), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &two, PAGE, VFIO_DMA_READ), 0);
	assert_true(two.iova == one.iova + PAGE);
	memset(one.vaddr, 1, PAGE);
	memset(two.vaddr, 2, PAGE);
	master(b);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, two.iova - 2, 4), 0);
	assert_int_equal(vfio_read32(b->dev, 0, MODEL_BYTES), 0x02020101);
}

/* ---- unmap -------------------------------------------------------------------------------- */

static void unmapping(void **state)
{
	struct both *b = *state;

	assert_int_equal(map_at(b, 0x40000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(b, 0x50000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_unmap(b->dev, 0x60000, PAGE), -ENOENT);
	assert_record(last(b), ENOENT, VFIO_E_NOT_MAPPED);
	assert_int_equal(vfio_dma_unmap(b->dev, 0x40000, PAGE), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_DMA_SPLIT);
	assert_true(last(b)->remedy[0]);
	assert_int_equal(vfio_dma_unmap(b->dev, 0x41000, 0x10000), -EINVAL);
	assert_int_equal(vfio_dma_unmap(b->dev, 0x40000, 0), -EINVAL);
	assert_int_equal(vfio_dma_unmap(b->dev, TOP, 2 * PAGE), -EOVERFLOW);
	master(b);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x41000, PAGE), 0);	/* all there */
	assert_int_equal(vfio_dma_unmap(b->dev, 0, 0x100000), 0);
	assert_int_equal(b->model.gone, 2);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, 1), -EFAULT);
	assert_int_equal(map_at(b, 0x40000, PAGE, VFIO_DMA_RW), 0);
}

static void unmapping_everything(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;

	for (int again = 0; again < 2; again++) {
		assert_int_equal(map_at(b, TOP, PAGE, VFIO_DMA_RW), 0);
		assert_int_equal(map_at(b, 0, PAGE, VFIO_DMA_RW), 0);
		assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, VFIO_DMA_RW), 0);
		assert_int_equal(vfio_dma_unmap(b->dev, 0, UINT64_MAX), 0);
	}
	assert_int_equal(b->model.gone, 6);
}

/* ---- I/O addresses ------------------------------------------------------------------------ */

static void addresses_obey_the_limit(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma[32], extra;
	unsigned int n;

	assert_int_equal(vfio_dma_set_bits(b->dev, 17), 0);
	for (n = 0; n < 32; n++) {
		int r = vfio_dma_alloc(b->dev, &dma[n], PAGE, VFIO_DMA_RW);

		if (r < 0) {
			assert_int_equal(r, -ENOSPC);
			break;
		}
		assert_true(dma[n].iova + PAGE <= 1u << 17);
		for (unsigned int i = 0; i < n; i++)
			assert_true(dma[i].iova != dma[n].iova);
	}
	assert_record(last(b), ENOSPC, VFIO_E_IOVA_SPACE);
	assert_true(last(b)->remedy[0]);
	assert_in_range(n, 8, 31);
	extra = dma[n / 2];
	assert_int_equal(vfio_dma_free(b->dev, &dma[n / 2]), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma[n / 2], PAGE, VFIO_DMA_RW), 0);
	assert_true(dma[n / 2].iova == extra.iova);	/* the only room that there was */
	assert_int_equal(vfio_dma_set_bits(b->dev, 64), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &extra, PAGE, VFIO_DMA_RW), 0);
	assert_true(extra.iova >= 1u << 17);
}

static void addresses_keep_off_the_callers(void **state)
{
	struct both *b = *state;
	struct vfio_dma first, dma = {
		.vaddr = memory, .iova = VFIO_IOVA_ANY, .size = 2 * PAGE, .fd = -1,
		.prot = VFIO_DMA_RW,
	};

	assert_int_equal(vfio_dma_alloc(b->dev, &first, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(b, first.iova + 2 * PAGE, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_true(dma.iova >= first.iova + 3 * PAGE || dma.iova + 2 * PAGE <= first.iova);
	dma.iova = VFIO_IOVA_ANY;
	dma.size = PAGE;
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_true(dma.iova == first.iova + PAGE);	/* the gap between */
}

static void bits_out_of_range(void **state)
{
	static const unsigned int bad[] = { 0, 1, 11, 65, 128, UINT32_MAX };
	struct both *b = *state;
	struct vfio_dma dma;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(vfio_dma_set_bits(b->dev, bad[i]), -EINVAL);
		assert_record(last(b), EINVAL, VFIO_E_ARGUMENT);
		assert_true(last(b)->remedy[0]);
	}
	assert_int_equal(vfio_dma_set_bits(b->dev, 12), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, VFIO_DMA_RW), -ENOSPC);
	assert_int_equal(vfio_dma_set_bits(b->dev, 64), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, VFIO_DMA_RW), 0);
}

/* ---- reset -------------------------------------------------------------------------------- */

static void maps_outlive_a_reset(void **state)
{
	struct both *b = *state;

	assert_int_equal(map_at(b, 0x40000, PAGE, VFIO_DMA_RW), 0);
	master(b);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, PAGE), 0);
	assert_int_equal(b->model.gone, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(allocated_memory),
		BOTH(large_memory),
		BOTH(what_cannot_be_allocated),
		BOTH(memory_without_a_descriptor),
		BOTH(memory_with_a_descriptor),
		BOTH(what_cannot_be_mapped),
		BOTH(directions),
		BOTH(adjacent_maps_are_one_range),
		BOTH(unmapping),
		BOTH(unmapping_everything),
		BOTH(addresses_obey_the_limit),
		BOTH(addresses_keep_off_the_callers),
		BOTH(bits_out_of_range),
		BOTH(maps_outlive_a_reset),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
