/* SPDX-License-Identifier: MIT */
/* The parts of a region that can be mapped, as its information says. */
#ifndef LIBVFIO_BACKENDS_AREAS_H
#define LIBVFIO_BACKENDS_AREAS_H

#include <vfio/driver.h>

/*
 * Add the sparse areas of the chain of capabilities that begins at offset at of info, the answer of
 * len bytes to VFIO_DEVICE_GET_REGION_INFO, which the wire has in the same form. False when the
 * chain is malformed.
 */
bool areas_take(struct vfio_region *region, const uint8_t *info, size_t len, uint32_t at);

/* Bytes from start to end - 1, both page aligned, are in none of them from now on. */
void areas_cut(struct vfio_region *region, uint64_t start, uint64_t end);

#endif
