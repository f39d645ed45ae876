/* SPDX-License-Identifier: MIT */
/* The server: who comes in, who does not, and what happens when one end goes. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "contract.h"
#include "wire/wire.h"

#define SOON 5000	/* milliseconds: what is to happen has happened by then */

struct fixture {
	struct both b;
	char dir[32], path[64], name[80];
	bool refuse;
	_Atomic int come, gone, refused, watched;
	unsigned int turns;
};

/* ---- the server's callbacks, in its thread ------------------------------------------------ */

static void log_line(void *arg, enum vfio_log_level level, const char *line)
{
	struct fixture *f = arg;

	if (level == VFIO_LOG_WARNING && strstr(line, "is refused"))
		f->refused++;
}

static bool admit(void *arg, const struct vfio_peer *peer, char *reason, size_t size)
{
	struct fixture *f = arg;

	snprintf(reason, size, "not on a day like this");
	return !f->refuse && peer->pid == getpid() && peer->uid == getuid() && peer->fd >= 0;
}

static void client(void *arg, const struct vfio_peer *peer)
{
	struct fixture *f = arg;

	if (peer)
		f->come++;
	else
		f->gone++;
}

static void watched(void *arg, int fd)
{
	struct fixture *f = arg;
	eventfd_t count;

	if (eventfd_read(fd, &count) == 0)
		f->watched += count;
}

/* ---- a server that listens ---------------------------------------------------------------- */

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, "/tmp/vfio-unit-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
	snprintf(f->name, sizeof(f->name), "unix:%s", f->path);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	both_close(&f->b);
	unlink(f->path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void make(struct fixture *f, unsigned int timeout_ms)
{
	const struct vfio_server_options options = {
		.size = sizeof(options), .arg = f, .log = log_line, .admit = admit,
		.client = client, .timeout_ms = timeout_ms,
	};

	assert_int_equal(both_new_server(&f->b, &options), 0);
	assert_int_equal(vfio_server_listen(f->b.server, f->path, NULL), 0);
}

static void start(struct fixture *f, unsigned int timeout_ms)
{
	make(f, timeout_ms);
	assert_int_equal(both_start_serving(&f->b), 0);
}

/* Wait until a counter of the server's thread gets there. */
static void wait_for(_Atomic int *counter, int value)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; *counter < value && i < SOON; i++)
		nanosleep(&ms, NULL);
	assert_int_equal(*counter, value);
}

static int connect_raw(struct fixture *f)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, f->path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void open_it(struct fixture *f)
{
	struct vfio_error e;

	if (vfio_open(&f->b.dev, f->name, &e) < 0)
		fail_msg("%s", e.what);
}

static void close_it(struct fixture *f)
{
	vfio_close(f->b.dev);
	f->b.dev = NULL;
}

/* ---- who comes in ------------------------------------------------------------------------- */

static void one_client_after_another(void **state)
{
	struct fixture *f = *state;
	unsigned int resets;

	start(f, 0);
	for (int i = 1; i <= 3; i++) {
		resets = f->b.model.resets;
		open_it(f);
		assert_int_equal(f->come, i);
		vfio_write8(f->b.dev, 0, MODEL_BYTES, 0x55);
		close_it(f);
		wait_for(&f->gone, i);
		assert_int_equal(f->b.model.resets, resets + 1);
	}
	open_it(f);
	assert_int_equal(vfio_read8(f->b.dev, 0, MODEL_BYTES), 0);
	assert_int_equal(f->refused, 0);
}

/* The old client's end is seen before the new one is refused for it. */
static void a_client_comes_as_another_goes(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	for (int i = 0; i < 50; i++) {
		open_it(f);
		close_it(f);
	}
	assert_int_equal(f->refused, 0);
}

static void a_second_client_is_refused(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *second;
	struct vfio_error e = { 0 };

	start(f, 0);
	open_it(f);
	for (int i = 1; i <= 20; i++) {		/* more than can be told at one time */
		assert_int_equal(vfio_open(&second, f->name, &e), -EBUSY);
		assert_null(second);
		assert_record(&e, EBUSY, VFIO_E_BUSY);
		assert_true(e.remedy[0]);
		assert_int_equal(f->refused, i);
	}
	assert_int_equal(model_get(&f->b, MODEL_ID), MODEL_ID_VALUE);
	close_it(f);
	assert_int_equal(vfio_open(&second, f->name, &e), 0);
	vfio_close(second);
}

static void a_client_that_is_not_admitted(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *dev;
	struct vfio_error e = { 0 };

	f->refuse = true;
	start(f, 0);
	assert_int_equal(vfio_open(&dev, f->name, &e), -EACCES);
	assert_null(dev);
	assert_record(&e, EACCES, VFIO_E_PERMISSION);
	assert_true(e.remedy[0]);
	assert_int_equal(f->refused, 1);
	assert_int_equal(f->come, 0);
}

/* A client must say hello in time; others are not kept out for longer. */
static void a_client_that_says_nothing(void **state)
{
	struct fixture *f = *state;
	struct pollfd p;

	start(f, 50);
	p = (struct pollfd){ .fd = connect_raw(f), .events = POLLIN };
	assert_int_equal(poll(&p, 1, SOON), 1);
	assert_true(p.revents & POLLHUP);
	wait_for(&f->gone, 1);
	open_it(f);
	close(p.fd);
}

static void a_crowd_that_says_nothing(void **state)
{
	struct fixture *f = *state;
	int fds[40];

	start(f, 50);
	open_it(f);
	for (int i = 0; i < 40; i++)
		fds[i] = connect_raw(f);
	assert_int_equal(model_get(&f->b, MODEL_ID), MODEL_ID_VALUE);
	for (int i = 0; i < 40; i++) {
		struct pollfd p = { .fd = fds[i], .events = POLLIN };

		assert_int_equal(poll(&p, 1, SOON), 1);
		close(fds[i]);
	}
	assert_int_equal(model_get(&f->b, MODEL_ID), MODEL_ID_VALUE);
}

/* ---- one end goes ------------------------------------------------------------------------- */

static void the_server_dies(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma dma;
	uint8_t byte;
	int irq;

	start(f, 0);
	open_it(f);
	assert_int_equal(vfio_dma_alloc(f->b.dev, &dma, 4096, VFIO_DMA_RW), 0);
	assert_int_equal(vfio_irq_enable(f->b.dev, VFIO_PCI_MSI_IRQ_INDEX, 1, &irq), 0);
	both_stop_serving(&f->b);
	vfio_server_free(f->b.server);
	f->b.server = NULL;
	assert_int_equal(f->b.model.freed, 1);
	assert_int_equal(vfio_irq_wait(f->b.dev, irq, SOON), -ENODEV);
	assert_record(vfio_last_error(f->b.dev), ENODEV, VFIO_E_GONE);
	assert_true(vfio_last_error(f->b.dev)->remedy[0]);
	assert_int_equal(vfio_pread(f->b.dev, 0, 0, &byte, 1), -ENODEV);
	assert_int_equal(model_get(&f->b, MODEL_ID), UINT32_MAX);
	assert_int_equal(vfio_set_bus_master(f->b.dev, true), -ENODEV);
	assert_int_equal(vfio_reset(f->b.dev), -ENODEV);
	assert_int_equal(vfio_dispatch(f->b.dev), -ENODEV);
	assert_int_equal(vfio_poll_fd(f->b.dev), -ENODEV);
	memset(dma.vaddr, 1, 4096);		/* the driver's memory is the driver's */
	assert_true(vfio_dma_free(f->b.dev, &dma) <= 0);
	assert_int_equal(dma.size, 0);
}

/* A server that is there and does not answer: a time-out, and then the connection is dead. */
static void the_server_is_silent(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;

	start(f, 0);
	open_it(f);
	both_stop_serving(&f->b);
	assert_int_equal(vfio_set_timeout(f->b.dev, 50), 0);
	assert_int_equal(vfio_pread(f->b.dev, 0, 0, &byte, 1), -ETIMEDOUT);
	assert_record(vfio_last_error(f->b.dev), ETIMEDOUT, VFIO_E_TIMEOUT);
	assert_true(vfio_last_error(f->b.dev)->remedy[0]);
	assert_int_equal(vfio_pread(f->b.dev, 0, 0, &byte, 1), -ENODEV);
	assert_record(vfio_last_error(f->b.dev), ENODEV, VFIO_E_GONE);
}

/* The device waits for memory of a client that does not answer, and is told that it failed. */
static void the_client_is_silent(void **state)
{
	static uint8_t memory[4096] __attribute__((aligned(4096)));
	struct fixture *f = *state;
	struct vfio_dma dma = {
		.vaddr = memory, .iova = 0x40000, .size = 4096, .fd = -1, .prot = VFIO_DMA_RW,
	};
	const uint32_t go = MODEL_DMA_READ;

	start(f, 50);
	open_it(f);
	assert_int_equal(vfio_dma_map(f->b.dev, &dma), 0);
	assert_int_equal(vfio_set_bus_master(f->b.dev, true), 0);
	model_put(&f->b, MODEL_IOVA, 0x40000);
	model_put(&f->b, MODEL_LENGTH, 64);
	assert_int_equal(vfio_set_timeout(f->b.dev, 1), 0);
	/* In its millisecond this call may serve the request, or give up before that comes. */
	vfio_pwrite(f->b.dev, 0, MODEL_COMMAND, &go, sizeof(go));
	close_it(f);
	wait_for(&f->gone, 1);
	open_it(f);
	assert_int_equal(model_get(&f->b, MODEL_ID), MODEL_ID_VALUE);
}

static void the_server_stops_while_it_has_a_client(void **state)
{
	struct fixture *f = *state;
	struct vfio_peer peer;

	start(f, 0);
	open_it(f);
	both_stop_serving(&f->b);
	assert_true(vfio_server_client(f->b.server, &peer));
	assert_int_equal(peer.pid, getpid());
	assert_true(vfio_server_client(f->b.server, NULL));
	assert_int_equal(both_start_serving(&f->b), 0);		/* and goes on */
	assert_int_equal(model_get(&f->b, MODEL_ID), MODEL_ID_VALUE);
}

/* ---- the loop ----------------------------------------------------------------------------- */

static void a_loop_of_the_callers(void **state)
{
	struct fixture *f = *state;
	struct pollfd p;

	make(f, 0);
	p = (struct pollfd){ .fd = vfio_server_fd(f->b.server), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(vfio_server_dispatch(f->b.server, 0), 0);
	assert_int_equal(vfio_server_dispatch(f->b.server, 10), 0);
	assert_false(vfio_server_client(f->b.server, NULL));
	close(connect_raw(f));
	assert_int_equal(poll(&p, 1, SOON), 1);
	while (poll(&p, 1, 0) == 1)
		assert_int_equal(vfio_server_dispatch(f->b.server, 0), 0);
	assert_int_equal(f->come, 1);
	assert_int_equal(f->gone, 1);
	assert_string_equal(vfio_backend_name(vfio_server_device(f->b.server)), "inprocess");
}

/* What the last client has left in it is nobody else's: no next one is served. */
static void a_device_that_cannot_be_reset_is_not_given_on(void **state)
{
	struct fixture *f = *state;
	struct pollfd p;
	int r = 0;

	make(f, 0);
	p = (struct pollfd){ .fd = vfio_server_fd(f->b.server), .events = POLLIN };
	f->b.model.stuck = true;
	close(connect_raw(f));
	while (r == 0 && poll(&p, 1, SOON) == 1)
		r = vfio_server_dispatch(f->b.server, 0);
	assert_int_equal(r, -EIO);
}

static void descriptors_of_the_callers(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_NONBLOCK);

	make(f, 0);
	assert_int_equal(vfio_server_watch(f->b.server, fd, NULL, NULL), -ENOENT);
	assert_int_equal(vfio_server_watch(f->b.server, fd, watched, f), 0);
	assert_int_equal(vfio_server_watch(f->b.server, fd, watched, f), -EEXIST);
	assert_int_equal(vfio_server_watch(f->b.server, -1, watched, f), -EBADF);
	assert_int_equal(both_start_serving(&f->b), 0);
	open_it(f);
	assert_int_equal(eventfd_write(fd, 3), 0);
	wait_for(&f->watched, 3);
	close_it(f);
	both_stop_serving(&f->b);
	assert_int_equal(vfio_server_watch(f->b.server, fd, NULL, NULL), 0);
	assert_int_equal(eventfd_write(fd, 1), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(vfio_server_dispatch(f->b.server, 10), 0);
	assert_int_equal(f->watched, 3);
	assert_int_equal(vfio_server_watch(f->b.server, fd, watched, f), 0);	/* freed with it */
	both_close(&f->b);
	close(fd);
}

/* ---- a device that is never done ---------------------------------------------------------- */

static void turn(struct vfio_function *fn, int fd, void *arg)
{
	struct fixture *f = arg;

	f->turns++;
}

/* Has the other end answered, after that many turns of the loop at most? */
static bool is_answered(struct fixture *f, int fd, uint32_t error)
{
	struct wire_header h = { .error = ~0u };

	for (int i = 0; i < 12; i++) {
		assert_int_equal(vfio_server_dispatch(f->b.server, 0), 0);
		if (recv(fd, &h, sizeof(h), MSG_DONTWAIT) == sizeof(h))
			return h.error == error;
	}
	return false;
}

static void drop_rest(int fd)
{
	char rest[512];

	while (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
}

/* All that the loop watches has its turn, and none costs more than one of the device's. */
static void a_busy_device_starves_nobody(void **state)
{
	static const struct {
		struct wire_header h;
		struct wire_version v;
	} hello = { { .command = WIRE_VERSION, .size = 20 }, { 0, 1 } };
	static const struct wire_header reset = { .id = 1, .command = WIRE_RESET, .size = sizeof(reset) };
	struct fixture *f = *state;
	int busy = eventfd(1, EFD_CLOEXEC), own = eventfd(0, EFD_NONBLOCK), fd, other;

	make(f, 0);
	assert_int_equal(vfio_function_watch(f->b.model.fn, busy, turn, f), 0);
	assert_int_equal(vfio_server_watch(f->b.server, own, watched, f), 0);
	fd = connect_raw(f);
	assert_int_equal(send(fd, &hello, sizeof(hello), 0), sizeof(hello));
	assert_true(is_answered(f, fd, 0));
	drop_rest(fd);
	for (int i = 0; i < 10; i++) {
		other = connect_raw(f);
		assert_int_equal(send(other, &hello, sizeof(hello), 0), sizeof(hello));
		assert_int_equal(send(fd, &reset, sizeof(reset), 0), sizeof(reset));
		assert_int_equal(eventfd_write(own, 1), 0);
		f->turns = 0;
		assert_true(is_answered(f, other, EBUSY));
		assert_true(f->turns > 0);
		assert_true(is_answered(f, fd, 0));
		assert_int_equal(f->watched, i + 1);
		close(other);
	}
	vfio_server_stop(f->b.server);
	assert_int_equal(vfio_server_run(f->b.server), 0);
	close(fd);
	both_close(&f->b);
	close(busy);
	close(own);
}

/* ---- listening ---------------------------------------------------------------------------- */

static int listen_elsewhere(const char *path, struct vfio_error *e)
{
	struct both other = { 0 };
	int r;

	assert_int_equal(both_new_server(&other, NULL), 0);
	memset(e, 0, sizeof(*e));
	r = vfio_server_listen(other.server, path, e);
	both_close(&other);
	return r;
}

static void paths(void **state)
{
	struct fixture *f = *state;
	char too_long[200];
	struct vfio_error e;
	struct stat st;

	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	make(f, 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(listen_elsewhere(f->path, &e), -EADDRINUSE);
	assert_record(&e, EADDRINUSE, VFIO_E_IN_USE);
	assert_true(e.remedy[0]);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(vfio_server_listen(f->b.server, f->path, &e), -EBUSY);
	assert_int_equal(listen_elsewhere(too_long, &e), -ENAMETOOLONG);
	assert_int_equal(listen_elsewhere("", &e), -ENAMETOOLONG);
	assert_int_equal(listen_elsewhere("/no/such/place", &e), -ENOENT);
	assert_int_equal(e.who, VFIO_BY_KERNEL);
	both_close(&f->b);
	assert_int_equal(stat(f->path, &st), -1);		/* gone with its server */
}

static void what_lies_at_the_path(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct vfio_error e;
	struct stat st;

	strcpy(addr.sun_path, f->path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(listen_elsewhere(f->path, &e), 0);	/* a dead server's: replaced */
	close(open(f->path, O_CREAT | O_RDWR, 0600));
	assert_int_equal(listen_elsewhere(f->path, &e), -EADDRINUSE);
	assert_int_equal(stat(f->path, &st), 0);		/* no socket: left alone */
}

static void a_listener_of_the_callers(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), second = dup(fd);

	strcpy(addr.sun_path, f->path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(both_new_server(&f->b, NULL), 0);
	assert_int_equal(vfio_server_add_listener(f->b.server, fd), 0);
	assert_int_equal(vfio_server_add_listener(f->b.server, second), -EBUSY);
	assert_int_equal(fcntl(second, F_GETFD), -1);
	assert_int_equal(both_start_serving(&f->b), 0);
	open_it(f);
	assert_int_equal(model_get(&f->b, MODEL_ID), MODEL_ID_VALUE);
}

/* ---- a client that does not read ---------------------------------------------------------- */

#define MANY_QUESTIONS 4000	/* more than a socket has room for answers to */

struct question {
	struct wire_header h;
	struct wire_region_info info;
};

static void serve_what_came(struct fixture *f)
{
	struct pollfd p = { .fd = vfio_server_fd(f->b.server), .events = POLLIN };

	while (poll(&p, 1, 0) == 1)
		assert_int_equal(vfio_server_dispatch(f->b.server, 0), 0);
}

static void say_version(struct fixture *f, int fd)
{
	struct {
		struct wire_header h;
		struct wire_version v;
	} q = { { .command = WIRE_VERSION, .size = sizeof(q) }, { 0, 1 } };
	char reply[1024];

	assert_int_equal(send(fd, &q, sizeof(q), 0), sizeof(q));
	serve_what_came(f);
	assert_true(recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > (ssize_t)sizeof(q));
}

/* Ask about BAR 2 until the server cannot answer any more. */
static void ask_without_reading(struct fixture *f, int fd)
{
	const struct question q = {
		{ .command = WIRE_GET_REGION_INFO, .size = sizeof(q) },
		{ .argsz = 4096, .index = 2 },
	};
	int asked = 0;

	while (asked < MANY_QUESTIONS && send(fd, &q, sizeof(q), MSG_DONTWAIT) == sizeof(q)) {
		serve_what_came(f);
		asked++;
	}
	assert_in_range(asked, 1, MANY_QUESTIONS - 1);
}

/* A descriptor that comes with what can be read now; -1: there is nothing more. */
static int take_descriptor(int fd)
{
	char bytes[4096], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { bytes, sizeof(bytes) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int got;

	if (recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	assert_non_null(CMSG_FIRSTHDR(&m));
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(got));
	return got;
}

/* The answer that waits holds the device's memory, whatever has that number by now. */
static void an_answer_that_waits_keeps_its_descriptor(void **state)
{
	struct fixture *f = *state;
	int fd, other, got, n = 0;

	make(f, 0);
	fd = connect_raw(f);
	serve_what_came(f);
	say_version(f, fd);
	ask_without_reading(f, fd);
	assert_int_equal(vfio_policy_set(vfio_server_device(f->b.server), "view", "filtered"), 0);
	other = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while ((got = take_descriptor(fd)) >= 0) {
		assert_true(fcntl(got, F_GET_SEALS) >= 0);
		close(got);
		serve_what_came(f);
		n++;
	}
	assert_true(n > 1);
	close(other);
	close(fd);
	serve_what_came(f);
}

/* ---- process memory ----------------------------------------------------------------------- */

/* It is refused unless the policy says otherwise, and the client answers for its memory instead. */
static void memory_of_a_process_is_not_taken(void **state)
{
	static _Alignas(4096) uint8_t page[4096];
	struct fixture *f = *state;
	struct vfio_dma dma = {
		.vaddr = page, .iova = 0x10000, .size = sizeof(page), .fd = -1, .prot = VFIO_DMA_RW,
		.flags = VFIO_DMA_BY_PROCESS,
	};
	struct vfio_dma_info info;
	uint64_t cursor = 0;

	start(f, 0);
	open_it(f);
	assert_int_equal(vfio_dma_map(f->b.dev, &dma), 0);
	assert_int_equal(vfio_dma_next(f->b.dev, &cursor, &info), 1);
	assert_int_equal(info.access, VFIO_DMA_BY_MESSAGE);
	page[7] = 0x5a;
	assert_int_equal(vfio_set_bus_master(f->b.dev, true), 0);
	assert_int_equal(model_dma(&f->b, MODEL_DMA_READ, 0x10000, 8), 0);
	assert_int_equal(vfio_read8(f->b.dev, 0, MODEL_BYTES + 7), 0x5a);
	close_it(f);
}

static int agree(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	return 0;
}

/* A device behind another server may do anything: what answers a SET is no longer than it was. */
static void nothing_but_the_question_comes_back(void **state)
{
	struct fixture *f = *state;
	struct {
		struct wire_header h;
		struct wire_feature q;
	} q = {
		{ .command = WIRE_DEVICE_FEATURE, .size = sizeof(q) },
		{ 1000, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET | 0xf0ff },
	};
	struct backend agreeable;
	char reply[4096];
	int fd;

	make(f, 0);
	agreeable = *vfio_server_device(f->b.server)->backend;
	agreeable.feature = agree;
	vfio_server_device(f->b.server)->backend = &agreeable;
	fd = connect_raw(f);
	serve_what_came(f);
	say_version(f, fd);
	assert_int_equal(send(fd, &q, sizeof(q), 0), sizeof(q));
	serve_what_came(f);
	assert_in_range(recv(fd, reply, sizeof(reply), MSG_DONTWAIT), sizeof(q.h), sizeof(q));
	close(fd);
	serve_what_came(f);
	both_close(&f->b);
}

/* ---- the kernel's requests ------------------------------------------------------------------ */

static int request(struct vfio_dev *dev, uint32_t data, uint32_t count, int32_t value)
{
	struct {
		struct vfio_irq_set set;
		int32_t value;
	} q = {
		.set = {
			.argsz = sizeof(q), .index = VFIO_PCI_REQ_IRQ_INDEX, .count = count,
			.flags = data | VFIO_IRQ_SET_ACTION_TRIGGER,
		},
		.value = value,
	};

	return vfio_irq_set(dev, &q.set);
}

/* What whoever serves the device has set there, a client neither signals nor takes away. */
static void a_client_makes_no_requests_of_others(void **state)
{
	const uint32_t none = VFIO_IRQ_SET_DATA_NONE, boolean = VFIO_IRQ_SET_DATA_BOOL;
	const uint32_t events = VFIO_IRQ_SET_DATA_EVENTFD;
	int servers = eventfd(0, EFD_NONBLOCK), own = eventfd(0, EFD_NONBLOCK);
	struct fixture *f = *state;
	struct vfio_dev *device;

	make(f, 0);
	device = vfio_server_device(f->b.server);
	assert_int_equal(request(device, events, 1, servers), 0);
	assert_int_equal(both_start_serving(&f->b), 0);
	open_it(f);
	assert_int_equal(request(f->b.dev, none, 1, 0), -EINVAL);
	assert_int_equal(request(f->b.dev, none, 0, 0), -EINVAL);
	assert_int_equal(request(f->b.dev, boolean, 1, 1), 0);
	assert_int_equal(request(f->b.dev, events, 1, -1), 0);
	assert_int_equal(fd_take(servers), 0);
	both_stop_serving(&f->b);
	assert_int_equal(request(device, none, 1, 0), 0);
	assert_int_equal(fd_take(servers), 1);
	assert_int_equal(both_start_serving(&f->b), 0);
	/* With its own it does as it likes. */
	assert_int_equal(request(f->b.dev, events, 1, own), 0);
	assert_int_equal(request(f->b.dev, none, 1, 0), 0);
	assert_int_equal(request(f->b.dev, boolean, 1, 1), 0);
	assert_int_equal(fd_take(own), 2);
	assert_int_equal(request(f->b.dev, none, 0, 0), 0);
	assert_int_equal(request(f->b.dev, none, 1, 0), -EINVAL);
	assert_int_equal(fd_take(own), 0);
	close_it(f);
	close(own);
	close(servers);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_client_after_another),
		TEST(a_client_comes_as_another_goes),
		TEST(a_second_client_is_refused),
		TEST(a_client_that_is_not_admitted),
		TEST(a_client_that_says_nothing),
		TEST(a_crowd_that_says_nothing),
		TEST(the_server_dies),
		TEST(the_server_is_silent),
		TEST(the_client_is_silent),
		TEST(the_server_stops_while_it_has_a_client),
		TEST(a_loop_of_the_callers),
		TEST(a_device_that_cannot_be_reset_is_not_given_on),
		TEST(descriptors_of_the_callers),
		TEST(a_busy_device_starves_nobody),
		TEST(paths),
		TEST(what_lies_at_the_path),
		TEST(a_listener_of_the_callers),
		TEST(an_answer_that_waits_keeps_its_descriptor),
		TEST(memory_of_a_process_is_not_taken),
		TEST(nothing_but_the_question_comes_back),
		TEST(a_client_makes_no_requests_of_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
