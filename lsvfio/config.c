/* SPDX-License-Identifier: MIT */
/* Configuration space explained with the library's decoder. */
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

/* The part of the header that all header types have alike ends here. */
#define COMMON_HEADER PCI_BASE_ADDRESS_0

#define HEADER_LAYOUT 0x7f

uint16_t config_word(const uint8_t *config, size_t offset)
{
	return (uint16_t)(config[offset] | config[offset + 1] << 8);
}

static uint8_t layout(const struct description *desc)
{
	return desc->config[PCI_HEADER_TYPE] & HEADER_LAYOUT;
}

static void identify(struct device *d)
{
	const uint8_t *config = d->description->config;

	if (d->id.known)
		return;
	d->id.known = true;
	d->id.vendor = config_word(config, PCI_VENDOR_ID);
	d->id.device = config_word(config, PCI_DEVICE_ID);
	d->id.revision = config[PCI_REVISION_ID];
	d->id.class_code = config[PCI_CLASS_PROG] |
			   (uint32_t)config_word(config, PCI_CLASS_DEVICE) << 8;
	if (layout(d->description) == PCI_HEADER_TYPE_NORMAL) {
		d->id.subsystem_vendor = config_word(config, PCI_SUBSYSTEM_VENDOR_ID);
		d->id.subsystem = config_word(config, PCI_SUBSYSTEM_ID);
	}
}

static int keep(void *arg, const struct vfio_pci_value *value)
{
	struct description *desc = arg;
	size_t size = (desc->nvalues + 1) * sizeof(*desc->values);

	desc->values = memory_check(realloc(desc->values, size));
	desc->values[desc->nvalues++] = *value;
	return 0;
}

static int keep_common(void *arg, const struct vfio_pci_value *value)
{
	struct description *desc = arg;
	struct vfio_pci_value v = *value;

	if (v.offset >= COMMON_HEADER)
		return 0;
	if (v.offset == PCI_HEADER_TYPE && v.field->lsb == 0)
		v.value = layout(desc);
	return keep(desc, &v);
}

/*
 * The decoder knows types 0 and 1. Other headers begin in the same way, so it is shown a copy of
 * that part which claims to be of type 0.
 */
static void decode_common(struct description *desc)
{
	uint8_t copy[PCI_STD_HEADER_SIZEOF] = { 0 };

	memcpy(copy, desc->config, COMMON_HEADER);
	copy[PCI_HEADER_TYPE] &= (uint8_t)~HEADER_LAYOUT;
	vfio_pci_decode(copy, sizeof(copy), keep_common, desc);
}

static void check_capabilities(struct device *d)
{
	struct vfio_pci_capability standard[VFIO_PCI_MAX_CAPABILITIES];
	struct vfio_pci_capability extended[VFIO_PCI_MAX_EXTENDED];
	const struct description *desc = d->description;
	char problem[VFIO_PCI_PROBLEM_ROOM];

	vfio_pci_walk(desc->config, desc->config_len, standard, problem);
	if (problem[0] && d->kind == KIND_PCI && desc->config_len == PCI_STD_HEADER_SIZEOF)
		device_problem(d, memory_copy("the capabilities cannot be read: without privilege "
					      "the kernel gives only 64 bytes of configuration "
					      "space; run lsvfio as root"));
	else if (problem[0])
		device_problem(d, memory_copy(problem));
	vfio_pci_walk_extended(desc->config, desc->config_len, extended, problem);
	if (problem[0])
		device_problem(d, memory_copy(problem));
}

static bool is_all_ones(const struct description *desc)
{
	for (size_t i = 0; i < PCI_STD_HEADER_SIZEOF; i++)
		if (desc->config[i] != 0xff)
			return false;
	return true;
}

static void explain_other(struct device *d)
{
	uint8_t type = layout(d->description);

	decode_common(d->description);
	if (type == PCI_HEADER_TYPE_CARDBUS)
		device_problem(d, memory_copy("CardBus bridge (type 2): header only"));
	else
		device_problem(d, memory_printf("unknown header (type %u): header only", type));
}

void config_explain(struct device *d)
{
	struct description *desc = d->description;

	if (desc->config_len < PCI_STD_HEADER_SIZEOF) {
		device_problem(d, memory_printf("configuration space has %zu bytes, too few for a "
						"header of %u", desc->config_len,
						PCI_STD_HEADER_SIZEOF));
		return;
	}
	if (is_all_ones(desc)) {
		device_problem(d, memory_copy("configuration space reads as all ones: the device "
					      "does not answer"));
		return;
	}
	identify(d);
	if (vfio_pci_decode(desc->config, desc->config_len, keep, desc) == 0)
		check_capabilities(d);
	else
		explain_other(d);
}

/* ---- for lspci ------------------------------------------------------------------------------- */

static void dump_bytes(const struct description *desc)
{
	for (size_t i = 0; i < desc->config_len; i++) {
		if (i % 16 == 0)
			printf("%s%02zx:", i ? "\n" : "", i);
		printf(" %02x", desc->config[i]);
	}
	puts("\n");
}

void config_dump(const struct device_list *list)
{
	const struct device *d;
	unsigned int number = 0;

	TAILQ_FOREACH(d, list, entry) {
		if (!d->description || !d->description->config_len)
			continue;
		if (d->kind == KIND_PCI)
			printf("%s\n", d->name);
		else
			printf("%02x:%02x.0 %s\n", number / 32 % 256, number % 32, d->name);
		if (d->kind != KIND_PCI)
			number++;
		dump_bytes(d->description);
	}
}
