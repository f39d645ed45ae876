/* SPDX-License-Identifier: MIT */
/*
 * Where a command's data are: physical region pages (4.3), scatter gather lists (4.4). Lists are the
 * driver's memory: they are copied, then looked at.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "nvme.h"

#define ENTRIES  (PAGE / 8)	/* of a page of PRPs */
#define SGLS     64u		/* descriptors that are copied at once, */
#define SEGMENTS 256u		/* and segments of them, at most; */
#define DESCRIPTORS 65536u	/* and descriptors: those without bytes are looked at, too */

/* What is being gathered. */
struct gather {
	struct nvme *nvme;
	struct piece *pieces;
	unsigned int count;
	unsigned int descriptors;	/* looked at */
	size_t left;
};

/* Another piece, or more of the last one; false when there are too many. */
static bool add(struct gather *g, uint64_t iova, size_t len)
{
	struct piece *last = g->pieces + g->count - 1;

	g->left -= len;
	if (g->count && last->iova + last->len == iova) {
		last->len += len;
		return true;
	}
	if (g->count == MAX_PIECES)
		return false;
	g->pieces[g->count++] = (struct piece){ iova, len };
	return true;
}

/* Some of the driver's memory; LATER when the controller was reset meanwhile. */
static uint16_t copy_list(struct nvme *n, uint64_t iova, void *buf, size_t len)
{
	uint64_t life = n->life;
	int ret = vfio_function_dma_read(n->fn, iova, buf, len);

	if (n->life != life)
		return LATER;
	return ret < 0 ? VFIO_NVME_DATA_TRANSFER : VFIO_NVME_SUCCESS;
}

/* ---- 4.3: PRPs ----------------------------------------------------------------------------- */

/* n entries, a page each, but the last perhaps. */
static uint16_t add_pages(struct gather *g, const uint64_t *entries, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		uint64_t iova = le64toh(entries[i]);

		if (iova % PAGE)
			return VFIO_NVME_PRP_OFFSET_INVALID;
		add(g, iova, g->left < PAGE ? g->left : PAGE);
	}
	return VFIO_NVME_SUCCESS;
}

/* The last entry of a page that is not the last page points to the next one. */
static uint16_t add_list(struct gather *g, uint64_t at)
{
	uint64_t entries[ENTRIES];

	if (at % 8)
		return VFIO_NVME_PRP_OFFSET_INVALID;
	while (g->left) {
		unsigned int here = (PAGE - at % PAGE) / 8;
		unsigned int need = (unsigned int)((g->left + PAGE - 1) / PAGE);
		unsigned int take = need < here ? need : here;
		bool chained = need > here;
		uint16_t status = copy_list(g->nvme, at, entries, take * 8);

		if (status == VFIO_NVME_SUCCESS)
			status = add_pages(g, entries, take - chained);
		if (status != VFIO_NVME_SUCCESS)
			return status;
		if (chained)
			at = le64toh(entries[take - 1]);
		if (chained && at % PAGE)
			return VFIO_NVME_PRP_OFFSET_INVALID;
	}
	return VFIO_NVME_SUCCESS;
}

static uint16_t add_prps(struct gather *g, const struct vfio_nvme_command *cmd)
{
	uint64_t first = le64toh(cmd->prp1), second = le64toh(cmd->prp2);
	size_t here = PAGE - first % PAGE;

	if (first % 4)
		return VFIO_NVME_PRP_OFFSET_INVALID;
	add(g, first, here < g->left ? here : g->left);
	if (!g->left)
		return VFIO_NVME_SUCCESS;
	if (g->left > PAGE)
		return add_list(g, second);
	return add_pages(g, &cmd->prp2, 1);
}

/* ---- 4.4: SGLs ----------------------------------------------------------------------------- */

static uint16_t add_block(struct gather *g, const struct vfio_nvme_sgl *sgl)
{
	uint64_t iova = le64toh(sgl->address);
	size_t len = le32toh(sgl->length);

	if (sgl->type != VFIO_NVME_SGL_DATA << 4)
		return VFIO_NVME_SGL_TYPE_INVALID;
	if (len > g->left)		/* it may be longer than the data: SGLS, bit 18 */
		len = g->left;
	if (len && !add(g, iova, len))
		return VFIO_NVME_SGL_COUNT_INVALID;
	return VFIO_NVME_SUCCESS;
}

static bool is_segment(const struct vfio_nvme_sgl *sgl)
{
	return sgl->type == VFIO_NVME_SGL_SEGMENT << 4 ||
	       sgl->type == VFIO_NVME_SGL_LAST_SEGMENT << 4;
}

/* All descriptors of a segment. One that is not the last one ends with where the next one is. */
static uint16_t add_segment(struct gather *g, struct vfio_nvme_sgl *segment)
{
	struct vfio_nvme_sgl list[SGLS];
	uint64_t at = le64toh(segment->address);
	uint32_t left = le32toh(segment->length) / sizeof(list[0]);
	bool last = segment->type == VFIO_NVME_SGL_LAST_SEGMENT << 4;

	if (!left || le32toh(segment->length) % sizeof(list[0]))
		return VFIO_NVME_SGL_SEGMENT_INVALID;
	while (left) {
		uint32_t take = left < SGLS ? left : SGLS;
		uint16_t status = copy_list(g->nvme, at, list, take * sizeof(list[0]));

		g->descriptors += take;
		if (g->descriptors > DESCRIPTORS)
			return VFIO_NVME_SGL_COUNT_INVALID;
		left -= take;
		at += take * sizeof(list[0]);
		for (uint32_t i = 0; i < take && status == VFIO_NVME_SUCCESS; i++) {
			if (!last && !left && i == take - 1) {
				*segment = list[i];
				return is_segment(segment) ? VFIO_NVME_SUCCESS :
							     VFIO_NVME_SGL_SEGMENT_INVALID;
			}
			if (!g->left)
				break;
			status = add_block(g, &list[i]);
		}
		if (status != VFIO_NVME_SUCCESS)
			return status;
		if (!g->left)
			break;
	}
	segment->length = 0;
	return VFIO_NVME_SUCCESS;
}

static uint16_t add_sgl(struct gather *g, const struct vfio_nvme_command *cmd)
{
	struct vfio_nvme_sgl segment = cmd->sgl;
	uint16_t status = VFIO_NVME_SUCCESS;
	unsigned int i = 0;

	if (!is_segment(&segment))
		status = add_block(g, &segment);
	else
		do
			status = add_segment(g, &segment);
		while (status == VFIO_NVME_SUCCESS && g->left && segment.length &&
		       ++i < SEGMENTS);
	if (status == VFIO_NVME_SUCCESS && g->left)
		return VFIO_NVME_SGL_LENGTH_INVALID;
	return status;
}

uint16_t data_pieces(struct nvme *n, const struct vfio_nvme_command *cmd, size_t len,
		     struct piece pieces[MAX_PIECES], unsigned int *count)
{
	struct gather g = { .nvme = n, .pieces = pieces, .left = len };
	uint16_t status;

	switch (cmd->flags & VFIO_NVME_PSDT_MASK) {
	case VFIO_NVME_PSDT_PRP:
		status = add_prps(&g, cmd);
		break;
	case VFIO_NVME_PSDT_SGL:
	case VFIO_NVME_PSDT_SGL_METADATA:
		status = add_sgl(&g, cmd);
		break;
	default:
		status = VFIO_NVME_INVALID_FIELD;
		break;
	}
	*count = g.count;
	return status;
}

/* ---- the memory there ---------------------------------------------------------------------- */

#define SPANS 8u		/* of one piece: maps that it crosses */

int data_spans(struct nvme *n, const struct piece *pieces, unsigned int count, uint32_t prot,
	       struct iovec *iov)
{
	unsigned int k = 0;

	for (unsigned int i = 0; i < count; i++) {
		struct vfio_span spans[SPANS];
		int got = vfio_function_dma_spans(n->fn, pieces[i].iova, pieces[i].len, prot, spans,
						  SPANS);

		if (got < 0 && got != -ENOTSUP)
			return -1;
		if (got < 0 || got > (int)SPANS || k + (unsigned int)got > MAX_PIECES)
			return 0;
		for (int s = 0; s < got; s++)
			iov[k++] = (struct iovec){ spans[s].addr, spans[s].len };
	}
	return (int)k;
}

uint16_t data_copy(struct nvme *n, const struct piece *pieces, unsigned int count, uint32_t prot,
		   void *buf)
{
	uint64_t life = n->life;
	uint8_t *p = buf;

	for (unsigned int i = 0; i < count; i++) {
		int ret = prot == VFIO_DMA_WRITE ?
			vfio_function_dma_write(n->fn, pieces[i].iova, p, pieces[i].len) :
			vfio_function_dma_read(n->fn, pieces[i].iova, p, pieces[i].len);

		if (n->life != life)
			return LATER;
		if (ret < 0)
			return VFIO_NVME_DATA_TRANSFER;
		p += pieces[i].len;
	}
	return VFIO_NVME_SUCCESS;
}

static uint16_t copy(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t prot, void *buf,
		     size_t len)
{
	struct piece pieces[MAX_PIECES];
	unsigned int count;
	uint16_t status;

	if (!len)
		return VFIO_NVME_SUCCESS;
	status = data_pieces(n, cmd, len, pieces, &count);
	return status == VFIO_NVME_SUCCESS ? data_copy(n, pieces, count, prot, buf) : status;
}

uint16_t data_give(struct nvme *n, const struct vfio_nvme_command *cmd, const void *buf, size_t len)
{
	return copy(n, cmd, VFIO_DMA_WRITE, (void *)buf, len);
}

uint16_t data_take(struct nvme *n, const struct vfio_nvme_command *cmd, void *buf, size_t len)
{
	return copy(n, cmd, VFIO_DMA_READ, buf, len);
}
