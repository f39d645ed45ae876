/* SPDX-License-Identifier: MIT */
/* Address spaces of the driver API: devices over both back ends see one set of maps. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 0x1000u
#define TOP  0xfffffffffffff000ull
#define N    4u			/* devices, every other one behind a socket */

static uint8_t memory[8 * PAGE] __attribute__((aligned(4096)));

struct fixture {
	struct vfio_space *space;
	struct both b[N];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || vfio_space_new(&f->space, NULL) < 0)
		return -1;
	for (unsigned int i = 0; i < N; i++) {
		if (both_open(&f->b[i], i % 2) < 0 || vfio_set_bus_master(f->b[i].dev, true) < 0)
			return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vfio_space_free(f->space);
	for (unsigned int i = 0; i < N; i++)
		both_close(&f->b[i]);
	free(f);
	return 0;
}

static const struct vfio_error *last(struct fixture *f)
{
	return vfio_space_last_error(f->space);
}

static void attach_all(struct fixture *f)
{
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(vfio_space_attach(f->space, f->b[i].dev), 0);
}

static struct vfio_dma here(uint64_t iova, size_t size)
{
	return (struct vfio_dma){
		.vaddr = memory, .iova = iova, .size = size, .fd = -1, .prot = VFIO_DMA_RW,
	};
}

static int map_at(struct fixture *f, uint64_t iova, size_t size)
{
	struct vfio_dma dma = here(iova, size);

	return vfio_space_map(f->space, &dma);
}

/* The device reads a byte there, and it is the one that is expected. */
static void assert_reads(struct both *b, uint64_t iova, uint8_t value)
{
	vfio_write8(b->dev, 0, MODEL_BYTES, ~value);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, iova, 1), 0);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES), value);
}

static void assert_no_access(struct both *b, uint64_t iova)
{
	assert_int_equal(model_dma(b, MODEL_DMA_READ, iova, 1), -EFAULT);
}

/* What the device itself says that it has. */
static uint64_t maps(struct both *b)
{
	struct vfio_dma_limits limits;

	assert_int_equal(vfio_dma_limits(b->dev, &limits), 0);
	return limits.maps.used;
}

static void assert_maps(struct fixture *f, uint64_t count)
{
	for (unsigned int i = 0; i < N; i++)
		assert_true(maps(&f->b[i]) == count);
}

/* ---- one set of maps ----------------------------------------------------------------------- */

static void every_device_has_every_map(void **state)
{
	struct fixture *f = *state;
	unsigned int before[N];
	struct vfio_dma dma;

	attach_all(f);
	assert_int_equal(vfio_space_alloc(f->space, &dma, 5000, VFIO_DMA_RW), 0);
	for (unsigned int i = 0; i < N; i++)
		before[i] = f->b[i].model.gone;
	assert_int_equal(map_at(f, 0x40000, 2 * PAGE), 0);
	assert_maps(f, 2);
	memory[PAGE] = 0x5a;
	for (unsigned int i = 0; i < N; i++) {
		struct both *from = &f->b[i], *to = &f->b[(i + 1) % N];

		/* What one writes, the next reads. */
		vfio_write8(from->dev, 0, MODEL_BYTES, 0x11 + i);
		assert_int_equal(model_dma(from, MODEL_DMA_WRITE, dma.iova + 4999, 1), 0);
		assert_reads(to, dma.iova + 4999, 0x11 + i);
		assert_reads(from, 0x40000 + PAGE, 0x5a);
	}
	assert_int_equal(vfio_space_unmap(f->space, 0x40000, 2 * PAGE), 0);
	assert_int_equal(vfio_space_dma_free(f->space, &dma), 0);
	assert_int_equal(dma.size, 0);
	assert_maps(f, 0);
	for (unsigned int i = 0; i < N; i++) {
		assert_no_access(&f->b[i], 0x40000);
		assert_int_equal(f->b[i].model.gone, before[i] + 2);
	}
}

/* The calls with a device work on the space that it is attached to. */
static void any_device_speaks_for_the_space(void **state)
{
	struct vfio_dma dma[N], mine = here(VFIO_IOVA_ANY, PAGE);
	struct fixture *f = *state;

	attach_all(f);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(vfio_dma_alloc(f->b[i].dev, &dma[i], 64, VFIO_DMA_RW), 0);
	assert_maps(f, 1);		/* of one chunk */
	assert_int_equal(vfio_dma_map(f->b[2].dev, &mine), 0);
	assert_maps(f, 2);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(vfio_dma_free(f->b[(i + 1) % N].dev, &dma[i]), 0);
	assert_int_equal(vfio_dma_unmap(f->b[1].dev, mine.iova, PAGE), 0);
	assert_maps(f, 0);
}

static void who_comes_later_gets_them_too(void **state)
{
	struct vfio_dma dma, mine = here(0x50000, PAGE);
	struct fixture *f = *state;

	mine.fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(mine.fd, 2 * PAGE), 0);
	mine.fd_offset = PAGE;
	mine.vaddr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mine.fd, PAGE);
	assert_int_equal(vfio_space_alloc(f->space, &dma, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_space_map(f->space, &mine), 0);
	close(mine.fd);				/* the caller's, who may do so */
	assert_int_equal(map_at(f, 0x40000, PAGE), 0);
	memset(dma.vaddr, 1, PAGE);
	memset(mine.vaddr, 2, PAGE);
	memset(memory, 3, PAGE);
	for (unsigned int i = 0; i < N; i++) {
		struct vfio_dma_info info;
		uint64_t cursor = 0x50000;

		assert_int_equal(vfio_space_attach(f->space, f->b[i].dev), 0);
		assert_int_equal(maps(&f->b[i]), 3);
		assert_reads(&f->b[i], dma.iova, 1);
		assert_reads(&f->b[i], 0x50000, 2);
		assert_reads(&f->b[i], 0x40000, 3);
		assert_int_equal(vfio_dma_next(f->b[i].dev, &cursor, &info), 1);
		assert_int_equal(info.access, i % 2 ? VFIO_DMA_BY_FILE : VFIO_DMA_IN_PLACE);
	}
	assert_int_equal(vfio_space_unmap(f->space, 0, UINT64_MAX), 0);
	munmap(mine.vaddr, PAGE);
}

/* One descriptor for a file, however many maps there are of it. */
static void many_maps_of_one_file(void **state)
{
	struct fixture *f = *state;
	int before = dup(0), fd, after;
	struct vfio_dma dma = here(0, PAGE);

	close(before);
	fd = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	dma.fd = fd;
	for (uint64_t i = 0; i < 3000; i++) {
		dma.iova = (i + 16) * PAGE;
		assert_int_equal(vfio_space_map(f->space, &dma), 0);
	}
	attach_all(f);
	assert_maps(f, 3000);
	assert_int_equal(vfio_space_unmap(f->space, 16 * PAGE, 2999 * PAGE), 0);
	assert_maps(f, 1);
	assert_int_equal(vfio_space_unmap(f->space, 0, UINT64_MAX), 0);
	assert_maps(f, 0);
	close(fd);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);	/* and that one is closed */
}

/* ---- coming and going ---------------------------------------------------------------------- */

static void one_goes_the_others_stay(void **state)
{
	struct vfio_dma own = here(0x40000, PAGE);
	struct fixture *f = *state;

	attach_all(f);
	memory[0] = 0x77;
	assert_int_equal(map_at(f, 0x40000, PAGE), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(vfio_space_detach(f->b[i].dev), 0);
		assert_no_access(&f->b[i], 0x40000);
		assert_int_equal(f->b[i].model.gone, 1);
		assert_int_equal(vfio_dma_map(f->b[i].dev, &own), 0);	/* as it likes again */
		assert_int_equal(vfio_space_detach(f->b[i].dev), -ENOENT);
		assert_record(vfio_last_error(f->b[i].dev), ENOENT, VFIO_E_SPACE);
	}
	assert_reads(&f->b[2], 0x40000, 0x77);
	assert_reads(&f->b[3], 0x40000, 0x77);
	assert_int_equal(vfio_space_unmap(f->space, 0x40000, PAGE), 0);
	assert_no_access(&f->b[2], 0x40000);
	assert_reads(&f->b[0], 0x40000, 0x77);
	assert_reads(&f->b[1], 0x40000, 0x77);
}

/* The process of a device that has left may have kept what it was given. */
static void what_one_could_reach_the_others_do_not_get(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	struct vfio_dma dma;

	attach_all(f);
	assert_int_equal(vfio_space_alloc(f->space, &dma, 64, VFIO_DMA_RW), 0);
	assert_int_equal(fstat(dma.fd, &before), 0);
	assert_int_equal(vfio_space_dma_free(f->space, &dma), 0);
	assert_int_equal(vfio_space_detach(f->b[1].dev), 0);
	assert_int_equal(vfio_space_alloc(f->space, &dma, 64, VFIO_DMA_RW), 0);
	assert_int_equal(fstat(dma.fd, &after), 0);
	assert_true(after.st_ino != before.st_ino || after.st_dev != before.st_dev);
}

static void a_device_that_is_closed(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma dma;

	attach_all(f);
	assert_int_equal(vfio_space_alloc(f->space, &dma, PAGE, VFIO_DMA_RW), 0);
	*(uint8_t *)dma.vaddr = 9;
	both_close(&f->b[0]);
	both_close(&f->b[1]);
	assert_reads(&f->b[2], dma.iova, 9);
	assert_int_equal(map_at(f, 0x40000, PAGE), 0);
	assert_reads(&f->b[3], dma.iova, 9);
	assert_int_equal(vfio_space_dma_free(f->space, &dma), 0);
}

static void a_space_that_is_freed(void **state)
{
	struct vfio_dma dma, own = here(0x40000, PAGE);
	struct fixture *f = *state;

	attach_all(f);
	assert_int_equal(vfio_space_alloc(f->space, &dma, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(f, 0x40000, PAGE), 0);
	vfio_space_free(f->space);
	f->space = NULL;
	assert_maps(f, 0);
	for (unsigned int i = 0; i < N; i++) {
		assert_no_access(&f->b[i], dma.iova);
		assert_int_equal(vfio_dma_map(f->b[i].dev, &own), 0);
	}
	vfio_space_free(NULL);
}

static void one_space_at_a_time(void **state)
{
	struct vfio_dma own = here(0x40000, PAGE);
	struct fixture *f = *state;
	struct vfio_space *other;

	assert_int_equal(vfio_space_new(&other, NULL), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct vfio_dev *dev = f->b[i].dev;

		assert_int_equal(vfio_dma_map(dev, &own), 0);
		assert_int_equal(vfio_space_attach(f->space, dev), -EBUSY);	/* it has maps */
		assert_record(last(f), EBUSY, VFIO_E_SPACE);
		assert_true(last(f)->remedy[0]);
		assert_int_equal(vfio_dma_unmap(dev, 0x40000, PAGE), 0);
		assert_int_equal(vfio_space_attach(f->space, dev), 0);
		assert_int_equal(vfio_space_attach(f->space, dev), -EBUSY);
		assert_record(last(f), EBUSY, VFIO_E_SPACE);
		assert_int_equal(vfio_space_attach(other, dev), -EBUSY);
		assert_record(vfio_space_last_error(other), EBUSY, VFIO_E_SPACE);
		assert_int_equal(vfio_space_detach(dev), 0);
		assert_int_equal(vfio_space_attach(other, dev), 0);
	}
	vfio_space_free(other);
}

/* ---- one refuses --------------------------------------------------------------------------- */

/* Whichever of them it is, and whatever they are. */
static void a_map_that_one_refuses_nobody_has(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma dma;

	attach_all(f);
	assert_int_equal(map_at(f, 0x40000, PAGE), 0);
	for (unsigned int i = 0; i < N; i++) {
		both_limit(&f->b[i], 1, UINT64_MAX);
		assert_int_equal(map_at(f, 0x50000, PAGE), -ENOSPC);
		assert_record(last(f), ENOSPC, VFIO_E_DMA_LIMIT);
		assert_int_equal(strncmp(last(f)->what, f->b[i].is_socket ? "fd:" : "a device of",
					 f->b[i].is_socket ? 3 : 11), 0);	/* who? */
		assert_int_equal(vfio_space_alloc(f->space, &dma, PAGE, VFIO_DMA_RW), -ENOSPC);
		assert_int_equal(dma.size, 0);
		dma = here(VFIO_IOVA_ANY, PAGE);
		assert_int_equal(vfio_dma_map(f->b[0].dev, &dma), -ENOSPC);
		assert_record(vfio_last_error(f->b[0].dev), ENOSPC, VFIO_E_DMA_LIMIT);
		assert_true(dma.iova == VFIO_IOVA_ANY);
		assert_maps(f, 1);
		for (unsigned int k = 0; k < N; k++) {
			assert_no_access(&f->b[k], 0x50000);
			assert_int_equal(model_dma(&f->b[k], MODEL_DMA_READ, 0x40000, 1), 0);
		}
		both_limit(&f->b[i], 100, UINT64_MAX);
	}
	assert_int_equal(map_at(f, 0x50000, PAGE), 0);
	assert_maps(f, 2);
}

static void a_device_that_refuses_a_map_is_not_attached(void **state)
{
	struct fixture *f = *state;

	for (uint64_t iova = 0x40000; iova < 0x44000; iova += PAGE)
		assert_int_equal(map_at(f, iova, PAGE), 0);
	for (unsigned int i = 0; i < N; i++) {
		both_limit(&f->b[i], 3, UINT64_MAX);
		assert_int_equal(vfio_space_attach(f->space, f->b[i].dev), -ENOSPC);
		assert_record(last(f), ENOSPC, VFIO_E_DMA_LIMIT);
		assert_int_equal(maps(&f->b[i]), 0);
		assert_int_equal(vfio_space_detach(f->b[i].dev), -ENOENT);
		both_limit(&f->b[i], 4, UINT64_MAX);
		assert_int_equal(vfio_space_attach(f->space, f->b[i].dev), 0);
		assert_int_equal(maps(&f->b[i]), 4);
	}
}

static void what_a_device_cannot_reach(void **state)
{
	static const struct vfio_iova_range allowed = { 0, 0xffffffff };
	struct fixture *f = *state;

	assert_int_equal(map_at(f, 1ull << 32, PAGE), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct vfio_dev *dev = f->b[i].dev;

		assert_int_equal(vfio_dma_set_bits(dev, 32), 0);
		assert_int_equal(vfio_space_attach(f->space, dev), -EINVAL);
		assert_record(last(f), EINVAL, VFIO_E_IOVA_RANGE);
		assert_int_equal(vfio_dma_set_bits(dev, 33), 0);
		assert_int_equal(vfio_space_attach(f->space, dev), 0);
		dev = f->b[2 + i].dev;
		both_allow(&f->b[2 + i], &allowed, 1);
		assert_int_equal(vfio_space_attach(f->space, dev), -EINVAL);
		assert_record(last(f), EINVAL, VFIO_E_IOVA_RANGE);
	}
}

static void addresses_suit_everybody(void **state)
{
	static const struct vfio_iova_range first[] = {
		{ 0x20000, 0x2ffff }, { 0x40000, 0x4ffff },
	};
	static const struct vfio_iova_range second[] = {
		{ 0, 0x1ffff }, { 0x48000, 0x100000 },
	};
	struct fixture *f = *state;
	struct vfio_dma dma;

	both_allow(&f->b[1], first, 2);
	both_allow(&f->b[2], second, 2);
	attach_all(f);
	for (uint64_t iova = 0x48000; iova < 0x50000; iova += PAGE) {
		dma = here(VFIO_IOVA_ANY, PAGE);
		assert_int_equal(vfio_space_map(f->space, &dma), 0);
		assert_true(dma.iova == iova);
	}
	dma = here(VFIO_IOVA_ANY, PAGE);
	assert_int_equal(vfio_space_map(f->space, &dma), -ENOSPC);
	assert_record(last(f), ENOSPC, VFIO_E_IOVA_SPACE);
	assert_int_equal(vfio_space_detach(f->b[1].dev), 0);
	assert_int_equal(vfio_space_map(f->space, &dma), 0);
	assert_true(dma.iova == 0x10000);
	assert_int_equal(vfio_space_unmap(f->space, 0x10000, PAGE), 0);
	assert_int_equal(vfio_dma_set_bits(f->b[3].dev, 17), 0);
	assert_int_equal(vfio_space_alloc(f->space, &dma, 64, VFIO_DMA_RW), 0);
	assert_true(dma.iova >= 0x10000 && dma.iova < 0x20000);
}

/* Without any device: what is wrong is wrong all the same. */
static void rules_without_a_device(void **state)
{
	static const struct {
		size_t skip;
		uint64_t iova;
		size_t size;
		uint32_t prot, flags;
		int err;
		enum vfio_error_code code;
	} wrong[] = {
		{ 0, 0x80000, 0, VFIO_DMA_RW, 0, EINVAL, VFIO_E_DMA_RANGE },
		{ 0, 0x80001, PAGE, VFIO_DMA_RW, 0, EINVAL, VFIO_E_ALIGN },
		{ 0, 0x80000, 1, VFIO_DMA_RW, 0, EINVAL, VFIO_E_ALIGN },
		{ 1, 0x80000, PAGE, VFIO_DMA_RW, 0, EINVAL, VFIO_E_ALIGN },
		{ 0, 0x80000, PAGE, 0, 0, EINVAL, VFIO_E_DMA_PROT },
		{ 0, 0x80000, PAGE, 4, 0, EINVAL, VFIO_E_DMA_PROT },
		{ 0, 0x80000, PAGE, VFIO_DMA_RW, 1, EINVAL, VFIO_E_ARGUMENT },
		{ 0, TOP, 2 * PAGE, VFIO_DMA_RW, 0, EOVERFLOW, VFIO_E_DMA_RANGE },
		{ 0, 0x41000, PAGE, VFIO_DMA_RW, 0, EEXIST, VFIO_E_OVERLAP },
	};
	struct fixture *f = *state;

	assert_int_equal(map_at(f, 0x40000, 2 * PAGE), 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct vfio_dma dma = {
			.vaddr = memory + wrong[i].skip, .iova = wrong[i].iova,
			.size = wrong[i].size, .prot = wrong[i].prot, .flags = wrong[i].flags,
			.fd = -1,
		};

		assert_int_equal(vfio_space_map(f->space, &dma), -wrong[i].err);
		assert_record(last(f), wrong[i].err, wrong[i].code);
	}
	assert_int_equal(vfio_space_unmap(f->space, 0x41000, PAGE), -EINVAL);
	assert_record(last(f), EINVAL, VFIO_E_DMA_SPLIT);
	assert_int_equal(vfio_space_unmap(f->space, 0x60000, PAGE), -ENOENT);
	assert_record(last(f), ENOENT, VFIO_E_NOT_MAPPED);
	assert_int_equal(vfio_space_unmap(f->space, 0x40001, PAGE), -EINVAL);
	assert_record(last(f), EINVAL, VFIO_E_ALIGN);
	assert_int_equal(vfio_space_unmap(f->space, 0x40000, 2 * PAGE), 0);
	assert_int_equal(vfio_space_unmap(f->space, 0, UINT64_MAX), 0);
}

/* A server that is gone has no maps that matter: the space goes on with the others. */
static void a_server_that_dies(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma dma;

	attach_all(f);
	assert_int_equal(vfio_space_alloc(f->space, &dma, PAGE, VFIO_DMA_RW), 0);
	both_stop_serving(&f->b[1]);
	vfio_server_free(f->b[1].server);
	f->b[1].server = NULL;
	assert_int_equal(map_at(f, 0x40000, PAGE), -ENODEV);
	assert_record(last(f), ENODEV, VFIO_E_GONE);
	assert_no_access(&f->b[0], 0x40000);
	assert_no_access(&f->b[3], 0x40000);
	vfio_close(f->b[1].dev);
	f->b[1].dev = NULL;
	assert_int_equal(map_at(f, 0x40000, PAGE), 0);
	assert_reads(&f->b[0], 0x40000, memory[0]);
	assert_reads(&f->b[3], 0x40000, memory[0]);
	assert_int_equal(vfio_space_dma_free(f->space, &dma), 0);
}

#define SPACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* The process that serves it may have kept the file. */
static void a_device_that_has_gone_sees_no_new_buffer(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma before, after;
	struct stat kept, st;

	attach_all(f);
	assert_int_equal(vfio_space_alloc(f->space, &before, 64, VFIO_DMA_RW), 0);
	assert_int_equal(fstat(before.fd, &kept), 0);
	assert_int_equal(vfio_space_detach(f->b[1].dev), 0);
	assert_int_equal(vfio_space_alloc(f->space, &after, 64, VFIO_DMA_RW), 0);
	assert_int_equal(fstat(after.fd, &st), 0);
	assert_int_not_equal(st.st_ino, kept.st_ino);
	assert_int_equal(vfio_space_dma_free(f->space, &before), 0);
	assert_int_equal(vfio_space_dma_free(f->space, &after), 0);
	assert_int_equal(vfio_space_alloc(f->space, &after, 64, VFIO_DMA_WRITE), 0);
	assert_int_equal(fstat(after.fd, &st), 0);
	assert_int_not_equal(st.st_ino, kept.st_ino);
}

/* It had the file, until it came to a map that it cannot have. */
static void a_device_that_is_refused_sees_no_new_buffer(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma before, after;
	struct stat had, st;

	assert_int_equal(vfio_space_attach(f->space, f->b[0].dev), 0);
	assert_int_equal(vfio_space_alloc(f->space, &before, 64, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(f, 1ull << 32, PAGE), 0);
	assert_int_equal(vfio_dma_set_bits(f->b[1].dev, 32), 0);
	assert_int_equal(vfio_space_attach(f->space, f->b[1].dev), -EINVAL);
	assert_record(last(f), EINVAL, VFIO_E_IOVA_RANGE);
	assert_int_equal(vfio_space_alloc(f->space, &after, 64, VFIO_DMA_RW), 0);
	assert_int_equal(fstat(before.fd, &had), 0);
	assert_int_equal(fstat(after.fd, &st), 0);
	assert_int_not_equal(st.st_ino, had.st_ino);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SPACE(every_device_has_every_map),
		SPACE(any_device_speaks_for_the_space),
		SPACE(who_comes_later_gets_them_too),
		SPACE(many_maps_of_one_file),
		SPACE(one_goes_the_others_stay),
		SPACE(what_one_could_reach_the_others_do_not_get),
		SPACE(a_device_that_is_closed),
		SPACE(a_space_that_is_freed),
		SPACE(one_space_at_a_time),
		SPACE(a_map_that_one_refuses_nobody_has),
		SPACE(a_device_that_refuses_a_map_is_not_attached),
		SPACE(what_a_device_cannot_reach),
		SPACE(addresses_suit_everybody),
		SPACE(rules_without_a_device),
		SPACE(a_server_that_dies),
		SPACE(a_device_that_has_gone_sees_no_new_buffer),
		SPACE(a_device_that_is_refused_sees_no_new_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
