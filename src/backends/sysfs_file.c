/* SPDX-License-Identifier: MIT */
#include "backends/sysfs_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int sysfs_open_file(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

int sysfs_read_bytes(int folder, const char *name, uint64_t offset, void *buf, size_t len)
{
	int fd = sysfs_open_file(folder, name), r = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = pread(fd, buf, len, (off_t)offset);
	if (n < 0)
		r = -errno;
	else if ((size_t)n < len)
		r = -ENODATA;
	close(fd);
	return r;
}

ssize_t sysfs_read_text(int folder, const char *name, char *text, size_t size)
{
	int fd = sysfs_open_file(folder, name);
	ssize_t n = 0, done = 0;

	*text = '\0';
	if (fd < 0)
		return fd;
	while ((size_t)done < size - 1 && (n = read(fd, text + done, size - 1 - done)) > 0)
		done += n;
	if (n < 0) {
		n = -errno;
		done = 0;
	}
	text[done] = '\0';
	close(fd);
	return n < 0 ? n : done;
}

bool sysfs_is_off(int folder)
{
	char state[16];

	return sysfs_read_text(folder, "power_state", state, sizeof(state)) > 0 &&
	       strcmp(state, "D3cold\n") == 0;
}
