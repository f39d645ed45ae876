/* SPDX-License-Identifier: MIT */
/* What the files of `bench` share. */
#ifndef VFIO_NVME_BENCH_H
#define VFIO_NVME_BENCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "histogram.h"
#include "program.h"

struct pattern {
	const char *name;
	bool random;
	unsigned int reads;		/* of a hundred */
};

struct bench {
	struct program *program;
	const struct pattern *pattern;
	uint64_t size;			/* bytes of a command */
	uint64_t places;		/* of that size there are */
	unsigned int depth, queues;
	int file;			/* --plain: the file; else -1 */
	uint64_t deadline;		/* now_ns() */
	atomic_bool stop;		/* somebody failed, or: */
	atomic_bool left;		/* the disk is to be left */
	atomic_uint running;		/* threads */
	struct worker *workers;		/* queues of them */
};

/* A command on its way. */
struct slot {
	uint64_t start;			/* when it was put into the queue */
	uint64_t iova, lba;
	bool read;
};

/* A queue and who uses it. */
struct worker {
	struct bench *bench;
	struct vfio_nvme_queue *queue;
	void *data;			/* --plain: for one call; else */
	struct vfio_dma *buffers;	/* as many as slots */
	struct slot *slots;		/* depth of them, or more */
	pthread_t thread;
	int cpu;			/* to run on, or -1 */
	bool owner;			/* runs in the owner's thread */
	uint64_t random;		/* the generator's state */
	uint64_t next;			/* place, of sequential patterns */

	uint64_t begun, ended;		/* now_ns() */
	uint64_t reads, writes;
	struct histogram latency;
	int ret;			/* of a call that failed, */
	uint16_t status;		/* or the status that a command was answered with, */
	uint64_t lba;			/* there */
	bool failed_read;
};

/* Work until the deadline, a failure or a signal. worker->ret or status tells of the failure. */
void worker_run(struct worker *worker);

/* The same with pread(2) on bench->file. */
void plain_run(struct worker *worker);

/* Where the next command goes. */
uint64_t worker_place(struct worker *worker);

/* A number that nobody foresees, but for who knows the state. */
uint64_t worker_random(struct worker *worker);

/* The owner looks now and then: is the disk to be left, or dead? A negative errno if it is dead. */
int bench_check(struct bench *bench);

/* Is there time left, and all well? */
bool worker_goes_on(const struct worker *worker, uint64_t now);

/* Run all workers to their end, each in a thread of its own if there are several. */
int bench_run(struct bench *bench);

/* Print what was measured. */
void bench_report(const struct bench *bench);

#endif
