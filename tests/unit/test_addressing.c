/* SPDX-License-Identifier: MIT */
/*
 * Devices that are given physical addresses: the driver API over a model that says so, in this
 * process and behind a socket, with physical memory that is made up.
 */
#include "both.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "contract.h"
#include "frontends/driver.h"
#include "iommu/physical.h"

#define PAGE 0x1000u
#define MIB  (1u << 20)
#define HIGH (1ull << 52)

static uint8_t memory[8 * PAGE] __attribute__((aligned(4096)));

/* ---- physical memory ------------------------------------------------------------------------ */

enum layout {
	FLAT,		/* all of it is contiguous */
	HUGE,		/* it is within 2 MiB */
	SMALL,		/* it is within a page */
};

static struct {
	enum layout layout;
	uint64_t moved;			/* by so many bytes */
	unsigned int high;		/* what is asked for so often first is out of reach */
	unsigned int moves;		/* maps that make the memory move first */
} ram;

static uint64_t address_of(const void *vaddr)
{
	uint64_t at = (uintptr_t)vaddr, part = ram.layout == HUGE ? 2 * MIB : PAGE;

	if (ram.layout == FLAT)
		return at + ram.moved;
	return at / part * 3 * part + at % part + ram.moved;
}

static int find(struct physical_source *source, const void *vaddr, size_t size,
		struct physical_segment *list, unsigned int max, struct vfio_error *err)
{
	struct physical_list l = { .list = list, .max = max };
	uintptr_t at = (uintptr_t)vaddr, end = at + size;
	uint64_t more = ram.high ? HIGH : 0;

	ram.high -= ram.high > 0;
	while (at < end) {
		uintptr_t next = (at / PAGE + 1) * PAGE;

		next = next < end ? next : end;
		physical_add(&l, address_of((const void *)at) + more, next - at);
		at = next;
	}
	return l.count;
}

static void leave(struct physical_source *source)
{
}

static struct physical_source source = { .segments = find, .close = leave };

/* ---- a device ------------------------------------------------------------------------------- */

static const struct backend *model_backend;	/* in this process, whoever drives it */
static struct backend physical_backend;
static _Atomic uint32_t mode;	/* a server may be asked for it in its thread */

static int feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	const uint32_t now = mode;

	if ((flags & VFIO_DEVICE_FEATURE_MASK) != FEATURE_ADDRESSING)
		return model_backend->feature(dev, flags, data, len);
	assert_true(len >= sizeof(now));
	memcpy(data, &now, sizeof(now));
	return 0;
}

/* As back ends without an IOMMU do it. Behind a socket, where the memory is elsewhere, it is trusted. */
static int dma_map(struct vfio_dev *dev, const struct dma_map *map)
{
	int r = 0;

	if (ram.moves) {
		ram.moves--;
		ram.moved += 16 * PAGE;
	}
	if (map->vaddr)
		r = physical_check_map(&source, map, map->vaddr, &dev->error);
	return r < 0 ? r : model_backend->dma_map(dev, map);
}

static void make_physical(struct both *b)
{
	struct vfio_dev *dev = b->dev;

	both_stop_serving(b);
	if (b->is_socket)
		dev = vfio_server_device(b->server);
	model_backend = dev->backend;
	physical_backend = *model_backend;
	physical_backend.feature = feature;
	physical_backend.dma_map = dma_map;
	dev->backend = &physical_backend;
	if (b->is_socket)
		assert_int_equal(both_start_serving(b), 0);
	driver_of(b->dev)->own.physical = &source;
}

static int setup(void **state)
{
	if (both_setup(state) < 0)
		return -1;
	memset(&ram, 0, sizeof(ram));
	mode = VFIO_ADDRESS_PHYSICAL;
	make_physical(*state);
	return vfio_set_bus_master(((struct both *)*state)->dev, true);
}

static struct vfio_dma here(size_t page, size_t pages, uint64_t iova)
{
	return (struct vfio_dma){
		.vaddr = memory + page * PAGE, .iova = iova, .size = pages * PAGE, .fd = -1,
		.prot = VFIO_DMA_RW,
	};
}

static size_t count_maps(struct both *b)
{
	struct vfio_dma_info info;
	uint64_t cursor = 0;
	size_t n = 0;

	while (vfio_dma_next(b->dev, &cursor, &info) == 1)
		n++;
	return n;
}

static void assert_refused(struct both *b, int r, int e, enum vfio_error_code code, const char *word)
{
	const struct vfio_error *err = vfio_last_error(b->dev);

	assert_int_equal(r, -e);
	assert_record(err, e, code);
	if (!strstr(err->what, word) && !strstr(err->remedy, word))
		fail_msg("%s / %s", err->what, err->remedy);
}

/* The buffer is where the device is told, and it gets there what is in it. */
static void assert_right(struct both *b, const struct vfio_dma *dma)
{
	uint8_t *last = (uint8_t *)dma->vaddr + dma->size - 1;

	assert_int_equal(dma->iova, address_of(dma->vaddr));
	assert_int_equal(dma->iova + dma->size - 1, address_of(last));
	*last = 0x5a;
	vfio_write8(b->dev, 0, MODEL_BYTES, 0);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma->iova + dma->size - 1, 1), 0);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES), 0x5a);
}

/* ---- which addresses ------------------------------------------------------------------------ */

static void the_mode_is_told(void **state)
{
	struct both *b = *state;

	assert_int_equal(vfio_addr_mode(b->dev), VFIO_ADDRESS_PHYSICAL);
	mode = VFIO_ADDRESS_IOVA;	/* asked once */
	assert_int_equal(vfio_addr_mode(b->dev), VFIO_ADDRESS_PHYSICAL);
}

static void a_mode_that_is_none(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma;

	mode = 2;
	assert_refused(b, vfio_addr_mode(b->dev), EPROTO, VFIO_E_PROTOCOL, "unknown kind, 2");
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 64, VFIO_DMA_RW), -EPROTO);
	dma = here(0, 1, VFIO_IOVA_ANY);
	assert_int_equal(vfio_dma_map(b->dev, &dma), -EPROTO);
	assert_int_equal(vfio_dma_recheck(b->dev), -EPROTO);
}

static void behind_an_iommu(void **state)
{
	struct both *b = *state;
	struct vfio_dma_segment s[2];
	struct vfio_dma dma = here(0, 4, 0x100000);

	assert_int_equal(vfio_addr_mode(b->dev), VFIO_ADDRESS_IOVA);
	assert_refused(b, vfio_dma_segments(b->dev, &dma, s, 2), ENOENT, VFIO_E_NOT_MAPPED, "mapped");
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_segments(b->dev, &dma, s, 2), 1);
	assert_true(s[0].address == 0x100000 && s[0].size == 4 * PAGE);
	assert_int_equal(vfio_dma_segments(b->dev, &dma, NULL, 0), 1);
	assert_int_equal(vfio_dma_recheck(b->dev), 0);
}

/* ---- memory of the library's ---------------------------------------------------------------- */

static void what_can_be_allocated(void **state)
{
	static const struct {
		enum layout layout;
		size_t size;
		bool works;
	} rows[] = {
		{ SMALL, 1, true }, { SMALL, PAGE, true }, { SMALL, PAGE + 1, false },
		{ SMALL, 2 * MIB, false }, { HUGE, 2 * PAGE, true }, { HUGE, 256 << 10, true },
		{ HUGE, (256 << 10) + 1, true }, { HUGE, 2 * MIB, true }, { HUGE, 2 * MIB + 1, false },
		{ FLAT, 5 * MIB, true },
	};
	struct both *b = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vfio_dma dma;
		int r;

		ram.layout = rows[i].layout;
		r = vfio_dma_alloc(b->dev, &dma, rows[i].size, VFIO_DMA_RW);
		if (rows[i].works) {
			assert_int_equal(r, 0);
			assert_true(dma.size >= rows[i].size);
			assert_right(b, &dma);
			assert_int_equal(dma.iova % (dma.size < PAGE ? 64 : PAGE), 0);
			assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
		} else {
			assert_refused(b, r, ENOMEM, VFIO_E_SCATTERED, "nr_hugepages");
			assert_int_equal(dma.size, 0);
		}
		assert_int_equal(count_maps(b), 0);
		ram.layout = FLAT;
	}
}

/* From small pages, too, of which each is a chunk; and they come and go in any order. */
static void many_small_buffers(void **state)
{
	struct vfio_dma dma[100];
	struct both *b = *state;

	ram.layout = SMALL;
	for (unsigned int i = 0; i < 100; i++) {
		assert_int_equal(vfio_dma_alloc(b->dev, &dma[i], 64u << i % 7, VFIO_DMA_RW), 0);
		assert_right(b, &dma[i]);
	}
	assert_in_range(count_maps(b), 25, 60);
	assert_int_equal(vfio_dma_recheck(b->dev), 0);
	for (unsigned int i = 0; i < 100; i += 2)
		assert_int_equal(vfio_dma_free(b->dev, &dma[i]), 0);
	for (unsigned int i = 0; i < 100; i += 2) {
		assert_int_equal(vfio_dma_alloc(b->dev, &dma[i], 64u << i % 7, VFIO_DMA_RW), 0);
		assert_right(b, &dma[i]);
	}
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(vfio_dma_free(b->dev, &dma[i]), 0);
	assert_int_equal(count_maps(b), 0);
}

/* What was learnt of small pieces does not keep a larger buffer from being tried. */
static void a_larger_one_after_small_ones(void **state)
{
	struct vfio_dma small, large;
	struct both *b = *state;

	ram.layout = SMALL;
	assert_int_equal(vfio_dma_alloc(b->dev, &small, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &large, 64 << 10, VFIO_DMA_RW), -ENOMEM);
	assert_int_equal(vfio_dma_free(b->dev, &small), 0);
	ram.layout = HUGE;
	assert_int_equal(vfio_dma_alloc(b->dev, &large, 64 << 10, VFIO_DMA_RW), 0);
	assert_right(b, &large);
	assert_int_equal(vfio_dma_free(b->dev, &large), 0);
}

/* Memory that the device cannot drive is put aside until some is found that it can. */
static void few_address_bits(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = here(0, 1, VFIO_IOVA_ANY);

	assert_int_equal(vfio_dma_set_bits(b->dev, 50), 0);
	ram.high = 1;
	assert_refused(b, vfio_dma_map(b->dev, &dma), ENOSPC, VFIO_E_IOVA_SPACE, "cannot drive");
	ram.layout = SMALL;
	ram.high = 40;
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, 64, VFIO_DMA_RW), 0);
	assert_true(dma.iova < 1ull << 50);
	assert_right(b, &dma);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	ram.high = 100000;
	assert_refused(b, vfio_dma_alloc(b->dev, &dma, 64, VFIO_DMA_RW), ENOSPC, VFIO_E_IOVA_SPACE,
		       "vfio_dma_set_bits");
	assert_int_equal(count_maps(b), 0);
}

/* ---- memory of the caller's ----------------------------------------------------------------- */

static void where_the_memory_is(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = here(2, 4, VFIO_IOVA_ANY);

	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_right(b, &dma);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	dma = here(2, 4, address_of(memory + 2 * PAGE));
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_right(b, &dma);
	assert_int_equal(vfio_dma_unmap(b->dev, dma.iova, dma.size), 0);
	ram.layout = SMALL;
	dma = here(0, 2, VFIO_IOVA_ANY);
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_SCATTERED, "2 pieces");
	assert_int_equal(dma.iova, VFIO_IOVA_ANY);
	assert_int_equal(count_maps(b), 0);
}

static void nowhere_else(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = here(0, 1, 0x10000);
	char right[64];

	if (b->is_socket)
		return;			/* it is up to the server, which sees the memory */
	snprintf(right, sizeof(right), "map it at %#llx",
		 (unsigned long long)address_of(memory));
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_PHYSICAL, right);
	assert_int_equal(count_maps(b), 0);
}

/* To be held, memory may have to move first. */
static void memory_that_moves_at_first(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = here(0, 1, VFIO_IOVA_ANY);

	if (b->is_socket)
		return;
	ram.moves = 1;
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_right(b, &dma);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	ram.moves = 1;
	assert_int_equal(vfio_dma_alloc(b->dev, &dma, PAGE, VFIO_DMA_RW), 0);
	assert_right(b, &dma);
	assert_int_equal(vfio_dma_free(b->dev, &dma), 0);
	ram.moves = 1000;		/* for ever */
	dma = here(0, 1, VFIO_IOVA_ANY);
	assert_refused(b, vfio_dma_map(b->dev, &dma), EINVAL, VFIO_E_PHYSICAL, "map it at");
}

/* Memory that no one map could show is mapped piece by piece. */
static void pieces(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = here(0, 4, VFIO_IOVA_ANY), piece;
	struct vfio_dma_segment s[4];
	size_t at = 0;
	int n;

	ram.layout = SMALL;
	assert_int_equal(vfio_dma_segments(b->dev, &dma, s, 2), 4);
	n = vfio_dma_segments(b->dev, &dma, s, 4);
	assert_int_equal(n, 4);
	for (int i = 0; i < n; i++) {
		assert_int_equal(s[i].size, PAGE);
		piece = here(i, 1, s[i].address);
		assert_int_equal(vfio_dma_map(b->dev, &piece), 0);
		assert_right(b, &piece);
		assert_int_equal(vfio_dma_segments(b->dev, &piece, s, 1), 1);
		assert_int_equal(s[0].address, piece.iova);
		assert_int_equal(vfio_dma_segments(b->dev, &dma, s, 4), 4);
		at += PAGE;
	}
	assert_int_equal(at, dma.size);
	dma.size = 0;
	assert_int_equal(vfio_dma_segments(b->dev, &dma, s, 4), -ENOENT);
}

/* ---- what moves ----------------------------------------------------------------------------- */

static void memory_that_has_moved(void **state)
{
	struct both *b = *state;
	struct vfio_dma dma = here(0, 2, VFIO_IOVA_ANY), own;

	assert_int_equal(vfio_dma_recheck(b->dev), 0);
	assert_int_equal(vfio_dma_alloc(b->dev, &own, 64, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_dma_map(b->dev, &dma), 0);
	assert_int_equal(vfio_dma_recheck(b->dev), 0);
	ram.moved = PAGE;
	assert_refused(b, vfio_dma_recheck(b->dev), ESTALE, VFIO_E_MOVED, "vfio_set_bus_master");
	ram.moved = 0;
	assert_int_equal(vfio_dma_free(b->dev, &own), 0);
	assert_int_equal(vfio_dma_recheck(b->dev), 0);
	ram.layout = SMALL;		/* a part of it */
	assert_refused(b, vfio_dma_recheck(b->dev), ESTALE, VFIO_E_MOVED, "no longer");
}

/* ---- by chance ------------------------------------------------------------------------------ */

#define BUFFERS 64u
#define STEPS   3000u

static uint8_t wild[BUFFERS][4 * PAGE];

/* Something like a buffer: of the library's, or the caller's, as it is or by a window. */
static int get_any(struct both *b, struct vfio_dma *dma, unsigned int i)
{
	size_t size = 1 + rand() % (rand() % 4 ? PAGE : 4 * PAGE);

	if (rand() % 2)
		return vfio_dma_alloc(b->dev, dma, size, VFIO_DMA_RW);
	*dma = (struct vfio_dma){
		.vaddr = wild[i], .iova = VFIO_IOVA_ANY, .size = size, .fd = -1,
		.prot = VFIO_DMA_RW, .flags = VFIO_DMA_BOUNCE,
	};
	return vfio_dma_map(b->dev, dma);
}

/* Whatever is there has bytes of its own, and the device finds them. */
static void assert_its_own(struct both *b, const struct vfio_dma *dma, uint8_t byte)
{
	size_t at = rand() % dma->size;

	((uint8_t *)dma->vaddr)[at] = byte;
	assert_int_equal(vfio_dma_sync_for_device(b->dev, dma, at, 1), 0);
	vfio_write8(b->dev, 0, MODEL_BYTES, ~byte);
	assert_int_equal(model_dma(b, MODEL_DMA_READ, dma->iova + at, 1), 0);
	assert_int_equal(vfio_read8(b->dev, 0, MODEL_BYTES), byte);
	vfio_write8(b->dev, 0, MODEL_BYTES, byte + 1);
	assert_int_equal(model_dma(b, MODEL_DMA_WRITE, dma->iova + at, 1), 0);
	assert_int_equal(vfio_dma_sync_for_cpu(b->dev, dma, at, 1), 0);
	assert_int_equal(((uint8_t *)dma->vaddr)[at], (uint8_t)(byte + 1));
}

static void assert_apart(const struct vfio_dma *dma, unsigned int n)
{
	for (unsigned int i = 0; i < BUFFERS; i++)
		assert_false(i != n && dma[i].size && dma[i].iova < dma[n].iova + dma[n].size &&
			     dma[n].iova < dma[i].iova + dma[i].size);
}

static void random_work(void **state)
{
	struct vfio_dma dma[BUFFERS] = { { .size = 0 } };
	struct both *b = *state;

	srand(7);
	ram.layout = SMALL;
	for (unsigned int step = 0; step < STEPS; step++) {
		unsigned int i = rand() % BUFFERS;

		if (dma[i].size) {
			assert_its_own(b, &dma[i], step);
			if (rand() % 3 == 0)
				assert_int_equal(vfio_dma_free(b->dev, &dma[i]), 0);
		} else if (get_any(b, &dma[i], i) == 0) {
			assert_apart(dma, i);
		} else {
			assert_record(vfio_last_error(b->dev), ENOMEM, VFIO_E_SCATTERED);
			dma[i].size = 0;
		}
	}
	assert_int_equal(vfio_dma_recheck(b->dev), 0);
	for (unsigned int i = 0; i < BUFFERS; i++)
		assert_int_equal(vfio_dma_free(b->dev, &dma[i]), 0);
	assert_int_equal(count_maps(b), 0);
}

/* ---- spaces --------------------------------------------------------------------------------- */

/* A device that takes any address has the same as one that does not. */
static void one_space_for_both_kinds(void **state)
{
	struct both *b = *state, other;
	struct vfio_space *space;
	struct vfio_dma dma = here(0, 2, VFIO_IOVA_ANY);

	assert_int_equal(both_open(&other, false), 0);
	assert_int_equal(vfio_set_bus_master(other.dev, true), 0);
	assert_int_equal(vfio_space_new(&space, NULL), 0);
	assert_int_equal(vfio_space_map(space, &dma), 0);	/* as nobody is there yet */
	assert_int_not_equal(dma.iova, address_of(memory));
	assert_int_equal(vfio_space_attach(space, other.dev), 0);
	if (!b->is_socket)
		assert_int_equal(vfio_space_attach(space, b->dev), -EINVAL);
	assert_int_equal(vfio_space_dma_free(space, &dma), 0);
	assert_int_equal(vfio_space_attach(space, b->dev), 0);
	space->physical = &source;
	assert_int_equal(vfio_space_alloc(space, &dma, 4 * PAGE, VFIO_DMA_RW), 0);
	assert_right(b, &dma);
	assert_right(&other, &dma);
	assert_int_equal(vfio_addr_mode(other.dev), VFIO_ADDRESS_IOVA);
	vfio_space_free(space);
	both_close(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, both_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_mode_is_told),
		TEST(a_mode_that_is_none),
		BOTH(behind_an_iommu),
		TEST(what_can_be_allocated),
		TEST(many_small_buffers),
		TEST(a_larger_one_after_small_ones),
		TEST(few_address_bits),
		TEST(where_the_memory_is),
		TEST(nowhere_else),
		TEST(memory_that_moves_at_first),
		TEST(pieces),
		TEST(memory_that_has_moved),
		TEST(random_work),
		TEST(one_space_for_both_kinds),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
