/* SPDX-License-Identifier: MIT */
#include "iommu/ioas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"

#define BOTH  (IOAS_WRITEABLE | IOAS_READABLE)
#define KNOWN (IOAS_FIXED_IOVA | BOTH)

void ioas_init(struct ioas *i, const struct caller *caller, struct vfio_dma_limits *limits)
{
	*i = (struct ioas){ .caller = caller, .limits = limits };
	range_map_init(&i->areas);
	range_map_init(&i->allowed);
}

/* ---- memory ------------------------------------------------------------------------------- */

static struct ioas_pages *pages_new(uint64_t va, bool writable)
{
	struct ioas_pages *p = malloc(sizeof(*p));

	if (p)
		*p = (struct ioas_pages){ .va = va, .writable = writable };
	return p;
}

static void pages_put(struct ioas_pages *p)
{
	if (--p->areas == 0)
		free(p);
}

static uint64_t size_of(const struct range *r)
{
	return r->last - r->start + 1;
}

/* The pages of an area, counted from the one that address 0 is in. */
static void pages_of(const struct range *r, uint64_t *first, uint64_t *last)
{
	const struct ioas_area *a = r->value;

	*first = (a->pages->va + a->offset) / DMA_PAGE;
	*last = (a->pages->va + a->offset + size_of(r) - 1) / DMA_PAGE;
}

static uint64_t locked(const struct ioas_pages *p)
{
	return p->seen ? (p->last - p->first + 1) * DMA_PAGE : 0;
}

/* A device comes to see an area. All memory is looked at before it is counted. */
static int lock(const struct ioas *i, const struct range *r, struct vfio_error *err)
{
	const struct ioas_area *a = r->value;
	struct ioas_pages *p = a->pages, new = *p;
	struct vfio_quota *bytes = &i->limits->bytes;
	uint64_t first, last, more;

	if (!i->caller->usable(i->caller->arg, p->va + a->offset, size_of(r),
			       p->writable ? VFIO_DMA_RW : VFIO_DMA_READ))
		return ioas_refuse(err, EFAULT, VFIO_E_DMA_MEMORY,
				   "the memory is not there, or cannot be written");
	pages_of(r, &first, &last);
	new.first = p->seen && p->first < first ? p->first : first;
	new.last = p->seen && p->last > last ? p->last : last;
	new.seen++;
	more = locked(&new) - locked(p);
	if (more > bytes->granted || bytes->used > bytes->granted - more)
		return error_set(err, ENOMEM, VFIO_E_DMA_LIMIT, VFIO_BY_POLICY,
				 "unmap something, or have the limit raised",
				 "IOAS: locking %llu bytes: %llu of %llu are locked",
				 (unsigned long long)more, (unsigned long long)bytes->used,
				 (unsigned long long)bytes->granted);
	bytes->used += more;
	*p = new;
	return 0;
}

static void unlock(const struct ioas *i, const struct range *r)
{
	const struct ioas_area *a = r->value;
	uint64_t before = locked(a->pages);

	a->pages->seen--;
	i->limits->bytes.used -= before - locked(a->pages);
}

/* ---- what devices see --------------------------------------------------------------------- */

static int show(const struct ioas *i, struct space *s, const struct range *r,
		struct vfio_error *err)
{
	const struct ioas_area *a = r->value;
	struct dma_map map = {
		.iova = r->start, .size = size_of(r), .prot = r->word, .fd = -1,
	};
	int ret = lock(i, r, err);

	if (ret < 0)
		return ret;
	i->caller->locate(i->caller->arg, a->pages->va + a->offset, &map);
	ret = space_map(s, &map, err);
	if (ret < 0)
		unlock(i, r);
	return ret;
}

static void hide(const struct ioas *i, struct space *s, uint64_t first, uint64_t last)
{
	struct range_walk w = { .at = first, .last = last };
	uint64_t size = last - first + 1, unmapped;
	struct range r;

	space_unmap(s, first, size ? size : DMA_ALL, &unmapped, i->gone, i->gone_arg, NULL);
	while (range_map_step(&i->areas, &w, &r))
		unlock(i, &r);
}

static int show_all(const struct ioas *i, struct space *s, struct vfio_error *err)
{
	struct range_walk w = { .last = UINT64_MAX };
	struct range r;
	int ret;

	while (range_map_step(&i->areas, &w, &r)) {
		ret = show(i, s, &r, err);
		if (ret == 0)
			continue;
		if (r.start)
			hide(i, s, 0, r.start - 1);
		return ret;
	}
	return 0;
}

/* What could be mapped there can be again when a map cannot be shown. */
static int allow_and_show(const struct ioas *i, struct space *s,
			  const struct vfio_iova_range *ranges, unsigned int n,
			  struct vfio_error *err)
{
	struct vfio_iova_range before[SPACE_MAX_ALLOWED];
	const unsigned int nbefore = s->nallowed;
	int r;

	memcpy(before, s->allowed, nbefore * sizeof(before[0]));
	r = space_allow(s, ranges, n, err);
	if (r < 0 || i->space)
		return r;
	r = show_all(i, s, err);
	if (r < 0)
		space_allow(s, before, nbefore, NULL);
	return r;
}

static int check_addresses(const struct ioas *i, const struct range_map *m, uint64_t alignment,
			   const struct vfio_iova_range *ranges, unsigned int n,
			   struct vfio_error *err)
{
	struct range_walk w = { .last = UINT64_MAX };
	struct range r;

	while (range_map_step(m, &w, &r)) {
		if (!ioas_is_usable(ranges, n, r.start, r.last))
			return ioas_refuse(err, EADDRINUSE, VFIO_E_IOVA_RANGE,
					   "the device cannot be given the I/O addresses of a map, "
					   "or that are allowed");
		if (m == &i->areas && !ioas_is_aligned(&r, alignment))
			return ioas_refuse(err, EADDRINUSE, VFIO_E_ALIGN,
					   "a map is not page aligned");
	}
	return 0;
}

int ioas_attach(struct ioas *i, struct space *s, const struct vfio_iova_range *ranges,
		unsigned int n, struct vfio_error *err)
{
	int r;

	if ((i->space && i->space != s) || (!i->space && s->maps.used))
		return ioas_refuse(err, EBUSY, VFIO_E_SPACE, "another space, or other maps in it");
	r = check_addresses(i, &i->areas, DMA_PAGE, ranges, n, err);
	if (r == 0)
		r = check_addresses(i, &i->allowed, 1, ranges, n, err);
	if (r == 0)
		r = allow_and_show(i, s, ranges, n, err);
	if (r == 0)
		i->space = s;
	return r;
}

void ioas_detach(struct ioas *i)
{
	if (i->space)
		hide(i, i->space, 0, UINT64_MAX);
	i->space = NULL;
}

/* ---- areas -------------------------------------------------------------------------------- */

static int no_memory(struct vfio_error *err)
{
	return error_system(err, ENOMEM, "making a DMA map");
}

/* The area is there and, if there are devices, they see it; or nothing has happened. */
static int add(struct ioas *i, struct ioas_pages *p, uint64_t offset, uint64_t iova,
	       uint64_t length, uint32_t flags, struct vfio_error *err)
{
	struct range r = { .start = iova, .last = iova + length - 1 };
	struct ioas_area *a;
	int ret;

	if (i->limits->maps.used >= i->limits->maps.granted)
		return error_set(err, ENOMEM, VFIO_E_DMA_LIMIT, VFIO_BY_POLICY,
				 "map fewer, larger ranges", "IOAS: all %llu DMA maps are in use",
				 (unsigned long long)i->limits->maps.granted);
	a = malloc(sizeof(*a));
	if (!a)
		return no_memory(err);
	*a = (struct ioas_area){ .pages = p, .offset = offset };
	r.value = a;
	r.word = (flags & IOAS_READABLE ? VFIO_DMA_READ : 0) |
		 (flags & IOAS_WRITEABLE ? VFIO_DMA_WRITE : 0);
	ret = range_map_insert(&i->areas, &r, NULL) < 0 ? no_memory(err) : 0;
	if (ret == 0 && i->space) {
		ret = show(i, i->space, &r, err);
		if (ret < 0)
			range_map_erase(&i->areas, iova);
	}
	if (ret < 0) {
		free(a);
		return ret;
	}
	p->areas++;
	i->limits->maps.used++;
	return 0;
}

/* All that begins in [first, last]; no area reaches beyond it. */
static void remove_areas(struct ioas *i, uint64_t first, uint64_t last)
{
	struct range_walk w = { .at = first, .last = last };
	struct range r;

	if (i->space)
		hide(i, i->space, first, last);
	while (range_map_step(&i->areas, &w, &r)) {
		struct ioas_area *a = r.value;

		range_map_erase(&i->areas, r.start);
		pages_put(a->pages);
		free(a);
		i->limits->maps.used--;
	}
	range_map_reap(&i->areas);
}

void ioas_finish(struct ioas *i)
{
	remove_areas(i, 0, UINT64_MAX);
	range_map_finish(&i->areas);
	range_map_finish(&i->allowed);
}

/* ---- MAP ---------------------------------------------------------------------------------- */

/* What is checked before any object is looked up. */
static int check_call(uint32_t flags, bool reserved, bool ends, struct vfio_error *err)
{
	if ((flags & ~KNOWN) || reserved)
		return ioas_refuse(err, EOPNOTSUPP, VFIO_E_ARGUMENT,
				   "an unknown flag, or a reserved field that is not 0");
	if (ends)
		return ioas_refuse(err, EOVERFLOW, VFIO_E_DMA_RANGE,
				   "an address or a length of 2^64-1");
	if (!(flags & BOTH))
		return ioas_refuse(err, EINVAL, VFIO_E_DMA_PROT, "neither readable nor writeable");
	return 0;
}

/* Where a map of length bytes from an address in memory goes. */
static int place(const struct ioas *i, uint32_t flags, uint64_t address, uint64_t length,
		 uint64_t *iova, struct vfio_error *err)
{
	if (!is_aligned(length, ioas_alignment(i)))
		return ioas_refuse(err, EINVAL, VFIO_E_ALIGN, "the length is not page aligned");
	if (!(flags & IOAS_FIXED_IOVA))
		return ioas_find_place(i, address, length, iova, err);
	return ioas_check_place(i, *iova, length, err);
}

static int check_memory(const struct ioas_map *m, struct vfio_error *err)
{
	if (m->user_va + m->length < m->user_va)
		return ioas_refuse(err, EOVERFLOW, VFIO_E_DMA_RANGE,
				   "address and length of the memory wrap round");
	if (!m->length || m->length > UINT64_MAX - DMA_PAGE)
		return ioas_refuse(err, EINVAL, VFIO_E_DMA_RANGE,
				   "no length, or one of nearly 2^64");
	return 0;
}

int ioas_map(struct ioas *i, struct ioas_map *m, struct vfio_error *err)
{
	struct ioas_pages *p;
	uint64_t iova = m->iova;
	int r = check_call(m->flags, m->reserved, m->iova == UINT64_MAX || m->length == UINT64_MAX,
			   err);

	if (r < 0)
		return r;
	if (!i)
		return ioas_no_object(err);
	r = check_memory(m, err);
	if (r == 0)
		r = place(i, m->flags, m->user_va, m->length, &iova, err);
	if (r < 0)
		return r;
	if (!is_aligned(m->user_va, ioas_alignment(i)))
		return ioas_refuse(err, EINVAL, VFIO_E_ALIGN, "the memory is not page aligned");
	p = pages_new(m->user_va, m->flags & IOAS_WRITEABLE);
	if (!p)
		return no_memory(err);
	r = add(i, p, 0, iova, m->length, m->flags, err);
	if (r < 0)
		free(p);
	else
		m->iova = iova;
	return r;
}

/* ---- UNMAP -------------------------------------------------------------------------------- */

static int check_unmap(const struct ioas_unmap *u, struct vfio_error *err)
{
	if (u->iova == UINT64_MAX || u->length == UINT64_MAX)
		return ioas_refuse(err, EOVERFLOW, VFIO_E_DMA_RANGE,
				   "an address or a length of 2^64-1");
	if (!u->length)
		return ioas_refuse(err, EINVAL, VFIO_E_DMA_RANGE, "no length");
	if (u->iova + u->length - 1 < u->iova)
		return ioas_refuse(err, EOVERFLOW, VFIO_E_DMA_RANGE,
				   "I/O address and length wrap round");
	return 0;
}

/* Area after area: what lies before one that would be cut has gone. */
static int unmap(struct ioas *i, uint64_t iova, uint64_t last, uint64_t *bytes,
		 struct vfio_error *err)
{
	struct range_walk w = { .at = iova, .last = last };
	uint64_t first = 0, end = 0;
	bool cut = false;
	struct range r;

	*bytes = 0;
	while (range_map_step(&i->areas, &w, &r)) {
		cut = r.start < iova || r.last > last;
		if (cut)
			break;
		first = *bytes ? first : r.start;
		end = r.last;
		*bytes += size_of(&r);
	}
	if (*bytes)
		remove_areas(i, first, end);
	return cut ? rules_cut(ENOENT, iova, last, &r, err) : 0;
}

int ioas_unmap(struct ioas *i, struct ioas_unmap *u, struct vfio_error *err)
{
	bool all = u->iova == 0 && u->length == UINT64_MAX;
	uint64_t bytes, last = all ? UINT64_MAX : u->iova + u->length - 1;
	int r;

	if (!i)
		return ioas_no_object(err);
	r = all ? 0 : check_unmap(u, err);
	if (r == 0)
		r = unmap(i, u->iova, last, &bytes, err);
	if (r == 0 && !bytes && !all)
		r = rules_nothing("unmap of", u->iova, last, err);
	if (r == 0)
		u->length = bytes;
	return r;
}

/* ---- COPY --------------------------------------------------------------------------------- */

/* Is all of it mapped, and how does the memory begin? */
static int check_source(const struct ioas *src, const struct ioas_copy *c, uint64_t *address,
			struct vfio_error *err)
{
	uint64_t at = c->src_iova, last = at + c->length - 1;
	struct range_walk w = { .at = at, .last = last };
	struct range r;

	if (!c->length)
		return ioas_refuse(err, EINVAL, VFIO_E_DMA_RANGE, "no length");
	if (last < at)
		return ioas_refuse(err, EOVERFLOW, VFIO_E_DMA_RANGE,
				   "source and length wrap round");
	while (range_map_step(&src->areas, &w, &r) && r.start <= at) {
		const struct ioas_area *a = r.value;

		if (at == c->src_iova)
			*address = a->pages->va + a->offset + (at - r.start);
		if (r.last >= last)
			return 0;
		at = r.last + 1;
	}
	return rules_nothing("copying from", c->src_iova, last, err);
}

static int copy_piece(struct ioas *dst, const struct range *r, const struct ioas_copy *c,
		      uint64_t iova, struct vfio_error *err)
{
	const struct ioas_area *a = r->value;
	uint64_t last = c->src_iova + c->length - 1, offset = a->offset;
	uint64_t from = r->start > c->src_iova ? r->start : c->src_iova;
	uint64_t length = (r->last < last ? r->last : last) - from + 1;

	offset += from - r->start;
	iova += from - c->src_iova;
	if (!is_aligned(iova | length | (a->pages->va + offset), ioas_alignment(dst)))
		return ioas_refuse(err, EINVAL, VFIO_E_ALIGN, "a part is not page aligned");
	if ((c->flags & IOAS_WRITEABLE) && !a->pages->writable)
		return ioas_refuse(err, EPERM, VFIO_E_DMA_PROT,
				   "it was not mapped to be written");
	return add(dst, a->pages, offset, iova, length, c->flags, err);
}

static int copy(struct ioas *dst, struct ioas *src, const struct ioas_copy *c, uint64_t iova,
		struct vfio_error *err)
{
	uint64_t last = c->src_iova + c->length - 1;
	struct range_walk w = { .at = c->src_iova, .last = last };
	struct range r;

	while (range_map_step(&src->areas, &w, &r)) {
		int ret = copy_piece(dst, &r, c, iova, err);

		if (ret == 0)
			continue;
		if (r.start > c->src_iova)
			remove_areas(dst, iova, iova + (r.start - c->src_iova) - 1);
		return ret;
	}
	return 0;
}

int ioas_copy(struct ioas *dst, struct ioas *src, struct ioas_copy *c, struct vfio_error *err)
{
	uint64_t address = 0, iova = c->dst_iova;
	int r = check_call(c->flags, false, c->length == UINT64_MAX ||
			   c->src_iova == UINT64_MAX || c->dst_iova == UINT64_MAX, err);

	if (r < 0)
		return r;
	if (!src)
		return ioas_no_object(err);
	r = check_source(src, c, &address, err);
	if (r < 0)
		return r;
	if (!dst)
		return ioas_no_object(err);
	r = place(dst, c->flags, address, c->length, &iova, err);
	if (r == 0)
		r = copy(dst, src, c, iova, err);
	if (r == 0)
		c->dst_iova = iova;
	return r;
}
