/* SPDX-License-Identifier: MIT */
/* What is worth asking an IOAS one by one. */
#include "ioas.h"

#define IOVA 0x100000ull
#define MSI  0xfee00000ull
#define HUGE 0x200000ull
#define MANY 1000 /* more spans than are printed, in memory that cannot be read */

static void rows_map(struct run *r, uint32_t i)
{
	section("IOAS MAP");
	ioas_map(r, i, FIXED | READ | 8, at(r, RW), PAGE, IOVA);
	ioas_map(r, i, FIXED, at(r, RW), PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), 0, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), ~0ull, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, ~0ull);
	ioas_map(r, i, READ, at(r, RW), PAGE, ~0ull);
	ioas_map(r, i, FIXED, at(r, RW), ~0ull, IOVA);
	ioas_map(r, 77, FIXED | READ, at(r, RW), PAGE, IOVA);
	ioas_map(r, 77, FIXED, at(r, RW), PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, 0 - PAGE, PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, 0 - PAGE, PAGE + 1, IOVA);
	ioas_map(r, i, FIXED | READ, 1 - PAGE, PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, 0 - PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, 1 - PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), 2 * PAGE, 0 - PAGE);
	ioas_map(r, i, FIXED | READ | WRITE, at(r, RW), 2 * PAGE, IOVA);
	ioas_map(r, i, FIXED | READ | WRITE, at(r, RW), 2 * PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA + PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, MSI);
	ioas_map(r, i, FIXED | READ, at(r, RW), 2 * PAGE, MSI - PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW + 1), PAGE, IOVA + 8 * PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA + 16 * PAGE + 1);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE + 1, IOVA + 24 * PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, 0);
	ioas_map(r, i, READ, at(r, RW), 0, 0);
	ioas_map(r, i, READ, 0, 1ull << 63, 0);
	ioas_map(r, i, READ, 0, (1ull << 63) - 1, 0);
	ioas_map(r, i, READ, 0, 1ull << 62, 0);
	ioas_unmap(r, i, 0, ~0ull);
}

static void rows_long(struct run *r, uint32_t i)
{
	static const uint64_t lengths[] = {1ull << 62,	     1ull << 63,	 0 - 2 * PAGE,
					   0 - PAGE - 1,     0 - PAGE,		 1 - PAGE,
					   0 - PAGE / 2,     ~0ull - 1};

	section("IOAS MAP of most of the space");
	for (size_t l = 0; l < sizeof(lengths) / sizeof(*lengths); l++) {
		ioas_map(r, i, FIXED | READ, 0, lengths[l], 0);
		ioas_map(r, i, FIXED | READ, 1, lengths[l], 1);
		for (int k = 0; k < 3; k++)
			ioas_map(r, i, READ, at(r, RW), PAGE, 0);
		ioas_unmap(r, i, 0, ~0ull);
	}
}

static void rows_automatic(struct run *r, uint32_t i)
{
	static const uint64_t lengths[] = {1,	     PAGE,	 PAGE + 1,    3 * PAGE, 16 * PAGE,
					   HUGE - 1, HUGE,	 2 * HUGE,    100,	PAGE - 1,
					   HUGE + 1, 3 * HUGE,	 64 * PAGE};
	static const uint64_t addresses[] = {0,	  PAGE, 1, 3 * PAGE, 0x80, HUGE, 0x123,
					     7 * PAGE + 8, HUGE - 1};

	section("IOAS MAP, where it chooses");
	for (size_t a = 0; a < sizeof(addresses) / sizeof(*addresses); a++)
		for (size_t l = 0; l < sizeof(lengths) / sizeof(*lengths); l++)
			ioas_map(r, i, READ, at(r, addresses[a]), lengths[l], 0);
	ioas_map(r, i, READ, 0, PAGE, 0);
	ioas_map(r, i, READ, 0, HUGE, 0);
	ioas_map(r, i, READ, 0, 4 * HUGE, 0);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0x5555);
	ioas_unmap(r, i, PAGE, PAGE);
	ioas_allow(r, i, 1, &(struct span){IOVA, IOVA + 2 * PAGE - 1});
	ioas_map(r, i, READ, at(r, RW), 2 * PAGE, 0);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_map(r, i, READ | FIXED, at(r, RW), PAGE, 16 * IOVA);
	ioas_allow(r, i, 0, NULL);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_map(r, i, READ | FIXED, 0, ~0ull - 1, 0);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_unmap(r, i, 0, ~0ull);
}

static void rows_unmap(struct run *r, uint32_t i)
{
	section("IOAS UNMAP");
	ioas_unmap(r, i, IOVA, PAGE);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_unmap(r, i, IOVA, 0);
	ioas_unmap(r, i, 0, 0);
	ioas_unmap(r, i, IOVA, ~0ull);
	ioas_unmap(r, i, ~0ull, PAGE);
	ioas_unmap(r, i, 0 - PAGE, PAGE);
	ioas_unmap(r, i, 0 - PAGE, PAGE + 1);
	ioas_unmap(r, 77, IOVA, PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), 2 * PAGE, IOVA);
	ioas_unmap(r, i, IOVA, PAGE);
	ioas_unmap(r, i, IOVA + PAGE, PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA - PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA - 3 * PAGE);
	ioas_unmap(r, i, IOVA - 3 * PAGE, 4 * PAGE);
	ioas_unmap(r, i, IOVA - 3 * PAGE, PAGE);
	ioas_unmap(r, i, IOVA - PAGE, PAGE);
	ioas_unmap(r, i, IOVA + PAGE, 2 * PAGE);
	ioas_unmap(r, i, IOVA - 1, 2 * PAGE + 2);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA + 2 * PAGE);
	ioas_unmap(r, i, IOVA, 3 * PAGE);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_unmap(r, i, 0, ~0ull);
}

static void rows_copy(struct run *r, uint32_t i, uint32_t j)
{
	section("IOAS COPY");
	ioas_map(r, i, FIXED | READ | WRITE, at(r, RW), 4 * PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), 2 * PAGE, IOVA + 4 * PAGE);
	ioas_copy(r, j, i, FIXED | READ, PAGE, IOVA, IOVA + PAGE);
	ioas_copy(r, j, i, FIXED | READ, PAGE, IOVA, IOVA + PAGE);
	ioas_copy(r, j, i, FIXED | READ, 8 * PAGE, 2 * IOVA, IOVA);
	ioas_copy(r, j, i, FIXED | READ, PAGE, 2 * IOVA, 3 * IOVA);
	ioas_copy(r, j, i, FIXED | READ, 4 * PAGE, 2 * IOVA, IOVA + 2 * PAGE);
	ioas_copy(r, j, i, FIXED | WRITE, 2 * PAGE, 3 * IOVA, IOVA + 4 * PAGE);
	ioas_copy(r, j, i, FIXED | WRITE, 2 * PAGE, 3 * IOVA, IOVA + 3 * PAGE);
	ioas_copy(r, j, i, FIXED | WRITE, 2 * PAGE, 3 * IOVA, IOVA + 2 * PAGE);
	ioas_copy(r, j, i, READ, 6 * PAGE, 0, IOVA);
	ioas_copy(r, j, i, READ, 3 * PAGE, 0, IOVA + PAGE);
	ioas_copy(r, i, i, READ, PAGE, 0, IOVA);
	ioas_copy(r, i, i, FIXED | READ, PAGE, IOVA, IOVA);
	ioas_copy(r, j, i, 0, PAGE, 0, IOVA);
	ioas_copy(r, j, i, READ | 8, PAGE, 0, IOVA);
	ioas_copy(r, j, i, READ, 0, 0, IOVA);
	ioas_copy(r, j, i, READ, ~0ull, 0, IOVA);
	ioas_copy(r, j, i, READ, PAGE, ~0ull, IOVA);
	ioas_copy(r, j, i, READ, PAGE, 0, ~0ull);
	ioas_copy(r, j, i, READ, 2 * PAGE, 0, 0 - PAGE);
	ioas_copy(r, j, i, FIXED | READ, 2 * PAGE, 0 - PAGE, IOVA);
	ioas_copy(r, j, 77, READ, PAGE, 0, IOVA);
	ioas_copy(r, 77, i, READ, PAGE, 0, IOVA);
	ioas_copy(r, 77, i, READ, PAGE, 0, 3 * IOVA);
	ioas_copy(r, j, i, READ, 100, 0, IOVA + 20);
	ioas_copy(r, j, i, FIXED | READ, 100, 5 * IOVA, IOVA + 20);
	/* A copy that may only be read of what may be written, copied again. */
	ioas_copy(r, i, j, FIXED | WRITE, PAGE, 6 * IOVA, IOVA);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_copy(r, i, j, FIXED | READ, PAGE, IOVA, IOVA);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_unmap(r, j, 0, ~0ull);
}

/* A copy is page aligned, and the memory is not; or the two parts are not. */
static void rows_copy_parts(struct run *r, uint32_t i, uint32_t j)
{
	section("IOAS COPY of parts that are not aligned");
	ioas_map(r, i, FIXED | READ, at(r, RW + 1), PAGE, IOVA);
	ioas_copy(r, j, i, FIXED | READ, PAGE, IOVA, IOVA);
	ioas_copy(r, j, i, READ, PAGE, 0, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), 100, 2 * IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW + 100), PAGE - 100, 2 * IOVA + 100);
	ioas_copy(r, j, i, FIXED | READ, PAGE, 2 * IOVA, 2 * IOVA);
	ioas_copy(r, j, i, READ, PAGE, 0, 2 * IOVA);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_unmap(r, j, 0, ~0ull);
}

static void rows_ranges(struct run *r, uint32_t i)
{
	static const struct span two[] = {{0x10000, 0x1ffff}, {0x40000, 0x4ffff}};
	static const struct span apart[] = {{0x40000, 0x4ffff}, {0x10000, 0x3ffff}};
	static const struct span over[] = {{0x10000, 0x20000}, {0x20000, 0x4ffff}};

	section("IOAS IOVA_RANGES and ALLOW_IOVAS");
	ioas_ranges(r, i, 0);
	ioas_ranges(r, i, 1);
	ioas_ranges(r, i, 8);
	ioas_ranges(r, i, MANY);
	ioas_ranges(r, 77, 8);
	ioas_allow(r, i, 1, &(struct span){0x10000, 0x10000});
	ioas_allow(r, i, 1, &(struct span){0x10000, 0xffff});
	ioas_allow(r, i, 1, &(struct span){0x10000, 0x10001});
	ioas_allow(r, i, 2, two);
	ioas_ranges(r, i, 8);
	for (int k = 0; k < 4; k++)
		ioas_map(r, i, READ, at(r, RW), 8 * PAGE, 0);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_allow(r, i, 2, over);
	ioas_allow(r, i, 2, apart);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_allow(r, i, 1, &(struct span){MSI, MSI + PAGE});
	ioas_allow(r, i, 1, &(struct span){MSI - PAGE, MSI});
	ioas_allow(r, i, 1, &(struct span){0, ~0ull});
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_allow(r, i, MANY, NULL);
	ioas_allow(r, 77, 1, two);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_allow(r, i, 0, NULL);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_unmap(r, i, 0, ~0ull);
}

static void rows_options(struct run *r, uint32_t i)
{
	section("IOAS OPTION");
	ioas_option(r, 0, 0, 0, 1);
	ioas_option(r, 0, 1, 0, 5);
	ioas_option(r, 0, 1, i, 5);
	ioas_option(r, 0, 0, i, 1);
	ioas_option(r, 0, 2, 0, 0);
	ioas_option(r, 2, 1, 0, 0);
	ioas_option(r, 1, 1, i, 5);
	ioas_option(r, 1, 1, 77, 5);
	ioas_option(r, 1, 2, i, 0);
	ioas_option(r, 1, 0, i, 2);
	ioas_option(r, 1, 0, i, 0);
	ioas_option(r, 1, 1, i, 5);
	ioas_option(r, 1, 0, i, 0);
	ioas_ranges(r, i, 4);
	ioas_map(r, i, READ, at(r, RW), 2 * HUGE, 0);
	ioas_map(r, i, FIXED | READ, at(r, RW), 100, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), PAGE, IOVA);
	ioas_option(r, 1, 0, i, 1);
	ioas_option(r, 1, 1, i, 0);
	ioas_map(r, i, FIXED | READ, at(r, RW), 100, 2 * IOVA);
	ioas_option(r, 1, 0, i, 0);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_option(r, 1, 0, i, 1);
}

void record_ioas_rows(struct run *r)
{
	uint32_t i, j;

	section("IOAS ALLOC and DESTROY");
	ioas_destroy(r, 0);
	ioas_destroy(r, 1);
	ioas_option(r, 0, 1, 0, 0);
	ioas_option(r, 0, 0, 0, 2);
	ioas_option(r, 0, 0, 0, 1);
	ioas_option(r, 0, 1, 0, 0);
	ioas_option(r, 0, 0, 0, 0);
	ioas_new(r, 1);
	i = ioas_new(r, NO_FLAGS);
	ioas_destroy(r, i);
	i = ioas_new(r, NO_FLAGS);
	j = ioas_new(r, NO_FLAGS);
	rows_map(r, i);
	rows_long(r, i);
	rows_automatic(r, i);
	rows_unmap(r, i);
	rows_copy(r, i, j);
	rows_copy_parts(r, i, j);
	rows_ranges(r, i);
	rows_options(r, i);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_destroy(r, j);
	ioas_destroy(r, i);
	ioas_destroy(r, i);
}

/* The sizes that a call may have: smaller, exact, with zeros behind, with garbage behind. */
void record_ioas_convention(struct run *r)
{
	static const uint8_t sizes[] = {8, 12, 24, 40, 32, 40, 24, 24};

	section("sizes of calls");
	for (unsigned i = 0; i < sizeof(sizes); i++) {
		const uint32_t size = sizes[i];

		ioas_convention(r, 0x3b80 + i, size - 1, 0);
		ioas_convention(r, 0x3b80 + i, 0, 0);
		if (i == 1) /* that would make one */
			continue;
		ioas_convention(r, 0x3b80 + i, size, 0);
		ioas_convention(r, 0x3b80 + i, size + 1, 0);
		ioas_convention(r, 0x3b80 + i, size + 1, 1);
		ioas_convention(r, 0x3b80 + i, size + 8, 1);
	}
	ioas_convention(r, 0x3b7f, 8, 0);
	ioas_convention(r, 0x3b95, 8, 0);
	ioas_convention(r, 0xc0083b80, 8, 0);
}

static void attach_with_maps(struct run *r)
{
	static const struct {
		uint32_t flags;
		uint64_t va, length, iova;
	} maps[] = {
		{READ, RW, PAGE, IOVA},		{READ | WRITE, RO, PAGE, IOVA},
		{READ, RO, PAGE, IOVA},		{READ, HOLE, PAGE, IOVA},
		{READ, RW, 100, IOVA},		{READ, RW + 1, PAGE, IOVA},
		{READ, RW, PAGE, IOVA + 100},	{READ, RW + 1, PAGE, IOVA + 1},
		{READ, RW, PAGE, MSI},		{READ, RW, PAGE, 0 - 2 * PAGE},
		{READ, RW, PAGE, MSI - PAGE},	{READ, NONE - PAGE, 2 * PAGE, IOVA},
	};

	section("the device is attached to what has maps");
	for (size_t k = 0; k < sizeof(maps) / sizeof(*maps); k++) {
		uint32_t i = ioas_new(r, NO_FLAGS);

		ioas_map(r, i, FIXED | maps[k].flags, at(r, maps[k].va), maps[k].length,
			 maps[k].iova);
		if (!ioas_attach(r, i))
			ioas_detach(r);
		ioas_destroy(r, i);
	}
}

static void attach_in_turn(struct run *r)
{
	uint32_t i, j;

	section("the device is attached to one and then to another");
	i = ioas_new(r, NO_FLAGS);
	j = ioas_new(r, NO_FLAGS);
	ioas_detach(r);
	ioas_attach(r, 77);
	ioas_attach(r, i);
	ioas_destroy(r, i);
	ioas_option(r, 1, 0, i, 0);
	ioas_option(r, 1, 0, i, 1);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_option(r, 1, 0, i, 0);
	ioas_option(r, 1, 0, i, 1);
	ioas_option(r, 1, 0, i, 2);
	ioas_attach(r, j);
	ioas_ranges(r, i, 4);
	ioas_ranges(r, j, 4);
	ioas_map(r, i, FIXED | READ, at(r, HOLE), PAGE, IOVA);
	ioas_attach(r, i);
	ioas_ranges(r, i, 4);
	ioas_ranges(r, j, 4);
	ioas_unmap(r, i, IOVA, PAGE);
	ioas_attach(r, i);
	ioas_allow(r, j, 1, &(struct span){0, ~0ull});
	ioas_attach(r, j);
	ioas_allow(r, j, 1, &(struct span){0x100000, 0x1fffff});
	ioas_attach(r, j);
	ioas_detach(r);
	ioas_detach(r);
	ioas_ranges(r, j, 4);
	ioas_destroy(r, i);
	ioas_destroy(r, j);
}

/* The rows again, on an IOAS that the device is attached to. */
void record_ioas_attach(struct run *r)
{
	uint32_t i, j;

	attach_with_maps(r);
	attach_in_turn(r);
	section("rows, where the device is attached");
	i = ioas_new(r, NO_FLAGS);
	j = ioas_new(r, NO_FLAGS);
	ioas_attach(r, i);
	rows_map(r, i);
	rows_long(r, i);
	rows_automatic(r, i);
	rows_unmap(r, i);
	rows_copy(r, i, j);
	rows_copy(r, j, i);
	rows_copy_parts(r, j, i);
	rows_ranges(r, i);
	rows_options(r, i);
	ioas_detach(r);
	ioas_destroy(r, j);
	ioas_destroy(r, i);
}

/* As another user, of 24 pages of locked memory. */
void record_ioas_limits(struct run *r)
{
	uint32_t i, j;

	section("locked memory");
	i = ioas_new(r, NO_FLAGS);
	j = ioas_new(r, NO_FLAGS);
	ioas_map(r, i, READ, at(r, RW), 40 * PAGE, 0);
	ioas_attach(r, i);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_attach(r, i);
	ioas_map(r, i, READ, at(r, RW), 25 * PAGE, 0);
	ioas_map(r, i, READ, at(r, RW), 24 * PAGE, 0);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_map(r, i, FIXED | READ, at(r, RW), 16 * PAGE, IOVA);
	ioas_copy(r, i, i, READ, 16 * PAGE, 0, IOVA);
	ioas_map(r, i, READ, at(r, RW), 8 * PAGE, 0);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_unmap(r, i, IOVA, 16 * PAGE);
	ioas_map(r, i, READ, at(r, RW), PAGE, 0);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_map(r, i, READ, at(r, RO - 24 * PAGE), 26 * PAGE, 0);
	ioas_map(r, i, READ | WRITE, at(r, RO - 24 * PAGE), 26 * PAGE, 0);
	ioas_map(r, i, READ | WRITE, at(r, RO - 25 * PAGE), 26 * PAGE, 0);
	ioas_map(r, i, READ | WRITE, at(r, RO - 30 * PAGE), 40 * PAGE, 0);
	ioas_map(r, i, READ, at(r, HOLE), 40 * PAGE, 0);
	ioas_map(r, j, FIXED | READ, at(r, RW), 20 * PAGE, IOVA);
	ioas_map(r, i, FIXED | READ, at(r, RW), 5 * PAGE, IOVA);
	ioas_copy(r, i, j, READ, 19 * PAGE, 0, IOVA);
	ioas_copy(r, i, j, READ, PAGE, 0, IOVA);
	ioas_attach(r, j);
	ioas_attach(r, i);
	ioas_option(r, 0, 0, 0, 1);
	ioas_unmap(r, i, 0, ~0ull);
	ioas_unmap(r, j, 0, ~0ull);
	ioas_detach(r);
	ioas_destroy(r, i);
	ioas_destroy(r, j);
	ioas_option(r, 0, 0, 0, 1);
}
