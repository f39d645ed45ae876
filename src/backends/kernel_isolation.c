/* SPDX-License-Identifier: MIT */
/*
 * What isolates a device that the kernel gives out. Its DMA, the IOMMU: there is no other way to get
 * the device. Its interrupts, unless the administrator has said that it may be without: the kernel
 * then says nothing of the device at hand, and so neither do we.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "backends/kernel.h"

/* The module's allow_unsafe_interrupts: 'Y', 'N', or 0 when it cannot be read. */
static char unsafe_interrupts(const struct kernel_roots *roots, const char *module)
{
	char path[PATH_MAX], answer = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/module/%s/parameters/allow_unsafe_interrupts", roots->sys,
		 module);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return 0;
	if (read(fd, &answer, 1) != 1 || answer != 'N')
		answer = 'Y';
	close(fd);
	return answer;
}

/* A container may be type1's or iommufd's: each that is there must have forbidden it. */
struct vfio_isolation kernel_isolation(const struct kernel_roots *roots, bool by_node)
{
	char iommufd = unsafe_interrupts(roots, "iommufd");
	char type1 = by_node ? iommufd : unsafe_interrupts(roots, "vfio_iommu_type1");
	bool safe = iommufd != 'Y' && type1 != 'Y' && (iommufd || type1);

	return (struct vfio_isolation){
		.dma = VFIO_ISOLATED_BY_IOMMU,
		.interrupts = safe ? VFIO_ISOLATED_BY_IOMMU : VFIO_ISOLATED_NOT,
	};
}
