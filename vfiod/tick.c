/* SPDX-License-Identifier: MIT */
#include "tick.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#define TICK_MS 250

static void on_tick(int number)
{
	(void)number;
}

int tick_start(void)
{
	/* Without SA_RESTART: the interruption is the purpose. */
	const struct sigaction action = { .sa_handler = on_tick };
	const struct timeval every = { .tv_usec = TICK_MS * 1000 };
	const struct itimerval timer = { .it_interval = every, .it_value = every };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	if (sigaction(SIGALRM, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &set, NULL) < 0 ||
	    setitimer(ITIMER_REAL, &timer, NULL) < 0)
		return -errno;
	return 0;
}
