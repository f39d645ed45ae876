/* SPDX-License-Identifier: MIT */
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

static int check_user(const struct user *user, const char *name)
{
	if (user->uid == 0) {
		log_error(NULL, "device processes may not run as %s, which is root: "
			  "choose another --user", name);
		return -EINVAL;
	}
	if (!user->change && user->uid != geteuid()) {
		log_error(NULL, "device processes cannot run as %s: only root may choose a user",
			  name);
		return -EPERM;
	}
	return 0;
}

int privileges_find_user(struct user *user, const char *name)
{
	struct passwd *entry;

	*user = (struct user){ geteuid(), getegid(), geteuid() == 0 };
	if (!name && !user->change)
		return 0;
	if (!name)
		name = PRIVILEGES_DEFAULT_USER;
	entry = getpwnam(name);
	if (!entry) {
		log_error(NULL, "there is no user '%s' for device processes to run as: "
			  "choose another --user", name);
		return -ENOENT;
	}
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	return check_user(user, name);
}

int privileges_forbid_new(void)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

void privileges_die_first(void)
{
	FILE *score = fopen("/proc/self/oom_score_adj", "we");

	if (!score)
		return;
	fputs("500", score);
	fclose(score);
}

/* Without CAP_SETPCAP the set stays; PR_SET_NO_NEW_PRIVS makes that harmless. */
static int drop_bounding_set(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EPERM ? 0 : -1;
	return 0;
}

int privileges_drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_capset, &header, none);
}

const char *privileges_drop(const struct user *user)
{
	if (drop_bounding_set() < 0)
		return "PR_CAPBSET_DROP";
	if (user->change) {
		if (setgroups(0, NULL) < 0)
			return "setgroups";
		if (setresgid(user->gid, user->gid, user->gid) < 0)
			return "setresgid";
		if (setresuid(user->uid, user->uid, user->uid) < 0)
			return "setresuid";
	}
	if (privileges_drop_capabilities() < 0)
		return "capset";
	/* Other processes of the same user may not look into this one. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return "PR_SET_DUMPABLE";
	return NULL;
}
