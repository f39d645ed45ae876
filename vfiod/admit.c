/* SPDX-License-Identifier: MIT */
#include "admit.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux allows no more supplementary groups than this (NGROUPS_MAX). */
#define MAX_GROUPS 65536

static int get_groups(struct credentials *who, int fd)
{
	socklen_t len = 0;

	/* Asked with no room, the kernel says ERANGE and how much it wants. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		return 0;
	if (errno != ERANGE)
		return -errno;
	if (len > MAX_GROUPS * sizeof(gid_t))
		return -E2BIG;
	who->groups = malloc(len);
	if (!who->groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, who->groups, &len) < 0)
		return -errno;
	who->ngroups = len / sizeof(gid_t);
	return 0;
}

int credentials_get(struct credentials *who, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int ret;

	*who = (struct credentials){ .uid = (uid_t)-1, .gid = (gid_t)-1 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	who->pid = cred.pid;
	who->uid = cred.uid;
	who->gid = cred.gid;
	ret = get_groups(who, fd);
	if (ret < 0)
		credentials_finish(who);
	return ret;
}

void credentials_finish(struct credentials *who)
{
	free(who->groups);
	who->groups = NULL;
	who->ngroups = 0;
}

static bool in_group(const struct credentials *who, gid_t group)
{
	if (who->gid == group)
		return true;
	for (size_t i = 0; i < who->ngroups; i++)
		if (who->groups[i] == group)
			return true;
	return false;
}

bool access_allows(const struct access *access, const struct credentials *who)
{
	if (who->uid == 0)
		return true;
	/*
	 * As for files, the first class that fits decides, also when a later one would allow more.
	 */
	if (who->uid == access->owner)
		return access->mode & 0200;
	if (in_group(who, access->group))
		return access->mode & 0020;
	return access->mode & 0002;
}

/*
 * What the kernel asks of whoever opens such a device. The user is that of when it connected; a process
 * that has no number here cannot be asked for its capabilities.
 */
bool credentials_may_harm(const struct credentials *who)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3, .pid = who->pid,
	};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { 0 };

	return who->uid == 0 && who->pid > 0 && syscall(SYS_capget, &header, caps) == 0 &&
	       (caps[CAP_TO_INDEX(CAP_SYS_RAWIO)].effective & CAP_TO_MASK(CAP_SYS_RAWIO));
}

static bool may_use(const struct access *access, const struct credentials *who, char *reason,
		    size_t size)
{
	if (!access->inherited && !access_allows(access, who)) {
		snprintf(reason, size,
			 "uid %u, gid %u may not use a device of owner %u, group %u, mode %04o",
			 who->uid, who->gid, access->owner, access->group, access->mode);
		return false;
	}
	if (access->unsafe && !credentials_may_harm(who)) {
		snprintf(reason, size, "nothing isolates the device, so that it takes user 0 with "
			 "CAP_SYS_RAWIO, and this is uid %u%s", who->uid,
			 who->uid ? "" : " without it");
		return false;
	}
	return true;
}

bool admit(void *arg, const struct vfio_peer *peer, char *reason, size_t size)
{
	const struct access *access = arg;
	struct credentials who;
	bool allowed;
	int ret;

	if (access->inherited && !access->unsafe)
		return true;
	ret = credentials_get(&who, peer->fd);
	if (ret < 0) {
		snprintf(reason, size, "its credentials are unknown: %s", strerror(-ret));
		return false;
	}
	allowed = may_use(access, &who, reason, size);
	credentials_finish(&who);
	return allowed;
}
