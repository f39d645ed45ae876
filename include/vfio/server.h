/* SPDX-License-Identifier: MIT */
/*
 * Serve a device to other processes over the vfio-user protocol.
 *
 * A server owns no thread and no loop: it has one descriptor to poll and one call to make when that
 * is readable. It serves one client at a time; others are refused at once with EBUSY. When a client
 * goes, however it goes, its interrupts, memory and registers are gone before the next one is
 * served. A hostile client can lose its own connection, and do nothing else, save one: a
 * descriptor that it passes can make its last close wait. A program that serves strangers has a
 * timer signal against that, as vfiod does (SECURITY.md).
 */
#ifndef VFIO_SERVER_H
#define VFIO_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <vfio/driver.h>
#include <vfio/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vfio_server;

/* Who is at the other end, by the kernel's word (SO_PEERCRED, at the time of connect). */
struct vfio_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int fd;			/* the connection, for SO_PEERGROUPS and the like; not to be read */
};

enum vfio_log_level {		/* the values of <syslog.h> */
	VFIO_LOG_ERROR = 3,
	VFIO_LOG_WARNING = 4,
	VFIO_LOG_NOTICE = 5,
	VFIO_LOG_INFO = 6,
};

struct vfio_server_options {
	size_t size;			/* sizeof(struct vfio_server_options) */
	void *arg;			/* first argument of the callbacks */
	/* One line without newline for each thing worth knowing. NULL: silence. */
	void (*log)(void *arg, enum vfio_log_level level, const char *line);
	/*
	 * May this peer be a client? If not, put the reason into reason. NULL: anybody who can
	 * connect.
	 */
	bool (*admit)(void *arg, const struct vfio_peer *peer, char *reason, size_t size);
	/* A client has come (peer) or gone (NULL). May be NULL. */
	void (*client)(void *arg, const struct vfio_peer *peer);
	/*
	 * Milliseconds that a client gets to say hello, to finish a message that it began, to
	 * take a reply, and to answer a request for its memory. 0: 5000.
	 */
	unsigned int timeout_ms;
	/*
	 * The program handles SIGBUS, by vfio_server_mend(). Then every memory file of a client's is
	 * used in place, also one that the client could cut off, or of huge pages. Without it, only
	 * sealed ones are; the bytes of others are copied by system calls.
	 */
	bool mends;
};

/*
 * Make a server for a device, which may be of any back end. The handle belongs to the server from
 * then on (vfio_server_free() closes it); on failure it still belongs to the caller. options may be
 * NULL.
 */
int vfio_server_new(struct vfio_server **server, struct vfio_dev *dev,
		    const struct vfio_server_options *options, struct vfio_error *err);

/*
 * Close the connection and the device. The socket's path is removed if vfio_server_listen() made
 * it. Accepts NULL.
 */
void vfio_server_free(struct vfio_server *server);

/*
 * Make a socket at path (mode 0600 after umask) and listen on it. A dead server's socket there is
 * replaced; a live one's is -EADDRINUSE.
 */
int vfio_server_listen(struct vfio_server *server, const char *path, struct vfio_error *err);

/*
 * Accept clients from a listening socket that somebody else made. The server owns fd from then on.
 */
int vfio_server_add_listener(struct vfio_server *server, int fd);

/*
 * Serve a socket that is connected already. The server owns fd from then on, success or not. -EBUSY
 * when it has a client.
 */
int vfio_server_add_client(struct vfio_server *server, int fd);

/*
 * Let the server's loop watch a descriptor of the caller's for POLLIN: callback runs from
 * vfio_server_dispatch(), also while the server waits for its client. One callback for each fd;
 * NULL takes it out again.
 */
int vfio_server_watch(struct vfio_server *server, int fd, void (*callback)(void *arg, int fd),
		      void *arg);

/* Readable when vfio_server_dispatch() has something to do. */
int vfio_server_fd(const struct vfio_server *server);

/*
 * Do what can be done, after waiting up to timeout_ms for it (0: no wait, -1: for ever). 0, or a
 * negative errno when the server is broken.
 */
int vfio_server_dispatch(struct vfio_server *server, int timeout_ms);

/* Dispatch until vfio_server_stop(). */
int vfio_server_run(struct vfio_server *server);

/*
 * Make vfio_server_run() return after the present message; the next one, if it is not running now.
 * May be called from any thread and from a signal handler.
 */
void vfio_server_stop(struct vfio_server *server);

/*
 * To be called by the program's handler of SIGBUS, with si_addr, in any thread: true when a client
 * has cut off a file under its DMA memory there. Touching it again will do, then, and finds zeros; the
 * client gets no further access to the file, and a fault (-EIO). False: it is something else, and
 * the handler does as it would without.
 */
bool vfio_server_mend(struct vfio_server *server, const void *addr);

/* The device that is served, to look at it from a callback. Do not close it. */
struct vfio_dev *vfio_server_device(struct vfio_server *server);

/* Is there a client now? Fills *peer, unless it is NULL. */
bool vfio_server_client(const struct vfio_server *server, struct vfio_peer *peer);

#ifdef __cplusplus
}
#endif
#endif
