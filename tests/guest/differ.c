/* SPDX-License-Identifier: MIT */
/* Asks a device a sequence of things by chance, and prints what it answers. See README.
 *
 *	differ kernel|virtual BDF SEED COUNT [STEP...]
 *	differ hold BDF
 *
 * With STEPs only those of the COUNT are done. In the folder of the process a file BDF keeps the
 * bytes that the device's configuration space has at first: each run begins with these. `hold` is for a
 * physical function: its virtual one is there for as long as the process is.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "parent.h"
#include "steps.h"
#include "trace.h"
#include "virtual.h"

#define DEADLINE 540 /* seconds; the caller has one of its own */

static void record_info(struct session *s)
{
	section("info");
	device_info(s);
	for (unsigned i = 0; i < 10; i++)
		region_info(s, i);
	for (unsigned i = 0; i <= INDEXES; i++)
		irq_info(s, i);
	for (unsigned offset = 0; offset < s->size; offset += 4)
		rd(s, offset, 4);
}

/* Not all that was written goes away by a reset. */
static void put_back(int config, const uint8_t *first, size_t size)
{
	uint8_t now[4096];

	if (pread(config, now, size, 0) != (ssize_t)size)
		fail("configuration space in sysfs");
	for (size_t i = 0; i < size; i++)
		if (now[i] != first[i] && pwrite(config, first + i, 1, (off_t)i) != 1)
			fail("configuration space in sysfs");
}

static unsigned find(const uint8_t *first, unsigned id)
{
	unsigned at = first[0x06] & 0x10 ? first[0x34] & ~3u : 0;

	for (int i = 0; at >= 0x40 && i < 48 && first[at] != id; i++)
		at = first[at + 1] & ~3u;
	return at >= 0x40 && first[at] == id ? at : 0;
}

/* As it is found: awake, even if the kernel had put it to sleep. */
static ssize_t find_first(int config, uint8_t *first)
{
	ssize_t size = pread(config, first, 4096, 0);
	unsigned pm = find(first, 0x01);

	if (pm) {
		first[pm + 4] &= ~0x03;
		first[pm + 5] &= ~0x81;
	}
	return size;
}

/* The registers for vital product data: what was asked for last. */
static void ask_for_vital(int config, const uint8_t *first)
{
	const uint16_t address = 0;
	unsigned at = find(first, 0x03);

	if (at && pwrite(config, &address, 2, at + 2) != 2)
		fail("configuration space in sysfs");
}

static void begin(const char *bdf)
{
	uint8_t first[4096];
	int kept = open(bdf, O_RDWR | O_CREAT, 0600), config = open_attribute(bdf, "config", O_RDWR);
	ssize_t size = read(kept, first, sizeof(first));

	if (size <= 0) {
		size = find_first(config, first);
		if (size <= 0 || write(kept, first, (size_t)size) != size)
			fail(bdf);
	}
	put_back(config, first, (size_t)size);
	ask_for_vital(config, first);
	close(config);
	close(kept);
}

static bool is_wanted(unsigned number, int n, char **steps)
{
	for (int i = 0; i < n; i++)
		if (strtoul(steps[i], NULL, 10) == number)
			return true;
	return n == 0;
}

/* A virtual function is opened with the token that its physical one was given. */
static const char *token_of(const char *bdf)
{
	int fd = open_attribute(bdf, "physfn", O_PATH);

	if (fd < 0)
		return NULL;
	close(fd);
	return parent_token;
}

static void hold(const char *bdf)
{
	static struct session parent;

	parent_open(&parent, bdf);
	parent_enable(bdf);
	pause();
}

static void ask(const struct road *road, const char *bdf, int argc, char **argv)
{
	static struct session session;
	struct steps steps;
	uint64_t seed = strtoull(argv[0], NULL, 0);
	unsigned count = (unsigned)strtoul(argv[1], NULL, 10);

	print_head("device", bdf);
	begin(bdf);
	session_open(&session, road, bdf, bdf, token_of(bdf));
	steps_init(&steps, &session);
	record_info(&session);
	section("steps");
	for (unsigned i = 0; i < count; i++)
		if (is_wanted(i, argc - 2, argv + 2))
			steps_do(&steps, seed, i);
	printf("# end\n");
	session_close(&session);
}

int main(int argc, char **argv)
{
	alarm(DEADLINE);
	if (argc == 3 && !strcmp(argv[1], "hold")) {
		hold(argv[2]);
	} else if (argc >= 5) {
		ask(strcmp(argv[1], "virtual") ? &kernel_road : &virtual_road, argv[2], argc - 3,
		    argv + 3);
	} else {
		fprintf(stderr, "usage: differ kernel|virtual BDF SEED COUNT [STEP...]\n");
		return 2;
	}
	return 0;
}
