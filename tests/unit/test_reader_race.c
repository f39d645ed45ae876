/* SPDX-License-Identifier: MIT */
/* Readers in threads of their own, while the owner maps and unmaps. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "iommu/space.h"

#define PAGE   0x1000u
#define ROUNDS 20000

static struct space space;
static struct reader reader;
static pthread_t owner;
static bool stop;
static unsigned int strangers, empty;
static uint8_t memory[4 * PAGE] __attribute__((aligned(4096)));

static int set_up(void **state)
{
	space_init(&space);
	reader_init(&reader, &space);
	owner = pthread_self();
	stop = false;
	strangers = empty = 0;
	return 0;
}

static int tear_down(void **state)
{
	reader_finish(&reader);
	space_finish(&space);
	return 0;
}

static void look(void)
{
	if (!pthread_equal(pthread_self(), owner))
		__atomic_fetch_add(&strangers, 1, __ATOMIC_RELAXED);
}

static int peer_read(void *arg, uint64_t iova, void *buf, size_t len)
{
	look();
	memset(buf, 0, len);
	return 0;
}

static int peer_write(void *arg, uint64_t iova, const void *buf, size_t len)
{
	look();
	return 0;
}

static const struct dma_peer peer = { .read = peer_read, .write = peer_write };

static void map(uint64_t iova, uint64_t size, bool asked)
{
	const struct dma_map m = {
		.iova = iova, .size = size, .prot = VFIO_DMA_RW, .fd = -1,
		.vaddr = asked ? NULL : memory + iova, .peer = &peer,
	};

	assert_int_equal(space_map(&space, &m, NULL), 0);
}

static void unmap(uint64_t iova, uint64_t size)
{
	uint64_t unmapped;

	assert_int_equal(space_unmap(&space, iova, size, &unmapped, NULL, NULL, NULL), 0);
}

static bool go_on(void)
{
	return !__atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void *copy(void *arg)
{
	uint8_t buf[16];

	while (go_on()) {
		reader_enter(&reader);
		reader_copy(&reader, PAGE - 8, buf, 16, VFIO_DMA_READ);
		reader_leave(&reader);
	}
	return NULL;
}

static void *take(void *arg)
{
	struct vfio_span spans[4];

	while (go_on()) {
		reader_enter(&reader);
		if (reader_spans(&reader, 0, 4 * PAGE, VFIO_DMA_RW, spans, 4) == 0)
			empty++;
		reader_leave(&reader);
	}
	return NULL;
}

static void beside(void *(*run)(void *arg), bool asked)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		map(PAGE, PAGE, asked);
		if (i % 16 == 0)
			sched_yield();
		unmap(PAGE, PAGE);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

/* It comes to be there after the reader has looked whether it is. */
static void only_the_owner_asks(void **state)
{
	map(0, PAGE, false);
	beside(copy, true);
	assert_int_equal(strangers, 0);
}

/* One of several maps goes while they are counted. */
static void no_access_is_of_no_spans(void **state)
{
	map(0, PAGE, false);
	map(2 * PAGE, 2 * PAGE, false);
	beside(take, false);
	assert_int_equal(empty, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_the_owner_asks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_access_is_of_no_spans, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
