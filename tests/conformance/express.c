/* SPDX-License-Identifier: MIT */
/* Rows 53 to 61: PCI Express, function level resets, and extended capabilities. */
#include <linux/pci_regs.h>

#include "row.h"

static unsigned int devctl(struct bed *b)
{
	return cap(b, PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
}

/* ---- PCI Express ---------------------------------------------------------------------------- */

/* PCIe cap -> write DevCtl MPS, read -> value read back, hw MPS unchanged */
static void row_053_payload_size(struct bed *b)
{
	uint32_t control = get(b, devctl(b), 2);
	uint32_t other = control ^ 0x20;	/* 128 or 256 bytes */

	assert_went(b, devctl(b), 2, other, VFIO_WENT_VIRTUAL);
	assert_int_equal(get(b, devctl(b), 2), other);
	assert_behind(b, devctl(b), 2, control);
}

/*
 * PCIe cap -> write MRRS smaller than hw MPS -> shadow keeps value, hw MRRS = MPS; larger ones
 * reach it, but for 6 and 7, which mean nothing
 */
static void row_054_read_request_size(struct bed *b)
{
	uint32_t first = get(b, devctl(b), 2), control = first & ~PCI_EXP_DEVCTL_READRQ;
	uint32_t payload = (first & PCI_EXP_DEVCTL_PAYLOAD) >> 5;
	uint32_t real = (first & PCI_EXP_DEVCTL_READRQ) >> 12;

	for (uint32_t i = 1; i <= 8; i++) {
		uint32_t code = ((first >> 12) + i) % 8;

		if (code < 6)
			real = code < payload ? payload : code;
		put(b, devctl(b), 2, control | code << 12);
		assert_int_equal(get(b, devctl(b), 2), control | code << 12);
		if (!by_uio(b))		/* not every device has those bits */
			assert_behind(b, devctl(b), 2, control | real << 12);
	}
}

static void check_dropped(struct bed *b, unsigned int at, unsigned int width, uint32_t bits)
{
	uint32_t before = get(b, at, width);

	put(b, at, width, before ^ bits);
	assert_int_equal(get(b, at, width), before);
}

/* The second half of the capability, which version 1 does not have. */
static void check_version_2(struct bed *b, unsigned int at)
{
	unsigned int control = at + PCI_EXP_DEVCTL2;
	uint32_t before = get(b, control, 2);

	check_dropped(b, control, 2, PCI_EXP_DEVCTL2_ARI);
	/* Hardware that cannot do without a time-out drops that bit itself. */
	if (!ours(b) && !(get(b, at + PCI_EXP_DEVCAP2, 4) & PCI_EXP_DEVCAP2_COMP_TMOUT_DIS))
		return;
	assert_went(b, control, 2, before ^ PCI_EXP_DEVCTL2_COMP_TMOUT_DIS, VFIO_WENT_DEVICE);
	assert_int_equal(get(b, control, 2), before ^ PCI_EXP_DEVCTL2_COMP_TMOUT_DIS);
	assert_behind(b, control, 2, before ^ PCI_EXP_DEVCTL2_COMP_TMOUT_DIS);
}

/*
 * PCIe cap -> write DevCtl phantom bit, LnkCtl, DevCtl2 bit 5 -> dropped; DevCtl2 bit 4 reaches hw
 */
static void row_055_hosts_bits(struct bed *b)
{
	unsigned int at = cap(b, PCI_CAP_ID_EXP);
	uint32_t flags = get(b, at + PCI_EXP_FLAGS, 2);

	check_dropped(b, at + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_PHANTOM);
	if ((flags & PCI_EXP_FLAGS_TYPE) >> 4 != PCI_EXP_TYPE_RC_END)
		check_dropped(b, at + PCI_EXP_LNKCTL, 2, PCI_EXP_LNKCTL_CCC);
	if ((flags & PCI_EXP_FLAGS_VERS) >= 2)
		check_version_2(b, at);
}

/* ---- function level reset ------------------------------------------------------------------- */

struct kept {
	uint32_t command, line, bar;
};

static struct kept what_is_kept(struct bed *b)
{
	return (struct kept){
		.command = get(b, PCI_COMMAND, 2),
		.line = get(b, PCI_INTERRUPT_LINE, 1),
		.bar = get(b, PCI_BASE_ADDRESS_0, 4),
	};
}

/* Write a bit that resets the function, or does not; it is gone, and all else is as it was. */
static void check_reset_bit(struct bed *b, unsigned int at, unsigned int width, uint32_t bit,
			    bool resets)
{
	struct kept before, after;
	uint32_t count = has_model(b) ? model_get(b, MODEL_RESETS) : 0;
	uint32_t value = get(b, at, width);

	put(b, PCI_COMMAND, 2, get(b, PCI_COMMAND, 2) | PCI_COMMAND_SERR);
	put(b, PCI_INTERRUPT_LINE, 1, 0x5a);
	put(b, PCI_BASE_ADDRESS_0, 4, 0xf0000000);
	before = what_is_kept(b);
	put(b, at, width, value | bit);
	assert_int_equal(get(b, at, width), value);
	after = what_is_kept(b);
	assert_memory_equal(&before, &after, sizeof(before));
	if (has_model(b))
		assert_int_equal(model_get(b, MODEL_RESETS), count + resets);
}

/* PCIe FLR capable -> write DevCtl bit 15 -> device reset, bit reads 0, BARs/Command restored */
static void row_056_flr(struct bed *b)
{
	check_reset_bit(b, devctl(b), 2, PCI_EXP_DEVCTL_BCR_FLR, true);
}

/* PCIe not FLR capable -> write DevCtl bit 15 -> no reset, bit reads 0 */
static void row_057_no_flr(struct bed *b)
{
	check_reset_bit(b, devctl(b), 2, PCI_EXP_DEVCTL_BCR_FLR, false);
}

/* AF with TP+FLR -> write AF ctrl 1 -> reset; reads 0 */
static void row_058_af_flr(struct bed *b)
{
	check_reset_bit(b, cap(b, PCI_CAP_ID_AF) + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR, true);
}

/* ---- extended capabilities ------------------------------------------------------------------ */

/* Some of the mask's bits can be written, and no others. */
static void check_settable(struct bed *b, unsigned int at, uint32_t mask)
{
	uint32_t before = get(b, at, 4), ones, zeros;

	put(b, at, 4, 0xffffffff);
	ones = get(b, at, 4);
	put(b, at, 4, 0);
	zeros = get(b, at, 4);
	assert_int_equal((ones ^ before) & ~mask, 0);
	assert_int_equal((zeros ^ before) & ~mask, 0);
	if (ours(b))	/* hardware need not have all of them, nor any */
		assert_int_equal(ones ^ zeros, mask);
}

/*
 * AER -> write ones to uncorrectable / correctable mask, read -> only bits 03fff031 / 0000f1c1
 * settable
 */
static void row_059_error_masks(struct bed *b)
{
	unsigned int at = ecap(b, PCI_EXT_CAP_ID_ERR);

	check_settable(b, at + PCI_ERR_UNCOR_MASK, 0x03fff031);
	check_settable(b, at + PCI_ERR_COR_MASK, 0x0000f1c1);
}

/* SR-IOV, ATS, ACS, PRI, ReBAR caps -> write control registers -> dropped */
static void row_060_hosts_controls(struct bed *b)
{
	static const struct {
		uint16_t id;
		uint8_t control, width;
	} hosts[] = {
		{ PCI_EXT_CAP_ID_SRIOV, PCI_SRIOV_CTRL, 2 },
		{ PCI_EXT_CAP_ID_ATS, PCI_ATS_CTRL, 2 },
		{ PCI_EXT_CAP_ID_ACS, PCI_ACS_CTRL, 2 },
		{ PCI_EXT_CAP_ID_PRI, PCI_PRI_CTRL, 2 },
		{ PCI_EXT_CAP_ID_REBAR, PCI_REBAR_CTRL, 4 },
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		int at = vfio_find_extended_capability(b->dev, hosts[i].id);

		if (at > 0)
			check_dropped(b, at + hosts[i].control, hosts[i].width, 0xffffffff);
	}
}

/* What the subjects describe can be written; what they capture is taken to be read-only. */
static void check_payload(struct bed *b, unsigned int at)
{
	bool described = b->rig->subject && !b->rig->subject->capture;
	uint32_t before = get(b, at, 4);

	put(b, at, 4, ~before);
	if (ours(b))
		assert_int_equal(get(b, at, 4), described ? ~before : before);
	assert_behind(b, at, 4, get(b, at, 4));
	put(b, at, 4, before);
}

/* vendor cap / VSEC / DVSEC -> write payload -> raw hw write */
static void row_061_vendors_payload(struct bed *b)
{
	int standard = vfio_find_capability(b->dev, PCI_CAP_ID_VNDR);
	int extended = vfio_find_extended_capability(b->dev, PCI_EXT_CAP_ID_VNDR);

	if (standard > 0)
		check_payload(b, standard + 4);
	if (extended > 0)
		check_payload(b, extended + 8);
}

const struct row express_rows[] = {
	ROW(row_053_payload_size, NEEDS_EXPRESS),
	ROW(row_054_read_request_size, NEEDS_EXPRESS),
	ROW(row_055_hosts_bits, NEEDS_EXPRESS),
	ROW(row_056_flr, NEEDS_FLR, NEEDS_RESET),
	ROW(row_057_no_flr, NEEDS_NO_FLR),
	ROW(row_058_af_flr, NEEDS_AF, NEEDS_RESET),
	ROW(row_059_error_masks, NEEDS_AER),
	ROW(row_060_hosts_controls, NEEDS_CONTROLS),
	ROW(row_061_vendors_payload, NEEDS_VENDOR),
	ROWS_END
};
