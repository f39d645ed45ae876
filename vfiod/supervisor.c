/* SPDX-License-Identifier: MIT */
#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "device.h"
#include "hint.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "reload.h"
#include "tick.h"

#define STOP_TIMEOUT_MS 3000

struct supervisor {
	struct loop loop;
	struct config *config;
	struct control control;
	struct watch signals;
	struct device *devices;
	unsigned int ndevices;
	bool settled;			/* every device has got ready or failed */
	bool stopping;
	struct timer stop_deadline;
	int status;
};

/* ---- the end ------------------------------------------------------------------------------ */

static void signal_devices(struct supervisor *supervisor, int signal)
{
	for (unsigned int i = 0; i < supervisor->ndevices; i++)
		device_stop(&supervisor->devices[i], signal);
}

static void stop(struct supervisor *supervisor, int status)
{
	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	supervisor->status = status;
	notify("STOPPING=1");
	signal_devices(supervisor, SIGTERM);
	loop_set_timer(&supervisor->loop, &supervisor->stop_deadline, STOP_TIMEOUT_MS);
}

static void on_stop_deadline(struct timer *timer)
{
	struct supervisor *supervisor = container_of(timer, struct supervisor, stop_deadline);

	log_warning(NULL, "killing the device processes that did not end within %d s",
		    STOP_TIMEOUT_MS / 1000);
	signal_devices(supervisor, SIGKILL);
}

static bool all_ended(const struct supervisor *supervisor)
{
	for (unsigned int i = 0; i < supervisor->ndevices; i++)
		if (supervisor->devices[i].pid)
			return false;
	return true;
}

/* ---- changes of devices ------------------------------------------------------------------- */

static unsigned int count_state(const struct supervisor *supervisor, enum device_state state)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < supervisor->ndevices; i++)
		count += supervisor->devices[i].state == state;
	return count;
}

static void check_settled(struct supervisor *supervisor)
{
	unsigned int failed = count_state(supervisor, DEVICE_FAILED);

	if (supervisor->settled || count_state(supervisor, DEVICE_STARTING))
		return;
	supervisor->settled = true;
	if (failed)
		log_warning(NULL, "%u of %u devices failed", failed, supervisor->ndevices);
	if (failed < supervisor->ndevices)
		notify("READY=1");
}

static void announce(struct device *device)
{
	if (device->announced)
		log_notice(device->config->name, "ready again");
	else
		hint(device->config->name, device->listener.path);
	device->announced = true;
}

static void on_changed(struct device *device, void *arg)
{
	struct supervisor *supervisor = arg;
	unsigned int failed, done;

	if (device->state == DEVICE_READY)
		announce(device);
	check_settled(supervisor);
	failed = count_state(supervisor, DEVICE_FAILED);
	done = count_state(supervisor, DEVICE_DONE);
	if (failed + done == supervisor->ndevices)
		stop(supervisor, failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- signals ------------------------------------------------------------------------------ */

static void reap(struct supervisor *supervisor)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned int i = 0; i < supervisor->ndevices; i++)
			if (supervisor->devices[i].pid == pid)
				device_reap(&supervisor->devices[i], status);
}

/* Without a file it is the terminal that has gone. */
static bool asks_to_reload(const struct supervisor *supervisor, uint32_t number)
{
	return number == SIGHUP && supervisor->config->path;
}

static void on_signal(struct watch *watch, uint32_t events)
{
	struct supervisor *supervisor = container_of(watch, struct supervisor, signals);
	struct signalfd_siginfo info;

	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		reap(supervisor);
	} else if (asks_to_reload(supervisor, info.ssi_signo)) {
		if (!supervisor->stopping)
			reload(supervisor->config, supervisor->devices, supervisor->ndevices);
	} else if (supervisor->stopping) {
		log_notice(NULL, "asked again to end: killing the device processes");
		signal_devices(supervisor, SIGKILL);
	} else {
		log_notice(NULL, "ending, as signal %u asks (%s)", info.ssi_signo,
			   strsignal((int)info.ssi_signo));
		stop(supervisor, EXIT_SUCCESS);
	}
}

/* nohup(1) has seen to it that the end of the terminal does not matter. */
static bool hangup_is_ignored(void)
{
	struct sigaction action;

	return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static int take_signals(struct supervisor *supervisor)
{
	sigset_t set;
	int fd, ret;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	if (supervisor->config->path || !hangup_is_ignored())
		sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);	/* ignored, it would never come */
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	ret = loop_watch(&supervisor->loop, &supervisor->signals, fd, EPOLLIN);
	if (ret < 0)
		close(fd);
	return ret;
}

/* ---- the beginning ------------------------------------------------------------------------ */

/* A client's memory and interrupts are descriptors, and there can be thousands. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int prepare(struct supervisor *supervisor)
{
	const struct config *config = supervisor->config;
	int ret = loop_init(&supervisor->loop);

	raise_descriptor_limit();
	if (ret == 0)
		ret = take_signals(supervisor);
	if (ret == 0)
		ret = tick_start();
	if (ret < 0)
		log_error(NULL, "cannot start: %s", strerror(-ret));
	else
		ret = control_open(&supervisor->control, config->control_first ?
				   config->control_first : config->control);
	return ret;
}

/* All sockets are tried, so that all that is wrong is said at once. */
static int open_devices(struct supervisor *supervisor, const struct user *user)
{
	const struct config *config = supervisor->config;
	struct device_config *entry;
	int ret = 0, failed;

	supervisor->devices = calloc(config->ndevices, sizeof(*supervisor->devices));
	if (!supervisor->devices)
		return -ENOMEM;
	STAILQ_FOREACH(entry, &config->devices, entry) {
		struct device *device = &supervisor->devices[supervisor->ndevices++];

		device_init(device, entry);
		device->user = user;
		device->client_timeout_ms = config->timeout_ms;
		device->loop = &supervisor->loop;
		device->changed = on_changed;
		device->arg = supervisor;
		failed = device_open(device);
		if (failed < 0)
			ret = failed;
	}
	return ret;
}

static void run(struct supervisor *supervisor)
{
	int ret = 0;

	supervisor->control.devices = supervisor->devices;
	supervisor->control.ndevices = supervisor->ndevices;
	for (unsigned int i = 0; i < supervisor->ndevices; i++)
		device_start(&supervisor->devices[i]);
	while (ret == 0 && !(supervisor->stopping && all_ended(supervisor)))
		ret = loop_turn(&supervisor->loop);
	if (ret == 0)
		return;
	log_error(NULL, "cannot go on: %s", strerror(-ret));
	supervisor->status = EXIT_FAILURE;
}

static void finish(struct supervisor *supervisor)
{
	for (unsigned int i = 0; i < supervisor->ndevices; i++)
		device_finish(&supervisor->devices[i]);
	control_close(&supervisor->control);
	if (supervisor->signals.fd >= 0)
		close(supervisor->signals.fd);
	loop_finish(&supervisor->loop);
	free(supervisor->devices);
}

int supervise(struct config *config, const struct user *user)
{
	struct supervisor supervisor = {
		.config = config,
		.loop = { .epoll = -1 },
		.signals = { .fd = -1, .ready = on_signal },
		.stop_deadline = { .fire = on_stop_deadline },
		.status = EXIT_FAILURE,
	};

	control_init(&supervisor.control, &supervisor.loop);
	if (prepare(&supervisor) == 0 && open_devices(&supervisor, user) == 0)
		run(&supervisor);
	finish(&supervisor);
	return supervisor.status;
}
