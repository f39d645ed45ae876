/* SPDX-License-Identifier: MIT */
/*
 * The older road: the device's IOMMU group is put into a container, which has the rules type1v2,
 * and hands out the device. One container for each space, which may have several groups in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/kernel.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

#define INFO_ROOM 4096u

/* ---- memory -------------------------------------------------------------------------------- */

static int type1_map(struct kernel *k, uint64_t iova, uint64_t size, void *vaddr, uint32_t prot)
{
	struct vfio_iommu_type1_dma_map q = {
		.argsz = sizeof(q),
		.flags = (prot & VFIO_DMA_READ ? VFIO_DMA_MAP_FLAG_READ : 0) |
			 (prot & VFIO_DMA_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)vaddr, .iova = iova, .size = size,
	};

	return ioctl(k->space->container, VFIO_IOMMU_MAP_DMA, &q) < 0 ? -errno : 0;
}

static int unmap_range(struct kernel *k, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap q = { .argsz = sizeof(q), .iova = iova, .size = size };

	return ioctl(k->space->container, VFIO_IOMMU_UNMAP_DMA, &q) < 0 ? -errno : 0;
}

/* All in two halves: before Linux 5.12 there is no other way. A map across the middle is EINVAL. */
static int type1_unmap(struct kernel *k, uint64_t iova, uint64_t size)
{
	const uint64_t half = 1ull << 63;
	int r;

	if (size != DMA_ALL)
		return unmap_range(k, iova, size);
	r = unmap_range(k, 0, half);
	return r < 0 ? r : unmap_range(k, half, half);
}

/*
 * The container's information, into info of INFO_ROOM bytes, and where its capability id is, of len
 * bytes at least; 0: it has none.
 */
static int find_capability(struct kernel *k, uint8_t *info, uint16_t id, size_t len, uint32_t *at)
{
	struct vfio_iommu_type1_info q = { .argsz = INFO_ROOM };
	struct vfio_info_cap_header h;

	memset(info, 0, INFO_ROOM);
	memcpy(info, &q, sizeof(q));
	if (ioctl(k->space->container, VFIO_IOMMU_GET_INFO, info) < 0)
		return -errno;
	memcpy(&q, info, sizeof(q));
	*at = q.flags & VFIO_IOMMU_INFO_CAPS ? q.cap_offset : 0;
	for (unsigned int hops = 0; *at; hops++, *at = h.next) {
		if (hops == 16 || !is_inside(*at, sizeof(h), INFO_ROOM))
			break;
		memcpy(&h, info + *at, sizeof(h));
		if (h.id == id && is_inside(*at, len, INFO_ROOM))
			return 0;
		if (h.id == id)
			break;
	}
	*at = 0;
	return 0;
}

static int type1_ranges(struct kernel *k, struct feature_iova_ranges *q)
{
	struct vfio_iommu_type1_info_cap_iova_range cap;
	uint8_t info[INFO_ROOM];
	uint32_t at;
	int r = find_capability(k, info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(cap), &at);

	if (r < 0)
		return r;
	*q = (struct feature_iova_ranges){ .count = 1, .ranges = { { 0, UINT64_MAX } } };
	if (!at)
		return 0;
	memcpy(&cap, info + at, sizeof(cap));
	q->count = cap.nr_iovas < VFIO_MAX_IOVA_RANGES ? cap.nr_iovas : VFIO_MAX_IOVA_RANGES;
	if (!is_inside(at + sizeof(cap), q->count * sizeof(q->ranges[0]), INFO_ROOM))
		return -EPROTO;
	memcpy(q->ranges, info + at + sizeof(cap), q->count * sizeof(q->ranges[0]));
	return 0;
}

static int type1_maps_left(struct kernel *k, uint64_t *left)
{
	struct vfio_iommu_type1_info_dma_avail cap;
	uint8_t info[INFO_ROOM];
	uint32_t at;
	int r = find_capability(k, info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, sizeof(cap), &at);

	if (r < 0)
		return r;
	*left = UINT64_MAX;
	if (at) {
		memcpy(&cap, info + at, sizeof(cap));
		*left = cap.avail;
	}
	return 0;
}

/* ---- which pages were written --------------------------------------------------------------- */

static int switch_dirty(struct kernel *k, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap q = { .argsz = sizeof(q), .flags = flags };

	return ioctl(k->space->container, VFIO_IOMMU_DIRTY_PAGES, &q) < 0 ? -errno : 0;
}

static int get_dirty(struct kernel *k, const struct dirty_report *report, uint64_t *bitmap,
		     size_t bytes)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} q = {
		.head = { .argsz = sizeof(q), .flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP },
		.get = {
			.iova = report->iova, .size = report->size,
			.bitmap = { .pgsize = report->page, .size = bytes,
				    .data = (__u64 *)bitmap },
		},
	};

	return ioctl(k->space->container, VFIO_IOMMU_DIRTY_PAGES, &q) < 0 ? -errno : 0;
}

static bool type1_has_dirty(struct kernel *k)
{
	return true;
}

static int type1_dirty(struct kernel *k, uint32_t number, const struct dirty_report *report,
		       uint64_t *bitmap, size_t bytes)
{
	if (number == FEATURE_DIRTY_START)
		return switch_dirty(k, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	if (number == FEATURE_DIRTY_STOP)
		return switch_dirty(k, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
	return get_dirty(k, report, bitmap, bytes);
}

static const struct kernel_iommu type1 = {
	.map = type1_map,
	.unmap = type1_unmap,
	.ranges = type1_ranges,
	.maps_left = type1_maps_left,
	.has_dirty = type1_has_dirty,
	.dirty = type1_dirty,
};

/* ---- opening ------------------------------------------------------------------------------- */

/* A copy of the caller's, or else our own. */
static int open_fd(struct kernel *k, const char *path, int passed, int *fd, struct vfio_error *err)
{
	*fd = passed >= 0 ? fd_copy(passed) : open(path, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (passed >= 0)
		return kernel_step_failed(&k->place, "copying a descriptor", -*fd, err);
	return kernel_node_failed(k->roots, &k->place, path, errno, err);
}

static int open_container(struct kernel *k, int passed, struct vfio_error *err)
{
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), "%s" KERNEL_NODE "/vfio", k->roots->dev);
	r = open_fd(k, path, passed, &k->space->container, err);
	if (r < 0)
		return r;
	k->space->is_passed = passed >= 0;
	if (ioctl(k->space->container, VFIO_GET_API_VERSION) == VFIO_API_VERSION &&
	    ioctl(k->space->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) == 1)
		return 0;
	return error_set(err, ENODEV, VFIO_E_NO_KERNEL, VFIO_BY_KERNEL,
			 "as root: modprobe vfio_iommu_type1",
			 "opening %s: %s knows no IOMMU of type1v2", k->place.bdf, path);
}

/* A container that has an IOMMU already looks whether it suits the group, too. */
static int set_container(struct kernel *k, const char *path, struct vfio_error *err)
{
	if (ioctl(k->group->fd, VFIO_GROUP_SET_CONTAINER, &k->space->container) == 0)
		return 0;
	if (errno == EINVAL && k->space->nusers > 1)
		return KERNEL_ELSEWHERE;
	if (errno == EPERM || errno == EBUSY)
		return kernel_not_granted(k->roots, &k->place, path, EBUSY, err);
	return kernel_step_failed(&k->place, "putting its group into a container", errno, err);
}

static int in_another(struct kernel *k, struct vfio_error *err)
{
	return error_set(err, EBUSY, VFIO_E_BUSY, VFIO_BY_KERNEL,
			 "pass the container, too: fd:N,container=N",
			 "%s: its group is in a container already", k->place.bdf);
}

static int open_group(struct kernel *k, const struct kernel_passed *passed, struct vfio_error *err)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[PATH_MAX];
	int fd, r;

	snprintf(path, sizeof(path), "%s" KERNEL_NODE "/%lld", k->roots->dev,
		 (long long)k->place.group);
	r = open_fd(k, path, passed ? passed->group : -1, &fd, err);
	if (r < 0)
		return r;
	k->group = kernel_space_add_group(k->space, k->place.group, fd);
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status) < 0)
		return kernel_step_failed(&k->place, "asking for the state of its group", errno,
					  err);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return kernel_not_granted(k->roots, &k->place, path, EBUSY, err);
	if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		return k->space->is_passed ? 0 : in_another(k, err);
	k->group->is_passed = passed && passed->group >= 0;
	return set_container(k, path, err);
}

/* A container of the caller's may have been set up. */
static bool has_iommu(struct kernel *k)
{
	struct vfio_iommu_type1_info q = { .argsz = sizeof(q) };

	return k->space->is_passed && ioctl(k->space->container, VFIO_IOMMU_GET_INFO, &q) == 0;
}

static int set_iommu(struct kernel *k, struct vfio_error *err)
{
	if (has_iommu(k) || ioctl(k->space->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0)
		return 0;
	if (errno == EPERM || errno == EBUSY)
		return kernel_not_granted(k->roots, &k->place, "its group", errno, err);
	return kernel_step_failed(&k->place, "setting up its IOMMU", errno, err);
}

/* The name, and behind a blank the token. */
static int get_device(struct kernel *k, struct vfio_error *err)
{
	char name[KERNEL_BDF + 10 + KERNEL_TOKEN];

	snprintf(name, sizeof(name), "%s%s%s", k->place.bdf, k->token[0] ? " vf_token=" : "",
		 k->token);
	k->device = ioctl(k->group->fd, VFIO_GROUP_GET_DEVICE_FD, name);
	if (k->device >= 0)
		return 0;
	if (errno == EACCES || (errno == EINVAL && k->token[0]))
		return kernel_token_failed(k, errno, err);
	if (errno == EBUSY)
		return kernel_not_granted(k->roots, &k->place, k->place.bdf, errno, err);
	return kernel_step_failed(&k->place, "asking its group for it", errno, err);
}

int kernel_group_open(struct kernel *k, const struct kernel_passed *passed, struct vfio_error *err)
{
	struct kernel_space *s = k->space;
	bool is_first = s->container < 0;
	int r = is_first ? open_container(k, passed ? passed->container : -1, err) : 0;

	k->iommu = &type1;
	if (r == 0 && kernel_space_find_group(s, k->place.group))
		k->group = kernel_space_add_group(s, k->place.group, -1);
	else if (r == 0)
		r = open_group(k, passed, err);
	if (r == 0 && is_first)
		r = set_iommu(k, err);
	return r ? r : get_device(k, err);
}
