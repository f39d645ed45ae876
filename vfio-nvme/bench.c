/* SPDX-License-Identifier: MIT */
/* bench: what is measured, on what; worker.c measures, threads.c runs, report.c prints. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "sheet.h"

#define USUAL_SIZE 4096u

static const struct pattern patterns[] = {
	{ "randread", true, 100 },
	{ "randwrite", true, 0 },
	{ "randrw", true, 50 },
	{ "read", false, 100 },
	{ "write", false, 0 },
};

static const struct pattern *find_pattern(const char *name)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		if (strcmp(patterns[i].name, name) == 0)
			return &patterns[i];
	return NULL;
}

/* What is wrong with the command line alone. 0, or EXIT_USAGE. */
static int check_settings(struct bench *bench, const struct settings *settings)
{
	bench->pattern = find_pattern(settings->pattern);
	if (!bench->pattern)
		return usage_error("--pattern: '%s' is none of randread, randwrite, randrw, read"
				   " and write", settings->pattern);
	if (settings->poll && settings->interrupts)
		return usage_error("--poll and --interrupts: only one of them");
	if (settings->plain && bench->pattern->reads != 100)
		return usage_error("--plain only reads: --pattern=randread or read");
	return 0;
}

/* ---- may it write? ----------------------------------------------------------------------- */

static bool ask(const struct bench *bench)
{
	const struct program *program = bench->program;
	char answer[8], size[SIZE_TEXT];

	fprintf(stderr, "%s destroys what is on namespace %" PRIu32 " of '%s' (%s). Go on? [y/N] ",
		bench->pattern->name, program->ns->nsid, disk_name(program),
		size_text(size, disk_bytes(program)));
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static int check_writes(struct bench *bench)
{
	struct program *program = bench->program;
	int ret;

	if (bench->pattern->reads == 100)
		return 0;
	ret = disk_check_writable(program);
	if (ret < 0 || program->settings.yes)
		return ret;
	if (!isatty(STDIN_FILENO))
		return usage_error("%s destroys what is on the disk; if that is meant, say --yes",
				   bench->pattern->name);
	if (ask(bench))
		return 0;
	fputs(PROGRAM ": nothing was written\n", stderr);
	return EXIT_WRONG;
}

/* ---- what is measured -------------------------------------------------------------------- */

static int check_size(struct bench *bench)
{
	const struct vfio_nvme_namespace *ns = bench->program->ns;
	uint64_t block = 1ull << ns->block_shift, most = ns->max_blocks * block;
	uint64_t size = bench->program->settings.size;

	if (size == NOT_GIVEN)
		size = block > USUAL_SIZE ? block : USUAL_SIZE;
	if (size % block || size > most)
		return argument_error(bench->program, EINVAL, "give another --size",
				      "--size %" PRIu64 ": commands of namespace %" PRIu32
				      " have whole blocks of %" PRIu64 " bytes, and up to %" PRIu64
				      " bytes", size, ns->nsid, block, most);
	bench->size = size;
	bench->places = disk_bytes(bench->program) / size;
	if (bench->places)
		return 0;
	return argument_error(bench->program, ERANGE, "give a smaller --size",
			      "--size %" PRIu64 " is more than namespace %" PRIu32 " has, %" PRIu64
			      " bytes", size, ns->nsid, disk_bytes(bench->program));
}

static int open_plain(struct bench *bench)
{
	const struct settings *settings = &bench->program->settings;
	struct stat st;

	bench->size = settings->size == NOT_GIVEN ? USUAL_SIZE : settings->size;
	bench->file = open(settings->plain, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (bench->file >= 0 && fstat(bench->file, &st) == 0) {
		bench->places = S_ISREG(st.st_mode) ? (uint64_t)st.st_size / bench->size : 0;
		if (bench->places)
			return 0;
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	}
	return file_error(bench->program, "reading", settings->plain,
			  "name a regular file, larger than --size");
}

static int open_disk(struct bench *bench)
{
	const struct vfio_nvme_options options = {
		.size = sizeof(options), .queues = bench->queues,
		.no_interrupts = bench->program->settings.poll,
	};
	int ret = disk_open_namespace(bench->program, &options);

	if (ret == 0)
		ret = check_size(bench);
	return ret == 0 ? check_writes(bench) : ret;
}

/* ---- workers ----------------------------------------------------------------------------- */

/* Bytes that no disk can leave out or compress. */
static void fill_memory(struct worker *worker)
{
	for (unsigned int i = 0; i < worker->bench->depth; i++) {
		uint64_t *word = worker->buffers[i].vaddr;

		for (size_t n = 0; n < worker->bench->size / sizeof(*word); n++)
			word[n] = worker_random(worker);
	}
}

/* The memory of one call; and none of a disk. */
static int make_plain(struct worker *worker)
{
	worker->data = memory_check(calloc(1, worker->bench->size));
	return 0;
}

static int make_queue(struct worker *worker)
{
	struct bench *bench = worker->bench;
	uint64_t depth = bench->depth;
	int ret = disk_queue(bench->program, &worker->queue, &depth, !worker->owner);

	if (ret < 0)
		return ret;
	bench->depth = (unsigned int)depth;
	worker->slots = memory_check(calloc(depth, sizeof(*worker->slots)));
	worker->buffers = memory_check(calloc(depth, sizeof(*worker->buffers)));
	ret = disk_memory(bench->program, worker->buffers, depth, bench->size);
	if (ret < 0)
		return ret;
	fill_memory(worker);
	return 0;
}

static int make_worker(struct bench *bench, unsigned int number)
{
	struct worker *worker = &bench->workers[number];
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) < 0 || !seed)
		seed = now_ns();
	worker->bench = bench;
	worker->random = seed;
	worker->owner = bench->queues == 1;
	/* Each begins in a part of its own. */
	worker->next = (uint64_t)((unsigned __int128)bench->places * number / bench->queues);
	histogram_init(&worker->latency);
	return bench->file >= 0 ? make_plain(worker) : make_queue(worker);
}

static int make_workers(struct bench *bench)
{
	int ret = 0;

	bench->workers = memory_check(calloc(bench->queues, sizeof(*bench->workers)));
	for (unsigned int i = 0; i < bench->queues && ret == 0; i++)
		ret = make_worker(bench, i);
	return ret;
}

/* Queues go first: then the controller is done with the memory. vfio_nvme_close() frees both. */
static void finish(struct bench *bench)
{
	for (unsigned int i = 0; bench->workers && i < bench->queues; i++) {
		struct worker *worker = &bench->workers[i];

		vfio_nvme_queue_free(worker->queue);
		free(worker->data);
		free(worker->buffers);
		free(worker->slots);
	}
	free(bench->workers);
	if (bench->file >= 0)
		close(bench->file);
}

int command_bench(struct program *program)
{
	const struct settings *settings = &program->settings;
	struct bench bench = {
		.program = program, .depth = (unsigned int)settings->depth,
		.queues = (unsigned int)settings->queues, .file = -1,
	};
	int ret = check_settings(&bench, settings);

	if (ret)
		return ret;
	ret = settings->plain ? open_plain(&bench) : open_disk(&bench);
	if (ret == 0)
		ret = make_workers(&bench);
	if (ret == 0)
		ret = bench_run(&bench);
	if (ret == 0)
		bench_report(&bench);
	if (ret == 0 && program->event.err) {
		program->error = program->event;
		ret = -program->event.err;
	}
	finish(&bench);
	return ret;
}
