/* SPDX-License-Identifier: MIT */
/*
 * A software IOMMU: an address space with maps, and the accesses of devices through it.
 *
 *   space.c   life, map, unmap, the gate, limits, who waits for whom
 *   rules.c   what may be mapped and unmapped: the kernel's rules, and the errors that say why not
 *   access.c  translation, copies, faults
 *   dirty.c   which pages were written
 *   memory.c  the memory behind a map; memory_check.c: may it be that?
 *
 * Threads. One thread owns a space, and calls what takes a struct space. Others translate and copy
 * through a reader of their own, between reader_enter() and reader_leave(), without a lock. What
 * takes memory away (unmap, closing the gate) returns when every reader that was inside has left:
 * then no access to that memory is under way, and none will come.
 */
#ifndef LIBVFIO_IOMMU_SPACE_H
#define LIBVFIO_IOMMU_SPACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <vfio/device.h>

#include "base/range_map.h"
#include "iommu/map.h"
#include "iommu/memory.h"

/* Maps that a space holds unless space_limit() says otherwise. */
#define SPACE_MAPS (1u << 20)
#define SPACE_MAX_ALLOWED 32

/* Whose rules: the errno of each refusal, and what an unmap takes that does not match. */
enum space_rules {
	SPACE_TYPE1_V2,		/* a map that would be cut is left, and the unmap refused */
	SPACE_TYPE1_V1,		/* maps that begin inside go as a whole */
	SPACE_IOMMUFD,		/* nothing there is an error; what lies before a cut has gone */
};

/* A map; the range's value. Its range's word has the direction and, where MAP_IN_PLACE, the address. */
struct mapping {
	struct memory memory;
	uint64_t *dirty;		/* a bit for each page, or NULL */
	bool stale;			/* see space_retire() */
	uint64_t start;			/* of the range, and the next one, while it is taken out */
	struct mapping *next;
};

#define MAP_PROT     VFIO_DMA_RW
#define MAP_IN_PLACE 4u
#define MAP_FLAGS    (uint64_t)(DMA_PAGE - 1)	/* of the word; the rest is the address */

/* Closed, open, or open and to be looked at closely, since some of the memory was lost. */
#define GATE_OPEN  1u
#define GATE_LOST  2u

struct space;

#define NO_VERSION UINT64_MAX

/* Somebody who translates. */
struct reader {
	struct space *space;
	uint32_t inside;		/* odd: between enter and leave */
	struct range last;		/* where the last translation ended, */
	uint64_t version;		/* which is true as long as the ranges have this version */
	LIST_ENTRY(reader) link;
};

struct space {
	struct range_map ranges;
	struct memory_files files;	/* that the maps come from */
	enum space_rules rules;
	bool careful;			/* our own memory is not touched in place: it may vanish */
	uint32_t gate;			/* GATE_…: how the device may access memory */
	uintptr_t lost_at;		/* where memory was lost, until the fault is recorded; or 0 */
	struct reader self;		/* the owner's */
	LIST_HEAD(, reader) readers;	/* everybody else's */
	struct vfio_quota maps, bytes;	/* bytes UINT64_MAX: no limit */
	unsigned int nallowed;		/* 0: every address may be mapped */
	struct vfio_iova_range allowed[SPACE_MAX_ALLOWED];
	uint64_t dirty_page;		/* pages of this size are tracked; 0: none */
	pthread_mutex_t fault_lock;	/* readers fault, too */
	struct vfio_fault fault;	/* the last one; count 0: none yet */
	int fault_event;		/* is told of each; -1: nobody is */
};

/* The map [iova, iova + size) is going: called before it does. */
typedef void space_gone_fn(void *arg, uint64_t iova, uint64_t size);

/* Open, without limits but SPACE_MAPS. */
void space_init(struct space *s);

/* There were none, and nobody is still to be told of one. */
void space_forget_faults(struct space *s);

/* Everything unmapped, faults forgotten. */
void space_clear(struct space *s, space_gone_fn *gone, void *arg);
/* There are no readers any more. */
void space_finish(struct space *s);

/*
 * In the order of the kernel's type1: -EINVAL (size 0, direction, alignment), -EOVERFLOW (wraps),
 * -EEXIST (overlap), -ENOSPC (too many maps), -EINVAL (not allowed), -ENOMEM (too many bytes); then
 * what memory_init() says. A memory file that is mapped there already, the same in all, is success:
 * vfio-user's clients repeat themselves.
 */
int space_map(struct space *s, const struct dma_map *map, struct vfio_error *err);

/* What space_map() would say before it looks at memory; a map that is there is always -EEXIST. */
int space_check(const struct space *s, const struct dma_map *map, struct vfio_error *err);

/*
 * The address in this process that the map at start comes from may soon be used otherwise: it is
 * stale, and accesses to it are made with care, so that they fail where touching it would be the
 * end of us. -ENOENT, -ENOMEM.
 */
int space_retire(struct space *s, uint64_t start, struct vfio_error *err);

/*
 * The memory of the very map that is at map's iova and size is that of map from now on, and not
 * stale; its direction stays. Accesses go on meanwhile. -ENOENT: there is no such map; and what
 * memory_init() says.
 */
int space_renew(struct space *s, const struct dma_map *map, struct vfio_error *err);

/*
 * Every map inside [iova, iova + size), or what the rules say; *unmapped gets their bytes, on failure
 * too. Nothing there is success, but for iommufd's rules.
 */
int space_unmap(struct space *s, uint64_t iova, uint64_t size, uint64_t *unmapped,
		space_gone_fn *gone, void *arg, struct vfio_error *err);

/* Copy out of (VFIO_DMA_READ) or into (VFIO_DMA_WRITE) the space; permission is all or nothing. */
int space_copy(struct space *s, uint64_t iova, void *buf, size_t len, uint32_t prot);

/*
 * The pieces of [iova, iova + len) in this process: their number (above max: none stored), -EFAULT,
 * -EPERM while the gate is closed, -ENOTSUP. Those for writing count as written.
 */
int space_spans(struct space *s, uint64_t iova, size_t len, uint32_t prot, struct vfio_span *spans,
		unsigned int max);

/* Record a refused access, by any thread; returns -err. */
int space_refuse(struct space *s, uint64_t iova, uint64_t size, uint32_t prot, int err);

/* The last fault; false when there was none. Any thread. */
bool space_fault(struct space *s, struct vfio_fault *fault);

/* May the device access memory? When it may not, nothing is under way any more on return. */
void space_gate(struct space *s, bool open);

/*
 * Touching addr has raised SIGBUS: see memory_mend(). The accesses to that file from then on, and the
 * copy that found it, are refused with -EIO; spans that were given hold zeros. fault_event is told.
 */
bool space_mend(struct space *s, const void *addr);

/* Record the fault of what was mended, if there was something; the owner's, when fault_event is told. */
void space_record_lost(struct space *s);

/* From now on at most so many maps and bytes; what is there stays. */
void space_limit(struct space *s, uint64_t maps, uint64_t bytes);

/* Only these addresses may be mapped (n 0: all). -EINVAL, and no change, if a map is elsewhere. */
int space_allow(struct space *s, const struct vfio_iova_range *ranges, unsigned int n,
		struct vfio_error *err);

/* The first map that ends at or behind iova. */
bool space_next(const struct space *s, uint64_t iova, struct range *r);

/* ---- readers ------------------------------------------------------------------------------ */

void reader_init(struct reader *r, struct space *s);
/* It is outside. */
void reader_finish(struct reader *r);

void reader_enter(struct reader *r);
void reader_leave(struct reader *r);
/* Memory that must be asked for is -ENOTSUP: only the owner can ask. */
int reader_copy(struct reader *r, uint64_t iova, void *buf, size_t len, uint32_t prot);
int reader_spans(struct reader *r, uint64_t iova, size_t len, uint32_t prot,
		 struct vfio_span *spans, unsigned int max);

/* ---- dirty pages -------------------------------------------------------------------------- */

/* Track writes in pages of so many bytes (a power of two from DMA_PAGE). Forgets what was. */
int space_dirty_start(struct space *s, uint64_t page, struct vfio_error *err);
void space_dirty_stop(struct space *s);

/*
 * Which pages of [iova, iova + size) were written since the last time: bit n of bitmap is page n from
 * iova; bits are set, never cleared. -EINVAL when nothing is tracked, or for what is not aligned.
 */
int space_dirty_take(struct space *s, uint64_t iova, uint64_t size, uint64_t *bitmap,
		     struct vfio_error *err);

/* The device has written there, by a span that it kept. */
void space_dirty(struct space *s, uint64_t iova, uint64_t len);

/* ---- inside ------------------------------------------------------------------------------- */

/* rules.c */
int rules_check_map(const struct space *s, const struct dma_map *map, struct vfio_error *err);
int rules_check_room(const struct space *s, const struct dma_map *map, struct vfio_error *err);
/* -EEXIST, or 0 when it is the same map again. */
int rules_overlap(const struct dma_map *map, const struct range *other, struct vfio_error *err);
/* -EEXIST. */
int rules_taken(const struct dma_map *map, const struct range *other, struct vfio_error *err);
int rules_check_unmap(const struct space *s, uint64_t iova, uint64_t size, struct vfio_error *err);
/* Would a map be cut at either end? */
int rules_check_cut(const struct space *s, uint64_t iova, uint64_t last, struct vfio_error *err);
int rules_cut(int errnum, uint64_t iova, uint64_t last, const struct range *r,
	      struct vfio_error *err);
int rules_nothing(const char *what, uint64_t iova, uint64_t last, struct vfio_error *err);

/* dirty.c */
int dirty_attach(const struct space *s, struct mapping *m, uint64_t size);
void dirty_mark(const struct space *s, const struct range *r, uint64_t iova, uint64_t len);

/* space.c: until everybody who was inside has left. */
void space_wait(struct space *s);

#endif
