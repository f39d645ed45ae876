/* SPDX-License-Identifier: MIT */
/*
 * The side channel: PCI drops a write in silence and has no word for a refusal, so both get a
 * record. The last RECORDS of them are kept, whoever reads them.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "function/function.h"

static struct vfio_error *next_record(struct side *side)
{
	return &side->records[side->count++ % RECORDS];
}

int side_keep(struct vfio_function *fn, int r)
{
	if (r < 0)
		*next_record(&fn->side) = *fn->err;
	return r;
}

void side_note(struct vfio_function *fn, int err, enum vfio_error_code code, enum vfio_refuser who,
	       const char *remedy, const char *format, ...)
{
	char text[sizeof(fn->no_handle.what)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(next_record(&fn->side), err, code, who, remedy, "%s", text);
}

/* The record after *cursor: 1, and *cursor moves to it; 0 when there is none. */
int side_record(const struct vfio_function *fn, uint64_t *cursor, struct vfio_error *record)
{
	const struct side *side = &fn->side;
	uint64_t oldest = side->count > RECORDS ? side->count - RECORDS : 0;

	if (*cursor < oldest)
		*cursor = oldest;
	if (*cursor >= side->count)
		return 0;
	*record = side->records[*cursor % RECORDS];
	++*cursor;
	return 1;
}

/* ---- writes that lose bits ---------------------------------------------------------------- */

const char *function_register_name(const struct vfio_function *fn, unsigned int at)
{
	const struct vfio_pci_capability *cap;
	const struct vfio_pci_structure *s;
	bool extended;

	if (fn->view.owner[at] == NO_OWNER)
		return "";
	cap = &fn->view.owners[fn->view.owner[at]];
	extended = cap->offset >= PCI_CFG_SPACE_SIZE;
	s = vfio_pci_find(cap->id | (extended ? VFIO_PCI_EXTENDED : 0));
	for (const struct vfio_pci_field *f = s ? s->fields : NULL; f && f->width; f++)
		if (vfio_pci_applies(f, fn->registers.value + cap->offset, cap->length) &&
		    at - cap->offset >= f->reg && at - cap->offset < f->reg + f->width)
			return f->reg_name;
	return s ? s->name : "";
}

static void note_lost(struct vfio_function *fn, unsigned int width, uint32_t bits, bool by_policy)
{
	unsigned int at = fn->side.outcome.start, first = at + __builtin_ctz(bits) / 8;
	const char *name = function_register_name(fn, first);

	side_note(fn, EPERM, by_policy ? VFIO_E_REFUSED : VFIO_E_READ_ONLY,
		  by_policy ? VFIO_BY_POLICY : VFIO_BY_FUNCTION,
		  by_policy ? "the policy view = filtered protects them" : NULL,
		  "a write of %u bytes at %#x of configuration space%s%s%s: bits %#x did not change",
		  width, at, *name ? " (" : "", name, *name ? ")" : "", bits);
}

/* A chunk of width bytes is stored, and its hooks are still to run. */
void side_stored(struct vfio_function *fn, unsigned int width)
{
	struct outcome *o = &fn->side.outcome;

	o->lost &= ~o->refused;
	if (o->refused)
		note_lost(fn, width, o->refused, true);
	if (o->lost)
		note_lost(fn, width, o->lost, false);
}

/* A hook has not let bits of a register stand, and has made a record of why. */
void side_undo(struct vfio_function *fn, unsigned int reg, uint32_t bits)
{
	struct outcome *o = &fn->side.outcome;
	uint32_t here = reg >= o->start ? bits << 8 * (reg - o->start) : bits >> 8 * (o->start - reg);

	o->lost |= here;
	o->device &= ~here;
	o->virtual &= ~here;
}

/* The hooks have run. */
void side_finished(struct vfio_function *fn)
{
	const struct outcome *o = &fn->side.outcome;

	fn->side.where |= (o->device ? VFIO_WENT_DEVICE : 0) | (o->virtual ? VFIO_WENT_VIRTUAL : 0) |
			  (o->lost ? VFIO_WENT_NOWHERE : 0) | (o->refused ? VFIO_WENT_POLICY : 0);
}
