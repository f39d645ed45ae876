/* SPDX-License-Identifier: MIT */
/* The user that device processes run as, and becoming that user, for good. */
#ifndef VFIOD_PRIVILEGES_H
#define VFIOD_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#define PRIVILEGES_DEFAULT_USER "nobody"

struct user {
	uid_t uid;
	gid_t gid;
	bool change;		/* vfiod is root: become this user */
};

/*
 * Find the user for device processes; name NULL: the default, which is PRIVILEGES_DEFAULT_USER
 * when vfiod is root, else vfiod's own user. Logs what is wrong; 0 or a negative errno.
 */
int privileges_find_user(struct user *user, const char *name);

/* No program that is started from now on gets more rights than this process; no core files. */
int privileges_forbid_new(void);

/* When memory runs out, this process is to go, and not its supervisor. */
void privileges_die_first(void);

/*
 * Those of this thread: threads that a module makes then have none either. A change of user takes
 * them from all threads. 0, or -1 and errno.
 */
int privileges_drop_capabilities(void);

/*
 * Become the user without supplementary groups, and give up every capability, also the chance to
 * get one again. NULL, or the name of the step that failed, with errno set.
 */
const char *privileges_drop(const struct user *user);

#endif
