/* SPDX-License-Identifier: MIT */
/*
 * What a write to configuration space sets off, after it was done. A hook finds the bits as they
 * were written, and leaves what they come to.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

/* ---- Command ------------------------------------------------------------------------------ */

#define DECODERS (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)

/*
 * Before a write of the Command register: has the device been reset behind our back? The user has
 * a decoder on that the device has not, or its BARs are not what they were. Then they are put back.
 */
void function_before_command(struct vfio_function *fn, uint8_t value)
{
	const unsigned int bars = PCI_BASE_ADDRESS_0, length = PCI_CARDBUS_CIS - PCI_BASE_ADDRESS_0;
	struct registers *r = &fn->registers;
	uint8_t off;
	bool lost;

	hardware_refresh(fn, PCI_COMMAND, bars + length - PCI_COMMAND);
	off = ~r->value[PCI_COMMAND] & r->write[PCI_COMMAND] & DECODERS;
	lost = (value & fn->remembered & off) ||
	       memcmp(r->value + bars, r->power_on + bars, length) != 0;
	fn->remembered = value & DECODERS;
	if (lost && !fn->description.virtual_function) {
		if (function_is_real(fn))
			hardware_restore(fn, r->power_on, bars, PCI_ROM_ADDRESS + 4);
		memcpy(r->value + bars, r->power_on + bars, length);
		memcpy(r->value + PCI_ROM_ADDRESS, r->power_on + PCI_ROM_ADDRESS, 4);
		side_note(fn, 0, VFIO_E_RESTORED, VFIO_BY_FUNCTION, NULL,
			  "the device had lost its BARs by a reset of its own; they are restored");
	}
}

static void command_written(struct vfio_function *fn, unsigned int reg)
{
	function_intx_disable_changed(fn, function_command(fn) & PCI_COMMAND_INTX_DISABLE);
	function_gate_dma(fn);
	vectors_deliver(fn);
}

/* ---- BARs --------------------------------------------------------------------------------- */

static bool is_upper_half(const struct vfio_function *fn, unsigned int i)
{
	return i && (fn->description.bars[i - 1].flags & VFIO_BAR_MEM64);
}

/* The ROM's enable bit is the user's, and has no effect: PCI 3.0, 6.2.5.2. */
uint32_t function_bar_mask(const struct vfio_function *fn, unsigned int reg)
{
	const struct vfio_bar_description *bars = fn->description.bars;
	unsigned int i = (reg - PCI_BASE_ADDRESS_0) / 4;

	if (reg == PCI_ROM_ADDRESS)
		return fn->rom_size ? ~(fn->rom_size - 1) | PCI_ROM_ADDRESS_ENABLE : 0;
	if (is_upper_half(fn, i))
		return ~(bars[i - 1].size - 1) >> 32;
	return bars[i].size ? ~(bars[i].size - 1) : 0;
}

/*
 * A BAR keeps the address bits that its size leaves, and shows its type: sizing works at any time.
 */
static void bar_written(struct vfio_function *fn, unsigned int reg)
{
	unsigned int i = (reg - PCI_BASE_ADDRESS_0) / 4;
	uint8_t *at = fn->view.shadow + reg;
	uint32_t old = le32_get(at), value = old & function_bar_mask(fn, reg);

	if (fn->description.bars[i].size)
		value |= le32_get(fn->view.power_on + reg) & 0xf;
	side_undo(fn, reg, value ^ old);
	le32_put(at, value);
}

static void rom_written(struct vfio_function *fn, unsigned int reg)
{
	uint8_t *at = fn->view.shadow + reg;
	uint32_t old = le32_get(at), value = old & function_bar_mask(fn, reg);

	side_undo(fn, reg, value ^ old);
	le32_put(at, value);
}

void function_size_bars(struct vfio_function *fn)
{
	for (unsigned int i = 0; i < NUM_BARS; i++)
		bar_written(fn, PCI_BASE_ADDRESS_0 + 4 * i);
	rom_written(fn, PCI_ROM_ADDRESS);
}

/* ---- power -------------------------------------------------------------------------------- */

/* D1 and D2 are optional, and there is no way back from deeper states but to D0. */
static bool can_go(uint16_t pmc, unsigned int from, unsigned int to)
{
	if (to && to < from)
		return false;
	if (to == 1)
		return pmc & PCI_PM_CAP_D1;
	if (to == 2)
		return pmc & PCI_PM_CAP_D2;
	return true;
}

bool function_can_go(struct vfio_function *fn, unsigned int cap, unsigned int from, unsigned int to)
{
	if (can_go(le16_get(fn->registers.value + cap + PCI_PM_PMC), from, to))
		return true;
	side_note(fn, EINVAL, VFIO_E_POWER, VFIO_BY_FUNCTION,
		  "PMC, in the power management capability, says which there are",
		  "a write asked for power state D%u, which the device lacks, or cannot reach from "
		  "D%u", to, from);
	return false;
}

/* A write that asks for what cannot be changes nothing (PCI PM 1.2, 3.2.4). */
static void power_written(struct vfio_function *fn, unsigned int reg)
{
	uint8_t *at = fn->registers.value + reg;
	uint8_t state = *at & PCI_PM_CTRL_STATE_MASK, was = fn->power_state;
	bool real = function_is_real(fn);	/* then that is where it went, and nothing is lost */

	if (!real && !function_can_go(fn, fn->layout.pm, was, state)) {
		*at = (*at & ~PCI_PM_CTRL_STATE_MASK) | was;
		side_undo(fn, reg, PCI_PM_CTRL_STATE_MASK);
		return;
	}
	fn->power_state = state;
	function_gate_dma(fn);
	/* Registers that are lost on the way to D0 are restored, so that only the model sees it. */
	if (!real && was == 3 && state == 0 && !(*at & PCI_PM_CTRL_NO_SOFT_RESET))
		function_reset_model(fn);
	vectors_deliver(fn);
}

/* ---- MSI ---------------------------------------------------------------------------------- */

/* MSI is enabled by SET_IRQS; then Enable may be toggled, and fewer vectors may be asked for. */
static void msi_written(struct vfio_function *fn, unsigned int reg)
{
	uint8_t *at = fn->view.shadow + reg, *own = fn->registers.value + reg;
	unsigned int multiple = (*at & PCI_MSI_FLAGS_QSIZE) >> 4;

	if (fn->irq.active != VFIO_PCI_MSI_IRQ_INDEX && (*at & PCI_MSI_FLAGS_ENABLE)) {
		*at &= ~PCI_MSI_FLAGS_ENABLE;
		side_undo(fn, reg, PCI_MSI_FLAGS_ENABLE);
		side_note(fn, EINVAL, VFIO_E_IRQ_STATE, VFIO_BY_FUNCTION,
			  "vfio_irq_enable() does it, or VFIO_DEVICE_SET_IRQS",
			  "a write asked for MSI to be enabled, which no vector is set up for");
	}
	if (multiple > fn->irq.msi_allowed) {
		*at = (*at & ~PCI_MSI_FLAGS_QSIZE) | fn->irq.msi_allowed << 4;
		side_undo(fn, reg, PCI_MSI_FLAGS_QSIZE);
		side_note(fn, EINVAL, VFIO_E_IRQ_STATE, VFIO_BY_FUNCTION,
			  "enable more with vfio_irq_enable(), or VFIO_DEVICE_SET_IRQS",
			  "a write asked for %u MSI vectors, and %u are set up", 1u << multiple,
			  1u << fn->irq.msi_allowed);
	}
	*own = (*own & ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE)) |
	       (*at & (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE));
	vectors_deliver(fn);
}

static void msi_mask_written(struct vfio_function *fn, unsigned int reg)
{
	vectors_deliver(fn);
}

/* ---- PCI Express and Advanced Features ---------------------------------------------------- */

static void reset_asked(struct vfio_function *fn, bool offered, unsigned int reg, uint32_t bit,
			const char *name)
{
	if (offered) {
		function_reset_model(fn);
		return;
	}
	side_undo(fn, reg, bit);
	side_note(fn, EINVAL, VFIO_E_RESET, VFIO_BY_FUNCTION,
		  "vfio_reset_probe() says how the device can be reset",
		  "a write asked for a reset by %s, which the device lacks", name);
}

/* The device is never asked for more than the host has set its payload to; 6 and 7 mean nothing. */
static void copy_read_request(struct vfio_function *fn)
{
	const unsigned int at = fn->layout.express + PCI_EXP_DEVCTL;
	const uint8_t *own = fn->registers.value + at;
	uint16_t user = le16_get(fn->view.shadow + fn->layout.express + PCI_EXP_DEVCTL);
	unsigned int size = (user & PCI_EXP_DEVCTL_READRQ) >> 12, payload;

	if (size > 5)
		return;
	hardware_refresh(fn, at, 2);
	payload = (le16_get(own) & PCI_EXP_DEVCTL_PAYLOAD) >> 5;
	if (size < payload)
		size = payload;
	registers_put(fn, at, 2, size << 12, PCI_EXP_DEVCTL_READRQ);
}

static void express_written(struct vfio_function *fn, unsigned int reg)
{
	uint8_t *at = fn->view.shadow + reg;
	const uint8_t *cap = fn->registers.value + fn->layout.express;
	uint16_t control = le16_get(at);

	if (side_changed(fn, reg) & PCI_EXP_DEVCTL_READRQ)
		copy_read_request(fn);
	if (!(control & PCI_EXP_DEVCTL_BCR_FLR))
		return;
	le16_put(at, control & ~PCI_EXP_DEVCTL_BCR_FLR);
	reset_asked(fn, le32_get(cap + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR, reg,
		    PCI_EXP_DEVCTL_BCR_FLR, "PCI Express");
}

static void af_written(struct vfio_function *fn, unsigned int reg)
{
	const uint8_t both = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
	uint8_t *at = fn->view.shadow + reg;

	if (!(*at & PCI_AF_CTRL_FLR))
		return;
	*at &= ~PCI_AF_CTRL_FLR;
	reset_asked(fn, (fn->registers.value[fn->layout.af + PCI_AF_CAP] & both) == both, reg,
		    PCI_AF_CTRL_FLR, "Advanced Features");
}

/* ---- which register has which hook -------------------------------------------------------- */

static unsigned int msi_mask_at(const struct vfio_function *fn)
{
	uint16_t control = le16_get(fn->registers.value + fn->layout.msi + PCI_MSI_FLAGS);

	return fn->layout.msi + (control & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
}

static bool has_msi_mask(const struct vfio_function *fn)
{
	return fn->layout.msi &&
	       (le16_get(fn->registers.value + fn->layout.msi + PCI_MSI_FLAGS) & PCI_MSI_FLAGS_MASKBIT);
}

static void add(struct vfio_function *fn, unsigned int reg, unsigned int width, uint32_t bits,
		void (*written)(struct vfio_function *fn, unsigned int reg))
{
	struct view *v = &fn->view;

	v->hooks[v->nhooks++] = (struct hook){ reg, width, bits, written };
	for (unsigned int i = 0; i < width; i++)
		v->trapped[reg + i] |= bits >> (8 * i);
}

void function_add_hooks(struct vfio_function *fn)
{
	const struct layout *l = &fn->layout;

	add(fn, PCI_COMMAND, 2, DECODERS | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE,
	    command_written);
	for (unsigned int i = 0; i < NUM_BARS; i++)
		add(fn, PCI_BASE_ADDRESS_0 + 4 * i, 4, UINT32_MAX, bar_written);
	add(fn, PCI_ROM_ADDRESS, 4, UINT32_MAX, rom_written);
	if (l->pm)
		add(fn, l->pm + PCI_PM_CTRL, 1, PCI_PM_CTRL_STATE_MASK, power_written);
	if (l->msi)
		add(fn, l->msi + PCI_MSI_FLAGS, 1, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE,
		    msi_written);
	if (has_msi_mask(fn))
		add(fn, msi_mask_at(fn), 4, UINT32_MAX, msi_mask_written);
	if (l->express)
		add(fn, l->express + PCI_EXP_DEVCTL, 2,
		    PCI_EXP_DEVCTL_READRQ | PCI_EXP_DEVCTL_BCR_FLR, express_written);
	if (l->af)
		add(fn, l->af + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR, af_written);
	if (l->vpd)
		add(fn, l->vpd + PCI_VPD_ADDR + 1, 1, PCI_VPD_ADDR_F >> 8, function_vpd_written);
}

/* Do [start, end) and the register have a byte in common that sets something off? */
static bool is_touched(const struct view *v, const struct hook *h, unsigned int start,
		       unsigned int end)
{
	if (h->reg >= end || start >= h->reg + h->width)
		return false;
	for (unsigned int at = h->reg; at < h->reg + h->width; at++)
		if (at >= start && at < end && v->trapped[at])
			return true;
	return false;
}

void function_run_hooks(struct vfio_function *fn, unsigned int start, unsigned int end)
{
	const struct view *v = &fn->view;

	for (unsigned int i = 0; i < v->nhooks; i++)
		if (is_touched(v, &v->hooks[i], start, end))
			v->hooks[i].written(fn, v->hooks[i].reg);
}
