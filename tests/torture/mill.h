/* SPDX-License-Identifier: MIT */
/*
 * "mill", a device that moves much memory: up to a mebibyte from one I/O address to another, by
 * copies or in place, at once; and it can stamp on some memory again and again, by itself.
 *
 *   BAR0  4 KiB of registers, 8 bytes each
 */
#ifndef TORTURE_MILL_H
#define TORTURE_MILL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MILL_VENDOR 0x1234
#define MILL_DEVICE 0x6d69

#define MILL_MOST (1u << 20)		/* bytes that it moves at once */

enum {
	MILL_SOURCE	= 0x00,		/* RW I/O address that is read */
	MILL_DEST	= 0x08,		/* RW I/O address that is written */
	MILL_LENGTH	= 0x10,		/* RW */
	MILL_COMMAND	= 0x18,		/* WO MILL_COPY, … */
	MILL_RESULT	= 0x20,		/* RO errno of the last command */
	MILL_CHECKSUM	= 0x28,		/* RO of what was copied last */
	MILL_STAMPS	= 0x30,		/* RO how often it has stamped since the command */
};

enum {
	MILL_COPY	= 1,		/* source to dest, through the mill's own memory */
	MILL_IN_PLACE	= 2,		/* the same, without; ENOTSUP where the memory cannot */
	MILL_STAMP	= 3,		/* write a new number into all of dest, every 100 µs */
	MILL_REST	= 4,		/* no more of that */
};

/* What a driver writes, at MILL_SOURCE, to begin. */
struct mill_order {
	uint64_t source, dest, length, command;
};

static inline uint64_t mill_checksum(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint64_t word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
	}
	for (; len; len--)
		sum = (sum ^ *bytes++) * 0x9e3779b97f4a7c15u;
	return sum;
}

#endif
