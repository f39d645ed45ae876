/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "describe.h"
#include "device_process.h"
#include "log.h"
#include "message.h"

#define START_TIMEOUT_MS 10000
#define ANSWER_TIMEOUT_MS 2000
#define FIRST_RESTART_MS 100
#define LAST_RESTART_MS 5000
#define PULSE_MS 5000		/* a process that misses two of these is stuck */
#define ABANDON_MS 3000		/* from SIGKILL to the end, at most */
#define MAX_ABANDONED 4
#define LONG_LIFE_MS 10000	/* after this, a death is no sign of trouble at start */
#define MAX_UNREADY 5

/* The longest line that a device process may say: a description with many regions. */
#define MAX_LINE (256 << 10)

static void set_state(struct device *device, enum device_state state)
{
	if (device->state == state)
		return;
	device->state = state;
	device->changed(device, device->arg);
}

static void close_channel(struct device *device)
{
	int fd = device->channel.fd;

	loop_unwatch(device->loop, &device->channel);
	if (fd >= 0)
		close(fd);
	lines_finish(&device->lines);
}

/* ---- questions ---------------------------------------------------------------------------- */

static void answer_all(struct device *device, struct json_object *description)
{
	struct question *question;

	loop_clear_timer(device->loop, &device->answer_deadline);
	while ((question = TAILQ_FIRST(&device->questions))) {
		device_forget(device, question);
		question->answered(question, description);
	}
}

static void on_answer_deadline(struct timer *timer)
{
	struct device *device = container_of(timer, struct device, answer_deadline);

	log_warning(device->config->name, "device process %d did not describe the device in time",
		    device->pid);
	answer_all(device, NULL);
}

bool device_ask(struct device *device, struct question *question)
{
	struct json_object *request;

	if (device->state != DEVICE_READY || device->channel.fd < 0)
		return false;
	/* One request is enough for all who wait. */
	if (TAILQ_EMPTY(&device->questions)) {
		request = message_new("method", json_object_new_string("describe"));
		json_object_object_add(request, "id", json_object_new_int64(++device->question_id));
		if (message_send(device->channel.fd, request, 0) < 0)
			return false;
		loop_set_timer(device->loop, &device->answer_deadline, ANSWER_TIMEOUT_MS);
	}
	TAILQ_INSERT_TAIL(&device->questions, question, entry);
	question->pending = true;
	return true;
}

void device_forget(struct device *device, struct question *question)
{
	if (question->pending)
		TAILQ_REMOVE(&device->questions, question, entry);
	question->pending = false;
}

/* ---- its violent end ----------------------------------------------------------------------- */

/*
 * It may be stuck in the kernel, where not even this signal reaches it: then it is left to itself.
 */
static void kill_process(struct device *device)
{
	kill(device->pid, SIGKILL);
	loop_set_timer(device->loop, &device->abandon, ABANDON_MS);
}

/* ---- what the process says ---------------------------------------------------------------- */

static bool on_ready(struct device *device)
{
	loop_clear_timer(device->loop, &device->start_deadline);
	device->asked_alive = false;
	loop_set_timer(device->loop, &device->pulse, PULSE_MS);
	device->unready = 0;
	set_state(device, DEVICE_READY);
	return true;
}

static bool on_failed(struct device *device, struct json_object *event)
{
	const char *message = message_string(event, "message");
	struct json_object *permanent;

	if (!message)
		return false;
	if (json_object_object_get_ex(event, "permanent", &permanent) &&
	    json_object_get_boolean(permanent))
		device->unready = MAX_UNREADY;
	device->explained = true;
	/* The same reason once more is no news. */
	if (!device->failure || strcmp(device->failure, message) != 0)
		log_error(device->config->name, "%s", message);
	free(device->failure);
	device->failure = strdup(message);
	return true;
}

static bool on_client(struct device *device, struct json_object *event)
{
	int64_t pid, uid, gid;

	/* A peer in a process namespace of its own has no number here: 0. */
	if (!message_integer(event, "pid", 0, INT_MAX, &pid) ||
	    !message_integer(event, "uid", 0, UINT_MAX, &uid) ||
	    !message_integer(event, "gid", 0, UINT_MAX, &gid))
		return false;
	device->has_client = true;
	device->client = (pid_t)pid;
	device->client_uid = (uid_t)uid;
	device->client_gid = (gid_t)gid;
	return true;
}

static bool on_client_gone(struct device *device)
{
	device->has_client = false;
	return true;
}

static bool on_event(struct device *device, const char *name, struct json_object *event)
{
	if (strcmp(name, "ready") == 0)
		return on_ready(device);
	if (strcmp(name, "failed") == 0)
		return on_failed(device, event);
	if (strcmp(name, "client") == 0)
		return on_client(device, event);
	if (strcmp(name, "client-gone") == 0)
		return on_client_gone(device);
	if (strcmp(name, "alive") == 0) {
		device->asked_alive = false;
		return true;
	}
	return false;
}

static bool on_answer(struct device *device, struct json_object *answer)
{
	struct json_object *description;
	int64_t id;

	if (!message_integer(answer, "id", 1, device->question_id, &id) ||
	    !json_object_object_get_ex(answer, "description", &description) ||
	    (description && !description_is_valid(description)))
		return false;
	/* An older question's answer came too late. */
	if (id == device->question_id)
		answer_all(device, description);
	return true;
}

/* Nothing that a device process says is trusted: it serves strangers. */
static bool on_line(struct device *device, const char *line, size_t len)
{
	struct json_object *message = message_parse(line, len);
	const char *event = message_string(message, "event");
	bool good = event ? on_event(device, event, message) : on_answer(device, message);

	json_object_put(message);
	return good;
}

/* Receive once: -EAGAIN when there is nothing, 0 at the end of the channel or after nonsense. */
static int listen_once(struct device *device)
{
	int n = lines_receive(&device->lines, device->channel.fd);
	bool good = n != -EMSGSIZE;
	const char *line;
	size_t len;

	while (n > 0 && good && (line = lines_next(&device->lines, &len)))
		good = on_line(device, line, len);
	if (good)
		return n;
	log_error(device->config->name, "device process %d sent nonsense: ended", device->pid);
	return 0;
}

static void on_channel(struct watch *watch, uint32_t events)
{
	struct device *device = container_of(watch, struct device, channel);

	int n = listen_once(device);

	if (n > 0 || n == -EAGAIN)
		return;
	close_channel(device);
	/*
	 * As a rule it has ended, and this changes nothing. One that only closed its channel must
	 * go.
	 */
	kill_process(device);
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
		on_channel(&device->channel, EPOLLIN);
	if (device->channel.fd < 0)
		return;
	if (device->asked_alive && !is_stopped(device->pid)) {
		log_error(device->config->name, "device process %d has not answered for %d s, and may "
			  "be stuck in something of its client's: ended", device->pid,
			  PULSE_MS / 1000);
		kill_process(device);
		return;
	}
	if (!device->asked_alive)
		message_send(device->channel.fd,
			     message_new("method", json_object_new_string("ping")), 0);
	device->asked_alive = true;
	loop_set_timer(device->loop, &device->pulse, PULSE_MS);
}

/* ---- life and death ----------------------------------------------------------------------- */

static void give_up(struct device *device)
{
	log_error(device->config->name, "did not get ready: given up");
	/* Whoever would wait for a connection is refused from now on. */
	listener_close(&device->listener);
	set_state(device, DEVICE_FAILED);
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
	set_state(device, DEVICE_STARTING);
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
	kill_process(device);
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

	set_state(device, good && device->state == DEVICE_READY ? DEVICE_DONE : DEVICE_FAILED);
}

static void drain_channel(struct device *device)
{
	if (device->channel.fd < 0)
		return;
	while (listen_once(device) > 0)
		;
	close_channel(device);
}

void device_reap(struct device *device, int status)
{
	/* What it said last says best why it ended. */
	drain_channel(device);
	device->has_client = false;
	loop_clear_timer(device->loop, &device->pulse);
	loop_clear_timer(device->loop, &device->abandon);
	loop_clear_timer(device->loop, &device->start_deadline);
	answer_all(device, NULL);
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
		.channel = { .fd = -1, .ready = on_channel },
		.start_deadline = { .fire = on_start_deadline },
		.restart = { .fire = on_restart },
		.answer_deadline = { .fire = on_answer_deadline },
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
		kill_process(device);
	else
		kill(device->pid, signal);
}

void device_finish(struct device *device)
{
	device_stop(device, SIGKILL);
	loop_clear_timer(device->loop, &device->start_deadline);
	loop_clear_timer(device->loop, &device->pulse);
	loop_clear_timer(device->loop, &device->abandon);
	close_channel(device);
	listener_close(&device->listener);
	free(device->failure);
	device->failure = NULL;
}
