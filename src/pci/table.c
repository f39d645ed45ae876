/* SPDX-License-Identifier: MIT */
/*
 * The table of registers and bits. It drives the virtual function (function/config.c) and the
 * decoder (pci/decode.c); what is not here does not exist for either.
 *
 * PCI Local Bus 3.0, chapter 6 and appendix D; PCI Power Management 1.2, chapter 3.
 */
#include <linux/pci_regs.h>
#include <vfio/pci.h>

#include "base/export.h"

#define HEADER 0
#define PM     PCI_CAP_ID_PM
#define MSI    PCI_CAP_ID_MSI
#define MSIX   PCI_CAP_ID_MSIX

#define RO   VFIO_PCI_RO
#define RW   VFIO_PCI_RW
#define RW1C VFIO_PCI_RW1C
#define RAW  VFIO_PCI_RAW
#define VIRT VFIO_PCI_VIRTUAL

/* Conditions on the MSI control word. */
#define ALWAYS       0, 0
#define MSI_32       PCI_MSI_FLAGS_64BIT, 0
#define MSI_64       PCI_MSI_FLAGS_64BIT, PCI_MSI_FLAGS_64BIT
#define MSI_BOTH     (PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT)
#define MSI_32_MASK  MSI_BOTH, PCI_MSI_FLAGS_MASKBIT
#define MSI_64_MASK  MSI_BOTH, MSI_BOTH

static const struct vfio_pci_field table[] = {
	/* structure, register, width, lsb, bits, access, view, condition, register name, name */
	{ HEADER, 0x00, 2,  0, 16, RO,   VIRT, ALWAYS, "VendorID", "" },
	{ HEADER, 0x02, 2,  0, 16, RO,   VIRT, ALWAYS, "DeviceID", "" },
	{ HEADER, 0x04, 2,  0,  1, RW,   RAW,  ALWAYS, "Command", "IO" },
	{ HEADER, 0x04, 2,  1,  1, RW,   RAW,  ALWAYS, "Command", "Memory" },
	{ HEADER, 0x04, 2,  2,  1, RW,   RAW,  ALWAYS, "Command", "BusMaster" },
	{ HEADER, 0x04, 2,  3,  1, RO,   RAW,  ALWAYS, "Command", "SpecialCycles" },
	{ HEADER, 0x04, 2,  4,  1, RO,   RAW,  ALWAYS, "Command", "MemWrInvalidate" },
	{ HEADER, 0x04, 2,  5,  1, RO,   RAW,  ALWAYS, "Command", "VGASnoop" },
	{ HEADER, 0x04, 2,  6,  1, RW,   RAW,  ALWAYS, "Command", "ParityError" },
	{ HEADER, 0x04, 2,  8,  1, RW,   RAW,  ALWAYS, "Command", "SERR" },
	{ HEADER, 0x04, 2,  9,  1, RO,   RAW,  ALWAYS, "Command", "FastBackToBack" },
	{ HEADER, 0x04, 2, 10,  1, RW,   VIRT, ALWAYS, "Command", "INTxDisable" },
	{ HEADER, 0x06, 2,  3,  1, RO,   RAW,  ALWAYS, "Status", "INTx" },
	{ HEADER, 0x06, 2,  4,  1, RO,   VIRT, ALWAYS, "Status", "CapabilityList" },
	{ HEADER, 0x06, 2,  5,  1, RO,   RAW,  ALWAYS, "Status", "66MHz" },
	{ HEADER, 0x06, 2,  7,  1, RO,   RAW,  ALWAYS, "Status", "FastBackToBack" },
	{ HEADER, 0x06, 2,  8,  1, RW1C, RAW,  ALWAYS, "Status", "MasterDataParity" },
	{ HEADER, 0x06, 2,  9,  2, RO,   RAW,  ALWAYS, "Status", "DEVSEL" },
	{ HEADER, 0x06, 2, 11,  1, RW1C, RAW,  ALWAYS, "Status", "SignaledTargetAbort" },
	{ HEADER, 0x06, 2, 12,  1, RW1C, RAW,  ALWAYS, "Status", "ReceivedTargetAbort" },
	{ HEADER, 0x06, 2, 13,  1, RW1C, RAW,  ALWAYS, "Status", "ReceivedMasterAbort" },
	{ HEADER, 0x06, 2, 14,  1, RW1C, RAW,  ALWAYS, "Status", "SignaledSystemError" },
	{ HEADER, 0x06, 2, 15,  1, RW1C, RAW,  ALWAYS, "Status", "DetectedParityError" },
	{ HEADER, 0x08, 1,  0,  8, RO,   RAW,  ALWAYS, "RevisionID", "" },
	{ HEADER, 0x09, 1,  0,  8, RO,   RAW,  ALWAYS, "Interface", "" },
	{ HEADER, 0x0a, 1,  0,  8, RO,   RAW,  ALWAYS, "SubClass", "" },
	{ HEADER, 0x0b, 1,  0,  8, RO,   RAW,  ALWAYS, "BaseClass", "" },
	{ HEADER, 0x0c, 1,  0,  8, RW,   RAW,  ALWAYS, "CacheLineSize", "" },
	{ HEADER, 0x0d, 1,  0,  8, RW,   RAW,  ALWAYS, "LatencyTimer", "" },
	{ HEADER, 0x0e, 1,  0,  7, RO,   RAW,  ALWAYS, "HeaderType", "Layout" },
	{ HEADER, 0x0e, 1,  7,  1, RO,   RAW,  ALWAYS, "HeaderType", "MultiFunction" },
	{ HEADER, 0x0f, 1,  0,  8, RO,   RAW,  ALWAYS, "BIST", "" },
	{ HEADER, 0x10, 4,  0, 32, RW,   VIRT, ALWAYS, "BAR0", "" },
	{ HEADER, 0x14, 4,  0, 32, RW,   VIRT, ALWAYS, "BAR1", "" },
	{ HEADER, 0x18, 4,  0, 32, RW,   VIRT, ALWAYS, "BAR2", "" },
	{ HEADER, 0x1c, 4,  0, 32, RW,   VIRT, ALWAYS, "BAR3", "" },
	{ HEADER, 0x20, 4,  0, 32, RW,   VIRT, ALWAYS, "BAR4", "" },
	{ HEADER, 0x24, 4,  0, 32, RW,   VIRT, ALWAYS, "BAR5", "" },
	{ HEADER, 0x28, 4,  0, 32, RO,   RAW,  ALWAYS, "CardBusCIS", "" },
	{ HEADER, 0x2c, 2,  0, 16, RO,   RAW,  ALWAYS, "SubsystemVendorID", "" },
	{ HEADER, 0x2e, 2,  0, 16, RO,   RAW,  ALWAYS, "SubsystemID", "" },
	{ HEADER, 0x30, 4,  0, 32, RW,   VIRT, ALWAYS, "ROM", "" },
	{ HEADER, 0x34, 1,  0,  8, RO,   VIRT, ALWAYS, "CapabilityPointer", "" },
	{ HEADER, 0x3c, 1,  0,  8, RW,   VIRT, ALWAYS, "InterruptLine", "" },
	{ HEADER, 0x3d, 1,  0,  8, RO,   VIRT, ALWAYS, "InterruptPin", "" },
	{ HEADER, 0x3e, 1,  0,  8, RO,   RAW,  ALWAYS, "MinGrant", "" },
	{ HEADER, 0x3f, 1,  0,  8, RO,   RAW,  ALWAYS, "MaxLatency", "" },

	{ PM, 0x02, 2,  0,  3, RO, RAW,  ALWAYS, "PMC", "Version" },
	{ PM, 0x02, 2,  3,  1, RO, RAW,  ALWAYS, "PMC", "Clock" },
	{ PM, 0x02, 2,  5,  1, RO, RAW,  ALWAYS, "PMC", "DeviceSpecificInit" },
	{ PM, 0x02, 2,  6,  3, RO, RAW,  ALWAYS, "PMC", "AuxCurrent" },
	{ PM, 0x02, 2,  9,  1, RO, RAW,  ALWAYS, "PMC", "D1" },
	{ PM, 0x02, 2, 10,  1, RO, RAW,  ALWAYS, "PMC", "D2" },
	{ PM, 0x02, 2, 11,  5, RO, VIRT, ALWAYS, "PMC", "PMESupport" },
	{ PM, 0x04, 2,  0,  2, RW, RAW,  ALWAYS, "PMCSR", "PowerState" },
	{ PM, 0x04, 2,  3,  1, RO, RAW,  ALWAYS, "PMCSR", "NoSoftReset" },
	{ PM, 0x04, 2,  8,  1, RO, VIRT, ALWAYS, "PMCSR", "PMEEnable" },
	{ PM, 0x04, 2,  9,  4, RO, RAW,  ALWAYS, "PMCSR", "DataSelect" },
	{ PM, 0x04, 2, 13,  2, RO, RAW,  ALWAYS, "PMCSR", "DataScale" },
	{ PM, 0x04, 2, 15,  1, RO, VIRT, ALWAYS, "PMCSR", "PMEStatus" },
	{ PM, 0x06, 1,  0,  8, RO, RAW,  ALWAYS, "BridgeSupport", "" },
	{ PM, 0x07, 1,  0,  8, RO, RAW,  ALWAYS, "Data", "" },

	{ MSI, 0x02, 2,  0,  1, RW, VIRT, ALWAYS,      "Control", "Enable" },
	{ MSI, 0x02, 2,  1,  3, RO, RAW,  ALWAYS,      "Control", "MultipleCapable" },
	{ MSI, 0x02, 2,  4,  3, RW, VIRT, ALWAYS,      "Control", "MultipleEnable" },
	{ MSI, 0x02, 2,  7,  1, RO, RAW,  ALWAYS,      "Control", "64Bit" },
	{ MSI, 0x02, 2,  8,  1, RO, RAW,  ALWAYS,      "Control", "VectorMask" },
	{ MSI, 0x04, 4,  0, 32, RW, VIRT, ALWAYS,      "Address", "" },
	{ MSI, 0x08, 4,  0, 32, RW, VIRT, MSI_64,      "UpperAddress", "" },
	{ MSI, 0x08, 2,  0, 16, RW, VIRT, MSI_32,      "Data", "" },
	{ MSI, 0x0c, 2,  0, 16, RW, VIRT, MSI_64,      "Data", "" },
	{ MSI, 0x0c, 4,  0, 32, RW, RAW,  MSI_32_MASK, "Mask", "" },
	{ MSI, 0x10, 4,  0, 32, RW, RAW,  MSI_64_MASK, "Mask", "" },
	{ MSI, 0x10, 4,  0, 32, RO, RAW,  MSI_32_MASK, "Pending", "" },
	{ MSI, 0x14, 4,  0, 32, RO, RAW,  MSI_64_MASK, "Pending", "" },

	{ MSIX, 0x02, 2,  0, 11, RO, RAW, ALWAYS, "Control", "TableSize-1" },
	{ MSIX, 0x02, 2, 14,  1, RO, RAW, ALWAYS, "Control", "FunctionMask" },
	{ MSIX, 0x02, 2, 15,  1, RO, RAW, ALWAYS, "Control", "Enable" },
	{ MSIX, 0x04, 4,  0,  3, RO, RAW, ALWAYS, "Table", "BAR" },
	{ MSIX, 0x04, 4,  3, 29, RO, RAW, ALWAYS, "Table", "Offset>>3" },
	{ MSIX, 0x08, 4,  0,  3, RO, RAW, ALWAYS, "Pending", "BAR" },
	{ MSIX, 0x08, 4,  3, 29, RO, RAW, ALWAYS, "Pending", "Offset>>3" },
};

/* Names of capability IDs, those without rows included (PCI Code and ID Assignment 1.11, ch. 2). */
static const char *const names[] = {
	[HEADER] = "Header",           [0x01] = "PM",             [0x02] = "AGP",
	[0x03] = "VPD",                [0x04] = "SlotID",         [0x05] = "MSI",
	[0x06] = "CompactPCIHotSwap",  [0x07] = "PCI-X",          [0x08] = "HyperTransport",
	[0x09] = "VendorSpecific",     [0x0a] = "DebugPort",      [0x0b] = "CompactPCIControl",
	[0x0c] = "HotPlug",            [0x0d] = "BridgeSubsystem", [0x0e] = "AGP8x",
	[0x0f] = "Secure",             [0x10] = "PCIExpress",     [0x11] = "MSI-X",
	[0x12] = "SATA",               [0x13] = "AdvancedFeatures", [0x14] = "EnhancedAllocation",
	[0x15] = "FlatteningPortalBridge",
};

EXPORT const struct vfio_pci_field *vfio_pci_table(size_t *count)
{
	*count = sizeof(table) / sizeof(table[0]);
	return table;
}

EXPORT const char *vfio_pci_structure_name(uint16_t structure)
{
	return structure < sizeof(names) / sizeof(names[0]) ? names[structure] : NULL;
}
