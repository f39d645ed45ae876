/* SPDX-License-Identifier: MIT */
/*
 * What is in a block: sixteen bytes again and again that say which block of which namespace this
 * is, how far into it, and which version. Version 0 is zeros.
 */
#ifndef STAMPS_H
#define STAMPS_H

#include <stddef.h>
#include <stdint.h>

void stamp_write(void *block, size_t size, uint32_t nsid, uint64_t lba, uint64_t version);

enum stamp { WHOLE, TORN, MISPLACED };

/*
 * MISPLACED: all of it is one block, but another one; TORN: it is parts of several. *version of the
 * first part.
 */
enum stamp stamp_read(const void *block, size_t size, uint32_t nsid, uint64_t lba,
		      uint64_t *version);

/* Print what it consists of, to stderr. */
void stamp_tell(const void *block, size_t size);

#endif
