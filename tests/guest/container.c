/* SPDX-License-Identifier: MIT */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define INFO_MAX    512
#define BITMAP_USED 0x10000ull	  /* of which this much can be written */
#define BITMAP_MAX  0x10000000ull /* the largest that may be asked for */

#define X(value) ((unsigned long long)(value))

static int result(int got)
{
	return got < 0 ? -errno : got;
}

void container_open(struct run *r)
{
	r->container = open("/dev/vfio/vfio", O_RDWR);
	r->group = open_group(r->bdf);
	if (ioctl(r->group, VFIO_GROUP_SET_CONTAINER, &r->container))
		give_up("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(r->container, VFIO_SET_IOMMU, r->v1 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU))
		give_up("VFIO_SET_IOMMU");
}

static const uint8_t *capability(const uint8_t *bytes, unsigned id)
{
	const struct vfio_iommu_type1_info *i = (const void *)bytes;
	const struct vfio_info_cap_header *h = NULL;

	for (uint32_t o = i->cap_offset; o; o = h->next) {
		h = (const void *)(bytes + o);
		if (h->id == id)
			return bytes + o;
	}
	give_up("a capability of VFIO_IOMMU_GET_INFO");
}

static const uint8_t *capabilities(struct run *r, unsigned id)
{
	static union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[INFO_MAX];
	} u;

	memset(&u, 0, sizeof(u));
	u.info.argsz = sizeof(u);
	if (ioctl(r->container, VFIO_IOMMU_GET_INFO, &u))
		give_up("VFIO_IOMMU_GET_INFO");
	return capability(u.bytes, id);
}

void container_print(struct run *r)
{
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;
	const struct vfio_iommu_type1_info_dma_avail *entries;

	printf("rules %s\n", r->v1 ? "type1" : "type1v2");
	entries = (const void *)capabilities(r, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	printf("entries %u\n", entries->avail);
	ranges = (const void *)capabilities(r, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	for (uint32_t i = 0; i < ranges->nr_iovas; i++)
		printf("range %llx %llx\n", ranges->iova_ranges[i].start,
		       ranges->iova_ranges[i].end);
}

uint64_t aperture_end(struct run *r)
{
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;

	ranges = (const void *)capabilities(r, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	return ranges->iova_ranges[ranges->nr_iovas - 1].end;
}

void check(struct run *r, unsigned long extension)
{
	printf("X %lu", extension);
	printf(" = %d\n", result(ioctl(r->container, VFIO_CHECK_EXTENSION, extension)));
}

void other_call(struct run *r, unsigned number)
{
	static uint64_t argument[8] = {sizeof(argument)};

	printf("Y %x", number);
	printf(" = %d\n", result(ioctl(r->container, number, argument)));
}

/* Another group comes into the container, and leaves if it could. */
void join(struct run *r)
{
	int group = open_group(r->other);
	int got = result(ioctl(group, VFIO_GROUP_SET_CONTAINER, &r->container));

	printf("J = %d\n", got);
	close(group);
}

void info(struct run *r, uint32_t argsz)
{
	static uint8_t bytes[INFO_MAX];

	memset(bytes, FILL, sizeof(bytes));
	memcpy(bytes, &argsz, 4);
	printf("I %u", argsz);
	printf(" = %d", result(ioctl(r->container, VFIO_IOMMU_GET_INFO, bytes)));
	print_bytes(bytes, sizeof(bytes), FILL);
	printf("\n");
}

void map_argsz(struct run *r, uint32_t argsz, uint32_t flags, uint64_t vaddr, uint64_t iova,
	       uint64_t size)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = argsz, .flags = flags, .vaddr = vaddr, .iova = iova, .size = size};

	printf("M %u %x", argsz, flags);
	print_address(r, vaddr);
	printf(" %llx %llx", X(iova), X(size));
	printf(" = %d\n", result(ioctl(r->container, VFIO_IOMMU_MAP_DMA, &m)));
}

void map(struct run *r, uint32_t flags, uint64_t vaddr, uint64_t iova, uint64_t size)
{
	map_argsz(r, sizeof(struct vfio_iommu_type1_dma_map), flags, vaddr, iova, size);
}

static uint8_t *bitmap_memory(void)
{
	static uint8_t *memory;

	if (!memory) {
		memory = mmap(NULL, BITMAP_MAX, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory == MAP_FAILED || mprotect(memory, BITMAP_USED, PROT_READ | PROT_WRITE))
			give_up("memory for bitmaps");
	}
	return memory;
}

static uint64_t place_address(struct run *r, enum place place)
{
	switch (place) {
	case PLACE_BAD:
		return at(r, HOLE);
	case PLACE_RO:
		return at(r, RO);
	case PLACE_KERNEL:
		return 0xffff888000000000ull;
	default:
		return (uint64_t)(uintptr_t)bitmap_memory();
	}
}

static struct vfio_bitmap prepare(struct run *r, const struct bitmap *b)
{
	static const char *const names[PLACES] = {"good", "bad", "ro", "kernel"};

	memset(bitmap_memory(), b->fill, BITMAP_USED);
	printf(" %llx %llx %s %02x", X(b->pgsize), X(b->size), names[b->place], b->fill);
	return (struct vfio_bitmap){.pgsize = b->pgsize,
				    .size = b->size,
				    .data = (void *)(uintptr_t)place_address(r, b->place)};
}

void unmap_argsz(struct run *r, uint32_t argsz, uint32_t flags, uint64_t iova, uint64_t size,
		 const struct bitmap *b)
{
	union {
		struct vfio_iommu_type1_dma_unmap unmap;
		uint8_t bytes[sizeof(struct vfio_iommu_type1_dma_unmap) +
			      sizeof(struct vfio_bitmap)];
	} u = {.unmap = {.argsz = argsz, .flags = flags, .iova = iova, .size = size}};

	printf("U %u %x %llx %llx", argsz, flags, X(iova), X(size));
	if (b) {
		struct vfio_bitmap raw = prepare(r, b);
		memcpy(u.unmap.data, &raw, sizeof(raw));
	}
	int got = result(ioctl(r->container, VFIO_IOMMU_UNMAP_DMA, &u));
	printf(" = %d %llx", got, X(u.unmap.size));
	if (b)
		print_bytes(bitmap_memory(), BITMAP_USED, b->fill);
	printf("\n");
}

void unmap(struct run *r, uint32_t flags, uint64_t iova, uint64_t size)
{
	unmap_argsz(r, sizeof(struct vfio_iommu_type1_dma_unmap), flags, iova, size, NULL);
}

void unmap_all(struct run *r)
{
	unmap(r, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);
}

void dirty_argsz(struct run *r, uint32_t argsz, uint32_t flags, uint64_t iova, uint64_t size,
		 const struct bitmap *b)
{
	union {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		uint8_t bytes[sizeof(struct vfio_iommu_type1_dirty_bitmap) +
			      sizeof(struct vfio_iommu_type1_dirty_bitmap_get)];
	} u = {.dirty = {.argsz = argsz, .flags = flags}};
	struct vfio_iommu_type1_dirty_bitmap_get get = {.iova = iova, .size = size};

	printf("D %u %x", argsz, flags);
	if (b) {
		printf(" %llx %llx", X(iova), X(size));
		get.bitmap = prepare(r, b);
		memcpy(u.dirty.data, &get, sizeof(get));
	}
	printf(" = %d", result(ioctl(r->container, VFIO_IOMMU_DIRTY_PAGES, &u)));
	if (b)
		print_bytes(bitmap_memory(), BITMAP_USED, b->fill);
	printf("\n");
}

void dirty(struct run *r, uint32_t flags)
{
	dirty_argsz(r, sizeof(struct vfio_iommu_type1_dirty_bitmap), flags, 0, 0, NULL);
}

void dirty_get(struct run *r, uint64_t iova, uint64_t size, const struct bitmap *b)
{
	dirty_argsz(r,
		    sizeof(struct vfio_iommu_type1_dirty_bitmap) +
			    sizeof(struct vfio_iommu_type1_dirty_bitmap_get),
		    VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, iova, size, b);
}
