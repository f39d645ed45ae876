/* SPDX-License-Identifier: MIT */
/*
 * One conversation with a vfiod over its control socket: a request a line, a reply a line.
 *
 * Whoever holds the socket may be anybody: it may say nothing, half of something, or far too
 * much. Time, length and depth are bounded.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lsvfio.h"

#define PATIENCE_MS 2000
#define LINE_MAX_BYTES (1u << 20)
#define JSON_DEPTH 16
#define RETRY_MS 20

struct control {
	int fd;
	int64_t deadline;	/* milliseconds of the monotonic clock */
	size_t used;
	char buffer[LINE_MAX_BYTES];
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void control_allow_time(struct control *c)
{
	c->deadline = now_ms() + PATIENCE_MS;
}

/* 0 when fd is ready for events, -ETIMEDOUT at the deadline. */
static int await(struct control *c, short events)
{
	struct pollfd p = { .fd = c->fd, .events = events };

	for (;;) {
		int64_t left = c->deadline - now_ms();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* A full backlog makes connect() fail with EAGAIN, and nothing tells when there is room. */
static int connect_in_time(struct control *c, const struct sockaddr_un *address)
{
	while (connect(c->fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (now_ms() >= c->deadline)
			return -ETIMEDOUT;
		poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

static int connect_to(struct control *c, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	return connect_in_time(c, &address);
}

static char *explain(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return memory_printf("it did not answer within %d seconds", PATIENCE_MS / 1000);
	case ECONNREFUSED:
		return memory_copy("no vfiod listens there any more");
	case EACCES:
		return memory_copy("permission denied; run lsvfio as root, or as the user that "
				   "vfiod runs as");
	case ECONNRESET:
	case EPIPE:
		return memory_copy("it closed the connection before the end of its reply");
	case EMSGSIZE:
		return memory_printf("its reply is longer than %u bytes", LINE_MAX_BYTES);
	default:
		return memory_copy(strerror(error));
	}
}

struct control *control_open(const char *path, int *error, char **why)
{
	struct control *c = memory_check(malloc(sizeof(*c)));
	int r;

	c->fd = -1;
	c->used = 0;
	control_allow_time(c);
	r = connect_to(c, path);
	if (r == 0)
		return c;
	control_close(c);
	*error = -r;
	*why = explain(-r);
	return NULL;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static int send_all(struct control *c, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
		int r = n < 0 ? -errno : 0;

		if (r == -EAGAIN)
			r = await(c, POLLOUT);
		if (r < 0 && r != -EINTR)
			return r;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int receive_some(struct control *c)
{
	ssize_t n;
	int r = await(c, POLLIN);

	if (r < 0)
		return r;
	n = recv(c->fd, c->buffer + c->used, sizeof(c->buffer) - c->used, 0);
	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	c->used += (size_t)n;
	return 0;
}

/* Length of the line at the start of the buffer, its newline included, or a negative errno. */
static ssize_t receive_line(struct control *c)
{
	size_t seen = 0;

	for (;;) {
		const char *end = memchr(c->buffer + seen, '\n', c->used - seen);
		int r;

		if (end)
			return end + 1 - c->buffer;
		if (c->used == sizeof(c->buffer))
			return -EMSGSIZE;
		seen = c->used;
		r = receive_some(c);
		if (r < 0)
			return r;
	}
}

static struct json_object *parse(const char *text, size_t len, char **why)
{
	struct json_tokener *tokener = memory_check(json_tokener_new_ex(JSON_DEPTH));
	struct json_object *object;
	enum json_tokener_error error;

	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, (int)len);
	error = json_tokener_get_error(tokener);
	if (error != json_tokener_success)
		*why = memory_printf("its reply is not JSON: %s", json_tokener_error_desc(error));
	else if (json_tokener_get_parse_end(tokener) != len)
		*why = memory_copy("its reply is not JSON: something follows the object");
	else if (!json_object_is_type(object, json_type_object))
		*why = memory_copy("its reply is not a JSON object");
	json_tokener_free(tokener);
	if (*why) {
		json_object_put(object);
		return NULL;
	}
	return object;
}

static struct json_object *make_request(const char *method, const char *device, bool map)
{
	struct json_object *request = value_object(), *parameters;

	value_set(request, "method", value_string(method));
	if (device) {
		parameters = value_object();
		value_set(parameters, "device", value_string(device));
		if (map)
			value_set(parameters, "map", json_object_new_boolean(true));
		value_set(request, "parameters", parameters);
	}
	return request;
}

static int send_request(struct control *c, struct json_object *request)
{
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	char *line = memory_printf("%s\n", text);
	int r = send_all(c, line, strlen(line));

	free(line);
	json_object_put(request);
	return r;
}

static int receive_reply(struct control *c, struct json_object **reply, char **why)
{
	ssize_t len = receive_line(c);

	if (len < 0)
		return (int)len;
	*reply = parse(c->buffer, (size_t)len - 1, why);
	c->used -= (size_t)len;
	memmove(c->buffer, c->buffer + len, c->used);
	return *reply ? 0 : -EPROTO;
}

/* vfiod refused. Find out how it meant that. */
static int refusal(struct json_object *reply, char **why)
{
	struct reader r = { .where = "the error" };
	struct json_object *parameters;
	char *error = NULL, *message = NULL;
	int result = -EPROTO;

	if (member_string(&r, reply, "error", &error) &&
	    member_object(&r, reply, "parameters", &parameters) &&
	    member_string(&r, parameters, "message", &message)) {
		*why = memory_printf("vfiod refused: %s (%s)", message, error);
		if (!strcmp(error, "NoSuchDevice"))
			result = -ENODEV;
		else
			result = strcmp(error, "NotReady") ? -EREMOTEIO : -EAGAIN;
	} else {
		*why = memory_copy(r.why);
	}
	free(error);
	free(message);
	return result;
}

static int take_parameters(struct json_object *reply, struct json_object **parameters, char **why)
{
	struct reader r = { .where = "the reply" };

	if (json_object_object_get_ex(reply, "error", NULL))
		return refusal(reply, why);
	if (!member_object(&r, reply, "parameters", parameters)) {
		*why = memory_copy(r.why);
		return -EPROTO;
	}
	json_object_get(*parameters);
	return 0;
}

static int ask(struct control *c, struct json_object *request, struct json_object **parameters,
	       char **why)
{
	struct json_object *reply = NULL;
	int r = send_request(c, request);

	*why = NULL;
	if (r == 0)
		r = receive_reply(c, &reply, why);
	if (r == 0)
		r = take_parameters(reply, parameters, why);
	json_object_put(reply);
	if (r < 0 && !*why)
		*why = explain(-r);
	return r;
}

int control_list(struct control *c, struct json_object **parameters, char **why)
{
	return ask(c, make_request("list", NULL, false), parameters, why);
}

int control_describe(struct control *c, const char *device, bool map,
		     struct json_object **parameters, char **why)
{
	return ask(c, make_request("describe", device, map), parameters, why);
}

uint32_t control_process(const struct control *c)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : (uint32_t)peer.pid;
}
