/* SPDX-License-Identifier: MIT */
/* Configuration space as data: the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <vfio/pci.h>

#define EXT(id) (VFIO_PCI_EXTENDED | (id))

/* A function for each structure that has rows. */
static void for_each(void (*check)(const struct vfio_pci_structure *s))
{
	size_t n;
	const struct vfio_pci_structure *s = vfio_pci_table(&n);

	assert_true(n > 70);
	for (; n; n--, s++)
		if (s->fields)
			check(s);
}

static void structures_ascend_and_are_found(void **state)
{
	size_t n;
	const struct vfio_pci_structure *s = vfio_pci_table(&n);

	for (size_t i = 0; i < n; i++) {
		assert_true(i == 0 || s[i - 1].number < s[i].number);
		assert_true(s[i].name[0]);
		assert_ptr_equal(vfio_pci_find(s[i].number), &s[i]);
	}
	assert_string_equal(vfio_pci_find(0)->name, "Header");
	assert_string_equal(vfio_pci_find(0x11)->name, "MSI-X");
	assert_string_equal(vfio_pci_find(EXT(0x01))->name, "AER");
	assert_string_equal(vfio_pci_find(VFIO_PCI_BRIDGE)->name, "Header");
	assert_null(vfio_pci_find(0x16));
	assert_null(vfio_pci_find(EXT(0xffff)));
	assert_null(vfio_pci_find(UINT32_MAX));
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void check_inside(const struct vfio_pci_structure *s)
{
	for (const struct vfio_pci_field *f = s->fields; f->width; f++) {
		assert_true(f->width == 1 || f->width == 2 || f->width == 4);
		assert_true(f->bits > 0 && f->lsb + f->bits <= 8 * f->width);
		assert_int_equal(f->reg % f->width, 0);
		assert_true(f->reg + f->width <= (s->length ? s->length : 0x100));
		assert_true(f->reg >= (s->number & VFIO_PCI_EXTENDED ? 4 : 2) ||
			    (s->number & 0xffff) == 0);
		assert_true(f->reg_name[0] && f->name);
		/* Part of a register has a name of its own. */
		assert_true(f->name[0] || (f->lsb == 0 && f->bits == 8 * f->width));
	}
}

static void rows_lie_inside_their_register(void **state)
{
	for_each(check_inside);
}

static void check_ascending(const struct vfio_pci_structure *s)
{
	for (const struct vfio_pci_field *a = s->fields, *b = a + 1; b->width; a = b++) {
		assert_true(a->reg <= b->reg);
		if (a->reg == b->reg && a->if_mask == b->if_mask)
			assert_true(a->if_values != b->if_values || a->lsb < b->lsb);
	}
}

static void rows_ascend(void **state)
{
	for_each(check_ascending);
}

/* A condition is on one run of at most five bits, has values that these can have, and not all. */
static void check_condition(const struct vfio_pci_structure *s)
{
	for (const struct vfio_pci_field *f = s->fields; f->width; f++) {
		uint32_t field = f->if_mask ? f->if_mask >> __builtin_ctz(f->if_mask) : 0;
		uint64_t all = (1ull << (field + 1)) - 1;

		assert_true(field <= 31 && (field & (field + 1)) == 0);
		if (f->if_mask)
			assert_true(f->if_values && (f->if_values & ~all) == 0 &&
				    f->if_values != all);
		else
			assert_int_equal(f->if_values, 0);
	}
}

static void conditions_make_sense(void **state)
{
	for_each(check_condition);
}

/* For every word that could be at +2, of the rows that hold then no two share a bit. */
static void check_overlap(const struct vfio_pci_structure *s)
{
	for (unsigned int word = 0; word <= 0xffff; word++) {
		uint8_t bytes[4] = { 0, 0, word, word >> 8 };
		uint32_t used[0x100] = { 0 };
		bool conditions = false;

		for (const struct vfio_pci_field *f = s->fields; f->width; f++) {
			conditions |= f->if_mask != 0;
			if (!vfio_pci_applies(f, bytes, UINT16_MAX))
				continue;
			for (unsigned int i = f->lsb; i < f->lsb + f->bits; i++) {
				unsigned int at = f->reg + i / 8;

				if (used[at] & 1u << i % 8)
					fail_msg("%s %s.%s shares a bit", s->name, f->reg_name,
						 f->name);
				used[at] |= 1u << i % 8;
			}
		}
		if (!conditions)
			break;
	}
}

static void no_bit_has_two_rows(void **state)
{
	for_each(check_overlap);
}

static void a_row_beyond_the_length_is_not_there(void **state)
{
	const struct vfio_pci_field *f = vfio_pci_find(PCI_CAP_ID_SATA)->fields;
	const uint8_t bytes[4] = { 0 };
	size_t last = 0;

	for (; f->width; f++) {
		assert_true(vfio_pci_applies(f, bytes, f->reg + f->width));
		assert_false(vfio_pci_applies(f, bytes, f->reg + f->width - 1));
		last = f->reg;
	}
	assert_int_equal(last, 0x0c);
}

/* ---- what the kernel does ------------------------------------------------------------------ */

/* What rows a register has, which the user writes, which the virtual function answers. */
struct masks {
	uint32_t rows, written, virtual;
};

static struct masks masks_of(uint32_t number, unsigned int reg, const uint8_t bytes[4])
{
	const struct vfio_pci_field *f = vfio_pci_find(number)->fields;
	struct masks m = { 0 };

	for (; f->width; f++) {
		uint32_t mask = (f->bits == 32 ? UINT32_MAX : (1u << f->bits) - 1) << f->lsb;

		if (f->reg != reg || !vfio_pci_applies(f, bytes, UINT16_MAX))
			continue;
		m.rows |= mask;
		if (f->user_writes)
			m.written |= mask;
		if (f->view == VFIO_PCI_VIRTUAL)
			m.virtual |= mask;
	}
	return m;
}

/*
 * The masks of the kernel's vfio-pci (drivers/vfio/pci/vfio_pci_config.c): which bits its user may
 * write, which it answers itself. Bits in reserved have no row: the kernel lets the user write what
 * PCI reserves.
 */
struct kernel_mask {
	uint32_t number;
	uint8_t reg;
	uint32_t written, virtual, reserved;
	uint16_t word;		/* at +2, for the conditions */
};

static const struct kernel_mask kernel[] = {
	{ 0, 0x00, 0, 0xffff, 0, 0 },
	{ 0, 0x02, 0, 0xffff, 0, 0 },
	{ 0, PCI_COMMAND, 0xffff, 0x0400, 0xf800, 0 },
	{ 0, PCI_STATUS, 0, 0x0010, 0, 0 },
	{ 0, PCI_REVISION_ID, 0, 0, 0, 0 },
	{ 0, PCI_CACHE_LINE_SIZE, 0xff, 0, 0, 0 },
	{ 0, PCI_LATENCY_TIMER, 0xff, 0, 0, 0 },
	{ 0, PCI_HEADER_TYPE, 0, 0, 0, 0 },
	{ 0, PCI_BIST, 0xff, 0, 0, 0 },
	{ 0, PCI_BASE_ADDRESS_0, 0xffffffff, 0xffffffff, 0, 0 },
	{ 0, PCI_BASE_ADDRESS_5, 0xffffffff, 0xffffffff, 0, 0 },
	{ 0, PCI_CARDBUS_CIS, 0, 0, 0, 0 },
	{ 0, PCI_SUBSYSTEM_VENDOR_ID, 0, 0, 0, 0 },
	{ 0, PCI_ROM_ADDRESS, 0xffffffff, 0xffffffff, 0, 0 },
	{ 0, PCI_CAPABILITY_LIST, 0, 0xff, 0, 0 },
	{ 0, PCI_INTERRUPT_LINE, 0xff, 0xff, 0, 0 },
	{ 0, PCI_INTERRUPT_PIN, 0, 0xff, 0, 0 },
	{ 0, PCI_MIN_GNT, 0, 0, 0, 0 },
	{ 0, PCI_MAX_LAT, 0, 0, 0, 0 },
	{ PCI_CAP_ID_PM, PCI_PM_PMC, 0, 0xf800, 0, 0 },
	/* The mask is 7efc; the state's two bits go by way of a function. */
	{ PCI_CAP_ID_PM, PCI_PM_CTRL, 0x7eff, 0x8100, 0x00f4, 0 },
	{ PCI_CAP_ID_PM, PCI_PM_PPB_EXTENSIONS, 0xff, 0, 0, 0 },
	{ PCI_CAP_ID_PM, PCI_PM_DATA_REGISTER, 0xff, 0, 0, 0 },
	{ PCI_CAP_ID_AGP, PCI_AGP_COMMAND, 0, 0, 0, 0 },
	{ PCI_CAP_ID_VPD, PCI_VPD_ADDR, 0xffff, 0xffff, 0, 0 },
	{ PCI_CAP_ID_VPD, PCI_VPD_DATA, 0xffffffff, 0xffffffff, 0, 0 },
	{ PCI_CAP_ID_MSI, PCI_MSI_ADDRESS_LO, 0xffffffff, 0xffffffff, 0, 0 },
	{ PCI_CAP_ID_MSI, PCI_MSI_ADDRESS_HI, 0xffffffff, 0xffffffff, 0, 0x0080 },
	{ PCI_CAP_ID_MSI, PCI_MSI_DATA_32, 0xffff, 0xffff, 0, 0 },
	{ PCI_CAP_ID_MSI, PCI_MSI_DATA_64, 0xffff, 0xffff, 0, 0x0080 },
	{ PCI_CAP_ID_MSI, PCI_MSI_MASK_32, 0xffffffff, 0, 0, 0x0100 },
	{ PCI_CAP_ID_MSI, PCI_MSI_MASK_64, 0xffffffff, 0, 0, 0x0180 },
	{ PCI_CAP_ID_MSI, PCI_MSI_PENDING_32, 0xffffffff, 0, 0, 0x0100 },
	{ PCI_CAP_ID_MSI, PCI_MSI_PENDING_64, 0xffffffff, 0, 0, 0x0180 },
	{ PCI_CAP_ID_PCIX, PCI_X_CMD, 0xffff, 0, 0xcf80, 0 },
	{ PCI_CAP_ID_PCIX, PCI_X_STATUS, 0, 0, 0, 0 },
	{ PCI_CAP_ID_PCIX, PCI_X_ECC_CSR, 0xffffffff, 0, 0, 0 },
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVCAP, 0, 0, 0, 0 },
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVCTL, 0xfdff, 0xf0e0, 0, 0 },
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVSTA, 0, 0, 0, 0 },
	{ PCI_CAP_ID_EXP, PCI_EXP_LNKCTL, 0, 0, 0, 0 },
	{ PCI_CAP_ID_EXP, PCI_EXP_LNKSTA, 0, 0, 0, 0 },
	{ PCI_CAP_ID_EXP, PCI_EXP_SLTCTL, 0, 0, 0, 0x0140 },
	{ PCI_CAP_ID_EXP, PCI_EXP_RTCTL, 0, 0, 0, 0x0040 },
	{ PCI_CAP_ID_EXP, PCI_EXP_DEVCTL2, 0xffdf, 0, 0, 0 },
	{ PCI_CAP_ID_EXP, PCI_EXP_LNKCTL2, 0, 0, 0, 0 },
	{ PCI_CAP_ID_MSIX, PCI_MSIX_FLAGS, 0, 0, 0, 0 },
	{ PCI_CAP_ID_SATA, PCI_SATA_REGS, 0, 0, 0, 0 },
	{ PCI_CAP_ID_AF, PCI_AF_CTRL, 0x01, 0x01, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_ERR), PCI_ERR_UNCOR_STATUS, 0x03fff031, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_ERR), PCI_ERR_UNCOR_MASK, 0x03fff031, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_ERR), PCI_ERR_UNCOR_SEVER, 0x03fff031, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_ERR), PCI_ERR_COR_STATUS, 0xf1c1, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_ERR), PCI_ERR_COR_MASK, 0xf1c1, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_ERR), PCI_ERR_CAP, 0x140, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_ERR), PCI_ERR_ROOT_COMMAND, 0, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_PWR), PCI_PWR_DSR, 0, 0, 0, 0 },
	{ EXT(PCI_EXT_CAP_ID_PWR), PCI_PWR_DATA, 0xff, 0, 0, 0 },
};

static void users_write_what_the_kernel_lets_them(void **state)
{
	for (size_t i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++) {
		const struct kernel_mask *k = &kernel[i];
		const uint8_t bytes[4] = { 0, 0, k->word, k->word >> 8 };
		struct masks m = masks_of(k->number, k->reg, bytes);

		if (!m.rows || m.written != (k->written & ~k->reserved) ||
		    m.virtual != k->virtual || (m.rows & k->reserved))
			fail_msg("%x +%02x: rows %x, written %x, virtual %x", k->number, k->reg,
				 m.rows, m.written, m.virtual);
	}
}

/*
 * The low byte of MSI's Control: the kernel holds all of it, and lets the user store what is said
 * to be capable, by mistake. Here what the device is capable of stays what it is.
 */
static void msi_capabilities_are_the_devices(void **state)
{
	const uint8_t bytes[4] = { 0 };
	struct masks m = masks_of(PCI_CAP_ID_MSI, PCI_MSI_FLAGS, bytes);

	assert_int_equal(m.rows, 0x01ff);
	assert_int_equal(m.written, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	assert_int_equal(m.virtual, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
}

/* Nothing else can be written: structures without a mask in the list above have no such row. */
static void check_no_writer(const struct vfio_pci_structure *s)
{
	bool masked = s->exposure == VFIO_PCI_OPEN || s->number == PCI_CAP_ID_MSI;

	for (size_t i = 0; i < sizeof(kernel) / sizeof(kernel[0]); i++)
		if (kernel[i].number == s->number)
			masked = true;
	for (const struct vfio_pci_field *f = s->fields; f->width && !masked; f++)
		if (f->user_writes || f->view == VFIO_PCI_VIRTUAL)
			fail_msg("%s: %s.%s", s->name, f->reg_name, f->name);
}

static void other_structures_are_the_hosts(void **state)
{
	for_each(check_no_writer);
}

/* Where what a software device does with a write differs from what the kernel lets through. */
static void software_devices_differ_here(void **state)
{
	static const struct {
		uint32_t number;
		uint8_t reg;
		uint32_t narrower, wider;
	} differs[] = {
		{ 0, PCI_COMMAND, 0x02b8, 0 },	/* bits that PCI Express hardwires to 0 */
		{ 0, PCI_STATUS, 0, 0xf900 },	/* its own errors it may clear */
		{ 0, PCI_BIST, 0xff, 0 },
		{ PCI_CAP_ID_PM, PCI_PM_CTRL, 0x7e08, 0 },	/* no data register, no soft reset */
		{ PCI_CAP_ID_MSI, PCI_MSI_PENDING_64, 0xffffffff, 0 },
	};

	for (size_t i = 0; i < sizeof(differs) / sizeof(differs[0]); i++) {
		const struct vfio_pci_field *f = vfio_pci_find(differs[i].number)->fields;
		const uint8_t bytes[4] = { 0, 0, 0x80, 0x01 };
		uint32_t narrower = 0, wider = 0;

		for (; f->width; f++) {
			uint32_t mask = f->bits == 32 ? UINT32_MAX : (1u << f->bits) - 1;

			if (f->reg != differs[i].reg || !vfio_pci_applies(f, bytes, UINT16_MAX))
				continue;
			if (f->user_writes && f->access == VFIO_PCI_RO)
				narrower |= mask << f->lsb;
			if (!f->user_writes && f->access != VFIO_PCI_RO)
				wider |= mask << f->lsb;
		}
		assert_int_equal(narrower, differs[i].narrower);
		assert_int_equal(wider, differs[i].wider);
	}
}

/* ---- what is shown ------------------------------------------------------------------------- */

static bool is_in(uint32_t number, const uint32_t *list, size_t n)
{
	while (n--)
		if (list[n] == number)
			return true;
	return false;
}

static void the_kernel_hides_the_same(void **state)
{
	static const uint32_t shown[] = {
		0, 0x01, 0x02, 0x03, 0x05, 0x07, 0x08, 0x10, 0x11, 0x12, 0x13,
		EXT(0x01), EXT(0x02), EXT(0x03), EXT(0x04), EXT(0x08), EXT(0x09), EXT(0x0d),
		EXT(0x0e), EXT(0x0f), EXT(0x10), EXT(0x12), EXT(0x13), EXT(0x15), EXT(0x16),
		EXT(0x17), EXT(0x18),
	};
	static const uint32_t open[] = { 0x09, EXT(0x0b), EXT(0x23) };
	size_t n;
	const struct vfio_pci_structure *s = vfio_pci_table(&n);

	for (; n; n--, s++) {
		enum vfio_pci_exposure want = VFIO_PCI_HIDDEN;

		if (is_in(s->number, shown, sizeof(shown) / sizeof(shown[0])))
			want = VFIO_PCI_SHOWN;
		if (is_in(s->number, open, sizeof(open) / sizeof(open[0])))
			want = VFIO_PCI_OPEN;
		if (s->exposure != want)
			fail_msg("%s", s->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structures_ascend_and_are_found),
		cmocka_unit_test(rows_lie_inside_their_register),
		cmocka_unit_test(rows_ascend),
		cmocka_unit_test(conditions_make_sense),
		cmocka_unit_test(no_bit_has_two_rows),
		cmocka_unit_test(a_row_beyond_the_length_is_not_there),
		cmocka_unit_test(users_write_what_the_kernel_lets_them),
		cmocka_unit_test(msi_capabilities_are_the_devices),
		cmocka_unit_test(other_structures_are_the_hosts),
		cmocka_unit_test(software_devices_differ_here),
		cmocka_unit_test(the_kernel_hides_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
