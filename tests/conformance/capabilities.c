/* SPDX-License-Identifier: MIT */
/* Rows 38 to 52: power management, vital product data, MSI and MSI-X in configuration space. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "requests.h"
#include "row.h"

/* ---- power management ----------------------------------------------------------------------- */

#define D0    0
#define D3HOT 3

static unsigned int pmcsr(struct bed *b)
{
	return cap(b, PCI_CAP_ID_PM) + PCI_PM_CTRL;
}

static unsigned int power_state(struct bed *b)
{
	return get(b, pmcsr(b), 2) & PCI_PM_CTRL_STATE_MASK;
}

/* PM cap -> read PMC -> bits 15:11 zero */
static void row_038_no_pme_support(struct bed *b)
{
	assert_int_equal(get(b, cap(b, PCI_CAP_ID_PM) + PCI_PM_PMC, 2) & PCI_PM_CAP_PME_MASK, 0);
}

/* PM cap -> write PME_En=1, read PMCSR -> bit 8 and 15 zero */
static void row_039_no_pme(struct bed *b)
{
	put(b, pmcsr(b), 2, PCI_PM_CTRL_PME_ENABLE);
	assert_int_equal(get(b, pmcsr(b), 2) & (PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS),
			 0);
}

/* PM cap -> write PMCSR state 3, pread memory BAR -> EIO; config reads still work */
static void row_040_asleep(struct bed *b)
{
	uint32_t vendor = get(b, PCI_VENDOR_ID, 4);

	put(b, pmcsr(b), 2, D3HOT);
	assert_int_equal(power_state(b), D3HOT);
	assert_int_equal(peek(b, memory_bar(b)), -EIO);
	assert_int_equal(get(b, PCI_VENDOR_ID, 4), vendor);
}

/* in D3hot -> write state 0, pread BAR -> works, config intact even with NoSoftRst=0 */
static void row_041_awake_again(struct bed *b)
{
	uint8_t before[4096], after[4096];
	size_t size;

	put(b, PCI_INTERRUPT_LINE, 1, 0x5a);
	put(b, PCI_COMMAND, 2, get(b, PCI_COMMAND, 2) | PCI_COMMAND_INTX_DISABLE |
	    PCI_COMMAND_SERR);
	put(b, PCI_CACHE_LINE_SIZE, 1, 0x10);
	size = see_all(b, before);
	put(b, pmcsr(b), 2, D3HOT);
	put(b, pmcsr(b), 2, D0);
	assert_int_equal(peek(b, memory_bar(b)), 4);
	assert_int_equal(see_all(b, after), size);
	assert_memory_equal(before, after, size);
}

/* PM cap -> write byte +5 only -> no power transition */
static void row_043_upper_byte_of_pmcsr(struct bed *b)
{
	put(b, pmcsr(b) + 1, 1, D3HOT);
	assert_int_equal(power_state(b), D0);
	assert_int_equal(peek(b, memory_bar(b)), 4);
}

/* ---- vital product data --------------------------------------------------------------------- */

static uint32_t read_vpd(struct bed *b, unsigned int address)
{
	unsigned int at = cap(b, PCI_CAP_ID_VPD);

	put(b, at + PCI_VPD_ADDR, 2, address);
	assert_int_equal(get(b, at + PCI_VPD_ADDR, 2), address | PCI_VPD_ADDR_F);
	return get(b, at + PCI_VPD_DATA, 4);
}

/*
 * VPD -> write address A with F=0 (2 bytes), read +2 -> F=1, data at +4 valid at once; writing
 * only the low byte starts nothing
 */
static void row_044_vpd_read(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_VPD);
	uint32_t first = read_vpd(b, 0);

	if (has_model(b))
		assert_memory_equal(&first, b->rig->subject->description->vpd, 4);
	assert_int_not_equal(read_vpd(b, 4), first);
	put(b, at + PCI_VPD_ADDR, 1, 8);
	assert_int_equal(get(b, at + PCI_VPD_ADDR, 2), 8 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, at + PCI_VPD_DATA, 4), read_vpd(b, 4));
}

/* VPD -> write data, then address|8000 -> F reads 0 on success; stays 1 for a misaligned address */
static void row_045_vpd_write(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_VPD);

	put(b, at + PCI_VPD_DATA, 4, 0x78563412);
	put(b, at + PCI_VPD_ADDR, 2, 5 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, at + PCI_VPD_ADDR, 2), 5 | PCI_VPD_ADDR_F);
	put(b, at + PCI_VPD_ADDR, 2, 4 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, at + PCI_VPD_ADDR, 2), 4);
	assert_int_not_equal(read_vpd(b, 0), 0x78563412);
	assert_int_equal(read_vpd(b, 4), 0x78563412);
}

/* ---- MSI ------------------------------------------------------------------------------------ */

static unsigned int msi_control(struct bed *b)
{
	return cap(b, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS;
}

/* MSI not enabled by SET_IRQS -> write MSI Enable=1, read -> 0 */
static void row_046_msi_enable_alone(struct bed *b)
{
	uint32_t control = get(b, msi_control(b), 2);

	assert_int_equal(control & PCI_MSI_FLAGS_ENABLE, 0);
	put(b, msi_control(b), 2, control | PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(get(b, msi_control(b), 2), control);
}

static uint32_t granted(struct bed *b)
{
	return (get(b, msi_control(b), 2) & PCI_MSI_FLAGS_QSIZE) >> 4;
}

/* MSI enabled with 4 vectors -> write MME=5 (32), read -> MME=2 */
static void row_047_msi_count_is_limited(struct bed *b)
{
	uint32_t control;

	assign(b, MSI, 0, 4);
	control = get(b, msi_control(b), 2);
	put(b, msi_control(b), 2, (control & ~PCI_MSI_FLAGS_QSIZE) | 5 << 4);
	assert_int_equal(granted(b), 2);
	put(b, msi_control(b), 2, (control & ~PCI_MSI_FLAGS_QSIZE) | 1 << 4);
	assert_int_equal(granted(b), 1);
	/* A kernel keeps in its shadow what the user writes to these. */
	if (ours(b))
		assert_int_equal((get(b, msi_control(b), 2) ^ control) & ~PCI_MSI_FLAGS_QSIZE, 0);
}

/* MSI enabled -> write Enable=0 -> hw MSI off, reads 0; write 1 turns on */
static void row_048_msi_enable_toggles(struct bed *b)
{
	uint32_t control;
	int fd = assign(b, MSI, 0, 1);

	control = get(b, msi_control(b), 2);
	/* A kernel shows what the user writes, and not what the request did. */
	if (ours(b))
		assert_int_equal(control & PCI_MSI_FLAGS_ENABLE, PCI_MSI_FLAGS_ENABLE);
	control |= PCI_MSI_FLAGS_ENABLE;
	put(b, msi_control(b), 2, control);
	assert_int_equal(get(b, msi_control(b), 2), control);
	put(b, msi_control(b), 2, control & ~PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(get(b, msi_control(b), 2), control & ~PCI_MSI_FLAGS_ENABLE);
	assert_behind(b, msi_control(b), 2, control & ~PCI_MSI_FLAGS_ENABLE);
	if (has_model(b)) {
		raise_message(b, 0);
		assert_signals(b, fd, 0);
	}
	put(b, msi_control(b), 2, control);
	assert_int_equal(get(b, msi_control(b), 2), control);
	if (has_model(b))
		assert_signals(b, fd, 1);	/* it was pending */
}

static void check_kept_from_the_device(struct bed *b, unsigned int at, unsigned int width,
				       uint32_t value)
{
	uint32_t before = get(b, at, width);

	assert_went(b, at, width, value, VFIO_WENT_VIRTUAL);
	assert_int_equal(get(b, at, width), value);
	assert_behind(b, at, width, before);
}

/* MSI -> write address/data, read -> values read back, hw keeps host values */
static void row_049_msi_address_and_data(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_MSI);
	bool wide = get(b, msi_control(b), 2) & PCI_MSI_FLAGS_64BIT;

	check_kept_from_the_device(b, at + PCI_MSI_ADDRESS_LO, 4, 0xfee01230);
	check_kept_from_the_device(b, at + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, 0x4321);
	if (wide)
		check_kept_from_the_device(b, at + PCI_MSI_ADDRESS_HI, 4, 0x00000007);
}

/* MSI with mask bits -> write mask bits -> hw mask register changes */
static void row_050_msi_mask_bits(struct bed *b)
{
	bool wide = get(b, msi_control(b), 2) & PCI_MSI_FLAGS_64BIT;
	unsigned int mask = cap(b, PCI_CAP_ID_MSI) + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
	int fd = assign(b, MSI, 0, 1);

	assert_went(b, mask, 4, 1, VFIO_WENT_DEVICE);
	assert_int_equal(get(b, mask, 4), 1);
	assert_behind(b, mask, 4, 1);
	if (!has_model(b))
		return;
	raise_message(b, 0);
	assert_signals(b, fd, 0);
	assert_int_equal(get(b, mask + 4, 4), 1);	/* Pending follows Mask */
	put(b, mask, 4, 0);
	assert_signals(b, fd, 1);
	assert_int_equal(get(b, mask + 4, 4), 0);
}

/* ---- MSI-X ---------------------------------------------------------------------------------- */

static unsigned int msix_control(struct bed *b)
{
	return cap(b, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
}

/* MSI-X -> write Message Control enable or function mask -> dropped */
static void row_051_msix_control_is_read_only(struct bed *b)
{
	uint32_t control = get(b, msix_control(b), 2);

	assert_int_equal(control & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL), 0);
	assert_went(b, msix_control(b), 2, control | PCI_MSIX_FLAGS_ENABLE, VFIO_WENT_NOWHERE);
	assert_went(b, msix_control(b), 2, control | PCI_MSIX_FLAGS_MASKALL, VFIO_WENT_NOWHERE);
	assert_int_equal(get(b, msix_control(b), 2), control);
}

/* MSI-X enabled via SET_IRQS -> read Message Control -> bit 15 set */
static void row_052_msix_enabled(struct bed *b)
{
	uint32_t control = get(b, msix_control(b), 2);

	assign(b, MSIX, 0, 1);
	assert_int_equal(get(b, msix_control(b), 2), control | PCI_MSIX_FLAGS_ENABLE);
}

const struct row capability_rows[] = {
	ROW(row_038_no_pme_support, NEEDS_PM),
	ROW(row_039_no_pme, NEEDS_PM),
	ROW(row_040_asleep, NEEDS_PM, NEEDS_MEMORY),
	ROW(row_041_awake_again, NEEDS_PM, NEEDS_MEMORY),
	ROW(row_043_upper_byte_of_pmcsr, NEEDS_PM, NEEDS_MEMORY),
	ROW(row_044_vpd_read, NEEDS_VPD),
	ROW(row_045_vpd_write, NEEDS_VPD),
	ROW(row_046_msi_enable_alone, NEEDS_MSI),
	ROW(row_047_msi_count_is_limited, NEEDS_MSI_4),
	ROW(row_048_msi_enable_toggles, NEEDS_MSI),
	ROW(row_049_msi_address_and_data, NEEDS_MSI),
	ROW(row_050_msi_mask_bits, NEEDS_MSI_MASK),
	ROW(row_051_msix_control_is_read_only, NEEDS_MSIX_3),
	ROW(row_052_msix_enabled, NEEDS_MSIX_3),
	ROWS_END
};
