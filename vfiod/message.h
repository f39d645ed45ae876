/* SPDX-License-Identifier: MIT */
/* JSON objects, one a line: what vfiod's processes and its control clients say to each other. */
#ifndef VFIOD_MESSAGE_H
#define VFIOD_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

/*
 * The object that is a line, or NULL when the line is not exactly one well-formed JSON object
 * in UTF-8, no deeper than MESSAGE_DEPTH. Free it with json_object_put().
 */
#define MESSAGE_DEPTH 8
struct json_object *message_parse(const char *line, size_t len);

/* JSON text is UTF-8: is this? */
bool is_utf8(const char *text);

/* What is a control character or not UTF-8 becomes '?'. */
void make_printable(char *text);

/* Text of which nothing is known, made printable, as a JSON string. */
struct json_object *message_text(const char *text);

/* A member that is a string, or NULL. */
const char *message_string(struct json_object *message, const char *key);

/* A member that is an integer from min to max. */
bool message_integer(struct json_object *message, const char *key, int64_t min, int64_t max,
		     int64_t *value);

/*
 * The line for a message, newline included, for the caller to free; NULL without memory. Frees the
 * message.
 */
char *message_line(struct json_object *message, size_t *len);

/*
 * Send a message on a socket, waiting up to timeout_ms whenever there is no room. Frees it. 0, or
 * a negative errno: then a part may have been sent, and the other end will not understand what
 * follows.
 */
int message_send(int fd, struct json_object *message, int timeout_ms);

/* {KEY: VALUE}, {"error": NAME, "parameters": {"message": TEXT}}: the usual envelopes. */
struct json_object *message_new(const char *key, struct json_object *value);
struct json_object *message_error(const char *name, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
