/* SPDX-License-Identifier: MIT */
/*
 * What a register access over a socket costs: the round trip of a 4-byte region read, against a
 * bare echo of as many bytes over the same kind of socket between two processes of the same kind,
 * in turn, in one run. First with client and server on one CPU, where nothing but work counts, then
 * on two, where waking the other does.
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <vfio/device.h>
#include <vfio/server.h>

#define ROUNDS  41
#define BATCH   1000
#define REQUEST 32		/* header 16, offset 8, region 4, count 4 */
#define REPLY   36		/* the same and four bytes of data */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Run on one CPU from now on: without that, which of the two is luckier decides. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
}

/* ---- the floor: an echo ------------------------------------------------------------------- */

static void echo(int fd)
{
	char buf[REPLY] = { 0 };

	while (read(fd, buf, REQUEST) == REQUEST)
		if (write(fd, buf, REPLY) != REPLY)
			break;
	_exit(0);
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
	_exit(0);
}

static void ask_device(void *dev)
{
	if (vfio_read32(dev, 0, 0) != 0x12345678)
		exit(vfio_error_print(stderr, "round-trip", vfio_last_error(dev)));
}

/* ---- the comparison ----------------------------------------------------------------------- */

/* A child that runs main on one end of a socket pair; the other end. */
static int start(void (*child)(int fd), int cpu)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(pair[0]);
		pin(cpu);
		child(pair[1]);
	}
	close(pair[1]);
	return pair[0];
}

static double batch(void (*ask)(void *arg), void *arg)
{
	double start_time = seconds();

	for (int i = 0; i < BATCH; i++)
		ask(arg);
	return (seconds() - start_time) / BATCH * 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *name, double v[ROUNDS], const char *unit)
{
	qsort(v, ROUNDS, sizeof(*v), compare);
	printf("%-44s median %6.2f%s  (min %.2f, max %.2f)\n", name, v[ROUNDS / 2], unit, v[0],
	       v[ROUNDS - 1]);
}

static int compare_on(int client_cpu, int server_cpu)
{
	double floor[ROUNDS], ours[ROUNDS], ratio[ROUNDS];
	int echo_fd, device_fd;
	struct vfio_dev *dev;
	struct vfio_error err;
	char name[32];

	pin(client_cpu);
	echo_fd = start(echo, server_cpu);
	device_fd = start(serve, server_cpu);
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

/* The first CPU from cpu on that this process may use; -1 when there is none. */
static int next_cpu(const cpu_set_t *set, int cpu)
{
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, set))
		cpu++;
	return cpu < CPU_SETSIZE ? cpu : -1;
}

int main(void)
{
	cpu_set_t set;
	int first, second;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		die("sched_getaffinity");
	first = next_cpu(&set, 0);
	second = next_cpu(&set, first + 1);
	printf("round trip of a 4-byte region read, %d batches of %d each in turn\n", ROUNDS,
	       BATCH);
	if (compare_on(first, first))
		return 1;
	return second < 0 ? 0 : compare_on(first, second);
}
