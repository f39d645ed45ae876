/* SPDX-License-Identifier: MIT */
/* The structures are spelled out: Debian 12 has no <linux/iommufd.h>. */
#include "ioas.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define MAX_SPANS 32

#define X(value) ((unsigned long long)(value))

enum {
	DESTROY = 0x3b80,
	ALLOC,
	ALLOW_IOVAS,
	COPY,
	IOVA_RANGES,
	MAP,
	UNMAP,
	OPTION,
	BIND = 0x3b76,
	ATTACH,
	DETACH,
};

static int call(int fd, unsigned number, void *argument)
{
	int got = ioctl(fd, number, argument);

	return got < 0 ? -errno : got;
}

int ioas_attach(struct run *r, uint32_t id)
{
	struct {
		uint32_t argsz, flags, id;
	} a = {.argsz = sizeof(a), .id = id};

	printf("A %u", id);
	int got = call(r->cdev, ATTACH, &a);
	printf(" = %d %u\n", got, a.id);
	return got;
}

void ioas_detach(struct run *r)
{
	struct {
		uint32_t argsz, flags;
	} d = {.argsz = sizeof(d)};

	printf("Z = %d\n", call(r->cdev, DETACH, &d));
}

static void print_ranges(struct run *r, uint32_t id)
{
	struct span spans[MAX_SPANS];
	struct {
		uint32_t size, id, num, reserved;
		uint64_t spans, alignment;
	} q = {.size = sizeof(q), .id = id, .num = MAX_SPANS, .spans = (uintptr_t)spans};

	if (call(r->iommufd, IOVA_RANGES, &q))
		give_up("IOMMU_IOAS_IOVA_RANGES");
	for (uint32_t i = 0; i < q.num; i++)
		printf("range %llx %llx\n", X(spans[i].first), X(spans[i].last));
	printf("alignment %llx\n", X(q.alignment));
}

void ioas_bind(struct run *r)
{
	struct {
		uint32_t argsz, flags;
		int32_t iommufd;
		uint32_t id;
	} b = {.argsz = sizeof(b), .iommufd = r->iommufd};
	struct {
		uint32_t size, flags, id;
	} n = {.size = sizeof(n)};
	struct {
		uint32_t argsz, flags, id;
	} a = {.argsz = sizeof(a)};
	struct {
		uint32_t size, id;
	} d = {.size = sizeof(d)};

	r->cdev = open_cdev(r->bdf);
	if (r->cdev < 0 || call(r->cdev, BIND, &b))
		give_up("VFIO_DEVICE_BIND_IOMMUFD");
	if (call(r->iommufd, ALLOC, &n))
		give_up("IOMMU_IOAS_ALLOC");
	a.id = n.id;
	if (call(r->cdev, ATTACH, &a))
		give_up("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
	print_ranges(r, n.id);
	d.id = n.id;
	if (call(r->cdev, DETACH, &(uint32_t[]){8, 0}) || call(r->iommufd, DESTROY, &d))
		give_up("IOMMU_DESTROY");
}

uint32_t ioas_new(struct run *r, uint32_t flags)
{
	struct {
		uint32_t size, flags, id;
	} n = {.size = sizeof(n), .flags = flags};

	printf("N %x", flags);
	int got = call(r->iommufd, ALLOC, &n);
	printf(" = %d %u\n", got, n.id);
	return n.id;
}

int ioas_destroy(struct run *r, uint32_t id)
{
	struct {
		uint32_t size, id;
	} d = {.size = sizeof(d), .id = id};
	int got = call(r->iommufd, DESTROY, &d);

	printf("K %u = %d\n", id, got);
	return got;
}

uint64_t ioas_map(struct run *r, uint32_t id, uint32_t flags, uint64_t va, uint64_t length,
		  uint64_t iova)
{
	struct {
		uint32_t size, flags, id, reserved;
		uint64_t va, length, iova;
	} m = {.size = sizeof(m), .flags = flags, .id = id, .va = va, .length = length,
	       .iova = iova};

	printf("M %u %x", id, flags);
	print_address(r, va);
	printf(" %llx %llx", X(length), X(iova));
	int got = call(r->iommufd, MAP, &m);
	printf(" = %d %llx\n", got, X(m.iova));
	return m.iova;
}

void ioas_unmap(struct run *r, uint32_t id, uint64_t iova, uint64_t length)
{
	struct {
		uint32_t size, id;
		uint64_t iova, length;
	} u = {.size = sizeof(u), .id = id, .iova = iova, .length = length};

	printf("U %u %llx %llx", id, X(iova), X(length));
	int got = call(r->iommufd, UNMAP, &u);
	printf(" = %d %llx\n", got, X(u.length));
}

void ioas_copy(struct run *r, uint32_t dst, uint32_t src, uint32_t flags, uint64_t length,
	       uint64_t dst_iova, uint64_t src_iova)
{
	struct {
		uint32_t size, flags, dst, src;
		uint64_t length, dst_iova, src_iova;
	} c = {.size = sizeof(c), .flags = flags, .dst = dst, .src = src, .length = length,
	       .dst_iova = dst_iova, .src_iova = src_iova};

	printf("C %u %u %x %llx %llx %llx", dst, src, flags, X(length), X(dst_iova), X(src_iova));
	int got = call(r->iommufd, COPY, &c);
	printf(" = %d %llx\n", got, X(c.dst_iova));
}

void ioas_ranges(struct run *r, uint32_t id, uint32_t num)
{
	struct span spans[MAX_SPANS];
	struct {
		uint32_t size, id, num, reserved;
		uint64_t spans, alignment;
	} q = {.size = sizeof(q), .id = id, .num = num, .spans = (uintptr_t)spans};

	if (num > MAX_SPANS)
		q.spans = at(r, HOLE);
	memset(spans, FILL, sizeof(spans));
	printf("R %u %u", id, num);
	int got = call(r->iommufd, IOVA_RANGES, &q);
	printf(" = %d %u %llx", got, q.num, X(q.alignment));
	num = got && got != -EMSGSIZE ? 0 : num;
	for (uint32_t i = 0; i < q.num && i < num; i++)
		printf(" %llx-%llx", X(spans[i].first), X(spans[i].last));
	printf("\n");
}

void ioas_allow(struct run *r, uint32_t id, uint32_t num, const struct span *spans)
{
	struct {
		uint32_t size, id, num, reserved;
		uint64_t spans;
	} l = {.size = sizeof(l), .id = id, .num = num, .spans = (uintptr_t)spans};

	printf("L %u %u", id, num);
	if (num > MAX_SPANS)
		l.spans = at(r, HOLE);
	for (uint32_t i = 0; i < num && num <= MAX_SPANS; i++)
		printf(" %llx-%llx", X(spans[i].first), X(spans[i].last));
	int got = call(r->iommufd, ALLOW_IOVAS, &l);
	printf(" = %d\n", got);
}

void ioas_option(struct run *r, uint32_t option, uint32_t op, uint32_t id, uint64_t value)
{
	struct {
		uint32_t size, option;
		uint16_t op, reserved;
		uint32_t id;
		uint64_t value;
	} o = {.size = sizeof(o), .option = option, .op = (uint16_t)op, .id = id, .value = value};

	printf("O %u %u %u %llx", option, op, id, X(value));
	int got = call(r->iommufd, OPTION, &o);
	printf(" = %d %llx\n", got, X(o.value));
}

void ioas_convention(struct run *r, unsigned number, uint32_t size, uint8_t tail)
{
	uint8_t bytes[128] = {0};

	memcpy(bytes, &size, sizeof(size));
	if (size > 4 && size <= sizeof(bytes))
		bytes[size - 1] |= tail;
	printf("S %x %u %x = %d\n", number, size, tail, call(r->iommufd, number, bytes));
}
