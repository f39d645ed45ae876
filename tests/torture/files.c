/* SPDX-License-Identifier: MIT */
/* Memory files that change, or are not what they seem, while a device uses them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attack.h"

#define SIZE MIB		/* of a file that is played with */
#define ROUNDS 60

static int make_file(unsigned int flags, uint64_t size)
{
	int fd = memfd_create("torture", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd >= 0 && ftruncate(fd, size) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int new_file(uint64_t size)
{
	int fd = make_file(0, size);

	if (fd < 0)
		_exit(ENDS_WELL);	/* the attacker is out of descriptors */
	return fd;
}

int new_sealed_file(uint64_t size)
{
	int fd = new_file(size);

	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	return fd;
}

/* ---- changing under use ------------------------------------------------------------------- */

static void punch(int fd, uint64_t at, uint64_t size)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, size) < 0)
		sched_yield();
}

/* What is refused by a seal does not matter. */
static void resize(int fd, uint64_t size)
{
	if (ftruncate(fd, size) < 0)
		sched_yield();
}

static void *keep_changing(void *arg)
{
	int fd = *(int *)arg;

	seed_any(getpid());
	for (;;) {
		switch (any(4)) {
		case 0:
			resize(fd, 0);
			break;
		case 1:
			resize(fd, any(SIZE));
			break;
		case 2:
			punch(fd, 0, SIZE);
			break;
		default:
			punch(fd, any(SIZE / PAGE) * PAGE, PAGE);
		}
		usleep(any(50));
		resize(fd, SIZE);
	}
	return NULL;
}

/* Use the file in every way while another thread changes it. */
static void use_while_it_changes(struct peer *p, int fd)
{
	const uint64_t commands[] = { MILL_COPY, MILL_IN_PLACE, MILL_STAMP, MILL_REST };
	pthread_t thread;

	peer_map(p, 0, SIZE, 0, RW, fd);
	peer_map(p, SIZE, SIZE, 0, RW, fd);
	if (pthread_create(&thread, NULL, keep_changing, &fd))
		return;
	for (int n = 0; n < ROUNDS; n++) {
		uint64_t len = 1 + any(SIZE / 2);

		peer_mill(p, commands[any(4)], any(SIZE / 2), SIZE + any(SIZE / 2), len);
		if (n % 8 == 0) {
			peer_unmap(p, SIZE, SIZE);
			peer_map(p, SIZE, any(2) ? SIZE : SIZE / 2, any(2) * SIZE / 2, RW, fd);
		}
	}
}

static void truncate_in_use(struct peer *p, const char *path)
{
	int fd;

	peer_open(p, path);
	fd = new_file(SIZE);
	use_while_it_changes(p, fd);
}

/* Sealed against shrinking, so that the device uses it in place; holes can be punched. */
static void punch_in_use(struct peer *p, const char *path)
{
	int fd;

	peer_open(p, path);
	fd = new_sealed_file(SIZE);
	use_while_it_changes(p, fd);
}

/* A file with a name, on tmpfs. */
static void truncate_named(struct peer *p, const char *path)
{
	int fd;

	peer_open(p, path);
	fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		_exit(ENDS_WELL);
	use_while_it_changes(p, fd);
}

/* The seal comes after the map, or between two. */
static void seal_in_use(struct peer *p, const char *path)
{
	const int seals[] = {
		F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL,
	};
	int fd;

	peer_open(p, path);
	fd = new_file(SIZE);
	for (int n = 0; n < 10; n++) {
		peer_map(p, n * SIZE, SIZE, 0, 1 + any(3), fd);
		fcntl(fd, F_ADD_SEALS, seals[any(5)]);
		peer_mill(p, 1 + any(2), any(n + 1) * SIZE, any(n + 1) * SIZE, 1 + any(SIZE));
		if (any(2))
			resize(fd, any(SIZE));
	}
}

/*
 * Huge pages, of which there may be none: whether such a file is taken as memory is vfiod's
 * affair, and using it when its pages are gone must be an error, sealed or not.
 */
static void huge_in_use(struct peer *p, const char *path)
{
	uint64_t size = 4 * MIB;
	int fd;

	peer_open(p, path);
	fd = make_file(MFD_HUGETLB, size);
	if (fd < 0)
		return;
	if (any(2))
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	peer_map(p, 0, size, 0, RW, fd);
	peer_map(p, size, size / 2, size / 2, RW, fd);
	for (int n = 0; n < 20; n++) {
		peer_mill(p, 1 + any(3), any(size / 2), any(size / 2), 1 + any(MIB));
		punch(fd, any(2) * size / 2, size / 2);
		resize(fd, any(3) * size / 2);
		resize(fd, size);
	}
}

/* ---- what a descriptor does not allow ------------------------------------------------------ */

static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static void must_not_map(struct peer *p, int fd, uint32_t prot, const char *what)
{
	if (fd >= 0 && peer_map(p, 0, PAGE, 0, prot, fd) == 0)
		broken("%s was mapped for directions %u", what, prot);
}

static void wrong_direction(struct peer *p, const char *path)
{
	int fd, sealed;

	peer_open(p, path);
	fd = new_file(SIZE);
	must_not_map(p, reopen(fd, O_RDONLY), RW, "a file that is open for reading");
	must_not_map(p, reopen(fd, O_RDONLY), WRITE, "a file that is open for reading");
	must_not_map(p, reopen(fd, O_WRONLY), READ, "a file that is open for writing");
	must_not_map(p, reopen(fd, O_RDWR | O_APPEND), RW, "a file that is open for appending");
	sealed = new_file(SIZE);
	fcntl(sealed, F_ADD_SEALS, any(2) ? F_SEAL_WRITE : F_SEAL_FUTURE_WRITE);
	must_not_map(p, sealed, RW, "a file that is sealed against writing");
	peer_map(p, 0, SIZE, 0, READ, sealed);
	peer_map(p, SIZE, SIZE, 0, RW, fd);
	if (peer_mill(p, MILL_COPY, SIZE, 0, PAGE) != EFAULT)
		broken("the device wrote memory that it may only read");
}

const struct attack files[] = {
	{ .name = "truncate in use", .run = truncate_in_use },
	{ .name = "truncate on tmpfs", .run = truncate_named },
	{ .name = "punch in use", .run = punch_in_use },
	{ .name = "seal in use", .run = seal_in_use },
	{ .name = "huge pages in use", .run = huge_in_use },
	{ .name = "wrong direction", .run = wrong_direction },
	{ .name = NULL },
};
