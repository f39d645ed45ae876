/* SPDX-License-Identifier: MIT */
/*
 * What DMA maps cost in process, with few of them and with a million: one map more, one less, a
 * translation, all of them in every order. The pages that are mapped lie side by side, or every
 * second page is one; which is next is random, so that with many maps nothing of what is needed is
 * in the processor's caches. Beside them, in turn and in the same run, a floor: the bytes that
 * describe a map are copied behind a function pointer. Targets stand there for information.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vfio/device.h>

#include "contract.h"
#include "measure.h"

#define PAGE    4096u
#define BATCH   16		/* maps that come and go at once */
#define LOOKUPS 256
#define STEPPED 8		/* of either are stepped through */
#define ROUNDS  21
#define OPS     2048		/* in a round, about */
#define COLUMNS 4

static const unsigned int counts[COLUMNS] = { 1, 1000, 60000, 1000000 };

static uint8_t memory[PAGE] __attribute__((aligned(4096)));

/* A device with maps: in random order BATCH places more than maps, live of them from head on. */
struct table {
	struct vfio_function *fn;
	struct vfio_dev *dev;
	struct vfio_dma_engine *engine;
	bool by_driver;			/* vfio_dma_map(), not the contract below it */
	unsigned int step;		/* pages from one place to the next */
	unsigned int live, places, head;
	uint32_t *order;
	uint64_t *targets;		/* I/O addresses to translate: those of the maps */
	unsigned int next;		/* of them */
	unsigned int ops;		/* to do at once */
	struct dma_map copy;
	void (*copy_map)(struct dma_map *to, const struct dma_map *from);
};

/* ---- the device --------------------------------------------------------------------------- */

static void fail(struct table *t, const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(vfio_error_print(stderr, "dma-maps", vfio_last_error(t->dev)));
}

static void open_device(struct table *t)
{
	static const struct vfio_function_description description = {
		.size = sizeof(description), .name = "bench", .vendor = 0x1234, .device = 0x5678,
	};
	static const struct vfio_function_ops ops = { .size = sizeof(ops) };
	struct vfio_error err;

	if (vfio_function_new(&t->fn, &description, &ops, NULL, &err) < 0 ||
	    vfio_function_open(&t->dev, t->fn, &err) < 0)
		exit(vfio_error_print(stderr, "dma-maps", &err));
	if (vfio_dma_engine_new(&t->engine, t->fn) < 0 || vfio_set_bus_master(t->dev, true) < 0)
		fail(t, "starting");
}

static void close_device(struct table *t)
{
	vfio_dma_engine_free(t->engine);
	vfio_close(t->dev);
}

static uint64_t iova_of(const struct table *t, unsigned int place)
{
	return 0x100000000 + (uint64_t)place * t->step * PAGE;
}

static void map(struct table *t, unsigned int place)
{
	const struct dma_map m = {
		.iova = iova_of(t, place), .size = PAGE, .prot = VFIO_DMA_RW, .vaddr = memory,
		.fd = -1,
	};
	struct vfio_dma dma = {
		.iova = m.iova, .size = PAGE, .prot = VFIO_DMA_RW, .vaddr = memory, .fd = -1,
	};

	if (t->by_driver ? vfio_dma_map(t->dev, &dma) < 0
			 : t->dev->backend->dma_map(t->dev, &m) < 0)
		fail(t, "map");
}

static void unmap(struct table *t, unsigned int place)
{
	uint64_t iova = iova_of(t, place), unmapped;

	if (t->by_driver ? vfio_dma_unmap(t->dev, iova, PAGE) < 0
			 : t->dev->backend->dma_unmap(t->dev, iova, PAGE, &unmapped) < 0)
		fail(t, "unmap");
}

/* ---- what is measured --------------------------------------------------------------------- */

static unsigned int place_at(const struct table *t, unsigned int i)
{
	i += t->head;
	return t->order[i < t->places ? i : i - t->places];
}

static void nothing(struct table *t)
{
}

static void map_more(struct table *t)
{
	for (unsigned int i = 0; i < t->ops; i++)
		map(t, place_at(t, t->live + i));
}

/* The oldest go, wherever they are. */
static void unmap_oldest(struct table *t)
{
	for (unsigned int i = 0; i < t->ops; i++)
		unmap(t, place_at(t, i));
	t->head = (t->head + t->ops) % t->places;
}

static void pair(struct table *t)
{
	for (unsigned int i = 0; i < t->ops; i++) {
		map(t, place_at(t, t->live));
		unmap(t, place_at(t, 0));
		t->head = (t->head + 1) % t->places;
	}
}

static void pair_again(struct table *t)
{
	unsigned int place = place_at(t, t->live);

	for (unsigned int i = 0; i < t->ops; i++) {
		map(t, place);
		unmap(t, place);
	}
}

static void list_targets(struct table *t)
{
	uint32_t at = 0;

	for (unsigned int i = 0; i < t->live; i++) {
		at = (at + 1000003u) % t->live;
		t->targets[i] = iova_of(t, place_at(t, at)) + 64;
	}
	t->next = 0;
}

static uint64_t next_target(struct table *t)
{
	if (t->next == t->live)
		t->next = 0;
	return t->targets[t->next++];
}

static void translate(struct table *t, uint64_t iova)
{
	struct vfio_span span;

	if (vfio_function_dma_spans(t->fn, iova, 64, VFIO_DMA_READ, &span, 1) != 1)
		fail(t, "translation");
}

static void translate_again(struct table *t)
{
	for (unsigned int i = 0; i < t->ops; i++)
		translate(t, t->targets[0]);
}

static void translate_any(struct table *t)
{
	for (unsigned int i = 0; i < t->ops; i++)
		translate(t, next_target(t));
}

static void engine_translate(struct table *t, uint64_t iova)
{
	struct vfio_span span;

	if (vfio_dma_engine_spans(t->engine, iova, 64, VFIO_DMA_READ, &span, 1) != 1)
		fail(t, "translation");
}

static void engine_begin(struct table *t)
{
	vfio_dma_engine_begin(t->engine);
}

static void engine_end(struct table *t)
{
	vfio_dma_engine_end(t->engine);
}

static void engine_translate_again(struct table *t)
{
	for (unsigned int i = 0; i < t->ops; i++)
		engine_translate(t, t->targets[0]);
}

static void engine_translate_any(struct table *t)
{
	for (unsigned int i = 0; i < t->ops; i++)
		engine_translate(t, next_target(t));
}

static void copy_map(struct dma_map *to, const struct dma_map *from)
{
	memcpy(to, from, sizeof(*to));
}

static void floor_copy(struct table *t)
{
	static const struct dma_map from = { .size = PAGE, .vaddr = memory, .fd = -1 };

	for (unsigned int i = 0; i < t->ops; i++)
		t->copy_map(&t->copy, &from);
}

typedef void step_fn(struct table *t);

/* Timed is act alone. */
struct subject {
	const char *name, *target;
	step_fn *before, *act, *after;
	unsigned int ops;		/* for act to do */
};

static const struct subject map_subjects[] = {
	{ "map", "60 000: < 1.5 x that of 1", nothing, map_more, unmap_oldest, BATCH },
	{ "unmap", "", map_more, unmap_oldest, nothing, BATCH },
	{ "map one, unmap another", "60 000: < 300 ns", nothing, pair, nothing, BATCH },
	{ "map and unmap one page", "", nothing, pair_again, nothing, BATCH },
};

static const struct subject translate_subjects[] = {
	{ "floor: a map copied", "", nothing, floor_copy, nothing, LOOKUPS },
	{ "translate, the last map again", "3 ns", nothing, translate_again, nothing, LOOKUPS },
	{ "translate, any map", "60 000: < 40 ns", nothing, translate_any, nothing, LOOKUPS },
	{ "engine, the last map again", "", engine_begin, engine_translate_again, engine_end,
	  LOOKUPS },
	{ "engine, any map", "", engine_begin, engine_translate_any, engine_end, LOOKUPS },
};

#define MOST_SUBJECTS 5

/* ---- measuring ---------------------------------------------------------------------------- */

static double measure(struct table *t, const struct subject *s)
{
	double sum = 0;
	unsigned int batches = OPS / s->ops;

	t->ops = s->ops;
	for (unsigned int i = 0; i < batches; i++) {
		double start;

		s->before(t);
		start = nanoseconds();
		s->act(t);
		sum += nanoseconds() - start;
		s->after(t);
	}
	return sum / batches / s->ops;
}

struct stepped {
	struct table *table;
	const struct subject *subject;
};

static void prepare(void *arg)
{
	struct stepped *s = arg;

	s->table->ops = STEPPED;
	s->subject->before(s->table);
	s->subject->act(s->table);
	s->subject->after(s->table);
	s->subject->before(s->table);
}

static void act(void *arg)
{
	struct stepped *s = arg;

	s->subject->act(s->table);
}

/* A cell of the output. */
struct cell {
	struct figures ns;
	double instructions;
};

static void measure_all(struct table *t, const struct subject *subjects, unsigned int n,
			struct cell cells[][COLUMNS], unsigned int column)
{
	static double ns[MOST_SUBJECTS][ROUNDS];

	/* The first round warms up, and is overwritten. */
	for (unsigned int round = 0; round <= ROUNDS; round++)
		for (unsigned int i = 0; i < n; i++)
			ns[i][round % ROUNDS] = measure(t, &subjects[i]);
	for (unsigned int i = 0; i < n; i++) {
		struct stepped stepped = { t, &subjects[i] };
		long steps = count_instructions(prepare, act, &stepped);

		cells[i][column] = (struct cell){
			figures_of(ns[i], ROUNDS), steps < 0 ? -1 : (double)steps / STEPPED,
		};
	}
}

static void shuffle(uint32_t *order, unsigned int n)
{
	uint64_t state = 20101117;

	for (unsigned int i = 0; i < n; i++)
		order[i] = i;
	for (unsigned int i = n; i > 1; i--) {
		unsigned int j;
		uint32_t swap = order[i - 1];

		state = state * 6364136223846793005ull + 1442695040888963407ull;
		j = (state >> 33) % i;
		order[i - 1] = order[j];
		order[j] = swap;
	}
}

static void make_table(struct table *t, unsigned int live, unsigned int step, bool by_driver)
{
	*t = (struct table){
		.by_driver = by_driver, .step = step, .live = live, .places = live + BATCH,
		.copy_map = copy_map,
	};
	t->order = malloc(t->places * sizeof(*t->order));
	t->targets = malloc(live * sizeof(*t->targets));
	if (!t->order || !t->targets)
		die("malloc");
	shuffle(t->order, t->places);
	open_device(t);
}

static void free_table(struct table *t)
{
	close_device(t);
	free(t->order);
	free(t->targets);
}

static void print(const struct subject *subjects, unsigned int n, struct cell cells[][COLUMNS])
{
	for (unsigned int i = 0; i < n; i++) {
		printf("  %-30s", subjects[i].name);
		for (unsigned int c = 0; c < COLUMNS; c++) {
			const struct cell *cell = &cells[i][c];
			char text[64];

			snprintf(text, sizeof(text), "%.1f (%.1f..%.1f) %.0fi", cell->ns.middle,
				 cell->ns.least, cell->ns.most, cell->instructions);
			printf(" %-29s", text);
		}
		printf(" %s\n", subjects[i].target);
	}
}

static void run(const char *title, const struct subject *subjects, unsigned int n,
		unsigned int step, bool by_driver)
{
	struct cell cells[MOST_SUBJECTS][COLUMNS];

	for (unsigned int c = 0; c < COLUMNS; c++) {
		struct table t;

		make_table(&t, counts[c], step, by_driver);
		for (unsigned int i = 0; i < t.live; i++)
			map(&t, t.order[i]);
		list_targets(&t);
		measure_all(&t, subjects, n, cells, c);
		free_table(&t);
	}
	printf("%s\n", title);
	print(subjects, n, cells);
	fflush(stdout);
}

/* ---- all of them, in every order ---------------------------------------------------------- */

enum { UP, DOWN, MIXED, ORDERS };
static const char *const order_names[ORDERS] = { "ascending", "descending", "shuffled" };

static unsigned int nth(const struct table *t, unsigned int order, unsigned int i)
{
	return order == UP ? i : order == DOWN ? t->live - 1 - i : t->order[i];
}

/* The time of one map, and of one unmap; order ORDERS: all of them at once. */
static void fill_and_empty(struct table *t, unsigned int in, unsigned int out, double *mapped,
			   double *unmapped)
{
	double start = nanoseconds(), full;
	uint64_t bytes;

	for (unsigned int i = 0; i < t->live; i++)
		map(t, nth(t, in, i));
	full = nanoseconds();
	*mapped = (full - start) / t->live;
	if (out == ORDERS && t->dev->backend->dma_unmap(t->dev, 0, DMA_ALL, &bytes) < 0)
		fail(t, "unmap of all");
	for (unsigned int i = 0; out < ORDERS && i < t->live; i++)
		unmap(t, nth(t, out, i));
	*unmapped = (nanoseconds() - full) / t->live;
}

#define FILLS 5

static void print_fills(struct table *t, unsigned int in, unsigned int fills)
{
	double mapped[ORDERS + 1][FILLS], unmapped[ORDERS + 1][FILLS];
	struct figures f;

	for (unsigned int i = 0; i < fills; i++)
		for (unsigned int out = 0; out <= ORDERS; out++)
			fill_and_empty(t, in, out, &mapped[out][i], &unmapped[out][i]);
	f = figures_of(mapped[0], fills);
	printf("  %-10s %6.1f (%.1f..%.1f)  ", order_names[in], f.middle, f.least, f.most);
	for (unsigned int out = 0; out < ORDERS; out++) {
		f = figures_of(unmapped[out], fills);
		printf(" %6.1f (%.1f..%.1f) %s ", f.middle, f.least, f.most, order_names[out]);
	}
	f = figures_of(unmapped[ORDERS], fills);
	printf(" at once %.2f ms (%.2f..%.2f)\n", f.middle * t->live / 1e6, f.least * t->live / 1e6,
	       f.most * t->live / 1e6);
	fflush(stdout);
}

static void run_orders(unsigned int live, unsigned int step, unsigned int fills)
{
	struct table t;

	printf("%u maps, %s: ns a map in that order, and ns an unmap in each%s\n", live,
	       step == 1 ? "adjacent" : "scattered",
	       live == 60000 ? "; at once: target < 10 ms" : "");
	make_table(&t, live, step, false);
	shuffle(t.order, live);
	for (unsigned int in = 0; in < ORDERS; in++)
		print_fills(&t, in, fills);
	free_table(&t);
}

#define SUBJECTS(of) of, sizeof(of) / sizeof(of[0])

int main(void)
{
	pin(sched_getcpu());
	printf("in process, %d rounds in turn: ns, median (min..max), and instructions (i)\n",
	       ROUNDS);
	printf("%-32s %-29s %-29s %-29s %-29s target\n", "", "1 map", "1 000", "60 000",
	       "1 000 000");
	run("the contract, adjacent", SUBJECTS(map_subjects), 1, false);
	run("the contract, scattered", SUBJECTS(map_subjects), 2, false);
	run("vfio_dma_map(), scattered", SUBJECTS(map_subjects), 2, true);
	run("translation, scattered", SUBJECTS(translate_subjects), 2, false);
	for (unsigned int step = 1; step <= 2; step++) {
		run_orders(1000, step, FILLS);
		run_orders(60000, step, FILLS);
	}
	run_orders(1000000, 2, 1);
	return 0;
}
