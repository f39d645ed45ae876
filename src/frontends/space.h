/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of the driver API: one set of DMA maps, which every device that is attached has.
 *
 *   space.c   devices come and go
 *   dma.c     maps come and go
 *   iova.c    at which I/O addresses
 *   alloc.c   memory of the library's own
 *   pages.c   what that is made of
 *   addressing.c  which kind of addresses devices are given: there may be no choice
 *   bounce.c  memory of the caller's that the device does not see itself
 *   files.c   the descriptors that devices are given that come later
 */
#ifndef LIBVFIO_FRONTENDS_SPACE_H
#define LIBVFIO_FRONTENDS_SPACE_H

#include <stdbool.h>
#include <sys/queue.h>

#include <vfio/driver.h>

#include "base/buddy.h"
#include "base/range_map.h"
#include "frontends/pages.h"
#include "iommu/map.h"
#include "iommu/physical.h"

struct driver;
struct kept_file;

/* Memory of the library's, one map. */
struct chunk {
	TAILQ_ENTRY(chunk) link;	/* if it is carved */
	struct pages pages;
	struct buddy pieces;		/* size 0: it was handed out as a whole */
	uint64_t iova;
	uint32_t prot;
	bool known;			/* to a device that is not there: no new buffers from it */
};

/* A map: the value of its range. */
struct dma_entry {
	SLIST_ENTRY(dma_entry) link;	/* if it is unused */
	struct vfio_dma dma;		/* but for fd, which is the caller's to close */
	struct kept_file *file;		/* in place of fd, or NULL */
	struct chunk *chunk;		/* memory of the library's, or NULL */
};

#define MAPS_UNUSED 64

struct vfio_space {
	struct range_map maps;		/* struct dma_entry */
	SLIST_HEAD(, dma_entry) unused;	/* kept for maps to come: no more than MAPS_UNUSED */
	unsigned int nunused;
	struct range_map bounces;	/* struct bounce, by the window's I/O addresses */
	uint64_t bytes;			/* that they have */
	LIST_HEAD(, driver) members;	/* the devices */
	bool is_shared;			/* made by vfio_space_new(); else one device's own */
	void *files;			/* struct kept_file */
	TAILQ_HEAD(, chunk) chunks[VFIO_DMA_RW + 1];	/* that are carved, by direction */
	uint32_t best_pages;
	struct pages spare;		/* of a chunk that got empty; no device has it mapped */
	struct physical_source *physical;	/* NULL: not needed yet */
	size_t contiguous;		/* bytes of the chunk that was had last; 0: none was */
	struct vfio_error error;
};

/* ---- dma.c: maps. Errors go to *err, which may be the record of a device that refuses. ------ */

/* iova VFIO_IOVA_ANY is chosen, and stored. chunk: whose memory it is, or NULL. */
int maps_add(struct vfio_space *s, struct vfio_dma *dma, struct chunk *chunk,
	     struct vfio_error *err);

/* As vfio_dma_map(), vfio_dma_unmap(), vfio_dma_free(). */
int maps_map(struct vfio_space *s, struct vfio_dma *dma, struct vfio_error *err);
int maps_remove(struct vfio_space *s, uint64_t iova, uint64_t size, struct vfio_error *err);
int maps_free(struct vfio_space *s, struct vfio_dma *dma, struct vfio_error *err);

/* The map that dma was given, or that it is a part of; NULL: there is none. */
const struct dma_entry *maps_find(const struct vfio_space *s, const struct vfio_dma *dma);
/* -ENOENT: nothing like dma is mapped. */
int maps_not_there(const char *verb, const struct vfio_dma *dma, struct vfio_error *err);

/* Forget every map, for good; devices are not told. */
void maps_clear(struct vfio_space *s);

/* A map, as back ends take it. */
struct dma_map maps_request(const struct dma_entry *e);

/* What dev has to say is what there is to say; where there are several, which it is, too. */
void maps_explain(const struct vfio_space *s, const struct vfio_dev *dev, struct vfio_error *err);

/* ---- space.c ------------------------------------------------------------------------------- */

void maps_init(struct vfio_space *s);
/* No device is attached any more. */
void maps_finish(struct vfio_space *s);

/* ---- iova.c -------------------------------------------------------------------------------- */

/* A place for size bytes at a multiple of align, a power of two, that suits every device. */
int iova_choose(struct vfio_space *s, uint64_t size, uint64_t align, uint64_t *iova,
		struct vfio_error *err);

/* Can the device, or every device, be told of [iova, iova + size)? A negative errno: not known. */
int iova_suits(struct driver *d, uint64_t iova, uint64_t size);
bool iova_suits_all(struct vfio_space *s, uint64_t iova, uint64_t size);

/* ---- alloc.c ------------------------------------------------------------------------------- */

/* As vfio_dma_alloc(). */
int chunks_alloc(struct vfio_space *s, struct vfio_dma *dma, size_t size, uint32_t prot,
		 struct vfio_error *err);
/* Its map has gone. */
void chunk_finish(struct vfio_space *s, struct chunk *chunk);

/* ---- addressing.c -------------------------------------------------------------------------- */

/* VFIO_ADDRESS_PHYSICAL if a device of the space is given such; or a negative errno. */
int addressing_mode(struct vfio_space *s, struct vfio_error *err);

/*
 * The one physical address of the memory, which every device can drive. -errnum: it is scattered.
 */
int addressing_find(struct vfio_space *s, const void *vaddr, size_t size, int errnum,
		    uint64_t *iova, struct vfio_error *err);

/* ---- bounce.c ------------------------------------------------------------------------------ */

/* Memory of the caller's, and the window that the device sees of it. */
struct bounce {
	struct vfio_dma window;
	void *vaddr;
	size_t size;
};

/* vfio_dma_map() with VFIO_DMA_BOUNCE. */
int bounce_map(struct vfio_space *s, struct vfio_dma *dma, struct vfio_error *err);
/* That of which dma is a part; or NULL. */
struct bounce *bounce_find(const struct vfio_space *s, const struct vfio_dma *dma);
int bounce_free(struct vfio_space *s, const struct bounce *b, struct vfio_error *err);
/* Free those of memory at [vaddr, vaddr + size): their number. */
int bounce_forget(struct vfio_space *s, const void *vaddr, size_t size, struct vfio_error *err);
/* The maps of their windows have gone. */
void bounce_drop(struct vfio_space *s, uint64_t iova, uint64_t last);

/* ---- files.c ------------------------------------------------------------------------------- */

/*
 * Keep a copy of fd; one for each file, however many maps come from it. NULL: no memory, or no
 * descriptor left.
 */
struct kept_file *file_keep(void **files, int fd);
/* Accepts NULL. */
void file_drop(void **files, struct kept_file *f);
int file_fd(const struct kept_file *f);

#endif
