/* SPDX-License-Identifier: MIT */
/*
 * What a node holds is how far the largest free piece below it falls short of the node itself, in
 * powers of two: 0, all of it is free; 1, a half; and one more than the node's own order, nothing.
 * So a tree of zeroes is a free block, and fresh memory need not be written.
 *
 * A piece that is taken is a node that says "nothing" above halves that are free. No other node is
 * like that: where nothing is free because the halves are taken, they say so.
 */
#include "base/buddy.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"

#define ROOT 1u

/* The smallest order whose pieces hold size bytes. */
static unsigned int order_of(size_t size)
{
	return size <= BUDDY_MIN ? 0 : 64 - __builtin_clzll((size - 1) / BUDDY_MIN);
}

int buddy_init(struct buddy *b, size_t size)
{
	*b = (struct buddy){ .size = size };
	if (size < BUDDY_MIN || !is_power_of_two(size))
		return -EINVAL;
	b->order = order_of(size);
	b->nodes = calloc(2, size / BUDDY_MIN);
	return b->nodes ? 0 : -ENOMEM;
}

void buddy_finish(struct buddy *b)
{
	free(b->nodes);
	*b = (struct buddy){ 0 };
}

/* Bring the nodes above n up to date. */
static void update(struct buddy *b, size_t n)
{
	while (n /= 2) {
		uint8_t left = b->nodes[2 * n], right = b->nodes[2 * n + 1];

		b->nodes[n] = left || right ? 1 + (left < right ? left : right) : 0;
	}
}

ssize_t buddy_take(struct buddy *b, size_t size)
{
	unsigned int wanted = order_of(size), order = b->order;
	size_t n = ROOT;

	if (!size || size > b->size || order < wanted + b->nodes[n])
		return -1;
	while (order > wanted) {
		order--;
		n *= 2;
		if (order < wanted + b->nodes[n])
			n++;
	}
	b->nodes[n] = order + 1;
	update(b, n);
	return (n - ((size_t)1 << (b->order - order))) * ((size_t)BUDDY_MIN << order);
}

/* Is n, which is not all free, a piece that is taken? */
static bool is_piece(const struct buddy *b, size_t n, size_t size)
{
	return size == BUDDY_MIN || (!b->nodes[2 * n] && !b->nodes[2 * n + 1]);
}

size_t buddy_give(struct buddy *b, size_t offset)
{
	size_t n = ROOT, size = b->size, start = 0;

	while (offset < b->size && b->nodes[n]) {
		if (is_piece(b, n, size)) {
			if (start != offset)
				return 0;
			b->nodes[n] = 0;
			update(b, n);
			return size;
		}
		size /= 2;
		n *= 2;
		if (offset - start >= size) {
			start += size;
			n++;
		}
	}
	return 0;
}

bool buddy_is_empty(const struct buddy *b)
{
	return !b->nodes[ROOT];
}
