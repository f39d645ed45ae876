/* SPDX-License-Identifier: MIT */
/*
 * Carving small pieces from a large block: which offsets are taken, and where there is room.
 *
 * A piece is a power of two in size, and lies at a multiple of its size. The block itself is never
 * looked at: a device may write it, and so nothing in it can be trusted.
 *
 * A binary tree over the block, each node of which knows the largest free piece below it: taking
 * and giving back go down one path of the tree and up again, however many pieces there are.
 */
#ifndef LIBVFIO_BUDDY_H
#define LIBVFIO_BUDDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BUDDY_MIN 64u		/* the smallest piece: a cache line */

struct buddy {
	uint8_t *nodes;		/* 1 is the block; the halves of n are 2n and 2n + 1 */
	size_t size;
	unsigned int order;	/* the block is BUDDY_MIN << order */
};

/*
 * A block of size bytes, a power of two, all free. -EINVAL, -ENOMEM. The tree takes one byte for
 * 32 of the block; pages of it that describe no piece are never touched.
 */
int buddy_init(struct buddy *b, size_t size);

/* Accepts what is zeroed. */
void buddy_finish(struct buddy *b);

/* The offset of a piece of at least size bytes, the lowest there is; -1 when there is no room. */
ssize_t buddy_take(struct buddy *b, size_t size);

/* Give a piece back. Returns its size; 0 when no piece that is taken begins there. */
size_t buddy_give(struct buddy *b, size_t offset);

/* Is nothing taken? */
bool buddy_is_empty(const struct buddy *b);

#endif
