/* SPDX-License-Identifier: MIT */
/*
 * Who may use a device: its socket's owner, group and mode, asked of the peer's credentials.
 *
 * The kernel asks the same when somebody connects, but only of the file as it is then. Asking
 * again makes a chmod of the socket by somebody else harmless, and lets the control socket, which
 * everybody may connect to, show each user what is theirs.
 */
#ifndef VFIOD_ADMIT_H
#define VFIOD_ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <vfio/server.h>

struct access {
	uid_t owner;
	gid_t group;
	mode_t mode;
	bool inherited;		/* the socket was handed to vfiod: its maker decides who connects */
	bool unsafe;		/* nothing isolates the device: only who may harm the machine anyway */
};

struct credentials {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups;		/* supplementary */
	size_t ngroups;
};

/* Of the peer of a connected socket, at the time when it connected. 0 or a negative errno. */
int credentials_get(struct credentials *who, int fd);
void credentials_finish(struct credentials *who);

/* Would these credentials be allowed to write to a file with this owner, group and mode? */
bool access_allows(const struct access *access, const struct credentials *who);

/* May this process do to the machine what a device without isolation can? It is asked now. */
bool credentials_may_harm(const struct credentials *who);

/* All of this for a device's client; arg is the struct access. For struct vfio_server_options. */
bool admit(void *arg, const struct vfio_peer *peer, char *reason, size_t size);

#endif
