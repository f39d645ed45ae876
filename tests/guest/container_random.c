/* SPDX-License-Identifier: MIT */
/* Calls to a type1 container that chance chooses, over a few small windows of addresses. */
#include "container.h"

#include <linux/vfio.h>

#define WINDOW 32 /* pages */
#define CALLS  3600
#define SECTION 300

static const uint64_t starts[] = {0, 0x100000, 0xfee00000ull - 16 * PAGE,
				  0xfef00000ull - 16 * PAGE, 0 - WINDOW * PAGE};

/* An address in the window: mostly that of a page. */
static uint64_t random_iova(struct run *r, uint64_t start)
{
	uint64_t iova = start + pick(r, WINDOW) * PAGE;

	return chance(r, 3) ? iova + 1 + pick(r, PAGE - 1) : iova;
}

static uint64_t random_size(struct run *r)
{
	if (chance(r, 94))
		return (1 + pick(r, chance(r, 20) ? 12 : 4)) * PAGE;
	switch (pick(r, 6)) {
	case 0:
		return 0;
	case 1:
		return PAGE + 1 + pick(r, PAGE - 1);
	case 2:
		return ~0ull - pick(r, 3) * (PAGE - 1);
	case 3:
		return 1ull << (12 + pick(r, 52));
	default:
		return (1 + pick(r, WINDOW)) * PAGE;
	}
}

static uint64_t random_vaddr(struct run *r)
{
	static const uint64_t bad[] = {0, 0x7ffffffff000ull, 0xffff888000000000ull,
				       0xfffffffffffff000ull};

	if (chance(r, 80))
		return at(r, RW + pick(r, 48) * PAGE);
	if (chance(r, 80))
		return at(r, pick(r, 112) * PAGE);
	if (chance(r, 50))
		return at(r, RW + 1 + pick(r, 3 * PAGE));
	return bad[pick(r, 4)];
}

static uint32_t random_map_flags(struct run *r)
{
	if (chance(r, 80))
		return 1 + pick(r, 3);
	return chance(r, 60) ? VFIO_DMA_MAP_FLAG_VADDR : pick(r, 16);
}

static struct bitmap random_bitmap(struct run *r)
{
	struct bitmap b = {.pgsize = PAGE, .size = 8 * (1 + pick(r, 2)), .fill = 0x5a};

	if (chance(r, 5))
		b.pgsize = pick(r, 2) ? 0x200000 : pick(r, 8192);
	if (chance(r, 5))
		b.size = pick(r, 20);
	if (chance(r, 5))
		b.place = (enum place)pick(r, PLACES);
	return b;
}

static void random_unmap(struct run *r, uint64_t start)
{
	struct bitmap b = random_bitmap(r);
	uint64_t iova = random_iova(r, start), size = random_size(r);
	uint32_t kind = pick(r, 100), argsz = 16 + pick(r, 40), flags = pick(r, 16);

	if (kind < 70)
		unmap(r, 0, iova, size);
	else if (kind < 80)
		unmap(r, VFIO_DMA_UNMAP_FLAG_VADDR, iova, size);
	else if (kind < 95)
		unmap_argsz(r, 48, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, iova, size, &b);
	else if (kind < 97)
		unmap(r, VFIO_DMA_UNMAP_FLAG_ALL | (kind & 1) * VFIO_DMA_UNMAP_FLAG_VADDR, 0, 0);
	else
		unmap_argsz(r, argsz, flags, iova, size, &b);
}

static void random_dirty(struct run *r, uint64_t start)
{
	struct bitmap b = random_bitmap(r);
	uint64_t iova = random_iova(r, start), size = random_size(r);
	uint32_t kind = pick(r, 100), argsz = 4 + pick(r, 60), flags = pick(r, 8);

	if (kind < 25)
		dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	else if (kind < 35)
		dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
	else if (kind < 95)
		dirty_get(r, iova, size, &b);
	else
		dirty_argsz(r, argsz, flags, iova, size, &b);
}

static void random_map(struct run *r, uint64_t start)
{
	uint32_t flags = random_map_flags(r);
	uint64_t vaddr = random_vaddr(r), iova = random_iova(r, start), size = random_size(r);

	map(r, flags, vaddr, iova, size);
}

static void random_call(struct run *r, uint64_t start)
{
	uint32_t kind = pick(r, 100);

	if (kind < 55)
		random_map(r, start);
	else if (kind < 87)
		random_unmap(r, start);
	else if (kind < 99)
		random_dirty(r, start);
	else
		info(r, chance(r, 50) ? 400 : pick(r, 160));
}

void record_container_random(struct run *r)
{
	const uint32_t windows = sizeof(starts) / sizeof(*starts);
	uint64_t end = aperture_end(r);

	for (uint32_t i = 0; i < CALLS; i += SECTION) {
		uint32_t window = i / SECTION % (windows + 1);
		uint64_t start = window < windows ? starts[window] : end + 1 - 16 * PAGE;

		section("chance, from %llx", (unsigned long long)start);
		for (uint32_t j = 0; j < SECTION; j++)
			random_call(r, start);
		dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
		unmap_all(r);
	}
}
