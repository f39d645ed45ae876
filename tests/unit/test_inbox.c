/* SPDX-License-Identifier: MIT */
/* Framing: messages and their descriptors out of a stream that is cut anywhere. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/wire.h"

struct fixture {
	struct inbox in;
	int sv[2];
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	return !f || inbox_init(&f->in) < 0 ||
	       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->sv) < 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	inbox_finish(&f->in);
	close(f->sv[0]);
	close(f->sv[1]);
	free(f);
	return 0;
}

/* A message of size bytes whose payload counts up from id. */
static void make(uint8_t *buf, uint16_t command, uint16_t id, uint32_t size)
{
	struct wire_header h = { .id = id, .command = command, .size = size };

	memcpy(buf, &h, sizeof(h));
	for (uint32_t i = sizeof(h); i < size; i++)
		buf[i] = id + i;
}

static void assert_made(const struct wire_message *m, uint16_t id, uint32_t size)
{
	assert_int_equal(m->header.id, id);
	assert_int_equal(m->len, size - sizeof(m->header));
	for (uint32_t i = sizeof(m->header); i < size; i++)
		if (m->payload[i - sizeof(m->header)] != (uint8_t)(id + i))
			fail_msg("message %u is spoilt at byte %u", id, i);
}

/* An eventfd that can be told from others. */
static int numbered(unsigned int number)
{
	return eventfd(number, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* Room to receive to, which must lie inside the buffer. */
static uint8_t *room_of(struct inbox *in, size_t *room)
{
	uint8_t *at = inbox_room(in, room);

	assert_true(at >= in->buf && at <= in->buf + WIRE_INBOX);
	assert_true(*room > 0 && *room <= (size_t)(in->buf + WIRE_INBOX - at));
	return at;
}

/* As if one receive had given len bytes. */
static void feed(struct inbox *in, const void *bytes, size_t len)
{
	size_t room;
	uint8_t *at = room_of(in, &room);

	assert_true(len <= room);
	memcpy(at, bytes, len);
	inbox_received(in, len);
}

/* One receive of at most len bytes; false when there is nothing. */
static bool receive(struct fixture *f, size_t len)
{
	size_t room;
	uint8_t *at = room_of(&f->in, &room);
	ssize_t n = fd_receive(f->sv[1], at, len < room ? len : room, f->in.fresh, &f->in.nfresh,
			       MSG_DONTWAIT);

	if (n == -EAGAIN)
		return false;
	assert_true(n > 0);
	inbox_received(&f->in, n);
	return true;
}

static void send_made(struct fixture *f, uint16_t command, uint16_t id, uint32_t size, size_t nfds)
{
	uint8_t buf[256];
	int fds[8];

	make(buf, command, id, size);
	for (size_t i = 0; i < nfds; i++)
		fds[i] = numbered(id * 10 + i);
	assert_int_equal(fd_send(f->sv[0], buf, size, fds, nfds), size);
	fd_close_all(fds, nfds);
}

static void assert_fds(const struct wire_message *m, size_t nfds)
{
	assert_int_equal(m->nfds, nfds);
	for (size_t i = 0; i < nfds; i++)
		assert_int_equal(fd_take(m->fds[i]), m->header.id * 10 + i);
}

/* Take what is whole; returns the number of the last message seen. */
static uint16_t take_all(struct fixture *f, uint16_t last, const uint32_t *sizes,
			 const size_t *nfds)
{
	struct wire_message m;
	const char *why;
	int r;

	while ((r = inbox_next(&f->in, &m, &why)) == 1) {
		last++;
		assert_made(&m, last, sizes[last]);
		assert_fds(&m, nfds[last]);
	}
	assert_int_equal(r, 0);
	return last;
}

/* ---- splits ------------------------------------------------------------------------------- */

static const struct {
	uint16_t first, second;
	size_t nfirst, nsecond;
} streams[] = {
	{ WIRE_REGION_WRITE, WIRE_REGION_WRITE, 0, 0 },
	{ WIRE_DMA_MAP, WIRE_REGION_WRITE, 1, 0 },
	{ WIRE_REGION_WRITE, WIRE_SET_IRQS, 0, 3 },
	{ WIRE_DMA_MAP, WIRE_SET_IRQS, 0, 2 },
	{ WIRE_SET_IRQS, WIRE_DMA_MAP, 2, 0 },
	{ WIRE_SET_IRQS, WIRE_SET_IRQS, 4, 5 },
};

/* The stream in two receives, cut at every byte, whatever the kernel then gives. */
static void every_split_of_two_messages(void **state)
{
	static const uint32_t sizes[] = { 0, 48, 41 };
	struct fixture *f = *state;

	for (size_t s = 0; s < sizeof(streams) / sizeof(streams[0]); s++) {
		const size_t nfds[] = { 0, streams[s].nfirst, streams[s].nsecond };

		for (size_t cut = 1; cut <= sizes[1] + sizes[2]; cut++) {
			uint16_t last = 0;

			send_made(f, streams[s].first, 1, sizes[1], nfds[1]);
			send_made(f, streams[s].second, 2, sizes[2], nfds[2]);
			receive(f, cut);
			last = take_all(f, last, sizes, nfds);
			while (receive(f, SIZE_MAX))
				last = take_all(f, last, sizes, nfds);
			assert_int_equal(last, 2);
			assert_false(inbox_is_partial(&f->in));
		}
	}
}

static void byte_at_a_time(void **state)
{
	static const uint32_t sizes[] = { 0, 16, 33, 16, 100 };
	static const size_t nfds[] = { 0, 0, 2, 0, 1 };
	static const uint16_t commands[] = {
		0, WIRE_RESET, WIRE_SET_IRQS, WIRE_RESET, WIRE_DMA_MAP,
	};
	struct fixture *f = *state;
	uint16_t last = 0;

	for (uint16_t i = 1; i <= 4; i++)
		send_made(f, commands[i], i, sizes[i], nfds[i]);
	while (receive(f, 1))
		last = take_all(f, last, sizes, nfds);
	assert_int_equal(last, 4);
}

/* Descriptors with several whole messages: the last one's that takes any. */
static void glued_messages(void **state)
{
	static const struct {
		uint16_t commands[3];
		unsigned int owner;
	} glued[] = {
		{ { WIRE_RESET, WIRE_RESET, WIRE_SET_IRQS }, 3 },
		{ { WIRE_SET_IRQS, WIRE_RESET, WIRE_RESET }, 1 },
		{ { WIRE_RESET, WIRE_DMA_MAP, WIRE_RESET }, 2 },
		{ { WIRE_DMA_MAP, WIRE_DMA_MAP, WIRE_RESET }, 2 },
		{ { WIRE_DMA_MAP, WIRE_DMA_MAP, WIRE_DMA_MAP }, 3 },
	};
	static const uint32_t sizes[] = { 0, 20, 20, 20 };
	struct fixture *f = *state;

	for (size_t g = 0; g < sizeof(glued) / sizeof(glued[0]); g++) {
		size_t nfds[4] = { 0 };
		uint8_t bytes[60];

		for (uint16_t i = 1; i <= 3; i++)
			make(bytes + 20 * (i - 1), glued[g].commands[i - 1], i, 20);
		feed(&f->in, bytes, sizeof(bytes));
		nfds[glued[g].owner] = 1;
		f->in.fresh[0] = numbered(glued[g].owner * 10);
		f->in.nfresh = 1;
		assert_int_equal(take_all(f, 0, sizes, nfds), 3);
	}
}

/* A whole message, and the beginning of the one that its sender was sending descriptors with. */
static void descriptors_of_a_message_that_has_begun(void **state)
{
	static const uint32_t sizes[] = { 0, 20, 40 };
	static const size_t nfds[] = { 0, 0, 1 };
	struct fixture *f = *state;

	for (size_t cut = 1; cut < 40; cut++) {
		uint8_t bytes[60];

		make(bytes, WIRE_DMA_MAP, 1, 20);
		make(bytes + 20, WIRE_DMA_MAP, 2, 40);
		feed(&f->in, bytes, 20 + cut);
		f->in.fresh[0] = numbered(20);
		f->in.nfresh = 1;
		assert_int_equal(take_all(f, 0, sizes, nfds), 1);
		assert_true(inbox_is_partial(&f->in));
		feed(&f->in, bytes + 20 + cut, 40 - cut);
		assert_int_equal(take_all(f, 1, sizes, nfds), 2);
	}
}

/* ---- what is no stream -------------------------------------------------------------------- */

static void assert_refused(struct inbox *in, uint32_t size)
{
	struct wire_header h = { .command = WIRE_RESET, .size = size };
	struct wire_message m;
	const char *why = NULL;

	inbox_clear(in);
	feed(in, &h, sizeof(h));
	assert_int_equal(inbox_next(in, &m, &why), -EINVAL);
	assert_non_null(why);
}

static void impossible_sizes(void **state)
{
	struct inbox *in = &((struct fixture *)*state)->in;
	static const uint32_t sizes[] = { 0, 1, 15, WIRE_MAX_MESSAGE + 1, UINT32_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		assert_refused(in, sizes[i]);
}

static void the_largest_message_fits(void **state)
{
	struct inbox *in = &((struct fixture *)*state)->in;
	uint8_t *bytes = malloc(WIRE_MAX_MESSAGE);
	struct wire_message m;
	const char *why;

	make(bytes, WIRE_REGION_WRITE, 7, WIRE_MAX_MESSAGE);
	for (int round = 0; round < 5; round++) {
		feed(in, bytes, WIRE_MAX_MESSAGE - 1);
		assert_int_equal(inbox_next(in, &m, &why), 0);
		feed(in, bytes + WIRE_MAX_MESSAGE - 1, 1);
		assert_int_equal(inbox_next(in, &m, &why), 1);
		assert_made(&m, 7, WIRE_MAX_MESSAGE);
	}
	free(bytes);
}

static void too_many_descriptors(void **state)
{
	struct inbox *in = &((struct fixture *)*state)->in;
	struct wire_message m;
	const char *why = NULL;
	uint8_t bytes[32];

	make(bytes, WIRE_SET_IRQS, 1, sizeof(bytes));
	feed(in, bytes, 1);
	for (in->nfresh = 0; in->nfresh < FD_MAX_PASSED; in->nfresh++)
		in->fresh[in->nfresh] = dup(0);
	assert_int_equal(inbox_next(in, &m, &why), 0);
	feed(in, bytes + 1, 1);
	in->fresh[0] = dup(0);
	in->nfresh = 1;
	assert_int_equal(inbox_next(in, &m, &why), -EINVAL);
	assert_non_null(why);
}

/* ---- whose the descriptors are ------------------------------------------------------------ */

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void descriptors_that_nobody_takes_are_closed(void **state)
{
	struct fixture *f = *state;
	struct wire_message m;
	const char *why;
	int fd;

	send_made(f, WIRE_DMA_MAP, 1, 20, 1);
	receive(f, SIZE_MAX);
	assert_int_equal(inbox_next(&f->in, &m, &why), 1);
	fd = m.fds[0];
	assert_true(is_open(fd));
	assert_int_equal(inbox_next(&f->in, &m, &why), 0);
	assert_false(is_open(fd));
	send_made(f, WIRE_DMA_MAP, 1, 20, 1);
	receive(f, SIZE_MAX);
	fd = f->in.fresh[0];
	inbox_clear(&f->in);
	assert_false(is_open(fd));
}

static void descriptors_that_are_taken_stay(void **state)
{
	struct fixture *f = *state;
	struct wire_message m;
	const char *why;
	int fd;

	send_made(f, WIRE_DMA_MAP, 1, 20, 1);
	receive(f, SIZE_MAX);
	assert_int_equal(inbox_next(&f->in, &m, &why), 1);
	fd = m.fds[0];
	inbox_take_fds(&f->in);
	assert_int_equal(inbox_next(&f->in, &m, &why), 0);
	assert_int_equal(fd_take(fd), 10);
	close(fd);
}

/* ---- pinned ------------------------------------------------------------------------------- */

/* A payload stays where it is while many more messages go by, and the one behind it is not lost. */
static void a_pinned_payload_stays(void **state)
{
	struct inbox *in = &((struct fixture *)*state)->in;
	uint8_t *bytes = malloc(WIRE_MAX_MESSAGE);
	struct wire_message pinned, m;
	const char *why;
	uint8_t small[100];

	make(small, WIRE_REGION_WRITE, 3, sizeof(small));
	make(bytes, WIRE_REGION_WRITE, 9, WIRE_MAX_MESSAGE);
	feed(in, small, sizeof(small));
	assert_int_equal(inbox_next(in, &pinned, &why), 1);
	inbox_pin(in);
	for (int round = 0; round < 4; round++) {
		feed(in, bytes, WIRE_MAX_MESSAGE);
		assert_int_equal(inbox_next(in, &m, &why), 1);
		assert_made(&m, 9, WIRE_MAX_MESSAGE);
		assert_made(&pinned, 3, sizeof(small));
	}
	feed(in, bytes, 1000);			/* half a message behind it */
	assert_int_equal(inbox_next(in, &m, &why), 0);
	inbox_unpin(in);
	assert_made(&pinned, 3, sizeof(small));
	assert_int_equal(inbox_next(in, &m, &why), 0);
	feed(in, bytes + 1000, WIRE_MAX_MESSAGE - 1000);
	assert_int_equal(inbox_next(in, &m, &why), 1);
	assert_made(&m, 9, WIRE_MAX_MESSAGE);
	assert_int_equal(inbox_next(in, &m, &why), 0);
	free(bytes);
}

/* The same at the far end of the buffer, with as much behind it as can be. */
static void a_pinned_payload_at_the_far_end(void **state)
{
	struct inbox *in = &((struct fixture *)*state)->in;
	const uint32_t most = WIRE_MAX_MESSAGE;
	uint8_t *bytes = malloc(2 * most);
	struct wire_message m;
	const char *why;

	make(bytes, WIRE_REGION_WRITE, 1, most);
	make(bytes + most, WIRE_REGION_WRITE, 2, most - 32);
	make(bytes + 2 * most - 32, WIRE_REGION_WRITE, 3, 32);
	feed(in, bytes, 2 * most);
	for (uint16_t id = 1; id <= 3; id++)
		assert_int_equal(inbox_next(in, &m, &why), 1);
	inbox_pin(in);
	make(bytes, WIRE_REGION_WRITE, 4, most);
	feed(in, bytes, most - 10);
	assert_int_equal(inbox_next(in, &m, &why), 0);
	inbox_unpin(in);
	assert_int_equal(inbox_next(in, &m, &why), 0);
	feed(in, bytes + most - 10, 10);
	assert_int_equal(inbox_next(in, &m, &why), 1);
	assert_made(&m, 4, most);
	free(bytes);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_split_of_two_messages),
		TEST(byte_at_a_time),
		TEST(glued_messages),
		TEST(descriptors_of_a_message_that_has_begun),
		TEST(impossible_sizes),
		TEST(the_largest_message_fits),
		TEST(too_many_descriptors),
		TEST(descriptors_that_nobody_takes_are_closed),
		TEST(descriptors_that_are_taken_stay),
		TEST(a_pinned_payload_stays),
		TEST(a_pinned_payload_at_the_far_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
