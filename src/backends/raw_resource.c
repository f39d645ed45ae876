/* SPDX-License-Identifier: MIT */
/* BARs and ROM of a device as sysfs has them. It may say anything. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/raw.h"
#include "backends/sysfs_file.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"

/* The third number of a line; include/linux/ioport.h of Linux. */
#define IS_IO       0x00000100u
#define IS_MEMORY   0x00000200u
#define IS_PREFETCH 0x00002000u
#define IS_64       0x00100000u
#define IS_UNSET    0x20000000u		/* it has no address, and so cannot be reached */

#define LARGEST (1ull << 40)
#define ROM_MAX (1ull << 24)

struct resource {
	uint64_t start, last, flags;
};

int raw_no_sense(const struct raw *raw, const char *name, const char *why, struct vfio_error *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.4000s/%s", raw->path, name);
	return kernel_no_sense(path, why, err);
}

/* ---- the file resource ----------------------------------------------------------------------- */

static bool parse(const char *line, struct resource *r)
{
	int end = 0;

	return sscanf(line, "0x%16" SCNx64 " 0x%16" SCNx64 " 0x%16" SCNx64 "%n", &r->start, &r->last,
		      &r->flags, &end) == 3 && !line[end];
}

static const char *take_bar(struct raw_bar *bar, const struct resource *r)
{
	if (!(r->flags & (IS_IO | IS_MEMORY)) || (r->flags & IS_UNSET))
		return NULL;
	if (r->last < r->start || r->last - r->start >= LARGEST)
		return "the size of a BAR is impossible";
	bar->start = r->start;
	bar->size = r->last - r->start + 1;
	if ((r->flags & IS_IO) && (r->flags & (IS_MEMORY | IS_PREFETCH | IS_64)))
		return "a BAR is both of ports and of memory";
	bar->flags = (r->flags & IS_IO ? VFIO_BAR_IO : 0) | (r->flags & IS_64 ? VFIO_BAR_MEM64 : 0) |
		     (r->flags & IS_PREFETCH ? VFIO_BAR_PREFETCH : 0);
	if (!is_power_of_two(bar->size) || !is_aligned(bar->start, bar->size))
		return "a BAR's size is no power of two, or its address no multiple of it";
	return NULL;
}

static const char *take_rom(struct raw *raw, const struct resource *r)
{
	if (!(r->flags & IS_MEMORY) || (r->flags & IS_UNSET))
		return NULL;
	if (r->last < r->start || r->last - r->start >= ROM_MAX)
		return "the size of the ROM is impossible";
	raw->rom_size = r->last - r->start + 1;
	return is_power_of_two(raw->rom_size) ? NULL : "the size of the ROM is no power of two";
}

int raw_read_resources(struct raw *raw, struct vfio_error *err)
{
	char text[4096], *rest = text;
	ssize_t n = sysfs_read_text(raw->folder, "resource", text, sizeof(text));
	const char *why = NULL;

	if (n < 0)
		return error_system(err, -n, "reading %.180s/resource", raw->path);
	for (unsigned int i = 0; i <= NUM_BARS && !why; i++) {	/* the last one is the ROM's */
		const char *line = strsep(&rest, "\n");
		struct resource r;

		if (!line || !parse(line, &r))
			why = "a line of three numbers was to be there";
		else
			why = i < NUM_BARS ? take_bar(&raw->bars[i], &r) : take_rom(raw, &r);
	}
	return why ? raw_no_sense(raw, "resource", why, err) : 0;
}

/* ---- resource0 and its kin ------------------------------------------------------------------- */

int raw_locked_down(const struct raw *raw, const char *what, const char *name, int e,
		    struct vfio_error *err)
{
	return error_set(err, e, VFIO_E_PERMISSION, VFIO_BY_KERNEL,
			 "a kernel that is locked down (secure boot) gives nobody registers this way: use "
			 "vfio-pci", "%s %.150s/%s", what, raw->path, name);
}

static int not_mapped(const struct raw *raw, const char *name, int e, struct vfio_error *err)
{
	if (e == EPERM || e == EACCES)
		return raw_locked_down(raw, "mapping", name, e, err);
	if (e == EBUSY || e == EINVAL)
		return error_set(err, e, VFIO_E_BUSY, VFIO_BY_KERNEL,
				 "unbind the driver that has it; or boot Linux with iomem=relaxed",
				 "mapping %.150s/%s: the kernel keeps these registers to itself",
				 raw->path, name);
	return error_system(err, e, "mapping %.150s/%s", raw->path, name);
}

/* Small BARs may lie anywhere in their page. */
static int map_bar(struct raw *raw, struct raw_bar *bar, const char *name, struct vfio_error *err)
{
	uint64_t page = sysconf(_SC_PAGESIZE), before = bar->start & (page - 1);
	void *pages;

	if (bar->size > SIZE_MAX / 2)
		return raw_no_sense(raw, "resource", "a BAR is larger than memory can be", err);
	bar->length = align_up(before + bar->size, page);
	pages = mmap(NULL, bar->length, PROT_READ | PROT_WRITE, MAP_SHARED, bar->fd, 0);
	if (pages == MAP_FAILED)
		return not_mapped(raw, name, errno, err);
	bar->pages = pages;
	bar->base = bar->pages + before;
	return 0;
}

static int open_bar(struct raw *raw, unsigned int i, struct vfio_error *err)
{
	struct raw_bar *bar = &raw->bars[i];
	char name[16];
	struct stat st;

	snprintf(name, sizeof(name), "resource%u", i);
	bar->fd = openat(raw->folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (bar->fd < 0 && (errno == EACCES || errno == EPERM))
		return error_set(err, errno, VFIO_E_PERMISSION, VFIO_BY_KERNEL, "run it as root",
				 "opening %.150s/%s", raw->path, name);
	if (bar->fd < 0)
		return error_system(err, errno, "opening %.150s/%s", raw->path, name);
	if (fstat(bar->fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != bar->size)
		return raw_no_sense(raw, name, "it has not the size that the file resource says", err);
	return bar->flags & VFIO_BAR_IO ? 0 : map_bar(raw, bar, name, err);
}

int raw_open_bars(struct raw *raw, struct vfio_error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < NUM_BARS && r == 0; i++)
		if (raw->bars[i].size)
			r = open_bar(raw, i, err);
	return r;
}

void raw_close_bars(struct raw *raw)
{
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		struct raw_bar *bar = &raw->bars[i];

		if (bar->pages)
			munmap(bar->pages, bar->length);
		bar->pages = NULL;
		fd_close(&bar->fd);
	}
}

/* ---- ROM ------------------------------------------------------------------------------------- */

/*
 * Until a 1 was written to it the file is empty; it is read with the ROM's decoder on. The kernel
 * knows a 0 only with a newline.
 */
uint8_t *raw_read_rom(struct raw *raw)
{
	int fd = raw->rom_size ? openat(raw->folder, "rom", O_RDWR | O_CLOEXEC | O_NOFOLLOW |
					O_NONBLOCK) : -1;
	uint8_t *rom = fd < 0 ? NULL : malloc(raw->rom_size);
	size_t done = 0;
	ssize_t n = 0;

	if (rom && pwrite(fd, "1\n", 2, 0) == 2) {
		memset(rom, 0xff, raw->rom_size);
		while (done < raw->rom_size &&
		       (n = pread(fd, rom + done, raw->rom_size - done, done)) > 0)
			done += n;
		n = pwrite(fd, "0\n", 2, 0);
	}
	if (!done) {
		free(rom);
		rom = NULL;
	}
	fd_close(&fd);
	return rom;
}
