/* SPDX-License-Identifier: MIT */
/* What the supervisor and a device process say to each other. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "description.h"
#include "device_private.h"
#include "log.h"
#include "message.h"

#define ANSWER_TIMEOUT_MS 2000

/* ---- questions ---------------------------------------------------------------------------- */

void device_answer_all(struct device *device, struct json_object *answer)
{
	struct question *question;

	loop_clear_timer(device->loop, &device->answer_deadline);
	while ((question = TAILQ_FIRST(&device->questions))) {
		device_forget(device, question);
		question->answered(question, answer);
	}
}

void device_on_answer_deadline(struct timer *timer)
{
	struct device *device = container_of(timer, struct device, answer_deadline);

	log_warning(device->config->name, "device process %d did not describe the device in time",
		    device->pid);
	device_answer_all(device, NULL);
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

/* ---- policies ----------------------------------------------------------------------------- */

void device_change_policy(struct device *device, const char *key, const char *value)
{
	struct json_object *request;

	if (device->channel.fd < 0) {
		if (device->state == DEVICE_FAILED)
			log_warning(device->config->name, "it was given up, and takes a restart of "
				    "vfiod");
		return;
	}
	request = message_new("method", json_object_new_string("policy"));
	json_object_object_add(request, "key", json_object_new_string(key));
	json_object_object_add(request, "value", json_object_new_string(value));
	if (message_send(device->channel.fd, request, 0) < 0)
		log_error(device->config->name, "device process %d does not listen: policy %s = %s "
			  "will hold when it is started again", device->pid, key, value);
}

/* ---- what the process says ---------------------------------------------------------------- */

static bool on_ready(struct device *device)
{
	loop_clear_timer(device->loop, &device->start_deadline);
	device->asked_alive = false;
	loop_set_timer(device->loop, &device->pulse, PULSE_MS);
	device->unready = 0;
	device_set_state(device, DEVICE_READY);
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

/* A mark that stays, for whoever looks for the reason of what happens later. */
static void taint(struct device *device)
{
	if (!device->config->access.unsafe || device->tainted)
		return;
	device->tainted = time(NULL);
	device->tainted_by = device->client_uid;
	log_warning(device->config->name, "tainted: user %u, process %d, uses it, and nothing keeps "
		    "it from any memory of the machine", device->client_uid, device->client);
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
	taint(device);
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
	struct json_object *description, *map;
	int64_t id;

	if (!message_integer(answer, "id", 1, device->question_id, &id) ||
	    !json_object_object_get_ex(answer, "description", &description) ||
	    (description && !description_is_valid(description)) ||
	    !json_object_object_get_ex(answer, "map", &map) ||
	    (map && !description_map_is_valid(map)))
		return false;
	/* An older question's answer came too late. */
	if (id == device->question_id)
		device_answer_all(device, description ? answer : NULL);
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

int device_listen(struct device *device)
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

void device_on_channel(struct watch *watch, uint32_t events)
{
	struct device *device = container_of(watch, struct device, channel);

	int n = device_listen(device);

	if (n > 0 || n == -EAGAIN)
		return;
	device_close_channel(device);
	/*
	 * As a rule it has ended, and this changes nothing. One that only closed its channel must
	 * go.
	 */
	device_kill(device);
}
