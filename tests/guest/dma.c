/* SPDX-License-Identifier: MIT */
/* Records how the kernel answers to DMA mapping calls. Runs as root in a guest; see README.
 *
 *	dma BDF NAME PART [OTHER-BDF]
 *
 * PART is type1, type1v2 or ioas, with `-limits` for a process whose locked memory is limited;
 * ioas-device is an IOAS that the device is attached to.
 */
#include "dma.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "container.h"
#include "ioas.h"

#define DEADLINE 280 /* seconds; the caller has one of its own */
#define USER	 1000
#define BUFFER	 0x10000000000ull

static const struct part {
	uint64_t offset, pages;
	const char *kind;
} layout[] = {
	{RW, 64, "rw"},	      {RO, 8, "ro"},		  {NONE, 4, "none"},
	{HOLE, 4, "hole"},    {SHARED, 16, "shared"},	  {SHARED + 16 * PAGE, 4, "shared-ro"},
	{PAST, 2, "past"},    {GOOD, 2, "rw"},		  {GOOD + 2 * PAGE, 152, "hole"},
};

void give_up(const char *what)
{
	printf("# failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

static int map_flags(const char *kind)
{
	bool file = strstr(kind, "shared") || !strcmp(kind, "past");

	return MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
}

static void make_part(struct run *r, int file, const struct part *p)
{
	size_t size = p->pages * PAGE;
	uint8_t *place = r->buffer + p->offset;
	bool shared = !(map_flags(p->kind) & MAP_ANONYMOUS);

	if (!strcmp(p->kind, "hole")) {
		munmap(place, size);
		return;
	}
	if (mmap(place, size, PROT_READ | PROT_WRITE, map_flags(p->kind), shared ? file : -1,
		 shared ? (off_t)(p->offset - SHARED) : 0) == MAP_FAILED)
		give_up("mmap");
	if (strcmp(p->kind, "past"))
		memset(place, 1, size);
	if (strstr(p->kind, "ro"))
		mprotect(place, size, PROT_READ);
	if (!strcmp(p->kind, "none"))
		mprotect(place, size, PROT_NONE);
}

/* The file ends where `past` begins. */
void make_buffer(struct run *r)
{
	int file = memfd_create("shared", 0);

	r->buffer = mmap((void *)BUFFER, BUFFER_SIZE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (r->buffer == MAP_FAILED || file < 0 || ftruncate(file, (off_t)(PAST - SHARED)))
		give_up("the buffer");
	for (size_t i = 0; i < sizeof(layout) / sizeof(*layout); i++) {
		make_part(r, file, &layout[i]);
		printf("memory %llx %llx %s\n", (unsigned long long)layout[i].offset,
		       (unsigned long long)(layout[i].pages * PAGE), layout[i].kind);
	}
	close(file);
}

/* What was opened as root stays open. */
void limit_memory(struct run *r, uint64_t bytes)
{
	struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) ||
	    setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
		give_up("another user");
	r->limited = true;
	printf("memlock %llx\n", (unsigned long long)bytes);
}

static const char *link_name(const char *bdf, const char *name)
{
	static char target[PATH_MAX];
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		give_up(path);
	target[n] = 0;
	return strrchr(target, '/') + 1;
}

int open_group(const char *bdf)
{
	char node[64];

	snprintf(node, sizeof(node), "/dev/vfio/%.16s", link_name(bdf, "iommu_group"));
	int fd = open(node, O_RDWR);
	if (fd < 0)
		give_up(node);
	return fd;
}

/* With one device bound to vfio-pci its number is 0; with two, that of their order. */
int open_cdev(const char *bdf)
{
	char path[128], node[64];

	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev/vfio%d", bdf, i);
		snprintf(node, sizeof(node), "/dev/vfio/devices/vfio%d", i);
		if (!access(path, F_OK))
			return open(node, O_RDWR);
	}
	give_up("vfio-dev");
}

uint64_t at(const struct run *r, uint64_t offset)
{
	return (uint64_t)(uintptr_t)r->buffer + offset;
}

void print_address(const struct run *r, uint64_t address)
{
	uint64_t offset = address - (uint64_t)(uintptr_t)r->buffer;

	if (offset < BUFFER_SIZE)
		printf(" b+%llx", (unsigned long long)offset);
	else
		printf(" %llx", (unsigned long long)address);
}

void print_bytes(const uint8_t *bytes, size_t size, uint8_t fill)
{
	while (size && bytes[size - 1] == fill)
		size--;
	printf(size ? " " : " -");
	for (size_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
}

/* xorshift64: the same numbers in each recording. */
uint32_t pick(struct run *r, uint32_t n)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return (uint32_t)(r->random >> 32) % n;
}

bool chance(struct run *r, uint32_t percent)
{
	return pick(r, 100) < percent;
}

static void record_container(struct run *r, const char *part)
{
	r->v1 = !strncmp(part, "type1", 5) && part[5] != 'v';
	container_open(r);
	container_print(r);
	if (strstr(part, "-limits")) {
		limit_memory(r, 24 * PAGE);
		record_container_limits(r);
	} else {
		record_container_rows(r);
		record_container_flags(r);
	}
	record_container_random(r);
}

static void record_ioas(struct run *r, const char *part)
{
	bool device = strcmp(part, "ioas");

	r->iommufd = open("/dev/iommu", O_RDWR);
	if (r->iommufd < 0)
		give_up("/dev/iommu");
	r->cdev = -1;
	if (device)
		ioas_bind(r);
	if (strstr(part, "-limits")) {
		limit_memory(r, 24 * PAGE);
		record_ioas_limits(r);
	} else if (device) {
		record_ioas_attach(r);
	} else {
		record_ioas_convention(r);
		record_ioas_rows(r);
	}
	record_ioas_random(r);
}

int main(int argc, char **argv)
{
	static struct run run = {.random = 0x9e3779b97f4a7c15ull};

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: dma BDF NAME PART [OTHER-BDF]\n");
		return 2;
	}
	alarm(DEADLINE);
	setvbuf(stdout, NULL, _IOFBF, 65536);
	run.bdf = argv[1];
	run.other = argv[4];
	print_head("trace", argv[2]);
	make_buffer(&run);
	if (!strncmp(argv[3], "ioas", 4))
		record_ioas(&run, argv[3]);
	else
		record_container(&run, argv[3]);
	printf("# end\n# complete\n");
	return 0;
}
