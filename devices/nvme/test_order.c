/* SPDX-License-Identifier: MIT */
/* Namespaces in files: which request waits for which, the ring and its threads, and opening. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_bed.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_order_of_others),
		cmocka_unit_test(test_all_at_once),
		cmocka_unit_test(test_ring_is_locked),
		cmocka_unit_test(test_no_ring),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_lock),
	};

	return cmocka_run_group_tests(tests, make_places, remove_places);
}
