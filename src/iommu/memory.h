/* SPDX-License-Identifier: MIT */
/*
 * The memory behind a map, of any kind, and none that can hurt.
 *
 * A memory file is mapped once, however many maps come from it. One that is not sealed against
 * shrinking, or is of huge pages, could be cut off under the map, and touching it would then kill
 * this process. Either the program takes the signal (guarded): memory_mend() puts empty memory in the
 * file's place, and the file is lost. Or bytes are copied by a system call, which returns an error
 * instead; in the same way those of our own memory where its owner may have unmapped it, and those of
 * another process, through its /proc/PID/mem.
 */
#ifndef LIBVFIO_IOMMU_MEMORY_H
#define LIBVFIO_IOMMU_MEMORY_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <vfio/driver.h>
#include <vfio/error.h>

#include "base/range_map.h"
#include "iommu/map.h"

struct memory_file;

/*
 * A process has so many memory areas, and can put nothing in the place of one when it has one more. As
 * a client's files can bring it there, some are kept to be given up for that.
 */
#define MEMORY_RESERVE 16

/* The files that maps of one space come from, found by what they are and by where they are mapped. */
struct memory_files {
	void *tree;
	struct range_map places;
	bool takes_process;		/* /proc/PID/mem, to which an access can wait for ever */
	int zeros;			/* what memory_mend() puts in a file's place; -1: not guarded */
	void *reserve[MEMORY_RESERVE];	/* NULL: given up */
};

/* access says which of the others are there. */
struct memory {
	uint32_t access;		/* VFIO_DMA_IN_PLACE, … */
	uint8_t *addr;			/* IN_PLACE, BY_FILE: the map's first byte in this process */
	struct memory_file *file;	/* what addr points into, or whose memory is copied; or NULL */
	uint64_t offset;		/* of the map's first byte in the file */
	const struct dma_peer *peer;	/* BY_MESSAGE */
};

void memory_files_init(struct memory_files *files);
/* From now on memory_mend() is called where touching a file fails; if that can be had. */
void memory_files_guard(struct memory_files *files);
/* Before something is made that may take memory areas: those that were given up are there again. */
int memory_files_reserve(struct memory_files *files);
/* Files were lost, and no map comes from any more. */
void memory_files_blank(struct memory_files *files);
/* No map comes from them any more. */
void memory_files_finish(struct memory_files *files);

/*
 * careful: our own memory is not touched in place. -EINVAL, -EACCES (the descriptor is no memory, or
 * does not allow the direction), -ENOMEM, …
 */
int memory_init(struct memory *m, struct memory_files *files, const struct dma_map *map,
		bool careful, struct vfio_error *err);
void memory_finish(struct memory *m);

/*
 * For whoever maps memory of its own, with its file beside: what the file of a map may not be is
 * refused wherever the device is. Files that are no memory are not looked at.
 */
int memory_check(const struct dma_map *map, struct vfio_error *err);

/* What a map shows of a memory file, mapped here in whole pages of that file, which may be huge. */
struct memory_part {
	void *vaddr;			/* the map's first byte */
	uint8_t *base;			/* the mapping; NULL: there is none */
	size_t length;
};

int memory_part_map(struct memory_part *part, const struct dma_map *map, struct vfio_error *err);
void memory_part_unmap(struct memory_part *part);

/* memory_check.c: 0 and what was seen, or a negative errno. */
int memory_look_at_file(const struct dma_map *map, int *seals, struct stat *st,
			struct vfio_error *err);
int memory_look_at_process(const struct dma_map *map, struct stat *st, struct vfio_error *err);

/* Is this the very file memory that map asks for? */
bool memory_is_same(const struct memory *m, const struct dma_map *map);

/* Copy len bytes at offset out of or into (write) the memory; iova is what a peer is asked for. */
int memory_copy(const struct memory *m, uint64_t offset, uint64_t iova, void *buf, size_t len,
		bool write);

/*
 * Touching addr has raised SIGBUS. True when that is a file's, and touching it again will do; nothing
 * is looked at but what a signal handler may look at, in any thread that uses the memory.
 */
bool memory_mend(struct memory_files *files, const void *addr);

/* Has the file been lost in this way? Then what is in place there is not the client's. */
bool memory_is_lost(const struct memory *m);

#endif
