/* SPDX-License-Identifier: MIT */
/* Parts of memory files, whose pages may be huge: what is mapped, and that nothing of it is left. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommu/memory.h"

#define PAGE 0x1000u
#define HUGE (2u << 20)

/* A file of small pages can say that they are huge; those of hugetlbfs are. */
static blksize_t pretended;

int __real_fstat(int fd, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);

int __wrap_fstat(int fd, struct stat *st)
{
	int r = __real_fstat(fd, st);

	if (r == 0 && pretended)
		st->st_blksize = pretended;
	return r;
}

int __wrap_fstat64(int fd, struct stat *st)
{
	return __wrap_fstat(fd, st);
}

static int set_up(void **state)
{
	pretended = 0;
	return 0;
}

/* Mappings of the file in this process. */
static unsigned int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		count += strstr(line, "memfd:part") != NULL;
	fclose(f);
	return count;
}

static struct dma_map request(int fd, uint64_t offset, uint64_t size)
{
	return (struct dma_map){
		.iova = 0x10000, .size = size, .prot = VFIO_DMA_RW, .fd = fd, .fd_offset = offset,
	};
}

static void write_at(int fd, uint64_t offset, const char *text)
{
	assert_int_equal(pwrite(fd, text, strlen(text) + 1, (off_t)offset), strlen(text) + 1);
}

static void of_small_pages(void **state)
{
	int fd = memfd_create("part", MFD_CLOEXEC);
	struct memory_part part;
	struct dma_map m;

	assert_int_equal(ftruncate(fd, 2 * HUGE), 0);
	write_at(fd, 3 * PAGE, "three");
	m = request(fd, 3 * PAGE, PAGE);
	assert_int_equal(memory_part_map(&part, &m, NULL), 0);
	assert_string_equal(part.vaddr, "three");
	assert_int_equal(mappings(), 1);
	memory_part_unmap(&part);
	memory_part_unmap(&part);
	assert_int_equal(mappings(), 0);
	close(fd);
}

static void check_part(int fd, uint64_t offset, uint64_t size, uint64_t length)
{
	const struct dma_map m = request(fd, offset, size);
	struct memory_part part;

	assert_int_equal(memory_part_map(&part, &m, NULL), 0);
	assert_int_equal(part.length, length);
	assert_int_equal((uint8_t *)part.vaddr - part.base, offset % HUGE);
	strcpy(part.vaddr, "here");
	memory_part_unmap(&part);
	assert_int_equal(mappings(), 0);
}

static void assert_is(int fd, uint64_t offset)
{
	char text[8] = "";
	struct dma_map m = request(fd, offset, PAGE);
	struct memory_part part;

	m.prot = VFIO_DMA_READ;
	assert_int_equal(memory_part_map(&part, &m, NULL), 0);
	memcpy(text, part.vaddr, 5);
	memory_part_unmap(&part);
	assert_string_equal(text, "here");
}

static void check_huge(int fd)
{
	check_part(fd, HUGE + PAGE, PAGE, HUGE);
	assert_is(fd, HUGE + PAGE);
	check_part(fd, HUGE - PAGE, 2 * PAGE, 2 * HUGE);
	assert_is(fd, HUGE - PAGE);
	check_part(fd, 0, HUGE, HUGE);
}

static void of_pages_that_say_they_are_huge(void **state)
{
	int fd = memfd_create("part", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 2 * HUGE), 0);
	pretended = HUGE;
	check_huge(fd);
	close(fd);
}

static void of_huge_pages(void **state)
{
	int fd = memfd_create("part", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	void *all = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, 2 * HUGE) == 0)
		all = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED) {
		close(fd);
		skip();			/* this machine has none, or none left */
	}
	munmap(all, 2 * HUGE);
	check_huge(fd);
	close(fd);
}

static void assert_refused(struct dma_map m, int e, enum vfio_error_code code)
{
	struct memory_part part;
	struct vfio_error err;

	assert_int_equal(memory_part_map(&part, &m, &err), -e);
	assert_int_equal(err.code, code);
	assert_null(part.base);
	memory_part_unmap(&part);
}

static void what_cannot_be(void **state)
{
	FILE *plain = tmpfile();
	int fd = memfd_create("part", MFD_CLOEXEC);
	struct dma_map m = request(fd, 0, PAGE);

	assert_non_null(plain);
	assert_refused(m, EINVAL, VFIO_E_DMA_MEMORY);		/* the file is empty */
	assert_int_equal(ftruncate(fd, PAGE), 0);
	m.by_process = true;
	assert_refused(m, ENOTSUP, VFIO_E_UNSUPPORTED);
	assert_refused(request(-1, 0, PAGE), ENOTSUP, VFIO_E_UNSUPPORTED);
	assert_refused(request(1000, 0, PAGE), EBADF, VFIO_E_DMA_MEMORY);
	assert_int_equal(ftruncate(fileno(plain), PAGE), 0);
	if (fcntl(fileno(plain), F_GET_SEALS) < 0)		/* else /tmp is memory */
		assert_refused(request(fileno(plain), 0, PAGE), EINVAL, VFIO_E_DMA_MEMORY);
	fclose(plain);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(of_small_pages, set_up),
		cmocka_unit_test_setup(of_pages_that_say_they_are_huge, set_up),
		cmocka_unit_test_setup(of_huge_pages, set_up),
		cmocka_unit_test_setup(what_cannot_be, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
