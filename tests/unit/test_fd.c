/* SPDX-License-Identifier: MIT */
/* Descriptors: eventfds that somebody else may spoil, and sockets that carry descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
}

static void close_forgets_and_keeps_errno(void **state)
{
	int fd = dup(0), copy = fd;

	errno = ENOTTY;
	fd_close(&fd);
	assert_int_equal(errno, ENOTTY);
	assert_int_equal(fd, -1);
	assert_false(is_open(copy));
	fd_close(&fd);			/* once more does no harm */
}

static void copies_are_not_inherited(void **state)
{
	int fd = fd_copy(0);

	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(fd_copy(fd), -EBADF);
}

static void knows_an_eventfd(void **state)
{
	int e = eventfd(0, 0), poll = epoll_create1(0), p[2];

	assert_int_equal(pipe(p), 0);
	assert_true(fd_is_eventfd(e));
	assert_false(fd_is_eventfd(poll));
	assert_false(fd_is_eventfd(p[0]));
	assert_false(fd_is_eventfd(p[1]));
	assert_false(fd_is_eventfd(-1));
	close(e);
	assert_false(fd_is_eventfd(e));
	close(poll);
	close(p[0]);
	close(p[1]);
}

static void signals_add_up(void **state)
{
	int e = eventfd(0, EFD_NONBLOCK);

	assert_int_equal(fd_take(e), 0);
	fd_signal(e);
	fd_signal(e);
	assert_int_equal(fd_take(e), 2);
	assert_int_equal(fd_take(e), 0);
	close(e);
}

/* Whoever holds the other end may fill the counter and make it blocking. */
static void a_full_blocking_counter_does_not_block(void **state)
{
	uint64_t full = UINT64_MAX - 1;
	int e = eventfd(0, 0);

	assert_int_equal(write(e, &full, sizeof(full)), sizeof(full));
	alarm(5);
	fd_signal(e);
	alarm(0);
	assert_true(fd_take(e) == full);
	alarm(5);
	assert_int_equal(fd_take(e), 0);	/* empty and blocking */
	alarm(0);
	close(e);
}

static void time_goes_forward(void **state)
{
	int64_t now = clock_ms();

	assert_true(clock_ms() >= now);
	assert_int_equal(clock_left(now - 1), 0);
	assert_in_range(clock_left(now + 10000), 1, 10000);
	assert_int_equal(clock_left(INT64_MAX), INT32_MAX);
}

static void passes_descriptors(void **state)
{
	int sv[2], got[FD_MAX_PASSED], mine[2] = { eventfd(0, 0), eventfd(0, 0) };
	struct stat a, b;
	size_t n;
	char byte;

	pair(sv);
	assert_int_equal(fd_send(sv[0], "x", 1, mine, 2), 1);
	assert_int_equal(fd_receive(sv[1], &byte, 1, got, &n, 0), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(n, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fstat(mine[i], &a) | fstat(got[i], &b), 0);
		assert_true(a.st_dev == b.st_dev && a.st_ino == b.st_ino);
		assert_true(fcntl(got[i], F_GETFD) & FD_CLOEXEC);
	}
	fd_close_all(got, n);
	fd_close_all(mine, 2);
	fd_close_all(sv, 2);
	assert_false(is_open(got[0]));
}

static void passes_as_many_as_the_kernel_allows(void **state)
{
	int sv[2], got[FD_MAX_PASSED], mine[FD_MAX_PASSED + 1];
	size_t n;
	char byte;

	pair(sv);
	for (size_t i = 0; i < FD_MAX_PASSED; i++)
		mine[i] = 0;
	assert_int_equal(fd_send(sv[0], "x", 1, mine, FD_MAX_PASSED), 1);
	assert_int_equal(fd_receive(sv[1], &byte, 1, got, &n, 0), 1);
	assert_int_equal(n, FD_MAX_PASSED);
	fd_close_all(got, n);
	fd_close_all(sv, 2);
}

/* The kernel drops descriptors that do not fit under the limit; those that came are closed. */
static void lost_descriptors_are_an_error(void **state)
{
	int sv[2], got[FD_MAX_PASSED], mine[4] = { 0, 0, 0, 0 }, lowest;
	const char *preload = getenv("LD_PRELOAD");
	struct rlimit old, low;
	size_t n = 99;
	ssize_t r;
	char byte;

	if (preload && strstr(preload, "vgpreload"))
		skip();		/* valgrind keeps the limit to itself */
	pair(sv);
	lowest = dup(0);
	close(lowest);
	assert_int_equal(fd_send(sv[0], "x", 1, mine, 4), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	low = (struct rlimit){ .rlim_cur = lowest + 2, .rlim_max = old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	r = fd_receive(sv[1], &byte, 1, got, &n, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(r, -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_false(is_open(lowest));
	assert_false(is_open(lowest + 1));
	fd_close_all(sv, 2);
}

static void receive_tells_its_ends_apart(void **state)
{
	int sv[2], got[FD_MAX_PASSED];
	size_t n = 99;
	char byte;

	pair(sv);
	assert_int_equal(fd_receive(sv[1], &byte, 1, got, &n, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(n, 0);
	close(sv[0]);
	assert_int_equal(fd_receive(sv[1], &byte, 1, got, &n, 0), 0);
	close(sv[1]);
	assert_int_equal(fd_receive(sv[1], &byte, 1, got, &n, 0), -EBADF);
}

static void send_neither_waits_nor_kills(void **state)
{
	static char big[1 << 20];
	int sv[2];
	ssize_t n;

	pair(sv);
	alarm(5);
	do
		n = fd_send(sv[0], big, sizeof(big), NULL, 0);
	while (n > 0);
	alarm(0);
	assert_int_equal(n, -EAGAIN);
	close(sv[1]);
	assert_int_equal(fd_send(sv[0], "x", 1, NULL, 0), -EPIPE);
	close(sv[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_forgets_and_keeps_errno),
		cmocka_unit_test(copies_are_not_inherited),
		cmocka_unit_test(knows_an_eventfd),
		cmocka_unit_test(signals_add_up),
		cmocka_unit_test(a_full_blocking_counter_does_not_block),
		cmocka_unit_test(time_goes_forward),
		cmocka_unit_test(passes_descriptors),
		cmocka_unit_test(passes_as_many_as_the_kernel_allows),
		cmocka_unit_test(lost_descriptors_are_an_error),
		cmocka_unit_test(receive_tells_its_ends_apart),
		cmocka_unit_test(send_neither_waits_nor_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
