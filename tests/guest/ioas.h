/* SPDX-License-Identifier: MIT */
/* IOASes of an iommufd. Each call is made, and the line printed that tells it. */
#ifndef GUEST_IOAS_H
#define GUEST_IOAS_H

#include "dma.h"

#define FIXED 1u
#define WRITE 2u
#define READ  4u

#define NO_FLAGS 0u

struct span {
	uint64_t first, last;
};

/* The device gives itself to the iommufd; what can be mapped for it is printed. */
void ioas_bind(struct run *r);
int ioas_attach(struct run *r, uint32_t id);
void ioas_detach(struct run *r);

uint32_t ioas_new(struct run *r, uint32_t flags);
int ioas_destroy(struct run *r, uint32_t id);
uint64_t ioas_map(struct run *r, uint32_t id, uint32_t flags, uint64_t va, uint64_t length,
		  uint64_t iova);
void ioas_unmap(struct run *r, uint32_t id, uint64_t iova, uint64_t length);
void ioas_copy(struct run *r, uint32_t dst, uint32_t src, uint32_t flags, uint64_t length,
	       uint64_t dst_iova, uint64_t src_iova);
void ioas_ranges(struct run *r, uint32_t id, uint32_t num);
void ioas_allow(struct run *r, uint32_t id, uint32_t num, const struct span *spans);
void ioas_option(struct run *r, uint32_t option, uint32_t op, uint32_t id, uint64_t value);
/* A call of that size, of which all is zero but the size and, if so, the last byte. */
void ioas_convention(struct run *r, unsigned number, uint32_t size, uint8_t tail);

#endif
