/* SPDX-License-Identifier: MIT */
/*
 * The fast path: commands into a queue, answers out of it. It takes no lock, looks nothing up, asks
 * no clock, and makes no system call but to wake a device that sleeps.
 *
 * The submission queue cannot overflow: each command has an id, and there is one less of these than
 * entries.
 */
#include <errno.h>
#include <string.h>

#include "private.h"

/* ---- submitting ----------------------------------------------------------------------------- */

/* The command is in its entry, with the id that is at top in the stack: it is under way. */
static inline void commit(struct vfio_nvme_queue *queue, struct nvme_entry *entry, size_t top,
			  unsigned int cid, uint32_t epoch, void *tag)
{
	struct nvme_slot *slot = &queue->slots[cid];

	slot->tag = tag;
	__atomic_store_n(&slot->epoch, epoch, __ATOMIC_RELAXED);
	queue->nfree = top;
	queue->tail = unlikely(++entry == queue->sq_end) ? queue->sq : entry;
}

/* Any command: with pieces if n is not 0, else with len bytes at iova if that is not 0. */
static int submit(struct vfio_nvme_queue *queue, const struct vfio_nvme_command *from,
		  uint64_t iova, size_t len, const struct vfio_nvme_piece *pieces, unsigned int n,
		  void *tag)
{
	uint32_t epoch = __atomic_load_n(&queue->epoch, __ATOMIC_RELAXED);
	struct vfio_nvme_command cmd = *from;
	unsigned int cid;
	size_t top;
	int ret = 0;

	if (epoch == NVME_FREE)
		return -ESHUTDOWN;
	if (!queue->nfree)
		return -EAGAIN;
	top = queue->nfree - 1;
	cid = queue->free[top];
	cmd.cid = htole16((uint16_t)cid);
	if (n || len)
		cmd.flags &= (uint8_t)~VFIO_NVME_PSDT_MASK;
	if (n)
		ret = nvme_data_pieces(queue, cid, pieces, n, &cmd);
	else if (len)
		ret = nvme_data_contiguous(queue, cid, iova, len, &cmd);
	if (ret < 0)
		return ret;
	memcpy(queue->tail, &cmd, sizeof(cmd));
	commit(queue, queue->tail, top, cid, epoch, tag);
	return 0;
}

/* 6.9, 6.15: NVM read and write, whatever is asked. */
static int put_any(struct vfio_nvme_queue *queue, uint8_t opcode,
		   const struct vfio_nvme_namespace *ns, uint64_t lba, uint32_t blocks,
		   uint64_t iova, void *tag)
{
	const struct vfio_nvme_command cmd = {
		.opcode = opcode,
		.nsid = htole32(ns->nsid),
		.cdw10 = htole32((uint32_t)lba),
		.cdw11 = htole32((uint32_t)(lba >> 32)),
		.cdw12 = htole32(blocks - 1),
	};

	/* max_blocks is not above blocks: the subtraction does not wrap. */
	if (blocks - 1 >= ns->max_blocks || lba > ns->blocks - blocks)
		return -EINVAL;
	return submit(queue, &cmd, iova, (size_t)blocks << ns->block_shift, NULL, 0, tag);
}

__attribute__((noinline))
static int read_any(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
		    uint64_t lba, uint32_t blocks, uint64_t iova, void *tag)
{
	return put_any(queue, VFIO_NVME_READ, ns, lba, blocks, iova, tag);
}

__attribute__((noinline))
static int write_any(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
		     uint64_t lba, uint32_t blocks, uint64_t iova, void *tag)
{
	return put_any(queue, VFIO_NVME_WRITE, ns, lba, blocks, iova, tag);
}

/* Usually the data are in one page, from its beginning. false: this is for put_any() to look at. */
__attribute__((always_inline))
static inline bool put_page(struct vfio_nvme_queue *queue, uint8_t opcode,
			    const struct vfio_nvme_namespace *ns, uint64_t lba, uint32_t blocks,
			    uint64_t iova, void *tag)
{
	uint32_t epoch = __atomic_load_n(&queue->epoch, __ATOMIC_RELAXED);
	struct nvme_entry *entry = queue->tail;
	unsigned int cid;
	size_t top;

	if (unlikely(blocks - 1 >= ns->page_blocks || lba > ns->page_last || iova % NVME_PAGE ||
		     epoch == NVME_FREE || __builtin_sub_overflow(queue->nfree, 1, &top)))
		return false;
	cid = queue->free[top];
	__atomic_store_n(&entry->cid_opcode, htole32(cid << 16 | opcode), __ATOMIC_RELAXED);
	__atomic_store_n(&entry->nsid, htole32(ns->nsid), __ATOMIC_RELAXED);
	entry->reserved = 0;
	entry->mptr = 0;
	entry->prp1 = htole64(iova);
	entry->prp2 = 0;
	entry->lba = htole64(lba);
	entry->blocks = htole64(blocks - 1);
	entry->cdw14 = 0;
	commit(queue, entry, top, cid, epoch, tag);
	return true;
}

int vfio_nvme_read(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
		   uint64_t lba, uint32_t blocks, uint64_t iova, void *tag)
{
	if (likely(put_page(queue, VFIO_NVME_READ, ns, lba, blocks, iova, tag)))
		return 0;
	return read_any(queue, ns, lba, blocks, iova, tag);
}

int vfio_nvme_write(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
		    uint64_t lba, uint32_t blocks, uint64_t iova, void *tag)
{
	if (likely(put_page(queue, VFIO_NVME_WRITE, ns, lba, blocks, iova, tag)))
		return 0;
	return write_any(queue, ns, lba, blocks, iova, tag);
}

int vfio_nvme_submit(struct vfio_nvme_queue *queue, const struct vfio_nvme_command *cmd,
		     uint64_t iova, size_t len, void *tag)
{
	return submit(queue, cmd, iova, len, NULL, 0, tag);
}

int vfio_nvme_submit_pieces(struct vfio_nvme_queue *queue, const struct vfio_nvme_command *cmd,
			    const struct vfio_nvme_piece *pieces, unsigned int n, void *tag)
{
	return submit(queue, cmd, 0, 0, pieces, n, tag);
}

/* 6.8 */
int vfio_nvme_flush(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns, void *tag)
{
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_FLUSH, .nsid = htole32(ns->nsid),
	};

	return submit(queue, &cmd, 0, 0, NULL, 0, tag);
}

/* 6.16. No data: MDTS does not limit it, but the field of 16 bits does. */
int vfio_nvme_write_zeroes(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
			   uint64_t lba, uint32_t blocks, bool deallocate, void *tag)
{
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_WRITE_ZEROES,
		.nsid = htole32(ns->nsid),
		.cdw10 = htole32((uint32_t)lba),
		.cdw11 = htole32((uint32_t)(lba >> 32)),
		.cdw12 = htole32((blocks - 1) | (deallocate ? VFIO_NVME_DEALLOCATE : 0)),
	};

	if (blocks == 0 || blocks > 1u << 16 || blocks > ns->blocks ||
	    lba > ns->blocks - blocks)
		return -EINVAL;
	return submit(queue, &cmd, 0, 0, NULL, 0, tag);
}

void vfio_nvme_ring(struct vfio_nvme_queue *queue)
{
	uint32_t tail = (uint32_t)(queue->tail - queue->sq), rung = queue->rung;

	if (tail == rung)
		return;
	queue->rung = tail;
	nvme_ring_doorbell(queue, &queue->sq_doorbell, tail, rung);
}

/* ---- completing ----------------------------------------------------------------------------- */

__attribute__((noinline))
void nvme_queue_report(struct vfio_nvme_queue *queue)
{
	uint32_t head = (uint32_t)(queue->head - queue->cq);
	uint32_t entries = (uint32_t)(queue->cq_end - queue->cq);
	uint32_t n = (uint32_t)(queue->report_at - queue->report_in);

	if (n == 0)
		return;
	queue->report_in = queue->report_at;
	nvme_ring_doorbell(queue, &queue->cq_doorbell, head,
			   head < n ? head + entries - n : head - n);
}

/* What was under way when the controller was reset. */
static int take_aborted(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done,
			unsigned int max)
{
	unsigned int n;

	for (n = 0; n < max && queue->aborted; n++) {
		uint16_t cid = queue->free[queue->depth - queue->aborted--];

		done[n] = (struct vfio_nvme_done){
			.tag = queue->slots[cid].tag, .status = VFIO_NVME_ABORT_REQUESTED,
		};
		queue->free[queue->nfree++] = cid;
	}
	return (int)n;
}

/* There is no answer in the queue. */
__attribute__((noinline))
static int take_other(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done,
		      const struct vfio_nvme_done *end)
{
	if (queue->aborted)
		return take_aborted(queue, done, (unsigned int)(end - done));
	if (__atomic_load_n(&queue->broken, __ATOMIC_RELAXED))
		return -EPROTO;
	return __atomic_load_n(&queue->epoch, __ATOMIC_RELAXED) == NVME_FREE ? -ESHUTDOWN : 0;
}

/* There is one that cannot be. What was aborted before is nevertheless given back. */
__attribute__((noinline))
static int break_queue(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done,
		       const struct vfio_nvme_done *end)
{
	__atomic_store_n(&queue->broken, true, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->epoch, NVME_FREE, __ATOMIC_RELAXED);
	return take_other(queue, done, end);
}

__attribute__((noinline))
static int report(struct vfio_nvme_queue *queue, ptrdiff_t n)
{
	nvme_queue_report(queue);
	return (int)n;
}

/* The next answer: on to the one behind it, which at the end of the queue is the first. */
static inline struct nvme_answer *pass(struct vfio_nvme_queue *queue, struct nvme_answer *answer)
{
	if (likely(++answer != queue->cq_end))
		return answer;
	__atomic_store_n(&queue->lap, queue->lap ^ NVME_PHASE, __ATOMIC_RELAXED);
	return queue->cq;
}

/*
 * An answer is there when its phase tag is the one of this lap (4.6). The dword with the tag is
 * read once, before the others; what it says is checked: the controller writes this memory as it
 * likes.
 */
int vfio_nvme_poll(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done, unsigned int max)
{
	struct vfio_nvme_done *d = done, *end = done + max;
	struct nvme_answer *head = queue->head;
	struct nvme_slot *slots = queue->slots;
	uint16_t *free = queue->free + queue->nfree;
	ptrdiff_t n;

	for (; d != end; d++) {
		uint32_t last = le32toh(__atomic_load_n(&head->dword[3], __ATOMIC_ACQUIRE)) ^
				queue->lap;
		uint32_t cid = last % NVME_PHASE;

		if (last & NVME_PHASE)
			break;
		if (unlikely(cid >= queue->depth || slots[cid].epoch == NVME_FREE)) {
			if (d != done)
				break;		/* those before are taken first */
			return break_queue(queue, done, end);
		}
		d->tag = slots[cid].tag;
		d->result = le32toh(head->dword[0]);
		d->status = (uint16_t)(last >> 17);
		__atomic_store_n(&slots[cid].epoch, NVME_FREE, __ATOMIC_RELAXED);
		*free++ = (uint16_t)cid;
		head = pass(queue, head);
	}
	if (d == done)
		return take_other(queue, done, end);
	n = d - done;
	__atomic_store_n(&queue->head, head, __ATOMIC_RELAXED);
	queue->nfree += (size_t)n;
	queue->report_in -= n;
	return likely(queue->report_in > 0) ? (int)n : report(queue, n);
}
