/* SPDX-License-Identifier: MIT */
/*
 * Configuration space. Which bits can be written, and who answers them, is the table's business
 * (pci/table.c); what a write sets off is that of the registers listed under "hooks" below.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

/* ---- masks from the table ---------------------------------------------------------------- */

static uint32_t field_mask(const struct vfio_pci_field *f)
{
	return (f->bits == 32 ? UINT32_MAX : (1u << f->bits) - 1) << f->lsb;
}

static void set_mask(uint8_t *bytes, uint32_t mask, unsigned int width)
{
	for (unsigned int i = 0; i < width; i++)
		bytes[i] |= mask >> (8 * i);
}

static void add_structure(struct config *c, uint16_t structure, uint8_t base, size_t length)
{
	const struct vfio_pci_structure *s = vfio_pci_find(structure);
	const struct vfio_pci_field *f = s ? s->fields : NULL;

	for (; f && f->width; f++) {
		uint8_t *at = NULL;

		if (!vfio_pci_applies(f, c->raw + base, length))
			continue;
		if (f->view == VFIO_PCI_VIRTUAL)
			set_mask(c->virt + base + f->reg, field_mask(f), f->width);
		if (f->access == VFIO_PCI_RW)
			at = c->write;
		else if (f->access == VFIO_PCI_RW1C)
			at = c->w1c;
		if (at)
			set_mask(at + base + f->reg, field_mask(f), f->width);
	}
}

/* Fill the masks for what the raw configuration space holds. */
void function_config_masks(struct vfio_function *fn)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	struct config *c = &fn->config;
	unsigned int n;

	add_structure(c, 0, 0, PCI_STD_HEADER_SIZEOF);
	n = vfio_pci_walk(c->raw, CONFIG_SIZE, caps, NULL);
	for (unsigned int i = 0; i < n; i++) {
		c->virt[caps[i].offset + PCI_CAP_LIST_NEXT] = 0xff;
		add_structure(c, caps[i].id, caps[i].offset, caps[i].length);
	}
	/* A decoder that the device lacks cannot be switched on. */
	if (!(c->raw[PCI_COMMAND] & PCI_COMMAND_IO))
		c->write[PCI_COMMAND] &= ~PCI_COMMAND_IO;
	if (!(c->raw[PCI_COMMAND] & PCI_COMMAND_MEMORY))
		c->write[PCI_COMMAND] &= ~PCI_COMMAND_MEMORY;
	memcpy(c->shadow, c->raw, CONFIG_SIZE);
}

/* ---- state that configuration space holds ------------------------------------------------ */

static uint8_t config_byte(const struct config *c, unsigned int at)
{
	return (c->shadow[at] & c->virt[at]) | (c->raw[at] & ~c->virt[at]);
}

uint16_t function_command(const struct vfio_function *fn)
{
	return config_byte(&fn->config, PCI_COMMAND) |
	       config_byte(&fn->config, PCI_COMMAND + 1) << 8;
}

bool function_decodes_memory(const struct vfio_function *fn)
{
	return (function_command(fn) & PCI_COMMAND_MEMORY) && fn->power_state == 0;
}

bool function_masters_bus(const struct vfio_function *fn)
{
	return (function_command(fn) & PCI_COMMAND_MASTER) && fn->power_state == 0;
}

/* ---- hooks: what a write sets off --------------------------------------------------------- */

static void command_written(struct vfio_function *fn, unsigned int reg)
{
	function_intx_disable_changed(fn, function_command(fn) & PCI_COMMAND_INTX_DISABLE);
}

/*
 * A BAR keeps the address bits that its size leaves, and shows its type: sizing works at any time.
 */
static void bar_written(struct vfio_function *fn, unsigned int reg)
{
	unsigned int i = (reg - PCI_BASE_ADDRESS_0) / 4;
	const struct vfio_bar_description *bar = &fn->description.bars[i];
	bool upper = i && (fn->description.bars[i - 1].flags & VFIO_BAR_MEM64) &&
		     fn->description.bars[i - 1].size;
	uint8_t *at = fn->config.shadow + reg;
	uint64_t mask = ~(bar->size - 1);
	uint32_t value = le32_get(at);

	if (upper)
		value &= ~(fn->description.bars[i - 1].size - 1) >> 32;
	else if (!bar->size)
		value = 0;
	else
		value = (value & mask) | (le32_get(fn->config.raw + reg) & 0xf);
	le32_put(at, value);
}

static void rom_written(struct vfio_function *fn, unsigned int reg)
{
	le32_put(fn->config.shadow + reg, 0);	/* no expansion ROM: reads zero (PCI 3.0, 6.2.5.2) */
}

/* D1 and D2 are optional and not offered: such a write changes nothing (PCI PM 1.2, 3.2.4). */
static void power_written(struct vfio_function *fn, unsigned int reg)
{
	uint8_t *at = fn->config.raw + reg;
	uint8_t state = *at & PCI_PM_CTRL_STATE_MASK;

	if (state == 0 || state == 3)
		fn->power_state = state;
	else
		*at = (*at & ~PCI_PM_CTRL_STATE_MASK) | fn->power_state;
}

/* MSI is enabled by SET_IRQS; then Enable may be toggled, and fewer vectors may be asked for. */
static void msi_written(struct vfio_function *fn, unsigned int reg)
{
	uint8_t *at = fn->config.shadow + reg;
	unsigned int multiple = (*at & PCI_MSI_FLAGS_QSIZE) >> 4;

	if (fn->irq.active != VFIO_PCI_MSI_IRQ_INDEX)
		*at &= ~PCI_MSI_FLAGS_ENABLE;
	if (multiple > fn->irq.msi_allowed)
		*at = (*at & ~PCI_MSI_FLAGS_QSIZE) | fn->irq.msi_allowed << 4;
}

static void run_hooks(struct vfio_function *fn, unsigned int start, unsigned int end)
{
	const struct {
		unsigned int reg, width, count;
		void (*written)(struct vfio_function *fn, unsigned int reg);
	} hooks[] = {
		{ PCI_COMMAND, 2, 1, command_written },
		{ PCI_BASE_ADDRESS_0, 4, NUM_BARS, bar_written },
		{ PCI_ROM_ADDRESS, 4, 1, rom_written },
		{ fn->layout.pm + PCI_PM_CTRL, 2, fn->layout.pm ? 1 : 0, power_written },
		{ fn->layout.msi + PCI_MSI_FLAGS, 2, fn->layout.msi ? 1 : 0, msi_written },
	};

	for (size_t h = 0; h < sizeof(hooks) / sizeof(hooks[0]); h++) {
		for (unsigned int i = 0; i < hooks[h].count; i++) {
			unsigned int reg = hooks[h].reg + i * hooks[h].width;

			if (start < reg + hooks[h].width && reg < end)
				hooks[h].written(fn, reg);
		}
	}
}

/* ---- access ------------------------------------------------------------------------------- */

static void write_byte(struct config *c, unsigned int at, uint8_t value)
{
	uint8_t virt = c->virt[at], write = c->write[at], clear = value & c->w1c[at];

	c->shadow[at] = (c->shadow[at] & ~(write & virt)) | (value & write & virt);
	c->raw[at] = (c->raw[at] & ~(write & ~virt)) | (value & write & ~virt);
	c->shadow[at] &= ~(clear & virt);
	c->raw[at] &= ~(clear & ~virt);
}

static ssize_t check_range(struct vfio_function *fn, uint64_t offset, size_t len, const char *verb)
{
	return contract_check_access(VFIO_PCI_CONFIG_REGION_INDEX, CONFIG_SIZE, offset, len, verb,
				     fn->err);
}

ssize_t function_config_read(struct vfio_function *fn, uint64_t offset, void *buf, size_t len)
{
	uint8_t *out = buf;
	ssize_t r = check_range(fn, offset, len, "read");

	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++)
		out[i] = config_byte(&fn->config, offset + i);
	return len;
}

/* Naturally aligned chunks of 4, 2 or 1 bytes, in ascending order, each with what it sets off. */
ssize_t function_config_write(struct vfio_function *fn, uint64_t offset, const void *buf, size_t len)
{
	const uint8_t *in = buf;
	ssize_t r = check_range(fn, offset, len, "write");

	if (r < 0)
		return r;
	for (size_t done = 0; done < len; ) {
		unsigned int at = offset + done;
		unsigned int width = natural_width(at, len - done, 4);

		for (unsigned int i = 0; i < width; i++)
			write_byte(&fn->config, at + i, in[done + i]);
		run_hooks(fn, at, at + width);
		done += width;
	}
	return len;
}
