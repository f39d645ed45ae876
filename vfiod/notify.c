/* SPDX-License-Identifier: MIT */
/* The protocol of sd_notify(3): one datagram of VARIABLE=VALUE lines. */
#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

void notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len)
		return;
	if (len > sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@')) {
		log_warning(NULL, "NOTIFY_SOCKET='%s' is no socket address: not told: %s", path,
			    state);
		return;
	}
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_warning(NULL, "cannot tell the service manager at %s: %s: %m", path, state);
	close(fd);
}
