/* SPDX-License-Identifier: MIT */
/*
 * The process that serves one device.
 *
 * It says on its channel to the supervisor, one JSON object a line:
 *
 *   {"event": "ready"}
 *   {"event": "failed", "message": TEXT}          and ends
 *   {"event": "client", "pid": N, "uid": N, "gid": N}
 *   {"event": "client-gone"}
 *
 * and is asked
 *
 *   {"method": "describe", "id": N}               which it answers with {"id": N, "description":
 *                                                 {…}, "map": {…}}; what the device does not
 *                                                 answer is null
 *   {"method": "policy", "key": TEXT, "value": TEXT}   which has changed
 *   {"method": "ping"}                            which it answers with {"event": "alive"}
 *
 * The end of the channel is the end of the process.
 */
#ifndef VFIOD_DEVICE_PROCESS_H
#define VFIOD_DEVICE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "admit.h"
#include "policy.h"
#include "privileges.h"

struct device_process {
	const char *name;
	const char *device;		/* the device string */
	int socket;			/* listening, or connected */
	bool connected;
	int channel;
	pid_t supervisor;
	struct access access;
	struct user user;
	unsigned int client_timeout_ms;	/* 0: the default */
	const struct policy *policy;
	const char *audit;		/* off, warn, refuse; NULL: warn, unless it is software */
	bool hopeless;			/* what fails now fails again */
};

/*
 * Call it in a forked child of the supervisor, with all signals blocked that the supervisor
 * handles.
 */
_Noreturn void device_process_run(struct device_process *process);

#endif
