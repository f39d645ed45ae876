/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admit.h"
#include "lines.h"
#include "log.h"
#include "message.h"

#define MAX_CLIENTS 32
#define MAX_REQUEST 4096
#define MAX_REPLY (1 << 20)
#define IDLE_MS 10000
#define PAUSE_MS 1000

/*
 * Each client is in one of three conditions: waited for (EPOLLIN), being answered (reply is set,
 * EPOLLOUT), or waiting for a device process (question.pending). It leaves each within a bounded
 * time.
 */
struct control_client {
	TAILQ_ENTRY(control_client) entry;
	struct control *control;
	struct watch watch;
	struct timer idle;
	struct credentials who;
	struct lines requests;
	char *reply;
	size_t reply_len, reply_sent;
	struct question question;
	struct device *asked;
	bool wants_map;
	bool last;		/* no more requests: close after the replies */
};

static void client_free(struct control_client *client)
{
	struct control *control = client->control;
	int fd = client->watch.fd;

	if (client->asked)
		device_forget(client->asked, &client->question);
	loop_clear_timer(control->loop, &client->idle);
	loop_unwatch(control->loop, &client->watch);
	if (fd >= 0)
		close(fd);
	TAILQ_REMOVE(&control->clients, client, entry);
	control->nclients--;
	credentials_finish(&client->who);
	lines_finish(&client->requests);
	free(client->reply);
	free(client);
}

static void on_idle(struct timer *timer)
{
	client_free(container_of(timer, struct control_client, idle));
}

/* It has done something useful: its time begins anew. */
static void touch(struct control_client *client)
{
	struct control *control = client->control;

	loop_set_timer(control->loop, &client->idle, IDLE_MS);
	TAILQ_REMOVE(&control->clients, client, entry);
	TAILQ_INSERT_TAIL(&control->clients, client, entry);
}

/* ---- what is said of a device ------------------------------------------------------------- */

static const char *const state_names[] = {
	[DEVICE_STARTING] = "starting",
	[DEVICE_READY] = "ready",
	[DEVICE_FAILED] = "failed",
	[DEVICE_DONE] = "failed",
};

static struct json_object *string_or_null(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static struct json_object *client_object(const struct device *device)
{
	struct json_object *client;

	if (!device->has_client)
		return NULL;
	client = message_new("pid", json_object_new_int64(device->client));
	json_object_object_add(client, "uid", json_object_new_int64(device->client_uid));
	json_object_object_add(client, "gid", json_object_new_int64(device->client_gid));
	return client;
}

/* When and by whom a device was used that nothing isolates; null: it was not. */
static struct json_object *tainted_object(const struct device *device)
{
	struct json_object *json;
	char text[32];
	struct tm utc;

	if (!device->tainted || !gmtime_r(&device->tainted, &utc))
		return NULL;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	json = message_new("time", json_object_new_string(text));
	json_object_object_add(json, "uid", json_object_new_int64(device->tainted_by));
	return json;
}

static struct json_object *device_object(const struct device *device)
{
	const struct device_config *config = device->config;
	struct json_object *json = message_new("name", json_object_new_string(config->name));
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", config->access.mode & 0777);
	json_object_object_add(json, "device", json_object_new_string(config->device));
	json_object_object_add(json, "socket", string_or_null(
		config->socket ? config->socket : device->listener.path));
	json_object_object_add(json, "owner", json_object_new_string(config->owner));
	json_object_object_add(json, "group", json_object_new_string(config->group));
	json_object_object_add(json, "mode", json_object_new_string(mode));
	json_object_object_add(json, "unsafe", json_object_new_boolean(config->access.unsafe));
	json_object_object_add(json, "tainted", tainted_object(device));
	json_object_object_add(json, "state", json_object_new_string(state_names[device->state]));
	json_object_object_add(json, "pid",
			       device->pid ? json_object_new_int64(device->pid) : NULL);
	json_object_object_add(json, "restarts", json_object_new_int64(device->restarts));
	json_object_object_add(json, "client", client_object(device));
	return json;
}

/* ---- requests ----------------------------------------------------------------------------- */

/* The first of its devices, with its name for those who may know it. */
static struct json_object *first_tainted(const struct control_client *client)
{
	const struct control *control = client->control;
	const struct device *first = NULL;
	struct json_object *json;

	for (unsigned int i = 0; i < control->ndevices; i++) {
		const struct device *device = &control->devices[i];

		if (device->tainted && (!first || device->tainted < first->tainted))
			first = device;
	}
	json = first ? tainted_object(first) : NULL;
	if (json)
		json_object_object_add(json, "device",
				       access_allows(&first->config->access, &client->who) ?
				       json_object_new_string(first->config->name) : NULL);
	return json;
}

static struct json_object *list(const struct control_client *client)
{
	const struct control *control = client->control;
	struct json_object *vfiod = message_new("pid", json_object_new_int64(getpid()));
	struct json_object *devices = json_object_new_array(), *parameters;

	json_object_object_add(vfiod, "version", json_object_new_string(LIBVFIO_VERSION));
	json_object_object_add(vfiod, "tainted", first_tainted(client));
	for (unsigned int i = 0; i < control->ndevices; i++)
		if (access_allows(&control->devices[i].config->access, &client->who))
			json_object_array_add(devices, device_object(&control->devices[i]));
	parameters = message_new("vfiod", vfiod);
	json_object_object_add(parameters, "devices", devices);
	return message_new("parameters", parameters);
}

static struct device *find_device(const struct control_client *client, const char *name)
{
	const struct control *control = client->control;

	for (unsigned int i = 0; i < control->ndevices; i++)
		if (strcmp(control->devices[i].config->name, name) == 0 &&
		    access_allows(&control->devices[i].config->access, &client->who))
			return &control->devices[i];
	return NULL;
}

static struct json_object *not_ready(const struct device *device)
{
	const char *why = device->state == DEVICE_READY ? "did not answer in time" :
			  device->state == DEVICE_STARTING ? "is starting" : "has failed";

	return message_error("NotReady", "device '%s' %s", device->config->name, why);
}

/* The map is large, and few want it. */
static bool wants_map(struct json_object *parameters)
{
	struct json_object *map;

	return json_object_object_get_ex(parameters, "map", &map) &&
	       json_object_is_type(map, json_type_boolean) && json_object_get_boolean(map);
}

/* NULL: the reply comes later. */
static struct json_object *begin_describe(struct control_client *client,
					  struct json_object *request)
{
	struct json_object *parameters;
	const char *name = NULL;
	struct device *device;

	if (json_object_object_get_ex(request, "parameters", &parameters) &&
	    json_object_is_type(parameters, json_type_object))
		name = message_string(parameters, "device");
	if (!name)
		return message_error("BadRequest", "describe wants parameters with a 'device', "
				     "a string");
	device = find_device(client, name);
	if (!device)
		return message_error("NoSuchDevice", "no device is called '%s'", name);
	if (!device_ask(device, &client->question))
		return not_ready(device);
	client->asked = device;
	client->wants_map = wants_map(parameters);
	return NULL;
}

static struct json_object *handle_request(struct control_client *client, const char *line,
					  size_t len)
{
	struct json_object *request = message_parse(line, len), *reply;
	const char *method = message_string(request, "method");

	if (!method)
		reply = message_error("BadRequest", "a request is one line, a JSON object with a "
				      "'method', a string");
	else if (strcmp(method, "list") == 0)
		reply = list(client);
	else if (strcmp(method, "describe") == 0)
		reply = begin_describe(client, request);
	else
		reply = message_error("UnknownMethod", "there are list and describe, but no '%s'",
				      method);
	json_object_put(request);
	return reply;
}

/* ---- sending and receiving ---------------------------------------------------------------- */

/* Wait for what comes next. A whole request that is here already waits only for its turn. */
static void client_wait(struct control_client *client)
{
	uint32_t events = EPOLLIN;

	if (client->reply)
		events = EPOLLOUT;
	else if (client->question.pending)
		events = 0;
	else if (lines_pending(&client->requests))
		events = EPOLLOUT;
	loop_change(client->control->loop, &client->watch, events);
}

static void set_reply(struct control_client *client, struct json_object *reply)
{
	client->reply = message_line(reply, &client->reply_len);
	client->reply_sent = 0;
	if (client->reply && client->reply_len <= MAX_REPLY)
		return;
	free(client->reply);
	client->reply = message_line(message_error("NotReady", "the answer is too large"),
				     &client->reply_len);
}

/* False when the client is to be freed. */
static bool send_reply(struct control_client *client)
{
	ssize_t n = send(client->watch.fd, client->reply + client->reply_sent,
			 client->reply_len - client->reply_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	client->reply_sent += (size_t)n;
	if (client->reply_sent < client->reply_len)
		return true;
	free(client->reply);
	client->reply = NULL;
	touch(client);
	return true;
}

static void copy_member(struct json_object *to, struct json_object *from, const char *key)
{
	json_object_object_add(to, key, json_object_get(json_object_object_get(from, key)));
}

static void on_answered(struct question *question, struct json_object *answer)
{
	struct control_client *client = container_of(question, struct control_client, question);
	struct json_object *parameters;

	if (answer) {
		parameters = message_new("device", device_object(client->asked));
		copy_member(parameters, answer, "description");
		if (client->wants_map)
			copy_member(parameters, answer, "map");
		set_reply(client, message_new("parameters", parameters));
	} else {
		set_reply(client, not_ready(client->asked));
	}
	client->asked = NULL;
	client_wait(client);
}

static bool receive(struct control_client *client)
{
	int n = lines_receive(&client->requests, client->watch.fd);

	if (n == -EMSGSIZE)
		set_reply(client, message_error("BadRequest", "a request is at most %d bytes long",
						MAX_REQUEST));
	client->last = n == 0 || n == -EMSGSIZE;
	return n >= 0 || n == -EMSGSIZE || n == -EAGAIN;
}

/* One request, and then it is the turn of others. */
static void serve(struct control_client *client)
{
	const char *line;
	size_t len;
	struct json_object *reply;

	line = lines_next(&client->requests, &len);
	if (!line)
		return;
	reply = handle_request(client, line, len);
	if (reply)
		set_reply(client, reply);
}

static bool is_busy(const struct control_client *client)
{
	return client->reply || client->question.pending;
}

/* Do one thing for a client; false when there is nothing more to do for it, ever. */
static bool client_step(struct control_client *client, uint32_t events)
{
	bool good = true;

	if (events & (EPOLLERR | EPOLLHUP))
		return false;
	if (client->reply)
		good = send_reply(client);
	else if (events & EPOLLIN)
		good = receive(client);
	if (good && !is_busy(client))
		serve(client);
	return good && (is_busy(client) || lines_pending(&client->requests) || !client->last);
}

static void on_client(struct watch *watch, uint32_t events)
{
	struct control_client *client = container_of(watch, struct control_client, watch);

	if (client_step(client, events))
		client_wait(client);
	else
		client_free(client);
}

/* ---- connections -------------------------------------------------------------------------- */

static unsigned int count_of(const struct control *control, uid_t uid)
{
	const struct control_client *client;
	unsigned int count = 0;

	TAILQ_FOREACH(client, &control->clients, entry)
		count += client->who.uid == uid;
	return count;
}

/*
 * When the house is full, the user with the most connections loses the one that was idle longest.
 * So nobody can keep others out.
 */
static void make_room(struct control *control)
{
	struct control_client *client, *victim = NULL;
	unsigned int count, most = 0;

	if (control->nclients < MAX_CLIENTS)
		return;
	TAILQ_FOREACH(client, &control->clients, entry) {
		count = count_of(control, client->who.uid);
		if (count > most) {
			most = count;
			victim = client;
		}
	}
	client_free(victim);
}

/* Takes fd. Without memory the connection is closed, which its maker notices. */
static void add_client(struct control *control, int fd)
{
	struct control_client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return;
	}
	client->control = control;
	client->watch = (struct watch){ .fd = -1, .ready = on_client };
	client->idle.fire = on_idle;
	client->question.answered = on_answered;
	TAILQ_INSERT_TAIL(&control->clients, client, entry);
	control->nclients++;
	loop_set_timer(control->loop, &client->idle, IDLE_MS);
	if (credentials_get(&client->who, fd) < 0 ||
	    lines_init(&client->requests, MAX_REQUEST) < 0 ||
	    loop_watch(control->loop, &client->watch, fd, EPOLLIN) < 0) {
		client_free(client);
		close(fd);
	}
}

static void on_resume(struct timer *timer)
{
	struct control *control = container_of(timer, struct control, pause);

	loop_change(control->loop, &control->watch, EPOLLIN);
}

static void on_connection(struct watch *watch, uint32_t events)
{
	struct control *control = container_of(watch, struct control, watch);
	int fd;

	make_room(control);
	fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0) {
		add_client(control, fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
		/* The connection stays in the queue, and would be announced without end. */
		log_warning(NULL, "control socket: a connection has to wait: %m");
		loop_change(control->loop, watch, 0);
		loop_set_timer(control->loop, &control->pause, PAUSE_MS);
	}
}

/* ---- the socket --------------------------------------------------------------------------- */

/* The run-time directory, for the caller to free. */
static char *runtime_directory(void)
{
	const char *own = getenv("VFIOD_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	char *directory;
	int ret;

	if (own && *own)
		return strdup(own);
	if (geteuid() == 0)
		return strdup("/run/vfiod");
	if (xdg && *xdg)
		ret = asprintf(&directory, "%s/vfiod", xdg);
	else
		ret = asprintf(&directory, "/tmp/vfiod-%u", geteuid());
	return ret < 0 ? NULL : directory;
}

/* In /tmp the directory may be somebody else's trap. */
static int make_directory(const char *directory)
{
	struct stat st;

	/*
	 * Others have to get through it, whatever the umask says; only this user may write in it.
	 */
	if (mkdir(directory, 0700) == 0)
		return chmod(directory, 0755) < 0 ? -errno : 0;
	if (errno != EEXIST)
		return -errno;
	if (lstat(directory, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (st.st_uid != geteuid() || (st.st_mode & 0022))
		return -EPERM;
	return 0;
}

/* PID.control in the run-time directory, which is made if need be. NULL: failed, and logged. */
static char *default_path(void)
{
	char *directory = runtime_directory(), *path = NULL;
	int ret = directory ? make_directory(directory) : -ENOMEM;

	if (ret == 0 && asprintf(&path, "%s/%d.control", directory, getpid()) < 0)
		ret = -ENOMEM;
	if (ret == -EPERM)
		log_error(NULL, "control socket: %s must belong to uid %u, and only to it: choose "
			  "another place with --control", directory, geteuid());
	else if (ret < 0)
		log_error(NULL, "control socket: cannot make the directory %s: %s: choose another "
			  "place with --control", directory ? directory : "", strerror(-ret));
	free(directory);
	return ret < 0 ? NULL : path;
}

void control_init(struct control *control, struct loop *loop)
{
	*control = (struct control){
		.loop = loop,
		.listener = LISTENER_NONE,
		.watch = { .fd = -1, .ready = on_connection },
		.pause = { .fire = on_resume },
	};
	TAILQ_INIT(&control->clients);
}

int control_open(struct control *control, const char *path)
{
	const struct access everybody = { geteuid(), getegid(), 0666, false, false };
	char *chosen = path ? strdup(path) : default_path();
	int ret;

	if (!chosen)
		return -ENOENT;
	ret = listener_open(&control->listener, "control socket", chosen, &everybody);
	if (ret == 0)
		ret = loop_watch(control->loop, &control->watch, control->listener.fd, EPOLLIN);
	free(chosen);
	return ret;
}

void control_close(struct control *control)
{
	struct control_client *client;

	while ((client = TAILQ_FIRST(&control->clients)))
		client_free(client);
	loop_clear_timer(control->loop, &control->pause);
	loop_unwatch(control->loop, &control->watch);
	listener_close(&control->listener);
}
