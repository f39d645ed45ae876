/* SPDX-License-Identifier: MIT */
/* What happens between commands, and to those that are under way. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "checker.h"

#define NAP_US 20000
#define MOST_ENTRIES 1024
#define SES_ERASE 1u		/* 5.23: Format erases */

/* ---- queues -------------------------------------------------------------------------------- */

static int new_queue(struct checker *c, struct chance *chance, unsigned int i)
{
	const struct vfio_nvme_queue_options options = {
		.size = sizeof(options),
		.entries = (unsigned int)small_or_large(chance, 2, MOST_ENTRIES),
	};

	return check(c, vfio_nvme_queue_new(&c->queues[i], c->nvme, &options),
		     "a queue cannot be made");
}

/* It goes, whatever is under way in it, and there is another one in its place. */
static int replace_queue(struct checker *c, struct chance *chance)
{
	unsigned int i = (unsigned int)below(chance, c->nqueues);

	vfio_nvme_queue_free(c->queues[i]);
	c->queues[i] = NULL;
	if (vfio_nvme_status(c->nvme) && !c->doomed)
		fail(c, "a queue cannot be deleted: %s",
		     vfio_nvme_status_text(vfio_nvme_status(c->nvme)));
	commands_give_up(c, i);
	c->counts.queues++;
	return new_queue(c, chance, i);
}

/* ---- resets -------------------------------------------------------------------------------- */

/* All that was under way is over now, and the driver says so. */
static int take_aborted(struct checker *c)
{
	int ret;

	c->is_reset = true;
	ret = commands_finish(c);
	c->is_reset = false;
	return ret;
}

static int reset(struct checker *c, struct chance *chance)
{
	int ret = check(c, vfio_nvme_reset(c->nvme), "a reset of the controller");

	c->counts.resets++;
	return ret < 0 ? ret : take_aborted(c);
}

/* Behind the back of the driver. */
static int reset_function(struct checker *c, struct chance *chance)
{
	int ret = check(c, vfio_reset(vfio_nvme_device(c->nvme)), "a reset of the function");

	c->counts.function_resets++;
	if (ret == 0)
		ret = check(c, vfio_nvme_reset(c->nvme), "a reset of the controller after that");
	return ret < 0 ? ret : take_aborted(c);
}

/* ---- admin commands ------------------------------------------------------------------------ */

static void mark(struct checker *c, unsigned int queue)
{
	struct command *cmd;

	TAILQ_FOREACH(cmd, &c->under_way, link)
		if (cmd->queue == queue)
			cmd->may_abort = true;
}

/* 5.1. Whether there is such a command is chance. Bit 0 of the result: it was not aborted. */
static int abort_some(struct checker *c, struct chance *chance)
{
	unsigned int n = (unsigned int)small_or_large(chance, 1, 32);
	int ret = 0;

	while (n-- && ret == 0) {
		unsigned int i = (unsigned int)below(chance, c->nqueues);
		uint64_t cid = small_or_large(chance, 0, vfio_nvme_queue_depth(c->queues[i]));
		const struct vfio_nvme_command cmd = {
			.opcode = VFIO_NVME_ABORT,
			.cdw10 = htole32((uint32_t)cid << 16 | vfio_nvme_queue_id(c->queues[i])),
		};
		uint32_t result = 1;

		mark(c, i);
		ret = check(c, vfio_nvme_admin(c->nvme, &cmd, NULL, 0, false, &result), "Abort");
		c->counts.aborts++;
		c->counts.aborted += !(result & 1);
	}
	return ret;
}

/* 5.23: the same blocks, and nothing in them any more; or the same contents. */
static int format(struct checker *c, struct chance *chance)
{
	struct disk *disk = &c->disks[below(chance, c->ndisks)];
	uint32_t erase = (uint32_t)below(chance, 2);
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_FORMAT, .nsid = htole32(disk->nsid),
		.cdw10 = htole32((disk->ns->data.flbas & 0xfu) | (erase ? SES_ERASE << 9 : 0)),
	};
	int ret = commands_finish(c);

	if (ret == 0)
		ret = check(c, vfio_nvme_admin(c->nvme, &cmd, NULL, 0, false, NULL), "Format");
	if (ret == 0 && erase)
		model_clear(disk->model, ++c->now);
	c->counts.formats++;
	return ret < 0 ? ret : work_sweep(c);
}

/* 5.21.1.6: with a volatile write cache or without, until the next reset. */
static int switch_cache(struct checker *c, struct chance *chance)
{
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_SET_FEATURES, .cdw10 = htole32(VFIO_NVME_FEATURE_WRITE_CACHE),
		.cdw11 = htole32((uint32_t)below(chance, 2)),
	};

	if (!(vfio_nvme_identity(c->nvme)->vwc & 1))
		return 0;
	c->counts.caches++;
	return check(c, vfio_nvme_admin(c->nvme, &cmd, NULL, 0, false, NULL), "Set Features");
}

/* Sleep, so that the device does, too. */
static int nap(struct checker *c, struct chance *chance)
{
	c->counts.naps++;
	usleep((useconds_t)below(chance, NAP_US));
	return 0;
}

/* ---- open and close ------------------------------------------------------------------------ */

static int find_disks(struct checker *c)
{
	const struct vfio_nvme_namespace *ns = NULL;
	unsigned int n = 0;

	while (n < MAX_DISKS && (ns = vfio_nvme_next_namespace(c->nvme, ns ? ns->nsid : 0))) {
		struct disk *disk = &c->disks[n++];
		uint64_t blocks = ns->blocks < MAX_BLOCKS ? ns->blocks : MAX_BLOCKS;

		if (disk->model && (disk->block != 1u << ns->block_shift || disk->blocks != blocks))
			fail(c, "namespace %u is not as it was", ns->nsid);
		disk->ns = ns;
		disk->nsid = ns->nsid;
		disk->block = 1u << ns->block_shift;
		disk->blocks = blocks;
		if (!disk->model)
			disk->model = model_new(blocks);
		if (!disk->model || blocks < HOT_BLOCKS)
			fail(c, "namespace %u: no memory, or too small", ns->nsid);
	}
	if (n == 0 || (c->ndisks && n != c->ndisks))
		fail(c, "%u namespaces, and there were %u", n, c->ndisks);
	c->ndisks = n;
	return 0;
}

/* After a death it takes a while until there is another device. */
static int open_patiently(struct checker *c, const struct vfio_nvme_options *options)
{
	time_t end = time(NULL) + PATIENCE_MS / 1000;
	struct vfio_error err;

	while (vfio_nvme_open(&c->nvme, c->device, options, &err) < 0) {
		if (!c->doomed || time(NULL) > end) {
			vfio_error_print(stderr, "checker", &err);
			fail(c, "the device cannot be opened");
		}
		usleep(10000);
	}
	c->doomed = false;
	return 0;
}

int device_open(struct checker *c, struct chance *chance)
{
	const struct vfio_nvme_options options = {
		.size = sizeof(options), .queues = MAX_QUEUES, .timeout_ms = PATIENCE_MS,
		.no_interrupts = percent(chance, 40), .no_sgl = percent(chance, 40),
		.no_shadow = percent(chance, 40),
	};
	int ret = open_patiently(c, &options);

	commands_give_up(c, MAX_QUEUES);
	find_disks(c);
	for (unsigned int i = 0; c->is_volatile && i < c->ndisks; i++)
		model_clear(c->disks[i].model, ++c->now);
	ret = check(c, memory_open(&c->memory, vfio_nvme_device(c->nvme), percent(chance, 25)),
		    "no memory for data");
	c->nqueues = 1 + (unsigned int)below(chance, MAX_QUEUES);
	for (unsigned int i = 0; i < c->nqueues && ret == 0; i++)
		ret = new_queue(c, chance, i);
	return ret;
}

/* The memory of what is under way goes with the device. */
void device_close(struct checker *c)
{
	struct command *cmd;

	TAILQ_FOREACH(cmd, &c->under_way, link)
		cmd->has_buffer = false;
	vfio_nvme_close(c->nvme);
	c->nvme = NULL;
	c->nqueues = 0;
	memory_close(&c->memory);
}

static int reopen(struct checker *c, struct chance *chance)
{
	int ret;

	c->counts.reopened++;
	device_close(c);
	ret = device_open(c, chance);
	return ret < 0 ? ret : work_sweep(c);
}

/* Whoever has started us sees to it; until then, and while it happens, work goes on. */
static int ask_for_death(struct checker *c, struct chance *chance)
{
	if (!c->doomed)
		printf("kill\n");
	fflush(stdout);
	c->counts.kills += !c->doomed;
	c->doomed = true;
	return 0;
}

/* ---- which --------------------------------------------------------------------------------- */

struct kind {
	unsigned int weight;
	int (*happen)(struct checker *c, struct chance *chance);
};

static int nothing(struct checker *c, struct chance *chance)
{
	return 0;
}

static int finish(struct checker *c, struct chance *chance)
{
	return commands_finish(c);
}

static int sweep(struct checker *c, struct chance *chance)
{
	return work_sweep(c);
}

static int happen(struct checker *c, struct chance *chance)
{
	static const struct kind kinds[] = {
		{ 8, nothing }, { 10, finish }, { 6, sweep }, { 10, nap }, { 12, reset },
		{ 6, reset_function }, { 12, replace_queue }, { 12, abort_some }, { 2, format },
		{ 5, switch_cache }, { 3, reopen }, { 8, ask_for_death },
	};
	unsigned int n = sizeof(kinds) / sizeof(kinds[0]) - !c->kills, sum = 0, i = 0;
	uint64_t at;

	for (unsigned int k = 0; k < n; k++)
		sum += kinds[k].weight;
	at = below(chance, sum);
	while (at >= kinds[i].weight)
		at -= kinds[i++].weight;
	return kinds[i].happen(c, chance);
}

int event(struct checker *c, struct chance *chance)
{
	uint32_t what;
	int ret;

	commands_look_aside(c);
	ret = happen(c, chance);
	while (ret == 0 && vfio_nvme_event(c->nvme, &what) > 0)
		c->counts.events++;
	if (ret == 0)
		ret = check(c, vfio_nvme_check(c->nvme), "the controller is not well");
	return ret;
}
