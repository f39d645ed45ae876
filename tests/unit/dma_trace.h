/* SPDX-License-Identifier: MIT */
/* Reading tests/data/kernel-dma: tests/guest/README has the format. */
#ifndef DMA_TRACE_H
#define DMA_TRACE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>

#include <cmocka.h>

#include <vfio/driver.h>

#define TRACE_RANGES 8

/* Why answers are not the kernel's on purpose. */
struct difference {
	const char *why;
	unsigned int count;
};

struct trace {
	const char *name;
	FILE *file;
	char line[65536], section[128];
	unsigned int number;
	/* What the lines before the first section say. */
	bool v1;
	uint64_t entries, memlock;	/* memlock UINT64_MAX: no limit */
	struct vfio_iova_range ranges[TRACE_RANGES];
	unsigned int nranges;
	uint64_t alignment;
	/* The same memory as the kernel was given. */
	uint8_t *mapped, *buffer;
	uint64_t hole, ro;		/* offsets of such a part */
	unsigned int compared, different;
	struct difference *differences;	/* ends with one without why */
};

/* Everything before the first section. */
void trace_open(struct trace *t, const char *path, struct difference *differences);
void trace_close(struct trace *t);

/* The next line that is a call, without its end; false at the end. */
bool trace_next(struct trace *t);

/* The word behind p, which is moved on: a number of that base, or an address. */
uint64_t take_number(const char **p, int base);
uint64_t take_address(const struct trace *t, const char **p);
/* What is behind the equals sign. */
const char *trace_answer(const struct trace *t);

/* Ours against theirs; because: NULL, or why they may differ. Are they equal? */
bool trace_compare(struct trace *t, int64_t ours, int64_t theirs, const char *because);

/* What the trace came to. A difference that was not met wants to be taken off the list. */
void trace_finish(struct trace *t);

#endif
