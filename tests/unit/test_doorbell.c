/* SPDX-License-Identifier: MIT */
/* Doorbells: who hears of a write to memory, by call or by mapping; and servers that lie about it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "both.h"
#include "function/function.h"
#include "wire/wire.h"

#define BAR  2
#define BELL (MODEL_AREA_1 + 0x100)
#define SIZE 16u

static atomic_uint rung, rung_too;
static _Atomic uint32_t seen;

/* What the register holds by then. */
static void ring(struct vfio_function *fn, void *arg)
{
	atomic_uint *count = arg;
	uint8_t *memory = vfio_function_memory(fn, BAR);

	seen = __atomic_load_n((uint32_t *)(memory + BELL), __ATOMIC_ACQUIRE);
	++*count;
}

static int hang(struct both *b)
{
	struct vfio_function *fn = b->model.fn;
	int r;

	rung = rung_too = seen = 0;
	both_stop_serving(b);
	r = vfio_function_doorbell(fn, BAR, BELL, SIZE, ring, &rung);
	if (r == 0)
		r = vfio_function_doorbell(fn, BAR, MODEL_AREA_2, 4, ring, &rung_too);
	if (r == 0 && b->is_socket)
		r = both_start_serving(b);
	return r;
}

static int set_up(void **state)
{
	return both_setup(state) == 0 ? hang(*state) : -1;
}

/* After both_stop_serving(), in which time the test may look at the function. */
static void serve_again(struct both *b)
{
	if (b->is_socket)
		assert_int_equal(both_start_serving(b), 0);
}

static bool is_asked(struct both *b, unsigned int bar)
{
	bool asked;

	both_stop_serving(b);
	asked = vfio_function_doorbell_asked(b->model.fn, bar);
	serve_again(b);
	return asked;
}

/* Is anything left for the function to do? */
static bool is_idle(struct both *b)
{
	struct pollfd p = { .fd = function_poll_fd(b->model.fn), .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

static void signal_it(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

/* In this process, it is the driver who gives the device its turn. */
static void wait_until(struct both *b, const atomic_uint *count, unsigned int times)
{
	while (*count < times)
		assert_int_equal(vfio_dispatch(b->dev), 0);
	assert_int_equal(*count, times);
}

/* ---- what a model may say ------------------------------------------------------------------ */

static void a_doorbell_lies_in_memory(void **state)
{
	static struct model m;
	struct vfio_function *fn;
	int r = 0;

	assert_int_equal(model_new(&m, NULL), 0);
	fn = m.fn;
	assert_int_equal(vfio_function_doorbell(fn, 0, 0, 4, ring, &rung), -EINVAL);
	assert_int_equal(vfio_function_doorbell(fn, 6, 0, 4, ring, &rung), -EINVAL);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_1 - 4, 8, ring, &rung), -EINVAL);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_1, 0, ring, &rung), -EINVAL);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_1, 4, NULL, &rung), -EINVAL);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_1, MODEL_AREA_1_SIZE + 1, ring,
						&rung), -EINVAL);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_1, UINT64_MAX, ring, &rung),
			 -EINVAL);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_2 + MODEL_AREA_2_SIZE - 4, 4,
						ring, &rung), 0);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_2, MODEL_AREA_2_SIZE, ring, &rung),
			 -EEXIST);
	for (unsigned int i = 1; i < VFIO_MAX_DOORBELLS; i++)
		r |= vfio_function_doorbell(fn, BAR, MODEL_AREA_1 + 8 * i, 8, ring, &rung);
	assert_int_equal(r, 0);
	assert_int_equal(vfio_function_doorbell(fn, BAR, MODEL_AREA_1, 8, ring, &rung), -ENOSPC);
	assert_false(vfio_function_doorbell_asked(fn, BAR));
	assert_false(vfio_function_doorbell_asked(fn, 6));
	vfio_function_free(fn);
}

/* ---- writes -------------------------------------------------------------------------------- */

static void a_write_by_call_rings(void **state)
{
	struct both *b = *state;
	const uint8_t bytes[8] = { 1 };

	vfio_write32(b->dev, BAR, BELL, 0x12345678);
	assert_int_equal(vfio_read32(b->dev, BAR, BELL), 0x12345678);
	assert_int_equal(rung, 1);
	assert_int_equal(seen, 0x12345678);
	vfio_write8(b->dev, BAR, BELL + SIZE - 1, 1);
	assert_int_equal(rung, 2);
	vfio_write32(b->dev, BAR, BELL - 4, 1);
	vfio_write32(b->dev, BAR, BELL + SIZE, 1);
	vfio_write32(b->dev, 0, BELL, 1);
	assert_int_equal(rung, 2);
	assert_int_equal(vfio_pwrite(b->dev, BAR, BELL - 4, bytes, 8), 8);
	assert_int_equal(rung, 3);
	assert_int_equal(rung_too, 0);
	vfio_write32(b->dev, BAR, MODEL_AREA_2, 1);
	assert_int_equal(rung_too, 1);
	assert_int_equal(rung, 3);
}

static void a_write_by_mapping_is_signalled(void **state)
{
	struct both *b = *state;
	volatile uint32_t *at = vfio_map(b->dev, BAR, MODEL_AREA_1, 4096);
	int fd;

	assert_non_null(at);
	assert_false(is_asked(b, BAR));
	fd = vfio_doorbell_fd(b->dev, BAR, BELL);
	assert_true(fd >= 0);
	assert_true(is_asked(b, BAR));
	assert_false(is_asked(b, 0));
	for (unsigned int i = 1; i < 10; i++) {
		__atomic_store_n((uint32_t *)&at[0x100 / 4], i, __ATOMIC_RELEASE);
		signal_it(fd);
		wait_until(b, &rung, i);
		wait_until(b, &rung_too, i);
		assert_int_equal(seen, i);
	}
}

static void asking_again_gives_the_same(void **state)
{
	struct both *b = *state;
	int fd = vfio_doorbell_fd(b->dev, BAR, BELL);

	assert_true(fd >= 0);
	assert_int_equal(vfio_doorbell_fd(b->dev, BAR, BELL), fd);
	assert_int_equal(vfio_doorbell_fd(b->dev, BAR, BELL + SIZE - 1), fd);
	assert_int_equal(vfio_doorbell_fd(b->dev, BAR, MODEL_AREA_2), fd);
	both_close(b);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void not_everything_has_one(void **state)
{
	static const uint64_t places[] = { 0, BELL - 1, BELL + SIZE, MODEL_AREA_2 + 4, UINT64_MAX };
	struct both *b = *state;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		assert_int_equal(vfio_doorbell_fd(b->dev, BAR, places[i]), -ENOENT);
		assert_record(vfio_last_error(b->dev), ENOENT, VFIO_E_NO_DOORBELL);
	}
	assert_int_equal(vfio_doorbell_fd(b->dev, 0, BELL), -ENOENT);
	assert_int_equal(vfio_doorbell_fd(b->dev, VFIO_PCI_CONFIG_REGION_INDEX, 0), -ENOENT);
	assert_false(is_asked(b, 0));
	assert_int_equal(vfio_doorbell_fd(b->dev, VFIO_PCI_NUM_REGIONS, 0), -EINVAL);
	assert_record(vfio_last_error(b->dev), EINVAL, VFIO_E_NO_REGION);
}

static void a_reset_keeps_it(void **state)
{
	struct both *b = *state;
	int fd = vfio_doorbell_fd(b->dev, BAR, BELL);

	assert_true(fd >= 0);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_true(is_asked(b, BAR));
	signal_it(fd);
	wait_until(b, &rung, 1);
}

/* ---- hostile users ------------------------------------------------------------------------- */

/* It is full, and writing and reading wait: one call, and the device goes on. */
static void a_spoilt_eventfd_spoils_nothing(void **state)
{
	struct both *b = *state;
	const uint64_t most = UINT64_MAX - 1;
	int fd = vfio_doorbell_fd(b->dev, BAR, BELL);
	uint64_t count;

	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	wait_until(b, &rung, 1);
	both_stop_serving(b);
	assert_true(is_idle(b));
	function_dispatch(b->model.fn);
	assert_int_equal(rung, 1);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, most);
	assert_true(is_idle(b));
	signal_it(fd);
	function_dispatch(b->model.fn);
	assert_int_equal(rung, 2);
	serve_again(b);
	vfio_write32(b->dev, BAR, BELL, 1);
	assert_int_equal(rung, 3);
}

static void drain_before_it_is_heard(void **state)
{
	struct both *b = *state;
	int fd = vfio_doorbell_fd(b->dev, BAR, BELL);
	uint64_t count;

	both_stop_serving(b);
	signal_it(fd);
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	function_dispatch(b->model.fn);
	assert_true(is_idle(b));
	assert_int_equal(rung, 0);
	serve_again(b);
}

/* The next user's driver, over the same server or function. */
static void change_users(struct both *b)
{
	char name[16];
	int sv[2];

	if (!b->is_socket) {
		assert_int_equal(b->dev->backend->recycle(b->dev), 0);
		return;
	}
	vfio_close(b->dev);
	both_stop_serving(b);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(vfio_server_add_client(b->server, sv[0]), 0);
	assert_int_equal(both_start_serving(b), 0);
	snprintf(name, sizeof(name), "fd:%d", sv[1]);
	assert_int_equal(vfio_open(&b->dev, name, NULL), 0);
}

static void a_former_user_wakes_nothing(void **state)
{
	struct both *b = *state;
	int old = dup(vfio_doorbell_fd(b->dev, BAR, BELL)), fd;

	assert_true(old >= 0);
	change_users(b);
	assert_false(is_asked(b, BAR));
	both_stop_serving(b);
	signal_it(old);
	assert_true(is_idle(b));
	serve_again(b);
	fd = vfio_doorbell_fd(b->dev, BAR, BELL);
	assert_true(fd >= 0);
	assert_true(is_asked(b, BAR));
	signal_it(old);
	assert_int_equal(rung, 0);
	signal_it(fd);
	wait_until(b, &rung, 1);
	close(old);
}

/* ---- hostile servers ----------------------------------------------------------------------- */

/* Both ends in this thread: what a call is answered was sent before. */
struct lies {
	int server;
	uint16_t id;
	struct vfio_dev *dev;
};

#define REGION_SIZE 0x1000u

static void say(struct lies *l, uint16_t command, uint32_t error, const void *payload, size_t len,
		const int *fds, size_t nfds)
{
	uint8_t message[sizeof(struct wire_header) + 8192];
	struct wire_header h = {
		.id = l->id++, .command = command, .size = sizeof(h) + len,
		.flags = WIRE_IS_REPLY | (error ? WIRE_ERROR : 0), .error = error,
	};

	memcpy(message, &h, sizeof(h));
	if (len)
		memcpy(message + sizeof(h), payload, len);
	assert_int_equal(fd_send(l->server, message, h.size, fds, nfds), h.size);
}

static void meet(struct lies *l)
{
	const struct wire_version v = { .minor = WIRE_MINOR };
	const struct wire_device_info info = {
		.argsz = sizeof(info), .flags = VFIO_DEVICE_FLAGS_PCI, .num_regions = 9, .num_irqs = 5,
	};
	const struct wire_region_info region = {
		.argsz = sizeof(region), .size = REGION_SIZE,
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
	};
	struct vfio_region known;
	char name[16];
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	*l = (struct lies){ .server = sv[0] };
	say(l, WIRE_VERSION, 0, &v, sizeof(v), NULL, 0);
	say(l, WIRE_GET_INFO, 0, &info, sizeof(info), NULL, 0);
	snprintf(name, sizeof(name), "fd:%d", sv[1]);
	assert_int_equal(vfio_open(&l->dev, name, NULL), 0);
	say(l, WIRE_GET_REGION_INFO, 0, &region, sizeof(region), NULL, 0);
	assert_int_equal(vfio_region(l->dev, 0, &known), 0);
}

/* Nobody is at the other end by then: closing does not wait for it. */
static void part(struct lies *l)
{
	close(l->server);
	vfio_close(l->dev);
}

static unsigned int open_descriptors(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

struct answer {
	uint32_t argsz, count;		/* argsz 0: right */
	uint32_t stride, len;		/* of an entry, and of all; len 0: right */
	struct wire_io_fd entries[2];
	size_t nfds;
	bool wrong_file;
	int result;			/* 0: a descriptor */
};

static size_t put_answer(uint8_t *at, const struct answer *a)
{
	size_t len = sizeof(struct wire_io_fds) + a->count * a->stride;
	struct wire_io_fds q = { .argsz = a->argsz ? a->argsz : len, .count = a->count };

	memset(at, 0, 8192);
	memcpy(at, &q, sizeof(q));
	for (uint32_t i = 0; i < a->count && i < 2; i++)
		memcpy(at + sizeof(q) + i * a->stride, &a->entries[i], sizeof(a->entries[i]));
	return a->len ? a->len : len;
}

static void tell(const struct answer *a)
{
	unsigned int before = open_descriptors();
	uint8_t payload[8192];
	int fds[WIRE_MAX_FDS], fd;
	struct lies l;
	size_t len = put_answer(payload, a);

	meet(&l);
	for (size_t i = 0; i < a->nfds; i++)
		fds[i] = a->wrong_file ? memfd_create("wrong", MFD_CLOEXEC)
				       : eventfd(i, EFD_CLOEXEC);
	say(&l, WIRE_GET_REGION_IO_FDS, 0, payload, len, fds, a->nfds);
	fd_close_all(fds, a->nfds);
	fd = vfio_doorbell_fd(l.dev, 0, 0x10);
	if (a->result) {
		assert_int_equal(fd, a->result);
		assert_int_equal(vfio_last_error(l.dev)->err, -a->result);
	} else {
		assert_true(fd >= 0);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_int_equal(vfio_doorbell_fd(l.dev, 0, 0x10), fd);
	}
	part(&l);
	assert_int_equal(open_descriptors(), before);
}

#define AT(where, bytes, number) { .offset = where, .size = bytes, .fd_index = number }

static void answers_are_checked(void **state)
{
	static const struct answer answers[] = {
		{ .count = 0, .result = -ENOENT },
		{ .count = 0, .nfds = 3, .result = -ENOENT },
		{ .count = 1, .stride = 40, .entries = { AT(0x10, 4, 0) }, .nfds = 1 },
		{ .count = 1, .stride = 48, .entries = { AT(0x10, 0, 0) }, .nfds = 1 },
		{ .count = 2, .stride = 48, .entries = { AT(0, 4, 0), AT(0x10, 4, 1) }, .nfds = 2 },
		{ .count = 2, .stride = 40, .entries = { AT(0, 4, 0), AT(0x10, 4, 0) }, .nfds = 16 },
		{ .count = 64, .stride = 48, .entries = { AT(0, 4, 0), AT(0x10, 4, 0) }, .nfds = 1 },
		{ .count = 1, .stride = 40, .entries = { AT(0, REGION_SIZE, 0) }, .nfds = 1 },
		{ .count = 1, .stride = 40, .entries = { AT(0, REGION_SIZE + 1, 0) }, .nfds = 1,
		  .result = -EPROTO },
		{ .count = 1, .stride = 40, .entries = { AT(UINT64_MAX, 4, 0) }, .nfds = 1,
		  .result = -EPROTO },
		{ .count = 1, .stride = 40, .entries = { AT(REGION_SIZE, 0, 0) }, .nfds = 1,
		  .result = -EPROTO },
		{ .count = 1, .stride = 40, .entries = { AT(0x10, 4, 1) }, .nfds = 1,
		  .result = -EPROTO },
		{ .count = 1, .stride = 40, .entries = { AT(0x10, 4, UINT32_MAX) }, .nfds = 1,
		  .result = -EPROTO },
		{ .count = 1, .stride = 40, .entries = { AT(0x10, 4, 0) }, .result = -EPROTO },
		{ .count = 1, .stride = 40, .entries = { AT(0x10, 4, 0) }, .nfds = 1,
		  .wrong_file = true, .result = -EPROTO },
		{ .count = 1, .stride = 40, .entries = { { .offset = 0x10, .size = 4, .type = 1 } },
		  .nfds = 1, .result = -ENOENT },
		{ .count = 1, .stride = 40, .entries = { { .offset = 0x10, .size = 4, .flags = 1 } },
		  .nfds = 1, .result = -ENOENT },
		{ .count = 1, .stride = 32, .nfds = 1, .result = -EPROTO },
		{ .count = 2, .stride = 40, .len = 16 + 84, .nfds = 1, .result = -EPROTO },
		{ .count = 2, .stride = 40, .argsz = 16 + 84, .nfds = 1, .result = -EPROTO },
		{ .count = 3, .stride = 40, .len = 16, .nfds = 1, .result = -EPROTO },
		{ .count = 3, .stride = 40, .argsz = UINT32_MAX, .nfds = 1, .result = -EPROTO },
		{ .count = 65, .stride = 40, .len = 16, .result = -ENOTSUP },
		{ .count = UINT32_MAX, .stride = 0, .len = 16, .result = -ENOTSUP },
	};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		tell(&answers[i]);
}

/* More than one takes: that is not the protocol any more, and the connection ends. */
static void too_much_ends_the_connection(void **state)
{
	static const struct answer much[] = {
		{ .count = 65, .stride = 48, .nfds = 1, .result = -EPROTO },
		{ .count = 1, .stride = 40, .nfds = 17, .result = -EPROTO },
	};

	for (size_t i = 0; i < sizeof(much) / sizeof(much[0]); i++) {
		int fds[17];
		uint8_t payload[8192];
		size_t len = put_answer(payload, &much[i]);
		struct lies l;

		meet(&l);
		for (size_t n = 0; n < much[i].nfds; n++)
			fds[n] = eventfd(0, EFD_CLOEXEC);
		say(&l, WIRE_GET_REGION_IO_FDS, 0, payload, len, fds, much[i].nfds);
		fd_close_all(fds, much[i].nfds);
		assert_int_equal(vfio_doorbell_fd(l.dev, 0, 0x10), -EPROTO);
		assert_int_equal(vfio_doorbell_fd(l.dev, 0, 0x10), -ENODEV);
		part(&l);
	}
}

static void a_server_may_not_know_the_question(void **state)
{
	struct lies l;

	meet(&l);
	say(&l, WIRE_GET_REGION_IO_FDS, EINVAL, NULL, 0, NULL, 0);
	say(&l, WIRE_DEVICE_FEATURE, ENOTTY, NULL, 0, NULL, 0);
	assert_int_equal(vfio_doorbell_fd(l.dev, 0, 0x10), -ENOTSUP);
	assert_record(vfio_last_error(l.dev), ENOTSUP, VFIO_E_UNSUPPORTED);
	part(&l);
}

#define HUNG(test) cmocka_unit_test_setup_teardown(test, set_up, both_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HUNG(a_write_by_call_rings),
		HUNG(a_write_by_mapping_is_signalled),
		HUNG(asking_again_gives_the_same),
		HUNG(not_everything_has_one),
		HUNG(a_reset_keeps_it),
		HUNG(a_spoilt_eventfd_spoils_nothing),
		HUNG(drain_before_it_is_heard),
		HUNG(a_former_user_wakes_nothing),
	};
	const struct CMUnitTest alone[] = {
		cmocka_unit_test(a_doorbell_lies_in_memory),
		cmocka_unit_test(answers_are_checked),
		cmocka_unit_test(too_much_ends_the_connection),
		cmocka_unit_test(a_server_may_not_know_the_question),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0])) +
	       cmocka_run_group_tests(alone, NULL, NULL);
}
