/* SPDX-License-Identifier: MIT */
/* A file or a block device that is to be a namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "files.h"

#define LOCK_TRIES 100		/* with 10 ms between them */

/* ---- opening ------------------------------------------------------------------------------- */

static int refuse_open(const struct namespace_options *o, int error, struct vfio_error *err)
{
	const char *remedy = "name a file or a disk that can be read and written, or add ro";

	if (error == ENOENT)
		remedy = "make one, as in: truncate -s 1G disk.img";
	else if (error == EINVAL && o->direct)
		remedy = "its file system does not know direct I/O: leave out direct";
	else if (o->read_only)
		remedy = "name a file or a block device that can be read";
	return refuse(err, error, VFIO_E_SYSTEM, remedy, "nvme: '%s' cannot be opened", o->file);
}

/* What is neither file nor disk may wait for somebody, so it is opened without waiting. */
static int open_file(struct namespace *ns, const struct namespace_options *o, struct stat *st,
		     struct vfio_error *err)
{
	int flags = (o->read_only ? O_RDONLY : O_RDWR) | (o->direct ? O_DIRECT : 0);

	ns->fd = open(o->file, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (ns->fd < 0 || fstat(ns->fd, st) < 0)
		return refuse_open(o, errno, err);
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return refuse(err, EINVAL, VFIO_E_OPTION, "name a file or a block device",
			      "nvme: '%s' is neither a file nor a block device", o->file);
	if (fcntl(ns->fd, F_SETFL, flags) < 0)
		return refuse_open(o, errno, err);
	ns->is_block_device = S_ISBLK(st->st_mode);
	return 0;
}

/* ---- its size ------------------------------------------------------------------------------ */

/* A write behind the limit would be the end of this process: SIGXFSZ. */
static int check_limit(const struct namespace *ns, const struct namespace_options *o,
		       uint64_t size, struct vfio_error *err)
{
	struct rlimit limit;

	if (ns->read_only || ns->is_block_device || getrlimit(RLIMIT_FSIZE, &limit) < 0 ||
	    limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= size)
		return 0;
	return refuse(err, EFBIG, VFIO_E_OPTION, "raise it (ulimit -f), or add ro",
		      "nvme: '%s' has %llu bytes, and this process may write to files up to %llu",
		      o->file, (unsigned long long)size, (unsigned long long)limit.rlim_cur);
}

static int find_size(struct namespace *ns, const struct namespace_options *o,
		     const struct stat *st, struct vfio_error *err)
{
	uint64_t size = (uint64_t)st->st_size;

	if (ns->is_block_device && ioctl(ns->fd, BLKGETSIZE64, &size) < 0)
		return refuse_open(o, errno, err);
	if (size == 0)
		return refuse(err, EINVAL, VFIO_E_OPTION,
			      "give it the size of the disk, as in: truncate -s 1G disk.img",
			      "nvme: '%s' is empty", o->file);
	if (size % o->block)
		return refuse(err, EINVAL, VFIO_E_OPTION,
			      o->block == 512 ? "make it longer: truncate -s %512 FILE" :
			      "make it longer (truncate -s %4096 FILE), or say block=512",
			      "nvme: '%s' has %llu bytes: not a multiple of the block size, %u",
			      o->file, (unsigned long long)size, o->block);
	ns->blocks = size / o->block;
	return check_limit(ns, o, size, err);
}

/* ---- nobody else --------------------------------------------------------------------------- */

/*
 * Of a device that was killed just now, the kernel may still be closing the files: the one that is
 * started in its place waits a little.
 */
static int lock_file(struct namespace *ns, const struct namespace_options *o,
		     struct vfio_error *err)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct flock lock = { .l_type = o->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (fcntl(ns->fd, F_OFD_SETLK, &lock) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return refuse(err, errno, VFIO_E_SYSTEM, "keep it on another file system",
				      "nvme: '%s' cannot be locked", o->file);
		nanosleep(&pause, NULL);
	}
	return refuse(err, EBUSY, VFIO_E_SYSTEM,
		      "one file is one disk: end the other one, or let both have it with ro",
		      "nvme: '%s' is in use by another device, or by a program that locks it",
		      o->file);
}

/* ---- direct I/O ---------------------------------------------------------------------------- */

/* How memory has to be aligned, if the file system tells. */
static size_t memory_alignment(int fd)
{
#ifdef STATX_DIOALIGN
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
	    (st.stx_mask & STATX_DIOALIGN) && st.stx_dio_mem_align)
		return st.stx_dio_mem_align;
#endif
	return PAGE;
}

/* Blocks that are smaller than the disk's own cannot be read directly: see whether they can. */
static int check_direct(struct files *f, const struct namespace *ns,
			const struct namespace_options *o, struct vfio_error *err)
{
	void *block = aligned_alloc(PAGE, PAGE);
	ssize_t r = block ? pread(ns->fd, block, o->block, (off_t)(ns->blocks - 1) * o->block) : -1;
	int error = block ? errno : ENOMEM;

	free(block);
	f->alignment[ns->nsid - 1] = memory_alignment(ns->fd);
	if (r == (ssize_t)o->block)
		return 0;
	return refuse(err, r < 0 ? error : EIO, VFIO_E_OPTION,
		      o->block == 512 ? "say block=4096, or leave out direct" : "leave out direct",
		      "nvme: '%s' cannot be read directly in blocks of %u bytes", o->file,
		      o->block);
}

/* ---- identity ------------------------------------------------------------------------------ */

/* A permutation of 64 bits in which each depends on all. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/*
 * 5.15.2.1, NGUID: the same for as long as the file is where it is, and no other's. Bytes 8 to 10
 * are an identifier of an organisation, of the kind that is nobody's: locally administered.
 */
static void make_nguid(struct namespace *ns, const struct stat *st)
{
	uint64_t device = S_ISBLK(st->st_mode) ? st->st_rdev : st->st_dev;
	uint64_t inode = S_ISBLK(st->st_mode) ? 0 : st->st_ino;
	uint64_t first = mix(mix(mix(device) + inode) + ns->nsid), second = mix(first + 1);

	memcpy(ns->nguid, &first, sizeof(first));
	memcpy(ns->nguid + 8, &second, sizeof(second));
	ns->nguid[8] = (ns->nguid[8] & 0xfc) | 2;
}

int files_open(struct nvme *n, struct namespace *ns, const struct namespace_options *o,
	       struct vfio_error *err)
{
	struct statfs fs;
	struct stat st;
	int r;

	if (!n->files)
		n->files = calloc(1, sizeof(*n->files));
	if (!n->files)
		return refuse(err, ENOMEM, VFIO_E_NO_MEMORY, "", "nvme: no memory");
	r = open_file(ns, o, &st, err);
	if (r == 0)
		r = find_size(ns, o, &st, err);
	if (r == 0)
		r = lock_file(ns, o, err);
	if (r == 0 && o->direct)
		r = check_direct(n->files, ns, o, err);
	if (r < 0)
		return r;
	make_nguid(ns, &st);
	n->files->is_memory[ns->nsid - 1] = fstatfs(ns->fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
	return 0;
}
