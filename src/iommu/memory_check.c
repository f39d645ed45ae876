/* SPDX-License-Identifier: MIT */
/* Descriptors that are to be DMA memory: are they, and do they allow what the map does? */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "iommu/memory.h"

typedef unsigned long long ull;

static const char open_it[] = "open the file for the directions that the map allows";
static const char unseal[] = "map it for reading only, or a file that is not sealed against writing";
static const char memfd[] = "pass a memfd, or a file on tmpfs or hugetlbfs";

/* Numbers of descriptors mean nothing to whoever sent them: the addresses say which map it was. */
static int refuse(const struct dma_map *map, int err, enum vfio_error_code code, const char *remedy,
		  const char *why, struct vfio_error *record)
{
	return error_set(record, err, code, VFIO_BY_LIBRARY, remedy,
			 "map of %#llx bytes at IOVA %#llx: its file %s", (ull)map->size,
			 (ull)map->iova, why);
}

static int not_memory(const struct dma_map *map, const char *why, const char *remedy,
		      struct vfio_error *err)
{
	return refuse(map, EINVAL, VFIO_E_DMA_MEMORY, remedy, why, err);
}

static int no_access(const struct dma_map *map, const char *why, const char *remedy,
		     struct vfio_error *err)
{
	return refuse(map, EACCES, VFIO_E_DMA_PROT, remedy, why, err);
}

static int cannot_look(const struct dma_map *map, int errnum, struct vfio_error *err)
{
	return error_system(err, errnum, "map of %#llx bytes at IOVA %#llx: looking at its file",
			    (ull)map->size, (ull)map->iova);
}

static int check_access(const struct dma_map *map, int seals, struct vfio_error *err)
{
	int flags = fcntl(map->fd, F_GETFL);
	bool write = map->prot & VFIO_DMA_WRITE;

	if (flags < 0)
		return cannot_look(map, errno, err);
	if (flags & O_PATH)
		return no_access(map, "is open neither for reading nor for writing", open_it, err);
	if (write && (flags & O_ACCMODE) == O_RDONLY)
		return no_access(map, "is open for reading only", open_it, err);
	if ((flags & O_ACCMODE) == O_WRONLY)
		return no_access(map, "is open for writing only", open_it, err);
	if (write && (flags & O_APPEND))
		return no_access(map, "is open for appending", open_it, err);
	if (write && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return no_access(map, "is sealed against writing", unseal, err);
	return 0;
}

static int check_file(const struct dma_map *map, int seals, struct stat *st, struct vfio_error *err)
{
	if (fstat(map->fd, st) < 0)
		return cannot_look(map, errno, err);
	if (!S_ISREG(st->st_mode))
		return not_memory(map, "is no regular one", memfd, err);
	if (map->fd_offset % DMA_PAGE)
		return not_memory(map, "is not mapped from a page's start",
				  "make fd_offset a multiple of 4096", err);
	if (!is_inside(map->fd_offset, map->size, st->st_size))
		return not_memory(map, "ends before fd_offset + size", "make it longer with ftruncate(2), "
				  "or map less", err);
	return check_access(map, seals, err);
}

/*
 * Only memory has seals (memfd, tmpfs, hugetlbfs). A file of another kind may be served by its owner,
 * who could keep us waiting for ever in whatever comes next; this asks no file system.
 */
static int seals_of(const struct dma_map *map, int *seals, struct vfio_error *err)
{
	*seals = fcntl(map->fd, F_GET_SEALS);
	if (*seals >= 0 || fcntl(map->fd, F_GETFD) >= 0)
		return 0;
	return error_set(err, EBADF, VFIO_E_DMA_MEMORY, VFIO_BY_KERNEL,
			 "pass an open descriptor, or -1 for memory that is in no file",
			 "map of %#llx bytes at IOVA %#llx: %d is no open descriptor",
			 (ull)map->size, (ull)map->iova, map->fd);
}

int memory_look_at_file(const struct dma_map *map, int *seals, struct stat *st,
			struct vfio_error *err)
{
	int r = seals_of(map, seals, err);

	if (r < 0)
		return r;
	if (*seals < 0)
		return not_memory(map, "is no memory file", memfd, err);
	return check_file(map, *seals, st, err);
}

int memory_check(const struct dma_map *map, struct vfio_error *err)
{
	struct stat st;
	int seals, r;

	if (map->fd == -1)
		return 0;
	r = seals_of(map, &seals, err);
	return r < 0 || seals < 0 ? r : check_file(map, seals, &st, err);
}

/* ---- a part of a file ------------------------------------------------------------------------ */

/* Of huge pages, neither a mapping nor its end is anywhere between them. */
int memory_part_map(struct memory_part *part, const struct dma_map *map, struct vfio_error *err)
{
	int prot = PROT_READ | (map->prot & VFIO_DMA_WRITE ? PROT_WRITE : 0), seals, r;
	struct stat st;
	uint64_t page, before;
	void *base;

	*part = (struct memory_part){ .base = NULL };
	if (map->fd < 0 || map->by_process)
		return error_set(err, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY,
				 "map a memory file: memfd, tmpfs, hugetlbfs",
				 "map of %#llx bytes at IOVA %#llx: the device reaches only memory that "
				 "can be mapped here", (ull)map->size, (ull)map->iova);
	r = memory_look_at_file(map, &seals, &st, err);
	if (r < 0)
		return r;
	page = (uint64_t)st.st_blksize;
	before = map->fd_offset % page;
	part->length = align_up(before + map->size, page);
	base = mmap(NULL, part->length, prot, MAP_SHARED, map->fd, (off_t)(map->fd_offset - before));
	if (base == MAP_FAILED)
		return error_system(err, errno, "mapping %#llx bytes of a file for DMA",
				    (ull)part->length);
	part->base = base;
	part->vaddr = part->base + before;
	return 0;
}

void memory_part_unmap(struct memory_part *part)
{
	if (part->base)
		munmap(part->base, part->length);
	part->base = NULL;
}

/* ---- a process ------------------------------------------------------------------------------- */

/*
 * Only that: of other files, a read could wait or tell what their owner may not know, and a write
 * could do what he may not. Whoever can mount gives a file the name that he likes, but not the mode.
 */
static bool is_process_memory(int fd, mode_t mode)
{
	char path[32], name[64];
	struct statfs fs;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name));
	return n > 4 && n < (ssize_t)sizeof(name) && memcmp(name + n - 4, "/mem", 4) == 0 &&
	       mode == (S_IFREG | S_IRUSR | S_IWUSR) && fstatfs(fd, &fs) == 0 &&
	       fs.f_type == PROC_SUPER_MAGIC;
}

int memory_look_at_process(const struct dma_map *map, struct stat *st, struct vfio_error *err)
{
	if (fstat(map->fd, st) < 0)
		return cannot_look(map, errno, err);
	if (!is_process_memory(map->fd, st->st_mode))
		return not_memory(map, "is no /proc/PID/mem", "open /proc/self/mem", err);
	if (!is_inside(map->fd_offset, map->size, INT64_MAX))
		return not_memory(map, "has no such addresses", NULL, err);
	return check_access(map, 0, err);
}
