/* SPDX-License-Identifier: MIT */
/* The memory behind a map, from whoever sends a descriptor: used, refused, or failing politely. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommu/space.h"

#define PAGE 0x1000u
#define IOVA 0x40000u

static int set_up(void **state)
{
	static struct space s;

	space_init(&s);
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	space_finish(*state);
	return 0;
}

/* A memory file of some pages, each byte its page's number. */
static int memfd(size_t pages, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t page[PAGE];

	assert_true(fd >= 0);
	for (size_t i = 0; i < pages; i++) {
		memset(page, i + 1, sizeof(page));
		assert_int_equal(pwrite(fd, page, PAGE, i * PAGE), PAGE);
	}
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int map_fd(struct space *s, int fd, uint64_t offset, uint64_t size, uint32_t prot,
		  struct vfio_error *e)
{
	const struct dma_map m = {
		.iova = IOVA, .size = size, .prot = prot, .fd = fd, .fd_offset = offset,
	};

	return space_map(s, &m, e);
}

/* ---- files that are used ------------------------------------------------------------------ */

/* Can a device reach the memory of such a file in place? */
static bool is_in_place(struct space *s, int seals)
{
	int fd = memfd(1, seals), n;
	struct vfio_span span;
	uint64_t unmapped;

	assert_int_equal(map_fd(s, fd, 0, PAGE, VFIO_DMA_RW, NULL), 0);
	close(fd);
	n = space_spans(s, IOVA, PAGE, VFIO_DMA_READ, &span, 1);
	assert_true(n == 1 || n == -ENOTSUP);
	if (n == 1)
		assert_int_equal(*(uint8_t *)span.addr, 1);
	assert_int_equal(space_unmap(s, IOVA, PAGE, &unmapped, NULL, NULL, NULL), 0);
	return n == 1;
}

/* Only what cannot shrink is touched in place: the rest could kill this process. */
static void only_a_sealed_file_is_mapped(void **state)
{
	assert_true(is_in_place(*state, F_SEAL_SHRINK));
	assert_true(is_in_place(*state, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	assert_false(is_in_place(*state, F_SEAL_GROW));
	assert_false(is_in_place(*state, 0));
}

/* Read and write through the map, see the file; the caller's descriptor is not needed any more. */
static void check_file(struct space *s, int seals)
{
	int fd = memfd(4, seals), look = dup(fd);
	uint8_t buf[PAGE + 2], byte = 0;

	assert_int_equal(map_fd(s, fd, PAGE, 2 * PAGE, VFIO_DMA_RW, NULL), 0);
	close(fd);
	assert_int_equal(space_copy(s, IOVA + 0xfff, buf, 2, VFIO_DMA_READ), 0);
	assert_int_equal(buf[0], 2);
	assert_int_equal(buf[1], 3);
	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(space_copy(s, IOVA + 0xffe, buf, PAGE + 2, VFIO_DMA_WRITE), 0);
	assert_int_equal(pread(look, &byte, 1, PAGE + 0xffd), 1);
	assert_int_equal(byte, 2);
	assert_int_equal(pread(look, &byte, 1, PAGE + 0xffe), 1);
	assert_int_equal(byte, 0xaa);
	assert_int_equal(pread(look, &byte, 1, 3 * PAGE), 1);
	assert_int_equal(byte, 4);
	close(look);
}

static void a_sealed_file(void **state)
{
	check_file(*state, F_SEAL_SHRINK);
}

static void an_unsealed_file(void **state)
{
	check_file(*state, 0);
}

/* Truncated while in use: an error and a fault, no signal, and the file does not come back. */
static void a_file_that_is_cut_off(void **state)
{
	struct space *s = *state;
	int fd = memfd(2, 0);
	uint8_t buf[16] = { 0 };
	struct stat st;

	assert_int_equal(map_fd(s, fd, 0, 2 * PAGE, VFIO_DMA_RW, NULL), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(space_copy(s, IOVA, buf, 16, VFIO_DMA_READ), 0);
	assert_int_equal(s->fault.count, 0);
	assert_int_equal(space_copy(s, IOVA + PAGE, buf, 16, VFIO_DMA_READ), -EIO);
	assert_int_equal(s->fault.err, EIO);
	assert_int_equal(s->fault.iova, IOVA + PAGE);
	assert_int_equal(space_copy(s, IOVA + PAGE - 8, buf, 16, VFIO_DMA_READ), -EIO);
	assert_int_equal(space_copy(s, IOVA + PAGE, buf, 16, VFIO_DMA_WRITE), -EIO);
	assert_int_equal(s->fault.count, 3);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, PAGE);
	close(fd);
}

static void the_same_map_again(void **state)
{
	struct space *s = *state;
	int fd = memfd(4, F_SEAL_SHRINK), other = memfd(4, F_SEAL_SHRINK), same = dup(fd);

	assert_int_equal(map_fd(s, fd, PAGE, 2 * PAGE, VFIO_DMA_RW, NULL), 0);
	assert_int_equal(map_fd(s, same, PAGE, 2 * PAGE, VFIO_DMA_RW, NULL), 0);
	assert_int_equal(s->ranges.count, 1);
	assert_int_equal(map_fd(s, fd, 0, 2 * PAGE, VFIO_DMA_RW, NULL), -EEXIST);
	assert_int_equal(map_fd(s, fd, PAGE, PAGE, VFIO_DMA_RW, NULL), -EEXIST);
	assert_int_equal(map_fd(s, fd, PAGE, 2 * PAGE, VFIO_DMA_READ, NULL), -EEXIST);
	assert_int_equal(map_fd(s, other, PAGE, 2 * PAGE, VFIO_DMA_RW, NULL), -EEXIST);
	assert_int_equal(map_fd(s, -1, PAGE, 2 * PAGE, VFIO_DMA_RW, NULL), -EEXIST);
	close(fd);
	close(other);
	close(same);
}

/* ---- files that are refused --------------------------------------------------------------- */

static void assert_refused(struct space *s, int fd, uint32_t prot, int err,
			   enum vfio_error_code code)
{
	struct vfio_error e = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(map_fd(s, fd, 0, PAGE, prot, &e), -err);
	assert_int_equal(e.code, code);
	assert_true(e.what[0] && e.remedy[0]);
	assert_int_equal(s->ranges.count, 0);
	close(fd);
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

static void what_is_no_memory(void **state)
{
	struct space *s = *state;
	int p[2], sv[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_refused(s, p[0], VFIO_DMA_READ, EINVAL, VFIO_E_DMA_MEMORY);
	assert_refused(s, p[1], VFIO_DMA_READ, EINVAL, VFIO_E_DMA_MEMORY);
	assert_refused(s, sv[0], VFIO_DMA_READ, EINVAL, VFIO_E_DMA_MEMORY);
	assert_refused(s, sv[1], VFIO_DMA_RW, EINVAL, VFIO_E_DMA_MEMORY);
	assert_refused(s, eventfd(0, 0), VFIO_DMA_RW, EINVAL, VFIO_E_DMA_MEMORY);
	assert_refused(s, open("/", O_RDONLY), VFIO_DMA_READ, EINVAL, VFIO_E_DMA_MEMORY);
	/* On a file system, which may be one that its owner serves. */
	assert_refused(s, open("/proc/self/exe", O_RDONLY), VFIO_DMA_READ, EINVAL,
		       VFIO_E_DMA_MEMORY);
	assert_refused(s, open("/dev/zero", O_RDWR), VFIO_DMA_RW, EINVAL, VFIO_E_DMA_MEMORY);
	assert_refused(s, reopened(memfd(1, 0), O_PATH), VFIO_DMA_READ, EINVAL, VFIO_E_DMA_MEMORY);
}

static void a_closed_descriptor(void **state)
{
	struct vfio_error e = { 0 };
	int fd = dup(0);

	close(fd);
	assert_int_equal(map_fd(*state, fd, 0, PAGE, VFIO_DMA_READ, &e), -EBADF);
	assert_int_equal(e.who, VFIO_BY_KERNEL);
}

static void what_lies_past_the_end(void **state)
{
	struct space *s = *state;
	int fd = memfd(2, F_SEAL_SHRINK);

	assert_int_equal(map_fd(s, fd, 0, 3 * PAGE, VFIO_DMA_READ, NULL), -EINVAL);
	assert_int_equal(map_fd(s, fd, PAGE, 2 * PAGE, VFIO_DMA_READ, NULL), -EINVAL);
	assert_int_equal(map_fd(s, fd, 2 * PAGE, PAGE, VFIO_DMA_READ, NULL), -EINVAL);
	assert_int_equal(map_fd(s, fd, UINT64_MAX - PAGE + 1, PAGE, VFIO_DMA_READ, NULL), -EINVAL);
	assert_int_equal(map_fd(s, fd, 1, PAGE, VFIO_DMA_READ, NULL), -EINVAL);
	assert_int_equal(s->ranges.count, 0);
	close(fd);
}

static void what_does_not_allow_the_direction(void **state)
{
	const enum vfio_error_code prot = VFIO_E_DMA_PROT;
	struct space *s = *state;

	assert_refused(s, reopened(memfd(1, 0), O_RDONLY), VFIO_DMA_WRITE, EACCES, prot);
	assert_refused(s, reopened(memfd(1, F_SEAL_SHRINK), O_RDONLY), VFIO_DMA_RW, EACCES, prot);
	assert_refused(s, reopened(memfd(1, 0), O_WRONLY), VFIO_DMA_RW, EACCES, prot);
	assert_refused(s, reopened(memfd(1, 0), O_WRONLY), VFIO_DMA_READ, EACCES, prot);
	assert_refused(s, reopened(memfd(1, 0), O_RDWR | O_APPEND), VFIO_DMA_WRITE, EACCES, prot);
	assert_refused(s, memfd(1, F_SEAL_WRITE), VFIO_DMA_WRITE, EACCES, prot);
	assert_refused(s, memfd(1, F_SEAL_SHRINK | F_SEAL_WRITE), VFIO_DMA_RW, EACCES, prot);
	assert_refused(s, memfd(1, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), VFIO_DMA_RW, EACCES, prot);
}

/* What cannot be written can still be read. */
static void a_readable_file_for_reading(void **state)
{
	const int fds[] = {
		reopened(memfd(1, 0), O_RDONLY), reopened(memfd(1, F_SEAL_SHRINK), O_RDONLY),
		reopened(memfd(1, 0), O_RDWR | O_APPEND), memfd(1, F_SEAL_WRITE),
		memfd(1, F_SEAL_SHRINK | F_SEAL_WRITE),
		memfd(1, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE),
	};
	struct space *s = *state;

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		uint8_t byte = 0;
		uint64_t unmapped;

		assert_int_equal(map_fd(s, fds[i], 0, PAGE, VFIO_DMA_READ, NULL), 0);
		close(fds[i]);
		assert_int_equal(space_copy(s, IOVA, &byte, 1, VFIO_DMA_READ), 0);
		assert_int_equal(byte, 1);
		assert_int_equal(space_copy(s, IOVA, &byte, 1, VFIO_DMA_WRITE), -EFAULT);
		assert_int_equal(space_unmap(s, IOVA, PAGE, &unmapped, NULL, NULL, NULL), 0);
	}
}

/* ---- memory that must be asked for -------------------------------------------------------- */

struct peer {
	unsigned int reads, writes;
	uint64_t iova;
	size_t len;
	int result;
};

static int peer_read(void *arg, uint64_t iova, void *buf, size_t len)
{
	struct peer *p = arg;

	p->reads++;
	p->iova = iova;
	p->len = len;
	memset(buf, 0x77, len);
	return p->result;
}

static int peer_write(void *arg, uint64_t iova, const void *buf, size_t len)
{
	struct peer *p = arg;

	p->writes++;
	p->iova = iova;
	p->len = len;
	return p->result;
}

static void a_peer_is_asked(void **state)
{
	struct peer p = { 0 };
	const struct dma_peer peer = { peer_read, peer_write, &p };
	const struct dma_map m = {
		.iova = IOVA, .size = 2 * PAGE, .prot = VFIO_DMA_RW, .fd = -1, .peer = &peer,
	};
	struct space *s = *state;
	struct vfio_span span;
	uint8_t buf[16];

	assert_int_equal(space_map(s, &m, NULL), 0);
	assert_int_equal(space_copy(s, IOVA + 0xffc, buf, 16, VFIO_DMA_READ), 0);
	assert_int_equal(buf[15], 0x77);
	assert_true(p.reads == 1 && p.iova == IOVA + 0xffc && p.len == 16);
	assert_int_equal(space_copy(s, IOVA, buf, 3, VFIO_DMA_WRITE), 0);
	assert_true(p.writes == 1 && p.iova == IOVA && p.len == 3);
	assert_int_equal(space_spans(s, IOVA, 1, VFIO_DMA_READ, &span, 1), -ENOTSUP);
	assert_int_equal(space_copy(s, IOVA + PAGE, buf, PAGE + 1, VFIO_DMA_READ), -EFAULT);
	assert_int_equal(p.reads, 1);		/* permission comes first */
	p.result = -ETIMEDOUT;
	assert_int_equal(space_copy(s, IOVA + 8, buf, 3, VFIO_DMA_READ), -EIO);
	assert_int_equal(s->fault.err, EIO);
	assert_int_equal(s->fault.iova, IOVA + 8);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(only_a_sealed_file_is_mapped),
		TEST(a_sealed_file),
		TEST(an_unsealed_file),
		TEST(a_file_that_is_cut_off),
		TEST(the_same_map_again),
		TEST(what_is_no_memory),
		TEST(a_closed_descriptor),
		TEST(what_lies_past_the_end),
		TEST(what_does_not_allow_the_direction),
		TEST(a_readable_file_for_reading),
		TEST(a_peer_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
