/* SPDX-License-Identifier: MIT */
/* Events of a device over each back end: it is wanted back, it has reported an error. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#define ERR VFIO_PCI_ERR_IRQ_INDEX
#define REQ VFIO_PCI_REQ_IRQ_INDEX

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* The handle is readable, and then tells of the event once. */
static void assert_event(struct vfio_dev *dev, int err, enum vfio_error_code code)
{
	struct pollfd p = { .fd = vfio_event_fd(dev), .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(vfio_event(dev), -err);
	assert_record(vfio_last_error(dev), err, code);
	assert_true(vfio_last_error(dev)->remedy[0]);
	assert_int_equal(vfio_event(dev), 0);
	assert_false(is_readable(p.fd));
}

static void the_device_is_wanted_back(void **state)
{
	struct both *b = *state;
	int fd = vfio_event_fd(b->dev);

	assert_true(fd >= 0);
	assert_int_equal(vfio_event_fd(b->dev), fd);
	assert_false(is_readable(fd));
	assert_int_equal(vfio_event(b->dev), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vfio_irq_trigger(b->dev, REQ, 0), 0);
		assert_event(b->dev, ECANCELED, VFIO_E_REQUESTED);
	}
}

static void the_first_look_begins_to_watch(void **state)
{
	struct both *b = *state;

	assert_int_equal(vfio_irq_trigger(b->dev, REQ, 0), -EINVAL);
	assert_int_equal(vfio_event(b->dev), 0);
	assert_int_equal(vfio_irq_trigger(b->dev, REQ, 0), 0);
	assert_event(b->dev, ECANCELED, VFIO_E_REQUESTED);
}

/* Who waits for the index alone keeps it; and whoever disables it is told of nothing any more. */
static void an_index_has_one_user(void **state)
{
	struct both *b = *state;
	int mine;

	assert_int_equal(vfio_irq_enable(b->dev, REQ, 1, &mine), 0);
	assert_int_equal(vfio_event_fd(b->dev), -EBUSY);
	assert_record(vfio_last_error(b->dev), EBUSY, VFIO_E_IRQ_STATE);
	assert_int_equal(vfio_event(b->dev), -EBUSY);
	assert_int_equal(vfio_irq_disable(b->dev, REQ), 0);
	assert_true(vfio_event_fd(b->dev) >= 0);
	assert_int_equal(vfio_irq_disable(b->dev, REQ), 0);
	assert_int_equal(vfio_event(b->dev), 0);
}

static void closing_takes_the_descriptors(void **state)
{
	struct both *b = *state;
	int fd = vfio_event_fd(b->dev);

	vfio_close(b->dev);
	b->dev = NULL;
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(errno, EBADF);
}

/* ---- errors: of functions of PCI Express only ----------------------------------------------- */

static void an_error_is_told_first(void **state)
{
	struct vfio_function_description express = model_description;
	struct model model;
	struct vfio_dev *dev;

	express.express = true;
	assert_int_equal(model_new_as(&model, &express, &model_ops, NULL), 0);
	assert_int_equal(vfio_function_open(&dev, model.fn, NULL), 0);
	assert_int_equal(vfio_event(dev), 0);
	assert_int_equal(vfio_irq_trigger(dev, REQ, 0), 0);
	assert_int_equal(vfio_irq_trigger(dev, ERR, 0), 0);
	assert_int_equal(vfio_event(dev), -EIO);
	assert_record(vfio_last_error(dev), EIO, VFIO_E_REPORTED);
	assert_event(dev, ECANCELED, VFIO_E_REQUESTED);
	vfio_close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(the_device_is_wanted_back),
		BOTH(the_first_look_begins_to_watch),
		BOTH(an_index_has_one_user),
		BOTH(closing_takes_the_descriptors),
		cmocka_unit_test(an_error_is_told_first),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}
