/* SPDX-License-Identifier: MIT */
/*
 * An IOAS, by what Linux promises of iommufd: rows 212 to 225 of the list of assertions, but for
 * 224, which is of objects. Then what the recordings of unit-kernel-ioas cannot tell: what devices
 * see.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "iommu/ioas.h"

#define PAGE  4096ull
#define PAGES 16
#define IOVA  0x100000ull
#define MSI   0xfee00000ull
#define BOTH  (IOAS_READABLE | IOAS_WRITEABLE)
#define FIXED IOAS_FIXED_IOVA

static const struct vfio_iova_range x86[] = { { 0, MSI - 1 }, { 0xfef00000, 0x7fffffffff } };

static struct vfio_dma_limits limits;
static struct space space;
static struct ioas ioas, other;
static uint8_t *memory;			/* PAGES that can be used */

static void *pages(unsigned int n, int prot)
{
	void *p = mmap(NULL, n * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static int set_up(void **state)
{
	limits = (struct vfio_dma_limits){
		.maps.granted = UINT64_MAX, .bytes.granted = UINT64_MAX,
	};
	space_init(&space);
	ioas_init(&ioas, &caller_self, &limits);
	ioas_init(&other, &caller_self, &limits);
	memory = pages(PAGES, PROT_READ | PROT_WRITE);
	return 0;
}

static int tear_down(void **state)
{
	ioas_detach(&ioas);
	ioas_detach(&other);
	ioas_finish(&ioas);
	ioas_finish(&other);
	assert_int_equal(limits.maps.used, 0);
	assert_int_equal(limits.bytes.used, 0);
	assert_int_equal(space.maps.used, 0);
	space_finish(&space);
	munmap(memory, PAGES * PAGE);
	return 0;
}

/* ---- calls -------------------------------------------------------------------------------- */

/* Whatever is refused says why. */
static int checked(int r, const struct vfio_error *err)
{
	if (r < 0) {
		assert_int_not_equal(err->code, VFIO_E_NONE);
		assert_int_equal(err->err, -r);
		assert_true(strlen(err->what) > 10);
	}
	return r;
}

static int attach(struct ioas *i)
{
	struct vfio_error err = { 0 };

	return checked(ioas_attach(i, &space, x86, 2, &err), &err);
}

static int map_from(const void *va, uint32_t flags, uint64_t *iova, uint64_t length)
{
	struct ioas_map m = {
		.flags = flags, .user_va = (uintptr_t)va, .length = length, .iova = *iova,
	};
	struct vfio_error err = { 0 };
	int r = checked(ioas_map(&ioas, &m, &err), &err);

	if (r < 0)
		assert_true(m.iova == *iova);
	*iova = m.iova;
	return r;
}

static int map_fixed(uint32_t flags, uint64_t iova, uint64_t length)
{
	return map_from(memory, flags | FIXED, &iova, length);
}

/* The bytes that went, or an errno. */
static int64_t unmap(uint64_t iova, uint64_t length)
{
	struct ioas_unmap u = { .iova = iova, .length = length };
	struct vfio_error err = { 0 };
	int r = checked(ioas_unmap(&ioas, &u, &err), &err);

	if (r < 0)
		assert_true(u.length == length);
	return r < 0 ? r : (int64_t)u.length;
}

static int copy(struct ioas *dst, uint32_t flags, uint64_t to, uint64_t length, uint64_t from)
{
	struct ioas_copy c = {
		.flags = flags | FIXED, .length = length, .dst_iova = to, .src_iova = from,
	};
	struct vfio_error err = { 0 };

	return checked(ioas_copy(dst, &ioas, &c, &err), &err);
}

static int allow(unsigned int n, const struct vfio_iova_range *ranges)
{
	const struct ioas_allow_iovas a = { .num_iovas = n, .allowed_iovas = (uintptr_t)ranges };
	struct vfio_error err = { 0 };

	return checked(ioas_allow_iovas(&ioas, &a, &err), &err);
}

/* ---- the rows ----------------------------------------------------------------------------- */

static void row_212_map_arguments(void **state)
{
	assert_int_equal(map_fixed(BOTH | 8, IOVA, PAGE), -EOPNOTSUPP);
	assert_int_equal(map_fixed(0, IOVA, PAGE), -EINVAL);
	assert_int_equal(map_fixed(BOTH, IOVA, 0), -EINVAL);
	assert_int_equal(map_fixed(BOTH, IOVA, UINT64_MAX), -EOVERFLOW);
}

static void row_213_a_place_that_is_not_free(void **state)
{
	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(map_fixed(BOTH, MSI, PAGE), -EINVAL);
	assert_int_equal(map_fixed(BOTH, IOVA, 2 * PAGE), 0);
	assert_int_equal(map_fixed(BOTH, IOVA + PAGE, PAGE), -EEXIST);
}

static void row_214_a_place_is_chosen(void **state)
{
	for (unsigned int i = 1; i <= PAGES; i *= 2) {
		uint64_t iova = 0;

		assert_int_equal(map_from(memory, BOTH, &iova, i * PAGE), 0);
		assert_true(iova >= PAGE && iova % PAGE == 0);
	}
}

static void row_215_no_place(void **state)
{
	const struct vfio_iova_range only = { IOVA, IOVA + PAGE - 1 };
	uint64_t iova = 0;

	assert_int_equal(allow(1, &only), 0);
	assert_int_equal(map_from(memory, BOTH, &iova, PAGE), 0);
	assert_true(iova == IOVA);
	iova = 0;
	assert_int_equal(map_from(memory, BOTH, &iova, PAGE), -ENOSPC);
}

static void row_216_unmap_nothing(void **state)
{
	assert_int_equal(unmap(IOVA, PAGE), -ENOENT);
	assert_int_equal(unmap(0, UINT64_MAX), 0);
}

static void row_217_unmap_half_a_map(void **state)
{
	assert_int_equal(map_fixed(BOTH, IOVA, 2 * PAGE), 0);
	assert_int_equal(unmap(IOVA, PAGE), -ENOENT);
	assert_int_equal(unmap(IOVA + PAGE, PAGE), -ENOENT);
	assert_int_equal(unmap(IOVA, 2 * PAGE), 2 * PAGE);
}

static void row_218_unmap_a_map_and_a_half(void **state)
{
	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), 0);
	assert_int_equal(map_fixed(BOTH, IOVA + PAGE, 2 * PAGE), 0);
	assert_int_equal(unmap(IOVA, 2 * PAGE), -ENOENT);
	assert_int_equal(unmap(IOVA, PAGE), -ENOENT);
	assert_int_equal(unmap(IOVA + PAGE, 2 * PAGE), 2 * PAGE);
}

static void row_219_copy_a_part(void **state)
{
	assert_int_equal(map_fixed(BOTH, IOVA, 4 * PAGE), 0);
	assert_int_equal(copy(&other, BOTH, IOVA, 2 * PAGE, IOVA + PAGE), 0);
	assert_int_equal(copy(&other, BOTH, 2 * IOVA, 2 * PAGE, IOVA + 3 * PAGE), -ENOENT);
}

static void row_220_copy_to_be_written(void **state)
{
	assert_int_equal(map_fixed(IOAS_READABLE, IOVA, PAGE), 0);
	assert_int_equal(copy(&other, BOTH, IOVA, PAGE, IOVA), -EPERM);
	assert_int_equal(copy(&other, IOAS_READABLE, IOVA, PAGE, IOVA), 0);
}

static void row_221_how_many_ranges(void **state)
{
	struct ioas_iova_ranges q = { .num_iovas = 0 };

	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(ioas_iova_ranges(&ioas, &q, NULL), -EMSGSIZE);
	assert_int_equal(q.num_iovas, 2);
	assert_int_equal(q.out_iova_alignment, PAGE);
}

static void row_222_a_range_of_one_byte(void **state)
{
	const struct vfio_iova_range one = { IOVA, IOVA }, two = { IOVA, IOVA + 1 };

	assert_int_equal(allow(1, &one), -EINVAL);
	assert_int_equal(allow(1, &two), 0);
}

static void row_223_a_range_over_the_interrupts(void **state)
{
	const struct vfio_iova_range range = { IOVA, MSI };

	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(allow(1, &range), -EADDRINUSE);
}

static void row_225_huge_pages_of_a_device(void **state)
{
	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), 0);
	assert_int_equal(ioas_set_huge_pages(&ioas, 0, NULL), -EINVAL);
	assert_int_equal(ioas_set_huge_pages(&ioas, 1, NULL), 0);
}

/* ---- what devices see --------------------------------------------------------------------- */

static int peek(uint64_t iova)
{
	uint8_t byte = 0;
	int r = space_copy(&space, iova, &byte, 1, VFIO_DMA_READ);

	return r < 0 ? r : byte;
}

static unsigned int told;

static void count(void *arg, uint64_t iova, uint64_t size)
{
	told++;
}

static void devices_see_maps_while_they_are_attached(void **state)
{
	told = 0;
	ioas.gone = count;
	memory[PAGE] = 7;
	assert_int_equal(map_fixed(BOTH, IOVA, 2 * PAGE), 0);
	assert_int_equal(limits.bytes.used, 0);
	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(limits.bytes.used, 2 * PAGE);
	assert_int_equal(peek(IOVA + PAGE), 7);
	assert_int_equal(map_fixed(BOTH, 2 * IOVA, 2 * PAGE), 0);
	assert_int_equal(peek(2 * IOVA + PAGE), 7);
	assert_int_equal(unmap(IOVA, 2 * PAGE), 2 * PAGE);
	assert_int_equal(told, 1);
	assert_int_equal(peek(IOVA + PAGE), -EFAULT);
	ioas_detach(&ioas);
	assert_int_equal(told, 2);
	assert_int_equal(peek(2 * IOVA + PAGE), -EFAULT);
	assert_int_equal(limits.bytes.used, 0);
	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(peek(2 * IOVA + PAGE), 7);
}

static void copies_show_the_same_memory(void **state)
{
	uint8_t byte = 9;

	assert_int_equal(map_fixed(BOTH, IOVA, 2 * PAGE), 0);
	assert_int_equal(map_fixed(BOTH, IOVA + 2 * PAGE, 2 * PAGE), 0);
	assert_int_equal(attach(&other), 0);
	assert_int_equal(copy(&other, BOTH, 2 * IOVA, 2 * PAGE, IOVA + PAGE), 0);
	assert_int_equal(copy(&other, IOAS_READABLE, 3 * IOVA, PAGE, IOVA + PAGE), 0);
	assert_int_equal(limits.bytes.used, 2 * PAGE);
	/* What it was copied from goes, and the copy stays. */
	assert_int_equal(unmap(0, UINT64_MAX), 4 * PAGE);
	assert_int_equal(space_copy(&space, 2 * IOVA, &byte, 1, VFIO_DMA_WRITE), 0);
	assert_int_equal(memory[PAGE], 9);
	assert_int_equal(peek(3 * IOVA), 9);
	assert_int_equal(space_copy(&space, 3 * IOVA, &byte, 1, VFIO_DMA_WRITE), -EFAULT);
}

/* The second of two parts cannot be used: the first is not there, either. */
static void a_copy_is_whole_or_not_there(void **state)
{
	uint8_t *ro = pages(1, PROT_READ);
	uint64_t iova = IOVA + PAGE;

	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), 0);
	assert_int_equal(map_from(ro, BOTH | FIXED, &iova, PAGE), 0);
	assert_int_equal(attach(&other), 0);
	assert_int_equal(copy(&other, IOAS_READABLE, 2 * IOVA, 2 * PAGE, IOVA), -EFAULT);
	assert_int_equal(other.areas.count, 0);
	assert_int_equal(limits.maps.used, 2);
	assert_int_equal(copy(&other, IOAS_READABLE, 2 * IOVA, PAGE, IOVA), 0);
	assert_int_equal(unmap(0, UINT64_MAX), 2 * PAGE);
	munmap(ro, PAGE);
}

static void a_copy_of_a_gap(void **state)
{
	assert_int_equal(map_fixed(BOTH, IOVA, 100), 0);
	assert_int_equal(map_fixed(BOTH, IOVA + 101, 100), 0);
	assert_int_equal(copy(&other, BOTH, IOVA, 150, IOVA), -ENOENT);
	assert_int_equal(unmap(IOVA, 100), 100);
	assert_int_equal(map_fixed(BOTH, IOVA, 101), 0);
	assert_int_equal(copy(&other, BOTH, IOVA, 150, IOVA), 0);
}

/* Copies for a device must be aligned in every part. */
static void a_copy_that_is_not_aligned(void **state)
{
	uint64_t off = IOVA, second = 2 * IOVA + 100;

	assert_int_equal(map_from(memory + 1, BOTH | FIXED, &off, PAGE), 0);
	assert_int_equal(map_fixed(BOTH, 2 * IOVA, 100), 0);
	assert_int_equal(map_from(memory + 100, BOTH | FIXED, &second, PAGE - 100), 0);
	assert_int_equal(attach(&other), 0);
	assert_int_equal(copy(&other, BOTH, IOVA, PAGE, IOVA), -EINVAL);
	assert_int_equal(copy(&other, BOTH, IOVA, PAGE, 2 * IOVA), -EINVAL);
	assert_int_equal(other.areas.count, 0);
}

/* What can be seen of the address is said before what there is no room for. */
static void not_aligned_and_no_room(void **state)
{
	const struct vfio_iova_range only = { IOVA, IOVA + PAGE - 1 };
	uint64_t iova = 0;

	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(allow(1, &only), 0);
	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), 0);
	assert_int_equal(map_from(memory + 1, BOTH, &iova, PAGE), -EINVAL);
	assert_int_equal(map_from(memory, BOTH, &iova, PAGE), -ENOSPC);
}

/* A device that cannot have all of the maps has none. */
static void attached_with_all_or_nothing(void **state)
{
	uint8_t *hole = pages(2, PROT_READ | PROT_WRITE);
	uint64_t iova = 3 * IOVA;

	munmap(hole + PAGE, PAGE);
	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), 0);
	assert_int_equal(map_from(hole, BOTH | FIXED, &iova, 2 * PAGE), 0);
	assert_int_equal(attach(&ioas), -EFAULT);
	assert_int_equal(space.nallowed, 0);
	assert_int_equal(peek(IOVA), -EFAULT);
	assert_null(ioas.space);
	assert_int_equal(unmap(3 * IOVA, 2 * PAGE), 2 * PAGE);
	assert_int_equal(map_fixed(BOTH, 3 * IOVA, 2 * PAGE), 0);
	limits.bytes.granted = 2 * PAGE;
	assert_int_equal(attach(&ioas), -ENOMEM);
	assert_int_equal(limits.bytes.used, 0);
	limits.bytes.granted = 3 * PAGE;
	assert_int_equal(attach(&ioas), 0);
	munmap(hole, PAGE);
}

static void other_addresses_for_a_device_that_joins(void **state)
{
	static const struct vfio_iova_range above[] = { { 2 * IOVA, 0xffffffff } };
	struct space second;

	assert_int_equal(attach(&ioas), 0);
	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), 0);
	assert_int_equal(ioas_attach(&ioas, &space, above, 1, NULL), -EADDRINUSE);
	assert_int_equal(map_fixed(BOTH, 2 * IOVA, PAGE), 0);
	assert_int_equal(unmap(IOVA, PAGE), PAGE);
	assert_int_equal(ioas_attach(&ioas, &space, above, 1, NULL), 0);
	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), -EINVAL);
	space_init(&second);
	assert_int_equal(ioas_attach(&ioas, &second, x86, 2, NULL), -EBUSY);
	assert_int_equal(ioas_attach(&other, &space, x86, 2, NULL), -EBUSY);
	space_finish(&second);
}

/* ---- the rest ----------------------------------------------------------------------------- */

/* NULL is refused when its turn comes: after what can be seen of the call alone. */
static void objects_that_there_are_not(void **state)
{
	struct ioas_map m = { .flags = 8 };
	struct ioas_unmap u = { .iova = IOVA };
	struct ioas_copy c = { .flags = IOAS_READABLE };
	struct ioas_iova_ranges q = { .reserved = 1 };
	struct ioas_allow_iovas a = { .reserved = 1 };

	assert_int_equal(ioas_map(NULL, &m, NULL), -EOPNOTSUPP);
	m.flags = BOTH;
	assert_int_equal(ioas_map(NULL, &m, NULL), -ENOENT);
	assert_int_equal(ioas_unmap(NULL, &u, NULL), -ENOENT);
	assert_int_equal(ioas_copy(&ioas, NULL, &c, NULL), -ENOENT);
	assert_int_equal(ioas_copy(NULL, &ioas, &c, NULL), -EINVAL);
	assert_int_equal(ioas_iova_ranges(NULL, &q, NULL), -EOPNOTSUPP);
	assert_int_equal(ioas_allow_iovas(NULL, &a, NULL), -EOPNOTSUPP);
	q.reserved = a.reserved = 0;
	assert_int_equal(ioas_iova_ranges(NULL, &q, NULL), -ENOENT);
	assert_int_equal(ioas_allow_iovas(NULL, &a, NULL), -ENOENT);
	assert_int_equal(ioas_set_huge_pages(NULL, 1, NULL), -ENOENT);
}

static void no_more_maps_than_allowed(void **state)
{
	limits.maps.granted = 2;
	assert_int_equal(map_fixed(BOTH, IOVA, PAGE), 0);
	assert_int_equal(copy(&other, BOTH, IOVA, PAGE, IOVA), 0);
	assert_int_equal(map_fixed(BOTH, 2 * IOVA, PAGE), -ENOMEM);
	assert_int_equal(unmap(IOVA, PAGE), PAGE);
	assert_int_equal(map_fixed(BOTH, 2 * IOVA, PAGE), 0);
}

static void no_end_of_ranges(void **state)
{
	struct vfio_iova_range *many = calloc(IOAS_MAX_ALLOWED + 1, sizeof(*many));
	uint64_t iova = 0;

	for (unsigned int i = 0; i <= IOAS_MAX_ALLOWED; i++)
		many[i] = (struct vfio_iova_range){ IOVA + 2 * i * PAGE,
						    IOVA + 2 * i * PAGE + PAGE - 1 };
	assert_int_equal(allow(IOAS_MAX_ALLOWED + 1, many), -ENOMEM);
	assert_int_equal(allow(IOAS_MAX_ALLOWED, many), 0);
	assert_int_equal(map_from(memory, BOTH, &iova, PAGE), 0);
	assert_true(iova == IOVA);
	assert_int_equal(allow(1, (void *)8), -EFAULT);
	free(many);
}

/* An address that is not page aligned: the I/O address is as far from its page. */
static void the_offset_in_a_page_is_kept(void **state)
{
	for (unsigned int offset = 1; offset < PAGE; offset += 500) {
		uint64_t iova = 0;

		assert_int_equal(map_from(memory + offset, BOTH, &iova, 100), 0);
		assert_int_equal(iova % PAGE, offset);
	}
	assert_int_equal(attach(&ioas), -EADDRINUSE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(row_212_map_arguments),
		TEST(row_213_a_place_that_is_not_free),
		TEST(row_214_a_place_is_chosen),
		TEST(row_215_no_place),
		TEST(row_216_unmap_nothing),
		TEST(row_217_unmap_half_a_map),
		TEST(row_218_unmap_a_map_and_a_half),
		TEST(row_219_copy_a_part),
		TEST(row_220_copy_to_be_written),
		TEST(row_221_how_many_ranges),
		TEST(row_222_a_range_of_one_byte),
		TEST(row_223_a_range_over_the_interrupts),
		TEST(row_225_huge_pages_of_a_device),
		TEST(devices_see_maps_while_they_are_attached),
		TEST(copies_show_the_same_memory),
		TEST(a_copy_is_whole_or_not_there),
		TEST(a_copy_of_a_gap),
		TEST(a_copy_that_is_not_aligned),
		TEST(not_aligned_and_no_room),
		TEST(attached_with_all_or_nothing),
		TEST(other_addresses_for_a_device_that_joins),
		TEST(objects_that_there_are_not),
		TEST(no_more_maps_than_allowed),
		TEST(no_end_of_ranges),
		TEST(the_offset_in_a_page_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
