/* SPDX-License-Identifier: MIT */
/*
 * Which commands: a random mix. What is drawn follows from the seed alone and never from when an
 * answer came, so the same seed gives the same sequence.
 */
#include "checker.h"

/* How the commands of a while are. */
struct mix {
	unsigned int weights[6];	/* of: */
	unsigned int hot, large, fua;	/* percent */
	unsigned int hot_blocks;	/* where many commands meet */
	unsigned int ring;		/* percent: behind a command the controller is told, */
	unsigned int collect;		/* and answers are taken */
};

static const uint8_t opcodes[6] = {
	VFIO_NVME_READ, VFIO_NVME_WRITE, VFIO_NVME_WRITE_ZEROES, VFIO_NVME_DATASET_MANAGEMENT,
	VFIO_NVME_COMPARE, VFIO_NVME_FLUSH,
};

static struct mix draw_mix(struct chance *chance)
{
	static const unsigned int weights[][6] = {
		{ 45, 35, 5, 3, 8, 4 },
		{ 20, 70, 3, 2, 3, 2 },
		{ 80, 12, 2, 1, 5, 0 },
		{ 35, 25, 15, 15, 8, 2 },
		{ 30, 30, 0, 0, 40, 0 },
	};
	struct mix mix = {
		.hot = (unsigned int)below(chance, 101),
		.hot_blocks = percent(chance, 30) ? HOT_BLOCKS / 8 : HOT_BLOCKS,
		.large = percent(chance, 10) ? 60 : (unsigned int)below(chance, 12),
		.fua = percent(chance, 20) ? 100 : (unsigned int)below(chance, 20),
		.ring = percent(chance, 50) ? 100 : (unsigned int)below(chance, 60),
		.collect = (unsigned int)below(chance, 30),
	};
	const unsigned int *chosen = weights[below(chance, sizeof(weights) / sizeof(weights[0]))];

	for (unsigned int i = 0; i < 6; i++)
		mix.weights[i] = chosen[i];
	return mix;
}

static uint8_t draw_opcode(struct chance *chance, const struct mix *mix)
{
	unsigned int sum = 0, i = 0;
	uint64_t at;

	for (unsigned int k = 0; k < 6; k++)
		sum += mix->weights[k];
	at = below(chance, sum);
	while (at >= mix->weights[i])
		at -= mix->weights[i++];
	return opcodes[i];
}

/* Of one command's most blocks; of those without data, any. */
static struct extent draw_extent(struct chance *chance, const struct mix *mix,
				 const struct disk *disk, bool has_data)
{
	uint64_t most = has_data ? disk->ns->max_blocks : disk->blocks;
	uint64_t here = percent(chance, mix->hot) ? mix->hot_blocks : disk->blocks;
	struct extent e;

	if (most > MAX_DATA / disk->block && has_data)
		most = MAX_DATA / disk->block;
	if (most > disk->blocks)
		most = disk->blocks;
	e.lba = below(chance, here);
	e.blocks = (uint32_t)(percent(chance, mix->large) ? small_or_large(chance, 1, most) :
							    small_or_large(chance, 1, 16));
	if (e.blocks > most)
		e.blocks = (uint32_t)most;
	if (e.lba + e.blocks > disk->blocks)
		e.lba = disk->blocks - e.blocks;
	return e;
}

static bool overlaps(const struct command *cmd, const struct extent *e)
{
	for (unsigned int i = 0; i < cmd->nextents; i++)
		if (e->lba < cmd->extents[i].lba + cmd->extents[i].blocks &&
		    cmd->extents[i].lba < e->lba + e->blocks)
			return true;
	return false;
}

/* Ranges of one command do not overlap: to the model, each of its blocks is written once. */
static void draw_extents(struct chance *chance, const struct mix *mix, struct command *cmd)
{
	bool is_dsm = cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT;
	bool has_data = !is_dsm && cmd->opcode != VFIO_NVME_WRITE_ZEROES;
	uint64_t n = is_dsm ? small_or_large(chance, 1, MAX_EXTENTS) : 1;

	if (cmd->opcode == VFIO_NVME_FLUSH)
		return;
	while (n--) {
		struct extent e = draw_extent(chance, mix, cmd->disk, has_data);

		if (!overlaps(cmd, &e))
			cmd->extents[cmd->nextents++] = e;
	}
}

static void draw(struct checker *c, struct chance *chance, const struct mix *mix,
		 struct command *cmd)
{
	*cmd = (struct command){
		.opcode = draw_opcode(chance, mix),
		.fua = percent(chance, mix->fua),
		.queue = (unsigned int)below(chance, c->nqueues),
		.disk = &c->disks[below(chance, c->ndisks)],
		.shape = any(chance),
	};
	if (cmd->opcode != VFIO_NVME_WRITE)
		cmd->fua = false;
	cmd->plain = !cmd->fua && cmd->opcode != VFIO_NVME_COMPARE &&
		     cmd->opcode != VFIO_NVME_DATASET_MANAGEMENT && percent(chance, 70);
	cmd->wrong = cmd->opcode == VFIO_NVME_COMPARE && percent(chance, 20);
	draw_extents(chance, mix, cmd);
}

int work(struct checker *c, struct chance *chance, unsigned int n)
{
	struct mix mix = draw_mix(chance);
	int ret = 0;

	c->depth = (unsigned int)small_or_large(chance, 1, MAX_COMMANDS);
	while (n-- && ret == 0) {
		struct command cmd;

		draw(c, chance, &mix, &cmd);
		ret = command_send(c, &cmd);
		if (percent(chance, mix.ring))
			commands_ring(c);
		if (ret == 0 && percent(chance, mix.collect))
			ret = commands_collect(c, false);
	}
	commands_ring(c);
	return ret;
}

static int sweep(struct checker *c, struct disk *disk)
{
	uint32_t step = disk->ns->max_blocks < 128 ? disk->ns->max_blocks : 128;
	int ret = 0;

	for (uint64_t lba = 0; lba < disk->blocks && ret == 0; lba += step) {
		uint64_t left = disk->blocks - lba;
		struct command cmd = {
			.opcode = VFIO_NVME_READ, .disk = disk, .nextents = 1,
			.queue = (unsigned int)(lba / step % c->nqueues),
			.extents = { { lba, left < step ? (uint32_t)left : step } },
		};

		ret = command_send(c, &cmd);
	}
	return ret;
}

int work_sweep(struct checker *c)
{
	int ret = 0;

	c->counts.sweeps++;
	c->depth = 32;
	for (unsigned int i = 0; i < c->ndisks && ret == 0; i++)
		ret = sweep(c, &c->disks[i]);
	return ret < 0 ? ret : commands_finish(c);
}
