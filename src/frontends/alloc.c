/* SPDX-License-Identifier: MIT */
/*
 * Memory of the library's own. Maps are scarce and slow, small buffers many: they are carved from
 * chunks, each one map. The first chunk of an address space is of 2 MiB, and each further one as
 * large as those before it together, so that even very many buffers have few maps. Where devices are
 * given physical addresses, a chunk is as large as memory is contiguous.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

#define CHUNK_MIN PAGES_LARGE
#define CHUNK_MAX (64u << 20)
#define PIECE_MAX (256u << 10)		/* what is larger has a map of its own */
#define SHARES    4u

/*
 * Its memory is kept, if it is the first that is: one small buffer now and then would else cost the
 * making of so many pages each time.
 */
static void chunk_unlink(struct vfio_space *s, struct chunk *c)
{
	TAILQ_REMOVE(&s->chunks[c->prot], c, link);
	if (s->spare.size || c->pages.size != CHUNK_MIN || c->known)
		return;
	s->spare = c->pages;
	c->pages.size = 0;
}

void chunk_finish(struct vfio_space *s, struct chunk *chunk)
{
	if (chunk->pieces.size)
		chunk_unlink(s, chunk);
	buddy_finish(&chunk->pieces);
	pages_free(&chunk->pages);
	free(chunk);
}

/* What is carved is zeroed by the piece. */
static int chunk_pages(struct vfio_space *s, struct pages *p, size_t size, bool carve)
{
	if (!carve || s->spare.size != size || s->spare.kind < s->best_pages)
		return pages_get(p, size, s->best_pages);
	*p = s->spare;
	s->spare.size = 0;
	return 0;
}

static int chunk_map(struct vfio_space *s, struct chunk *c, struct vfio_error *err)
{
	return maps_add(s, &(struct vfio_dma){
		.vaddr = c->pages.addr, .iova = c->iova, .size = c->pages.size, .fd = c->pages.fd,
		.prot = c->prot,
	}, c, err);
}

static int chunk_get(struct vfio_space *s, struct chunk *c, size_t size, bool carve,
		     struct vfio_error *err)
{
	/* First whether there are addresses for it: that costs nothing. */
	int r = iova_choose(s, size, size < PAGES_LARGE ? DMA_PAGE : PAGES_LARGE, &c->iova, err);

	if (r < 0)
		return r;
	r = chunk_pages(s, &c->pages, size, carve);
	if (r < 0)
		return error_system(err, -r, "allocating %zu bytes for DMA", size);
	r = chunk_map(s, c, err);
	if (r < 0)
		pages_free(&c->pages);
	return r;
}

/* ---- memory that must be where it is -------------------------------------------------------- */

#define TRIES     64u
#define TRY_BYTES (64u << 20)

/* May other memory of the same size be better? Small pages side by side are not worth waiting for. */
static bool is_bad_luck(const struct chunk *c, const struct vfio_error *err)
{
	return err->code == VFIO_E_IOVA_SPACE || err->code == VFIO_E_PHYSICAL ||
	       (err->code == VFIO_E_SCATTERED && c->pages.kind <= VFIO_PAGES_HUGETLB);
}

static int not_aligned(const struct chunk *c, struct vfio_error *err)
{
	return error_set(err, ENOMEM, VFIO_E_SCATTERED, VFIO_BY_LIBRARY,
			 "reserve huge pages (as root: echo 64 > /proc/sys/vm/nr_hugepages)",
			 "allocating %zu bytes for DMA: they are at %#llx, which is no multiple of %u",
			 c->pages.size, (unsigned long long)c->iova, PAGES_LARGE);
}

/* Get pages, see where they are, and map them there, if that will do. */
static int chunk_try(struct vfio_space *s, struct chunk *c, size_t size, bool carve,
		     struct vfio_error *err)
{
	int r = chunk_pages(s, &c->pages, size, carve);

	if (r < 0)
		return error_system(err, -r, "allocating %zu bytes for DMA", size);
	r = addressing_find(s, c->pages.addr, size, ENOMEM, &c->iova, err);
	if (r == 0 && size >= PAGES_LARGE && !is_aligned(c->iova, PAGES_LARGE))
		r = not_aligned(c, err);
	return r < 0 ? r : chunk_map(s, c, err);
}

static int not_found(size_t size, unsigned int tries, struct vfio_error *err)
{
	return error_set(err, ENOSPC, VFIO_E_IOVA_SPACE, VFIO_BY_LIBRARY,
			 "reserve huge pages (as root: echo 64 > /proc/sys/vm/nr_hugepages), best when "
			 "the machine starts; or allow more address bits with vfio_dma_set_bits() if the "
			 "device has them",
			 "allocating %zu bytes for DMA: the device cannot drive the physical addresses "
			 "of what there was, %u times", size, tries);
}

/* What will not do is kept until something does: else the system would hand it out again. */
static int chunk_find(struct vfio_space *s, struct chunk *c, size_t size, bool carve,
		      struct vfio_error *err)
{
	struct pages tried[TRIES];
	unsigned int n = 0;
	bool again;
	int r;

	do {
		r = chunk_try(s, c, size, carve, err);
		if (r == 0)
			break;
		again = c->pages.size && is_bad_luck(c, err);
		tried[n++] = c->pages;
		c->pages = (struct pages){ .fd = -1 };
	} while (again && n < TRIES && (n + 1) * (uint64_t)size <= TRY_BYTES);
	if (r < 0 && err->code == VFIO_E_IOVA_SPACE)
		r = not_found(size, n, err);
	while (n)
		pages_free(&tried[--n]);
	return r;
}

/* ---- chunks --------------------------------------------------------------------------------- */

/* Huge pages to and from which a server copies, for fear of holes, are worse than small ones. */
static bool is_wasted(const struct vfio_space *s, const struct chunk *c)
{
	const struct driver *d;

	if (c->pages.kind > VFIO_PAGES_HUGETLB)
		return false;
	LIST_FOREACH(d, &s->members, member) {
		struct feature_dma_map q = { .cursor = c->iova };

		if (driver_get(d->dev, FEATURE_DMA_MAP, &q, sizeof(q)) == 0 && q.found &&
		    q.info.iova == c->iova && q.info.access == VFIO_DMA_BY_FILE)
			return true;
	}
	return false;
}

/* Memory of size bytes, whole pages, mapped for all devices; to carve, or zeroed. */
static int chunk_new(struct vfio_space *s, size_t size, uint32_t prot, bool carve,
		     struct chunk **chunk, struct vfio_error *err)
{
	int mode = addressing_mode(s, err), r;

	if (mode < 0)
		return mode;
	*chunk = calloc(1, sizeof(**chunk));
	if (!*chunk)
		return error_system(err, ENOMEM, "allocating %zu bytes for DMA", size);
	(*chunk)->prot = prot;
	r = mode == VFIO_ADDRESS_PHYSICAL ? chunk_find(s, *chunk, size, carve, err)
					  : chunk_get(s, *chunk, size, carve, err);
	if (r < 0)
		free(*chunk);
	if (r < 0 || mode == VFIO_ADDRESS_PHYSICAL || !is_wasted(s, *chunk))
		return r;
	s->best_pages = VFIO_PAGES_THP;
	r = maps_remove(s, (*chunk)->iova, size, err);
	return r < 0 ? r : chunk_new(s, size, prot, carve, chunk, err);
}

static void describe(const struct chunk *c, size_t offset, size_t size, struct vfio_dma *dma)
{
	*dma = (struct vfio_dma){
		.vaddr = (uint8_t *)c->pages.addr + offset, .iova = c->iova + offset, .size = size,
		.fd = c->pages.fd, .fd_offset = offset, .prot = c->prot, .pages = c->pages.kind,
	};
}

/* ---- small buffers ------------------------------------------------------------------------- */

/* A piece may have been used before. */
static bool carve(struct chunk *c, size_t size, struct vfio_dma *dma)
{
	ssize_t offset = buddy_take(&c->pieces, size);

	if (offset < 0)
		return false;
	describe(c, offset, size, dma);
	memset(dma->vaddr, 0, size);
	return true;
}

/* From the oldest chunk that has room: so the younger ones may get empty, and go. */
static bool carve_any(struct vfio_space *s, size_t size, uint32_t prot, struct vfio_dma *dma)
{
	struct chunk *c;

	TAILQ_FOREACH(c, &s->chunks[prot], link)
		if (!c->known && iova_suits_all(s, c->iova, c->pages.size) && carve(c, size, dma))
			return true;
	return false;
}

/* A power of two, which those that are there need not be together: one of them may have gone. */
static size_t wanted_size(const struct vfio_space *s, uint32_t prot)
{
	size_t wanted = CHUNK_MIN, size = 0;
	const struct chunk *c;

	TAILQ_FOREACH(c, &s->chunks[prot], link)
		size += c->pages.size;
	while (wanted < CHUNK_MAX && 2 * wanted <= size)
		wanted *= 2;
	return wanted;
}

/*
 * Of physical memory a huge page. If there are none, small pages, for which as much as that is not asked
 * for each time: no more than twice what was had the last time.
 */
static size_t wanted_piece(const struct vfio_space *s, size_t size)
{
	bool small = size <= DMA_PAGE && s->contiguous && s->contiguous < PAGES_LARGE;

	return small ? 2 * s->contiguous : PAGES_LARGE;
}

/* Make it one that is carved; if that fails, it goes. */
static int chunk_cut(struct vfio_space *s, struct chunk *c, struct vfio_error *err)
{
	size_t size = c->pages.size;

	if (buddy_init(&c->pieces, size) == 0) {
		TAILQ_INSERT_TAIL(&s->chunks[c->prot], c, link);
		return 0;
	}
	buddy_finish(&c->pieces);
	maps_remove(s, c->iova, size, err);
	return error_system(err, ENOMEM, "carving %zu bytes for DMA", size);
}

static uint64_t room_in(const struct vfio_quota *q)
{
	return q->granted > q->used ? q->granted - q->used : 0;
}

/*
 * What a chunk may take of what the devices' limits leave, so that nobody is asked for what cannot
 * be had. Not all of it, if there can be further maps: other directions, and large buffers, want
 * some.
 */
static uint64_t share_left(const struct vfio_space *s)
{
	uint64_t left = UINT64_MAX;
	const struct driver *d;

	LIST_FOREACH(d, &s->members, member) {
		struct vfio_dma_limits l;
		uint64_t share, maps;

		if (driver_get(d->dev, FEATURE_DMA_LIMITS, &l, sizeof(l)) < 0 ||
		    l.bytes.granted == UINT64_MAX)
			continue;
		maps = room_in(&l.maps);
		share = room_in(&l.bytes) / (maps > SHARES ? SHARES : maps ? maps : 1);
		if (share < left)
			left = share;
	}
	return left;
}

/* Would less be had? Of a limit that was asked for before, less was wanted already. */
static bool is_too_much(int r, bool asked, const struct vfio_error *err)
{
	return (r == -ENOSPC || r == -ENOMEM) && !(asked && err->code == VFIO_E_DMA_LIMIT);
}

/*
 * How large a chunk for a piece of size bytes is to be, at first. One in one piece of physical memory
 * is a huge page or nearly nothing, and so that is not shared out.
 */
static size_t first_block(const struct vfio_space *s, size_t size, uint32_t prot, bool physical)
{
	uint64_t left = physical ? UINT64_MAX : share_left(s);
	size_t block = physical ? wanted_piece(s, size) : wanted_size(s, prot);

	while (block > left && block / 2 >= size)
		block /= 2;
	while (block < size)
		block *= 2;
	return block;
}

/* A chunk for a piece of size bytes at least: smaller where addresses or memory are scarce. */
static int carve_new(struct vfio_space *s, size_t size, uint32_t prot, struct vfio_dma *dma,
		     struct vfio_error *err)
{
	size_t page = sysconf(_SC_PAGESIZE), least = size < page ? page : size, block;
	int mode = addressing_mode(s, err), r;
	bool physical = mode == VFIO_ADDRESS_PHYSICAL;
	struct chunk *c;

	if (mode < 0)
		return mode;
	block = first_block(s, least, prot, physical);
	r = chunk_new(s, block, prot, true, &c, err);
	while (is_too_much(r, !physical, err) && block / 2 >= least) {
		block /= 2;
		r = chunk_new(s, block, prot, true, &c, err);
	}
	if (r == 0)
		r = chunk_cut(s, c, err);
	if (r == 0) {
		s->contiguous = block;
		carve(c, size, dma);
	}
	return r;
}

/* ---- large ones ---------------------------------------------------------------------------- */

/* A map of its own. In one piece more than a page is best had as huge pages, even if some is left. */
static int whole_new(struct vfio_space *s, size_t size, uint32_t prot, struct chunk **c,
		     struct vfio_error *err)
{
	size_t page = sysconf(_SC_PAGESIZE), pages = align_up(size, page);
	int mode = addressing_mode(s, err), r;

	if (mode < 0)
		return mode;
	if (mode == VFIO_ADDRESS_PHYSICAL && size > page && size <= SIZE_MAX - PAGES_LARGE) {
		r = chunk_new(s, align_up(size, PAGES_LARGE), prot, false, c, err);
		if (r == 0 || err->code == VFIO_E_DMA_LIMIT)
			return r;
	}
	return chunk_new(s, pages, prot, false, c, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

static int check(size_t size, uint32_t prot, struct vfio_error *err)
{
	if (!size || size > SIZE_MAX / 2)
		return error_set(err, EINVAL, VFIO_E_DMA_RANGE, VFIO_BY_LIBRARY,
				 "give a size from 1 on that memory can have",
				 "allocating %zu bytes for DMA: %s", size,
				 size ? "so many cannot be" : "that is nothing");
	if (!prot || prot > VFIO_DMA_RW)
		return error_set(err, EINVAL, VFIO_E_DMA_PROT, VFIO_BY_LIBRARY,
				 "give VFIO_DMA_READ, VFIO_DMA_WRITE or both",
				 "allocating %zu bytes for DMA with directions %#x", size, prot);
	return 0;
}

int chunks_alloc(struct vfio_space *s, struct vfio_dma *dma, size_t size, uint32_t prot,
		 struct vfio_error *err)
{
	struct chunk *c;
	int r = check(size, prot, err);

	*dma = (struct vfio_dma){ .fd = -1 };
	if (r < 0)
		return r;
	size = align_up(size, BUDDY_MIN);
	if (size <= PIECE_MAX)
		return carve_any(s, size, prot, dma) ? 0 : carve_new(s, size, prot, dma, err);
	r = whole_new(s, size, prot, &c, err);
	if (r == 0)
		describe(c, 0, size, dma);
	return r;
}

EXPORT int vfio_dma_set_pages(struct vfio_dev *dev, uint32_t best)
{
	struct driver *d = driver_of(dev);

	if (!d)
		return -ENOMEM;
	if (best < VFIO_PAGES_HUGETLBFS || best > VFIO_PAGES_PLAIN)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give VFIO_PAGES_HUGETLBFS to VFIO_PAGES_PLAIN",
				 "pages of kind %u", best);
	d->space->best_pages = best;
	return 0;
}
