/* SPDX-License-Identifier: MIT */
/*
 * "uio:0000:03:00.0": a device that uio_pci_generic has. That driver gives an interrupt and nothing
 * else; configuration space, registers and reset are sysfs's (raw.c), before which the virtual
 * function stands; memory is reached by physical addresses (unsafe_dma.c).
 */
#include "backends/uio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "backends/backends.h"
#include "backends/inprocess.h"
#include "backends/raw.h"
#include "backends/sysfs_file.h"
#include "backends/unsafe.h"
#include "base/error.h"
#include "base/fd.h"

#define LAST_ONE_MS 1000

struct uio {
	struct inprocess in;		/* dev is its first member */
	struct backend backend;		/* inprocess.c's, but for what is below */
	struct uio_irq irq;
	struct unsafe_maps maps;
	struct vfio_error no_dma;	/* err 0: physical addresses reach memory */
	int node;			/* /dev/uioN */
	int guard;			/* a file of sysfs, locked as long as the node is open */
};

static struct uio *uio_of(struct vfio_dev *dev)
{
	return (struct uio *)dev;
}

/* ---- the contract ------------------------------------------------------------------------- */

/* With an IOMMU that translates, the device is still good for its registers. */
static int dma_map(struct vfio_dev *dev, const struct dma_map *map)
{
	struct uio *u = uio_of(dev);

	if (!u->no_dma.err)
		return unsafe_dma_map(&u->maps, map, &dev->error);
	dev->error = u->no_dma;
	return -dev->error.err;
}

/* What the device has sent arrives before its answer to a read. */
static int dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	hardware_refresh(uio_of(dev)->in.fn, PCI_STATUS, 2);
	return unsafe_dma_unmap(&uio_of(dev)->maps, iova, size, unmapped, &dev->error);
}

/* Of memory the function knows nothing. */
static bool is_about_memory(uint32_t number)
{
	return number == FEATURE_FAULT || number == FEATURE_FAULT_EVENT ||
	       (number >= FEATURE_DIRTY_START && number <= FEATURE_DIRTY_REPORT);
}

static int feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	uint32_t number = flags & VFIO_DEVICE_FEATURE_MASK;
	int r = unsafe_feature(&uio_of(dev)->maps, flags, data, len, &dev->error);

	if (r != -ENOTTY)
		return r;
	if (!is_about_memory(number))
		return function_feature(uio_of(dev)->in.fn, flags, data, len);
	return error_set(&dev->error, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY, NULL,
			 "feature %#x: a device of UIO does not have it", number);
}

/* No policy makes a way for messages where there is none. */
static int policy_set(struct vfio_dev *dev, const char *key, const char *value)
{
	if (strcmp(key, "host-lacks") && (strcmp(key, "lacking") || strcmp(value, "emulate")))
		return inprocess_backend.policy_set(dev, key, value);
	return error_set(&dev->error, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY,
			 "give the device to vfio-pci, which delivers MSI and MSI-X",
			 "the policy '%.40s' cannot be '%.40s': UIO carries INTx alone", key, value);
}

/* The function signals eventfds of strangers; the kernel does those of INTx. */
static void distrust(struct vfio_dev *dev, bool guarded)
{
	inprocess_backend.distrust(dev, guarded);
	uio_irq_distrust(&uio_of(dev)->irq);
}

/* The device stops before its memory goes. */
static int recycle(struct vfio_dev *dev)
{
	struct uio *u = uio_of(dev);
	uint64_t unmapped;
	int r = function_recycle(u->in.fn);
	int unmap = unsafe_dma_unmap(&u->maps, 0, DMA_ALL, &unmapped, &dev->error);

	return r < 0 ? r : unmap;
}

/*
 * Bus mastering ends first, then the interrupt; the function resets the device; then memory goes.
 */
static void close_device(struct vfio_dev *dev)
{
	struct uio *u = uio_of(dev);

	if (u->in.fn) {
		registers_put(u->in.fn, PCI_COMMAND, 2, 0, PCI_COMMAND_MASTER);
		uio_irq_close(&u->irq);
		vfio_function_free(u->in.fn);
	}
	unsafe_maps_close(&u->maps);
	fd_close(&u->node);
	fd_close(&u->guard);
	free(u);
}

/* ---- opening ------------------------------------------------------------------------------ */

/*
 * The lock is against other programs with this library: two drivers of one device ruin each other.
 * The kernel may still be taking down the ring of the last one, and when that lets go of the node
 * it ends bus mastering: hence the wait.
 */
static int lock(int fd)
{
	int64_t deadline = clock_ms() + LAST_ONE_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_ms() > deadline)
			return -1;
		poll(NULL, 0, 2);
	}
	return 0;
}

/*
 * Who closes the node ends bus mastering, also of somebody else who has it open. So it is not opened
 * before a file is locked that can be opened without harm, and by root alone: that of a BAR.
 */
static int take_guard(struct uio *u, const struct kernel_roots *roots, const struct kernel_place *p)
{
	char path[PATH_MAX];

	for (unsigned int i = 0; i < NUM_BARS && u->guard < 0; i++) {
		snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/resource%u", roots->sys, p->bdf, i);
		u->guard = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	return u->guard < 0 ? 0 : lock(u->guard);
}

static int open_node(struct uio *u, const struct kernel_roots *roots, const struct kernel_place *p,
		     struct vfio_error *err)
{
	char path[PATH_MAX];
	int r = uio_find_node(roots, p, path, err);

	if (r < 0)
		return r;
	if (take_guard(u, roots, p) < 0)
		return uio_node_failed(roots, p, path, errno, err);
	u->node = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (u->node < 0 || lock(u->node) < 0)
		return uio_node_failed(roots, p, path, errno, err);
	return 0;
}

/* On some boards a pin leads nowhere. */
static bool has_irq(const struct raw *raw)
{
	char text[16];

	return sysfs_read_text(raw->folder, "irq", text, sizeof(text)) > 0 && atoi(text) > 0;
}

/*
 * There is no way for messages: MSI and MSI-X are not shown, so that drivers take INTx, if there is
 * that. It is the policy host-lacks, and can be seen as such.
 */
static int lack_messages(const struct raw *raw)
{
	struct policy *p = &raw->fn->policy;

	p->host_lacks = 1u << VFIO_PCI_MSI_IRQ_INDEX | 1u << VFIO_PCI_MSIX_IRQ_INDEX;
	if (!has_irq(raw))
		p->host_lacks |= 1u << VFIO_PCI_INTX_IRQ_INDEX;
	p->lacking = LACKING_HIDE;
	return function_view(raw->fn);
}

static struct uio *new(void)
{
	struct uio *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->backend = inprocess_backend;
	u->backend.name = "uio";
	u->backend.dma_map = dma_map;
	u->backend.dma_unmap = dma_unmap;
	u->backend.distrust = distrust;
	u->backend.policy_set = policy_set;
	u->backend.recycle = recycle;
	u->backend.feature = feature;
	u->backend.close = close_device;
	u->in.dev.backend = &u->backend;
	u->node = -1;
	u->guard = -1;
	return u;
}

static int start(struct uio *u, const struct kernel_roots *roots, const struct kernel_place *p,
		 struct vfio_error *err)
{
	char what[KERNEL_BDF + 8];
	struct raw *raw;
	int r = open_node(u, roots, p, err);

	snprintf(what, sizeof(what), "uio:%s", p->bdf);
	if (r == 0)
		r = unsafe_maps_open(&u->maps, err);
	if (r == 0)
		r = unsafe_allowed(what, err);
	if (r == 0)
		r = raw_open(&raw, roots, p->bdf, err);
	if (r < 0)
		return r;
	u->in.fn = raw->fn;
	raw->fn->err = &u->in.dev.error;
	uio_irq_open(&u->irq, raw->fn, u->node);
	r = lack_messages(raw);
	if (r < 0 && err)
		*err = u->in.dev.error;
	return r;
}

static int find(const struct kernel_roots *roots, const char *name, struct kernel_place *p,
		struct vfio_error *err)
{
	char what[KERNEL_BDF + 8];
	int r = uio_find(roots, name, p, err);

	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "uio:%s", p->bdf);
	return unsafe_check(what, err);
}

int uio_open_place(struct vfio_dev **dev, const struct kernel_roots *roots, const char *name,
		   struct vfio_error *err)
{
	struct kernel_place p;
	struct uio *u;
	int r;

	*dev = NULL;
	r = find(roots, name, &p, err);
	if (r < 0)
		return r;
	u = new();
	if (!u)
		return error_system(err, ENOMEM, "opening %s", p.bdf);
	unsafe_check_domain(roots, p.bdf, &u->no_dma);
	r = start(u, roots, &p, err);
	if (r < 0)
		close_device(&u->in.dev);
	else
		*dev = &u->in.dev;
	return r;
}

int uio_open(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	return uio_open_place(dev, &kernel_roots, name, err);
}
