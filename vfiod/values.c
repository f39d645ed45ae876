/* SPDX-License-Identifier: MIT */
#include "values.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool value_number(const char *text, unsigned long base, unsigned long max, unsigned long *value)
{
	char *end;

	/* strtoul() would also take a sign and space. */
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoul(text, &end, (int)base);
	return !*end && !errno && *value <= max;
}

bool value_owner(const char *text, uid_t *uid)
{
	unsigned long number;
	struct passwd *entry;

	/* (uid_t)-1 means "nobody at all" to the kernel. */
	if (value_number(text, 10, UINT_MAX - 1, &number)) {
		*uid = (uid_t)number;
		return true;
	}
	entry = getpwnam(text);
	if (entry)
		*uid = entry->pw_uid;
	return entry;
}

bool value_group(const char *text, gid_t *gid)
{
	unsigned long number;
	struct group *entry;

	if (value_number(text, 10, UINT_MAX - 1, &number)) {
		*gid = (gid_t)number;
		return true;
	}
	entry = getgrnam(text);
	if (entry)
		*gid = entry->gr_gid;
	return entry;
}

char *value_owner_name(uid_t uid)
{
	struct passwd *entry = getpwuid(uid);
	char *name;

	if (entry)
		return strdup(entry->pw_name);
	return asprintf(&name, "%u", uid) < 0 ? NULL : name;
}

char *value_group_name(gid_t gid)
{
	struct group *entry = getgrgid(gid);
	char *name;

	if (entry)
		return strdup(entry->gr_name);
	return asprintf(&name, "%u", gid) < 0 ? NULL : name;
}
