/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_bed.h"

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

uint16_t statuses[65536];
unsigned int ended;

void request_end(struct request *r, uint16_t status)
{
	statuses[r->cid] = status;
	ended++;
}

/* ---- calls that are not what they were ----------------------------------------------------- */

unsigned int shorten, durable, syncs;
bool no_ring, no_room;
static unsigned int calls;

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

char directory[] = "/tmp/test-files-XXXXXX", memory[] = "/dev/shm/test-files-XXXXXX";

const struct variant variants[VARIANTS] = {
	{ directory, false, false, false }, { directory, true, false, false },
	{ memory, false, false, false }, { memory, true, false, false },
	{ directory, false, true, false }, { directory, true, true, false },
	{ memory, false, false, true },
};

int bed_open(struct bed *b, const struct namespace_options *o, bool synchronous,
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

void make_file(const char *path, uint64_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

struct bed *bed_new(const struct variant *v)
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

void bed_free(struct bed *b)
{
	files_close(&b->n);
	unlink(b->path);
	free(b);
}

struct request *request(struct bed *b, uint8_t opcode, uint64_t lba, uint64_t blocks)
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

uint16_t run(struct bed *b, struct request *r)
{
	unsigned int before = ended;
	uint16_t cid = r->cid;

	files_begin(&b->n, r);
	files_drain(&b->n);
	assert_int_equal(ended, before + 1);
	return statuses[cid];
}

uint16_t move_blocks(struct bed *b, uint8_t opcode, uint64_t lba, uint64_t blocks, void *buf)
{
	struct request *r = request(b, opcode, lba, blocks);

	r->iov[0] = (struct iovec){ buf, r->bytes };
	r->niov = 1;
	return run(b, r);
}

void *aligned(size_t size)
{
	void *p = aligned_alloc(PAGE, (size + PAGE - 1) & ~(size_t)(PAGE - 1));

	assert_non_null(p);
	return p;
}

uint8_t *pattern(size_t size, unsigned int seed)
{
	uint8_t *p = aligned(size);

	for (size_t i = 0; i < size; i++)
		p[i] = (uint8_t)((i * 31 + i / 512 + seed) % 255 + 1);
	return p;
}

void assert_file(struct bed *b, uint64_t offset, const void *want, size_t size)
{
	uint8_t *got = malloc(size);
	int fd = open(b->path, O_RDONLY | O_CLOEXEC);

	assert_non_null(got);
	assert_int_equal(pread(fd, got, size, (off_t)offset), size);
	assert_memory_equal(got, want, size);
	close(fd);
	free(got);
}

void assert_zero(struct bed *b, uint64_t offset, size_t size)
{
	uint8_t *zero = calloc(1, size);

	assert_non_null(zero);
	assert_file(b, offset, zero, size);
	free(zero);
}

blkcnt_t blocks_used(struct bed *b)
{
	struct stat st;

	assert_int_equal(fdatasync(b->ns->fd), 0);	/* or it is not decided yet */
	assert_int_equal(fstat(b->ns->fd, &st), 0);
	return st.st_blocks;
}

void for_each_variant(void (*test)(struct bed *b, const struct variant *v))
{
	for (size_t i = 0; i < VARIANTS; i++) {
		struct bed *b = bed_new(&variants[i]);

		test(b, &variants[i]);
		bed_free(b);
	}
}

void write_and_read(struct bed *b, const struct variant *v)
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

/* ---- places ---------------------------------------------------------------------------------- */

int make_places(void **state)
{
	return mkdtemp(directory) && mkdtemp(memory) ? 0 : -1;
}

int remove_places(void **state)
{
	return rmdir(directory) == 0 && rmdir(memory) == 0 ? 0 : -1;
}
