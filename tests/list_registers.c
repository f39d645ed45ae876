/* SPDX-License-Identifier: MIT */
/* The table of registers, a row a line, for test_manual.py: numbers as they are in the structs. */
#include <stdio.h>

#include <vfio/pci.h>

static void print_row(const struct vfio_pci_structure *s, const struct vfio_pci_field *f)
{
	printf("%u\t%s\t%u\t%u\t%u\t%d\t%d\t%d\t%u\t%u\t%s\t%s\n", s->number, s->name, f->reg, f->lsb,
	       f->bits, f->access, f->user_writes, f->view, f->if_mask, f->if_values, f->reg_name,
	       f->name);
}

int main(void)
{
	size_t count;
	const struct vfio_pci_structure *s = vfio_pci_table(&count);

	for (; count; count--, s++)
		for (const struct vfio_pci_field *f = s->fields; f && f->width; f++)
			print_row(s, f);
	return 0;
}
