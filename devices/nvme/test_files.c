/* SPDX-License-Identifier: MIT */
/*
 * Namespaces in files, by both roads: what requests do to the file, and what the file does to them.
 * The requests are made by hand here; io.c and what is before it are not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"

#define BLOCK  512u
#define BLOCKS 4096u
#define SIZE   (BLOCK * BLOCKS)

/* ---- the rest of the device ---------------------------------------------------------------- */

int refuse(struct vfio_error *err, int number, enum vfio_error_code code, const char *remedy,
	   const char *format, ...)
{
	va_list args;

	err->err = number;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->what, sizeof(err->what), format, args);
	va_end(args);
	return -number;
}

/* The last status, or that of the request with this number. */
static uint16_t statuses[65536];
static unsigned int ended;

void request_end(struct request *r, uint16_t status)
{
	statuses[r->cid] = status;
	ended++;
}

/* ---- calls that are not what they were ----------------------------------------------------- */

static unsigned int shorten;	/* every call moves a part; every third is interrupted */
static unsigned int calls, durable, syncs;
static bool no_ring, no_room;

ssize_t __real_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);
int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags);

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);

/* A part of the first piece, of an odd size. */
static struct iovec part_of(const struct iovec *iov)
{
	return (struct iovec){ iov->iov_base,
			       iov->iov_len < shorten ? iov->iov_len : shorten };
}

static bool interrupted(void)
{
	if (!shorten || ++calls % 3)
		return false;
	errno = calls % 2 ? EINTR : EAGAIN;
	return true;
}

ssize_t __wrap_pwritev64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	struct iovec part = part_of(iov);

	durable += (flags & RWF_DSYNC) != 0;
	if (interrupted())
		return -1;
	return shorten ? __real_pwritev64v2(fd, &part, 1, offset, flags) :
			 __real_pwritev64v2(fd, iov, n, offset, flags);
}

ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	struct iovec part = part_of(iov);

	if (interrupted())
		return -1;
	return shorten ? __real_preadv64v2(fd, &part, 1, offset, flags) :
			 __real_preadv64v2(fd, iov, n, offset, flags);
}

int __wrap_fdatasync(int fd)
{
	syncs++;
	return __real_fdatasync(fd);
}

int __wrap_io_uring_queue_init(unsigned int entries, struct io_uring *ring, unsigned int flags)
{
	return no_ring ? -EPERM : __real_io_uring_queue_init(entries, ring, flags);
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	return no_room ? -EAGAIN : __real_io_uring_submit(ring);
}

/* ---- a device with one namespace ----------------------------------------------------------- */

static char directory[] = "/tmp/test-files-XXXXXX", memory[] = "/dev/shm/test-files-XXXXXX";

struct bed {
	struct nvme n;
	struct namespace *ns;
	char path[128];
	bool temporary;
};

static const struct variant {
	const char *where;		/* NULL: where tmpfs is */
	bool synchronous, direct;
	bool ring_in_memory;		/* also where it would be slower */
} variants[] = {
	{ directory, false, false, false }, { directory, true, false, false },
	{ memory, false, false, false }, { memory, true, false, false },
	{ directory, false, true, false }, { directory, true, true, false },
	{ memory, false, false, true },
};

static int bed_open(struct bed *b, const struct namespace_options *o, bool synchronous,
		    struct vfio_error *err)
{
	int r;

	b->ns = &b->n.namespaces[0];
	*b->ns = (struct namespace){ .nsid = 1, .block_shift = o->block == 4096 ? 12 : 9,
				     .fd = -1, .read_only = o->read_only, .direct = o->direct };
	b->n.nnamespaces = 1;
	b->n.options.synchronous = synchronous;
	b->n.features.write_cache = 1;
	r = files_open(&b->n, b->ns, o, err);
	b->ns->bytes = b->ns->blocks << b->ns->block_shift;
	return r < 0 ? r : files_ready(&b->n, err);
}

static void make_file(const char *path, uint64_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static struct bed *bed_new(const struct variant *v)
{
	struct namespace_options o = { .block = BLOCK, .direct = v->direct };
	struct bed *b = calloc(1, sizeof(*b));
	struct vfio_error err;

	assert_non_null(b);
	snprintf(b->path, sizeof(b->path), "%s/disk", v->where);
	make_file(b->path, SIZE);
	o.file = b->path;
	if (bed_open(b, &o, v->synchronous, &err) < 0)
		fail_msg("%s", err.what);
	assert_int_equal(files_fd(&b->n) < 0, v->synchronous);
	if (v->ring_in_memory)
		b->n.files->is_memory[0] = false;
	shorten = durable = syncs = 0;
	return b;
}

static void bed_free(struct bed *b)
{
	files_close(&b->n);
	unlink(b->path);
	free(b);
}

static struct request *request(struct bed *b, uint8_t opcode, uint64_t lba, uint64_t blocks)
{
	struct request *r = files_request(&b->n);

	assert_non_null(r);
	r->nvme = &b->n;
	r->ns = b->ns;
	r->cid = 0;
	r->opcode = opcode;
	r->fua = false;
	r->offset = lba << b->ns->block_shift;
	r->bytes = blocks << b->ns->block_shift;
	r->command = (struct vfio_nvme_command){ .opcode = opcode };
	r->niov = 0;
	r->ranges = NULL;
	r->nranges = 0;
	return r;
}

static uint16_t run(struct bed *b, struct request *r)
{
	unsigned int before = ended;
	uint16_t cid = r->cid;

	files_begin(&b->n, r);
	files_drain(&b->n);
	assert_int_equal(ended, before + 1);
	return statuses[cid];
}

static uint16_t move_blocks(struct bed *b, uint8_t opcode, uint64_t lba, uint64_t blocks, void *buf)
{
	struct request *r = request(b, opcode, lba, blocks);

	r->iov[0] = (struct iovec){ buf, r->bytes };
	r->niov = 1;
	return run(b, r);
}

static void *aligned(size_t size)
{
	void *p = aligned_alloc(PAGE, (size + PAGE - 1) & ~(size_t)(PAGE - 1));

	assert_non_null(p);
	return p;
}

static uint8_t *pattern(size_t size, unsigned int seed)
{
	uint8_t *p = aligned(size);

	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)((i * 31 + i / 512 + seed) % 255 + 1);
	return p;
}

static void assert_file(struct bed *b, uint64_t offset, const void *want, size_t size)
{
	uint8_t *got = malloc(size);
	int fd = open(b->path, O_RDONLY | O_CLOEXEC);

	assert_non_null(got);
	assert_int_equal(pread(fd, got, size, (off_t)offset), size);
	assert_memory_equal(got, want, size);
	close(fd);
	free(got);
}

static void assert_zero(struct bed *b, uint64_t offset, size_t size)
{
	uint8_t *zero = calloc(1, size);

	assert_non_null(zero);
	assert_file(b, offset, zero, size);
	free(zero);
}

static blkcnt_t blocks_used(struct bed *b)
{
	struct stat st;

	assert_int_equal(fdatasync(b->ns->fd), 0);	/* or it is not decided yet */
	assert_int_equal(fstat(b->ns->fd, &st), 0);
	return st.st_blocks;
}

static void for_each_variant(void (*test)(struct bed *b, const struct variant *v))
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct bed *b = bed_new(&variants[i]);

		test(b, &variants[i]);
		bed_free(b);
	}
}

/* ---- data ---------------------------------------------------------------------------------- */

static void write_and_read(struct bed *b, const struct variant *v)
{
	uint8_t *out = pattern(128 * BLOCK, 1), *in = aligned(128 * BLOCK);

	assert_int_equal(move_blocks(b, VFIO_NVME_WRITE, 7, 128, out), VFIO_NVME_SUCCESS);
	assert_file(b, 7 * BLOCK, out, 128 * BLOCK);
	assert_zero(b, 0, 7 * BLOCK);
	assert_zero(b, 135 * BLOCK, BLOCK);
	assert_int_equal(move_blocks(b, VFIO_NVME_READ, 7, 128, in), VFIO_NVME_SUCCESS);
	assert_memory_equal(in, out, 128 * BLOCK);
	free(out);
	free(in);
}

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

/* ---- order --------------------------------------------------------------------------------- */

#define MANY   200u		/* at once */
#define ROUNDS 20u
#define SPACE  32u		/* blocks that they fight for */
#define MOST   8u		/* of one request */

/*
 * Of two that overlap the older one is done first, so that what each read has to find is known when
 * it is begun.
 */
static void one_round(struct bed *b, uint8_t *model, uint8_t *bufs, uint8_t *wants,
		      unsigned int round)
{
	unsigned int before = ended, begun = 0;

	for (unsigned int i = 0; i < MANY; i++) {
		uint64_t lba = (uint64_t)rand() % (SPACE - MOST);
		uint64_t blocks = 1 + (uint64_t)rand() % MOST;
		uint8_t *buf = bufs + i * MOST * BLOCK, *want = wants + i * MOST * BLOCK;
		uint8_t opcode = rand() % 2 ? VFIO_NVME_READ : VFIO_NVME_WRITE;
		struct request *r = request(b, opcode, lba, blocks);

		r->cid = (uint16_t)i;
		r->iov[r->niov++] = (struct iovec){ buf, r->bytes };
		memset(buf, (int)(round * 31 + i), r->bytes);
		if (opcode == VFIO_NVME_WRITE)
			memcpy(model + lba * BLOCK, buf, r->bytes);
		memcpy(want, model + lba * BLOCK, r->bytes);
		memset(want + r->bytes, 0, MOST * BLOCK - r->bytes);
		memset(buf + r->bytes, 0, MOST * BLOCK - r->bytes);
		files_begin(&b->n, r);
		begun++;
		if (rand() % 16 == 0)
			files_poll(&b->n);
	}
	files_drain(&b->n);
	assert_int_equal(ended - before, begun);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(statuses[i], VFIO_NVME_SUCCESS);
	assert_memory_equal(bufs, wants, MANY * MOST * BLOCK);
	assert_file(b, 0, model, SPACE * BLOCK);
}

static void order(struct bed *b, const struct variant *v)
{
	uint8_t *model = calloc(SPACE, BLOCK), *bufs = aligned(MANY * MOST * BLOCK);
	uint8_t *wants = aligned(MANY * MOST * BLOCK);

	for (unsigned int i = 0; i < ROUNDS; i++)
		one_round(b, model, bufs, wants, i);
	free(model);
	free(bufs);
	free(wants);
}

static void test_order(void **state)
{
	srand(1);
	for_each_variant(order);
}

/* Zeros and ranges are writes, too; a flush waits for nobody, and nobody for it. */
static void order_of_others(struct bed *b, const struct variant *v)
{
	const struct vfio_nvme_range list[] = {
		{ .lba = 3, .blocks = 2 }, { .lba = 9, .blocks = 1 },
	};
	uint8_t *bufs = aligned(4 * 16 * BLOCK), *out = pattern(16 * BLOCK, 10);
	static const uint8_t opcodes[] = { VFIO_NVME_WRITE_ZEROES, VFIO_NVME_DATASET_MANAGEMENT,
					   VFIO_NVME_FLUSH, VFIO_NVME_WRITE };
	unsigned int before = ended;

	for (unsigned int i = 0; i < 4; i++) {
		struct request *r = request(b, VFIO_NVME_WRITE, 0, 16);

		r->iov[r->niov++] = (struct iovec){ out, r->bytes };
		files_begin(&b->n, r);
		r = request(b, opcodes[i], i == 3 ? 5 : 0, i == 3 ? 0 : 16);
		r->ranges = (struct vfio_nvme_range *)list;
		r->nranges = opcodes[i] == VFIO_NVME_DATASET_MANAGEMENT ? 2 : 0;
		if (i < 3)
			files_begin(&b->n, r);
		else
			files_unused(&b->n, r);
		r = request(b, VFIO_NVME_READ, 0, 16);
		r->iov[r->niov++] = (struct iovec){ bufs + i * 16 * BLOCK, r->bytes };
		files_begin(&b->n, r);
	}
	files_drain(&b->n);
	assert_int_equal(ended - before, 11);
	for (unsigned int i = 0; i < 16 * BLOCK; i++) {
		bool hole = i / BLOCK == 3 || i / BLOCK == 4 || i / BLOCK == 9;

		assert_int_equal(bufs[i], 0);
		assert_int_equal(bufs[16 * BLOCK + i], hole ? 0 : out[i]);
		assert_int_equal(bufs[32 * BLOCK + i], out[i]);
	}
	assert_memory_equal(bufs + 48 * BLOCK, out, 16 * BLOCK);
	free(bufs);
	free(out);
}

static void test_order_of_others(void **state)
{
	for_each_variant(order_of_others);
}

/* As many as can be, and no more; unused ones come back. */
static void all_at_once(struct bed *b, const struct variant *v)
{
	uint8_t *buf = pattern(BLOCK, 11);
	struct request *all[DEPTH];
	unsigned int before = ended;

	for (unsigned int i = 0; i < DEPTH; i++) {
		all[i] = request(b, VFIO_NVME_WRITE, i, 1);
		all[i]->iov[all[i]->niov++] = (struct iovec){ buf, BLOCK };
	}
	assert_null(files_request(&b->n));
	files_unused(&b->n, all[0]);
	assert_ptr_equal(files_request(&b->n), all[0]);
	for (unsigned int i = 0; i < DEPTH; i++)
		files_begin(&b->n, all[i]);
	while (ended - before < DEPTH)
		files_poll(&b->n);
	for (unsigned int i = 0; i < DEPTH; i++)
		assert_file(b, i * BLOCK, buf, BLOCK);
	assert_non_null(files_request(&b->n));
	free(buf);
}

static void test_all_at_once(void **state)
{
	for_each_variant(all_at_once);
}

/* ---- the ring ------------------------------------------------------------------------------ */

/* Whoever gets hold of it can do nothing else with it. */
static void test_ring_is_locked(void **state)
{
	struct bed *b = bed_new(&variants[0]);
	struct io_uring *ring = &b->n.files->ring;
	struct io_uring_cqe *cqe;

	io_uring_prep_nop(io_uring_get_sqe(ring));
	io_uring_prep_openat(io_uring_get_sqe(ring), AT_FDCWD, "/etc/passwd", O_RDONLY, 0);
	io_uring_prep_fsync(io_uring_get_sqe(ring), b->ns->fd, 0);
	assert_int_equal(io_uring_submit(ring), 1);	/* the first that is refused ends it */
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(io_uring_wait_cqe(ring, &cqe), 0);
		assert_int_equal(cqe->res, -EACCES);
		io_uring_cqe_seen(ring, cqe);
		io_uring_submit(ring);
	}
	assert_int_equal(io_uring_register_eventfd(ring, 0), -EACCES);
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

/* A container, say, has none: everything works. */
static void test_no_ring(void **state)
{
	struct namespace_options o = { .block = BLOCK };
	struct bed *b = calloc(1, sizeof(*b));
	struct vfio_error err;

	no_ring = true;
	snprintf(b->path, sizeof(b->path), "%s/disk", directory);
	make_file(b->path, SIZE);
	o.file = b->path;
	assert_int_equal(bed_open(b, &o, false, &err), 0);
	no_ring = false;
	assert_int_equal(files_fd(&b->n), -1);
	write_and_read(b, &variants[1]);
	bed_free(b);
}

/* What the kernel has no room for is handed over again; until then there is something left to do. */
static void test_no_room(void **state)
{
	struct bed *b = bed_new(&variants[0]);
	uint8_t *buf = aligned(SIZE);
	struct request *r = request(b, VFIO_NVME_READ, 0, 8);

	r->iov[0] = (struct iovec){ buf, 8 * BLOCK };
	r->niov = 1;
	no_room = true;
	files_begin(&b->n, r);
	assert_false(files_poll(&b->n));
	assert_true(files_left(&b->n));
	no_room = false;
	files_drain(&b->n);
	assert_false(files_left(&b->n));
	free(buf);
	bed_free(b);
}

/* ---- opening ------------------------------------------------------------------------------- */

static void assert_refused(const char *path, uint32_t block, bool read_only, int error,
			   const char *says)
{
	struct namespace_options o = { .file = (char *)path, .block = block,
				       .read_only = read_only };
	struct bed *b = calloc(1, sizeof(*b));
	struct vfio_error err = { 0 };

	assert_int_equal(bed_open(b, &o, true, &err), -error);
	if (!strstr(err.what, says) || !strstr(err.what, path))
		fail_msg("%s", err.what);
	files_close(&b->n);
	free(b);
}

static void test_refusals(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/image", directory);
	assert_refused(path, 512, false, ENOENT, "cannot be opened");
	assert_refused(directory, 512, true, EINVAL, "neither a file nor a block device");
	assert_refused("/dev/null", 512, false, EINVAL, "neither a file nor a block device");
	make_file(path, 0);
	assert_refused(path, 512, false, EINVAL, "is empty");
	make_file(path, 1000);
	assert_refused(path, 512, false, EINVAL, "1000 bytes: not a multiple");
	make_file(path, 4608);
	assert_refused(path, 4096, false, EINVAL, "4608 bytes: not a multiple");
	unlink(path);
}

/* One writer, or readers. */
static void test_lock(void **state)
{
	struct bed *b = bed_new(&variants[1]), *again = calloc(1, sizeof(*again));
	struct namespace_options o = { .file = b->path, .block = BLOCK, .read_only = true };
	struct bed *third = calloc(1, sizeof(*third));
	struct vfio_error err;

	assert_refused(b->path, 512, false, EBUSY, "in use");
	assert_refused(b->path, 512, true, EBUSY, "in use");
	files_close(&b->n);
	assert_int_equal(bed_open(again, &o, true, &err), 0);
	assert_int_equal(bed_open(third, &o, false, &err), 0);
	assert_memory_equal(again->ns->nguid, third->ns->nguid, 16);
	assert_refused(b->path, 512, false, EBUSY, "in use");
	files_close(&again->n);
	files_close(&third->n);
	bed_free(b);
	free(again);
	free(third);
}

static int make_places(void **state)
{
	return mkdtemp(directory) && mkdtemp(memory) ? 0 : -1;
}

static int remove_places(void **state)
{
	return rmdir(directory) == 0 && rmdir(memory) == 0 ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_write_and_read),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_short_answers),
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
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_of_others),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_ring_is_locked),
		cmocka_unit_test(test_other_threads),
		cmocka_unit_test(test_no_ring), cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_lock),
	};

	return cmocka_run_group_tests(tests, make_places, remove_places);
}
