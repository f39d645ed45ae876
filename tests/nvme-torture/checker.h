/* SPDX-License-Identifier: MIT */
/*
 * The checker's own state, and what its files offer each other.
 *
 *   commands.c  commands that are sent, and what their answers say about the disk
 *   work.c      which commands: a random mix
 *   events.c    what happens in between: resets, queues that go, aborts, deaths
 *   checker.c   the program
 */
#ifndef CHECKER_H
#define CHECKER_H

#include <stdio.h>
#include <sys/queue.h>

#include "chance.h"
#include "memory.h"
#include "model.h"

#define MAX_QUEUES 6u
#define MAX_COMMANDS 1500u
#define MAX_DISKS 4u
#define MAX_BLOCKS 4160u	/* of a namespace that are used: */
#define HOT_BLOCKS 64u		/* many commands meet in the first ones */
#define MAX_EXTENTS 12u
#define MAX_DATA (1u << 20)
#define PATIENCE_MS 30000u	/* for one answer; longer is a hang */

/* A namespace, and what it may contain. */
struct disk {
	const struct vfio_nvme_namespace *ns;
	uint32_t nsid, block;
	uint64_t blocks;
	struct model *model;
	const char *image;		/* or NULL: the file that it is */
};

struct extent {
	uint64_t lba;
	uint32_t blocks;
};

/* A command as it was drawn, and then as it was sent. */
struct command {
	TAILQ_ENTRY(command) link;	/* under way, the oldest first; or unused */
	bool under_way;
	bool may_abort;			/* somebody has asked for that */
	uint8_t opcode;
	bool fua;
	bool plain;			/* not by vfio_nvme_submit(), but by the call made for it */
	bool wrong;			/* Compare with what is not there */
	unsigned int queue;
	struct disk *disk;
	struct extent extents[MAX_EXTENTS];
	unsigned int nextents;
	uint64_t shape;			/* of its memory; also other small choices */
	uint64_t version, sent;
	bool has_buffer;
	struct buffer buffer;
};

TAILQ_HEAD(commands, command);

struct counts {
	unsigned long long commands, reads, writes, zeroes, deallocations, compares, flushes;
	unsigned long long blocks_read, blocks_compared, bytes_written;
	unsigned long long ambiguous, swapped, unknown, unknown_done, skipped, errors;
	unsigned long long resets, function_resets, queues, aborts, aborted, reopened, kills;
	unsigned long long formats, caches, naps, sweeps, events, pages_looked_at, images;
};

struct checker {
	/* what it was asked for */
	const char *device;
	uint64_t seed;
	bool kills;			/* ask for the device's death */
	bool is_volatile;		/* what was written goes when the device is closed */
	const char *images[MAX_DISKS];

	/* the device */
	struct vfio_nvme *nvme;
	struct vfio_nvme_queue *queues[MAX_QUEUES];
	unsigned int nqueues;
	struct disk disks[MAX_DISKS];
	unsigned int ndisks;
	struct memory memory;
	bool doomed;			/* it was asked for; the device may go at any time */

	/* commands */
	struct commands under_way, unused;
	unsigned int nunder_way;
	unsigned int depth;		/* so many are under way, at most */
	uint64_t now;			/* see model.h */
	uint64_t version;		/* the newest */
	bool is_reset;			/* answers say that commands were aborted */
	struct command pool[MAX_COMMANDS];
	struct counts counts;
};

/* Print what is wrong and exit. */
_Noreturn void fail(const struct checker *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * A call has failed: exit, unless the device is to die: then it has. Returns ret, negative only in
 * that case; the caller goes back to main(), which makes a new start.
 */
int check(const struct checker *c, int ret, const char *what);

/* ---- commands.c ---------------------------------------------------------------------------- */

/* Send a copy of it, as soon as there is room. */
int command_send(struct checker *c, const struct command *drawn);
/* Take what answers there are; wait for one. */
int commands_collect(struct checker *c, bool wait);
/* Until none is under way. */
int commands_finish(struct checker *c);
/* The controller sees all that were put into queues. */
void commands_ring(struct checker *c);
/* None of those of this queue (MAX_QUEUES: of any) will be answered, or done, from now on. */
void commands_give_up(struct checker *c, unsigned int queue);

/* The device has not touched the memory of those that were given up; it can be used again. */
void commands_look_aside(struct checker *c);

/* One block as it was found; what: by whom. Exits if it may not be. */
void check_block(struct checker *c, struct disk *disk, uint64_t lba, const void *block,
		 uint64_t sent, const char *what);

/* ---- work.c -------------------------------------------------------------------------------- */

/* So many commands, of a mix that follows from chance. */
int work(struct checker *c, struct chance *chance, unsigned int n);
/* Read everything. */
int work_sweep(struct checker *c);

/* ---- events.c ------------------------------------------------------------------------------ */

int event(struct checker *c, struct chance *chance);

/* Bring the device up: random options; what was under way before is over. */
int device_open(struct checker *c, struct chance *chance);
void device_close(struct checker *c);

#endif
