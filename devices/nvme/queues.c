/* SPDX-License-Identifier: MIT */
/* Queues (4.1, 4.6): fetching commands, posting answers, interrupts (7.5). */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "nvme.h"

#define BATCH 64u		/* commands of one queue before the others have their turn: 4.13 */

/* ---- rings --------------------------------------------------------------------------------- */

uint8_t *ring_find(struct nvme *n, struct ring *ring, uint32_t prot, bool *lost)
{
	struct vfio_span span;
	int ret;

	*lost = false;
	if (ring->at || ring->by_copy)
		return ring->at;
	ret = vfio_function_dma_spans(n->fn, ring->iova, (size_t)ring->entries * ring->entry_size,
				      prot, &span, 1);
	if (ret == 1)
		ring->at = span.addr;
	else if (ret == -ENOTSUP || ret > 1)
		ring->by_copy = true;
	else if (ret != -EPERM)		/* it may not master the bus: that passes */
		*lost = true;
	return ring->at;
}

static void ring_init(struct ring *ring, uint64_t iova, uint32_t entries, uint32_t entry_size)
{
	*ring = (struct ring){ .iova = iova, .entries = entries, .entry_size = entry_size };
}

static void ring_forget(struct ring *ring, uint64_t iova, uint64_t size)
{
	uint64_t bytes = (uint64_t)ring->entries * ring->entry_size;

	if (!bytes || (ring->iova - iova >= size && iova - ring->iova >= bytes))
		return;
	ring->at = NULL;
	ring->by_copy = false;
}

void queues_forget(struct nvme *n, uint64_t iova, uint64_t size)
{
	for (unsigned int i = 0; i < MAX_QUEUES; i++) {
		ring_forget(&n->sqs[i].ring, iova, size);
		ring_forget(&n->cqs[i].ring, iova, size);
	}
	ring_forget(&n->shadow, iova, size);
	ring_forget(&n->events, iova, size);
}

/* ---- life ---------------------------------------------------------------------------------- */

void cq_start(struct nvme *n, uint16_t qid, uint64_t iova, uint32_t entries, bool interrupts,
	      uint16_t vector)
{
	struct cq *cq = &n->cqs[qid];

	*cq = (struct cq){
		.exists = true, .id = qid, .vector = vector, .interrupts = interrupts, .phase = 1,
	};
	ring_init(&cq->ring, iova, entries, sizeof(struct vfio_nvme_completion));
	doorbell_clear(n, qid, true);
}

void sq_start(struct nvme *n, uint16_t qid, struct cq *cq, uint64_t iova, uint32_t entries)
{
	struct sq *sq = &n->sqs[qid];

	*sq = (struct sq){ .exists = true, .id = qid, .cq = cq };
	ring_init(&sq->ring, iova, entries, sizeof(struct vfio_nvme_command));
	cq->users++;
	doorbell_clear(n, qid, false);
	poll_queues_changed(n);
}

void sq_stop(struct nvme *n, struct sq *sq)
{
	if (sq->exists)
		sq->cq->users--;
	*sq = (struct sq){ .id = sq->id };
	poll_queues_changed(n);
}

void cq_stop(struct nvme *n, struct cq *cq)
{
	*cq = (struct cq){ .id = cq->id };
	for (unsigned int i = 0; i < n->nfresh; i++)
		if (n->fresh[i] == cq->id)
			n->fresh[i--] = n->fresh[--n->nfresh];
}

/* ---- answers ------------------------------------------------------------------------------- */

/* The dword with the phase comes last, and alone: it is what a driver looks at. */
static void store(uint8_t *at, const struct vfio_nvme_completion *c)
{
	uint32_t *to = (uint32_t *)(void *)at, dwords[4];

	memcpy(dwords, c, sizeof(dwords));
	for (unsigned int i = 0; i < 3; i++)
		__atomic_store_n(&to[i], dwords[i], __ATOMIC_RELAXED);
	__atomic_store_n(&to[3], dwords[3], __ATOMIC_RELEASE);
}

static __attribute__((noinline)) void store_by_copy(struct nvme *n, struct cq *cq,
						    const struct vfio_nvme_completion *c)
{
	uint64_t at = cq->ring.iova + (uint64_t)cq->tail * sizeof(*c), life = n->life;

	if (!cq->ring.by_copy || vfio_function_dma_write(n->fn, at, c, sizeof(*c)) < 0)
		if (n->life == life)
			controller_fail(n);
}

static void post(struct nvme *n, struct cq *cq, const struct vfio_nvme_completion *c)
{
	uint64_t life = n->life;
	bool lost;
	uint8_t *at = ring_find(n, &cq->ring, VFIO_DMA_WRITE, &lost);

	if (at)
		store(at + cq->tail * sizeof(*c), c);
	else
		store_by_copy(n, cq, c);
	if (n->life != life)
		return;
	if (++cq->tail == cq->ring.entries) {
		cq->tail = 0;
		cq->phase ^= 1;
	}
	if (!cq->fresh)
		n->fresh[n->nfresh++] = cq->id;
	cq->fresh = true;
}

void answer(struct nvme *n, struct sq *sq, uint16_t cid, uint16_t status, uint32_t result)
{
	struct cq *cq = sq->cq;
	const struct vfio_nvme_completion c = {
		.result = htole32(result), .sqhd = htole16((uint16_t)sq->head),
		.sqid = htole16(sq->id), .cid = cid,
		.status = htole16((uint16_t)(status << 1 | cq->phase)),
	};

	cq->expected--;
	post(n, cq, &c);
}

static uint32_t distance(const struct ring *ring, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + ring->entries - from;
}

/* Take a new head, if it is one: it lies between the old one and the tail. */
static void look_at_head(struct nvme *n, struct cq *cq)
{
	uint32_t head = cq_doorbell(n, cq);

	if (head < cq->ring.entries &&
	    distance(&cq->ring, cq->head, head) <= distance(&cq->ring, cq->head, cq->tail)) {
		cq->head = head;
		cq->bad_doorbell = false;
	} else if (!cq->bad_doorbell) {
		cq->bad_doorbell = true;
		error_log(n, NULL, NULL, VFIO_NVME_INVALID_FIELD);
		event_raise(n, EVENT_ERROR, EVENT_INVALID_VALUE, VFIO_NVME_LOG_ERRORS);
	}
}

/* For one answer more than will come. The head is only looked at when what is known does not do. */
static bool has_room(struct nvme *n, struct cq *cq)
{
	uint32_t room = cq->ring.entries - 1 - cq->expected;

	if (distance(&cq->ring, cq->head, cq->tail) < room)
		return true;
	look_at_head(n, cq);
	return distance(&cq->ring, cq->head, cq->tail) < room;
}

/* ---- interrupts ---------------------------------------------------------------------------- */

unsigned int find_capability(struct nvme *n, uint8_t id)
{
	unsigned int at = vfio_function_config_read(n->fn, PCI_CAPABILITY_LIST, 1);

	for (int i = 0; at && i < 48; i++) {
		if (vfio_function_config_read(n->fn, at, 1) == id)
			return at;
		at = vfio_function_config_read(n->fn, at + 1, 1);
	}
	return 0;
}

static bool uses_msix(struct nvme *n)
{
	unsigned int at = find_capability(n, PCI_CAP_ID_MSIX);

	return at && (vfio_function_config_read(n->fn, at + PCI_MSIX_FLAGS, 2) &
		      PCI_MSIX_FLAGS_ENABLE);
}

/* 7.5.1: the pin is asserted as long as any queue that interrupts has an answer not yet taken. */
static bool pin_level(struct nvme *n)
{
	if (uses_msix(n) || (n->int_mask & 1))
		return false;
	for (unsigned int i = 0; i < MAX_QUEUES; i++) {
		struct cq *cq = &n->cqs[i];

		if (!cq->exists || !cq->interrupts)
			continue;
		look_at_head(n, cq);
		if (cq->head != cq->tail)
			return true;
	}
	return false;
}

void intx_update(struct nvme *n)
{
	n->intx = pin_level(n);
	vfio_function_intx(n->fn, n->intx);
}

void queues_tell(struct nvme *n)
{
	bool interrupts = n->intx;

	for (unsigned int i = 0; i < n->nfresh; i++) {
		struct cq *cq = &n->cqs[n->fresh[i]];

		cq->fresh = false;
		vfio_function_dma_dirty(n->fn, cq->ring.iova,
					(size_t)cq->ring.entries * cq->ring.entry_size);
		if (!cq->interrupts)
			continue;
		interrupts = true;
		vfio_function_msi(n->fn, cq->vector);
	}
	n->nfresh = 0;
	if (interrupts)
		intx_update(n);
}

/* ---- commands ------------------------------------------------------------------------------ */

static __attribute__((noinline)) bool fetch_by_copy(struct nvme *n, struct sq *sq,
						    struct vfio_nvme_command *cmd)
{
	uint64_t life = n->life;
	bool lost;

	if (ring_find(n, &sq->ring, VFIO_DMA_READ, &lost)) {
		memcpy(cmd, sq->ring.at + sq->head * sizeof(*cmd), sizeof(*cmd));
		return true;
	}
	if (sq->ring.by_copy)
		lost = vfio_function_dma_read(n->fn, sq->ring.iova + sq->head * sizeof(*cmd), cmd,
					      sizeof(*cmd)) < 0;
	if (n->life != life)
		return false;
	if (lost)
		controller_fail(n);
	return !lost && sq->ring.by_copy;
}

/* A copy: the driver can write there meanwhile. */
static bool fetch(struct nvme *n, struct sq *sq, struct vfio_nvme_command *cmd)
{
	if (!sq->ring.at)
		return fetch_by_copy(n, sq, cmd);
	memcpy(cmd, sq->ring.at + sq->head * sizeof(*cmd), sizeof(*cmd));
	return true;
}

/* False: it cannot begin yet, and is to be fetched again. */
static bool execute(struct nvme *n, struct sq *sq, const struct vfio_nvme_command *cmd)
{
	uint64_t life = n->life;
	uint32_t result = 0;
	uint16_t status = sq->id ? io_execute(n, sq, cmd) : admin_execute(n, cmd, &result);

	if (status == LATER || n->life != life)
		return true;
	if (status == NOT_YET)
		return false;
	if (status)
		error_log(n, sq, cmd, status);
	answer(n, sq, cmd->cid, status, result);
	return true;
}

static void bad_tail(struct nvme *n, struct sq *sq, uint32_t tail)
{
	sq->tail = tail;
	if (sq->bad_doorbell)
		return;
	sq->bad_doorbell = true;
	error_log(n, sq, NULL, VFIO_NVME_INVALID_FIELD);
	event_raise(n, EVENT_ERROR, EVENT_INVALID_VALUE, VFIO_NVME_LOG_ERRORS);
}

/* The head moves on before the command is executed, since the answer tells it. */
static bool next_command(struct nvme *n, struct sq *sq)
{
	struct vfio_nvme_command cmd;
	uint32_t head = sq->head;
	uint64_t life = n->life;

	if (!has_room(n, sq->cq) || !fetch(n, sq, &cmd))
		return false;
	sq->head = head + 1 == sq->ring.entries ? 0 : head + 1;
	sq->cq->expected++;
	if (execute(n, sq, &cmd))
		return true;
	if (n->life == life) {
		sq->head = head;
		sq->cq->expected--;
	}
	return false;
}

bool sq_work(struct nvme *n, struct sq *sq)
{
	uint32_t tail = sq_doorbell(n, sq);
	uint64_t life = n->life;
	bool worked = false;

	if (tail == sq->head) {
		sq->tail = tail;	/* a bad one may have been taken back */
		sq->bad_doorbell = false;
		return false;
	}
	if (tail >= sq->ring.entries) {
		if (tail != sq->tail)
			bad_tail(n, sq, tail);
		return false;
	}
	sq->bad_doorbell = sq->waits = false;
	sq->tail = tail;
	for (unsigned int i = 0; i < BATCH && sq->head != tail && !n->slice_over; i++) {
		if (!next_command(n, sq)) {
			sq->waits = true;
			break;
		}
		worked = true;
		if (n->life != life || !sq->exists || !controller_runs(n))
			return true;
	}
	return worked;
}
