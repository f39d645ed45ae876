/* SPDX-License-Identifier: MIT */
/*
 * A namespace in a file, for tests of files.c and what is behind it, by both roads. Requests are made by
 * hand; io.c and what is before it are not there. Calls of the kernel's can be made to be others.
 */
#ifndef TEST_BED_H
#define TEST_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <sys/types.h>

#include <cmocka.h>

#include "files.h"

#define BLOCK  512u
#define BLOCKS 4096u
#define SIZE   (BLOCK * BLOCKS)

/* ---- what has happened, and what is to ----------------------------------------------------- */

extern uint16_t statuses[65536];	/* of the last request with this number */
extern unsigned int ended;		/* requests */
extern unsigned int durable, syncs;	/* writes that were to be, and calls of fdatasync() */
extern unsigned int shorten;		/* every call moves a part; every third is interrupted */
extern bool no_ring, no_room;		/* io_uring cannot be had, or takes nothing now */

/* ---- the bed ------------------------------------------------------------------------------- */

struct bed {
	struct nvme n;
	struct namespace *ns;
	char path[128];
};

struct variant {
	const char *where;
	bool synchronous, direct;
	bool ring_in_memory;		/* also where it would be slower */
};

#define VARIANTS 7

extern const struct variant variants[VARIANTS];

/* Folders for the files, of a disk and of memory; made before all tests, and gone after them. */
extern char directory[], memory[];
int make_places(void **state);
int remove_places(void **state);

void make_file(const char *path, uint64_t size);
/* A file of SIZE bytes, all zeros, opened as the variant has it. */
struct bed *bed_new(const struct variant *v);
void bed_free(struct bed *b);
/* Open the file that the options name. */
int bed_open(struct bed *b, const struct namespace_options *o, bool synchronous,
	     struct vfio_error *err);
void for_each_variant(void (*test)(struct bed *b, const struct variant *v));

/* One that is still to get its data. */
struct request *request(struct bed *b, uint8_t opcode, uint64_t lba, uint64_t blocks);
/* Begin it, and wait for its end: its status. */
uint16_t run(struct bed *b, struct request *r);
/* Read or Write, of one buffer: its status. */
uint16_t move_blocks(struct bed *b, uint8_t opcode, uint64_t lba, uint64_t blocks, void *buf);

void *aligned(size_t size);
/* Bytes of which none is zero. */
uint8_t *pattern(size_t size, unsigned int seed);
/* What is in the file itself. */
void assert_file(struct bed *b, uint64_t offset, const void *want, size_t size);
void assert_zero(struct bed *b, uint64_t offset, size_t size);
/* Write, read again, and look at the file. */
void write_and_read(struct bed *b, const struct variant *v);
/* st_blocks, when it is decided. */
blkcnt_t blocks_used(struct bed *b);

#endif
