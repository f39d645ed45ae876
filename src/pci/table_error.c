/* SPDX-License-Identifier: MIT */
/*
 * Rows of the extended capabilities for errors: PCI Express Base 5.0, 7.8.4 (Advanced Error
 * Reporting) and 7.9.15 (Downstream Port Containment).
 */
#include "pci/rows.h"

/* Status, mask and severity have the same bits. The user's end where the kernel's mask does. */
#define UNCORRECTABLE(reg, access, name) \
	{ reg, 4,  0,  1, access, USER, RAW, ALWAYS, name, "Undefined" }, \
	{ reg, 4,  4,  1, access, USER, RAW, ALWAYS, name, "DLP" }, \
	{ reg, 4,  5,  1, access, USER, RAW, ALWAYS, name, "SDES" }, \
	{ reg, 4, 12,  1, access, USER, RAW, ALWAYS, name, "TLP" }, \
	{ reg, 4, 13,  1, access, USER, RAW, ALWAYS, name, "FCP" }, \
	{ reg, 4, 14,  1, access, USER, RAW, ALWAYS, name, "CmpltTO" }, \
	{ reg, 4, 15,  1, access, USER, RAW, ALWAYS, name, "CmpltAbrt" }, \
	{ reg, 4, 16,  1, access, USER, RAW, ALWAYS, name, "UnxCmplt" }, \
	{ reg, 4, 17,  1, access, USER, RAW, ALWAYS, name, "RxOF" }, \
	{ reg, 4, 18,  1, access, USER, RAW, ALWAYS, name, "MalfTLP" }, \
	{ reg, 4, 19,  1, access, USER, RAW, ALWAYS, name, "ECRC" }, \
	{ reg, 4, 20,  1, access, USER, RAW, ALWAYS, name, "UnsupReq" }, \
	{ reg, 4, 21,  1, access, USER, RAW, ALWAYS, name, "ACSViol" }, \
	{ reg, 4, 22,  1, access, USER, RAW, ALWAYS, name, "UncorrIntErr" }, \
	{ reg, 4, 23,  1, access, USER, RAW, ALWAYS, name, "BlockedTLP" }, \
	{ reg, 4, 24,  1, access, USER, RAW, ALWAYS, name, "AtomicOpBlocked" }, \
	{ reg, 4, 25,  1, access, USER, RAW, ALWAYS, name, "TLPBlockedErr" }, \
	{ reg, 4, 26,  1, access, HOST, RAW, ALWAYS, name, "PoisonTLPBlocked" }, \
	{ reg, 4, 27,  1, access, HOST, RAW, ALWAYS, name, "DMWrReqBlocked" }, \
	{ reg, 4, 28,  1, access, HOST, RAW, ALWAYS, name, "IDECheck" }, \
	{ reg, 4, 29,  1, access, HOST, RAW, ALWAYS, name, "MisIDETLP" }, \
	{ reg, 4, 30,  1, access, HOST, RAW, ALWAYS, name, "PCRCCheck" }, \
	{ reg, 4, 31,  1, access, HOST, RAW, ALWAYS, name, "TLPXlatBlocked" }

#define CORRECTABLE(reg, access, name) \
	{ reg, 4,  0,  1, access, USER, RAW, ALWAYS, name, "RxErr" }, \
	{ reg, 4,  6,  1, access, USER, RAW, ALWAYS, name, "BadTLP" }, \
	{ reg, 4,  7,  1, access, USER, RAW, ALWAYS, name, "BadDLLP" }, \
	{ reg, 4,  8,  1, access, USER, RAW, ALWAYS, name, "Rollover" }, \
	{ reg, 4, 12,  1, access, USER, RAW, ALWAYS, name, "Timeout" }, \
	{ reg, 4, 13,  1, access, USER, RAW, ALWAYS, name, "AdvNonFatalErr" }, \
	{ reg, 4, 14,  1, access, USER, RAW, ALWAYS, name, "CorrIntErr" }, \
	{ reg, 4, 15,  1, access, USER, RAW, ALWAYS, name, "HeaderOF" }

const struct vfio_pci_field pci_aer[] = {
	UNCORRECTABLE(0x04, RW1C, "UESta"),
	UNCORRECTABLE(0x08, RW, "UEMsk"),
	UNCORRECTABLE(0x0c, RW, "UESvrt"),
	CORRECTABLE(0x10, RW1C, "CESta"),
	CORRECTABLE(0x14, RW, "CEMsk"),
	{ 0x18, 4,  0,  5, RO,   HOST, RAW,  ALWAYS, "AERCap", "FirstErrPtr" },
	{ 0x18, 4,  5,  1, RO,   HOST, RAW,  ALWAYS, "AERCap", "ECRCGenCap" },
	{ 0x18, 4,  6,  1, RW,   USER, RAW,  ALWAYS, "AERCap", "ECRCGenEn" },
	{ 0x18, 4,  7,  1, RO,   HOST, RAW,  ALWAYS, "AERCap", "ECRCChkCap" },
	{ 0x18, 4,  8,  1, RW,   USER, RAW,  ALWAYS, "AERCap", "ECRCChkEn" },
	{ 0x18, 4,  9,  1, RO,   HOST, RAW,  ALWAYS, "AERCap", "MultHdrRecCap" },
	{ 0x18, 4, 10,  1, RW,   HOST, RAW,  ALWAYS, "AERCap", "MultHdrRecEn" },
	{ 0x18, 4, 11,  1, RO,   HOST, RAW,  ALWAYS, "AERCap", "TLPPfxPres" },
	{ 0x18, 4, 12,  1, RO,   HOST, RAW,  ALWAYS, "AERCap", "HdrLogCap" },
	{ 0x1c, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "HeaderLog0", "" },
	{ 0x20, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "HeaderLog1", "" },
	{ 0x24, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "HeaderLog2", "" },
	{ 0x28, 4,  0, 32, RO,   HOST, RAW,  ALWAYS, "HeaderLog3", "" },
	{ 0x2c, 4,  0,  1, RW,   HOST, RAW,  ALWAYS, "RootCmd", "CERptEn" },
	{ 0x2c, 4,  1,  1, RW,   HOST, RAW,  ALWAYS, "RootCmd", "NFERptEn" },
	{ 0x2c, 4,  2,  1, RW,   HOST, RAW,  ALWAYS, "RootCmd", "FERptEn" },
	{ 0x30, 4,  0,  1, RW1C, HOST, RAW,  ALWAYS, "RootSta", "CERcvd" },
	{ 0x30, 4,  1,  1, RW1C, HOST, RAW,  ALWAYS, "RootSta", "MultCERcvd" },
	{ 0x30, 4,  2,  1, RW1C, HOST, RAW,  ALWAYS, "RootSta", "UERcvd" },
	{ 0x30, 4,  3,  1, RW1C, HOST, RAW,  ALWAYS, "RootSta", "MultUERcvd" },
	{ 0x30, 4,  4,  1, RW1C, HOST, RAW,  ALWAYS, "RootSta", "FirstFatal" },
	{ 0x30, 4,  5,  1, RW1C, HOST, RAW,  ALWAYS, "RootSta", "NonFatalMsg" },
	{ 0x30, 4,  6,  1, RW1C, HOST, RAW,  ALWAYS, "RootSta", "FatalMsg" },
	{ 0x30, 4, 27,  5, RO,   HOST, RAW,  ALWAYS, "RootSta", "IntMsgNum" },
	{ 0x34, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "ErrorSrcCor", "" },
	{ 0x36, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "ErrorSrcFatal", "" },
	END
};

const struct vfio_pci_field pci_dpc[] = {
	{ 0x04, 2,  0,  5, RO,   HOST, RAW,  ALWAYS, "DpcCap", "IntMsgNum" },
	{ 0x04, 2,  5,  1, RO,   HOST, RAW,  ALWAYS, "DpcCap", "RPExt" },
	{ 0x04, 2,  6,  1, RO,   HOST, RAW,  ALWAYS, "DpcCap", "PoisonedTLP" },
	{ 0x04, 2,  7,  1, RO,   HOST, RAW,  ALWAYS, "DpcCap", "SwTrigger" },
	{ 0x04, 2,  8,  4, RO,   HOST, RAW,  ALWAYS, "DpcCap", "RPPIOLog" },
	{ 0x04, 2, 12,  1, RO,   HOST, RAW,  ALWAYS, "DpcCap", "DLActiveErr" },
	{ 0x06, 2,  0,  2, RW,   HOST, RAW,  ALWAYS, "DpcCtl", "Trigger" },
	{ 0x06, 2,  2,  1, RW,   HOST, RAW,  ALWAYS, "DpcCtl", "Cmpl" },
	{ 0x06, 2,  3,  1, RW,   HOST, RAW,  ALWAYS, "DpcCtl", "INT" },
	{ 0x06, 2,  4,  1, RW,   HOST, RAW,  ALWAYS, "DpcCtl", "ErrCor" },
	{ 0x06, 2,  5,  1, RW,   HOST, RAW,  ALWAYS, "DpcCtl", "PoisonedTLP" },
	{ 0x06, 2,  6,  1, RW,   HOST, RAW,  ALWAYS, "DpcCtl", "SwTrigger" },
	{ 0x06, 2,  7,  1, RW,   HOST, RAW,  ALWAYS, "DpcCtl", "DLActiveErr" },
	{ 0x08, 2,  0,  1, RW1C, HOST, RAW,  ALWAYS, "DpcSta", "Trigger" },
	{ 0x08, 2,  1,  2, RO,   HOST, RAW,  ALWAYS, "DpcSta", "Reason" },
	{ 0x08, 2,  3,  1, RW1C, HOST, RAW,  ALWAYS, "DpcSta", "INT" },
	{ 0x08, 2,  4,  1, RO,   HOST, RAW,  ALWAYS, "DpcSta", "RPBusy" },
	{ 0x08, 2,  5,  2, RO,   HOST, RAW,  ALWAYS, "DpcSta", "TriggerExt" },
	{ 0x08, 2,  8,  5, RO,   HOST, RAW,  ALWAYS, "DpcSta", "RPPIOErrPtr" },
	{ 0x0a, 2,  0, 16, RO,   HOST, RAW,  ALWAYS, "Source", "" },
	{ 0x0c, 4,  0, 32, RW1C, HOST, RAW,  ALWAYS, "RPPIOSta", "" },
	{ 0x10, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "RPPIOMask", "" },
	{ 0x14, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "RPPIOSeverity", "" },
	{ 0x18, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "RPPIOSysError", "" },
	{ 0x1c, 4,  0, 32, RW,   HOST, RAW,  ALWAYS, "RPPIOException", "" },
	END
};
