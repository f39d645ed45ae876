/* SPDX-License-Identifier: MIT */
/*
 * The software IOMMU against a model of it that anybody can see through: for each page of a small
 * address space, which map it belongs to. Random operations must have the same results in both.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "iommu/space.h"

#define PAGE   0x1000u
#define PAGES  48u
#define STEPS  300000
#define MOST_MS 2000

/* The address space ends at 2^64, so that every sum that can wrap does. */
#define BASE (0ull - PAGES * PAGE)

struct page {
	uint8_t *memory;		/* NULL: not mapped */
	uint32_t prot;
	unsigned int map;		/* pages of one map have one number */
};

struct pair {
	struct space space;
	struct page pages[PAGES];
	unsigned int maps;
	uint64_t faults;
	uint8_t memory[PAGES * PAGE] __attribute__((aligned(4096)));
	uint8_t shadow[PAGES * PAGE];
};

static uint64_t iova_of(unsigned int page)
{
	return BASE + (uint64_t)page * PAGE;
}

static void random_map(struct pair *p)
{
	unsigned int first = rand() % PAGES, n = 1 + rand() % 6, at = rand() % PAGES;
	uint32_t prot = 1 + rand() % 3;
	struct dma_map m = {
		.iova = iova_of(first), .size = n * PAGE, .prot = prot, .fd = -1,
		.vaddr = p->memory + at * PAGE,
	};
	int want = 0;

	if (at + n > PAGES)
		return;
	for (unsigned int i = first; i < first + n && i < PAGES; i++)
		if (p->pages[i].memory)
			want = -EEXIST;
	if (first + n > PAGES)
		want = -EOVERFLOW;
	assert_int_equal(space_map(&p->space, &m, NULL), want);
	if (want < 0)
		return;
	p->maps++;
	for (unsigned int i = 0; i < n; i++)
		p->pages[first + i] = (struct page){ p->shadow + (at + i) * PAGE, prot, p->maps };
}

/* Does an unmap of [first, end) leave a map in two? */
static bool cuts(const struct pair *p, unsigned int first, unsigned int end)
{
	const struct page *pages = p->pages;

	return (first > 0 && pages[first].memory && pages[first].map == pages[first - 1].map) ||
	       (end < PAGES && pages[end].memory && pages[end].map == pages[end - 1].map);
}

static void random_unmap(struct pair *p)
{
	unsigned int first = rand() % PAGES, n = 1 + rand() % 8, mapped = 0;
	uint64_t unmapped = 1;
	int want = 0, r;

	for (unsigned int i = first; i < first + n && i < PAGES; i++)
		mapped += p->pages[i].memory != NULL;
	if (first + n > PAGES)
		want = -EOVERFLOW;
	else if (cuts(p, first, first + n))
		want = -EINVAL;
	r = space_unmap(&p->space, iova_of(first), n * PAGE, &unmapped, NULL, NULL, NULL);
	assert_int_equal(r, want);
	assert_int_equal(unmapped, want < 0 ? 0 : mapped * PAGE);
	if (want == 0)
		memset(p->pages + first, 0, n * sizeof(p->pages[0]));
}

static bool may(const struct pair *p, uint64_t offset, size_t len, uint32_t prot)
{
	for (uint64_t at = offset; at < offset + len; at++)
		if (at >= PAGES * PAGE || !p->pages[at / PAGE].memory ||
		    !(p->pages[at / PAGE].prot & prot))
			return false;
	return true;
}

static void random_copy(struct pair *p)
{
	uint64_t offset = rand() % (PAGES * PAGE);
	size_t len = rand() % (rand() % 4 ? 200 : 4 * PAGE);
	uint32_t prot = 1 + rand() % 2;
	bool allowed = may(p, offset, len, prot);
	static uint8_t buf[4 * PAGE];

	memset(buf, rand(), sizeof(buf));
	assert_int_equal(space_copy(&p->space, BASE + offset, buf, len, prot),
			 allowed ? 0 : -EFAULT);
	for (size_t i = 0; allowed && i < len; i++) {
		uint8_t *byte = p->pages[(offset + i) / PAGE].memory + (offset + i) % PAGE;

		if (prot == VFIO_DMA_WRITE)
			*byte = buf[i];
		else if (buf[i] != *byte)
			fail_msg("read of byte %zu of %zu differs", i, len);
	}
	p->faults += !allowed;
	assert_int_equal(p->space.fault.count, p->faults);
}

/* The number of pieces is the number of maps that the range touches. */
static void random_spans(struct pair *p)
{
	uint64_t offset = rand() % (PAGES * PAGE);
	size_t len = 1 + rand() % (3 * PAGE), reached = 0;
	uint32_t prot = 1 + rand() % 2;
	struct vfio_span spans[4];
	int want = 0, n;

	if (may(p, offset, len, prot)) {
		for (uint64_t i = offset / PAGE; i <= (offset + len - 1) / PAGE; i++)
			want += i == offset / PAGE || p->pages[i].map != p->pages[i - 1].map;
	} else {
		want = -EFAULT;
		p->faults++;
	}
	n = space_spans(&p->space, BASE + offset, len, prot, spans, 4);
	assert_int_equal(n, want);
	for (int i = 0; i < n; i++)
		reached += spans[i].len;
	assert_int_equal(reached, n > 0 ? len : 0);
}

static void random_operations_agree(void **state)
{
	struct pair *p = aligned_alloc(_Alignof(struct pair), sizeof(*p));
	int64_t end = clock_ms() + MOST_MS;
	int step;

	memset(p, 0, sizeof(*p));
	srand(20101117);
	space_init(&p->space);
	for (step = 0; step < STEPS && clock_ms() < end; step++) {
		switch (rand() % 8) {
		case 0: case 1:	random_map(p); break;
		case 2:		random_unmap(p); break;
		case 3:		random_spans(p); break;
		default:	random_copy(p); break;
		}
	}
	assert_true(step > 1000);
	assert_memory_equal(p->memory, p->shadow, sizeof(p->memory));
	space_finish(&p->space);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
