/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer.h"

#define PIECE_SIZE (128u << 10)
#define PIECE_LEAST 4096u
#define SHOW_EVERY 100000000u	/* ns */
#define ANSWERS 32u
#define LOOK_EVERY 200		/* ms: for signals, and whether the controller is alive */

/* Whole blocks, no more than a command may have. */
static uint32_t choose_size(const struct vfio_nvme_namespace *ns)
{
	uint32_t blocks = PIECE_SIZE >> ns->block_shift;

	if (blocks > ns->max_blocks)
		blocks = ns->max_blocks;
	return (blocks ? blocks : 1) << ns->block_shift;
}

/* Where addresses are physical, less may be had in one piece: down to a page, or a block. */
static int get_memory(struct transfer *t)
{
	uint32_t least = 1u << t->program->ns->block_shift;
	int ret = disk_memory(t->program, t->buffers, t->depth, t->piece_size);

	if (least < PIECE_LEAST)
		least = PIECE_LEAST;
	while (ret < 0 && t->program->error.code == VFIO_E_SCATTERED && t->piece_size / 2 >= least) {
		t->piece_size = t->piece_size / 2 >> t->program->ns->block_shift
				<< t->program->ns->block_shift;
		ret = disk_memory(t->program, t->buffers, t->depth, t->piece_size);
	}
	return ret;
}

int transfer_init(struct transfer *t, struct program *program)
{
	int ret;

	*t = (struct transfer){ .program = program, .depth = program->settings.depth,
				.piece_size = choose_size(program->ns) };
	ret = disk_queue(program, &t->queue, &t->depth, false);
	if (ret < 0)
		return ret;
	t->pieces = calloc(t->depth, sizeof(*t->pieces));
	t->buffers = calloc(t->depth, sizeof(*t->buffers));
	if (!t->pieces || !t->buffers)
		return argument_error(program, ENOMEM, "give a smaller --depth",
				      "%" PRIu64 " commands under way at once", t->depth);
	ret = get_memory(t);
	for (uint64_t i = 0; i < t->depth; i++) {
		t->pieces[i].data = t->buffers[i].vaddr;
		t->pieces[i].iova = t->buffers[i].iova;
	}
	return ret;
}

void transfer_finish(struct transfer *t)
{
	vfio_nvme_queue_free(t->queue);
	if (t->buffers)
		disk_memory_free(t->program, t->buffers, t->depth);
	free(t->buffers);
	free(t->pieces);
	*t = (struct transfer){ .program = t->program };
}

uint64_t transfer_ns(const struct transfer *t)
{
	return now_ns() - t->start;
}

static void show_progress(struct transfer *t)
{
	uint64_t now = now_ns();
	bool last = t->moved == t->total;

	if (!t->progress || (!last && now - t->shown < SHOW_EVERY))
		return;
	t->shown = now;
	fprintf(stderr, "\r%s: %3u %%  %.1f MiB/s ", t->doing,
		t->total ? (unsigned int)((double)t->moved * 100 / (double)t->total) : 100,
		rate(t->moved, now - t->start));
	if (last)
		fputc('\n', stderr);
}

static struct piece *piece_at(const struct transfer *t, uint64_t number)
{
	return &t->pieces[number % t->depth];
}

/* Fill the piece from the source. Returns its length, 0 at the end. */
static int64_t fill(struct transfer *t, struct piece *piece, uint32_t want)
{
	int64_t got = t->source(t->arg, piece->data, want);

	if (got > 0)
		memset((uint8_t *)piece->data + got, 0, t->piece_size - (size_t)got);
	if (got >= 0 && got < want)
		t->left = 0;		/* it was shorter than it might have been */
	return got;
}

/* Send the next command. */
static int put_next(struct transfer *t)
{
	const struct vfio_nvme_namespace *ns = t->program->ns;
	struct piece *piece = piece_at(t, t->put);
	int64_t len = t->left < t->piece_size ? (int64_t)t->left : t->piece_size;
	int ret;

	if (t->source) {
		len = fill(t, piece, (uint32_t)len);
		if (len <= 0)
			return (int)len;
	}
	piece->lba = t->lba;
	piece->len = (uint32_t)len;
	piece->blocks = (uint32_t)((len - 1) >> ns->block_shift) + 1;
	piece->done = false;
	if (t->source)
		ret = vfio_nvme_write(t->queue, ns, piece->lba, piece->blocks, piece->iova, piece);
	else
		ret = vfio_nvme_read(t->queue, ns, piece->lba, piece->blocks, piece->iova, piece);
	if (ret < 0)
		return queue_error(t->program, t->doing, ret);
	vfio_nvme_ring(t->queue);
	t->lba += piece->blocks;
	t->left -= t->left ? (uint64_t)len : 0;
	t->put++;
	return 0;
}

/* Take answers that are there, or wait for some. */
static int take_answers(struct transfer *t)
{
	struct vfio_nvme_done done[ANSWERS];
	int n = vfio_nvme_wait(t->queue, done, ANSWERS, LOOK_EVERY), ret;

	if (n < 0)
		return queue_error(t->program, t->doing, n);
	for (int i = 0; i < n; i++) {
		struct piece *piece = done[i].tag;

		if (done[i].status)
			return status_error(t->program, t->doing, piece->lba, piece->blocks,
					    done[i].status);
		piece->done = true;
	}
	if (n > 0)
		return 0;
	ret = vfio_nvme_check(t->program->nvme);
	return ret < 0 ? driver_error(t->program, ret) : 0;
}

static int check_end(struct transfer *t)
{
	char undone[96];

	if (!stop_signal && !disk_must_be_left(t->program))
		return 0;
	snprintf(undone, sizeof(undone), "%s was not finished: %" PRIu64 " bytes were done",
		 t->doing, t->moved);
	return check_stop(t->program, undone);
}

/* Finish the oldest piece, or bring that nearer. */
static int take_oldest(struct transfer *t)
{
	struct piece *piece = piece_at(t, t->taken);
	int ret = 0;

	if (!piece->done)
		return take_answers(t);
	if (t->sink)
		ret = t->sink(t->arg, piece->data, piece->len);
	if (ret < 0)
		return ret;
	t->taken++;
	t->moved += piece->len;
	show_progress(t);
	return 0;
}

static int run(struct transfer *t, uint64_t lba, uint64_t bytes)
{
	int ret = 0;

	t->lba = lba;
	t->left = t->total = bytes;
	t->put = t->taken = t->moved = 0;
	t->start = now_ns();
	t->shown = t->start;
	while (ret == 0 && (t->left || t->taken != t->put)) {
		if (t->left && t->put - t->taken < t->depth)
			ret = put_next(t);
		else
			ret = take_oldest(t);
		if (ret == 0)
			ret = check_end(t);
	}
	if (ret < 0 && t->progress && t->shown != t->start)
		fputc('\n', stderr);
	return ret;
}

int transfer_in(struct transfer *t, uint64_t lba, uint64_t bytes,
		int64_t (*source)(void *arg, void *data, size_t len), void *arg)
{
	t->source = source;
	t->sink = NULL;
	t->arg = arg;
	return run(t, lba, bytes);
}

int transfer_out(struct transfer *t, uint64_t lba, uint64_t bytes,
		 int (*sink)(void *arg, const void *data, size_t len), void *arg)
{
	t->source = NULL;
	t->sink = sink;
	t->arg = arg;
	return run(t, lba, bytes);
}
