/* SPDX-License-Identifier: MIT */
/*
 * Prints the section "Configuration space, register by register" of vfio-function(7), as
 * reStructuredText, from the table that drives the virtual function: the page cannot differ from
 * the program.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <vfio/pci.h>

/* Long enough for two conditions, each a field name and a digit. */
#define CONDITION_ROOM 64

/* Register, bits, field, access, view, condition; as wide as the longest of each. */
#define COLUMNS "%-17s %-5s %-19s %-4s %-7s %s"

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

/* "31:0", or "10" for one bit. */
static void format_bits(const struct vfio_pci_field *f, char *out, size_t room)
{
	if (f->bits == 1)
		snprintf(out, room, "%u", f->lsb);
	else
		snprintf(out, room, "%u:%u", f->lsb + f->bits - 1u, f->lsb);
}

/*
 * When does the row hold? The condition is on the word at +2: it is told by the names of the
 * fields that lie there.
 */
static void format_condition(const struct vfio_pci_field *f, char *out, size_t room)
{
	size_t rows, used = 0;
	const struct vfio_pci_field *c = vfio_pci_table(&rows);

	out[0] = '\0';
	for (; rows && f->if_mask; rows--, c++) {
		uint32_t mask = ((1u << c->bits) - 1) << c->lsb;

		if (c->structure != f->structure || c->reg != 2 || !(mask & f->if_mask))
			continue;
		used += snprintf(out + used, room - used, "%s%s=%u", used ? ", " : "", c->name,
				 (unsigned int)((f->if_value & mask) >> c->lsb));
	}
}

static void print_row(const struct vfio_pci_field *f)
{
	char bits[16], condition[CONDITION_ROOM], line[160];
	size_t len;

	format_bits(f, bits, sizeof(bits));
	format_condition(f, condition, sizeof(condition));
	len = snprintf(line, sizeof(line), "0x%02x " COLUMNS, f->reg, f->reg_name, bits,
		       f->name[0] ? f->name : "-", access_word(f->access), view_word(f->view),
		       condition);
	while (len && line[len - 1] == ' ')
		line[--len] = '\0';
	printf("    %s\n", line);
}

/* A section of its own for a structure: its name underlined, then its rows. */
static void print_heading(uint16_t structure)
{
	char heading[64];
	const char *name = vfio_pci_structure_name(structure);

	if (structure)
		snprintf(heading, sizeof(heading), "%s: capability 0x%02x", name, structure);
	else
		snprintf(heading, sizeof(heading), "%s: type 0", name);
	printf("\n%s\n", heading);
	for (size_t i = strlen(heading); i; i--)
		putchar('-');
	printf("\n\n::\n\n    %-4s " COLUMNS "\n", "At", "Register", "Bits", "Field", "Acc.", "View",
	       "Only if");
}

int main(void)
{
	size_t rows;
	const struct vfio_pci_field *f = vfio_pci_table(&rows);

	for (size_t i = 0; i < rows; i++) {
		if (i == 0 || f[i].structure != f[i - 1].structure)
			print_heading(f[i].structure);
		print_row(&f[i]);
	}
	return 0;
}
