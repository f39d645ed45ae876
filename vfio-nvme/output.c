/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

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
static int check_place(struct program *program, const char *path, mode_t *mode)
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
	return file_error(program, "writing to", path,
			  "name a new file, or a regular file that may be written");
}

int output_open(struct program *program, struct output *out, const char *path)
{
	mode_t mode = default_mode();
	int ret;

	*out = (struct output){ .path = path, .fd = -1 };
	ret = check_place(program, path, &mode);
	if (ret < 0)
		return ret;
	if (asprintf(&out->part, "%.*s.vfio-nvme-XXXXXX", (int)(last_part(path) - path),
		     path) < 0) {
		out->part = NULL;
		errno = ENOMEM;
		return file_error(program, "writing to", path, "");
	}
	out->fd = mkostemp(out->part, O_CLOEXEC);
	if (out->fd < 0) {
		ret = file_error(program, "creating a file beside", path,
				 "name a file in a directory that exists and may be written");
		free(out->part);
		out->part = NULL;
		return ret;
	}
	if (fchmod(out->fd, mode) < 0)
		return file_error(program, "setting the permissions of", out->part, "");
	return 0;
}

int output_keep(struct program *program, struct output *out)
{
	if (fsync(out->fd) < 0)
		return file_error(program, "bringing to its disk", out->path,
				  "make room for it, or name a file somewhere else");
	if (rename(out->part, out->path) < 0)
		return file_error(program, "giving the finished file the name", out->path,
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
