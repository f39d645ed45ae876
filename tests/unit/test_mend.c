/* SPDX-License-Identifier: MIT */
/* Files that are cut off while they are used in place, in a program that handles SIGBUS. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommu/space.h"

#define PAGE  0x1000u
#define PAGES 4u
#define IOVA  0x40000u
#define OTHER 0x80000u

static struct space space;
static volatile sig_atomic_t signals;

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	signals++;
	if (!space_mend(&space, info->si_addr))
		_exit(3);
}

/* Another thread's copy, as soon as something else is there in place of the file. */
static struct reader *beside;
static int beside_got;

static void copy_beside(void)
{
	uint8_t buf[8];

	if (beside)
		beside_got = reader_copy(beside, IOVA, buf, sizeof(buf), VFIO_DMA_READ);
	beside = NULL;
}

void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__real_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset);

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *p = __real_mmap(at, size, prot, flags, fd, offset);

	if (flags & MAP_FIXED)
		copy_beside();
	return p;
}

void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *p = __real_mmap64(at, size, prot, flags, fd, offset);

	if (flags & MAP_FIXED)
		copy_beside();
	return p;
}

static int set_up(void **state)
{
	space_init(&space);
	memory_files_guard(&space.files);
	signals = 0;
	return 0;
}

/* In the test itself: what runs tests has a handler of its own. */
static void catch_sigbus(void)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	assert_int_equal(sigaction(SIGBUS, &action, NULL), 0);
}

static int tear_down(void **state)
{
	space_finish(&space);
	return 0;
}

static int map_file(uint64_t iova, unsigned int flags)
{
	struct dma_map m = { .iova = iova, .size = PAGES * PAGE, .prot = VFIO_DMA_RW };
	char bytes[PAGES * PAGE];

	catch_sigbus();
	memset(bytes, 0x5a, sizeof(bytes));
	m.fd = memfd_create("test", MFD_CLOEXEC | flags);
	assert_true(m.fd >= 0);
	assert_int_equal(pwrite(m.fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(space_map(&space, &m, NULL), 0);
	return m.fd;
}

static void any_file_is_used_in_place(void **state)
{
	int fd = map_file(IOVA, 0);
	struct vfio_span span;

	assert_int_equal(space_spans(&space, IOVA, PAGE, VFIO_DMA_RW, &span, 1), 1);
	assert_int_equal(*(uint8_t *)span.addr, 0x5a);
	close(fd);
}

static void a_copy_finds_it_lost(void **state)
{
	int fd = map_file(IOVA, 0), other = map_file(OTHER, 0);
	uint8_t buf[8] = { 0 };

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(space_copy(&space, IOVA, buf, 8, VFIO_DMA_READ), 0);
	assert_int_equal(signals, 0);
	assert_int_equal(space_copy(&space, IOVA + PAGE, buf, 8, VFIO_DMA_READ), -EIO);
	assert_int_equal(signals, 1);
	assert_true(space.fault.err == EIO && space.fault.iova == IOVA + PAGE);
	assert_int_equal(space_copy(&space, IOVA, buf, 8, VFIO_DMA_WRITE), -EIO);
	assert_int_equal(space.fault.count, 2);
	space_record_lost(&space);			/* was recorded */
	assert_int_equal(space.fault.count, 2);
	assert_int_equal(space_copy(&space, OTHER, buf, 8, VFIO_DMA_READ), 0);
	assert_int_equal(buf[0], 0x5a);
	assert_int_equal(signals, 1);
	close(fd);
	close(other);
}

static void a_span_goes_on_with_zeros(void **state)
{
	int fd = map_file(IOVA, 0);
	struct vfio_span span;
	volatile uint8_t *at;

	assert_int_equal(space_spans(&space, IOVA + 2 * PAGE, PAGE, VFIO_DMA_RW, &span, 1), 1);
	at = span.addr;
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(*at, 0);
	*at = 7;
	assert_int_equal(*at, 7);
	assert_int_equal(signals, 1);
	assert_int_equal(space.fault.count, 0);		/* nobody has asked for anything */
	space_record_lost(&space);
	assert_int_equal(space.fault.count, 1);
	assert_true(space.fault.iova == IOVA + 2 * PAGE && space.fault.err == EIO);
	space_record_lost(&space);
	assert_int_equal(space.fault.count, 1);
	assert_int_equal(space_spans(&space, IOVA, PAGE, VFIO_DMA_RW, &span, 1), -EIO);
	assert_int_equal(space.fault.err, EIO);
	close(fd);
}

/* What stood in for a lost file is not seen by who comes next. */
static void nothing_is_left_for_the_next_client(void **state)
{
	struct vfio_span span;

	for (int client = 0; client < 2; client++) {
		int fd = map_file(IOVA, 0);
		volatile uint8_t *at;

		assert_int_equal(space_spans(&space, IOVA, PAGE, VFIO_DMA_RW, &span, 1), 1);
		at = span.addr;
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(at[100], 0);
		at[100] = 7;
		assert_int_equal(signals, client + 1);
		space_clear(&space, NULL, NULL);
		close(fd);
	}
}

/* It can be mapped anew, with what is left of it, once it is unmapped or beside that. */
static void a_lost_file_can_come_back(void **state)
{
	int fd = map_file(IOVA, 0);
	struct dma_map m = {
		.iova = OTHER, .size = PAGE, .prot = VFIO_DMA_RW, .fd = fd,
	};
	uint8_t byte = 0;
	uint64_t bytes;

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(space_copy(&space, IOVA + PAGE, &byte, 1, VFIO_DMA_READ), -EIO);
	assert_int_equal(space_map(&space, &m, NULL), 0);
	assert_int_equal(space_copy(&space, OTHER, &byte, 1, VFIO_DMA_READ), 0);
	assert_int_equal(byte, 0x5a);
	assert_int_equal(space_unmap(&space, 0, DMA_ALL, &bytes, NULL, NULL, NULL), 0);
	assert_int_equal(space_map(&space, &m, NULL), 0);
	assert_int_equal(space_copy(&space, OTHER, &byte, 1, VFIO_DMA_READ), 0);
	close(fd);
}

/* A page of 2 MiB out of which its owner has punched a hole, when there is no other one. */
static void a_hole_in_a_huge_page(void **state)
{
	const size_t huge = 2u << 20;
	struct dma_map m = { .iova = 0, .size = huge, .prot = VFIO_DMA_RW };
	uint8_t byte = 0;

	catch_sigbus();
	m.fd = memfd_create("test", MFD_CLOEXEC | MFD_HUGETLB);
	if (m.fd < 0 || ftruncate(m.fd, huge) < 0 || space_map(&space, &m, NULL) < 0) {
		if (m.fd >= 0)
			close(m.fd);
		print_message("no huge pages are reserved (vm.nr_hugepages)\n");
		skip();
	}
	assert_int_equal(space_copy(&space, 0, &byte, 1, VFIO_DMA_WRITE), 0);
	assert_int_equal(ftruncate(m.fd, 0), 0);
	assert_int_equal(space_copy(&space, 0, &byte, 1, VFIO_DMA_READ), -EIO);
	close(m.fd);
}

static void no_other_thread_takes_the_zeros_for_data(void **state)
{
	int fd = map_file(IOVA, 0);
	struct reader other;
	uint8_t byte;

	reader_init(&other, &space);
	assert_int_equal(ftruncate(fd, 0), 0);
	beside_got = 0;
	beside = &other;
	assert_int_equal(space_copy(&space, IOVA, &byte, 1, VFIO_DMA_READ), -EIO);
	reader_finish(&other);
	assert_null(beside);
	assert_int_equal(beside_got, -EIO);
	close(fd);
}

static void what_is_not_the_clients_is_not_mended(void **state)
{
	int fd = map_file(IOVA, 0);

	assert_false(space_mend(&space, &fd));
	assert_false(space_mend(&space, NULL));
	assert_false(space_mend(&space, &space));
	close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(any_file_is_used_in_place),
		TEST(a_copy_finds_it_lost),
		TEST(a_span_goes_on_with_zeros),
		TEST(nothing_is_left_for_the_next_client),
		TEST(a_lost_file_can_come_back),
		TEST(a_hole_in_a_huge_page),
		TEST(no_other_thread_takes_the_zeros_for_data),
		TEST(what_is_not_the_clients_is_not_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
