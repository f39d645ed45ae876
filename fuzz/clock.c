/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <poll.h>

#include "base/fd.h"
#include "check.h"

int64_t clock_now;

int64_t __wrap_clock_ms(void);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

int64_t __wrap_clock_ms(void)
{
	return clock_now;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	CHECK(n == 0 && timeout >= 0);
	clock_now += timeout;
	return 0;
}
