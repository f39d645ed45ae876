/* SPDX-License-Identifier: MIT */
/*
 * The software IOMMU against a model of it (space_model.h): by the rules of each of the kernel's,
 * with memory of every kind, limits, a gate, faults, dirty pages, and files that are cut off while
 * they are mapped. The window of I/O addresses is at the bottom, in the middle or at the very top.
 */
#include <errno.h>

#include "check.h"
#include "input.h"
#include "space_model.h"

#define MAX_STEPS 256
#define MAX_COPY  (3 * PAGE)
#define MAX_SPANS 6

struct run {
	struct space space;
	struct reader reader;
	struct dma_peer peer;
	struct model model;
	uint64_t gone;			/* bytes that were reported as going */
	uint64_t faults;
};

/* ---- memory ------------------------------------------------------------------------------- */

/* The peer is asked for I/O addresses: the window says which bytes those are. */
static uint8_t *peer_bytes(struct run *run, uint64_t iova, size_t len)
{
	const struct entry *e = &run->model.window[(iova - run->model.base) / PAGE];
	size_t at = e->page * PAGE + iova % PAGE;

	CHECK(e->map && e->backing == PEER && at + len <= PAGES * PAGE);
	return run->model.backings[PEER].bytes + at;
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

static void gone(void *arg, uint64_t iova, uint64_t size)
{
	struct run *run = arg;

	CHECK(size && iova >= run->model.base);
	run->gone += size;
}

/* ---- maps --------------------------------------------------------------------------------- */

/* Beyond the window there may be other addresses, or the end of all. */
static void fit(const struct run *run, struct request *q)
{
	if (q->first + q->n > WINDOW && run->model.base + WINDOW * PAGE != 0)
		q->n = WINDOW - q->first;
}

/* The memory that is not looked at must be as long as the map. */
static struct request take_request(struct run *run, struct input *in)
{
	struct request q = { .first = take8(in) % WINDOW, .n = take8(in) % 6 };
	uint8_t what = take8(in), more = take8(in);

	q.backing = (what & 7) % BACKINGS;
	q.page = more % PAGES;
	q.prot = what >> 3 & 3;
	if (what & 0x20)
		q.prot ^= more & 4;		/* no such direction */
	q.odd = (what & 0xc0) == 0xc0;
	fit(run, &q);
	if (q.backing != SEALED && q.backing != LOOSE && q.page + q.n > PAGES)
		q.n = PAGES - q.page;
	return q;
}

static struct dma_map dma_map(struct run *run, const struct request *q)
{
	const struct backing *b = &run->model.backings[q->backing];
	struct dma_map map = {
		.iova = run->model.base + q->first * PAGE, .size = q->n * PAGE, .prot = q->prot,
		.fd = b->fd, .fd_offset = q->page * PAGE,
	};

	if (q->backing == HERE)
		map.vaddr = b->bytes + q->page * PAGE;
	if (q->backing == PEER)
		map.peer = &run->peer;
	if (q->backing == PROCESS) {
		map.by_process = true;
		map.fd_offset += (uintptr_t)b->bytes;
	}
	if (q->odd) {
		map.iova += 8;
		map.size -= map.size ? 8 : 0;
	}
	return map;
}

static void step_map(struct run *run, struct input *in)
{
	struct request q = take_request(run, in);
	const struct dma_map map = dma_map(run, &q);

	CHECK(space_map(&run->space, &map, NULL) == model_map(&run->model, &q));
}

static void step_renew(struct run *run, struct input *in)
{
	struct request q = take_request(run, in);
	struct dma_map map;

	q.odd = false;
	if (q.first + q.n > WINDOW)
		q.n = WINDOW - q.first;
	map = dma_map(run, &q);
	CHECK(space_renew(&run->space, &map, NULL) == model_renew(&run->model, &q));
}

static void step_retire(struct run *run, unsigned int page)
{
	CHECK(space_retire(&run->space, run->model.base + page * PAGE, NULL) ==
	      model_retire(&run->model, page));
}

static void step_unmap(struct run *run, struct input *in)
{
	struct request q = { .first = take8(in) % WINDOW };
	uint64_t got, want, before = run->gone, iova = run->model.base + q.first * PAGE, size;
	uint8_t n = take8(in);
	int r;

	q.n = n % (WINDOW + 1);
	q.odd = n >= 0xe0 && run->model.rules != SPACE_IOMMUFD;
	fit(run, &q);
	size = q.n * PAGE;
	if (q.odd) {
		iova += 8;
		size -= size ? 8 : 0;
	}
	r = space_unmap(&run->space, iova, size, &got, gone, run, NULL);
	CHECK(r == model_unmap(&run->model, &q, &want));
	CHECK(got == want && run->gone - before == want);
}

static void step_clear(struct run *run, bool all)
{
	uint64_t got = 0, want = model_bytes(&run->model), before = run->gone;

	if (all) {
		space_clear(&run->space, gone, run);
		run->faults = 0;
		run->model.dirty_page = 0;
	} else {
		CHECK(space_unmap(&run->space, 0, DMA_ALL, &got, gone, run, NULL) == 0);
		CHECK(got == want);
	}
	CHECK(run->gone - before == want && run->space.ranges.count == 0);
	model_clear(&run->model);
}

/* ---- what is decided ----------------------------------------------------------------------- */

static void step_limit(struct run *run, struct input *in)
{
	run->model.most_maps = take8(in) % (WINDOW + 1);
	run->model.most_bytes = take8(in) % (2 * WINDOW) * (PAGE / 2);
	space_limit(&run->space, run->model.most_maps, run->model.most_bytes);
}

static void step_allow(struct run *run, struct input *in)
{
	unsigned int n = take8(in) % 4, first[3] = { 0 }, last[3] = { 0 };
	struct vfio_iova_range ranges[3];

	for (unsigned int i = 0; i < n; i++) {
		first[i] = take8(in) % WINDOW;
		last[i] = take8(in) % WINDOW;
		ranges[i].start = run->model.base + first[i] * PAGE;
		ranges[i].end = run->model.base + last[i] * PAGE + PAGE - 1;
	}
	CHECK(space_allow(&run->space, ranges, n, NULL) ==
	      model_allow(&run->model, n, first, last));
}

static void step_gate(struct run *run, bool open)
{
	space_gate(&run->space, open);
	run->model.closed = !open;
}

/* ---- accesses ----------------------------------------------------------------------------- */

static void take_access(struct input *in, uint64_t *at, size_t *len)
{
	*at = take16(in) % (WINDOW * PAGE / 16) * 16 + take8(in) % 16;
	*len = take16(in) % (MAX_COPY + 1);
}

static void check_fault(struct run *run, int r)
{
	struct vfio_fault fault;
	bool is_fault = r < 0 && r != -ENOTSUP;

	run->faults += is_fault;
	CHECK(space_fault(&run->space, &fault) == (run->faults != 0));
	CHECK(fault.count == run->faults && (!is_fault || fault.err == -r));
}

/*
 * The memory failed: of what is there, a part may have been copied, that of the maps before the one
 * that failed in any case.
 */
static void settle(struct run *run, uint64_t at, size_t len, const uint8_t *buf, uint8_t fill,
		   bool write)
{
	uint64_t failed = at, end;

	while (model_has(&run->model, failed))
		failed++;
	for (end = failed; end < at + len && run->model.window[end / PAGE].map ==
	     run->model.window[failed / PAGE].map; end++)
		;
	for (size_t i = 0; i < len; i++) {
		uint8_t *byte = model_byte(&run->model, at + i);

		if (!model_has(&run->model, at + i))
			continue;
		if (write)
			*byte = *model_real_byte(&run->model, at + i);
		else
			CHECK(buf[i] == *byte || buf[i] == (uint8_t)(fill + i));
	}
	if (write)
		model_written(&run->model, at, end - at);
}

static void settle_all(struct run *run, uint64_t at, size_t len, const uint8_t *buf, uint8_t fill,
		       bool write)
{
	for (size_t i = 0; i < len; i++) {
		if (write)
			*model_byte(&run->model, at + i) = fill + i;
		else
			CHECK(buf[i] == *model_byte(&run->model, at + i));
	}
	if (write)
		model_written(&run->model, at, len);
}

/* By the owner, or (reader) by a thread of the device's. */
static void step_copy(struct run *run, struct input *in, bool write, bool reader)
{
	static uint8_t buf[MAX_COPY];
	uint32_t prot = write ? VFIO_DMA_WRITE : VFIO_DMA_READ;
	uint8_t fill = take8(in);
	uint64_t at;
	size_t len;
	int r, want;

	take_access(in, &at, &len);
	want = model_access(&run->model, at, len, prot);
	if (reader && model_asks(&run->model, at, len))
		want = -ENOTSUP;
	for (size_t i = 0; i < len; i++)
		buf[i] = fill + i;
	if (reader)
		reader_enter(&run->reader);
	r = reader ? reader_copy(&run->reader, run->model.base + at, buf, len, prot)
		   : space_copy(&run->space, run->model.base + at, buf, len, prot);
	if (reader)
		reader_leave(&run->reader);
	CHECK(r == want);
	if (r == 0)
		settle_all(run, at, len, buf, fill, write);
	else if (r == -EIO)
		settle(run, at, len, buf, fill, write);
	for (size_t i = 0; r < 0 && r != -EIO && i < len; i++)
		CHECK(buf[i] == (uint8_t)(fill + i));
	check_fault(run, r);
}

/* Spans are the very bytes, in order, and cover the range. */
static void check_spans(struct run *run, uint64_t at, size_t len, const struct vfio_span *spans,
			int n)
{
	for (int i = 0; i < n; i++) {
		const struct entry *e = &run->model.window[at / PAGE];

		CHECK(spans[i].len && spans[i].len <= len);
		CHECK(memcmp(spans[i].addr, model_byte(&run->model, at), spans[i].len) == 0);
		if (e->backing == HERE)
			CHECK((uint8_t *)spans[i].addr == model_real_byte(&run->model, at));
		at += spans[i].len;
		len -= spans[i].len;
	}
	CHECK(len == 0);
}

static void step_spans(struct run *run, struct input *in, bool reader)
{
	struct vfio_span spans[MAX_SPANS];
	uint8_t how = take8(in);
	unsigned int max = how % (MAX_SPANS + 1);
	uint32_t prot = 1 + (how >> 3) % VFIO_DMA_RW;
	uint64_t at;
	size_t len;
	int r, want;

	take_access(in, &at, &len);
	want = model_access(&run->model, at, len, prot);
	if (want == 0 || want == -EIO)
		want = model_spans(&run->model, at, len);
	if (reader)
		reader_enter(&run->reader);
	r = reader ? reader_spans(&run->reader, run->model.base + at, len, prot, spans, max)
		   : space_spans(&run->space, run->model.base + at, len, prot, spans, max);
	CHECK(r == want);
	if (r > 0 && (unsigned int)r <= max) {
		check_spans(run, at, len, spans, r);
		if (prot & VFIO_DMA_WRITE)
			model_written(&run->model, at, len);
	}
	if (reader)
		reader_leave(&run->reader);
	check_fault(run, r);
}

/* ---- dirty pages -------------------------------------------------------------------------- */

static void step_track(struct run *run, struct input *in)
{
	uint8_t how = take8(in);
	uint64_t page = how & 8 ? how : (uint64_t)PAGE << how % 5;

	if (how & 16) {
		space_dirty_stop(&run->space);
		run->model.dirty_page = 0;
		return;
	}
	CHECK(space_dirty_start(&run->space, page, NULL) == (how & 8 ? -EINVAL : 0));
	if (how & 8)
		return;
	run->model.dirty_page = page;
	for (unsigned int i = 0; i < WINDOW; i++)
		run->model.window[i].dirty = false;
}

static void step_take_dirty(struct run *run, struct input *in)
{
	uint64_t page = run->model.dirty_page ? run->model.dirty_page : PAGE;
	uint64_t bits = take8(in), before = bits, n = 1 + take8(in) % 40;
	uint64_t iova = run->model.base / page * page + take8(in) % WINDOW * page;
	int r;

	if (n == 40)
		iova += 8;
	r = space_dirty_take(&run->space, iova, n * page, &bits, NULL);
	if (!run->model.dirty_page || n == 40 || iova + n * page - 1 < iova) {
		CHECK(r == -EINVAL && bits == before);
		return;
	}
	CHECK(r == 0 && bits == (before | model_take_dirty(&run->model, iova, n)));
}

static void step_dirty(struct run *run, struct input *in)
{
	uint64_t at, iova;
	size_t len;

	take_access(in, &at, &len);
	iova = run->model.base + at;
	space_dirty(&run->space, iova, len);
	if (iova + len >= iova || iova + len == 0)	/* it ends before the end of all */
		model_written(&run->model, at, len);
}

/* ---- a run -------------------------------------------------------------------------------- */

static void step_rare(struct run *run, struct input *in, uint8_t op)
{
	switch (op >> 4) {
	case 0: step_clear(run, false); break;
	case 1: step_clear(run, true); break;
	case 2: step_limit(run, in); break;
	case 3: step_allow(run, in); break;
	case 4: step_gate(run, false); break;
	case 5: step_gate(run, true); break;
	case 6: case 7: model_truncate(&run->model, take8(in) % (PAGES + 1)); break;
	case 8: case 9: step_track(run, in); break;
	case 10: case 11: step_take_dirty(run, in); break;
	case 12: step_dirty(run, in); break;
	case 13: step_retire(run, take8(in) % WINDOW); break;
	default: step_renew(run, in); break;
	}
}

static void step(struct run *run, struct input *in)
{
	uint8_t op = take8(in);

	switch (op & 7) {
	case 0: case 1: case 2: step_map(run, in); break;
	case 3: step_unmap(run, in); break;
	case 4: case 5: step_copy(run, in, op & 16, op & 32); break;
	case 6: step_spans(run, in, op & 32); break;
	case 7: step_rare(run, in, op); break;
	}
	CHECK(run->space.maps.used == model_maps(&run->model));
	CHECK(run->space.maps.used == run->space.ranges.count);
	CHECK(run->space.bytes.used == model_bytes(&run->model));
}

static void begin(struct run *run, uint8_t how)
{
	static const uint64_t bases[] = {
		0, 0x123456000, UINT64_MAX - WINDOW * PAGE + 1, (1ull << 32) - 8 * PAGE,
	};
	static const enum space_rules rules[] = {
		SPACE_TYPE1_V2, SPACE_TYPE1_V1, SPACE_IOMMUFD, SPACE_TYPE1_V2,
	};

	memset(run, 0, sizeof(*run));
	run->model = (struct model){
		.base = bases[how & 3], .rules = rules[how >> 2 & 3], .careful = how & 16,
		.takes_process = !(how & 32),
		.most_maps = SPACE_MAPS, .most_bytes = UINT64_MAX,
	};
	run->peer = (struct dma_peer){ .read = peer_read, .write = peer_write, .arg = run };
	space_init(&run->space);
	run->space.rules = run->model.rules;
	run->space.careful = run->model.careful;
	run->space.files.takes_process = run->model.takes_process;
	reader_init(&run->reader, &run->space);
	model_make_memory(&run->model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static struct run run;

	begin(&run, take8(&in));
	for (unsigned int i = 0; in.left && i < MAX_STEPS; i++)
		step(&run, &in);
	reader_finish(&run.reader);
	space_finish(&run.space);
	model_free_memory(&run.model);
	return 0;
}
