/* SPDX-License-Identifier: MIT */
/*
 * The simplest model of an address space: a table with an entry for each page of a window of I/O
 * addresses. It knows no ranges, and is looked through from one end to the other each time.
 */
#ifndef FUZZ_SPACE_MODEL_H
#define FUZZ_SPACE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iommu/space.h"

#define PAGE   DMA_PAGE
#define WINDOW 32u		/* pages of I/O addresses */
#define PAGES  8u		/* of a backing */

/* Where the memory of a map is: the last ones are given by descriptor. */
enum { HERE, PEER, SEALED, LOOSE, PROCESS, BACKINGS };

/* Memory that a map may show, and the same bytes as they should be. */
struct backing {
	uint8_t *bytes;
	int fd;
	uint8_t expected[PAGES * PAGE];
};

/* A page of the window; map 0: not mapped. */
struct entry {
	unsigned int map;	/* pages of one map have the same number */
	unsigned int backing, page;
	uint32_t prot;
	bool retired;		/* in place no more */
	bool dirty;
};

/* Pages that may be mapped; n 0: all. */
struct ranges {
	unsigned int n, first[3], last[3];
};

struct model {
	enum space_rules rules;
	bool careful, takes_process;
	uint64_t base;		/* I/O address of the window */
	struct backing backings[BACKINGS];
	struct entry window[WINDOW];
	unsigned int made;	/* maps so far */
	unsigned int loose;	/* pages that LOOSE has */
	bool closed;
	uint64_t most_maps, most_bytes;
	struct ranges allowed;
	uint64_t dirty_page;
};

/* A map, or an unmap, of n pages from first on: at the top of all addresses n may be too large. */
struct request {
	unsigned int first, n, backing, page;
	uint32_t prot;
	bool odd;		/* not aligned */
};

unsigned int model_maps(const struct model *m);
uint64_t model_bytes(const struct model *m);

/* What the call returns; and it is done. */
int model_map(struct model *m, const struct request *q);
int model_unmap(struct model *m, const struct request *q, uint64_t *bytes);
int model_renew(struct model *m, const struct request *q);
int model_retire(struct model *m, unsigned int page);
int model_allow(struct model *m, unsigned int n, const unsigned int first[3],
		const unsigned int last[3]);
void model_clear(struct model *m);

/* What an access to len bytes at offset at of the window returns: -EIO if the memory fails. */
int model_access(const struct model *m, uint64_t at, size_t len, uint32_t prot);
/* Those of a reader, who may not ask a peer. */
bool model_asks(const struct model *m, uint64_t at, size_t len);
/* How many pieces there are; -ENOTSUP: some is not in place. */
int model_spans(const struct model *m, uint64_t at, size_t len);

void model_written(struct model *m, uint64_t at, size_t len);
/* Bit n: page n from iova, of the size that is tracked; and those are clean then. */
uint64_t model_take_dirty(struct model *m, uint64_t iova, uint64_t pages);

/* ---- memory ------------------------------------------------------------------------------- */

void model_make_memory(struct model *m);
/* Everything is as it should be. */
void model_free_memory(struct model *m);
/* LOOSE is cut off, or is longer again: what comes back is zeros. */
void model_truncate(struct model *m, unsigned int pages);
/* What is at offset at of the window, as it should be, and as it is; is it there at all? */
uint8_t *model_byte(struct model *m, uint64_t at);
uint8_t *model_real_byte(struct model *m, uint64_t at);
bool model_has(const struct model *m, uint64_t at);

#endif
