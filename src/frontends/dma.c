/* SPDX-License-Identifier: MIT */
/* DMA maps of the driver API: every device of an address space has them, or none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"
#include "iommu/space.h"

typedef unsigned long long ull;

/* The kernel's rules, for spaces that have no device yet which could apply them. */
static const struct space type1 = { .rules = SPACE_TYPE1_V2 };

void maps_explain(const struct vfio_space *s, const struct vfio_dev *dev, struct vfio_error *err)
{
	const struct vfio_error told = dev->error;

	*err = told;
	if (s->is_shared && snprintf(err->what, sizeof(err->what), "%.80s: %s",
				     dev->name ? dev->name : "a device of this program",
				     told.what) < 0)
		*err = told;
}

struct vfio_space *space_of(struct vfio_dev *dev)
{
	struct driver *d = driver_of(dev);

	return d ? d->space : NULL;
}

struct dma_map maps_request(const struct dma_entry *e)
{
	return (struct dma_map){
		.iova = e->dma.iova, .size = e->dma.size, .prot = e->dma.prot,
		.by_process = e->dma.flags & VFIO_DMA_BY_PROCESS, .vaddr = e->dma.vaddr,
		.fd = e->file ? file_fd(e->file) : e->dma.fd, .fd_offset = e->dma.fd_offset,
	};
}

/* ---- mapping ------------------------------------------------------------------------------- */

static int check(const struct vfio_dma *dma, const struct dma_map *m, struct vfio_error *err)
{
	int r = rules_check_map(&type1, m, err);

	if (r < 0)
		return r;
	if (dma->flags & ~VFIO_DMA_BY_PROCESS)
		return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give 0, VFIO_DMA_BY_PROCESS or VFIO_DMA_BOUNCE",
				 "map with flags %#x", dma->flags);
	if (!dma->vaddr || !is_aligned((uintptr_t)dma->vaddr, DMA_PAGE))
		return error_set(err, EINVAL, VFIO_E_ALIGN, VFIO_BY_LIBRARY,
				 "allocate it with vfio_dma_alloc() or aligned_alloc(4096, …)",
				 "memory at %p cannot be mapped: it is not page aligned",
				 dma->vaddr);
	return 0;
}

/* Whoever has got it already gives it back when one of them refuses. */
static int give_to_all(struct vfio_space *s, const struct dma_entry *e, struct vfio_error *err)
{
	const struct dma_map m = maps_request(e);
	struct driver *d, *undo;
	uint64_t unused;
	int r = 0;

	LIST_FOREACH(d, &s->members, member) {
		r = d->dev->backend->dma_map(d->dev, &m);
		if (r < 0)
			break;
	}
	if (r >= 0)
		return 0;
	maps_explain(s, d->dev, err);
	for (undo = LIST_FIRST(&s->members); undo != d; undo = LIST_NEXT(undo, member))
		undo->dev->backend->dma_unmap(undo->dev, m.iova, m.size, &unused);
	return r;
}

/* Those that are used again, while there are few: what is mapped and unmapped is so in a loop. */
static struct dma_entry *entry_take(struct vfio_space *s)
{
	struct dma_entry *e = SLIST_FIRST(&s->unused);

	if (!e)
		return malloc(sizeof(*e));
	SLIST_REMOVE_HEAD(&s->unused, link);
	s->nunused--;
	return e;
}

static void entry_give(struct vfio_space *s, struct dma_entry *e)
{
	if (s->nunused == MAPS_UNUSED) {
		free(e);
		return;
	}
	SLIST_INSERT_HEAD(&s->unused, e, link);
	s->nunused++;
}

static void entry_free(struct vfio_space *s, struct dma_entry *e)
{
	if (e->file)
		file_drop(&s->files, e->file);
	if (e->chunk)
		chunk_finish(s, e->chunk);
	entry_give(s, e);
}

/* The caller may close its descriptor, and in a shared space a device may come later. */
static int entry_new(struct vfio_space *s, const struct vfio_dma *dma, struct chunk *chunk,
		     struct dma_entry **entry, struct vfio_error *err)
{
	struct dma_entry *e = entry_take(s);

	if (!e)
		return error_system(err, ENOMEM, "mapping memory for DMA");
	*e = (struct dma_entry){ .dma = *dma, .chunk = chunk };
	if (s->is_shared && !chunk && dma->fd >= 0) {
		e->file = file_keep(&s->files, dma->fd);
		if (!e->file) {
			int errnum = errno;

			entry_give(s, e);
			return error_system(err, errnum, "keeping descriptor %d", dma->fd);
		}
	}
	*entry = e;
	return 0;
}

static int insert(struct vfio_space *s, struct dma_entry *e, struct vfio_error *err)
{
	const struct range range = {
		.start = e->dma.iova, .last = e->dma.iova + e->dma.size - 1, .value = e,
	};
	struct range other;
	int r = range_map_insert(&s->maps, &range, &other);

	if (r == -EEXIST) {
		const struct dma_map m = maps_request(e);

		return rules_taken(&m, &other, err);
	}
	return r < 0 ? error_system(err, -r, "mapping memory for DMA") : 0;
}

/* Any address, or the only one. */
static int choose(struct vfio_space *s, const struct vfio_dma *dma, uint64_t *iova,
		  struct vfio_error *err)
{
	int mode = addressing_mode(s, err);

	if (mode == VFIO_ADDRESS_PHYSICAL)
		return addressing_find(s, dma->vaddr, dma->size, EINVAL, iova, err);
	return mode < 0 ? mode : iova_choose(s, dma->size, DMA_PAGE, iova, err);
}

/* Where it is to be, and whether it may. */
static int prepare(struct vfio_space *s, const struct vfio_dma *dma, uint64_t *iova,
		   struct vfio_error *err)
{
	bool any = dma->iova == VFIO_IOVA_ANY;
	struct dma_map m = {
		.iova = any ? 0 : dma->iova, .size = dma->size, .prot = dma->prot, .fd = dma->fd,
		.fd_offset = dma->fd_offset,
	};
	int r = check(dma, &m, err);

	if (r == 0 && any)
		r = choose(s, dma, &m.iova, err);
	*iova = m.iova;
	return r < 0 || dma->fd == -1 ? r : memory_check(&m, err);
}

static int add(struct vfio_space *s, struct vfio_dma *dma, struct chunk *chunk,
	       struct vfio_error *err)
{
	struct dma_entry *e = NULL;
	uint64_t iova;
	int r = prepare(s, dma, &iova, err);

	if (r == 0)
		r = entry_new(s, dma, chunk, &e, err);
	if (r < 0)
		return r;
	e->dma.iova = iova;
	r = insert(s, e, err);
	if (r == 0) {
		r = give_to_all(s, e, err);
		if (r < 0)
			range_map_erase(&s->maps, iova);
	}
	range_map_reap(&s->maps);
	if (r < 0) {
		e->chunk = NULL;	/* the caller's still */
		entry_free(s, e);
		return r;
	}
	s->bytes += e->dma.size;
	dma->iova = iova;
	return 0;
}

/* Memory that was found may be moved when it is first held, to where it can stay: once more, then. */
int maps_add(struct vfio_space *s, struct vfio_dma *dma, struct chunk *chunk,
	     struct vfio_error *err)
{
	int r = add(s, dma, chunk, err);

	if (r == -EINVAL && err->code == VFIO_E_PHYSICAL && dma->iova == VFIO_IOVA_ANY)
		r = add(s, dma, chunk, err);
	return r;
}

/* ---- unmapping ----------------------------------------------------------------------------- */

static void forget_one(struct vfio_space *s, const struct range *range)
{
	struct dma_entry *e = range->value;

	if (s->bounces.count)
		bounce_drop(s, range->start, range->last);
	s->bytes -= e->dma.size;
	entry_free(s, e);
	range_map_erase(&s->maps, range->start);
	range_map_reap(&s->maps);
}

static void forget(struct vfio_space *s, uint64_t iova, uint64_t last)
{
	struct range_walk walk = { .at = iova, .last = last };
	bool all = iova == 0 && last == UINT64_MAX;
	struct range range;

	bounce_drop(s, iova, last);
	while (range_map_step(&s->maps, &walk, &range)) {
		struct dma_entry *e = range.value;

		s->bytes -= e->dma.size;
		entry_free(s, e);
		if (!all)
			range_map_erase(&s->maps, range.start);
	}
	if (all)
		range_map_clear(&s->maps);
	range_map_reap(&s->maps);
}

void maps_clear(struct vfio_space *s)
{
	struct dma_entry *e;

	forget(s, 0, UINT64_MAX);
	while ((e = SLIST_FIRST(&s->unused))) {
		SLIST_REMOVE_HEAD(&s->unused, link);
		free(e);
	}
	s->nunused = 0;
}

/* The bytes of the maps that lie inside the range; -EINVAL if one of them would be cut. */
static int count(const struct vfio_space *s, uint64_t iova, uint64_t last, uint64_t *bytes,
		 struct vfio_error *err)
{
	struct range_walk walk = { .at = iova, .last = last };
	struct range range;

	*bytes = 0;
	while (range_map_step(&s->maps, &walk, &range)) {
		const struct dma_entry *e = range.value;

		if (range.start < iova || range.last > last)
			return rules_cut(EINVAL, iova, last, &range, err);
		*bytes += e->dma.size;
	}
	return 0;
}

/* *gone: no device has them, even if one had something to say against it. */
static int take_from_all(struct vfio_space *s, uint64_t iova, uint64_t size, uint64_t bytes,
			 bool *gone, struct vfio_error *err)
{
	struct driver *d;
	int ret = 0;

	*gone = true;
	LIST_FOREACH(d, &s->members, member) {
		uint64_t unmapped = 0;
		int r = d->dev->backend->dma_unmap(d->dev, iova, size, &unmapped);

		if (r >= 0)
			continue;
		maps_explain(s, d->dev, err);
		ret = r;
		*gone = *gone && unmapped >= bytes;
	}
	return ret;
}

static int remove_maps(struct vfio_space *s, uint64_t iova, uint64_t size, bool *gone,
		       struct vfio_error *err)
{
	bool all = iova == 0 && size == DMA_ALL, is_one;
	uint64_t last = all ? UINT64_MAX : iova + size - 1, bytes = s->bytes;
	int r = all ? 0 : rules_check_unmap(&type1, iova, size, err);
	struct range one;

	*gone = false;
	/* One map, as it was made, is what is unmapped most often. */
	is_one = r == 0 && !all && range_map_exact(&s->maps, iova, last, &one);
	if (is_one)
		bytes = size;
	else if (r == 0 && !all)
		r = count(s, iova, last, &bytes, err);
	if (r < 0)
		return r;
	if (all ? !s->maps.count : !bytes)	/* two of 2^63 bytes are none, by their sum */
		return all ? 0 : rules_nothing("unmap of", iova, last, err);
	r = take_from_all(s, iova, size, bytes, gone, err);
	if (*gone && is_one)
		forget_one(s, &one);
	else if (*gone)
		forget(s, iova, last);
	return r;
}

int maps_remove(struct vfio_space *s, uint64_t iova, uint64_t size, struct vfio_error *err)
{
	bool gone;

	return remove_maps(s, iova, size, &gone, err);
}

const struct dma_entry *maps_find(const struct vfio_space *s, const struct vfio_dma *dma)
{
	const struct dma_entry *e;
	struct range range;

	if (!dma->size || !range_map_find(&s->maps, dma->iova, &range))
		return NULL;
	e = range.value;
	return (uintptr_t)dma->vaddr - (uintptr_t)e->dma.vaddr == dma->iova - range.start &&
	       is_inside(dma->iova - range.start, dma->size, e->dma.size) ? e : NULL;
}

int maps_not_there(const char *verb, const struct vfio_dma *dma, struct vfio_error *err)
{
	return error_set(err, ENOENT, VFIO_E_NOT_MAPPED, VFIO_BY_LIBRARY,
			 "map a buffer first, free it once, in the address space where it is mapped",
			 "%s: no buffer of %zu bytes is mapped at IOVA %#llx", verb, dma->size,
			 (ull)dma->iova);
}

static int not_there(const struct vfio_dma *dma, struct vfio_error *err)
{
	return maps_not_there("freeing", dma, err);
}

/* One of several buffers in a map, and the map with the last of them. */
static int free_piece(struct vfio_space *s, const struct dma_entry *e, const struct vfio_dma *dma,
		      struct vfio_error *err)
{
	struct buddy *pieces = &e->chunk->pieces;
	bool gone;
	int r;

	if (!buddy_give(pieces, dma->iova - e->dma.iova))
		return not_there(dma, err);
	if (!buddy_is_empty(pieces))
		return 0;
	r = remove_maps(s, e->dma.iova, e->dma.size, &gone, err);
	if (!gone)
		buddy_take(pieces, pieces->size);	/* who knows which devices have it still */
	return r;
}

int maps_free(struct vfio_space *s, struct vfio_dma *dma, struct vfio_error *err)
{
	const struct bounce *b = bounce_find(s, dma);
	const struct dma_entry *e = maps_find(s, dma);
	bool gone = true;
	int r;

	if (!dma->size)
		return 0;
	if (b && b->window.iova == dma->iova) {
		r = bounce_free(s, b, err);
		if (r >= 0)
			*dma = (struct vfio_dma){ .fd = -1 };
		return r;
	}
	if (!e)
		return not_there(dma, err);
	if (e->chunk && e->chunk->pieces.size)
		r = free_piece(s, e, dma, err);
	else if (dma->iova == e->dma.iova)
		r = remove_maps(s, e->dma.iova, e->dma.size, &gone, err);
	else
		r = not_there(dma, err);
	if (gone && r != -ENOENT)
		*dma = (struct vfio_dma){ .fd = -1 };
	return r;
}

int maps_map(struct vfio_space *s, struct vfio_dma *dma, struct vfio_error *err)
{
	return dma->flags & VFIO_DMA_BOUNCE ? bounce_map(s, dma, err) : maps_add(s, dma, NULL, err);
}

/* ---- the calls ----------------------------------------------------------------------------- */

EXPORT int vfio_dma_map(struct vfio_dev *dev, struct vfio_dma *dma)
{
	struct vfio_space *s = space_of(dev);

	return s ? maps_map(s, dma, &dev->error) : -ENOMEM;
}

EXPORT int vfio_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size)
{
	struct vfio_space *s = space_of(dev);

	return s ? maps_remove(s, iova, size, &dev->error) : -ENOMEM;
}

EXPORT int vfio_dma_alloc(struct vfio_dev *dev, struct vfio_dma *dma, size_t size, uint32_t prot)
{
	struct vfio_space *s = space_of(dev);

	if (!s)
		*dma = (struct vfio_dma){ .fd = -1 };
	return s ? chunks_alloc(s, dma, size, prot, &dev->error) : -ENOMEM;
}

EXPORT int vfio_dma_free(struct vfio_dev *dev, struct vfio_dma *dma)
{
	struct vfio_space *s = space_of(dev);

	return s ? maps_free(s, dma, &dev->error) : -ENOMEM;
}

/* Does the map show some of the caller's memory at [vaddr, vaddr + size)? */
static bool shows(const struct dma_entry *e, const void *vaddr, size_t size)
{
	uintptr_t asked = (uintptr_t)vaddr, mapped = (uintptr_t)e->dma.vaddr;

	return !e->chunk && (asked < mapped ? mapped - asked < size : asked - mapped < e->dma.size);
}

EXPORT int vfio_dma_forget(struct vfio_dev *dev, const void *vaddr, size_t size)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct vfio_space *s = space_of(dev);
	struct range range;
	int r, n;

	if (!s)
		return -ENOMEM;
	r = n = bounce_forget(s, vaddr, size, &dev->error);
	while (size && r >= 0 && range_map_step(&s->maps, &walk, &range)) {
		const struct dma_entry *e = range.value;

		if (shows(e, vaddr, size)) {
			r = maps_remove(s, range.start, e->dma.size, &dev->error);
			n++;
		}
	}
	return r < 0 ? r : n;
}
