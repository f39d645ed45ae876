/* SPDX-License-Identifier: MIT */
#include "reload.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

/* What has become of a new file. */
struct changes {
	unsigned int policies;		/* changed */
	unsigned int others;		/* that take a restart */
};

/* ---- what takes a restart ----------------------------------------------------------------- */

static void note(struct changes *changes, const char *device, const char *key, const char *old,
		 const char *new)
{
	log_warning(device, "%s is %s%s%s in the file now: that takes a restart of vfiod, and "
		    "until then it stays %s%s%s", key, new ? "'" : "", new ? new : "not set",
		    new ? "'" : "", old ? "'" : "", old ? old : "unset", old ? "'" : "");
	changes->others++;
}

static void compare_text(struct changes *changes, const char *device, const char *key,
			 const char *old, const char *new)
{
	bool same = old && new ? strcmp(old, new) == 0 : old == new;

	if (!same)
		note(changes, device, key, old, new);
}

static void compare_settings(struct changes *changes, const struct config *old,
			     const struct config *new)
{
	compare_text(changes, NULL, "user", old->user, new->user);
	compare_text(changes, NULL, "control", old->control, new->control);
	compare_text(changes, NULL, "timeout", old->timeout, new->timeout);
}

/* One user may have a name and a number, and a mode is written in many ways. */
static void compare_device(struct changes *changes, const struct device_config *old,
			   const struct device_config *new)
{
	char old_mode[8], new_mode[8];

	snprintf(old_mode, sizeof(old_mode), "%04o", old->access.mode & 0777);
	snprintf(new_mode, sizeof(new_mode), "%04o", new->access.mode & 0777);
	compare_text(changes, old->name, "device", old->device, new->device);
	compare_text(changes, old->name, "socket", old->socket, new->socket);
	compare_text(changes, old->name, "mode", old_mode, new_mode);
	compare_text(changes, old->name, "unsafe", old->access.unsafe ? "yes" : "no",
		     new->access.unsafe ? "yes" : "no");
	compare_text(changes, old->name, "audit", old->audit, new->audit);
	if (old->access.owner != new->access.owner)
		note(changes, old->name, "owner", old->owner, new->owner);
	if (old->access.group != new->access.group)
		note(changes, old->name, "group", old->group, new->group);
}

static void note_new_sections(struct changes *changes, const struct config *old,
			      const struct config *new)
{
	const struct device_config *device;

	STAILQ_FOREACH(device, &new->devices, entry) {
		if (config_find_device(old, device->name))
			continue;
		log_warning(device->name, "its section is new in the file: it takes a restart of "
			    "vfiod until the device is served");
		changes->others++;
	}
}

/* ---- what does not ------------------------------------------------------------------------ */

static void change_policy(struct changes *changes, struct device *device,
			  struct device_config *old, struct device_config *new)
{
	const struct policy before = old->policy;

	/* A process that is started from now on begins with it. */
	old->policy = new->policy;
	new->policy = before;
	for (size_t key = 0; key < policy_count(); key++) {
		const char *was = policy_holds(&new->policy, key);
		const char *is = policy_holds(&old->policy, key);

		if (strcmp(was, is) == 0)
			continue;
		log_notice(old->name, "policy %s is '%s' in the file now, and was '%s'",
			   policy_name(key), is, was);
		device_change_policy(device, policy_name(key), is);
		changes->policies++;
	}
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void compare(struct changes *changes, struct config *old, struct config *new,
		    struct device *devices, unsigned int ndevices)
{
	compare_settings(changes, old, new);
	note_new_sections(changes, old, new);
	for (unsigned int i = 0; i < ndevices; i++) {
		const char *name = devices[i].config->name;
		struct device_config *fresh = config_find_device(new, name);

		if (fresh) {
			compare_device(changes, devices[i].config, fresh);
			change_policy(changes, &devices[i], config_find_device(old, name), fresh);
			continue;
		}
		log_warning(name, "its section is no longer in the file: it is served until vfiod "
			    "is restarted");
		changes->others++;
	}
}

void reload(struct config *config, struct device *devices, unsigned int ndevices)
{
	struct changes changes = { 0 };
	struct config fresh;
	unsigned int errors;

	config_init(&fresh);
	errors = config_load(&fresh, config->path);
	if (errors) {
		log_error(NULL, "%s: %u error%s, nothing is changed", config->path, errors,
			  errors == 1 ? "" : "s");
	} else {
		compare(&changes, config, &fresh, devices, ndevices);
		log_notice(NULL, "%s was read again: %u polic%s changed, %u other change%s that "
			   "take%s a restart", config->path, changes.policies,
			   changes.policies == 1 ? "y" : "ies", changes.others,
			   changes.others == 1 ? "" : "s", changes.others == 1 ? "s" : "");
	}
	config_finish(&fresh);
}
