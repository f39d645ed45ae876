/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "values.h"

bool config_parse_timeout(const char *text, unsigned int *timeout_ms)
{
	unsigned long number;

	if (!value_number(text, 10, CONFIG_MAX_TIMEOUT_MS, &number) || number == 0)
		return false;
	*timeout_ms = (unsigned int)number;
	return true;
}

bool config_is_unsafe(const char *device)
{
	return strncmp(device, "uio:", 4) == 0 || strncmp(device, "unsafe-", 7) == 0;
}

struct device_config *config_new_device(struct config *config, const char *name)
{
	struct device_config *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->name = strdup(name);
	if (!device->name) {
		free(device);
		return NULL;
	}
	device->fd = -1;
	device->access = (struct access){ geteuid(), getegid(), 0600, false, false };
	STAILQ_INSERT_TAIL(&config->devices, device, entry);
	config->ndevices++;
	return device;
}

struct device_config *config_find_device(const struct config *config, const char *name)
{
	struct device_config *device;

	STAILQ_FOREACH(device, &config->devices, entry)
		if (strcmp(device->name, name) == 0)
			return device;
	return NULL;
}

/*
 * What a device is called that has no section: its module's name, without the directories and the
 * ".so" of a file, in the characters of section names.
 */
static char *make_name(const char *device)
{
	size_t len = strcspn(device, ",");
	const char *slash = memrchr(device, '/', len);
	const char *start = slash ? slash + 1 : device;
	char *name;

	len -= (size_t)(start - device);
	if (slash && len > 3 && strncmp(start + len - 3, ".so", 3) == 0)
		len -= 3;
	name = len ? strndup(start, len < CONFIG_MAX_NAME ? len : CONFIG_MAX_NAME) :
		     strdup("device");
	for (char *c = name; c && *c; c++)
		if (!strchr(CONFIG_NAME_CHARACTERS, *c))
			*c = '_';
	return name;
}

struct device_config *config_add_device(struct config *config, const char *device,
					const char *path, int fd)
{
	char *name = make_name(device);
	struct device_config *added = name ? config_new_device(config, name) : NULL;

	free(name);
	if (!added)
		return NULL;
	added->fd = fd;
	added->access.inherited = !path;
	added->device = strdup(device);
	added->socket = path ? strdup(path) : NULL;
	added->owner = value_owner_name(added->access.owner);
	added->group = value_group_name(added->access.group);
	if (!added->device || (path && !added->socket) || !added->owner || !added->group)
		return NULL;
	return added;
}

void config_init(struct config *config)
{
	*config = (struct config){ 0 };
	STAILQ_INIT(&config->devices);
}

void config_finish(struct config *config)
{
	struct device_config *device;

	while ((device = STAILQ_FIRST(&config->devices))) {
		STAILQ_REMOVE_HEAD(&config->devices, entry);
		free(device->name);
		free(device->device);
		free(device->socket);
		free(device->owner);
		free(device->group);
		free(device->mode);
		free(device->unsafe);
		free(device->audit);
		policy_finish(&device->policy);
		free(device);
	}
	free(config->user);
	free(config->control);
	free(config->timeout);
	free(config->audit);
	free(config->control_first);
	policy_finish(&config->policy);
	config_init(config);
}
