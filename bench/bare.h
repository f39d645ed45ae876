/* SPDX-License-Identifier: MIT */
/*
 * The kernel's VFIO by its own calls, on a device that the library has open: what the library costs
 * is what it takes more than these.
 */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stddef.h>
#include <stdint.h>

struct bare {
	int device;
	int container, iommufd;		/* one of them is -1 */
	uint32_t ioas;
};

/* Find the descriptors among those of this process, which has one device open. Or end it. */
void bare_find(struct bare *bare);

/* Map memory for reading and writing, and unmap it. They end the process when that fails. */
void bare_map(const struct bare *bare, void *vaddr, uint64_t iova, uint64_t size);
void bare_unmap(const struct bare *bare, uint64_t iova, uint64_t size);

/* Registers of BAR 0, at a page's beginning. */
volatile void *bare_registers(const struct bare *bare, uint64_t offset, size_t len);

#endif
