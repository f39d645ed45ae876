/* SPDX-License-Identifier: MIT */
#include "frontends/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/fd.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23		/* since Linux 5.14 */
#endif

static size_t alignment(const struct pages *p)
{
	return p->size < PAGES_LARGE || p->page_size > PAGES_LARGE ? p->page_size : PAGES_LARGE;
}

/* Map p->fd. That the address suits transparent pages is nobody else's care. */
static int map_aligned(struct pages *p)
{
	size_t align = alignment(p), room = p->size + align, before;
	uint8_t *start, *reserved = MAP_FAILED;

	if (room > p->size)
		reserved = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				-1, 0);
	if (reserved == MAP_FAILED)
		return -ENOMEM;
	before = align_up((uintptr_t)reserved, align) - (uintptr_t)reserved;
	start = mmap(reserved + before, p->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		     p->fd, 0);
	if (start == MAP_FAILED) {
		int r = -errno;

		munmap(reserved, room);
		return r;
	}
	if (before)
		munmap(reserved, before);
	if (before < align)
		munmap(start + p->size, align - before);
	p->addr = start;
	return 0;
}

/*
 * Every page is there afterwards, or this fails. Before Linux 5.14 the file is filled first, so
 * that touching its pages cannot fail; that gives no transparent ones.
 */
static int populate(struct pages *p)
{
	if (madvise(p->addr, p->size, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno != EINVAL || p->kind == VFIO_PAGES_THP)
		return -errno;
	if (fallocate(p->fd, 0, 0, p->size) < 0)
		return -errno;
	for (size_t i = 0; i < p->size; i += p->page_size)
		((volatile uint8_t *)p->addr)[i] = 0;
	return 0;
}

static int fill(struct pages *p)
{
	int r;

	if (ftruncate(p->fd, p->size) < 0)
		return -errno;
	if (p->kind != VFIO_PAGES_HUGETLBFS &&
	    fcntl(p->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	r = map_aligned(p);
	if (r < 0)
		return r;
	if (p->kind == VFIO_PAGES_THP && madvise(p->addr, p->size, MADV_HUGEPAGE) < 0)
		r = -errno;
	if (r == 0)
		r = populate(p);
	if (r < 0)
		munmap(p->addr, p->size);
	return r;
}

/* Make p of the file fd, or close that. */
static int use_file(struct pages *p, int fd, uint32_t kind, size_t page_size)
{
	int r;

	p->fd = fd;
	p->kind = kind;
	p->page_size = page_size;
	r = fill(p);
	if (r < 0)
		fd_close(&p->fd);
	return r;
}

/* ---- the kinds ----------------------------------------------------------------------------- */

/* The page size of a file of reserved huge pages; 0: it is none, or they do not fill the size. */
static size_t huge_page_size(int fd, size_t size)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0 || fs.f_type != HUGETLBFS_MAGIC || fs.f_bsize <= 0)
		return 0;
	return size % fs.f_bsize ? 0 : fs.f_bsize;
}

static int use_huge_file(struct pages *p, int fd, uint32_t kind)
{
	size_t page_size;

	if (fd < 0)
		return -errno;
	page_size = huge_page_size(fd, p->size);
	if (page_size)
		return use_file(p, fd, kind, page_size);
	close(fd);
	return -EINVAL;
}

/* There may be several, with pages of several sizes. The file never has a name. */
static int get_hugetlbfs(struct pages *p, const struct pages_places *places)
{
	FILE *f = setmntent(places->mounts, "re");
	struct mntent m;
	char line[4096];
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r < 0 && getmntent_r(f, &m, line, sizeof(line))) {
		if (strcmp(m.mnt_type, "hugetlbfs") == 0) {
			int fd = open(m.mnt_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

			r = use_huge_file(p, fd, VFIO_PAGES_HUGETLBFS);
		}
	}
	endmntent(f);
	return r;
}

static int get_hugetlb(struct pages *p, const struct pages_places *places)
{
	int fd = memfd_create("vfio-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

	return use_huge_file(p, fd, VFIO_PAGES_HUGETLB);
}

/* Read the line of a file of sysfs; an empty one when there is none. */
static void read_setting(const char *folder, const char *name, char *line, size_t size)
{
	char path[4096];
	FILE *f;

	line[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(line, size, f))
		line[0] = '\0';
	fclose(f);
}

/* The size of the huge pages that the kernel uses for memory files by itself; 0: it does not. */
static size_t transparent_page_size(const struct pages_places *places)
{
	char line[128];
	size_t size;

	read_setting(places->transparent, "shmem_enabled", line, sizeof(line));
	if (!strstr(line, "[always]") && !strstr(line, "[within_size]") &&
	    !strstr(line, "[advise]"))
		return 0;
	read_setting(places->transparent, "hpage_pmd_size", line, sizeof(line));
	size = strtoull(line, NULL, 10);
	return size > (size_t)sysconf(_SC_PAGESIZE) && is_power_of_two(size) ? size : 0;
}

static int get_transparent(struct pages *p, const struct pages_places *places)
{
	size_t page_size = transparent_page_size(places);
	int fd;

	if (!page_size || p->size < page_size)
		return -EINVAL;
	fd = memfd_create("vfio-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : use_file(p, fd, VFIO_PAGES_THP, page_size);
}

static int get_plain(struct pages *p, const struct pages_places *places)
{
	int fd = memfd_create("vfio-dma", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? -errno : use_file(p, fd, VFIO_PAGES_PLAIN, sysconf(_SC_PAGESIZE));
}

/*
 * More than there is, or than the process may have in a file: trying would end processes that have
 * nothing to do with it, or this one, by SIGXFSZ.
 */
static bool is_too_much(size_t size)
{
	struct rlimit limit;
	struct sysinfo s;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur)
		return true;
	return sysinfo(&s) == 0 && size / s.mem_unit > s.totalram + s.totalswap;
}

int pages_get_from(struct pages *p, size_t size, uint32_t best,
		   const struct pages_places *places)
{
	static int (*const get[])(struct pages *p, const struct pages_places *places) = {
		[VFIO_PAGES_HUGETLBFS] = get_hugetlbfs,
		[VFIO_PAGES_HUGETLB] = get_hugetlb,
		[VFIO_PAGES_THP] = get_transparent,
		[VFIO_PAGES_PLAIN] = get_plain,
	};
	struct pages got = { .size = size, .fd = -1 };
	int r = -EINVAL;

	*p = (struct pages){ .fd = -1 };
	if (!size || size % sysconf(_SC_PAGESIZE))
		return -EINVAL;
	if (is_too_much(size))
		return -ENOMEM;
	for (uint32_t kind = best; kind <= VFIO_PAGES_PLAIN && r < 0; kind++)
		r = get[kind](&got, places);
	if (r == 0)
		*p = got;
	return r;
}

int pages_get(struct pages *p, size_t size, uint32_t best)
{
	static const struct pages_places places = {
		.mounts = "/proc/self/mounts",
		.transparent = "/sys/kernel/mm/transparent_hugepage",
	};

	return pages_get_from(p, size, best, &places);
}

void pages_free(struct pages *p)
{
	if (!p->size)
		return;
	munmap(p->addr, p->size);
	close(p->fd);
	*p = (struct pages){ .fd = -1 };
}
