/* SPDX-License-Identifier: MIT */
/*
 * The NVMe controller of devices/nvme against a hostile driver: the input is a program of what that
 * does with registers, configuration space, memory, queues and interrupts. Beside it works an
 * honest driver (nvme_host.h): as long as nothing hostile reached its queues, each of its commands
 * has one answer, in order; a command that failed has changed no block; and what is read is what
 * was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "input.h"
#include "nvme_host.h"

#define CONFIG     VFIO_PCI_CONFIG_REGION_INDEX
#define MAX_STEPS  128
#define MAX_WAITS  4u
#define MAX_LOOKS  14u			/* at whole namespaces: they take their time */

struct run {
	struct host host;
	struct input *in;
	unsigned int nest;		/* so many times something is done while the device asks */
	bool nested;
	bool own_bells;			/* doorbell buffers may be where the device writes */
	unsigned int waits, looks;
};

/* ---- addresses ----------------------------------------------------------------------------- */

/* Interesting ones, rarely any: one byte for the page, one for the offset. */
static uint64_t take_address(struct input *in)
{
	uint8_t page = take8(in), at = take8(in);
	uint64_t iova, offset = at < 0x80 ? at * 32u : PAGE - 0x100 + at;

	if (page < 0x40)
		return WINDOW_AT + page % WINDOW_PAGES * PAGE + offset;
	if (page < 0x60)
		return DATA_AT + (page - 0x40u) % DATA_PAGES * PAGE + offset;
	if (page < 0x80)
		return -(uint64_t)(1 + page % 2) * PAGE + offset;
	if (page < 0xf0)
		return offset;
	iova = take64(in);
	return iova - HONEST_AT < HONEST_PAGES * PAGE ? 0 : iova;
}

static uint32_t take_nsid(struct input *in)
{
	uint8_t n = take8(in);

	return n < 0xf0 ? n % 6 : n == 0xff ? UINT32_MAX : take32(in);
}

/* ---- registers ----------------------------------------------------------------------------- */

/* What does not matter to an honest queue: masks, and what is read-only. */
static bool harmless(uint64_t offset, unsigned int width)
{
	return offset >= VFIO_NVME_INTMS && offset + width <= VFIO_NVME_CC;
}

static void step_write(struct run *run)
{
	unsigned int width = 1u << take8(run->in) % 4;
	uint64_t offset = take16(run->in) % 0x4100, value = take64(run->in);

	if (!harmless(offset, width))
		host_distrust(&run->host);
	value = htole64(value);
	vfio_pwrite(run->host.dev, BAR, offset, &value, width);
}

/* One of those that matter, with a value that may. */
static void step_register(struct run *run)
{
	static const uint8_t registers[] = {
		VFIO_NVME_CC, VFIO_NVME_AQA, VFIO_NVME_ASQ, VFIO_NVME_ACQ, VFIO_NVME_INTMS,
		VFIO_NVME_INTMC, VFIO_NVME_CSTS, VFIO_NVME_NSSR,
	};
	uint8_t which = registers[take8(run->in) % sizeof(registers)];
	uint64_t value;

	if (which == VFIO_NVME_ASQ || which == VFIO_NVME_ACQ)
		value = take_address(run->in);
	else
		value = take32(run->in);
	if (!harmless(which, 4))
		host_distrust(&run->host);
	host_write32(&run->host, which, (uint32_t)value);
	if (which == VFIO_NVME_ASQ || which == VFIO_NVME_ACQ)
		host_write32(&run->host, which + 4u, (uint32_t)(value >> 32));
}

static void step_read(struct run *run)
{
	uint64_t offset = take16(run->in), value;
	unsigned int len = take8(run->in) % 9;

	vfio_pread(run->host.dev, BAR, offset, &value, len);
}

static void write_config(struct run *run, uint64_t offset, uint32_t value, unsigned int width)
{
	value = htole32(value);
	vfio_pwrite(run->host.dev, CONFIG, offset, &value, width);
}

static uint64_t capability(struct host *h, uint8_t id)
{
	int at = vfio_find_capability(h->dev, id);

	CHECK(at > 0);
	return (uint64_t)at;
}

static void step_config(struct run *run)
{
	struct host *h = &run->host;
	uint8_t what = take8(run->in);

	switch (what & 7) {
	case 0:
	case 1:				/* memory is decoded all the same */
		h->silent = !(what & 1);
		write_config(run, PCI_COMMAND,
			     PCI_COMMAND_MEMORY | (h->silent ? 0 : PCI_COMMAND_MASTER), 2);
		break;
	default:
		host_distrust(h);
		write_config(run, take16(run->in) % 0x200, take32(run->in), 1u << (what >> 3) % 3);
		break;
	case 6:				/* D0, D3hot */
	case 7:
		host_distrust(h);
		write_config(run, capability(h, PCI_CAP_ID_PM) + PCI_PM_CTRL, what & 1 ? 3 : 0, 2);
		break;
	case 5:				/* function level reset */
		host_distrust(h);
		write_config(run, capability(h, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL,
			     PCI_EXP_DEVCTL_BCR_FLR, 2);
		break;
	}
}

static void step_reset(struct run *run)
{
	host_distrust(&run->host);
	CHECK(vfio_reset(run->host.dev) == 0);
}

/* The user goes, and another one comes. */
static void step_recycle(struct run *run)
{
	host_distrust(&run->host);
	CHECK(run->host.dev->backend->recycle(run->host.dev) == 0);
	host_gone(&run->host);
}

static void step_interrupts(struct run *run)
{
	uint8_t what = take8(run->in);
	uint32_t index = (what & 3) % 3;
	int fds[8];

	switch (what >> 2 & 3) {
	case 0:
	case 1:
		vfio_irq_enable(run->host.dev, index, 1 + (what >> 4 & 7), fds);
		break;
	case 2:
		vfio_irq_disable(run->host.dev, index);
		break;
	case 3:
		vfio_irq_unmask(run->host.dev, index, what >> 4);
		break;
	}
}

/* ---- memory -------------------------------------------------------------------------------- */

static void step_map(struct run *run)
{
	uint8_t what = take8(run->in);
	struct place *p = &run->host.places[(what & 0x7f) % PLACES];

	if (p == &run->host.places[HONEST] && !(what & 0x80))
		host_distrust(&run->host);
	if (what & 0x80)
		host_map(&run->host, p);
	else
		host_unmap(&run->host, p);
}

static size_t put_prp(struct run *run, uint64_t at)
{
	uint64_t prp = htole64(take_address(run->in));

	host_put(&run->host, at, &prp, sizeof(prp));
	return sizeof(prp);
}

static size_t put_sgl(struct run *run, uint64_t at)
{
	struct vfio_nvme_sgl sgl = { .address = htole64(take_address(run->in)) };

	sgl.length = htole32(take16(run->in));
	sgl.type = take8(run->in);
	host_put(&run->host, at, &sgl, sizeof(sgl));
	return sizeof(sgl);
}

static size_t put_range(struct run *run, uint64_t at)
{
	struct vfio_nvme_range range = { .blocks = htole32(take8(run->in)) };

	range.lba = htole64(take8(run->in));
	host_put(&run->host, at, &range, sizeof(range));
	return sizeof(range);
}

static void step_list(struct run *run)
{
	static size_t (*const puts[4])(struct run *run, uint64_t at) = {
		put_prp, put_range, put_sgl, put_sgl,
	};
	uint64_t at = take_address(run->in);
	uint8_t n = take8(run->in);

	for (unsigned int i = 0; i < (n & 15u) + 1; i++)
		at += puts[n >> 6](run, at);
}

/* Commands where a hostile queue may be, or data. */
static void take_command(struct run *run, struct vfio_nvme_command *cmd, bool admin);

static void step_put(struct run *run)
{
	uint64_t at = take_address(run->in);
	uint8_t n = take8(run->in);
	struct vfio_nvme_command cmd;
	uint8_t fill[512];

	if (n & 0x80) {
		take_command(run, &cmd, n & 1);
		host_put(&run->host, at, &cmd, sizeof(cmd));
		return;
	}
	memset(fill, n, sizeof(fill));
	host_put(&run->host, at, fill, sizeof(fill));
}

/* Files are cut off, and get their length back; a namespace's cannot be written any more. */
static void step_files(struct run *run)
{
	struct host *h = &run->host;
	uint8_t what = take8(run->in);

	switch (what & 3) {
	case 0:
		CHECK(ftruncate(h->places[4].fd, (what >> 2) % 5 * PAGE) == 0);
		break;
	case 1:
		h->files_fit = false;
		if (ftruncate(h->files[what >> 7], (what >> 2) % 17 * PAGE + (what & 0x40) * 8) < 0)
			CHECK(errno == EPERM);
		break;
	case 2:
		h->files_fit = false;
		fcntl(h->files[0], F_ADD_SEALS, what & 4 ? F_SEAL_WRITE : F_SEAL_GROW);
		break;
	case 3:
		run->nest = what >> 2 & 7;
		h->peer_fails = what & 0x80;
		break;
	}
}

/* ---- queues -------------------------------------------------------------------------------- */

static void step_bring_up(struct run *run)
{
	uint8_t n = take8(run->in);

	if (run->nested)
		return;
	host_bring_up(&run->host, 2 + (n & 0x3fu) % 63);
	if (n & 0x80)
		host_make_queue(&run->host, 1, 2 + (n & 0x3fu) % 63);
	if (n & 0x40)
		host_use_shadow(&run->host);
}

/* With admin queues anywhere. */
static void step_bring_up_badly(struct run *run)
{
	uint64_t asq = take_address(run->in), acq = take_address(run->in);
	uint32_t aqa = take16(run->in);

	host_distrust(&run->host);
	host_write32(&run->host, VFIO_NVME_CC, 0);
	host_write32(&run->host, VFIO_NVME_AQA, (aqa & 0xff) | (aqa & 0xff00) << 8);
	host_write32(&run->host, VFIO_NVME_ASQ, (uint32_t)asq & -PAGE);
	host_write32(&run->host, VFIO_NVME_ASQ + 4, (uint32_t)(asq >> 32));
	host_write32(&run->host, VFIO_NVME_ACQ, (uint32_t)acq & -PAGE);
	host_write32(&run->host, VFIO_NVME_ACQ + 4, (uint32_t)(acq >> 32));
	host_write32(&run->host, VFIO_NVME_CC, 0x00460001);
}

static void step_queue(struct run *run)
{
	uint8_t what = take8(run->in);

	if (run->nested)
		return;
	if (what & 0x80)
		host_use_shadow(&run->host);
	else
		host_make_queue(&run->host, 1 + (what & 7) % (QUEUES - 1), 2 + (what >> 3) * 4);
}

static void step_doorbell(struct run *run)
{
	struct host *h = &run->host;
	uint8_t what = take8(run->in);
	uint32_t value = take16(run->in), index = what & 0x1f;
	volatile uint32_t *page;

	host_distrust(h);
	if (what & 0x80)
		value |= (uint32_t)take16(run->in) << 16;
	if (!(what & 0x60)) {
		host_write32(h, VFIO_NVME_DOORBELLS + 4 * index, value);
		return;
	}
	/* By mapping: it has to look for itself, or is told by a descriptor. */
	page = vfio_map(h->dev, BAR, VFIO_NVME_DOORBELLS, PAGE);
	CHECK(page);
	page[index] = htole32(value);
	if (what & 0x40)
		CHECK(eventfd_write(vfio_doorbell_fd(h->dev, BAR, VFIO_NVME_DOORBELLS), 1) == 0);
}

/* ---- commands ------------------------------------------------------------------------------ */

static uint8_t take_opcode(struct input *in, bool admin)
{
	static const uint8_t opcodes[2][12] = {
		{ VFIO_NVME_FLUSH, VFIO_NVME_WRITE, VFIO_NVME_READ, VFIO_NVME_COMPARE,
		  VFIO_NVME_WRITE_ZEROES, VFIO_NVME_DATASET_MANAGEMENT, VFIO_NVME_WRITE,
		  VFIO_NVME_READ, VFIO_NVME_WRITE, VFIO_NVME_READ, VFIO_NVME_COMPARE,
		  VFIO_NVME_WRITE_ZEROES },
		{ VFIO_NVME_DELETE_SQ, VFIO_NVME_CREATE_SQ, VFIO_NVME_GET_LOG_PAGE,
		  VFIO_NVME_DELETE_CQ, VFIO_NVME_CREATE_CQ, VFIO_NVME_IDENTIFY, VFIO_NVME_ABORT,
		  VFIO_NVME_SET_FEATURES, VFIO_NVME_GET_FEATURES, VFIO_NVME_ASYNC_EVENT,
		  VFIO_NVME_DOORBELL_BUFFERS, VFIO_NVME_FORMAT },
	};
	uint8_t n = take8(in);

	return n < 0xc0 ? opcodes[admin][n % 12] : n - 0x40;
}

/* A byte says which of the dwords there are. */
static void take_command(struct run *run, struct vfio_nvme_command *cmd, bool admin)
{
	struct input *in = run->in;
	uint32_t *dwords[] = { &cmd->cdw10, &cmd->cdw11, &cmd->cdw12, &cmd->cdw13, &cmd->cdw14,
			       &cmd->cdw15 };
	uint8_t mask;

	*cmd = (struct vfio_nvme_command){ .opcode = take_opcode(in, admin) };
	run->own_bells |= cmd->opcode == VFIO_NVME_DOORBELL_BUFFERS;
	cmd->flags = take8(in);
	cmd->cid = htole16(take8(in));
	cmd->nsid = htole32(take_nsid(in));
	mask = take8(in);
	cmd->prp1 = htole64(take_address(in));
	if (cmd->flags & VFIO_NVME_PSDT_MASK) {
		cmd->sgl.length = htole32(take16(in));
		cmd->sgl.type = take8(in);
	} else {
		cmd->prp2 = htole64(take_address(in));
	}
	for (unsigned int i = 0; i < 6; i++)
		if (mask >> i & 1)
			*dwords[i] = htole32(take32(in));
	if (mask & 0x40)
		cmd->mptr = take64(in);
	if (mask & 0x80)
		cmd->cdw2 = cmd->cdw3 = take32(in);
}

/* Commands that change which queues there are, or where doorbells are, no honest driver sends. */
static bool moves_queues(const struct vfio_nvme_command *cmd)
{
	switch (cmd->opcode) {
	case VFIO_NVME_DELETE_SQ:
	case VFIO_NVME_CREATE_SQ:
	case VFIO_NVME_DELETE_CQ:
	case VFIO_NVME_CREATE_CQ:
	case VFIO_NVME_DOORBELL_BUFFERS:
		return true;
	default:
		return false;
	}
}

/* It is answered, and leaves the honest driver's queues alone. */
static bool can_be_alone(const struct vfio_nvme_command *cmd)
{
	return cmd->opcode != VFIO_NVME_ASYNC_EVENT && !moves_queues(cmd);
}

/* The honest driver sends hostile commands, too, some many times. */
static void step_command(struct run *run)
{
	struct host *h = &run->host;
	uint8_t how = take8(run->in);
	unsigned int q = (how & 7) % QUEUES, times = 1u << (how >> 3 & 7);
	struct vfio_nvme_command cmd;

	take_command(run, &cmd, !q);
	if (!q && cmd.opcode == VFIO_NVME_ASYNC_EVENT)
		cmd.cid = htole16(ASYNC_CID | (le16toh(cmd.cid) & 0xff));
	if (!h->trusted || !h->queues[q].exists || run->nested)
		return;
	if (how >> 6 == 2 && !run->nest && can_be_alone(&cmd)) {
		if (run->looks++ < MAX_LOOKS)
			check_alone(h, q, cmd);
		return;
	}
	while (times-- && host_submit(h, q, &cmd))
		;
	if (how >> 6 == 1)
		return;
	host_ring(h, q);
	if (!q && moves_queues(&cmd))
		host_distrust(h);
}

/* By an honest driver, who knows what the outcome has to be. */
static void step_io(struct run *run)
{
	static const uint8_t opcodes[] = {
		VFIO_NVME_WRITE, VFIO_NVME_READ, VFIO_NVME_COMPARE, VFIO_NVME_WRITE_ZEROES,
	};
	uint8_t what = take8(run->in), lba = take8(run->in), blocks = take8(run->in);
	uint32_t offset = (take8(run->in) * 4u) % PAGE;
	const struct vfio_nvme_command cmd = {
		.opcode = opcodes[what & 3], .nsid = 1 + (what >> 2 & 3), .cdw10 = lba,
		.cdw12 = blocks | (what & 0x80 ? VFIO_NVME_FUA | VFIO_NVME_DEALLOCATE : 0),
	};
	uint8_t how = take8(run->in);

	if (!run->nested && run->looks++ < MAX_LOOKS)
		check_io(&run->host, cmd, offset, how, !(what & 0x40));
}

/* ---- the program --------------------------------------------------------------------------- */

static void step_turns(struct run *run)
{
	struct pollfd p = { .fd = vfio_poll_fd(run->host.dev), .events = POLLIN };
	uint8_t n = take8(run->in);

	if (run->nested)
		return;
	for (unsigned int q = 0; q < QUEUES; q++)
		if (n & 0x40)
			host_ring(&run->host, q);
	for (unsigned int i = 0; i < (n & 3u); i++)
		CHECK(vfio_dispatch(run->host.dev) == 0);
	/* It looks at doorbells that nobody told it of. */
	if ((n & 0x20) && run->waits++ < MAX_WAITS && poll(&p, 1, 2) == 1)
		CHECK(vfio_dispatch(run->host.dev) == 0);
	if (n & 0x80)
		host_settle(&run->host);
}

static void (*const steps[])(struct run *run) = {
	step_write, step_register, step_read, step_config, step_reset, step_interrupts, step_map,
	step_list, step_put, step_files, step_bring_up, step_bring_up_badly, step_queue,
	step_doorbell, step_command, step_io, step_recycle,
};

static void step(struct run *run)
{
	uint8_t op = take8(run->in);

	if (op & 0x80)
		step_turns(run);
	steps[(op & 0x7f) % (sizeof(steps) / sizeof(steps[0]))](run);
}

/*
 * The server goes on while it waits for memory: the device's administrator can use registers and
 * reset it. Memory is not unmapped then.
 */
static void asked(void *arg)
{
	static void (*const allowed[8])(struct run *run) = {
		step_write, step_register, step_read, step_config, step_reset, step_doorbell,
		step_list, step_put,
	};
	struct run *run = arg;

	if (!run->nest || run->nested)
		return;
	run->nest--;
	run->nested = true;
	host_distrust(&run->host);
	allowed[take8(run->in) % 8](run);
	run->nested = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	struct input in = { data, size };
	unsigned int fds = open_fds();

	memset(&run, 0, sizeof(run));
	run.in = &in;
	run.host.asked = asked;
	run.host.asked_arg = &run;
	host_open(&run.host, take8(&in));
	for (unsigned int i = 0; i < MAX_STEPS && in.left; i++)
		step(&run);
	run.nest = 0;
	host_settle(&run.host);
	if (!run.own_bells)
		host_check_sleep(&run.host);
	host_close(&run.host);
	CHECK(open_fds() == fds);
	return 0;
}
