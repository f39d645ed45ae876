/* SPDX-License-Identifier: MIT */
/*
 * What back ends share behind whose devices no IOMMU stands (noiommu.c, uio.c): who may use them,
 * the record that they were used, and maps that are none, but a promise that memory is at the
 * address that the device is given, and stays there.
 *
 *   unsafe.c         who may, the record
 *   unsafe_dma.c     maps
 */
#ifndef LIBVFIO_BACKENDS_UNSAFE_H
#define LIBVFIO_BACKENDS_UNSAFE_H

#include "backends/kernel.h"
#include "base/range_map.h"
#include "contract.h"
#include "iommu/physical.h"
#include "iommu/pin.h"

/* ---- unsafe.c ------------------------------------------------------------------------------- */

/*
 * May this process open what, a device string ("unsafe-noiommu:0000:03:00.0")? 0; -EPERM and
 * VFIO_E_UNSAFE without CAP_SYS_RAWIO; -ENOTSUP in a library that was built without such devices
 * (-Dunsafe=disabled).
 */
int unsafe_check(const char *what, struct vfio_error *err);

/*
 * The same, and that it is opened is recorded in /run/libvfio/taint: call it when nothing else speaks
 * against it. Also the errno of what kept the record from being written.
 */
int unsafe_allowed(const char *what, struct vfio_error *err);

/*
 * The record alone, in a file named taint in a folder that is made if need be: one line,
 * "2026-11-20T18:00:00Z uid=0 pid=123 program=NAME device=0000:03:00.0 backend=unsafe-noiommu". A file of
 * UNSAFE_RECORD_MAX bytes becomes taint.1, and that is lost. On a file system that is read-only
 * there is no record, and no error.
 */
int unsafe_record(const char *folder, const char *what, struct vfio_error *err);

#define UNSAFE_RECORD_MAX (64 << 10)

/*
 * Does the machine's IOMMU translate what the device sends? Then physical addresses reach nothing, or
 * something else: -ENOTSUP, and the record says what helps.
 */
int unsafe_check_domain(const struct kernel_roots *roots, const char *bdf, struct vfio_error *err);

/* ---- unsafe_dma.c --------------------------------------------------------------------------- */

struct unsafe_maps {
	struct physical_source *source;
	struct pins pins;
	struct range_map maps;		/* the word is the direction, the value struct unsafe_map */
	uint64_t bytes;			/* that are mapped */
};

/* Zeroed is closed. */
int unsafe_maps_open(struct unsafe_maps *m, struct vfio_error *err);
/* When the device cannot reach memory any more. */
void unsafe_maps_close(struct unsafe_maps *m);

/*
 * As the contract's dma_map, dma_unmap. The pages are held where they are, and the I/O address must
 * be the physical one.
 */
int unsafe_dma_map(struct unsafe_maps *m, const struct dma_map *map, struct vfio_error *err);
int unsafe_dma_unmap(struct unsafe_maps *m, uint64_t iova, uint64_t size, uint64_t *unmapped,
		     struct vfio_error *err);

/*
 * As the contract's feature, for those that are about DMA. -ENOTTY, and no record, for others.
 */
int unsafe_feature(struct unsafe_maps *m, uint32_t flags, void *data, size_t len,
		   struct vfio_error *err);

#endif
