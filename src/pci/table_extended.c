/* SPDX-License-Identifier: MIT */
/*
 * Rows of the extended capabilities, those for errors apart: PCI Express Base 5.0, 7.7 to 7.9;
 * Single Root I/O Virtualization 1.1, 3.3; Address Translation Services 1.1, chapter 5.
 */
#include "pci/rows.h"

/* A resource of a virtual channel; how many there are is for the length to say. */
#define VC(at, n) \
	{ (at), 4,  0,  1, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "Fixed" }, \
	{ (at), 4,  1,  1, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "WRR32" }, \
	{ (at), 4,  2,  1, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "WRR64" }, \
	{ (at), 4,  3,  1, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "WRR128" }, \
	{ (at), 4,  4,  1, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "TWRR128" }, \
	{ (at), 4,  5,  1, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "WRR256" }, \
	{ (at), 4, 15,  1, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "RejSnoopTrans" }, \
	{ (at), 4, 16,  7, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "MaxTimeSlots-1" }, \
	{ (at), 4, 24,  8, RO, HOST, RAW, ALWAYS, "VC" n "Cap", "PATOffset>>4" }, \
	{ (at) + 4, 4,  0,  8, RW, HOST, RAW, ALWAYS, "VC" n "Ctl", "TC/VC" }, \
	{ (at) + 4, 4, 16,  1, RW, HOST, RAW, ALWAYS, "VC" n "Ctl", "LoadTable" }, \
	{ (at) + 4, 4, 17,  3, RW, HOST, RAW, ALWAYS, "VC" n "Ctl", "ArbSelect" }, \
	{ (at) + 4, 4, 24,  3, RW, HOST, RAW, ALWAYS, "VC" n "Ctl", "ID" }, \
	{ (at) + 4, 4, 31,  1, RW, HOST, RAW, ALWAYS, "VC" n "Ctl", "Enable" }, \
	{ (at) + 10, 2,  0,  1, RO, HOST, RAW, ALWAYS, "VC" n "Sta", "ArbTable" }, \
	{ (at) + 10, 2,  1,  1, RO, HOST, RAW, ALWAYS, "VC" n "Sta", "NegoPending" }

const struct vfio_pci_field pci_vc[] = {
	{ 0x04, 4,  0,  3, RO,   HOST, RAW,  ALWAYS, "PortCap1", "ExtVCs" },
	{ 0x04, 4,  4,  3, RO,   HOST, RAW,  ALWAYS, "PortCap1", "LowPriVCs" },
	{ 0x04, 4,  8,  2, RO,   HOST, RAW,  ALWAYS, "PortCap1", "RefClk" },
	{ 0x04, 4, 10,  2, RO,   HOST, RAW,  ALWAYS, "PortCap1", "PATEntryBits" },
	{ 0x08, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "PortCap2", "Fixed" },
	{ 0x08, 4,  1,  1, RO,   HOST, RAW,  ALWAYS, "PortCap2", "WRR32" },
	{ 0x08, 4,  2,  1, RO,   HOST, RAW,  ALWAYS, "PortCap2", "WRR64" },
	{ 0x08, 4,  3,  1, RO,   HOST, RAW,  ALWAYS, "PortCap2", "WRR128" },
	{ 0x08, 4, 24,  8, RO,   HOST, RAW,  ALWAYS, "PortCap2", "VATOffset>>4" },
	{ 0x0c, 2,  0,  1, RW,   HOST, RAW,  ALWAYS, "PortCtl", "LoadTable" },
	{ 0x0c, 2,  1,  3, RW,   HOST, RAW,  ALWAYS, "PortCtl", "ArbSelect" },
	{ 0x0e, 2,  0,  1, RO,   HOST, RAW,  ALWAYS, "PortSta", "InProgress" },
	VC(0x10, "0"),
	VC(0x1c, "1"),
	VC(0x28, "2"),
	VC(0x34, "3"),
	VC(0x40, "4"),
	VC(0x4c, "5"),
	VC(0x58, "6"),
	VC(0x64, "7"),
	END
};

const struct vfio_pci_field pci_serial[] = {
	{ 0x04, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "SerialLow", "" },
	{ 0x08, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "SerialHigh", "" },
	END
};

/* The kernel lets a user write the low byte of Data, which no device takes, and not Select. */
const struct vfio_pci_field pci_power_budget[] = {
	{ 0x04, 1,  0,  8, RW,   HOST, RAW,  ALWAYS, "Select", "" },
	{ 0x08, 4,  0,  8, RO,   USER, RAW,  ALWAYS, "Data", "BasePower" },
	{ 0x08, 4,  8,  2, RO,   HOST, RAW,  ALWAYS, "Data", "Scale" },
	{ 0x08, 4, 10,  3, RO,   HOST, RAW,  ALWAYS, "Data", "PMSubState" },
	{ 0x08, 4, 13,  2, RO,   HOST, RAW,  ALWAYS, "Data", "PMState" },
	{ 0x08, 4, 15,  3, RO,   HOST, RAW,  ALWAYS, "Data", "Type" },
	{ 0x08, 4, 18,  3, RO,   HOST, RAW,  ALWAYS, "Data", "Rail" },
	{ 0x0c, 1,  0,  1, RO,   HOST, RAW,  ALWAYS, "Cap", "SystemAllocated" },
	END
};

const struct vfio_pci_field pci_link_decl[] = {
	{ 0x04, 4,  0,  4, RO,   HOST, RAW,  ALWAYS, "Self", "Type" },
	{ 0x04, 4,  8,  8, RO,   HOST, RAW,  ALWAYS, "Self", "Links" },
	{ 0x04, 4, 16,  8, RO,   HOST, RAW,  ALWAYS, "Self", "Component" },
	{ 0x04, 4, 24,  8, RO,   HOST, RAW,  ALWAYS, "Self", "Port" },
	END
};

const struct vfio_pci_field pci_event_collector[] = {
	{ 0x04, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "RCiEPBitmap", "" },
	{ 0x08, 4,  8,  8, RO,   HOST, RAW,  ALWAYS, "BusNumbers", "Next" },
	{ 0x08, 4, 16,  8, RO,   HOST, RAW,  ALWAYS, "BusNumbers", "Last" },
	END
};

const struct vfio_pci_field pci_vsec[] = {
	{ 0x04, 4,  0, 16, RO,   USER, RAW,  ALWAYS, "Vendor", "ID" },
	{ 0x04, 4, 16,  4, RO,   USER, RAW,  ALWAYS, "Vendor", "Rev" },
	{ 0x04, 4, 20, 12, RO,   USER, RAW,  ALWAYS, "Vendor", "Length" },
	END
};

const struct vfio_pci_field pci_acs[] = {
	{ 0x04, 2,  0,  1, RO,   HOST, RAW,  ALWAYS, "ACSCap", "SrcValid" },
	{ 0x04, 2,  1,  1, RO,   HOST, RAW,  ALWAYS, "ACSCap", "TransBlk" },
	{ 0x04, 2,  2,  1, RO,   HOST, RAW,  ALWAYS, "ACSCap", "ReqRedir" },
	{ 0x04, 2,  3,  1, RO,   HOST, RAW,  ALWAYS, "ACSCap", "CmpltRedir" },
	{ 0x04, 2,  4,  1, RO,   HOST, RAW,  ALWAYS, "ACSCap", "UpstreamFwd" },
	{ 0x04, 2,  5,  1, RO,   HOST, RAW,  ALWAYS, "ACSCap", "EgressCtrl" },
	{ 0x04, 2,  6,  1, RO,   HOST, RAW,  ALWAYS, "ACSCap", "DirectTrans" },
	{ 0x04, 2,  8,  8, RO,   HOST, RAW,  ALWAYS, "ACSCap", "EgressBits" },
	{ 0x06, 2,  0,  1, RW,   HOST, RAW,  ALWAYS, "ACSCtl", "SrcValid" },
	{ 0x06, 2,  1,  1, RW,   HOST, RAW,  ALWAYS, "ACSCtl", "TransBlk" },
	{ 0x06, 2,  2,  1, RW,   HOST, RAW,  ALWAYS, "ACSCtl", "ReqRedir" },
	{ 0x06, 2,  3,  1, RW,   HOST, RAW,  ALWAYS, "ACSCtl", "CmpltRedir" },
	{ 0x06, 2,  4,  1, RW,   HOST, RAW,  ALWAYS, "ACSCtl", "UpstreamFwd" },
	{ 0x06, 2,  5,  1, RW,   HOST, RAW,  ALWAYS, "ACSCtl", "EgressCtrl" },
	{ 0x06, 2,  6,  1, RW,   HOST, RAW,  ALWAYS, "ACSCtl", "DirectTrans" },
	{ 0x08, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "EgressVector", "" },
	END
};

const struct vfio_pci_field pci_ari[] = {
	{ 0x04, 2,  0,  1, RO,   HOST, RAW,  ALWAYS, "ARICap", "MFVC" },
	{ 0x04, 2,  1,  1, RO,   HOST, RAW,  ALWAYS, "ARICap", "ACS" },
	{ 0x04, 2,  8,  8, RO,   HOST, RAW,  ALWAYS, "ARICap", "NextFunction" },
	{ 0x06, 2,  0,  1, RW,   HOST, RAW,  ALWAYS, "ARICtl", "MFVC" },
	{ 0x06, 2,  1,  1, RW,   HOST, RAW,  ALWAYS, "ARICtl", "ACS" },
	{ 0x06, 2,  4,  3, RW,   HOST, RAW,  ALWAYS, "ARICtl", "FunctionGroup" },
	END
};

const struct vfio_pci_field pci_ats[] = {
	{ 0x04, 2,  0,  5, RO,   HOST, RAW,  ALWAYS, "ATSCap", "QueueDepth" },
	{ 0x04, 2,  5,  1, RO,   HOST, RAW,  ALWAYS, "ATSCap", "PageAligned" },
	{ 0x04, 2,  6,  1, RO,   HOST, RAW,  ALWAYS, "ATSCap", "Global" },
	{ 0x06, 2,  0,  5, RW,   HOST, RAW,  ALWAYS, "ATSCtl", "STU" },
	{ 0x06, 2, 15,  1, RW,   HOST, RAW,  ALWAYS, "ATSCtl", "Enable" },
	END
};

const struct vfio_pci_field pci_sriov[] = {
	{ 0x04, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "IOVCap", "Migration" },
	{ 0x04, 4,  1,  1, RO,   HOST, RAW,  ALWAYS, "IOVCap", "ARIPreserved" },
	{ 0x04, 4,  2,  1, RO,   HOST, RAW,  ALWAYS, "IOVCap", "10BitTagReq" },
	{ 0x04, 4, 21, 11, RO,   HOST, RAW,  ALWAYS, "IOVCap", "IntMsgNum" },
	{ 0x08, 2,  0,  1, RW,   HOST, RAW,  ALWAYS, "IOVCtl", "Enable" },
	{ 0x08, 2,  1,  1, RW,   HOST, RAW,  ALWAYS, "IOVCtl", "Migration" },
	{ 0x08, 2,  2,  1, RW,   HOST, RAW,  ALWAYS, "IOVCtl", "Interrupt" },
	{ 0x08, 2,  3,  1, RW,   HOST, RAW,  ALWAYS, "IOVCtl", "MSE" },
	{ 0x08, 2,  4,  1, RW,   HOST, RAW,  ALWAYS, "IOVCtl", "ARIHierarchy" },
	{ 0x08, 2,  5,  1, RW,   HOST, RAW,  ALWAYS, "IOVCtl", "10BitTagReq" },
	{ 0x0a, 2,  0,  1, RW1C, HOST, RAW,  ALWAYS, "IOVSta", "Migration" },
	{ 0x0c, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "InitialVFs", "" },
	{ 0x0e, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "TotalVFs", "" },
	{ 0x10, 2,  0, 16, RW,   HOST, RAW,  ALWAYS, "NumVFs", "" },
	{ 0x12, 1,  0,  8, RO,   HOST, RAW,  ALWAYS, "FunctionLink", "" },
	{ 0x14, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "VFOffset", "" },
	{ 0x16, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "VFStride", "" },
	{ 0x1a, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "VFDeviceID", "" },
	{ 0x1c, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "SupportedPageSizes", "" },
	{ 0x20, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "SystemPageSize", "" },
	{ 0x24, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "VFBAR0", "" },
	{ 0x28, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "VFBAR1", "" },
	{ 0x2c, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "VFBAR2", "" },
	{ 0x30, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "VFBAR3", "" },
	{ 0x34, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "VFBAR4", "" },
	{ 0x38, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "VFBAR5", "" },
	{ 0x3c, 4,  0,  3, RO,   HOST, RAW,  ALWAYS, "VFMigration", "BAR" },
	{ 0x3c, 4,  3, 29, RO,   HOST, RAW,  ALWAYS, "VFMigration", "Offset>>3" },
	END
};

const struct vfio_pci_field pci_multicast[] = {
	{ 0x04, 2,  0,  6, RO,   HOST, RAW,  ALWAYS, "MCCap", "MaxGroup" },
	{ 0x04, 2,  8,  6, RO,   HOST, RAW,  ALWAYS, "MCCap", "WinSizeReq" },
	{ 0x04, 2, 15,  1, RO,   HOST, RAW,  ALWAYS, "MCCap", "ECRCRegen" },
	{ 0x06, 2,  0,  6, RW,   HOST, RAW,  ALWAYS, "MCCtl", "NumGroups-1" },
	{ 0x06, 2, 15,  1, RW,   HOST, RAW,  ALWAYS, "MCCtl", "Enable" },
	{ 0x08, 4,  0,  6, RW,   HOST, RAW,  ALWAYS, "Base", "IndexPos" },
	{ 0x08, 4, 12, 20, RW,   HOST, RAW,  ALWAYS, "Base", "Address>>12" },
	{ 0x0c, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "BaseUpper", "" },
	{ 0x10, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "Receive", "" },
	{ 0x14, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "ReceiveUpper", "" },
	{ 0x18, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "BlockAll", "" },
	{ 0x1c, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "BlockAllUpper", "" },
	{ 0x20, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "BlockUntrans", "" },
	{ 0x24, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "BlockUntransUpper", "" },
	{ 0x28, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "OverlayBAR", "" },
	{ 0x2c, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "OverlayBARUpper", "" },
	END
};

const struct vfio_pci_field pci_pri[] = {
	{ 0x04, 2,  0,  1, RW,   HOST, RAW,  ALWAYS, "PRICtl", "Enable" },
	{ 0x04, 2,  1,  1, RW,   HOST, RAW,  ALWAYS, "PRICtl", "Reset" },
	{ 0x06, 2,  0,  1, RW1C, HOST, RAW,  ALWAYS, "PRISta", "RF" },
	{ 0x06, 2,  1,  1, RW1C, HOST, RAW,  ALWAYS, "PRISta", "UPRGI" },
	{ 0x06, 2,  8,  1, RO,   HOST, RAW,  ALWAYS, "PRISta", "Stopped" },
	{ 0x06, 2, 15,  1, RO,   HOST, RAW,  ALWAYS, "PRISta", "PASID" },
	{ 0x08, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "Capacity", "" },
	{ 0x0c, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "Allocation", "" },
	END
};

/* One of up to six; the first says how many there are. */
#define RESIZABLE(at, n) \
	{ (at), 4,  4, 28, RO, HOST, RAW, ALWAYS, "Cap" n, "Sizes" }, \
	{ (at) + 4, 4,  0,  3, RO, HOST, RAW, ALWAYS, "Ctl" n, "BAR" }, \
	{ (at) + 4, 4,  5,  3, RO, HOST, RAW, ALWAYS, "Ctl" n, "BARs" }, \
	{ (at) + 4, 4,  8,  6, RW, HOST, RAW, ALWAYS, "Ctl" n, "Size" }, \
	{ (at) + 4, 4, 16, 16, RO, HOST, RAW, ALWAYS, "Ctl" n, "LargeSizes" }

const struct vfio_pci_field pci_rebar[] = {
	RESIZABLE(0x04, "0"),
	RESIZABLE(0x0c, "1"),
	RESIZABLE(0x14, "2"),
	RESIZABLE(0x1c, "3"),
	RESIZABLE(0x24, "4"),
	RESIZABLE(0x2c, "5"),
	END
};

const struct vfio_pci_field pci_dpa[] = {
	{ 0x04, 4,  0,  5, RO,   HOST, RAW,  ALWAYS, "DPACap", "SubstateMax" },
	{ 0x04, 4,  8,  2, RO,   HOST, RAW,  ALWAYS, "DPACap", "LatencyUnit" },
	{ 0x04, 4, 12,  2, RO,   HOST, RAW,  ALWAYS, "DPACap", "PowerScale" },
	{ 0x04, 4, 16,  8, RO,   HOST, RAW,  ALWAYS, "DPACap", "Latency0" },
	{ 0x04, 4, 24,  8, RO,   HOST, RAW,  ALWAYS, "DPACap", "Latency1" },
	{ 0x08, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "LatencyIndicator", "" },
	{ 0x0c, 2,  0,  5, RO,   HOST, RAW,  ALWAYS, "DPASta", "Substate" },
	{ 0x0c, 2,  8,  1, RW1C, HOST, RAW,  ALWAYS, "DPASta", "ControlEnabled" },
	{ 0x0e, 2,  0,  5, RW,   HOST, RAW,  ALWAYS, "DPACtl", "Substate" },
	END
};

const struct vfio_pci_field pci_tph[] = {
	{ 0x04, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "TPHCap", "NoST" },
	{ 0x04, 4,  1,  1, RO,   HOST, RAW,  ALWAYS, "TPHCap", "IntVector" },
	{ 0x04, 4,  2,  1, RO,   HOST, RAW,  ALWAYS, "TPHCap", "DeviceSpecific" },
	{ 0x04, 4,  8,  1, RO,   HOST, RAW,  ALWAYS, "TPHCap", "Extended" },
	{ 0x04, 4,  9,  2, RO,   HOST, RAW,  ALWAYS, "TPHCap", "STLocation" },
	{ 0x04, 4, 16, 11, RO,   HOST, RAW,  ALWAYS, "TPHCap", "STSize-1" },
	{ 0x08, 4,  0,  3, RW,   HOST, RAW,  ALWAYS, "TPHCtl", "STMode" },
	{ 0x08, 4,  8,  2, RW,   HOST, RAW,  ALWAYS, "TPHCtl", "Enable" },
	END
};

const struct vfio_pci_field pci_ltr[] = {
	{ 0x04, 2,  0, 10, RW,   HOST, RAW,  ALWAYS, "MaxSnoop", "Value" },
	{ 0x04, 2, 10,  3, RW,   HOST, RAW,  ALWAYS, "MaxSnoop", "Scale" },
	{ 0x06, 2,  0, 10, RW,   HOST, RAW,  ALWAYS, "MaxNoSnoop", "Value" },
	{ 0x06, 2, 10,  3, RW,   HOST, RAW,  ALWAYS, "MaxNoSnoop", "Scale" },
	END
};

const struct vfio_pci_field pci_secondary[] = {
	{ 0x04, 4,  0,  1, RW,   HOST, RAW,  ALWAYS, "LnkCtl3", "PerformEqu" },
	{ 0x04, 4,  1,  1, RW,   HOST, RAW,  ALWAYS, "LnkCtl3", "LnkEquIntrruptEn" },
	{ 0x04, 4,  9,  7, RW,   HOST, RAW,  ALWAYS, "LnkCtl3", "LowerSKP" },
	{ 0x08, 4,  0, 32, RW1C, HOST, RAW,  ALWAYS, "LaneErrStat", "" },
	END
};

const struct vfio_pci_field pci_pasid[] = {
	{ 0x04, 2,  1,  1, RO,   HOST, RAW,  ALWAYS, "PASIDCap", "Exec" },
	{ 0x04, 2,  2,  1, RO,   HOST, RAW,  ALWAYS, "PASIDCap", "Priv" },
	{ 0x04, 2,  8,  5, RO,   HOST, RAW,  ALWAYS, "PASIDCap", "Width" },
	{ 0x06, 2,  0,  1, RW,   HOST, RAW,  ALWAYS, "PASIDCtl", "Enable" },
	{ 0x06, 2,  1,  1, RW,   HOST, RAW,  ALWAYS, "PASIDCtl", "Exec" },
	{ 0x06, 2,  2,  1, RW,   HOST, RAW,  ALWAYS, "PASIDCtl", "Priv" },
	END
};

const struct vfio_pci_field pci_lnr[] = {
	{ 0x04, 2,  0,  1, RO,   HOST, RAW,  ALWAYS, "LNRCap", "LN64" },
	{ 0x04, 2,  1,  1, RO,   HOST, RAW,  ALWAYS, "LNRCap", "LN128" },
	{ 0x04, 2,  8,  5, RO,   HOST, RAW,  ALWAYS, "LNRCap", "RegMax" },
	{ 0x06, 2,  0,  1, RW,   HOST, RAW,  ALWAYS, "LNRCtl", "Enable" },
	{ 0x06, 2,  1,  1, RW,   HOST, RAW,  ALWAYS, "LNRCtl", "LN128" },
	{ 0x06, 2,  8,  5, RW,   HOST, RAW,  ALWAYS, "LNRCtl", "RegLimit" },
	END
};

const struct vfio_pci_field pci_l1ss[] = {
	{ 0x04, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "PCI-PM_L1.2" },
	{ 0x04, 4,  1,  1, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "PCI-PM_L1.1" },
	{ 0x04, 4,  2,  1, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "ASPM_L1.2" },
	{ 0x04, 4,  3,  1, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "ASPM_L1.1" },
	{ 0x04, 4,  4,  1, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "L1_PM_Substates" },
	{ 0x04, 4,  8,  8, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "CommonModeRestore" },
	{ 0x04, 4, 16,  2, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "PowerOnScale" },
	{ 0x04, 4, 19,  5, RO,   HOST, RAW,  ALWAYS, "L1SubCap", "PowerOnValue" },
	{ 0x08, 4,  0,  1, RW,   HOST, RAW,  ALWAYS, "L1SubCtl1", "PCI-PM_L1.2" },
	{ 0x08, 4,  1,  1, RW,   HOST, RAW,  ALWAYS, "L1SubCtl1", "PCI-PM_L1.1" },
	{ 0x08, 4,  2,  1, RW,   HOST, RAW,  ALWAYS, "L1SubCtl1", "ASPM_L1.2" },
	{ 0x08, 4,  3,  1, RW,   HOST, RAW,  ALWAYS, "L1SubCtl1", "ASPM_L1.1" },
	{ 0x08, 4,  8,  8, RW,   HOST, RAW,  ALWAYS, "L1SubCtl1", "CommonMode" },
	{ 0x08, 4, 16, 10, RW,   HOST, RAW,  ALWAYS, "L1SubCtl1", "ThresholdValue" },
	{ 0x08, 4, 29,  3, RW,   HOST, RAW,  ALWAYS, "L1SubCtl1", "ThresholdScale" },
	{ 0x0c, 4,  0,  2, RW,   HOST, RAW,  ALWAYS, "L1SubCtl2", "PowerOnScale" },
	{ 0x0c, 4,  3,  5, RW,   HOST, RAW,  ALWAYS, "L1SubCtl2", "PowerOnValue" },
	END
};

const struct vfio_pci_field pci_ptm[] = {
	{ 0x04, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "PTMCap", "Requester" },
	{ 0x04, 4,  1,  1, RO,   HOST, RAW,  ALWAYS, "PTMCap", "Responder" },
	{ 0x04, 4,  2,  1, RO,   HOST, RAW,  ALWAYS, "PTMCap", "Root" },
	{ 0x04, 4,  8,  8, RO,   HOST, RAW,  ALWAYS, "PTMCap", "Granularity" },
	{ 0x08, 4,  0,  1, RW,   HOST, RAW,  ALWAYS, "PTMControl", "Enabled" },
	{ 0x08, 4,  1,  1, RW,   HOST, RAW,  ALWAYS, "PTMControl", "RootSelected" },
	{ 0x08, 4,  8,  8, RW,   HOST, RAW,  ALWAYS, "PTMControl", "Granularity" },
	END
};

const struct vfio_pci_field pci_readiness[] = {
	{ 0x04, 4,  0, 12, RO,   HOST, RAW,  ALWAYS, "Readiness1", "Reset" },
	{ 0x04, 4, 12, 12, RO,   HOST, RAW,  ALWAYS, "Readiness1", "DLUp" },
	{ 0x04, 4, 31,  1, RO,   HOST, RAW,  ALWAYS, "Readiness1", "Valid" },
	{ 0x08, 4,  0, 12, RO,   HOST, RAW,  ALWAYS, "Readiness2", "FLR" },
	{ 0x08, 4, 12, 12, RO,   HOST, RAW,  ALWAYS, "Readiness2", "D3hot" },
	END
};

const struct vfio_pci_field pci_dvsec[] = {
	{ 0x04, 4,  0, 16, RO,   USER, RAW,  ALWAYS, "Vendor", "VendorID" },
	{ 0x04, 4, 16,  4, RO,   USER, RAW,  ALWAYS, "Vendor", "Rev" },
	{ 0x04, 4, 20, 12, RO,   USER, RAW,  ALWAYS, "Vendor", "Length" },
	{ 0x08, 2,  0, 16, RO,   USER, RAW,  ALWAYS, "ID", "" },
	END
};

const struct vfio_pci_field pci_dlf[] = {
	{ 0x04, 4,  0, 23, RO,   HOST, RAW,  ALWAYS, "DLFCap", "Local" },
	{ 0x04, 4, 31,  1, RW,   HOST, RAW,  ALWAYS, "DLFCap", "Exchange" },
	{ 0x08, 4,  0, 23, RO,   HOST, RAW,  ALWAYS, "DLFSta", "Remote" },
	{ 0x08, 4, 31,  1, RO,   HOST, RAW,  ALWAYS, "DLFSta", "RemoteValid" },
	END
};

const struct vfio_pci_field pci_16gt[] = {
	{ 0x0c, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "PhySta", "EqComplete" },
	{ 0x0c, 4,  1,  1, RO,   HOST, RAW,  ALWAYS, "PhySta", "EqPhase1" },
	{ 0x0c, 4,  2,  1, RO,   HOST, RAW,  ALWAYS, "PhySta", "EqPhase2" },
	{ 0x0c, 4,  3,  1, RO,   HOST, RAW,  ALWAYS, "PhySta", "EqPhase3" },
	{ 0x0c, 4,  4,  1, RW1C, HOST, RAW,  ALWAYS, "PhySta", "LinkEqReq" },
	{ 0x10, 4,  0, 32, RW1C, HOST, RAW,  ALWAYS, "LocalParity", "" },
	{ 0x14, 4,  0, 32, RW1C, HOST, RAW,  ALWAYS, "Retimer1Parity", "" },
	{ 0x18, 4,  0, 32, RW1C, HOST, RAW,  ALWAYS, "Retimer2Parity", "" },
	END
};

const struct vfio_pci_field pci_npem[] = {
	{ 0x04, 4,  0, 12, RO,   HOST, RAW,  ALWAYS, "NPEMCap", "Supported" },
	{ 0x04, 4, 24,  8, RO,   HOST, RAW,  ALWAYS, "NPEMCap", "Enclosure" },
	{ 0x08, 4,  0, 12, RW,   HOST, RAW,  ALWAYS, "NPEMCtl", "Enabled" },
	{ 0x08, 4, 24,  8, RW,   HOST, RAW,  ALWAYS, "NPEMCtl", "Enclosure" },
	{ 0x0c, 4,  0,  1, RW1C, HOST, RAW,  ALWAYS, "NPEMSta", "Completed" },
	{ 0x0c, 4, 24,  8, RO,   HOST, RAW,  ALWAYS, "NPEMSta", "Enclosure" },
	END
};

const struct vfio_pci_field pci_doe[] = {
	{ 0x04, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "DOECap", "IntSup" },
	{ 0x04, 4,  1, 11, RO,   HOST, RAW,  ALWAYS, "DOECap", "IntMsgNum" },
	{ 0x08, 4,  0,  1, RW,   HOST, RAW,  ALWAYS, "DOECtl", "Abort" },
	{ 0x08, 4,  1,  1, RW,   HOST, RAW,  ALWAYS, "DOECtl", "IntEn" },
	{ 0x08, 4, 31,  1, RW,   HOST, RAW,  ALWAYS, "DOECtl", "Go" },
	{ 0x0c, 4,  0,  1, RO,   HOST, RAW,  ALWAYS, "DOESta", "Busy" },
	{ 0x0c, 4,  1,  1, RW1C, HOST, RAW,  ALWAYS, "DOESta", "IntSta" },
	{ 0x0c, 4,  2,  1, RO,   HOST, RAW,  ALWAYS, "DOESta", "Error" },
	{ 0x0c, 4, 31,  1, RO,   HOST, RAW,  ALWAYS, "DOESta", "ObjectReady" },
	{ 0x10, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "WriteMailbox", "" },
	{ 0x14, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "ReadMailbox", "" },
	END
};
