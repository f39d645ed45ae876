/* SPDX-License-Identifier: MIT */
/*
 * What a road to an NVMe disk costs: `nvme-road DEVICE`, any device string. Milliseconds from
 * opening until the first block is read, and random reads of 4 KiB a second, one and 32 at a time,
 * polled. One line, for tables.
 */
#include <stdio.h>
#include <stdlib.h>

#include <vfio-nvme.h>

#include "measure.h"

#define DEPTH   32u
#define SIZE    4096u
#define ROUNDS  7		/* odd: the middle one is the figure */
#define SECONDS 0.3

static struct vfio_nvme *nvme;
static struct vfio_nvme_queue *queue;
static const struct vfio_nvme_namespace *ns;
static struct vfio_dma data[DEPTH];
static uint64_t places, state = 88172645463325252;

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(vfio_error_print(stderr, "nvme-road", vfio_nvme_error(nvme)));
}

static uint64_t place(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % places * (SIZE >> ns->block_shift);
}

static void put(struct vfio_dma *buffer)
{
	if (vfio_nvme_read(queue, ns, place(), SIZE >> ns->block_shift, buffer->iova, buffer) < 0)
		fail("reading");
}

/* The answers that are there; whoever has got one reads again, if more are wanted. */
static unsigned int take(bool more)
{
	struct vfio_nvme_done done[DEPTH];
	int n = vfio_nvme_wait(queue, done, DEPTH, 1000);

	if (n < 0)
		fail("waiting");
	for (int i = 0; i < n; i++) {
		if (done[i].status)
			fail("the disk answered with an error");
		if (more)
			put(done[i].tag);
	}
	vfio_nvme_ring(queue);
	return (unsigned int)n;
}

static double rate(unsigned int depth)
{
	double start = nanoseconds(), end = start + SECONDS * 1e9;
	unsigned long reads = 0;

	for (unsigned int i = 0; i < depth; i++)
		put(&data[i]);
	vfio_nvme_ring(queue);
	while (vfio_nvme_queue_busy(queue))
		reads += take(nanoseconds() < end);
	return (double)reads / (nanoseconds() - start) * 1e9;
}

static double middle_rate(unsigned int depth)
{
	double rates[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++)
		rates[i] = rate(depth);
	return figures_of(rates, ROUNDS).middle;
}

static void open_disk(const char *name)
{
	const struct vfio_nvme_options options = { .size = sizeof(options),
						   .no_interrupts = true };
	struct vfio_error err;

	if (vfio_nvme_open(&nvme, name, &options, &err) < 0)
		exit(vfio_error_print(stderr, "nvme-road", &err));
	ns = vfio_nvme_next_namespace(nvme, 0);
	if (!ns || ns->block_shift > 12)
		die("no namespace");
	places = (ns->blocks << ns->block_shift) / SIZE;
	if (vfio_nvme_queue_new(&queue, nvme, NULL) < 0)
		fail("making a queue");
	for (unsigned int i = 0; i < DEPTH; i++)
		if (vfio_dma_alloc(vfio_nvme_device(nvme), &data[i], SIZE, VFIO_DMA_RW) < 0)
			exit(vfio_error_print(stderr, "nvme-road",
					      vfio_last_error(vfio_nvme_device(nvme))));
}

int main(int argc, char **argv)
{
	double start = nanoseconds(), opened;

	if (argc != 2) {
		fputs("Usage: nvme-road DEVICE\n", stderr);
		return 2;
	}
	open_disk(argv[1]);
	put(data);
	vfio_nvme_ring(queue);
	while (!take(false))
		;
	opened = nanoseconds() - start;
	printf("%.1f %.0f ", opened / 1e6, middle_rate(1));
	printf("%.0f\n", middle_rate(DEPTH));
	vfio_nvme_close(nvme);
	return 0;
}
