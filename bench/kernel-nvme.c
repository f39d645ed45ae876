/* SPDX-License-Identifier: MIT */
/*
 * Random reads of 4 KiB from an NVMe disk by the kernel's VFIO, through libvfio-nvme, and by a bare
 * loop: `kernel-nvme 0000:03:00.0`. The loop has a queue of its own in the same controller, in
 * memory and with doorbells that it got from the kernel's own calls, and does what such a loop must
 * and no more. They take turns, each polls, and both ring registers.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <vfio-nvme.h>

#include "bare.h"
#include "measure.h"

#define DEPTH   32u
#define ENTRIES 256u
#define SIZE    4096u
#define ROUNDS  61		/* odd: the middle one is the figure */
#define SECONDS 0.1		/* a turn: who disturbs it disturbs the next one, too */
#define IOVA    0x1000000000ull
#define QUEUE   2u		/* the bare one's number; the library's is 1 */

static struct vfio_nvme *nvme;
static const struct vfio_nvme_namespace *ns;
static uint64_t places, state = 88172645463325252;

/* Where the next one reads. */
static uint64_t place(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % places * (SIZE >> ns->block_shift);
}

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(vfio_error_print(stderr, "kernel-nvme", vfio_nvme_error(nvme)));
}

/* ---- the library -------------------------------------------------------------------------- */

static struct vfio_nvme_queue *queue;
static struct vfio_dma data;

static void put(uint64_t iova)
{
	if (vfio_nvme_read(queue, ns, place(), SIZE >> ns->block_shift, iova,
			   (void *)(uintptr_t)iova) < 0)
		fail("reading");
}

static unsigned long run_library(double end)
{
	struct vfio_nvme_done done[DEPTH];
	unsigned long reads = 0;
	bool more = true;

	for (unsigned int i = 0; i < DEPTH; i++)
		put(data.iova + i * SIZE);
	vfio_nvme_ring(queue);
	while (more || vfio_nvme_queue_busy(queue)) {
		int n = vfio_nvme_poll(queue, done, DEPTH);

		if (n < 0)
			fail("waiting");
		for (int i = 0; i < n; i++) {
			if (done[i].status)
				fail("the disk answered with an error");
			if (more)
				put((uintptr_t)done[i].tag);
		}
		vfio_nvme_ring(queue);
		reads += (unsigned int)n;
		more = more && (n == 0 || nanoseconds() < end);
	}
	return reads;
}

/* ---- the bare loop ------------------------------------------------------------------------ */

static struct {
	struct vfio_nvme_command *sq;
	struct vfio_nvme_completion *cq;
	volatile uint32_t *sq_doorbell, *cq_doorbell;
	uint64_t data;
	unsigned int tail, head, phase;
} loop = { .phase = 1 };

static void loop_put(uint16_t cid)
{
	struct vfio_nvme_command *cmd = &loop.sq[loop.tail];
	uint64_t lba = place();

	*cmd = (struct vfio_nvme_command){
		.opcode = VFIO_NVME_READ, .cid = htole16(cid), .nsid = htole32(ns->nsid),
		.prp1 = htole64(loop.data + cid * SIZE),
		.cdw10 = htole32((uint32_t)lba), .cdw11 = htole32((uint32_t)(lba >> 32)),
		.cdw12 = htole32((SIZE >> ns->block_shift) - 1),
	};
	loop.tail = (loop.tail + 1) % ENTRIES;
}

static void loop_ring(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*loop.sq_doorbell = htole32(loop.tail);
}

/* The next answer's command, or -1. */
static int loop_take(void)
{
	struct vfio_nvme_completion *answer = &loop.cq[loop.head];
	uint16_t status = le16toh(__atomic_load_n(&answer->status, __ATOMIC_ACQUIRE));

	if ((status & 1) != loop.phase)
		return -1;
	if (status >> 1)
		die("the disk answered with an error");
	loop.head = (loop.head + 1) % ENTRIES;
	loop.phase ^= loop.head == 0;
	return le16toh(answer->cid);
}

static unsigned long run_bare(double end)
{
	unsigned long reads = 0;
	unsigned int under_way = DEPTH;
	bool more = true;

	for (uint16_t i = 0; i < DEPTH; i++)
		loop_put(i);
	loop_ring();
	while (under_way) {
		unsigned int n = 0;
		int cid;

		for (; n < DEPTH && (cid = loop_take()) >= 0; n++)
			if (more)
				loop_put((uint16_t)cid);
		if (!n)
			continue;
		*loop.cq_doorbell = htole32(loop.head);
		if (more)
			loop_ring();
		else
			under_way -= n;
		reads += n;
		more = more && nanoseconds() < end;
	}
	return reads;
}

static void create(uint8_t opcode, uint64_t iova, uint32_t cdw11)
{
	const struct vfio_nvme_command cmd = {
		.opcode = opcode, .prp1 = htole64(iova),
		.cdw10 = htole32((ENTRIES - 1) << 16 | QUEUE), .cdw11 = htole32(cdw11),
	};

	if (vfio_nvme_admin(nvme, &cmd, NULL, 0, false, NULL) < 0)
		fail("making a queue");
}

static void make_loop(void)
{
	const size_t sq = ENTRIES * sizeof(*loop.sq), cq = 4096, size = sq + cq + DEPTH * SIZE;
	struct vfio_nvme_registers registers;
	volatile uint8_t *doorbells;
	struct bare bare;
	uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);
	size_t stride;

	if (memory == MAP_FAILED)
		die("memory");
	bare_find(&bare);
	bare_map(&bare, memory, IOVA, size);
	loop.sq = (void *)memory;
	loop.cq = (void *)(memory + sq);
	loop.data = IOVA + sq + cq;
	create(VFIO_NVME_CREATE_CQ, IOVA + sq, VFIO_NVME_QUEUE_CONTIGUOUS);
	create(VFIO_NVME_CREATE_SQ, IOVA, QUEUE << 16 | VFIO_NVME_QUEUE_CONTIGUOUS);
	vfio_nvme_registers(nvme, &registers);
	stride = 4u << VFIO_NVME_GET(registers.cap, CAP_DSTRD);
	doorbells = bare_registers(&bare, VFIO_NVME_DOORBELLS, 4096);
	loop.sq_doorbell = (volatile uint32_t *)(doorbells + 2 * QUEUE * stride);
	loop.cq_doorbell = (volatile uint32_t *)(doorbells + (2 * QUEUE + 1) * stride);
}

/* ---- measuring ---------------------------------------------------------------------------- */

static void open_disk(const char *name)
{
	const struct vfio_nvme_options options = {
		.size = sizeof(options), .queues = 2, .no_interrupts = true, .no_shadow = true,
	};
	const struct vfio_nvme_queue_options entries = { .size = sizeof(entries),
							 .entries = ENTRIES };
	struct vfio_error err;

	if (vfio_nvme_open(&nvme, name, &options, &err) < 0)
		exit(vfio_error_print(stderr, "kernel-nvme", &err));
	ns = vfio_nvme_next_namespace(nvme, 0);
	if (!ns || ns->block_shift > 12)
		die("no namespace");
	places = (ns->blocks << ns->block_shift) / SIZE;
	if (vfio_nvme_queue_new(&queue, nvme, &entries) < 0)
		fail("making a queue");
	if (vfio_dma_alloc(vfio_nvme_device(nvme), &data, DEPTH * SIZE, VFIO_DMA_RW) < 0)
		die("memory");
}

static double rate(unsigned long (*run)(double end))
{
	double start = nanoseconds();
	unsigned long reads = run(start + SECONDS * 1e9);

	return (double)reads / (nanoseconds() - start) * 1e9;
}

static void measure(void)
{
	double library[ROUNDS], bare[ROUNDS], ratios[ROUNDS];
	struct figures l, b, r;

	rate(run_library);
	rate(run_bare);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		if (i % 2)
			bare[i] = rate(run_bare);
		library[i] = rate(run_library);
		if (i % 2 == 0)
			bare[i] = rate(run_bare);
		ratios[i] = library[i] / bare[i];
	}
	l = figures_of(library, ROUNDS);
	b = figures_of(bare, ROUNDS);
	r = figures_of(ratios, ROUNDS);
	printf("random reads of 4 KiB, %u at a time, polled (%s)\n", DEPTH,
	       vfio_backend_name(vfio_nvme_device(nvme)));
	printf("libvfio-nvme: %8.0f IOPS (%.0f to %.0f)\n", l.middle, l.least, l.most);
	printf("bare loop:    %8.0f IOPS (%.0f to %.0f)\n", b.middle, b.least, b.most);
	printf("of the bare loop's: %.3f, of each round %.3f (%.3f to %.3f)\n", l.middle / b.middle,
	       r.middle, r.least, r.most);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("Usage: kernel-nvme DEVICE (a PCI address)\n", stderr);
		return 2;
	}
	open_disk(argv[1]);
	make_loop();
	measure();
	vfio_nvme_close(nvme);
	return 0;
}
