/* SPDX-License-Identifier: MIT */
/* What ends the use of a device: it is wanted back (REQ), or has reported an error (ERR). */
#include <errno.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "frontends/driver.h"

/* An index that is not there (ERR without PCI Express, say) has nothing to tell. */
static int watch_index(struct vfio_dev *dev, int epoll, uint32_t index)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct vfio_irq_info info = { .count = 0 };
	int fd, r = dev->backend->irq_info(dev, index, &info);

	if (r == -EINVAL || (r == 0 && info.count == 0))
		return 0;
	if (r == 0)
		r = vfio_irq_enable(dev, index, 1, &fd);
	if (r < 0)
		return r;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0)
		return 0;
	r = error_system(&dev->error, errno, "watching for events of the device");
	vfio_irq_disable(dev, index);
	return r;
}

EXPORT int vfio_event_fd(struct vfio_dev *dev)
{
	struct driver *d = driver_of(dev);
	int fd, r;

	if (!d)
		return -ENOMEM;
	if (d->event_fd >= 0)
		return d->event_fd;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0)
		return error_system(&dev->error, errno, "watching for events of the device");
	r = watch_index(dev, fd, VFIO_PCI_REQ_IRQ_INDEX);
	if (r == 0) {
		r = watch_index(dev, fd, VFIO_PCI_ERR_IRQ_INDEX);
		if (r < 0 && d->irqs[VFIO_PCI_REQ_IRQ_INDEX].fds) {
			struct vfio_error why = dev->error;

			vfio_irq_disable(dev, VFIO_PCI_REQ_IRQ_INDEX);
			dev->error = why;
		}
	}
	if (r < 0)
		fd_close(&fd);
	else
		d->event_fd = fd;
	return r < 0 ? r : fd;
}

static bool take(const struct driver *d, uint32_t index)
{
	return d->irqs[index].fds && fd_take(d->irqs[index].fds[0]);
}

EXPORT int vfio_event(struct vfio_dev *dev)
{
	struct epoll_event e;
	int fd = vfio_event_fd(dev);

	if (fd < 0)
		return fd;
	if (epoll_wait(fd, &e, 1, 0) <= 0)
		return 0;
	if (take(dev->driver, VFIO_PCI_ERR_IRQ_INDEX))
		return error_set(&dev->error, EIO, VFIO_E_REPORTED, dev->backend->who,
				 "see the machine's log; reset the device, or close it",
				 "the device has reported an error that cannot be corrected");
	if (take(dev->driver, VFIO_PCI_REQ_IRQ_INDEX))
		return error_set(&dev->error, ECANCELED, VFIO_E_REQUESTED, dev->backend->who,
				 "close it, and open it again when it is back",
				 "the device is wanted back: it is to be removed, or gets another "
				 "driver");
	return 0;
}

void driver_events_close(struct vfio_dev *dev)
{
	fd_close(&dev->driver->event_fd);
}
