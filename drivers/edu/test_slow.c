/* SPDX-License-Identifier: MIT */
/*
 * The driver against a device that takes its time, as QEMU's own edu does: a transfer lasts 200 ms
 * and a factorial 100 ms. The device runs in a process of its own, at the other end of a socket,
 * and can have one flaw.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/device.h>
#include <vfio/server.h>

#include "edu.h"

#define DMA_MS		200
#define FACTORIAL_MS	100
#define DEADLY		13u	/* the device's process ends when asked for 13! */

/* ---- the slow device --------------------------------------------------------------------- */

#define UNPLUGGED	14u	/* when asked for 14!, it is no longer there */

enum flaw { NONE, NO_ID, NO_INVERSE, NO_MSI, GONE };

static struct slow {
	enum flaw flaw;
	int dma_timer, factorial_timer;
	uint32_t liveness, factorial, status, irq;
	uint32_t dma[4];		/* source, destination, count, command */
	uint8_t buffer[4096];
} slow;

static void start_timer(int fd, long milliseconds)
{
	const struct itimerspec when = { .it_value.tv_nsec = milliseconds * 1000000 };

	timerfd_settime(fd, 0, &when, NULL);
}

static void stop_timer(int fd)
{
	uint64_t expirations;

	if (read(fd, &expirations, sizeof(expirations)) < 0)
		_exit(1);
}

static void slow_raise(struct vfio_function *fn, uint32_t bits)
{
	slow.irq |= bits;
	vfio_function_intx(fn, true);
	vfio_function_msi(fn, 0);
}

static void dma_done(void *fn, int fd)
{
	stop_timer(fd);
	if (slow.dma[3] & 2)
		vfio_function_dma_write(fn, slow.dma[1], slow.buffer + slow.dma[0] - 0x40000,
					slow.dma[2]);
	else
		vfio_function_dma_read(fn, slow.dma[0], slow.buffer + slow.dma[1] - 0x40000,
				       slow.dma[2]);
	slow.dma[3] &= ~1u;
	if (slow.dma[3] & 4)
		slow_raise(fn, 0x100);
}

static void factorial_done(void *fn, int fd)
{
	uint32_t n = slow.factorial;

	stop_timer(fd);
	if (n == DEADLY)
		_exit(0);
	if (n == UNPLUGGED) {
		slow.flaw = GONE;
		return;
	}
	for (slow.factorial = 1; n > 1; n--)
		slow.factorial *= n;
	slow.status &= ~1u;
	if (slow.status & 0x80)
		slow_raise(fn, 1);
}

static uint64_t slow_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			  unsigned int width)
{
	if (slow.flaw == GONE)
		return ~UINT64_C(0);
	switch (offset) {
	case 0x00: return slow.flaw == NO_ID ? 0 : 0x010000ed;
	case 0x04: return slow.flaw == NO_INVERSE ? slow.liveness : ~slow.liveness;
	case 0x08: return slow.factorial;
	case 0x20: return slow.status;
	case 0x24: return slow.irq;
	case 0x98: return slow.dma[3];
	default:   return ~UINT64_C(0);
	}
}

static void slow_write_dma(uint64_t offset, uint32_t value)
{
	if (slow.dma[3] & 1)
		return;
	slow.dma[(offset - 0x80) / 8] = value;
	if (offset == 0x98)
		start_timer(slow.dma_timer, DMA_MS);
}

static void slow_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		       unsigned int width, uint64_t wide)
{
	uint32_t value = (uint32_t)wide;

	if (offset == 0x04) {
		slow.liveness = value;
	} else if (offset == 0x08 && !(slow.status & 1)) {
		slow.factorial = value;
		slow.status |= 1;
		start_timer(slow.factorial_timer, FACTORIAL_MS);
	} else if (offset == 0x20) {
		slow.status = (slow.status & 1) | (value & 0x80);
	} else if (offset == 0x60) {
		slow_raise(fn, value);
	} else if (offset == 0x64) {
		slow.irq &= ~value;
		vfio_function_intx(fn, slow.irq != 0);
	} else if (offset >= 0x80 && offset <= 0x98) {
		slow_write_dma(offset, value);
	}
}

/* Serve it until the driver has gone; does not return. */
static void serve(int sock, enum flaw flaw)
{
	static const struct vfio_function_ops ops = {
		.size = sizeof(ops), .read = slow_read, .write = slow_write,
	};
	const struct vfio_function_description description = {
		.size = sizeof(description), .name = "slow edu",
		.vendor = 0x1234, .device = 0x11e8, .class_code = 0x00ff00,
		.interrupt_pin = 1, .msi_vectors = flaw == NO_MSI ? 0 : 1,
		.bars[0].size = 1 << 20,
	};
	struct vfio_function *fn;
	struct vfio_server *server;
	struct vfio_dev *dev;

	slow.flaw = flaw;
	slow.dma_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	slow.factorial_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (vfio_function_new(&fn, &description, &ops, NULL, NULL) < 0 ||
	    vfio_function_open(&dev, fn, NULL) < 0 ||
	    vfio_server_new(&server, dev, NULL, NULL) < 0 ||
	    vfio_server_watch(server, slow.dma_timer, dma_done, fn) < 0 ||
	    vfio_server_watch(server, slow.factorial_timer, factorial_done, fn) < 0 ||
	    vfio_server_add_client(server, sock) < 0)
		_exit(1);
	while (vfio_server_client(server, NULL) && vfio_server_dispatch(server, -1) == 0)
		;
	_exit(0);
}

/* ---- its driver -------------------------------------------------------------------------- */

struct fixture {
	struct edu *edu;
	struct vfio_dma memory;		/* two pages */
	pid_t device;
	struct vfio_error error;	/* of edu_open() */
};

/* Returns what edu_open() returned. */
static int start(struct fixture *f, enum flaw flaw)
{
	char name[32];
	int sock[2];

	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), errno);
	f->device = fork();
	assert_return_code(f->device, errno);
	if (f->device == 0) {
		close(sock[0]);
		serve(sock[1], flaw);
	}
	close(sock[1]);
	snprintf(name, sizeof(name), "fd:%d", sock[0]);
	return edu_open(&f->edu, name, &f->error);
}

static void end(struct fixture *f)
{
	edu_close(f->edu);
	kill(f->device, SIGKILL);
	waitpid(f->device, NULL, 0);
}

static int setup(void **state, enum edu_interrupt which)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || start(f, NONE) < 0 || edu_use_interrupt(f->edu, which) < 0)
		return -1;
	return vfio_dma_alloc(edu_device(f->edu), &f->memory, 2 * EDU_BUFFER_SIZE, VFIO_DMA_RW);
}

static int setup_msi(void **state)
{
	return setup(state, EDU_MSI);
}

static int setup_intx(void **state)
{
	return setup(state, EDU_INTX);
}

static int teardown(void **state)
{
	end(*state);
	free(*state);
	return 0;
}

/* Send len bytes of this value through the device and see them come back. */
static void check_copy(struct fixture *f, int value, uint32_t len)
{
	uint8_t *there = f->memory.vaddr, *back = there + EDU_BUFFER_SIZE;

	memset(there, value, len);
	memset(back, ~value, EDU_BUFFER_SIZE);
	assert_int_equal(edu_copy_to(f->edu, 16, f->memory.iova, len), 0);
	assert_int_equal(edu_copy_from(f->edu, f->memory.iova + EDU_BUFFER_SIZE, 16, len), 0);
	assert_memory_equal(there, back, len);
	assert_int_equal(back[len], (uint8_t)~value);
}

static void check_factorial(struct fixture *f, uint32_t n, uint32_t expected)
{
	uint32_t result = 0;

	assert_int_equal(edu_factorial(f->edu, n, &result), 0);
	assert_int_equal(result, expected);
}

static void check_error(struct fixture *f, int ret, int err, enum vfio_error_code code,
			const char *text)
{
	assert_int_equal(ret, -err);
	assert_int_equal(edu_error(f->edu)->err, err);
	assert_int_equal(edu_error(f->edu)->code, code);
	assert_non_null(strstr(edu_error(f->edu)->what, text));
}

/* ---- tests ------------------------------------------------------------------------------- */

static void operations_wait_for_their_interrupt(void **state)
{
	struct fixture *f = *state;
	uint64_t before = edu_interrupts(f->edu);

	check_factorial(f, 10, 3628800);
	check_copy(f, 0x5a, 1000);
	assert_int_equal(edu_interrupts(f->edu) - before, 3);
}

/* A transfer that was given up ends later: its interrupt must not end the next one. */
static void late_transfer_is_not_taken_for_the_next(void **state)
{
	struct fixture *f = *state;

	edu_set_deadline(f->edu, DMA_MS / 3);
	check_error(f, edu_copy_to(f->edu, 0, f->memory.iova, 4), ETIMEDOUT, VFIO_E_TIMEOUT,
		    "not done");
	check_error(f, edu_copy_to(f->edu, 0, f->memory.iova, 4), EBUSY, VFIO_E_AT_WORK, "busy");
	edu_set_deadline(f->edu, 5000);
	usleep(2 * DMA_MS * 1000);
	check_copy(f, 0xc3, 77);
}

static void late_factorial_is_not_taken_for_the_next(void **state)
{
	struct fixture *f = *state;
	uint32_t result;

	edu_set_deadline(f->edu, FACTORIAL_MS / 3);
	check_error(f, edu_factorial(f->edu, 5, &result), ETIMEDOUT, VFIO_E_TIMEOUT, "not done");
	edu_set_deadline(f->edu, 5000);
	usleep(2 * FACTORIAL_MS * 1000);
	check_factorial(f, 6, 720);
}

/* An interrupt for something else comes first. */
static void other_interrupts_are_passed_over(void **state)
{
	struct fixture *f = *state;

	vfio_write32(edu_device(f->edu), VFIO_PCI_BAR0_REGION_INDEX, 0x60, 0x1000);
	check_factorial(f, 7, 5040);
	assert_int_equal(edu_raise(f->edu, 0x80000002), 0);
	assert_int_equal(edu_raise(f->edu, UINT32_MAX), 0);
}

static void dead_device_is_noticed_at_once(void **state)
{
	struct fixture *f = *state;
	uint32_t result;

	edu_set_deadline(f->edu, 60000);
	check_error(f, edu_factorial(f->edu, DEADLY, &result), ENODEV, VFIO_E_GONE, "");
	check_error(f, edu_alive(f->edu), ENODEV, VFIO_E_GONE, "");
	assert_int_equal(edu_id(f->edu), UINT32_MAX);
}

/* Its server is there still, and its registers read all ones: no interrupt will come. */
static void absent_device_is_noticed_soon(void **state)
{
	struct fixture *f = *state;
	uint32_t result;

	edu_set_deadline(f->edu, UINT32_MAX);
	check_error(f, edu_factorial(f->edu, UNPLUGGED, &result), ENODEV, VFIO_E_GONE, "all ones");
	check_error(f, edu_alive(f->edu), ENODEV, VFIO_E_GONE, "all ones");
}

/* Without bus mastering a message is lost on its way, and the error says that. */
static void lost_message_is_named(void **state)
{
	struct fixture *f = *state;
	uint32_t result;

	edu_set_deadline(f->edu, 3 * FACTORIAL_MS);
	assert_int_equal(vfio_set_bus_master(edu_device(f->edu), false), 0);
	check_error(f, edu_factorial(f->edu, 4, &result), ETIMEDOUT, VFIO_E_TIMEOUT,
		    "no MSI interrupt arrived");
}

static void device_without_identification_is_refused(void **state)
{
	struct fixture f = { 0 };

	assert_int_equal(start(&f, NO_ID), -ENODEV);
	assert_int_equal(f.error.code, VFIO_E_NO_DEVICE);
	assert_null(f.edu);
	end(&f);
}

static void device_without_life_is_refused(void **state)
{
	struct fixture f = { 0 };

	assert_int_equal(start(&f, NO_INVERSE), -EIO);
	assert_int_equal(f.error.code, VFIO_E_DEVICE);
	assert_null(f.edu);
	end(&f);
}

static void device_without_msi_uses_intx(void **state)
{
	struct fixture f = { 0 };

	assert_int_equal(start(&f, NO_MSI), 0);
	assert_string_equal(edu_interrupt_name(f.edu), "INTx");
	check_factorial(&f, 3, 6);
	check_error(&f, edu_use_interrupt(f.edu, EDU_MSI), ENOTSUP, VFIO_E_NO_IRQ, "no MSI");
	check_factorial(&f, 4, 24);
	end(&f);
}

#define WITH(how, test) { #test " (" #how ")", test, setup_##how, teardown, NULL }
#define BOTH(test) WITH(msi, test), WITH(intx, test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(operations_wait_for_their_interrupt),
		BOTH(late_transfer_is_not_taken_for_the_next),
		BOTH(late_factorial_is_not_taken_for_the_next),
		BOTH(other_interrupts_are_passed_over),
		BOTH(dead_device_is_noticed_at_once),
		BOTH(absent_device_is_noticed_soon),
		WITH(msi, lost_message_is_named),
		cmocka_unit_test(device_without_identification_is_refused),
		cmocka_unit_test(device_without_life_is_refused),
		cmocka_unit_test(device_without_msi_uses_intx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
