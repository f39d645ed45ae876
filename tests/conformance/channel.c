/* SPDX-License-Identifier: MIT */
/*
 * What PCI has no way to say: where a write went, what was refused and why. And what it leaves to
 * the bus: in how many accesses a call reaches the device.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "lists.h"
#include "records.h"
#include "requests.h"
#include "row.h"

#define KEPT 64		/* records */

/* ---- where a write went --------------------------------------------------------------------- */

static void write_to_the_device(struct bed *b)
{
	assert_went(b, PCI_CACHE_LINE_SIZE, 1, 0x10, VFIO_WENT_DEVICE);
	assert_int_equal(get(b, PCI_CACHE_LINE_SIZE, 1), 0x10);
}

static void write_to_the_virtual_function(struct bed *b)
{
	uint32_t type = get(b, PCI_BASE_ADDRESS_0, 4) & 0xf;

	assert_went(b, PCI_BASE_ADDRESS_0, 4, 0xf0000000 | type, VFIO_WENT_VIRTUAL);
	assert_went(b, PCI_BASE_ADDRESS_0, 4, 0xf0000000 | (type ^ 1), VFIO_WENT_NOWHERE);
	assert_went(b, PCI_INTERRUPT_LINE, 1, 0x5a, VFIO_WENT_VIRTUAL);
}

static void write_to_nowhere(struct bed *b)
{
	uint64_t cursor = records_end(b);
	struct vfio_error record;

	assert_went(b, PCI_REVISION_ID, 1, get(b, PCI_REVISION_ID, 1) ^ 0xff, VFIO_WENT_NOWHERE);
	record = assert_record(b, &cursor, EPERM, VFIO_E_READ_ONLY);
	assert_non_null(strstr(record.what, "RevisionID"));
	assert_int_equal(record.who, VFIO_BY_FUNCTION);
	assert_no_record(b, cursor);
}

/* What would change nothing went nowhere and lost nothing. */
static void write_of_what_is_there(struct bed *b)
{
	uint64_t cursor = records_end(b);

	assert_went(b, PCI_VENDOR_ID, 2, get(b, PCI_VENDOR_ID, 2), 0);
	assert_went(b, PCI_INTERRUPT_LINE, 1, get(b, PCI_INTERRUPT_LINE, 1), 0);
	assert_no_record(b, cursor);
}

/* One write of Command: a bit of the device's, one of the virtual function's, one of nobody's. */
static void write_to_several_places(struct bed *b)
{
	const uint16_t bits = PCI_COMMAND_PARITY | PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_SPECIAL;
	uint64_t cursor = records_end(b);
	uint32_t command = get(b, PCI_COMMAND, 2);

	assert_went(b, PCI_COMMAND, 2, command ^ bits,
		    VFIO_WENT_DEVICE | VFIO_WENT_VIRTUAL | VFIO_WENT_NOWHERE);
	assert_int_equal(get(b, PCI_COMMAND, 2), command ^ bits ^ PCI_COMMAND_SPECIAL);
	assert_record(b, &cursor, EPERM, VFIO_E_READ_ONLY);
	assert_no_record(b, cursor);
}

/* Hidden is not gone: a write reaches the registers. */
static void write_to_what_is_hidden(struct bed *b)
{
	unsigned int at = first_hidden(b, true).offset;

	assert_int_equal(vfio_find_extended_capability(b->dev, PCI_EXT_CAP_ID_PASID), -ENOENT);
	assert_went(b, at + PCI_PASID_CTRL, 2, PCI_PASID_CTRL_ENABLE, VFIO_WENT_DEVICE);
	assert_int_equal(get(b, at + PCI_PASID_CTRL, 2), PCI_PASID_CTRL_ENABLE);
}

/* Unless the administrator wants it so. */
static void write_to_what_reads_as_zero(struct bed *b)
{
	struct vfio_pci_capability hidden = first_hidden(b, true);
	uint8_t bytes[8], zeros[8] = { 0 };

	assert_int_equal(vfio_pread(b->dev, CONFIG, hidden.offset, bytes, 8), 8);
	assert_memory_equal(bytes, zeros, 8);
	put(b, hidden.offset + PCI_PASID_CTRL, 2, PCI_PASID_CTRL_ENABLE);
	assert_int_equal(get(b, hidden.offset + PCI_PASID_CTRL, 2), 0);
}

/* The user is shown the device's own registers, and kept from those that are not his. */
static void write_against_the_policy(struct bed *b)
{
	uint64_t cursor = records_end(b);
	uint32_t bar = get(b, PCI_BASE_ADDRESS_0, 4);
	struct vfio_error record;

	assert_went(b, PCI_BASE_ADDRESS_0, 4, bar ^ 0xf0000000, VFIO_WENT_POLICY);
	assert_int_equal(get(b, PCI_BASE_ADDRESS_0, 4), bar);
	record = assert_record(b, &cursor, EPERM, VFIO_E_REFUSED);
	assert_int_equal(record.who, VFIO_BY_POLICY);
	assert_true(record.remedy[0]);
	assert_went(b, PCI_VENDOR_ID, 2, get(b, PCI_VENDOR_ID, 2) ^ 1, VFIO_WENT_NOWHERE);
	assert_went(b, PCI_CACHE_LINE_SIZE, 1, 0x10, VFIO_WENT_DEVICE);
}

static uint32_t bar_went(struct bed *b, unsigned int bar, uint64_t offset)
{
	const uint8_t bytes[4] = { 1, 2, 3, 4 };
	uint32_t where = ~0u;

	assert_int_equal(vfio_pwrite_where(b->dev, bar, offset, bytes, 4, &where), 4);
	return where;
}

static void write_to_a_bar(struct bed *b)
{
	uint32_t table = get(b, cap(b, PCI_CAP_ID_MSIX) + PCI_MSIX_TABLE, 4);

	assert_int_equal(bar_went(b, b->rig->subject->model_bar, MODEL_SCRATCH), VFIO_WENT_DEVICE);
	assert_int_equal(model_get(b, MODEL_SCRATCH), 0x04030201);
	assert_int_equal(bar_went(b, table & PCI_MSIX_TABLE_BIR, table & PCI_MSIX_TABLE_OFFSET),
			 VFIO_WENT_NOWHERE);
}

/* ---- records -------------------------------------------------------------------------------- */

/* Records come in order; reading takes nothing away; the oldest make room. */
static void records_are_kept(struct bed *b)
{
	uint64_t cursor = records_end(b), again = cursor, from_start = 0;
	struct vfio_error record;
	unsigned int n = 0;

	put(b, PCI_REVISION_ID, 1, get(b, PCI_REVISION_ID, 1) ^ 1);
	put(b, PCI_VENDOR_ID, 2, get(b, PCI_VENDOR_ID, 2) ^ 1);
	for (unsigned int i = 0; i < 2; i++) {
		record = assert_record(b, &cursor, EPERM, VFIO_E_READ_ONLY);
		assert_non_null(strstr(record.what, "RevisionID"));
		record = assert_record(b, &cursor, EPERM, VFIO_E_READ_ONLY);
		assert_non_null(strstr(record.what, "VendorID"));
		assert_no_record(b, cursor);
		cursor = again;
	}
	for (unsigned int i = 0; i < KEPT + 6; i++)
		put(b, i % 2 ? PCI_VENDOR_ID : PCI_DEVICE_ID, 2, 0xeeee);
	while (vfio_record(b->dev, &from_start, &record) == 1)
		n++;
	assert_int_equal(n, KEPT);
}

/* A driver that polls a register by writing it does not push out all others. */
static void record_of_the_same_again(struct bed *b)
{
	uint64_t cursor = records_end(b);
	struct vfio_error record;

	for (unsigned int i = 0; i < 3; i++)
		put(b, PCI_REVISION_ID, 1, get(b, PCI_REVISION_ID, 1) ^ 1);
	record = assert_record(b, &cursor, EPERM, VFIO_E_READ_ONLY);
	assert_non_null(strstr(record.what, "3 times"));
	assert_no_record(b, cursor);
}

/* What was refused to the last user is not the next one's business. */
static void records_are_ones_own(struct bed *b)
{
	put(b, PCI_REVISION_ID, 1, get(b, PCI_REVISION_ID, 1) ^ 1);
	bed_reopen(b);
	assert_no_record(b, 0);
}

static void refused_access_leaves_a_record(struct bed *b)
{
	uint64_t cursor;

	set_memory(b, false);
	cursor = records_end(b);
	assert_int_equal(peek(b, memory_bar(b)), -EIO);
	assert_record(b, &cursor, EIO, VFIO_E_MEMORY_OFF);
	assert_no_record(b, cursor);
}

static void refused_enable_leaves_a_record(struct bed *b)
{
	unsigned int control = cap(b, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS;
	uint64_t cursor = records_end(b);
	struct vfio_error record;

	assert_went(b, control, 2, get(b, control, 2) | PCI_MSI_FLAGS_ENABLE, VFIO_WENT_NOWHERE);
	record = assert_record(b, &cursor, EINVAL, VFIO_E_IRQ_STATE);
	assert_true(record.remedy[0]);
	assert_no_record(b, cursor);
}

static void refused_power_state_leaves_a_record(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_PM);
	uint64_t cursor = records_end(b);
	uint32_t control = get(b, at + PCI_PM_CTRL, 2);

	assert_false(get(b, at + PCI_PM_PMC, 2) & (PCI_PM_CAP_D1 | PCI_PM_CAP_D2));
	assert_went(b, at + PCI_PM_CTRL, 2, control | 1, VFIO_WENT_NOWHERE);
	assert_int_equal(get(b, at + PCI_PM_CTRL, 2), control);
	assert_record(b, &cursor, EINVAL, VFIO_E_POWER);
	assert_no_record(b, cursor);
}

static void refused_vpd_write_leaves_a_record(struct bed *b)
{
	uint64_t cursor = records_end(b);

	put(b, cap(b, PCI_CAP_ID_VPD) + PCI_VPD_ADDR, 2, 5 | PCI_VPD_ADDR_F);
	assert_record(b, &cursor, EINVAL, VFIO_E_VPD);
	assert_no_record(b, cursor);
}

/* ---- widths --------------------------------------------------------------------------------- */

/* The pieces that a range is cut into; offset 1, 15 bytes: 1, 2, 4 and 8. */
static void check_pieces(struct bed *b, bool write, unsigned int offset, unsigned int len,
			 const uint8_t *widths, unsigned int n)
{
	uint64_t at = MODEL_SCRATCH + offset;
	unsigned int bar = b->rig->subject->model_bar;
	uint8_t bytes[MODEL_SCRATCH_SIZE];

	memset(bytes, 0x5a, sizeof(bytes));
	model_put(b, MODEL_LOGGED, 0);
	assert_int_equal(write ? vfio_pwrite(b->dev, bar, at, bytes, len)
			       : vfio_pread(b->dev, bar, at, bytes, len), len);
	assert_int_equal(model_get(b, MODEL_LOGGED), n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(model_get(b, MODEL_LOG + 4 * i),
				 MODEL_ACCESS(write, widths[i], at));
		at += widths[i];
	}
}

static void check_both_ways(struct bed *b, unsigned int offset, unsigned int len,
			    const uint8_t *widths, unsigned int n)
{
	check_pieces(b, false, offset, len, widths, n);
	check_pieces(b, true, offset, len, widths, n);
}

/* Aligned: one access of the device, whatever the width. */
static void aligned_accesses_are_whole(struct bed *b)
{
	for (uint8_t width = 1; width <= 8; width *= 2)
		for (unsigned int offset = 0; offset < MODEL_SCRATCH_SIZE; offset += width)
			check_both_ways(b, offset, width, &width, 1);
}

/* Others: the widest aligned ones that fit, in ascending order. */
static void other_accesses_are_cut(struct bed *b)
{
	check_both_ways(b, 1, 2, (const uint8_t[]){ 1, 1 }, 2);
	check_both_ways(b, 1, 3, (const uint8_t[]){ 1, 2 }, 2);
	check_both_ways(b, 2, 4, (const uint8_t[]){ 2, 2 }, 2);
	check_both_ways(b, 4, 8, (const uint8_t[]){ 4, 4 }, 2);
	check_both_ways(b, 1, 15, (const uint8_t[]){ 1, 2, 4, 8 }, 4);
	check_both_ways(b, 0, 15, (const uint8_t[]){ 8, 4, 2, 1 }, 4);
	check_both_ways(b, 0, 16, (const uint8_t[]){ 8, 8 }, 2);
	check_both_ways(b, 7, 10, (const uint8_t[]){ 1, 8, 1 }, 3);
}

/* The same of configuration space: what a piece sets off does not depend on its neighbours. */
static void config_accesses_are_cut(struct bed *b)
{
	uint8_t bytes[8], before[4];
	size_t n = sizeof(bytes);

	/* 8 bytes from 2 on: Device ID, Command, Status, Revision: only Command can change. */
	assert_int_equal(vfio_pread(b->dev, CONFIG, 2, bytes, n), n);
	memcpy(before, bytes + 4, 4);
	bytes[0] ^= 1;
	bytes[2] |= PCI_COMMAND_MASTER;
	bytes[4] = bytes[5] = 0;
	assert_int_equal(vfio_pwrite(b->dev, CONFIG, 2, bytes, n), n);
	assert_true(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_int_equal(get(b, PCI_STATUS, 2), before[0] | before[1] << 8);
}

const struct row channel_rows[] = {
	ROW(write_to_the_device, ANY),
	ROW(write_to_the_virtual_function, NEEDS_MODEL, NEEDS_MEMORY_0),
	ROW(write_to_nowhere, NEEDS_OURS),
	ROW(write_of_what_is_there, NEEDS_OURS),
	ROW(write_to_several_places, NEEDS_OURS),
	ROW(write_to_what_is_hidden, NEEDS_OURS, NEEDS_HIDDEN_MIDDLE),
	ROW_POLICY(write_to_what_reads_as_zero, "hidden", "zero", NEEDS_HIDDEN_MIDDLE),
	ROW_POLICY(write_against_the_policy, "view", "filtered", NEEDS_MEMORY_0),
	ROW(write_to_a_bar, NEEDS_MODEL, NEEDS_MSIX_3),
	ROW(records_are_kept, NEEDS_OURS),
	ROW(record_of_the_same_again, NEEDS_OURS),
	ROW(records_are_ones_own, NEEDS_SERVER),
	ROW(refused_access_leaves_a_record, NEEDS_OURS, NEEDS_MEMORY),
	ROW(refused_enable_leaves_a_record, NEEDS_OURS, NEEDS_MSI),
	ROW(refused_power_state_leaves_a_record, NEEDS_OURS, NEEDS_PM),
	ROW(refused_vpd_write_leaves_a_record, NEEDS_OURS, NEEDS_VPD),
	ROW(aligned_accesses_are_whole, NEEDS_MODEL),
	ROW(other_accesses_are_cut, NEEDS_MODEL),
	ROW(config_accesses_are_cut, ANY),
	ROWS_END
};
