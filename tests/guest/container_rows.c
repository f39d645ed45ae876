/* SPDX-License-Identifier: MIT */
/* What is worth asking a type1 container one by one. */
#include "container.h"

#include <linux/vfio.h>

#define R    VFIO_DMA_MAP_FLAG_READ
#define W    VFIO_DMA_MAP_FLAG_WRITE
#define MV   VFIO_DMA_MAP_FLAG_VADDR
#define GD   VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP
#define ALL  VFIO_DMA_UNMAP_FLAG_ALL
#define UV   VFIO_DMA_UNMAP_FLAG_VADDR
#define MSI  0xfee00000ull
#define TOP  0xfffffffffffff000ull
#define IOVA 0x100000ull
#define LONG_UNMAP 48

static const struct bitmap good = {.pgsize = PAGE, .size = 64};

static void rows_extensions(struct run *r)
{
	section("extensions and calls that there are not");
	for (unsigned long i = 0; i <= 12; i++)
		check(r, i);
	other_call(r, 0x3b64);
	other_call(r, 0x3b73);
	other_call(r, 0x3b74);
	other_call(r, 0x3b76);
	other_call(r, 0x3b6b);
}

static void rows_info(struct run *r)
{
	static const uint32_t sizes[] = {0, 8, 15, 16, 17, 20, 23, 24, 25, 56, 72, 120, 135, 136,
					 150, 400};

	section("GET_INFO");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		info(r, sizes[i]);
}

static void rows_map(struct run *r)
{
	uint64_t end = aperture_end(r);

	section("MAP_DMA");
	map(r, R | W, at(r, RW), IOVA, 0);
	map(r, 0, at(r, RW), IOVA, PAGE);
	map(r, R | MV, at(r, RW), IOVA, PAGE);
	map(r, MV, at(r, RW), IOVA, PAGE);
	map(r, 8, at(r, RW), IOVA, PAGE);
	map(r, R | W, at(r, RW), IOVA + 1, PAGE);
	map(r, R | W, at(r, RW + 1), IOVA, PAGE);
	map(r, R | W, at(r, RW), IOVA, PAGE + 1);
	map_argsz(r, 31, R | W, at(r, RW), IOVA, PAGE);
	map_argsz(r, 33, R | W, at(r, RW), IOVA, PAGE);
	map(r, R | W, at(r, RW), IOVA, PAGE);
	map(r, R | W, at(r, RW), IOVA - PAGE, 3 * PAGE);
	map(r, R | W, at(r, HOLE), IOVA, PAGE);
	map(r, R | W, at(r, RW), TOP, 2 * PAGE);
	map(r, R | W, at(r, RW), TOP, PAGE);
	map(r, R | W, TOP, IOVA + 2 * PAGE, PAGE);
	map(r, R | W, TOP, IOVA + 2 * PAGE, 2 * PAGE);
	map(r, R | W, at(r, RW), IOVA, ~0ull);
	map(r, 0, at(r, RW), TOP + 1, PAGE);
	map(r, R | W, at(r, RW), MSI, PAGE);
	map(r, R | W, at(r, RW), MSI - PAGE, 2 * PAGE);
	map(r, R | W, at(r, RW), MSI - PAGE, PAGE);
	map(r, R | W, at(r, RW), MSI + 0x100000, PAGE);
	map(r, R | W, at(r, RW), MSI + 0xff000, 2 * PAGE);
	map(r, R | W, at(r, HOLE), MSI, PAGE);
	map(r, R | W, at(r, RW), end + 1 - PAGE, PAGE);
	map(r, R | W, at(r, RW), end + 1, PAGE);
	map(r, R | W, at(r, RW), end + 1 - 3 * PAGE, 3 * PAGE);
	map(r, R | W, at(r, RW), end + 1 - 3 * PAGE, 2 * PAGE);
	map(r, R | W, at(r, RW), end + 1 - 5 * PAGE, 8 * PAGE);
	unmap_all(r);
}

static void rows_memory(struct run *r)
{
	static const uint64_t places[] = {RW, RO, NONE, HOLE, SHARED, SHARED + 16 * PAGE, PAST,
					  RO - 2 * PAGE, PAST - 2 * PAGE, HOLE - 2 * PAGE,
					  SHARED + 14 * PAGE, GOOD - 2 * PAGE, GOOD};

	section("memory of every kind");
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		for (uint32_t flags = R; flags <= (R | W); flags++) {
			map(r, flags, at(r, places[i]), IOVA, 4 * PAGE);
			unmap(r, 0, IOVA, 4 * PAGE);
		}
	map(r, R, 0, IOVA, PAGE);
	map(r, R, 0x8000000000000000ull, IOVA, PAGE);
	map(r, R, 0xffff888000000000ull, IOVA, PAGE);
}

static void rows_unmap(struct run *r)
{
	section("UNMAP_DMA");
	map(r, R | W, at(r, RW), IOVA, 2 * PAGE);
	unmap(r, 0, IOVA, PAGE);
	map(r, R | W, at(r, RW), IOVA, 2 * PAGE);
	unmap(r, 0, IOVA + PAGE, PAGE);
	unmap(r, 0, IOVA - PAGE, 2 * PAGE);
	unmap(r, 0, IOVA + PAGE, 2 * PAGE);
	unmap_all(r);
	map(r, R | W, at(r, RW), IOVA, 2 * PAGE);
	map(r, R, at(r, RW), IOVA + 4 * PAGE, 3 * PAGE);
	unmap(r, 0, IOVA, 7 * PAGE);
	unmap(r, 0, IOVA, PAGE);
	map(r, R | W, at(r, RW), IOVA, 2 * PAGE);
	map(r, R, at(r, RW), IOVA + 4 * PAGE, 3 * PAGE);
	unmap(r, ALL, 0, PAGE);
	unmap(r, ALL, PAGE, 0);
	unmap(r, ALL | GD, 0, 0);
	unmap_argsz(r, LONG_UNMAP, ALL | GD, 0, 0, &good);
	unmap(r, 0, IOVA, 0);
	unmap(r, 0, IOVA + 1, PAGE);
	unmap(r, 0, IOVA, PAGE + 1);
	unmap(r, 0, TOP, 2 * PAGE);
	unmap(r, 0, TOP, PAGE);
	unmap(r, 0, TOP + 1, 2 * PAGE);
	unmap(r, 0, TOP, ~0ull);
	unmap_argsz(r, 23, 0, IOVA, 2 * PAGE, NULL);
	unmap(r, 0, 0, ~0ull - PAGE + 1);
	unmap_all(r);
	unmap_all(r);
}

static void rows_vaddr(struct run *r)
{
	section("VADDR");
	unmap(r, UV, IOVA, PAGE);
	map(r, MV, at(r, RW), IOVA, PAGE);
	map(r, R | W, at(r, RW), IOVA, 2 * PAGE);
	map(r, R | W, at(r, RW), IOVA + 4 * PAGE, PAGE);
	map(r, MV, at(r, RW), IOVA, 2 * PAGE);
	unmap(r, UV, IOVA, PAGE);
	unmap(r, UV, IOVA, 2 * PAGE);
	unmap(r, UV, IOVA, 2 * PAGE);
	unmap(r, UV, IOVA, 8 * PAGE);
	unmap(r, UV, IOVA + 4 * PAGE, PAGE);
	join(r);
	map(r, MV, at(r, RW), IOVA, PAGE);
	map(r, MV, at(r, RW), IOVA - PAGE, 2 * PAGE);
	map(r, MV, at(r, RW), IOVA + 8 * PAGE, PAGE);
	map(r, MV, at(r, HOLE), IOVA, 2 * PAGE);
	unmap(r, UV, IOVA, 2 * PAGE);
	map(r, MV, at(r, RW), IOVA, 2 * PAGE);
	map(r, MV, at(r, RW), IOVA, 2 * PAGE);
	map(r, R, at(r, RW), IOVA + 4 * PAGE, PAGE);
	map(r, R, at(r, RW), IOVA + 5 * PAGE, PAGE);
	unmap(r, 0, IOVA + 4 * PAGE, PAGE);
	unmap(r, UV | ALL, 0, 0);
	unmap(r, UV | ALL, 0, 0);
	unmap(r, UV | ALL, 0, PAGE);
	unmap_argsz(r, LONG_UNMAP, UV | GD, IOVA, PAGE, &good);
	dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	dirty_get(r, IOVA, 4 * PAGE, &good);
	dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
	unmap_all(r);
	join(r);
	map(r, R | W, at(r, RW), MSI - PAGE, PAGE);
	join(r);
	unmap_all(r);
}

static void rows_dirty_arguments(struct run *r)
{
	struct bitmap b = good;

	b.pgsize = 0x200000;
	dirty_get(r, IOVA, 4 * PAGE, &b);
	b = good;
	b.size = 0;
	dirty_get(r, IOVA, 4 * PAGE, &b);
	b.size = 7;
	dirty_get(r, IOVA, 4 * PAGE, &b);
	b.size = 8;
	dirty_get(r, IOVA, 64 * PAGE, &b);
	dirty_get(r, IOVA, 65 * PAGE, &b);
	b.size = 0x10000000;
	dirty_get(r, IOVA, 4 * PAGE, &b);
	b.size++;
	dirty_get(r, IOVA, 4 * PAGE, &b);
	dirty_get(r, IOVA, 0, &good);
	dirty_get(r, IOVA + 1, PAGE, &good);
	dirty_get(r, IOVA, PAGE + 1, &good);
	dirty_get(r, TOP, 2 * PAGE, &good);
	for (b = good, b.place = 0; b.place < PLACES; b.place++)
		dirty_get(r, IOVA, 4 * PAGE, &b);
	for (b = good, b.place = 0; b.place < PLACES; b.place++)
		dirty_get(r, IOVA + 32 * PAGE, 4 * PAGE, &b);
	dirty_argsz(r, 47, 4, IOVA, PAGE, &good);
	dirty_argsz(r, 7, 4, IOVA, PAGE, &good);
	dirty_argsz(r, 100, 4, IOVA, 2 * PAGE, &good);
}

static void rows_dirty_ranges(struct run *r)
{
	struct bitmap b = good;

	for (int i = 0; i < 2; i++, b.fill = 0x5a) {
		dirty_get(r, IOVA, 2 * PAGE, &b);
		dirty_get(r, IOVA, PAGE, &b);
		dirty_get(r, IOVA + PAGE, 4 * PAGE, &b);
		dirty_get(r, IOVA, 8 * PAGE, &b);
		dirty_get(r, IOVA, 20 * PAGE, &b);
		dirty_get(r, IOVA, 100 * PAGE, &b);
		dirty_get(r, IOVA - PAGE, 100 * PAGE, &b);
		dirty_get(r, IOVA + 30 * PAGE, 70 * PAGE, &b);
		dirty_get(r, IOVA + 70 * PAGE, 30 * PAGE, &b);
		dirty_get(r, 0, 0x200000, &b);
	}
}

static void rows_dirty(struct run *r)
{
	struct bitmap b = good;

	section("DIRTY_PAGES");
	map(r, R | W, at(r, RW), IOVA, 2 * PAGE);
	map(r, R, at(r, RW), IOVA + 4 * PAGE, 3 * PAGE);
	map(r, W, at(r, RW), IOVA + 66 * PAGE, 3 * PAGE);
	dirty_get(r, IOVA, 2 * PAGE, &good);
	unmap_argsz(r, LONG_UNMAP, GD, IOVA, 2 * PAGE, &good);
	dirty(r, 3);
	dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
	dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	rows_dirty_ranges(r);
	rows_dirty_arguments(r);
	unmap_argsz(r, LONG_UNMAP, GD, IOVA, PAGE, &good);
	unmap_argsz(r, LONG_UNMAP - 1, GD, IOVA, 2 * PAGE, &good);
	unmap_argsz(r, LONG_UNMAP, GD, IOVA, 2 * PAGE, &good);
	b.pgsize = 0x200000;
	unmap_argsz(r, LONG_UNMAP, GD, IOVA + 4 * PAGE, 3 * PAGE, &b);
	b = good;
	b.place = PLACE_BAD;
	unmap_argsz(r, LONG_UNMAP, GD, IOVA, 100 * PAGE, &b);
	unmap_argsz(r, LONG_UNMAP, GD, IOVA, 100 * PAGE, &good);
	dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
	dirty_get(r, IOVA, 2 * PAGE, &good);
	unmap_all(r);
}

void record_container_rows(struct run *r)
{
	rows_extensions(r);
	rows_info(r);
	rows_map(r);
	rows_memory(r);
	rows_unmap(r);
	rows_vaddr(r);
	rows_dirty(r);
}

/* Every combination of flags, on a space with one map, with tracking off and on. */
static void flags_once(struct run *r, uint32_t flags, int state)
{
	map(r, R | W, at(r, RW), IOVA, PAGE);
	if (state & 1)
		dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
	if (state & 2)
		unmap(r, UV, IOVA, PAGE);
	map(r, flags, at(r, RW), IOVA, PAGE);
	map(r, flags, at(r, RW), IOVA + PAGE, PAGE);
	dirty_argsz(r, LONG_UNMAP, flags, IOVA, PAGE, &good);
	unmap_argsz(r, LONG_UNMAP, flags, IOVA, PAGE, &good);
	unmap_argsz(r, LONG_UNMAP, flags, 0, 0, &good);
	dirty(r, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
	unmap_all(r);
}

void record_container_flags(struct run *r)
{
	section("every combination of flags");
	for (int state = 0; state < 4; state++)
		for (uint32_t flags = 0; flags < 16; flags++)
			flags_once(r, flags, state);
}

/* As another user, of 24 pages of locked memory. */
void record_container_limits(struct run *r)
{
	section("locked memory");
	map(r, R | W, at(r, RW), IOVA, 25 * PAGE);
	info(r, 24);
	map(r, R | W, at(r, RW), IOVA, 24 * PAGE);
	map(r, R | W, at(r, RW), IOVA + 32 * PAGE, PAGE);
	unmap_all(r);
	map(r, R | W, at(r, RW), IOVA, 20 * PAGE);
	map(r, R | W, at(r, RW), IOVA + 32 * PAGE, 5 * PAGE);
	map(r, R | W, at(r, RW), IOVA + 32 * PAGE, 4 * PAGE);
	map(r, R | W, at(r, HOLE), IOVA + 64 * PAGE, PAGE);
	unmap(r, UV, IOVA, 20 * PAGE);
	map(r, MV, at(r, RW), IOVA, 20 * PAGE);
	unmap_all(r);
	/* Which is first: memory that is bad, or too much of it? */
	map(r, R | W, at(r, RO - 24 * PAGE), IOVA, 26 * PAGE);
	map(r, R | W, at(r, RO - 25 * PAGE), IOVA, 26 * PAGE);
	map(r, R | W, at(r, RO - 26 * PAGE), IOVA, 28 * PAGE);
	map(r, R | W, at(r, RO - 30 * PAGE), IOVA, 40 * PAGE);
	map(r, R | W, at(r, HOLE), IOVA, 40 * PAGE);
	/* The same pages twice. */
	map(r, R | W, at(r, RW), IOVA, 12 * PAGE);
	map(r, R | W, at(r, RW), IOVA + 32 * PAGE, 12 * PAGE);
	map(r, R | W, at(r, RW), IOVA + 64 * PAGE, PAGE);
	unmap_all(r);

	section("as many maps as may be");
	for (uint64_t i = 0; i < 18; i++)
		map(r, R | W, at(r, RW), IOVA + i * PAGE, PAGE);
	map(r, R | W, at(r, RW), IOVA, PAGE);
	map(r, R | W, at(r, HOLE), IOVA + 32 * PAGE, PAGE);
	map(r, R | W, at(r, RW), MSI, PAGE);
	info(r, 400);
	unmap(r, 0, IOVA, 2 * PAGE);
	info(r, 400);
	map(r, R | W, at(r, HOLE), IOVA + 32 * PAGE, PAGE);
	info(r, 400);
	unmap_all(r);
}
