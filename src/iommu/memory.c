/* SPDX-License-Identifier: MIT */
#include "iommu/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

/* More than an address space has. */
#define LOST_MOST (1ull << 60)
#define PAGES_APART (1ull << 20)	/* whole pages, of any host */

/* A key, and what was found for it. */
struct memory_file {
	struct memory_files *files;
	dev_t dev;
	ino_t ino;
	bool writable, sealed;		/* how it is mapped, and whether it may shrink */
	bool process;			/* /proc/PID/mem: nothing is mapped */
	bool solid;			/* touching the map cannot fault */
	bool listed;			/* the tree has it: there is no larger one */
	bool lost;			/* it was cut off, and nothing of it is mapped any more */
	int fd;				/* process: our copy, otherwise -1 */
	uint64_t size;			/* of the map: that of the file when it was first seen */
	uint8_t *base;			/* all of it, mapped */
	size_t refs;
};

void memory_files_init(struct memory_files *files)
{
	*files = (struct memory_files){ .zeros = -1 };
	range_map_init(&files->places);
}

/* Far from all that is mapped of that file, so that it stays an area of its own. */
static void *reserve(int zeros, unsigned int i)
{
	void *at = mmap(NULL, DMA_PAGE, PROT_NONE, MAP_SHARED, zeros,
			LOST_MOST - 2 * (i + 1) * PAGES_APART);

	return at == MAP_FAILED ? NULL : at;
}

int memory_files_reserve(struct memory_files *files)
{
	for (unsigned int i = 0; i < MEMORY_RESERVE && files->zeros >= 0; i++) {
		if (__atomic_load_n(&files->reserve[i], __ATOMIC_ACQUIRE))
			continue;
		__atomic_store_n(&files->reserve[i], reserve(files->zeros, i), __ATOMIC_RELEASE);
		if (!files->reserve[i])
			return -ENOMEM;
	}
	return 0;
}

/* As large as any: what is not touched costs nothing, not even a promise of memory. */
void memory_files_guard(struct memory_files *files)
{
	struct rlimit most;

	if (files->zeros >= 0 || getrlimit(RLIMIT_FSIZE, &most) < 0 || most.rlim_cur < LOST_MOST)
		return;
	files->zeros = memfd_create("lost", MFD_CLOEXEC);
	if (files->zeros >= 0 && ftruncate(files->zeros, LOST_MOST) < 0)
		fd_close(&files->zeros);
	memory_files_reserve(files);
}

/* False: there is none left. Also in a signal handler, and in any thread. */
static bool give_up_one(struct memory_files *files)
{
	for (unsigned int i = 0; i < MEMORY_RESERVE; i++) {
		void *at = __atomic_exchange_n(&files->reserve[i], NULL, __ATOMIC_ACQ_REL);

		if (at)
			return munmap(at, DMA_PAGE) == 0;
	}
	return false;
}

/* What a device has put there for one client is not for the next one. */
void memory_files_blank(struct memory_files *files)
{
	if (files->zeros >= 0 && (ftruncate(files->zeros, 0) < 0 ||
				  ftruncate(files->zeros, LOST_MOST) < 0))
		fd_close(&files->zeros);
}

void memory_files_finish(struct memory_files *files)
{
	range_map_finish(&files->places);
	while (give_up_one(files))
		;
	fd_close(&files->zeros);
}

#define COMPARE(x, y) do { if ((x) != (y)) return (x) < (y) ? -1 : 1; } while (0)

static int compare(const void *one, const void *other)
{
	const struct memory_file *a = one, *b = other;

	COMPARE(a->ino, b->ino);
	COMPARE(a->dev, b->dev);
	COMPARE(a->writable, b->writable);
	COMPARE(a->sealed, b->sealed);
	return 0;
}

/* A hole can be punched into huge pages, and there may be none left to fill it. */
static bool is_huge(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 || fs.f_type == HUGETLBFS_MAGIC;
}

/* Whatever is needed to reach a file that is not known yet. */
static int reach(struct memory_file *f, const struct dma_map *map, struct vfio_error *err)
{
	int prot = PROT_READ | (f->writable ? PROT_WRITE : 0);
	struct range place;

	if (f->process) {
		f->fd = fd_copy(map->fd);
		return f->fd < 0 ? error_system(err, -f->fd, "keeping the descriptor of a DMA map") : 0;
	}
	f->solid = f->files->zeros >= 0 || (f->sealed && !is_huge(map->fd));
	f->base = mmap(NULL, f->size, prot, MAP_SHARED, map->fd, 0);
	if (f->base == MAP_FAILED)
		return error_system(err, errno, "mapping the %#llx bytes of a DMA map's file",
				    (unsigned long long)f->size);
	place = (struct range){
		.start = (uintptr_t)f->base, .last = (uintptr_t)f->base + f->size - 1, .value = f,
	};
	if (range_map_insert(&f->files->places, &place, NULL) == 0)
		return 0;
	munmap(f->base, f->size);
	return error_system(err, ENOMEM, "keeping the file of a DMA map");
}

static void unlist(struct memory_file *f)
{
	if (f->listed)
		tdelete(f, &f->files->tree, compare);
	f->listed = false;
}

/* A larger one takes the place of a file that has grown. */
static void list(struct memory_file *f)
{
	struct memory_file **found = tsearch(f, &f->files->tree, compare);

	if (found && *found != f) {
		(*found)->listed = false;
		*found = f;
	}
	f->listed = found != NULL;	/* without memory for it, there will be one more of it */
}

static int new_file(struct memory *m, const struct dma_map *map, const struct memory_file *wanted,
		    struct vfio_error *err)
{
	struct memory_file *f = malloc(sizeof(*f));
	int r;

	if (!f)
		return error_system(err, ENOMEM, "keeping the file of a DMA map");
	*f = *wanted;
	f->refs = 1;
	r = reach(f, map, err);
	if (r < 0) {
		free(f);
		return r;
	}
	list(f);
	m->file = f;
	return 0;
}

static int get_file(struct memory *m, const struct dma_map *map, const struct memory_file *wanted,
		    struct vfio_error *err)
{
	struct memory_file **found = tfind(wanted, &wanted->files->tree, compare);

	if (!found || (*found)->lost || map->fd_offset + map->size > (*found)->size)
		return new_file(m, map, wanted, err);
	(*found)->refs++;
	m->file = *found;
	return 0;
}

static void put_file(struct memory_file *f)
{
	if (--f->refs)
		return;
	unlist(f);
	if (f->process) {
		fd_close(&f->fd);
	} else {
		range_map_erase(&f->files->places, (uintptr_t)f->base);
		munmap(f->base, f->size);
	}
	free(f);
}

static int init_file(struct memory *m, struct memory_files *files, const struct dma_map *map,
		     struct vfio_error *err)
{
	struct stat st;
	int seals, r = memory_look_at_file(map, &seals, &st, err);

	if (r < 0)
		return r;
	m->offset = map->fd_offset;
	r = get_file(m, map, &(struct memory_file){
		.files = files, .dev = st.st_dev, .ino = st.st_ino, .size = st.st_size, .fd = -1,
		.sealed = seals & F_SEAL_SHRINK, .writable = map->prot & VFIO_DMA_WRITE,
	}, err);
	if (r < 0)
		return r;
	m->addr = m->file->base + map->fd_offset;
	m->access = m->file->solid ? VFIO_DMA_IN_PLACE : VFIO_DMA_BY_FILE;
	return 0;
}

static int init_process(struct memory *m, struct memory_files *files, const struct dma_map *map,
			struct vfio_error *err)
{
	struct stat st;
	int r;

	/* From here on a file system that its owner serves may be asked. */
	if (!files->takes_process)
		return error_set(err, EINVAL, VFIO_E_DMA_MEMORY, VFIO_BY_POLICY,
				 "map it without VFIO_DMA_BY_PROCESS, or have process-memory = allow "
				 "set in vfiod.conf",
				 "the policy process-memory refuses the memory of a process");
	r = memory_look_at_process(map, &st, err);
	if (r < 0)
		return r;
	m->offset = map->fd_offset;
	m->access = VFIO_DMA_BY_PROCESS;
	return get_file(m, map, &(struct memory_file){
		.files = files, .dev = st.st_dev, .ino = st.st_ino, .size = INT64_MAX, .fd = -1,
		.process = true, .writable = map->prot & VFIO_DMA_WRITE,
	}, err);
}

int memory_init(struct memory *m, struct memory_files *files, const struct dma_map *map,
		bool careful, struct vfio_error *err)
{
	*m = (struct memory){ .addr = map->vaddr };
	if (memory_files_reserve(files) < 0)
		return error_system(err, ENOMEM, "keeping memory areas for a DMA map");
	if (map->vaddr) {
		m->access = careful ? VFIO_DMA_BY_PROCESS : VFIO_DMA_IN_PLACE;
		return 0;
	}
	if (map->fd >= 0)
		return map->by_process ? init_process(m, files, map, err)
				       : init_file(m, files, map, err);
	m->peer = map->peer;
	m->access = VFIO_DMA_BY_MESSAGE;
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

	return m->file && !map->vaddr && map->fd >= 0 && m->offset == map->fd_offset &&
	       m->file->process == map->by_process && fstat(map->fd, &st) == 0 &&
	       st.st_dev == m->file->dev && st.st_ino == m->file->ino;
}

static bool put_zeros(const struct memory_file *f)
{
	return mmap(f->base, f->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    f->files->zeros, 0) != MAP_FAILED;
}

/*
 * All of the file goes, not one page: that is one memory area, whatever its client does, and of any
 * size of pages. Whoever was using it goes on with zeros, and will find it lost.
 */
bool memory_mend(struct memory_files *files, const void *addr)
{
	struct memory_file *f;
	struct range place;
	uint64_t version;

	if (files->zeros < 0 || !range_map_peek(&files->places, (uintptr_t)addr, &place, &version))
		return false;
	f = place.value;
	__atomic_store_n(&f->lost, true, __ATOMIC_SEQ_CST);
	while (!put_zeros(f))
		if (!give_up_one(files))
			return false;
	return true;
}

bool memory_is_lost(const struct memory *m)
{
	return m->file && __atomic_load_n(&m->file->lost, __ATOMIC_SEQ_CST);
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

/* Of another process; a page that is not there is an error of the call here, too. */
static int copy_process(int fd, uint64_t at, uint8_t *buf, size_t len, bool write)
{
	while (len) {
		ssize_t n = write ? pwrite(fd, buf, len, at) : pread(fd, buf, len, at);

		if (n < 0 && errno == EINTR)
			continue;
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
	if (m->peer)
		return write ? m->peer->write(m->peer->arg, iova, buf, len)
			     : m->peer->read(m->peer->arg, iova, buf, len);
	if (m->access == VFIO_DMA_BY_PROCESS && m->file)
		return copy_process(m->file->fd, m->offset + offset, buf, len, write);
	return copy_carefully(m->addr + offset, buf, len, write);
}
