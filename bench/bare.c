/* SPDX-License-Identifier: MIT */
#include "bare.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/iommufd.h"	/* the numbers of its calls, which older headers lack */
#include "measure.h"

#define DESCRIPTORS 1024
#define OBJECTS     1024	/* of an iommufd, numbered from 1 on */

static uint32_t find_ioas(int iommufd)
{
	for (uint32_t id = 1; id < OBJECTS; id++) {
		struct iommufd_ranges q = { .size = sizeof(q), .ioas = id };

		if (ioctl(iommufd, IOMMUFD_IOVA_RANGES, &q) == 0 || errno == EMSGSIZE)
			return id;
	}
	die("no IOAS");
	return 0;
}

static void take(struct bare *bare, int fd, const char *target)
{
	if (strcmp(target, "/dev/vfio/vfio") == 0)
		bare->container = fd;
	else if (strcmp(target, "/dev/iommu") == 0)
		bare->iommufd = fd;
	else if (strcmp(target, "anon_inode:[vfio-device]") == 0 ||
		 strncmp(target, "/dev/vfio/devices/", 18) == 0)
		bare->device = fd;
}

void bare_find(struct bare *bare)
{
	*bare = (struct bare){ .device = -1, .container = -1, .iommufd = -1 };
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		char path[32], target[64];
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		take(bare, fd, target);
	}
	errno = ENODEV;
	if (bare->device < 0 || (bare->container < 0 && bare->iommufd < 0))
		die("a device of the kernel's VFIO");
	if (bare->iommufd >= 0)
		bare->ioas = find_ioas(bare->iommufd);
}

static void map_ioas(const struct bare *bare, void *vaddr, uint64_t iova, uint64_t size)
{
	struct iommufd_map q = {
		.size = sizeof(q), .ioas = bare->ioas,
		.flags = IOMMUFD_MAP_FIXED | IOMMUFD_MAP_READ | IOMMUFD_MAP_WRITE,
		.vaddr = (uintptr_t)vaddr, .length = size, .iova = iova,
	};

	if (ioctl(bare->iommufd, IOMMUFD_MAP, &q) < 0)
		die("IOMMU_IOAS_MAP");
}

void bare_map(const struct bare *bare, void *vaddr, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_map q = {
		.argsz = sizeof(q), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)vaddr, .iova = iova, .size = size,
	};

	if (bare->iommufd >= 0)
		map_ioas(bare, vaddr, iova, size);
	else if (ioctl(bare->container, VFIO_IOMMU_MAP_DMA, &q) < 0)
		die("VFIO_IOMMU_MAP_DMA");
}

void bare_unmap(const struct bare *bare, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap q = { .argsz = sizeof(q), .iova = iova, .size = size };
	struct iommufd_unmap u = {
		.size = sizeof(u), .ioas = bare->ioas, .iova = iova, .length = size,
	};

	if (bare->iommufd >= 0 ? ioctl(bare->iommufd, IOMMUFD_UNMAP, &u) < 0 :
				 ioctl(bare->container, VFIO_IOMMU_UNMAP_DMA, &q) < 0)
		die("unmapping");
}

volatile void *bare_registers(const struct bare *bare, uint64_t offset, size_t len)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info), .index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	void *at = MAP_FAILED;

	if (ioctl(bare->device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0)
		at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, bare->device,
			  (off_t)(info.offset + offset));
	if (at == MAP_FAILED)
		die("mapping BAR 0");
	return at;
}
