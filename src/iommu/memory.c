/* SPDX-License-Identifier: MIT */
#include "iommu/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <vfio/driver.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

struct memory_file {
	LIST_ENTRY(memory_file) link;
	dev_t dev;
	ino_t ino;
	bool solid;			/* touching the map cannot fault */
	bool writable;
	uint64_t size;			/* of the map: that of the file when it was first seen */
	uint8_t *base;			/* all of it, mapped */
	size_t refs;
};

static int not_memory(struct vfio_error *err, int fd, const char *why)
{
	return error_set(err, EINVAL, VFIO_E_DMA_MEMORY, VFIO_BY_LIBRARY,
			 "pass a memfd, or a file on tmpfs or hugetlbfs, of at least offset + size",
			 "descriptor %d cannot be DMA memory: %s", fd, why);
}

static int no_access(struct vfio_error *err, int fd, const char *why)
{
	return error_set(err, EACCES, VFIO_E_DMA_PROT, VFIO_BY_LIBRARY,
			 "open the file for the directions that the map allows",
			 "descriptor %d does not allow the map: %s", fd, why);
}

/* Does the descriptor allow what the map does? */
static int check_access(const struct dma_map *map, int seals, struct vfio_error *err)
{
	int flags = fcntl(map->fd, F_GETFL);
	bool write = map->prot & VFIO_DMA_WRITE;

	if (flags < 0)
		return error_system(err, errno, "looking at descriptor %d", map->fd);
	if (write && (flags & O_ACCMODE) == O_RDONLY)
		return no_access(err, map->fd, "it is open for reading only");
	if ((flags & O_ACCMODE) == O_WRONLY)
		return no_access(err, map->fd, "it is open for writing only");
	if (write && (flags & O_APPEND))
		return no_access(err, map->fd, "it is open for appending");
	if (write && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return no_access(err, map->fd, "it is sealed against writing");
	return 0;
}

/* Map a file that is in no list yet, as a whole. */
static int map_file(struct memory_file *f, const struct dma_map *map, struct vfio_error *err)
{
	int prot = PROT_READ | (f->writable ? PROT_WRITE : 0);

	f->base = mmap(NULL, f->size, prot, MAP_SHARED, map->fd, 0);
	if (f->base != MAP_FAILED)
		return 0;
	return error_system(err, errno, "mapping %#llx bytes of descriptor %d",
			    (unsigned long long)f->size, map->fd);
}

/* The same file, reached the same way, and of it as much as is needed. */
static bool serves(const struct memory_file *f, const struct memory_file *wanted, uint64_t end)
{
	return f->dev == wanted->dev && f->ino == wanted->ino && f->writable == wanted->writable &&
	       f->solid == wanted->solid && end <= f->size;
}

static int get_file(struct memory *m, struct memory_files *files, const struct dma_map *map,
		    const struct memory_file *wanted, struct vfio_error *err)
{
	struct memory_file *f;
	int r;

	LIST_FOREACH(f, files, link) {
		if (serves(f, wanted, map->fd_offset + map->size)) {
			f->refs++;
			m->file = f;
			return 0;
		}
	}
	f = malloc(sizeof(*f));
	if (!f)
		return error_system(err, ENOMEM, "keeping descriptor %d", map->fd);
	*f = *wanted;
	r = map_file(f, map, err);
	if (r < 0) {
		free(f);
		return r;
	}
	LIST_INSERT_HEAD(files, f, link);
	m->file = f;
	return 0;
}

static void put_file(struct memory_file *f)
{
	if (--f->refs)
		return;
	LIST_REMOVE(f, link);
	munmap(f->base, f->size);
	free(f);
}

/* A hole can be punched into huge pages, and there may be none left to fill it. */
static bool is_huge(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type == HUGETLBFS_MAGIC;
}

static int init_file(struct memory *m, struct memory_files *files, const struct dma_map *map,
		     struct vfio_error *err)
{
	int r, seals = fcntl(map->fd, F_GET_SEALS);
	struct stat st;

	/*
	 * Only memory has seals (memfd, tmpfs, hugetlbfs). A file of another kind may be served by
	 * its owner, who could keep us waiting for ever in whatever comes next; this asks no file
	 * system.
	 */
	if (seals < 0 && fcntl(map->fd, F_GETFD) < 0)
		return error_system(err, EBADF, "looking at descriptor %d", map->fd);
	if (seals < 0)
		return not_memory(err, map->fd, "it is no memory file");
	if (fstat(map->fd, &st) < 0)
		return error_system(err, errno, "looking at descriptor %d", map->fd);
	if (!S_ISREG(st.st_mode))
		return not_memory(err, map->fd, "it is no regular file");
	if (map->fd_offset % DMA_PAGE)
		return not_memory(err, map->fd, "the offset is not page aligned");
	if (!is_inside(map->fd_offset, map->size, st.st_size))
		return not_memory(err, map->fd, "offset and size reach past its end");
	r = check_access(map, seals, err);
	if (r < 0)
		return r;
	m->fd_offset = map->fd_offset;
	r = get_file(m, files, map, &(struct memory_file){
		.dev = st.st_dev, .ino = st.st_ino, .size = st.st_size, .refs = 1,
		.solid = (seals & F_SEAL_SHRINK) && !is_huge(map->fd),
		.writable = map->prot & VFIO_DMA_WRITE,
	}, err);
	if (r == 0 && m->file->solid)
		m->addr = m->file->base + map->fd_offset;
	return r;
}

int memory_init(struct memory *m, struct memory_files *files, const struct dma_map *map,
		struct vfio_error *err)
{
	*m = (struct memory){ .addr = map->vaddr };
	if (map->vaddr)
		return 0;
	if (map->fd >= 0)
		return init_file(m, files, map, err);
	m->peer = map->peer;
	return m->peer ? 0 : error_set(err, EINVAL, VFIO_E_DMA_MEMORY, VFIO_BY_LIBRARY, NULL,
				       "the map has no memory: neither an address nor a descriptor");
}

void memory_finish(struct memory *m)
{
	if (m->file)
		put_file(m->file);
}

bool memory_is_same(const struct memory *m, const struct dma_map *map)
{
	struct stat st;

	return m->file && !map->vaddr && map->fd >= 0 && m->fd_offset == map->fd_offset &&
	       fstat(map->fd, &st) == 0 && st.st_dev == m->file->dev && st.st_ino == m->file->ino;
}

/*
 * Copy as the kernel copies to and from another process: a page that is not there is an error of
 * the call, where touching it would be the end of us.
 */
static int copy_carefully(uint8_t *at, uint8_t *buf, size_t len, bool write)
{
	while (len) {
		struct iovec here = { .iov_base = buf, .iov_len = len };
		struct iovec there = { .iov_base = at, .iov_len = len };
		ssize_t n = write ? process_vm_writev(getpid(), &here, 1, &there, 1, 0)
				  : process_vm_readv(getpid(), &here, 1, &there, 1, 0);

		if (n <= 0)
			return -EIO;
		at += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int memory_copy(const struct memory *m, uint64_t offset, uint64_t iova, void *buf, size_t len,
		bool write)
{
	if (m->addr) {
		if (write)
			memcpy(m->addr + offset, buf, len);
		else
			memcpy(buf, m->addr + offset, len);
		return 0;
	}
	if (m->peer)
		return write ? m->peer->write(m->peer->arg, iova, buf, len)
			     : m->peer->read(m->peer->arg, iova, buf, len);
	return copy_carefully(m->file->base + m->fd_offset + offset, buf, len, write);
}
