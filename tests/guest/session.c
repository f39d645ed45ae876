/* SPDX-License-Identifier: MIT */
/* Opening the device, and its raw state as sysfs tells it. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RESOURCE_IO	  0x100
#define RESOURCE_MEM	  0x200
#define RESOURCE_PREFETCH 0x2000
#define RESOURCE_MEM_64	  0x100000

void fail(const char *what)
{
	printf("# failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

int open_attribute(const char *bdf, const char *attribute, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, attribute);
	return open(path, flags);
}

static int open_group(const char *bdf)
{
	char path[256], target[256] = "", node[320];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		fail(path);
	snprintf(node, sizeof(node), "/dev/vfio/%s", strrchr(target, '/') + 1);
	int fd = open(node, O_RDWR);
	if (fd < 0)
		fail(node);
	return fd;
}

static void kernel_open(struct session *s, const char *token)
{
	char name[128];

	snprintf(name, sizeof(name), "%s%s%s", s->bdf, token ? " vf_token=" : "",
		 token ? token : "");
	s->container = open("/dev/vfio/vfio", O_RDWR);
	s->group = open_group(s->bdf);
	if (ioctl(s->group, VFIO_GROUP_SET_CONTAINER, &s->container))
		fail("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(s->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		fail("VFIO_SET_IOMMU");
	s->device = ioctl(s->group, VFIO_GROUP_GET_DEVICE_FD, name);
	if (s->device < 0)
		fail("VFIO_GROUP_GET_DEVICE_FD");
}

static ssize_t kernel_read(struct session *s, void *buf, size_t len, uint64_t offset)
{
	return pread(s->device, buf, len, (off_t)offset);
}

static ssize_t kernel_write(struct session *s, const void *buf, size_t len, uint64_t offset)
{
	return pwrite(s->device, buf, len, (off_t)offset);
}

static int kernel_ioctl(struct session *s, unsigned long request, void *arg)
{
	return ioctl(s->device, request, arg);
}

static void kernel_wait(struct session *s)
{
	(void)s;
	usleep(20000);
}

static void kernel_close(struct session *s)
{
	close(s->device);
	close(s->group);
	close(s->container);
}

const struct road kernel_road = {
	.open = kernel_open,
	.read = kernel_read,
	.write = kernel_write,
	.ioctl = kernel_ioctl,
	.wait = kernel_wait,
	.close = kernel_close,
};

static void open_events(struct session *s)
{
	for (int i = 0; i < EVENTS; i++)
		s->events[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->file = open("/dev/null", O_RDWR);
}

void session_print_raw(struct session *s, const char *when)
{
	ssize_t got = pread(s->sysfs, s->hw, sizeof(s->hw), 0);

	if (got < 256)
		fail("configuration space in sysfs");
	s->size = (size_t)got;
	printf("raw %s\n", when);
	for (size_t i = 0; i < s->size; i += 16) {
		printf("%04zx:", i);
		for (size_t j = i; j < i + 16; j++)
			printf(" %02x", s->hw[j]);
		printf("\n");
	}
}

static void print_bar(struct session *s, int index, unsigned long long size, unsigned long flags)
{
	s->bars[index] = size;
	s->io[index] = flags & RESOURCE_IO;
	if (!size)
		return;
	if (index == 6) {
		printf("rom %llu\n", size);
		return;
	}
	const char *kind = flags & RESOURCE_IO ? "io" : "mem32";
	if (flags & RESOURCE_MEM_64)
		kind = "mem64";
	printf("bar %d %llu %s%s\n", index, size, kind,
	       flags & RESOURCE_PREFETCH ? " prefetch" : "");
}

void session_print_bars(struct session *s)
{
	int fd = open_attribute(s->bdf, "resource", O_RDONLY);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	unsigned long long start, end;
	unsigned long flags;

	if (!f)
		fail("resource");
	for (int i = 0; i < 7 && fscanf(f, "%llx %llx %lx", &start, &end, &flags) == 3; i++)
		print_bar(s, i, flags ? end - start + 1 : 0, flags);
	fclose(f);
}

void session_open(struct session *s, const struct road *road, const char *bdf, const char *name,
		  const char *token)
{
	memset(s, 0, sizeof(*s));
	s->road = road;
	s->bdf = bdf;
	s->name = name;
	s->sysfs = open_attribute(bdf, "config", O_RDWR);
	if (s->sysfs < 0)
		fail("no such device");
	session_print_bars(s);
	session_print_raw(s, "before");
	open_events(s);
	road->open(s, token);
	session_print_raw(s, "after");
}

void session_close(struct session *s)
{
	s->road->close(s);
}

unsigned hw16(const struct session *s, unsigned offset)
{
	return (unsigned)(s->hw[offset] | s->hw[offset + 1] << 8);
}

uint32_t hw32(const struct session *s, unsigned offset)
{
	return hw16(s, offset) | (uint32_t)hw16(s, offset + 2) << 16;
}

unsigned find_cap(const struct session *s, unsigned id)
{
	unsigned at = s->hw[0x06] & 0x10 ? s->hw[0x34] & ~3u : 0;

	for (int i = 0; at >= 0x40 && i < 48; i++, at = s->hw[at + 1] & ~3u)
		if (s->hw[at] == id)
			return at;
	return 0;
}

unsigned find_ext_cap(const struct session *s, unsigned id)
{
	unsigned at = s->size > 256 && hw32(s, 0x100) ? 0x100 : 0;

	for (int i = 0; at >= 0x100 && i < 960; i++, at = hw32(s, at) >> 20 & ~3u)
		if (hw16(s, at) == id)
			return at;
	return 0;
}
