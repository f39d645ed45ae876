/* SPDX-License-Identifier: MIT */
/* What the benchmarks measure with: time, instructions, CPUs, another process. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <sched.h>

void die(const char *what);

double nanoseconds(void);

struct figures {
	double middle, least, most;
};

/* Sorts the values. */
struct figures figures_of(double *values, unsigned int n);

/*
 * The instructions of user space that act makes, counted by stepping through them in a child, after
 * prepare: that needs no counter of the processor, and is exact. -1 when this system does not allow
 * it.
 */
long count_instructions(void (*prepare)(void *arg), void (*act)(void *arg), void *arg);

/*
 * Run on one CPU from now on: moving to another costs, and which of two processes is luckier would
 * decide.
 */
void pin(int cpu);

/* The first CPU from cpu on that this process may use; -1 when there is none. */
int next_cpu(int cpu);

/* A process on that CPU that runs child on one end of a socket pair; the other end. */
int start_child(void (*child)(int fd), int cpu);

#endif
