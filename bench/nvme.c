/* SPDX-License-Identifier: MIT */
/*
 * What the NVMe device and driver reach together: the device in a process on one CPU, the driver on
 * another, a socket between them and everything that matters in shared memory.
 *
 * The floor of an I/O is what cannot be saved: copying its blocks, at random places of as much memory,
 * by one CPU, and at depth 1 a cache line that goes to the other CPU and back, beside; of a file,
 * pread() and pwrite() of its blocks. Each figure is the median of ROUNDS rounds.
 *
 *     nvme [FILE]        FILE: a disk image of at least 64 MiB; a temporary one without
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vfio/server.h>

#include "measure.h"
#include "vfio-nvme.h"

#define ROUNDS   5
#define ROUND_NS 2e8
#define MAX_DEPTH 128
#define MAX_SIZE (128u << 10)

struct load {
	const char *name;
	bool write;
	uint32_t size, depth;
};

static const struct load loads[] = {
	{ "4 KiB read, depth 1", false, 4096, 1 },
	{ "4 KiB read, depth 32", false, 4096, 32 },
	{ "4 KiB read, depth 128", false, 4096, 128 },
	{ "4 KiB write, depth 1", true, 4096, 1 },
	{ "4 KiB write, depth 32", true, 4096, 32 },
	{ "4 KiB write, depth 128", true, 4096, 128 },
	{ "128 KiB read, depth 32", false, 128 << 10, 32 },
	{ "128 KiB write, depth 32", true, 128 << 10, 32 },
};

static const char *device;		/* the child's device string */

static uint64_t random_number(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* ---- the floor ----------------------------------------------------------------------------- */

/* Nanoseconds to copy size bytes from, or to, a random place in space bytes. */
static double copy_cost(uint64_t space, uint32_t size, uint32_t depth, bool write)
{
	static uint8_t *from, *to;
	static uint64_t have;
	double values[ROUNDS];
	const unsigned int n = 20000 / (size / 4096);

	if (have != space) {
		if (from)
			munmap(from, have);
		from = mmap(NULL, space, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (from == MAP_FAILED)
			die("mmap");
		madvise(from, space, MADV_HUGEPAGE);
		memset(from, 1, space);
		have = space;
	}
	if (!to)
		to = aligned_alloc(4096, (size_t)MAX_DEPTH * MAX_SIZE);
	for (unsigned int r = 0; r < ROUNDS; r++) {
		double start = nanoseconds();

		for (unsigned int i = 0; i < n; i++) {
			uint8_t *block = from + random_number() % (space / size) * size;
			uint8_t *buffer = to + i % depth * size;

			memcpy(write ? block : buffer, write ? buffer : block, size);
			__asm__ volatile("" ::: "memory");
		}
		values[r] = (nanoseconds() - start) / n;
	}
	return figures_of(values, ROUNDS).middle;
}

/* Nanoseconds for pread() or pwrite() of size bytes at a random place of the file. */
static double call_cost(int fd, uint64_t space, uint32_t size, uint32_t depth, bool write)
{
	static uint8_t *buffers;
	double values[ROUNDS];
	const unsigned int n = 10000 / (size / 4096);

	if (!buffers)
		buffers = aligned_alloc(4096, (size_t)MAX_DEPTH * MAX_SIZE);
	for (unsigned int r = 0; r < ROUNDS; r++) {
		double start = nanoseconds();

		for (unsigned int i = 0; i < n; i++) {
			off_t at = (off_t)(random_number() % (space / size) * size);
			uint8_t *buffer = buffers + i % depth * size;

			if ((write ? pwrite(fd, buffer, size, at) : pread(fd, buffer, size, at)) !=
			    (ssize_t)size)
				die("the image");
		}
		values[r] = (nanoseconds() - start) / n;
	}
	return figures_of(values, ROUNDS).middle;
}

/* Nanoseconds for a cache line to the other CPU and back. */
static double line_cost(int cpu)
{
	struct lines {
		_Alignas(128) uint32_t there;
		_Alignas(128) uint32_t back;
	} *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const uint32_t n = 1000000;
	double start;
	pid_t pid;

	if (l == MAP_FAILED)
		die("mmap");
	pid = fork();
	if (pid == 0) {
		pin(cpu);
		for (uint32_t i = 1; i <= n; i++) {
			while (__atomic_load_n(&l->there, __ATOMIC_ACQUIRE) != i)
				;
			__atomic_store_n(&l->back, i, __ATOMIC_RELEASE);
		}
		_exit(0);
	}
	start = nanoseconds();
	for (uint32_t i = 1; i <= n; i++) {
		__atomic_store_n(&l->there, i, __ATOMIC_RELEASE);
		while (__atomic_load_n(&l->back, __ATOMIC_ACQUIRE) != i)
			;
	}
	start = (nanoseconds() - start) / n;
	waitpid(pid, NULL, 0);
	munmap(l, sizeof(*l));
	return start;
}

/* ---- both ends ----------------------------------------------------------------------------- */

static void serve(int fd)
{
	struct vfio_server *server;
	struct vfio_error err;
	struct vfio_dev *dev;

	if (vfio_open(&dev, device, &err) < 0 || vfio_server_new(&server, dev, NULL, &err) < 0) {
		vfio_error_print(stderr, "nvme", &err);
		_exit(1);
	}
	if (vfio_server_add_client(server, fd) < 0)
		_exit(1);
	while (vfio_server_client(server, NULL))
		vfio_server_dispatch(server, -1);
	vfio_server_free(server);
}

struct host {
	struct vfio_nvme *nvme;
	struct vfio_nvme_queue *queue;
	const struct vfio_nvme_namespace *ns;
	struct vfio_dma buffer;
};

static void check(struct host *h, int ret)
{
	if (ret >= 0)
		return;
	vfio_error_print(stderr, "nvme", vfio_nvme_error(h->nvme));
	exit(1);
}

static void open_host(struct host *h, int cpu)
{
	const struct vfio_nvme_options options = { .size = sizeof(options), .no_interrupts = true };
	struct vfio_error err;
	char name[32];

	snprintf(name, sizeof(name), "fd:%d", start_child(serve, cpu));
	if (vfio_nvme_open(&h->nvme, name, &options, &err) < 0) {
		vfio_error_print(stderr, "nvme", &err);
		exit(1);
	}
	check(h, vfio_nvme_queue_new(&h->queue, h->nvme, NULL));
	h->ns = vfio_nvme_namespace(h->nvme, 1);
	if (vfio_dma_alloc(vfio_nvme_device(h->nvme), &h->buffer, (size_t)MAX_DEPTH * MAX_SIZE,
			   VFIO_DMA_RW) < 0)
		die("vfio_dma_alloc");
	memset(h->buffer.vaddr, 0xa5, h->buffer.size);
}

static void close_host(struct host *h)
{
	vfio_nvme_close(h->nvme);
	while (wait(NULL) > 0)
		;
}

/* ---- load ---------------------------------------------------------------------------------- */

static void submit(struct host *h, const struct load *load, uint64_t slot)
{
	uint32_t blocks = load->size >> h->ns->block_shift;
	uint64_t lba = random_number() % (h->ns->blocks / blocks) * blocks;
	uint64_t iova = h->buffer.iova + slot * load->size;
	void *tag = (void *)(uintptr_t)slot;
	int ret = load->write ? vfio_nvme_write(h->queue, h->ns, lba, blocks, iova, tag) :
				vfio_nvme_read(h->queue, h->ns, lba, blocks, iova, tag);

	if (ret < 0) {
		fprintf(stderr, "nvme: a command is refused: %d\n", ret);
		exit(1);
	}
}

static unsigned int take(struct host *h, const struct load *load, bool again)
{
	struct vfio_nvme_done done[MAX_DEPTH];
	int n = vfio_nvme_poll(h->queue, done, MAX_DEPTH);

	if (n < 0) {
		fprintf(stderr, "nvme: the queue is broken: %d\n", n);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		if (done[i].status) {
			fprintf(stderr, "nvme: %s\n", vfio_nvme_status_text(done[i].status));
			exit(1);
		}
		if (again)
			submit(h, load, (uintptr_t)done[i].tag);
	}
	if (again && n)
		vfio_nvme_ring(h->queue);
	return (unsigned int)n;
}

/* Nanoseconds for each command of a round. */
static double round_of(struct host *h, const struct load *load)
{
	double start = nanoseconds(), now = start;
	uint64_t n = 0;

	for (uint64_t slot = 0; slot < load->depth; slot++)
		submit(h, load, slot);
	vfio_nvme_ring(h->queue);
	for (unsigned int i = 1; now - start < ROUND_NS; i++) {
		n += take(h, load, true);
		if (i % 256 == 0)
			now = nanoseconds();
	}
	while (vfio_nvme_queue_busy(h->queue))
		n += take(h, load, false);
	return (nanoseconds() - start) / (double)n;
}

/* Memory that nobody has written is no memory yet. */
static void write_all(struct host *h)
{
	const uint32_t blocks = MAX_SIZE >> h->ns->block_shift;
	struct vfio_nvme_done done;

	for (uint64_t lba = 0; lba + blocks <= h->ns->blocks; lba += blocks) {
		check(h, vfio_nvme_write(h->queue, h->ns, lba, blocks, h->buffer.iova, NULL));
		if (vfio_nvme_wait(h->queue, &done, 1, -1) != 1 || done.status) {
			fprintf(stderr, "nvme: a write failed\n");
			exit(1);
		}
	}
}

static void run(struct host *h, const struct load *load, int file, double line)
{
	uint64_t space = h->ns->blocks << h->ns->block_shift;
	double values[ROUNDS], floor;
	struct figures each;

	floor = file < 0 ? copy_cost(space, load->size, load->depth, load->write) :
			   call_cost(file, space, load->size, load->depth, load->write);
	if (load->depth == 1)
		floor += line;
	for (unsigned int r = 0; r < ROUNDS; r++)
		values[r] = round_of(h, load);
	each = figures_of(values, ROUNDS);
	printf("  %-24s %8.0f IOPS %9.2f us %6.2f GB/s   floor %6.0f ns, x %5.2f  (%.0f to %.0f ns)\n",
	       load->name, 1e9 / each.middle, each.middle * load->depth / 1e3,
	       load->size / each.middle, floor, each.middle / floor, each.least, each.most);
	fflush(stdout);
}

/* file: the image that the device serves, or -1. */
static void run_all(const char *what, const char *name, int file, int cpu, double line)
{
	struct host h = { 0 };

	printf("%s\n", what);
	device = name;
	open_host(&h, cpu);
	write_all(&h);
	for (unsigned int i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		run(&h, &loads[i], file, line);
	close_host(&h);
}

int main(int argc, char **argv)
{
	int driver_cpu = next_cpu(0), device_cpu = next_cpu(driver_cpu + 1), fd;
	char path[] = "/tmp/vfio-nvme-bench-XXXXXX", name[512];
	double line;

	if (device_cpu < 0) {
		puts("one CPU only: device and driver would wait for each other");
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	pin(driver_cpu);
	line = line_cost(device_cpu);
	printf("a cache line to the other CPU and back: %.0f ns\n", line);
	run_all("16 MiB of memory, which caches hold", "nvme,memory=16M", -1, device_cpu, line);
	run_all("1 GiB of memory", "nvme,memory=1G", -1, device_cpu, line);
	fd = argc < 2 ? mkstemp(path) : open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || (argc < 2 && ftruncate(fd, 256 << 20) < 0))
		die(argc < 2 ? path : argv[1]);
	snprintf(name, sizeof(name), "nvme,file=%s", argc < 2 ? path : argv[1]);
	run_all(argc < 2 ? "a file of 256 MiB, which the page cache holds" : argv[1], name, fd,
		device_cpu, line);
	if (argc < 2)
		unlink(path);
	return 0;
}
