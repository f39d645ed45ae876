/* SPDX-License-Identifier: MIT */
#include "device_private.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device_process.h"
#include "log.h"
#include "message.h"

#define START_TIMEOUT_MS 10000
#define FIRST_RESTART_MS 100
#define LAST_RESTART_MS 5000
#define ABANDON_MS 3000		/* from SIGKILL to the end, at most */
#define MAX_ABANDONED 4
#define LONG_LIFE_MS 10000	/* after this, a death is no sign of trouble at start */

/* The longest line that a device process may say: a description with many regions, and its map. */
#define MAX_LINE (384 << 10)

void device_set_state(struct device *device, enum device_state state)
{
	if (device->state == state)
		return;
	device->state = state;
	device->changed(device, device->arg);
}

void device_close_channel(struct device *device)
{
	int fd = device->channel.fd;

	loop_unwatch(device->loop, &device->channel);
	if (fd >= 0)
		close(fd);
	lines_finish(&device->lines);
}

/*
 * It may be stuck in the kernel, where not even this signal reaches it: then it is left to itself.
 */
void device_kill(struct device *device)
{
	kill(device->pid, SIGKILL);
	loop_set_timer(device->loop, &device->abandon, ABANDON_MS);
}

/* ---- the pulse ---------------------------------------------------------------------------- */

/* Somebody debugs it, or has stopped it, and wants it to stay as it is. */
static bool is_stopped(pid_t pid)
{
	char path[32], line[256] = "", *name_end;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "re");
	if (!stat)
		return false;
	/* PID (NAME) STATE …, and the name may hold brackets of its own. */
	name_end = fgets(line, sizeof(line), stat) ? strrchr(line, ')') : NULL;
	fclose(stat);
	return name_end && (strncmp(name_end, ") T", 3) == 0 || strncmp(name_end, ") t", 3) == 0);
}

static void on_abandon(struct timer *timer)
{
	struct device *device = container_of(timer, struct device, abandon);

	log_error(device->config->name, "device process %d was killed and does not end: it is stuck "
		  "in the kernel, and left to itself", device->pid);
	device->explained = true;
	if (++device->abandoned >= MAX_ABANDONED)
		device->unready = MAX_UNREADY;
	device_reap(device, SIGKILL);
}

/*
 * A client can pass descriptors that keep whoever closes them waiting. It is to lose its own
 * connection by that, and the next client is to find a device.
 */
static void on_pulse(struct timer *timer)
{
	struct device *device = container_of(timer, struct device, pulse);

	/* The answer may be there already, and it was this process that had no time. */
	if (device->asked_alive && device->channel.fd >= 0)
		device_on_channel(&device->channel, EPOLLIN);
	if (device->channel.fd < 0)
		return;
	if (device->asked_alive && !is_stopped(device->pid)) {
		log_error(device->config->name, "device process %d has not answered for %d s, and may "
			  "be stuck in something of its client's: ended", device->pid,
			  PULSE_MS / 1000);
		device_kill(device);
		return;
	}
	/* One that is stopped, and whose channel is full of other things, is not asked. */
	if (!device->asked_alive)
		device->asked_alive =
			message_send(device->channel.fd,
				     message_new("method", json_object_new_string("ping")), 0) >= 0 ||
			!is_stopped(device->pid);
	loop_set_timer(device->loop, &device->pulse, PULSE_MS);
}

/* ---- life and death ----------------------------------------------------------------------- */

static void give_up(struct device *device)
{
	log_error(device->config->name, "did not get ready: given up");
	/* Whoever would wait for a connection is refused from now on. */
	listener_close(&device->listener);
	device_set_state(device, DEVICE_FAILED);
}

static void schedule_restart(struct device *device)
{
	unsigned int delay;

	if (device->unready >= MAX_UNREADY) {
		give_up(device);
		return;
	}
	if (now_ms() - device->started >= LONG_LIFE_MS)
		device->restart_delay = FIRST_RESTART_MS;
	delay = device->restart_delay;
	device->restart_delay = delay * 2 < LAST_RESTART_MS ? delay * 2 : LAST_RESTART_MS;
	log_notice(device->config->name, "starting it again in %u.%u s", delay / 1000,
		   delay % 1000 / 100);
	loop_set_timer(device->loop, &device->restart, delay);
	device_set_state(device, DEVICE_STARTING);
}

static void on_restart(struct timer *timer)
{
	struct device *device = container_of(timer, struct device, restart);

	device->restarts++;
	device_start(device);
}

static void on_start_deadline(struct timer *timer)
{
	struct device *device = container_of(timer, struct device, start_deadline);

	log_error(device->config->name, "device process %d was not ready within %d s, ending it",
		  device->pid, START_TIMEOUT_MS / 1000);
	device_kill(device);
}

static void log_death(struct device *device, int status)
{
	const char *name = device->config->name;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		log_error(name, "device process %d was killed for a sandbox violation: a "
			  "system call that is not allowed (the kernel's log names it)",
			  device->pid);
	else if (WIFSIGNALED(status))
		log_error(name, "device process %d was killed by signal %d (%s)", device->pid,
			  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_warning(name, "device process %d ended with exit status %d", device->pid,
			    WEXITSTATUS(status));
}

/* An inherited connection was for one process; another one could not know how far it got. */
static void finish_connected(struct device *device, int status)
{
	bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	good = good && device->state == DEVICE_READY;
	device_set_state(device, good ? DEVICE_DONE : DEVICE_FAILED);
}

static void drain_channel(struct device *device)
{
	if (device->channel.fd < 0)
		return;
	while (device_listen(device) > 0)
		;
	device_close_channel(device);
}

void device_reap(struct device *device, int status)
{
	/* What it said last says best why it ended. */
	drain_channel(device);
	device->has_client = false;
	loop_clear_timer(device->loop, &device->pulse);
	loop_clear_timer(device->loop, &device->abandon);
	loop_clear_timer(device->loop, &device->start_deadline);
	device_answer_all(device, NULL);
	/* An orderly end is news only where nobody asked for it. */
	if (!device->explained && (status != 0 || !(device->stopping || device->connected)))
		log_death(device, status);
	device->pid = 0;
	if (device->state != DEVICE_READY)
		device->unready++;
	if (device->connected)
		finish_connected(device, status);
	else if (!device->stopping)
		schedule_restart(device);
}

static void run_child(const struct device *device, int channel, pid_t supervisor)
{
	struct device_process process = {
		.name = device->config->name,
		.device = device->config->device,
		.socket = device->listener.fd,
		.connected = device->connected,
		.channel = channel,
		.supervisor = supervisor,
		.access = device->config->access,
		.user = *device->user,
		.client_timeout_ms = device->client_timeout_ms,
		.policy = &device->config->policy,
		.audit = device->config->audit,
	};

	device_process_run(&process);
}

/* Fork, with a channel between the two; the supervisor's end, or a negative errno. */
static int fork_process(struct device *device)
{
	pid_t supervisor = getpid();
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	device->pid = fork();
	if (device->pid == 0)
		run_child(device, pair[1], supervisor);
	ret = -errno;
	close(pair[1]);
	if (device->pid > 0)
		return pair[0];
	device->pid = 0;
	close(pair[0]);
	return ret;
}

void device_start(struct device *device)
{
	int channel;

	device->started = now_ms();
	device->explained = false;
	channel = lines_init(&device->lines, MAX_LINE);
	if (channel == 0)
		channel = fork_process(device);
	if (channel < 0) {
		lines_finish(&device->lines);
		log_error(device->config->name, "cannot start a device process: %s",
			  strerror(-channel));
		device->unready++;
		schedule_restart(device);
		return;
	}
	/* When the channel cannot be watched, closing it ends the process. */
	if (loop_watch(device->loop, &device->channel, channel, EPOLLIN) < 0)
		close(channel);
	loop_set_timer(device->loop, &device->start_deadline, START_TIMEOUT_MS);
	/*
	 * A connection is the process's alone now: its client is to notice when the process ends.
	 */
	if (device->connected)
		listener_close(&device->listener);
}

void device_init(struct device *device, const struct device_config *config)
{
	*device = (struct device){
		.config = config,
		.listener = LISTENER_NONE,
		.channel = { .fd = -1, .ready = device_on_channel },
		.start_deadline = { .fire = on_start_deadline },
		.restart = { .fire = on_restart },
		.answer_deadline = { .fire = device_on_answer_deadline },
		.pulse = { .fire = on_pulse },
		.abandon = { .fire = on_abandon },
		.restart_delay = FIRST_RESTART_MS,
	};
	TAILQ_INIT(&device->questions);
}

int device_open(struct device *device)
{
	const struct device_config *config = device->config;
	int ret;

	if (config->socket)
		return listener_open(&device->listener, config->name, config->socket,
				     &config->access);
	ret = listener_inherit(&device->listener, config->name, config->fd);
	device->connected = ret > 0;
	return ret < 0 ? ret : 0;
}

void device_stop(struct device *device, int signal)
{
	device->stopping = true;
	loop_clear_timer(device->loop, &device->restart);
	if (!device->pid)
		return;
	if (signal == SIGKILL)
		device_kill(device);
	else
		kill(device->pid, signal);
}

void device_finish(struct device *device)
{
	device_stop(device, SIGKILL);
	loop_clear_timer(device->loop, &device->start_deadline);
	loop_clear_timer(device->loop, &device->pulse);
	loop_clear_timer(device->loop, &device->abandon);
	device_close_channel(device);
	listener_close(&device->listener);
	free(device->failure);
	device->failure = NULL;
}
