/* SPDX-License-Identifier: MIT */
/* UIO without a device: what carries its interrupt, and what is said when it cannot be opened. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/uio.h"
#include "backends/uio_ring.h"
#include "tree.h"

#define SOON 10000

/* ---- the ring -------------------------------------------------------------------------------- */

struct bed {
	struct uio_ring *ring;
	int in, from, out;		/* a pipe, and an eventfd */
	int32_t count;
	uint64_t one;
};

static int ring_setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	int ends[2], r;

	b->one = 1;
	r = uio_ring_open(&b->ring);
	if (r < 0 || pipe(ends) < 0) {
		print_message("there is no io_uring: %s\n", strerror(-r));
		free(b);
		*state = NULL;
		return 0;
	}
	b->in = ends[0];
	b->from = ends[1];
	b->out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = b;
	return 0;
}

static int ring_teardown(void **state)
{
	struct bed *b = *state;

	if (!b)
		return 0;
	uio_ring_close(b->ring);
	close(b->in);
	close(b->from);
	close(b->out);
	free(b);
	return 0;
}

static struct bed *bed_of(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static bool comes(struct bed *b, int ms)
{
	struct pollfd p = { .fd = b->out, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, ms) != 1)
		return false;
	assert_int_equal(read(b->out, &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	return true;
}

static void queue(struct bed *b)
{
	assert_int_equal(uio_ring_queue(b->ring, b->in, &b->count, b->out, &b->one), 0);
}

static void carries_one(void **state)
{
	struct bed *b = bed_of(state);

	for (int32_t i = 1; i < 50; i++) {
		queue(b);
		assert_false(comes(b, 0));
		assert_int_equal(write(b->from, &i, sizeof(i)), sizeof(i));
		assert_true(comes(b, SOON));
		assert_int_equal(b->count, i);
		assert_int_equal(uio_ring_cancel(b->ring), 0);
	}
	assert_int_equal(write(b->from, "none", 4), 4);	/* nobody waits for it */
	assert_false(comes(b, 50));
}

static void is_cancelled(void **state)
{
	struct bed *b = bed_of(state);

	for (unsigned int i = 0; i < 50; i++) {
		queue(b);
		assert_int_equal(uio_ring_cancel(b->ring), 0);
	}
	assert_int_equal(write(b->from, "none", 4), 4);
	assert_false(comes(b, 50));
	queue(b);
	assert_true(comes(b, SOON));
}

/* The other end has filled the eventfd, and writes to it wait: to be cancelled, too. */
static void is_full(void **state)
{
	struct bed *b = bed_of(state);
	int full = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(eventfd_write(full, UINT64_MAX - 1), 0);
	uio_ring_register(b->ring);
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(uio_ring_queue(b->ring, b->in, &b->count, full, &b->one), 0);
		assert_int_equal(write(b->from, "four", 4), 4);
		if (i % 2)
			poll(NULL, 0, 5);
		assert_int_equal(uio_ring_cancel(b->ring), 0);
		while (i % 2 == 0 && poll(&(struct pollfd){ b->in, POLLIN, 0 }, 1, 0) == 1)
			assert_int_equal(read(b->in, &b->count, 4), 4);
	}
	close(full);
}

/* Closed while it waits: what it pointed to may go. */
static void is_closed(void **state)
{
	struct bed *b = bed_of(state);

	queue(b);
	uio_ring_close(b->ring);
	b->ring = NULL;
	assert_int_equal(write(b->from, "none", 4), 4);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_it(struct tree *t, const char *name)
{
	struct vfio_dev *dev;
	int r;

	memset(&t->err, 0, sizeof(t->err));
	r = uio_open_place(&dev, &t->roots, name, &t->err);
	assert_null(dev);
	return r;
}

static void names(void **state)
{
	struct tree *t = *state;

	assert_says(t, open_it(t, "edu"), EINVAL, VFIO_E_NAME, "uio:edu", "uio:0000:03:00.0");
	assert_says(t, open_it(t, ""), EINVAL, VFIO_E_NAME, "uio:", "uio:0000:03:00.0");
	assert_says(t, open_it(t, "0000:04:00.0"), ENODEV, VFIO_E_NO_DEVICE, "0000:04:00.0", "lsvfio");
}

static void not_bound(void **state)
{
	struct tree *t = *state;

	assert_says(t, open_it(t, BDF), ENODEV, VFIO_E_NOT_BOUND, "driver vfio-pci",
		    "driverctl set-override " BDF " uio_pci_generic");
	drop(t, DEV "/driver");
	assert_says(t, open_it(t, "03:00.0"), ENODEV, VFIO_E_NOT_BOUND, "no driver",
		    "modprobe uio_pci_generic");
	make_link(t, DEV "/driver", "../uio_pci_generic\n");
	assert_says(t, open_it(t, BDF), EINVAL, VFIO_E_SYSFS, DEV "/driver", "sysfs");
}

#define ring(f) cmocka_unit_test_setup_teardown(f, ring_setup, ring_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ring(carries_one), ring(is_cancelled), ring(is_full), ring(is_closed),
		TREE_TEST(names), TREE_TEST(not_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
