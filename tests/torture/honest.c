/* SPDX-License-Identifier: MIT */
/*
 * honest [-p] DEVICE [ROUNDS]: drive a mill or an edu through the public calls for so many rounds,
 * or until stdin ends, and compare every byte that it moves, between memory of all kinds or (-p)
 * only private memory without a descriptor. Says "begun" when it has the device, and at the end how
 * many bytes were moved in how many milliseconds. Exits with 1 when anything fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vfio/driver.h>

#include "mill.h"

#define PATIENCE_MS 20000	/* for whatever the machine is too busy for */
#define HALF (256u << 10)	/* of each memory: one is read, the other written */
#define GUARD 64u		/* bytes before and behind, that must stay as they are */
#define GUARD_BYTE 0xa5
#define LEFT (4 * 4096)		/* bytes of memory that is unmapped while the device uses it */
#define LEAVE_ROUNDS 32		/* one look in so many rounds at such memory */

#define BAR0 VFIO_PCI_BAR0_REGION_INDEX

/* A device's way to copy from one I/O address to another; what it refused is a negative errno. */
struct engine {
	uint16_t vendor, device;
	size_t most;
	int (*copy)(struct vfio_dev *dev, uint64_t from, uint64_t to, size_t len, uint64_t sum);
};

static uint64_t seed;
static bool only_private;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static _Noreturn void fail(struct vfio_dev *dev, const char *what)
{
	if (dev)
		vfio_error_print(stderr, "honest client", vfio_last_error(dev));
	fprintf(stderr, "honest client: %s\n", what);
	exit(1);
}

static void need(struct vfio_dev *dev, int result, const char *what)
{
	if (result < 0)
		fail(dev, what);
}

/* ---- the engines -------------------------------------------------------------------------- */

static int order(struct vfio_dev *dev, const struct mill_order *order)
{
	uint64_t result;

	if (vfio_pwrite(dev, BAR0, MILL_SOURCE, order, sizeof(*order)) != sizeof(*order) ||
	    vfio_pread(dev, BAR0, MILL_RESULT, &result, sizeof(result)) != sizeof(result))
		fail(dev, "the mill cannot be driven");
	return -(int)result;
}

static int mill_copy(struct vfio_dev *dev, uint64_t from, uint64_t to, size_t len, uint64_t sum)
{
	struct mill_order o = { from, to, len, any() % 2 ? MILL_COPY : MILL_IN_PLACE };
	int r = order(dev, &o);

	if (r == -ENOTSUP) {
		o.command = MILL_COPY;
		r = order(dev, &o);
	}
	if (r == 0 && vfio_read64(dev, BAR0, MILL_CHECKSUM) != sum)
		fail(NULL, "the mill has read something else than was there");
	return r;
}

/* QEMU's edu: source, destination, count and command from 0x80 on, its buffer at 0x40000. */
static void edu_transfer(struct vfio_dev *dev, uint64_t from, uint64_t to, size_t len, bool back)
{
	const uint64_t o[] = { from, to, len, back ? 3 : 1 };

	if (vfio_pwrite(dev, BAR0, 0x80, o, sizeof(o)) != sizeof(o))
		fail(dev, "the edu cannot be driven");
}

static int edu_copy(struct vfio_dev *dev, uint64_t from, uint64_t to, size_t len, uint64_t sum)
{
	edu_transfer(dev, from, 0x40000, len, false);
	edu_transfer(dev, 0x40000, to, len, true);
	return 0;
}

static const struct engine engines[] = {
	{ MILL_VENDOR, MILL_DEVICE, HALF - 2 * GUARD, mill_copy },
	{ 0x1234, 0x11e8, 4096, edu_copy },
};

static const struct engine *find_engine(struct vfio_dev *dev)
{
	uint16_t ids[2];

	if (vfio_pread(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, ids, sizeof(ids)) != sizeof(ids))
		fail(dev, "configuration space cannot be read");
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++)
		if (engines[i].vendor == ids[0] && engines[i].device == ids[1])
			return &engines[i];
	fail(NULL, "a device of another kind");
}

/* ---- memory ------------------------------------------------------------------------------- */

enum kind { ALLOCATED, FILE_BACKED, PRIVATE, KINDS };

static void map(struct vfio_dev *dev, struct vfio_dma *dma, size_t size, int fd)
{
	*dma = (struct vfio_dma){
		.size = size, .fd = fd, .iova = VFIO_IOVA_ANY, .prot = VFIO_DMA_RW,
	};
	dma->vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
	if (dma->vaddr == MAP_FAILED)
		fail(NULL, "no memory");
	need(dev, vfio_dma_map(dev, dma), "memory cannot be mapped");
}

static int new_file(size_t size, bool sealed)
{
	int fd = memfd_create("torture-honest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, size) < 0 ||
	    (sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0))
		fail(NULL, "no memory file");
	return fd;
}

static void get_memory(struct vfio_dev *dev, struct vfio_dma memory[KINDS])
{
	need(dev, vfio_dma_alloc(dev, &memory[ALLOCATED], 2 * HALF, VFIO_DMA_RW),
	     "memory cannot be allocated");
	map(dev, &memory[FILE_BACKED], 2 * HALF, new_file(2 * HALF, false));
	map(dev, &memory[PRIVATE], 2 * HALF, -1);
}

static const struct vfio_dma *some_memory(const struct vfio_dma *memory)
{
	return &memory[only_private ? PRIVATE : any() % KINDS];
}

static bool is_all(const uint8_t *bytes, size_t len, uint8_t value)
{
	while (len && *bytes == value) {
		bytes++;
		len--;
	}
	return len == 0;
}

/* ---- the work ----------------------------------------------------------------------------- */

/* One copy between memories of any two kinds; returns its length. */
static size_t move(struct vfio_dev *dev, const struct engine *engine, struct vfio_dma *memory)
{
	const struct vfio_dma *from = some_memory(memory), *to = some_memory(memory);
	size_t len = 1 + any() % engine->most, room = HALF - 2 * GUARD - len + 1;
	size_t read_at = any() % room, write_at = HALF + GUARD + any() % room;
	uint8_t *source = (uint8_t *)from->vaddr + read_at, *dest = (uint8_t *)to->vaddr + write_at;

	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t word = any();

		memcpy(source + i, &word, len - i < sizeof(word) ? len - i : sizeof(word));
	}
	memset(dest - GUARD, GUARD_BYTE, GUARD);
	memset(dest + len, GUARD_BYTE, GUARD);
	need(NULL, engine->copy(dev, from->iova + read_at, to->iova + write_at, len,
				mill_checksum(0, source, len)), "a copy was refused");
	if (memcmp(source, dest, len) != 0)
		fail(NULL, "a copy is not what was copied");
	if (!is_all(dest - GUARD, GUARD, GUARD_BYTE) || !is_all(dest + len, GUARD, GUARD_BYTE))
		fail(NULL, "bytes beside a copy have changed");
	return len;
}

static void wait_for_stamps(struct vfio_dev *dev)
{
	int64_t end = now_ms() + PATIENCE_MS;

	while (vfio_read64(dev, BAR0, MILL_STAMPS) == 0)
		if (vfio_dispatch(dev) < 0 || now_ms() > end)
			fail(NULL, "the mill does not stamp");
}

/*
 * Memory that the device writes by itself, on and on, is unmapped: from then on it is ours alone,
 * whatever the device is told.
 */
static void leave(struct vfio_dev *dev, const struct engine *engine, struct vfio_dma *memory)
{
	bool stamps = engine->copy == mill_copy;
	struct vfio_dma dma;
	struct mill_order o;

	switch (any() % 3) {
	case 0:
		map(dev, &dma, LEFT, new_file(LEFT, true));
		break;
	case 1:
		map(dev, &dma, LEFT, new_file(LEFT, false));
		break;
	default:
		map(dev, &dma, LEFT, -1);
	}
	o = (struct mill_order){ 0, dma.iova, dma.size, MILL_STAMP };
	if (stamps && order(dev, &o) == 0)
		wait_for_stamps(dev);
	need(dev, vfio_dma_unmap(dev, dma.iova, dma.size), "memory cannot be unmapped");
	memset(dma.vaddr, GUARD_BYTE, dma.size);
	for (int i = 0; i < 3; i++) {
		int r = engine->copy(dev, memory[ALLOCATED].iova, dma.iova + i * 4096, 4096,
				     mill_checksum(0, memory[ALLOCATED].vaddr, 4096));

		if (stamps && r != -EFAULT)
			fail(NULL, "a copy into unmapped memory was not refused");
		move(dev, engine, memory);
	}
	if (!is_all(dma.vaddr, dma.size, GUARD_BYTE))
		fail(NULL, "the device has written into memory that was unmapped");
	munmap(dma.vaddr, dma.size);
	if (dma.fd >= 0)
		close(dma.fd);
}

static struct vfio_dev *open_patiently(const char *name)
{
	int64_t end = now_ms() + PATIENCE_MS;
	struct vfio_error err;
	struct vfio_dev *dev;

	while (vfio_open(&dev, name, &err) < 0) {
		if (err.err != EBUSY || now_ms() > end) {
			vfio_error_print(stderr, "honest client", &err);
			exit(1);
		}
		usleep(1000);
	}
	return dev;
}

static bool is_told_to_stop(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void work(struct vfio_dev *dev, unsigned int rounds)
{
	const struct engine *engine = find_engine(dev);
	struct vfio_dma memory[KINDS];
	int64_t began = now_ms();
	uint64_t bytes = 0;

	get_memory(dev, memory);
	printf("begun\n");
	fflush(stdout);
	for (unsigned int n = 0; rounds ? n < rounds : !is_told_to_stop(); n++) {
		bytes += move(dev, engine, memory);
		if (n % LEAVE_ROUNDS == 0)
			leave(dev, engine, memory);
	}
	printf("%llu %lld\n", (unsigned long long)bytes, (long long)(now_ms() - began));
}

int main(int argc, char **argv)
{
	struct vfio_dev *dev;

	only_private = argc > 1 && strcmp(argv[1], "-p") == 0;
	argv += only_private;
	argc -= only_private;
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: honest [-p] DEVICE [ROUNDS]\n");
		return 2;
	}
	seed = (uint64_t)now_ms() << 20 | getpid();
	dev = open_patiently(argv[1]);
	vfio_set_timeout(dev, PATIENCE_MS);
	need(dev, vfio_dma_set_bits(dev, 28), "28 address bits");
	need(dev, vfio_set_bus_master(dev, true), "bus mastering");
	work(dev, argc == 3 ? atoi(argv[2]) : 0);
	vfio_close(dev);
	return 0;
}
