/* SPDX-License-Identifier: MIT */
/*
 * The driver API on QEMU's edu where there is no IOMMU: test_noiommu.py runs this in a guest, as root,
 * with VFIO_DEVICE set.
 *
 *     test-noiommu drop PROGRAM [ARGUMENT]...
 *
 * runs a program without the capability CAP_SYS_RAWIO, whoever it is run by.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/driver.h>

#define PAGE   4096u
#define BITS   28u			/* that edu drives */
#define BUFFER 0x40000u			/* its own memory, in its addresses */
#define MIB    (1u << 20)

static int setup(void **state)
{
	struct vfio_error err;
	struct vfio_dev *dev;

	if (vfio_open(&dev, NULL, &err) < 0) {
		vfio_error_print(stdout, "setup", &err);
		return -1;
	}
	*state = dev;
	return 0;
}

static int teardown(void **state)
{
	vfio_close(*state);
	return 0;
}

static void assert_refused(struct vfio_dev *dev, int64_t r, int e, enum vfio_error_code code,
			   const char *word)
{
	const struct vfio_error *err = vfio_last_error(dev);

	if (r != -e || err->code != code ||
	    (!strstr(err->what, word) && !strstr(err->remedy, word)))
		fail_msg("%lld, not -%d; VFIO-%03d, not %d: %s / %s", (long long)r, e, err->code,
			 code, err->what, err->remedy);
}

static void assert_done(struct vfio_dev *dev, int64_t r)
{
	if (r < 0) {
		vfio_error_print(stdout, "failed", vfio_last_error(dev));
		fail_msg("%lld", (long long)r);
	}
}

/* Memory whose pages are surely not side by side: they were got in another order. */
static uint8_t *scattered_memory(size_t pages)
{
	uint8_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i += 2)
		memory[i * PAGE] = 1;
	for (size_t i = 1; i < pages; i += 2)
		memory[i * PAGE] = 1;
	return memory;
}

static struct vfio_dma map_of(void *memory, size_t size, uint64_t iova)
{
	return (struct vfio_dma){
		.vaddr = memory, .iova = iova, .size = size, .fd = -1, .prot = VFIO_DMA_RW,
	};
}

/* ---- the device ----------------------------------------------------------------------------- */

static void transfer(struct vfio_dev *dev, uint64_t from, uint64_t to, uint64_t len, uint64_t way)
{
	vfio_write64(dev, 0, 0x80, from);
	vfio_write64(dev, 0, 0x88, to);
	vfio_write64(dev, 0, 0x90, len);
	vfio_write64(dev, 0, 0x98, 1 | way);
	while (vfio_read64(dev, 0, 0x98) & 1)
		usleep(1000);
}

/* What the device fetches from one address it brings to the other. */
static void carry(struct vfio_dev *dev, uint64_t from, uint64_t to, uint64_t len)
{
	transfer(dev, from, BUFFER, len, 0);
	transfer(dev, BUFFER, to, len, 2);
}

/* ---- what it says of itself ----------------------------------------------------------------- */

static void what_it_is(void **state)
{
	struct vfio_iova_range ranges[VFIO_MAX_IOVA_RANGES];
	struct vfio_dma_limits limits;
	struct vfio_isolation is;

	assert_string_equal(vfio_backend_name(*state), "noiommu");
	assert_int_equal(vfio_addr_mode(*state), VFIO_ADDRESS_PHYSICAL);
	assert_int_equal(vfio_isolation(*state, &is), 0);
	assert_int_equal(is.dma, VFIO_ISOLATED_NOT);
	assert_int_equal(vfio_require_isolation(*state, VFIO_ISOLATED_BY_IOMMU), -EPERM);
	assert_int_equal(vfio_iova_ranges(*state, ranges), 1);
	assert_int_equal(vfio_dma_limits(*state, &limits), 0);
	assert_int_equal(limits.bytes.used, 0);
	assert_refused(*state, vfio_dirty_start(*state, PAGE), ENOTSUP, VFIO_E_UNSUPPORTED, "pages");
}

/* ---- memory of the library's ---------------------------------------------------------------- */

/* Below 256 MiB, though the machine has more: the device fetches it there, and brings it back. */
static void the_device_finds_it(void **state)
{
	struct vfio_dma a, b;

	assert_int_equal(vfio_dma_set_bits(*state, BITS), 0);
	assert_int_equal(vfio_set_bus_master(*state, true), 0);
	assert_done(*state, vfio_dma_alloc(*state, &a, PAGE, VFIO_DMA_RW));
	assert_done(*state, vfio_dma_alloc(*state, &b, 100, VFIO_DMA_RW));
	assert_true(a.iova + a.size <= 1u << BITS && b.iova + b.size <= 1u << BITS);
	memset(a.vaddr, 0xa5, 100);
	carry(*state, a.iova, b.iova, 100);
	assert_memory_equal(a.vaddr, b.vaddr, 100);
	assert_int_equal(vfio_dma_recheck(*state), 0);
}

static void in_one_piece(void **state)
{
	static const size_t sizes[] = { 64, PAGE, 2 * PAGE, 64 << 10, 256 << 10, MIB, 2 * MIB };
	struct vfio_dma dma[sizeof(sizes) / sizeof(sizes[0])];
	struct vfio_dma_segment s;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_done(*state, vfio_dma_alloc(*state, &dma[i], sizes[i], VFIO_DMA_RW));
		assert_int_equal(vfio_dma_segments(*state, &dma[i], &s, 1), 1);
		assert_true(s.address == dma[i].iova && s.size == dma[i].size);
	}
	assert_int_equal(vfio_dma_recheck(*state), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_int_equal(vfio_dma_free(*state, &dma[i]), 0);
}

static void more_than_there_is(void **state)
{
	struct vfio_dma dma;

	assert_refused(*state, vfio_dma_alloc(*state, &dma, 128 * MIB, VFIO_DMA_RW), ENOMEM,
		       VFIO_E_SCATTERED, "nr_hugepages");
	assert_int_equal(dma.size, 0);
}

/* ---- memory of the caller's ----------------------------------------------------------------- */

static void only_the_right_address(void **state)
{
	uint8_t *memory = scattered_memory(2);
	struct vfio_dma dma = map_of(memory, PAGE, 0x100000), right;
	struct vfio_dma_segment s;
	char words[64];

	assert_int_equal(vfio_dma_segments(*state, &dma, &s, 1), 1);
	snprintf(words, sizeof(words), "map it at %#llx", (unsigned long long)s.address);
	assert_refused(*state, vfio_dma_map(*state, &dma), EINVAL, VFIO_E_PHYSICAL, words);
	right = map_of(memory, PAGE, s.address);
	assert_done(*state, vfio_dma_map(*state, &right));
	assert_refused(*state, vfio_dma_map(*state, &right), EEXIST, VFIO_E_OVERLAP, "unmap");
	assert_done(*state, vfio_dma_unmap(*state, s.address, PAGE));
	dma.iova = VFIO_IOVA_ANY;
	assert_done(*state, vfio_dma_map(*state, &dma));
	assert_int_equal(dma.iova, s.address);
	munmap(memory + PAGE, PAGE);
	dma = map_of(memory + PAGE, PAGE, VFIO_IOVA_ANY);
	assert_refused(*state, vfio_dma_map(*state, &dma), EFAULT, VFIO_E_DMA_MEMORY, "page");
}

static void piece_by_piece(void **state)
{
	uint8_t *memory = scattered_memory(16), *at = memory;
	struct vfio_dma dma = map_of(memory, 16 * PAGE, VFIO_IOVA_ANY);
	struct vfio_dma_segment s[16];
	int n = vfio_dma_segments(*state, &dma, s, 16);

	assert_in_range(n, 2, 16);
	assert_refused(*state, vfio_dma_map(*state, &dma), EINVAL, VFIO_E_SCATTERED, "BOUNCE");
	for (int i = 0; i < n; i++) {
		struct vfio_dma piece = map_of(at, s[i].size, s[i].address);

		assert_done(*state, vfio_dma_map(*state, &piece));
		at += s[i].size;
	}
	assert_ptr_equal(at, memory + 16 * PAGE);
	assert_int_equal(vfio_dma_recheck(*state), 0);
}

/* Memory that no map could show, at addresses that the device does not drive, or not aligned. */
static void bounced(void **state)
{
	uint8_t *memory = scattered_memory(2), *text = memory + PAGE - 10;
	struct vfio_dma dma = map_of(text, 20, VFIO_IOVA_ANY);

	assert_int_equal(vfio_dma_set_bits(*state, BITS), 0);
	assert_int_equal(vfio_set_bus_master(*state, true), 0);
	dma.flags = VFIO_DMA_BOUNCE;
	assert_done(*state, vfio_dma_map(*state, &dma));
	memcpy(text, "over a page", 11);
	assert_done(*state, vfio_dma_sync_for_device(*state, &dma, 0, 11));
	transfer(*state, dma.iova, BUFFER, 11, 0);
	memset(text, 0, 11);
	transfer(*state, BUFFER, dma.iova, 11, 2);
	assert_done(*state, vfio_dma_sync_for_cpu(*state, &dma, 0, 20));
	assert_string_equal((char *)text, "over a page");
	assert_done(*state, vfio_dma_free(*state, &dma));
}

/* ---- what moves ----------------------------------------------------------------------------- */

static void compact(void)
{
	int fd = open("/proc/sys/vm/compact_memory", O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
}

/* Every other page of much memory is given back, so that there is something to move. */
static void it_is_held(void **state)
{
	size_t pages = 16 << 8;
	uint8_t *memory = scattered_memory(pages);
	struct vfio_dma_segment before[16], after[16];
	struct vfio_dma dma = map_of(memory, 16 * PAGE, VFIO_IOVA_ANY);
	int n = vfio_dma_segments(*state, &dma, before, 16);
	uint8_t *at = memory;

	for (int i = 0; i < n; i++) {
		struct vfio_dma piece = map_of(at, before[i].size, VFIO_IOVA_ANY);

		assert_done(*state, vfio_dma_map(*state, &piece));
		at += before[i].size;
	}
	for (size_t i = 17; i < pages; i += 2)
		madvise(memory + i * PAGE, PAGE, MADV_DONTNEED);
	compact();
	assert_int_equal(vfio_dma_recheck(*state), 0);
	dma.iova = VFIO_IOVA_ANY;
	assert_int_equal(vfio_dma_segments(*state, &dma, after, 16), n);
	assert_memory_equal(before, after, (size_t)n * sizeof(before[0]));
}

static void what_is_taken_away_has_moved(void **state)
{
	uint8_t *memory = scattered_memory(2);
	struct vfio_dma dma = map_of(memory, PAGE, VFIO_IOVA_ANY);

	assert_done(*state, vfio_dma_map(*state, &dma));
	assert_int_equal(vfio_dma_recheck(*state), 0);
	assert_ptr_equal(mmap(memory, PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), memory);
	assert_refused(*state, vfio_dma_recheck(*state), ESTALE, VFIO_E_MOVED, "no longer");
	memory[0] = 1;			/* another page, which the first, being held, cannot be */
	assert_refused(*state, vfio_dma_recheck(*state), ESTALE, VFIO_E_MOVED, "no longer");
	assert_int_equal(vfio_dma_forget(*state, memory, PAGE), 1);
	assert_int_equal(vfio_dma_recheck(*state), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int run_without(char **command)
{
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_RAWIO, 0, 0, 0) < 0) {
		perror("test-noiommu: dropping CAP_SYS_RAWIO");
		return 2;
	}
	execvp(*command, command);
	perror(*command);
	return 2;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(what_it_is),
		TEST(the_device_finds_it),
		TEST(in_one_piece),
		TEST(more_than_there_is),
		TEST(only_the_right_address),
		TEST(piece_by_piece),
		TEST(bounced),
		TEST(it_is_held),
		TEST(what_is_taken_away_has_moved),
	};

	if (argc > 2 && strcmp(argv[1], "drop") == 0)
		return run_without(argv + 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
