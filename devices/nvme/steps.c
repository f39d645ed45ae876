/* SPDX-License-Identifier: MIT */
/*
 * Commands (6) as steps. Each step is one call of the kernel's, by whichever road; it is asked
 * again for what a short answer left, and the next one follows from its answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

/* ---- steps --------------------------------------------------------------------------------- */

uint64_t step_advance(struct step *s, uint64_t bytes)
{
	s->offset += bytes;
	s->bytes -= bytes;
	while (bytes && s->niov) {
		size_t here = bytes < s->iov->iov_len ? (size_t)bytes : s->iov->iov_len;

		s->iov->iov_base = (char *)s->iov->iov_base + here;
		s->iov->iov_len -= here;
		bytes -= here;
		if (s->iov->iov_len)
			break;
		s->iov++;
		s->niov--;
	}
	return s->bytes;
}

void step_hole(struct step *s, uint64_t offset, uint64_t bytes, bool give_back)
{
	s->kind = STEP_ALLOCATE;
	s->offset = offset;
	s->bytes = bytes;
	s->flags = FALLOC_FL_KEEP_SIZE | (give_back ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

void step_zeroes(struct files *f, struct step *s, struct iovec *iov)
{
	*iov = (struct iovec){ f->zeroes, s->bytes < ZEROES ? s->bytes : ZEROES };
	s->kind = STEP_ZEROES;
	s->iov = iov;
	s->niov = 1;
	s->flags = 0;
}

bool step_unsupported(int result)
{
	return result == -EOPNOTSUPP || result == -ENOSYS || result == -EINVAL || result == -ENODEV;
}

static void step_sync(struct step *s)
{
	s->kind = STEP_SYNC;
	s->offset = s->bytes = 0;
}

/* ---- direct I/O ---------------------------------------------------------------------------- */

static bool is_aligned(const struct files *f, const struct request *r)
{
	size_t alignment = f->alignment[r->ns->nsid - 1];
	size_t block = (size_t)1 << r->ns->block_shift;

	if (!alignment)
		return true;
	for (unsigned int i = 0; i < r->niov; i++)
		if ((uintptr_t)r->iov[i].iov_base % alignment || r->iov[i].iov_len % alignment ||
		    r->iov[i].iov_len % block)
			return false;
	return true;
}

/* Between the buffer and the memory that it stands for. */
static void move(const struct work *w, bool out)
{
	const struct request *r = w->request;
	uint8_t *at = w->buffer;

	for (unsigned int i = 0; i < r->niov; i++) {
		if (out)
			memcpy(r->iov[i].iov_base, at, r->iov[i].iov_len);
		else
			memcpy(at, r->iov[i].iov_base, r->iov[i].iov_len);
		at += r->iov[i].iov_len;
	}
}

static uint16_t use_buffer(struct work *w)
{
	struct request *r = w->request;

	w->buffer = aligned_alloc(PAGE, (r->bytes + PAGE - 1) & ~(uint64_t)(PAGE - 1));
	if (!w->buffer)
		return VFIO_NVME_INTERNAL;
	if (r->opcode == VFIO_NVME_WRITE)
		move(w, false);
	w->own = (struct iovec){ w->buffer, r->bytes };
	w->step.iov = &w->own;
	w->step.niov = 1;
	return VFIO_NVME_SUCCESS;
}

/* ---- commands ------------------------------------------------------------------------------ */

/* 5.21.1.6: without a volatile write cache nothing is answered that is not on the medium. */
static bool is_durable(const struct work *w)
{
	return w->request->fua || !(w->request->nvme->features.write_cache & 1);
}

static uint16_t begin_data(struct files *f, struct work *w, enum step_kind kind)
{
	struct request *r = w->request;

	w->step.kind = kind;
	w->step.iov = r->iov;
	w->step.niov = r->niov;
	if (kind == STEP_WRITE && is_durable(w))
		w->step.flags = RWF_DSYNC;
	return is_aligned(f, r) ? VFIO_NVME_SUCCESS : use_buffer(w);
}

/* 6.7: the next range that has blocks. False: that was the last. */
static bool next_range(struct work *w)
{
	const struct request *r = w->request;

	while (w->next_range < r->nranges) {
		const struct vfio_nvme_range *range = &r->ranges[w->next_range++];

		if (!range->blocks)
			continue;
		step_hole(&w->step, range->lba << r->ns->block_shift,
			  (uint64_t)range->blocks << r->ns->block_shift, true);
		return true;
	}
	return false;
}

uint16_t steps_begin(struct files *f, struct work *w)
{
	struct request *r = w->request;

	w->buffer = NULL;
	w->next_range = 0;
	w->step = (struct step){
		.fd = r->ns->fd, .slot = r->ns->nsid - 1, .offset = r->offset, .bytes = r->bytes,
	};
	switch (r->opcode) {
	case VFIO_NVME_READ:
	case VFIO_NVME_COMPARE:		/* who asked does the rest */
		return begin_data(f, w, STEP_READ);
	case VFIO_NVME_WRITE:
		return begin_data(f, w, STEP_WRITE);
	case VFIO_NVME_WRITE_ZEROES:
		step_hole(&w->step, r->offset, r->bytes,
			  le32toh(r->command.cdw12) & VFIO_NVME_DEALLOCATE);
		return VFIO_NVME_SUCCESS;
	case VFIO_NVME_DATASET_MANAGEMENT:
		if (next_range(w))
			return VFIO_NVME_SUCCESS;
	}
	step_sync(&w->step);
	return VFIO_NVME_SUCCESS;
}

/* ---- answers ------------------------------------------------------------------------------- */

/* The step is done. True: there is another. */
static bool follow(struct work *w)
{
	const struct request *r = w->request;

	if (w->step.kind == STEP_SYNC)
		return false;
	if (r->opcode == VFIO_NVME_DATASET_MANAGEMENT && next_range(w))
		return true;
	if (w->step.kind != STEP_ALLOCATE && w->step.kind != STEP_ZEROES)
		return false;
	step_sync(&w->step);
	return is_durable(w);
}

/*
 * A driver whose memory has gone is told so; what the file did wrong is an error of the medium. A
 * read of what is no longer in the file got nothing.
 */
static uint16_t status_of(struct nvme *n, const struct step *s, int error)
{
	if (error == EFAULT)
		return VFIO_NVME_DATA_TRANSFER;
	if (error == ENOMEM)
		return VFIO_NVME_INTERNAL;
	n->counters.media_errors++;
	return s->kind == STEP_READ ? VFIO_NVME_READ_ERROR : VFIO_NVME_WRITE_FAULT;
}

static bool finished(struct work *w, uint16_t *status)
{
	if (follow(w))
		return true;
	if (w->buffer && w->request->opcode != VFIO_NVME_WRITE)
		move(w, true);
	*status = VFIO_NVME_SUCCESS;
	return false;
}

/*
 * No holes can be made here. Deallocating need not do anything then (6.7); zeros that have been
 * asked for are written.
 */
static bool without_holes(struct files *f, struct work *w, uint16_t *status)
{
	if (w->request->opcode == VFIO_NVME_DATASET_MANAGEMENT)
		return finished(w, status);
	step_zeroes(f, &w->step, &w->own);
	return true;
}

bool steps_answer(struct files *f, struct work *w, int result, uint16_t *status)
{
	struct step *s = &w->step;
	bool moves = s->kind == STEP_READ || s->kind == STEP_WRITE || s->kind == STEP_ZEROES;

	if (result == -EINTR || result == -EAGAIN)
		return true;
	if (s->kind == STEP_ALLOCATE && step_unsupported(result))
		return without_holes(f, w, status);
	if (result < 0 || (moves && result == 0)) {
		*status = status_of(f->nvme, s, -result);
		return false;
	}
	if (moves && step_advance(s, (uint64_t)result)) {
		if (s->kind == STEP_ZEROES)
			step_zeroes(f, s, &w->own);
		return true;
	}
	return finished(w, status);
}
