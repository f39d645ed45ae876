/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

int file_open(struct file *file, struct program *program, const char *path, uint64_t *size)
{
	static const char remedy[] = "name a regular file that may be read";
	struct stat st;

	/* Opening a named pipe would otherwise wait for somebody to write to it. */
	file_use(file, program, path, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
	if (file->fd < 0 || fstat(file->fd, &st) < 0)
		return file_error(program, "reading", path, remedy);
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		return file_error(program, "reading", path, remedy);
	}
	*size = (uint64_t)st.st_size;
	return 0;
}

void file_use(struct file *file, struct program *program, const char *path, int fd)
{
	*file = (struct file){ .program = program, .path = path, .fd = fd };
}

void file_close(struct file *file)
{
	if (file->fd > STDERR_FILENO)
		close(file->fd);
	free(file->buffer);
	*file = (struct file){ .fd = -1 };
}

/* A system call was interrupted: by a signal that ends the program? */
static int interrupted(struct file *file)
{
	return check_stop(file->program, "the rest was not done");
}

int64_t file_read(void *arg, void *data, size_t len)
{
	struct file *file = arg;
	size_t have = 0;

	while (have < len) {
		ssize_t n = read(file->fd, (uint8_t *)data + have, len - have);

		if (n == 0)
			break;
		if (n < 0 && errno == EINTR) {
			int ret = interrupted(file);

			if (ret < 0)
				return ret;
			continue;
		}
		if (n < 0)
			return file_error(file->program, "reading", file->path, "");
		have += (size_t)n;
	}
	file->at += have;
	return (int64_t)have;
}

int file_write(void *arg, const void *data, size_t len)
{
	struct file *file = arg;

	for (size_t done = 0; done < len;) {
		ssize_t n = write(file->fd, (const uint8_t *)data + done, len - done);

		if (n < 0 && errno == EINTR) {
			int ret = interrupted(file);

			if (ret < 0)
				return ret;
			continue;
		}
		if (n < 0)
			return file_error(file->program, "writing to", file->path,
					  "make room for it, or name a file somewhere else");
		done += (size_t)n;
	}
	file->at += len;
	return 0;
}

/* Fill the buffer with len bytes of the file, from where it is. */
static int read_again(struct file *file, size_t len)
{
	uint8_t *larger = realloc(file->buffer, len);

	if (larger)
		file->buffer = larger;
	for (size_t have = 0; larger && have < len;) {
		ssize_t n = pread(file->fd, larger + have, len - have, (off_t)(file->at + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENODATA;
		if (n <= 0)
			return file_error(file->program, "reading again", file->path,
					  "the file must not change meanwhile");
		have += (size_t)n;
	}
	if (larger)
		return 0;
	errno = ENOMEM;
	return file_error(file->program, "reading again", file->path, "");
}

int file_compare(void *arg, const void *data, size_t len)
{
	struct file *file = arg;
	const uint8_t *disk = data, *here;
	size_t i = 0;
	int ret = read_again(file, len);

	if (ret < 0)
		return ret;
	here = file->buffer;
	while (i < len && disk[i] == here[i])
		i++;
	file->at += i;
	if (i == len)
		return 0;
	argument_error(file->program, EILSEQ,
		       "the disk lost what it said was written, or somebody else wrote: copy again",
		       "byte %" PRIu64 " of '%s' is 0x%02x, and 0x%02x on the disk", file->at,
		       file->path, here[i], disk[i]);
	file->program->error.code = VFIO_E_DEVICE;
	file->program->error.who = VFIO_BY_MODEL;
	return -EILSEQ;
}
