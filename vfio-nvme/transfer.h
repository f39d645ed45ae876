/* SPDX-License-Identifier: MIT */
/*
 * Move bytes between the disk and a function, in order, with many commands under way at once: a
 * ring of pieces, of which the oldest is always the next to be finished.
 */
#ifndef VFIO_NVME_TRANSFER_H
#define VFIO_NVME_TRANSFER_H

#include "program.h"

struct piece {
	void *data;
	uint64_t iova, lba;
	uint32_t len;			/* bytes; what is left of the last block is not counted */
	uint32_t blocks;
	bool done;
};

struct transfer {
	struct program *program;
	struct vfio_nvme_queue *queue;
	struct vfio_dma *buffers;	/* depth of them, */
	struct piece *pieces;		/* and of these */
	uint64_t depth;
	uint32_t piece_size;		/* bytes, whole blocks */
	const char *doing;		/* for messages: "writing" */
	bool progress;			/* show it on standard error */

	/* of the one that runs */
	int64_t (*source)(void *arg, void *data, size_t len);
	int (*sink)(void *arg, const void *data, size_t len);
	void *arg;
	uint64_t lba, left, total;	/* next block, bytes behind it, bytes in all */
	uint64_t put, taken;		/* pieces */
	uint64_t moved;			/* bytes */
	uint64_t start, shown;		/* times, in ns */
};

/* Memory and a queue for settings.depth commands, or as many as can be. The disk is open. */
int transfer_init(struct transfer *t, struct program *program);

/* The controller is done with the memory when its queue is gone, so that goes first. */
void transfer_finish(struct transfer *t);

/*
 * Write up to bytes from source to the disk. source stores up to len bytes, and returns how many;
 * less only at its end; or a negative errno. What is left of the last block is zeros.
 */
int transfer_in(struct transfer *t, uint64_t lba, uint64_t bytes,
		int64_t (*source)(void *arg, void *data, size_t len), void *arg);

/* Read bytes from the disk, and give them to sink, in order. */
int transfer_out(struct transfer *t, uint64_t lba, uint64_t bytes,
		 int (*sink)(void *arg, const void *data, size_t len), void *arg);

/* How long the last one took. */
uint64_t transfer_ns(const struct transfer *t);

#endif
