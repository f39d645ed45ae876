/* SPDX-License-Identifier: MIT */
/*
 * What Linux 6.6 has and the headers of older systems do not: iommufd, and the device nodes that go
 * with it. The numbers and forms are those of <linux/iommufd.h> and <linux/vfio.h>; the names are
 * not, so that both can be included.
 */
#ifndef LIBVFIO_BACKENDS_IOMMUFD_H
#define LIBVFIO_BACKENDS_IOMMUFD_H

#include <stdint.h>
#include <sys/ioctl.h>

#define CDEV_BIND_IOMMUFD  _IO(';', 0x76)
#define CDEV_ATTACH        _IO(';', 0x77)
#define CDEV_DETACH        _IO(';', 0x78)

#define IOMMUFD_DESTROY     _IO(';', 0x80)
#define IOMMUFD_IOAS_ALLOC  _IO(';', 0x81)
#define IOMMUFD_COPY        _IO(';', 0x83)
#define IOMMUFD_IOVA_RANGES _IO(';', 0x84)
#define IOMMUFD_MAP         _IO(';', 0x85)
#define IOMMUFD_UNMAP       _IO(';', 0x86)

#define IOMMUFD_OPTION      _IO(';', 0x87)

#define IOMMUFD_VFIO_IOAS   _IO(';', 0x88)

#define IOMMUFD_TABLE_ALLOC _IO(';', 0x89)	/* IOMMU_HWPT_ALLOC */
#define IOMMUFD_HW_INFO     _IO(';', 0x8a)
#define IOMMUFD_SET_DIRTY   _IO(';', 0x8b)
#define IOMMUFD_GET_DIRTY   _IO(';', 0x8c)

#define IOMMUFD_TABLE_DIRTY 2u	/* it can tell which pages were written */
#define IOMMUFD_HW_DIRTY    1u	/* there can be such tables */

#define IOMMUFD_VFIO_IOAS_GET   0
#define IOMMUFD_VFIO_IOAS_SET   1
#define IOMMUFD_VFIO_IOAS_CLEAR 2

#define IOMMUFD_MAP_FIXED 1u
#define IOMMUFD_MAP_WRITE 2u	/* the device may write */
#define IOMMUFD_MAP_READ  4u

struct cdev_bind {
	uint32_t argsz, flags;
	int32_t iommufd;
	uint32_t devid;			/* out */
	uint64_t token;			/* where a UUID is; newer kernels only */
};

#define CDEV_BIND_TOKEN 1u
#define CDEV_BIND_OLD   16u		/* bytes */

struct cdev_attach {
	uint32_t argsz, flags;
	uint32_t pt_id;			/* an IOAS, or a table; out: what it became */
};

struct cdev_detach {
	uint32_t argsz, flags;
};

struct iommufd_alloc {
	uint32_t size, flags;
	uint32_t id;			/* out */
};

struct iommufd_destroy {
	uint32_t size, id;
};

struct iommufd_option {
	uint32_t size, option;
	uint16_t op, reserved;
	uint32_t object;
	uint64_t value;
};

#define IOMMUFD_OPTION_RLIMIT 0		/* value: whose memlock limit, 0 the user's, 1 the process's */
#define IOMMUFD_OPTION_SET    0

struct iommufd_copy {
	uint32_t size, flags, to, from;
	uint64_t length, to_iova, from_iova;
};

struct iommufd_range {
	uint64_t start, last;
};

/* count: of the array at ranges; out: how many there are, which may be more (EMSGSIZE). */
struct iommufd_ranges {
	uint32_t size, ioas, count, reserved;
	uint64_t ranges, alignment;
};

struct iommufd_map {
	uint32_t size, flags, ioas, reserved;
	uint64_t vaddr, length, iova;
};

struct iommufd_unmap {
	uint32_t size, ioas;
	uint64_t iova, length;		/* 0 and UINT64_MAX: all */
};

/* Which IOAS the calls of a container are about. */
struct iommufd_vfio_ioas {
	uint32_t size, ioas;
	uint16_t op, reserved;
};

/* A page table of an IOAS: it has the maps of that. */
struct iommufd_table {
	uint32_t size, flags, device, ioas;
	uint32_t id;			/* out */
	uint32_t reserved;
};

struct iommufd_hw_info {
	uint32_t size, flags, device, data_len;
	uint64_t data;
	uint32_t type, reserved;	/* out */
	uint64_t capabilities;		/* out; kernels that have none do not touch it */
};

struct iommufd_set_dirty {
	uint32_t size, flags, table, reserved;	/* flags 1: from now on */
};

struct iommufd_get_dirty {
	uint32_t size, table, flags, reserved;
	uint64_t iova, length, page, bitmap;
};

_Static_assert(sizeof(struct iommufd_table) == 24, "IOMMU_HWPT_ALLOC");
_Static_assert(sizeof(struct iommufd_hw_info) == 40, "IOMMU_GET_HW_INFO");
_Static_assert(sizeof(struct iommufd_set_dirty) == 16, "IOMMU_HWPT_SET_DIRTY_TRACKING");
_Static_assert(sizeof(struct iommufd_get_dirty) == 48, "IOMMU_HWPT_GET_DIRTY_BITMAP");
_Static_assert(sizeof(struct iommufd_vfio_ioas) == 12, "IOMMU_VFIO_IOAS");
_Static_assert(sizeof(struct cdev_bind) == 24, "VFIO_DEVICE_BIND_IOMMUFD");
_Static_assert(sizeof(struct cdev_attach) == 12, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
_Static_assert(sizeof(struct cdev_detach) == 8, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
_Static_assert(sizeof(struct iommufd_alloc) == 12, "IOMMU_IOAS_ALLOC");
_Static_assert(sizeof(struct iommufd_destroy) == 8, "IOMMU_DESTROY");
_Static_assert(sizeof(struct iommufd_copy) == 40, "IOMMU_IOAS_COPY");
_Static_assert(sizeof(struct iommufd_ranges) == 32, "IOMMU_IOAS_IOVA_RANGES");
_Static_assert(sizeof(struct iommufd_map) == 40, "IOMMU_IOAS_MAP");
_Static_assert(sizeof(struct iommufd_unmap) == 24, "IOMMU_IOAS_UNMAP");

#endif
