/* SPDX-License-Identifier: MIT */
/* Address spaces of the driver API: which devices see a set of maps. */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

typedef unsigned long long ull;

void maps_init(struct vfio_space *s)
{
	*s = (struct vfio_space){ .best_pages = VFIO_PAGES_HUGETLBFS };
	range_map_init(&s->maps);
	range_map_init(&s->bounces);
	SLIST_INIT(&s->unused);
	LIST_INIT(&s->members);
	for (unsigned int prot = 0; prot <= VFIO_DMA_RW; prot++)
		TAILQ_INIT(&s->chunks[prot]);
}

void maps_finish(struct vfio_space *s)
{
	maps_clear(s);
	pages_free(&s->spare);
	physical_close(s->physical);
	range_map_finish(&s->maps);
	range_map_finish(&s->bounces);
}

static void join(struct driver *d, struct vfio_space *s)
{
	d->space = s;
	LIST_INSERT_HEAD(&s->members, d, member);
}

void driver_dma_open(struct driver *d)
{
	d->dma_bits = 64;
	d->addr_mode = -1;
	maps_init(&d->own);
	join(d, &d->own);
}

/* What a device could reach is not used for the others again: its process may have kept the file. */
static void give_up_files(struct vfio_space *s)
{
	struct chunk *c;

	pages_free(&s->spare);
	for (unsigned int prot = 0; prot <= VFIO_DMA_RW; prot++)
		TAILQ_FOREACH(c, &s->chunks[prot], link)
			c->known = true;
}

static void leave(struct driver *d)
{
	LIST_REMOVE(d, member);
	give_up_files(d->space);
}

/* Take all maps from a device. One that has given them up may complain, too. */
static int take_back(struct driver *d)
{
	uint64_t unmapped = 0;
	int r = 0;

	if (d->space->maps.count)
		r = d->dev->backend->dma_unmap(d->dev, 0, DMA_ALL, &unmapped);
	return r < 0 && unmapped < d->space->bytes ? r : 0;
}

void driver_dma_close(struct vfio_dev *dev)
{
	struct driver *d = dev->driver;

	take_back(d);
	leave(d);
	maps_finish(&d->own);
}

/* ---- attaching ----------------------------------------------------------------------------- */

static int check_reach(struct driver *d, const struct dma_entry *e)
{
	int r = iova_suits(d, e->dma.iova, e->dma.size);

	if (r)
		return r < 0 ? r : 0;
	return error_set(&d->dev->error, EINVAL, VFIO_E_IOVA_RANGE, VFIO_BY_LIBRARY,
			 "attach the device first, and let the library choose addresses; or see "
			 "vfio_dma_set_bits() and vfio_iova_ranges()",
			 "the space has %#llx bytes at IOVA %#llx, where this device cannot reach",
			 (ull)e->dma.size, (ull)e->dma.iova);
}

/* The device, which has none, gets all maps of the space or none of them. */
static int give_maps(struct vfio_space *s, struct driver *d)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct vfio_error why;
	struct range range;
	uint64_t unused;
	int r = 0;

	while (r >= 0 && range_map_step(&s->maps, &walk, &range)) {
		const struct dma_map m = maps_request(range.value);

		r = check_reach(d, range.value);
		if (r == 0)
			r = d->dev->backend->dma_map(d->dev, &m);
	}
	if (r < 0) {
		why = d->dev->error;
		d->dev->backend->dma_unmap(d->dev, 0, DMA_ALL, &unused);
		d->dev->error = why;
		give_up_files(s);
	}
	return r;
}

static int attach(struct vfio_space *s, struct driver *d)
{
	int r;

	if (d->space->is_shared)
		return error_set(&d->dev->error, EBUSY, VFIO_E_SPACE, VFIO_BY_LIBRARY,
				 "call vfio_space_detach() first",
				 "the device is attached to %s", d->space == s ?
				 "this address space already" : "another address space");
	if (d->own.maps.count)
		return error_set(&d->dev->error, EBUSY, VFIO_E_SPACE, VFIO_BY_LIBRARY,
				 "attach it before it has any, or unmap them with vfio_dma_unmap()",
				 "the device has %zu maps of its own", d->own.maps.count);
	r = give_maps(s, d);
	if (r < 0)
		return r;
	leave(d);
	join(d, s);
	return 0;
}

EXPORT int vfio_space_attach(struct vfio_space *space, struct vfio_dev *dev)
{
	struct driver *d = driver_of(dev);
	int r = d ? attach(space, d) : -ENOMEM;

	if (r < 0)
		space->error = dev->error;
	return r;
}

/*
 * Beside a device that is attached, if memory can be kept once for both. What one of them is refused,
 * since the group is another's, that other may get.
 */
static int open_member(void *space, struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	const struct vfio_space *s = space;
	struct driver *d;
	int ret = 1;

	LIST_FOREACH(d, &s->members, member) {
		int r = 1;

		if (d->dev->backend->open_beside)
			r = d->dev->backend->open_beside(d->dev, dev, name, err);
		if (r == 0)
			return 0;
		ret = r < 0 ? r : ret;
	}
	return ret;
}

EXPORT int vfio_space_open(struct vfio_space *space, struct vfio_dev **dev, const char *name,
			   struct vfio_error *err)
{
	int r = contract_open(dev, name, open_member, space, err);

	if (r < 0)
		return r;
	r = vfio_space_attach(space, *dev);
	if (r < 0) {
		if (err)
			*err = (*dev)->error;
		vfio_close(*dev);
		*dev = NULL;
	}
	return r;
}

EXPORT int vfio_space_detach(struct vfio_dev *dev)
{
	struct driver *d = dev->driver;
	int r;

	if (!d || !d->space->is_shared)
		return error_set(&dev->error, ENOENT, VFIO_E_SPACE, VFIO_BY_LIBRARY, NULL,
				 "the device is attached to no address space but its own");
	r = take_back(d);
	if (r < 0)
		return r;
	leave(d);
	join(d, &d->own);
	return 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

EXPORT int vfio_space_new(struct vfio_space **space, struct vfio_error *err)
{
	*space = malloc(sizeof(**space));
	if (!*space)
		return error_system(err, ENOMEM, "making an address space");
	maps_init(*space);
	(*space)->is_shared = true;
	return 0;
}

EXPORT void vfio_space_free(struct vfio_space *space)
{
	struct driver *d;

	if (!space)
		return;
	while ((d = LIST_FIRST(&space->members))) {
		take_back(d);
		leave(d);
		join(d, &d->own);
	}
	maps_finish(space);
	free(space);
}

EXPORT const struct vfio_error *vfio_space_last_error(const struct vfio_space *space)
{
	return &space->error;
}

/* ---- what can be done with it as with a device's ------------------------------------------- */

EXPORT int vfio_space_alloc(struct vfio_space *space, struct vfio_dma *dma, size_t size,
			    uint32_t prot)
{
	return chunks_alloc(space, dma, size, prot, &space->error);
}

EXPORT int vfio_space_map(struct vfio_space *space, struct vfio_dma *dma)
{
	return maps_map(space, dma, &space->error);
}

EXPORT int vfio_space_dma_free(struct vfio_space *space, struct vfio_dma *dma)
{
	return maps_free(space, dma, &space->error);
}

EXPORT int vfio_space_unmap(struct vfio_space *space, uint64_t iova, uint64_t size)
{
	return maps_remove(space, iova, size, &space->error);
}
