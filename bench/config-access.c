/* SPDX-License-Identifier: MIT */
/*
 * What the virtual function costs in the driver's own process: accesses to configuration space, and
 * an interrupt that is raised. Beside them, in turn and in the same run, what cannot be undercut:
 * four bytes that are copied behind a function pointer, and a write(2) to an eventfd.
 */
#include <linux/pci_regs.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vfio/device.h>

#include "measure.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define ROUNDS 41
#define BATCH  5000
#define STEPS  20		/* times that something is stepped through */

/* A device, another one that may not master the bus, and what is done to them. */
struct bench {
	struct vfio_function *fn, *quiet;
	struct vfio_dev *dev, *quiet_dev;
	int efd;
	uint32_t value, line, command;
	void (*copy)(uint32_t *to, const uint32_t *from);
};

/* ---- the floors --------------------------------------------------------------------------- */

static void copy_four_bytes(uint32_t *to, const uint32_t *from)
{
	memcpy(to, from, sizeof(*to));
}

static void floor_copy(struct bench *b)
{
	b->copy(&b->value, &b->line);
}

static void floor_eventfd(struct bench *b)
{
	const uint64_t one = 1;

	if (write(b->efd, &one, sizeof(one)) != sizeof(one))
		die("eventfd");
}

/* ---- what is measured --------------------------------------------------------------------- */

static void put(struct bench *b, uint64_t offset, uint32_t value)
{
	if (vfio_pwrite(b->dev, CONFIG, offset, &value, sizeof(value)) != sizeof(value))
		exit(vfio_error_print(stderr, "config-access", vfio_last_error(b->dev)));
}

static void read_config(struct bench *b)
{
	if (vfio_pread(b->dev, CONFIG, PCI_VENDOR_ID, &b->value, sizeof(b->value)) !=
	    sizeof(b->value))
		exit(vfio_error_print(stderr, "config-access", vfio_last_error(b->dev)));
}

/* Each write changes something: one that changes nothing might be cheaper. */
static void write_plain(struct bench *b)
{
	b->line ^= 0x55;
	put(b, PCI_INTERRUPT_LINE, b->line);
}

static void write_command(struct bench *b)
{
	b->command ^= PCI_COMMAND_MASTER;
	put(b, PCI_COMMAND, b->command);
}

/* The identification cannot be written, and the side channel says so each time. */
static void write_read_only(struct bench *b)
{
	put(b, PCI_VENDOR_ID, 0);
}

static void raise_eventfd(struct bench *b)
{
	vfio_function_msi(b->fn, 0);
}

/* All but the first of these find that a message waits already. */
static void raise_pending(struct bench *b)
{
	vfio_function_msi(b->quiet, 0);
}

enum floor { COPY, EVENTFD, NONE };

static struct subject {
	const char *name;
	void (*once)(struct bench *b);
	enum floor floor;
	double ns[ROUNDS];
} subjects[] = {
	[COPY] = { "floor: 4 bytes behind a function pointer", floor_copy, NONE },
	[EVENTFD] = { "floor: write(2) to an eventfd", floor_eventfd, NONE },
	{ "config read, 4 bytes", read_config, COPY },
	{ "config write, 4 bytes, Interrupt Line", write_plain, COPY },
	{ "config write, 4 bytes, Command (a hook)", write_command, COPY },
	{ "config write, 4 bytes, read-only (a record)", write_read_only, COPY },
	{ "raise MSI-X, to an eventfd", raise_eventfd, EVENTFD },
	{ "raise MSI-X, a message waits already", raise_pending, EVENTFD },
};

#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

/* ---- the device --------------------------------------------------------------------------- */

static void open_device(struct vfio_function **fn, struct vfio_dev **dev)
{
	static const struct vfio_function_description description = {
		.size = sizeof(description), .name = "bench",
		.vendor = 0x1234, .device = 0x5678, .interrupt_pin = 1,
		.msix_vectors = 8, .msix_table = 0x1000, .msix_pba = 0x2000,
		.power_management = true, .express = true,
		.bars[0] = { .size = 0x4000 },
	};
	static const struct vfio_function_ops ops = { .size = sizeof(ops) };
	struct vfio_error err;
	int fd;

	if (vfio_function_new(fn, &description, &ops, NULL, &err) < 0 ||
	    vfio_function_open(dev, *fn, &err) < 0)
		exit(vfio_error_print(stderr, "config-access", &err));
	if (vfio_irq_enable(*dev, VFIO_PCI_MSIX_IRQ_INDEX, 1, &fd) < 0)
		exit(vfio_error_print(stderr, "config-access", vfio_last_error(*dev)));
}

static void set_up(struct bench *b)
{
	open_device(&b->fn, &b->dev);
	open_device(&b->quiet, &b->quiet_dev);
	if (vfio_set_bus_master(b->dev, true) < 0)
		exit(vfio_error_print(stderr, "config-access", vfio_last_error(b->dev)));
	b->line = vfio_read32(b->dev, CONFIG, PCI_INTERRUPT_LINE);
	b->command = vfio_read32(b->dev, CONFIG, PCI_COMMAND);
	b->copy = copy_four_bytes;
}

/* ---- measuring ---------------------------------------------------------------------------- */

static void measure(struct subject *s, struct bench *b, unsigned int round)
{
	void (*volatile once)(struct bench *b) = s->once;
	double start = nanoseconds();

	for (unsigned int i = 0; i < BATCH; i++)
		once(b);
	s->ns[round] = (nanoseconds() - start) / BATCH;
}

/* What is stepped through, on a device of the child's own. */
struct stepped {
	struct bench bench;
	const struct subject *subject;
};

static void prepare(void *arg)
{
	struct stepped *s = arg;

	s->bench = (struct bench){ .efd = eventfd(0, EFD_CLOEXEC) };
	set_up(&s->bench);
	s->subject->once(&s->bench);
}

static void act(void *arg)
{
	struct stepped *s = arg;

	for (unsigned int i = 0; i < STEPS; i++)
		s->subject->once(&s->bench);
}

static void print_instructions(const struct subject *s)
{
	struct stepped stepped = { .subject = s };
	long n = count_instructions(prepare, act, &stepped);

	if (n < 0)
		printf("  instructions not counted");
	else
		printf("  %5.0f instructions", (double)n / STEPS);
}

static struct figures figures(const double values[ROUNDS])
{
	double sorted[ROUNDS];

	memcpy(sorted, values, sizeof(sorted));
	return figures_of(sorted, ROUNDS);
}

static void print(const struct subject *s)
{
	struct figures f = figures(s->ns);
	double ratio[ROUNDS];
	char range[40];

	snprintf(range, sizeof(range), "(%.1f..%.1f)", f.least, f.most);
	printf("%-43s %6.1f ns %-16s", s->name, f.middle, range);
	print_instructions(s);
	if (s->floor != NONE) {
		for (unsigned int i = 0; i < ROUNDS; i++)
			ratio[i] = s->ns[i] / subjects[s->floor].ns[i];
		f = figures_of(ratio, ROUNDS);
		printf("  %.2f x floor (%.2f..%.2f)", f.middle, f.least, f.most);
	}
	putchar('\n');
	fflush(stdout);
}

int main(void)
{
	struct bench bench = { .efd = eventfd(0, EFD_CLOEXEC) };

	if (bench.efd < 0)
		die("eventfd");
	pin(sched_getcpu());
	set_up(&bench);
	/* The first round warms up, and is overwritten. */
	for (unsigned int round = 0; round <= ROUNDS; round++)
		for (unsigned int i = 0; i < SUBJECTS; i++)
			measure(&subjects[i], &bench, round % ROUNDS);
	printf("in process, %d batches of %d each in turn: median (min..max)\n", ROUNDS, BATCH);
	fflush(stdout);
	for (unsigned int i = 0; i < SUBJECTS; i++)
		print(&subjects[i]);
	vfio_close(bench.dev);
	vfio_close(bench.quiet_dev);
	close(bench.efd);
	return 0;
}
