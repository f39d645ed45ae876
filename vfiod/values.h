/* SPDX-License-Identifier: MIT */
/* Numbers, users and groups as text, and back. */
#ifndef VFIOD_VALUES_H
#define VFIOD_VALUES_H

#include <stdbool.h>
#include <sys/types.h>

/* The whole text is digits of this base, and the number is max at most. */
bool value_number(const char *text, unsigned long base, unsigned long max, unsigned long *value);

/* A name or a number. */
bool value_owner(const char *text, uid_t *uid);
bool value_group(const char *text, gid_t *gid);

/* The name, or the number where there is none; for the caller to free. NULL without memory. */
char *value_owner_name(uid_t uid);
char *value_group_name(gid_t gid);

#endif
