/* SPDX-License-Identifier: MIT */
/*
 * Resets beyond the kernel's: what a probe tells, what a failure leaves, and what happens unasked.
 */
#include <errno.h>
#include <linux/pci_regs.h>

#include "records.h"
#include "requests.h"
#include "row.h"

static struct vfio_reset_info probe(struct bed *b)
{
	struct vfio_reset_info info;

	assert_int_equal(vfio_reset_probe(b->dev, &info), 0);
	return info;
}

static bool reset_flag(struct bed *b)
{
	struct vfio_device_info info;

	assert_int_equal(vfio_info(b->dev, &info), 0);
	return info.flags & VFIO_DEVICE_FLAGS_RESET;
}

/* ---- asking --------------------------------------------------------------------------------- */

/*
 * Each method that configuration space offers is told, and no other; nobody else is reset with it.
 */
static void methods_are_told(struct bed *b)
{
	struct vfio_reset_info info = probe(b);
	int express = vfio_find_capability(b->dev, PCI_CAP_ID_EXP);
	int af = vfio_find_capability(b->dev, PCI_CAP_ID_AF);
	int pm = vfio_find_capability(b->dev, PCI_CAP_ID_PM);
	uint32_t methods = VFIO_RESET_DEVICE;

	if (express > 0 && get(b, express + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)
		methods |= VFIO_RESET_FLR;
	if (af > 0 && get(b, af + PCI_AF_CAP, 1) & PCI_AF_CAP_FLR)
		methods |= VFIO_RESET_AF;
	if (pm > 0 && !(get(b, pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET))
		methods |= VFIO_RESET_PM;
	assert_int_equal(info.methods & ~VFIO_RESET_HOT, methods);
	assert_int_equal(info.others, 0);
}

/* The flag of vfio_info() and the probe agree, whether it can be reset or not. */
static void flag_and_probe_agree(struct bed *b)
{
	assert_int_equal(reset_flag(b), probe(b).methods & VFIO_RESET_DEVICE);
	if (!reset_flag(b))
		assert_int_equal(probe(b).methods & ~VFIO_RESET_HOT, 0);
}

/* To ask does not reset: neither the model, which counts, nor what a driver has set up. */
static void probe_resets_nothing(struct bed *b)
{
	uint32_t resets = model_get(b, MODEL_RESETS);
	uint64_t count = probe(b).count;

	model_put(b, MODEL_SCRATCH, 0x600df00d);
	for (unsigned int i = 0; i < 3; i++) {
		probe(b);
		reset_flag(b);
	}
	for (unsigned int region = 0; region < VFIO_PCI_NUM_REGIONS; region++)
		region_of(b, region);
	assert_int_equal(model_get(b, MODEL_RESETS), resets);
	assert_int_equal(model_get(b, MODEL_SCRATCH), 0x600df00d);
	assert_int_equal(probe(b).count, count);
}

/* ---- each road, when it works and when it does not ------------------------------------------- */

static int by_call(struct bed *b)
{
	return vfio_reset(b->dev);
}

/* A write of configuration space never fails. */
static int by_express(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;

	put(b, at, 2, get(b, at, 2) | PCI_EXP_DEVCTL_BCR_FLR);
	assert_false(get(b, at, 2) & PCI_EXP_DEVCTL_BCR_FLR);
	return 0;
}

static int by_af(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_AF) + PCI_AF_CTRL;

	put(b, at, 1, PCI_AF_CTRL_FLR);
	assert_int_equal(get(b, at, 1), 0);
	return 0;
}

static int by_power(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_PM) + PCI_PM_CTRL;

	put(b, at, 2, 3);
	put(b, at, 2, 0);
	return 0;
}

/* failed is what the caller is told of a failure. */
static void check_road(struct bed *b, int (*reset)(struct bed *b), int failed)
{
	uint64_t count = probe(b).count, cursor = records_end(b);
	uint32_t resets = model_get(b, MODEL_RESETS);

	assert_int_equal(reset(b), 0);
	assert_int_equal(model_get(b, MODEL_RESETS), resets + 1);
	assert_int_equal(probe(b).count, count + 1);
	assert_int_equal(probe(b).last, 0);
	assert_no_record(b, cursor);

	model_put(b, MODEL_FAIL, ENODATA);
	assert_int_equal(reset(b), failed);
	assert_int_equal(model_get(b, MODEL_RESETS), resets + 1);
	assert_int_equal(probe(b).last, -ENODATA);
	assert_record(b, &cursor, ENODATA, VFIO_E_RESET);

	model_put(b, MODEL_FAIL, 0);
	assert_int_equal(reset(b), 0);
	assert_int_equal(probe(b).last, 0);
}

static void reset_by_call(struct bed *b)
{
	check_road(b, by_call, -ENODATA);
}

static void reset_by_express(struct bed *b)
{
	check_road(b, by_express, 0);
}

static void reset_by_advanced_features(struct bed *b)
{
	check_road(b, by_af, 0);
}

static void reset_by_power(struct bed *b)
{
	check_road(b, by_power, 0);
}

/* One that the device lacks does nothing, and says so. */
static void reset_that_is_not_there(struct bed *b)
{
	uint64_t cursor = records_end(b);
	uint32_t resets = model_get(b, MODEL_RESETS);

	by_express(b);
	assert_int_equal(model_get(b, MODEL_RESETS), resets);
	assert_record(b, &cursor, EINVAL, VFIO_E_RESET);
}

/* The pin falls, and what was pending is not sent any more. */
static void reset_takes_interrupts_back(struct bed *b)
{
	uint32_t index = vectors_of(b, MSIX) > 0 ? MSIX : MSI;
	int fd = assign(b, INTX, 0, 1);

	set_pin(b, true);
	assert_signals(b, fd, 1);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_false(get(b, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(request(b, NONE | UNMASK, INTX, 0, 1), 0);
	assert_signals(b, fd, 0);
	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 0), 0);

	fd = assign(b, index, 0, 1);
	model_put(b, MODEL_MESSAGE, 0);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_signals(b, fd, 0);
}

/* ---- unasked -------------------------------------------------------------------------------- */

/*
 * The device resets itself by a register; the next write of Command puts it in order, and says so.
 */
static void backdoor_reset_is_healed(struct bed *b)
{
	unsigned int bar = b->rig->subject->model_bar;
	uint32_t command = get(b, PCI_COMMAND, 2);
	uint64_t cursor;

	put(b, PCI_BASE_ADDRESS_0 + 4 * bar, 4, 0xf0000000);
	cursor = records_end(b);
	model_put(b, MODEL_BACKDOOR, 1);
	assert_int_equal(peek(b, bar), -EIO);
	assert_record(b, &cursor, EIO, VFIO_E_MEMORY_OFF);
	assert_false(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	put(b, PCI_COMMAND, 2, command);
	assert_record(b, &cursor, 0, VFIO_E_RESTORED);
	assert_int_equal(model_get(b, MODEL_ID), MODEL_ID_VALUE);
	assert_int_equal(get(b, PCI_COMMAND, 2), command);
	assert_int_equal(get(b, PCI_BASE_ADDRESS_0 + 4 * bar, 4) & 0xfffffff0, 0xf0000000);
	put(b, PCI_COMMAND, 2, command);
	assert_no_record(b, cursor);
}

/* Vectors that were set up before it still deliver. */
static void backdoor_reset_keeps_vectors(struct bed *b)
{
	int fd = assign(b, MSIX, 0, 1);
	uint32_t command;

	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	command = get(b, PCI_COMMAND, 2);
	model_put(b, MODEL_BACKDOOR, 1);
	put(b, PCI_COMMAND, 2, command);
	model_put(b, MODEL_MESSAGE, 0);
	assert_signals(b, fd, 1);
}

/* ---- when a user goes ----------------------------------------------------------------------- */

/* The next one finds a device that nobody has used. */
static void close_resets(struct bed *b)
{
	uint32_t resets = model_get(b, MODEL_RESETS);
	int fd = assign(b, MSIX, 0, 1), asked = assign(b, REQ, 0, 1);

	model_put(b, MODEL_SCRATCH, 0x600df00d);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	bed_reopen(b);
	assert_int_equal(model_get(b, MODEL_RESETS), resets + 1);
	assert_int_equal(model_get(b, MODEL_SCRATCH), 0);
	assert_false(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_false(get(b, cap(b, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 1), -EINVAL);
	raise_message(b, 0);
	assert_signals(b, fd, 0);
	model_put(b, MODEL_REQUEST, 1);
	assert_signals(b, asked, 0);
}

/* Nothing that the last user wrote anywhere is there for the next. */
static void close_leaves_no_secrets(struct bed *b)
{
	const uint32_t secret = 0x5ec2e7;
	unsigned int vpd = cap(b, PCI_CAP_ID_VPD), bar = mappable_bar(b);
	uint64_t area = region_of(b, bar).areas[0].offset;
	uint32_t value;

	assert_int_equal(vfio_pwrite(b->dev, bar, area, &secret, 4), 4);
	model_put(b, MODEL_SCRATCH, secret);
	put(b, vpd + PCI_VPD_DATA, 4, secret);
	put(b, vpd + PCI_VPD_ADDR, 2, 4 | PCI_VPD_ADDR_F);
	bed_reopen(b);
	assert_int_equal(vfio_pread(b->dev, bar, area, &value, 4), 4);
	assert_int_equal(value, 0);
	assert_int_equal(model_get(b, MODEL_SCRATCH), 0);
	assert_int_not_equal(get(b, vpd + PCI_VPD_DATA, 4), secret);
	put(b, vpd + PCI_VPD_ADDR, 2, 4);
	assert_int_not_equal(get(b, vpd + PCI_VPD_DATA, 4), secret);
}

/* If the administrator wants it so, only what was the user's goes. */
static void close_keeps(struct bed *b)
{
	uint32_t resets = model_get(b, MODEL_RESETS);

	assign(b, MSIX, 0, 1);
	model_put(b, MODEL_SCRATCH, 0x600df00d);
	put(b, PCI_INTERRUPT_LINE, 1, 0x5a);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	bed_reopen(b);
	assert_int_equal(model_get(b, MODEL_RESETS), resets);
	assert_int_equal(model_get(b, MODEL_SCRATCH), 0x600df00d);
	assert_int_equal(get(b, PCI_INTERRUPT_LINE, 1), 0x5a);
	assert_false(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	assert_false(get(b, cap(b, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE);
}

const struct row reset_rows[] = {
	ROW(methods_are_told, NEEDS_RESET, NEEDS_OURS),
	ROW(flag_and_probe_agree, ANY),
	ROW(probe_resets_nothing, NEEDS_MODEL),
	ROW(reset_by_call, NEEDS_MODEL, NEEDS_RESET),
	ROW(reset_by_express, NEEDS_MODEL, NEEDS_RESET, NEEDS_FLR),
	ROW(reset_by_advanced_features, NEEDS_MODEL, NEEDS_RESET, NEEDS_AF),
	ROW(reset_by_power, NEEDS_MODEL, NEEDS_RESET, NEEDS_SOFT_RESET),
	ROW(reset_that_is_not_there, NEEDS_MODEL, NEEDS_NO_FLR),
	ROW(reset_takes_interrupts_back, NEEDS_MODEL, NEEDS_RESET, NEEDS_PIN, NEEDS_MESSAGES),
	ROW(backdoor_reset_is_healed, NEEDS_MODEL, NEEDS_MEMORY),
	ROW(backdoor_reset_keeps_vectors, NEEDS_MODEL, NEEDS_MEMORY, NEEDS_MSIX_3),
	ROW(close_resets, NEEDS_MODEL, NEEDS_RESET, NEEDS_SERVER, NEEDS_MSIX_3),
	ROW(close_leaves_no_secrets, NEEDS_MODEL, NEEDS_SERVER, NEEDS_MAPPABLE, NEEDS_VPD),
	ROW_POLICY(close_keeps, "at-close", "keep", NEEDS_MODEL, NEEDS_SERVER, NEEDS_MSIX_3),
	ROWS_END
};
