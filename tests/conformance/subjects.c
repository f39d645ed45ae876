/* SPDX-License-Identifier: MIT */
#include "model.h"
#include "subjects.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vfio/pci.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- all that can be described ------------------------------------------------------------- */

#define STANDARD(number, data) \
	{ .id = (number), .length = sizeof(data), .bytes = (data) }
#define STANDARD_RW(number, data, mask) \
	{ .id = (number), .length = sizeof(data), .bytes = (data), .writable = (mask) }
#define EXTENDED(number, data) EXTENDED_RW(number, data, NULL)
#define EXTENDED_RW(number, data, mask) \
	{ .extended = true, .version = 1, .id = (number), .length = sizeof(data), \
	  .bytes = (data), .writable = (mask) }

static const uint8_t af[] = { 6, PCI_AF_CAP_TP | PCI_AF_CAP_FLR, 0, 0 };
static const uint8_t vendor[] = { 8, 0x11, 0x22, 0x33, 0x44, 0x55 };
static const uint8_t vendor_rw[] = { 0, 0, 0xff, 0xff, 0xff, 0xff };
static const uint8_t subsystem[] = { 0, 0, 0xf4, 0x1a, 0x01, 0x11 };
static const uint8_t serial[] = { 8, 7, 6, 5, 4, 3, 2, 1 };
static const uint8_t pasid[] = { 0x06, 0x14, 0, 0 };
static const uint8_t vsec[] = { 0xcd, 0xab, 0x01, 0x01, 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t vsec_rw[] = { 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 };
static const uint8_t ats[] = { 0x20, 0, 0, 0 };
static const uint8_t acs[] = { 0x4c, 0, 0, 0 };
static const uint8_t rebar[] = { 0xf0, 0x3f, 0, 0, 0x22, 0, 0, 0 };
static const uint8_t pri[12] = { 0, 0, 0, 0, 32 };
static const uint8_t sriov[0x3c] = {
	[0x08] = 4, [0x0a] = 4, [0x10] = 1, [0x12] = 1, [0x18] = 0x53, [0x19] = 5, [0x1c] = 1,
};
static const uint8_t ltr[4] = { 0 };

/* PASID, which a user is not shown, is in the middle; so is the subsystem's. */
static const struct vfio_capability_description full_capabilities[] = {
	STANDARD(PCI_CAP_ID_AF, af),
	STANDARD(PCI_CAP_ID_SSVID, subsystem),
	STANDARD_RW(PCI_CAP_ID_VNDR, vendor, vendor_rw),
	EXTENDED(PCI_EXT_CAP_ID_DSN, serial),
	EXTENDED(PCI_EXT_CAP_ID_PASID, pasid),
	EXTENDED_RW(PCI_EXT_CAP_ID_VNDR, vsec, vsec_rw),
	EXTENDED(PCI_EXT_CAP_ID_ATS, ats),
	EXTENDED(PCI_EXT_CAP_ID_ACS, acs),
	EXTENDED(PCI_EXT_CAP_ID_REBAR, rebar),
	EXTENDED(PCI_EXT_CAP_ID_PRI, pri),
	EXTENDED(PCI_EXT_CAP_ID_SRIOV, sriov),
	EXTENDED(PCI_EXT_CAP_ID_LTR, ltr),
};

static const struct vfio_area full_areas[] = { { 0x1000, 0x2000 } };
static const char full_vpd[] = "\x82\x04\0full\x90\0\0\x78";

/* An image of three times 512 bytes, so that its BAR has 2048. */
static const uint8_t full_rom[1536] = {
	0x55, 0xaa, 3, [0x18] = 0x1c,
	[0x1c] = 'P', 'C', 'I', 'R', 0x36, 0x1b, 0x10, 0, 0, 0, 0x18, 0, 0, 0, 0x80, 5, 3, 0, 1, 0,
	0, 0x80,
};

static const struct vfio_function_description full = {
	.size = sizeof(full),
	.name = "full",
	.vendor = 0x1b36,
	.device = 0x0010,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1101,
	.class_code = 0x058000,
	.interrupt_pin = 1,
	.msi_vectors = 32,
	.msi_mask = true,
	.msix_vectors = 64,
	.msix_bar = 0,
	.msix_table = 0x2000,
	.msix_pba = 0x3000,
	.power_management = true,
	.express = true,
	.bars = {
		[0] = { .size = 0x4000 },
		[2] = { .size = 0x10000, .flags = VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH,
			.nareas = LENGTH(full_areas), .areas = full_areas },
		[4] = { .size = 32, .flags = VFIO_BAR_IO },
	},
	.ncapabilities = LENGTH(full_capabilities),
	.capabilities = full_capabilities,
	.vpd = full_vpd,
	.vpd_size = sizeof(full_vpd),
	.rom = full_rom,
	.rom_size = sizeof(full_rom),
};

/* ---- the others that are described --------------------------------------------------------- */

static const struct vfio_function_description plain = {
	.size = sizeof(plain),
	.name = "plain",
	.vendor = 0x1234,
	.device = 0x11e8,
	.class_code = 0x00ff00,
	.interrupt_pin = 1,
	.msi_vectors = 1,
	.bars = { [0] = { .size = 0x100000 } },
};

/* BAR 2 is so large that its size has bits in the upper dword, too. */
static const struct vfio_function_description virtual_function = {
	.size = sizeof(virtual_function),
	.name = "vf",
	.vendor = 0x8086,
	.device = 0x1520,
	.class_code = 0x020000,
	.msix_vectors = 3,
	.msix_bar = 0,
	.msix_table = 0x2000,
	.msix_pba = 0x3000,
	.express = true,
	.virtual_function = true,
	.bars = {
		[0] = { .size = 0x4000, .flags = VFIO_BAR_MEM64 },
		[2] = { .size = 1ull << 33, .flags = VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH },
	},
};

static const struct vfio_function_description nothing = {
	.size = sizeof(nothing),
	.name = "nothing",
	.vendor = 0x1b36,
	.device = 0x0005,
	.class_code = 0x058000,
	.bars = { [0] = { .size = 0x1000 } },
};

/* A list of capabilities that is empty for a user. */
static const struct vfio_capability_description hidden_capability[] = {
	STANDARD(PCI_CAP_ID_SSVID, subsystem),
};

static const struct vfio_function_description unlisted = {
	.size = sizeof(unlisted),
	.name = "unlisted",
	.vendor = 0x1b36,
	.device = 0x0005,
	.class_code = 0x058000,
	.bars = { [0] = { .size = 0x1000 } },
	.ncapabilities = LENGTH(hidden_capability),
	.capabilities = hidden_capability,
};

/* ---- captures: what they do not tell ------------------------------------------------------- */

static const struct vfio_function_description e1000e = {
	.size = sizeof(e1000e),
	.name = "e1000e",
	.bars = {
		[0] = { .size = 0x20000 },
		[1] = { .size = 0x20000 },
		[2] = { .size = 32, .flags = VFIO_BAR_IO },
		[3] = { .size = 0x4000 },
	},
};

static const struct vfio_function_description nvme = {
	.size = sizeof(nvme),
	.name = "nvme",
	.bars = { [0] = { .size = 0x4000, .flags = VFIO_BAR_MEM64 } },
};

/* No signature: not an image. */
static const uint8_t virtio_rom[0x10000] = { 0x12, 0x34, 0x56 };

static const struct vfio_function_description virtio = {
	.size = sizeof(virtio),
	.name = "virtio",
	.bars = {
		[1] = { .size = 0x1000 },
		[4] = { .size = 0x4000, .flags = VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH },
	},
	.rom = virtio_rom,
	.rom_size = sizeof(virtio_rom),
};

static const struct vfio_function_description megasas = {
	.size = sizeof(megasas),
	.name = "megasas",
	.bars = {
		[0] = { .size = 0x4000, .flags = VFIO_BAR_MEM64 },
		[2] = { .size = 0x100, .flags = VFIO_BAR_IO },
		[3] = { .size = 0x40000, .flags = VFIO_BAR_MEM64 },
	},
};

static const struct vfio_function_description xhci = {
	.size = sizeof(xhci),
	.name = "xhci",
	.bars = { [0] = { .size = 0x4000, .flags = VFIO_BAR_MEM64 } },
};

const struct subject subjects[] = {
	{ .name = "full", .description = &full, .resets = true },
	{ .name = "plain", .description = &plain, .resets = true },
	{ .name = "vf", .description = &virtual_function, .resets = true },
	{ .name = "nothing", .description = &nothing },
	{ .name = "unlisted", .description = &unlisted },
	/* It has met all errors, and could wake the system. */
	{ .name = "e1000e", .description = &e1000e, .resets = true, .capture = "qemu-e1000e.txt",
	  .patches = { { PCI_STATUS + 1, 0xf9 }, { 0xcb, 0xf8 } } },
	/* Its first extended capability, ARI, becomes PASID, which is hidden. */
	{ .name = "nvme", .description = &nvme, .resets = true, .capture = "qemu-nvme-pf.txt",
	  .patches = { { 0x100, PCI_EXT_CAP_ID_PASID } } },
	/* Its only extended capability, ATS, becomes PASID. */
	{ .name = "virtio", .description = &virtio, .resets = true, .model_bar = 4,
	  .capture = "qemu-virtio-net-ats.txt", .patches = { { 0x100, PCI_EXT_CAP_ID_PASID } } },
	{ .name = "megasas", .description = &megasas, .resets = true,
	  .capture = "qemu-megasas.txt" },
	/* Its host has set a payload of 256 bytes. */
	{ .name = "xhci", .description = &xhci, .resets = true, .capture = "qemu-xhci.txt",
	  .patches = { { 0xa8, 0x20 } } },
	{ .name = NULL },
};

const struct subject *subject_find(const char *name)
{
	for (const struct subject *s = subjects; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

/* ---- making them --------------------------------------------------------------------------- */

static int read_capture(const char *name, struct vfio_pci_dump *dump)
{
	const char *source = getenv("VFIO_SOURCE");
	char path[512], text[32768];
	size_t len, at = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/data/pci/%s", source ? source : ".", name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	len = fread(text, 1, sizeof(text), f);
	fclose(f);
	return vfio_pci_dump_next(text, len, &at, dump, NULL) == 1 ? 0 : -EINVAL;
}

static int capture_of(const struct subject *s, struct vfio_pci_dump *dump)
{
	int r = read_capture(s->capture, dump);

	for (size_t i = 0; r == 0 && i < SUBJECT_PATCHES && s->patches[i].at; i++)
		dump->config[s->patches[i].at] = s->patches[i].value;
	return r;
}

int subject_new(const struct subject *s, struct vfio_function **fn, struct vfio_error *err)
{
	struct vfio_function_description description = *s->description;
	struct vfio_pci_dump dump;

	if (s->capture) {
		int r = capture_of(s, &dump);

		if (r < 0)
			return r;
		description.config = dump.config;
		description.config_size = dump.length;
	}
	return model_new(fn, &description, s->model_bar, s->resets, err);
}

/* A second function of the kind, which an administrator has opened up. */
static int look_behind(const struct subject *s, uint8_t *config)
{
	struct vfio_region region;
	struct vfio_function *fn;
	struct vfio_dev *dev;
	int r = subject_new(s, &fn, NULL);

	if (r < 0)
		return r;
	r = vfio_function_open(&dev, fn, NULL);
	if (r < 0) {
		vfio_function_free(fn);
		return r;
	}
	r = vfio_policy_set(dev, "view", "filtered");
	if (r == 0)
		r = vfio_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &region);
	if (r == 0)
		r = vfio_pread(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, config, region.size);
	vfio_close(dev);
	return r;
}

int subject_config(const struct subject *s, uint8_t *config)
{
	struct vfio_pci_dump dump;
	int r;

	if (!s->capture)
		return look_behind(s, config);
	r = capture_of(s, &dump);
	if (r < 0)
		return r;
	memcpy(config, dump.config, dump.length);
	return dump.length;
}
