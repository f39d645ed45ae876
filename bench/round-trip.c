/* SPDX-License-Identifier: MIT */
/*
 * What a register access over a socket costs: the round trip of a 4-byte region read, against a
 * bare echo of as many bytes over the same kind of socket between two processes of the same kind,
 * in turn, in one run. First with client and server on one CPU, where nothing but work counts, then
 * on two, where waking the other does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vfio/device.h>
#include <vfio/server.h>

#include "measure.h"

#define ROUNDS  41
#define BATCH   1000
#define REQUEST 32		/* header 16, offset 8, region 4, count 4 */
#define REPLY   36		/* the same and four bytes of data */

/* ---- the floor: an echo ------------------------------------------------------------------- */

static void echo(int fd)
{
	char buf[REPLY] = { 0 };

	while (read(fd, buf, REQUEST) == REQUEST)
		if (write(fd, buf, REPLY) != REPLY)
			break;
}

static void ask_echo(void *fd)
{
	char buf[REPLY] = { 0 };

	if (write(*(int *)fd, buf, REQUEST) != REQUEST || read(*(int *)fd, buf, REPLY) != REPLY)
		die("echo");
}

/* ---- the device: one register ------------------------------------------------------------- */

static uint64_t read_register(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			      unsigned int width)
{
	return 0x12345678;
}

static void serve(int fd)
{
	static const struct vfio_function_description description = {
		.size = sizeof(description), .name = "register",
		.vendor = 0x1234, .device = 0x5678, .bars[0] = { .size = 4096 },
	};
	static const struct vfio_function_ops ops = { .size = sizeof(ops), .read = read_register };
	struct vfio_server *server;
	struct vfio_function *fn;
	struct vfio_dev *dev;
	struct vfio_error err;

	if (vfio_function_new(&fn, &description, &ops, NULL, &err) < 0 ||
	    vfio_function_open(&dev, fn, &err) < 0 ||
	    vfio_server_new(&server, dev, NULL, &err) < 0)
		exit(vfio_error_print(stderr, "round-trip", &err));
	vfio_server_add_client(server, fd);
	while (vfio_server_client(server, NULL) && vfio_server_dispatch(server, -1) == 0)
		;
}

static void ask_device(void *dev)
{
	if (vfio_read32(dev, 0, 0) != 0x12345678)
		exit(vfio_error_print(stderr, "round-trip", vfio_last_error(dev)));
}

/* ---- the comparison ----------------------------------------------------------------------- */

static double batch(void (*ask)(void *arg), void *arg)
{
	double start = nanoseconds();

	for (int i = 0; i < BATCH; i++)
		ask(arg);
	return (nanoseconds() - start) / BATCH / 1e3;
}

static void print(const char *name, double v[ROUNDS], const char *unit)
{
	struct figures f = figures_of(v, ROUNDS);

	printf("%-44s median %6.2f%s  (min %.2f, max %.2f)\n", name, f.middle, unit, f.least,
	       f.most);
}

static int compare_on(int client_cpu, int server_cpu)
{
	double floor[ROUNDS], ours[ROUNDS], ratio[ROUNDS];
	int echo_fd, device_fd;
	struct vfio_dev *dev;
	struct vfio_error err;
	char name[32];

	pin(client_cpu);
	echo_fd = start_child(echo, server_cpu);
	device_fd = start_child(serve, server_cpu);
	snprintf(name, sizeof(name), "fd:%d", device_fd);
	if (vfio_open(&dev, name, &err) < 0)
		return vfio_error_print(stderr, "round-trip", &err);
	batch(ask_echo, &echo_fd);
	batch(ask_device, dev);
	for (int i = 0; i < ROUNDS; i++) {
		floor[i] = batch(ask_echo, &echo_fd);
		ours[i] = batch(ask_device, dev);
		ratio[i] = ours[i] / floor[i];
	}
	printf("client on CPU %d, server on CPU %d\n", client_cpu, server_cpu);
	print("  socket echo, 32 bytes there, 36 back", floor, " us");
	print("  vfio_read32() over a vfio-user socket", ours, " us");
	print("  ratio, pair by pair (target 1.15)", ratio, "");
	vfio_close(dev);
	close(echo_fd);
	while (wait(NULL) > 0)
		;
	return 0;
}

int main(void)
{
	int first = next_cpu(0), second = next_cpu(first + 1);

	printf("round trip of a 4-byte region read, %d batches of %d each in turn\n", ROUNDS,
	       BATCH);
	if (compare_on(first, first))
		return 1;
	return second < 0 ? 0 : compare_on(first, second);
}
