/* SPDX-License-Identifier: MIT */
/*
 * Registers that are a real device's, behind the callbacks config_read and config_write. What
 * registers.value holds is then what was read of them last, and the masks of the table say only
 * what there is to restore: what can be written, the device decides.
 *
 * Accesses touch the bytes that they must, and no others: a register beside them may be one that
 * ones clear, or that sets something off.
 */
#include <poll.h>

#include "base/bits.h"
#include "base/fd.h"
#include "function/function.h"

#define VPD_MS	      125	/* what Linux gives a device for a dword of vital product data */
#define VPD_RESOURCES 32	/* a device has four or so */

static uint32_t get(struct vfio_function *fn, unsigned int at, unsigned int width)
{
	return fn->ops->config_read(fn, at, width);
}

void hardware_refresh(struct vfio_function *fn, unsigned int at, unsigned int length)
{
	uint8_t *value = fn->registers.value;

	if (!function_is_real(fn))
		return;
	for (unsigned int end = at + length, width; at < end; at += width) {
		uint32_t ours;

		width = natural_width(at, end - at, 4);
		ours = le_get(fn->hardware.ours + at, width);
		le_put(value + at, width, (get(fn, at, width) & ~ours) |
					  (le_get(value + at, width) & ours));
	}
}

/*
 * Bits of the width bytes at an offset are written; of the others, those that ones clear are not.
 */
static void put(struct vfio_function *fn, unsigned int at, unsigned int width, uint32_t value,
		uint32_t bits)
{
	uint32_t clear = le_get(fn->registers.clear + at, width);

	bits &= ~le_get(fn->hardware.ours + at, width) & width_mask(width);
	if (bits)
		fn->ops->config_write(fn, at, width,
				      (value & bits) | (get(fn, at, width) & ~bits & ~clear));
}

/* ---- what a device may lose ---------------------------------------------------------------- */

/* What of a dword is to be restored: not the power state, which is where restoring begins. */
static uint32_t restorable(const struct vfio_function *fn, unsigned int at)
{
	const struct hardware *h = &fn->hardware;
	unsigned int power = h->pm + PCI_PM_CTRL;

	if (h->pm && at == power)
		return 0;
	return le32_get(fn->registers.write + at) & ~le32_get(h->ours + at);
}

static void save(struct vfio_function *fn)
{
	for (unsigned int at = 0; at < fn->config_size; at += 4)
		if (restorable(fn, at))
			le32_put(fn->hardware.saved + at, get(fn, at, 4));
}

/* From the end to the beginning: BARs before the decoders and the bus master of Command. */
void hardware_restore(struct vfio_function *fn, const uint8_t *wanted, unsigned int start,
		      unsigned int end)
{
	for (unsigned int at = end; at > start; ) {
		uint32_t bits, value;

		at -= 4;
		bits = restorable(fn, at);
		value = le32_get(wanted + at);
		if (bits)
			bits &= get(fn, at, 4) ^ value;
		if (bits)
			hardware_store(fn, at, value, bits);
	}
}

/* ---- power --------------------------------------------------------------------------------- */

static unsigned int power_state(struct vfio_function *fn)
{
	return get(fn, fn->hardware.pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK;
}

/* How long a device is left alone that goes from one state to another: PCI PM 1.2, 5.4.1. */
static void settle(unsigned int from, unsigned int to)
{
	if (from != to && (from == 3 || to == 3))
		poll(NULL, 0, 10);
	else if (from != to && (from == 2 || to == 2))
		poll(NULL, 0, 1);
}

/*
 * The byte that holds the power state. What the device loses on its way from D3hot to D0 is put
 * back, as the kernel does it.
 */
static void put_power(struct vfio_function *fn, unsigned int at, unsigned int width, uint32_t value,
		      uint32_t bits)
{
	const unsigned int power = fn->hardware.pm + PCI_PM_CTRL;
	unsigned int from = power_state(fn);
	unsigned int to = value >> 8 * (power - at) & PCI_PM_CTRL_STATE_MASK;

	if (!function_can_go(fn, fn->hardware.pm, from, to)) {
		bits &= ~(PCI_PM_CTRL_STATE_MASK << 8 * (power - at));
		to = from;
	}
	if (to == 3 && from != 3)
		save(fn);
	put(fn, at, width, value, bits);
	settle(from, to);
	if (from == 3 && to == 0 && !(get(fn, power, 2) & PCI_PM_CTRL_NO_SOFT_RESET))
		hardware_restore(fn, fn->hardware.saved, 0, fn->config_size);
}

static bool has_power(const struct vfio_function *fn, unsigned int at, unsigned int width,
		      uint32_t bits)
{
	unsigned int power = fn->hardware.pm + PCI_PM_CTRL;

	return fn->hardware.pm && power >= at && power < at + width &&
	       (bits >> 8 * (power - at) & PCI_PM_CTRL_STATE_MASK);
}

void hardware_write(struct vfio_function *fn, unsigned int at, unsigned int width, uint32_t value,
		    uint32_t bits)
{
	if (has_power(fn, at, width, bits))
		put_power(fn, at, width, value, bits);
	else
		put(fn, at, width, value, bits);
	hardware_refresh(fn, at, width);
}

/*
 * Command is always written whole: QEMU, for one, does not see INTx disable in its second byte
 * alone.
 */
static bool touches_command(unsigned int first, unsigned int last)
{
	return first <= PCI_COMMAND + 1 && last >= PCI_COMMAND;
}

/* The smallest access that has all the bits; they lie in one dword. */
void hardware_store(struct vfio_function *fn, unsigned int at, uint32_t value, uint32_t bits)
{
	unsigned int first, last, start, width = 1;

	if (!bits)
		return;
	first = at + __builtin_ctz(bits) / 8u;
	last = at + (31u - __builtin_clz(bits)) / 8;
	if (touches_command(first, last))
		width = 2;
	while ((first & ~(width - 1)) + width <= last)
		width *= 2;
	start = first & ~(width - 1);
	if (start < at)
		hardware_write(fn, start, width, value << 8, bits << 8);
	else
		hardware_write(fn, start, width, value >> 8 * (start - at),
			       bits >> 8 * (start - at));
}

/* Who let it sleep may have wanted to be told of its events; its user does not. */
void hardware_wake(struct vfio_function *fn)
{
	if (fn->hardware.pm && power_state(fn))
		hardware_write(fn, fn->hardware.pm + PCI_PM_CTRL, 2, 0,
			       PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE);
}

/* ---- taking it over ------------------------------------------------------------------------ */

static void find_pm(struct vfio_function *fn)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(fn->registers.power_on, fn->config_size, caps, NULL);

	for (unsigned int i = 0; i < n; i++)
		if (caps[i].id == PCI_CAP_ID_PM && caps[i].length >= 6)
			fn->hardware.pm = caps[i].offset;
	/* To a device it is what the model of one does not have: a bit that a one clears. */
	if (fn->hardware.pm)
		fn->registers.clear[fn->hardware.pm + PCI_PM_CTRL + 1] |= PCI_PM_CTRL_PME_STATUS >> 8;
}

static void keep_msi(uint8_t *ours, const uint8_t *cap)
{
	uint16_t control = le16_get(cap + PCI_MSI_FLAGS);

	ours[PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE;
	if (control & PCI_MSI_FLAGS_MASKBIT)
		memset(ours + (control & PCI_MSI_FLAGS_64BIT ? PCI_MSI_PENDING_64
							     : PCI_MSI_PENDING_32), 0xff, 4);
}

/*
 * What stays with the virtual function: whether messages are enabled and which are pending, since
 * it delivers them; and the registers for vital product data, where each write sets something off.
 */
static void keep_ours(struct vfio_function *fn)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	const uint8_t *c = fn->registers.power_on;
	unsigned int n = vfio_pci_walk(c, fn->config_size, caps, NULL);

	for (unsigned int i = 0; i < n; i++) {
		uint8_t *ours = fn->hardware.ours + caps[i].offset;

		if (caps[i].id == PCI_CAP_ID_MSI)
			keep_msi(ours, c + caps[i].offset);
		if (caps[i].id == PCI_CAP_ID_MSIX)
			ours[PCI_MSIX_FLAGS + 1] = PCI_MSIX_FLAGS_ENABLE >> 8;
		if (caps[i].id == PCI_CAP_ID_VPD)
			memset(ours + PCI_VPD_ADDR, 0xff, PCI_CAP_VPD_SIZEOF - PCI_VPD_ADDR);
	}
}

/* The device comes to hold what its registers are to hold at power-on: bus mastering ends first. */
void hardware_take(struct vfio_function *fn)
{
	find_pm(fn);
	memcpy(fn->hardware.saved, fn->registers.power_on, CONFIG_MAX);
	hardware_write(fn, PCI_COMMAND, 2, 0, PCI_COMMAND_MASTER);
	hardware_wake(fn);
	hardware_restore(fn, fn->registers.power_on, 0, fn->config_size);
	keep_ours(fn);
}

/* ---- vital product data -------------------------------------------------------------------- */

/* One dword; false when the device does not say in time that it has gone. */
static bool move_vital(struct vfio_function *fn, uint16_t address, uint16_t flag)
{
	const unsigned int at = fn->layout.vpd + PCI_VPD_ADDR;
	int64_t deadline = clock_ms() + VPD_MS;
	bool late;

	fn->ops->config_write(fn, at, 2, address | flag);
	do {
		late = clock_ms() > deadline;
		if ((get(fn, at, 2) & PCI_VPD_ADDR_F) != flag)
			return true;
		poll(NULL, 0, 1);
	} while (!late);
	return false;
}

/* The device gives whole dwords; the user may ask for four bytes anywhere. */
static bool fetch_vital(struct vfio_function *fn, uint16_t address, uint8_t *data)
{
	uint16_t start = address & ~3u;
	uint8_t two[8] = { 0 };

	for (unsigned int i = 0; i <= 4u * (address != start); i += 4) {
		if (start + i > PCI_VPD_ADDR_MASK)
			break;
		if (!move_vital(fn, start + i, 0))
			return false;
		le32_put(two + i, get(fn, fn->layout.vpd + PCI_VPD_DATA, 4));
	}
	memcpy(data, two + (address - start), 4);
	return true;
}

/*
 * How many bytes there are: resources, each of which says its length, up to the end tag (PCI 3.0,
 * appendix I). 0: none that make sense. Some devices never come back from behind the end.
 */
static uint32_t vital_size(struct vfio_function *fn)
{
	const uint32_t most = PCI_VPD_ADDR_MASK + 1;
	uint32_t at = fn->hardware.vital;
	uint8_t tag[4] = { 0 };

	if (at)
		return at;
	for (unsigned int i = 0; i < VPD_RESOURCES && at < most && (tag[0] & 0xf8) != 0x78; i++) {
		uint32_t length;

		if (!fetch_vital(fn, at, tag) || (!at && (tag[0] == 0 || tag[0] == 0xff)))
			return 0;
		length = tag[0] & 0x80 ? 3u + le16_get(tag + 1) : 1u + (tag[0] & 7);
		if (length > most - at)
			break;
		at += length;
	}
	return fn->hardware.vital = at;
}

bool hardware_vital_store(struct vfio_function *fn, uint16_t address, const uint8_t *data)
{
	if (!is_aligned(address, 4) || !is_inside(address, 4, vital_size(fn)))
		return false;
	fn->ops->config_write(fn, fn->layout.vpd + PCI_VPD_DATA, 4, le32_get(data));
	return move_vital(fn, address, PCI_VPD_ADDR_F);
}

/* Past the end there are zeros. */
bool hardware_vital_fetch(struct vfio_function *fn, uint16_t address, uint8_t *data)
{
	uint32_t size = vital_size(fn), there = address < size ? size - address : 0;

	if (!size || (there && !fetch_vital(fn, address, data)))
		return false;
	for (uint32_t i = there; i < 4; i++)
		data[i] = 0;
	return true;
}
