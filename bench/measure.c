/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
	perror(what);
	exit(1);
}

double nanoseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

struct figures figures_of(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return (struct figures){ values[n / 2], values[0], values[n - 1] };
}

/* ---- instructions ------------------------------------------------------------------------- */

/* A process that stops, does something, and stops again. */
static void be_stepped(void (*prepare)(void *arg), void (*act)(void *arg), void *arg)
{
	prepare(arg);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(1);
	raise(SIGSTOP);
	act(arg);
	raise(SIGSTOP);
	_exit(0);
}

/* The instructions between the two stops, or -1. */
static long count_steps(void (*prepare)(void *arg), void (*act)(void *arg), void *arg)
{
	pid_t pid = fork();
	int status;
	long n = 0;

	if (pid < 0)
		die("fork");
	if (pid == 0)
		be_stepped(prepare, act, arg);
	waitpid(pid, &status, 0);
	if (!WIFSTOPPED(status))
		return -1;
	do {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
			break;
		n++;
		waitpid(pid, &status, 0);
	} while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return n;
}

static void do_nothing(void *arg)
{
}

long count_instructions(void (*prepare)(void *arg), void (*act)(void *arg), void *arg)
{
	long nothing = count_steps(do_nothing, do_nothing, arg);
	long all = count_steps(prepare, act, arg);

	return nothing < 0 || all < 0 ? -1 : all - nothing;
}

/* ---- CPUs and processes ------------------------------------------------------------------- */

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("sched_setaffinity");
}

int next_cpu(int cpu)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		die("sched_getaffinity");
	while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &set))
		cpu++;
	return cpu < CPU_SETSIZE ? cpu : -1;
}

int start_child(void (*child)(int fd), int cpu)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		close(pair[0]);
		pin(cpu);
		child(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	return pair[0];
}
