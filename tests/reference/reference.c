/* SPDX-License-Identifier: MIT */
#include "reference.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "interrupts.h"

uint32_t reference_get(const uint8_t *at, unsigned int width)
{
	uint32_t v = 0;

	while (width--)
		v = v << 8 | at[width];
	return v;
}

static void put(uint8_t *at, unsigned int width, uint32_t v)
{
	for (unsigned int i = 0; i < width; i++)
		at[i] = v >> 8 * i;
}

bool reference_command(const struct reference *r, uint16_t bit)
{
	return reference_get(r->config + PCI_COMMAND, 2) & bit;
}

/* ---- what can be written ------------------------------------------------------------------ */

static void allow(struct reference *r, unsigned int at, unsigned int width, uint32_t bits)
{
	put(r->writable + at, width, bits);
}

/* A2.2: the list begins at 0x34. */
static unsigned int find(const struct reference *r, uint8_t id)
{
	unsigned int at = r->power_on[PCI_CAPABILITY_LIST];

	while (at && r->power_on[at] != id)
		at = r->power_on[at + 1];
	return at;
}

/* A3, and A4: sizing shows that the address bits below the size of a BAR are not there. */
static void allow_header(struct reference *r)
{
	allow(r, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
	      PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	allow(r, PCI_CACHE_LINE_SIZE, 1, 0xff);
	allow(r, PCI_LATENCY_TIMER, 1, 0xff);
	allow(r, PCI_BASE_ADDRESS_0 + 4 * DEVICE_MEMORY, 4, ~(DEVICE_MEMORY_SIZE - 1));
	allow(r, PCI_BASE_ADDRESS_0 + 4 * DEVICE_WIDE, 4, ~(DEVICE_WIDE_SIZE - 1));
	allow(r, PCI_BASE_ADDRESS_0 + 4 * DEVICE_WIDE + 4, 4, ~0u);
	allow(r, PCI_BASE_ADDRESS_0 + 4 * DEVICE_PORTS, 4, ~(DEVICE_PORTS_SIZE - 1));
	allow(r, PCI_INTERRUPT_LINE, 1, 0xff);
}

/* What has an effect of its own is in write_byte(): power state, MSI Enable, FLR. */
static void allow_capabilities(struct reference *r)
{
	r->pm_at = find(r, PCI_CAP_ID_PM);
	r->vpd_at = find(r, PCI_CAP_ID_VPD);
	r->msi_at = find(r, PCI_CAP_ID_MSI);
	r->msix_at = find(r, PCI_CAP_ID_MSIX);
	r->express_at = find(r, PCI_CAP_ID_EXP);
	r->af_at = find(r, PCI_CAP_ID_AF);
	r->vendor_at = find(r, PCI_CAP_ID_VNDR);
	r->hidden_at = r->vendor_at - 4;
	allow(r, r->vpd_at + PCI_VPD_ADDR, 2, 0xffff);			/* A7.2 */
	allow(r, r->vpd_at + PCI_VPD_DATA, 4, ~0u);
	allow(r, r->msi_at + PCI_MSI_ADDRESS_LO, 4, ~0u);		/* A7.3 */
	allow(r, r->msi_at + PCI_MSI_ADDRESS_HI, 4, ~0u);
	allow(r, r->msi_at + PCI_MSI_DATA_64, 2, 0xffff);
	allow(r, r->msi_at + MSI_MASKS, 4, ~0u);
	allow(r, r->express_at + PCI_EXP_DEVCTL, 2, 0x7dff);		/* A7.5 */
	allow(r, r->express_at + PCI_EXP_DEVCTL2, 2, 0xffdf);
	allow(r, r->hidden_at + 3, 1, 0xff);				/* A2.2: out of the list */
	memcpy(r->writable + r->vendor_at + 2, device_vendor_writable,	/* A6, 09: all bytes */
	       sizeof(device_vendor_writable));
}

/* A8.1. Of this device it is the first. */
static void allow_errors(struct reference *r)
{
	allow(r, 0x100 + PCI_ERR_UNCOR_MASK, 4, 0x03fff031);
	allow(r, 0x100 + PCI_ERR_UNCOR_SEVER, 4, 0x03fff031);
	allow(r, 0x100 + PCI_ERR_COR_MASK, 4, 0x0000f1c1);
	allow(r, 0x100 + PCI_ERR_CAP, 4, 0x00000140);
}

/* PCI 3.0, 6.2.3; PCIe 5.0, 7.5.3.5, 7.5.3.8, 7.8.4.2 and 7.8.4.5. */
static void mark_cleared(struct reference *r)
{
	put(r->cleared + PCI_STATUS, 2, 0xf900);
	put(r->cleared + r->express_at + PCI_EXP_DEVSTA, 2, 0x004f);
	put(r->cleared + r->express_at + PCI_EXP_LNKSTA, 2, 0xc000);
	put(r->cleared + 0x100 + PCI_ERR_UNCOR_STATUS, 4, 0xfffff031);
	put(r->cleared + 0x100 + PCI_ERR_COR_STATUS, 4, 0x0000f1c1);
}

/* ---- configuration space ------------------------------------------------------------------ */

static void forget_interrupts(struct reference *r)
{
	r->level = false;
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++)
		r->vectors[v].pending = false;
}

/*
 * A9, C6: configuration, eventfds and masks stay; the device is in D0. Ours: nothing is pending. If
 * it fails, what was raised is raised.
 */
int reference_reset(struct reference *r)
{
	r->config[r->pm_at + PCI_PM_CTRL] &= ~PCI_PM_CTRL_STATE_MASK;
	r->last_reset = r->failing ? -EIO : 0;
	r->failing = false;
	if (!r->last_reset) {
		forget_interrupts(r);
		r->resets++;
	}
	reference_settle(r);
	return r->last_reset;
}

/*
 * A5.3: what the device keeps itself is gone, what the virtual function keeps is not. BARs are
 * virtual, so that there is nothing to see of how they come back.
 */
void reference_backdoor_reset(struct reference *r)
{
	r->config[r->pm_at + PCI_PM_CTRL] &= ~PCI_PM_CTRL_STATE_MASK;
	r->config[PCI_COMMAND] = 0;
	r->config[PCI_COMMAND + 1] &= PCI_COMMAND_INTX_DISABLE >> 8;
}

/* A7.1: D0 and D3hot; of the others nothing comes. Without NoSoftRst a way back is a reset. */
static void set_power(struct reference *r, uint8_t *control, uint8_t state)
{
	uint8_t old = *control & PCI_PM_CTRL_STATE_MASK;

	if (state != 0 && state != 3)
		return;
	*control = (*control & ~PCI_PM_CTRL_STATE_MASK) | state;
	if (old == 3 && state == 0 && !(*control & PCI_PM_CTRL_NO_SOFT_RESET))
		reference_reset(r);
}

/* A7.2: the flag F says which way; it flips when that was done, at once. */
static void access_vpd(struct reference *r)
{
	uint8_t *at = r->config + r->vpd_at;
	unsigned int address = reference_get(at + PCI_VPD_ADDR, 2) & PCI_VPD_ADDR_MASK;
	bool write = at[PCI_VPD_ADDR + 1] & PCI_VPD_ADDR_F >> 8;

	if (write && (address % 4 || address >= DEVICE_VPD_SIZE))
		return;
	at[PCI_VPD_ADDR + 1] ^= PCI_VPD_ADDR_F >> 8;
	if (write)
		memcpy(r->vpd + address, at + PCI_VPD_DATA, 4);
	for (unsigned int i = 0; !write && i < 4; i++)
		at[PCI_VPD_DATA + i] = address + i < DEVICE_VPD_SIZE ? r->vpd[address + i] : 0;
}

/* A7.3: Enable only while SET_IRQS has enabled MSI, and no more messages than it did. */
static void write_msi_control(struct reference *r, uint8_t *control, uint8_t value)
{
	unsigned int messages = (value & PCI_MSI_FLAGS_QSIZE) >> 4;
	bool enable = r->active == VFIO_PCI_MSI_IRQ_INDEX && (value & PCI_MSI_FLAGS_ENABLE);

	if (messages > r->allowed)
		messages = r->allowed;
	*control &= ~(PCI_MSI_FLAGS_QSIZE | PCI_MSI_FLAGS_ENABLE);
	*control |= messages << 4 | (enable ? PCI_MSI_FLAGS_ENABLE : 0);
}

/* A5, C3: INTx Disable masks when it is set and unmasks when it is cleared, and not between. */
static void follow_intx_disable(struct reference *r, bool was)
{
	bool is = reference_command(r, PCI_COMMAND_INTX_DISABLE);

	if (r->active == VFIO_PCI_INTX_IRQ_INDEX && is != was)
		r->masked = is;
}

/* A7.5, A7.6: neither bit keeps what is written. */
static bool asks_for_reset(const struct reference *r, unsigned int at, uint8_t value)
{
	if (at == r->express_at + PCI_EXP_DEVCTL + 1)
		return value & PCI_EXP_DEVCTL_BCR_FLR >> 8;
	return at == r->af_at + PCI_AF_CTRL && value & PCI_AF_CTRL_FLR;
}

/*
 * Every effect of a write hangs on one byte, and so it does not matter in which pieces it comes
 * (A1.2, A1.9).
 */
static void write_byte(struct reference *r, unsigned int at, uint8_t value)
{
	uint8_t *byte = r->config + at;
	bool was_disabled = reference_command(r, PCI_COMMAND_INTX_DISABLE);

	r->changing |= (value ^ *byte) & ~r->cleared[at];
	*byte = (*byte & ~r->writable[at]) | (value & r->writable[at]);
	if (at == PCI_COMMAND + 1)
		follow_intx_disable(r, was_disabled);
	else if (at == r->pm_at + PCI_PM_CTRL)
		set_power(r, byte, value & PCI_PM_CTRL_STATE_MASK);
	else if (at == r->vpd_at + PCI_VPD_ADDR + 1)
		access_vpd(r);
	else if (at == r->msi_at + MSI_CONTROL)
		write_msi_control(r, byte, value);
	else if (asks_for_reset(r, at, value))
		reference_reset(r);
	reference_settle(r);
}

/* A1.1. */
static bool outside(uint64_t offset, size_t len)
{
	return offset >= DEVICE_CONFIG_SIZE || len > DEVICE_CONFIG_SIZE - offset;
}

ssize_t reference_read(const struct reference *r, uint64_t offset, void *buf, size_t len)
{
	if (len == 0)
		return 0;
	if (outside(offset, len))
		return -EFAULT;
	memcpy(buf, r->config + offset, len);
	return len;
}

ssize_t reference_write(struct reference *r, uint64_t offset, const void *buf, size_t len)
{
	if (len == 0)
		return 0;
	if (outside(offset, len))
		return -EFAULT;
	r->changing = false;
	for (size_t i = 0; i < len; i++)
		write_byte(r, offset + i, ((const uint8_t *)buf)[i]);
	return len;
}

/* A5, A7.1. */
bool reference_memory(const struct reference *r)
{
	return reference_command(r, PCI_COMMAND_MEMORY) &&
	       !(r->config[r->pm_at + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK);
}

/* ---- life --------------------------------------------------------------------------------- */

/* A9, C6: a new user finds the device as at power-on. */
void reference_recycle(struct reference *r)
{
	reference_tear_down(r);
	memcpy(r->config, r->power_on, sizeof(r->config));
	memcpy(r->vpd, device_vpd, sizeof(r->vpd));
	r->error = r->request = NO_EVENT;
	r->allowed = 0;
	reference_reset(r);
}

void reference_init(struct reference *r, const uint8_t *power_on, const int *fds,
		    unsigned int nevents)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->power_on, power_on, sizeof(r->power_on));
	r->fds = fds;
	r->nevents = nevents;
	r->granted = DEVICE_VECTORS;
	allow_header(r);
	allow_capabilities(r);
	allow_errors(r);
	mark_cleared(r);
	reference_recycle(r);
	r->resets = 0;
}
