/* SPDX-License-Identifier: MIT */
/*
 * Prints registers as reStructuredText from the table that drives the virtual function, so that the
 * pages cannot differ from the program:
 *
 *   registers function   what vfio-function(7) has: the structures of a software device
 *   registers            what vfio-registers(7) has: all that the table has rows for
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <vfio/pci.h>

/* Long enough for two conditions, each a field name and some values. */
#define CONDITION_ROOM 64

static const char *access_word(enum vfio_pci_access access)
{
	switch (access) {
	case VFIO_PCI_RO:	return "RO";
	case VFIO_PCI_RW:	return "RW";
	case VFIO_PCI_RW1C:	return "RW1C";
	}
	return "?";
}

static const char *view_word(enum vfio_pci_view view)
{
	switch (view) {
	case VFIO_PCI_RAW:	return "device";
	case VFIO_PCI_VIRTUAL:	return "virtual";
	}
	return "?";
}

static const char *exposure_text(enum vfio_pci_exposure exposure)
{
	switch (exposure) {
	case VFIO_PCI_SHOWN:	return "Shown.";
	case VFIO_PCI_OPEN:	return "Shown; all of it can be written.";
	case VFIO_PCI_HIDDEN:	return "Hidden.";
	}
	return "?";
}

/* "31:0", or "10" for one bit. */
static void format_bits(const struct vfio_pci_field *f, char *out, size_t room)
{
	if (f->bits == 1)
		snprintf(out, room, "%u", f->lsb);
	else
		snprintf(out, room, "%u:%u", f->lsb + f->bits - 1u, f->lsb);
}

/* ---- conditions ---------------------------------------------------------------------------- */

static uint32_t mask_of(const struct vfio_pci_field *f)
{
	return f->bits == 32 ? UINT32_MAX : ((1u << f->bits) - 1) << f->lsb;
}

/* Which values may field c of the word at +2 have, for f to hold? A bit for each. */
static uint32_t values_of(const struct vfio_pci_field *f, const struct vfio_pci_field *c)
{
	unsigned int low = __builtin_ctz(f->if_mask);
	uint32_t values = 0;

	for (unsigned int v = 0; v < 32 && (v << low & ~f->if_mask) == 0; v++)
		if (f->if_values >> v & 1)
			values |= 1u << ((v << low & mask_of(c)) >> c->lsb);
	return values;
}

/* "1", "4,10", "0-8". */
static size_t format_values(uint32_t values, char *out, size_t room)
{
	size_t used = 0;

	for (unsigned int v = 0; v < 32; v++) {
		unsigned int last = v;

		if (!(values >> v & 1))
			continue;
		while (last < 31 && (values >> (last + 1) & 1))
			last++;
		used += snprintf(out + used, room - used, "%s%u", used ? "," : "", v);
		if (last > v)
			used += snprintf(out + used, room - used, "-%u", last);
		v = last;
	}
	return used;
}

/* The condition is on a part of the word at +2: it is told by the fields that make up that part. */
static void format_condition(const struct vfio_pci_structure *s, const struct vfio_pci_field *f,
			     char *out, size_t room)
{
	const struct vfio_pci_field *c;
	uint32_t left = f->if_mask;
	size_t used = 0;

	out[0] = '\0';
	for (c = s->fields; c->width && left; c++) {
		if (c->reg != 2 || (mask_of(c) & left) != mask_of(c))
			continue;
		if (c->if_mask && mask_of(c) != left)
			continue;
		left &= ~mask_of(c);
		used += snprintf(out + used, room - used, "%s%s=", used ? ", " : "", c->name);
		used += format_values(values_of(f, c), out + used, room - used);
	}
}

/* ---- sections ------------------------------------------------------------------------------ */

static void print_line(const char *at, const char *reg, const char *bits, const char *name,
		       const char *access, const char *user, const char *view, const char *when)
{
	char line[200];
	size_t len = snprintf(line, sizeof(line), "%-5s %-18s %-5s %-21s %-4s %s%-7s %s", at, reg,
			      bits, name, access, user, view, when);

	while (len && line[len - 1] == ' ')
		line[--len] = '\0';
	printf("    %s\n", line);
}

static void print_row(const struct vfio_pci_structure *s, const struct vfio_pci_field *f, bool user)
{
	char at[16], bits[16], condition[CONDITION_ROOM];

	snprintf(at, sizeof(at), "0x%02x", f->reg);
	format_bits(f, bits, sizeof(bits));
	format_condition(s, f, condition, sizeof(condition));
	print_line(at, f->reg_name, bits, f->name[0] ? f->name : "-", access_word(f->access),
		   !user ? "" : f->user_writes ? "yes  " : "no   ", view_word(f->view), condition);
}

/* A section of its own for a structure: its name underlined, then its rows. */
static void print_structure(const struct vfio_pci_structure *s, bool user)
{
	char heading[64];
	unsigned int id = s->number & 0xffff;

	if (id == 0)
		snprintf(heading, sizeof(heading), "%s: type %d", s->name,
			 (s->number & VFIO_PCI_BRIDGE) != 0);
	else
		snprintf(heading, sizeof(heading), "%s: %scapability 0x%02x%s", s->name,
			 s->number & VFIO_PCI_EXTENDED ? "extended " : "", id,
			 s->number & VFIO_PCI_BRIDGE ? ", type 1" : "");
	printf("\n%s\n", heading);
	for (size_t i = strlen(heading); i; i--)
		putchar('-');
	printf("\n\n%s%s", user ? exposure_text(s->exposure) : "", user ? "\n\n" : "");
	printf("::\n\n");
	print_line("At", "Register", "Bits", "Field", "Acc.", user ? "User " : "", "View",
		   "Only if");
	for (const struct vfio_pci_field *f = s->fields; f->width; f++)
		print_row(s, f, user);
}

int main(int argc, char **argv)
{
	static const uint32_t software[] = { 0x00, 0x01, 0x05, 0x11 };
	const struct vfio_pci_structure *s;
	size_t count;

	if (argc > 1) {
		for (size_t i = 0; i < sizeof(software) / sizeof(software[0]); i++)
			print_structure(vfio_pci_find(software[i]), false);
		return strcmp(argv[1], "function") != 0;
	}
	for (s = vfio_pci_table(&count); count; count--, s++)
		if (s->fields)
			print_structure(s, true);
	return 0;
}
