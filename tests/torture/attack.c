/* SPDX-License-Identifier: MIT */
/*
 * attack [-k] [-h HONEST] SECONDS SOCKET…: attack the devices behind the sockets (-k: knock at
 * them), any of them in any way, for so long; 0 seconds: each way once at each. Each attack has a
 * process of its own, and half of those are killed at some moment. An honest visitor (-h: the
 * program) comes now and then. Prints how often each attack was done, and how many of those were
 * killed. Exits with 1 when vfiod has broken a promise.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ATTACKS 64
#define KILL_MS 20		/* the latest for those who die early */
#define PATIENCE_MS 60000	/* with the others, and with a visitor */

static const struct attack *attacks[MAX_ATTACKS];
static unsigned int done[MAX_ATTACKS], killed[MAX_ATTACKS];
static unsigned int nattacks;
static const char *visitor;
static unsigned int promises_broken;

/* ---- a visitor ---------------------------------------------------------------------------- */

/* The next user of an attacked device finds it as it should be, and works with it. */
static void visit(struct peer *p, const char *path)
{
	char device[160];

	snprintf(device, sizeof(device), "unix:%s", path);
	if (dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO) < 0)
		_exit(ENDS_BROKEN);
	execl(visitor, "honest", device, "12", NULL);
	broken("%s: %s", visitor, strerror(errno));
}

static const struct attack visits[] = {
	{ .name = "(honest visit)", .run = visit, .patient = true },
	{ .name = NULL },
};

/* ---- one attack --------------------------------------------------------------------------- */

static pid_t begin(const struct attack *attack, const char *path, uint64_t seed, pid_t parent)
{
	static struct peer peer;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(ENDS_WELL);
	seed_any(seed);
	attack->run(&peer, path);
	_exit(ENDS_WELL);
}

/* Let it run to its end or kill it, and see how it ended. */
static void finish(unsigned int number, pid_t pid, int milliseconds)
{
	struct pollfd p = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	bool ended = poll(&p, 1, milliseconds) == 1;
	int status;

	close(p.fd);
	if (!ended)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	done[number]++;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		killed[number]++;
		if (milliseconds < PATIENCE_MS || ended)
			return;
		fprintf(stderr, "attack: %s: no end\n", attacks[number]->name);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == ENDS_WELL) {
		return;
	}
	fprintf(stderr, "attack: %s failed: status %#x\n", attacks[number]->name, status);
	promises_broken++;
}

static void do_attack(unsigned int number, const char *path, bool to_the_end)
{
	bool patient = to_the_end || attacks[number]->patient || any(2);
	pid_t pid = begin(attacks[number], path, any(UINT64_MAX), getpid());

	if (pid < 0) {
		perror("attack: fork");
		exit(1);
	}
	finish(number, pid, patient ? PATIENCE_MS : (int)any(KILL_MS));
}

/* ---- all of them -------------------------------------------------------------------------- */

static void add(const struct attack *list)
{
	for (; list->name && nattacks < MAX_ATTACKS; list++)
		attacks[nattacks++] = list;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void attack_once(char **paths, int npaths)
{
	for (int i = 0; i < npaths; i++)
		for (unsigned int n = 0; n < nattacks; n++)
			do_attack(n, paths[i], true);
}

/* Those that take their time do it rarely. */
static void attack_until(int64_t end, char **paths, int npaths)
{
	while (now_ms() < end) {
		unsigned int n = any(nattacks);

		if (!attacks[n]->patient || attacks[n]->run == visit || any(8) == 0)
			do_attack(n, paths[any(npaths)], false);
		if (attacks[0] == knocks)
			usleep(any(2000));	/* the tortured need some of the machine */
	}
}

static int usage(void)
{
	fprintf(stderr, "usage: attack [-k] [-h HONEST] SECONDS SOCKET...\n");
	return 2;
}

int main(int argc, char **argv)
{
	const struct attack *const kinds[] = {
		deaths, files, floods, lies, replies, served, NULL,
	};
	bool knock = false;
	double seconds;
	int option;

	while ((option = getopt(argc, argv, "kh:")) != -1) {
		if (option == 'k')
			knock = true;
		else if (option == 'h')
			visitor = optarg;
		else
			return usage();
	}
	if (argc - optind < 2)
		return usage();
	seconds = atof(argv[optind++]);
	seed_any((uint64_t)now_ms() ^ (uint64_t)getpid() << 32);
	if (knock)
		add(knocks);
	for (int i = 0; !knock && kinds[i]; i++)
		add(kinds[i]);
	if (visitor)
		add(visits);
	if (seconds == 0)
		attack_once(argv + optind, argc - optind);
	else
		attack_until(now_ms() + (int64_t)(seconds * 1000), argv + optind, argc - optind);
	for (unsigned int n = 0; n < nattacks; n++)
		printf("%s\t%u\t%u\n", attacks[n]->name, done[n], killed[n]);
	return promises_broken != 0;
}
