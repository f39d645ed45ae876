/* SPDX-License-Identifier: MIT */
/* A container with a type1 IOMMU. Each call is made, and the line printed that tells it. */
#ifndef GUEST_CONTAINER_H
#define GUEST_CONTAINER_H

#include "dma.h"

enum place { PLACE_GOOD, PLACE_BAD, PLACE_RO, PLACE_KERNEL, PLACES };

/* Where a bitmap shall go; what it is filled with before. */
struct bitmap {
	uint64_t pgsize, size;
	enum place place;
	uint8_t fill;
};

void container_open(struct run *r);
void container_print(struct run *r);

void check(struct run *r, unsigned long extension);
void info(struct run *r, uint32_t argsz);
void other_call(struct run *r, unsigned number);
void join(struct run *r);
void map_argsz(struct run *r, uint32_t argsz, uint32_t flags, uint64_t vaddr, uint64_t iova,
	       uint64_t size);
void map(struct run *r, uint32_t flags, uint64_t vaddr, uint64_t iova, uint64_t size);
void unmap_argsz(struct run *r, uint32_t argsz, uint32_t flags, uint64_t iova, uint64_t size,
		 const struct bitmap *b);
void unmap(struct run *r, uint32_t flags, uint64_t iova, uint64_t size);
void unmap_all(struct run *r);
void dirty_argsz(struct run *r, uint32_t argsz, uint32_t flags, uint64_t iova, uint64_t size,
		 const struct bitmap *b);
void dirty(struct run *r, uint32_t flags);
void dirty_get(struct run *r, uint64_t iova, uint64_t size, const struct bitmap *b);

/* The last address that can be mapped. */
uint64_t aperture_end(struct run *r);

#endif
