/* SPDX-License-Identifier: MIT */
/*
 * A type1 container, by what Linux promises of it: rows 184 to 206 of the list of assertions, one
 * test each, in its order. Then what the recordings of unit-kernel-type1 cannot tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommu/type1.h"

#define PAGE	 4096ull
#define PAGES	 16
#define IOVA	 0x100000ull
#define MSI	 0xfee00000ull
#define TOP	 (0 - PAGE)
#define RW	 (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define START	 VFIO_IOMMU_DIRTY_PAGES_FLAG_START
#define STOP	 VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP
#define BITMAP	 VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP
#define WITH_BITS VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP
#define ALL	 VFIO_DMA_UNMAP_FLAG_ALL
#define VADDR	 VFIO_DMA_UNMAP_FLAG_VADDR
#define NOWHERE	 ((uint64_t *)8)

static const struct vfio_iova_range x86[] = { { 0, MSI - 1 }, { 0xfef00000, 0x7fffffffff } };

static struct space space;
static struct type1 container;
static uint8_t *memory;			/* PAGES that can be used */

static void *pages(unsigned int n, int prot)
{
	void *p = mmap(NULL, n * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void init(enum space_rules rules)
{
	space_init(&space);
	space.rules = rules;
	container = (struct type1){ .space = &space, .caller = &caller_self };
	memory = pages(PAGES, PROT_READ | PROT_WRITE);
	assert_int_equal(type1_attach(&container, x86, 2, NULL), 0);
}

static int set_up_v2(void **state)
{
	init(SPACE_TYPE1_V2);
	return 0;
}

static int set_up_v1(void **state)
{
	init(SPACE_TYPE1_V1);
	return 0;
}

static int tear_down(void **state)
{
	space_finish(&space);
	munmap(memory, PAGES * PAGE);
	return 0;
}

/* ---- calls -------------------------------------------------------------------------------- */

static int call(unsigned int number, const void *argument)
{
	struct vfio_error err = { 0 };
	int r = type1_ioctl(&container, number, (uintptr_t)argument, &err);

	/* Whatever is refused says why. */
	if (r < 0) {
		assert_int_not_equal(err.code, VFIO_E_NONE);
		assert_true(strlen(err.what) > 10);
	}
	return r;
}

static int extension(unsigned long value)
{
	return type1_ioctl(&container, VFIO_CHECK_EXTENSION, value, NULL);
}

static int map_from(const void *from, uint32_t flags, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = flags, .vaddr = (uintptr_t)from, .iova = iova,
		.size = size,
	};

	return call(VFIO_IOMMU_MAP_DMA, &m);
}

static int map(uint32_t flags, uint64_t iova, uint64_t size)
{
	return map_from(memory, flags, iova, size);
}

/* The bytes that went, or an errno and the size as it was. */
static int64_t unmap_bits(uint32_t flags, uint64_t iova, uint64_t size, uint64_t *bits,
			  uint64_t room)
{
	const struct vfio_bitmap b = { .pgsize = PAGE, .size = room, .data = (void *)bits };
	union {
		struct vfio_iommu_type1_dma_unmap u;
		uint8_t bytes[sizeof(struct vfio_iommu_type1_dma_unmap) + sizeof(b)];
	} a = { .u = { .argsz = sizeof(a), .flags = flags, .iova = iova, .size = size } };
	int r;

	memcpy(a.u.data, &b, sizeof(b));
	r = call(VFIO_IOMMU_UNMAP_DMA, &a);
	if (r < 0)
		assert_true(a.u.size == size);
	return r < 0 ? r : (int64_t)a.u.size;
}

static int64_t unmap(uint32_t flags, uint64_t iova, uint64_t size)
{
	return unmap_bits(flags, iova, size, NULL, 0);
}

static int dirty(uint32_t flags, uint64_t iova, uint64_t size, uint64_t pgsize, void *bits,
		 uint64_t room)
{
	const struct vfio_iommu_type1_dirty_bitmap_get get = {
		.iova = iova, .size = size, .bitmap = { pgsize, room, bits },
	};
	union {
		struct vfio_iommu_type1_dirty_bitmap d;
		uint8_t bytes[sizeof(struct vfio_iommu_type1_dirty_bitmap) + sizeof(get)];
	} a = { .d = { .argsz = sizeof(a), .flags = flags } };

	memcpy(a.d.data, &get, sizeof(get));
	return call(VFIO_IOMMU_DIRTY_PAGES, &a);
}

static int get_dirty(uint64_t iova, uint64_t size, uint64_t *bits)
{
	return dirty(BITMAP, iova, size, PAGE, bits, 8);
}

/* ---- the rows ----------------------------------------------------------------------------- */

static void row_184_extensions(void **state)
{
	static const unsigned long there[] = { 1, 3, 9, 10 }, not_there[] = { 6, 8 };

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(extension(there[i]), 1);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(extension(not_there[i]), 0);
}

static void row_185_get_info(void **state)
{
	struct vfio_iommu_type1_info info;

	memset(&info, 0xa5, sizeof(info));
	info.argsz = 16;
	assert_int_equal(call(VFIO_IOMMU_GET_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS);
	assert_true(info.iova_pgsizes & PAGE);
	assert_int_equal(info.cap_offset, 0xa5a5a5a5);
	info.argsz = sizeof(info);
	assert_int_equal(call(VFIO_IOMMU_GET_INFO, &info), 0);
	assert_int_equal(info.argsz, 120);
	assert_int_equal(info.cap_offset, 0);
}

static void row_186_map_arguments(void **state)
{
	assert_int_equal(map(RW, IOVA, 0), -EINVAL);
	assert_int_equal(map(0, IOVA, PAGE), -EINVAL);
	assert_int_equal(map(RW | VFIO_DMA_MAP_FLAG_VADDR, IOVA, PAGE), -EINVAL);
	assert_int_equal(map(RW, IOVA + 1, PAGE), -EINVAL);
}

static void row_187_map_that_wraps(void **state)
{
	assert_int_equal(map(RW, TOP, 2 * PAGE), -EOVERFLOW);
	assert_int_equal(map_from((void *)TOP, RW, IOVA, 2 * PAGE), -EOVERFLOW);
}

static void row_188_map_that_overlaps(void **state)
{
	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(map(RW, IOVA, 2 * PAGE), -EEXIST);
	assert_int_equal(map(RW, IOVA + PAGE, PAGE), -EEXIST);
	assert_int_equal(map(RW, IOVA - PAGE, 4 * PAGE), -EEXIST);
}

static void row_189_map_over_the_interrupts(void **state)
{
	assert_int_equal(map(RW, MSI, PAGE), -EINVAL);
	assert_int_equal(map(RW, MSI - PAGE, 2 * PAGE), -EINVAL);
	assert_int_equal(map(RW, MSI - PAGE, PAGE), 0);
}

static void row_190_too_many_maps(void **state)
{
	space_limit(&space, 1, UINT64_MAX);
	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(map(RW, IOVA + PAGE, PAGE), -ENOSPC);
	assert_int_equal(unmap(0, IOVA, PAGE), PAGE);
	assert_int_equal(map(RW, IOVA + PAGE, PAGE), 0);
}

static void row_191_too_much_memory(void **state)
{
	space_limit(&space, SPACE_MAPS, 3 * PAGE);
	assert_int_equal(map(RW, IOVA, 4 * PAGE), -ENOMEM);
	assert_int_equal(unmap(ALL, 0, 0), 0);
	assert_int_equal(map(RW, IOVA, 3 * PAGE), 0);
	assert_int_equal(map(RW, IOVA + 3 * PAGE, PAGE), -ENOMEM);
}

static void row_192_memory_that_is_not_there(void **state)
{
	uint8_t *hole = pages(3, PROT_READ | PROT_WRITE);

	munmap(hole + PAGE, PAGE);
	assert_int_equal(map_from(hole + PAGE, RW, IOVA, PAGE), -EFAULT);
	assert_int_equal(map_from(hole, RW, IOVA, 3 * PAGE), -EFAULT);
	assert_int_equal(map_from(hole, RW, IOVA, PAGE), 0);
	assert_int_equal(map_from(hole + 2 * PAGE, RW, IOVA + PAGE, PAGE), 0);
	space_clear(&space, NULL, NULL);
	munmap(hole, PAGE);
	munmap(hole + 2 * PAGE, PAGE);
}

static void row_193_memory_that_cannot_be_written(void **state)
{
	uint8_t *ro = pages(2, PROT_READ);

	assert_int_equal(map_from(ro, VFIO_DMA_MAP_FLAG_WRITE, IOVA, PAGE), -EFAULT);
	assert_int_equal(map_from(ro, RW, IOVA, PAGE), -EFAULT);
	assert_int_equal(map_from(ro, VFIO_DMA_MAP_FLAG_READ, IOVA, PAGE), 0);
	space_clear(&space, NULL, NULL);
	munmap(ro, 2 * PAGE);
}

static void row_194_v2_does_not_cut(void **state)
{
	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(unmap(0, IOVA, PAGE), -EINVAL);
	assert_int_equal(unmap(0, IOVA, 2 * PAGE), 2 * PAGE);
}

static void row_195_v1_takes_the_whole_map(void **state)
{
	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(unmap(0, IOVA, PAGE), 2 * PAGE);
}

static void row_196_v1_does_not_begin_inside(void **state)
{
	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(unmap(0, IOVA + PAGE, PAGE), 0);
	assert_int_equal(unmap(ALL, 0, 0), 2 * PAGE);
}

static void row_197_unmap_over_a_hole(void **state)
{
	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(map(RW, IOVA + 4 * PAGE, 2 * PAGE), 0);
	assert_int_equal(unmap(0, IOVA, 6 * PAGE), 3 * PAGE);
}

static void row_198_unmap_nothing(void **state)
{
	assert_int_equal(unmap(0, IOVA, PAGE), 0);
}

static void row_199_unmap_all(void **state)
{
	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(map(RW, IOVA + 4 * PAGE, 2 * PAGE), 0);
	assert_int_equal(unmap(ALL, 0, PAGE), -EINVAL);
	assert_int_equal(unmap(ALL | WITH_BITS, 0, 0), -EINVAL);
	assert_int_equal(unmap(ALL, 0, 0), 3 * PAGE);
}

static void row_200_an_address_taken_back_twice(void **state)
{
	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(unmap(VADDR, IOVA, PAGE), PAGE);
	assert_int_equal(unmap(VADDR, IOVA, PAGE), -EINVAL);
}

static void row_201_the_wrong_map_renewed(void **state)
{
	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(unmap(VADDR, IOVA, 2 * PAGE), 2 * PAGE);
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_VADDR, IOVA, PAGE), -EINVAL);
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_VADDR, IOVA + 2 * PAGE, PAGE), -ENOENT);
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_VADDR, IOVA, 2 * PAGE), 0);
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_VADDR, IOVA, 2 * PAGE), -EINVAL);
}

static void row_202_a_group_meanwhile(void **state)
{
	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(unmap(VADDR, IOVA, PAGE), PAGE);
	assert_int_equal(type1_attach(&container, x86, 2, NULL), -EBUSY);
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_VADDR, IOVA, PAGE), 0);
	assert_int_equal(type1_attach(&container, x86, 2, NULL), 0);
}

static void row_203_v1_has_no_dirty_pages(void **state)
{
	assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), -EACCES);
}

static void row_204_dirty_pages_arguments(void **state)
{
	uint64_t bits = 0;

	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(get_dirty(IOVA, PAGE, &bits), -EINVAL);
	assert_int_equal(dirty(START | STOP, 0, 0, 0, NULL, 0), -EINVAL);
	assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), 0);
	assert_int_equal(dirty(BITMAP, IOVA, PAGE, 2 << 20, &bits, 8), -EINVAL);
}

static void row_205_all_that_is_mapped_is_dirty(void **state)
{
	uint64_t bits = 0;

	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_READ, IOVA + 3 * PAGE, PAGE), 0);
	assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), 0);
	for (int i = 0; i < 2; i++, bits = 0) {
		assert_int_equal(get_dirty(IOVA, 8 * PAGE, &bits), 0);
		assert_int_equal(bits, 0xb);
	}
}

static void row_206_dirty_pages_of_half_a_map(void **state)
{
	uint64_t bits = 0;

	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), 0);
	assert_int_equal(get_dirty(IOVA, PAGE, &bits), -EINVAL);
	assert_int_equal(get_dirty(IOVA + PAGE, PAGE, &bits), -EINVAL);
}

/* ---- what no recording has ---------------------------------------------------------------- */

static void arguments_that_are_not_there(void **state)
{
	static const unsigned int numbers[] = {
		VFIO_IOMMU_GET_INFO, VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA,
		VFIO_IOMMU_DIRTY_PAGES,
	};
	uint8_t *ro = pages(1, PROT_READ), *end = pages(2, PROT_READ | PROT_WRITE);
	struct vfio_iommu_type1_dma_unmap u = { .argsz = 48, .flags = WITH_BITS };
	struct vfio_iommu_type1_dirty_bitmap d = { .argsz = 48, .flags = BITMAP };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		assert_int_equal(call(numbers[i], NOWHERE), -EFAULT);
	mprotect(ro, PAGE, PROT_READ | PROT_WRITE);
	*(uint32_t *)(void *)ro = 24;
	mprotect(ro, PAGE, PROT_READ);
	assert_int_equal(call(VFIO_IOMMU_GET_INFO, ro), -EFAULT);
	/* The second half is behind the end. */
	munmap(end + PAGE, PAGE);
	memcpy(end + PAGE - sizeof(u), &u, sizeof(u));
	assert_int_equal(call(VFIO_IOMMU_UNMAP_DMA, end + PAGE - sizeof(u)), -EFAULT);
	memcpy(end + PAGE - sizeof(d), &d, sizeof(d));
	assert_int_equal(call(VFIO_IOMMU_DIRTY_PAGES, end + PAGE - sizeof(d)), -EFAULT);
	munmap(ro, PAGE);
	munmap(end, PAGE);
}

/* A page that cannot be used comes before the limit, or behind it. */
static void bad_memory_or_too_much(void **state)
{
	uint8_t *hole = pages(8, PROT_READ | PROT_WRITE);

	munmap(hole + 4 * PAGE, 4 * PAGE);
	space_limit(&space, SPACE_MAPS, 4 * PAGE);
	assert_int_equal(map_from(hole, RW, IOVA, 6 * PAGE), -EFAULT);
	space_limit(&space, SPACE_MAPS, 3 * PAGE);
	assert_int_equal(map_from(hole, RW, IOVA, 6 * PAGE), -ENOMEM);
	space_limit(&space, SPACE_MAPS, 0);
	assert_int_equal(map_from(hole + 4 * PAGE, RW, IOVA, PAGE), -EFAULT);
	munmap(hole, 4 * PAGE);
}

/* While its address is taken back, what a device does cannot hurt, and afterwards works again. */
static void accesses_while_the_address_is_away(void **state)
{
	uint8_t *old = pages(1, PROT_READ | PROT_WRITE), byte = 0;

	assert_int_equal(map_from(old, RW, IOVA, PAGE), 0);
	assert_int_equal(unmap(VADDR, IOVA, PAGE), PAGE);
	munmap(old, PAGE);
	assert_int_equal(space_copy(&space, IOVA, &byte, 1, VFIO_DMA_READ), -EIO);
	memory[0] = 0x42;
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_VADDR, IOVA, PAGE), 0);
	assert_int_equal(space_copy(&space, IOVA, &byte, 1, VFIO_DMA_READ), 0);
	assert_int_equal(byte, 0x42);
	assert_int_equal(unmap(VADDR, IOVA, PAGE), PAGE);
	assert_int_equal(unmap(0, IOVA, PAGE), PAGE);
}

/* Memory is found for the direction that the map has, though the call that renews it gives none. */
static void locate_file(void *arg, uint64_t address, struct dma_map *map)
{
	map->fd = *(int *)arg;
	map->fd_offset = address - (uintptr_t)memory;
}

static void a_file_is_renewed_for_writing(void **state)
{
	int fd = memfd_create("type1", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct caller by_file = caller_self;
	uint8_t byte = 0x33;

	by_file.locate = locate_file;
	by_file.arg = &fd;
	container.caller = &by_file;
	assert_int_equal(ftruncate(fd, PAGES * PAGE), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(map(RW, IOVA, 2 * PAGE), -EEXIST);
	assert_int_equal(unmap(VADDR, IOVA, 2 * PAGE), 2 * PAGE);
	/* A file stays where it is. */
	assert_int_equal(space_copy(&space, IOVA, &byte, 1, VFIO_DMA_WRITE), 0);
	assert_int_equal(map(VFIO_DMA_MAP_FLAG_VADDR, IOVA, 2 * PAGE), 0);
	assert_int_equal(space_copy(&space, IOVA + PAGE, &byte, 1, VFIO_DMA_WRITE), 0);
	byte = 0;
	assert_int_equal(pread(fd, &byte, 1, PAGE), 1);
	assert_int_equal(byte, 0x33);
	close(fd);
}

static void write_to(uint64_t iova)
{
	assert_int_equal(space_copy(&space, iova, &(uint8_t){ 1 }, 1, VFIO_DMA_WRITE), 0);
}

static void only_what_was_written(void **state)
{
	uint64_t bits = 0;

	container.exact = true;
	assert_int_equal(map(RW, IOVA, 2 * PAGE), 0);
	assert_int_equal(map(RW, IOVA + 2 * PAGE, 2 * PAGE), 0);
	write_to(IOVA);
	assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), 0);
	write_to(IOVA + PAGE);
	write_to(IOVA + 3 * PAGE);
	assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), 0);	/* it goes on */
	assert_int_equal(dirty(BITMAP, IOVA, 4 * PAGE, PAGE, NOWHERE, 8), -EFAULT);
	assert_int_equal(get_dirty(IOVA, 4 * PAGE, &bits), 0);
	assert_int_equal(bits, 0xa);
	bits = 0;
	assert_int_equal(get_dirty(IOVA, 4 * PAGE, &bits), 0);
	assert_int_equal(bits, 0);
	/* What goes counts as written: who knows what is written until then. */
	assert_int_equal(unmap_bits(WITH_BITS, IOVA + 2 * PAGE, 2 * PAGE, &bits, 8), 2 * PAGE);
	assert_int_equal(bits, 3);
	assert_int_equal(dirty(STOP, 0, 0, 0, NULL, 0), 0);
	assert_int_equal(get_dirty(IOVA, 2 * PAGE, &bits), -EINVAL);
}

/* A map whose bits are more than are put at once, and begin in the middle of a word. */
static void many_dirty_pages(void **state)
{
	const uint64_t n = 512 * 64 + 100, before = 70, words = (before + n + 63) / 64;
	uint8_t *large = pages(n, PROT_READ | PROT_WRITE);
	uint64_t *bits = calloc(words + 1, sizeof(*bits));

	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(map_from(large, RW, IOVA + before * PAGE, n * PAGE), 0);
	bits[1] = 1;			/* stays: before the map */
	for (int exact = 0; exact < 2; exact++) {
		container.exact = exact;
		assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), 0);
		for (uint64_t page = 0; page < n; page++)
			write_to(IOVA + (before + page) * PAGE);
		assert_int_equal(dirty(BITMAP, IOVA, (before + n) * PAGE, PAGE, bits, words * 8),
				 0);
		assert_int_equal(bits[0], !exact);
		assert_true(bits[1] == (~0ull << 6 | 1));
		for (uint64_t i = 2; i < words - 1; i++)
			assert_true(bits[i] == ~0ull);
		assert_true(bits[words - 1] == (1ull << (before + n) % 64) - 1);
		assert_int_equal(bits[words], 0);
		assert_int_equal(dirty(STOP, 0, 0, 0, NULL, 0), 0);
		bits[0] = 0;
		memset(bits + 2, 0, (words - 2) * sizeof(*bits));
	}
	space_clear(&space, NULL, NULL);
	munmap(large, n * PAGE);
	free(bits);
}

static unsigned int told;

static void count(void *arg, uint64_t iova, uint64_t size)
{
	told++;
}

/* The bitmap ends between two maps: the first has gone when the second is refused. */
static void unmap_with_half_a_bitmap(void **state)
{
	uint8_t *room = pages(2, PROT_READ | PROT_WRITE);
	uint64_t *bits = (void *)(room + PAGE - 8);

	container.gone = count;
	told = 0;
	munmap(room + PAGE, PAGE);
	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(map(RW, IOVA + 64 * PAGE, PAGE), 0);
	assert_int_equal(dirty(START, 0, 0, 0, NULL, 0), 0);
	assert_int_equal(unmap_bits(WITH_BITS, IOVA, 128 * PAGE, bits, 16), -EFAULT);
	assert_int_equal(*bits, 1);
	assert_int_equal(told, 1);
	assert_int_equal(space.maps.used, 1);
	assert_int_equal(unmap_bits(WITH_BITS, IOVA + PAGE, 63 * PAGE, NULL, 8), 0);
	assert_int_equal(unmap(ALL, 0, 0), PAGE);
	assert_int_equal(told, 2);
	munmap(room, PAGE);
}

static void where_groups_can_be(void **state)
{
	static const struct vfio_iova_range above[] = { { 0x200000, 0xffffff } };

	assert_int_equal(map(RW, IOVA, PAGE), 0);
	assert_int_equal(type1_attach(&container, above, 1, NULL), -EINVAL);
	assert_int_equal(map(RW, 2 * IOVA, PAGE), 0);
	assert_int_equal(unmap(0, IOVA, PAGE), PAGE);
	assert_int_equal(type1_attach(&container, above, 0, NULL), -EINVAL);
	assert_int_equal(type1_attach(&container, above, 1, NULL), 0);
	assert_int_equal(map(RW, IOVA, PAGE), -EINVAL);
}

int main(void)
{
#define V1(f) cmocka_unit_test_setup_teardown(f, set_up_v1, tear_down)
#define V2(f) cmocka_unit_test_setup_teardown(f, set_up_v2, tear_down)
	const struct CMUnitTest tests[] = {
		V2(row_184_extensions),
		V2(row_185_get_info),
		V2(row_186_map_arguments),
		V2(row_187_map_that_wraps),
		V2(row_188_map_that_overlaps),
		V2(row_189_map_over_the_interrupts),
		V2(row_190_too_many_maps),
		V2(row_191_too_much_memory),
		V2(row_192_memory_that_is_not_there),
		V2(row_193_memory_that_cannot_be_written),
		V2(row_194_v2_does_not_cut),
		V1(row_195_v1_takes_the_whole_map),
		V1(row_196_v1_does_not_begin_inside),
		V2(row_197_unmap_over_a_hole),
		V2(row_198_unmap_nothing),
		V2(row_199_unmap_all),
		V2(row_200_an_address_taken_back_twice),
		V2(row_201_the_wrong_map_renewed),
		V2(row_202_a_group_meanwhile),
		V1(row_203_v1_has_no_dirty_pages),
		V2(row_204_dirty_pages_arguments),
		V2(row_205_all_that_is_mapped_is_dirty),
		V2(row_206_dirty_pages_of_half_a_map),
		V2(arguments_that_are_not_there),
		V2(bad_memory_or_too_much),
		V2(accesses_while_the_address_is_away),
		V2(a_file_is_renewed_for_writing),
		V2(only_what_was_written),
		V2(many_dirty_pages),
		V2(unmap_with_half_a_bitmap),
		V2(where_groups_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
