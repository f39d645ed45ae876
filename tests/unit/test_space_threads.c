/* SPDX-License-Identifier: MIT */
/*
 * Threads of a device against the owner of its address space. They translate, copy, and use spans
 * until they leave; the owner maps, unmaps, gives maps other memory, closes the gate, and tracks
 * what is written. Whatever call takes memory away: at once when it returns, the memory is filled
 * with poison, looked at for a while, and given back to the system. An access that is still under
 * way then is seen: it finds poison, or spoils it, or ends this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "iommu/space.h"

#define THREADS 3
#define PLACES  24u
#define SIZE    (2 * DMA_PAGE)		/* of a place */
#define BASE    0x7ffff0000000ull
#define STEPS   20000u
#define MOST_MS 3000
#define ENOUGH  300u			/* times that every thread must have done everything */
#define LOOKS   50
#define OTHERS  100u

/* Both ends of a place hold its tag, where nobody writes; between them each thread has a part. */
#define TAGS    512u
#define PART    2048u
#define PART_OF(thread) (TAGS + (thread) * PART)
#define POISON  0xdeadbeefdeadbeefull

_Static_assert(PART_OF(THREADS) + TAGS <= SIZE, "a place is too small");

enum kind { OURS, SEALED, LOOSE, KINDS };

/* The owner's view of a place. */
struct place {
	uint64_t *memory;		/* NULL: not mapped */
	int fd;				/* SEALED, LOOSE: what memory is a map of */
	bool stale;
	uint64_t began[THREADS];	/* see check_dirty() */
};

struct thread {
	pthread_t id;
	struct run *run;
	struct reader reader;
	unsigned int number, seed;
	uint64_t reads, writes, spans, closed, holes;	/* that went as they may */
	/* Writes to each place that were done, and those with the one that is under way, if any. */
	uint64_t done[PLACES], begun[PLACES];
};

struct run {
	struct space space;
	struct place places[PLACES];
	struct thread threads[THREADS];
	uint64_t generation;
	unsigned int seen;		/* writes of theirs that were seen as dirty */
	uint32_t stop;
};

static uint64_t iova_of(unsigned int place)
{
	return BASE + (uint64_t)place * SIZE;
}

/* ---- a thread of the device ---------------------------------------------------------------- */

/* cmocka's assertions are for the main thread. */
#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			print_error("%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what);      \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* Tags of one place, all of one time. */
static void check_tags(const uint64_t *words, size_t bytes, unsigned int place)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		CHECK(words[i] >> 56 == place + 1 && words[i] == words[0]);
}

/* Whatever this thread wrote, or the owner at the beginning. */
static void check_part(const uint64_t *words, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		CHECK(words[i] != POISON);
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_SEQ_CST);
}

/* Was it refused for a reason that there may be? */
static bool is_done(struct thread *t, int r)
{
	if (r >= 0)
		return true;
	CHECK(r == -EFAULT || r == -EPERM || r == -ENOTSUP || r == -EIO);
	if (r == -EPERM || r == -EFAULT)
		count(r == -EPERM ? &t->closed : &t->holes);
	return false;
}

/* The tags where one place ends and the next one begins, both of which may be there or not. */
static void read_across(struct thread *t, unsigned int place)
{
	uint64_t words[2 * TAGS / sizeof(uint64_t)];
	unsigned int next = (place + 1) % PLACES;
	bool both = next > place && rand_r(&t->seed) % 2;
	size_t len = both ? 2 * TAGS : TAGS;

	if (!is_done(t, reader_copy(&t->reader, iova_of(place) + SIZE - TAGS, words, len,
				    VFIO_DMA_READ)))
		return;
	check_tags(words, TAGS, place);
	if (both)
		check_tags(words + TAGS / sizeof(words[0]), TAGS, next);
	count(&t->reads);
}

static void fill(struct thread *t, uint64_t *words, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = t->number << 8 | (t->writes & 0xff);
}

static void begin_write(struct thread *t, unsigned int place)
{
	count(&t->begun[place]);
}

/* One that failed was never begun. */
static bool end_write(struct thread *t, int r, unsigned int place)
{
	bool done = is_done(t, r);

	if (done)
		count(&t->done[place]);
	else
		__atomic_fetch_sub(&t->begun[place], 1, __ATOMIC_SEQ_CST);
	return done;
}

static void write_part(struct thread *t, unsigned int place)
{
	uint64_t words[32], iova = iova_of(place) + PART_OF(t->number);
	int r;

	fill(t, words, sizeof(words));
	begin_write(t, place);
	r = reader_copy(&t->reader, iova, words, sizeof(words), VFIO_DMA_WRITE);
	if (!end_write(t, r, place))
		return;
	count(&t->writes);
	if (is_done(t, reader_copy(&t->reader, iova, words, sizeof(words), VFIO_DMA_READ)))
		check_part(words, sizeof(words));
}

/* Spans that a thread keeps until it leaves. */
#define MOST_HELD 4

static void use(struct thread *t, const struct vfio_span *span)
{
	check_part(span->addr, span->len);
	fill(t, span->addr, span->len);
}

static bool hold(struct thread *t, struct vfio_span *span, unsigned int place)
{
	begin_write(t, place);
	if (!end_write(t, reader_spans(&t->reader, iova_of(place) + PART_OF(t->number), 256,
				       VFIO_DMA_RW, span, 1), place))
		return false;
	CHECK(span->len == 256);
	use(t, span);
	count(&t->spans);
	return true;
}

static void *device(void *arg)
{
	struct thread *t = arg;
	struct vfio_span held[MOST_HELD];

	while (!__atomic_load_n(&t->run->stop, __ATOMIC_ACQUIRE)) {
		unsigned int ops = 1 + rand_r(&t->seed) % 8, nheld = 0;

		reader_enter(&t->reader);
		while (ops--) {
			unsigned int place = rand_r(&t->seed) % PLACES;

			switch (rand_r(&t->seed) % 3) {
			case 0: read_across(t, place); break;
			case 1: write_part(t, place); break;
			default: nheld += nheld < MOST_HELD && hold(t, &held[nheld], place); break;
			}
		}
		for (unsigned int i = 0; i < nheld; i++)
			use(t, &held[i]);
		reader_leave(&t->reader);
		if (rand_r(&t->seed) % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* ---- the owner ----------------------------------------------------------------------------- */

static void set_words(uint64_t *words, size_t bytes, uint64_t value)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = value;
}

static void new_memory(struct run *run, struct place *p, unsigned int place, enum kind kind)
{
	uint64_t tag = (uint64_t)(place + 1) << 56 | ++run->generation;
	int flags = MAP_ANONYMOUS | MAP_PRIVATE;

	p->fd = -1;
	p->stale = false;
	if (kind != OURS) {
		p->fd = memfd_create("threads", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		assert_true(p->fd >= 0 && ftruncate(p->fd, SIZE) == 0);
		flags = MAP_SHARED;
	}
	if (kind == SEALED)
		assert_int_equal(fcntl(p->fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	p->memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, p->fd, 0);
	assert_ptr_not_equal(p->memory, MAP_FAILED);
	set_words(p->memory, SIZE, tag);
}

static struct dma_map request(const struct place *p, unsigned int place)
{
	return (struct dma_map){
		.iova = iova_of(place), .size = SIZE, .prot = VFIO_DMA_RW, .fd = p->fd,
		.vaddr = p->fd < 0 ? p->memory : NULL,
	};
}

/* Nobody may touch it any more. */
static void expect_poison(uint64_t *words, size_t bytes)
{
	set_words(words, bytes, POISON);
	for (unsigned int look = 0; look < LOOKS; look++) {
		const volatile uint64_t *seen = words;

		for (size_t i = 0; i < bytes / sizeof(*words); i += 8)
			assert_true(seen[i] == POISON);
	}
}

static void bury(struct place *p)
{
	if (p->memory && !p->stale)
		expect_poison(p->memory, SIZE);
	if (p->memory)
		munmap(p->memory, SIZE);
	fd_close(&p->fd);
	p->memory = NULL;
}

static void map_place(struct run *run, unsigned int place)
{
	struct dma_map m;

	new_memory(run, &run->places[place], place, rand() % KINDS);
	m = request(&run->places[place], place);
	assert_int_equal(space_map(&run->space, &m, NULL), 0);
}

/* Some in a row, or all. */
static void unmap_places(struct run *run, unsigned int first, unsigned int n)
{
	uint64_t unmapped, size = n == PLACES ? DMA_ALL : (uint64_t)n * SIZE, want = 0;

	for (unsigned int i = first; i < first + n; i++)
		want += run->places[i].memory ? SIZE : 0;
	assert_int_equal(space_unmap(&run->space, size == DMA_ALL ? 0 : iova_of(first), size,
				     &unmapped, NULL, NULL, NULL), 0);
	assert_int_equal(unmapped, want);
	for (unsigned int i = first; i < first + n; i++)
		bury(&run->places[i]);
}

/* The map stays, and its memory does not. */
static void renew(struct run *run, unsigned int place)
{
	struct place old = run->places[place];
	struct dma_map m;

	new_memory(run, &run->places[place], place, OURS);
	m = request(&run->places[place], place);
	assert_int_equal(space_renew(&run->space, &m, NULL), 0);
	bury(&old);
}

/* Its address may be used otherwise: here nothing is there any more. */
static void retire(struct run *run, unsigned int place)
{
	struct place *p = &run->places[place];

	if (p->fd >= 0 || p->stale)
		return;
	assert_int_equal(space_retire(&run->space, iova_of(place), NULL), 0);
	p->stale = true;
	assert_ptr_equal(mmap(p->memory, SIZE, PROT_NONE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED,
			      -1, 0), p->memory);
}

/* While it is closed nobody touches memory that is still mapped. */
static void close_gate(struct run *run, unsigned int place)
{
	struct place *p = &run->places[place];
	uint64_t tag = p->memory && !p->stale ? p->memory[0] : 0;

	space_gate(&run->space, false);
	if (tag) {
		expect_poison(p->memory, SIZE);
		set_words(p->memory, SIZE, tag);
	}
	space_gate(&run->space, true);
}

/*
 * Others come below, and go: nobody looks at them, but what is looked at moves in the tree, to and
 * fro, from leaf to leaf.
 */
static void move_about(struct run *run)
{
	static uint8_t memory[DMA_PAGE] __attribute__((aligned(DMA_PAGE)));
	struct dma_map m = { .size = DMA_PAGE, .prot = VFIO_DMA_READ, .fd = -1, .vaddr = memory };
	uint64_t unmapped;

	for (unsigned int i = 1; i <= OTHERS; i++) {
		m.iova = BASE - (i * 37 % OTHERS + 1) * DMA_PAGE;
		assert_int_equal(space_map(&run->space, &m, NULL), 0);
	}
	assert_int_equal(space_unmap(&run->space, BASE - OTHERS * DMA_PAGE, OTHERS * DMA_PAGE,
				     &unmapped, NULL, NULL, NULL), 0);
	assert_int_equal(unmapped, OTHERS * DMA_PAGE);
}

/* ---- what was written ---------------------------------------------------------------------- */

static void note_writes(struct run *run)
{
	for (unsigned int i = 0; i < PLACES; i++)
		for (unsigned int t = 0; t < THREADS; t++)
			run->places[i].began[t] = __atomic_load_n(&run->threads[t].begun[i],
								  __ATOMIC_SEQ_CST);
}

/*
 * More writes were done by now than had begun when note_writes() was called: one began after that.
 * None that has been done is missing, and of what is not mapped nothing was written.
 */
static void check_dirty(struct run *run)
{
	uint64_t done[PLACES][THREADS], bits[PLACES] = { 0 }, page = run->space.dirty_page;

	for (unsigned int i = 0; i < PLACES; i++)
		for (unsigned int t = 0; t < THREADS; t++)
			done[i][t] = __atomic_load_n(&run->threads[t].done[i], __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < PLACES; i++) {
		assert_int_equal(space_dirty_take(&run->space, iova_of(i), SIZE, &bits[i], NULL),
				 0);
		assert_true(run->places[i].memory || !bits[i]);
		for (unsigned int t = 0; t < THREADS; t++)
			if (done[i][t] > run->places[i].began[t]) {
				assert_true(bits[i] >> PART_OF(t) / page & 1);
				run->seen++;
			}
	}
}

/* Maps do not change from one look to the next: what goes takes its bits with it. */
static void track(struct run *run)
{
	uint64_t page = rand() % 2 ? DMA_PAGE : SIZE;

	if (run->space.dirty_page && rand() % 2) {
		space_dirty_stop(&run->space);
		return;
	}
	if (!run->space.dirty_page || rand() % 4 == 0)
		assert_int_equal(space_dirty_start(&run->space, page, NULL), 0);
	for (unsigned int look = 0; look < 3; look++) {
		note_writes(run);
		usleep(20);
		check_dirty(run);
	}
}

/* ---- a run --------------------------------------------------------------------------------- */

static void step(struct run *run)
{
	unsigned int place = rand() % PLACES;
	bool mapped = run->places[place].memory != NULL;

	switch (rand() % 16) {
	case 0:
		close_gate(run, place);
		break;
	case 1:
		track(run);
		break;
	case 2:
		unmap_places(run, place, 1 + rand() % (PLACES - place));
		break;
	case 3:
		if (mapped)
			retire(run, place);
		break;
	case 4: case 5:
		if (mapped)
			renew(run, place);
		break;
	case 6: case 7: case 8:
		move_about(run);
		break;
	default:
		if (mapped)
			unmap_places(run, place, 1);
		else
			map_place(run, place);
		break;
	}
}

static bool is_enough(const struct run *run)
{
	for (unsigned int i = 0; i < THREADS; i++) {
		const struct thread *t = &run->threads[i];
		const uint64_t *all[] = { &t->reads, &t->writes, &t->spans, &t->holes };

		for (unsigned int k = 0; k < sizeof(all) / sizeof(all[0]); k++)
			if (__atomic_load_n(all[k], __ATOMIC_RELAXED) < ENOUGH)
				return false;
	}
	return run->seen >= ENOUGH;
}

static void nothing_is_touched_when_it_has_gone(void **state)
{
	struct run *run = calloc(1, sizeof(*run));
	int64_t end = clock_ms() + MOST_MS;

	srand(20101117);
	space_init(&run->space);
	for (unsigned int i = 0; i < PLACES; i++)
		run->places[i].fd = -1;
	for (unsigned int i = 0; i < THREADS; i++) {
		struct thread *t = &run->threads[i];

		t->run = run;
		t->number = t->seed = i;
		reader_init(&t->reader, &run->space);
		assert_int_equal(pthread_create(&t->id, NULL, device, t), 0);
	}
	for (unsigned int n = 0; !is_enough(run) || (n < STEPS && clock_ms() < end); n++)
		step(run);
	__atomic_store_n(&run->stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(run->threads[i].id, NULL);
		reader_finish(&run->threads[i].reader);
	}
	unmap_places(run, 0, PLACES);
	assert_int_equal(run->space.maps.used, 0);
	space_finish(&run->space);
	free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_touched_when_it_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
