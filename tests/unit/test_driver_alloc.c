/* SPDX-License-Identifier: MIT */
/* The driver API over each back end: memory of the library's own. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "contract.h"

#define PAGE 0x1000u
#define MIB  (1u << 20)

static const struct vfio_error *last(struct both *b)
{
	return vfio_last_error(b->dev);
}

static void master(struct both *b)
{
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
}

static void alloc(struct both *b, struct vfio_dma *dma, size_t size, uint32_t prot)
{
	assert_int_equal(vfio_dma_alloc(b->dev, dma, size, prot), 0);
}

/* How many maps the device has. */
static uint64_t maps(struct both *b)
{
	struct vfio_dma_limits limits;

	assert_int_equal(vfio_dma_limits(b->dev, &limits), 0);
	return limits.maps.used;
}

static bool is_zeroed(const struct vfio_dma *dma)
{
	const uint8_t *bytes = dma->vaddr;

	return !bytes[0] && !memcmp(bytes, bytes + 1, dma->size - 1);
}

/* ---- one buffer ---------------------------------------------------------------------------- */

static void a_small_buffer(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;
	unsigned int before;

	alloc(b, &dma, 4000, VFIO_DMA_RW);
	before = b->model.gone;
	assert_int_equal(dma.size, 4032);
	assert_int_equal(dma.iova % PAGE, 0);
	assert_true(dma.iova > 0);
	assert_int_equal(dma.prot, VFIO_DMA_RW);
	assert_int_equal(dma.flags, 0);
	assert_in_range(dma.pages, VFIO_PAGES_HUGETLBFS, VFIO_PAGES_PLAIN);
	if (dma.pages != VFIO_PAGES_HUGETLBFS)
		assert_true(fcntl(dma.fd, F_GET_SEALS) & F_SEAL_SHRINK);
	assert_true(is_zeroed(&dma));
	memset(dma.vaddr, 0x5a, 100);
	master(b);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma.iova + 64, 64), 0);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES + 35), 0x5a);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES + 36), 0);
	vfio_write8(b->dev, 0, MODEL_BYTES, 0x77);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, dma.iova + 3999, 1), 0);
	assert_int_equal(((uint8_t *)dma.vaddr)[3999], 0x77);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(dma.size, 0);
	assert_int_equal(dma.fd, -1);
	assert_null(dma.vaddr);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);	/* once more does no harm */
	assert_int_equal(b->model.gone, before + 1);		/* it was the only one */
}

/* Its file shows the same bytes, at fd_offset. */
static void the_file_of_a_buffer(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma[3];
	char *there;

	for (size_t i = 0; i < 3; i++)
		alloc(b, &dma[i], PAGE, VFIO_DMA_RW);
	assert_int_equal(dma[2].fd, dma[0].fd);
	assert_int_not_equal(dma[2].fd_offset, dma[1].fd_offset);
	there = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dma[2].fd, dma[2].fd_offset);
	if (there == MAP_FAILED) {
		print_message("skipped: nobody can map a part of a huge page\n");
		skip();
	}
	strcpy(dma[2].vaddr, "hello");
	assert_string_equal(there, "hello");
	munmap(there, PAGE);
}

static void a_large_buffer(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;
	unsigned int before;

	alloc(b, &dma, 64 * MIB + 1, VFIO_DMA_WRITE);
	before = b->model.gone;
	assert_int_equal(dma.size, 64 * MIB + 64);
	assert_int_equal((uintptr_t)dma.vaddr % (2 * MIB), 0);
	assert_int_equal(dma.iova % (2 * MIB), 0);
	assert_int_equal(dma.fd_offset, 0);
	master(b);
	vfio_write8(b->dev, 0, MODEL_BYTES, 0x11);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, dma.iova + 64 * MIB, 1), 0);
	assert_int_equal(((uint8_t *)dma.vaddr)[64 * MIB], 0x11);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma.iova, 1), -EFAULT);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(b->model.gone, before + 1);
	assert_int_equal(maps(b), 0);
}

static void a_device_works_in_place(void **state)
{
	static const size_t sizes[] = { 64, PAGE, 100000, MIB, 2 * MIB, 3 * MIB };
	struct both *b = *state;

	master(b);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vfio_dma dma;

		alloc(b, &dma, sizes[i], VFIO_DMA_RW);
		if (b->is_socket)	/* whose server would copy to and from huge pages */
			assert_true(dma.pages > VFIO_PAGES_HUGETLB);
		assert_int_equal(model_dma(b, MODEL_SPANS, dma.iova, sizes[i]), 1);
		assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	}
}

static void what_cannot_be_allocated(void **state)
{
	static const size_t too_much[] = { SIZE_MAX, SIZE_MAX / 2 + 1 };
	struct both *b = *state;
	struct vfio_dma dma;

	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 0, VFIO_DMA_RW), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_DMA_RANGE);
	for (size_t i = 0; i < sizeof(too_much) / sizeof(too_much[0]); i++)
		assert_int_equal(vfio_dma_alloc(b->dev, &dma, too_much[i], VFIO_DMA_RW), -EINVAL);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, SIZE_MAX / 2, VFIO_DMA_RW), -ENOMEM);
	assert_record(last(b), ENOMEM, VFIO_E_NO_MEMORY);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, 0), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_DMA_PROT);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, 8), -EINVAL);
	assert_int_equal(dma.size, 0);
	assert_int_equal(dma.fd, -1);
	assert_null(dma.vaddr);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(maps(b), 0);
}

static void kinds_of_pages(void **state)
{
	static const uint32_t bad[] = { 0, 5, UINT32_MAX };
	struct both *b = *state;
	struct vfio_dma dma;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(vfio_dma_set_pages(b->dev, bad[i]), -EINVAL);
		assert_record(last(b), EINVAL, VFIO_E_ARGUMENT);
	}
	for (uint32_t best = VFIO_PAGES_HUGETLBFS; best <= VFIO_PAGES_PLAIN; best++) {
		assert_int_equal(vfio_dma_set_pages(b->dev, best), 0);
		alloc(b, &dma, 2 * MIB, VFIO_DMA_RW);
		assert_in_range(dma.pages, best, VFIO_PAGES_PLAIN);
		assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	}
}

/* ---- many buffers -------------------------------------------------------------------------- */

static size_t next_power(size_t size)
{
	size_t power = 64;

	while (power < size)
		power *= 2;
	return power;
}

/* To the next power of two, at most to a page, and large ones to 2 MiB. */
static void alignment(void **state)
{
	static const size_t sizes[] = {
		1, 63, 64, 65, 128, 129, 500, 1000, 2048, 2049, PAGE, PAGE + 1, 3 * PAGE, 65536,
		99999, MIB / 4, MIB / 4 + 1, MIB, 2 * MIB, 2 * MIB + 1, 5 * MIB,
	};
	struct both *b = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t align = next_power(sizes[i]);
		struct vfio_dma dma;

		if (align > PAGE)
			align = sizes[i] < 2 * MIB ? PAGE : 2 * MIB;
		alloc(b, &dma, sizes[i], VFIO_DMA_RW);
		assert_int_equal(dma.size, (sizes[i] + 63) / 64 * 64);
		assert_int_equal(dma.iova % align, 0);
		assert_int_equal((uintptr_t)dma.vaddr % align, 0);
	}
}

static void ten_thousand_buffers_one_map(void **state)
{
	enum { N = 10000 };
	struct vfio_dma *dma = calloc(N, sizeof(*dma));
	struct both *b = *state;
	unsigned int before;

	assert_non_null(dma);
	for (uint32_t i = 0; i < N; i++) {
		alloc(b, &dma[i], 128, VFIO_DMA_RW);
		*(uint32_t *)dma[i].vaddr = i;
	}
	assert_int_equal(maps(b), 1);
	before = b->model.gone;
	master(b);
	for (uint32_t i = 0; i < N; i += 777) {
		assert_int_equal(model_dma(b, MODEL_DMA_READ, dma[i].iova, 4), 0);
		assert_int_equal(vfio_read32(b->dev, 0, MODEL_BYTES), i);
	}
	for (uint32_t i = 0; i < N; i++)	/* none has another's bytes */
		assert_int_equal(*(uint32_t *)dma[i].vaddr, i);
	for (uint32_t i = 0; i < N; i++) {
		assert_int_equal(maps(b), 1);
		assert_int_equal(vfio_dma_free(b->dev, &dma[(uint64_t)i * 7919 % N]), 0);
	}
	assert_int_equal(maps(b), 0);
	assert_int_equal(b->model.gone, before + 1);
	free(dma);
}

/* Chunks double: 30 MiB of small buffers are 2 + 2 + 4 + 8 + 16. */
static void chunks_grow(void **state)
{
	enum { N = 30 * 16 };
	struct vfio_dma *dma = calloc(N, sizeof(*dma));
	struct both *b = *state;

	assert_non_null(dma);
	for (size_t i = 0; i < N; i++)
		alloc(b, &dma[i], 65536, VFIO_DMA_RW);
	assert_int_equal(maps(b), 5);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(vfio_dma_free(b->dev, &dma[i]), 0);
	assert_int_equal(maps(b), 0);
	free(dma);
}

static void directions_do_not_mix(void **state)
{
	struct both *b = *state;
	struct vfio_dma in, out, both;

	alloc(b, &in, 64, VFIO_DMA_WRITE);
	alloc(b, &out, 64, VFIO_DMA_READ);
	alloc(b, &both, 64, VFIO_DMA_RW);
	assert_int_equal(maps(b), 3);
	master(b);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, in.iova, 64), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, in.iova, 64), -EFAULT);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, out.iova, 64), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, out.iova, 64), -EFAULT);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, both.iova, 64), 0);
}

static void memory_is_used_again_and_zeroed(void **state)
{
	struct both *b = *state;
	struct vfio_dma keep, dma, before;

	alloc(b, &keep, 64, VFIO_DMA_RW);
	alloc(b, &dma, 1000, VFIO_DMA_RW);
	before = dma;
	memset(dma.vaddr, 0xff, dma.size);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	alloc(b, &dma, 1024, VFIO_DMA_RW);
	assert_true(dma.iova == before.iova && dma.vaddr == before.vaddr);
	assert_true(is_zeroed(&dma));
}

/* One at a time: the pages are made once, and the map goes with the buffer. */
static void pages_are_kept_for_the_next(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;
	struct stat first, st;

	for (unsigned int i = 0; i < 3; i++) {
		alloc(b, &dma, 1000, i % 2 ? VFIO_DMA_READ : VFIO_DMA_RW);
		assert_int_equal(fstat(dma.fd, i ? &st : &first), 0);
		assert_true(!i || st.st_ino == first.st_ino);
		assert_true(is_zeroed(&dma));
		memset(dma.vaddr, 0xff, dma.size);
		assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
		assert_int_equal(maps(b), 0);
	}
	alloc(b, &dma, 2 * MIB, VFIO_DMA_RW);
	assert_true(is_zeroed(&dma));		/* a whole one is of new pages */
}

static void what_is_not_there_cannot_be_freed(void **state)
{
	struct both *b = *state;
	struct vfio_dma keep, dma, wrong;

	alloc(b, &keep, PAGE, VFIO_DMA_RW);
	alloc(b, &dma, PAGE, VFIO_DMA_RW);
	wrong = dma;
	wrong.iova += 64;
	wrong.vaddr = (uint8_t *)wrong.vaddr + 64;
	assert_int_equal(vfio_dma_free(b->dev, &wrong), -ENOENT);	/* the middle */
	assert_record(last(b), ENOENT, VFIO_E_NOT_MAPPED);
	assert_true(last(b)->remedy[0]);
	wrong = dma;
	wrong.vaddr = keep.vaddr;
	assert_int_equal(vfio_dma_free(b->dev, &wrong), -ENOENT);	/* of two buffers */
	wrong = dma;
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_free(b->dev, &wrong), -ENOENT);	/* twice */
	assert_true(wrong.size);
	assert_int_equal(vfio_dma_free(b->dev, &keep), 0);
	assert_int_equal(vfio_dma_free(b->dev, &wrong), -ENOENT);	/* the map neither */
	wrong.iova = UINT64_MAX;
	assert_int_equal(vfio_dma_free(b->dev, &wrong), -ENOENT);
}

static void one_of_many_cannot_be_unmapped(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;

	alloc(b, &dma, PAGE, VFIO_DMA_RW);
	assert_int_equal(vfio_dma_unmap(b->dev, dma.iova, PAGE), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_DMA_SPLIT);
	assert_int_equal(vfio_dma_forget(b->dev, dma.vaddr, PAGE), 0);	/* it is not the caller's */
	master(b);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma.iova, 64), 0);
	assert_int_equal(vfio_dma_unmap(b->dev, 0, UINT64_MAX), 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma.iova, 64), -EFAULT);
	assert_int_equal(vfio_dma_free(b->dev, &dma), -ENOENT);
	alloc(b, &dma, PAGE, VFIO_DMA_RW);				/* as if nothing had been */
}

/* ---- where there is little ----------------------------------------------------------------- */

static void few_addresses(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma[17], extra;

	assert_int_equal(vfio_dma_set_bits(b->dev, 17), 0);
	for (size_t i = 0; i < 16; i++) {
		alloc(b, &dma[i], PAGE, VFIO_DMA_RW);
		assert_true(dma[i].iova >= 0x10000 && dma[i].iova + PAGE <= 1u << 17);
	}
	assert_int_equal(maps(b), 1);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma[16], PAGE, VFIO_DMA_RW), -ENOSPC);
	assert_record(last(b), ENOSPC, VFIO_E_IOVA_SPACE);
	extra = dma[8];
	assert_int_equal(vfio_dma_free(b->dev, &dma[8]), 0);
	alloc(b, &dma[8], PAGE, VFIO_DMA_RW);
	assert_true(dma[8].iova == extra.iova);
	assert_int_equal(vfio_dma_set_bits(b->dev, 64), 0);
	alloc(b, &extra, PAGE, VFIO_DMA_RW);
	assert_true(extra.iova >= 1u << 17);
}

/* Buffers for a narrower device do not come from where they came before. */
static void a_limit_that_comes_late(void **state)
{
	struct both *b = *state;
	struct vfio_dma block = {
		.vaddr = aligned_alloc(PAGE, PAGE), .iova = 0x200000, .size = PAGE, .fd = -1,
		.prot = VFIO_DMA_RW,
	};
	struct vfio_dma high, low;

	assert_int_equal(vfio_dma_map(b->dev, &block), 0);
	alloc(b, &high, 64, VFIO_DMA_RW);
	assert_true(high.iova >= 0x400000);
	assert_int_equal(vfio_dma_set_bits(b->dev, 22), 0);
	alloc(b, &low, 64, VFIO_DMA_RW);
	assert_true(low.iova + 64 <= 1u << 22);
	assert_int_equal(vfio_dma_unmap(b->dev, block.iova, PAGE), 0);
	free(block.vaddr);
}

/* Then those that are left together are no power of two. */
static void the_first_chunk_goes(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma[33];

	for (unsigned int i = 0; i < 32; i++)			/* 2, 2 and 4 MiB */
		alloc(b, &dma[i], 256 << 10, VFIO_DMA_RW);
	assert_int_equal(maps(b), 3);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(vfio_dma_free(b->dev, &dma[i]), 0);
	assert_int_equal(maps(b), 2);
	alloc(b, &dma[32], 64, VFIO_DMA_RW);
	assert_int_equal(maps(b), 3);
}

static void little_may_be_mapped(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma, extra;

	both_limit(b, 1, 100000);
	alloc(b, &dma, 30000, VFIO_DMA_RW);			/* a chunk of 64 KiB fits */
	alloc(b, &extra, 30000, VFIO_DMA_RW);
	assert_int_equal(maps(b), 1);
	assert_int_equal(vfio_dma_alloc(b->dev, &extra, 64, VFIO_DMA_RW), -ENOSPC);
	assert_record(last(b), ENOSPC, VFIO_E_DMA_LIMIT);
	assert_int_equal(vfio_dma_alloc(b->dev, &extra, 2 * MIB, VFIO_DMA_RW), -ENOSPC);
	assert_int_equal(vfio_dma_unmap(b->dev, 0, UINT64_MAX), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &extra, 2 * MIB, VFIO_DMA_RW), -ENOMEM);
	assert_record(last(b), ENOMEM, VFIO_E_DMA_LIMIT);
	alloc(b, &dma, 65536, VFIO_DMA_RW);
}

/* What is refused is refused once: each time is a record of the server's, and a line in its log. */
static void a_limit_is_asked_for_and_not_tried_out(void **state)
{
	struct both *b = *state;
	struct vfio_error record;
	struct vfio_dma dma;
	uint64_t cursor = 0;
	unsigned int records = 0;

	both_limit(b, 2, 70000);
	alloc(b, &dma, 64, VFIO_DMA_READ);			/* a chunk of 32 KiB: a half, at most */
	assert_int_equal(vfio_record(b->dev, &cursor, &record), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 65536, VFIO_DMA_RW), -ENOMEM);
	both_limit(b, 1, UINT64_MAX);
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 64, VFIO_DMA_RW), -ENOSPC);
	while (vfio_record(b->dev, &cursor, &record) == 1)
		records++;
	assert_int_equal(records, 2);
}

/* A driver that has one buffer for each direction needs no more than it uses. */
static void each_direction_has_a_share(void **state)
{
	struct both *b = *state;
	struct vfio_dma there, back, both;

	both_limit(b, 100, 65536);
	alloc(b, &there, 4096, VFIO_DMA_READ);
	alloc(b, &back, 4096, VFIO_DMA_WRITE);
	alloc(b, &both, 4096, VFIO_DMA_RW);
	assert_int_equal(maps(b), 3);
}

/* Another server than libvfio's, which has a limit that it cannot be asked for. */
static const struct backend *generous;

static int map_little(struct vfio_dev *dev, const struct dma_map *map)
{
	if (map->size <= MIB)
		return generous->dma_map(dev, map);
	return error_set(&dev->error, ENOMEM, VFIO_E_DMA_MEMORY, VFIO_BY_SERVER, NULL, "too much");
}

static int know_nothing(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	return -ENOTTY;
}

static void a_limit_that_nobody_tells(void **state)
{
	static struct backend narrow;
	struct both *b = *state;
	struct vfio_dma dma;

	generous = b->dev->backend;
	narrow = *generous;
	narrow.dma_map = map_little;
	narrow.feature = know_nothing;
	b->dev->backend = &narrow;
	alloc(b, &dma, 64, VFIO_DMA_RW);
	b->dev->backend = generous;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_small_buffer),
		BOTH(the_file_of_a_buffer),
		BOTH(a_large_buffer),
		BOTH(a_device_works_in_place),
		BOTH(what_cannot_be_allocated),
		BOTH(kinds_of_pages),
		BOTH(alignment),
		BOTH(ten_thousand_buffers_one_map),
		BOTH(chunks_grow),
		BOTH(the_first_chunk_goes),
		BOTH(directions_do_not_mix),
		BOTH(memory_is_used_again_and_zeroed),
		BOTH(pages_are_kept_for_the_next),
		BOTH(what_is_not_there_cannot_be_freed),
		BOTH(one_of_many_cannot_be_unmapped),
		BOTH(few_addresses),
		BOTH(a_limit_that_comes_late),
		BOTH(little_may_be_mapped),
		BOTH(a_limit_is_asked_for_and_not_tried_out),
		BOTH(each_direction_has_a_share),
		BOTH(a_limit_that_nobody_tells),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
