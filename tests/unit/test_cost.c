/* SPDX-License-Identifier: MIT */
/*
 * What a request costs: one receive and one send at each end, and no allocation. The linker leads
 * these calls of the library through here (--wrap), so that they can be counted.
 */
#include "both.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#define REQUESTS 1000

static _Atomic int allocations, sends, receives;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __real_recvmsg(int fd, struct msghdr *msg, int flags);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	allocations++;
	return __real_realloc(p, size);
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	sends++;
	return __real_sendmsg(fd, msg, flags);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *msg, int flags)
{
	receives++;
	return __real_recvmsg(fd, msg, flags);
}

static void start_counting(struct both *b)
{
	model_get(b, MODEL_ID);		/* what is asked for once has been asked for */
	assert_true(allocations > 0);
	assert_true(!b->is_socket || (sends > 0 && receives > 0));
	allocations = sends = receives = 0;
}

/*
 * The server's thread may not be back in its wait when we have our answer: it sends and receives
 * before.
 */
static void check_counts(struct both *b)
{
	int each = b->is_socket ? 2 * REQUESTS : 0;

	assert_int_equal(allocations, 0);
	assert_int_equal(sends, each);
	assert_int_equal(receives, each);
}

static void reads(void **state)
{
	struct both *b = *state;

	start_counting(b);
	for (int i = 0; i < REQUESTS; i++)
		assert_int_equal(vfio_read32(b->dev, 0, MODEL_ID), MODEL_ID_VALUE);
	check_counts(b);
}

static void writes(void **state)
{
	struct both *b = *state;

	start_counting(b);
	for (int i = 0; i < REQUESTS; i++)
		vfio_write32(b->dev, 0, MODEL_LENGTH, i);
	check_counts(b);
}

static void mapped_accesses(void **state)
{
	struct both *b = *state;

	assert_non_null(vfio_map(b->dev, 2, MODEL_AREA_1, 4096));
	start_counting(b);
	for (int i = 0; i < REQUESTS; i++) {
		vfio_write32(b->dev, 2, MODEL_AREA_1, i);
		assert_int_equal(vfio_read32(b->dev, 2, MODEL_AREA_1), i);
	}
	assert_int_equal(allocations + sends + receives, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { BOTH(reads), BOTH(writes), BOTH(mapped_accesses) };

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
