/* SPDX-License-Identifier: MIT */
/*
 * hostile SOCKET SEED ATTACK...: a client of vfiod that means no good, on a real device. Each attack
 * has a process and a connection of its own, and leaves the device as it happens to be. Prints how many
 * messages were answered, and how many of those well. Exits with 1 when vfiod does not answer at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

#define MANY_MAPS 400u
#define MOST_BODY 9000u
#define LOW_POWER 3u		/* the kernel's number, which older headers do not have */

static struct peer peer;
static struct { unsigned int calls, good; } *done;	/* all processes have it */

static int call(uint16_t command, const void *body, size_t len, const int *fds, size_t nfds)
{
	int err = peer_call(&peer, command, body, len, fds, nfds);

	done->calls++;
	done->good += !err;
	return err;
}

/* Bytes in which some are the ends of what numbers can be. */
static void fill(uint8_t *to, size_t len)
{
	static const uint32_t ends[] = { 0, 1, 4, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff };

	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)any(256);
	for (size_t i = 0; i + 4 <= len; i += 4)
		if (any(2))
			memcpy(to + i, &ends[any(7)], 4);
}

static int memory_file(unsigned int flags, uint64_t size)
{
	int fd = memfd_create("hostile", flags);

	return fd >= 0 && ftruncate(fd, (off_t)size) == 0 ? fd : -1;
}

/* ---- configuration space, registers --------------------------------------------------------- */

static int put(uint32_t region, uint64_t offset, uint64_t value, uint32_t width)
{
	const struct wire_access q = { .offset = offset, .region = region, .count = width };
	uint8_t body[sizeof(q) + sizeof(value)];

	memcpy(body, &q, sizeof(q));
	memcpy(body + sizeof(q), &value, sizeof(value));
	return call(WIRE_REGION_WRITE, body, sizeof(q) + width, NULL, 0);
}

static uint64_t get(uint32_t region, uint64_t offset, uint32_t width)
{
	const struct wire_access q = { .offset = offset, .region = region, .count = width };
	uint64_t value = 0;

	if (call(WIRE_REGION_READ, &q, sizeof(q), NULL, 0) == 0)
		memcpy(&value, peer.payload + sizeof(q), width);
	return value;
}

static unsigned int capability(uint8_t id)
{
	unsigned int at = (unsigned int)get(CONFIG, PCI_CAPABILITY_LIST, 1);

	for (int i = 0; i < 48 && at >= 0x40; i++) {
		if (get(CONFIG, at, 1) == id)
			return at;
		at = (unsigned int)get(CONFIG, at + 1, 1) & ~3u;
	}
	return 0;
}

static uint64_t size_of(uint32_t region)
{
	struct wire_region_info q = { .argsz = sizeof(q), .index = region };

	if (call(WIRE_GET_REGION_INFO, &q, sizeof(q), NULL, 0))
		return 0;
	memcpy(&q, peer.payload, sizeof(q));
	return q.size;
}

/* All regions, at all ends, in all widths; and what is in no region. */
static void access_ends(uint32_t region, bool write)
{
	static const uint32_t widths[] = { 0, 1, 2, 3, 4, 7, 8, 64, 4096, WIRE_MAX_DATA, UINT32_MAX };
	const uint64_t size = size_of(region);
	const uint64_t ends[] = { 0, 1, 3, size / 2, size - 8, size - 1, size, size + 1, 1ull << 40,
				  UINT64_MAX - 3 };

	for (unsigned int o = 0; o < 10; o++) {
		for (unsigned int w = 0; w < 11; w++) {
			struct wire_access q = { ends[o], region, widths[w] };

			call(WIRE_REGION_READ, &q, sizeof(q), NULL, 0);
			if (write && widths[w] <= 8)
				put(region, ends[o], any(UINT64_MAX), widths[w]);
		}
	}
}

static void regions(void)
{
	for (uint32_t region = 0; region < 10; region++)
		access_ends(region, region != CONFIG);
	put(UINT32_MAX, 0, 0, 4);
	get(UINT32_MAX, 0, 4);
}

static void configuration(void)
{
	for (int i = 0; i < 700; i++)
		put(CONFIG, any(any(2) ? 0x100 : 0x1000), any(UINT64_MAX), 1u << any(3));
}

/* Whatever comes of it, as master of the bus; of physical addresses it knows none. */
static void registers(void)
{
	for (int i = 0; i < 400; i++) {
		uint32_t region = (uint32_t)any(6);
		uint64_t size = size_of(region);

		if (size)
			put(region, any(size < 0x4000 ? size : 0x4000) & ~3ull, any(UINT64_MAX), 4);
	}
}

static void feature(uint32_t flags, size_t len, uint32_t argsz);

/* Gone with the device asleep, deaf, and with its BARs elsewhere. */
static void asleep(void)
{
	unsigned int pm = capability(PCI_CAP_ID_PM);

	for (unsigned int bar = 0; bar < 6; bar++)
		put(CONFIG, PCI_BASE_ADDRESS_0 + 4 * bar, any(UINT64_MAX), 4);
	put(CONFIG, PCI_COMMAND, 0, 2);
	if (pm)
		put(CONFIG, pm + PCI_PM_CTRL, 3, 2);
	regions();
	/* From here on the kernel wakes the device for each access, which takes its time. */
	feature(VFIO_DEVICE_FEATURE_SET | LOW_POWER, 0, 8);
	for (int i = 0; i < 20; i++)
		put(CONFIG, any(0x100), any(UINT64_MAX), 4);
}

static void resets(void)
{
	for (int i = 0; i < 6; i++)
		call(WIRE_RESET, NULL, 0, NULL, 0);
}

/* What the next one finds: the device awake, its registers off, no interrupt, no master. */
static void check(void)
{
	unsigned int pm = capability(PCI_CAP_ID_PM);

	if (pm && (get(CONFIG, pm + PCI_PM_CTRL, 2) & 3))
		broken("the device is asleep");
	if (get(CONFIG, 0, 4) == 0xffffffff || (size_of(0) && get(0, 8, 4) == 0xffffffff))
		broken("the device does not answer");
}

/* ---- features ------------------------------------------------------------------------------- */

static void feature(uint32_t flags, size_t len, uint32_t argsz)
{
	uint8_t body[sizeof(struct wire_feature) + MOST_BODY];
	struct wire_feature q = { .argsz = argsz, .flags = flags };

	fill(body, sizeof(body));
	memcpy(body, &q, sizeof(q));
	call(WIRE_DEVICE_FEATURE, body, sizeof(q) + len, NULL, 0);
}

static void features(void)
{
	static const uint32_t ways[] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	static const size_t sizes[] = { 0, 1, 4, 16, 40, 200, 8192, 8193 };

	for (uint32_t n = 0; n < 16 + 256 + 1; n++) {
		uint32_t number = n < 16 ? n : n == 272 ? 0xffff : 0xf000 + n - 16;
		unsigned int times = n < 40 ? 64 : 1;

		for (unsigned int i = 0; i < times; i++) {
			size_t len = times == 64 ? sizes[i / 8] : sizes[any(8)];

			uint32_t way = ways[times == 64 ? i % 8 : any(8)] << 16 | (any(20) ? 0 : 1u << 31);

			feature(number | way, len,
				any(4) ? 8 + (uint32_t)len : (uint32_t)any(10000));
		}
	}
}

/* Which pages are written, well asked and badly; it is not ended. */
static void dirty(void)
{
	struct {
		struct wire_feature head;
		uint64_t data[12];
	} q = { .head = { .argsz = sizeof(q) } };
	int fd = memory_file(0, 1 << 20);

	for (int i = 0; i < 300; i++) {
		uint32_t number = VFIO_DEVICE_FEATURE_DMA_LOGGING_START + (uint32_t)any(any(9) ? 3 : 2);
		size_t len = any(4) ? 12 * 8 : any(12 * 8 + 1);

		fill((uint8_t *)q.data, sizeof(q.data));
		if (number == VFIO_DEVICE_FEATURE_DMA_LOGGING_START && any(4))
			q.data[0] = PAGE, q.data[1] = any(2) ? 0 : any(8);
		if (number == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT && any(8)) {
			q.data[0] = any(4) << 20;
			q.data[1] = any(4) ? 1 << 20 : any(UINT64_MAX) & ~4095ull;
			q.data[2] = any(4) ? PAGE : any(8);
		}
		q.head.flags = number | VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_GET;
		if (any(8))
			q.head.flags ^= number == VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT ?
					VFIO_DEVICE_FEATURE_SET : VFIO_DEVICE_FEATURE_GET;
		call(WIRE_DEVICE_FEATURE, &q, sizeof(q.head) + len, NULL, 0);
		if (any(2))
			peer_map(&peer, any(4) << 20, 1 << 20, 0, RW, fd);
		else
			peer_unmap(&peer, any(4) << 20, 1 << 20);
	}
}

/* ---- interrupts ----------------------------------------------------------------------------- */

static int full_eventfd(void)
{
	uint64_t most = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_NONBLOCK);

	return write(fd, &most, sizeof(most)) == sizeof(most) ? fd : -1;
}

static int a_descriptor(void)
{
	int two[2];

	switch (any(6)) {
	case 0:
		return open("/dev/null", O_RDWR);
	case 1:
		return full_eventfd();
	case 2:
		return pipe(two) == 0 ? two[any(2)] : -1;
	case 3:
		return socket(AF_UNIX, SOCK_STREAM, 0);
	default:
		return eventfd(0, any(2) ? EFD_SEMAPHORE : 0);
	}
}

static void set_irqs(uint32_t index, uint32_t flags, uint32_t start, uint32_t count, bool with_fds)
{
	struct {
		struct wire_irq_set head;
		uint8_t data[2048];
	} q = { .head = { sizeof(q), flags, index, start, count } };
	size_t data = flags & VFIO_IRQ_SET_DATA_BOOL ? (count < 2048 ? count : 2048) : 0, nfds = 0;
	int fds[16];

	fill(q.data, sizeof(q.data));
	while (with_fds && nfds < 16 && nfds < count)
		fds[nfds++] = a_descriptor();
	call(WIRE_SET_IRQS, &q, sizeof(q.head) + data, fds, nfds);
	while (nfds)
		close(fds[--nfds]);
}

static void interrupts(void)
{
	static const uint32_t counts[] = { 0, 1, 2, 16, 17, 2048, UINT32_MAX };
	static const uint32_t starts[] = { 0, 1, 15, UINT32_MAX };

	for (int i = 0; i < 900; i++) {
		bool sane = any(2);
		uint32_t data = sane ? 1u << any(3) : (uint32_t)any(8);
		uint32_t action = sane ? 8u << any(3) : 8 * (uint32_t)any(8);

		set_irqs((uint32_t)any(7), data | action, sane ? 0 : starts[any(4)],
			 counts[any(sane ? 4 : 7)], data & VFIO_IRQ_SET_DATA_EVENTFD && any(8));
	}
}

/* Whoever serves the device listens there himself. */
static void wanted(void)
{
	set_irqs(VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
		 false);
	for (int i = 0; i < 20; i++)
		set_irqs(VFIO_PCI_REQ_IRQ_INDEX, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER,
			 0, 1, false);
	usleep(100000);		/* for that to be heard */
	get(CONFIG, 0, 4);
}

/* ---- memory --------------------------------------------------------------------------------- */

static int odd_file(void)
{
	static const char *const names[] = { "/dev/zero", "/dev/mem", "/proc/self/mem", "/tmp", "/script",
					     "/proc/self/maps", "/dev/null" };
	static const int seals[] = { F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_FUTURE_WRITE, F_SEAL_GROW };
	int fd, two[2];

	switch (any(6)) {
	case 0:
		return open(names[any(7)], any(2) ? O_RDONLY : O_RDWR);
	case 1:
		return pipe(two) == 0 ? two[0] : -1;
	case 2:
		fd = memory_file(MFD_ALLOW_SEALING, 1 << 20);
		fcntl(fd, F_ADD_SEALS, seals[any(4)]);
		return fd;
	case 3:
		return memory_file(MFD_HUGETLB, 2 << 20);
	default:
		return memory_file(0, any(2) ? 1ull << 46 : any(1 << 21));
	}
}

static void maps(void)
{
	static const uint64_t sizes[] = { 0, 1, 4096, 8192, 1 << 20, 2 << 20, 1ull << 33, 1ull << 45,
					  1ull << 63, UINT64_MAX - 4095, UINT64_MAX };

	for (int i = 0; i < 400; i++) {
		int fd = odd_file();
		struct wire_dma_map q = {
			.argsz = sizeof(q), .flags = any(8) ? (uint32_t)any(4) : (uint32_t)any(32),
			.iova = any(4) ? any(64) << 20 : any(UINT64_MAX) & ~4095ull,
			.size = sizes[any(any(2) ? 5 : 11)], .offset = any(4) ? 0 : any(1 << 21) & ~4095ull,
		};
		struct wire_dma_unmap u = { sizeof(u), any(64) ? 0 : 2, any(64) << 20, sizes[any(6)] };

		call(WIRE_DMA_MAP, &q, sizeof(q), &fd, fd >= 0);
		if (any(2) && fd >= 0 && ftruncate(fd, 0) < 0)
			done->calls += 0;	/* not every one has a length */
		if (!any(3))
			call(WIRE_DMA_UNMAP, &u, sizeof(u), NULL, 0);
		close(fd);
	}
}

/* All that may be locked, behind so many pages of their own; nothing of it is taken back. */
static void take_memory(unsigned int pages)
{
	int fd = memory_file(0, 256 << 20);
	unsigned int n = 0;

	while (n < pages && peer_map(&peer, n * (64ull << 20), PAGE, 0, RW, fd) == 0)
		n++;
	for (uint64_t size = 32 << 20; size >= PAGE; size /= 2)
		while (n < pages + 64 && peer_map(&peer, n * (64ull << 20), size, 0, RW, fd) == 0)
			n++;
	done->calls += n;
	done->good += n;
	if (ftruncate(fd, 0) < 0)
		_exit(1);
}

/* Where a page of a file is in the machine's memory. */
static uint64_t address_of(int fd, uint64_t offset)
{
	volatile uint8_t *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	*at = 1;
	if (pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)at / PAGE * 8)) != sizeof(entry))
		_exit(1);
	close(pagemap);
	munmap((void *)at, PAGE);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* Without an IOMMU: pages at their own addresses, and at others; of a file that is cut off then. */
static void physical(void)
{
	int fd = memory_file(0, MANY_MAPS * PAGE);

	for (unsigned int n = 0; n < MANY_MAPS; n++) {
		struct wire_dma_map q = map_of(address_of(fd, n * PAGE), PAGE, n * PAGE, RW);

		call(WIRE_DMA_MAP, &q, sizeof(q), &fd, 1);
		q.iova = any(1 << 20) * PAGE;
		call(WIRE_DMA_MAP, &q, sizeof(q), &fd, 1);
	}
	if (ftruncate(fd, 0) < 0)
		_exit(1);
}

static void many(void)
{
	take_memory(MANY_MAPS);
}

/* One that stays, with all that may be locked, until it is killed. */
static void stay(void)
{
	take_memory(0);
	registers();
	printf("it stays\n");
	fflush(stdout);
	for (;;)
		pause();
}

/* ---- messages ------------------------------------------------------------------------------- */

static void garbage(void)
{
	static uint8_t body[MOST_BODY];

	for (int i = 0; i < 300; i++) {
		uint16_t command = (uint16_t)any(any(8) ? 20 : 65536);
		size_t len = any(any(4) ? 64 : MOST_BODY);
		int fds[4], nfds = any(4) ? 0 : (int)any(5);

		for (int k = 0; k < nfds; k++)
			fds[k] = any(2) ? a_descriptor() : odd_file();
		for (int k = 0; k < nfds; k++)
			if (fds[k] < 0)
				nfds = 0;
		fill(body, len);
		if (len > 4 && any(2))
			memcpy(body, &(uint32_t){ (uint32_t)len }, 4);	/* as argsz */
		/* What is no call is the end of it. */
		call(command, body, len, fds, (size_t)nfds);
		for (int k = 0; k < nfds; k++)
			close(fds[k]);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} attacks[] = {
	{ "regions", regions }, { "configuration", configuration }, { "registers", registers },
	{ "asleep", asleep }, { "resets", resets }, { "features", features }, { "dirty", dirty },
	{ "interrupts", interrupts }, { "wanted", wanted }, { "maps", maps }, { "many", many },
	{ "stay", stay }, { "physical", physical }, { "garbage", garbage }, { "check", check },
};

static void run(const char *path, const char *name)
{
	for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		if (strcmp(attacks[i].name, name) != 0)
			continue;
		peer_open(&peer, path);
		attacks[i].run();
		_exit(0);
	}
	broken("no attack is called %s", name);
}

/* Several that come and go, with a greeting and without. */
static void storm(const char *path)
{
	for (int i = 0; i < 12; i++) {
		peer_connect(&peer, path);
		done->calls++;
		done->good += i % 2 && peer_hello(&peer) == 0;
		peer_close(&peer);
	}
	_exit(0);
}

int main(int argc, char **argv)
{
	int bad = 0;

	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 3; i < argc; i++) {
		int status;

		done->calls = done->good = 0;
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			seed_any(strtoull(argv[2], NULL, 0) + (uint64_t)i);
			if (strcmp(argv[i], "storm") == 0)
				storm(argv[1]);
			run(argv[1], argv[i]);
		}
		wait(&status);
		bad |= status != 0;
		printf("%s: %u messages, %u done, %#x\n", argv[i], done->calls, done->good, status);
		fflush(stdout);
	}
	return bad || argc < 4;
}
