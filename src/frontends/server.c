/* SPDX-License-Identifier: MIT */
#include "frontends/server.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/export.h"

#define DEFAULT_TIMEOUT_MS 5000
#define PAUSE_MS 200

void server_log(struct vfio_server *s, enum vfio_log_level level, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!s->options.log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	s->options.log(s->options.arg, level, line);
}

/* ---- the loop ----------------------------------------------------------------------------- */

/* Watch fd, which the source owns from then on, success or not. */
int server_add(struct vfio_server *s, struct source *source, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = source };

	source->fd = fd;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
		int r = -errno;

		fd_close(&source->fd);
		return r;
	}
	return 0;
}

void server_remove(struct vfio_server *s, struct source *source)
{
	/* Others may hold the same file: closing alone would leave it in the epoll set. */
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	fd_close(&source->fd);
}

/* One event, since what it does may take the sources of others away. */
int server_wait(struct vfio_server *s, int timeout_ms)
{
	struct epoll_event e;
	int n = epoll_wait(s->epoll, &e, 1, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 1) {
		struct source *source = e.data.ptr;

		source->ready(s, source, e.events);
	}
	return 0;
}

/* Be woken at a deadline, if not before. */
void server_wake_at(struct vfio_server *s, int64_t deadline)
{
	struct itimerspec now, want = {
		.it_value = { .tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000 },
	};
	int left = clock_left(deadline);

	if (timerfd_gettime(s->timer.fd, &now) == 0 &&
	    (now.it_value.tv_sec || now.it_value.tv_nsec) &&
	    now.it_value.tv_sec * 1000 + now.it_value.tv_nsec / 1000000 <= left)
		return;		/* it is set to an earlier one, and will come back here */
	timerfd_settime(s->timer.fd, TFD_TIMER_ABSTIME, &want, NULL);
}

/* ---- the device --------------------------------------------------------------------------- */

static void device_ready(struct vfio_server *s, struct source *source, uint32_t events)
{
	int r = s->dev->backend->dispatch(s->dev);

	if (r < 0)
		s->broken = r;
}

/* A copy is watched: the device may have closed its own by the time that it is to be taken out. */
void server_watch_device(struct vfio_server *s)
{
	int fd = s->dev->backend->poll_fd(s->dev);

	if (s->device.fd >= 0)
		server_remove(s, &s->device);
	fd = fd >= 0 ? fd_copy(fd) : -1;
	if (fd >= 0 && server_add(s, &s->device, fd, EPOLLIN) < 0)
		server_log(s, VFIO_LOG_WARNING, "the device's events cannot be watched");
}

/* While it waits for its client's memory in the middle of something, it is not called again. */
void server_hush_device(struct vfio_server *s, bool hush)
{
	struct epoll_event e = { .events = hush ? 0 : EPOLLIN, .data.ptr = &s->device };

	if (s->device.fd >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->device.fd, &e);
}

/* ---- connections that are not wanted ------------------------------------------------------ */

static void refused_end(struct vfio_server *s, struct refused *f)
{
	server_remove(s, &f->source);
}

/* The errno is the answer to whatever comes first. */
static void refused_ready(struct vfio_server *s, struct source *source, uint32_t events)
{
	struct refused *f = (struct refused *)source;
	int fds[FD_MAX_PASSED];
	size_t nfds;
	ssize_t n = fd_receive(f->source.fd, f->header + f->have, sizeof(f->header) - f->have, fds,
			       &nfds, MSG_DONTWAIT);
	struct wire_header h;

	if (n == -EAGAIN)
		return;
	fd_close_all(fds, nfds);
	if (n > 0) {
		f->have += n;
		if (f->have < sizeof(f->header))
			return;
		memcpy(&h, f->header, sizeof(h));
		h.size = sizeof(h);
		h.flags = WIRE_IS_REPLY | WIRE_ERROR;
		h.error = f->err;
		fd_send(f->source.fd, &h, sizeof(h), NULL, 0);
	}
	refused_end(s, f);
}

static void refuse(struct vfio_server *s, int fd, const struct vfio_peer *peer, int err,
		   const char *why)
{
	struct refused *f = s->refused;

	server_log(s, VFIO_LOG_WARNING, "client pid %d uid %u is refused: %s", (int)peer->pid,
		   (unsigned int)peer->uid, why);
	while (f < s->refused + MAX_REFUSED && f->source.fd >= 0)
		f++;
	if (f == s->refused + MAX_REFUSED) {
		close(fd);
		return;
	}
	f->source.ready = refused_ready;
	f->err = err;
	f->have = 0;
	f->deadline = clock_ms() + s->options.timeout_ms;
	if (server_add(s, &f->source, fd, EPOLLIN) == 0)
		server_wake_at(s, f->deadline);
}

/* ---- coming in ---------------------------------------------------------------------------- */

static void get_peer(int fd, struct vfio_peer *peer)
{
	struct ucred cred = { .pid = -1, .uid = -1, .gid = -1 };
	socklen_t len = sizeof(cred);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	*peer = (struct vfio_peer){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid, .fd = fd };
}

/* A client that has hung up is gone, though the loop has not come to it yet. */
static void reap_hung_up(struct client *c)
{
	struct pollfd p = { .fd = c->source.fd, .events = POLLRDHUP };

	if (c->source.fd < 0 || c->asking)
		return;
	if (poll(&p, 1, 0) == 1)
		client_fail(c, "it closed the connection");
	client_reap(c);
}

static int welcome(struct vfio_server *s, int fd)
{
	struct vfio_peer peer;
	char reason[160] = "not permitted";

	get_peer(fd, &peer);
	reap_hung_up(&s->client);
	if (s->options.admit && !s->options.admit(s->options.arg, &peer, reason, sizeof(reason))) {
		refuse(s, fd, &peer, EACCES, reason);
		return -EACCES;
	}
	if (s->client.source.fd >= 0) {
		snprintf(reason, sizeof(reason), "pid %d uid %u is using the device",
			 (int)s->client.peer.pid, (unsigned int)s->client.peer.uid);
		refuse(s, fd, &peer, EBUSY, reason);
		return -EBUSY;
	}
	return client_begin(&s->client, fd, &peer);
}

/* It stays ready while a client waits: do not come back for every turn of the loop. */
static void pause_listener(struct vfio_server *s)
{
	struct epoll_event e = { .data.ptr = &s->listener };

	epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener.fd, &e);
	s->resume = clock_ms() + PAUSE_MS;
	server_wake_at(s, s->resume);
}

static void resume_listener(struct vfio_server *s)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &s->listener };

	if (!s->resume)
		return;
	if (clock_ms() < s->resume) {
		server_wake_at(s, s->resume);
		return;
	}
	s->resume = 0;
	epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener.fd, &e);
}

static void listener_ready(struct vfio_server *s, struct source *source, uint32_t events)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		welcome(s, fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
		server_log(s, VFIO_LOG_WARNING, "a client cannot be accepted: %s", strerror(errno));
		pause_listener(s);
	}
}

static void timer_ready(struct vfio_server *s, struct source *source, uint32_t events)
{
	uint64_t unused;

	if (read(source->fd, &unused, sizeof(unused)) < 0)
		return;
	client_timer(&s->client);
	resume_listener(s);
	for (struct refused *f = s->refused; f < s->refused + MAX_REFUSED; f++) {
		if (f->source.fd < 0)
			continue;
		if (clock_ms() >= f->deadline)
			refused_end(s, f);
		else
			server_wake_at(s, f->deadline);
	}
}

EXPORT int vfio_server_add_client(struct vfio_server *s, int fd)
{
	return welcome(s, fd);
}

EXPORT int vfio_server_add_listener(struct vfio_server *s, int fd)
{
	if (s->listener.fd >= 0) {
		close(fd);
		return -EBUSY;
	}
	s->listener.ready = listener_ready;
	return server_add(s, &s->listener, fd, EPOLLIN);
}

/* ---- a socket of our own ------------------------------------------------------------------ */

/*
 * Remove a socket that nobody has open; -EADDRINUSE when somebody does, or when it is no socket. The
 * question is asked with a datagram socket, which cannot connect to a stream: EPROTOTYPE says that
 * there is one, and we have not become its client.
 */
static int remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, r;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? errno : 0;
	close(fd);
	if (r != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(addr->sun_path) < 0 ? -errno : 0;
}

static int make_listener(const struct sockaddr_un *addr)
{
	int fd, r = remove_stale(addr);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* The mode before bind() is the mode of the file: there is no moment of a wider one. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ||
	    listen(fd, 16) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

EXPORT int vfio_server_listen(struct vfio_server *s, const char *path, struct vfio_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	error_clear(err);
	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return error_set(err, ENAMETOOLONG, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "choose a shorter path: a socket's has at most 107 characters",
				 "the socket path '%.100s' is empty or too long", path);
	if (s->listener.fd >= 0)
		return error_set(err, EBUSY, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "the server listens already");
	strcpy(addr.sun_path, path);
	fd = make_listener(&addr);
	if (fd == -EADDRINUSE)
		return error_set(err, EADDRINUSE, VFIO_E_IN_USE, VFIO_BY_LIBRARY,
				 "stop the other server, or choose another path",
				 "%s is another server's socket, or not a socket", path);
	if (fd < 0)
		return error_system(err, -fd, "listening on %s", path);
	s->path = strdup(path);
	if (s->path && vfio_server_add_listener(s, fd) == 0)
		return 0;
	if (!s->path)
		close(fd);
	unlink(path);
	free(s->path);
	s->path = NULL;
	return error_system(err, ENOMEM, "listening on %s", path);
}

/* ---- the caller's descriptors ------------------------------------------------------------- */

static void watched_ready(struct vfio_server *s, struct source *source, uint32_t events)
{
	source->callback(source->arg, source->fd);
}

static void unwatch(struct vfio_server *s, struct source *source)
{
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	LIST_REMOVE(source, link);
	free(source);
}

EXPORT int vfio_server_watch(struct vfio_server *s, int fd, void (*callback)(void *arg, int fd),
			     void *arg)
{
	struct source *source;
	struct epoll_event e = { .events = EPOLLIN };

	LIST_FOREACH(source, &s->watched, link)
		if (source->fd == fd)
			break;
	if (!callback) {
		if (!source)
			return -ENOENT;
		unwatch(s, source);
		return 0;
	}
	if (source)
		return -EEXIST;
	source = calloc(1, sizeof(*source));
	if (!source)
		return -ENOMEM;
	*source = (struct source){
		.fd = fd, .ready = watched_ready, .callback = callback, .arg = arg,
	};
	e.data.ptr = source;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
		int r = -errno;

		free(source);
		return r;
	}
	LIST_INSERT_HEAD(&s->watched, source, link);
	return 0;
}

/* ---- life --------------------------------------------------------------------------------- */

static void stop_ready(struct vfio_server *s, struct source *source, uint32_t events)
{
	fd_take(source->fd);
	s->stopping = true;
}

static void take_options(struct vfio_server *s, const struct vfio_server_options *options)
{
	if (options) {
		size_t size = options->size < sizeof(s->options) ? options->size : sizeof(s->options);

		memcpy(&s->options, options, size);
	}
	if (!s->options.timeout_ms)
		s->options.timeout_ms = DEFAULT_TIMEOUT_MS;
}

static int set_up(struct vfio_server *s)
{
	int r = client_init(&s->client, s);

	if (r < 0)
		return r;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return -errno;
	s->timer.ready = timer_ready;
	s->stop.ready = stop_ready;
	s->device.ready = device_ready;
	r = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (r < 0 || server_add(s, &s->timer, r, EPOLLIN) < 0)
		return -errno;
	r = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r < 0 || server_add(s, &s->stop, r, EPOLLIN) < 0)
		return -errno;
	server_watch_device(s);
	return 0;
}

/* All but the device. */
static void tear_down(struct vfio_server *s)
{
	struct source *source;

	client_finish(&s->client);
	while ((source = LIST_FIRST(&s->watched)))
		unwatch(s, source);
	for (struct refused *f = s->refused; f < s->refused + MAX_REFUSED; f++)
		fd_close(&f->source.fd);
	fd_close(&s->device.fd);
	fd_close(&s->listener.fd);
	fd_close(&s->timer.fd);
	fd_close(&s->stop.fd);
	fd_close(&s->epoll);
	if (s->path)
		unlink(s->path);
	free(s->path);
	free(s);
}

EXPORT int vfio_server_new(struct vfio_server **out, struct vfio_dev *dev,
			   const struct vfio_server_options *options, struct vfio_error *err)
{
	struct vfio_server *s = calloc(1, sizeof(*s));
	int r;

	error_clear(err);
	*out = NULL;
	if (!s)
		return error_system(err, ENOMEM, "making a server");
	s->dev = dev;
	s->epoll = s->listener.fd = s->timer.fd = s->stop.fd = s->device.fd = -1;
	for (struct refused *f = s->refused; f < s->refused + MAX_REFUSED; f++)
		f->source.fd = -1;
	LIST_INIT(&s->watched);
	take_options(s, options);
	r = set_up(s);
	if (r < 0) {
		tear_down(s);
		return error_system(err, -r, "making a server");
	}
	dev->backend->distrust(dev, s->options.mends);
	*out = s;
	return 0;
}

EXPORT bool vfio_server_mend(struct vfio_server *s, const void *addr)
{
	int before = errno;		/* of what the signal has interrupted */
	bool mended = s->options.mends && s->dev->backend->mend(s->dev, addr);

	errno = before;
	return mended;
}

EXPORT void vfio_server_free(struct vfio_server *s)
{
	struct vfio_dev *dev;

	if (!s)
		return;
	dev = s->dev;
	tear_down(s);
	vfio_close(dev);
}

EXPORT int vfio_server_fd(const struct vfio_server *s)
{
	return s->epoll;
}

EXPORT int vfio_server_dispatch(struct vfio_server *s, int timeout_ms)
{
	int r = server_wait(s, timeout_ms);

	client_catch_up(&s->client);
	client_reap(&s->client);
	return s->broken ? s->broken : r;
}

EXPORT int vfio_server_run(struct vfio_server *s)
{
	int r = 0;

	while (!s->stopping && r == 0)
		r = vfio_server_dispatch(s, -1);
	s->stopping = false;
	return r;
}

EXPORT void vfio_server_stop(struct vfio_server *s)
{
	uint64_t one = 1;
	int saved = errno;

	/* A full counter says that it is stopping already. */
	if (write(s->stop.fd, &one, sizeof(one)) < 0)
		errno = saved;
}

EXPORT struct vfio_dev *vfio_server_device(struct vfio_server *s)
{
	return s->dev;
}

EXPORT bool vfio_server_client(const struct vfio_server *s, struct vfio_peer *peer)
{
	if (s->client.source.fd < 0)
		return false;
	if (peer)
		*peer = s->client.peer;
	return true;
}
