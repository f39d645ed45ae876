/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32.h"
#include "output.h"

int file_error(struct vfio_error *err, const char *doing, const char *path, const char *remedy)
{
	*err = (struct vfio_error){ .err = errno, .code = VFIO_E_SYSTEM, .who = VFIO_BY_KERNEL };
	snprintf(err->what, sizeof(err->what), "%s '%s'", doing, path);
	snprintf(err->remedy, sizeof(err->remedy), "%s", remedy);
	return -err->err;
}

/* The last part of a path, which may be empty. */
static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The permissions that a new file gets from this process. */
static mode_t default_mode(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

/* May a file be put under that name? If there is one now, *mode gets its permissions. */
static int check_place(const char *path, mode_t *mode, struct vfio_error *err)
{
	struct stat st;

	if (!*last_part(path)) {
		errno = EISDIR;
	} else if (stat(path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
	} else if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
	} else if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
	} else if (access(path, W_OK) == 0) {
		*mode = st.st_mode & 0777;
		return 0;
	}
	return file_error(err, "writing to", path,
			  "name a new file, or a regular file that may be written");
}

int output_open(struct output *out, const char *path, struct vfio_error *err)
{
	mode_t mode = default_mode();
	int ret;

	*out = (struct output){ .path = path, .fd = -1 };
	ret = check_place(path, &mode, err);
	if (ret < 0)
		return ret;
	if (asprintf(&out->part, "%.*s.edu-copy-XXXXXX", (int)(last_part(path) - path), path) < 0) {
		out->part = NULL;
		errno = ENOMEM;
		return file_error(err, "writing to", path, "");
	}
	out->fd = mkostemp(out->part, O_CLOEXEC);
	if (out->fd < 0) {
		ret = file_error(err, "creating a file beside", path,
				 "name a file in a directory that exists and may be written");
		free(out->part);
		out->part = NULL;
		return ret;
	}
	if (fchmod(out->fd, mode) < 0)
		return file_error(err, "setting the permissions of", out->part, "");
	return 0;
}

int output_write(struct output *out, const void *data, size_t len, struct vfio_error *err)
{
	const uint8_t *from = data;

	while (len) {
		ssize_t n = write(out->fd, from, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_error(err, "writing to", out->path,
					  "make room for it, or name a file somewhere else");
		from += n;
		len -= (size_t)n;
	}
	return 0;
}

int output_verify(struct output *out, uint32_t *crc, struct vfio_error *err)
{
	uint8_t piece[65536];
	off_t at = 0;
	ssize_t n;

	if (fsync(out->fd) < 0)
		return file_error(err, "bringing to the disk", out->path,
				  "make room for it, or name a file somewhere else");
	/* Let go of the pages in memory, so that the disk is asked. */
	posix_fadvise(out->fd, 0, 0, POSIX_FADV_DONTNEED);
	*crc = 0;
	while ((n = pread(out->fd, piece, sizeof(piece), at)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_error(err, "reading back", out->path, "");
		*crc = crc32_add(*crc, piece, (size_t)n);
		at += n;
	}
	return 0;
}

int output_keep(struct output *out, struct vfio_error *err)
{
	if (rename(out->part, out->path) < 0)
		return file_error(err, "giving the finished file the name", out->path,
				  "name a file in a directory where you may replace files");
	free(out->part);
	out->part = NULL;
	return 0;
}

void output_close(struct output *out)
{
	if (out->fd >= 0)
		close(out->fd);
	if (out->part)
		unlink(out->part);
	free(out->part);
	*out = (struct output){ .fd = -1 };
}
