/* SPDX-License-Identifier: MIT */
/*
 * The newer road: the device has a node of its own, which is bound to an iommufd and attached to an
 * IOAS in it. One iommufd for each space, and one IOAS, unless devices differ too much.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "backends/iommufd.h"
#include "backends/kernel.h"
#include "base/error.h"
#include "base/fd.h"

static uint32_t map_flags(uint32_t prot)
{
	return IOMMUFD_MAP_FIXED | (prot & VFIO_DMA_READ ? IOMMUFD_MAP_READ : 0) |
	       (prot & VFIO_DMA_WRITE ? IOMMUFD_MAP_WRITE : 0);
}

static int cdev_map(struct kernel *k, uint64_t iova, uint64_t size, void *vaddr, uint32_t prot)
{
	struct iommufd_map q = {
		.size = sizeof(q), .ioas = k->ioas, .flags = map_flags(prot),
		.vaddr = (uintptr_t)vaddr, .length = size, .iova = iova,
	};

	return ioctl(k->space->iommufd, IOMMUFD_MAP, &q) < 0 ? -errno : 0;
}

/* That nothing is there is an error of its own; all of nothing is none. */
static int cdev_unmap(struct kernel *k, uint64_t iova, uint64_t size)
{
	struct iommufd_unmap q = {
		.size = sizeof(q), .ioas = k->ioas, .iova = iova, .length = size,
	};

	if (ioctl(k->space->iommufd, IOMMUFD_UNMAP, &q) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

/* Those that do not fit are not told of: addresses that are not known are not used. */
static int cdev_ranges(struct kernel *k, struct feature_iova_ranges *answer)
{
	struct iommufd_range ranges[VFIO_MAX_IOVA_RANGES];
	struct iommufd_ranges q = {
		.size = sizeof(q), .ioas = k->ioas, .count = VFIO_MAX_IOVA_RANGES,
		.ranges = (uintptr_t)ranges,
	};

	if (ioctl(k->space->iommufd, IOMMUFD_IOVA_RANGES, &q) < 0 && errno != EMSGSIZE)
		return -errno;
	answer->count = q.count < VFIO_MAX_IOVA_RANGES ? q.count : VFIO_MAX_IOVA_RANGES;
	for (uint64_t i = 0; i < answer->count; i++)
		answer->ranges[i] = (struct vfio_iova_range){ ranges[i].start, ranges[i].last };
	return 0;
}

/* The pages stay pinned once, and are charged once. */
static int cdev_copy(struct kernel *k, const struct kernel *from, uint64_t iova, uint64_t size,
		     uint32_t prot)
{
	struct iommufd_copy q = {
		.size = sizeof(q), .flags = map_flags(prot), .to = k->ioas, .from = from->ioas,
		.length = size, .to_iova = iova, .from_iova = iova,
	};

	return ioctl(k->space->iommufd, IOMMUFD_COPY, &q) < 0 ? -errno : 0;
}

static int cdev_maps_left(struct kernel *k, uint64_t *left)
{
	*left = UINT64_MAX;
	return 0;
}

static const struct kernel_iommu iommufd = {
	.map = cdev_map,
	.unmap = cdev_unmap,
	.copy = cdev_copy,
	.ranges = cdev_ranges,
	.maps_left = cdev_maps_left,
	.has_dirty = kernel_cdev_has_dirty,
	.dirty = kernel_cdev_dirty,
};

/* ---- opening ------------------------------------------------------------------------------- */

/* A copy of the caller's, or else our own. */
static int open_node(struct kernel *k, const char *path, int passed, int *fd, struct vfio_error *err)
{
	*fd = passed >= 0 ? fd_copy(passed) : open(path, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (passed >= 0)
		return kernel_step_failed(&k->place, "copying a descriptor", -*fd, err);
	if (errno == ENOENT)
		return error_set(err, ENODEV, VFIO_E_NO_KERNEL, VFIO_BY_KERNEL,
				 "give the PCI address, which works without, too; or a kernel with "
				 "IOMMUFD and VFIO_DEVICE_CDEV; in a container, have the node passed in",
				 "opening %s: there is no %s", k->place.bdf, path);
	return kernel_node_failed(k->roots, &k->place, path, errno, err);
}

/*
 * All of a user's iommufds share his memlock limit, if nobody says otherwise: then whoever fills up one
 * device's part leaves nothing to the others. Only who is privileged may say so; before there is
 * anything in the iommufd.
 */
static void count_by_process(int fd)
{
	struct iommufd_option q = {
		.size = sizeof(q), .option = IOMMUFD_OPTION_RLIMIT, .op = IOMMUFD_OPTION_SET, .value = 1,
	};

	ioctl(fd, IOMMUFD_OPTION, &q);
}

static int open_iommufd(struct kernel *k, const char *path, int passed, struct vfio_error *err)
{
	int r = open_node(k, path, passed, &k->space->iommufd, err);

	k->space->is_passed = passed >= 0;
	if (r == 0 && passed < 0)
		count_by_process(k->space->iommufd);
	return r;
}

/* The token is beyond what older kernels know of the call: they are asked as they always were. */
static int try_bind(struct kernel *k, uint64_t token)
{
	struct cdev_bind q = {
		.argsz = token ? sizeof(q) : CDEV_BIND_OLD, .iommufd = k->space->iommufd,
		.flags = token ? CDEV_BIND_TOKEN : 0, .token = token,
	};

	if (ioctl(k->device, CDEV_BIND_IOMMUFD, &q) < 0)
		return -errno;
	k->id = q.devid;
	return 0;
}

/*
 * EINVAL says three things. A kernel that knows tokens stumbles over one that is at no address. What
 * can be had without a token is had by nobody else, but has no use for one.
 */
static int token_refused(struct kernel *k, const char *path, struct vfio_error *err)
{
	if (try_bind(k, UINT64_MAX) == -EFAULT)
		return try_bind(k, 0) == 0 ? kernel_token_failed(k, EINVAL, err)
					   : kernel_not_granted(k->roots, &k->place, path, EBUSY, err);
	return error_set(err, ENOTSUP, VFIO_E_TOKEN, VFIO_BY_KERNEL,
			 "have the group's node made yours, and not the device's: by that road older "
			 "kernels take tokens, too",
			 "opening %s: this kernel takes no VF token with a device's node", k->place.bdf);
}

/* EINVAL: somebody else has bound the node; EBUSY: somebody has the group. */
static int bind(struct kernel *k, const char *path, struct vfio_error *err)
{
	uint8_t uuid[16];
	bool has_token = kernel_parse_token(k->token, uuid);
	int r = try_bind(k, has_token ? (uintptr_t)uuid : 0);

	switch (-r) {
	case 0:
		return 0;
	case EACCES:
		return kernel_token_failed(k, EACCES, err);
	case EINVAL:
		if (has_token)
			return token_refused(k, path, err);
		/* fall through */
	case EBUSY:
	case EPERM:
		return kernel_not_granted(k->roots, &k->place, path, -r, err);
	}
	return kernel_step_failed(&k->place, "binding it to an iommufd", -r, err);
}

/* ---- which IOAS? --------------------------------------------------------------------------- */

int kernel_cdev_attach(struct kernel *k, uint32_t id)
{
	struct cdev_attach q = { .argsz = sizeof(q), .pt_id = id };

	return ioctl(k->device, CDEV_ATTACH, &q) < 0 ? -errno : 0;
}

/* A group that is on a table of its own stays on it together. */
static uint32_t place_of(const struct kernel *other, const struct kernel *k)
{
	return other->table && other->place.group == k->place.group ? other->table : other->ioas;
}

/*
 * To one that another device of the space has, if one of them takes it. Its IOMMU may be of another
 * kind (EINVAL), or maps may lie where it has reserved addresses (EADDRINUSE).
 */
static bool attach_to_others(struct kernel *k)
{
	for (unsigned int i = 0; i < KERNEL_USERS; i++) {
		const struct kernel *other = k->space->users[i];

		if (other && other->ioas && kernel_cdev_attach(k, place_of(other, k)) == 0) {
			k->ioas = other->ioas;
			return true;
		}
	}
	return false;
}

static int attach_to_own(struct kernel *k, struct vfio_error *err)
{
	struct iommufd_alloc q = { .size = sizeof(q) };
	int r;

	if (ioctl(k->space->iommufd, IOMMUFD_IOAS_ALLOC, &q) < 0)
		return kernel_step_failed(&k->place, "making an address space for it", errno, err);
	k->ioas = q.id;
	r = kernel_cdev_attach(k, q.id);
	return r < 0 ? kernel_step_failed(&k->place, "attaching it to an address space", -r, err)
		     : 0;
}

void kernel_cdev_detach(struct kernel *k)
{
	struct cdev_detach q = { .argsz = sizeof(q) };

	ioctl(k->device, CDEV_DETACH, &q);
}

void kernel_cdev_drop(struct kernel_space *s, uint32_t id)
{
	struct iommufd_destroy q = { .size = sizeof(q), .id = id };

	ioctl(s->iommufd, IOMMUFD_DESTROY, &q);
}

int kernel_cdev_open(struct kernel *k, const struct kernel_passed *passed, struct vfio_error *err)
{
	const int device = passed ? passed->device : -1, fd = passed ? passed->iommufd : -1;
	char node[PATH_MAX], iommu[PATH_MAX];
	int r;

	snprintf(node, sizeof(node), "%s" KERNEL_NODE "/devices/%s", k->roots->dev, k->place.node);
	snprintf(iommu, sizeof(iommu), "%s/iommu", k->roots->dev);
	k->iommu = &iommufd;
	r = open_node(k, node, device, &k->device, err);
	if (r == 0 && k->space->iommufd < 0)
		r = open_iommufd(k, iommu, fd, err);
	if (r == 0)
		r = bind(k, node, err);
	k->is_passed = r == 0 && device >= 0;
	if (r < 0 || attach_to_others(k))
		return r;
	return attach_to_own(k, err);
}
