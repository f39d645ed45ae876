/* SPDX-License-Identifier: MIT */
/*
 * What a DMA map costs over a socket, beside the message that asks for it: a map of a file that the
 * server has mapped already, of one that it has not, of memory without a descriptor. The floors are
 * messages of the same size, with and without a descriptor, that the server refuses at a glance.
 * All in turn, in one run: first with client and server on one CPU, where nothing but work counts,
 * then on two, where waking the other does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vfio/device.h>
#include <vfio/server.h>

#include "measure.h"
#include "wire/wire.h"

#define PAGE    4096u
#define ROUNDS  21
#define BATCH   100		/* maps that come and go in a round */
#define COLUMNS 3
#define MANY    70000u		/* different files */

static const unsigned int counts[COLUMNS] = { 1, 1000, 60000 };

struct client {
	int fd;
	unsigned int live;
	int file;			/* which the maps come from */
	int others[BATCH];		/* of which the server knows nothing yet */
};

/* ---- the server --------------------------------------------------------------------------- */

static void serve(int fd)
{
	static const struct vfio_function_description description = {
		.size = sizeof(description), .name = "bench", .vendor = 0x1234, .device = 0x5678,
	};
	static const struct vfio_function_ops ops = { .size = sizeof(ops) };
	struct vfio_server *server;
	struct vfio_function *fn;
	struct vfio_dev *dev;
	struct vfio_error err;

	if (vfio_function_new(&fn, &description, &ops, NULL, &err) < 0 ||
	    vfio_function_open(&dev, fn, &err) < 0 ||
	    vfio_server_new(&server, dev, NULL, &err) < 0)
		exit(vfio_error_print(stderr, "dma-socket", &err));
	vfio_server_add_client(server, fd);
	while (vfio_server_client(server, NULL) && vfio_server_dispatch(server, -1) == 0)
		;
}

/* ---- messages ----------------------------------------------------------------------------- */

/* Send a message, receive the reply; returns the error that it tells. */
static int exchange(struct client *c, uint16_t command, const void *payload, size_t len, int fd)
{
	struct wire_header h = { .command = command, .size = sizeof(h) + len };
	uint8_t buf[512];
	ssize_t n;

	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), payload, len);
	if (fd_send(c->fd, buf, h.size, &fd, fd >= 0 ? 1 : 0) != (ssize_t)h.size)
		die("send");
	n = read(c->fd, buf, sizeof(buf));
	if (n < (ssize_t)sizeof(h))
		die("receive");
	memcpy(&h, buf, sizeof(h));
	return h.error;
}

static void expect(int want, int got, const char *what)
{
	if (got == want)
		return;
	fprintf(stderr, "dma-socket: %s: %s\n", what, strerror(got));
	exit(1);
}

static int map(struct client *c, unsigned int page, int fd, uint64_t offset)
{
	const struct wire_dma_map q = {
		.argsz = sizeof(q), .flags = VFIO_DMA_RW, .offset = offset,
		.iova = (uint64_t)page * 2 * PAGE, .size = PAGE,
	};

	return exchange(c, WIRE_DMA_MAP, &q, sizeof(q), fd);
}

static void unmap(struct client *c, unsigned int page)
{
	const struct wire_dma_unmap q = {
		.argsz = sizeof(q), .iova = (uint64_t)page * 2 * PAGE, .size = PAGE,
	};

	expect(0, exchange(c, WIRE_DMA_UNMAP, &q, sizeof(q), -1), "unmap");
}

static double unmap_all(struct client *c)
{
	const struct wire_dma_unmap q = { .argsz = sizeof(q), .flags = WIRE_UNMAP_ALL };
	double start = nanoseconds();

	expect(0, exchange(c, WIRE_DMA_UNMAP, &q, sizeof(q), -1), "unmap of all");
	return nanoseconds() - start;
}

static int make_file(uint64_t size)
{
	int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		die("memfd_create");
	return fd;
}

static void connect_to(struct client *c, int cpu)
{
	const struct wire_version v = { WIRE_MAJOR, WIRE_MINOR };

	*c = (struct client){ .fd = start_child(serve, cpu) };
	expect(0, exchange(c, WIRE_VERSION, &v, sizeof(v), -1), "version");
	c->file = make_file((counts[COLUMNS - 1] + BATCH) * (uint64_t)PAGE);
	for (unsigned int i = 0; i < BATCH; i++)
		c->others[i] = make_file(PAGE);
}

/* ---- what is measured --------------------------------------------------------------------- */

/* Pages beyond those that are live, so that each is free. */
static void refused(struct client *c, unsigned int i)
{
	const struct wire_dma_map q = { 0 };

	expect(EINVAL, exchange(c, WIRE_DMA_MAP, &q, sizeof(q), -1), "floor");
}

static void refused_fd(struct client *c, unsigned int i)
{
	const struct wire_dma_map q = { 0 };

	expect(EINVAL, exchange(c, WIRE_DMA_MAP, &q, sizeof(q), c->file), "floor");
}

static void map_message(struct client *c, unsigned int i)
{
	expect(0, map(c, c->live + i, -1, 0), "map");
}

static void map_known(struct client *c, unsigned int i)
{
	expect(0, map(c, c->live + i, c->file, (uint64_t)(c->live + i) * PAGE), "map");
}

static void map_other(struct client *c, unsigned int i)
{
	expect(0, map(c, c->live + i, c->others[i], 0), "map");
}

static void refused_unmap(struct client *c, unsigned int i)
{
	const struct wire_dma_unmap q = { 0 };

	expect(EINVAL, exchange(c, WIRE_DMA_UNMAP, &q, sizeof(q), -1), "floor");
}

static void unmap_one(struct client *c, unsigned int i)
{
	unmap(c, c->live + i);
}

enum { FLOOR, FLOOR_FD, MESSAGE, KNOWN, OTHER, FLOOR_UNMAP, UNMAP, UNMAP_OTHER, SUBJECTS };

static const struct subject {
	const char *name;
	void (*once)(struct client *c, unsigned int i);
	int floor;
	const char *target;
} subjects[SUBJECTS] = {
	[FLOOR] = { "floor: 48 bytes, refused", refused, FLOOR, "" },
	[FLOOR_FD] = { "floor: the same with a descriptor", refused_fd, FLOOR_FD, "" },
	[MESSAGE] = { "DMA_MAP, no descriptor", map_message, FLOOR, "1 x floor" },
	[KNOWN] = { "DMA_MAP, more of one file", map_known, FLOOR_FD, "1 x floor" },
	[OTHER] = { "DMA_MAP, a file not seen before", map_other, FLOOR_FD, "" },
	[FLOOR_UNMAP] = { "floor: 40 bytes, refused", refused_unmap, FLOOR_UNMAP, "" },
	[UNMAP] = { "DMA_UNMAP", unmap_one, FLOOR_UNMAP, "1 x floor" },
	[UNMAP_OTHER] = { "DMA_UNMAP, the last map of a file", unmap_one, FLOOR_UNMAP, "" },
};

/* In this order every map finds its page free, and every unmap a map. */
static const int turns[] = {
	FLOOR, MESSAGE, FLOOR_UNMAP, UNMAP, FLOOR_FD, KNOWN, UNMAP, OTHER, UNMAP_OTHER,
};

struct cell {
	struct figures us, ratio;
};

static double measure(struct client *c, const struct subject *s)
{
	double start = nanoseconds();

	for (unsigned int i = 0; i < BATCH; i++)
		s->once(c, i);
	return (nanoseconds() - start) / BATCH / 1e3;
}

static void measure_all(struct client *c, struct cell cells[][COLUMNS], unsigned int column)
{
	double us[SUBJECTS][ROUNDS], ratio[SUBJECTS][ROUNDS];

	/* The first round warms up, and is overwritten. */
	for (unsigned int round = 0; round <= ROUNDS; round++) {
		unsigned int r = round % ROUNDS;

		for (unsigned int i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
			us[turns[i]][r] = measure(c, &subjects[turns[i]]);
		for (unsigned int i = 0; i < SUBJECTS; i++)
			ratio[i][r] = us[i][r] / us[subjects[i].floor][r];
	}
	for (unsigned int i = 0; i < SUBJECTS; i++)
		cells[i][column] = (struct cell){ figures_of(us[i], ROUNDS),
						  figures_of(ratio[i], ROUNDS) };
}

static void print(struct cell cells[][COLUMNS])
{
	printf("%-36s %-26s %-26s %-26s target\n", "", "1 map", "1 000", "60 000");
	for (unsigned int i = 0; i < SUBJECTS; i++) {
		printf("  %-34s", subjects[i].name);
		for (unsigned int c = 0; c < COLUMNS; c++) {
			const struct cell *cell = &cells[i][c];
			char text[64];

			snprintf(text, sizeof(text), "%.1f (%.1f..%.1f) %.2f x", cell->us.middle,
				 cell->us.least, cell->us.most, cell->ratio.middle);
			printf(" %-26s", text);
		}
		printf(" %s\n", subjects[i].target);
	}
}

/* All that are live, at once; with a descriptor, and one by one before. */
static void fill_and_empty(struct client *c, bool by_file)
{
	double start = nanoseconds(), us;

	c->live = 0;
	for (unsigned int i = 0; i < counts[COLUMNS - 1]; i++)
		by_file ? map_known(c, i) : map_message(c, i);
	us = (nanoseconds() - start) / counts[COLUMNS - 1] / 1e3;
	printf("  %u maps, %s: %.1f us (%.0f a second) each; all unmapped at once: %.2f ms"
	       " (target < 10 ms)\n", counts[COLUMNS - 1],
	       by_file ? "of one file" : "no descriptor", us, 1e6 / us, unmap_all(c) / 1e6);
	fflush(stdout);
}

/* As many different files as there can be: vm.max_map_count is the server's limit. */
static void map_many_files(struct client *c)
{
	double spent = 0;
	unsigned int n;
	int r = 0;

	for (n = 0; n < MANY; n++) {
		int fd = make_file(PAGE);
		double start = nanoseconds();

		r = map(c, n, fd, 0);
		spent += nanoseconds() - start;
		close(fd);
		if (r)
			break;
	}
	printf("  %u different files: %.1f us each%s%s; all unmapped at once: ", n,
	       spent / n / 1e3, r ? ", and the next: " : "", r ? strerror(r) : "");
	printf("%.2f ms\n", unmap_all(c) / 1e6);
}

static void finish(struct client *c)
{
	for (unsigned int i = 0; i < BATCH; i++)
		close(c->others[i]);
	close(c->file);
	close(c->fd);
	while (wait(NULL) > 0)
		;
}

static void run_on(int client_cpu, int server_cpu, bool with_files)
{
	struct cell cells[SUBJECTS][COLUMNS];
	struct client c;
	unsigned int n = 0;

	pin(client_cpu);
	connect_to(&c, server_cpu);
	printf("client on CPU %d, server on CPU %d\n", client_cpu, server_cpu);
	for (unsigned int column = 0; column < COLUMNS; column++) {
		for (c.live = 0; n < counts[column]; n++)
			map_known(&c, n);
		c.live = n;
		measure_all(&c, cells, column);
	}
	print(cells);
	unmap_all(&c);
	fill_and_empty(&c, false);
	fill_and_empty(&c, true);
	if (with_files)
		map_many_files(&c);
	finish(&c);
}

int main(void)
{
	int first = next_cpu(0), second = next_cpu(first + 1);

	printf("over a socket, %d rounds of %d in turn: us, median (min..max), and how many times "
	       "its floor\n", ROUNDS, BATCH);
	run_on(first, first, true);
	if (second >= 0)
		run_on(first, second, false);
	return 0;
}
