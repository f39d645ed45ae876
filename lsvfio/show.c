/* SPDX-License-Identifier: MIT */
/* One device in full, as text: a block for each side of it. */
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include <vfio/device.h>

#include "lsvfio.h"

/* A register of so many fields takes one line when none of them is set. */
#define MANY_FIELDS 4

static void heading(const char *text, const struct look *look)
{
	printf(look->colour ? "\n\033[1m%s\033[0m\n" : "\n%s\n", text);
}

/* A block that nothing was found for is left out, with its heading. */
static void end_block(struct libscols_table *table, const char *text, const struct look *look)
{
	if (!scols_table_is_empty(table))
		heading(text, look);
	table_end(table);
}

/* ---- what it is -------------------------------------------------------------------------- */

static void row(struct libscols_table *table, const char *key, char *value)
{
	struct libscols_line *line;

	if (!value)
		return;
	line = table_line(table);
	table_put(line, 0, memory_copy(key));
	table_put(line, 1, value);
}

static char *named(char *number, const char *name)
{
	char *both;

	if (!name)
		return number;
	both = memory_printf("%s  %s", number, name);
	free(number);
	return both;
}

static void identity_rows(struct libscols_table *table, const struct identity *id)
{
	if (!id->known)
		return;
	row(table, "vendor", named(memory_printf("%04x", id->vendor), id->vendor_name));
	row(table, "device", named(memory_printf("%04x", id->device), id->device_name));
	row(table, "class", named(memory_printf("%06x", id->class_code), id->class_name));
	row(table, "revision", memory_printf("%02x", id->revision));
	if (id->subsystem_vendor || id->subsystem)
		row(table, "subsystem",
		    memory_printf("%04x:%04x", id->subsystem_vendor, id->subsystem));
}

static void served_rows(struct libscols_table *table, const struct served *s)
{
	if (!s)
		return;
	row(table, "model", memory_copy(s->device));
	row(table, "control socket", memory_copy(s->control));
	row(table, "socket", memory_copy(s->socket));
	row(table, "permission", memory_printf("%s:%s %s", s->owner, s->group, s->mode));
	row(table, "unsafe", s->unsafe ? memory_copy("yes: only user 0 with CAP_SYS_RAWIO may use it") :
	    NULL);
	row(table, "state", memory_copy(s->state));
	row(table, "process", s->pid ? memory_printf("%" PRIu32, s->pid) : NULL);
	row(table, "restarts", memory_printf("%" PRIu32, s->restarts));
	row(table, "client", s->client.present ?
	    memory_printf("process %" PRIu32 ", user %" PRIu32 ", group %" PRIu32,
			  s->client.pid, s->client.uid, s->client.gid) : memory_copy("none"));
}

static char *isolation_text(const struct isolation *isolation)
{
	if (!isolation->dma)
		return NULL;
	return memory_printf("%s; of interrupts %s", isolation->dma, isolation->interrupts);
}

static char *fault_text(const struct fault *f)
{
	const char *name = strerrorname_np(f->err);

	if (!f->present)
		return NULL;
	return memory_printf("%s of %" PRIu64 " bytes at 0x%" PRIx64 ": %s (%s); %" PRIu64 " in all",
			     f->write ? "write" : "read", f->size, f->iova, name ? name : "errno",
			     strerror(f->err), f->count);
}

/* What the administrator has decided otherwise than the library would. */
static bool is_standard(const struct setting *setting)
{
	size_t count;
	const struct vfio_policy_key *keys = vfio_policy_keys(&count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(keys[i].name, setting->key))
			return !strcmp(keys[i].standard, setting->value);
	return false;
}

static void policy_rows(struct libscols_table *table, const struct description *desc)
{
	const struct setting *setting = desc->settings;

	for (size_t i = 0; i < desc->nsettings; i++, setting++)
		if (!is_standard(setting))
			row(table, "policy", memory_printf("%s = %s", setting->key,
							   setting->value));
}

/* A piece more of a list; takes both. */
static char *joined(char *list, char *piece)
{
	char *both = memory_printf("%s; %s", list, piece);

	free(list);
	free(piece);
	return both;
}

static char *reset_text(const struct reset *reset)
{
	const char *name = strerrorname_np(reset->last);
	char *text;

	if (!reset->known)
		return NULL;
	text = flag_names(reset_methods, reset->methods);
	if (!text)
		text = memory_copy("impossible");
	if (reset->others)
		text = joined(text, memory_printf("%" PRIu32 " other functions with it",
						  reset->others));
	if (reset->count)
		text = joined(text, memory_printf("%" PRIu64 " done", reset->count));
	if (reset->last)
		text = joined(text, memory_printf("the last one failed: %s (%s)",
						  name ? name : "errno", strerror(reset->last)));
	return text;
}

static void print_summary(const struct device *d, const struct look *look)
{
	struct libscols_table *table = table_new(&(struct look){ .noheadings = true });

	table_column(table, "KEY", 0, 0);
	table_column(table, "VALUE", 0, 0);
	row(table, "kind", memory_copy(kind_name(d->kind)));
	row(table, "device string", memory_copy(d->string));
	row(table, "tainted", taint_text(&d->tainted));
	identity_rows(table, &d->id);
	row(table, "driver", memory_copy(d->driver));
	row(table, "IOMMU group", d->group < 0 ? NULL :
	    named(memory_printf("%" PRId64, d->group),
		  d->unguarded ? "which the kernel has invented: there is no IOMMU" : NULL));
	served_rows(table, d->served);
	row(table, "back end", memory_copy(d->description->backend));
	row(table, "flags", flag_names(device_flags, d->description->flags));
	row(table, "isolation", isolation_text(&d->description->isolation));
	row(table, "DMA maps", dma_maps_text(&d->description->dma));
	row(table, "DMA memory", dma_bytes_text(&d->description->dma));
	row(table, "last fault", fault_text(&d->description->fault));
	policy_rows(table, d->description);
	row(table, "reset", reset_text(&d->description->reset));
	row(table, "records", d->description->nrecords ?
	    memory_printf("%zu, which --errors prints", d->description->nrecords) : NULL);
	table_end(table);
}

/* ---- regions and interrupts -------------------------------------------------------------- */

static char *areas_text(const struct region *r)
{
	char *all = NULL;

	for (uint32_t i = 0; i < r->nareas; i++) {
		char *size = text_size(r->areas[i].size);
		char *longer = memory_printf("%s%s0x%" PRIx64 "+%s", all ? all : "",
					     all ? "," : "", r->areas[i].offset, size);

		free(size);
		free(all);
		all = longer;
	}
	return all;
}

static void region_line(struct libscols_table *table, const struct region *r)
{
	struct libscols_line *line = table_line(table);

	table_put(line, 0, memory_printf("%" PRIu32, r->index));
	table_put(line, 1, memory_copy(r->name));
	table_put(line, 2, text_size(r->size));
	table_put(line, 3, memory_printf("%" PRIu64, r->size));
	table_put(line, 4, r->address ? memory_printf("0x%" PRIx64, r->address) : NULL);
	table_put(line, 5, flag_names(region_flags, r->flags));
	table_put(line, 6, areas_text(r));
}

static bool is_placed(const struct description *desc)
{
	for (size_t i = 0; i < desc->nregions; i++)
		if (desc->regions[i].address)
			return true;
	return false;
}

static void print_regions(const struct description *desc, const struct look *look)
{
	struct libscols_table *table = table_new(look);

	table_column(table, "INDEX", 0, SCOLS_FL_RIGHT);
	table_column(table, "NAME", 0, 0);
	table_column(table, "SIZE", 0, SCOLS_FL_RIGHT);
	table_column(table, "BYTES", 0, SCOLS_FL_RIGHT);
	table_column(table, "ADDRESS", 0, is_placed(desc) ? 0 : SCOLS_FL_HIDDEN);
	table_column(table, "FLAGS", 0, 0);
	table_column(table, "AREAS", 0, 0);
	for (size_t i = 0; i < desc->nregions; i++)
		if (desc->regions[i].size)
			region_line(table, &desc->regions[i]);
	end_block(table, "REGIONS", look);
}

static char *count_text(const struct irq *irq)
{
	if (irq->limited && irq->granted != irq->advertised)
		return memory_printf("%" PRIu32 ", %" PRIu32 " granted", irq->advertised,
				     irq->granted);
	return memory_printf("%" PRIu32, irq->count);
}

static bool is_signalled(const struct irq *irq, unsigned int v)
{
	return v < VFIO_MAX_VECTORS && (irq->signalled[v / 64] >> v % 64 & 1);
}

/* "0-3,7"; NULL: none, or not known. */
static char *signalled_text(const struct irq *irq)
{
	char *all = NULL;

	for (unsigned int v = 0, first; v < VFIO_MAX_VECTORS; v++) {
		char *longer;

		if (!is_signalled(irq, v))
			continue;
		for (first = v; is_signalled(irq, v + 1); v++)
			;
		longer = memory_printf("%s%s%u", all ? all : "", all ? "," : "", first);
		free(all);
		all = longer;
		if (v == first)
			continue;
		longer = memory_printf("%s-%u", all, v);
		free(all);
		all = longer;
	}
	return all;
}

static bool any_signalled(const struct description *desc)
{
	for (size_t i = 0; i < desc->nirqs; i++)
		for (size_t j = 0; j < VFIO_MAX_VECTORS / 64; j++)
			if (desc->irqs[i].signalled[j])
				return true;
	return false;
}

static void print_irqs(const struct description *desc, const struct look *look)
{
	struct libscols_table *table = table_new(look);

	table_column(table, "INDEX", 0, SCOLS_FL_RIGHT);
	table_column(table, "NAME", 0, 0);
	table_column(table, "COUNT", 0, SCOLS_FL_RIGHT);
	table_column(table, "FLAGS", 0, 0);
	table_column(table, "EVENTFDS", 0, any_signalled(desc) ? 0 : SCOLS_FL_HIDDEN);
	for (size_t i = 0; i < desc->nirqs; i++) {
		const struct irq *irq = &desc->irqs[i];
		struct libscols_line *line = table_line(table);

		table_put(line, 0, memory_printf("%" PRIu32, irq->index));
		table_put(line, 1, memory_copy(irq->name));
		table_put(line, 2, count_text(irq));
		table_put(line, 3, flag_names(irq_flags, irq->flags));
		table_put(line, 4, signalled_text(irq));
	}
	end_block(table, "INTERRUPTS", look);
}

/* ---- configuration space ----------------------------------------------------------------- */

static char *value_text(const struct vfio_pci_value *v)
{
	if (v->field->bits == 1)
		return memory_printf("%" PRIu32, v->value);
	return memory_printf("0x%0*" PRIx32, (v->field->bits + 3) / 4, v->value);
}

/* Capabilities with the place where they begin, as lspci has it. */
static char *structure_text(const struct vfio_pci_value *v)
{
	if (v->extended)
		return memory_printf("%s [%03x v%u]", v->structure, v->base, v->version);
	if (v->base)
		return memory_printf("%s [%02x]", v->structure, v->base);
	return memory_copy(v->structure);
}

static bool same_register(const struct vfio_pci_value *a, const struct vfio_pci_value *b)
{
	return a->base == b->base && a->offset == b->offset && a->field && b->field;
}

/* What is the same as in the line above is left out, so that structures and registers stand out. */
static struct libscols_line *register_line(struct libscols_table *table,
					   const struct vfio_pci_value *v,
					   const struct vfio_pci_value *above)
{
	struct libscols_line *line = table_line(table);

	if (!above || above->base != v->base)
		table_put(line, 0, structure_text(v));
	if (!above || !same_register(above, v)) {
		table_put(line, 1, memory_printf("0x%02x", v->offset));
		table_put(line, 2, memory_copy(v->field ? v->field->reg_name : "(not decoded)"));
	}
	return line;
}

static void value_line(struct libscols_table *table, const struct vfio_pci_value *v,
		       const struct vfio_pci_value *above)
{
	struct libscols_line *line = register_line(table, v, above);

	if (v->field) {
		table_put(line, 3, memory_copy(v->field->name));
		table_put(line, 4, value_text(v));
	} else {
		table_put(line, 4, memory_printf("ID 0x%02x", v->id));
	}
}

/* The fields of the register that n values begin with, if none of them is set; else 0. */
static size_t count_unset(const struct vfio_pci_value *values, size_t n)
{
	size_t fields = 0;

	for (; fields < n && same_register(&values[0], &values[fields]); fields++)
		if (values[fields].value)
			return 0;
	return fields;
}

/* Print the register that n values begin with; returns how many are its fields. */
static size_t print_register(struct libscols_table *table, const struct vfio_pci_value *values,
			     size_t n, const struct vfio_pci_value *above)
{
	size_t unset = count_unset(values, n), i = 0;

	if (unset >= MANY_FIELDS) {
		struct libscols_line *line = register_line(table, values, above);

		table_put(line, 3, memory_printf("(all %zu)", unset));
		table_put(line, 4, memory_copy("0"));
		return unset;
	}
	do {
		value_line(table, &values[i], i ? &values[i - 1] : above);
		i++;
	} while (i < n && same_register(&values[0], &values[i]));
	return i;
}

static void print_config(const struct description *desc, const struct look *look)
{
	struct libscols_table *table = table_new(look);
	size_t done = 0;

	table_column(table, "STRUCTURE", 0, 0);
	table_column(table, "OFFSET", 0, SCOLS_FL_RIGHT);
	table_column(table, "REGISTER", 0, 0);
	table_column(table, "FIELD", 0, 0);
	table_column(table, "VALUE", 0, 0);
	while (done < desc->nvalues)
		done += print_register(table, desc->values + done, desc->nvalues - done,
				       done ? &desc->values[done - 1] : NULL);
	end_block(table, "CONFIGURATION SPACE", look);
}

static void print_problems(const struct device *d, const struct look *look)
{
	if (!d->nproblems)
		return;
	heading("PROBLEMS", look);
	for (size_t i = 0; i < d->nproblems; i++)
		puts(d->problems[i]);
}

void show_print(const struct device *d, const struct look *look)
{
	title_print(d, look);
	print_summary(d, look);
	print_regions(d->description, look);
	print_irqs(d->description, look);
	end_block(dma_table(&d->description->dma, look), "DMA MAPS", look);
	print_config(d->description, look);
	print_problems(d, look);
}
