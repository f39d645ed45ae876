/* SPDX-License-Identifier: MIT */
/*
 * Where the data of a command are: PRP entries (4.3), or SGL descriptors (4.4) where the controller
 * has them and they are shorter. Each command id has memory of its own for a list, which is aligned
 * to its size, a power of two up to a page: so no list crosses a page and none needs a second.
 */
#include <errno.h>

#include "private.h"

/* A list of PRP entries that is being written: the first two go into the command. */
struct prps {
	uint64_t *list;
	uint64_t prp1, last;		/* last: the second, as long as there is no third */
	unsigned int n, max;
};

static int add_page(struct prps *prps, uint64_t iova)
{
	if (prps->n == prps->max)
		return -EINVAL;
	if (prps->n == 0)
		prps->prp1 = iova;
	else
		prps->list[prps->n - 1] = htole64(iova);
	prps->last = iova;
	prps->n++;
	return 0;
}

/* 4.3: all entries but the first have offset 0. */
static int add_pages(struct prps *prps, uint64_t iova, uint64_t len)
{
	uint64_t end = iova + len;
	int ret = 0;

	while (iova < end && ret == 0) {
		ret = add_page(prps, iova);
		iova = (iova | (NVME_PAGE - 1)) + 1;
	}
	return ret;
}

/* The page with the list of a command id, and where in it that is. */
static const struct vfio_dma *list_page(const struct vfio_nvme_queue *queue, unsigned int cid,
					size_t *offset)
{
	size_t at = (size_t)cid * queue->list_bytes;

	*offset = at % NVME_PAGE;
	return &queue->parts[NVME_LISTS + at / NVME_PAGE];
}

static void *list_of(const struct vfio_nvme_queue *queue, unsigned int cid)
{
	size_t offset;
	const struct vfio_dma *page = list_page(queue, cid, &offset);

	return (uint8_t *)page->vaddr + offset;
}

static uint64_t list_iova(const struct vfio_nvme_queue *queue, unsigned int cid)
{
	size_t offset;

	return list_page(queue, cid, &offset)->iova + offset;
}

static struct prps begin_prps(const struct vfio_nvme_queue *queue, unsigned int cid)
{
	return (struct prps){
		.list = list_of(queue, cid), .max = queue->list_bytes / sizeof(uint64_t) + 1,
	};
}

/* One page needs prp1 only, two have both pointers, more have a list in the second's place. */
static void put_prps(const struct prps *prps, const struct vfio_nvme_queue *queue, unsigned int cid,
		     struct vfio_nvme_command *cmd)
{
	cmd->prp1 = htole64(prps->prp1);
	cmd->prp2 = 0;
	if (prps->n == 2)
		cmd->prp2 = htole64(prps->last);
	else if (prps->n > 2)
		cmd->prp2 = htole64(list_iova(queue, cid));
}

static struct vfio_nvme_sgl descriptor(uint64_t iova, size_t len, unsigned int type)
{
	return (struct vfio_nvme_sgl){
		.address = htole64(iova), .length = htole32((uint32_t)len),
		.type = (uint8_t)(type << 4),
	};
}

static void put_sgl(struct vfio_nvme_command *cmd, struct vfio_nvme_sgl sgl)
{
	cmd->flags |= VFIO_NVME_PSDT_SGL;
	cmd->sgl = sgl;
}

/* A dword is the finest that PRPs, and SGLs of the coarser kind, can do. */
static bool is_sound(uint64_t iova, size_t len, size_t max)
{
	return len && len <= max && iova % 4 == 0 && len % 4 == 0 && iova <= UINT64_MAX - len;
}

int nvme_data_contiguous(struct vfio_nvme_queue *queue, unsigned int cid, uint64_t iova, size_t len,
			 struct vfio_nvme_command *cmd)
{
	struct prps prps = begin_prps(queue, cid);
	int ret;

	if (!is_sound(iova, len, queue->max_bytes))
		return -EINVAL;
	if (queue->sgl && iova % NVME_PAGE + len > 2 * NVME_PAGE) {
		put_sgl(cmd, descriptor(iova, len, VFIO_NVME_SGL_DATA));
		return 0;
	}
	ret = add_pages(&prps, iova, len);
	if (ret == 0)
		put_prps(&prps, queue, cid, cmd);
	return ret;
}

/* The rule for pieces is that of PRPs, with SGLs too: then what works here works everywhere. */
static int check_pieces(const struct vfio_nvme_queue *queue, const struct vfio_nvme_piece *pieces,
			unsigned int n)
{
	size_t left = queue->max_bytes;

	for (unsigned int i = 0; i < n; i++) {
		const struct vfio_nvme_piece *p = &pieces[i];

		if (!is_sound(p->iova, p->len, left))
			return -EINVAL;
		if ((i > 0 && p->iova % NVME_PAGE) ||
		    (i < n - 1 && (p->iova + p->len) % NVME_PAGE))
			return -EINVAL;
		left -= p->len;
	}
	return 0;
}

int nvme_data_pieces(struct vfio_nvme_queue *queue, unsigned int cid,
		     const struct vfio_nvme_piece *pieces, unsigned int n,
		     struct vfio_nvme_command *cmd)
{
	struct prps prps = begin_prps(queue, cid);
	struct vfio_nvme_sgl *list = list_of(queue, cid);
	int ret = check_pieces(queue, pieces, n);

	if (ret < 0)
		return ret;
	if (n == 1)
		return nvme_data_contiguous(queue, cid, pieces[0].iova, pieces[0].len, cmd);
	if (queue->sgl && n <= queue->list_bytes / sizeof(*list)) {
		for (unsigned int i = 0; i < n; i++)
			list[i] = descriptor(pieces[i].iova, pieces[i].len, VFIO_NVME_SGL_DATA);
		put_sgl(cmd, descriptor(list_iova(queue, cid), n * sizeof(*list),
					VFIO_NVME_SGL_LAST_SEGMENT));
		return 0;
	}
	for (unsigned int i = 0; i < n && ret == 0; i++)
		ret = add_pages(&prps, pieces[i].iova, pieces[i].len);
	if (ret == 0)
		put_prps(&prps, queue, cid, cmd);
	return ret;
}
