/* SPDX-License-Identifier: MIT */
/* What vfiod is to serve: the configuration file, or one device from the command line. */
#ifndef VFIOD_CONFIG_H
#define VFIOD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "admit.h"
#include "policy.h"

#define CONFIG_MAX_NAME 64
#define CONFIG_NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" \
			       "0123456789._-"
#define CONFIG_MAX_DEVICES 256
#define CONFIG_MAX_TIMEOUT_MS 600000

struct device_config {
	STAILQ_ENTRY(device_config) entry;
	unsigned int line;	/* of the section's heading */
	char *name;		/* of the section */
	char *device;		/* what vfio_open() is given */
	char *socket;		/* absolute path; NULL: inherited */
	int fd;			/* the inherited socket, or -1 */
	struct access access;
	char *owner, *group;	/* of the socket, for people: names where there are names */
	char *mode;		/* as in the file, or NULL; access.mode is what counts */
	char *unsafe;		/* the same of access.unsafe */
	char *audit;		/* off, warn, refuse; NULL: warn, unless it is software */
	struct policy policy;	/* the section's, and that for all devices where it has none */
};

struct config {
	STAILQ_HEAD(, device_config) devices;
	unsigned int ndevices;
	const char *path;	/* of the file; NULL: there is none */
	char *user;		/* NULL: the default */
	char *control;		/* NULL: the default */
	char *timeout;		/* as in the file, or NULL; timeout_ms is what counts */
	char *audit;		/* for devices that say nothing of it, or NULL */
	unsigned int timeout_ms;	/* how long a client may owe something; 0: the default */
	struct policy policy;	/* for all devices */
	char *control_first;	/* the command line's, which goes before control, or NULL */
};

void config_init(struct config *config);
void config_finish(struct config *config);

/* A deadline for clients, in milliseconds, from 1 to CONFIG_MAX_TIMEOUT_MS. */
bool config_parse_timeout(const char *text, unsigned int *timeout_ms);

/*
 * Add the file's sections. Logs every error in it, and returns how many there are. path has to
 * stay.
 */
unsigned int config_load(struct config *config, const char *path);

/* Does the device string ask for a device that nothing isolates from memory? */
bool config_is_unsafe(const char *device);

/* A new device of that name, with nothing else. NULL without memory. */
struct device_config *config_new_device(struct config *config, const char *name);

/*
 * Add one device named after the module of its device string, behind a socket at path, or an
 * inherited one when path is NULL. NULL without memory.
 */
struct device_config *config_add_device(struct config *config, const char *device,
					const char *path, int fd);

/* NULL: there is none of that name. */
struct device_config *config_find_device(const struct config *config, const char *name);

#endif
