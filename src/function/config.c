/* SPDX-License-Identifier: MIT */
/*
 * Accesses to configuration space: in chunks, each through the view. What a write sets off is in
 * hooks.c.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

static uint8_t config_byte(const struct vfio_function *fn, unsigned int at)
{
	uint8_t virt = fn->view.virt[at];

	return (fn->view.shadow[at] & virt) | (registers_read(&fn->registers, at) & ~virt);
}

uint16_t function_command(const struct vfio_function *fn)
{
	return config_byte(fn, PCI_COMMAND) | config_byte(fn, PCI_COMMAND + 1) << 8;
}

/* A virtual function has no memory enable, and ignores that its user has cleared the virtual one. */
bool function_decodes_memory(const struct vfio_function *fn)
{
	return fn->power_state < 3 && (fn->description.virtual_function ||
	       (registers_read(&fn->registers, PCI_COMMAND) & PCI_COMMAND_MEMORY));
}

bool function_masters_bus(const struct vfio_function *fn)
{
	return (registers_read(&fn->registers, PCI_COMMAND) & PCI_COMMAND_MASTER) &&
	       fn->power_state == 0;
}

static ssize_t check_range(struct vfio_function *fn, uint64_t offset, size_t len, const char *verb)
{
	ssize_t r = contract_check_access(VFIO_PCI_CONFIG_REGION_INDEX, fn->config_size, offset,
					  len, verb, fn->err);

	return r < 0 ? side_keep(fn, r) : r;
}

ssize_t function_config_read(struct vfio_function *fn, uint64_t offset, void *buf, size_t len)
{
	uint8_t *out = buf;
	ssize_t r = check_range(fn, offset, len, "read");

	if (r < 0)
		return r;
	for (size_t i = 0; i < len; i++)
		out[i] = config_byte(fn, offset + i);
	return len;
}

static void write_byte(struct vfio_function *fn, unsigned int at, uint8_t value)
{
	const struct registers *own = &fn->registers;
	struct view *v = &fn->view;
	struct outcome *o = &fn->side.outcome;
	unsigned int shift = 8 * (at - o->start);
	uint8_t now = config_byte(fn, at), virt = v->virt[at], write = v->write[at];
	uint8_t taken = write | v->clear[at], kept = own->write[at] | own->clear[at];
	uint8_t clear = taken & ~virt & own->clear[at];
	uint8_t wanted = ((value ^ now) & ~clear) | (value & now & clear);

	o->device |= (uint32_t)(wanted & taken & ~virt & kept) << shift;
	o->virtual |= (uint32_t)(wanted & taken & virt) << shift;
	o->lost |= (uint32_t)(wanted & (~taken | ~(virt | kept))) << shift;
	o->refused |= (uint32_t)(wanted & v->policy[at]) << shift;
	v->shadow[at] = (v->shadow[at] & ~(write & virt)) | (value & write & virt);
	if (taken & ~virt)
		registers_write(&fn->registers, at, value, taken & ~virt);
}

static void write_chunk(struct vfio_function *fn, unsigned int at, const uint8_t *in,
			unsigned int width)
{
	uint8_t trapped = 0;

	fn->side.outcome = (struct outcome){ .start = at };
	if (at == PCI_COMMAND)
		function_before_command(fn, in[0]);
	for (unsigned int i = 0; i < width; i++) {
		write_byte(fn, at + i, in[i]);
		trapped |= fn->view.trapped[at + i];
	}
	side_stored(fn, width);
	if (trapped)
		function_run_hooks(fn, at, at + width);
	side_finished(fn);
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
