/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of the driver API against tables: devices come and go, each with limits of its
 * own, and maps that one of them refuses none may have. After each step every device must have
 * exactly the maps of its space, as it says itself and as it reaches memory.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfio/device.h>

#include "check.h"
#include "input.h"

#define PAGE      4096u
#define WINDOW    48u		/* pages of I/O addresses, from 0 on */
#define FIRST     16u		/* page that is chosen */
#define PAGES     32u		/* of memory */
#define SHARED    2u		/* spaces; behind them, each device's own */
#define DEVICES   4u
#define MAX_STEPS 100

/* A page of the window; map 0: not mapped. */
struct entry {
	unsigned int map, page;
	uint32_t prot;
};

struct table {
	struct entry window[WINDOW];
};

struct device {
	struct vfio_function *fn;
	struct vfio_dev *dev;
	unsigned int space;		/* whose maps it has: an index into tables */
	unsigned int most_maps, most_pages;
	unsigned int first, last;	/* pages that can be mapped */
	unsigned int bits;
};

struct run {
	struct vfio_space *spaces[SHARED];
	struct table tables[SHARED + DEVICES];
	struct device devices[DEVICES];
	unsigned int made;
	uint8_t *memory;
	int fd;
};

/* ---- tables -------------------------------------------------------------------------------- */

static bool begins(const struct table *t, unsigned int i)
{
	return t->window[i].map && (i == 0 || t->window[i - 1].map != t->window[i].map);
}

static unsigned int end_of(const struct table *t, unsigned int i)
{
	unsigned int end = i;

	while (end < WINDOW && t->window[end].map == t->window[i].map)
		end++;
	return end;
}

static bool is_cut(const struct table *t, unsigned int at)
{
	return at && at < WINDOW && t->window[at].map && !begins(t, at);
}

static bool is_free(const struct table *t, unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n && i < WINDOW; i++)
		if (t->window[i].map)
			return false;
	return true;
}

/* In the pages before end: maps, and pages that they have. */
static void count(const struct table *t, unsigned int end, unsigned int *maps, unsigned int *pages)
{
	*maps = *pages = 0;
	for (unsigned int i = 0; i < end; i++) {
		*maps += begins(t, i);
		*pages += t->window[i].map != 0;
	}
}

/* What the device says to a map of n pages at first, when it has those of the table before end. */
static int refusal(const struct device *d, const struct table *t, unsigned int end,
		   unsigned int first, unsigned int n)
{
	unsigned int maps, pages;

	count(t, end, &maps, &pages);
	if (maps >= d->most_maps)
		return -ENOSPC;
	if (first < d->first || first + n - 1 > d->last)
		return -EINVAL;
	return pages + n > d->most_pages ? -ENOMEM : 0;
}

/* The last page that it can be told to reach. */
static unsigned int highest(const struct device *d)
{
	unsigned int bits = d->bits < 12 + 16 ? 1u << (d->bits - 12) : 1u << 16;

	return bits - 1 < d->last ? bits - 1 : d->last;
}

/* Which member says no does not matter, but one of them must have. */
static bool is_refusal(const struct run *run, unsigned int space, unsigned int first,
		       unsigned int n, int r)
{
	for (unsigned int i = 0; i < DEVICES; i++)
		if (run->devices[i].space == space &&
		    refusal(&run->devices[i], &run->tables[space], WINDOW, first, n) == r)
			return true;
	return false;
}

static bool is_granted(const struct run *run, unsigned int space, unsigned int first,
		       unsigned int n)
{
	for (unsigned int i = 0; i < DEVICES; i++)
		if (run->devices[i].space == space &&
		    refusal(&run->devices[i], &run->tables[space], WINDOW, first, n) < 0)
			return false;
	return true;
}

static bool suits_all(const struct run *run, unsigned int space, unsigned int first,
		      unsigned int n)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		const struct device *d = &run->devices[i];

		if (d->space == space && (first < d->first || first + n - 1 > highest(d)))
			return false;
	}
	return true;
}

/* The lowest place that there is; beyond the window all is free. 0: none. */
static unsigned int choose(const struct run *run, unsigned int space, unsigned int n)
{
	for (unsigned int first = FIRST; first <= WINDOW; first++)
		if (is_free(&run->tables[space], first, n) && suits_all(run, space, first, n))
			return first;
	return 0;
}

/* ---- devices ------------------------------------------------------------------------------- */

static void set(struct vfio_dev *dev, const char *key, unsigned int value)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", value);
	CHECK(vfio_policy_set(dev, key, text) == 0);
}

static void limit(struct device *d, struct input *in)
{
	d->most_maps = 1 + take8(in) % 12;
	d->most_pages = 1 + take8(in) % 40;
	set(d->dev, "max-maps", d->most_maps);
	set(d->dev, "max-dma", d->most_pages * PAGE);
}

static void open_device(struct run *run, unsigned int number, struct input *in)
{
	static const struct vfio_function_description description = {
		.size = sizeof(description), .name = "fuzz", .vendor = 0x1234, .device = 0x5678,
	};
	static const struct vfio_function_ops ops = { .size = sizeof(ops) };
	struct device *d = &run->devices[number];
	uint8_t how = take8(in);
	char text[64];

	*d = (struct device){ .space = SHARED + number, .bits = 64, .last = UINT16_MAX };
	CHECK(vfio_function_new(&d->fn, &description, &ops, NULL, NULL) == 0);
	CHECK(vfio_function_open(&d->dev, d->fn, NULL) == 0);
	limit(d, in);
	if (how & 1) {
		d->first = take8(in) % WINDOW;
		d->last = d->first + take8(in) % WINDOW;
		snprintf(text, sizeof(text), "%#x-%#x", d->first * PAGE, d->last * PAGE + PAGE - 1);
		CHECK(vfio_policy_set(d->dev, "iova", text) == 0);
	}
	if (how & 2) {
		d->bits = 15 + how / 4 % 8;
		CHECK(vfio_dma_set_bits(d->dev, d->bits) == 0);
	}
	CHECK(vfio_set_bus_master(d->dev, true) == 0);
}

static void close_device(struct run *run, unsigned int number)
{
	vfio_close(run->devices[number].dev);
	memset(&run->tables[SHARED + number], 0, sizeof(run->tables[0]));
}

static int model_attach(const struct run *run, unsigned int space, const struct device *d)
{
	const struct table *t = &run->tables[space];
	int r = 0;

	if (d->space < SHARED || !is_free(&run->tables[d->space], 0, WINDOW))
		return -EBUSY;
	for (unsigned int i = 0; i < WINDOW && r == 0; i++) {
		if (!begins(t, i))
			continue;
		if (i < d->first || end_of(t, i) - 1 > highest(d))
			return -EINVAL;
		r = refusal(d, t, i, i, end_of(t, i) - i);
	}
	return r;
}

static void step_attach(struct run *run, unsigned int space, unsigned int number)
{
	struct device *d = &run->devices[number];
	int r = vfio_space_attach(run->spaces[space], d->dev);

	CHECK(r == model_attach(run, space, d));
	if (r == 0)
		d->space = space;
	else
		CHECK(vfio_space_last_error(run->spaces[space])->err == -r);
}

static void step_detach(struct run *run, unsigned int number)
{
	struct device *d = &run->devices[number];

	CHECK(vfio_space_detach(d->dev) == (d->space < SHARED ? 0 : -ENOENT));
	d->space = SHARED + number;
}

static void step_free_space(struct run *run, unsigned int space)
{
	vfio_space_free(run->spaces[space]);
	CHECK(vfio_space_new(&run->spaces[space], NULL) == 0);
	memset(&run->tables[space], 0, sizeof(run->tables[0]));
	for (unsigned int i = 0; i < DEVICES; i++)
		if (run->devices[i].space == space)
			run->devices[i].space = SHARED + i;
}

/* ---- maps ---------------------------------------------------------------------------------- */

/* By whom a call is made: a device, for the space that it has, or the space. */
struct caller {
	unsigned int space;
	struct vfio_dev *dev;		/* NULL: the space */
};

static struct caller take_caller(struct run *run, struct input *in)
{
	unsigned int who = take8(in) % (SHARED + DEVICES);

	if (who < SHARED)
		return (struct caller){ who, NULL };
	return (struct caller){ run->devices[who - SHARED].space, run->devices[who - SHARED].dev };
}

static const struct vfio_error *error_of(struct run *run, const struct caller *c)
{
	return c->dev ? vfio_last_error(c->dev) : vfio_space_last_error(run->spaces[c->space]);
}

static int call_map(struct run *run, const struct caller *c, struct vfio_dma *dma)
{
	int r = c->dev ? vfio_dma_map(c->dev, dma) : vfio_space_map(run->spaces[c->space], dma);

	CHECK(r == 0 || error_of(run, c)->err == -r);
	return r;
}

static int call_unmap(struct run *run, const struct caller *c, uint64_t iova, uint64_t size)
{
	int r = c->dev ? vfio_dma_unmap(c->dev, iova, size)
		       : vfio_space_unmap(run->spaces[c->space], iova, size);

	CHECK(r == 0 || error_of(run, c)->err == -r);
	return r;
}

static void check_map(struct run *run, const struct caller *c, unsigned int first, unsigned int n,
		      uint32_t prot, int r)
{
	const struct table *t = &run->tables[c->space];

	if (n == 0 || prot == 0)
		CHECK(r == -EINVAL);
	else if (first == 0 && r == -ENOSPC)
		return;			/* what cannot be chosen: step_map() has looked */
	else if (!is_free(t, first, n))
		CHECK(r == -EEXIST);
	else
		CHECK(is_granted(run, c->space, first, n) ? r == 0
			: is_refusal(run, c->space, first, n, r));
}

static void step_map(struct run *run, struct input *in)
{
	struct caller c = take_caller(run, in);
	unsigned int first = take8(in) % WINDOW, n = take8(in) % 6, page = take8(in) % PAGES;
	uint8_t how = take8(in);
	struct table *t = &run->tables[c.space];
	struct vfio_dma dma = { .prot = how & 3, .fd = how & 4 ? run->fd : -1 };
	int r;

	if (page + n > PAGES)
		n = PAGES - page;
	if (first + n > WINDOW)
		n = WINDOW - first;
	if (how & 8)
		first = n ? choose(run, c.space, n) : 0;
	if (first + n > WINDOW)
		return;			/* the tables end there */
	dma.iova = how & 8 ? VFIO_IOVA_ANY : (uint64_t)first * PAGE;
	dma.size = n * PAGE;
	dma.vaddr = run->memory + page * PAGE;
	dma.fd_offset = page * PAGE;
	r = call_map(run, &c, &dma);
	if ((how & 8) && n && dma.prot && !first) {
		CHECK(r == -ENOSPC && dma.iova == VFIO_IOVA_ANY);
		return;
	}
	check_map(run, &c, first, n, dma.prot, r);
	if (r < 0)
		return;
	CHECK(dma.iova == (uint64_t)first * PAGE);
	run->made++;
	for (unsigned int i = 0; i < n; i++)
		t->window[first + i] = (struct entry){ run->made, page + i, dma.prot };
}

static void step_unmap(struct run *run, struct input *in)
{
	struct caller c = take_caller(run, in);
	unsigned int first = take8(in) % WINDOW, n = take8(in) % (WINDOW + 2);
	struct table *t = &run->tables[c.space];
	int want = 0;

	if (n == WINDOW + 1) {
		CHECK(call_unmap(run, &c, 0, UINT64_MAX) == 0);
		memset(t, 0, sizeof(*t));
		return;
	}
	if (first + n > WINDOW)
		n = WINDOW - first;
	if (n == 0 || is_cut(t, first) || is_cut(t, first + n))
		want = -EINVAL;
	else if (is_free(t, first, n))
		want = -ENOENT;
	CHECK(call_unmap(run, &c, (uint64_t)first * PAGE, n * PAGE) == want);
	if (want == 0)
		memset(&t->window[first], 0, n * sizeof(t->window[0]));
}

/* By handle: only one that was given. */
static void step_free(struct run *run, struct input *in)
{
	struct caller c = take_caller(run, in);
	unsigned int first = take8(in) % WINDOW, page = take8(in);
	struct table *t = &run->tables[c.space];
	const struct entry *e = &t->window[first];
	struct vfio_dma dma = { .iova = first * PAGE, .size = PAGE, .fd = -1 };
	bool there;

	page = page & 1 ? e->page : page / 2 % PAGES;
	there = begins(t, first) && page == e->page;
	dma.vaddr = run->memory + page * PAGE;
	CHECK((c.dev ? vfio_dma_free(c.dev, &dma)
		     : vfio_space_dma_free(run->spaces[c.space], &dma)) == (there ? 0 : -ENOENT));
	CHECK((dma.size == 0) == there);
	if (there)
		memset(&t->window[first], 0, (end_of(t, first) - first) * sizeof(*e));
}

/* Every map goes that shows some of these pages. */
static void step_forget(struct run *run, struct input *in)
{
	struct device *d = &run->devices[take8(in) % DEVICES];
	struct table *t = &run->tables[d->space];
	unsigned int page = take8(in) % PAGES, n = take8(in) % 5;
	int gone = 0;

	for (unsigned int i = 0; i < WINDOW; i++) {
		unsigned int pages;

		if (!begins(t, i))
			continue;
		pages = end_of(t, i) - i;
		if (n && t->window[i].page < page + n && page < t->window[i].page + pages) {
			memset(&t->window[i], 0, pages * sizeof(t->window[0]));
			gone++;
		}
	}
	CHECK(vfio_dma_forget(d->dev, run->memory + page * PAGE, n * PAGE) == gone);
}

/* ---- what devices have --------------------------------------------------------------------- */

static void check_maps(const struct device *d, const struct table *t)
{
	struct vfio_dma_info info;
	uint64_t cursor = 0;

	for (unsigned int i = 0; i < WINDOW; i++) {
		if (!begins(t, i))
			continue;
		CHECK(vfio_dma_next(d->dev, &cursor, &info) == 1);
		CHECK(info.iova == (uint64_t)i * PAGE);
		CHECK(info.size == (uint64_t)(end_of(t, i) - i) * PAGE);
		CHECK(info.prot == t->window[i].prot);
	}
	CHECK(vfio_dma_next(d->dev, &cursor, &info) == 0);
}

static void check_reach(const struct run *run, const struct device *d, const struct table *t)
{
	for (unsigned int i = 0; i < WINDOW; i++) {
		const struct entry *e = &t->window[i];
		bool allowed = e->map && (e->prot & VFIO_DMA_READ);
		uint8_t byte;

		CHECK(vfio_function_dma_read(d->fn, i * PAGE + 7, &byte, 1) ==
		      (allowed ? 0 : -EFAULT));
		if (allowed)
			CHECK(byte == run->memory[e->page * PAGE + 7]);
	}
}

static void check_devices(const struct run *run)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		const struct device *d = &run->devices[i];

		check_maps(d, &run->tables[d->space]);
		check_reach(run, d, &run->tables[d->space]);
	}
}

/* ---- a run --------------------------------------------------------------------------------- */

static void step(struct run *run, struct input *in)
{
	uint8_t op = take8(in);
	unsigned int number = op >> 4 & 3, space = op >> 6 & 1;

	switch (op & 15) {
	case 6: case 7: step_unmap(run, in); break;
	case 8: step_free(run, in); break;
	case 9: step_forget(run, in); break;
	case 10: case 11: case 12: step_attach(run, space, number); break;
	case 13: step_detach(run, number); break;
	case 14: limit(&run->devices[number], in); break;
	case 15:
		if (op & 0x80) {
			step_free_space(run, space);
		} else {
			close_device(run, number);
			open_device(run, number, in);
		}
		break;
	default: step_map(run, in); break;
	}
	check_devices(run);
}

static void begin(struct run *run, struct input *in)
{
	memset(run, 0, sizeof(*run));
	run->fd = memfd_create("fuzz-spaces", MFD_CLOEXEC);
	CHECK(run->fd >= 0 && ftruncate(run->fd, PAGES * PAGE) == 0);
	run->memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, run->fd, 0);
	CHECK(run->memory != MAP_FAILED);
	for (unsigned int i = 0; i < PAGES; i++)
		run->memory[i * PAGE + 7] = i + 1;
	for (unsigned int i = 0; i < SHARED; i++)
		CHECK(vfio_space_new(&run->spaces[i], NULL) == 0);
	for (unsigned int i = 0; i < DEVICES; i++)
		open_device(run, i, in);
}

/* Devices before spaces, or after them. */
static void end(struct run *run, bool spaces_first)
{
	for (unsigned int i = 0; spaces_first && i < SHARED; i++)
		step_free_space(run, i);
	for (unsigned int i = 0; i < DEVICES; i++)
		close_device(run, i);
	for (unsigned int i = 0; i < SHARED; i++)
		vfio_space_free(run->spaces[i]);
	munmap(run->memory, PAGES * PAGE);
	close(run->fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int fds = open_fds();
	bool spaces_first = take8(&in) & 1;
	static struct run run;

	begin(&run, &in);
	check_devices(&run);
	for (unsigned int i = 0; in.left && i < MAX_STEPS; i++)
		step(&run, &in);
	end(&run, spaces_first);
	CHECK(open_fds() == fds);
	return 0;
}
