/* SPDX-License-Identifier: MIT */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

#define BACKLOG 1024

_Static_assert(LISTENER_MAX_PATH + 1 == sizeof(((struct sockaddr_un *)0)->sun_path),
	       "the longest path and its NUL fill the address");

static int set_address(struct sockaddr_un *address, const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len > LISTENER_MAX_PATH)
		return -ENAMETOOLONG;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, len + 1);
	return 0;
}

/*
 * Has nobody the socket at this address open? 1: dead, 0: alive, or why it cannot be told. A datagram
 * socket cannot connect to a stream: EPROTOTYPE says that there is one, and we have not become its
 * client.
 */
static int is_dead(const struct sockaddr_un *address)
{
	struct stat st;
	int fd, ret;

	if (lstat(address->sun_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (ret == -ECONNREFUSED)
		return 1;
	return ret == -EPROTOTYPE ? 0 : ret;
}

/* The file appears with no permission at all: whoever is to have some gets it by set_access(). */
static int bind_closed(int fd, const struct sockaddr_un *address)
{
	mode_t mask = umask(0777);
	int ret = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	umask(mask);
	return ret;
}

static int bind_or_replace(int fd, const char *device, const struct sockaddr_un *address)
{
	const char *path = address->sun_path;
	int ret = bind_closed(fd, address), dead;

	if (ret != -EADDRINUSE)
		goto out;
	dead = is_dead(address);
	if (dead == 0) {
		log_error(device, "another server listens on %s: stop it, or choose another path",
			  path);
		return ret;
	}
	if (dead == -ENOTSOCK) {
		log_error(device, "there is something at %s that is no socket: remove it, "
			  "or choose another path", path);
		return ret;
	}
	if (dead < 0) {
		log_error(device, "cannot tell whether somebody listens on %s: %s: choose another "
			  "path", path, strerror(-dead));
		return ret;
	}
	log_info(device, "replacing %s, which a dead server left behind", path);
	ret = unlink(path) < 0 ? -errno : bind_closed(fd, address);
out:
	if (ret < 0)
		log_error(device, "cannot make the socket %s: %s%s", path, strerror(-ret),
			  ret == -ENOENT ? ": make its directory first" : "");
	return ret;
}

/*
 * Everything goes through one descriptor of the file itself, not its path: in a directory where
 * others can write, the path may lead elsewhere by now.
 */
static int set_access(struct listener *listener, int file, const struct access *access)
{
	char self[32];
	struct stat st;

	if (fstat(file, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return -ESTALE;
	listener->dev = st.st_dev;
	listener->ino = st.st_ino;
	if ((st.st_uid != access->owner || st.st_gid != access->group) &&
	    fchownat(file, "", access->owner, access->group, AT_EMPTY_PATH) < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	return chmod(self, access->mode) < 0 ? -errno : 0;
}

static int finish_path(struct listener *listener, const char *device, const struct access *access)
{
	int file = open(listener->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int ret = file < 0 ? -errno : set_access(listener, file, access);

	if (file >= 0)
		close(file);
	if (ret < 0)
		log_error(device, "cannot give %s owner %u, group %u, mode %04o: %s%s",
			  listener->path, access->owner, access->group, access->mode,
			  strerror(-ret), ret != -EPERM ? "" :
			  ": only root, or for a group its members, may do that");
	return ret;
}

static int start_listening(struct listener *listener, const char *device,
			   const struct sockaddr_un *address, const struct access *access)
{
	int ret;

	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0) {
		ret = -errno;
		log_error(device, "cannot make a socket: %s", strerror(-ret));
		return ret;
	}
	ret = bind_or_replace(listener->fd, device, address);
	if (ret < 0)
		return ret;
	listener->ours = true;
	ret = finish_path(listener, device, access);
	/* Nobody can connect before this, whatever the file's mode is. */
	if (ret == 0 && listen(listener->fd, BACKLOG) < 0) {
		ret = -errno;
		log_error(device, "cannot listen on %s: %s", listener->path, strerror(-ret));
	}
	return ret;
}

int listener_open(struct listener *listener, const char *device, const char *path,
		  const struct access *access)
{
	struct sockaddr_un address;
	int ret = set_address(&address, path);

	*listener = (struct listener)LISTENER_NONE;
	if (ret < 0) {
		log_error(device, "the socket path '%s' is not 1 to %d bytes long", path,
			  LISTENER_MAX_PATH);
		return ret;
	}
	listener->path = strdup(path);
	if (!listener->path)
		return -ENOMEM;
	ret = start_listening(listener, device, &address, access);
	if (ret < 0)
		listener_close(listener);
	return ret;
}

static int socket_option(int fd, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

/* The path that the maker of an inherited socket bound it to, or NULL. */
static char *bound_path(int fd)
{
	struct sockaddr_un address = { 0 };
	/* One byte stays free: the kernel need not terminate the path. */
	socklen_t len = sizeof(address) - 1;

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0 || address.sun_path[0] != '/')
		return NULL;
	return strdup(address.sun_path);
}

int listener_inherit(struct listener *listener, const char *device, int fd)
{
	int domain = socket_option(fd, SO_DOMAIN), type = socket_option(fd, SO_TYPE);
	int listening = socket_option(fd, SO_ACCEPTCONN);
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);

	*listener = (struct listener)LISTENER_NONE;
	if (domain != AF_UNIX || type != SOCK_STREAM) {
		log_error(device, "descriptor %d is not a UNIX stream socket%s%s", fd,
			  domain < 0 ? ": " : "", domain < 0 ? strerror(-domain) : "");
		return domain < 0 ? domain : -ENOTSOCK;
	}
	if (listening <= 0 && getpeername(fd, (struct sockaddr *)&peer, &len) < 0) {
		log_error(device, "the socket on descriptor %d neither listens nor is connected",
			  fd);
		return -ENOTCONN;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	/* Should somebody else take a connection first, accept() must not wait for the next one. */
	if (listening > 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	listener->fd = fd;
	listener->path = listening > 0 ? bound_path(fd) : NULL;
	return listening > 0 ? 0 : 1;
}

static void remove_path(const struct listener *listener)
{
	struct stat st;

	if (lstat(listener->path, &st) == 0 && st.st_dev == listener->dev &&
	    st.st_ino == listener->ino)
		unlink(listener->path);
}

void listener_close(struct listener *listener)
{
	if (listener->ours)
		remove_path(listener);
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener->path);
	*listener = (struct listener)LISTENER_NONE;
}
