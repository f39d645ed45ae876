/* SPDX-License-Identifier: MIT */
/* Reset, by every road that leads there; and power-on, which is for nobody's eyes but the next user's. */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "function/function.h"

static void go_to_d0(struct vfio_function *fn)
{
	if (function_is_real(fn))
		hardware_wake(fn);
	else if (fn->layout.pm)
		fn->registers.value[fn->layout.pm + PCI_PM_CTRL] &= ~PCI_PM_CTRL_STATE_MASK;
	fn->power_state = 0;
	function_gate_dma(fn);
}

/* Of a reset that failed, nothing has come: what was raised, is raised. */
static int try_reset(struct vfio_function *fn)
{
	struct interrupts *irq = &fn->irq;
	bool asserted = irq->asserted, any = irq->any_pending;
	uint64_t pending[MSIX_MAX / 64];
	int r = -ENOTTY;

	memcpy(pending, irq->pending, sizeof(pending));
	vectors_drop_pending(fn);
	vfio_function_intx(fn, false);
	if (fn->ops->reset)
		r = fn->ops->reset(fn);
	if (r >= 0)
		return 0;
	memcpy(irq->pending, pending, sizeof(pending));
	irq->any_pending = any;
	vectors_deliver(fn);
	vfio_function_intx(fn, asserted);
	return r;
}

/*
 * The model starts anew, in D0, and its interrupts are gone. Configuration space, eventfds and maps
 * are the user's and stay, as the kernel saves and restores them.
 */
int function_reset_model(struct vfio_function *fn)
{
	int r;

	go_to_d0(fn);
	r = try_reset(fn);
	fn->resets += r == 0;
	fn->last_reset = r;
	hardware_refresh(fn, PCI_COMMAND, 2);
	function_gate_dma(fn);
	if (r < 0)
		side_note(fn, -r, VFIO_E_RESET, VFIO_BY_MODEL, NULL, "%s could not be reset",
			  fn->description.name);
	return r;
}

static int told(struct vfio_function *fn, int r)
{
	return r == 0 ? 0 : side_keep(fn, error_set(fn->err, -r, VFIO_E_RESET, VFIO_BY_MODEL, NULL,
			"reset: %s could not be reset", fn->description.name));
}

/* VFIO_DEVICE_RESET. */
int function_reset(struct vfio_function *fn)
{
	if (!fn->ops->reset)
		return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_UNSUPPORTED, VFIO_BY_MODEL, NULL,
			"reset: the device has no way to be reset by its user"));
	return told(fn, function_reset_model(fn));
}

/* What the device can do, and what its user can ask for. */
uint32_t function_reset_methods(const struct vfio_function *fn)
{
	const uint8_t *own = fn->registers.value, af = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
	const struct layout *l = &fn->layout;
	bool virtual = fn->policy.view == VIEW_VIRTUAL;
	uint32_t methods = VFIO_RESET_DEVICE;

	if (!fn->ops->reset)
		return 0;
	if (virtual && l->express && (le32_get(own + l->express + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR))
		methods |= VFIO_RESET_FLR;
	if (virtual && l->af && (own[l->af + PCI_AF_CAP] & af) == af)
		methods |= VFIO_RESET_AF;
	if (l->pm && !(own[l->pm + PCI_PM_CTRL] & PCI_PM_CTRL_NO_SOFT_RESET))
		methods |= VFIO_RESET_PM;
	return methods;
}

/* What the user has set up goes; the device does not. */
static void forget_user(struct vfio_function *fn)
{
	function_irqs_clear(fn);
	function_dma_clear(fn);
	fn->side.where = 0;
	fn->side.before = fn->side.count;
}

/* A device's: bus mastering ends first, and what cannot be written stays. */
static void registers_power_on(struct vfio_function *fn)
{
	struct registers *r = &fn->registers;

	if (function_is_real(fn)) {
		hardware_write(fn, PCI_COMMAND, 2, 0, PCI_COMMAND_MASTER);
		hardware_wake(fn);
		hardware_restore(fn, r->power_on, 0, fn->config_size);
	}
	memcpy(r->value, r->power_on, CONFIG_MAX);
	hardware_refresh(fn, PCI_COMMAND, 2);
}

/*
 * As nobody has used it yet: no interrupt, no map, configuration space and memory as built. The
 * model is reset last, so that what it does is not undone. If it cannot be, the device is not fit
 * for another user. One that has no reset keeps what it has, and its level.
 */
int function_power_on(struct vfio_function *fn)
{
	int r;

	forget_user(fn);
	registers_power_on(fn);
	memcpy(fn->view.shadow, fn->view.power_on, CONFIG_MAX);
	if (fn->vpd.size)
		memcpy(fn->vpd.bytes, fn->vpd.power_on, fn->vpd.size);
	fn->remembered = function_command(fn) & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	fn->power_state = 0;
	function_gate_dma(fn);
	fn->irq.disabled = false;
	r = function_memory_renew(fn, false, fn->err);
	if (r < 0)
		return r;
	if (!fn->ops->reset) {
		vfio_function_intx(fn, fn->irq.asserted);
		return 0;
	}
	r = function_reset_model(fn);
	space_forget_faults(&fn->space);	/* of what it was still about to do for its user */
	return told(fn, r);
}

/*
 * The user has gone. In any case bus mastering ends, since the maps are not there any more, and the
 * BARs' memory is not the user's any more.
 */
int function_recycle(struct vfio_function *fn)
{
	function_forget_fault_event(fn);
	function_forget_doorbell_events(fn);
	if (!fn->policy.keep)
		return function_power_on(fn);
	forget_user(fn);
	registers_put(fn, PCI_COMMAND, 2, 0, PCI_COMMAND_MASTER);
	function_gate_dma(fn);
	return function_memory_renew(fn, true, fn->err);
}

/* What a reset does to the registers of a model. */
static void lose_registers(struct vfio_function *fn)
{
	struct registers *r = &fn->registers;

	for (unsigned int i = 0; i < NUM_BARS && !fn->description.virtual_function; i++) {
		uint8_t *bar = r->value + PCI_BASE_ADDRESS_0 + 4 * i;

		le32_put(bar, fn->description.bars[i].size ? le32_get(bar) & 0xf : 0);
	}
	le16_put(r->value + PCI_COMMAND, 0);
}

EXPORT void vfio_function_backdoor_reset(struct vfio_function *fn)
{
	if (function_is_real(fn))
		hardware_refresh(fn, PCI_COMMAND, PCI_CARDBUS_CIS - PCI_COMMAND);
	else
		lose_registers(fn);
	go_to_d0(fn);
}
