/* SPDX-License-Identifier: MIT */
/* A device as the supervisor has it: its socket, its process, and what that process says. */
#ifndef VFIOD_DEVICE_H
#define VFIOD_DEVICE_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include <json-c/json.h>

#include "config.h"
#include "lines.h"
#include "listen.h"
#include "loop.h"
#include "privileges.h"

enum device_state {
	DEVICE_STARTING,	/* its process is not ready yet, or is about to be started again */
	DEVICE_READY,
	DEVICE_FAILED,		/* given up */
	DEVICE_DONE,		/* the one client that it was for has gone */
};

/* Somebody who waits for a device's description. */
struct question {
	TAILQ_ENTRY(question) entry;
	bool pending;
	/*
	 * Its members "description" and "map" (or null) are as docs/control.md has them. NULL when
	 * the device does not answer; it belongs to the caller.
	 */
	void (*answered)(struct question *question, struct json_object *answer);
};

struct device {
	const struct device_config *config;
	const struct user *user;
	unsigned int client_timeout_ms;	/* 0: the default */
	struct loop *loop;
	void (*changed)(struct device *device, void *arg);	/* another state */
	void *arg;

	struct listener listener;
	bool connected;			/* the listener is in truth one client's connection */

	enum device_state state;
	bool stopping;
	bool announced;			/* for whoever set changed() */
	pid_t pid;			/* 0: no process */
	struct watch channel;
	struct lines lines;
	bool explained;			/* the process has said why it ends */
	char *failure;			/* what a process said last about that */
	int64_t started;
	struct timer start_deadline;
	struct timer pulse;		/* is the process alive? */
	bool asked_alive;		/* and it has not answered yet */
	struct timer abandon;		/* it was killed, and should have ended by then */
	unsigned int abandoned;

	struct timer restart;
	unsigned int restart_delay;	/* milliseconds */
	unsigned int unready;		/* starts in a row that did not get ready */
	unsigned int restarts;

	/* The first client that used it although nothing isolates it; it outlives the process. */
	time_t tainted;			/* 0: there was none */
	uid_t tainted_by;

	bool has_client;
	pid_t client;
	uid_t client_uid;
	gid_t client_gid;

	TAILQ_HEAD(, question) questions;
	int64_t question_id;
	struct timer answer_deadline;
};

/*
 * Take a configuration. The caller fills in user, client_timeout_ms, loop, changed and arg
 * afterwards.
 */
void device_init(struct device *device, const struct device_config *config);

/* Open its socket. Logs; 0 or a negative errno. */
int device_open(struct device *device);

/* Start its process, and from then on keep one running. */
void device_start(struct device *device);

/* Its process has ended: waitpid()'s status. */
void device_reap(struct device *device, int status);

/*
 * A policy has changed, in the device's configuration, too: a process that runs is told. What it
 * makes of that is in the log.
 */
void device_change_policy(struct device *device, const char *key, const char *value);

/* Send its process a signal and do not start another. */
void device_stop(struct device *device, int signal);

/* Close everything, remove the socket. The process has ended. */
void device_finish(struct device *device);

/*
 * Ask the process to describe the device: question->answered() is called later, after two seconds
 * at most. False when it cannot be asked.
 */
bool device_ask(struct device *device, struct question *question);
/* Never mind. */
void device_forget(struct device *device, struct question *question);

#endif
