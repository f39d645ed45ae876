/* SPDX-License-Identifier: MIT */
/* At the sockets of others: of a device that is in use, and of vfiod itself. */
#include <errno.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "attack.h"

static void knock_and_run(struct peer *p, const char *path)
{
	for (int n = 0; n < 10; n++) {
		peer_connect(p, path);
		peer_close(p);
	}
}

/* More than vfiod has places for those whom it refuses. */
static void knock_in_silence(struct peer *p, const char *path)
{
	for (int n = 0; n < 24; n++)
		peer_connect(p, path);
	usleep(any(30000));
}

static void knock_with_noise(struct peer *p, const char *path)
{
	uint8_t bytes[256];
	int fds[8];

	for (int i = 0; i < 8; i++)
		fds[i] = new_file(PAGE);
	peer_connect(p, path);
	if (getrandom(bytes, sizeof(bytes), 0) > 0)
		peer_send(p, bytes, 1 + any(sizeof(bytes)), fds, any(9));
	usleep(any(2000));
}

/*
 * An honest user is inside, if this is a device, so that nobody else may come in. vfiod itself
 * waits for a line of JSON.
 */
static void knock_politely(struct peer *p, const char *path)
{
	const struct timeval soon = { .tv_usec = 200000 };

	peer_connect(p, path);
	setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	if (peer_hello(p) == 0)
		broken("a second client was let in at %s", path);
}

static void knock_with_half_a_message(struct peer *p, const char *path)
{
	const struct wire_header h = { .command = WIRE_VERSION, .size = 64 };

	peer_connect(p, path);
	peer_send(p, &h, 1 + any(sizeof(h) - 1), NULL, 0);
	usleep(any(2000));
}

const struct attack knocks[] = {
	{ .name = "knock and run", .run = knock_and_run },
	{ .name = "knock in silence", .run = knock_in_silence },
	{ .name = "knock with noise", .run = knock_with_noise },
	{ .name = "knock politely", .run = knock_politely },
	{ .name = "knock with half a message", .run = knock_with_half_a_message },
	{ .name = NULL },
};
