/* SPDX-License-Identifier: MIT */
/* Configuration space as data: the table, the walk, the decoder. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vfio/pci.h>

#include "base/bits.h"

/* ---- the table ---------------------------------------------------------------------------- */

static void rows_lie_inside_their_register(void **state)
{
	size_t n;
	const struct vfio_pci_field *f = vfio_pci_table(&n);

	assert_true(n > 60);
	for (; n; n--, f++) {
		assert_true(f->width == 1 || f->width == 2 || f->width == 4);
		assert_true(f->bits > 0 && f->lsb + f->bits <= 8 * f->width);
		assert_int_equal(f->reg % f->width, 0);
		assert_true(f->reg + f->width <= 64);
		assert_int_equal(f->if_value & ~f->if_mask, 0);
		assert_true(f->reg_name[0] && f->name);
		assert_non_null(vfio_pci_structure_name(f->structure));
		/* Part of a register has a name of its own. */
		assert_true(f->name[0] || (f->lsb == 0 && f->bits == 8 * f->width));
	}
}

static void rows_ascend(void **state)
{
	size_t n;
	const struct vfio_pci_field *f = vfio_pci_table(&n);

	for (size_t i = 1; i < n; i++) {
		const struct vfio_pci_field *a = &f[i - 1], *b = &f[i];

		assert_true(a->structure <= b->structure);
		if (a->structure == b->structure)
			assert_true(a->reg <= b->reg);
		if (a->structure == b->structure && a->reg == b->reg && a->if_mask == b->if_mask)
			assert_true(a->if_value != b->if_value || a->lsb < b->lsb);
	}
}

static bool can_both_hold(const struct vfio_pci_field *a, const struct vfio_pci_field *b)
{
	return ((a->if_value ^ b->if_value) & a->if_mask & b->if_mask) == 0;
}

static void no_bit_has_two_rows(void **state)
{
	size_t n;
	const struct vfio_pci_field *f = vfio_pci_table(&n);

	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct vfio_pci_field *a = &f[k], *b = &f[i];
			unsigned int a0 = a->reg * 8 + a->lsb, b0 = b->reg * 8 + b->lsb;

			if (a->structure == b->structure && can_both_hold(a, b) &&
			    a0 < b0 + b->bits && b0 < a0 + a->bits)
				fail_msg("%s.%s and %s.%s overlap", a->reg_name, a->name,
					 b->reg_name, b->name);
		}
	}
}

static void structures_have_names(void **state)
{
	assert_string_equal(vfio_pci_structure_name(0), "Header");
	assert_string_equal(vfio_pci_structure_name(0x05), "MSI");
	assert_string_equal(vfio_pci_structure_name(0x11), "MSI-X");
	assert_null(vfio_pci_structure_name(0x16));
	assert_null(vfio_pci_structure_name(UINT16_MAX));
}

/* ---- the walk ----------------------------------------------------------------------------- */

/* Walk a copy that ends where the memory does. */
static unsigned int walk(const uint8_t *config, size_t len, struct vfio_pci_capability *caps,
			 const char **problem)
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
	const char *problem = "untouched";
	uint8_t config[256];

	begin(config, 0x50);
	put_cap(config, 0x50, 0x05, 0x40);
	put_cap(config, 0x40, 0x01, 0xfc);
	put_cap(config, 0xfc, 0x11, 0x00);
	assert_int_equal(walk(config, 256, caps, &problem), 3);
	assert_null(problem);
	assert_int_equal(caps[0].id, 0x05);
	assert_int_equal(caps[0].offset, 0x50);
	assert_int_equal(caps[0].next, 0x40);
	assert_int_equal(caps[1].id, 0x01);
	assert_int_equal(caps[2].offset, 0xfc);
	assert_int_equal(vfio_pci_walk(config, 256, caps, NULL), 3);
}

static void no_list_is_no_problem(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	const char *problem = "untouched";
	uint8_t config[256];

	begin(config, 0);
	assert_int_equal(walk(config, 256, caps, &problem), 0);
	assert_null(problem);
	begin(config, 0x40);
	config[0x06] = 0;		/* the pointer says nothing without the status bit */
	problem = "untouched";
	assert_int_equal(walk(config, 256, caps, &problem), 0);
	assert_null(problem);
	begin(config, 0x40);
	assert_int_equal(walk(config, 63, caps, &problem), 0);
	assert_int_equal(walk(config, 0, caps, &problem), 0);
}

/* first, then links; how many are found before the walk gives up. */
struct hostile {
	const char *name;
	uint8_t first;
	uint8_t links[3][2];
	unsigned int found;
	size_t len;
};

static void hostile_lists_end(void **state)
{
	static const struct hostile lists[] = {
		{ "self loop", 0x40, { { 0x40, 0x40 } }, 1, 256 },
		{ "two-cycle", 0x40, { { 0x40, 0x50 }, { 0x50, 0x40 } }, 2, 256 },
		{ "into the header", 0x40, { { 0x40, 0x10 } }, 1, 256 },
		{ "from the header", 0x3c, { { 0 } }, 0, 256 },
		{ "loop by the reserved bits", 0x41, { { 0x40, 0x42 } }, 1, 256 },
		{ "past the readable bytes", 0x40, { { 0x40, 0x80 } }, 1, 0x80 },
		{ "first past them", 0xfc, { { 0 } }, 0, 0xfc },
		{ "half behind them", 0x40, { { 0x40, 0x7c } }, 1, 0x7e },
	};
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct hostile *h = &lists[i];
		const char *problem = NULL;
		uint8_t config[256];

		begin(config, h->first);
		for (size_t k = 0; k < 3 && h->links[k][0]; k++)
			put_cap(config, h->links[k][0], 0x09, h->links[k][1]);
		if (walk(config, h->len, caps, &problem) != h->found || !problem)
			fail_msg("%s: %s", h->name, problem ? problem : "no problem");
	}
}

static void a_full_list_fits(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	const char *problem = "untouched";
	uint8_t config[256];

	begin(config, 0x40);
	for (unsigned int at = 0x40; at < 0x100; at += 4)
		put_cap(config, at, 0x09, at + 4);	/* the last: 0 */
	assert_int_equal(walk(config, 256, caps, &problem), VFIO_PCI_MAX_CAPABILITIES);
	assert_null(problem);
	config[0xfd] = 0x40;
	assert_int_equal(walk(config, 256, caps, &problem), VFIO_PCI_MAX_CAPABILITIES);
	assert_non_null(problem);
}

/* Any bytes at all, of any length: no crash, no more than there is room for, all inside. */
static void random_bytes_do_no_harm(void **state)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	uint8_t config[256];

	srand(1);
	for (int round = 0; round < 20000; round++) {
		const char *problem;
		size_t len = rand() % 257;
		unsigned int n;

		for (size_t i = 0; i < sizeof(config); i++)
			config[i] = rand();
		n = walk(config, len, caps, &problem);
		assert_true(n <= VFIO_PCI_MAX_CAPABILITIES);
		for (unsigned int i = 0; i < n; i++)
			assert_true(caps[i].offset >= 0x40 && caps[i].offset + 4u <= len);
	}
}

/* ---- the decoder -------------------------------------------------------------------------- */

/* A device with PM, a 64-bit MSI with masks, MSI-X and a capability that nobody knows. */
static void golden_config(uint8_t c[256])
{
	begin(c, 0x40);
	le32_put(c, 0x11e81234);
	c[0x04] = 0x06;
	c[0x05] = 0x04;
	le32_put(c + 0x08, 0x00ff0010);
	le32_put(c + 0x10, 0xfebf000c);
	put_cap(c, 0x40, 0x01, 0x50);
	le16_put(c + 0x42, 0xc803);
	le16_put(c + 0x44, 0x000b);
	put_cap(c, 0x50, 0x05, 0x70);
	le16_put(c + 0x52, 0x01a5);
	le32_put(c + 0x54, 0xfee00000);
	le16_put(c + 0x5c, 0x4041);
	le32_put(c + 0x60, 0x00000003);
	put_cap(c, 0x70, 0x11, 0x80);
	le16_put(c + 0x72, 0x8007);
	le32_put(c + 0x74, 0x00002002);
	le32_put(c + 0x78, 0x00003002);
	put_cap(c, 0x80, 0x77, 0);
}

static const char golden_text[] =
	"Header 0x00 VendorID 0x1234\n"
	"Header 0x02 DeviceID 0x11e8\n"
	"Header 0x04 Command.Memory 0x1\n"
	"Header 0x04 Command.BusMaster 0x1\n"
	"Header 0x04 Command.INTxDisable 0x1\n"
	"Header 0x06 Status.CapabilityList 0x1\n"
	"Header 0x08 RevisionID 0x10\n"
	"Header 0x0a SubClass 0xff\n"
	"Header 0x10 BAR0 0xfebf000c\n"
	"Header 0x34 CapabilityPointer 0x40\n"
	"PM 0x42 PMC.Version 0x3\n"
	"PM 0x42 PMC.PMESupport 0x19\n"
	"PM 0x44 PMCSR.PowerState 0x3\n"
	"PM 0x44 PMCSR.NoSoftReset 0x1\n"
	"MSI 0x52 Control.Enable 0x1\n"
	"MSI 0x52 Control.MultipleCapable 0x2\n"
	"MSI 0x52 Control.MultipleEnable 0x2\n"
	"MSI 0x52 Control.64Bit 0x1\n"
	"MSI 0x52 Control.VectorMask 0x1\n"
	"MSI 0x54 Address 0xfee00000\n"
	"MSI 0x5c Data 0x4041\n"
	"MSI 0x60 Mask 0x3\n"
	"MSI-X 0x72 Control.TableSize-1 0x7\n"
	"MSI-X 0x72 Control.Enable 0x1\n"
	"MSI-X 0x74 Table.BAR 0x2\n"
	"MSI-X 0x74 Table.Offset>>3 0x400\n"
	"MSI-X 0x78 Pending.BAR 0x2\n"
	"MSI-X 0x78 Pending.Offset>>3 0x600\n"
	"Capability 0x80 0x77\n";

/* What is not zero, one line a field. */
static int write_line(void *arg, const struct vfio_pci_value *v)
{
	if (!v->value)
		return 0;
	fprintf(arg, "%s 0x%02x", v->structure, v->offset);
	if (v->field)
		fprintf(arg, " %s%s%s", v->field->reg_name, v->field->name[0] ? "." : "",
			v->field->name);
	fprintf(arg, " %#x\n", v->value);
	return 0;
}

static void decodes_the_golden_config(void **state)
{
	uint8_t config[256];
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	golden_config(config);
	assert_int_equal(vfio_pci_decode(config, sizeof(config), write_line, f), 0);
	fclose(f);
	assert_string_equal(text, golden_text);
	free(text);
}

static int count_or_stop(void *arg, const struct vfio_pci_value *v)
{
	int *left = arg;

	return --*left == 0 ? 42 : 0;
}

static void the_callback_can_stop_it(void **state)
{
	uint8_t config[256];
	int left = 3;

	golden_config(config);
	assert_int_equal(vfio_pci_decode(config, sizeof(config), count_or_stop, &left), 42);
	assert_int_equal(left, 0);
}

static void decoder_refuses_what_is_no_header(void **state)
{
	uint8_t config[256];
	int left = 1000;

	golden_config(config);
	assert_int_equal(vfio_pci_decode(config, 63, count_or_stop, &left), -EINVAL);
	config[0x0e] = 1;		/* a bridge */
	assert_int_equal(vfio_pci_decode(config, 256, count_or_stop, &left), -EINVAL);
	assert_int_equal(left, 1000);
	config[0x0e] = 0x80;		/* a function of several */
	assert_int_equal(vfio_pci_decode(config, 256, count_or_stop, &left), 0);
}

/* Capabilities whose fields reach past the bytes: only what can be read is told. */
static int check_inside(void *arg, const struct vfio_pci_value *v)
{
	size_t len = *(size_t *)arg;

	return v->offset + (v->field ? v->field->width : 1u) <= len ? 0 : 1;
}

static void decoder_stays_inside(void **state)
{
	uint8_t config[256];

	srand(2);
	for (int round = 0; round < 5000; round++) {
		size_t len = 64 + rand() % 193;
		uint8_t *copy;

		for (size_t i = 0; i < sizeof(config); i++)
			config[i] = rand() % 3 ? rand() : 0x11;
		config[0x0e] = 0;
		copy = malloc(len);
		memcpy(copy, config, len);
		assert_int_equal(vfio_pci_decode(copy, len, check_inside, &len), 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_lie_inside_their_register),
		cmocka_unit_test(rows_ascend),
		cmocka_unit_test(no_bit_has_two_rows),
		cmocka_unit_test(structures_have_names),
		cmocka_unit_test(walks_a_sound_list),
		cmocka_unit_test(no_list_is_no_problem),
		cmocka_unit_test(hostile_lists_end),
		cmocka_unit_test(a_full_list_fits),
		cmocka_unit_test(random_bytes_do_no_harm),
		cmocka_unit_test(decodes_the_golden_config),
		cmocka_unit_test(the_callback_can_stop_it),
		cmocka_unit_test(decoder_refuses_what_is_no_header),
		cmocka_unit_test(decoder_stays_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
