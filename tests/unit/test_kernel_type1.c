/* SPDX-License-Identifier: MIT */
/*
 * A type1 container against the kernel's: tests/data/kernel-dma has what Linux answered, call by
 * call (tests/guest/README). Here the same is asked, and each answer must be the same, but for what
 * is listed here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dma_trace.h"
#include "iommu/type1.h"

#define INFO_MAX    512
#define FILL	    0xa5
#define BITMAP_USED 0x10000ull		/* can be written, */
#define BITMAP_MAX  0x10000000ull	/* and the largest that may be claimed */
#define KERNEL	    0xffff888000000000ull
#define MAX_RANGES  256

/* What is written to the caller's memory keeps its page coherent whatever the machine does. */
#define COHERENT "DMA of software is coherent; the guest's IOMMU did not enforce it"
/* Page sizes are those of the IOMMUs' page tables, of which there are none. */
#define SIZES	 "there is no page table: all page sizes are offered"
/*
 * The kernel shifts a map's own bits when it hands them out, and does not clear what it shifted
 * beyond the map: later answers have bits for pages that are not mapped.
 */
#define STALE	 "bits of pages that are not mapped are left from earlier answers"

struct replay {
	struct trace trace;
	struct space space;
	struct type1 type1;
	uint8_t *bitmap;
	struct range ranges[MAX_RANGES];	/* what was asked about, and is mapped */
	unsigned int nranges;
};

static struct trace *trace_of(struct replay *r)
{
	return &r->trace;
}

/* ---- bytes -------------------------------------------------------------------------------- */

/* What the kernel wrote, over what was there before. */
static size_t take_bytes(const char *p, uint8_t *bytes, size_t max)
{
	unsigned int value;
	size_t n = 0;

	p += strspn(p, " ");
	for (; n < max && *p != '-' && sscanf(p, "%2x", &value) == 1; p += 2)
		bytes[n++] = value;
	return n;
}

static bool was_mapped(const struct replay *r, uint64_t iova)
{
	for (unsigned int i = 0; i < r->nranges; i++)
		if (iova >= r->ranges[i].start && iova <= r->ranges[i].last)
			return true;
	return false;
}

/* Only bits of pages that were not mapped may be there, and only in theirs. */
static void compare_bits(struct replay *r, const char *answer, uint64_t iova, uint8_t fill)
{
	uint8_t *theirs = malloc(BITMAP_USED);

	assert_non_null(theirs);
	memset(theirs, fill, BITMAP_USED);
	take_bytes(answer, theirs, BITMAP_USED);
	for (size_t i = 0; i < BITMAP_USED; i++) {
		uint8_t more = theirs[i] & ~r->bitmap[i];
		const char *because = (r->bitmap[i] & ~theirs[i]) ? NULL : STALE;

		if (theirs[i] == r->bitmap[i])
			continue;
		for (int bit = 0; bit < 8; bit++)
			if ((more >> bit & 1) && was_mapped(r, iova + (i * 8 + bit) * DMA_PAGE))
				because = NULL;
		trace_compare(trace_of(r), r->bitmap[i], theirs[i], because);
	}
	free(theirs);
}

/* ---- arguments ---------------------------------------------------------------------------- */

static uint64_t place(const struct replay *r, const char **p)
{
	*p += strspn(*p, " ");
	switch (**p) {
	case 'b':
		*p += strlen("bad");
		return (uintptr_t)r->trace.buffer + r->trace.hole;
	case 'r':
		*p += strlen("ro");
		return (uintptr_t)r->trace.buffer + r->trace.ro;
	case 'k':
		*p += strlen("kernel");
		return KERNEL;
	}
	*p += strlen("good");
	return (uintptr_t)r->bitmap;
}

static struct vfio_bitmap take_bitmap(struct replay *r, const char **p, uint8_t *fill)
{
	struct vfio_bitmap b;

	b.pgsize = take_number(p, 16);
	b.size = take_number(p, 16);
	b.data = (void *)(uintptr_t)place(r, p);
	*fill = take_number(p, 16);
	memset(r->bitmap, *fill, BITMAP_USED);
	return b;
}

static void remember_maps(struct replay *r, uint64_t iova, uint64_t size)
{
	struct range_walk w = { .at = iova, .last = iova + size - 1 };

	for (r->nranges = 0; r->nranges < MAX_RANGES; r->nranges++)
		if (!range_map_step(&r->space.ranges, &w, &r->ranges[r->nranges]))
			break;
}

static int ask(struct replay *r, unsigned int number, void *argument)
{
	return type1_ioctl(&r->type1, number, (uintptr_t)argument, NULL);
}

/* ---- the lines ---------------------------------------------------------------------------- */

static void replay_extension(struct replay *r, const char *p)
{
	uint64_t extension = take_number(&p, 10);
	int theirs = atoi(trace_answer(trace_of(r)));

	trace_compare(trace_of(r), type1_ioctl(&r->type1, VFIO_CHECK_EXTENSION, extension, NULL),
		      theirs, extension == VFIO_DMA_CC_IOMMU ? COHERENT : NULL);
}

static void replay_info(struct replay *r, const char *p)
{
	uint8_t ours[INFO_MAX], theirs[INFO_MAX];
	uint32_t argsz = take_number(&p, 10);
	const char *answer = trace_answer(trace_of(r));

	memset(ours, FILL, sizeof(ours));
	memset(theirs, FILL, sizeof(theirs));
	memcpy(ours, &argsz, sizeof(argsz));
	trace_compare(trace_of(r), ask(r, VFIO_IOMMU_GET_INFO, ours), take_number(&answer, 10),
		      NULL);
	take_bytes(answer, theirs, sizeof(theirs));
	for (unsigned int i = 0; i < sizeof(ours); i++)
		trace_compare(trace_of(r), ours[i], theirs[i], i >= 8 && i < 16 ? SIZES : NULL);
}

static void replay_map(struct replay *r, const char *p)
{
	struct vfio_iommu_type1_dma_map m;

	m.argsz = take_number(&p, 10);
	m.flags = take_number(&p, 16);
	m.vaddr = take_address(&r->trace, &p);
	m.iova = take_number(&p, 16);
	m.size = take_number(&p, 16);
	trace_compare(trace_of(r), ask(r, VFIO_IOMMU_MAP_DMA, &m), atoi(trace_answer(&r->trace)),
		      NULL);
}

static void replay_unmap(struct replay *r, const char *p)
{
	union {
		struct vfio_iommu_type1_dma_unmap u;
		uint8_t bytes[sizeof(struct vfio_iommu_type1_dma_unmap) + sizeof(struct vfio_bitmap)];
	} a = { .bytes = { 0 } };
	struct vfio_bitmap bitmap = { 0 };
	const char *answer = trace_answer(trace_of(r));
	uint64_t iova;
	bool bits;
	uint8_t fill;

	a.u.argsz = take_number(&p, 10);
	a.u.flags = take_number(&p, 16);
	iova = a.u.iova = take_number(&p, 16);
	a.u.size = take_number(&p, 16);
	bits = p + 3 != answer;
	if (bits)
		bitmap = take_bitmap(r, &p, &fill);
	memcpy(a.u.data, &bitmap, sizeof(bitmap));
	remember_maps(r, iova, a.u.size);
	trace_compare(trace_of(r), ask(r, VFIO_IOMMU_UNMAP_DMA, &a), take_number(&answer, 10),
		      NULL);
	trace_compare(trace_of(r), a.u.size, take_number(&answer, 16), NULL);
	if (bits)
		compare_bits(r, answer, iova, fill);
}

static void replay_dirty(struct replay *r, const char *p)
{
	struct vfio_iommu_type1_dirty_bitmap_get g = { 0 };
	union {
		struct vfio_iommu_type1_dirty_bitmap d;
		uint8_t bytes[sizeof(struct vfio_iommu_type1_dirty_bitmap) + sizeof(g)];
	} a = { .bytes = { 0 } };
	const char *answer = trace_answer(trace_of(r));
	uint8_t fill;
	bool bits;

	a.d.argsz = take_number(&p, 10);
	a.d.flags = take_number(&p, 16);
	bits = p + 3 != answer;
	if (bits) {
		g.iova = take_number(&p, 16);
		g.size = take_number(&p, 16);
		g.bitmap = take_bitmap(r, &p, &fill);
	}
	memcpy(a.d.data, &g, sizeof(g));
	remember_maps(r, g.iova, g.size);
	trace_compare(trace_of(r), ask(r, VFIO_IOMMU_DIRTY_PAGES, &a), take_number(&answer, 10),
		      NULL);
	if (bits)
		compare_bits(r, answer, g.iova, fill);
}

static void replay_other(struct replay *r, const char *p)
{
	uint64_t argument[8] = { sizeof(argument) };
	unsigned int number = take_number(&p, 16);

	if (number == VFIO_GET_API_VERSION)	/* the container's, not the IOMMU's */
		return;
	trace_compare(trace_of(r), ask(r, number, argument), atoi(trace_answer(&r->trace)), NULL);
}

static void replay_join(struct replay *r)
{
	trace_compare(trace_of(r), type1_attach(&r->type1, r->trace.ranges, r->trace.nranges, NULL),
		      atoi(trace_answer(&r->trace)), NULL);
}

static void replay_line(struct replay *r)
{
	const char *p = r->trace.line + 1;

	switch (r->trace.line[0]) {
	case 'X': replay_extension(r, p); break;
	case 'I': replay_info(r, p); break;
	case 'M': replay_map(r, p); break;
	case 'U': replay_unmap(r, p); break;
	case 'D': replay_dirty(r, p); break;
	case 'Y': replay_other(r, p); break;
	case 'J': replay_join(r); break;
	default: fail_msg("%s:%u: %s", r->trace.name, r->trace.number, r->trace.line);
	}
}

/* ---- one test a trace --------------------------------------------------------------------- */

static const char *path;

/* The last ones are not met where there are no extensions asked for, and no dirty pages. */
static void replay_trace(void **state)
{
	static struct replay r;
	struct difference differences[4] = { { .why = SIZES } };
	unsigned int n = 1;

	if (!strstr(path, "-limits"))
		differences[n++].why = COHERENT;
	if (strstr(path, "type1v2"))
		differences[n++].why = STALE;
	trace_open(&r.trace, path, differences);
	space_init(&r.space);
	r.space.rules = r.trace.v1 ? SPACE_TYPE1_V1 : SPACE_TYPE1_V2;
	space_limit(&r.space, r.trace.entries, r.trace.memlock);
	r.type1 = (struct type1){ .space = &r.space, .caller = &caller_self };
	assert_int_equal(type1_attach(&r.type1, r.trace.ranges, r.trace.nranges, NULL), 0);
	r.bitmap = mmap(NULL, BITMAP_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			-1, 0);
	assert_ptr_not_equal(r.bitmap, MAP_FAILED);
	assert_int_equal(mprotect(r.bitmap, BITMAP_USED, PROT_READ | PROT_WRITE), 0);
	while (trace_next(&r.trace))
		replay_line(&r);
	trace_finish(&r.trace);
	munmap(r.bitmap, BITMAP_MAX);
	space_finish(&r.space);
	trace_close(&r.trace);
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		const char *slash = strrchr(argv[i], '/');
		const struct CMUnitTest tests[] = {
			{ slash ? slash + 1 : argv[i], replay_trace, NULL, NULL, NULL },
		};

		path = argv[i];
		failed += cmocka_run_group_tests_name("kernel type1", tests, NULL, NULL);
	}
	return argc < 2 ? 2 : failed;
}
