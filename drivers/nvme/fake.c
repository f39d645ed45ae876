/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* Registers and trapped doorbells; the page at 0x1000 is memory if doorbells are; MSI-X. */
#define BAR_SIZE   0x4000u
#define MSIX_TABLE 0x2000u
#define MSIX_PBA   0x3000u

void fake_hold(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
}

/* ---- queues --------------------------------------------------------------------------------- */

/* The dword with the phase tag last, and at once: another thread may look at it. */
static void write_answer(struct fake *fake, uint64_t iova, const struct vfio_nvme_completion *c)
{
	struct vfio_span span;
	uint32_t last;

	memcpy(&last, &c->cid, sizeof(last));
	vfio_function_dma_write(fake->fn, iova, c, 12);
	if (vfio_function_dma_spans(fake->fn, iova + 12, 4, VFIO_DMA_WRITE, &span, 1) == 1)
		__atomic_store_n((uint32_t *)span.addr, last, __ATOMIC_RELEASE);
}

void fake_answer(struct fake *fake, unsigned int id, uint16_t cid, uint16_t status,
		 uint32_t result)
{
	struct fake_queue *q = &fake->queues[id];
	struct vfio_nvme_completion c = {
		.result = htole32(result), .sqhd = htole16((uint16_t)q->sq_head),
		.sqid = htole16((uint16_t)id), .cid = htole16(cid),
		.status = htole16((uint16_t)(status << 1 | q->phase)),
	};

	write_answer(fake, q->cq + q->cq_tail * sizeof(c), &c);
	q->cq_tail = (q->cq_tail + 1) % q->cq_entries;
	if (q->cq_tail == 0)
		q->phase ^= 1;
	if (q->cq_tail == q->cq_head)
		fake->overrun = true;
	if (!q->interrupts)
		return;
	vfio_function_msi(fake->fn, q->vector);
	vfio_function_intx(fake->fn, true);
}

static uint32_t load(struct fake *fake, uint64_t iova)
{
	uint32_t value = 0;

	vfio_function_dma_read(fake->fn, iova, &value, sizeof(value));
	return le32toh(value);
}

static void store(struct fake *fake, uint64_t iova, uint32_t value)
{
	value = htole32(value);
	vfio_function_dma_write(fake->fn, iova, &value, sizeof(value));
}

/* Take what the doorbells say, wherever they are. */
static void look(struct fake *fake, unsigned int id)
{
	struct fake_queue *q = &fake->queues[id];
	const uint32_t *page = fake->mapped;

	if (!page && fake->doorbells == FAKE_MEMORY)
		page = (uint32_t *)vfio_function_memory(fake->fn, 0) + VFIO_NVME_DOORBELLS / 4;
	if (id && fake->shadow) {
		q->sq_tail = load(fake, fake->shadow + 8 * id);
		q->cq_head = load(fake, fake->shadow + 8 * id + 4);
	} else if (page) {
		q->sq_tail = __atomic_load_n(&page[2 * id], __ATOMIC_ACQUIRE);
		q->cq_head = __atomic_load_n(&page[2 * id + 1], __ATOMIC_ACQUIRE);
	}
	if (q->cq_head == q->cq_tail)
		vfio_function_intx(fake->fn, false);
}

static void create_queue(struct fake *fake, const struct vfio_nvme_command *cmd)
{
	unsigned int id = le32toh(cmd->cdw10) & 0xffff, entries = (le32toh(cmd->cdw10) >> 16) + 1;
	struct fake_queue *q = &fake->queues[id <= FAKE_QUEUES ? id : 0];

	if (cmd->opcode == VFIO_NVME_CREATE_SQ) {
		q->sq = le64toh(cmd->prp1);
		q->sq_entries = entries;
		q->sq_tail = q->sq_head = 0;
		return;
	}
	q->cq = le64toh(cmd->prp1);
	q->cq_entries = entries;
	q->cq_tail = q->cq_head = 0;
	q->phase = 1;
	q->interrupts = le32toh(cmd->cdw11) & VFIO_NVME_CQ_INTERRUPTS;
	q->vector = le32toh(cmd->cdw11) >> 16;
}

/* ---- admin commands ------------------------------------------------------------------------- */

static void list(struct fake *fake, const struct vfio_nvme_command *cmd)
{
	uint32_t page[1024] = { 0 };
	unsigned int n = 0;

	for (unsigned int i = 0; i < 2048 && n < 1024 && fake->active[i]; i++)
		if (fake->active[i] > le32toh(cmd->nsid) || fake->active[i] == 0xdead)
			page[n++] = htole32(fake->active[i]);
	vfio_function_dma_write(fake->fn, le64toh(cmd->prp1), page, sizeof(page));
}

static void identify(struct fake *fake, const struct vfio_nvme_command *cmd)
{
	uint64_t to = le64toh(cmd->prp1);

	switch (le32toh(cmd->cdw10)) {
	case VFIO_NVME_CNS_NAMESPACE:
		vfio_function_dma_write(fake->fn, to, &fake->ns, sizeof(fake->ns));
		break;
	case VFIO_NVME_CNS_CONTROLLER:
		vfio_function_dma_write(fake->fn, to, &fake->id, sizeof(fake->id));
		break;
	case VFIO_NVME_CNS_ACTIVE:
		list(fake, cmd);
		break;
	}
}

static void do_admin(struct fake *fake, const struct vfio_nvme_command *cmd)
{
	uint16_t cid = le16toh(cmd->cid), status = 0;
	uint32_t result = 0, feature = le32toh(cmd->cdw10) & 0xff;

	fake->admin[fake->nadmin++ % FAKE_SEEN] = *cmd;
	if (cmd->opcode == VFIO_NVME_ASYNC_EVENT) {
		fake->events[fake->nevents++ % 16] = cid;
		return;
	}
	if (fake->deaf)
		return;
	if (fake->refuse && fake->refused == cmd->opcode)
		status = fake->refuse;
	else if (cmd->opcode == VFIO_NVME_IDENTIFY && fake->no_list &&
		 le32toh(cmd->cdw10) == VFIO_NVME_CNS_ACTIVE)
		status = VFIO_NVME_INVALID_FIELD | VFIO_NVME_STATUS_DNR;
	else if (cmd->opcode == VFIO_NVME_IDENTIFY)
		identify(fake, cmd);
	else if (cmd->opcode == VFIO_NVME_SET_FEATURES && feature == VFIO_NVME_FEATURE_QUEUES)
		result = fake->granted;
	else if (cmd->opcode == VFIO_NVME_CREATE_SQ || cmd->opcode == VFIO_NVME_CREATE_CQ)
		create_queue(fake, cmd);
	else if (cmd->opcode == VFIO_NVME_DELETE_SQ)
		fake->queues[le32toh(cmd->cdw10) & 7].sq = 0;
	if (cmd->opcode == VFIO_NVME_DOORBELL_BUFFERS && !status) {
		fake->shadow = le64toh(cmd->prp1);
		fake->event = le64toh(cmd->prp2);
	}
	fake_answer(fake, 0, cid, status, result);
}

/* ---- work ----------------------------------------------------------------------------------- */

static void do_command(struct fake *fake, unsigned int id, const struct vfio_nvme_command *cmd)
{
	if (id == 0) {
		do_admin(fake, cmd);
		return;
	}
	fake->seen[fake->nseen++ % FAKE_SEEN] = *cmd;
	if (fake->work)
		fake->work(fake, id, cmd);
	else
		fake_answer(fake, id, le16toh(cmd->cid), 0, 0);
}

void fake_work(struct fake *fake)
{
	for (unsigned int id = 0; id <= FAKE_QUEUES; id++) {
		struct fake_queue *q = &fake->queues[id];

		if (!q->sq || !q->cq || !(fake->csts & 1))
			continue;
		look(fake, id);
		while (q->sq && q->sq_head != q->sq_tail) {
			struct vfio_nvme_command cmd;

			vfio_function_dma_read(fake->fn, q->sq + q->sq_head * sizeof(cmd), &cmd,
					       sizeof(cmd));
			q->sq_head = (q->sq_head + 1) % q->sq_entries;
			do_command(fake, id, &cmd);
		}
		/* Asleep: the next one is to be told. */
		if (id && fake->shadow) {
			store(fake, fake->event + 8 * id, q->sq_head);
			store(fake, fake->event + 8 * id + 4, q->cq_head);
		}
	}
}

/* ---- registers ------------------------------------------------------------------------------ */

static uint64_t fake_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			  unsigned int width)
{
	struct fake *fake = vfio_function_state(fn);

	if (fake->gone)
		return ~UINT64_C(0);
	switch (offset) {
	case VFIO_NVME_CAP:	return fake->cap;
	case VFIO_NVME_VS:	return VFIO_NVME_VERSION_1_4;
	case VFIO_NVME_CC:	return fake->cc;
	case VFIO_NVME_CSTS:	return fake->csts;
	default:		return ~UINT64_C(0);
	}
}

static void enable(struct fake *fake)
{
	fake->enables++;
	if (fake->fatal)
		fake->csts = VFIO_NVME_PUT(1u, CSTS_CFS);
	else if (!fake->never_ready)
		fake->csts = 1;
	fake->queues[0] = (struct fake_queue){
		.sq = fake->asq, .cq = fake->acq, .phase = 1, .interrupts = true,
		.sq_entries = (fake->aqa & 0xfff) + 1, .cq_entries = (fake->aqa >> 16) + 1,
	};
}

static void disable(struct fake *fake)
{
	uint32_t *page = vfio_function_memory(fake->fn, 0);

	if (fake->stuck)
		return;
	if (page)
		memset(page + VFIO_NVME_DOORBELLS / 4, 0, 4096);
	memset(fake->queues, 0, sizeof(fake->queues));
	fake->csts = 0;
	fake->shadow = fake->nevents = 0;
	vfio_function_intx(fake->fn, false);
}

static void write_cc(struct fake *fake, uint32_t cc)
{
	uint32_t old = fake->cc;

	fake->cc = cc;
	if (VFIO_NVME_GET(cc, CC_SHN) && !VFIO_NVME_GET(old, CC_SHN)) {
		fake->shutdowns++;
		fake->csts |= VFIO_NVME_PUT(VFIO_NVME_SHST_COMPLETE, CSTS_SHST);
	}
	if ((cc ^ old) & 1) {
		if (cc & 1)
			enable(fake);
		else
			disable(fake);
	}
}

static void fake_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		       unsigned int width, uint64_t value)
{
	struct fake *fake = vfio_function_state(fn);
	unsigned int doorbell = (unsigned int)(offset - VFIO_NVME_DOORBELLS) / 4;

	if (fake->gone)
		return;
	switch (offset) {
	case VFIO_NVME_CC:	write_cc(fake, (uint32_t)value); return;
	case VFIO_NVME_AQA:	fake->aqa = (uint32_t)value; return;
	case VFIO_NVME_ASQ:	fake->asq = value; return;
	case VFIO_NVME_ACQ:	fake->acq = value; return;
	}
	if (offset < VFIO_NVME_DOORBELLS || doorbell / 2 > FAKE_QUEUES)
		return;
	if (doorbell % 2)
		fake->queues[doorbell / 2].cq_head = (unsigned int)value;
	else
		fake->queues[doorbell / 2].sq_tail = (unsigned int)value;
	fake->sq_writes += doorbell >= 2 && doorbell % 2 == 0;
	fake->cq_writes += doorbell >= 2 && doorbell % 2 == 1;
	fake_work(fake);
}

static void rung(struct vfio_function *fn, void *arg)
{
	fake_work(arg);
}

static int fake_reset(struct vfio_function *fn)
{
	struct fake *fake = vfio_function_state(fn);

	fake->resets++;
	fake->stuck = false;
	fake->cc = 0;
	if (fake->fn)
		disable(fake);
	return 0;
}

/* ---- made and opened ------------------------------------------------------------------------ */

void fake_init(struct fake *fake, enum fake_doorbells doorbells)
{
	memset(fake, 0, sizeof(*fake));
	fake->doorbells = doorbells;
	fake->class_code = 0x010802;
	fake->cap = VFIO_NVME_PUT(2047ull, CAP_MQES) | VFIO_NVME_PUT(1ull, CAP_CQR) |
		    VFIO_NVME_PUT(1ull, CAP_CSS);
	fake->msix = 3;
	fake->granted = 3 << 16 | 3;
	memcpy(fake->id.sn, "FAKE", 4);
	fake->id.mdts = 5;
	fake->id.sqes = 0x66;
	fake->id.cqes = 0x44;
	fake->id.aerl = 2;
	fake->id.nn = htole32(1);
	if (doorbells == FAKE_SHADOW)
		fake->id.oacs = htole16(VFIO_NVME_OACS_DOORBELLS);
	fake->ns.nsze = htole64(1000);
	fake->ns.lbaf[0].lbads = 12;
	fake->active[0] = 1;
}

struct vfio_dev *fake_open(struct fake *fake)
{
	static const struct vfio_function_ops ops = {
		.size = sizeof(ops), .read = fake_read, .write = fake_write, .reset = fake_reset,
	};
	static const struct vfio_area page = { VFIO_NVME_DOORBELLS, 0x1000 };
	const struct vfio_function_description description = {
		.size = sizeof(description), .name = "fake", .vendor = 0x1b36, .device = 0x10,
		.class_code = fake->class_code, .interrupt_pin = fake->intx ? 1 : 0,
		.msi_vectors = (uint8_t)fake->msi, .msix_vectors = (uint16_t)fake->msix,
		.msix_table = MSIX_TABLE, .msix_pba = MSIX_PBA,
		.bars[0] = {
			.size = BAR_SIZE, .flags = VFIO_BAR_MEM64, .areas = &page,
			.nareas = fake->doorbells == FAKE_MEMORY,
		},
	};
	struct vfio_dev *dev;

	fake->fn = NULL;
	if (vfio_function_new(&fake->fn, &description, &ops, fake, NULL) < 0 ||
	    (fake->doorbells == FAKE_MEMORY &&
	     vfio_function_doorbell(fake->fn, 0, VFIO_NVME_DOORBELLS, 0x1000, rung, fake) < 0) ||
	    vfio_function_open(&dev, fake->fn, NULL) < 0)
		abort();
	return dev;
}
