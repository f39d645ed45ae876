/* SPDX-License-Identifier: MIT */
/*
 * nvme-checker [OPTION…] DEVICE
 *
 * Works on an NVMe controller with random commands, from one thread on several queues, while the
 * controller is reset, queues go, commands are aborted, the device is closed and opened or (--kill)
 * dies; and checks each block of each read against what it may be by then (model.h). Everything on
 * the disk must be zeros at first.
 *
 *   --seed=N       the same commands as that time
 *   --rounds=N     of some hundred commands and one event; or
 *   --seconds=N    until they are over
 *   --kill         now and then say "kill" on stdout: let the device's process die then
 *   --volatile     the disk is empty when it has been closed
 *   --image=PATH   of the next namespace: look at the file in the end
 *
 * Exits with 0 when all was right; 1, and says what is wrong; 2: bad usage.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "checker.h"

#define LONG_ROUND 400u

static struct checker checker;

/* It may be why. */
static void tell_fault(const struct checker *c)
{
	struct vfio_fault fault;

	if (c->nvme && vfio_fault(vfio_nvme_device(c->nvme), &fault) > 0)
		fprintf(stderr, "the device was refused %llu bytes at %#llx: %s\n",
			(unsigned long long)fault.size, (unsigned long long)fault.iova,
			strerror(fault.err));
}

_Noreturn void fail(const struct checker *c, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	tell_fault(c);
	if (c->nvme && vfio_nvme_error(c->nvme)->err)
		vfio_error_print(stderr, "the driver's last error", vfio_nvme_error(c->nvme));
	fprintf(stderr, "checker: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nchecker: seed %llu, after %llu commands\n", (unsigned long long)c->seed,
		c->counts.commands);
	_exit(1);
}

int check(const struct checker *c, int ret, const char *what)
{
	if (ret >= 0)
		return 0;
	if (!c->doomed)
		fail(c, "%s: %s", what, strerror(-ret));
	return ret;
}

/* ---- the work ------------------------------------------------------------------------------ */

struct budget {
	unsigned long long rounds;
	time_t end;
};

static bool is_spent(const struct budget *budget, unsigned long long round)
{
	return budget->end ? time(NULL) >= budget->end : round >= budget->rounds;
}

/* Death has come. */
static int begin_anew(struct checker *c, struct chance *chance)
{
	int ret;

	device_close(c);
	ret = device_open(c, chance);
	return ret < 0 ? ret : work_sweep(c);
}

/* Each round has its own numbers: where the last one was cut short changes nothing. */
static int round_of(struct checker *c, unsigned long long round)
{
	struct chance chance = { c->seed ^ round << 32 };
	int ret = work(c, &chance, 20 + (unsigned int)below(&chance, LONG_ROUND));

	if (ret == 0)
		ret = event(c, &chance);
	while (ret < 0)
		ret = begin_anew(c, &chance);
	return 0;
}

static void tell_progress(const struct checker *c, unsigned long long round)
{
	static time_t last;

	if (time(NULL) - last < 10)
		return;
	last = time(NULL);
	printf("round %llu: %llu commands, %llu blocks checked\n", round, c->counts.commands,
	       c->counts.blocks_read + c->counts.blocks_compared);
	fflush(stdout);
}

/* What is on the file is what is on the disk. */
static void check_image(struct checker *c, struct disk *disk)
{
	static uint8_t block[65536];
	int fd = open(disk->image, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(c, "%s cannot be opened", disk->image);
	c->now++;
	for (uint64_t lba = 0; lba < disk->blocks; lba++) {
		off_t at = (off_t)(lba * disk->block);

		if (pread(fd, block, disk->block, at) != (ssize_t)disk->block)
			fail(c, "%s cannot be read", disk->image);
		check_block(c, disk, lba, block, c->now - 1, disk->image);
	}
	close(fd);
	c->counts.images++;
}

static void run(struct checker *c, const struct budget *budget)
{
	struct chance chance = { c->seed };
	int ret = device_open(c, &chance);

	for (unsigned long long round = 1; !is_spent(budget, round); round++) {
		round_of(c, round);
		tell_progress(c, round);
	}
	ret = commands_finish(c) ?: work_sweep(c);
	while (ret < 0)
		ret = begin_anew(c, &chance);
	device_close(c);
	for (unsigned int i = 0; i < c->ndisks; i++) {
		if (c->disks[i].image)
			check_image(c, &c->disks[i]);
		model_free(c->disks[i].model);
	}
}

static void report(const struct counts *n)
{
	printf("%llu commands: %llu reads, %llu writes (%llu MB), %llu write zeroes, "
	       "%llu deallocations, %llu compares, %llu flushes\n", n->commands, n->reads,
	       n->writes, n->bytes_written / 1000000, n->zeroes, n->deallocations, n->compares,
	       n->flushes);
	printf("%llu blocks read and checked, %llu compared by the device; of these %llu had "
	       "several possible contents, %llu were of two writes in the order other than sent\n",
	       n->blocks_read, n->blocks_compared, n->ambiguous, n->swapped);
	printf("%llu resets, %llu of the function, %llu queues replaced, %llu aborts (%llu of a "
	       "command), %llu times closed and opened, %llu kills, %llu formats, %llu write "
	       "caches switched, %llu naps, %llu events told\n", n->resets, n->function_resets,
	       n->queues, n->aborts, n->aborted, n->reopened, n->kills, n->formats, n->caches,
	       n->naps, n->events);
	printf("%llu writes without an answer (%llu times one was read later), %llu commands left "
	       "out, %llu pages looked at for late writes, %llu sweeps, %llu images\n", n->unknown,
	       n->unknown_done, n->skipped, n->pages_looked_at, n->sweeps, n->images);
}

/* ---- usage --------------------------------------------------------------------------------- */

static int usage(void)
{
	fprintf(stderr, "usage: nvme-checker [--seed=N] [--rounds=N] [--seconds=N] [--kill] "
		"[--volatile] [--image=PATH]... DEVICE\n");
	return 2;
}

static bool parse(struct checker *c, struct budget *budget, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 't' },
		{ "kill", no_argument, NULL, 'k' },
		{ "volatile", no_argument, NULL, 'v' },
		{ "image", required_argument, NULL, 'i' },
		{ 0 },
	};
	unsigned int images = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			c->seed = strtoull(optarg, NULL, 0);
		else if (option == 'r')
			budget->rounds = strtoull(optarg, NULL, 0);
		else if (option == 't')
			budget->end = time(NULL) + atoi(optarg);
		else if (option == 'k')
			c->kills = true;
		else if (option == 'v')
			c->is_volatile = true;
		else if (option == 'i' && images < MAX_DISKS)
			c->disks[images++].image = optarg;
		else
			return false;
	}
	c->device = argv[optind];
	return optind == argc - 1 && (budget->rounds || budget->end);
}

int main(int argc, char **argv)
{
	struct checker *c = &checker;
	struct budget budget = { 0 };

	if (!parse(c, &budget, argc, argv))
		return usage();
	if (!c->seed)
		c->seed = ((uint64_t)time(NULL) << 20 ^ (uint64_t)getpid()) & 0xffffffff;
	printf("seed %llu\n", (unsigned long long)c->seed);
	fflush(stdout);
	TAILQ_INIT(&c->under_way);
	TAILQ_INIT(&c->unused);
	for (unsigned int i = 0; i < MAX_COMMANDS; i++)
		TAILQ_INSERT_TAIL(&c->unused, &c->pool[i], link);
	run(c, &budget);
	report(&c->counts);
	return 0;
}
