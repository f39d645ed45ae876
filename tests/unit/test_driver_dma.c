/* SPDX-License-Identifier: MIT */
/* The driver API over each back end: memory. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

static int map_anywhere(struct both *b, struct vfio_dma *dma, size_t size)
{
	*dma = (struct vfio_dma){
		.vaddr = memory, .iova = VFIO_IOVA_ANY, .size = size, .fd = -1, .prot = VFIO_DMA_RW,
	};
	return vfio_dma_map(b->dev, dma);
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

/* A second description of a memory file, opened otherwise. */
static int reopened(int fd, int flags)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	close(fd);
	return again;
}

static int file(int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* What a server would say of a file is said in this process, too. */
static void files_that_cannot_be_mapped(void **state)
{
	struct both *b = *state;
	const struct {
		int fd;
		uint64_t offset;
		uint32_t prot;
		int err;
	} files[] = {
		{ reopened(file(0), O_RDONLY), 0, VFIO_DMA_RW, EACCES },
		{ reopened(file(0), O_RDONLY), 0, VFIO_DMA_READ, 0 },
		{ file(F_SEAL_WRITE), 0, VFIO_DMA_WRITE, EACCES },
		{ file(0), 100, VFIO_DMA_RW, EINVAL },
		{ file(0), PAGE, VFIO_DMA_RW, EINVAL },
		{ file(0), 1ull << 63, VFIO_DMA_RW, EINVAL },
		{ open("/dev/null", O_RDWR | O_CLOEXEC), 0, VFIO_DMA_RW, 0 },	/* no memory: not used */
		{ -7, 0, VFIO_DMA_RW, EBADF },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct vfio_dma dma = {
			.vaddr = memory, .iova = 0x40000 + i * PAGE, .size = PAGE, .fd = files[i].fd,
			.fd_offset = files[i].offset, .prot = files[i].prot,
		};

		assert_int_equal(vfio_dma_map(b->dev, &dma), -files[i].err);
		if (files[i].err)
			assert_true(last(b)->err == files[i].err && last(b)->remedy[0]);
		if (files[i].fd >= 0)
			close(files[i].fd);
	}
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

	one = two = (struct vfio_dma){
		.vaddr = memory, .iova = VFIO_IOVA_ANY, .size = PAGE, .fd = -1,
		.prot = VFIO_DMA_READ,
	};
	two.vaddr = memory + PAGE;
	assert_int_equal(vfio_dma_map(b->dev, &one), 0);
	assert_int_equal(vfio_dma_map(b->dev, &two), 0);
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

	assert_int_equal(vfio_dma_set_pages(b->dev, VFIO_PAGES_PLAIN), 0);	/* no second try */
	for (int again = 0; again < 2; again++) {
		assert_int_equal(map_at(b, TOP, PAGE, VFIO_DMA_RW), 0);
		assert_int_equal(map_at(b, 0, PAGE, VFIO_DMA_RW), 0);
		assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, VFIO_DMA_RW), 0);
		assert_int_equal(vfio_dma_unmap(b->dev, 0, UINT64_MAX), 0);
	}
	assert_int_equal(b->model.gone, 6);
}

/* Nobody tells the library of munmap(): the caller does. */
static void memory_that_is_unmapped_here(void **state)
{
	const void *before = (const void *)((uintptr_t)memory - PAGE);
	struct both *b = *state;

	assert_int_equal(vfio_dma_forget(b->dev, memory, sizeof(memory)), 0);
	assert_int_equal(map_at(b, 0x40000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(b, 0x50000, 4 * PAGE, VFIO_DMA_RW), 0);
	master(b);
	assert_int_equal(vfio_dma_forget(b->dev, memory + 4 * PAGE, 4 * PAGE), 0);
	assert_int_equal(vfio_dma_forget(b->dev, before, PAGE), 0);
	assert_int_equal(vfio_dma_forget(b->dev, memory, 0), 0);
	assert_int_equal(vfio_dma_forget(b->dev, memory + 4 * PAGE - 1, 1), 1);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x50000, 1), -EFAULT);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, 1), 0);
	assert_int_equal(map_at(b, 0x50000, 4 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_forget(b->dev, before, PAGE + 1), 2);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, 0x40000, 1), -EFAULT);
	assert_int_equal(b->model.gone, 3);
}

static void freeing_what_was_mapped(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma, again;

	assert_int_equal(map_anywhere(b, &dma, 2 * PAGE), 0);
	again = dma;
	again.iova += PAGE;
	again.vaddr = memory + PAGE;
	assert_int_equal(vfio_dma_free(b->dev, &again), -ENOENT);	/* the middle of it */
	assert_record(last(b), ENOENT, VFIO_E_NOT_MAPPED);
	again = dma;
	again.vaddr = memory + PAGE;
	assert_int_equal(vfio_dma_free(b->dev, &again), -ENOENT);	/* other memory */
	again = dma;
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(dma.size, 0);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_free(b->dev, &again), -ENOENT);
	assert_int_equal(b->model.gone, 1);
	memory[0] = 1;							/* the caller's still */
}

/* ---- I/O addresses ------------------------------------------------------------------------ */

static void addresses_obey_the_limit(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma[32], extra;
	unsigned int n;

	assert_int_equal(vfio_dma_set_bits(b->dev, 17), 0);
	for (n = 0; n < 32; n++) {
		int r = map_anywhere(b, &dma[n], PAGE);

		if (r < 0) {
			assert_int_equal(r, -ENOSPC);
			assert_true(dma[n].iova == VFIO_IOVA_ANY);
			break;
		}
		assert_true(dma[n].iova + PAGE <= 1u << 17);
		for (unsigned int i = 0; i < n; i++)
			assert_true(dma[i].iova != dma[n].iova);
	}
	assert_record(last(b), ENOSPC, VFIO_E_IOVA_SPACE);
	assert_true(last(b)->remedy[0]);
	assert_int_equal(n, 16);
	extra = dma[n / 2];
	assert_int_equal(vfio_dma_free(b->dev, &dma[n / 2]), 0);
	assert_int_equal(map_anywhere(b, &dma[n / 2], PAGE), 0);
	assert_true(dma[n / 2].iova == extra.iova);	/* the only room that there was */
	assert_int_equal(vfio_dma_set_bits(b->dev, 64), 0);
	assert_int_equal(map_anywhere(b, &extra, PAGE), 0);
	assert_true(extra.iova == 1u << 17);
}

static void addresses_of_all_widths(void **state)
{
	static const unsigned int widths[] = { 17, 28, 32, 39, 48, 64 };
	struct both *b = *state;
	struct vfio_dma dma;

	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		uint64_t end = widths[i] == 64 ? 0 : 1ull << widths[i];

		/* Where the last but one page below the limit is all that is left. */
		assert_int_equal(vfio_dma_set_bits(b->dev, widths[i]), 0);
		assert_int_equal(map_at(b, end - PAGE, PAGE, VFIO_DMA_RW), 0);
		assert_int_equal(map_anywhere(b, &dma, 2 * PAGE), 0);
		assert_true(dma.iova + 2 * PAGE - 1 < end - PAGE);
		assert_int_equal(vfio_dma_unmap(b->dev, 0, UINT64_MAX), 0);
	}
}

static void addresses_keep_off_the_callers(void **state)
{
	struct both *b = *state;
	struct vfio_dma first, dma;

	assert_int_equal(map_anywhere(b, &first, PAGE), 0);
	assert_int_equal(map_at(b, first.iova + 2 * PAGE, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map_anywhere(b, &dma, 2 * PAGE), 0);
	assert_true(dma.iova >= first.iova + 3 * PAGE || dma.iova + 2 * PAGE <= first.iova);
	assert_int_equal(map_anywhere(b, &dma, PAGE), 0);
	assert_true(dma.iova == first.iova + PAGE);	/* the gap between */
}

/* Only some addresses can be used, as on machines whose IOMMU has holes. */
static void addresses_where_the_machine_allows(void **state)
{
	static const struct vfio_iova_range ranges[] = {
		{ 0, 0x11fff }, { 0x20800, 0x21fff }, { 0x30000, 0x30fff }, { 0x50000, 0x5ffff },
	};
	static const uint64_t expected[] = { 0x10000, 0x50000, 0x52000 };
	struct both *b = *state;
	struct vfio_dma dma;

	both_allow(b, ranges, 4);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(map_anywhere(b, &dma, 2 * PAGE), 0);
		assert_true(dma.iova == expected[i]);
	}
	assert_int_equal(map_anywhere(b, &dma, PAGE), 0);
	assert_true(dma.iova == 0x21000);		/* whole pages */
	assert_int_equal(map_anywhere(b, &dma, PAGE), 0);
	assert_true(dma.iova == 0x30000);
	assert_int_equal(map_at(b, 0x20000, PAGE, VFIO_DMA_RW), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_IOVA_RANGE);
	assert_int_equal(vfio_dma_set_bits(b->dev, 18), 0);
	assert_int_equal(map_anywhere(b, &dma, PAGE), -ENOSPC);
	assert_record(last(b), ENOSPC, VFIO_E_IOVA_SPACE);
	assert_int_equal(vfio_dma_set_bits(b->dev, 64), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, VFIO_DMA_RW), 0);
	assert_true(dma.iova >= 0x54000 && dma.iova < 0x60000);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 2 << 20, VFIO_DMA_RW), -ENOSPC);
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
		BOTH(memory_without_a_descriptor),
		BOTH(memory_with_a_descriptor),
		BOTH(what_cannot_be_mapped),
		BOTH(files_that_cannot_be_mapped),
		BOTH(directions),
		BOTH(adjacent_maps_are_one_range),
		BOTH(unmapping),
		BOTH(unmapping_everything),
		BOTH(memory_that_is_unmapped_here),
		BOTH(freeing_what_was_mapped),
		BOTH(addresses_obey_the_limit),
		BOTH(addresses_of_all_widths),
		BOTH(addresses_keep_off_the_callers),
		BOTH(addresses_where_the_machine_allows),
		BOTH(bits_out_of_range),
		BOTH(maps_outlive_a_reset),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
