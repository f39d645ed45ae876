/* SPDX-License-Identifier: MIT */
/*
 * inih parses the lines; the reader that feeds it knows the line numbers, and the section names in
 * full (inih cuts them), and notices lines that inih passes over in silence.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listen.h"
#include "log.h"
#include "message.h"
#include "values.h"

enum section { NO_SECTION, SETTINGS, DEVICE, BAD_SECTION };

struct parser {
	struct config *config;
	const char *path;
	FILE *file;
	unsigned int line;
	unsigned int errors;
	bool unanswered;		/* inih has yet to find KEY = VALUE in the line */
	enum section section;
	struct device_config *device;	/* of the section */
	unsigned int settings_line;	/* where [vfiod] began; 0: not yet */
};

__attribute__((format(printf, 3, 4)))
static void report(struct parser *parser, unsigned int line, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (line)
		log_error(NULL, "%s:%u: %s", parser->path, line, text);
	else
		log_error(NULL, "%s: %s", parser->path, text);
	parser->errors++;
}

/* ---- sections ----------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= CONFIG_MAX_NAME && strspn(name, CONFIG_NAME_CHARACTERS) == len;
}

static void begin_settings(struct parser *parser)
{
	if (parser->settings_line)
		report(parser, parser->line, "section [vfiod] is there already, in line %u",
		       parser->settings_line);
	else
		parser->settings_line = parser->line;
	parser->section = SETTINGS;
}

static void begin_section(struct parser *parser, const char *name)
{
	struct device_config *same = config_find_device(parser->config, name);

	parser->section = BAD_SECTION;	/* its keys are not looked at */
	parser->device = NULL;
	if (strcmp(name, "vfiod") == 0) {
		begin_settings(parser);
	} else if (!is_name(name)) {
		report(parser, parser->line, "section name '%s': 1 to %d of A-Z a-z 0-9 . _ - "
		       "are allowed", name, CONFIG_MAX_NAME);
	} else if (same) {
		report(parser, parser->line, "section [%s] is there already, in line %u", name,
		       same->line);
	} else if (parser->config->ndevices == CONFIG_MAX_DEVICES) {
		report(parser, parser->line, "more than %d devices", CONFIG_MAX_DEVICES);
	} else {
		parser->device = config_new_device(parser->config, name);
		if (!parser->device) {
			report(parser, parser->line, "out of memory");
			return;
		}
		parser->device->line = parser->line;
		parser->section = DEVICE;
	}
}

/* ---- keys --------------------------------------------------------------------------------- */

enum kind { TEXT, PATH, TIMEOUT, OWNER, GROUP, MODE, UNSAFE, AUDIT };

static const struct key {
	enum section section;
	const char *name;
	enum kind kind;
	size_t offset;		/* of the char * that gets the value */
} keys[] = {
	{ SETTINGS, "user",    TEXT,  offsetof(struct config, user) },
	{ SETTINGS, "control", PATH,  offsetof(struct config, control) },
	{ SETTINGS, "timeout", TIMEOUT, offsetof(struct config, timeout) },
	{ SETTINGS, "audit",   AUDIT, offsetof(struct config, audit) },
	{ DEVICE,   "device",  TEXT,  offsetof(struct device_config, device) },
	{ DEVICE,   "socket",  PATH,  offsetof(struct device_config, socket) },
	{ DEVICE,   "owner",   OWNER, offsetof(struct device_config, owner) },
	{ DEVICE,   "group",   GROUP, offsetof(struct device_config, group) },
	{ DEVICE,   "mode",    MODE,  offsetof(struct device_config, mode) },
	{ DEVICE,   "unsafe",  UNSAFE, offsetof(struct device_config, unsafe) },
	{ DEVICE,   "audit",   AUDIT, offsetof(struct device_config, audit) },
};

#define NKEYS (sizeof(keys) / sizeof(keys[0]))

static void report_unknown(struct parser *parser, const char *name)
{
	char allowed[400] = "";
	size_t used = 0;

	for (size_t i = 0; i < NKEYS; i++)
		if (keys[i].section == parser->section)
			used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
						 used ? ", " : "", keys[i].name);
	policy_list_names(allowed, sizeof(allowed));
	report(parser, parser->line, "key '%s' is unknown: allowed are %s", name, allowed);
}

/* What is allowed where the value is not; NULL when the value is all right. */
static const char *check_value(struct parser *parser, enum kind kind, const char *value)
{
	struct access *access = parser->device ? &parser->device->access : NULL;
	unsigned long number;

	switch (kind) {
	case TEXT:
		return *value ? NULL : "something must follow the '='";
	case PATH:
		return *value == '/' && strlen(value) <= LISTENER_MAX_PATH ? NULL :
		       "an absolute path of at most 107 bytes is allowed";
	case TIMEOUT:
		return config_parse_timeout(value, &parser->config->timeout_ms) ? NULL :
		       "a number of milliseconds from 1 to 600000 is allowed";
	case OWNER:
		return value_owner(value, &access->owner) ? NULL :
		       "the name or number of a user is allowed";
	case GROUP:
		return value_group(value, &access->group) ? NULL :
		       "the name or number of a group is allowed";
	case MODE:
		if (!value_number(value, 8, 0777, &number))
			return "an octal number from 0 to 0777 is allowed";
		access->mode = (mode_t)number;
		return NULL;
	case UNSAFE:
		access->unsafe = strcmp(value, "yes") == 0;
		return access->unsafe || strcmp(value, "no") == 0 ? NULL : "yes or no is allowed";
	case AUDIT:
		return strcmp(value, "off") == 0 || strcmp(value, "warn") == 0 ||
		       strcmp(value, "refuse") == 0 ? NULL : "off, warn or refuse is allowed";
	}
	return NULL;
}

static void set_key(struct parser *parser, const struct key *key, const char *value)
{
	void *base = key->section == SETTINGS ? (void *)parser->config : (void *)parser->device;
	char **field = (char **)(void *)((char *)base + key->offset);
	const char *problem = check_value(parser, key->kind, value);

	if (*field) {
		report(parser, parser->line, "key '%s' is there already in this section",
		       key->name);
		return;
	}
	if (problem)
		report(parser, parser->line, "%s = '%s': %s", key->name, value, problem);
	*field = strdup(value);
	if (!*field)
		report(parser, parser->line, "out of memory");
}

static void set_policy(struct parser *parser, size_t key, const char *value)
{
	struct policy *policy = parser->section == SETTINGS ? &parser->config->policy :
				&parser->device->policy;
	char *problem = policy_problem(key, value);

	if (policy_said(policy, key))
		report(parser, parser->line, "key '%s' is there already in this section",
		       policy_name(key));
	else if (problem)
		report(parser, parser->line, "%s", problem);
	else if (policy_set(policy, key, value) < 0)
		report(parser, parser->line, "out of memory");
	free(problem);
}

/*
 * inih calls this for each KEY = VALUE. It has no line number to give, and a section name cut
 * short.
 */
static int on_key(void *arg, const char *section, const char *name, const char *value)
{
	struct parser *parser = arg;
	size_t key = policy_find(name, strlen(name));

	parser->unanswered = false;
	if (parser->section == BAD_SECTION)
		return 1;
	if (parser->section == NO_SECTION) {
		report(parser, parser->line, "key '%s' comes before the first [section]", name);
		return 1;
	}
	for (size_t i = 0; i < NKEYS; i++) {
		if (keys[i].section == parser->section && strcmp(keys[i].name, name) == 0) {
			set_key(parser, &keys[i], value);
			return 1;
		}
	}
	if (key < policy_count())
		set_policy(parser, key, value);
	else
		report_unknown(parser, name);
	return 1;
}

/* ---- lines -------------------------------------------------------------------------------- */

static void report_unanswered(struct parser *parser)
{
	if (parser->unanswered)
		report(parser, parser->line, "this is neither [SECTION] nor KEY = VALUE");
	parser->unanswered = false;
}

/*
 * Read a line into size bytes without its newline. Its whole length, or -1 at the end of the file.
 */
static long read_line(FILE *file, char *line, size_t size, bool *bad_byte)
{
	long len = 0;
	int c;

	*bad_byte = false;
	while ((c = getc(file)) != EOF && c != '\n') {
		if ((c < ' ' && c != '\t' && c != '\r') || c == 0x7f)
			*bad_byte = true;
		if ((size_t)len + 1 < size)
			line[len] = (char)c;
		len++;
	}
	if (c == EOF && len == 0)
		return -1;
	line[(size_t)len < size ? (size_t)len : size - 1] = '\0';
	return len;
}

static void take_heading(struct parser *parser, char *line)
{
	char *end = strchr(line, ']');

	if (!end) {
		report(parser, parser->line, "the ']' of a section is missing");
		parser->section = BAD_SECTION;
		return;
	}
	*end = '\0';
	for (end++; isspace((unsigned char)*end); end++)
		;
	if (*end && !strchr(";#", *end))
		report(parser, parser->line, "'%s' after the section name has no meaning", end);
	begin_section(parser, line + 1);
}

/* Gives inih one line a time, without leading space (which would continue the line before). */
static char *next_line(char *buf, int size, void *arg)
{
	struct parser *parser = arg;
	bool bad_byte;
	long len;
	char *start;

	report_unanswered(parser);
	len = read_line(parser->file, buf, (size_t)size, &bad_byte);
	if (len < 0)
		return NULL;
	parser->line++;
	if (bad_byte)
		report(parser, parser->line, "a control character is not allowed");
	else if (len >= size - 2)
		report(parser, parser->line, "the line is longer than %d bytes", size - 3);
	else if (!is_utf8(buf))
		report(parser, parser->line, "the line is not in UTF-8");
	if (bad_byte || len >= size - 2 || !is_utf8(buf))
		*buf = '\0';
	for (start = buf; isspace((unsigned char)*start); start++)
		;
	memmove(buf, start, strlen(start) + 1);
	if (*buf == '[') {
		take_heading(parser, buf);
		*buf = '\0';
	}
	parser->unanswered = *buf && !strchr(";#", *buf);
	return buf;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void report_missing(struct parser *parser, const struct device_config *device,
			   const char *key, const char *value)
{
	if (!value)
		report(parser, device->line, "section [%s] has no key '%s', which it must have",
		       device->name, key);
}

static void check_socket(struct parser *parser, const struct device_config *device)
{
	struct device_config *other;

	if (!device->socket)
		return;
	STAILQ_FOREACH(other, &parser->config->devices, entry) {
		if (other == device)
			break;
		if (other->socket && strcmp(other->socket, device->socket) == 0)
			report(parser, device->line, "socket = '%s' of [%s] is [%s]'s already",
			       device->socket, device->name, other->name);
	}
	if (parser->config->control && strcmp(parser->config->control, device->socket) == 0)
		report(parser, device->line, "socket = '%s' of [%s] is vfiod's control socket",
		       device->socket, device->name);
}

/* Such a device is asked for twice, so that it is served by nobody's mistake. */
static void check_unsafe(struct parser *parser, const struct device_config *device)
{
	bool by_name = device->device && config_is_unsafe(device->device);

	if (by_name && !device->access.unsafe)
		report(parser, device->line, "device = '%s' of [%s]: nothing keeps it from any memory "
		       "of the machine: it takes 'unsafe = yes' in the section, too",
		       device->device, device->name);
	else if (!by_name && device->access.unsafe && device->device)
		report(parser, device->line, "unsafe = yes of [%s]: it is for devices named 'uio:...' "
		       "and 'unsafe-...', and not for '%s'", device->name, device->device);
}

static bool inherit_audit(const struct config *config, struct device_config *device)
{
	if (!device->audit && config->audit)
		device->audit = strdup(config->audit);
	return device->audit || !config->audit;
}

static void finish_device(struct parser *parser, struct device_config *device)
{
	report_missing(parser, device, "device", device->device);
	report_missing(parser, device, "socket", device->socket);
	check_socket(parser, device);
	check_unsafe(parser, device);
	if (device->group && !device->mode)
		device->access.mode = 0660;
	if (!device->owner)
		device->owner = value_owner_name(device->access.owner);
	if (!device->group)
		device->group = value_group_name(device->access.group);
	if (!device->owner || !device->group || !inherit_audit(parser->config, device) ||
	    policy_inherit(&device->policy, &parser->config->policy) < 0)
		report(parser, device->line, "out of memory");
}

static void parse(struct parser *parser)
{
	struct device_config *device;
	int ret = ini_parse_stream(next_line, parser, on_key, parser);

	report_unanswered(parser);
	if (ferror(parser->file))
		report(parser, 0, "cannot be read: %s", strerror(errno));
	/* All else that inih finds wrong has been reported with its line. */
	if (ret < 0 || (ret > 0 && !parser->errors))
		report(parser, ret > 0 ? (unsigned int)ret : 0, "cannot be parsed");
	STAILQ_FOREACH(device, &parser->config->devices, entry)
		finish_device(parser, device);
	if (STAILQ_EMPTY(&parser->config->devices) && !parser->errors)
		report(parser, 0, "there is no section for a device, so nothing to serve");
}

unsigned int config_load(struct config *config, const char *path)
{
	struct parser parser = { .config = config, .path = path };

	config->path = path;
	parser.file = fopen(path, "re");
	if (!parser.file) {
		report(&parser, 0, "cannot be opened: %s", strerror(errno));
		return parser.errors;
	}
	parse(&parser);
	fclose(parser.file);
	return parser.errors;
}
