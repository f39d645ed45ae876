/* SPDX-License-Identifier: MIT */
/* 5.3 to 5.7: I/O queues are made and deleted, and doorbells that are memory (7.13). */
#include <endian.h>

#include "nvme.h"

static uint16_t low(uint32_t dword)
{
	return (uint16_t)dword;
}

static uint16_t high(uint32_t dword)
{
	return (uint16_t)(dword >> 16);
}

/* 5.3, 5.4: what both Create commands ask. cdw10: number and size, cdw11 bit 0: contiguous. */
static uint16_t check_queue(const struct nvme *n, const struct vfio_nvme_command *cmd, bool exists)
{
	uint32_t cdw10 = le32toh(cmd->cdw10);

	if (low(cdw10) == 0 || low(cdw10) > n->options.queues || exists)
		return VFIO_NVME_QID_INVALID;
	if (high(cdw10) == 0 || high(cdw10) >= MAX_ENTRIES || !controller_has_entry_sizes(n))
		return VFIO_NVME_QUEUE_SIZE_INVALID;
	if (!(le32toh(cmd->cdw11) & VFIO_NVME_QUEUE_CONTIGUOUS))
		return VFIO_NVME_INVALID_FIELD;
	if (le64toh(cmd->prp1) % PAGE)
		return VFIO_NVME_PRP_OFFSET_INVALID;
	return VFIO_NVME_SUCCESS;
}

static bool is_there(const struct nvme *n, uint16_t qid, bool completion)
{
	return qid < MAX_QUEUES && (completion ? n->cqs[qid].exists : n->sqs[qid].exists);
}

/* 5.3 */
uint16_t create_cq(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint32_t cdw10 = le32toh(cmd->cdw10), cdw11 = le32toh(cmd->cdw11);
	uint16_t status = check_queue(n, cmd, is_there(n, low(cdw10), true));

	if (status)
		return status;
	if (high(cdw11) > n->options.queues)		/* one vector each, and the admin queue's */
		return VFIO_NVME_VECTOR_INVALID;
	cq_start(n, low(cdw10), le64toh(cmd->prp1), high(cdw10) + 1u,
		 cdw11 & VFIO_NVME_CQ_INTERRUPTS, high(cdw11));
	return VFIO_NVME_SUCCESS;
}

/* 5.4: 0 as the completion queue is the admin queue's, which serves no other. */
uint16_t create_sq(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint32_t cdw10 = le32toh(cmd->cdw10);
	uint16_t cqid = high(le32toh(cmd->cdw11));
	uint16_t status = check_queue(n, cmd, is_there(n, low(cdw10), false));

	if (status)
		return status;
	if (cqid == 0 || !is_there(n, cqid, true))
		return VFIO_NVME_CQ_INVALID;
	sq_start(n, low(cdw10), &n->cqs[cqid], le64toh(cmd->prp1), high(cdw10) + 1u);
	return VFIO_NVME_SUCCESS;
}

/* 5.6: what it has under way is done, and answered, before the queue goes. */
uint16_t delete_sq(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint16_t qid = low(le32toh(cmd->cdw10));
	uint64_t life = n->life;

	if (qid == 0 || !is_there(n, qid, false))
		return VFIO_NVME_QID_INVALID;
	files_drain(n);
	if (n->life != life)
		return LATER;
	sq_stop(n, &n->sqs[qid]);
	return VFIO_NVME_SUCCESS;
}

/* 5.5: after all of its submission queues. */
uint16_t delete_cq(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint16_t qid = low(le32toh(cmd->cdw10));

	if (qid == 0 || !is_there(n, qid, true))
		return VFIO_NVME_QID_INVALID;
	if (n->cqs[qid].users)
		return VFIO_NVME_QUEUE_DELETION;
	cq_stop(n, &n->cqs[qid]);
	return VFIO_NVME_SUCCESS;
}

/* ---- 5.7: Doorbell Buffer Config ----------------------------------------------------------- */

/* Queues that there are go on at the values that they have. */
static void take_over(struct nvme *n)
{
	uint32_t *shadow = (uint32_t *)(void *)n->shadow.at;
	uint32_t *events = (uint32_t *)(void *)n->events.at;

	for (unsigned int i = 0; i < 2 * MAX_QUEUES; i++) {
		uint32_t bell = __atomic_load_n(&n->doorbells[i], __ATOMIC_ACQUIRE);

		if (!is_there(n, (uint16_t)(i / 2), i % 2))
			continue;
		__atomic_store_n(&shadow[i], bell, __ATOMIC_RELAXED);
		__atomic_store_n(&events[i], bell, __ATOMIC_RELEASE);
	}
}

static uint16_t find_buffer(struct nvme *n, struct ring *ring, uint64_t iova)
{
	bool lost;

	*ring = (struct ring){ .iova = iova, .entries = 1, .entry_size = PAGE };
	return ring_find(n, ring, VFIO_DMA_RW, &lost) ? VFIO_NVME_SUCCESS : VFIO_NVME_DATA_TRANSFER;
}

/*
 * Both must be memory that is used in place: a doorbell that has to be asked for is worth nothing.
 * A driver that is refused goes on with the registers.
 */
uint16_t doorbell_buffers(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint64_t shadow = le64toh(cmd->prp1), events = le64toh(cmd->prp2);
	struct ring before[2] = { n->shadow, n->events };
	uint16_t status;

	if (!shadow || !events || shadow % PAGE || events % PAGE || shadow == events)
		return VFIO_NVME_INVALID_FIELD;
	status = find_buffer(n, &n->shadow, shadow);
	if (!status)
		status = find_buffer(n, &n->events, events);
	if (status) {
		n->shadow = before[0];
		n->events = before[1];
		return status;
	}
	take_over(n);
	poll_queues_changed(n);
	return VFIO_NVME_SUCCESS;
}
