/* SPDX-License-Identifier: MIT */
/*
 * How long a capability is. Most have one length, in the table; the others say it themselves, in
 * bytes that may be anything, and may not even be there: those read as zero.
 */
#include <linux/pci_regs.h>
#include <vfio/pci.h>

#include "base/bits.h"
#include "pci/length.h"

#define EXT(id)  (VFIO_PCI_EXTENDED | (id))
#define VF_REBAR 0x24

static uint32_t get(const struct config_space *c, unsigned int at, unsigned int width)
{
	return is_inside(at, width, c->len) ? le_get(c->bytes + at, width) : 0;
}

/* What a capability says of itself is no less than the register in which it says so. */
static unsigned int at_least(unsigned int least, unsigned int length)
{
	return length < least ? least : length;
}

/* ---- the port ------------------------------------------------------------------------------- */

static unsigned int port_type(const struct config_space *c)
{
	if (!c->express)
		return PCI_EXP_TYPE_ENDPOINT;
	return (get(c, c->express + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_TYPE) >> 4;
}

static bool has_root_registers(const struct config_space *c)
{
	return port_type(c) == PCI_EXP_TYPE_ROOT_PORT || port_type(c) == PCI_EXP_TYPE_RC_EC;
}

static unsigned int lanes(const struct config_space *c)
{
	if (!c->express)
		return 0;
	return (get(c, c->express + PCI_EXP_LNKCAP, 4) & PCI_EXP_LNKCAP_MLW) >> 4;
}

/* ---- standard capabilities ------------------------------------------------------------------ */

static unsigned int msi_length(const struct config_space *c, unsigned int at)
{
	uint16_t control = get(c, at + PCI_MSI_FLAGS, 2);

	return 10 + (control & PCI_MSI_FLAGS_64BIT ? 4 : 0) +
	       (control & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
}

/* Only the types whose registers the table knows; others are 4 bytes or more. */
static unsigned int hyper_transport_length(const struct config_space *c, unsigned int at)
{
	uint16_t command = get(c, at + PCI_CAP_FLAGS, 2);
	uint8_t type = command >> 8;

	if ((type & HT_3BIT_CAP_MASK) == HT_CAPTYPE_SLAVE)
		return HT_CAP_SIZEOF_LONG;
	if ((type & HT_3BIT_CAP_MASK) == HT_CAPTYPE_HOST)
		return HT_CAP_SIZEOF_SHORT;
	if ((type & HT_5BIT_CAP_MASK) == HT_CAPTYPE_MSI_MAPPING && !(command & HT_MSI_FLAGS_FIXED))
		return 12;
	return 4;
}

/* Version 1 ends with what the port has; version 2 leaves out only what is behind that. */
static unsigned int express_length(const struct config_space *c, unsigned int at)
{
	uint16_t flags = get(c, at + PCI_EXP_FLAGS, 2);
	unsigned int type = (flags & PCI_EXP_FLAGS_TYPE) >> 4;
	bool slot = flags & PCI_EXP_FLAGS_SLOT;

	if ((flags & PCI_EXP_FLAGS_VERS) >= 2) {
		if (type == PCI_EXP_TYPE_RC_END)
			return PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V2;
		return slot ? 0x3c : 0x34;
	}
	if (type == PCI_EXP_TYPE_RC_END)
		return PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V1;
	if (type == PCI_EXP_TYPE_ROOT_PORT || type == PCI_EXP_TYPE_RC_EC)
		return 0x24;
	return slot ? 0x1c : PCI_CAP_EXP_ENDPOINT_SIZEOF_V1;
}

static unsigned int enhanced_length(const struct config_space *c, unsigned int at)
{
	unsigned int entries = get(c, at + PCI_EA_NUM_ENT, 1) & PCI_EA_NUM_ENT_MASK;
	unsigned int length = c->bridge ? PCI_EA_FIRST_ENT_BRIDGE : PCI_EA_FIRST_ENT;

	while (entries--)
		length += 4 * ((get(c, at + length, 4) & PCI_EA_ES) + 1);
	return length;
}

/* ---- extended capabilities ------------------------------------------------------------------ */

static unsigned int vc_length(const struct config_space *c, unsigned int at)
{
	unsigned int vcs = 1 + (get(c, at + PCI_VC_PORT_CAP1, 4) & PCI_VC_CAP1_EVCC);
	uint32_t arbitration = get(c, at + PCI_VC_PORT_CAP2, 4);
	unsigned int length = PCI_CAP_VC_BASE_SIZEOF + vcs * PCI_CAP_VC_PER_VC_SIZEOF;

	if (arbitration & PCI_VC_CAP2_128_PHASE)
		return align_up(length, 16) + 128 / 2;
	if (arbitration & PCI_VC_CAP2_64_PHASE)
		return align_up(length, 16) + 64 / 2;
	if (arbitration & PCI_VC_CAP2_32_PHASE)
		return align_up(length, 16) + 32 / 2;
	return length;
}

static unsigned int acs_length(const struct config_space *c, unsigned int at)
{
	unsigned int bits = get(c, at + PCI_ACS_EGRESS_BITS, 1);

	if (!(get(c, at + PCI_ACS_CAP, 2) & PCI_ACS_EC))
		return 8;
	return 8 + align_up(bits ? bits : 256, 32) / 8;
}

static unsigned int tph_length(const struct config_space *c, unsigned int at)
{
	uint32_t cap = get(c, at + PCI_TPH_CAP, 4);
	unsigned int entries = ((cap & PCI_TPH_CAP_ST_MASK) >> PCI_TPH_CAP_ST_SHIFT) + 1;

	if ((cap & PCI_TPH_CAP_LOC_MASK) != PCI_TPH_LOC_CAP)
		return PCI_TPH_BASE_SIZEOF;
	return PCI_TPH_BASE_SIZEOF + align_up(2 * entries, 4);
}

static unsigned int rebar_length(const struct config_space *c, unsigned int at)
{
	uint32_t control = get(c, at + PCI_REBAR_CTRL, 4);

	return 4 + 8 * ((control & PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT);
}

static unsigned int multicast_length(const struct config_space *c)
{
	unsigned int type = port_type(c);

	if (type == PCI_EXP_TYPE_ROOT_PORT || type == PCI_EXP_TYPE_UPSTREAM ||
	    type == PCI_EXP_TYPE_DOWNSTREAM)
		return 0x30;
	return PCI_EXT_CAP_MCAST_ENDPOINT_SIZEOF;
}

static unsigned int dpc_length(const struct config_space *c, unsigned int at)
{
	uint16_t cap = get(c, at + PCI_EXP_DPC_CAP, 2);

	if (!(cap & PCI_EXP_DPC_CAP_RP_EXT))
		return 0x0c;
	return 0x20 + 4 * ((cap & PCI_EXP_DPC_RP_PIO_LOG_SIZE) >> 8);
}

static unsigned int extended_length(const struct config_space *c, uint32_t number, unsigned int at)
{
	switch (number) {
	case EXT(PCI_EXT_CAP_ID_ERR):
		return has_root_registers(c) ? 0x38 : 0x2c;
	case EXT(PCI_EXT_CAP_ID_VC):
	case EXT(PCI_EXT_CAP_ID_VC9):
	case EXT(PCI_EXT_CAP_ID_MFVC):
		return vc_length(c, at);
	case EXT(PCI_EXT_CAP_ID_RCLD):
		return 0x10 + 0x10 * get(c, at + 5, 1);
	case EXT(PCI_EXT_CAP_ID_RCEC):
		return (get(c, at + 2, 2) & 0xf) >= PCI_RCEC_BUSN_REG_VER ? 0x0c : 8;
	case EXT(PCI_EXT_CAP_ID_VNDR):
		return at_least(8, get(c, at + PCI_VNDR_HEADER, 4) >> 20);
	case EXT(PCI_EXT_CAP_ID_DVSEC):
		return at_least(10, get(c, at + PCI_DVSEC_HEADER1, 4) >> 20);
	case EXT(PCI_EXT_CAP_ID_ACS):
		return acs_length(c, at);
	case EXT(PCI_EXT_CAP_ID_MCAST):
		return multicast_length(c);
	case EXT(PCI_EXT_CAP_ID_REBAR):
	case EXT(VF_REBAR):
		return rebar_length(c, at);
	case EXT(PCI_EXT_CAP_ID_DPA):
		return PCI_DPA_BASE_SIZEOF + 1 +
		       (get(c, at + PCI_DPA_CAP, 1) & PCI_DPA_CAP_SUBSTATE_MASK);
	case EXT(PCI_EXT_CAP_ID_TPH):
		return tph_length(c, at);
	case EXT(PCI_EXT_CAP_ID_SECPCI):
		return 0x0c + align_up(2 * lanes(c), 4);
	case EXT(PCI_EXT_CAP_ID_DPC):
		return dpc_length(c, at);
	case EXT(PCI_EXT_CAP_ID_PL_16GT):
		return PCI_PL_16GT_LE_CTRL + align_up(lanes(c), 4);
	default:
		return 0;
	}
}

unsigned int capability_length(const struct config_space *c, uint32_t number, unsigned int at)
{
	const struct vfio_pci_structure *s = vfio_pci_find(number);

	if (s && s->length)
		return s->length;
	switch (number) {
	case PCI_CAP_ID_MSI:
		return msi_length(c, at);
	case PCI_CAP_ID_PCIX:
		return PCI_X_CMD_VERSION(get(c, at + PCI_X_CMD, 2)) ? PCI_CAP_PCIX_SIZEOF_V1
								    : PCI_CAP_PCIX_SIZEOF_V0;
	case VFIO_PCI_BRIDGE | PCI_CAP_ID_PCIX:
		return 16;
	case PCI_CAP_ID_HT:
		return hyper_transport_length(c, at);
	case PCI_CAP_ID_VNDR:
		return at_least(3, get(c, at + PCI_CAP_FLAGS, 1));
	case PCI_CAP_ID_EXP:
		return express_length(c, at);
	case PCI_CAP_ID_SATA:
		return (get(c, at + PCI_SATA_REGS, 1) & PCI_SATA_REGS_MASK) == PCI_SATA_REGS_INLINE
			       ? PCI_SATA_SIZEOF_LONG : PCI_SATA_SIZEOF_SHORT;
	case PCI_CAP_ID_EA:
		return enhanced_length(c, at);
	default:
		return extended_length(c, number, at);
	}
}
