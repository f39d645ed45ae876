/* SPDX-License-Identifier: MIT */
/*
 * The table of structures. With their rows, in the files beside this one, it drives the virtual
 * function (function/config.c) and the decoder (pci/decode.c): what is not here does not exist for
 * either.
 *
 * Numbers: PCI Code and ID Assignment 1.11, chapters 2 and 3. Lengths that vary are in length.c.
 */
#include <vfio/pci.h>

#include "base/export.h"
#include "pci/rows.h"

#define BRIDGE(id) (VFIO_PCI_BRIDGE | (id))
#define EXT(id)    (VFIO_PCI_EXTENDED | (id))

#define SHOWN  VFIO_PCI_SHOWN
#define OPEN   VFIO_PCI_OPEN
#define HIDDEN VFIO_PCI_HIDDEN

static const struct vfio_pci_structure table[] = {
	/* number, length, exposure, name, rows */
	{ 0x00, 64, SHOWN,  "Header", pci_header },
	{ 0x01,  8, SHOWN,  "PM", pci_pm },
	{ 0x02, 12, SHOWN,  "AGP", pci_agp },
	{ 0x03,  8, SHOWN,  "VPD", pci_vpd },
	{ 0x04,  4, HIDDEN, "SlotID", pci_slot_id },
	{ 0x05,  0, SHOWN,  "MSI", pci_msi },
	{ 0x06,  0, HIDDEN, "CompactPCIHotSwap", NULL },
	{ 0x07,  0, SHOWN,  "PCI-X", pci_x },
	{ 0x08,  0, SHOWN,  "HyperTransport", pci_hyper_transport },
	{ 0x09,  0, OPEN,   "VendorSpecific", pci_vendor },
	{ 0x0a,  4, HIDDEN, "DebugPort", pci_debug_port },
	{ 0x0b,  0, HIDDEN, "CompactPCIControl", NULL },
	{ 0x0c,  8, HIDDEN, "HotPlug", pci_hot_plug },
	{ 0x0d,  8, HIDDEN, "BridgeSubsystem", pci_bridge_subsystem },
	{ 0x0e, 12, HIDDEN, "AGP8x", pci_agp },
	{ 0x0f,  0, HIDDEN, "Secure", NULL },
	{ 0x10,  0, SHOWN,  "PCIExpress", pci_express },
	{ 0x11, 12, SHOWN,  "MSI-X", pci_msix },
	{ 0x12,  0, SHOWN,  "SATA", pci_sata },
	{ 0x13,  6, SHOWN,  "AdvancedFeatures", pci_advanced },
	{ 0x14,  0, HIDDEN, "EnhancedAllocation", pci_enhanced },
	{ 0x15,  0, HIDDEN, "FlatteningPortalBridge", NULL },

	{ EXT(0x00),    4, HIDDEN, "Null", NULL },
	{ EXT(0x01),    0, SHOWN,  "AER", pci_aer },
	{ EXT(0x02),    0, SHOWN,  "VC", pci_vc },
	{ EXT(0x03), 0x0c, SHOWN,  "SerialNumber", pci_serial },
	{ EXT(0x04), 0x10, SHOWN,  "PowerBudgeting", pci_power_budget },
	{ EXT(0x05),    0, HIDDEN, "RCLinkDeclaration", pci_link_decl },
	{ EXT(0x06), 0x0c, HIDDEN, "RCInternalLink", NULL },
	{ EXT(0x07),    0, HIDDEN, "RCEventCollector", pci_event_collector },
	{ EXT(0x08),    0, SHOWN,  "MFVC", pci_vc },
	{ EXT(0x09),    0, SHOWN,  "VC9", pci_vc },
	{ EXT(0x0a),    0, HIDDEN, "RCRB", NULL },
	{ EXT(0x0b),    0, OPEN,   "VSEC", pci_vsec },
	{ EXT(0x0c),    0, HIDDEN, "ConfigAccess", NULL },
	{ EXT(0x0d),    0, SHOWN,  "ACS", pci_acs },
	{ EXT(0x0e),    8, SHOWN,  "ARI", pci_ari },
	{ EXT(0x0f),    8, SHOWN,  "ATS", pci_ats },
	{ EXT(0x10), 0x40, SHOWN,  "SR-IOV", pci_sriov },
	{ EXT(0x11),    0, HIDDEN, "MR-IOV", NULL },
	{ EXT(0x12),    0, SHOWN,  "Multicast", pci_multicast },
	{ EXT(0x13), 0x10, SHOWN,  "PRI", pci_pri },
	{ EXT(0x14),    0, HIDDEN, "AMD", NULL },
	{ EXT(0x15),    0, SHOWN,  "ReBAR", pci_rebar },
	{ EXT(0x16),    0, SHOWN,  "DPA", pci_dpa },
	{ EXT(0x17),    0, SHOWN,  "TPH", pci_tph },
	{ EXT(0x18),    8, SHOWN,  "LTR", pci_ltr },
	{ EXT(0x19),    0, HIDDEN, "SecondaryPCIe", pci_secondary },
	{ EXT(0x1a),    0, HIDDEN, "PMUX", NULL },
	{ EXT(0x1b),    8, HIDDEN, "PASID", pci_pasid },
	{ EXT(0x1c),    8, HIDDEN, "LNR", pci_lnr },
	{ EXT(0x1d),    0, HIDDEN, "DPC", pci_dpc },
	{ EXT(0x1e), 0x10, HIDDEN, "L1SS", pci_l1ss },
	{ EXT(0x1f), 0x0c, HIDDEN, "PTM", pci_ptm },
	{ EXT(0x20),    0, HIDDEN, "M-PCIe", NULL },
	{ EXT(0x21), 0x10, HIDDEN, "FRSQueueing", NULL },
	{ EXT(0x22), 0x0c, HIDDEN, "ReadinessTime", pci_readiness },
	{ EXT(0x23),    0, OPEN,   "DVSEC", pci_dvsec },
	{ EXT(0x24),    0, HIDDEN, "VFReBAR", pci_rebar },
	{ EXT(0x25), 0x0c, HIDDEN, "DLF", pci_dlf },
	{ EXT(0x26),    0, HIDDEN, "16GT", pci_16gt },
	{ EXT(0x27),    0, HIDDEN, "LaneMargining", NULL },
	{ EXT(0x28),    0, HIDDEN, "HierarchyID", NULL },
	{ EXT(0x29), 0x10, HIDDEN, "NPEM", pci_npem },
	{ EXT(0x2a),    0, HIDDEN, "32GT", NULL },
	{ EXT(0x2b),    0, HIDDEN, "AlternateProtocol", NULL },
	{ EXT(0x2c),    0, HIDDEN, "SFI", NULL },
	{ EXT(0x2d),    0, HIDDEN, "ShadowFunctions", NULL },
	{ EXT(0x2e), 0x18, HIDDEN, "DOE", pci_doe },
	{ EXT(0x2f),    0, HIDDEN, "Device3", NULL },
	{ EXT(0x30),    0, HIDDEN, "IDE", NULL },
	{ EXT(0x31),    0, HIDDEN, "64GT", NULL },
	{ EXT(0x32),    0, HIDDEN, "FlitLogging", NULL },
	{ EXT(0x33),    0, HIDDEN, "FlitPerformance", NULL },
	{ EXT(0x34),    0, HIDDEN, "FlitErrorInjection", NULL },

	/* VFIO binds to no bridge. */
	{ BRIDGE(0x00), 64, HIDDEN, "Header", pci_bridge_header },
	{ BRIDGE(0x07), 16, HIDDEN, "PCI-X", pci_x_bridge },
};

EXPORT const struct vfio_pci_structure *vfio_pci_table(size_t *count)
{
	*count = sizeof(table) / sizeof(table[0]);
	return table;
}

EXPORT const struct vfio_pci_structure *vfio_pci_find(uint32_t number)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].number == number)
			return &table[i];
	return NULL;
}

EXPORT bool vfio_pci_applies(const struct vfio_pci_field *f, const uint8_t *bytes, size_t length)
{
	unsigned int value;

	if (f->reg + f->width > length)
		return false;
	if (!f->if_mask)
		return true;
	value = ((bytes[2] | bytes[3] << 8) & f->if_mask) >> __builtin_ctz(f->if_mask);
	return f->if_values >> value & 1;
}
