/* SPDX-License-Identifier: MIT */
/*
 * What the library costs over a device of the kernel's VFIO: `kernel-costs 0000:03:00.0`. Opening,
 * to the first register that is read; a DMA map and its end, beside the kernel's own call in the
 * same run, in turn, on the same container; and a register that is mapped. Targets stand there for
 * information.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vfio/driver.h>

#include "bare.h"
#include "measure.h"

#define IOVA    0x1000000000ull
#define BAR     VFIO_PCI_BAR0_REGION_INDEX
#define ROUNDS  21		/* odd: the middle one is the figure */
#define MOST    (1ull << 30)	/* bytes of a map */
#define READS   256		/* of a register, that are stepped through */
#define MAPS    16		/* maps, the same */

static const char *name;
static struct vfio_dev *dev;
static struct bare bare;
static uint8_t *memory;

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(vfio_error_print(stderr, "kernel-costs", vfio_last_error(dev)));
}

static void open_device(void *unused)
{
	struct vfio_error err;

	if (vfio_open(&dev, name, &err) < 0)
		exit(vfio_error_print(stderr, "kernel-costs", &err));
}

static void print_instructions(const char *of, double instructions, const char *what)
{
	if (instructions < 0)
		printf("%sinstructions cannot be counted here\n", of);
	else
		printf("%s%.1f instructions of user space%s\n", of, instructions, what);
}

/* ---- opening ------------------------------------------------------------------------------ */

static void nothing(void *unused)
{
}

static void open_and_read(void *unused)
{
	uint32_t value;

	open_device(NULL);
	if (vfio_pread(dev, BAR, 0, &value, sizeof(value)) != sizeof(value))
		fail("reading a register");
}

static void report_open(void)
{
	double us[ROUNDS];
	struct figures f;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		double start = nanoseconds();

		open_and_read(NULL);
		us[i] = (nanoseconds() - start) / 1000;
		vfio_close(dev);
	}
	f = figures_of(us, ROUNDS);
	printf("open to the first register read: %.0f us (%.0f to %.0f); ", f.middle, f.least,
	       f.most);
	fflush(stdout);
	print_instructions("", (double)count_instructions(nothing, open_and_read, NULL), "");
}

/* ---- maps --------------------------------------------------------------------------------- */

struct times {
	double map, unmap;		/* ns each */
};

/* What is mapped: so many times the same memory, at different addresses; and that so often. */
struct load {
	uint64_t size;
	unsigned int maps, turns;
	bool bare;
};

static void map_all(void *arg)
{
	const struct load *load = arg;

	for (unsigned int i = 0; i < load->maps; i++) {
		struct vfio_dma dma = {
			.vaddr = memory, .iova = IOVA + i * load->size, .size = load->size,
			.prot = VFIO_DMA_RW, .fd = -1,
		};

		if (load->bare)
			bare_map(&bare, dma.vaddr, dma.iova, dma.size);
		else if (vfio_dma_map(dev, &dma) < 0)
			fail("mapping");
	}
}

static void unmap_all(void *arg)
{
	const struct load *load = arg;

	for (unsigned int i = 0; i < load->maps; i++) {
		if (load->bare)
			bare_unmap(&bare, IOVA + i * load->size, load->size);
		else if (vfio_dma_unmap(dev, IOVA + i * load->size, load->size) < 0)
			fail("unmapping");
	}
}

/* As a device at work has, whatever comes and goes. */
static void hold_something(void)
{
	struct vfio_dma dma;

	if (vfio_dma_alloc(dev, &dma, 4096, VFIO_DMA_RW) < 0)
		fail("allocating");
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

/* Of the turns, the fastest: the one that nobody else on the machine has disturbed. */
static struct times time_of(struct load *load)
{
	struct times t = { 1e12, 1e12 };

	for (unsigned int i = 0; i < load->turns; i++) {
		double start = nanoseconds(), middle;

		map_all(load);
		middle = nanoseconds();
		unmap_all(load);
		t.map = smaller(t.map, (middle - start) / load->maps);
		t.unmap = smaller(t.unmap, (nanoseconds() - middle) / load->maps);
	}
	return t;
}

/* How much longer than the kernel's own call: of each round, that is made of neighbours. */
static void print_ratio(const char *what, uint64_t size, double *ours, double *bares)
{
	double ratios[ROUNDS];
	struct figures f, r, floor;

	for (unsigned int i = 0; i < ROUNDS; i++)
		ratios[i] = ours[i] / bares[i];
	f = figures_of(ours, ROUNDS);
	floor = figures_of(bares, ROUNDS);
	r = figures_of(ratios, ROUNDS);
	printf("%-5s %8llu KiB: %10.1f us, ioctl %10.1f us (%.1f to %.1f); ratio of the middle "
	       "ones %.3f, of each round %.3f (%.3f to %.3f; wanted: 1.05)\n", what,
	       (unsigned long long)size >> 10, f.middle / 1000, floor.middle / 1000,
	       floor.least / 1000, floor.most / 1000, f.middle / floor.middle, r.middle, r.least,
	       r.most);
}

/* Who is first changes from round to round. */
static void report_maps(uint64_t size, unsigned int maps, unsigned int turns)
{
	struct load loads[2] = { { size, maps, turns, false }, { size, maps, turns, true } };
	double map[2][ROUNDS], unmap[2][ROUNDS];

	for (unsigned int i = 0; i < 2; i++)	/* what only the first time costs */
		time_of(&loads[i]);
	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int i = 0; i < 2; i++) {
			unsigned int which = (i + round) % 2;
			struct times t = time_of(&loads[which]);

			map[which][round] = t.map;
			unmap[which][round] = t.unmap;
		}
	}
	print_ratio("map", size, map[0], map[1]);
	print_ratio("unmap", size, unmap[0], unmap[1]);
	fflush(stdout);
}

static void report_map_instructions(void)
{
	long counts[2][2];

	for (unsigned int i = 0; i < 2; i++) {
		struct load load = { 4096, MAPS, 1, i };

		/* The child's maps are the container's; this library knows none of them. */
		counts[i][0] = count_instructions(nothing, map_all, &load);
		load.bare = true;
		if (counts[i][0] >= 0)
			unmap_all(&load);
		load.bare = i;
		counts[i][1] = count_instructions(map_all, unmap_all, &load);
	}
	for (unsigned int i = 0; i < 2; i++)
		print_instructions(i ? "unmap: " : "map:   ",
				   counts[0][i] < 0 || counts[1][i] < 0 ? -1 :
				   (double)(counts[0][i] - counts[1][i]) / MAPS,
				   " more than the ioctl");
}

/* ---- registers ---------------------------------------------------------------------------- */

static volatile uint32_t *by_library, *by_kernel;

static void read_by_library(void *unused)
{
	for (unsigned int i = 0; i < READS; i++)
		(void)*by_library;
}

static void read_by_kernel(void *unused)
{
	for (unsigned int i = 0; i < READS; i++)
		(void)*by_kernel;
}

static void read_by_call(void *unused)
{
	for (unsigned int i = 0; i < READS; i++)
		(void)vfio_read32(dev, BAR, 0);
}

static void report_registers(void)
{
	long floor, address, call;

	by_library = vfio_map(dev, BAR, 0, 4096);
	if (!by_library)
		fail("mapping registers");
	by_kernel = bare_registers(&bare, 0, 4096);
	floor = count_instructions(nothing, read_by_kernel, NULL);
	address = count_instructions(nothing, read_by_library, NULL);
	call = count_instructions(nothing, read_by_call, NULL);
	print_instructions("mapped register, by vfio_map()'s address: ", floor < 0 ? -1 :
			   (double)(address - floor) / READS,
			   " more than by mmap()'s (wanted: none)");
	print_instructions("mapped register, by vfio_read32():        ", floor < 0 ? -1 :
			   (double)(call - floor) / READS, " more");
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("Usage: kernel-costs DEVICE (a PCI address)\n", stderr);
		return 2;
	}
	name = argv[1];
	report_open();
	open_device(NULL);
	bare_find(&bare);
	printf("%s\n", vfio_backend_name(dev));
	memory = mmap(NULL, MOST, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED)
		die("memory");
	hold_something();
	report_maps(4096, MAPS, 16);
	report_maps(2 << 20, MAPS / 4, 8);
	report_maps(MOST, 1, 1);
	report_map_instructions();
	report_registers();
	vfio_close(dev);
	return 0;
}
