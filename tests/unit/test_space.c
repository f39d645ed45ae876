/* SPDX-License-Identifier: MIT */
/* The software IOMMU: what may be mapped, what goes, and what a device can reach. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "iommu/space.h"

#define PAGE 0x1000u
#define TOP  0xfffffffffffff000ull	/* the last page there is */

static uint8_t memory[16 * PAGE] __attribute__((aligned(4096)));

static int set_up(void **state)
{
	static struct space s;

	space_init(&s);
	*state = &s;
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = i / PAGE + i;
	return 0;
}

static int tear_down(void **state)
{
	space_finish(*state);
	return 0;
}

static struct dma_map here(uint64_t iova, uint64_t size, uint32_t prot)
{
	return (struct dma_map){
		.iova = iova, .size = size, .prot = prot, .vaddr = memory, .fd = -1,
	};
}

static int map(struct space *s, uint64_t iova, uint64_t size, uint32_t prot)
{
	const struct dma_map m = here(iova, size, prot);

	return space_map(s, &m, NULL);
}

static int unmap(struct space *s, uint64_t iova, uint64_t size)
{
	uint64_t unmapped = 0x55;
	int r = space_unmap(s, iova, size, &unmapped, NULL, NULL, NULL);

	if (r < 0)
		assert_int_equal(unmapped, 0);
	return r;
}

/* ---- map ---------------------------------------------------------------------------------- */

struct refusal {
	uint64_t iova, size;
	uint32_t prot;
	int err;
	enum vfio_error_code code;
};

/* In the order of the checks: a row is wrong in what it says and in all that comes later. */
static void what_cannot_be_mapped(void **state)
{
	static const struct refusal refusals[] = {
		{ 0x123, 0, 0, EINVAL, VFIO_E_DMA_RANGE },
		{ TOP, 2 * PAGE, 0, EOVERFLOW, VFIO_E_DMA_RANGE },
		{ UINT64_MAX, 2, 0, EOVERFLOW, VFIO_E_DMA_RANGE },
		{ PAGE, UINT64_MAX, 0, EOVERFLOW, VFIO_E_DMA_RANGE },
		{ 0x123, PAGE, 0, EINVAL, VFIO_E_DMA_PROT },
		{ 0x123, PAGE, 4, EINVAL, VFIO_E_DMA_PROT },
		{ 0x123, PAGE, 7, EINVAL, VFIO_E_DMA_PROT },
		{ 0x123, PAGE, VFIO_DMA_RW, EINVAL, VFIO_E_ALIGN },
		{ PAGE, 0x123, VFIO_DMA_RW, EINVAL, VFIO_E_ALIGN },
		{ UINT64_MAX, 1, VFIO_DMA_RW, EINVAL, VFIO_E_ALIGN },
		{ 0x10000, 4 * PAGE, VFIO_DMA_RW, EEXIST, VFIO_E_OVERLAP },
	};
	struct space *s = *state;

	assert_int_equal(map(s, 0x10000, 4 * PAGE, VFIO_DMA_RW), 0);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *q = &refusals[i];
		const struct dma_map m = here(q->iova, q->size, q->prot);
		struct vfio_error e = { 0 };

		assert_int_equal(space_map(s, &m, &e), -q->err);
		assert_int_equal(e.code, q->code);
		assert_true(e.what[0]);
		assert_int_equal(s->ranges.count, 1);
	}
}

static void no_two_maps_overlap(void **state)
{
	static const uint64_t overlaps[][2] = {
		{ 0xf000, 2 * PAGE }, { 0xf000, 6 * PAGE },
		{ 0x10000, PAGE }, { 0x10000, 5 * PAGE },
		{ 0x11000, PAGE }, { 0x13000, PAGE }, { 0x13000, 2 * PAGE }, { 0, 0x11000 },
	};
	struct space *s = *state;

	assert_int_equal(map(s, 0x10000, 4 * PAGE, VFIO_DMA_RW), 0);
	for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++)
		assert_int_equal(map(s, overlaps[i][0], overlaps[i][1], VFIO_DMA_RW), -EEXIST);
	assert_int_equal(map(s, 0xf000, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0x14000, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0, 0xf000, VFIO_DMA_RW), 0);
	assert_int_equal(s->ranges.count, 4);
}

static void a_map_may_end_at_the_top(void **state)
{
	struct space *s = *state;
	uint8_t byte = 0;

	assert_int_equal(map(s, TOP, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, TOP, PAGE, VFIO_DMA_READ), -EEXIST);
	assert_int_equal(space_copy(s, UINT64_MAX, &byte, 1, VFIO_DMA_READ), 0);
	assert_int_equal(byte, memory[PAGE - 1]);
	assert_int_equal(space_copy(s, UINT64_MAX, &byte, 2, VFIO_DMA_READ), -EFAULT);
	assert_int_equal(map(s, 0, PAGE, VFIO_DMA_RW), 0);	/* nothing goes round */
	assert_int_equal(space_copy(s, UINT64_MAX, &byte, 2, VFIO_DMA_READ), -EFAULT);
	assert_int_equal(unmap(s, TOP, PAGE), 0);
	assert_int_equal(space_copy(s, UINT64_MAX, &byte, 1, VFIO_DMA_READ), -EFAULT);
}

#define MANY 70000u

static void maps_are_limited(void **state)
{
	struct space *s = *state;
	const struct dma_map one_more = here(0, PAGE, VFIO_DMA_READ);
	struct vfio_error e = { 0 };
	uint64_t unmapped;

	assert_true(s->maps.granted >= 1000000);
	space_limit(s, MANY, UINT64_MAX);
	for (uint64_t i = 1; i <= MANY; i++)
		assert_int_equal(map(s, i * PAGE, PAGE, VFIO_DMA_READ), 0);
	assert_int_equal(space_map(s, &one_more, &e), -ENOSPC);
	assert_int_equal(e.code, VFIO_E_DMA_LIMIT);
	assert_true(strstr(e.what, "70000 of 70000") && e.remedy[0]);
	assert_int_equal(unmap(s, 77 * PAGE, PAGE), 0);
	assert_int_equal(space_map(s, &one_more, &e), 0);
	assert_int_equal(space_unmap(s, 0, DMA_ALL, &unmapped, NULL, NULL, NULL), 0);
	assert_true(unmapped == (uint64_t)MANY * PAGE);
	assert_true(s->maps.used == 0 && s->bytes.used == 0);
}

static void bytes_are_limited(void **state)
{
	struct space *s = *state;
	const struct dma_map more = here(0x40000, 2 * PAGE, VFIO_DMA_READ);
	struct vfio_error e = { 0 };

	space_limit(s, MANY, 3 * PAGE);
	assert_int_equal(map(s, 0x10000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(space_map(s, &more, &e), -ENOMEM);
	assert_int_equal(e.code, VFIO_E_DMA_LIMIT);
	assert_true(strstr(e.what, "8192 bytes") && strstr(e.what, "8192 of 12288") && e.remedy[0]);
	assert_int_equal(map(s, 0x40000, PAGE, VFIO_DMA_RW), 0);
	assert_true(s->bytes.used == 3 * PAGE);
	assert_int_equal(unmap(s, 0x10000, 2 * PAGE), 0);
	assert_int_equal(map(s, 0x10000, 2 * PAGE, VFIO_DMA_RW), 0);
	space_limit(s, MANY, UINT64_MAX);
	assert_int_equal(map(s, 0x20000, 2 * PAGE, VFIO_DMA_RW), 0);
}

static void addresses_are_allowed(void **state)
{
	const struct vfio_iova_range pc[] = { { 0, 0xfedfffff }, { 0xfef00000, 0x7fffffffff } };
	const struct vfio_iova_range wrong[] = { { 0x2000, 0x3fff }, { 0x3000, 0x4fff } };
	struct space *s = *state;
	struct vfio_error e = { 0 };
	struct dma_map msi = here(0xfedff000, 2 * PAGE, VFIO_DMA_READ);

	assert_int_equal(space_allow(s, pc, 2, NULL), 0);
	assert_int_equal(space_map(s, &msi, &e), -EINVAL);
	assert_int_equal(e.code, VFIO_E_IOVA_RANGE);
	assert_int_equal(map(s, 0xfedff000, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0xfee00000, PAGE, VFIO_DMA_RW), -EINVAL);
	assert_int_equal(map(s, 0xfef00000, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0x8000000000, PAGE, VFIO_DMA_RW), -EINVAL);
	assert_int_equal(space_allow(s, pc, 1, &e), -EINVAL);	/* that would leave a map outside */
	assert_int_equal(e.code, VFIO_E_IOVA_RANGE);
	assert_int_equal(space_allow(s, wrong, 2, &e), -EINVAL);
	assert_int_equal(e.code, VFIO_E_ARGUMENT);
	assert_int_equal(map(s, 0x7ffffff000, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(unmap(s, 0, 0x8000000000), 0);
	assert_int_equal(space_allow(s, pc, 1, NULL), 0);
	assert_int_equal(space_allow(s, NULL, 0, NULL), 0);
	assert_int_equal(map(s, TOP, PAGE, VFIO_DMA_RW), 0);
}

/* A map at an address that there was none at before, and gone again; of a file and without one. */
static void come_and_go(struct space *s, unsigned int rounds)
{
	static uint64_t iova;
	struct dma_map m = { .size = PAGE, .prot = VFIO_DMA_RW };
	uint64_t unmapped;

	for (unsigned int i = 0; i < rounds; i++, iova += 3 * PAGE) {
		m.vaddr = i % 64 ? memory : NULL;
		m.fd = m.vaddr ? -1 : memfd_create("test", MFD_CLOEXEC);
		if (m.fd >= 0)
			assert_int_equal(ftruncate(m.fd, PAGE), 0);
		m.iova = iova;
		assert_int_equal(space_map(s, &m, NULL), 0);
		if (m.fd >= 0)
			close(m.fd);
		if (i >= 100)
			assert_int_equal(space_unmap(s, iova - 300 * PAGE, PAGE, &unmapped, NULL,
						     NULL, NULL), 0);
	}
	assert_int_equal(space_unmap(s, 0, DMA_ALL, &unmapped, NULL, NULL, NULL), 0);
}

/* However many maps there ever were. (Sanitizers have no such figure: there it is 0.) */
static void nothing_is_left_of_maps_that_have_gone(void **state)
{
	struct space *s = *state;
	size_t before;

	come_and_go(s, 1000);
	before = mallinfo2().uordblks;
	come_and_go(s, 100000);
	assert_true(mallinfo2().uordblks <= before + 4096);
	assert_true(s->maps.used == 0 && s->bytes.used == 0 && s->ranges.count == 0);
}

static void a_map_without_memory(void **state)
{
	const struct dma_map m = { .iova = 0, .size = PAGE, .prot = VFIO_DMA_READ, .fd = -1 };
	struct vfio_error e = { 0 };

	assert_int_equal(space_map(*state, &m, &e), -EINVAL);
	assert_int_equal(e.code, VFIO_E_DMA_MEMORY);
}

/* ---- asking first, and other memory ------------------------------------------------------- */

static void what_a_map_would_be_told(void **state)
{
	struct dma_map m = here(0x10000, PAGE, VFIO_DMA_RW);
	struct space *s = *state;

	assert_int_equal(space_check(s, &m, NULL), 0);
	assert_int_equal(s->maps.used, 0);
	assert_int_equal(space_map(s, &m, NULL), 0);
	assert_int_equal(space_check(s, &m, NULL), -EEXIST);
	m.iova = 0x123;
	assert_int_equal(space_check(s, &m, NULL), -EINVAL);
	m.iova = 0x20000;
	space_limit(s, 1, UINT64_MAX);
	assert_int_equal(space_check(s, &m, NULL), -ENOSPC);
	space_limit(s, 2, PAGE);
	assert_int_equal(space_check(s, &m, NULL), -ENOMEM);
}

/* As when a program replaces itself by another: its memory is elsewhere afterwards. */
static void memory_is_renewed(void **state)
{
	struct dma_map m = here(0x10000, 2 * PAGE, VFIO_DMA_READ);
	uint8_t *old = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	struct space *s = *state;
	struct vfio_span span;
	uint8_t byte = 0;

	assert_ptr_not_equal(old, MAP_FAILED);
	m.vaddr = old;
	old[PAGE] = 0x17;
	assert_int_equal(space_map(s, &m, NULL), 0);
	assert_int_equal(space_retire(s, 0x11000, NULL), -ENOENT);
	assert_int_equal(space_retire(s, 0x10000, NULL), 0);
	assert_int_equal(space_retire(s, 0x10000, NULL), 0);
	assert_int_equal(space_copy(s, 0x11000, &byte, 1, VFIO_DMA_READ), 0);
	assert_int_equal(byte, 0x17);
	assert_int_equal(space_spans(s, 0x11000, 1, VFIO_DMA_READ, &span, 1), -ENOTSUP);
	munmap(old, 2 * PAGE);
	assert_int_equal(space_copy(s, 0x11000, &byte, 1, VFIO_DMA_READ), -EIO);

	m.vaddr = memory;
	m.size = PAGE;
	assert_int_equal(space_renew(s, &m, NULL), -ENOENT);
	m.size = 2 * PAGE;
	m.prot = VFIO_DMA_RW;
	assert_int_equal(space_renew(s, &m, NULL), 0);
	assert_int_equal(space_spans(s, 0x11000, 1, VFIO_DMA_READ, &span, 1), 1);
	assert_ptr_equal(span.addr, memory + PAGE);
	assert_int_equal(space_spans(s, 0x11000, 1, VFIO_DMA_WRITE, &span, 1), -EFAULT);
	assert_int_equal(s->maps.used, 1);
	assert_int_equal(unmap(s, 0x10000, 2 * PAGE), 0);
	assert_int_equal(space_renew(s, &m, NULL), -ENOENT);
}

/* What was written before is not forgotten. */
static void dirty_pages_outlive_their_memory(void **state)
{
	struct dma_map m = here(0x10000, 2 * PAGE, VFIO_DMA_RW);
	struct space *s = *state;
	uint64_t bits = 0;

	assert_int_equal(space_map(s, &m, NULL), 0);
	assert_int_equal(space_dirty_start(s, PAGE, NULL), 0);
	assert_int_equal(space_copy(s, 0x11000, &(uint8_t){ 1 }, 1, VFIO_DMA_WRITE), 0);
	m.vaddr = memory + 4 * PAGE;
	assert_int_equal(space_renew(s, &m, NULL), 0);
	assert_int_equal(space_dirty_take(s, 0x10000, 2 * PAGE, &bits, NULL), 0);
	assert_true(bits == 2);
}

/* Whatever direction the request says: a device writes where the map allowed it. */
static void renewed_memory_allows_what_the_map_does(void **state)
{
	struct dma_map m = here(0x10000, PAGE, VFIO_DMA_RW);
	struct space *s = *state;
	uint8_t byte = 0;

	assert_int_equal(space_map(s, &m, NULL), 0);
	m.vaddr = NULL;
	m.prot = VFIO_DMA_READ;
	m.fd = memfd_create("renewed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(m.fd, PAGE), 0);
	assert_int_equal(fcntl(m.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(space_renew(s, &m, NULL), 0);
	assert_int_equal(space_copy(s, 0x10000, &(uint8_t){ 7 }, 1, VFIO_DMA_WRITE), 0);
	assert_int_equal(pread(m.fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 7);
	close(m.fd);
}

/* While its peer is asked, the device goes on elsewhere; and then the peer fails. */
static int write_elsewhere(void *arg, uint64_t iova, const void *buf, size_t len)
{
	assert_int_equal(space_copy(arg, 0x80000, &(uint8_t){ 1 }, 1, VFIO_DMA_WRITE), 0);
	return -EIO;
}

static void what_a_peer_gets_is_dirty_where_it_was_written(void **state)
{
	const struct dma_peer peer = { .write = write_elsewhere, .arg = *state };
	struct dma_map m = here(0x10000, 4 * PAGE, VFIO_DMA_WRITE);
	struct space *s = *state;
	uint64_t bits = 0;

	assert_int_equal(map(s, 0x80000, PAGE, VFIO_DMA_WRITE), 0);
	m.vaddr = NULL;
	m.peer = &peer;
	assert_int_equal(space_map(s, &m, NULL), 0);
	assert_int_equal(space_dirty_start(s, PAGE, NULL), 0);
	assert_int_equal(space_copy(s, 0x12000, &(uint8_t){ 1 }, 1, VFIO_DMA_WRITE), -EIO);
	assert_int_equal(space_dirty_take(s, 0x10000, 4 * PAGE, &bits, NULL), 0);
	assert_true(bits == 4);		/* it may have been, for all that is known */
	assert_int_equal(space_dirty_take(s, 0x80000, PAGE, &bits, NULL), 0);
	assert_true(bits == 5);
}

/* ---- unmap -------------------------------------------------------------------------------- */

static void unmap_takes_whole_maps(void **state)
{
	struct space *s = *state;
	struct vfio_error e = { 0 };
	uint64_t unmapped;

	assert_int_equal(map(s, 0x10000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0x12000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0x20000, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(unmap(s, 0x10000, PAGE), -EINVAL);
	assert_int_equal(unmap(s, 0x11000, PAGE), -EINVAL);
	assert_int_equal(unmap(s, 0xf000, 2 * PAGE), -EINVAL);
	assert_int_equal(unmap(s, 0x10000, 3 * PAGE), -EINVAL);
	assert_int_equal(unmap(s, 0xfff0, 0x10 + 2 * PAGE), -EINVAL);	/* unaligned */
	assert_int_equal(unmap(s, 0x10000, 2 * PAGE + 0x10), -EINVAL);
	assert_int_equal(space_unmap(s, 0x11000, 3 * PAGE, &unmapped, NULL, NULL, &e), -EINVAL);
	assert_int_equal(e.code, VFIO_E_DMA_SPLIT);
	assert_int_equal(s->ranges.count, 3);
	assert_int_equal(space_unmap(s, 0xf000, 0x12000, &unmapped, NULL, NULL, NULL), 0);
	assert_int_equal(unmapped, 5 * PAGE);
	assert_int_equal(s->ranges.count, 0);
}

static void unmap_exactly_one(void **state)
{
	struct space *s = *state;
	uint64_t unmapped;

	assert_int_equal(map(s, 0x10000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0x12000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(space_unmap(s, 0x10000, 2 * PAGE, &unmapped, NULL, NULL, NULL), 0);
	assert_int_equal(unmapped, 2 * PAGE);
	assert_int_equal(s->ranges.count, 1);
	assert_int_equal(map(s, 0x10000, 2 * PAGE, VFIO_DMA_RW), 0);	/* the room is free again */
}

static void unmap_of_nothing(void **state)
{
	struct space *s = *state;
	struct vfio_error e = { 0 };
	uint64_t unmapped;

	assert_int_equal(space_unmap(s, 0x10000, PAGE, &unmapped, NULL, NULL, NULL), 0);
	assert_int_equal(unmapped, 0);
	assert_int_equal(space_unmap(s, 0x10000, 0, &unmapped, NULL, NULL, &e), -EINVAL);
	assert_int_equal(e.code, VFIO_E_DMA_RANGE);
	assert_int_equal(unmap(s, TOP, 2 * PAGE), -EOVERFLOW);
	assert_int_equal(space_unmap(s, 0, DMA_ALL, &unmapped, NULL, NULL, NULL), 0);
	assert_int_equal(unmapped, 0);
}

struct gone {
	unsigned int calls;
	uint64_t iova[4], size[4];
	struct space *space;
	bool was_there;
};

static void gone(void *arg, uint64_t iova, uint64_t size)
{
	struct gone *g = arg;
	uint8_t byte;

	assert_true(g->calls < 4);
	g->iova[g->calls] = iova;
	g->size[g->calls++] = size;
	g->was_there = space_copy(g->space, iova, &byte, 1, VFIO_DMA_READ) == 0;
}

/* A model may finish its DMA while it hears of one map after the other. */
static void whoever_holds_spans_hears_first(void **state)
{
	struct space *s = *state;
	struct gone g = { .space = s };
	uint64_t unmapped;

	assert_int_equal(map(s, 0x10000, 2 * PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, TOP, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(space_unmap(s, 0x11000, PAGE, &unmapped, gone, &g, NULL), -EINVAL);
	assert_int_equal(g.calls, 0);
	assert_int_equal(space_unmap(s, 0, DMA_ALL, &unmapped, gone, &g, NULL), 0);
	assert_int_equal(g.calls, 2);
	assert_true(g.was_there);
	assert_int_equal(g.iova[0], 0x10000);
	assert_int_equal(g.size[0], 2 * PAGE);
	assert_true(g.iova[1] == TOP && g.size[1] == PAGE);
	assert_int_equal(map(s, 0x10000, PAGE, VFIO_DMA_RW), 0);
	assert_int_equal(map(s, 0x20000, PAGE, VFIO_DMA_RW), 0);
	space_clear(s, gone, &g);
	assert_int_equal(g.calls, 4);
	assert_true(g.was_there);
	assert_int_equal(s->ranges.count, 0);
	assert_int_equal(s->fault.count, 0);
}

/* ---- copy --------------------------------------------------------------------------------- */

static int map_at(struct space *s, uint64_t iova, size_t page, size_t pages, uint32_t prot)
{
	struct dma_map m = here(iova, pages * PAGE, prot);

	m.vaddr = memory + page * PAGE;
	return space_map(s, &m, NULL);
}

static void copies_across_adjacent_maps(void **state)
{
	struct space *s = *state;
	uint8_t buf[3 * PAGE], want[3 * PAGE];

	assert_int_equal(map_at(s, 0x12000, 0, 1, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(s, 0x10000, 5, 1, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(s, 0x11000, 2, 1, VFIO_DMA_RW), 0);
	memcpy(want, memory + 5 * PAGE, PAGE);
	memcpy(want + PAGE, memory + 2 * PAGE, PAGE);
	memcpy(want + 2 * PAGE, memory, PAGE);
	assert_int_equal(space_copy(s, 0x10000, buf, sizeof(buf), VFIO_DMA_READ), 0);
	assert_memory_equal(buf, want, sizeof(buf));
	assert_int_equal(space_copy(s, 0x10ffe, buf, 4, VFIO_DMA_READ), 0);
	assert_memory_equal(buf, want + 0xffe, 4);
	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(space_copy(s, 0x10fff, buf, PAGE + 2, VFIO_DMA_WRITE), 0);
	assert_int_equal(memory[5 * PAGE + 0xffe], want[0xffe]);
	assert_int_equal(memory[5 * PAGE + 0xfff], 0xaa);
	assert_memory_equal(memory + 2 * PAGE, buf, PAGE);
	assert_int_equal(memory[0], 0xaa);
	assert_int_equal(memory[1], want[2 * PAGE + 1]);
}

static void nothing_is_copied_over_a_hole(void **state)
{
	struct space *s = *state;
	uint8_t buf[4 * PAGE], before[sizeof(memory)];

	assert_int_equal(map_at(s, 0x10000, 0, 1, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(s, 0x12000, 2, 1, VFIO_DMA_RW), 0);
	memset(buf, 0xaa, sizeof(buf));
	memcpy(before, memory, sizeof(memory));
	assert_int_equal(space_copy(s, 0x10000, buf, 3 * PAGE, VFIO_DMA_WRITE), -EFAULT);
	assert_memory_equal(memory, before, sizeof(memory));
	assert_int_equal(space_copy(s, 0x10000, buf, 3 * PAGE, VFIO_DMA_READ), -EFAULT);
	assert_int_equal(buf[0], 0xaa);
	assert_int_equal(space_copy(s, 0x10000, buf, PAGE + 1, VFIO_DMA_READ), -EFAULT);
	assert_int_equal(buf[0], 0xaa);
	assert_int_equal(space_copy(s, 0xffff, buf, 2, VFIO_DMA_READ), -EFAULT);
}

static void directions_are_kept(void **state)
{
	struct space *s = *state;
	uint8_t buf[2 * PAGE];

	assert_int_equal(map_at(s, 0x10000, 0, 1, VFIO_DMA_READ), 0);
	assert_int_equal(map_at(s, 0x11000, 1, 1, VFIO_DMA_WRITE), 0);
	assert_int_equal(space_copy(s, 0x10000, buf, PAGE, VFIO_DMA_READ), 0);
	assert_int_equal(space_copy(s, 0x11000, buf, PAGE, VFIO_DMA_WRITE), 0);
	assert_int_equal(space_copy(s, 0x10000, buf, 1, VFIO_DMA_WRITE), -EFAULT);
	assert_int_equal(space_copy(s, 0x11000, buf, 1, VFIO_DMA_READ), -EFAULT);
	assert_int_equal(space_copy(s, 0x10000, buf, 2 * PAGE, VFIO_DMA_READ), -EFAULT);
}

static void a_copy_of_nothing(void **state)
{
	struct space *s = *state;

	assert_int_equal(space_copy(s, 0x999, NULL, 0, VFIO_DMA_READ), 0);
	assert_int_equal(s->fault.count, 0);
}

static void faults_are_recorded(void **state)
{
	struct space *s = *state;
	uint8_t buf[2 * PAGE];

	assert_int_equal(map_at(s, 0x10000, 0, 1, VFIO_DMA_READ), 0);
	assert_int_equal(s->fault.count, 0);
	space_copy(s, 0x10ff0, buf, 0x20, VFIO_DMA_READ);
	assert_int_equal(s->fault.iova, 0x10ff0);
	assert_int_equal(s->fault.size, 0x20);
	assert_int_equal(s->fault.prot, VFIO_DMA_READ);
	assert_int_equal(s->fault.err, EFAULT);
	assert_int_equal(s->fault.count, 1);
	space_copy(s, 0x10000, buf, 3, VFIO_DMA_WRITE);
	assert_int_equal(s->fault.iova, 0x10000);
	assert_int_equal(s->fault.prot, VFIO_DMA_WRITE);
	assert_int_equal(s->fault.count, 2);
	assert_int_equal(space_copy(s, 0x10000, buf, 3, VFIO_DMA_READ), 0);
	assert_int_equal(s->fault.count, 2);
}

/* ---- spans -------------------------------------------------------------------------------- */

static void spans_are_the_pieces(void **state)
{
	struct space *s = *state;
	struct vfio_span spans[3];

	assert_int_equal(map_at(s, 0x10000, 5, 1, VFIO_DMA_RW), 0);
	assert_int_equal(map_at(s, 0x11000, 2, 2, VFIO_DMA_RW), 0);
	assert_int_equal(space_spans(s, 0x10ff0, 0x1020, VFIO_DMA_READ, spans, 3), 2);
	assert_ptr_equal(spans[0].addr, memory + 5 * PAGE + 0xff0);
	assert_int_equal(spans[0].len, 0x10);
	assert_ptr_equal(spans[1].addr, memory + 2 * PAGE);
	assert_int_equal(spans[1].len, 0x1010);
	spans[0].addr = NULL;
	assert_int_equal(space_spans(s, 0x10ff0, 0x1020, VFIO_DMA_READ, spans, 1), 2);
	assert_null(spans[0].addr);
	assert_int_equal(space_spans(s, 0x10000, 0, VFIO_DMA_READ, spans, 0), 0);
	assert_int_equal(space_spans(s, 0x12000, 0x2000, VFIO_DMA_READ, spans, 3), -EFAULT);
	assert_int_equal(space_spans(s, 0x10000, 3 * PAGE, VFIO_DMA_RW, spans, 2), 2);
}

/* A device that asks to read and write must be allowed both. */
static void spans_need_every_direction(void **state)
{
	struct space *s = *state;
	struct vfio_span span;

	assert_int_equal(map_at(s, 0x10000, 0, 1, VFIO_DMA_READ), 0);
	assert_int_equal(map_at(s, 0x11000, 1, 1, VFIO_DMA_WRITE), 0);
	assert_int_equal(space_spans(s, 0x10000, 1, VFIO_DMA_READ, &span, 1), 1);
	assert_int_equal(space_spans(s, 0x10000, 1, VFIO_DMA_WRITE, &span, 1), -EFAULT);
	assert_int_equal(space_spans(s, 0x10000, 1, VFIO_DMA_RW, &span, 1), -EFAULT);
	assert_int_equal(space_spans(s, 0x11000, 1, VFIO_DMA_RW, &span, 1), -EFAULT);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_cannot_be_mapped),
		TEST(no_two_maps_overlap),
		TEST(a_map_may_end_at_the_top),
		TEST(maps_are_limited),
		TEST(nothing_is_left_of_maps_that_have_gone),
		TEST(bytes_are_limited),
		TEST(addresses_are_allowed),
		TEST(a_map_without_memory),
		TEST(what_a_map_would_be_told),
		TEST(memory_is_renewed),
		TEST(dirty_pages_outlive_their_memory),
		TEST(renewed_memory_allows_what_the_map_does),
		TEST(what_a_peer_gets_is_dirty_where_it_was_written),
		TEST(unmap_takes_whole_maps),
		TEST(unmap_exactly_one),
		TEST(unmap_of_nothing),
		TEST(whoever_holds_spans_hears_first),
		TEST(copies_across_adjacent_maps),
		TEST(nothing_is_copied_over_a_hole),
		TEST(directions_are_kept),
		TEST(a_copy_of_nothing),
		TEST(faults_are_recorded),
		TEST(spans_are_the_pieces),
		TEST(spans_need_every_direction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
