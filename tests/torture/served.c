/* SPDX-License-Identifier: MIT */
/*
 * A file of a file system that the attacker serves (FUSE), where mounting one is permitted. Whoever
 * asks it for anything but to open and to close waits for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "attack.h"

#define ANSWER_ROOM 256

static void answer(int fuse, uint64_t unique, int err, const void *body, size_t len)
{
	struct {
		struct fuse_out_header head;
		uint8_t body[ANSWER_ROOM];
	} out = { .head = { .len = sizeof(out.head) + len, .error = -err, .unique = unique } };

	memcpy(out.body, body, len);
	if (write(fuse, &out, out.head.len) < 0)
		_exit(ENDS_WELL);
}

/*
 * In a process of its own, which goes when the attacker has gone: one that waits for itself to
 * close a file could not even be killed.
 */
static _Noreturn void serve(int fuse, pid_t parent)
{
	static uint8_t request[FUSE_MIN_READ_BUFFER + MIB];
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = PAGE, .max_background = 1,
	};
	const struct fuse_open_out opened = { .fh = 1 };
	struct fuse_in_header in;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent &&
	       read(fuse, request, sizeof(request)) >= (ssize_t)sizeof(in)) {
		memcpy(&in, request, sizeof(in));
		if (in.opcode == FUSE_INIT)
			answer(fuse, in.unique, 0, &init, sizeof(init));
		else if (in.opcode == FUSE_OPEN)
			answer(fuse, in.unique, 0, &opened, sizeof(opened));
		else if (in.opcode == FUSE_FLUSH)
			answer(fuse, in.unique, ENOSYS, "", 0);
	}
	_exit(ENDS_WELL);
}

/* Mount a file system that is one file over target, for this process alone. */
static bool mount_over(const char *target, int fuse)
{
	char options[96];

	snprintf(options, sizeof(options), "fd=%d,rootmode=100000,user_id=0,group_id=0,allow_other",
		 fuse);
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("torture", target, "fuse", MS_NOSUID | MS_NODEV, options) == 0;
}

static void served_file(struct peer *p, const char *path)
{
	const struct wire_dma_map q = map_of(0, PAGE, 0, READ);
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char target[128];
	pid_t self = getpid(), server;
	int fd;

	snprintf(target, sizeof(target), "%s.XXXXXX", path);
	fd = fuse < 0 ? -1 : mkostemp(target, O_CLOEXEC);
	if (fd < 0 || !mount_over(target, fuse))
		return;
	server = fork();
	if (server == 0)
		serve(fuse, self);
	close(fuse);
	if (server < 0)
		return;
	peer_open(p, path);
	for (int n = 0; n < 4; n++) {
		fd = open(target, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return;
		peer_post(p, WIRE_DMA_MAP, 0, &q, sizeof(q), &fd, 1);
		close(fd);
		if (peer_reply(p) == 0)
			broken("a file that somebody serves was mapped as memory");
	}
}

const struct attack served[] = {
	{ .name = "a file that is served", .run = served_file },
	{ .name = NULL },
};
