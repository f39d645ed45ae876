/* SPDX-License-Identifier: MIT */
/*
 * Files of sysfs, or of a copy of it that somebody made: nothing is waited for, no more is read
 * than there is room for, and what is not as it should be is as if it were not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lsvfio.h"

static int open_regular(int dir, const char *name, struct stat *st)
{
	/* O_NONBLOCK: opening a named pipe returns at once, and the check below refuses it. */
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

ssize_t sysfs_read(int dir, const char *name, void *buf, size_t size, uint64_t *whole)
{
	struct stat st;
	size_t done = 0;
	ssize_t n = 0;
	int fd = open_regular(dir, name, &st);

	if (fd < 0)
		return fd;
	while (done < size && (n = read(fd, (char *)buf + done, size - done)) > 0)
		done += (size_t)n;
	if (n < 0)
		n = -errno;
	close(fd);
	if (whole)
		*whole = (uint64_t)st.st_size;
	return n < 0 ? n : (ssize_t)done;
}

bool sysfs_number(int dir, const char *name, uint32_t max, uint32_t *value)
{
	char text[32], *end;
	ssize_t n = sysfs_read(dir, name, text, sizeof(text) - 1, NULL);
	unsigned long number;

	if (n < 3)
		return false;
	text[n] = '\0';
	if (text[0] != '0' || text[1] != 'x')
		return false;
	errno = 0;
	number = strtoul(text, &end, 16);
	if (errno || end != text + strcspn(text, "\n") || number > max)
		return false;
	*value = (uint32_t)number;
	return true;
}

int sysfs_write(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	char *line = memory_printf("%s\n", text);
	ssize_t len = (ssize_t)strlen(line), n = -1;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = write(fd, line, (size_t)len);
	else if (fd >= 0)
		errno = EINVAL;
	if (n >= 0 && n < len)
		errno = EIO;
	free(line);
	if (fd >= 0) {
		int e = errno;

		close(fd);
		errno = e;
	}
	return n == len ? 0 : -errno;
}

char *sysfs_link(int dir, const char *name)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
	const char *last;

	if (n <= 0)
		return NULL;
	target[n] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	return *last ? text_clean(last, strlen(last)) : NULL;
}
