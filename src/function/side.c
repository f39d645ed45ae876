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

static struct record *next_record(struct side *side)
{
	struct record *r = &side->records[side->count++ % RECORDS];

	*r = (struct record){ 0 };
	return r;
}

int side_keep(struct vfio_function *fn, int r)
{
	if (r < 0) {
		struct record *record = next_record(&fn->side);

		record->error = *fn->err;
		record->of_call = true;
	}
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
	error_set(&next_record(&fn->side)->error, err, code, who, remedy, "%s", text);
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

static bool is_same(const struct record *a, const struct record *b)
{
	return a->error.code == VFIO_E_NONE && a->at == b->at && a->width == b->width &&
	       a->bits == b->bits && a->by_policy == b->by_policy;
}

/* A driver that writes a register again and again makes one record. */
static void note_lost(struct vfio_function *fn, unsigned int width, uint32_t bits, bool by_policy)
{
	struct side *side = &fn->side;
	struct record lost = {
		.at = side->outcome.start, .width = width, .bits = bits, .by_policy = by_policy,
		.times = 1,
	};
	struct record *last = &side->records[(side->count - 1) % RECORDS];

	if (side->count > side->before && is_same(last, &lost))
		last->times++;
	else
		*next_record(side) = lost;
}

static void describe(const struct vfio_function *fn, const struct record *r, struct vfio_error *error)
{
	const char *name = function_register_name(fn, r->at + __builtin_ctz(r->bits) / 8);
	char often[40] = "";

	if (r->times > 1)
		snprintf(often, sizeof(often), ", %llu times", (unsigned long long)r->times);
	error_set(error, EPERM, r->by_policy ? VFIO_E_REFUSED : VFIO_E_READ_ONLY,
		  r->by_policy ? VFIO_BY_POLICY : VFIO_BY_FUNCTION,
		  r->by_policy ? "the policy view = filtered protects them" : NULL,
		  "a write of %u bytes at %#x of configuration space%s%s%s: bits %#x did not change%s",
		  r->width, r->at, *name ? " (" : "", name, *name ? ")" : "", r->bits, often);
}

/* The record after *cursor: 1, and *cursor moves to it; 0 when there is none. */
int side_record(const struct vfio_function *fn, uint64_t *cursor, struct vfio_error *error,
		bool *of_call)
{
	const struct side *side = &fn->side;
	uint64_t oldest = side->count > RECORDS ? side->count - RECORDS : 0;
	const struct record *r;

	if (*cursor < oldest)
		*cursor = oldest;
	if (*cursor >= side->count)
		return 0;
	r = &side->records[*cursor % RECORDS];
	if (r->error.code == VFIO_E_NONE)
		describe(fn, r, error);
	else
		*error = r->error;
	*of_call = r->of_call;
	++*cursor;
	return 1;
}

/* ---- where a write went ------------------------------------------------------------------- */

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

/* Bits of a register among those of the chunk, or the other way round; 0 where they do not meet. */
static uint32_t shifted(uint32_t bits, unsigned int from, unsigned int to)
{
	if (from >= to)
		return from - to < 4 ? bits << 8 * (from - to) : 0;
	return to - from < 4 ? bits >> 8 * (to - from) : 0;
}

uint32_t side_changed(const struct vfio_function *fn, unsigned int reg)
{
	return shifted(fn->side.outcome.virtual, fn->side.outcome.start, reg);
}

/* A hook has not let bits of a register stand, and has made a record of why. */
void side_undo(struct vfio_function *fn, unsigned int reg, uint32_t bits)
{
	struct outcome *o = &fn->side.outcome;
	uint32_t here = shifted(bits, reg, o->start);

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
