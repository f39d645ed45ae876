/* SPDX-License-Identifier: MIT */
/* A device that acts by itself: descriptors that it waits for, and its own configuration space. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/server.h>

#include "base/bits.h"
#include "base/fd.h"
#include "function/function.h"
#include "model.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define SOON   5000

struct fixture {
	struct model model;
	struct vfio_dev *dev;
	struct vfio_server *server;
	pthread_t thread;
	int timer;
	unsigned int called, inside;	/* and inside another callback */
	unsigned int written_at, written_width;
};

static struct fixture *the;	/* callbacks have the model's state, not the test's */

/* Each tick is a message, as a network card's when a packet comes. */
static void tick(struct vfio_function *fn, int fd, void *arg)
{
	struct fixture *f = arg;
	uint64_t ticks;

	assert_int_equal(read(fd, &ticks, sizeof(ticks)), sizeof(ticks));
	f->inside += f->model.running;
	f->called++;
	vfio_function_msi(fn, 0);
}

static void config_written(struct vfio_function *fn, unsigned int offset, unsigned int width)
{
	the->written_at = offset;
	the->written_width = width;
}

static int set_up(void **state)
{
	static const uint8_t bytes[6] = { 8 }, writable[6] = { 0, 0, 0xff, 0xff };
	static const struct vfio_capability_description vendor = {
		.id = PCI_CAP_ID_VNDR, .length = 6, .bytes = bytes, .writable = writable,
	};
	static struct vfio_function_ops ops;
	struct vfio_function_description d = model_description;
	struct fixture *f = calloc(1, sizeof(*f));

	*state = the = f;
	ops = model_ops;
	ops.config_written = config_written;
	d.ncapabilities = 1;
	d.capabilities = &vendor;
	f->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (model_new_as(&f->model, &d, &ops, NULL) < 0)
		return -1;
	return vfio_function_watch(f->model.fn, f->timer, tick, f);
}

/* The driver's end, and the server with the function. */
static void close_all(struct fixture *f)
{
	vfio_close(f->dev);
	if (f->server) {
		vfio_server_stop(f->server);
		pthread_join(f->thread, NULL);
		vfio_server_free(f->server);
	} else if (!f->dev && f->model.fn) {
		vfio_function_free(f->model.fn);
	}
	f->dev = NULL;
	f->server = NULL;
	f->model.fn = NULL;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	close_all(f);
	close(f->timer);
	free(f);
	return 0;
}

static void start_timer(struct fixture *f)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 1000 * 1000 };

	assert_int_equal(timerfd_settime(f->timer, 0, &soon, NULL), 0);
}

static void wait_for_tick(struct fixture *f)
{
	int fd;

	assert_int_equal(vfio_irq_enable(f->dev, VFIO_PCI_MSIX_IRQ_INDEX, 1, &fd), 0);
	assert_int_equal(vfio_set_bus_master(f->dev, true), 0);
	start_timer(f);
	assert_int_equal(vfio_irq_wait(f->dev, fd, SOON), 1);
}

static void a_timer_raises_in_process(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(vfio_function_open(&f->dev, f->model.fn, NULL), 0);
	wait_for_tick(f);
	assert_int_equal(f->called, 1);
}

static void *serve(void *arg)
{
	return (void *)(intptr_t)vfio_server_run(arg);
}

static void open_served(struct fixture *f)
{
	struct vfio_dev *served;
	char name[16];
	int sv[2];

	assert_int_equal(vfio_function_open(&served, f->model.fn, NULL), 0);
	assert_int_equal(vfio_server_new(&f->server, served, NULL, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(vfio_server_add_client(f->server, sv[0]), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, serve, f->server), 0);
	snprintf(name, sizeof(name), "fd:%d", sv[1]);
	assert_int_equal(vfio_open(&f->dev, name, NULL), 0);
}

/* Nobody asks the server for anything meanwhile. */
static void a_timer_raises_in_an_idle_server(void **state)
{
	struct fixture *f = *state;

	open_served(f);
	wait_for_tick(f);
}

/* The device waits for its driver's memory, and ticks: it is not called in the middle of that. */
static void no_callback_runs_inside_another(void **state)
{
	const struct itimerspec fast = { { 0, 20000 }, { 0, 20000 } };
	struct fixture *f = *state;
	struct vfio_dma dma = { .size = 4096, .iova = 0x10000, .prot = VFIO_DMA_RW, .fd = -1 };

	open_served(f);
	dma.vaddr = aligned_alloc(4096, 4096);
	assert_int_equal(vfio_dma_map(f->dev, &dma), 0);
	assert_int_equal(vfio_set_bus_master(f->dev, true), 0);
	vfio_write64(f->dev, 0, MODEL_IOVA, 0x10000);
	vfio_write32(f->dev, 0, MODEL_LENGTH, 1024);
	assert_int_equal(timerfd_settime(f->timer, 0, &fast, NULL), 0);
	for (int i = 0; i < 300; i++) {
		vfio_write32(f->dev, 0, MODEL_COMMAND, MODEL_DMA_READ);
		assert_int_equal(vfio_read32(f->dev, 0, MODEL_RESULT), 0);
	}
	assert_int_equal(vfio_dma_unmap(f->dev, 0x10000, 4096), 0);
	close_all(f);
	free(dma.vaddr);
	assert_true(f->called > 0);
	assert_int_equal(f->inside, 0);
}

static void come_again(struct vfio_function *fn, int fd, void *arg)
{
	the->called += 100;
}

/* Another file has the number of one that was ready: it is not taken for it. */
static void close_and_come_again(struct vfio_function *fn, int fd, void *arg)
{
	int *fds = arg, other = fds[0] == fd ? fds[1] : fds[0];

	the->called++;
	assert_int_equal(vfio_function_watch(fn, fd, NULL, NULL), 0);
	assert_int_equal(vfio_function_watch(fn, other, NULL, NULL), 0);
	close(other);
	assert_int_equal(eventfd(0, EFD_NONBLOCK), other);
	assert_int_equal(vfio_function_watch(fn, other, come_again, NULL), 0);
}

static void a_number_that_comes_again(void **state)
{
	struct fixture *f = *state;
	int fds[2] = { eventfd(1, EFD_NONBLOCK), eventfd(1, EFD_NONBLOCK) };

	assert_int_equal(vfio_function_watch(f->model.fn, fds[0], close_and_come_again, fds), 0);
	assert_int_equal(vfio_function_watch(f->model.fn, fds[1], close_and_come_again, fds), 0);
	function_dispatch(f->model.fn);
	assert_int_equal(f->called, 1);
	close(fds[0]);
	close(fds[1]);
}

static void take_out_both(struct vfio_function *fn, int fd, void *arg)
{
	const int *fds = arg;

	the->called++;
	assert_int_equal(vfio_function_watch(fn, fds[0], NULL, NULL), 0);
	assert_int_equal(vfio_function_watch(fn, fds[1], NULL, NULL), 0);
}

static void what_is_watched_and_what_not(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;
	int fds[2] = { eventfd(1, EFD_NONBLOCK), eventfd(1, EFD_NONBLOCK) };
	int file = fileno(tmpfile());

	assert_int_equal(vfio_function_watch(fn, f->timer, tick, f), -EEXIST);
	assert_int_equal(vfio_function_watch(fn, -1, tick, f), -EBADF);
	assert_int_equal(vfio_function_watch(fn, -1, NULL, NULL), -ENOENT);
	assert_int_equal(vfio_function_watch(fn, file, tick, f), -EPERM);
	assert_int_equal(vfio_function_watch(fn, fds[0], NULL, NULL), -ENOENT);
	/* Both are ready; whichever comes first takes out both. */
	assert_int_equal(vfio_function_watch(fn, fds[0], take_out_both, fds), 0);
	assert_int_equal(vfio_function_watch(fn, fds[1], take_out_both, fds), 0);
	function_dispatch(fn);
	assert_int_equal(f->called, 1);
	function_dispatch(fn);
	assert_int_equal(f->called, 1);
	close(fds[0]);
	close(fds[1]);
}

/* ---- configuration space from the device's side -------------------------------------------- */

static void the_model_hears_of_its_registers(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;
	int at;

	assert_int_equal(vfio_function_open(&f->dev, fn, NULL), 0);
	at = vfio_find_capability(f->dev, PCI_CAP_ID_VNDR);
	assert_true(at > 0);
	vfio_write16(f->dev, CONFIG, at + 4, 0x1234);
	assert_int_equal(f->written_at, at + 4);
	assert_int_equal(f->written_width, 2);
	assert_int_equal(vfio_function_config_read(fn, at + 4, 2), 0x1234);
	f->written_at = 0;
	vfio_write16(f->dev, CONFIG, at + 4, 0x1234);			/* no change */
	vfio_write8(f->dev, CONFIG, PCI_INTERRUPT_LINE, 7);		/* the virtual function's */
	vfio_write16(f->dev, CONFIG, PCI_VENDOR_ID, 0);			/* nobody's */
	vfio_write16(f->dev, CONFIG, fn->layout.pm + PCI_PM_CTRL, 1);	/* there is no D1 */
	assert_int_equal(f->written_at, 0);
}

static void the_model_sets_its_registers(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;

	assert_int_equal(vfio_function_open(&f->dev, fn, NULL), 0);
	vfio_function_config_write(fn, PCI_STATUS, 2, PCI_STATUS_CAP_LIST | PCI_STATUS_DETECTED_PARITY);
	assert_true(vfio_read16(f->dev, CONFIG, PCI_STATUS) & PCI_STATUS_DETECTED_PARITY);
	vfio_write16(f->dev, CONFIG, PCI_STATUS, PCI_STATUS_DETECTED_PARITY);
	assert_false(vfio_function_config_read(fn, PCI_STATUS, 2) & PCI_STATUS_DETECTED_PARITY);
	assert_int_equal(vfio_function_config_read(fn, 0, 3), UINT32_MAX);
	assert_int_equal(vfio_function_config_read(fn, 2, 4), UINT32_MAX);
	assert_int_equal(vfio_function_config_read(fn, CONFIG_SIZE, 1), UINT32_MAX);
	assert_int_equal(vfio_function_config_read(fn, UINT32_MAX, 1), UINT32_MAX);
	vfio_function_config_write(fn, CONFIG_SIZE, 4, 1);
	vfio_function_config_write(fn, 1, 4, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_timer_raises_in_process),
		TEST(a_timer_raises_in_an_idle_server),
		TEST(no_callback_runs_inside_another),
		TEST(a_number_that_comes_again),
		TEST(what_is_watched_and_what_not),
		TEST(the_model_hears_of_its_registers),
		TEST(the_model_sets_its_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
