/* SPDX-License-Identifier: MIT */
/* DMA mapping: what both recorders have, and the memory that is mapped (see README). */
#ifndef GUEST_DMA_H
#define GUEST_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "output.h"

#define PAGE	    4096ull
#define BUFFER_SIZE (256 * PAGE)
#define FILL	    0xa5 /* what is in memory before the kernel writes to it */

/* Offsets of the parts of the buffer; the rest of each is in layout[]. */
#define RW     0
#define RO     (64 * PAGE)
#define NONE   (72 * PAGE)
#define HOLE   (76 * PAGE)
#define SHARED (80 * PAGE)
#define PAST   (100 * PAGE)
#define GOOD   (102 * PAGE)

/* A run of the recorder: the device, and how it is reached. */
struct run {
	const char *bdf;
	const char *other; /* a device of another group */
	int container;
	int group;
	int iommufd;
	int cdev;
	uint8_t *buffer;
	uint64_t random;
	bool limited;	   /* another user than root, whose locked memory is limited */
	bool v1;
};

_Noreturn void give_up(const char *what);

void make_buffer(struct run *r);
void limit_memory(struct run *r, uint64_t bytes);
int open_group(const char *bdf);
int open_cdev(const char *bdf);

uint64_t at(const struct run *r, uint64_t offset);
void print_address(const struct run *r, uint64_t address);
/* In hexadecimal, to the last byte that is not fill; `-` when all are. */
void print_bytes(const uint8_t *bytes, size_t size, uint8_t fill);

uint32_t pick(struct run *r, uint32_t n);
bool chance(struct run *r, uint32_t percent);

/* What is recorded. */
void record_container_rows(struct run *r);
void record_container_flags(struct run *r);
void record_container_limits(struct run *r);
void record_container_random(struct run *r);
void record_ioas_rows(struct run *r);
void record_ioas_convention(struct run *r);
void record_ioas_attach(struct run *r);
void record_ioas_limits(struct run *r);
void record_ioas_random(struct run *r);

#endif
