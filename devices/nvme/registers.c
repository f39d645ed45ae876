/* SPDX-License-Identifier: MIT */
/*
 * Registers (3.1) and the states of the controller (3.1.5, 7.3, 7.6). The doorbells are memory, see
 * poll.c.
 */
#include <time.h>

#include "nvme.h"

#define TIMEOUT 30u		/* CAP.TO: 15 s, in half seconds */

#define IOSQES  6u		/* log2 of the size of entries */
#define IOCQES  4u

/* What can be written of CC while the controller is enabled: 3.1.5. */
#define CC_SHN     VFIO_NVME_PUT(VFIO_NVME_CC_SHN_MASK, CC_SHN)
#define CC_ENTRIES (VFIO_NVME_PUT(VFIO_NVME_CC_IOSQES_MASK, CC_IOSQES) | \
		    VFIO_NVME_PUT(VFIO_NVME_CC_IOCQES_MASK, CC_IOCQES))
#define CC_BITS    0x00fffff1u	/* the others are reserved */

#define AQA_BITS   (VFIO_NVME_PUT(VFIO_NVME_AQA_ASQS_MASK, AQA_ASQS) | \
		    VFIO_NVME_PUT(VFIO_NVME_AQA_ACQS_MASK, AQA_ACQS))

/* 3.1.1: contiguous queues, the NVM command set, pages of 4096 bytes, no subsystem reset. */
static uint64_t capabilities(void)
{
	return VFIO_NVME_PUT((uint64_t)MAX_ENTRIES - 1, CAP_MQES) |
	       VFIO_NVME_PUT(UINT64_C(1), CAP_CQR) | VFIO_NVME_PUT((uint64_t)TIMEOUT, CAP_TO) |
	       VFIO_NVME_PUT(UINT64_C(1), CAP_CSS);
}

/* ---- 7.3: resets --------------------------------------------------------------------------- */

static void stop_queues(struct nvme *n)
{
	for (unsigned int i = 0; i < MAX_QUEUES; i++)
		if (n->sqs[i].exists)
			sq_stop(n, &n->sqs[i]);
	for (unsigned int i = 0; i < MAX_QUEUES; i++)
		if (n->cqs[i].exists)
			cq_stop(n, &n->cqs[i]);
	n->nfresh = 0;
}

/* The first life. Another user, or a reset of the function, is no loss of power. */
static void power_on(struct nvme *n)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	n->counters.made_at = (uint64_t)now.tv_sec;
	n->counters.power_cycles = 1;
}

/* The life ends first: what files still have of it is not answered any more. */
void controller_reset(struct nvme *n)
{
	if (VFIO_NVME_GET(n->cc, CC_EN) &&
	    VFIO_NVME_GET(n->csts, CSTS_SHST) == VFIO_NVME_SHST_NORMAL)
		n->counters.unsafe_shutdowns++;
	if (n->life++ == 0)
		power_on(n);
	n->cap = capabilities();
	n->cc = n->csts = n->aqa = n->int_mask = 0;
	n->asq = n->acq = 0;
	files_drain(n);
	stop_queues(n);
	n->shadow = n->events = (struct ring){ 0 };
	for (unsigned int i = 0; n->doorbells && i < PAGE / sizeof(*n->doorbells); i++)
		__atomic_store_n(&n->doorbells[i], 0, __ATOMIC_RELAXED);
	events_reset(n);
	features_reset(n);
	n->intx = false;
	vfio_function_intx(n->fn, false);
	poll_queues_changed(n);
}

void controller_fail(struct nvme *n)
{
	n->csts |= VFIO_NVME_PUT(1u, CSTS_CFS);
}

/* 7.3.2: CC.EN cleared is a reset, and no loss of power; the admin queues' registers stay. */
static void disable(struct nvme *n)
{
	uint64_t asq = n->asq, acq = n->acq;
	uint32_t aqa = n->aqa;

	n->cc &= ~VFIO_NVME_PUT(1u, CC_EN);
	controller_reset(n);
	n->asq = asq;
	n->acq = acq;
	n->aqa = aqa;
}

/* ---- 7.6.1: initialisation ----------------------------------------------------------------- */

/* 3.1.5: entry sizes can be 0 until I/O queues are made. */
static bool can_enable(const struct nvme *n)
{
	uint32_t iosqes = VFIO_NVME_GET(n->cc, CC_IOSQES), iocqes = VFIO_NVME_GET(n->cc, CC_IOCQES);

	return VFIO_NVME_GET(n->aqa, AQA_ASQS) >= 1 && VFIO_NVME_GET(n->aqa, AQA_ACQS) >= 1 &&
	       n->asq % PAGE == 0 && n->acq % PAGE == 0 &&
	       VFIO_NVME_GET(n->cc, CC_CSS) == 0 && VFIO_NVME_GET(n->cc, CC_MPS) == 0 &&
	       VFIO_NVME_GET(n->cc, CC_AMS) == 0 &&
	       (iosqes == 0 || iosqes == IOSQES) && (iocqes == 0 || iocqes == IOCQES);
}

bool controller_has_entry_sizes(const struct nvme *n)
{
	return VFIO_NVME_GET(n->cc, CC_IOSQES) == IOSQES &&
	       VFIO_NVME_GET(n->cc, CC_IOCQES) == IOCQES;
}

/* A shutdown that was asked for before is no longer told of. */
static void enable(struct nvme *n)
{
	n->life++;
	n->csts = 0;
	if (!can_enable(n)) {
		controller_fail(n);
		return;
	}
	cq_start(n, 0, n->acq, VFIO_NVME_GET(n->aqa, AQA_ACQS) + 1, true, 0);
	sq_start(n, 0, &n->cqs[0], n->asq, VFIO_NVME_GET(n->aqa, AQA_ASQS) + 1);
	n->csts = VFIO_NVME_PUT(1u, CSTS_RDY);
}

/* ---- 7.6.2: shutdown ----------------------------------------------------------------------- */

static void put_shutdown(struct nvme *n, uint32_t state)
{
	n->csts &= ~VFIO_NVME_PUT(VFIO_NVME_CSTS_SHST_MASK, CSTS_SHST);
	n->csts |= VFIO_NVME_PUT(state, CSTS_SHST);
}

/* Nothing has to be waited for any more; only a reset leads out of it. */
void controller_flushed(struct nvme *n, uint64_t life)
{
	if (--n->flushes == 0 && n->life == life)
		put_shutdown(n, VFIO_NVME_SHST_COMPLETE);
}

/*
 * What is written is on the medium when the shutdown is complete. That may take as long as a medium
 * does, so it is not waited for here: who wants to know looks at CSTS.
 */
static void shut_down(struct nvme *n)
{
	uint64_t life = n->life;

	files_drain(n);
	if (n->life != life)
		return;
	put_shutdown(n, VFIO_NVME_SHST_OCCURRING);
	n->flushes = 1;
	for (unsigned int i = 0; i < n->nnamespaces; i++)
		if (!n->namespaces[i].memory)
			io_flush(n, &n->namespaces[i]);
	controller_flushed(n, life);
}

static void cc_write(struct nvme *n, uint32_t value)
{
	bool was = VFIO_NVME_GET(n->cc, CC_EN), is = VFIO_NVME_GET(value, CC_EN);
	uint32_t mask = was && is ? CC_SHN | CC_ENTRIES : CC_BITS;
	bool asks = VFIO_NVME_GET(value, CC_SHN) != VFIO_NVME_SHN_NONE;
	bool asked = VFIO_NVME_GET(n->cc, CC_SHN) != VFIO_NVME_SHN_NONE;

	/* One write may ask for both; the shutdown is then lost with what it would tell. */
	if (was && !is)
		disable(n);
	n->cc = (n->cc & ~mask) | (value & mask);
	if (!was && is)
		enable(n);
	if (asks && !asked)
		shut_down(n);
}

/* ---- 3.1: accesses ------------------------------------------------------------------------- */

/*
 * 4 bytes. Registers of what the controller does not have (NSSR, memory buffers, boot partitions)
 * read as 0, which says so.
 */
static uint32_t read_half(const struct nvme *n, uint64_t offset)
{
	switch (offset) {
	case VFIO_NVME_CAP:	return (uint32_t)n->cap;
	case VFIO_NVME_CAP + 4:	return (uint32_t)(n->cap >> 32);
	case VFIO_NVME_VS:	return VFIO_NVME_VERSION_1_4;
	case VFIO_NVME_INTMS:
	case VFIO_NVME_INTMC:	return n->int_mask;
	case VFIO_NVME_CC:	return n->cc;
	case VFIO_NVME_CSTS:	return n->csts;
	case VFIO_NVME_AQA:	return n->aqa;
	case VFIO_NVME_ASQ:	return (uint32_t)n->asq;
	case VFIO_NVME_ASQ + 4:	return (uint32_t)(n->asq >> 32);
	case VFIO_NVME_ACQ:	return (uint32_t)n->acq;
	case VFIO_NVME_ACQ + 4:	return (uint32_t)(n->acq >> 32);
	default:		return 0;
	}
}

static void set_low(uint64_t *reg, uint32_t value)
{
	*reg = (*reg & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *reg, uint32_t value)
{
	*reg = (uint32_t)*reg | (uint64_t)value << 32;
}

/* 3.1.8 to 3.1.10: where the admin queues are; read when the controller is enabled. */
static void write_admin_queues(struct nvme *n, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VFIO_NVME_AQA:	n->aqa = value & AQA_BITS; break;
	case VFIO_NVME_ASQ:	set_low(&n->asq, value); break;
	case VFIO_NVME_ASQ + 4:	set_high(&n->asq, value); break;
	case VFIO_NVME_ACQ:	set_low(&n->acq, value); break;
	case VFIO_NVME_ACQ + 4:	set_high(&n->acq, value); break;
	}
}

static void write_half(struct nvme *n, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VFIO_NVME_INTMS:
	case VFIO_NVME_INTMC:
		n->int_mask = offset == VFIO_NVME_INTMS ? n->int_mask | value :
							  n->int_mask & ~value;
		intx_update(n);
		break;
	case VFIO_NVME_CC:
		cc_write(n, value);
		break;
	default:
		write_admin_queues(n, offset, value);
		break;
	}
}

/* 8 bytes are two times 4. The MSI-X table and the pending bits are not ours. */
static bool is_register(unsigned int bar, uint64_t offset, unsigned int width)
{
	return bar == 0 && offset < VFIO_NVME_DOORBELLS && (width == 4 || width == 8);
}

uint64_t controller_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			 unsigned int width)
{
	struct nvme *n = vfio_function_state(fn);

	if (!is_register(bar, offset, width))
		return ~UINT64_C(0);
	if (offset == VFIO_NVME_CSTS && n->flushes)
		files_poll(n);
	if (width == 4)
		return read_half(n, offset);
	return read_half(n, offset) | (uint64_t)read_half(n, offset + 4) << 32;
}

void controller_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value)
{
	struct nvme *n = vfio_function_state(fn);

	if (!is_register(bar, offset, width))
		return;
	write_half(n, offset, (uint32_t)value);
	if (width == 8)
		write_half(n, offset + 4, (uint32_t)(value >> 32));
}
