/* SPDX-License-Identifier: MIT */
/*
 * Rows of the standard capabilities, PCI Express apart: PCI Local Bus 3.0, chapter 6 and appendices
 * D, H, I; PCI Power Management 1.2, chapter 3; PCI-X 2.0, chapter 7; AGP 3.0, chapter 6; and the
 * engineering changes that added Advanced Features and Enhanced Allocation.
 */
#include <linux/pci_regs.h>

#include "pci/rows.h"

const struct vfio_pci_field pci_pm[] = {
	{ 0x02, 2,  0,  3, RO, HOST, RAW,  ALWAYS, "PMC", "Version" },
	{ 0x02, 2,  3,  1, RO, HOST, RAW,  ALWAYS, "PMC", "Clock" },
	{ 0x02, 2,  5,  1, RO, HOST, RAW,  ALWAYS, "PMC", "DeviceSpecificInit" },
	{ 0x02, 2,  6,  3, RO, HOST, RAW,  ALWAYS, "PMC", "AuxCurrent" },
	{ 0x02, 2,  9,  1, RO, HOST, RAW,  ALWAYS, "PMC", "D1" },
	{ 0x02, 2, 10,  1, RO, HOST, RAW,  ALWAYS, "PMC", "D2" },
	{ 0x02, 2, 11,  5, RO, HOST, VIRT, ALWAYS, "PMC", "PMESupport" },
	{ 0x04, 2,  0,  2, RW, USER, RAW,  ALWAYS, "PMCSR", "PowerState" },
	{ 0x04, 2,  3,  1, RO, USER, RAW,  ALWAYS, "PMCSR", "NoSoftReset" },
	{ 0x04, 2,  8,  1, RO, HOST, VIRT, ALWAYS, "PMCSR", "PMEEnable" },
	{ 0x04, 2,  9,  4, RO, USER, RAW,  ALWAYS, "PMCSR", "DataSelect" },
	{ 0x04, 2, 13,  2, RO, USER, RAW,  ALWAYS, "PMCSR", "DataScale" },
	{ 0x04, 2, 15,  1, RO, HOST, VIRT, ALWAYS, "PMCSR", "PMEStatus" },
	{ 0x06, 1,  0,  8, RO, USER, RAW,  ALWAYS, "BridgeSupport", "" },
	{ 0x07, 1,  0,  8, RO, USER, RAW,  ALWAYS, "Data", "" },
	END
};

const struct vfio_pci_field pci_agp[] = {
	{ 0x02, 1,  0,  4, RO, HOST, RAW, ALWAYS, "Version", "Minor" },
	{ 0x02, 1,  4,  4, RO, HOST, RAW, ALWAYS, "Version", "Major" },
	{ 0x04, 4,  0,  3, RO, HOST, RAW, ALWAYS, "Status", "Rate" },
	{ 0x04, 4,  3,  1, RO, HOST, RAW, ALWAYS, "Status", "AGP3" },
	{ 0x04, 4,  4,  1, RO, HOST, RAW, ALWAYS, "Status", "FW" },
	{ 0x04, 4,  5,  1, RO, HOST, RAW, ALWAYS, "Status", "64bit" },
	{ 0x04, 4,  6,  1, RO, HOST, RAW, ALWAYS, "Status", "HTrans" },
	{ 0x04, 4,  7,  1, RO, HOST, RAW, ALWAYS, "Status", "GART64" },
	{ 0x04, 4,  8,  1, RO, HOST, RAW, ALWAYS, "Status", "ITACoh" },
	{ 0x04, 4,  9,  1, RO, HOST, RAW, ALWAYS, "Status", "SBA" },
	{ 0x04, 4, 10,  3, RO, HOST, RAW, ALWAYS, "Status", "Cal" },
	{ 0x04, 4, 13,  3, RO, HOST, RAW, ALWAYS, "Status", "ARQSZ" },
	{ 0x04, 4, 16,  1, RO, HOST, RAW, ALWAYS, "Status", "Iso" },
	{ 0x04, 4, 24,  8, RO, HOST, RAW, ALWAYS, "Status", "RQ-1" },
	{ 0x08, 4,  0,  3, RW, HOST, RAW, ALWAYS, "Command", "Rate" },
	{ 0x08, 4,  4,  1, RW, HOST, RAW, ALWAYS, "Command", "FW" },
	{ 0x08, 4,  5,  1, RW, HOST, RAW, ALWAYS, "Command", "64bit" },
	{ 0x08, 4,  7,  1, RW, HOST, RAW, ALWAYS, "Command", "GART64" },
	{ 0x08, 4,  8,  1, RW, HOST, RAW, ALWAYS, "Command", "AGP" },
	{ 0x08, 4,  9,  1, RW, HOST, RAW, ALWAYS, "Command", "SBA" },
	{ 0x08, 4, 10,  3, RW, HOST, RAW, ALWAYS, "Command", "Cal" },
	{ 0x08, 4, 13,  3, RW, HOST, RAW, ALWAYS, "Command", "ARQSZ" },
	{ 0x08, 4, 24,  8, RW, HOST, RAW, ALWAYS, "Command", "RQ-1" },
	END
};

const struct vfio_pci_field pci_vpd[] = {
	{ 0x02, 2,  0, 15, RW, USER, VIRT, ALWAYS, "Address", "Address" },
	{ 0x02, 2, 15,  1, RW, USER, VIRT, ALWAYS, "Address", "F" },
	{ 0x04, 4,  0, 32, RW, USER, VIRT, ALWAYS, "Data", "" },
	END
};

const struct vfio_pci_field pci_slot_id[] = {
	{ 0x02, 1,  0,  5, RO, HOST, RAW, ALWAYS, "Slot", "Slots" },
	{ 0x02, 1,  5,  1, RO, HOST, RAW, ALWAYS, "Slot", "First" },
	{ 0x03, 1,  0,  8, RW, HOST, RAW, ALWAYS, "Chassis", "" },
	END
};

/* The layout depends on the Control word: bit 7 is 64Bit, bit 8 VectorMask. */
#define MSI_32       PCI_MSI_FLAGS_64BIT, 1u << 0
#define MSI_64       PCI_MSI_FLAGS_64BIT, 1u << 1
#define MSI_BOTH     (PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT)
#define MSI_32_MASK  MSI_BOTH, 1u << 2
#define MSI_64_MASK  MSI_BOTH, 1u << 3

const struct vfio_pci_field pci_msi[] = {
	{ 0x02, 2,  0,  1, RW, USER, VIRT, ALWAYS,      "Control", "Enable" },
	{ 0x02, 2,  1,  3, RO, HOST, RAW,  ALWAYS,      "Control", "MultipleCapable" },
	{ 0x02, 2,  4,  3, RW, USER, VIRT, ALWAYS,      "Control", "MultipleEnable" },
	{ 0x02, 2,  7,  1, RO, HOST, RAW,  ALWAYS,      "Control", "64Bit" },
	{ 0x02, 2,  8,  1, RO, HOST, RAW,  ALWAYS,      "Control", "VectorMask" },
	{ 0x04, 4,  0, 32, RW, USER, VIRT, ALWAYS,      "Address", "" },
	{ 0x08, 4,  0, 32, RW, USER, VIRT, MSI_64,      "UpperAddress", "" },
	{ 0x08, 2,  0, 16, RW, USER, VIRT, MSI_32,      "Data", "" },
	{ 0x0c, 2,  0, 16, RW, USER, VIRT, MSI_64,      "Data", "" },
	{ 0x0c, 4,  0, 32, RW, USER, RAW,  MSI_32_MASK, "Mask", "" },
	{ 0x10, 4,  0, 32, RW, USER, RAW,  MSI_64_MASK, "Mask", "" },
	{ 0x10, 4,  0, 32, RO, USER, RAW,  MSI_32_MASK, "Pending", "" },
	{ 0x14, 4,  0, 32, RO, USER, RAW,  MSI_64_MASK, "Pending", "" },
	END
};

const struct vfio_pci_field pci_x[] = {
	{ 0x02, 2,  0,  1, RW,   USER, RAW, ALWAYS, "Command", "DPERE" },
	{ 0x02, 2,  1,  1, RW,   USER, RAW, ALWAYS, "Command", "ERO" },
	{ 0x02, 2,  2,  2, RW,   USER, RAW, ALWAYS, "Command", "RBC" },
	{ 0x02, 2,  4,  3, RW,   USER, RAW, ALWAYS, "Command", "OST" },
	{ 0x02, 2, 12,  2, RO,   USER, RAW, ALWAYS, "Command", "Version" },
	{ 0x04, 4,  0,  3, RO,   HOST, RAW, ALWAYS, "Status", "Function" },
	{ 0x04, 4,  3,  5, RO,   HOST, RAW, ALWAYS, "Status", "Device" },
	{ 0x04, 4,  8,  8, RO,   HOST, RAW, ALWAYS, "Status", "Bus" },
	{ 0x04, 4, 16,  1, RO,   HOST, RAW, ALWAYS, "Status", "64bit" },
	{ 0x04, 4, 17,  1, RO,   HOST, RAW, ALWAYS, "Status", "133MHz" },
	{ 0x04, 4, 18,  1, RW1C, HOST, RAW, ALWAYS, "Status", "SCD" },
	{ 0x04, 4, 19,  1, RW1C, HOST, RAW, ALWAYS, "Status", "USC" },
	{ 0x04, 4, 20,  1, RO,   HOST, RAW, ALWAYS, "Status", "DC" },
	{ 0x04, 4, 21,  2, RO,   HOST, RAW, ALWAYS, "Status", "DMMRBC" },
	{ 0x04, 4, 23,  3, RO,   HOST, RAW, ALWAYS, "Status", "DMOST" },
	{ 0x04, 4, 26,  3, RO,   HOST, RAW, ALWAYS, "Status", "DMCRS" },
	{ 0x04, 4, 29,  1, RW1C, HOST, RAW, ALWAYS, "Status", "RSCEM" },
	{ 0x04, 4, 30,  1, RO,   HOST, RAW, ALWAYS, "Status", "266MHz" },
	{ 0x04, 4, 31,  1, RO,   HOST, RAW, ALWAYS, "Status", "533MHz" },
	{ 0x08, 4,  0, 32, RW,   USER, RAW, ALWAYS, "ECCControl", "" },
	{ 0x0c, 4,  0, 32, RO,   HOST, RAW, ALWAYS, "ECCAddress", "" },
	{ 0x10, 4,  0, 32, RO,   HOST, RAW, ALWAYS, "ECCUpperAddress", "" },
	{ 0x14, 4,  0, 32, RO,   HOST, RAW, ALWAYS, "ECCAttribute", "" },
	END
};

const struct vfio_pci_field pci_x_bridge[] = {
	{ 0x02, 2,  0,  1, RO,   HOST, RAW, ALWAYS, "SecStatus", "64bit" },
	{ 0x02, 2,  1,  1, RO,   HOST, RAW, ALWAYS, "SecStatus", "133MHz" },
	{ 0x02, 2,  2,  1, RW1C, HOST, RAW, ALWAYS, "SecStatus", "SCD" },
	{ 0x02, 2,  3,  1, RW1C, HOST, RAW, ALWAYS, "SecStatus", "USC" },
	{ 0x02, 2,  4,  1, RW1C, HOST, RAW, ALWAYS, "SecStatus", "SCO" },
	{ 0x02, 2,  5,  1, RW1C, HOST, RAW, ALWAYS, "SecStatus", "SRD" },
	{ 0x02, 2,  6,  4, RO,   HOST, RAW, ALWAYS, "SecStatus", "Freq" },
	{ 0x02, 2, 12,  2, RO,   HOST, RAW, ALWAYS, "SecStatus", "Version" },
	{ 0x02, 2, 14,  1, RO,   HOST, RAW, ALWAYS, "SecStatus", "266MHz" },
	{ 0x02, 2, 15,  1, RO,   HOST, RAW, ALWAYS, "SecStatus", "533MHz" },
	{ 0x04, 4,  0,  3, RO,   HOST, RAW, ALWAYS, "Status", "Function" },
	{ 0x04, 4,  3,  5, RO,   HOST, RAW, ALWAYS, "Status", "Device" },
	{ 0x04, 4,  8,  8, RO,   HOST, RAW, ALWAYS, "Status", "Bus" },
	{ 0x04, 4, 16,  1, RO,   HOST, RAW, ALWAYS, "Status", "64bit" },
	{ 0x04, 4, 17,  1, RO,   HOST, RAW, ALWAYS, "Status", "133MHz" },
	{ 0x04, 4, 18,  1, RW1C, HOST, RAW, ALWAYS, "Status", "SCD" },
	{ 0x04, 4, 19,  1, RW1C, HOST, RAW, ALWAYS, "Status", "USC" },
	{ 0x04, 4, 20,  1, RW1C, HOST, RAW, ALWAYS, "Status", "SCO" },
	{ 0x04, 4, 21,  1, RW1C, HOST, RAW, ALWAYS, "Status", "SRD" },
	{ 0x08, 2,  0, 16, RO,   HOST, RAW, ALWAYS, "UpCapacity", "" },
	{ 0x0a, 2,  0, 16, RW,   HOST, RAW, ALWAYS, "UpLimit", "" },
	{ 0x0c, 2,  0, 16, RO,   HOST, RAW, ALWAYS, "DownCapacity", "" },
	{ 0x0e, 2,  0, 16, RW,   HOST, RAW, ALWAYS, "DownLimit", "" },
	END
};

/*
 * HyperTransport has many capabilities under one ID. The type is in bits 15:13 of the word, and if
 * bit 15 is set in 15:11.
 */
#define HT_SLAVE 0xe000, 1u << 0
#define HT_HOST  0xe000, 1u << 1
#define HT_3BIT  0xe000, 0x0fu
#define HT_5BIT  0xf800, 0xffff0000u
#define HT_MSI   0xf800, 1u << (HT_CAPTYPE_MSI_MAPPING >> 3)

const struct vfio_pci_field pci_hyper_transport[] = {
	{ 0x02, 2,  0,  5, RW, HOST, RAW, HT_SLAVE, "Command", "BaseUnitID" },
	{ 0x02, 2,  0,  1, RW, HOST, RAW, HT_HOST,  "Command", "WarmReset" },
	{ 0x02, 2,  0,  1, RW, HOST, RAW, HT_MSI,   "Command", "Enable" },
	{ 0x02, 2,  1,  1, RO, HOST, RAW, HT_HOST,  "Command", "DoubleEnded" },
	{ 0x02, 2,  1,  1, RO, HOST, RAW, HT_MSI,   "Command", "Fixed" },
	{ 0x02, 2,  2,  5, RW, HOST, RAW, HT_HOST,  "Command", "DeviceNumber" },
	{ 0x02, 2,  5,  5, RO, HOST, RAW, HT_SLAVE, "Command", "UnitCount" },
	{ 0x02, 2,  7,  1, RW, HOST, RAW, HT_HOST,  "Command", "ChainSide" },
	{ 0x02, 2,  8,  1, RW, HOST, RAW, HT_HOST,  "Command", "HostHide" },
	{ 0x02, 2, 10,  1, RO, HOST, RAW, HT_SLAVE, "Command", "MasterHost" },
	{ 0x02, 2, 10,  1, RW, HOST, RAW, HT_HOST,  "Command", "Slave" },
	{ 0x02, 2, 11,  1, RW, HOST, RAW, HT_SLAVE, "Command", "DefaultDir" },
	{ 0x02, 2, 12,  1, RW, HOST, RAW, HT_SLAVE, "Command", "DropUnInit" },
	{ 0x02, 2, 11,  5, RO, HOST, RAW, HT_5BIT,  "Command", "Type" },
	{ 0x02, 2, 13,  3, RO, HOST, RAW, HT_3BIT,  "Command", "Type" },
	{ 0x04, 4,  0, 32, RW, HOST, RAW, HT_MSI,   "Address", "" },
	{ 0x08, 4,  0, 32, RW, HOST, RAW, HT_MSI,   "UpperAddress", "" },
	END
};

const struct vfio_pci_field pci_vendor[] = {
	{ 0x02, 1,  0,  8, RO, USER, RAW, ALWAYS, "Length", "" },
	END
};

const struct vfio_pci_field pci_debug_port[] = {
	{ 0x02, 2,  0, 13, RO, HOST, RAW, ALWAYS, "Port", "Offset" },
	{ 0x02, 2, 13,  3, RO, HOST, RAW, ALWAYS, "Port", "BAR" },
	END
};

const struct vfio_pci_field pci_hot_plug[] = {
	{ 0x02, 1,  0,  8, RW, HOST, RAW, ALWAYS, "Select", "" },
	{ 0x03, 1,  6,  1, RO, HOST, RAW, ALWAYS, "Pending", "Controller" },
	{ 0x03, 1,  7,  1, RO, HOST, RAW, ALWAYS, "Pending", "Interrupt" },
	{ 0x04, 4,  0, 32, RW, HOST, RAW, ALWAYS, "Data", "" },
	END
};

const struct vfio_pci_field pci_bridge_subsystem[] = {
	{ 0x04, 2,  0, 16, RO, HOST, RAW, ALWAYS, "SubsystemVendorID", "" },
	{ 0x06, 2,  0, 16, RO, HOST, RAW, ALWAYS, "SubsystemID", "" },
	END
};

/* Enabled by VFIO_DEVICE_SET_IRQS, that is by the host, alone. */
const struct vfio_pci_field pci_msix[] = {
	{ 0x02, 2,  0, 11, RO, HOST, RAW, ALWAYS, "Control", "TableSize-1" },
	{ 0x02, 2, 14,  1, RW, HOST, RAW, ALWAYS, "Control", "FunctionMask" },
	{ 0x02, 2, 15,  1, RW, HOST, RAW, ALWAYS, "Control", "Enable" },
	{ 0x04, 4,  0,  3, RO, HOST, RAW, ALWAYS, "Table", "BAR" },
	{ 0x04, 4,  3, 29, RO, HOST, RAW, ALWAYS, "Table", "Offset>>3" },
	{ 0x08, 4,  0,  3, RO, HOST, RAW, ALWAYS, "Pending", "BAR" },
	{ 0x08, 4,  3, 29, RO, HOST, RAW, ALWAYS, "Pending", "Offset>>3" },
	END
};

/* Index and Data are there when the BAR field is 15: registers in configuration space. */
const struct vfio_pci_field pci_sata[] = {
	{ 0x02, 1,  0,  4, RO, HOST, RAW, ALWAYS, "Revision", "Minor" },
	{ 0x02, 1,  4,  4, RO, HOST, RAW, ALWAYS, "Revision", "Major" },
	{ 0x04, 4,  0,  4, RO, HOST, RAW, ALWAYS, "Registers", "BAR" },
	{ 0x04, 4,  4, 20, RO, HOST, RAW, ALWAYS, "Registers", "Offset>>2" },
	{ 0x08, 4,  0, 32, RW, HOST, RAW, ALWAYS, "Index", "" },
	{ 0x0c, 4,  0, 32, RW, HOST, RAW, ALWAYS, "Data", "" },
	END
};

const struct vfio_pci_field pci_advanced[] = {
	{ 0x02, 1,  0,  8, RO, HOST, RAW,  ALWAYS, "Length", "" },
	{ 0x03, 1,  0,  1, RO, HOST, RAW,  ALWAYS, "AFCap", "TP" },
	{ 0x03, 1,  1,  1, RO, HOST, RAW,  ALWAYS, "AFCap", "FLR" },
	{ 0x04, 1,  0,  1, RW, USER, VIRT, ALWAYS, "AFCtrl", "FLR" },
	{ 0x05, 1,  0,  1, RO, HOST, RAW,  ALWAYS, "AFStatus", "TP" },
	END
};

const struct vfio_pci_field pci_enhanced[] = {
	{ 0x02, 1,  0,  6, RO, HOST, RAW, ALWAYS, "Entries", "Count" },
	END
};
