/* SPDX-License-Identifier: MIT */
/*
 * The accesses of a device. The map that was hit last is tried first; where it does not fit, the
 * tree is searched. Neither takes a lock or memory.
 */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "iommu/space.h"

/* ---- faults ------------------------------------------------------------------------------- */

int space_refuse(struct space *s, uint64_t iova, uint64_t size, uint32_t prot, int err)
{
	pthread_mutex_lock(&s->fault_lock);
	s->fault = (struct vfio_fault){
		.iova = iova, .size = size, .prot = prot, .err = err, .count = s->fault.count + 1,
	};
	pthread_mutex_unlock(&s->fault_lock);
	if (s->fault_event >= 0)
		fd_signal(s->fault_event);
	return -err;
}

bool space_fault(struct space *s, struct vfio_fault *fault)
{
	pthread_mutex_lock(&s->fault_lock);
	*fault = s->fault;
	pthread_mutex_unlock(&s->fault_lock);
	return fault->count != 0;
}

/* ---- translation -------------------------------------------------------------------------- */

static bool holds(const struct range *r, uint64_t iova)
{
	return iova >= r->start && iova <= r->last;
}

/* The range that holds iova, in r->last. */
static bool look_up(struct reader *r, uint64_t iova)
{
	if (r->version == range_map_version(&r->space->ranges) && holds(&r->last, iova))
		return true;
	if (range_map_peek(&r->space->ranges, iova, &r->last, &r->version))
		return true;
	r->version = NO_VERSION;
	return false;
}

/* How many of len bytes from iova lie in the range. */
static size_t bytes_in(const struct range *r, uint64_t iova, size_t len)
{
	uint64_t room = r->last - iova;		/* one less than the bytes, which may be 2^64 */

	return room < len ? room + 1 : len;
}

static uint8_t *address(const struct range *r, uint64_t iova)
{
	return (uint8_t *)(uintptr_t)(r->word & ~MAP_FLAGS) + (iova - r->start);
}

static uint32_t gate_of(const struct space *s)
{
	return __atomic_load_n(&s->gate, __ATOMIC_SEQ_CST);
}

/* May the whole range be accessed so? */
static int check_access(struct reader *r, uint64_t iova, size_t len, uint32_t prot)
{
	uint64_t at = iova;
	size_t left = len;

	if (!(gate_of(r->space) & GATE_OPEN))
		return space_refuse(r->space, iova, len, prot, EPERM);
	if (len && iova + len - 1 < iova)
		return space_refuse(r->space, iova, len, prot, EFAULT);
	while (left) {
		size_t n;

		if (!look_up(r, at) || !prot || (r->last.word & prot) != prot)
			return space_refuse(r->space, iova, len, prot, EFAULT);
		n = bytes_in(&r->last, at, left);
		at += n;
		left -= n;
	}
	return 0;
}

static bool is_piece_lost(const struct reader *r)
{
	const struct mapping *m = r->last.value;

	return (gate_of(r->space) & GATE_LOST) && memory_is_lost(&m->memory);
}

/* Only the owner asks, whatever has come since asks() has looked. */
static bool may_copy(const struct reader *r, const struct mapping *m)
{
	return m->memory.access != VFIO_DMA_BY_MESSAGE || r == &r->space->self;
}

/* The copy that found it says so itself; of a span, nobody would. */
static void forget_lost(struct space *s, const uint8_t *addr, size_t len)
{
	uintptr_t at = __atomic_load_n(&s->lost_at, __ATOMIC_SEQ_CST);

	if (at - (uintptr_t)addr < len)
		__atomic_compare_exchange_n(&s->lost_at, &at, 0, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST);
}

static int copy_piece(struct reader *r, uint64_t iova, void *buf, size_t len, bool write)
{
	const struct mapping *m = r->last.value;

	if (!(r->last.word & MAP_IN_PLACE) && !may_copy(r, m))
		return -EIO;
	if (!(r->last.word & MAP_IN_PLACE))
		return memory_copy(&m->memory, iova - r->last.start, iova, buf, len, write);
	/* What stands in for a lost file is memory of ours: nobody fills that for nothing. */
	if (is_piece_lost(r))
		return -EIO;
	if (write)
		memcpy(address(&r->last, iova), buf, len);
	else
		memcpy(buf, address(&r->last, iova), len);
	if (!is_piece_lost(r))
		return 0;
	forget_lost(r->space, address(&r->last, iova), len);
	return -EIO;
}

/*
 * The owner's maps do not go meanwhile: a peer that is asked cannot unmap before this returns. Those
 * of other readers may go, though not their memory; then the rest is refused.
 */
static int copy(struct reader *r, uint64_t iova, void *buf, size_t len, uint32_t prot)
{
	bool write = prot == VFIO_DMA_WRITE;
	struct range here;
	uint8_t *p = buf;
	int ret = check_access(r, iova, len, prot);

	while (ret == 0 && len) {
		size_t n;

		if (!look_up(r, iova))
			return space_refuse(r->space, iova, len, prot, EFAULT);
		n = bytes_in(&r->last, iova, len);
		here = r->last;		/* what asks a peer may translate meanwhile */
		ret = copy_piece(r, iova, p, n, write);
		if (write)		/* a part, even if it failed */
			dirty_mark(r->space, &here, iova, n);
		if (ret < 0)
			return space_refuse(r->space, iova, n, prot, EIO);
		iova += n;
		p += n;
		len -= n;
	}
	return ret;
}

/* The piece that a range is, when all of it can be reached in place. */
static bool one_span(struct reader *r, uint64_t iova, size_t len, uint32_t prot,
		     struct vfio_span *span)
{
	const uint64_t need = prot | MAP_IN_PLACE;

	if (gate_of(r->space) != GATE_OPEN || !look_up(r, iova) || (r->last.word & need) != need ||
	    r->last.last - iova < len - 1)
		return false;
	*span = (struct vfio_span){ address(&r->last, iova), len };
	if (prot & VFIO_DMA_WRITE)
		dirty_mark(r->space, &r->last, iova, len);
	return true;
}

/* Is some of an accessible range in a file that was lost? */
static bool is_lost(struct reader *r, uint64_t iova, size_t len)
{
	while (len && look_up(r, iova)) {
		const struct mapping *m = r->last.value;
		size_t n = bytes_in(&r->last, iova, len);

		if (memory_is_lost(&m->memory))
			return true;
		iova += n;
		len -= n;
	}
	return false;
}

/* How many pieces an accessible range has; they are stored unless spans is NULL. 0: not in place. */
static unsigned int take_spans(struct reader *r, uint64_t iova, size_t len, uint32_t prot,
			       struct vfio_span *spans)
{
	unsigned int n;

	for (n = 0; len; n++) {
		size_t bytes;

		if (!look_up(r, iova) || !(r->last.word & MAP_IN_PLACE))
			return 0;
		bytes = bytes_in(&r->last, iova, len);
		if (spans)
			spans[n] = (struct vfio_span){ address(&r->last, iova), bytes };
		if (spans && (prot & VFIO_DMA_WRITE))
			dirty_mark(r->space, &r->last, iova, bytes);
		iova += bytes;
		len -= bytes;
	}
	return n;
}

/* Apart, so that what it needs is not set up for the way that most accesses take. */
static __attribute__((noinline)) int find_many_spans(struct reader *r, uint64_t iova, size_t len,
						     uint32_t prot, struct vfio_span *spans,
						     unsigned int max)
{
	unsigned int n;
	int ret = check_access(r, iova, len, prot);

	if (ret < 0)
		return ret;
	if ((gate_of(r->space) & GATE_LOST) && is_lost(r, iova, len))
		return space_refuse(r->space, iova, len, prot, EIO);
	n = take_spans(r, iova, len, prot, NULL);
	if (n && n <= max)
		n = take_spans(r, iova, len, prot, spans);	/* 0: one has gone meanwhile */
	return len && !n ? -ENOTSUP : (int)n;
}

static int find_spans(struct reader *r, uint64_t iova, size_t len, uint32_t prot,
		      struct vfio_span *spans, unsigned int max)
{
	if (max && len && prot && one_span(r, iova, len, prot, spans))
		return 1;
	return find_many_spans(r, iova, len, prot, spans, max);
}

int space_copy(struct space *s, uint64_t iova, void *buf, size_t len, uint32_t prot)
{
	return copy(&s->self, iova, buf, len, prot);
}

int space_spans(struct space *s, uint64_t iova, size_t len, uint32_t prot, struct vfio_span *spans,
		unsigned int max)
{
	return find_spans(&s->self, iova, len, prot, spans, max);
}

/* ---- other threads ------------------------------------------------------------------------ */

/* Is some of it memory that only the owner can ask for? */
static bool asks(struct reader *r, uint64_t iova, size_t len)
{
	while (len && look_up(r, iova)) {
		const struct mapping *m = r->last.value;
		size_t n = bytes_in(&r->last, iova, len);

		if (m->memory.access == VFIO_DMA_BY_MESSAGE)
			return true;
		iova += n;
		len -= n;
	}
	return false;
}

int reader_copy(struct reader *r, uint64_t iova, void *buf, size_t len, uint32_t prot)
{
	return asks(r, iova, len) ? -ENOTSUP : copy(r, iova, buf, len, prot);
}

int reader_spans(struct reader *r, uint64_t iova, size_t len, uint32_t prot,
		 struct vfio_span *spans, unsigned int max)
{
	return find_spans(r, iova, len, prot, spans, max);
}
