/* SPDX-License-Identifier: MIT */
#include "fake_hardware.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "base/bits.h"

#define KEPT (sizeof(((struct fake_hardware *)0)->writes) / sizeof(struct fake_write))

uint32_t fake_get(const struct fake_hardware *h, unsigned int offset, unsigned int width)
{
	return le_get(h->bytes + offset, width);
}

void fake_put(struct fake_hardware *h, unsigned int offset, unsigned int width, uint32_t value)
{
	le_put(h->bytes + offset, width, value);
}

bool fake_was_written(const struct fake_hardware *h, unsigned int since, unsigned int offset)
{
	for (unsigned int i = since; i < h->nwrites; i++) {
		const struct fake_write *w = &h->writes[i % KEPT];

		if (offset >= w->offset && offset < w->offset + w->width)
			return true;
	}
	return false;
}

/* What a reset leaves: of the header the addresses and Command, of PCI Express its Control. */
static void lose(struct fake_hardware *h)
{
	memset(h->bytes + PCI_COMMAND, 0, 2);
	fake_put(h, PCI_BASE_ADDRESS_0, 4, 0);
	fake_put(h, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2, 0);
}

static void moved(struct fake_hardware *h, unsigned int from)
{
	uint16_t control = fake_get(h, FAKE_PM + PCI_PM_CTRL, 2);

	/* It has no D1, but shows what was written, as QEMU's devices do. */
	if (from == 3 && !(control & (PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_NO_SOFT_RESET)))
		lose(h);
}

static void vital(struct fake_hardware *h)
{
	uint16_t word = fake_get(h, FAKE_VPD + PCI_VPD_ADDR, 2);
	uint8_t *at = h->vital + (word & PCI_VPD_ADDR_MASK) % sizeof(h->vital);

	if (h->mute || word & 3)
		return;
	if (word & PCI_VPD_ADDR_F)
		memcpy(at, h->bytes + FAKE_VPD + PCI_VPD_DATA, 4);
	else
		memcpy(h->bytes + FAKE_VPD + PCI_VPD_DATA, at, 4);
	fake_put(h, FAKE_VPD + PCI_VPD_ADDR, 2, word ^ PCI_VPD_ADDR_F);
}

static uint32_t fake_read(struct vfio_function *fn, unsigned int offset, unsigned int width)
{
	struct fake_hardware *h = vfio_function_state(fn);

	h->reads++;
	return h->gone ? UINT32_MAX : fake_get(h, offset, width);
}

static void fake_write(struct vfio_function *fn, unsigned int offset, unsigned int width,
		       uint32_t value)
{
	struct fake_hardware *h = vfio_function_state(fn);
	unsigned int from = h->bytes[FAKE_PM + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK;

	h->writes[h->nwrites++ % KEPT] = (struct fake_write){ offset, width, value };
	for (unsigned int i = offset; i < offset + width && !h->gone; i++, value >>= 8) {
		h->bytes[i] = (h->bytes[i] & ~h->write[i]) | (value & h->write[i]);
		h->bytes[i] &= ~(value & h->clear[i]);
	}
	if (offset <= FAKE_PM + PCI_PM_CTRL && offset + width > FAKE_PM + PCI_PM_CTRL)
		moved(h, from);
	if (offset <= FAKE_VPD + PCI_VPD_ADDR + 1 && offset + width > FAKE_VPD + PCI_VPD_ADDR + 1)
		vital(h);
}

/* As the kernel's: the registers are afterwards what they were. */
static int fake_reset(struct vfio_function *fn)
{
	((struct fake_hardware *)vfio_function_state(fn))->resets++;
	return 0;
}

static uint8_t *capability(struct fake_hardware *h, unsigned int at, uint8_t id, uint8_t next)
{
	h->bytes[at] = id;
	h->bytes[at + 1] = next;
	return h->bytes + at;
}

static void make_capabilities(struct fake_hardware *h)
{
	uint8_t *cap = capability(h, FAKE_PM, PCI_CAP_ID_PM, FAKE_MSI);

	le16_put(cap + PCI_PM_PMC, 0x0003 | PCI_PM_CAP_D2 | PCI_PM_CAP_PME_D0);
	le16_put(cap + PCI_PM_CTRL, PCI_PM_CTRL_PME_STATUS | PCI_PM_CTRL_PME_ENABLE);
	cap = capability(h, FAKE_MSI, PCI_CAP_ID_MSI, FAKE_MSIX);
	le16_put(cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 2 << 1 |
		 PCI_MSI_FLAGS_ENABLE);
	cap = capability(h, FAKE_MSIX, PCI_CAP_ID_MSIX, FAKE_EXPRESS);
	le16_put(cap + PCI_MSIX_FLAGS, 7 | PCI_MSIX_FLAGS_MASKALL);
	le32_put(cap + PCI_MSIX_TABLE, 0x2000);
	le32_put(cap + PCI_MSIX_PBA, 0x3000);
	cap = capability(h, FAKE_EXPRESS, PCI_CAP_ID_EXP, FAKE_VPD);
	le16_put(cap + PCI_EXP_FLAGS, 2);
	le32_put(cap + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_FLR);
	le16_put(cap + PCI_EXP_DEVCTL, 0x2810 | 1 << 5);	/* payload 256, reads of 512 */
	le16_put(cap + PCI_EXP_DEVSTA, PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_URD);
	capability(h, FAKE_VPD, PCI_CAP_ID_VPD, FAKE_HIDDEN);
	capability(h, FAKE_HIDDEN, PCI_CAP_ID_SECDEV, FAKE_VENDOR);
	cap = capability(h, FAKE_VENDOR, PCI_CAP_ID_VNDR, 0);
	cap[PCI_CAP_FLAGS] = 16;
	le32_put(h->bytes + FAKE_AER, PCI_EXT_CAP_ID_ERR | 2 << 16);
}

static void make_masks(struct fake_hardware *h)
{
	le16_put(h->write + PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		 PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	le16_put(h->clear + PCI_STATUS, 0xf900);
	h->write[PCI_INTERRUPT_LINE] = 0xff;
	le32_put(h->write + PCI_BASE_ADDRESS_0, 0xffffc000);
	h->write[FAKE_PM + PCI_PM_CTRL] = PCI_PM_CTRL_STATE_MASK;
	le16_put(h->write + FAKE_PM + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE);
	le16_put(h->clear + FAKE_PM + PCI_PM_CTRL, PCI_PM_CTRL_PME_STATUS);
	h->write[FAKE_MSI + PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE;
	memset(h->write + FAKE_MSI + PCI_MSI_ADDRESS_LO, 0xff, 10);
	h->write[FAKE_MSI + PCI_MSI_MASK_64] = 0xf;
	h->write[FAKE_MSIX + PCI_MSIX_FLAGS + 1] = 0xc0;
	le16_put(h->write + FAKE_EXPRESS + PCI_EXP_DEVCTL, 0x7fff);
	le16_put(h->clear + FAKE_EXPRESS + PCI_EXP_DEVSTA, 0x000f);
	memset(h->write + FAKE_VPD + PCI_VPD_ADDR, 0xff, 6);
	memset(h->write + FAKE_HIDDEN + 4, 0xff, 4);
	memset(h->write + FAKE_VENDOR + 4, 0x0f, 8);
	h->write[0xf4] = 0x3c;			/* in a gap */
	le32_put(h->clear + FAKE_AER + PCI_ERR_UNCOR_STATUS, 0x03fff031);
	le32_put(h->write + FAKE_AER + PCI_ERR_UNCOR_MASK, 0x03fff031);
}

void fake_init(struct fake_hardware *h)
{
	memset(h, 0, sizeof(*h));
	le16_put(h->bytes + PCI_VENDOR_ID, 0x1af4);
	le16_put(h->bytes + PCI_DEVICE_ID, 0x1100);
	le16_put(h->bytes + PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	le16_put(h->bytes + PCI_STATUS, PCI_STATUS_CAP_LIST | PCI_STATUS_REC_MASTER_ABORT);
	fake_put(h, PCI_BASE_ADDRESS_0, 4, 0xfebf0000);
	h->bytes[PCI_CAPABILITY_LIST] = FAKE_PM;
	h->bytes[PCI_INTERRUPT_PIN] = 1;
	make_capabilities(h);
	make_masks(h);
	for (unsigned int i = 0; i < sizeof(h->vital); i++)
		h->vital[i] = 0x80 + i;
	h->vital[0] = 0x82;		/* a name of 60 bytes, and the end */
	h->vital[1] = 60;
	h->vital[2] = 0;
	h->vital[63] = 0x78;
}

const struct vfio_function_description fake_description = {
	.size = sizeof(fake_description), .name = "fake", .bars[0].size = 0x4000,
};

const struct vfio_function_ops fake_ops = {
	.size = sizeof(fake_ops), .reset = fake_reset,
	.config_read = fake_read, .config_write = fake_write,
};

int fake_function(struct vfio_function **fn, struct fake_hardware *h, struct vfio_error *err)
{
	struct vfio_function_description d = fake_description;
	uint8_t dump[4096];

	memcpy(dump, h->bytes, sizeof(dump));
	d.config = dump;
	d.config_size = sizeof(dump);
	return vfio_function_new(fn, &d, &fake_ops, h, err);
}
