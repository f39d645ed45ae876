/* SPDX-License-Identifier: MIT */
/*
 * The software IOMMU against the simplest model of one: a table with an entry for each page of a
 * window of I/O addresses, at the bottom, in the middle or at the very top of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "check.h"
#include "input.h"
#include "iommu/space.h"

#define PAGE      DMA_PAGE
#define WINDOW    32u			/* pages of I/O addresses */
#define PAGES     8u			/* of a backing */
#define MAX_STEPS 256
#define MAX_COPY  (3 * PAGE)
#define MAX_SPANS 6

enum { HERE, SEALED, LOOSE, PEER, BACKINGS };

/* Memory that a map may show, and the same bytes as they should be. */
struct backing {
	uint8_t *bytes;
	int fd;
	uint8_t expected[PAGES * PAGE];
};

/* A page of the window; map 0: not mapped. */
struct entry {
	unsigned int map;		/* pages of one map have the same number */
	unsigned int backing, page;
	uint32_t prot;
};

struct run {
	struct space space;
	struct backing backings[BACKINGS];
	struct dma_peer peer;
	struct entry window[WINDOW];
	uint64_t base;			/* I/O address of the window */
	unsigned int maps;
	uint64_t gone;			/* bytes that were reported as going */
	uint64_t faults;
};

/* ---- memory ------------------------------------------------------------------------------- */

/* The peer is asked for I/O addresses: the window says which bytes those are. */
static uint8_t *peer_bytes(struct run *run, uint64_t iova, size_t len)
{
	const struct entry *e = &run->window[(iova - run->base) / PAGE];
	size_t at = e->page * PAGE + iova % PAGE;

	CHECK(e->map && e->backing == PEER && at + len <= PAGES * PAGE);
	return run->backings[PEER].bytes + at;
}

static int peer_read(void *arg, uint64_t iova, void *buf, size_t len)
{
	memcpy(buf, peer_bytes(arg, iova, len), len);
	return 0;
}

static int peer_write(void *arg, uint64_t iova, const void *buf, size_t len)
{
	memcpy(peer_bytes(arg, iova, len), buf, len);
	return 0;
}

static void make_backing(struct backing *b, unsigned int kind)
{
	int fd = memfd_create("fuzz-space", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
	if (kind == SEALED)
		CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	b->bytes = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(b->bytes != MAP_FAILED);
	if (kind == HERE || kind == PEER)
		fd_close(&fd);
	b->fd = fd;
	for (size_t i = 0; i < PAGES * PAGE; i++)
		b->expected[i] = b->bytes[i] = i * 7 + i / PAGE + kind * 31;
}

static void free_backing(struct backing *b)
{
	CHECK(memcmp(b->bytes, b->expected, PAGES * PAGE) == 0);
	munmap(b->bytes, PAGES * PAGE);
	fd_close(&b->fd);
}

static void gone(void *arg, uint64_t iova, uint64_t size)
{
	struct run *run = arg;

	CHECK(size && iova >= run->base);
	run->gone += size;
}

/* ---- map ---------------------------------------------------------------------------------- */

static bool same_map(const struct run *run, unsigned int first, unsigned int n,
		     unsigned int backing, unsigned int page, uint32_t prot)
{
	const struct entry *e = &run->window[first];

	if (backing != SEALED && backing != LOOSE)
		return false;
	for (unsigned int i = 0; i < n; i++)
		if (!e->map || e[i].map != e->map || e[i].backing != backing ||
		    e[i].page != page + i || e[i].prot != prot)
			return false;
	return (first == 0 || e[-1].map != e->map) &&
	       (first + n == WINDOW || e[n].map != e->map);
}

static int model_map(struct run *run, unsigned int first, unsigned int n,
		     unsigned int backing, unsigned int page, uint32_t prot)
{
	if (n == 0 || prot == 0 || prot > VFIO_DMA_RW)
		return -EINVAL;
	for (unsigned int i = first; i < first + n; i++)
		if (run->window[i].map)
			return same_map(run, first, n, backing, page, prot) ? 0 : -EEXIST;
	if ((backing == SEALED || backing == LOOSE) && page + n > PAGES)
		return -EINVAL;
	run->maps++;
	for (unsigned int i = 0; i < n; i++)
		run->window[first + i] = (struct entry){ run->maps, backing, page + i, prot };
	return 0;
}

static void step_map(struct run *run, struct input *in)
{
	unsigned int first = take8(in) % WINDOW, n = take8(in) % 6, what = take8(in);
	unsigned int backing = what & 3, page = take8(in) % PAGES;
	uint32_t prot = what >> 2 & 7;
	struct backing *b = &run->backings[backing];
	struct dma_map map = {
		.iova = run->base + first * PAGE, .prot = prot,
		.fd = b->fd, .fd_offset = page * PAGE,
		.vaddr = backing == HERE ? b->bytes + page * PAGE : NULL,
		.peer = backing == PEER ? &run->peer : NULL,
	};

	if (first + n > WINDOW)
		n = WINDOW - first;
	if ((backing == HERE || backing == PEER) && page + n > PAGES)
		n = PAGES - page;
	map.size = n * PAGE;
	if (what & 0x80) {		/* anything that is not aligned is refused */
		map.iova += 1 + what % 7;
		CHECK(space_map(&run->space, &map, NULL) == -EINVAL);
		return;
	}
	CHECK(space_map(&run->space, &map, NULL) ==
	      model_map(run, first, n, backing, page, prot));
}

/* ---- unmap -------------------------------------------------------------------------------- */

static int model_unmap(struct run *run, unsigned int first, unsigned int n, uint64_t *bytes)
{
	const struct entry *w = run->window;
	unsigned int end = first + n;

	*bytes = 0;
	if (n == 0)
		return -EINVAL;
	if ((first && w[first].map && w[first - 1].map == w[first].map) ||
	    (end < WINDOW && w[end].map && w[end - 1].map == w[end].map))
		return -EINVAL;
	for (unsigned int i = first; i < end; i++)
		*bytes += w[i].map ? PAGE : 0;
	memset(run->window + first, 0, n * sizeof(run->window[0]));
	return 0;
}

static void step_unmap(struct run *run, struct input *in)
{
	unsigned int first = take8(in) % WINDOW, n = take8(in) % (WINDOW + 1);
	uint64_t got, want, before = run->gone;
	int r;

	if (first + n > WINDOW)
		n = WINDOW - first;
	r = space_unmap(&run->space, run->base + first * PAGE, n * PAGE, &got, gone, run, NULL);
	CHECK(r == model_unmap(run, first, n, &want));
	if (r == 0)
		CHECK(got == want && run->gone - before == want);
	else
		CHECK(got == 0 && run->gone == before);
}

static void step_clear(struct run *run, uint8_t how)
{
	uint64_t got = 0, want = 0, before = run->gone;

	for (unsigned int i = 0; i < WINDOW; i++)
		want += run->window[i].map ? PAGE : 0;
	if (how & 1) {
		space_clear(&run->space, gone, run);
		run->faults = 0;
	} else {
		CHECK(space_unmap(&run->space, 0, DMA_ALL, &got, gone, run, NULL) == 0);
		CHECK(got == want);
	}
	CHECK(run->gone - before == want && run->space.ranges.count == 0);
	memset(run->window, 0, sizeof(run->window));
}

/* ---- accesses ----------------------------------------------------------------------------- */

static bool model_allows(const struct run *run, uint64_t at, size_t len, uint32_t prot)
{
	if (at + len > WINDOW * PAGE)
		return false;
	for (uint64_t i = at / PAGE; len && i <= (at + len - 1) / PAGE; i++)
		if (!run->window[i].map || !(run->window[i].prot & prot))
			return false;
	return true;
}

static uint8_t *model_byte(struct run *run, uint64_t at)
{
	const struct entry *e = &run->window[at / PAGE];

	return &run->backings[e->backing].expected[e->page * PAGE + at % PAGE];
}

static void take_access(struct input *in, uint64_t *at, size_t *len)
{
	*at = take16(in) % (WINDOW * PAGE / 16) * 16 + take8(in) % 16;
	*len = take16(in) % (MAX_COPY + 1);
}

static void step_copy(struct run *run, struct input *in, uint32_t prot)
{
	static uint8_t buf[MAX_COPY];
	uint8_t fill = take8(in);
	uint64_t at;
	size_t len;
	bool allowed;

	take_access(in, &at, &len);
	allowed = model_allows(run, at, len, prot);
	for (size_t i = 0; i < len; i++)
		buf[i] = fill + i;
	CHECK(space_copy(&run->space, run->base + at, buf, len, prot) == (allowed ? 0 : -EFAULT));
	run->faults += !allowed;
	for (size_t i = 0; i < len; i++) {
		if (allowed && prot == VFIO_DMA_WRITE)
			*model_byte(run, at + i) = fill + i;
		else
			CHECK(buf[i] == (allowed ? *model_byte(run, at + i) : (uint8_t)(fill + i)));
	}
	CHECK(run->space.fault.count == run->faults);
}

/* Spans are the very bytes, in order, and cover the range. */
static void check_spans(struct run *run, uint64_t at, size_t len, const struct vfio_span *spans,
			int n)
{
	for (int i = 0; i < n; i++) {
		const struct entry *e = &run->window[at / PAGE];

		CHECK(spans[i].len && spans[i].len <= len);
		CHECK(e->backing == HERE || e->backing == SEALED);
		CHECK(memcmp(spans[i].addr, model_byte(run, at), spans[i].len) == 0);
		if (e->backing == HERE)
			CHECK((uint8_t *)spans[i].addr ==
			      run->backings[HERE].bytes + e->page * PAGE + at % PAGE);
		at += spans[i].len;
		len -= spans[i].len;
	}
	CHECK(len == 0);
}

static void step_spans(struct run *run, struct input *in, uint32_t prot)
{
	struct vfio_span spans[MAX_SPANS];
	unsigned int max = take8(in) % (MAX_SPANS + 1);
	uint64_t at;
	size_t len;
	int r;

	take_access(in, &at, &len);
	r = space_spans(&run->space, run->base + at, len, prot, spans, max);
	if (!model_allows(run, at, len, prot)) {
		CHECK(r == -EFAULT);
		run->faults++;
	} else if (r >= 0 && (unsigned int)r <= max) {
		check_spans(run, at, len, spans, r);
	} else {
		CHECK(r == -ENOTSUP || r > 0);
	}
}

/* ---- a run -------------------------------------------------------------------------------- */

static void step(struct run *run, struct input *in)
{
	uint8_t op = take8(in);
	uint32_t prot = op & 16 ? VFIO_DMA_WRITE : VFIO_DMA_READ;

	switch (op & 7) {
	case 0: case 1: case 2: step_map(run, in); break;
	case 3: step_unmap(run, in); break;
	case 4: case 5: step_copy(run, in, prot); break;
	case 6: step_spans(run, in, prot); break;
	case 7:
		if (op & 8)
			step_clear(run, op >> 4);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t bases[] = {
		0, 0x123456000, UINT64_MAX - WINDOW * PAGE + 1, (1ull << 32) - 8 * PAGE,
	};
	struct input in = { data, size };
	static struct run run;

	memset(&run, 0, sizeof(run));
	run.base = bases[take8(&in) & 3];
	run.peer = (struct dma_peer){ .read = peer_read, .write = peer_write, .arg = &run };
	space_init(&run.space);
	for (unsigned int i = 0; i < BACKINGS; i++)
		make_backing(&run.backings[i], i);
	for (unsigned int i = 0; in.left && i < MAX_STEPS; i++)
		step(&run, &in);
	space_finish(&run.space);
	for (unsigned int i = 0; i < BACKINGS; i++)
		free_backing(&run.backings[i]);
	return 0;
}
