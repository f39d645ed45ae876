/* SPDX-License-Identifier: MIT */
/* The contract over the descriptor of a device of the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MAX_INDEXES 16u

static int info(struct vfio_dev *dev, struct vfio_device_info *to)
{
	*to = kernel_of(dev)->info;
	return 0;
}

int kernel_start(struct kernel *k)
{
	struct vfio_device_info q = { .argsz = sizeof(q) };
	int r;

	if (ioctl(k->device, VFIO_DEVICE_GET_INFO, &q) < 0)
		return error_system(&k->dev.error, errno, "asking what %s is", k->place.bdf);
	if (!(q.flags & VFIO_DEVICE_FLAGS_PCI) || q.num_regions <= CONFIG)
		return error_set(&k->dev.error, ENODEV, VFIO_E_UNSUPPORTED, VFIO_BY_KERNEL,
				 "libvfio drives PCI devices only", "%s is no PCI device for VFIO",
				 k->place.bdf);
	k->info = (struct vfio_device_info){
		.argsz = sizeof(q),
		.flags = q.flags & (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET),
		.num_regions = q.num_regions < KERNEL_REGIONS ? q.num_regions : KERNEL_REGIONS,
		.num_irqs = q.num_irqs < MAX_INDEXES ? q.num_irqs : MAX_INDEXES,
	};
	r = kernel_find_msix(k);
	if (r == 0)
		r = kernel_read(&k->dev, CONFIG, 0, k->header, sizeof(k->header));
	return r < 0 ? r : 0;
}

/* ---- interrupts ----------------------------------------------------------------------------- */

/* Of a function that cannot report errors there is no such index for the kernel, and none here. */
static int irq_info(struct vfio_dev *dev, uint32_t index, struct vfio_irq_info *to)
{
	struct kernel *k = kernel_of(dev);
	struct vfio_irq_info q = { .argsz = sizeof(q), .index = index };

	if (index >= k->info.num_irqs)
		return error_set(&dev->error, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_LIBRARY,
				 "vfio_info() says how many indexes there are",
				 "interrupt index %u: the device has %u", index, k->info.num_irqs);
	if (ioctl(k->device, VFIO_DEVICE_GET_IRQ_INFO, &q) < 0) {
		if (errno != EINVAL || index != VFIO_PCI_ERR_IRQ_INDEX)
			return error_system(&dev->error, errno, "asking for interrupt index %u",
					    index);
		q.count = 0;
		q.flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
	}
	*to = (struct vfio_irq_info){
		.argsz = sizeof(*to), .flags = q.flags, .index = index,
		.count = q.count < MSIX_MAX ? q.count : MSIX_MAX,
	};
	return 0;
}

/* The kernel checks everything; what it says is in its errno. */
static int irqs_refused(struct kernel *k, const struct irq_request *request, int e)
{
	struct vfio_error *err = &k->dev.error;

	for (uint32_t i = 0; request->fds && i < request->count; i++)
		if (request->fds[i] >= 0 && !fd_is_eventfd(request->fds[i]))
			return error_set(err, e, VFIO_E_IRQ_FD, VFIO_BY_KERNEL,
					 "make it with eventfd(2)",
					 "setting interrupts: descriptor %d is not an eventfd",
					 request->fds[i]);
	if (e == EINVAL || e == ENOTTY)
		return error_set(err, e, e == ENOTTY ? VFIO_E_IRQ_FLAGS : VFIO_E_IRQ_STATE,
				 VFIO_BY_KERNEL,
				 "one of INTx, MSI and MSI-X is active at a time; vfio_irq_info() says "
				 "how many vectors there are",
				 "setting %u interrupts of index %u from %u on, flags %#x",
				 request->count, request->index, request->start, request->flags);
	return error_system(err, e, "setting %u interrupts of index %u", request->count,
			    request->index);
}

static int set_irqs(struct vfio_dev *dev, const struct irq_request *request)
{
	struct kernel *k = kernel_of(dev);
	struct {
		struct vfio_irq_set head;
		int32_t data[MSIX_MAX];
	} q;
	size_t len = 0;
	int r;

	if (request->count > MSIX_MAX)
		return error_set(&dev->error, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_LIBRARY, NULL,
				 "setting %u interrupts: no index has more than %d", request->count,
				 MSIX_MAX);
	if (request->flags & VFIO_IRQ_SET_DATA_EVENTFD)
		len = request->count * sizeof(q.data[0]);
	else if (request->flags & VFIO_IRQ_SET_DATA_BOOL)
		len = request->count;
	q.head = (struct vfio_irq_set){
		.argsz = sizeof(q.head) + len, .flags = request->flags, .index = request->index,
		.start = request->start, .count = request->count,
	};
	if (len)
		memcpy(q.data, request->flags & VFIO_IRQ_SET_DATA_EVENTFD ?
		       (const void *)request->fds : request->bools, len);
	r = ioctl(k->device, VFIO_DEVICE_SET_IRQS, &q);
	return r < 0 ? irqs_refused(k, request, errno) : r;
}

/* ---- reset and life ------------------------------------------------------------------------- */

static int reset(struct vfio_dev *dev)
{
	int e;

	if (ioctl(kernel_of(dev)->device, VFIO_DEVICE_RESET) == 0)
		return 0;
	e = errno;
	if (e == EINVAL)
		return error_set(&dev->error, e, VFIO_E_UNSUPPORTED, VFIO_BY_KERNEL,
				 "vfio_hot_reset_info() says whether it can be reset with its bus",
				 "the kernel has no way to reset %s alone", kernel_of(dev)->place.bdf);
	return error_set(&dev->error, e, VFIO_E_RESET, VFIO_BY_KERNEL,
			 e == EAGAIN ? "try again: the device or its bridge was being reset" :
			 "vfio_reset_probe() says how it can be reset",
			 "the kernel cannot reset %s", kernel_of(dev)->place.bdf);
}

/* Without it the device starts nothing: neither DMA nor message-signalled interrupts. */
static void stop_master(struct kernel *k)
{
	uint8_t command[2];

	if (kernel_read(&k->dev, CONFIG, PCI_COMMAND, command, 2) != 2)
		return;
	le16_put(command, le16_get(command) & ~PCI_COMMAND_MASTER);
	kernel_write(&k->dev, CONFIG, PCI_COMMAND, command, 2);
}

/* A reset would do it, too, but not every device can be reset. */
static void wake(struct kernel *k)
{
	const uint8_t d0[2] = { 0 };

	if (k->pm)
		kernel_write(&k->dev, CONFIG, k->pm + PCI_PM_CTRL, d0, sizeof(d0));
}

static void stop_irqs(struct kernel *k)
{
	const struct vfio_error before = k->dev.error;

	for (uint32_t index = 0; index < k->info.num_irqs; index++) {
		const struct irq_request off = {
			.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
		};

		set_irqs(&k->dev, &off);	/* those that are off already refuse */
	}
	k->dev.error = before;
}

/* What a reset does not end: low power, in which registers cannot be mapped, and tracking. */
static void end_modes(struct kernel *k)
{
	const uint32_t set = VFIO_DEVICE_FEATURE_SET;
	const struct vfio_error before = k->dev.error;
	uint8_t none = 0;

	kernel_ask_feature(k, KERNEL_LOW_POWER_EXIT | set, &none, 0);
	kernel_feature(&k->dev, FEATURE_DIRTY_STOP | set, &none, 0);	/* most had not begun */
	k->dev.error = before;
}

/* The user has gone: as far as the kernel lets the device come back without closing it. */
static int recycle(struct vfio_dev *dev)
{
	struct kernel *k = kernel_of(dev);
	uint64_t unmapped;
	int r;

	stop_master(k);
	stop_irqs(k);
	end_modes(k);
	wake(k);
	r = kernel_dma_unmap(dev, 0, DMA_ALL, &unmapped);
	if (r == 0 && (k->info.flags & VFIO_DEVICE_FLAGS_RESET))
		r = reset(dev);
	if (r == 0 && kernel_write(dev, CONFIG, 0, k->header, sizeof(k->header)) < 0)
		r = -EIO;
	return r;
}

static void distrust(struct vfio_dev *dev, bool guarded)
{
	kernel_reset_serve(kernel_of(dev));
}

static bool mend(struct vfio_dev *dev, const void *addr)
{
	return false;
}

/* The kernel asks nothing of us: what it has to say comes by the eventfds of ERR and REQ. */
static int poll_fd(struct vfio_dev *dev)
{
	return -ENOTSUP;
}

static int dispatch(struct vfio_dev *dev)
{
	return 0;
}

static int set_timeout(struct vfio_dev *dev, unsigned int milliseconds)
{
	return 0;
}

/*
 * Bus mastering goes off first. Closing the device ends its interrupts and resets it; only then do
 * the maps go, with what they are in. Where the caller keeps the device open, nothing but this ends
 * them.
 */
void kernel_close(struct vfio_dev *dev)
{
	struct kernel *k = kernel_of(dev);

	if (k->device >= 0 && k->info.argsz)
		stop_master(k);
	if (k->is_passed) {
		stop_irqs(k);
		end_modes(k);
		kernel_cdev_detach(k);
	}
	fd_close(&k->device);
	kernel_space_leave(k);
	free(k->known);
	free(k);
}

#define KERNEL_BACKEND(called) {                                                                   \
	.name = called,                                                                            \
	.who = VFIO_BY_KERNEL,                                                                     \
	.info = info,                                                                              \
	.region = kernel_region,                                                                   \
	.read = kernel_read,                                                                       \
	.write = kernel_write,                                                                     \
	.irq_info = irq_info,                                                                      \
	.set_irqs = set_irqs,                                                                      \
	.dma_map = kernel_dma_map,                                                                 \
	.dma_unmap = kernel_dma_unmap,                                                             \
	.reset = reset,                                                                            \
	.distrust = distrust,                                                                      \
	.mend = mend,                                                                              \
	.recycle = recycle,                                                                        \
	.feature = kernel_feature,                                                                 \
	.poll_fd = poll_fd,                                                                        \
	.dispatch = dispatch,                                                                      \
	.set_timeout = set_timeout,                                                                \
	.hot_reset_info = kernel_hot_reset_info,                                                   \
	.hot_reset = kernel_hot_reset,                                                             \
	.low_power_enter = kernel_low_power_enter,                                                 \
	.low_power_exit = kernel_low_power_exit,                                                   \
	.set_vf_token = kernel_set_vf_token,                                                       \
	.info_chain = kernel_info_chain,                                                           \
	.open_beside = kernel_open_beside,                                                         \
	.close = kernel_close,                                                                     \
}

const struct backend kernel_group_backend = KERNEL_BACKEND("kernel_group");
const struct backend kernel_cdev_backend = KERNEL_BACKEND("kernel_cdev");
