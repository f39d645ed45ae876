/* SPDX-License-Identifier: MIT */
/* The serving part of a device process: the server's callbacks, and what the supervisor asks. */
#ifndef VFIOD_SESSION_H
#define VFIOD_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <vfio/driver.h>
#include <vfio/server.h>

#include "device_process.h"
#include "lines.h"
#include "policy.h"

/* How many lines may be logged: a token bucket, counted in milliseconds. */
struct bucket {
	const char *what;
	int64_t budget, time;
	uint64_t unlogged;
};

struct session {
	struct device_process *process;
	struct vfio_dev *dev;
	struct vfio_server *server;
	int signals;			/* a descriptor that SIGTERM makes readable */
	struct lines requests;		/* of the supervisor */
	struct policy waiting;		/* changes that wait until the client has gone */
	uint64_t cursor;		/* of the device's side channel */
	uint64_t faults;		/* that are known of */
	bool stopping;
	int wanted;			/* signalled when the kernel wants its device back; or -1 */
	int64_t leave_by;		/* when the client, asked to leave, loses its connection; or 0 */
	/* What clients cause: their records cannot crowd out who has come and gone. */
	struct bucket lines, records, refusals;
};

/* 0 or a negative errno. */
int session_init(struct session *session, struct device_process *process);

/* Make the server for session->dev. 0, or a negative errno; err->code is set where err says why. */
int session_open(struct session *session, struct vfio_error *err);

/* Serve until it is asked to end. 0 or a negative errno. */
int session_run(struct session *session);

void session_finish(struct session *session);

#endif
