/* SPDX-License-Identifier: MIT */
/*
 * Which pages are written, by an IOMMU that can tell: the device is moved to a page table of its
 * IOAS's that was made for this, and back when it is over. Devices of one IOMMU group are always on one
 * page table.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "backends/iommufd.h"
#include "backends/kernel.h"

static int ask(struct kernel *k, unsigned long request, void *q)
{
	return ioctl(k->space->iommufd, request, q) < 0 ? -errno : 0;
}

bool kernel_cdev_has_dirty(struct kernel *k)
{
	struct iommufd_hw_info q = { .size = sizeof(q), .device = k->id };

	return ask(k, IOMMUFD_HW_INFO, &q) == 0 && (q.capabilities & IOMMUFD_HW_DIRTY);
}

/* Another device of its group, which is open; on this table, or on any (0). */
static struct kernel *neighbour(const struct kernel *k, uint32_t table)
{
	for (unsigned int i = 0; i < KERNEL_USERS; i++) {
		struct kernel *other = k->space->users[i];

		if (other && other != k && other->device >= 0 &&
		    other->place.group == k->place.group && (!table || other->table == table))
			return other;
	}
	return NULL;
}

/* The last one moves the group back. */
static void leave_table(struct kernel *k)
{
	struct kernel *mover = k->device >= 0 ? k : neighbour(k, 0);
	bool is_last = !neighbour(k, k->table);

	if (is_last && mover)
		kernel_cdev_attach(mover, mover->ioas);
	if (is_last)
		kernel_cdev_drop(k->space, k->table);
	k->table = 0;
}

void kernel_cdev_forget_dirty(struct kernel *k)
{
	if (k->table)
		leave_table(k);
}

/* The group may be on such a table already. */
static bool join_neighbour(struct kernel *k)
{
	for (unsigned int i = 0; i < KERNEL_USERS; i++) {
		const struct kernel *other = k->space->users[i];

		if (other && other->table && other->place.group == k->place.group) {
			k->table = other->table;
			return true;
		}
	}
	return false;
}

static int track(struct kernel *k, bool on)
{
	struct iommufd_set_dirty q = { .size = sizeof(q), .flags = on, .table = k->table };

	return ask(k, IOMMUFD_SET_DIRTY, &q);
}

static int start(struct kernel *k)
{
	struct iommufd_table q = {
		.size = sizeof(q), .flags = IOMMUFD_TABLE_DIRTY, .device = k->id, .ioas = k->ioas,
	};
	int r;

	if (!kernel_cdev_has_dirty(k))
		return -ENOTTY;
	if (k->table)
		return track(k, true);		/* which forgets what there was */
	if (join_neighbour(k))
		return 0;
	r = ask(k, IOMMUFD_TABLE_ALLOC, &q);
	if (r < 0)
		return r;
	k->table = q.id;
	r = kernel_cdev_attach(k, k->table);
	if (r == 0)
		r = track(k, true);
	if (r < 0)
		leave_table(k);
	return r;
}

static int stop(struct kernel *k)
{
	int r = neighbour(k, k->table) ? 0 : track(k, false);

	leave_table(k);
	return r;
}

int kernel_cdev_dirty(struct kernel *k, uint32_t number, const struct dirty_report *report,
		      uint64_t *bitmap, size_t bytes)
{
	struct iommufd_get_dirty q = {
		.size = sizeof(q), .table = k->table, .iova = report->iova, .length = report->size,
		.page = report->page, .bitmap = (uintptr_t)bitmap,
	};

	if (number == FEATURE_DIRTY_START)
		return start(k);
	if (!k->table)
		return kernel_cdev_has_dirty(k) ? -EINVAL : -ENOTTY;
	return number == FEATURE_DIRTY_STOP ? stop(k) : ask(k, IOMMUFD_GET_DIRTY, &q);
}
