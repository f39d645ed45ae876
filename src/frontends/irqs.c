/* SPDX-License-Identifier: MIT */
/* Interrupts of the driver API: eventfds, and waiting for them. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "frontends/driver.h"

EXPORT int vfio_irq_info(struct vfio_dev *dev, uint32_t index, struct vfio_irq_info *info)
{
	return dev->backend->irq_info(dev, index, info);
}

/* ---- the whole call ----------------------------------------------------------------------- */

EXPORT int vfio_irq_set(struct vfio_dev *dev, const struct vfio_irq_set *set)
{
	uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
	size_t entry = data == VFIO_IRQ_SET_DATA_EVENTFD ? sizeof(int) :
		       data == VFIO_IRQ_SET_DATA_BOOL ? 1 : 0;
	struct irq_request request = {
		.flags = set->flags, .index = set->index, .start = set->start, .count = set->count,
	};
	int fds[MSIX_MAX];

	if (!is_power_of_two(data))
		return error_set(&dev->error, EINVAL, VFIO_E_IRQ_FLAGS, VFIO_BY_LIBRARY,
				 "give one of VFIO_IRQ_SET_DATA_NONE, _BOOL and _EVENTFD",
				 "setting interrupts with flags %#x", set->flags);
	if (set->argsz < sizeof(*set) || set->count > MSIX_MAX ||
	    set->argsz - sizeof(*set) < set->count * entry)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "argsz is the size of the structure with its data",
				 "setting %u interrupts with argsz %u", set->count, set->argsz);
	request.bools = set->data;
	if (entry == sizeof(int)) {
		memcpy(fds, set->data, set->count * sizeof(int));
		request.fds = fds;
	}
	return dev->backend->set_irqs(dev, &request);
}

/* ---- one vector --------------------------------------------------------------------------- */

static int act(struct vfio_dev *dev, uint32_t index, uint32_t vector, uint32_t action)
{
	const struct irq_request request = {
		.flags = VFIO_IRQ_SET_DATA_NONE | action, .index = index, .start = vector, .count = 1,
	};

	return dev->backend->set_irqs(dev, &request);
}

EXPORT int vfio_irq_mask(struct vfio_dev *dev, uint32_t index, uint32_t vector)
{
	return act(dev, index, vector, VFIO_IRQ_SET_ACTION_MASK);
}

EXPORT int vfio_irq_unmask(struct vfio_dev *dev, uint32_t index, uint32_t vector)
{
	return act(dev, index, vector, VFIO_IRQ_SET_ACTION_UNMASK);
}

EXPORT int vfio_irq_trigger(struct vfio_dev *dev, uint32_t index, uint32_t vector)
{
	return act(dev, index, vector, VFIO_IRQ_SET_ACTION_TRIGGER);
}

/* ---- eventfds of ours --------------------------------------------------------------------- */

static void forget(struct irq_entry *e)
{
	fd_close_all(e->fds, e->count);
	free(e->fds);
	*e = (struct irq_entry){ 0 };
}

static int make_eventfds(struct vfio_dev *dev, struct irq_entry *e, uint32_t count)
{
	e->fds = malloc(count * sizeof(int));
	if (!e->fds)
		return error_system(&dev->error, ENOMEM, "making %u eventfds", count);
	while (e->count < count) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0) {
			int err = errno;

			forget(e);
			return error_system(&dev->error, err, "making %u eventfds", count);
		}
		e->fds[e->count++] = fd;
	}
	return 0;
}

static const char *const index_names[DRIVER_INDEXES] = { "INTx", "MSI", "MSI-X", "ERR", "REQ" };

static int check_enable(struct vfio_dev *dev, uint32_t index, uint32_t count)
{
	struct vfio_irq_info info;
	int r = dev->backend->irq_info(dev, index, &info);

	if (r < 0)
		return r;
	if (index >= DRIVER_INDEXES || count == 0)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "enabling %u vectors of interrupt index %u, of which there are %d",
				 count, index, DRIVER_INDEXES);
	if (count > info.count)
		return error_set(&dev->error, ENOSPC, VFIO_E_NO_IRQ, VFIO_BY_LIBRARY,
				 "ask for as many as vfio_irq_info() says",
				 "enabling %u vectors of %s: the device has %u", count,
				 index_names[index], info.count);
	return 0;
}

/* The device has as many, and is not granted them. possible: what it said, when that is positive. */
static int too_many(struct vfio_dev *dev, uint32_t index, uint32_t count, int possible)
{
	struct vfio_vectors v = { 0 };
	int r = vfio_irq_vectors(dev, index, &v);

	return r < 0 ? r : error_set(&dev->error, ENOSPC, VFIO_E_VECTORS, VFIO_BY_POLICY,
				     "ask for as many as are granted, or see `vectors` in vfiod.conf(5)",
				     "enabling %u vectors of %s: %u are possible", count,
				     index_names[index],
				     possible > 0 ? (unsigned int)possible : v.granted);
}

EXPORT int vfio_irq_enable(struct vfio_dev *dev, uint32_t index, uint32_t count, int *fds)
{
	struct driver *d = driver_of(dev);
	struct irq_request request = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index, .count = count,
	};
	struct irq_entry e = { 0 };
	int r;

	if (!d)
		return -ENOMEM;
	r = check_enable(dev, index, count);
	if (r < 0)
		return r;
	if (d->irqs[index].fds)
		return error_set(&dev->error, EBUSY, VFIO_E_IRQ_STATE, VFIO_BY_LIBRARY,
				 "call vfio_irq_disable() first",
				 "%s is enabled already", index_names[index]);
	r = make_eventfds(dev, &e, count);
	if (r < 0)
		return r;
	request.fds = e.fds;
	r = dev->backend->set_irqs(dev, &request);
	if (r > 0 || r == -ENOSPC)
		r = too_many(dev, index, count, r);
	if (r < 0) {
		forget(&e);
		return r;
	}
	d->irqs[index] = e;
	memcpy(fds, e.fds, count * sizeof(int));
	return 0;
}

EXPORT int vfio_irq_disable(struct vfio_dev *dev, uint32_t index)
{
	const struct irq_request request = {
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, .index = index,
	};
	int r = dev->backend->set_irqs(dev, &request);

	if (dev->driver && index < DRIVER_INDEXES)
		forget(&dev->driver->irqs[index]);
	return r;
}

void driver_irqs_close(struct vfio_dev *dev)
{
	for (uint32_t i = 0; i < DRIVER_INDEXES; i++)
		if (dev->driver->irqs[i].fds)
			vfio_irq_disable(dev, i);
}

/* ---- waiting ------------------------------------------------------------------------------ */

EXPORT int64_t vfio_irq_wait(struct vfio_dev *dev, int fd, int timeout_ms)
{
	int64_t deadline = timeout_ms < 0 ? INT64_MAX : clock_ms() + timeout_ms;
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	int other = dev->backend->poll_fd(dev);

	if (other < 0 && other != -ENOTSUP)
		return other;
	p[1].fd = other;	/* a negative one is not looked at */
	for (;;) {
		int n = poll(p, 2, timeout_ms < 0 ? -1 : clock_left(deadline));
		uint64_t count;

		if (n < 0 && errno != EINTR)
			return error_system(&dev->error, errno, "waiting for an interrupt");
		/* What the device did last before it went still counts. */
		count = n > 0 && p[0].revents ? fd_take(fd) : 0;
		if (count)
			return count;
		if (n > 0 && p[0].revents && !fd_is_eventfd(fd))
			return error_set(&dev->error, p[0].revents & POLLNVAL ? EBADF : EINVAL,
					 VFIO_E_IRQ_FD, VFIO_BY_LIBRARY,
					 "wait for an eventfd that vfio_irq_enable() has given",
					 "waiting for an interrupt: descriptor %d is not %s", fd,
					 p[0].revents & POLLNVAL ? "open" : "an eventfd");
		if (n > 0 && p[1].revents && dev->backend->dispatch(dev) < 0)
			return -ENODEV;
		if (timeout_ms >= 0 && clock_left(deadline) == 0)
			return 0;
	}
}
