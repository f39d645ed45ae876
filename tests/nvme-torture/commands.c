/* SPDX-License-Identifier: MIT */
/* Commands that are sent, and what their answers say about the disk. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "checker.h"
#include "stamps.h"

#define WAIT_MS 200		/* then look whether the controller is well */

/* The data of the command that is being made or looked at. */
static _Alignas(16) uint8_t data[MAX_DATA];

static bool is_write(const struct command *cmd)
{
	return cmd->opcode == VFIO_NVME_WRITE || cmd->opcode == VFIO_NVME_WRITE_ZEROES ||
	       cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT;
}

static uint64_t blocks_of(const struct command *cmd)
{
	return cmd->nextents ? cmd->extents[0].blocks : 0;
}

static size_t data_bytes(const struct command *cmd)
{
	switch (cmd->opcode) {
	case VFIO_NVME_READ:
	case VFIO_NVME_WRITE:
	case VFIO_NVME_COMPARE:
		return blocks_of(cmd) * cmd->disk->block;
	case VFIO_NVME_DATASET_MANAGEMENT:
		return cmd->nextents * sizeof(struct vfio_nvme_range);
	default:
		return 0;
	}
}

static const char *name_of(const struct command *cmd)
{
	switch (cmd->opcode) {
	case VFIO_NVME_READ:
		return "read";
	case VFIO_NVME_WRITE:
		return "write";
	case VFIO_NVME_COMPARE:
		return "compare";
	case VFIO_NVME_FLUSH:
		return "flush";
	case VFIO_NVME_WRITE_ZEROES:
		return "write zeroes";
	default:
		return "deallocate";
	}
}

/* ---- the model ----------------------------------------------------------------------------- */

/* When the oldest command was sent that may still ask what there was. */
static uint64_t horizon(const struct checker *c)
{
	const struct command *first = TAILQ_FIRST(&c->under_way);

	return first ? first->sent : c->now;
}

static bool has_history(struct checker *c, const struct command *cmd)
{
	for (unsigned int i = 0; is_write(cmd) && i < cmd->nextents; i++)
		if (!model_has_room(cmd->disk->model, cmd->extents[i].lba, cmd->extents[i].blocks,
				    horizon(c)))
			return false;
	return true;
}

static void begin_write(struct checker *c, const struct command *cmd)
{
	for (unsigned int i = 0; i < cmd->nextents; i++)
		model_begin(cmd->disk->model, cmd->extents[i].lba, cmd->extents[i].blocks,
			    cmd->version, cmd->sent);
}

static void end_write(struct checker *c, const struct command *cmd, bool acknowledged)
{
	for (unsigned int i = 0; i < cmd->nextents; i++)
		model_end(cmd->disk->model, cmd->extents[i].lba, cmd->extents[i].blocks, cmd->sent,
			  c->now, acknowledged);
	c->counts.unknown += !acknowledged;
}

/* ---- sending ------------------------------------------------------------------------------- */

/* What is surely there, or may be; or, on purpose, what cannot be. */
static uint64_t version_to_compare(const struct command *cmd, uint64_t lba)
{
	if (cmd->wrong && lba == cmd->extents[0].lba + cmd->shape % blocks_of(cmd))
		return cmd->version;
	return model_guess(cmd->disk->model, lba, cmd->shape >> 8);
}

static void make_blocks(const struct command *cmd)
{
	const struct disk *disk = cmd->disk;

	for (uint64_t i = 0; i < blocks_of(cmd); i++) {
		uint64_t lba = cmd->extents[0].lba + i;

		stamp_write(data + i * disk->block, disk->block, disk->nsid, lba,
			    cmd->opcode == VFIO_NVME_WRITE ? cmd->version :
							     version_to_compare(cmd, lba));
	}
}

static void make_ranges(const struct command *cmd)
{
	for (unsigned int i = 0; i < cmd->nextents; i++) {
		const struct vfio_nvme_range range = {
			.blocks = htole32(cmd->extents[i].blocks),
			.lba = htole64(cmd->extents[i].lba),
		};

		memcpy(data + i * sizeof(range), &range, sizeof(range));
	}
}

static void make_data(struct checker *c, const struct command *cmd)
{
	if (cmd->opcode == VFIO_NVME_READ || !cmd->has_buffer)
		return;
	if (cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT)
		make_ranges(cmd);
	else
		make_blocks(cmd);
	memory_put(&c->memory, &cmd->buffer, data);
}

static struct vfio_nvme_command make_entry(const struct command *cmd)
{
	struct vfio_nvme_command e = { .opcode = cmd->opcode, .nsid = htole32(cmd->disk->nsid) };

	if (cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT) {
		e.cdw10 = htole32(cmd->nextents - 1);
		e.cdw11 = htole32(VFIO_NVME_DSM_DEALLOCATE);
	} else if (cmd->opcode != VFIO_NVME_FLUSH) {
		e.cdw10 = htole32((uint32_t)cmd->extents[0].lba);
		e.cdw12 = htole32((cmd->extents[0].blocks - 1) | (cmd->fua ? VFIO_NVME_FUA : 0));
	}
	return e;
}

/* By the call that is made for it. */
static int submit_plainly(struct vfio_nvme_queue *queue, struct command *cmd)
{
	const struct vfio_nvme_namespace *ns = cmd->disk->ns;
	uint64_t lba = cmd->nextents ? cmd->extents[0].lba : 0;
	uint32_t blocks = (uint32_t)blocks_of(cmd);

	switch (cmd->opcode) {
	case VFIO_NVME_READ:
		return vfio_nvme_read(queue, ns, lba, blocks, cmd->buffer.pieces[0].iova, cmd);
	case VFIO_NVME_WRITE:
		return vfio_nvme_write(queue, ns, lba, blocks, cmd->buffer.pieces[0].iova, cmd);
	case VFIO_NVME_WRITE_ZEROES:
		return vfio_nvme_write_zeroes(queue, ns, lba, blocks, cmd->shape & 1, cmd);
	default:
		return vfio_nvme_flush(queue, ns, cmd);
	}
}

static int submit(struct checker *c, struct command *cmd)
{
	struct vfio_nvme_queue *queue = c->queues[cmd->queue];
	struct vfio_nvme_command e = make_entry(cmd);

	if (cmd->buffer.n > 1)
		return vfio_nvme_submit_pieces(queue, &e, cmd->buffer.pieces, cmd->buffer.n, cmd);
	if (cmd->plain)
		return submit_plainly(queue, cmd);
	return vfio_nvme_submit(queue, &e, cmd->buffer.pieces[0].iova, cmd->buffer.len, cmd);
}

static bool queue_has_room(const struct checker *c, unsigned int queue)
{
	return vfio_nvme_queue_busy(c->queues[queue]) < vfio_nvme_queue_depth(c->queues[queue]);
}

/* Everything that it needs; 0: not yet. */
static bool can_send(struct checker *c, const struct command *cmd, struct buffer *b)
{
	size_t len = data_bytes(cmd);

	*b = (struct buffer){ .n = 0 };
	return c->nunder_way < c->depth && queue_has_room(c, cmd->queue) && has_history(c, cmd) &&
	       (!len || memory_take(&c->memory, len, cmd->shape, b));
}

void commands_look_aside(struct checker *c)
{
	unsigned int pages;

	if (!memory_look(&c->memory, &pages))
		fail(c, "LATE: the device has touched the memory of a command that was over: "
		     "reset, or deleted with its queue, or aborted");
	c->counts.pages_looked_at += pages;
}

static int wait_for_room(struct checker *c, const struct command *cmd, struct buffer *b,
			 bool *has_room)
{
	int ret = 0;

	while (ret == 0 && !(*has_room = can_send(c, cmd, b)) && c->nunder_way)
		ret = commands_collect(c, true);
	if (ret == 0 && !*has_room) {
		commands_look_aside(c);
		*has_room = can_send(c, cmd, b);
	}
	return ret;
}

static struct command *put_under_way(struct checker *c, const struct command *drawn,
				     const struct buffer *b)
{
	struct command *cmd = TAILQ_FIRST(&c->unused);

	TAILQ_REMOVE(&c->unused, cmd, link);
	*cmd = *drawn;
	cmd->buffer = *b;
	cmd->has_buffer = b->n;
	cmd->under_way = true;
	cmd->sent = ++c->now;
	if (cmd->opcode == VFIO_NVME_WRITE || cmd->wrong)
		cmd->version = ++c->version;
	TAILQ_INSERT_TAIL(&c->under_way, cmd, link);
	c->nunder_way++;
	return cmd;
}

/* Over. The device may not touch its memory any more; whether it did it is another matter. */
static void retire(struct checker *c, struct command *cmd, bool answered)
{
	if (cmd->has_buffer && answered)
		memory_give_back(&c->memory, &cmd->buffer);
	else if (cmd->has_buffer)
		memory_set_aside(&c->memory, &cmd->buffer);
	TAILQ_REMOVE(&c->under_way, cmd, link);
	TAILQ_INSERT_TAIL(&c->unused, cmd, link);
	cmd->under_way = false;
	c->nunder_way--;
}

static void count(struct checker *c, const struct command *cmd)
{
	struct counts *n = &c->counts;

	n->commands++;
	n->reads += cmd->opcode == VFIO_NVME_READ;
	n->writes += cmd->opcode == VFIO_NVME_WRITE;
	n->bytes_written += cmd->opcode == VFIO_NVME_WRITE ? data_bytes(cmd) : 0;
	n->zeroes += cmd->opcode == VFIO_NVME_WRITE_ZEROES;
	n->deallocations += cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT;
	n->compares += cmd->opcode == VFIO_NVME_COMPARE;
	n->flushes += cmd->opcode == VFIO_NVME_FLUSH;
}

int command_send(struct checker *c, const struct command *drawn)
{
	struct command *cmd;
	struct buffer b;
	bool has_room;
	int ret = wait_for_room(c, drawn, &b, &has_room);

	if (ret < 0)
		return ret;
	if (!has_room) {
		c->counts.skipped++;
		return 0;
	}
	cmd = put_under_way(c, drawn, &b);
	make_data(c, cmd);
	if (is_write(cmd))
		begin_write(c, cmd);
	ret = check(c, submit(c, cmd), "a command cannot be sent");
	if (ret == 0)
		count(c, cmd);
	return ret;
}

/* ---- answers ------------------------------------------------------------------------------- */

static _Noreturn void fail_block(const struct checker *c, const struct disk *disk, uint64_t lba,
				 const void *block, const char *what, const char *verdict,
				 uint64_t sent)
{
	fprintf(stderr, "%s\nwhat there is:\n", what);
	stamp_tell(block, disk->block);
	fprintf(stderr, "what there may be:\n");
	model_tell(disk->model, lba);
	fail(c, "%s: block %llu of namespace %u, read between %llu and %llu", verdict,
	     (unsigned long long)lba, disk->nsid, (unsigned long long)sent,
	     (unsigned long long)c->now);
}

void check_block(struct checker *c, struct disk *disk, uint64_t lba, const void *block,
		 uint64_t sent, const char *what)
{
	static const char *const stamps[] = { [TORN] = "TORN", [MISPLACED] = "MISPLACED" };
	static const char *const verdicts[] = { [LOST] = "LOST", [INVENTED] = "INVENTED" };
	uint64_t version;
	enum stamp stamp = stamp_read(block, disk->block, disk->nsid, lba, &version);
	struct seen seen = { false };
	enum verdict verdict;

	if (stamp != WHOLE)
		fail_block(c, disk, lba, block, what, stamps[stamp], sent);
	verdict = model_read(disk->model, lba, version, sent, c->now, &seen);
	if (verdict != FINE)
		fail_block(c, disk, lba, block, what, verdicts[verdict], sent);
	c->counts.ambiguous += seen.ambiguous;
	c->counts.swapped += seen.swapped;
	c->counts.unknown_done += seen.unknown;
}

/* Compare has succeeded: what it was given was there. */
static void check_data(struct checker *c, const struct command *cmd)
{
	struct disk *disk = cmd->disk;

	memory_get(&c->memory, &cmd->buffer, data);
	for (uint64_t i = 0; i < blocks_of(cmd); i++)
		check_block(c, disk, cmd->extents[0].lba + i, data + i * disk->block, cmd->sent,
			    name_of(cmd));
	if (cmd->opcode == VFIO_NVME_READ)
		c->counts.blocks_read += blocks_of(cmd);
	else
		c->counts.blocks_compared += blocks_of(cmd);
}

static void check_difference(struct checker *c, const struct command *cmd)
{
	const struct disk *disk = cmd->disk;

	memory_get(&c->memory, &cmd->buffer, data);
	for (uint64_t i = 0; i < blocks_of(cmd); i++) {
		uint64_t lba = cmd->extents[0].lba + i, version;

		stamp_read(data + i * disk->block, disk->block, disk->nsid, lba, &version);
		if (model_may_differ(disk->model, lba, version, cmd->sent, c->now))
			return;
	}
	fail(c, "COMPARE: %llu blocks from %llu on of namespace %u differ, says the device, and "
	     "they cannot", (unsigned long long)blocks_of(cmd),
	     (unsigned long long)cmd->extents[0].lba, disk->nsid);
}

static bool is_aborted(const struct checker *c, const struct command *cmd, uint16_t status)
{
	status &= (uint16_t)~(VFIO_NVME_STATUS_DNR | VFIO_NVME_STATUS_MORE);
	return (c->is_reset || cmd->may_abort || c->doomed) && status == VFIO_NVME_ABORT_REQUESTED;
}

/* Was it done? */
static bool check_status(struct checker *c, const struct command *cmd, uint16_t status)
{
	uint16_t bare = status & (uint16_t)~(VFIO_NVME_STATUS_DNR | VFIO_NVME_STATUS_MORE);

	if (status == 0) {
		if (cmd->opcode == VFIO_NVME_READ || cmd->opcode == VFIO_NVME_COMPARE)
			check_data(c, cmd);
		return true;
	}
	if (bare == VFIO_NVME_COMPARE_FAILURE && cmd->opcode == VFIO_NVME_COMPARE) {
		check_difference(c, cmd);
		return true;
	}
	if (!is_aborted(c, cmd, status))
		fail(c, "STATUS: %s of %llu blocks from %llu on: %s", name_of(cmd),
		     (unsigned long long)blocks_of(cmd),
		     cmd->nextents ? (unsigned long long)cmd->extents[0].lba : 0,
		     vfio_nvme_status_text(status));
	return false;
}

static void take(struct checker *c, const struct vfio_nvme_done *done)
{
	struct command *cmd = done->tag;
	bool answered;

	if (cmd < c->pool || cmd >= c->pool + MAX_COMMANDS || !cmd->under_way)
		fail(c, "TWICE: an answer, and nobody waits for it");
	c->now++;
	if (cmd->has_buffer && !memory_is_sound(&c->memory, &cmd->buffer))
		fail(c, "BEYOND: bytes beside the data of a %s have changed", name_of(cmd));
	answered = check_status(c, cmd, done->status);
	if (is_write(cmd))
		end_write(c, cmd, answered);
	retire(c, cmd, answered);
}

static int take_all(struct checker *c, const struct vfio_nvme_done *done, int n)
{
	for (int i = 0; i < n; i++)
		take(c, &done[i]);
	return n < 0 ? n : 0;
}

#define ANSWERS 32

/* All there are. Returns whether there was one. */
static int look(struct checker *c)
{
	struct vfio_nvme_done done[ANSWERS];
	int any = 0;

	for (unsigned int i = 0; i < c->nqueues; i++) {
		int n;

		do {
			n = vfio_nvme_poll(c->queues[i], done, ANSWERS);
			if (check(c, take_all(c, done, n), "answers cannot be taken") < 0)
				return n;
			any |= n > 0;
		} while (n == ANSWERS);
	}
	return any;
}

/* Of the queue that has the oldest command: it is the one that has waited for longest. */
static int wait_for_answer(struct checker *c)
{
	struct vfio_nvme_done done[ANSWERS];
	unsigned int queue = TAILQ_FIRST(&c->under_way)->queue;
	int n = vfio_nvme_wait(c->queues[queue], done, ANSWERS, WAIT_MS);
	int ret = check(c, take_all(c, done, n), "answers cannot be waited for");

	return ret == 0 && n == 0 ? check(c, vfio_nvme_check(c->nvme), "no answer") : ret;
}

int commands_collect(struct checker *c, bool wait)
{
	int ret = check(c, vfio_dispatch(vfio_nvme_device(c->nvme)), "the device does not go on");

	if (ret == 0)
		ret = look(c);
	if (ret != 0 || !wait || !c->nunder_way)
		return ret < 0 ? ret : 0;
	commands_ring(c);
	return wait_for_answer(c);
}

int commands_finish(struct checker *c)
{
	int ret = 0;

	while (ret == 0 && c->nunder_way)
		ret = commands_collect(c, true);
	return ret;
}

void commands_ring(struct checker *c)
{
	for (unsigned int i = 0; i < c->nqueues; i++)
		vfio_nvme_ring(c->queues[i]);
}

void commands_give_up(struct checker *c, unsigned int queue)
{
	struct command *cmd = TAILQ_FIRST(&c->under_way), *next;

	for (; cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, link);
		if (queue != MAX_QUEUES && cmd->queue != queue)
			continue;
		c->now++;
		if (is_write(cmd))
			end_write(c, cmd, false);
		retire(c, cmd, false);
	}
}
