/* SPDX-License-Identifier: MIT */
/*
 * The driver of drivers/nvme against a controller that lies (nvme_controller.h), and a program that
 * calls it in any order. Whatever they do: each command that was submitted comes back once at most,
 * a queue counts those that are under way, calls end, and nothing is lost.
 */
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <time.h>

#include <vfio-nvme.h>

#include "check.h"
#include "nvme_controller.h"

#define MAX_STEPS 96u
#define MAX_NAPS  3u			/* time is dear */
#define MAX_WAITS 8u
#define USED      4u			/* queues at a time */
#define TAGS      512u
#define DATA      (8 * PAGE)

enum tag { TAG_FREE, TAG_UNDER_WAY, TAG_BACK };

struct user {
	struct vfio_nvme_queue *queue;
	enum tag tags[TAGS];
	unsigned int next, under_way;
};

struct run {
	struct input *in;
	struct controller controller;
	struct vfio_nvme *nvme;
	struct vfio_dma data;
	struct user users[USED];
	unsigned int naps, waits;
};

/* ---- commands ------------------------------------------------------------------------------ */

static struct user *take_user(struct run *run)
{
	struct user *u = &run->users[take8(run->in) % USED];

	return u->queue ? u : NULL;
}

/* The next tag that is not under way; tags are given again. */
static enum tag *take_tag(struct user *u)
{
	for (unsigned int i = 0; i < TAGS; i++) {
		u->next = (u->next + 1) % TAGS;
		if (u->tags[u->next] != TAG_UNDER_WAY)
			return &u->tags[u->next];
	}
	return NULL;
}

static void check_busy(const struct user *u)
{
	CHECK(vfio_nvme_queue_busy(u->queue) == u->under_way);
	CHECK(u->under_way <= vfio_nvme_queue_depth(u->queue));
}

static void submitted(struct user *u, enum tag *tag, int ret)
{
	bool full = u->under_way == vfio_nvme_queue_depth(u->queue);

	CHECK(ret == 0 || ret == -EAGAIN || ret == -EINVAL || ret == -ESHUTDOWN);
	CHECK(ret != -EAGAIN || full);
	CHECK(ret != 0 || !full);
	if (ret == 0) {
		*tag = TAG_UNDER_WAY;
		u->under_way++;
	}
	check_busy(u);
}

static void came_back(struct user *u, const struct vfio_nvme_done *done, int n)
{
	for (int i = 0; i < n; i++) {
		enum tag *tag = done[i].tag;

		CHECK(tag >= u->tags && tag < u->tags + TAGS && *tag == TAG_UNDER_WAY);
		CHECK(!(done[i].status & 0x8000));
		vfio_nvme_status_text(done[i].status);
		*tag = TAG_BACK;
		u->under_way--;
	}
	check_busy(u);
}

static uint64_t take_iova(struct run *run)
{
	uint8_t at = take8(run->in);

	return run->data.iova + at % 8u * PAGE + (at >> 3) * 4u;
}

static const struct vfio_nvme_namespace *take_namespace(struct run *run)
{
	return vfio_nvme_next_namespace(run->nvme, take8(run->in) % 4);
}

static void step_io(struct run *run)
{
	struct user *u = take_user(run);
	const struct vfio_nvme_namespace *ns = take_namespace(run);
	uint8_t what = take8(run->in);
	uint64_t lba = what & 0x80 ? take64(run->in) : take8(run->in), iova = take_iova(run);
	uint32_t blocks = what & 0x40 ? take32(run->in) : take8(run->in) % 16u;
	enum tag *tag = u ? take_tag(u) : NULL;

	if (!tag || !ns)
		return;
	switch (what & 3) {
	case 0:
		submitted(u, tag, vfio_nvme_read(u->queue, ns, lba, blocks, iova, tag));
		break;
	case 1:
		submitted(u, tag, vfio_nvme_write(u->queue, ns, lba, blocks, iova, tag));
		break;
	case 2:
		submitted(u, tag, vfio_nvme_flush(u->queue, ns, tag));
		break;
	case 3:
		submitted(u, tag, vfio_nvme_write_zeroes(u->queue, ns, lba, blocks, what & 4, tag));
		break;
	}
}

static void step_submit(struct run *run)
{
	struct user *u = take_user(run);
	struct vfio_nvme_command cmd = { .opcode = take8(run->in), .flags = take8(run->in) };
	struct vfio_nvme_piece pieces[8];
	unsigned int n = take8(run->in) % 9;
	enum tag *tag = u ? take_tag(u) : NULL;

	for (unsigned int i = 0; i < n; i++) {
		uint8_t len = take8(run->in);

		pieces[i].iova = take_iova(run);
		pieces[i].len = len & 0x80 ? (len & 0x7fu) * PAGE : len * 64u;
	}
	if (!tag)
		return;
	if (n > 1)
		submitted(u, tag, vfio_nvme_submit_pieces(u->queue, &cmd, pieces, n, tag));
	else
		submitted(u, tag, vfio_nvme_submit(u->queue, &cmd, n ? pieces[0].iova : 0,
						   n ? pieces[0].len : 0, tag));
}

static void step_many(struct run *run)
{
	struct user *u = take_user(run);
	const struct vfio_nvme_namespace *ns = take_namespace(run);
	unsigned int n = take8(run->in) % 128;

	while (u && ns && n--) {
		enum tag *tag = take_tag(u);

		if (tag)
			submitted(u, tag, vfio_nvme_read(u->queue, ns, n, 1, run->data.iova, tag));
	}
}

/* ---- answers ------------------------------------------------------------------------------- */

static void step_ring(struct run *run)
{
	struct user *u = take_user(run);

	if (u)
		vfio_nvme_ring(u->queue);
}

static void check_answers(struct user *u, const struct vfio_nvme_done *done, int n)
{
	CHECK(n >= 0 || n == -EPROTO || n == -ESHUTDOWN);
	came_back(u, done, n);
}

static void step_poll(struct run *run)
{
	struct user *u = take_user(run);
	struct vfio_nvme_done done[80];
	unsigned int max = take8(run->in) % 80 + 1;
	int n;

	if (!u)
		return;
	n = vfio_nvme_poll(u->queue, done, max);
	CHECK(n <= (int)max);
	check_answers(u, done, n);
}

static void step_wait(struct run *run)
{
	struct user *u = take_user(run);
	struct vfio_nvme_done done[16];
	uint8_t what = take8(run->in);

	if (!u)
		return;
	check_answers(u, done, vfio_nvme_wait(u->queue, done, what % 16 + 1,
					      run->waits++ < MAX_WAITS ? what >> 6 : 0));
}

/* ---- the controller ------------------------------------------------------------------------ */

/* A queue that cannot be made leaves nothing behind; one that is freed takes its commands along. */
static void step_queue(struct run *run)
{
	struct user *u = &run->users[take8(run->in) % USED];
	uint8_t what = take8(run->in);
	const struct vfio_nvme_queue_options options = {
		.size = sizeof(options), .entries = what % 80, .threaded = what & 0x80,
	};
	int ret;

	if (u->queue) {
		vfio_nvme_queue_free(u->queue);
		memset(u, 0, sizeof(*u));
		return;
	}
	ret = vfio_nvme_queue_new(&u->queue, run->nvme, &options);
	CHECK(ret <= 0 && !ret == (u->queue != NULL));
	CHECK(ret == 0 || vfio_nvme_error(run->nvme)->err == -ret);
	if (ret == 0)
		check_busy(u);
}

static void step_admin(struct run *run)
{
	static uint8_t data[2 * PAGE];
	const struct vfio_nvme_command cmd = {
		.opcode = take8(run->in), .nsid = htole32(take8(run->in)),
	};
	uint16_t what = take16(run->in);
	uint32_t result;
	int ret;

	if (what & 0x8000)
		ret = vfio_nvme_log(run->nvme, (uint8_t)what, 0, data, what >> 4 & 0xff);
	else if (cmd.opcode > VFIO_NVME_CREATE_CQ)	/* queues are made by calls */
		ret = vfio_nvme_admin(run->nvme, &cmd, data, what % sizeof(data), what & 0x4000,
				      &result);
	else
		return;
	CHECK(ret <= 0 && (ret == 0 || vfio_nvme_error(run->nvme)->err == -ret));
	CHECK(ret != -EIO || vfio_nvme_status(run->nvme) || vfio_nvme_check(run->nvme) < 0);
}

static void step_check(struct run *run)
{
	int ret = vfio_nvme_check(run->nvme);

	CHECK(ret <= 0 && (ret == 0 || vfio_nvme_error(run->nvme)->err == -ret));
}

/* After it, all commands that were under way come back, whether it succeeds or not. */
static void step_reset(struct run *run)
{
	struct vfio_nvme_done done[80];
	int ret = vfio_nvme_reset(run->nvme);

	CHECK(ret <= 0 && (ret == 0 || vfio_nvme_error(run->nvme)->err == -ret));
	for (unsigned int i = 0; i < USED; i++) {
		struct user *u = &run->users[i];

		if (!u->queue)
			continue;
		check_busy(u);
		if (ret)
			continue;
		check_answers(u, done, vfio_nvme_poll(u->queue, done, 80));
		CHECK(u->under_way == 0);
	}
}

static void step_event(struct run *run)
{
	uint8_t what = take8(run->in);
	uint32_t event;
	int ret;

	if (what & 0x80)
		controller_event(&run->controller, what & 7);
	if (what & 0x40)
		return;
	ret = vfio_nvme_event(run->nvme, &event);
	CHECK(ret <= 1);
}

/* It lies from now on, some times; or does something of its own accord. */
static void step_controller(struct run *run)
{
	struct controller *c = &run->controller;
	uint8_t what = take8(run->in), n = take8(run->in);

	switch (what & 7) {
	case 0:
		c->answer_lies = n % 16;
		c->honest_answers = what >> 3;
		break;
	case 1:
		c->read_lies = n % 8;
		c->honest_reads = what >> 3;
		break;
	case 2:
		controller_late(c);
		break;
	case 3:
		controller_answer(c, n % QUEUES, take16(run->in), what >> 3);
		break;
	case 4:
		c->csts |= VFIO_NVME_PUT(1u, CSTS_CFS);
		break;
	case 5:
		c->gone = n & 1;
		break;
	case 6:
		controller_work(c);
		break;
	case 7:
		c->csts = n;
		break;
	}
}

/* Somebody takes away the memory space, or the bus; time passes. */
static void step_around(struct run *run)
{
	const struct timespec nap = { .tv_nsec = 24000000 };
	struct vfio_nvme_registers registers;
	uint16_t command;
	uint8_t what = take8(run->in);

	switch (what & 3) {
	case 0:
		command = htole16(what >> 2 & (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
		vfio_pwrite(vfio_nvme_device(run->nvme), VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND,
			    &command, sizeof(command));
		break;
	case 1:
		if (run->naps++ < MAX_NAPS)
			nanosleep(&nap, NULL);
		break;
	case 2:
		vfio_nvme_registers(run->nvme, &registers);
		CHECK(vfio_nvme_identity(run->nvme));
		break;
	case 3:
		if (what == 0xff)
			controller_lose();
		vfio_dispatch(vfio_nvme_device(run->nvme));
		break;
	}
}

/* ---- the program --------------------------------------------------------------------------- */

static void step(struct run *run)
{
	static void (*const steps[])(struct run *run) = {
		step_io, step_submit, step_many, step_ring, step_poll, step_wait, step_queue,
		step_admin, step_check, step_reset, step_event, step_controller, step_around,
	};

	steps[take8(run->in) % (sizeof(steps) / sizeof(steps[0]))](run);
}

static void check_namespaces(struct vfio_nvme *nvme)
{
	const struct vfio_nvme_namespace *ns = NULL;
	uint32_t last = 0;

	while ((ns = vfio_nvme_next_namespace(nvme, last))) {
		CHECK(ns->nsid > last && ns == vfio_nvme_namespace(nvme, ns->nsid));
		CHECK(ns->blocks <= UINT64_MAX >> ns->block_shift && ns->max_blocks <= ns->blocks);
		last = ns->nsid;
	}
}

static void run_program(struct run *run)
{
	check_namespaces(run->nvme);
	CHECK(vfio_dma_alloc(vfio_nvme_device(run->nvme), &run->data, DATA, VFIO_DMA_RW) == 0);
	for (unsigned int i = 0; i < MAX_STEPS && run->in->left; i++)
		step(run);
	vfio_nvme_close(run->nvme);
}

/* What the controller can be, and when it lies first: not before, or in the middle of, bring-up. */
static struct vfio_dev *open_controller(struct run *run)
{
	struct controller *c = &run->controller;
	uint8_t how = take8(run->in), more = take8(run->in);
	struct vfio_dev *dev;

	controller_make(c, run->in, how);
	if (how & 0x40)
		c->cap = take64(run->in);
	if (how & 0x80)
		c->cap |= VFIO_NVME_PUT(UINT64_C(2), CAP_DSTRD);
	c->honest_reads = c->honest_answers = more >> 4;
	c->read_lies = more & 3;
	c->answer_lies = more >> 2 & 3;
	CHECK(vfio_function_open(&dev, c->fn, NULL) == 0);
	controller_can_be_lost(dev);
	return dev;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run run;
	struct input in = { data, size };
	struct vfio_nvme_options options = { .size = sizeof(options) };
	struct vfio_error err = { 0 };
	unsigned int fds = open_fds();
	struct vfio_dev *dev;
	uint8_t how;
	int ret;

	memset(&run, 0, sizeof(run));
	run.in = &in;
	how = take8(&in);
	options.timeout_ms = 1 + how % 4;
	options.queues = how >> 2 & 7;
	options.no_interrupts = how & 0x20;
	options.no_sgl = how & 0x40;
	options.no_shadow = how & 0x80;
	dev = open_controller(&run);
	ret = vfio_nvme_attach(&run.nvme, dev, &options, &err);
	CHECK(ret <= 0 && !ret == (run.nvme != NULL));
	CHECK(ret == 0 || (err.err == -ret && err.what[0]));
	if (ret == 0)
		run_program(&run);
	else
		vfio_close(dev);
	controller_finish(&run.controller);
	CHECK(open_fds() == fds);
	return 0;
}
