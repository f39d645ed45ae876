/* SPDX-License-Identifier: MIT */
/* Opening a device behind a vfio-user socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/socket.h"
#include "base/error.h"

/* ---- greeting ----------------------------------------------------------------------------- */

static int get_info(struct sock *s)
{
	struct wire_device_info q = { .argsz = sizeof(q) };
	struct exchange x = {
		.command = WIRE_GET_INFO, .fixed = &q, .fixed_len = sizeof(q),
		.reply = &q, .reply_least = sizeof(q), .reply_room = sizeof(q),
		.what = "asking what the device is",
	};
	int r = link_call(&s->link, &x);

	if (r < 0)
		return r;
	if (!(q.flags & VFIO_DEVICE_FLAGS_PCI) || q.num_regions < VFIO_PCI_CONFIG_REGION_INDEX + 1)
		return error_set(&s->dev.error, ENODEV, VFIO_E_UNSUPPORTED, VFIO_BY_SERVER,
				 "libvfio drives PCI devices only", "the server's device is no PCI device");
	s->info = (struct vfio_device_info){
		.argsz = sizeof(s->info), .flags = q.flags,
		.num_regions = q.num_regions < MAX_REGIONS ? q.num_regions : MAX_REGIONS,
		.num_irqs = q.num_irqs < MAX_INDEXES ? q.num_irqs : MAX_INDEXES,
	};
	return 0;
}

static int greet(struct sock *s)
{
	struct wire_caps ours = {
		.max_msg_fds = WIRE_MAX_FDS, .max_data = WIRE_MAX_DATA,
		.max_dma_maps = SPACE_MAPS, .pgsizes = DMA_PAGE,
	};
	struct wire_version v = { .major = WIRE_MAJOR, .minor = WIRE_MINOR };
	char json[256], reply[WIRE_MAX_VERSION];
	struct exchange x = {
		.command = WIRE_VERSION, .fixed = &v, .fixed_len = sizeof(v), .data = json,
		.reply = reply, .reply_least = sizeof(v), .reply_room = sizeof(reply),
		.what = "greeting the server",
	};
	const char *why;
	int r;

	x.data_len = wire_caps_format(&ours, json, sizeof(json));
	r = link_call(&s->link, &x);
	if (r < 0)
		return r;
	memcpy(&v, reply, sizeof(v));
	if (v.major != WIRE_MAJOR || v.minor > WIRE_MINOR)
		return error_set(&s->dev.error, EPROTO, VFIO_E_VERSION, VFIO_BY_SERVER, NULL,
				 "greeting the server: it answers with version %u.%u to our %u.%u",
				 v.major, v.minor, WIRE_MAJOR, WIRE_MINOR);
	if (wire_caps_parse(&s->link.caps, reply + sizeof(v), x.reply_len - sizeof(v), &why) < 0)
		return error_set(&s->dev.error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "greeting the server: %s", why);
	return 0;
}

static int start(struct sock *s)
{
	int r = socket_backend.set_timeout(&s->dev, s->link.timeout_ms);

	if (r == 0)
		r = greet(s);
	return r < 0 ? r : get_info(s);
}

static int check_socket(int fd, struct vfio_error *err)
{
	socklen_t len = sizeof(int);
	int type = 0;

	errno = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM)
		return 0;
	return error_set(err, errno == EBADF ? EBADF : ENOTSOCK, VFIO_E_NAME, VFIO_BY_LIBRARY,
			 "pass a connected AF_UNIX stream socket, or a node of VFIO's",
			 "descriptor %d is not %s", fd, errno == EBADF ? "open" : "a stream socket");
}

/* The link works on a copy, so that the caller's descriptor is still the caller's if this fails. */
int socket_open_fd(struct vfio_dev **dev, int fd, struct vfio_error *err)
{
	struct sock *s;
	int copy, r = check_socket(fd, err);

	*dev = NULL;
	if (r < 0)
		return r;
	copy = fd_copy(fd);
	s = calloc(1, sizeof(*s));
	if (copy < 0 || !s || link_init(&s->link, copy, &s->space, &s->dev.error) < 0) {
		r = copy < 0 ? -copy : ENOMEM;
		free(s);
		fd_close(&copy);
		return error_system(err, r, "opening a device");
	}
	s->dev.backend = &socket_backend;
	for (uint32_t i = 0; i < MAX_REGIONS; i++)
		s->regions[i].fd = -1;
	space_init(&s->space);
	space_limit(&s->space, UINT64_MAX, UINT64_MAX);	/* the server has its own */
	s->space.careful = true;
	r = start(s);
	if (r < 0) {
		if (err)
			*err = s->dev.error;
		socket_backend.close(&s->dev);
		return r;
	}
	close(fd);
	*dev = &s->dev;
	return 0;
}

static int cannot_connect(const char *path, int err, struct vfio_error *e)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return error_set(e, err, VFIO_E_NO_DEVICE, VFIO_BY_KERNEL,
				 "is vfiod running, and is this its socket? lsvfio lists its devices",
				 "there is no socket at %s", path);
	case ECONNREFUSED:
		return error_set(e, err, VFIO_E_NO_LISTENER, VFIO_BY_KERNEL,
				 "start vfiod again: it has died, or this is not its socket",
				 "nobody listens at %s", path);
	case EACCES:
	case EPERM:
		return error_set(e, err, VFIO_E_PERMISSION, VFIO_BY_POLICY,
				 "ask for membership of the socket's group; vfiod.conf(5) sets owner, "
				 "group and mode", "you may not connect to %s", path);
	case EAGAIN:
		return error_set(e, EBUSY, VFIO_E_CROWDED, VFIO_BY_KERNEL, "try again",
				 "too many clients are waiting at %s", path);
	}
	return error_system(e, err, "connecting to %s", path);
}

static int set_nonblocking(int fd, bool on)
{
	return fcntl(fd, F_SETFL, on ? O_NONBLOCK : 0) < 0 ? -errno : 0;
}

/* A connected socket, or a negative errno. */
static int connect_path(const char *path, struct vfio_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, r;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "write unix:/path/to/socket, with at most 107 characters of path",
				 "the socket path '%.120s' is empty or too long", path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_system(err, errno, "making a socket");
	/* A backlog that is full must not block us: connect without waiting, then be patient. */
	r = set_nonblocking(fd, true);
	if (r == 0 && connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		r = cannot_connect(path, errno, err);
	if (r == 0)
		r = set_nonblocking(fd, false);
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int socket_open_path(struct vfio_dev **dev, const char *path, struct vfio_error *err)
{
	int r, fd = connect_path(path, err);

	*dev = NULL;
	if (fd < 0)
		return fd;
	r = socket_open_fd(dev, fd, err);
	if (r == 0) {
		((struct sock *)*dev)->path = strdup(path);
		return 0;
	}
	close(fd);
	if (err && err->code == VFIO_E_BUSY)
		error_set(err, -r, VFIO_E_BUSY, VFIO_BY_SERVER,
			  "wait until its client has gone; lsvfio shows who that is",
			  "the device at %s has a client already", path);
	return r;
}

int socket_reconnect(struct sock *s)
{
	struct vfio_error *err = &s->dev.error;
	unsigned int timeout_ms;
	int fd, r;

	if (!s->path)
		return error_set(err, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY,
				 "open the device by the path of its socket",
				 "the server's device cannot be put back: its path is not known");
	timeout_ms = s->link.timeout_ms;
	socket_disconnect(s);
	fd = connect_path(s->path, err);
	r = link_init(&s->link, fd, &s->space, err);
	if (r < 0 && fd >= 0)
		close(fd);
	if (fd < 0 || r < 0)
		return fd < 0 ? fd : r;
	s->link.timeout_ms = timeout_ms;
	return start(s);
}
