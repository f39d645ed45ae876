/* SPDX-License-Identifier: MIT */
/*
 * Accesses to configuration space: in chunks, each through the view. What a write sets off is in
 * hooks.c.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "function/function.h"

static uint8_t config_byte(const struct vfio_function *fn, unsigned int at)
{
	uint8_t virt = fn->view.virt[at];

	return (fn->view.shadow[at] & virt) | (fn->registers.value[at] & ~virt);
}

uint16_t function_command(const struct vfio_function *fn)
{
	return config_byte(fn, PCI_COMMAND) | config_byte(fn, PCI_COMMAND + 1) << 8;
}

/* A virtual function has no memory enable, and ignores that its user has cleared the virtual one. */
bool function_decodes_memory(const struct vfio_function *fn)
{
	return fn->power_state < 3 && (fn->description.virtual_function ||
	       (fn->registers.value[PCI_COMMAND] & PCI_COMMAND_MEMORY));
}

bool function_masters_bus(const struct vfio_function *fn)
{
	return (fn->registers.value[PCI_COMMAND] & PCI_COMMAND_MASTER) &&
	       fn->power_state == 0;
}

static ssize_t check_range(struct vfio_function *fn, uint64_t offset, size_t len, const char *verb)
{
	ssize_t r = contract_check_access(VFIO_PCI_CONFIG_REGION_INDEX, fn->config_size, offset,
					  len, verb, fn->err);

	return r < 0 ? side_keep(fn, r) : r;
}

/* A chunk belongs to one capability, or to none. */
static unsigned int chunk_width(const struct vfio_function *fn, unsigned int at, size_t len)
{
	const uint16_t *owner = fn->view.owner;
	unsigned int width = natural_width(at, len, 4);

	while (owner[at] != owner[at + width - 1] || owner[at] != owner[at + width / 2])
		width /= 2;
	return width;
}

/* A device is asked for what it answers itself, in the same chunks. */
static void refresh(struct vfio_function *fn, unsigned int at, size_t len)
{
	for (unsigned int end = at + len, width; at < end; at += width) {
		width = chunk_width(fn, at, end - at);
		if (~le_get(fn->view.virt + at, width) & width_mask(width))
			hardware_refresh(fn, at, width);
	}
}

ssize_t function_config_read(struct vfio_function *fn, uint64_t offset, void *buf, size_t len)
{
	uint8_t *out = buf;
	ssize_t r = check_range(fn, offset, len, "read");

	if (r < 0)
		return r;
	if (function_is_real(fn))
		refresh(fn, offset, len);
	for (size_t i = 0; i < len; i++)
		out[i] = config_byte(fn, offset + i);
	return len;
}

/*
 * Store what can be stored of the bits in mask. Bits that ones clear are wanted changed where they
 * are one, all others where they differ.
 */
static void store(struct vfio_function *fn, unsigned int at, uint32_t value, uint32_t mask)
{
	struct registers *own = &fn->registers;
	struct outcome *o = &fn->side.outcome;
	struct view *v = &fn->view;
	uint32_t virt = le32_get(v->virt + at), write = le32_get(v->write + at) & mask;
	uint32_t shadow = le32_get(v->shadow + at), clears = le32_get(own->clear + at);
	uint32_t now = (shadow & virt) | (le32_get(own->value + at) & ~virt);
	uint32_t taken = (write | le32_get(v->clear + at)) & mask, raw = taken & ~virt;
	uint32_t clear = raw & clears, kept = registers_kept(fn, at);
	uint32_t wanted = (((value ^ now) & ~clear) | (value & now & clear)) & mask;

	*o = (struct outcome){
		.start = at,
		.device = wanted & raw & kept,
		.virtual = wanted & taken & virt,
		.lost = wanted & ~(taken & (virt | kept)),
		.refused = wanted & le32_get(v->policy + at),
	};
	le32_put(v->shadow + at, (shadow & ~(write & virt)) | (value & write & virt));
	if (function_is_real(fn))
		hardware_store(fn, at, value, raw & ~(clears & ~value));
	else
		registers_write(own, at, value, raw);
}

static void write_chunk(struct vfio_function *fn, unsigned int at, const uint8_t *in,
			unsigned int width)
{
	uint32_t mask = width_mask(width), value = 0;

	for (unsigned int i = 0; i < width; i++)
		value |= (uint32_t)in[i] << 8 * i;
	if (at == PCI_COMMAND)
		function_before_command(fn, value);
	if (function_is_real(fn))
		refresh(fn, at, width);
	store(fn, at, value, mask);
	side_stored(fn, width);
	if (le32_get(fn->view.trapped + at) & mask)
		function_run_hooks(fn, at, at + width);
	side_finished(fn);
	if (fn->side.outcome.device && fn->ops->config_written)
		fn->ops->config_written(fn, at, width);
}

/* ---- the device's side --------------------------------------------------------------------- */

static bool is_own_register(const struct vfio_function *fn, unsigned int offset, unsigned int width)
{
	return is_power_of_two(width) && width <= 4 && is_aligned(offset, width) &&
	       is_inside(offset, width, fn->config_size);
}

EXPORT uint32_t vfio_function_config_read(struct vfio_function *fn, unsigned int offset,
					  unsigned int width)
{
	if (!is_own_register(fn, offset, width))
		return UINT32_MAX;
	hardware_refresh(fn, offset, width);
	return le_get(fn->registers.value + offset, width);
}

EXPORT void vfio_function_config_write(struct vfio_function *fn, unsigned int offset,
				       unsigned int width, uint32_t value)
{
	if (!is_own_register(fn, offset, width))
		return;
	registers_put(fn, offset, width, value, UINT32_MAX);
	function_gate_dma(fn);
}

/* ---- the user's ---------------------------------------------------------------------------- */

/* Naturally aligned chunks of 4, 2 or 1 bytes, in ascending order, each with what it sets off. */
ssize_t function_config_write(struct vfio_function *fn, uint64_t offset, const void *buf, size_t len)
{
	const uint8_t *in = buf;
	ssize_t r = check_range(fn, offset, len, "write");

	if (r < 0)
		return r;
	for (size_t done = 0; done < len; ) {
		unsigned int width = chunk_width(fn, offset + done, len - done);

		write_chunk(fn, offset + done, in + done, width);
		done += width;
	}
	return len;
}
