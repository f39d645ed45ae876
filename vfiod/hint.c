/* SPDX-License-Identifier: MIT */
#include "hint.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "log.h"
#include "message.h"

/* text as one word of a shell, for the caller to free; NULL without memory. */
static char *shell_quote(const char *text)
{
	char *quoted = malloc(4 * strlen(text) + 3), *out = quoted;

	if (!quoted)
		return NULL;
	*out++ = '\'';
	for (; *text; text++) {
		if (*text == '\'')
			out = stpcpy(out, "'\\''");
		else
			*out++ = *text;
	}
	strcpy(out, "'");
	return quoted;
}

/* Quoted only where that is needed: a plain path is easier to read. */
static char *shell_word(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789/._-+:,=@";

	return text[strspn(text, plain)] ? shell_quote(text) : strdup(text);
}

static char *qemu_option(const char *path)
{
	struct json_object *socket = message_new("type", json_object_new_string("unix"));
	struct json_object *option;
	char *quoted;

	json_object_object_add(socket, "path", json_object_new_string(path));
	option = message_new("driver", json_object_new_string("vfio-user-pci"));
	json_object_object_add(option, "socket", socket);
	quoted = shell_quote(json_object_to_json_string_ext(
		option, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(option);
	return quoted;
}

void hint(const char *device, const char *path)
{
	char *word, *option;

	if (!path) {
		log_notice(device, "ready on an inherited socket");
		return;
	}
	word = shell_word(path);
	option = qemu_option(path);
	if (word && option) {
		log_notice(device, "ready on %s", path);
		log_notice(device, "for a driver:  VFIO_DEVICE=unix:%s", word);
		log_notice(device, "for QEMU:      -device %s", option);
	}
	free(word);
	free(option);
}
