/* SPDX-License-Identifier: MIT */
#include "device_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vfio/driver.h>
#include <vfio/server.h>

#include "describe.h"
#include "lines.h"
#include "log.h"
#include "loop.h"
#include "message.h"
#include "sandbox.h"
#include "tick.h"
#include "title.h"

/* A request is some forty bytes. */
#define MAX_REQUEST 1024
#define SEND_TIMEOUT_MS 1000

/* The library's log lines are caused by clients: this many at once, and one more each so often. */
#define LOG_BURST 1000
#define LOG_INTERVAL_MS 10

struct session {
	struct device_process *process;
	struct vfio_dev *dev;
	struct vfio_server *server;
	int signals;
	struct lines requests;
	int64_t log_budget;		/* in milliseconds of LOG_INTERVAL_MS */
	int64_t log_time;
	unsigned long unlogged;
};

__attribute__((format(printf, 2, 3)))
static _Noreturn void fail(const struct device_process *process, const char *format, ...)
{
	struct json_object *message = message_new("event", json_object_new_string("failed"));
	char text[768];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!is_utf8(text))
		snprintf(text, sizeof(text), "failed, for a reason that is not in UTF-8");
	json_object_object_add(message, "message", json_object_new_string(text));
	json_object_object_add(message, "permanent", json_object_new_boolean(process->hopeless));
	message_send(process->channel, message, SEND_TIMEOUT_MS);
	exit(EXIT_FAILURE);
}

/* Starting again changes nothing about such a mistake. */
static bool is_permanent(enum vfio_error_code code)
{
	switch (code) {
	case VFIO_E_NAME:
	case VFIO_E_NO_BACKEND:
	case VFIO_E_NO_DEVICE:
	case VFIO_E_MODULE:
	case VFIO_E_OPTION:
	case VFIO_E_DESCRIPTION:
		return true;
	default:
		return false;
	}
}

static _Noreturn void fail_with(const struct device_process *process, const char *what,
				const struct vfio_error *err)
{
	fail(process, "%s: VFIO-%03d: %s: %s (%s)%s%s", what, (int)err->code, err->what,
	     strerror(err->err), vfio_refuser_name(err->who), err->remedy[0] ? ": " : "",
	     err->remedy);
}

/* ---- becoming one ------------------------------------------------------------------------- */

/*
 * Keep stderr, the socket and the channel; nothing else of the supervisor's is this process's
 * business.
 */
static int keep_only_own(struct device_process *process)
{
	/* Away from 3 and 4, where they are going, first. */
	int socket = fcntl(process->socket, F_DUPFD_CLOEXEC, 10);
	int channel = fcntl(process->channel, F_DUPFD_CLOEXEC, 10);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (socket < 0 || channel < 0 || null < 0)
		return -errno;
	if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup3(socket, 3, O_CLOEXEC) < 0 || dup3(channel, 4, O_CLOEXEC) < 0 ||
	    close_range(5, ~0u, 0) < 0)
		return -errno;
	process->socket = 3;
	process->channel = 4;
	return 0;
}

/* Ctrl-C goes to all processes of the terminal; it is the supervisor that ends the others. */
static int take_signals(void)
{
	sigset_t term, interrupt;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigaddset(&interrupt, SIGCHLD);
	signal(SIGINT, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &term, NULL) < 0 ||
	    sigprocmask(SIG_UNBLOCK, &interrupt, NULL) < 0)
		return -errno;
	if (tick_start() < 0)
		return -1;
	return signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A change of user takes this back, so it is asked for before and after. */
static void die_with_supervisor(const struct device_process *process)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != process->supervisor)
		_exit(EXIT_FAILURE);
}

/* The module is the administrator's choice and trusted; strangers' bytes only come later. */
static void open_device(struct session *session)
{
	struct device_process *process = session->process;
	struct vfio_error err;
	int ret;

	ret = privileges_forbid_new();
	if (ret < 0)
		fail(process, "cannot forbid itself new privileges: %s", strerror(-ret));
	if (vfio_open(&session->dev, process->device, &err) < 0) {
		process->hopeless = is_permanent(err.code);
		fail_with(process, "cannot open the device", &err);
	}
	/* Only a new connection puts it back for the next client, and the sandbox makes none. */
	process->hopeless = strcmp(vfio_backend_name(session->dev), "socket") == 0;
	if (process->hopeless)
		fail(process, "%s is served already: let clients connect to it directly",
		     process->device);
}

static void become_unprivileged(struct device_process *process)
{
	const char *step = privileges_drop(&process->user);

	if (step)
		fail(process, "cannot give up privileges: %s: %s", step, strerror(errno));
	die_with_supervisor(process);
}

/* ---- callbacks of the server -------------------------------------------------------------- */

/* May another line be logged now? A token bucket, counted in milliseconds. */
static bool log_allowed(struct session *session)
{
	int64_t now = now_ms();

	session->log_budget += now - session->log_time;
	session->log_time = now;
	if (session->log_budget > LOG_BURST * LOG_INTERVAL_MS)
		session->log_budget = LOG_BURST * LOG_INTERVAL_MS;
	if (session->log_budget < LOG_INTERVAL_MS) {
		session->unlogged++;
		return false;
	}
	session->log_budget -= LOG_INTERVAL_MS;
	return true;
}

static void on_log(void *arg, enum vfio_log_level level, const char *line)
{
	struct session *session = arg;

	if (!log_allowed(session))
		return;
	if (session->unlogged)
		log_warning(session->process->name, "%lu more lines were too many to log",
			    session->unlogged);
	session->unlogged = 0;
	log_line((int)level, session->process->name, "%s", line);
}

static bool on_admit(void *arg, const struct vfio_peer *peer, char *reason, size_t size)
{
	struct session *session = arg;

	return admit(&session->process->access, peer, reason, size);
}

/* The server may wait for its client, which is about to lose its connection in any case. */
static void stop(struct session *session)
{
	struct vfio_peer peer;

	vfio_server_stop(session->server);
	if (vfio_server_client(session->server, &peer))
		shutdown(peer.fd, SHUT_RDWR);
}

/* Without its supervisor a device process has no reason to be. */
static void tell(struct session *session, struct json_object *message)
{
	if (message_send(session->process->channel, message, SEND_TIMEOUT_MS) < 0)
		stop(session);
}

static void on_client(void *arg, const struct vfio_peer *peer)
{
	struct session *session = arg;
	struct json_object *event;

	event = message_new("event", json_object_new_string(peer ? "client" : "client-gone"));
	if (peer) {
		json_object_object_add(event, "pid", json_object_new_int64(peer->pid));
		json_object_object_add(event, "uid", json_object_new_int64(peer->uid));
		json_object_object_add(event, "gid", json_object_new_int64(peer->gid));
	}
	tell(session, event);
	/* Nobody can follow on a socket that does not listen. */
	if (!peer && session->process->connected)
		vfio_server_stop(session->server);
}

/* ---- requests of the supervisor ----------------------------------------------------------- */

static bool answer(struct session *session, const char *line, size_t len)
{
	struct json_object *request = message_parse(line, len), *reply;
	const char *method = message_string(request, "method");
	int64_t id;
	bool ping = method && strcmp(method, "ping") == 0;
	bool describing = method && strcmp(method, "describe") == 0 &&
			  message_integer(request, "id", 0, INT64_MAX, &id);

	if (ping)
		tell(session, message_new("event", json_object_new_string("alive")));
	if (describing) {
		reply = message_new("id", json_object_new_int64(id));
		json_object_object_add(reply, "description",
				       describe(vfio_server_device(session->server)));
		tell(session, reply);
	}
	json_object_put(request);
	return ping || describing;
}

static void on_request(void *arg, int fd)
{
	struct session *session = arg;
	const char *line;
	size_t len;
	int n = lines_receive(&session->requests, fd);

	if (n == -EAGAIN)
		return;
	if (n <= 0)
		stop(session);
	while (n > 0 && (line = lines_next(&session->requests, &len)))
		if (!answer(session, line, len))
			stop(session);
}

static void on_signal(void *arg, int fd)
{
	struct session *session = arg;
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) > 0)
		stop(session);
}

/* ---- serving ------------------------------------------------------------------------------ */

static void make_server(struct session *session)
{
	struct device_process *process = session->process;
	const struct vfio_server_options options = {
		.size = sizeof(options),
		.arg = session,
		.log = on_log,
		.admit = on_admit,
		.client = on_client,
		.timeout_ms = process->client_timeout_ms,
	};
	struct vfio_error err;
	int ret;

	if (vfio_server_new(&session->server, session->dev, &options, &err) < 0)
		fail_with(process, "cannot serve the device", &err);
	ret = vfio_server_watch(session->server, process->channel, on_request, session);
	if (ret == 0)
		ret = vfio_server_watch(session->server, session->signals, on_signal, session);
	if (ret == 0 && !process->connected)
		ret = vfio_server_add_listener(session->server, process->socket);
	if (ret < 0)
		fail(process, "cannot serve the device: %s", strerror(-ret));
}

static void enter_sandbox(struct session *session)
{
	int ret;

	if (!sandbox_is_built_in())
		log_notice(session->process->name,
			   "no system-call filter: this is a sanitizer's build, and it makes "
			   "calls of its own");
	/*
	 * JSON wants random numbers once, and may open a file for them: not from inside the
	 * sandbox.
	 */
	json_object_put(message_new("event", NULL));
	ret = sandbox_enter();
	if (ret < 0)
		fail(session->process, "cannot enter the system-call filter: %s", strerror(-ret));
}

static int serve(struct session *session)
{
	struct device_process *process = session->process;
	int ret;

	tell(session, message_new("event", json_object_new_string("ready")));
	if (process->connected) {
		ret = vfio_server_add_client(session->server, process->socket);
		if (ret < 0)
			fail(process, "cannot serve the connection: %s", strerror(-ret));
	}
	ret = vfio_server_run(session->server);
	if (ret < 0)
		fail(process, "the server broke: %s", strerror(-ret));
	return EXIT_SUCCESS;
}

_Noreturn void device_process_run(struct device_process *process)
{
	struct session session = {
		.process = process,
		.log_budget = LOG_BURST * LOG_INTERVAL_MS,
		.log_time = now_ms(),
	};
	int ret;

	die_with_supervisor(process);
	ret = keep_only_own(process);
	if (ret < 0)
		fail(process, "cannot arrange its descriptors: %s", strerror(-ret));
	title_set(process->name);
	privileges_die_first();
	session.signals = take_signals();
	if (session.signals < 0 || lines_init(&session.requests, MAX_REQUEST) < 0)
		fail(process, "cannot start: %s", strerror(errno));
	open_device(&session);
	become_unprivileged(process);
	make_server(&session);
	enter_sandbox(&session);
	ret = serve(&session);
	vfio_server_free(session.server);
	lines_finish(&session.requests);
	exit(ret);
}
