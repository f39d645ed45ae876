/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "describe.h"
#include "log.h"
#include "loop.h"
#include "mend.h"
#include "message.h"

/* A request is some forty bytes, or a policy's key and value. */
#define MAX_REQUEST 1024
#define SEND_TIMEOUT_MS 1000
#define LEAVE_MS 1000		/* to leave, for a client; the supervisor waits longer */

/* The library's log lines are caused by clients: this many at once, and one more each so often. */
#define LOG_BURST 1000
#define LOG_INTERVAL_MS 10

/* ---- callbacks of the server -------------------------------------------------------------- */

/* May another line be logged now? */
static bool is_allowed(struct bucket *b)
{
	int64_t now = now_ms();

	b->budget += now - b->time;
	b->time = now;
	if (b->budget > LOG_BURST * LOG_INTERVAL_MS)
		b->budget = LOG_BURST * LOG_INTERVAL_MS;
	if (b->budget < LOG_INTERVAL_MS) {
		b->unlogged++;
		return false;
	}
	b->budget -= LOG_INTERVAL_MS;
	return true;
}

static void log_some(struct session *session, struct bucket *b, int level, const char *line)
{
	if (!is_allowed(b))
		return;
	if (b->unlogged)
		log_warning(session->process->name, "%llu more %s were too many to log",
			    (unsigned long long)b->unlogged, b->what);
	b->unlogged = 0;
	log_line(level, session->process->name, "%s", line);
}

static void on_log(void *arg, enum vfio_log_level level, const char *line)
{
	struct session *session = arg;

	log_some(session, &session->lines, (int)level, line);
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

	session->stopping = true;
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

/* ---- policies that change ------------------------------------------------------------------ */

static void set_policy(struct session *session, size_t key, const char *value)
{
	const char *name = session->process->name, *keyword = policy_name(key);
	char text[LOG_RECORD_SIZE];

	if (vfio_policy_set(session->dev, keyword, value) == 0) {
		log_notice(name, "policy %s = %s holds from now on", keyword, value);
		return;
	}
	log_record_text(text, sizeof(text), vfio_last_error(session->dev));
	log_error(name, "policy %s = %s is refused, and what held before still holds: %s", keyword,
		  value, text);
}

/* These hold from the client's next request on. */
static bool is_run_time(const char *key)
{
	static const char *const keys[] = { "vectors", "max-maps", "max-dma", "process-memory" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void wait_with_policy(struct session *session, size_t key, const char *value)
{
	if (policy_set(&session->waiting, key, value) < 0)
		log_error(session->process->name, "policy %s = %s: out of memory", policy_name(key),
			  value);
	else
		log_notice(session->process->name, "policy %s = %s will hold when the client has "
			   "gone", policy_name(key), value);
}

static void set_waiting_policies(struct session *session)
{
	struct policy waiting = session->waiting;

	session->waiting = (struct policy){ 0 };
	for (size_t key = 0; key < policy_count(); key++)
		if (policy_said(&waiting, key))
			set_policy(session, key, policy_said(&waiting, key));
	policy_finish(&waiting);
}

/* Under a client the device must not change its shape. */
static bool change_policy(struct session *session, struct json_object *request)
{
	const char *name = message_string(request, "key");
	const char *value = message_string(request, "value");
	size_t key = name ? policy_find(name, strlen(name)) : policy_count();

	if (key == policy_count() || !value)
		return false;
	if (vfio_server_client(session->server, NULL) && !is_run_time(name))
		wait_with_policy(session, key, value);
	else
		set_policy(session, key, value);
	return true;
}

/* ---- a device that is wanted back ----------------------------------------------------------- */

/* With an IOMMU or without. */
static bool is_kernel(const struct session *session)
{
	const char *name = vfio_backend_name(session->dev);

	return strncmp(name, "kernel_", 7) == 0 || strcmp(name, "noiommu") == 0;
}

/* By the kernel, and the client, if there is one, has not asked to be told. */
static void on_wanted(void *arg, int fd)
{
	struct session *session = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
	log_notice(session->process->name, "the kernel wants the device back: it is to be removed, "
		   "or gets another driver");
	stop(session);
}

/*
 * The kernel waits until a device of its own is closed. A client that wants to be told takes the
 * place of this; when it has gone, so has what it had set.
 */
static void listen_for_kernel(struct session *session)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} q = {
		.set = {
			.argsz = sizeof(q), .index = VFIO_PCI_REQ_IRQ_INDEX, .count = 1,
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		},
		.fd = session->wanted,
	};

	if (session->wanted >= 0 && vfio_irq_set(session->dev, &q.set) != 0)
		log_warning(session->process->name, "the kernel cannot tell when it wants the "
			    "device back: %s", vfio_last_error(session->dev)->what);
}

static int watch_kernel(struct session *session)
{
	session->wanted = -1;
	if (!is_kernel(session))
		return 0;
	session->wanted = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->wanted < 0)
		return -errno;
	listen_for_kernel(session);
	return vfio_server_watch(session->server, session->wanted, on_wanted, session);
}

/* ---- the client ---------------------------------------------------------------------------- */

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
	if (!peer) {
		set_waiting_policies(session);
		listen_for_kernel(session);
	}
	/* Nobody can follow on a socket that does not listen. */
	if (!peer && (session->process->connected || session->leave_by))
		session->stopping = true;
}

/* ---- requests of the supervisor ----------------------------------------------------------- */

static bool describe_device(struct session *session, struct json_object *request)
{
	struct json_object *reply;
	int64_t id;

	if (!message_integer(request, "id", 0, INT64_MAX, &id))
		return false;
	reply = message_new("id", json_object_new_int64(id));
	json_object_object_add(reply, "description", describe(session->dev));
	json_object_object_add(reply, "map", describe_map(session->dev));
	tell(session, reply);
	return true;
}

static bool answer(struct session *session, struct json_object *request)
{
	const char *method = message_string(request, "method");

	if (!method)
		return false;
	if (strcmp(method, "describe") == 0)
		return describe_device(session, request);
	if (strcmp(method, "policy") == 0)
		return change_policy(session, request);
	if (strcmp(method, "ping") != 0)
		return false;
	tell(session, message_new("event", json_object_new_string("alive")));
	return true;
}

static bool on_line(struct session *session, const char *line, size_t len)
{
	struct json_object *request = message_parse(line, len);
	bool good = answer(session, request);

	json_object_put(request);
	return good;
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
		if (!on_line(session, line, len))
			stop(session);
}

/* ---- the end ------------------------------------------------------------------------------- */

/* Tell the client that the device is wanted back. False: it does not listen for that. */
static bool ask_to_leave(struct session *session)
{
	struct vfio_error record;
	uint64_t count;

	if (vfio_irq_trigger(session->dev, VFIO_PCI_REQ_IRQ_INDEX, 0) == 0)
		return session->wanted < 0 ||
		       read(session->wanted, &count, sizeof(count)) < 0;	/* it came here */
	/* That nobody listens is no news. */
	while (vfio_record(session->dev, &session->cursor, &record) == 1)
		;
	return false;
}

/* A client that listens is given some time to leave in order. The second time nobody waits. */
static void end(struct session *session)
{
	if (session->leave_by || !vfio_server_client(session->server, NULL) ||
	    !ask_to_leave(session)) {
		stop(session);
		return;
	}
	log_notice(session->process->name, "the client is asked to leave, and has %d ms for that",
		   LEAVE_MS);
	session->leave_by = now_ms() + LEAVE_MS;
}

/* What is left of that time; -1: it has not begun. */
static int time_to_leave(const struct session *session)
{
	int64_t left = session->leave_by - now_ms();

	if (!session->leave_by)
		return -1;
	return left > 0 ? (int)left : 0;
}

static void on_signal(void *arg, int fd)
{
	struct session *session = arg;
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) > 0)
		end(session);
}

/* ---- the side channel ---------------------------------------------------------------------- */

/*
 * What PCI has no way to tell the driver is said here, once. A client can make more records in one
 * message than the device keeps: that is told, too.
 */
static void log_records(struct session *session)
{
	struct vfio_error record;
	char text[LOG_RECORD_SIZE];
	uint64_t before = session->cursor;

	while (vfio_record(session->dev, &session->cursor, &record) == 1) {
		session->records.unlogged += session->cursor - before - 1;
		before = session->cursor;
		log_record_text(text, sizeof(text), &record);
		log_some(session, &session->records, VFIO_LOG_INFO, text);
	}
}

/* Of several between two looks, the last, and how many there are. */
static void log_fault(struct session *session)
{
	static const char *const verbs[] = { "use", "read", "write", "read and write" };
	struct vfio_fault fault;
	char text[LOG_RECORD_SIZE];

	if (vfio_fault(session->dev, &fault) != 1) {
		session->faults = 0;
		return;
	}
	if (fault.count == session->faults)
		return;
	session->faults = fault.count;
	snprintf(text, sizeof(text), "fault %llu: the device may not %s %llu bytes at I/O address "
		 "%#llx: %s", (unsigned long long)fault.count,
		 verbs[fault.prot & VFIO_DMA_RW], (unsigned long long)fault.size,
		 (unsigned long long)fault.iova, strerror(fault.err));
	log_some(session, &session->refusals, VFIO_LOG_INFO, text);
}

/* ---- serving ------------------------------------------------------------------------------- */

int session_init(struct session *session, struct device_process *process)
{
	const int64_t full = LOG_BURST * LOG_INTERVAL_MS;

	*session = (struct session){
		.process = process,
		.lines = { .what = "lines", .budget = full, .time = now_ms() },
		.records = { .what = "records", .budget = full, .time = now_ms() },
		.refusals = { .what = "faults", .budget = full, .time = now_ms() },
	};
	return lines_init(&session->requests, MAX_REQUEST);
}

int session_open(struct session *session, struct vfio_error *err)
{
	struct device_process *process = session->process;
	const struct vfio_server_options options = {
		.size = sizeof(options),
		.arg = session,
		.log = on_log,
		.admit = on_admit,
		.client = on_client,
		.timeout_ms = process->client_timeout_ms,
		.mends = true,
	};
	int ret = vfio_server_new(&session->server, session->dev, &options, err);

	if (ret == 0)
		ret = mend_start(session->server);
	if (ret == 0)
		ret = vfio_server_watch(session->server, process->channel, on_request, session);
	if (ret == 0)
		ret = vfio_server_watch(session->server, session->signals, on_signal, session);
	if (ret == 0)
		ret = watch_kernel(session);
	if (ret == 0 && !process->connected)
		ret = vfio_server_add_listener(session->server, process->socket);
	return ret;
}

int session_run(struct session *session)
{
	int ret = 0;

	tell(session, message_new("event", json_object_new_string("ready")));
	if (session->process->connected)
		ret = vfio_server_add_client(session->server, session->process->socket);
	while (ret == 0 && !session->stopping) {
		ret = vfio_server_dispatch(session->server, time_to_leave(session));
		log_records(session);
		log_fault(session);
		if (time_to_leave(session) == 0)
			stop(session);
	}
	/* While the kernel takes a device away, it does not reset it: the client has left. */
	if (ret != -EAGAIN || !is_kernel(session))
		return ret;
	log_notice(session->process->name, "the kernel wants the device back");
	return 0;
}

void session_finish(struct session *session)
{
	vfio_server_free(session->server);
	lines_finish(&session->requests);
	policy_finish(&session->waiting);
}
