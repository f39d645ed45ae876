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
#include <unistd.h>

#include <vfio/check.h>
#include <vfio/driver.h>

#include "log.h"
#include "message.h"
#include "sandbox.h"
#include "session.h"
#include "tick.h"
#include "title.h"

#define SEND_TIMEOUT_MS 1000

__attribute__((format(printf, 2, 3)))
static _Noreturn void fail(const struct device_process *process, const char *format, ...)
{
	struct json_object *message = message_new("event", json_object_new_string("failed"));
	char *text;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	json_object_object_add(message, "message", message_text(text ? text : "out of memory"));
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
	case VFIO_E_NO_IOMMU:
	case VFIO_E_ISOLATION:
	case VFIO_E_UNSAFE:
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
	char text[LOG_RECORD_SIZE];

	log_record_text(text, sizeof(text), err);
	fail(process, "%s: %s", what, text);
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

/*
 * Ctrl-C and the end of a terminal go to all its processes; it is the supervisor that ends the
 * others. A write beyond a limit on the size of files is an error, of the device's disk say.
 */
static int take_signals(void)
{
	sigset_t term, interrupt;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigaddset(&interrupt, SIGCHLD);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
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

/*
 * What nothing isolates is served only if the administrator has said that it may be, whatever its name
 * is. It is said in the log, too.
 */
static void check_isolation(struct session *session)
{
	struct device_process *process = session->process;
	struct vfio_isolation is;

	if (vfio_isolation(session->dev, &is) < 0)
		is = (struct vfio_isolation){ VFIO_ISOLATED_NOT, VFIO_ISOLATED_NOT };
	process->hopeless = is.dma == VFIO_ISOLATED_NOT && !process->access.unsafe;
	if (process->hopeless)
		fail(process, "nothing keeps %s from any memory of the machine, and nobody has said "
		     "that it may be served like that", process->device);
	if (is.dma == VFIO_ISOLATED_NOT)
		log_warning(process->name, "unsafe: nothing keeps the device from any memory of the "
			    "machine; only user 0 with CAP_SYS_RAWIO may use it");
	else if (is.interrupts == VFIO_ISOLATED_NOT)
		log_warning(process->name, "the device can raise interrupts that are not its own: "
			    "allow_unsafe_interrupts is set, or it is not known whether it is");
}

/* The capability that it takes is root's, and others give up all that they have. */
static void check_privilege(struct device_process *process)
{
	process->hopeless = process->access.unsafe && !process->user.change;
	if (process->hopeless)
		fail(process, "%s takes CAP_SYS_RAWIO, and so a vfiod that root has started; this one "
		     "runs as user %u", process->device, process->user.uid);
}

/* The module is the administrator's choice and trusted; strangers' bytes only come later. */
static void open_device(struct session *session)
{
	struct device_process *process = session->process;
	struct vfio_error err;
	int ret;

	check_privilege(process);
	ret = privileges_forbid_new();
	if (ret < 0)
		fail(process, "cannot forbid itself new privileges: %s", strerror(-ret));
	if (!process->user.change && privileges_drop_capabilities() < 0)
		fail(process, "cannot give up capabilities: %s", strerror(errno));
	if (vfio_open(&session->dev, process->device, &err) < 0) {
		process->hopeless = is_permanent(err.code);
		fail_with(process, "cannot open the device", &err);
	}
	/* Only a new connection puts it back for the next client, and the sandbox makes none. */
	process->hopeless = strcmp(vfio_backend_name(session->dev), "socket") == 0;
	if (process->hopeless)
		fail(process, "%s is served already: let clients connect to it directly",
		     process->device);
	check_isolation(session);
}

/* What the administrator asks of this device and it refuses, it will refuse again. */
static void apply_policy(struct session *session)
{
	struct device_process *process = session->process;
	char *what;
	size_t key;

	if (policy_apply(process->policy, session->dev, &key) == 0)
		return;
	process->hopeless = vfio_last_error(session->dev)->code != VFIO_E_NO_MEMORY;
	if (asprintf(&what, "policy %s cannot be '%s'", policy_name(key),
		     policy_said(process->policy, key)) < 0)
		what = NULL;
	fail_with(process, what ? what : "a policy cannot be what it is to be",
		  vfio_last_error(session->dev));
}

static void log_failure(void *arg, const struct vfio_finding *f)
{
	const struct device_process *process = arg;

	if (f->verdict == VFIO_FAIL)
		log_warning(process->name, "audit: %s: VFIO-%03d: %s: %s", f->topic, (int)f->code,
			    f->what, f->remedy);
}

/* A device is audited as clients see it: what is hidden from them does no harm. */
static void audit_device(struct session *session)
{
	struct device_process *process = session->process;
	const char *how = process->audit;
	struct vfio_isolation is;
	int verdict;

	if (!how)
		how = vfio_isolation(session->dev, &is) == 0 && is.dma == VFIO_ISOLATED_BY_SOFTWARE ?
		      "off" : "warn";
	if (strcmp(how, "off") == 0)
		return;
	verdict = vfio_audit(session->dev, log_failure, process);
	process->hopeless = strcmp(how, "refuse") == 0;
	if (process->hopeless && verdict < 0)
		fail_with(process, "it cannot be audited", vfio_last_error(session->dev));
	if (process->hopeless && verdict == VFIO_FAIL)
		fail(process, "it fails its audit, and such a device is not to be served: audit = "
		     "refuse");
	if (verdict < 0)
		log_warning(process->name, "it cannot be audited: %s",
			    vfio_last_error(session->dev)->what);
}

static void become_unprivileged(struct device_process *process)
{
	const char *step = privileges_drop(&process->user);

	if (step)
		fail(process, "cannot give up privileges: %s: %s", step, strerror(errno));
	die_with_supervisor(process);
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
	ret = sandbox_enter(vfio_backend_name(session->dev));
	if (ret < 0)
		fail(session->process, "cannot enter the system-call filter: %s", strerror(-ret));
}

static void make_server(struct session *session)
{
	struct vfio_error err = { 0 };
	int ret = session_open(session, &err);

	if (ret < 0 && err.code)
		fail_with(session->process, "cannot serve the device", &err);
	if (ret < 0)
		fail(session->process, "cannot serve the device: %s", strerror(-ret));
}

_Noreturn void device_process_run(struct device_process *process)
{
	struct session session;
	int ret;

	die_with_supervisor(process);
	ret = keep_only_own(process);
	if (ret < 0)
		fail(process, "cannot arrange its descriptors: %s", strerror(-ret));
	title_set(process->name);
	privileges_die_first();
	ret = session_init(&session, process);
	session.signals = take_signals();
	if (session.signals < 0 || ret < 0)
		fail(process, "cannot start: %s", strerror(errno));
	open_device(&session);
	become_unprivileged(process);
	apply_policy(&session);
	audit_device(&session);
	make_server(&session);
	enter_sandbox(&session);
	ret = session_run(&session);
	if (ret < 0)
		fail(process, "serving came to an end: %s", strerror(-ret));
	session_finish(&session);
	exit(EXIT_SUCCESS);
}
