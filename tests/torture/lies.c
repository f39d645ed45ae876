/* SPDX-License-Identifier: MIT */
/* Maps of what is not there, and descriptors of what is no memory. None may be believed. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "attack.h"

#define TOP (UINT64_MAX - PAGE + 1)	/* the last page */

/* ---- ranges ------------------------------------------------------------------------------- */

/* Of a file of 4 pages, where [16, 20) pages are mapped. */
static const struct wire_dma_map ranges[] = {
	{ .size = 5 * PAGE },				/* past the end of the file */
	{ .size = PAGE, .offset = 4 * PAGE },
	{ .size = 4 * PAGE, .offset = PAGE },
	{ .size = PAGE, .offset = TOP },		/* the sum wraps */
	{ .size = 2 * PAGE, .offset = TOP },
	{ .size = TOP, .offset = PAGE },
	{ .size = 1ull << 63, .offset = 1ull << 63 },
	{ .size = 1ull << 62 },
	{ .iova = TOP, .size = 2 * PAGE },		/* the IOVA wraps */
	{ .iova = PAGE, .size = TOP },
	{ .iova = 1ull << 63, .size = 1ull << 63 | PAGE },
	{ .iova = 1, .size = PAGE },			/* not aligned */
	{ .size = PAGE + 1 },
	{ .size = PAGE, .offset = 1 },
	{ .size = 0 },
	{ .iova = 16 * PAGE, .size = PAGE },		/* overlaps */
	{ .iova = 15 * PAGE, .size = 2 * PAGE },
	{ .iova = 19 * PAGE, .size = 4 * PAGE },
	{ .iova = 15 * PAGE, .size = 4 * PAGE, .offset = 0 },
};

static const struct { uint64_t iova, size; } cuts[] = {
	{ 16 * PAGE, PAGE }, { 17 * PAGE, PAGE }, { 19 * PAGE, PAGE }, { 15 * PAGE, 2 * PAGE },
	{ 0, 18 * PAGE }, { 19 * PAGE, TOP - 19 * PAGE }, { 0, 0 }, { 1, PAGE }, { 2 * PAGE, TOP },
};

static void wrong_ranges(struct peer *p, const char *path)
{
	uint8_t word[8] = "is here";
	int fd;

	peer_open(p, path);
	fd = any(2) ? new_file(4 * PAGE) : new_sealed_file(4 * PAGE);
	if (pwrite(fd, word, sizeof(word), PAGE) != sizeof(word) ||
	    peer_map(p, 16 * PAGE, 4 * PAGE, 0, RW, fd))
		broken("a good map was refused");
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		const struct wire_dma_map *r = &ranges[i];

		if (peer_map(p, r->iova, r->size, r->offset, RW, fd) == 0)
			broken("range %zu was mapped", i);
	}
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		if (peer_unmap(p, cuts[i].iova, cuts[i].size) == 0)
			broken("unmap %zu was done, which cuts a map", i);
	if (peer_mill(p, MILL_COPY, 17 * PAGE, 16 * PAGE, 8) || pread(fd, word, 8, 0) != 8 ||
	    memcmp(word, "is here", 8) != 0)
		broken("lies have harmed the map that was there");
}

/* The device is told to leave the map: at its ends, over a hole, against its direction. */
static void wrong_accesses(struct peer *p, const char *path)
{
	const bool sealed = any(2);
	const uint64_t command = sealed ? MILL_IN_PLACE : MILL_COPY;
	int fd;

	peer_open(p, path);
	fd = sealed ? new_sealed_file(4 * PAGE) : new_file(4 * PAGE);
	peer_map(p, 16 * PAGE, PAGE, 0, RW, fd);
	peer_map(p, 18 * PAGE, PAGE, PAGE, READ, fd);
	peer_map(p, 20 * PAGE, PAGE, 2 * PAGE, WRITE, fd);
	peer_map(p, TOP - PAGE, PAGE, 3 * PAGE, RW, fd);
	if (peer_mill(p, command, 16 * PAGE - 1, 16 * PAGE, 2) != EFAULT ||
	    peer_mill(p, command, 17 * PAGE - 1, 16 * PAGE, 2) != EFAULT ||
	    peer_mill(p, command, 17 * PAGE, 16 * PAGE, 1) != EFAULT ||
	    peer_mill(p, command, 16 * PAGE, 17 * PAGE - 1, 2) != EFAULT ||
	    peer_mill(p, command, 16 * PAGE, 18 * PAGE, 1) != EFAULT ||
	    peer_mill(p, command, 20 * PAGE, 16 * PAGE, 1) != EFAULT ||
	    peer_mill(p, command, TOP - 1, 16 * PAGE, 2) != EFAULT ||
	    peer_mill(p, command, UINT64_MAX, 16 * PAGE, 8) != EFAULT ||
	    peer_mill(p, command, 16 * PAGE, UINT64_MAX - 3, MIB) != EFAULT)
		broken("the device got at memory outside of a map");
}

/* ---- descriptors -------------------------------------------------------------------------- */

static int a_pipe(void)
{
	int ends[2];

	return pipe2(ends, O_CLOEXEC) < 0 ? -1 : ends[any(2)];
}

static int a_socket(void)
{
	int ends[2];

	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ? -1 : ends[0];
}

static int an_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int a_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int a_path(void)
{
	return open("/proc/self/exe", O_PATH | O_CLOEXEC);
}

static int dev_zero(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int dev_fuse(void)
{
	return open("/dev/fuse", O_RDWR | O_CLOEXEC);
}

static int a_program(void)
{
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int own_memory(void)
{
	return open("/proc/self/mem", O_RDWR | O_CLOEXEC);
}

static int a_userfaultfd(void)
{
	return syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
}

static int secret_memory(void)
{
#ifdef SYS_memfd_secret
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	return fd >= 0 && ftruncate(fd, 4 * PAGE) < 0 ? -1 : fd;
#else
	return -1;
#endif
}

static int a_timer(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int an_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int an_inotify(void)
{
	return inotify_init1(IN_CLOEXEC);
}

static int a_signalfd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int a_process(void)
{
	return pidfd_open(getpid(), 0);
}

static int an_empty_file(void)
{
	return new_file(0);
}

/* A connection whose last close waits for a peer that reads nothing. */
static int a_lingering_socket(void)
{
	const struct linger patience = { .l_onoff = 1, .l_linger = 1 };
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(addr);
	static const char bytes[65536];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(listener, (struct sockaddr *)&addr, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&addr, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, len) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &patience, sizeof(patience)) < 0)
		return -1;
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	return fd;
}

static const struct {
	const char *what;
	int (*open)(void);
} no_memory[] = {
	{ "a pipe", a_pipe },
	{ "a socket", a_socket },
	{ "an eventfd", an_eventfd },
	{ "a directory", a_directory },
	{ "an O_PATH descriptor", a_path },
	{ "/dev/zero", dev_zero },
	{ "/dev/fuse", dev_fuse },
	{ "a program's file", a_program },
	{ "/proc/self/mem", own_memory },
	{ "a userfaultfd", a_userfaultfd },
	{ "secret memory", secret_memory },
	{ "a timerfd", a_timer },
	{ "an epoll", an_epoll },
	{ "an inotify", an_inotify },
	{ "a signalfd", a_signalfd },
	{ "a pidfd", a_process },
	{ "an empty file", an_empty_file },
	{ "a lingering socket", a_lingering_socket },
};

static void wrong_descriptors(struct peer *p, const char *path)
{
	peer_open(p, path);
	for (size_t i = 0; i < sizeof(no_memory) / sizeof(no_memory[0]); i++) {
		const struct wire_dma_map q = map_of(any(16) * PAGE, PAGE, 0, 1 + any(3));
		int fd = no_memory[i].open();

		if (fd < 0)
			continue;	/* there is none on this machine */
		peer_post(p, WIRE_DMA_MAP, 0, &q, sizeof(q), &fd, 1);
		close(fd);	/* so that vfiod's is the last one */
		if (peer_reply(p) == 0)
			broken("%s was mapped as memory", no_memory[i].what);
	}
	if (peer_mill(p, MILL_COPY, 0, PAGE, 8) != EFAULT)
		broken("the device got at something that is no memory");
}

/* ---- messages ----------------------------------------------------------------------------- */

/* Headers that make sense, or nearly, with anything behind them. */
static void noise(struct peer *p, const char *path)
{
	uint8_t body[512];
	int fd;

	peer_open(p, path);
	fd = new_file(PAGE);
	for (int n = 0; n < 50; n++) {
		struct wire_header h = {
			.id = any(1 << 16), .command = any(20), .flags = any(4) ? 0 : any(64),
			.size = sizeof(h) + any(sizeof(body)),
		};

		if (getrandom(body, sizeof(body), 0) < 0)
			return;
		memset(body, 0, any(sizeof(body)));
		peer_send(p, &h, sizeof(h), &fd, any(2));
		peer_send(p, body, h.size - sizeof(h), NULL, 0);
	}
	if (getrandom(body, sizeof(body), 0) > 0)
		peer_send(p, body, sizeof(body), NULL, 0);
}

const struct attack lies[] = {
	{ .name = "wrong ranges", .run = wrong_ranges },
	{ .name = "wrong accesses", .run = wrong_accesses },
	{ .name = "wrong descriptors", .run = wrong_descriptors },
	{ .name = "noise", .run = noise },
	{ .name = NULL },
};
