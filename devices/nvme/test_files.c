/* SPDX-License-Identifier: MIT */
/* Namespaces in files, by both roads: what requests do to the file, and what the file does to them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_bed.h"

/* ---- data ---------------------------------------------------------------------------------- */

static void test_write_and_read(void **state)
{
	for_each_variant(write_and_read);
}

/* Pieces of odd sizes at odd places, as a scatter gather list may have them. */
static unsigned int cut(struct iovec *iov, uint8_t *at, size_t size)
{
	unsigned int n = 0;

	for (size_t done = 0, piece = 1; done < size; piece = piece % 977 + 100) {
		size_t len = piece < size - done ? piece : size - done;

		iov[n++] = (struct iovec){ at + done, len };
		done += len;
	}
	return n;
}

static void pieces(struct bed *b, const struct variant *v)
{
	uint8_t *out = pattern(64 * BLOCK, 2), *in = aligned(64 * BLOCK);
	struct request *r = request(b, VFIO_NVME_WRITE, 100, 64);

	r->niov = cut(r->iov, out, 64 * BLOCK);
	assert_int_equal(run(b, r), VFIO_NVME_SUCCESS);
	assert_file(b, 100 * BLOCK, out, 64 * BLOCK);
	r = request(b, VFIO_NVME_READ, 100, 64);
	r->niov = cut(r->iov, in, 64 * BLOCK);
	assert_int_equal(run(b, r), VFIO_NVME_SUCCESS);
	assert_memory_equal(in, out, 64 * BLOCK);
	free(out);
	free(in);
}

static void test_pieces(void **state)
{
	for_each_variant(pieces);
}

/* The kernel may do a part, or nothing this time. */
static void test_short_answers(void **state)
{
	struct bed *b = bed_new(&variants[1]);

	shorten = 211;
	pieces(b, &variants[1]);
	bed_free(b);
	b = bed_new(&variants[1]);
	shorten = 300;
	write_and_read(b, &variants[1]);
	shorten = 0;
	bed_free(b);
}

static void *in_another_thread(void *arg)
{
	static const struct variant *v = &variants[0];
	struct bed *b = arg;

	write_and_read(b, v);
	pieces(b, v);
	files_close(&b->n);
	return NULL;
}

/* A function may change threads; one that has a ring of its own, too, and of the same number. */
static void test_other_threads(void **state)
{
	struct bed *b = bed_new(&variants[0]), *own = bed_new(&variants[2]);
	struct namespace_options o = { .block = BLOCK, .file = b->path };
	struct vfio_error err;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, in_another_thread, b), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	write_and_read(own, &variants[2]);
	assert_int_equal(bed_open(b, &o, false, &err), 0);	/* nobody holds the lock */
	pieces(b, &variants[0]);
	bed_free(own);
	bed_free(b);
}

/* ---- zeros and holes ----------------------------------------------------------------------- */

static uint16_t write_zeroes(struct bed *b, uint64_t lba, uint64_t blocks, bool deallocate)
{
	struct request *r = request(b, VFIO_NVME_WRITE_ZEROES, lba, blocks);

	r->command.cdw12 = htole32(deallocate ? VFIO_NVME_DEALLOCATE : 0);
	return run(b, r);
}

static void zeroes(struct bed *b, const struct variant *v)
{
	uint8_t *out = pattern(SIZE / 2, 3);

	for (unsigned int give_back = 0; give_back < 2; give_back++) {
		assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, 0, BLOCKS / 2, out),
				 VFIO_NVME_SUCCESS);
		assert_int_equal(write_zeroes(b, 3, BLOCKS / 2 - 6, give_back), VFIO_NVME_SUCCESS);
		assert_file(b, 0, out, 3 * BLOCK);
		assert_zero(b, 3 * BLOCK, SIZE / 2 - 6 * BLOCK);
		assert_file(b, SIZE / 2 - 3 * BLOCK, out + SIZE / 2 - 3 * BLOCK, 3 * BLOCK);
	}
	assert_true(blocks_used(b) < 100);
	free(out);
}

static void test_zeroes(void **state)
{
	for_each_variant(zeroes);
}

/* The size of the file, and so of the disk, stays. */
static void zeroes_at_the_end(struct bed *b, const struct variant *v)
{
	struct stat st;

	assert_int_equal(write_zeroes(b, BLOCKS - 5, 5, false), VFIO_NVME_SUCCESS);
	assert_int_equal(write_zeroes(b, BLOCKS - 5, 5, true), VFIO_NVME_SUCCESS);
	assert_int_equal(fstat(b->ns->fd, &st), 0);
	assert_int_equal(st.st_size, SIZE);
}

static void test_zeroes_at_the_end(void **state)
{
	for_each_variant(zeroes_at_the_end);
}

static void ranges(struct bed *b, const struct variant *v)
{
	const struct vfio_nvme_range list[] = {
		{ .lba = 1, .blocks = 1000 }, { .lba = 7, .blocks = 0 },
		{ .lba = 3001, .blocks = 1000 },
	};
	uint8_t *out = pattern(SIZE, 4);
	blkcnt_t before;
	struct request *r;

	assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, 0, BLOCKS / 2, out), VFIO_NVME_SUCCESS);
	assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, BLOCKS / 2, BLOCKS / 2, out + SIZE / 2),
			 VFIO_NVME_SUCCESS);
	before = blocks_used(b);
	r = request(b, VFIO_NVME_DATASET_MANAGEMENT, 0, 0);
	r->ranges = (struct vfio_nvme_range *)list;
	r->nranges = 3;
	assert_int_equal(run(b, r), VFIO_NVME_SUCCESS);
	assert_file(b, 0, out, BLOCK);
	assert_zero(b, BLOCK, 1000 * BLOCK);
	assert_file(b, 1001 * BLOCK, out + 1001 * BLOCK, 2000 * BLOCK);
	assert_zero(b, 3001 * BLOCK, 1000 * BLOCK);
	assert_file(b, 4001 * BLOCK, out + 4001 * BLOCK, 95 * BLOCK);
	assert_true(blocks_used(b) <= before - 1950);
	free(out);
}

static void test_ranges(void **state)
{
	for_each_variant(ranges);
}

static void no_ranges(struct bed *b, const struct variant *v)
{
	assert_int_equal(run(b, request(b, VFIO_NVME_DATASET_MANAGEMENT, 0, 0)),
			 VFIO_NVME_SUCCESS);
}

static void test_no_ranges(void **state)
{
	for_each_variant(no_ranges);
}

static void erase(struct bed *b, const struct variant *v)
{
	uint8_t *out = pattern(SIZE / 2, 5);

	assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, 9, BLOCKS / 2, out), VFIO_NVME_SUCCESS);
	assert_int_equal(files_erase(&b->n, b->ns), 0);
	assert_zero(b, 0, SIZE);
	free(out);
}

static void test_erase(void **state)
{
	for_each_variant(erase);
}

/* ---- durability ---------------------------------------------------------------------------- */

static void test_durability(void **state)
{
	struct bed *b = bed_new(&variants[1]);
	uint8_t *out = pattern(BLOCK, 6);
	struct request *r;

	move_blocks(b, VFIO_NVME_WRITE, 0, 1, out);
	write_zeroes(b, 0, 1, false);
	assert_int_equal(durable + syncs, 0);
	assert_int_equal(run(b, request(b, VFIO_NVME_FLUSH, 0, 0)), VFIO_NVME_SUCCESS);
	assert_int_equal(syncs, 1);
	r = request(b, VFIO_NVME_WRITE, 0, 1);
	r->fua = true;
	r->iov[r->niov++] = (struct iovec){ out, BLOCK };
	assert_int_equal(run(b, r), VFIO_NVME_SUCCESS);
	assert_int_equal(durable, 1);
	b->n.features.write_cache = 0;
	move_blocks(b, VFIO_NVME_WRITE, 0, 1, out);
	assert_int_equal(durable, 2);
	assert_int_equal(syncs, 1);
	write_zeroes(b, 0, 1, false);
	write_zeroes(b, 0, 1, true);
	assert_int_equal(syncs, 3);
	bed_free(b);
	free(out);
}

static void flush(struct bed *b, const struct variant *v)
{
	assert_int_equal(run(b, request(b, VFIO_NVME_FLUSH, 0, 0)), VFIO_NVME_SUCCESS);
}

static void test_flush(void **state)
{
	for_each_variant(flush);
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

static void cut_off(struct bed *b, const struct variant *v)
{
	uint8_t *buf = pattern(16 * BLOCK, 7);

	assert_int_equal(truncate(b->path, 8 * BLOCK), 0);
	assert_int_equal(move_blocks(b, VFIO_NVME_READ, 0, 8, buf), VFIO_NVME_SUCCESS);
	assert_int_equal(move_blocks(b, VFIO_NVME_READ, 0, 16, buf), VFIO_NVME_READ_ERROR);
	assert_int_equal(move_blocks(b, VFIO_NVME_READ, 100, 1, buf), VFIO_NVME_READ_ERROR);
	assert_int_equal(b->n.counters.media_errors, 2);
	assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, BLOCKS - 1, 1, buf), VFIO_NVME_SUCCESS);
	assert_int_equal(move_blocks(b, VFIO_NVME_READ, 100, 1, buf), VFIO_NVME_SUCCESS);
	free(buf);
}

static void test_cut_off(void **state)
{
	for_each_variant(cut_off);
}

/* The driver's memory may go while the kernel is to use it. */
static void gone(struct bed *b, const struct variant *v)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, 0, 8, page), VFIO_NVME_DATA_TRANSFER);
	assert_int_equal(move_blocks(b, VFIO_NVME_READ, 0, 8, page), VFIO_NVME_DATA_TRANSFER);
	assert_int_equal(b->n.counters.media_errors, 0);
	munmap(page, PAGE);
}

static void test_gone(void **state)
{
	for_each_variant(gone);
}

/* A file whose contents may not change any more: each write fails, with or without privilege. */
static void test_failed_writes(void **state)
{
	for (unsigned int synchronous = 0; synchronous < 2; synchronous++) {
		struct bed *b = calloc(1, sizeof(*b));
		struct namespace_options o = { .block = BLOCK, .file = b->path };
		int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		uint8_t *buf = pattern(BLOCK, 8);
		struct vfio_error err;

		assert_int_equal(ftruncate(fd, SIZE), 0);
		snprintf(b->path, sizeof(b->path), "/proc/self/fd/%d", fd);
		assert_int_equal(bed_open(b, &o, synchronous, &err), 0);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
		assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, 0, 1, buf), VFIO_NVME_WRITE_FAULT);
		assert_int_equal(write_zeroes(b, 0, 1, false), VFIO_NVME_WRITE_FAULT);
		assert_int_equal(write_zeroes(b, 0, 1, true), VFIO_NVME_WRITE_FAULT);
		assert_int_equal(move_blocks(b, VFIO_NVME_READ, 0, 1, buf), VFIO_NVME_SUCCESS);
		assert_int_equal(b->n.counters.media_errors, 3);
		close(fd);
		bed_free(b);
		free(buf);
	}
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

/* Somewhere that nobody else sees; who is not root is root in a world of his own. */
static bool may_mount(void)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "0 %u 1", geteuid());
	snprintf(groups, sizeof(groups), "0 %u 1", getegid());
	if (unshare(CLONE_NEWNS) < 0 &&
	    (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || !put("/proc/self/setgroups", "deny") ||
	     !put("/proc/self/uid_map", users) || !put("/proc/self/gid_map", groups)))
		return false;
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* The first of the tests: a process that had a ring may have threads, and then it may not leave. */
static void test_full_disk(void **state)
{
	struct variant v = { .where = memory };
	uint8_t *out = pattern(SIZE / 2, 9);

	if (!may_mount() || mount("none", memory, "tmpfs", 0, "size=64k") < 0) {
		free(out);
		skip();
	}
	for (unsigned int i = 0; i < 2; i++) {
		struct bed *b;

		v.synchronous = i;
		b = bed_new(&v);
		assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, 0, BLOCKS / 2, out),
				 VFIO_NVME_WRITE_FAULT);
		assert_int_equal(write_zeroes(b, BLOCKS / 2, 2000, false), VFIO_NVME_WRITE_FAULT);
		assert_int_equal(b->n.counters.media_errors, 2);
		assert_int_equal(write_zeroes(b, 0, BLOCKS, true), VFIO_NVME_SUCCESS);
		assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, BLOCKS - 64, 64, out),
				 VFIO_NVME_SUCCESS);
		bed_free(b);
	}
	assert_int_equal(umount2(memory, MNT_DETACH), 0);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_write_and_read),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_short_answers),
		cmocka_unit_test(test_other_threads),
		cmocka_unit_test(test_zeroes),
		cmocka_unit_test(test_zeroes_at_the_end),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_no_ranges),
		cmocka_unit_test(test_erase),
		cmocka_unit_test(test_durability),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_failed_writes),
	};

	return cmocka_run_group_tests(tests, make_places, remove_places);
}
