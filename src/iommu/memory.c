/* SPDX-License-Identifier: MIT */
#include "iommu/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vfio/driver.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

static int not_memory(struct vfio_error *err, int fd, const char *why)
{
	return error_set(err, EINVAL, VFIO_E_DMA_MEMORY, VFIO_BY_LIBRARY,
			 "pass a memfd, or a regular file that is at least offset + size long",
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
	if (flags & O_PATH)
		return not_memory(err, map->fd, "it was opened with O_PATH");
	if (write && (flags & O_ACCMODE) == O_RDONLY)
		return no_access(err, map->fd, "it is open for reading only");
	if ((flags & O_ACCMODE) == O_WRONLY)
		return no_access(err, map->fd, "it is open for writing only");
	if (write && (flags & O_APPEND))
		return no_access(err, map->fd, "it is open for appending");
	if (write && seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return no_access(err, map->fd, "it is sealed against writing");
	return 0;
}

static int map_sealed(struct memory *m, const struct dma_map *map, struct vfio_error *err)
{
	uint64_t slack = map->fd_offset & (sysconf(_SC_PAGESIZE) - 1);
	int prot = PROT_READ | (map->prot & VFIO_DMA_WRITE ? PROT_WRITE : 0);

	m->map_len = map->size + slack;
	m->map_base = mmap(NULL, m->map_len, prot, MAP_SHARED, map->fd, map->fd_offset - slack);
	if (m->map_base == MAP_FAILED)
		return error_system(err, errno, "mapping %#llx bytes of descriptor %d",
				    (unsigned long long)map->size, map->fd);
	m->addr = (uint8_t *)m->map_base + slack;
	m->kind = MEMORY_MAPPED;
	return 0;
}

static int init_file(struct memory *m, const struct dma_map *map, struct vfio_error *err)
{
	int seals = fcntl(map->fd, F_GET_SEALS);
	struct stat st;
	int r;

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
	m->dev = st.st_dev;
	m->ino = st.st_ino;
	m->fd_offset = map->fd_offset;
	if (seals > 0 && (seals & F_SEAL_SHRINK))
		return map_sealed(m, map, err);
	m->fd = fd_copy(map->fd);
	if (m->fd < 0)
		return error_system(err, -m->fd, "keeping descriptor %d", map->fd);
	m->kind = MEMORY_FILE;
	return 0;
}

int memory_init(struct memory *m, const struct dma_map *map, struct vfio_error *err)
{
	*m = (struct memory){ .fd = -1 };
	if (map->vaddr) {
		m->kind = MEMORY_HERE;
		m->addr = map->vaddr;
		return 0;
	}
	if (map->fd >= 0)
		return init_file(m, map, err);
	if (!map->peer)
		return error_set(err, EINVAL, VFIO_E_DMA_MEMORY, VFIO_BY_LIBRARY, NULL,
				 "the map has no memory: neither an address nor a descriptor");
	m->kind = MEMORY_PEER;
	m->peer = map->peer;
	return 0;
}

void memory_finish(struct memory *m)
{
	if (m->kind == MEMORY_MAPPED)
		munmap(m->map_base, m->map_len);
	fd_close(&m->fd);
}

bool memory_is_same(const struct memory *m, const struct dma_map *map)
{
	struct stat st;

	return (m->kind == MEMORY_MAPPED || m->kind == MEMORY_FILE) && !map->vaddr && map->fd >= 0 &&
	       m->fd_offset == map->fd_offset && fstat(map->fd, &st) == 0 &&
	       st.st_dev == m->dev && st.st_ino == m->ino;
}

/* pread or pwrite all of it. A file that ends early was truncated by its owner. */
static int copy_file(const struct memory *m, uint64_t offset, uint8_t *buf, size_t len, bool write)
{
	while (len) {
		off_t at = m->fd_offset + offset;
		ssize_t n = write ? pwrite(m->fd, buf, len, at) : pread(m->fd, buf, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		buf += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/* A write past the end would bring back what the file's owner has cut off. */
static bool still_there(const struct memory *m, uint64_t offset, size_t len)
{
	struct stat st;

	return fstat(m->fd, &st) == 0 && is_inside(m->fd_offset + offset, len, st.st_size);
}

int memory_copy(const struct memory *m, uint64_t offset, uint64_t iova, void *buf, size_t len,
		bool write)
{
	switch (m->kind) {
	case MEMORY_HERE:
	case MEMORY_MAPPED:
		if (write)
			memcpy(m->addr + offset, buf, len);
		else
			memcpy(buf, m->addr + offset, len);
		return 0;
	case MEMORY_FILE:
		if (write && !still_there(m, offset, len))
			return -EIO;
		return copy_file(m, offset, buf, len, write);
	case MEMORY_PEER:
		return write ? m->peer->write(m->peer->arg, iova, buf, len)
			     : m->peer->read(m->peer->arg, iova, buf, len);
	}
	return -EIO;
}
