/* SPDX-License-Identifier: MIT */
/* UIO without a device: what carries its interrupt, and what is said when it cannot be opened. */
#include <errno.h>
#include <linux/io_uring.h>
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
#include "base/bits.h"
#include "fake_hardware.h"
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
	if (uio_ring_register(b->ring) < 0)
		skip();			/* before Linux 5.18 */
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

static int find_ring(void)
{
	char link[32], target[64];

	for (int fd = 3; fd < 64; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		if (n > 0 && (target[n] = '\0', strstr(target, "[io_uring]")))
			return fd;
	}
	return -1;
}

/* Whoever gets hold of it makes nothing else of it. */
static void is_good_for_nothing_else(void **state)
{
	struct bed *b = bed_of(state);
	int ring = find_ring();

	assert_true(ring >= 0);
	assert_int_equal(syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &b->in, 1), -1);
	assert_int_equal(errno, EACCES);
	queue(b);
	assert_int_equal(write(b->from, "four", 4), 4);
	assert_true(comes(b, SOON));
}

/* ---- the line -------------------------------------------------------------------------------- */

/* A function whose INTx comes by a pipe, which is what UIO's node is to it. */
struct pin {
	struct bed bed;
	struct fake_hardware h;
	struct vfio_function *fn;
	struct uio_irq irq;
};

static int pin_setup(void **state)
{
	struct pin *p = calloc(1, sizeof(*p));
	int ends[2];

	if (pipe(ends) < 0)
		return -1;
	p->bed.in = ends[0];
	p->bed.from = ends[1];
	p->bed.out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fake_init(&p->h);
	*state = p;
	if (fake_function(&p->fn, &p->h, NULL) < 0)
		return -1;
	uio_irq_open(&p->irq, p->fn, p->bed.in);
	return 0;
}

static int pin_teardown(void **state)
{
	struct pin *p = *state;

	uio_irq_close(&p->irq);
	vfio_function_free(p->fn);
	close(p->bed.in);
	close(p->bed.from);
	close(p->bed.out);
	free(p);
	return 0;
}

static struct pin *pin_of(void **state)
{
	struct pin *p = *state;

	if (!p->irq.ring)
		skip();
	return p;
}

static int set(struct pin *p, uint32_t flags, int fd)
{
	const struct irq_request q = { .flags = flags, .count = 1, .fds = &fd };

	return function_set_irqs(p->fn, &q);
}

static int enable(struct pin *p)
{
	return set(p, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, p->bed.out);
}

static void unmask(struct pin *p)
{
	assert_int_equal(set(p, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, -1), 0);
}

static bool is_masked(struct pin *p)
{
	return fake_get(&p->h, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE;
}

/* As uio_pci_generic does it. */
static void assert_pin(struct pin *p)
{
	fake_put(&p->h, PCI_COMMAND, 2,
		 fake_get(&p->h, PCI_COMMAND, 2) | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(write(p->bed.from, "irq", 4), 4);
}

static void fires_once(void **state)
{
	struct pin *p = pin_of(state);

	assert_int_equal(enable(p), 0);
	for (unsigned int i = 0; i < 20; i++) {
		assert_false(is_masked(p));
		unmask(p);			/* of what is not masked: nothing */
		assert_pin(p);
		assert_true(comes(&p->bed, SOON));
		assert_true(is_masked(p));
		unmask(p);
	}
}

static void is_masked_and_disabled(void **state)
{
	struct pin *p = pin_of(state);
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE;

	assert_int_equal(enable(p), 0);
	assert_int_equal(set(p, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, -1), 0);
	assert_true(is_masked(p));
	assert_pin(p);				/* too late: it is drained, and a level comes again */
	assert_false(comes(&p->bed, 50));
	unmask(p);
	assert_false(is_masked(p));
	assert_false(comes(&p->bed, 50));
	assert_int_equal(function_config_write(p->fn, PCI_COMMAND, &command, 2), 2);
	assert_true(is_masked(p));
	unmask(p);				/* not while the driver has it disabled */
	assert_true(is_masked(p));
	command = PCI_COMMAND_MEMORY;
	assert_int_equal(function_config_write(p->fn, PCI_COMMAND, &command, 2), 2);
	assert_false(is_masked(p));
	assert_pin(p);
	assert_true(comes(&p->bed, SOON));
}

static void another_eventfd(void **state)
{
	struct pin *p = pin_of(state);
	int first = p->bed.out, second = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(enable(p), 0);
	p->bed.out = second;
	assert_int_equal(enable(p), 0);
	assert_pin(p);
	assert_true(comes(&p->bed, SOON));
	p->bed.out = first;
	assert_false(comes(&p->bed, 0));
	close(second);
}

static void without_io_uring(void **state)
{
	struct pin *p = *state;

	uio_ring_close(p->irq.ring);
	p->irq.ring = NULL;
	p->irq.why = ENOSYS;
	assert_int_equal(enable(p), -ENOSYS);
	assert_int_equal(p->fn->err->code, VFIO_E_NO_NOTIFIER);
	assert_non_null(strstr(p->fn->err->remedy, "io_uring_disabled"));
	assert_int_equal(set(p, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, -1), -EINVAL);
	assert_int_equal(enable(p), -ENOSYS);	/* and it is not enabled meanwhile */
}

/* A sandbox would end the process for using the ring by its descriptor: 16 may have numbers. */
static void behind_a_sandbox(void **state)
{
	struct pin *p = pin_of(state);
	struct uio_ring *rings[16] = { NULL };
	unsigned int n = 0;
	int r = 0;

	while (n < 16 && r == 0 && uio_ring_open(&rings[n]) == 0)
		r = uio_ring_register(rings[n++]);
	uio_irq_distrust(&p->irq);
	assert_int_equal(enable(p), r < 0 ? r : n == 16 ? -EBUSY : 0);
	while (n)
		uio_ring_close(rings[--n]);
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
	char path[PATH_MAX];

	assert_says(t, open_it(t, BDF), ENODEV, VFIO_E_NOT_BOUND, "driver vfio-pci",
		    "driverctl set-override " BDF " uio_pci_generic");
	drop(t, DEV "/driver");
	assert_says(t, open_it(t, "03:00.0"), ENODEV, VFIO_E_NOT_BOUND, "no driver",
		    "modprobe uio_pci_generic");
	make_link(t, DEV "/driver", "../uio_pci_generic");
	assert_int_equal(uio_find(&t->roots, BDF, &t->place, &t->err), 0);
	assert_says(t, uio_find_node(&t->roots, &t->place, path, &t->err), EINVAL, VFIO_E_SYSFS,
		    DEV "/uio", "sysfs");
	make_folder(t, DEV "/uio/uio4x");
	assert_says(t, uio_find_node(&t->roots, &t->place, path, &t->err), EINVAL, VFIO_E_SYSFS,
		    "no uioN", "sysfs");
	make_folder(t, DEV "/uio/uio12");
	assert_int_equal(uio_find_node(&t->roots, &t->place, path, &t->err), 0);
	assert_non_null(strstr(path, "/dev/uio12"));
	make_link(t, DEV "/driver", "../uio_pci_generic\n");
	assert_says(t, open_it(t, BDF), EINVAL, VFIO_E_SYSFS, DEV "/driver", "sysfs");
}

#define pin(f) cmocka_unit_test_setup_teardown(f, pin_setup, pin_teardown)
#define ring(f) cmocka_unit_test_setup_teardown(f, ring_setup, ring_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ring(carries_one), ring(is_cancelled), ring(is_full), ring(is_closed),
		ring(is_good_for_nothing_else),
		pin(fires_once), pin(is_masked_and_disabled), pin(another_eventfd),
		pin(without_io_uring), pin(behind_a_sandbox),
		TREE_TEST(names), TREE_TEST(not_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
