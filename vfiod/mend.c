/* SPDX-License-Identifier: MIT */
#include "mend.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* A signal handler has no argument of its own; a device process has one server. */
static struct vfio_server *mended;

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	if (info->si_code <= 0 || !vfio_server_mend(mended, info->si_addr))
		abort();
}

int mend_start(struct vfio_server *server)
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	mended = server;
	return sigaction(SIGBUS, &action, NULL) < 0 ? -errno : 0;
}
