/* SPDX-License-Identifier: MIT */
/*
 * Hot reset: of the slot or the bus that the device is on, with everything else there. The kernel
 * does it for those who have all of that: by the older road they show the groups, by the newer it
 * looks at who owns them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backends/kernel.h"
#include "base/error.h"

#define MOST      1024u			/* functions that are told of */
#define NAMES     100			/* bytes of an error for names */
#define NOT_OWNED UINT32_MAX		/* in the place of the group, by the newer road */

struct affected {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device list[MOST];
};

/* ---- who is affected ------------------------------------------------------------------------ */

static int cannot(struct kernel *k, int e)
{
	if (e == ENODEV)
		return error_set(&k->dev.error, ENOTSUP, VFIO_E_RESET, VFIO_BY_KERNEL,
				 "vfio_reset_probe() says how it can be reset",
				 "%s cannot be reset with its bus: it is in no slot, and on no bus below "
				 "a port", k->place.bdf);
	return error_system(&k->dev.error, e, "asking what a hot reset of %s resets", k->place.bdf);
}

static int ask(struct kernel *k, struct affected *q)
{
	q->head = (struct vfio_pci_hot_reset_info){ .argsz = sizeof(*q) };
	if (ioctl(k->device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, q) < 0)
		return cannot(k, errno);
	return q->head.count <= MOST ? 0 : cannot(k, E2BIG);
}

static bool is_held(const struct kernel_space *s, const char *bdf)
{
	for (unsigned int i = 0; i < KERNEL_USERS; i++)
		if (s->users[i] && strcmp(s->users[i]->place.bdf, bdf) == 0)
			return true;
	return false;
}

/*
 * A group that is ours allows nothing for a function that no driver of VFIO's has: it may be a bridge,
 * or idle.
 */
static bool is_allowed(struct kernel *k, const struct vfio_pci_dependent_device *d,
		       const struct kernel_place *p)
{
	if (!kernel_is_vfio(k->roots, p->bdf, p->driver))
		return false;
	return k->group ? kernel_space_find_group(k->space, d->group_id) != NULL
			: d->group_id != NOT_OWNED;
}

/* Of what has come since nothing is known. */
static void recall(const struct kernel *k, struct vfio_hot_reset_device *d)
{
	for (unsigned int i = 0; i < k->nknown; i++)
		if (k->known[i].segment == d->segment && k->known[i].bus == d->bus &&
		    k->known[i].devfn == d->devfn)
			*d = k->known[i];
}

static void describe(struct kernel *k, const struct vfio_pci_dependent_device *d,
		     struct vfio_hot_reset_device *to)
{
	struct kernel_place p;
	char bdf[KERNEL_BDF];

	*to = (struct vfio_hot_reset_device){
		.segment = d->segment, .bus = d->bus, .devfn = d->devfn, .group = -1,
	};
	if (k->is_served) {
		recall(k, to);
		return;
	}
	snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%x", d->segment, d->bus, d->devfn >> 3,
		 d->devfn & 7);
	kernel_look(k->roots, bdf, &p, NULL);
	to->group = p.group;
	to->flags = (is_held(k->space, bdf) ? VFIO_HOT_RESET_HELD : 0) |
		    (is_allowed(k, d, &p) ? VFIO_HOT_RESET_ALLOWED : 0);
}

int kernel_hot_reset_info(struct vfio_dev *dev, struct vfio_hot_reset_device *list, unsigned int max)
{
	struct kernel *k = kernel_of(dev);
	struct affected q;
	int r = ask(k, &q);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < q.head.count && i < max; i++)
		describe(k, &q.list[i], &list[i]);
	return q.head.count;
}

void kernel_reset_serve(struct kernel *k)
{
	const struct vfio_error before = k->dev.error;
	struct affected q;

	if (k->is_served)
		return;
	if (ask(k, &q) == 0)
		k->known = calloc(q.head.count, sizeof(*k->known));
	for (uint32_t i = 0; k->known && i < q.head.count; i++)
		describe(k, &q.list[i], &k->known[k->nknown++]);
	k->dev.error = before;
	k->is_served = true;
}

/* ---- resetting ------------------------------------------------------------------------------ */

/* Says who is in the way, if somebody is. */
static int check_all(struct kernel *k, const struct affected *q)
{
	char names[NAMES] = "";
	unsigned int n = 0;
	size_t len = 0;

	for (uint32_t i = 0; i < q->head.count; i++) {
		struct vfio_hot_reset_device d;

		describe(k, &q->list[i], &d);
		if (d.flags & VFIO_HOT_RESET_ALLOWED)
			continue;
		n++;
		if (len < sizeof(names) - 20)
			len += (size_t)snprintf(names + len, sizeof(names) - len,
						"%s%04x:%02x:%02x.%x", len ? ", " : "", d.segment,
						d.bus, d.devfn >> 3, d.devfn & 7u);
	}
	if (!n)
		return 0;
	return error_set(&k->dev.error, EPERM, VFIO_E_RESET, VFIO_BY_LIBRARY,
			 "give them to vfio-pci, and open them with vfio_space_open() in the address space "
			 "of this one",
			 "a hot reset of %s resets %u more that this program does not have: %s",
			 k->place.bdf, n, names);
}

/* Each group once. */
static uint32_t collect_groups(struct kernel *k, const struct affected *q, int32_t *fds)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < q->head.count; i++) {
		int fd = kernel_space_find_group(k->space, q->list[i].group_id)->fd;
		uint32_t before = 0;

		while (before < n && fds[before] != fd)
			before++;
		if (before == n)
			fds[n++] = fd;
	}
	return n;
}

int kernel_hot_reset(struct vfio_dev *dev)
{
	struct {
		struct vfio_pci_hot_reset head;
		int32_t fds[MOST];
	} q = { .head = { .argsz = sizeof(q) } };
	struct kernel *k = kernel_of(dev);
	struct affected all;
	int e, r = ask(k, &all);

	if (r == 0)
		r = check_all(k, &all);
	if (r < 0)
		return r;
	if (k->group)
		q.head.count = collect_groups(k, &all, q.fds);
	if (ioctl(k->device, VFIO_DEVICE_PCI_HOT_RESET, &q) == 0)
		return 0;
	e = errno;
	return error_set(&dev->error, e, VFIO_E_RESET, VFIO_BY_KERNEL,
			 e == EAGAIN || e == EBUSY ? "try again: a device there was at work" :
			 "the kernel's log says more",
			 "the kernel cannot reset %s with its bus", k->place.bdf);
}
