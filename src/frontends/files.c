/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of memory that is mapped in a shared address space. Callers may close theirs once it
 * is mapped; a device that is attached later needs one all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "frontends/space.h"

struct kept_file {
	dev_t dev;
	ino_t ino;
	int access;		/* O_RDONLY, O_RDWR, … */
	int fd;
	size_t refs;
};

static int compare(const void *left, const void *right)
{
	const struct kept_file *a = left, *b = right;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->ino != b->ino)
		return a->ino < b->ino ? -1 : 1;
	return a->access - b->access;
}

static struct kept_file *file_new(void **files, const struct kept_file *wanted, int fd)
{
	struct kept_file *f = malloc(sizeof(*f));

	if (!f)
		return NULL;
	*f = *wanted;
	f->fd = fd_copy(fd);
	if (f->fd >= 0 && tsearch(f, files, compare))
		return f;
	fd_close(&f->fd);
	free(f);
	return NULL;
}

struct kept_file *file_keep(void **files, int fd)
{
	struct kept_file wanted = { .access = fcntl(fd, F_GETFL) & O_ACCMODE, .refs = 1 };
	struct kept_file **found;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	wanted.dev = st.st_dev;
	wanted.ino = st.st_ino;
	found = tfind(&wanted, files, compare);
	if (!found)
		return file_new(files, &wanted, fd);
	(*found)->refs++;
	return *found;
}

void file_drop(void **files, struct kept_file *f)
{
	if (!f || --f->refs)
		return;
	tdelete(f, files, compare);
	fd_close(&f->fd);
	free(f);
}

int file_fd(const struct kept_file *f)
{
	return f->fd;
}
