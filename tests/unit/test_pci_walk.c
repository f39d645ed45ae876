/* SPDX-License-Identifier: MIT */
/* Walking lists of capabilities that may be anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <vfio/pci.h>

#include "base/bits.h"

/* ---- standard capabilities ------------------------------------------------------------------ */

/* Walk a copy that ends where the memory does. */
static unsigned int walk(const uint8_t *config, size_t len, struct vfio_pci_capability *caps,
			 char *problem)
{
	uint8_t *copy = malloc(len ? len : 1);
	unsigned int n;

	memcpy(copy, config, len);
	n = vfio_pci_walk(copy, len, caps, problem);
	free(copy);
	return n;
}

static void begin(uint8_t config[256], uint8_t first)
{
	memset(config, 0, 256);
	config[0x06] = 0x10;
	config[0x34] = first;
}

static void put_cap(uint8_t *config, uint8_t at, uint8_t id, uint8_t next)
{
	config[at] = id;
	config[at + 1] = next;
}

static void walks_a_sound_list(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	char problem[VFIO_PCI_PROBLEM_ROOM] = "untouched";
	uint8_t config[256];

	begin(config, 0x50);
	put_cap(config, 0x50, 0x05, 0x40);
	put_cap(config, 0x40, 0x01, 0xf4);
	put_cap(config, 0xf4, 0x11, 0x00);
	assert_int_equal(walk(config, 256, caps, problem), 3);
	assert_string_equal(problem, "");
	assert_int_equal(caps[0].id, 0x05);
	assert_int_equal(caps[0].offset, 0x50);
	assert_int_equal(caps[0].next, 0x40);
	assert_int_equal(caps[1].id, 0x01);
	assert_int_equal(caps[2].offset, 0xf4);
	assert_int_equal(caps[2].length, 12);
	assert_int_equal(vfio_pci_walk(config, 256, caps, NULL), 3);
}

static void no_list_is_no_problem(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	char problem[VFIO_PCI_PROBLEM_ROOM] = "untouched";
	uint8_t config[256];

	begin(config, 0);
	assert_int_equal(walk(config, 256, caps, problem), 0);
	assert_string_equal(problem, "");
	begin(config, 0x40);
	config[0x06] = 0;		/* the pointer says nothing without the status bit */
	strcpy(problem, "untouched");
	assert_int_equal(walk(config, 256, caps, problem), 0);
	assert_string_equal(problem, "");
	begin(config, 0x40);
	assert_int_equal(walk(config, 63, caps, problem), 0);
	assert_int_equal(walk(config, 0, caps, problem), 0);
}

/* first, then links; how many are found before the walk gives up. */
struct hostile {
	const char *name;
	uint8_t first;
	uint8_t links[3][2];
	unsigned int found;
	size_t len;
	const char *problem;
};

static void hostile_lists_end(void **state)
{
	static const struct hostile lists[] = {
		{ "self loop", 0x40, { { 0x40, 0x40 } }, 1, 256,
		  "the capability list loops: at 0x40, back to 0x40" },
		{ "two-cycle", 0x40, { { 0x40, 0x50 }, { 0x50, 0x40 } }, 2, 256,
		  "the capability list loops: at 0x50, back to 0x40" },
		{ "into the header", 0x40, { { 0x40, 0x10 } }, 1, 256,
		  "the capability list points into the header: at 0x40, to 0x10" },
		{ "from the header", 0x3c, { { 0 } }, 0, 256,
		  "the capability list points into the header: at 0x34, to 0x3c" },
		{ "loop by the reserved bits", 0x40, { { 0x40, 0x42 } }, 1, 256,
		  "the capability list points between dwords: at 0x40, to 0x42" },
		{ "past the readable bytes", 0x40, { { 0x40, 0x80 } }, 1, 0x80,
		  "the capability list goes on past the bytes that can be read: "
		  "at 0x40, to 0x80" },
		{ "first past them", 0xfc, { { 0 } }, 0, 0xfc,
		  "the capability list goes on past the bytes that can be read: "
		  "at 0x34, to 0xfc" },
		{ "half behind them", 0x40, { { 0x40, 0x7c } }, 1, 0x7e,
		  "the capability list goes on past the bytes that can be read: "
		  "at 0x40, to 0x7c" },
	};
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct hostile *h = &lists[i];
		char problem[VFIO_PCI_PROBLEM_ROOM];
		uint8_t config[256];

		begin(config, h->first);
		for (size_t k = 0; k < 3 && h->links[k][0]; k++)
			put_cap(config, h->links[k][0], 0x09, h->links[k][1]);
		if (walk(config, h->len, caps, problem) != h->found || strcmp(problem, h->problem))
			fail_msg("%s: %s", h->name, problem);
	}
}

static void a_full_list_fits(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	char problem[VFIO_PCI_PROBLEM_ROOM] = "untouched";
	uint8_t config[256];

	begin(config, 0x40);
	for (unsigned int at = 0x40; at < 0x100; at += 4)
		put_cap(config, at, 0x09, at + 4);	/* the last: 0 */
	assert_int_equal(walk(config, 256, caps, problem), VFIO_PCI_MAX_CAPABILITIES);
	assert_string_equal(problem, "");
	config[0xfd] = 0x40;
	assert_int_equal(walk(config, 256, caps, problem), VFIO_PCI_MAX_CAPABILITIES);
	assert_string_not_equal(problem, "");
}

/* Any bytes at all, of any length: no crash, no more than there is room for, all inside. */
static void random_bytes_do_no_harm(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	uint8_t config[256];

	srand(1);
	for (int round = 0; round < 20000; round++) {
		char problem[VFIO_PCI_PROBLEM_ROOM];
		size_t len = rand() % 257;
		unsigned int n;

		for (size_t i = 0; i < sizeof(config); i++)
			config[i] = rand();
		n = walk(config, len, caps, problem);
		assert_true(n <= VFIO_PCI_MAX_CAPABILITIES);
		for (unsigned int i = 0; i < n; i++) {
			assert_true(caps[i].offset >= 0x40 && caps[i].offset + 4u <= len);
			assert_true(caps[i].length >= 2 && caps[i].offset + caps[i].length <= len);
		}
	}
}


/* ---- lengths ------------------------------------------------------------------------------- */

struct measured {
	uint8_t id;
	uint32_t bytes[2];	/* from +0 on; ID and next are put in */
	unsigned int length;
};

/* The lengths that the kernel gives them, and those of ports, which it never sees. */
static void standard_lengths(void **state)
{
	static const struct measured lengths[] = {
		{ PCI_CAP_ID_PM, { 0 }, 8 },
		{ PCI_CAP_ID_AGP, { 0 }, 12 },
		{ PCI_CAP_ID_VPD, { 0 }, 8 },
		{ PCI_CAP_ID_MSI, { 0 }, 10 },
		{ PCI_CAP_ID_MSI, { 0x00800000 }, 14 },
		{ PCI_CAP_ID_MSI, { 0x01000000 }, 20 },
		{ PCI_CAP_ID_MSI, { 0x01800000 }, 24 },
		{ PCI_CAP_ID_PCIX, { 0 }, 8 },
		{ PCI_CAP_ID_PCIX, { 0x10000000 }, 24 },
		{ PCI_CAP_ID_PCIX, { 0x20000000 }, 24 },
		{ PCI_CAP_ID_HT, { 0 }, 28 },
		{ PCI_CAP_ID_HT, { 0x20000000 }, 24 },
		{ PCI_CAP_ID_HT, { 0xa8000000 }, 12 },
		{ PCI_CAP_ID_HT, { 0xa8020000 }, 4 },
		{ PCI_CAP_ID_VNDR, { 0x00140000 }, 0x14 },
		{ PCI_CAP_ID_VNDR, { 0 }, 3 },
		{ PCI_CAP_ID_EXP, { 0x00910000 }, 0x0c },	/* v1: integrated endpoint */
		{ PCI_CAP_ID_EXP, { 0x00010000 }, 0x14 },	/* endpoint */
		{ PCI_CAP_ID_EXP, { 0x01610000 }, 0x1c },	/* downstream port with slot */
		{ PCI_CAP_ID_EXP, { 0x00410000 }, 0x24 },	/* root port */
		{ PCI_CAP_ID_EXP, { 0x00920000 }, 0x2c },	/* v2: integrated endpoint */
		{ PCI_CAP_ID_EXP, { 0x00020000 }, 0x34 },
		{ PCI_CAP_ID_EXP, { 0x01420000 }, 0x3c },
		{ PCI_CAP_ID_MSIX, { 0 }, 12 },
		{ PCI_CAP_ID_SATA, { 0, 0x00000004 }, 8 },
		{ PCI_CAP_ID_SATA, { 0, 0x0000000f }, 16 },
		{ PCI_CAP_ID_AF, { 0 }, 6 },
		{ PCI_CAP_ID_EA, { 0x00020000, 0x00000003 }, 4 + 16 + 4 },
		{ PCI_CAP_ID_SSVID, { 0 }, 8 },
		{ 0x77, { 0 }, 2 },
		{ 0, { 0 }, 2 },
	};
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	uint8_t config[256];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char problem[VFIO_PCI_PROBLEM_ROOM];

		begin(config, 0x40);
		le32_put(config + 0x40, lengths[i].bytes[0] | lengths[i].id);
		le32_put(config + 0x44, lengths[i].bytes[1]);
		assert_int_equal(walk(config, 256, caps, problem), 1);
		assert_string_equal(problem, "");
		if (caps[0].length != lengths[i].length)
			fail_msg("%zu: ID %02x has %u", i, lengths[i].id, caps[0].length);
	}
}

static void lengths_end_where_the_bytes_do(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	char problem[VFIO_PCI_PROBLEM_ROOM];
	uint8_t config[256];

	begin(config, 0xf0);
	put_cap(config, 0xf0, PCI_CAP_ID_VNDR, 0);
	config[0xf2] = 0xff;
	assert_int_equal(walk(config, 256, caps, problem), 1);
	assert_int_equal(caps[0].length, 0x10);
	assert_string_equal(problem, "the capability at 0xf0 goes past the bytes that can be read: "
				     "it has 0xff");
	config[0xf2] = 0x10;
	assert_int_equal(walk(config, 256, caps, problem), 1);
	assert_string_equal(problem, "");
}

static void overlaps_are_told(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	char problem[VFIO_PCI_PROBLEM_ROOM];
	uint8_t config[256];

	begin(config, 0x50);
	put_cap(config, 0x50, PCI_CAP_ID_PM, 0x4c);
	put_cap(config, 0x4c, PCI_CAP_ID_MSIX, 0);
	assert_int_equal(walk(config, 256, caps, problem), 2);
	assert_string_equal(problem, "the capabilities at 0x50 and 0x4c overlap");
	put_cap(config, 0x4c, PCI_CAP_ID_SLOTID, 0);
	assert_int_equal(walk(config, 256, caps, problem), 2);
	assert_string_equal(problem, "");
}

/* ---- extended capabilities ------------------------------------------------------------------ */

static unsigned int walk_extended(const uint8_t *config, size_t len,
				  struct vfio_pci_capability *caps, char *problem)
{
	uint8_t *copy = malloc(len ? len : 1);
	unsigned int n;

	memcpy(copy, config, len);
	n = vfio_pci_walk_extended(copy, len, caps, problem);
	free(copy);
	return n;
}

static void put_extended(uint8_t *config, unsigned int at, uint16_t id, unsigned int version,
			 unsigned int next)
{
	le32_put(config + at, id | version << 16 | next << 20);
}

/* A function with a PCI Express capability of this type, version 2. */
static void begin_extended(uint8_t config[4096], unsigned int type)
{
	memset(config, 0, 4096);
	begin(config, 0x40);
	put_cap(config, 0x40, PCI_CAP_ID_EXP, 0);
	config[0x42] = 2 | type << 4;
}

static void walks_a_sound_extended_list(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	char problem[VFIO_PCI_PROBLEM_ROOM] = "untouched";
	uint8_t config[4096];

	begin_extended(config, PCI_EXP_TYPE_ENDPOINT);
	put_extended(config, 0x100, 0x01, 2, 0xff0);
	put_extended(config, 0xff0, 0x03, 1, 0x200);
	put_extended(config, 0x200, 0x00, 0, 0x300);
	put_extended(config, 0x300, 0xc001, 15, 0);
	assert_int_equal(walk_extended(config, 4096, caps, problem), 4);
	assert_string_equal(problem, "");
	assert_int_equal(caps[0].id, 1);
	assert_int_equal(caps[0].version, 2);
	assert_int_equal(caps[0].next, 0xff0);
	assert_int_equal(caps[0].length, 0x2c);
	assert_int_equal(caps[1].offset, 0xff0);
	assert_int_equal(caps[1].length, 0x0c);
	assert_int_equal(caps[2].id, 0);
	assert_int_equal(caps[3].id, 0xc001);
	assert_int_equal(caps[3].length, 4);
	assert_int_equal(vfio_pci_walk_extended(config, 4096, caps, NULL), 4);
}

static void no_extended_list_is_no_problem(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	char problem[VFIO_PCI_PROBLEM_ROOM] = "untouched";
	uint8_t config[4096];

	begin_extended(config, PCI_EXP_TYPE_ENDPOINT);
	assert_int_equal(walk_extended(config, 4096, caps, problem), 0);
	assert_string_equal(problem, "");
	le32_put(config + 0x100, UINT32_MAX);	/* nobody answers there */
	assert_int_equal(walk_extended(config, 4096, caps, problem), 0);
	assert_string_equal(problem, "");
	put_extended(config, 0x100, 0x03, 1, 0);
	assert_int_equal(walk_extended(config, 0x103, caps, problem), 0);
	assert_int_equal(walk_extended(config, 256, caps, problem), 0);
	assert_int_equal(walk_extended(config, 0, caps, problem), 0);
	assert_int_equal(walk_extended(config, 0x10c, caps, problem), 1);
	config[0x40] = PCI_CAP_ID_PM;		/* not PCI Express: no such list */
	assert_int_equal(walk_extended(config, 4096, caps, problem), 0);
	config[0x40] = PCI_CAP_ID_PCIX;
	assert_int_equal(walk_extended(config, 4096, caps, problem), 0);
	config[0x43] = 0x20;			/* PCI-X 2.0 */
	assert_int_equal(walk_extended(config, 4096, caps, problem), 1);
	assert_string_equal(problem, "");
}

/* A null capability in front, four bytes long: what is behind it counts. */
static void a_null_capability_comes_first(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	char problem[VFIO_PCI_PROBLEM_ROOM];
	uint8_t config[4096];

	begin_extended(config, PCI_EXP_TYPE_ENDPOINT);
	put_extended(config, 0x100, 0, 0, 0x104);
	put_extended(config, 0x104, 0x0e, 1, 0);
	assert_int_equal(walk_extended(config, 4096, caps, problem), 2);
	assert_string_equal(problem, "");
	assert_int_equal(caps[0].length, 4);
	assert_int_equal(caps[1].id, 0x0e);
}

static void hostile_extended_lists_end(void **state)
{
	static const struct {
		unsigned int links[3][2], found;
		size_t len;
		const char *problem;
	} lists[] = {
		{ { { 0x100, 0x100 } }, 1, 4096,
		  "the extended capability list loops: at 0x100, back to 0x100" },
		{ { { 0x100, 0x200 }, { 0x200, 0x100 } }, 2, 4096,
		  "the extended capability list loops: at 0x200, back to 0x100" },
		{ { { 0x100, 0x40 } }, 1, 4096,
		  "the extended capability list points below 0x100: at 0x100, to 0x040" },
		{ { { 0x100, 0xffc } }, 1, 0xffc, "the extended capability list goes on past the "
		  "bytes that can be read: at 0x100, to 0xffc" },
		{ { { 0x100, 0x202 }, { 0x200, 0 } }, 2, 4096,
		  "the extended capability list points between dwords: at 0x100, to 0x202" },
	};
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	uint8_t config[4096];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		char problem[VFIO_PCI_PROBLEM_ROOM];
		unsigned int n;

		begin_extended(config, PCI_EXP_TYPE_ENDPOINT);
		for (size_t k = 0; k < 3 && lists[i].links[k][0]; k++)
			put_extended(config, lists[i].links[k][0], 0x18, 1, lists[i].links[k][1]);
		n = walk_extended(config, lists[i].len, caps, problem);
		if (n != lists[i].found || strcmp(problem, lists[i].problem))
			fail_msg("%zu: %u, %s", i, n, problem);
	}
}

static void a_full_extended_list_fits(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	char problem[VFIO_PCI_PROBLEM_ROOM];
	uint8_t config[4096];

	begin_extended(config, PCI_EXP_TYPE_ENDPOINT);
	for (unsigned int at = 0x100; at < 0x1000; at += 4)
		put_extended(config, at, 0, 0, (at + 4) & 0xfff);
	assert_int_equal(walk_extended(config, 4096, caps, problem), VFIO_PCI_MAX_EXTENDED);
	assert_string_equal(problem, "");
}

struct extended_length {
	uint16_t id;
	uint8_t version, type;	/* of the capability; of the port */
	uint32_t at4, at8;
	unsigned int length;
};

static void extended_lengths(void **state)
{
	static const struct extended_length lengths[] = {
		{ PCI_EXT_CAP_ID_ERR, 1, PCI_EXP_TYPE_ENDPOINT, 0, 0, 0x2c },
		{ PCI_EXT_CAP_ID_ERR, 1, PCI_EXP_TYPE_ROOT_PORT, 0, 0, 0x38 },
		{ PCI_EXT_CAP_ID_ERR, 1, PCI_EXP_TYPE_RC_EC, 0, 0, 0x38 },
		{ PCI_EXT_CAP_ID_VC, 1, 0, 0, 0, 0x1c },
		{ PCI_EXT_CAP_ID_VC, 1, 0, 7, 0, 0x70 },
		{ PCI_EXT_CAP_ID_VC9, 1, 0, 0, 0x2, 0x30 },
		{ PCI_EXT_CAP_ID_MFVC, 1, 0, 1, 0x4, 0x50 },
		{ PCI_EXT_CAP_ID_VC, 1, 0, 1, 0xe, 0x70 },
		{ PCI_EXT_CAP_ID_DSN, 1, 0, 0, 0, 0x0c },
		{ PCI_EXT_CAP_ID_PWR, 1, 0, 0, 0, 0x10 },
		{ PCI_EXT_CAP_ID_RCEC, 1, 0, 0, 0, 8 },
		{ PCI_EXT_CAP_ID_RCEC, 2, 0, 0, 0, 0x0c },
		{ PCI_EXT_CAP_ID_VNDR, 1, 0, 0x02400001, 0, 0x24 },
		{ PCI_EXT_CAP_ID_VNDR, 1, 0, 0, 0, 8 },
		{ PCI_EXT_CAP_ID_DVSEC, 1, 0, 0x03801e98, 0, 0x38 },
		{ PCI_EXT_CAP_ID_ACS, 1, 0, 0x0000045f, 0, 8 },
		{ PCI_EXT_CAP_ID_ACS, 1, 0, 0x00002120, 0, 0x10 },	/* 33 bits */
		{ PCI_EXT_CAP_ID_ACS, 1, 0, 0x00000020, 0, 8 + 32 },	/* 0: 256 */
		{ PCI_EXT_CAP_ID_ARI, 1, 0, 0, 0, 8 },
		{ PCI_EXT_CAP_ID_ATS, 1, 0, 0, 0, 8 },
		{ PCI_EXT_CAP_ID_SRIOV, 1, 0, 0, 0, 0x40 },
		{ PCI_EXT_CAP_ID_MCAST, 1, PCI_EXP_TYPE_ENDPOINT, 0, 0, 0x28 },
		{ PCI_EXT_CAP_ID_MCAST, 1, PCI_EXP_TYPE_DOWNSTREAM, 0, 0, 0x30 },
		{ PCI_EXT_CAP_ID_PRI, 1, 0, 0, 0, 0x10 },
		{ PCI_EXT_CAP_ID_REBAR, 1, 0, 0, 3 << 5, 4 + 24 },
		{ PCI_EXT_CAP_ID_DPA, 1, 0, 4, 0, 0x15 },
		{ PCI_EXT_CAP_ID_TPH, 1, 0, 0x00070400, 0, 0x0c },
		{ PCI_EXT_CAP_ID_TPH, 1, 0, 0x00070200, 0, 0x0c + 16 },
		{ PCI_EXT_CAP_ID_LTR, 1, 0, 0, 0, 8 },
		{ PCI_EXT_CAP_ID_SECPCI, 1, 0, 0, 0, 0x0c + 8 },	/* four lanes */
		{ PCI_EXT_CAP_ID_PASID, 1, 0, 0, 0, 8 },
		{ PCI_EXT_CAP_ID_DPC, 1, 0, 0, 0, 0x0c },
		{ PCI_EXT_CAP_ID_DPC, 1, 0, 0x0520, 0, 0x34 },
		{ PCI_EXT_CAP_ID_L1SS, 1, 0, 0, 0, 0x10 },
		{ PCI_EXT_CAP_ID_PTM, 1, 0, 0, 0, 0x0c },
		{ PCI_EXT_CAP_ID_DLF, 1, 0, 0, 0, 0x0c },
		{ PCI_EXT_CAP_ID_PL_16GT, 1, 0, 0, 0, 0x24 },
		{ PCI_EXT_CAP_ID_DOE, 1, 0, 0, 0, 0x18 },
		{ 0x7777, 1, 0, 0, 0, 4 },
	};
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	uint8_t config[4096];

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		const struct extended_length *l = &lengths[i];
		char problem[VFIO_PCI_PROBLEM_ROOM];

		begin_extended(config, l->type);
		le32_put(config + 0x40 + PCI_EXP_LNKCAP, 4 << 4);
		put_extended(config, 0x100, l->id, l->version, 0);
		le32_put(config + 0x104, l->at4);
		le32_put(config + 0x108, l->at8);
		assert_int_equal(walk_extended(config, 4096, caps, problem), 1);
		assert_string_equal(problem, "");
		if (caps[0].length != l->length)
			fail_msg("%zu: ID %x has %#x", i, l->id, caps[0].length);
	}
}

static void random_extended_bytes_do_no_harm(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	uint8_t config[4096];

	srand(3);
	for (int round = 0; round < 3000; round++) {
		char problem[VFIO_PCI_PROBLEM_ROOM];
		size_t len = round % 2 ? 4096 : 0xf0 + rand() % 0x200;
		unsigned int n;

		begin_extended(config, rand() % 16);
		for (size_t i = 0x100; i < sizeof(config); i++)
			config[i] = rand() % 4 ? rand() : 0x0b;
		n = walk_extended(config, len, caps, problem);
		assert_true(n <= VFIO_PCI_MAX_EXTENDED);
		for (unsigned int i = 0; i < n; i++) {
			assert_true(caps[i].offset >= 0x100 && caps[i].length >= 4);
			assert_true((size_t)caps[i].offset + caps[i].length <= len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_a_sound_list),
		cmocka_unit_test(no_list_is_no_problem),
		cmocka_unit_test(hostile_lists_end),
		cmocka_unit_test(a_full_list_fits),
		cmocka_unit_test(random_bytes_do_no_harm),
		cmocka_unit_test(standard_lengths),
		cmocka_unit_test(lengths_end_where_the_bytes_do),
		cmocka_unit_test(overlaps_are_told),
		cmocka_unit_test(walks_a_sound_extended_list),
		cmocka_unit_test(no_extended_list_is_no_problem),
		cmocka_unit_test(a_null_capability_comes_first),
		cmocka_unit_test(hostile_extended_lists_end),
		cmocka_unit_test(a_full_extended_list_fits),
		cmocka_unit_test(extended_lengths),
		cmocka_unit_test(random_extended_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
