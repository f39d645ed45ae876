/* SPDX-License-Identifier: MIT */
#include "nvme_controller.h"

#include <endian.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"

#define STALLS   24u
#define PATIENCE 300u
#define COMMANDS 64u			/* of a queue, at each look */

/* ---- registers ----------------------------------------------------------------------------- */

/* Is it time for a lie? */
static bool lies(unsigned int *honest, unsigned int *left)
{
	if (*honest) {
		--*honest;
		return false;
	}
	if (!*left)
		return false;
	--*left;
	return true;
}

static uint64_t honest_read(const struct controller *c, uint64_t offset)
{
	switch (offset) {
	case VFIO_NVME_CAP:	return c->cap;
	case VFIO_NVME_VS:	return VFIO_NVME_VERSION_1_4;
	case VFIO_NVME_CC:	return c->cc;
	case VFIO_NVME_CSTS:	return c->csts;
	case VFIO_NVME_AQA:	return c->aqa;
	case VFIO_NVME_ASQ:	return c->asq;
	case VFIO_NVME_ACQ:	return c->acq;
	default:		return 0;
	}
}

/* Whoever waits for it to be ready must not wait for long here: it goes. */
static uint64_t lie(struct controller *c, uint64_t value)
{
	uint8_t how = take8(c->in);

	switch (how & 7) {
	case 0:
		return value;
	case 1:
		c->gone = true;
		return ~UINT64_C(0);
	case 2:
		return value ^ UINT64_C(1) << (how >> 3);
	case 3:
		return take32(c->in);
	case 4:
		return value | VFIO_NVME_PUT(1u, CSTS_CFS);
	default:
		return take64(c->in);
	}
}

/* A wait for its status asks every millisecond, and for one that is not ready, for long. */
static void spend(struct controller *c, bool stalls)
{
	if (!c->patience || (stalls && !c->stalls)) {
		c->gone = true;
		return;
	}
	c->patience--;
	c->stalls -= stalls;
}

static uint64_t controller_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
				unsigned int width)
{
	struct controller *c = vfio_function_state(fn);
	uint64_t value = honest_read(c, offset);

	if (c->gone)
		return ~UINT64_C(0);
	if (lies(&c->honest_reads, &c->read_lies))
		value = lie(c, value);
	if (offset == VFIO_NVME_CSTS)
		spend(c, (value ^ c->cc) & 1);
	return value;
}

static uint32_t *bells(struct controller *c)
{
	char *memory = vfio_function_memory(c->fn, 0);

	return memory ? (uint32_t *)(void *)(memory + VFIO_NVME_DOORBELLS) : c->bells;
}

/* A reset: it forgets all but what it was made with. */
static void forget(struct controller *c)
{
	memset(bells(c), 0, sizeof(c->bells));
	memset(c->pairs, 0, sizeof(c->pairs));
	c->csts = 0;
	c->shadow = c->events = 0;
	c->nlate = c->nevents = 0;
}

static void enable(struct controller *c)
{
	c->pairs[0] = (struct pair){
		.sq = c->asq, .cq = c->acq, .phase = 1, .interrupts = true,
		.sq_entries = VFIO_NVME_GET(c->aqa, AQA_ASQS) + 1,
		.cq_entries = VFIO_NVME_GET(c->aqa, AQA_ACQS) + 1,
	};
	c->csts = 1;
}

static void write_cc(struct controller *c, uint32_t value)
{
	if (!(value & 1))
		forget(c);
	else if (!(c->cc & 1))
		enable(c);
	if (VFIO_NVME_GET(value, CC_SHN))
		c->csts |= VFIO_NVME_PUT(VFIO_NVME_SHST_COMPLETE, CSTS_SHST);
	c->cc = value;
}

static void controller_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			     unsigned int width, uint64_t value)
{
	struct controller *c = vfio_function_state(fn);

	if (offset - VFIO_NVME_DOORBELLS < sizeof(c->bells))
		c->bells[(offset - VFIO_NVME_DOORBELLS) / 4] = htole32((uint32_t)value);
	switch (offset) {
	case VFIO_NVME_CC:	write_cc(c, (uint32_t)value); break;
	case VFIO_NVME_AQA:	c->aqa = (uint32_t)value; break;
	case VFIO_NVME_ASQ:	c->asq = value; break;
	case VFIO_NVME_ACQ:	c->acq = value; break;
	}
	controller_work(c);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void post(struct controller *c, unsigned int q, const struct vfio_nvme_completion *answer)
{
	struct pair *p = &c->pairs[q];

	if (!p->cq || !p->cq_entries)
		return;
	vfio_function_dma_write(c->fn, p->cq + p->tail * sizeof(*answer), answer, sizeof(*answer));
	if (++p->tail == p->cq_entries) {
		p->tail = 0;
		p->phase ^= 1;
	}
	if (p->interrupts)
		vfio_function_msi(c->fn, p->vector);
	vfio_function_intx(c->fn, true);
}

static struct vfio_nvme_completion completion(const struct controller *c, unsigned int q,
					      uint16_t cid, uint16_t status, uint32_t result)
{
	return (struct vfio_nvme_completion){
		.result = htole32(result), .sqhd = htole16((uint16_t)c->pairs[q].head),
		.sqid = htole16((uint16_t)q), .cid = htole16(cid),
		.status = htole16((uint16_t)(status << 1 | c->pairs[q].phase)),
	};
}

void controller_answer(struct controller *c, unsigned int q, uint16_t cid, uint16_t status)
{
	const struct vfio_nvme_completion answer = completion(c, q, cid, status, 0);

	post(c, q, &answer);
}

void controller_event(struct controller *c, uint32_t what)
{
	struct vfio_nvme_completion answer;

	if (!c->nevents || c->gone)
		return;
	answer = completion(c, 0, c->event_cids[--c->nevents], 0, what);
	post(c, 0, &answer);
}

/* The last comes first. */
void controller_late(struct controller *c)
{
	while (c->nlate) {
		struct late *l = &c->late[--c->nlate];

		l->answer.status = (l->answer.status & htole16(0xfffe)) |
				   htole16(c->pairs[l->q].phase);
		post(c, l->q, &l->answer);
	}
}

static void keep_back(struct controller *c, unsigned int q, struct vfio_nvme_completion answer)
{
	if (c->nlate < LATE)
		c->late[c->nlate++] = (struct late){ q, answer };
}

static void post_lie(struct controller *c, unsigned int q, struct vfio_nvme_completion answer)
{
	uint8_t how = take8(c->in);

	switch (how & 7) {
	case 0:
		break;
	case 1:				/* none */
		return;
	case 2:
		keep_back(c, q, answer);
		return;
	case 3:
		answer.status ^= htole16((uint16_t)(take16(c->in) & 0xfffe));
		break;
	case 4:
		answer.cid = htole16(take16(c->in));
		break;
	case 5:				/* twice */
		post(c, q, &answer);
		answer.status = htole16((le16toh(answer.status) & 0xfffe) | c->pairs[q].phase);
		break;
	case 6:				/* which is not there yet */
		answer.status ^= htole16(1);
		break;
	case 7:
		answer.result = htole32(take32(c->in));
		break;
	}
	post(c, q, &answer);
}

/* ---- data ---------------------------------------------------------------------------------- */

/* What is honest of Identify, and as many changes to it as the input has. */
static void put_controller(struct controller *c, struct vfio_nvme_controller_data *d)
{
	d->mdts = 5;
	d->aerl = 3;
	d->sqes = 0x66;
	d->cqes = 0x44;
	d->nn = htole32(3);
	d->oacs = htole16(VFIO_NVME_OACS_DOORBELLS);
	d->oaes = htole32(0x100);
	d->sgls = htole32(1);
}

static void put_namespace(struct vfio_nvme_namespace_data *d)
{
	d->nsze = d->ncap = d->nuse = htole64(1000);
	d->lbaf[0].lbads = 9;
}

static void change(struct controller *c, uint8_t *data)
{
	unsigned int n = take8(c->in) % 8;

	while (n--) {
		uint16_t at = take16(c->in) % PAGE;

		data[at] = take8(c->in);
	}
}

static void identify(struct controller *c, const struct vfio_nvme_command *cmd, bool honest)
{
	union {
		struct vfio_nvme_controller_data controller;
		struct vfio_nvme_namespace_data namespace;
		uint32_t list[PAGE / 4];
		uint8_t bytes[PAGE];
	} data = { .bytes = { 0 } };
	uint32_t after = le32toh(cmd->nsid);

	switch (le32toh(cmd->cdw10) & 0xff) {
	case VFIO_NVME_CNS_CONTROLLER:
		put_controller(c, &data.controller);
		break;
	case VFIO_NVME_CNS_NAMESPACE:
		put_namespace(&data.namespace);
		break;
	case VFIO_NVME_CNS_ACTIVE:
		for (unsigned int i = 0; after < 3; i++)
			data.list[i] = htole32(++after);
		break;
	}
	if (!honest)
		change(c, data.bytes);
	vfio_function_dma_write(c->fn, le64toh(cmd->prp1), &data, sizeof(data));
}

/* ---- commands ------------------------------------------------------------------------------ */

static struct pair *pair_of(struct controller *c, uint32_t cdw10)
{
	return &c->pairs[(cdw10 & 0xffff) % QUEUES];
}

static void create(struct controller *c, const struct vfio_nvme_command *cmd, bool completion)
{
	uint32_t cdw10 = le32toh(cmd->cdw10), cdw11 = le32toh(cmd->cdw11);
	struct pair *p = pair_of(c, cdw10);

	bells(c)[2 * (p - c->pairs) + completion] = 0;
	if (completion) {
		*p = (struct pair){
			.cq = le64toh(cmd->prp1), .cq_entries = (cdw10 >> 16) + 1, .phase = 1,
			.vector = (uint16_t)(cdw11 >> 16),
			.interrupts = cdw11 & VFIO_NVME_CQ_INTERRUPTS,
		};
		return;
	}
	p->sq = le64toh(cmd->prp1);
	p->sq_entries = (cdw10 >> 16) + 1;
}

/* False: it is answered later. */
static bool execute_admin(struct controller *c, const struct vfio_nvme_command *cmd, bool honest,
			  uint32_t *result)
{
	switch (cmd->opcode) {
	case VFIO_NVME_IDENTIFY:
		identify(c, cmd, honest);
		break;
	case VFIO_NVME_CREATE_CQ:
	case VFIO_NVME_CREATE_SQ:
		create(c, cmd, cmd->opcode == VFIO_NVME_CREATE_CQ);
		break;
	case VFIO_NVME_DELETE_SQ:
		pair_of(c, le32toh(cmd->cdw10))->sq = 0;
		break;
	case VFIO_NVME_DELETE_CQ:
		pair_of(c, le32toh(cmd->cdw10))->cq = 0;
		break;
	case VFIO_NVME_DOORBELL_BUFFERS:
		c->shadow = le64toh(cmd->prp1);
		c->events = le64toh(cmd->prp2);
		break;
	case VFIO_NVME_SET_FEATURES:
		*result = (QUEUES - 2) << 16 | (QUEUES - 2);
		break;
	case VFIO_NVME_ASYNC_EVENT:
		if (c->nevents == sizeof(c->event_cids) / sizeof(c->event_cids[0]))
			break;
		c->event_cids[c->nevents++] = le16toh(cmd->cid);
		return false;
	}
	return true;
}

static void execute(struct controller *c, unsigned int q, const struct vfio_nvme_command *cmd)
{
	bool honest = !lies(&c->honest_answers, &c->answer_lies);
	struct vfio_nvme_completion answer;
	uint32_t result = 0;

	if (q == 0 && !execute_admin(c, cmd, honest, &result))
		return;
	answer = completion(c, q, le16toh(cmd->cid), 0, result);
	if (honest)
		post(c, q, &answer);
	else
		post_lie(c, q, answer);
}

/* ---- doorbells ----------------------------------------------------------------------------- */

static uint32_t tail_of(struct controller *c, unsigned int q)
{
	uint32_t tail = __atomic_load_n(&bells(c)[2 * q], __ATOMIC_ACQUIRE);

	if (q && c->shadow)
		vfio_function_dma_read(c->fn, c->shadow + 8 * q, &tail, sizeof(tail));
	return le32toh(tail);
}

/* The driver is asked to ring at the very next change. */
static void ask(struct controller *c, unsigned int q)
{
	uint32_t head = htole32(c->pairs[q].head);

	if (q && c->events)
		vfio_function_dma_write(c->fn, c->events + 8 * q, &head, sizeof(head));
}

void controller_work(struct controller *c)
{
	for (unsigned int q = 0; q < QUEUES && !c->gone && c->csts & 1; q++) {
		struct pair *p = &c->pairs[q];
		struct vfio_nvme_command cmd;

		for (unsigned int i = 0; p->sq && i < COMMANDS; i++) {
			uint32_t tail = tail_of(c, q);

			if (tail == p->head || tail >= p->sq_entries ||
			    vfio_function_dma_read(c->fn, p->sq + p->head * sizeof(cmd), &cmd,
						   sizeof(cmd)) < 0)
				break;
			p->head = (p->head + 1) % p->sq_entries;
			execute(c, q, &cmd);
		}
		ask(c, q);
	}
}

/* ---- life ---------------------------------------------------------------------------------- */

/* Nobody has to wake it: it works whenever its driver lets it. */
static void turn(struct vfio_function *fn, int fd, void *arg)
{
	vfio_function_intx(fn, false);
	controller_work(arg);
}

static void rung(struct vfio_function *fn, void *arg)
{
	controller_work(arg);
}

static int reset(struct vfio_function *fn)
{
	struct controller *c = vfio_function_state(fn);

	c->fn = fn;			/* the first one comes from vfio_function_new() */
	c->cc = c->aqa = 0;
	c->asq = c->acq = 0;
	forget(c);
	return 0;
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops), .read = controller_read, .write = controller_write, .reset = reset,
};

static const struct vfio_area doorbells = { .offset = VFIO_NVME_DOORBELLS, .size = PAGE };

void controller_make(struct controller *c, struct input *in, uint8_t how)
{
	const struct vfio_function_description d = {
		.size = sizeof(d), .name = "fuzz", .vendor = 0x1234, .device = 0x5678,
		.class_code = how & CONTROLLER_OTHER ? 0x010801 : 0x010802,
		.interrupt_pin = how & CONTROLLER_PIN ? 1 : 0,
		.msi_vectors = how & CONTROLLER_MSI ? 4 : 0,
		.msix_vectors = how & CONTROLLER_MSIX ? 3 : 0,
		.msix_table = 2 * PAGE, .msix_pba = 3 * PAGE, .power_management = true,
		.bars[0] = { .size = 4 * PAGE, .flags = VFIO_BAR_MEM64,
			     .nareas = how & CONTROLLER_MAPS ? 1 : 0, .areas = &doorbells },
	};
	const uint64_t one = 1;

	c->in = in;
	c->stalls = STALLS;
	c->patience = PATIENCE;
	c->cap = VFIO_NVME_PUT(UINT64_C(63), CAP_MQES) | VFIO_NVME_PUT(UINT64_C(1), CAP_CQR) |
		 VFIO_NVME_PUT(UINT64_C(1), CAP_CSS);
	CHECK(vfio_function_new(&c->fn, &d, &ops, c, NULL) == 0);
	c->awake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CHECK(c->awake >= 0 && write(c->awake, &one, sizeof(one)) == sizeof(one));
	CHECK(vfio_function_watch(c->fn, c->awake, turn, c) == 0);
	if ((how & CONTROLLER_MAPS) && (how & CONTROLLER_SLEEPS))
		CHECK(vfio_function_doorbell(c->fn, 0, VFIO_NVME_DOORBELLS, PAGE, rung, c) == 0);
}

void controller_finish(struct controller *c)
{
	close(c->awake);
}
