/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct json_object *message_parse(const char *line, size_t len)
{
	struct json_tokener *tokener;
	struct json_object *message;

	/* Space after the object is not part of it, and json-c would not consume it. */
	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	if (!len || len > INT_MAX)
		return NULL;
	tokener = json_tokener_new_ex(MESSAGE_DEPTH);
	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	message = json_tokener_parse_ex(tokener, line, (int)len);
	if (!json_object_is_type(message, json_type_object) ||
	    json_tokener_get_error(tokener) != json_tokener_success ||
	    json_tokener_get_parse_end(tokener) != len) {
		json_object_put(message);
		message = NULL;
	}
	json_tokener_free(tokener);
	return message;
}

/* How many bytes the character that starts here has, 0 when it is none. */
static size_t character(const unsigned char *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *c < 0x80 ? 1 : *c >> 5 == 6 ? 2 : *c >> 4 == 14 ? 3 : *c >> 3 == 30 ? 4 : 0;
	uint32_t code = len == 1 ? *c : *c & (0x7fu >> len);

	for (size_t i = 1; i < len; i++) {
		if ((c[i] & 0xc0) != 0x80)	/* the end of the text, too */
			return 0;
		code = code << 6 | (c[i] & 0x3f);
	}
	/* Longer than needed, half of a UTF-16 pair, past the last character: all are forbidden. */
	if (len && (code < least[len] || code >> 11 == 0x1b || code > 0x10ffff))
		return 0;
	return len;
}

bool is_utf8(const char *text)
{
	size_t len;

	for (; *text; text += len) {
		len = character((const unsigned char *)text);
		if (!len)
			return false;
	}
	return true;
}

void make_printable(char *text)
{
	size_t len;

	for (; *text; text += len) {
		len = character((const unsigned char *)text);
		if (len && (unsigned char)*text >= ' ' && *text != 0x7f)
			continue;
		*text = '?';
		len = 1;
	}
}

struct json_object *message_text(const char *text)
{
	char *copy = strdup(text);
	struct json_object *json;

	if (copy)
		make_printable(copy);
	json = json_object_new_string(copy ? copy : "");
	free(copy);
	return json;
}

const char *message_string(struct json_object *message, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(message, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

bool message_integer(struct json_object *message, const char *key, int64_t min, int64_t max,
		     int64_t *value)
{
	struct json_object *member;

	if (!json_object_object_get_ex(message, key, &member) ||
	    !json_object_is_type(member, json_type_int))
		return false;
	*value = json_object_get_int64(member);
	return *value >= min && *value <= max;
}

char *message_line(struct json_object *message, size_t *len)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text = json_object_to_json_string_length(message, flags, len);
	char *line = text ? malloc(*len + 2) : NULL;

	if (line) {
		memcpy(line, text, *len);
		strcpy(line + *len, "\n");
		*len += 1;
	}
	json_object_put(message);
	return line;
}

static int send_all(int fd, const char *data, size_t len, int timeout_ms)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (poll(&writable, 1, timeout_ms) == 0)
				return -ETIMEDOUT;
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int message_send(int fd, struct json_object *message, int timeout_ms)
{
	size_t len;
	char *line = message_line(message, &len);
	int ret;

	if (!line)
		return -ENOMEM;
	ret = send_all(fd, line, len, timeout_ms);
	free(line);
	return ret;
}

struct json_object *message_new(const char *key, struct json_object *value)
{
	struct json_object *message = json_object_new_object();

	json_object_object_add(message, key, value);
	return message;
}

struct json_object *message_error(const char *name, const char *format, ...)
{
	struct json_object *message = message_new("error", json_object_new_string(name));
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* A long text may have been cut inside of a character. */
	while (!is_utf8(text))
		text[strlen(text) - 1] = '\0';
	json_object_object_add(message, "parameters",
			       message_new("message", json_object_new_string(text)));
	return message;
}
