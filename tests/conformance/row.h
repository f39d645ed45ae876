/* SPDX-License-Identifier: MIT */
/*
 * A row: one assertion about a device and its VFIO, and what a device must have for it.
 *
 * The numbered ones, 1 to 132, say what the kernel's vfio-pci does with configuration space,
 * regions, interrupts and a device as a whole. Where libvfio means to differ, the test asserts
 * both, asking ours(). The others say what libvfio adds.
 */
#ifndef CONFORMANCE_ROW_H
#define CONFORMANCE_ROW_H

#include "bed.h"

#define ROWS 132

/* name, how it is found out, what is missing where it is not met */
#define NEEDS(X) \
	X(MODEL,         has_model,           "a device that does what the test says") \
	X(BEHIND,        knows_hw,            "to know what lies behind the virtual function") \
	X(OURS,          ours,                "a device of libvfio's") \
	X(SERVER,        has_server,          "a server that outlives its client") \
	X(EXTENDED,      has_4096,            "4096 bytes of configuration space") \
	X(MEM32,         has_mem32,           "a 32-bit memory BAR") \
	X(MEM64,         has_mem64,           "a 64-bit memory BAR") \
	X(MEMORY,        has_switched_memory, "a memory BAR that Command switches off") \
	X(MEMORY_0,      has_memory_0,        "a memory BAR 0") \
	X(IO,            has_io,              "an I/O BAR") \
	X(ROM_IMAGE,     has_rom_image,       "an expansion ROM with an image") \
	X(BAD_ROM,       has_bad_rom,         "an expansion ROM without a valid image") \
	X(MAPPABLE,      has_mappable,        "a BAR that can be mapped") \
	X(PF,            is_no_vf,            "a function that is no virtual function") \
	X(VF,            is_vf,               "a virtual function") \
	X(NO_CAPS,       has_no_capability,   "a function without capabilities") \
	X(HIDDEN,        hides_some,          "a hidden capability") \
	X(HIDDEN_MIDDLE, hides_middle,        "a hidden extended capability inside the list") \
	X(HIDDEN_FIRST,  hides_first,         "a hidden first extended capability, and others") \
	X(HIDDEN_ALL,    hides_all,           "extended capabilities that are all hidden") \
	X(NO_EXTENDED,   has_no_extended,     "PCI Express without extended capabilities") \
	X(PM,            has_pm,              "power management") \
	X(SOFT_RESET,    has_soft_reset,      "a soft reset on the way from D3hot to D0") \
	X(VPD,           has_vpd,             "vital product data") \
	X(PIN,           has_pin,             "an interrupt pin") \
	X(NO_PIN,        has_no_pin,          "a function without an interrupt pin") \
	X(MSI,           has_msi,             "MSI") \
	X(MSI_4,         has_msi_4,           "MSI with 4 vectors or more") \
	X(MSI_MASK,      has_msi_mask,        "MSI with mask bits") \
	X(MSIX_3,        has_msix_3,          "MSI-X with 3 vectors or more") \
	X(MSIX_DYNAMIC,  has_dynamic_msix,    "MSI-X that can grow") \
	X(MESSAGES,      has_messages,        "MSI or MSI-X") \
	X(NO_INDEX,      has_empty_index,     "an interrupt index without vectors") \
	X(EXPRESS,       is_express,          "PCI Express") \
	X(NO_EXPRESS,    is_not_express,      "a function that is not PCI Express") \
	X(FLR,           has_flr,             "function level reset by PCI Express") \
	X(NO_FLR,        has_no_flr,          "PCI Express without function level reset") \
	X(AF,            has_af,              "function level reset by Advanced Features") \
	X(AER,           has_aer,             "advanced error reporting") \
	X(CONTROLS,      has_controls,        "SR-IOV, ATS, ACS, PRI or resizable BARs") \
	X(VENDOR,        has_vendor,          "a vendor's capability") \
	X(RESET,         can_reset,           "a device that can be reset") \
	X(NO_RESET,      cannot_reset,        "a device that cannot be reset")

enum need {
	ANY,
#define NEED_ENUM(name, met, words) NEEDS_##name,
	NEEDS(NEED_ENUM)
#undef NEED_ENUM
};

#define ROW_NEEDS 4

struct row {
	const char *name;	/* row_010_bar_sizing: that is row 10 */
	void (*test)(struct bed *b);
	struct policy policy;
	enum need needs[ROW_NEEDS];
};

#define ROW(title, ...)	{ .name = #title, .test = title, .needs = { __VA_ARGS__ } }
#define ROW_POLICY(title, k, v, ...) \
	{ .name = #title, .test = title, .policy = { k, v }, .needs = { __VA_ARGS__ } }
#define ROWS_END { .name = NULL }

/* A row for which there is no test, and why. */
struct no_row {
	int number;
	const char *reason;
};

/* Each up to ROWS_END, or to number 0. */
extern const struct row config_rows[], command_rows[], hidden_rows[], capability_rows[];
extern const struct row express_rows[], region_rows[], interrupt_rows[], message_rows[];
extern const struct row device_rows[], reset_rows[], channel_rows[];
extern const struct no_row not_applicable[];

/* The number of a row; 0 for those that are not the kernel's. */
int row_number(const struct row *row);

/* The first thing that the device lacks for the row, in words; NULL when nothing. */
const char *row_lacks(const struct row *row, struct bed *b);

#endif
