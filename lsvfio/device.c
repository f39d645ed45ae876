/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "lsvfio.h"

const char *kind_name(enum kind kind)
{
	static const char *const names[] = {
		[KIND_VFIOD] = "vfiod", [KIND_PCI] = "pci", [KIND_OPENED] = "opened",
		[KIND_DUMP] = "dump",
	};

	return names[kind];
}

struct device *device_new(enum kind kind, char *name, char *string)
{
	struct device *d = memory_zeroed(1, sizeof(*d));

	d->kind = kind;
	d->name = name;
	d->string = string;
	d->group = -1;
	if (kind == KIND_VFIOD)
		d->served = memory_zeroed(1, sizeof(*d->served));
	return d;
}

static void served_free(struct served *s)
{
	if (!s)
		return;
	free(s->control);
	free(s->name);
	free(s->device);
	free(s->socket);
	free(s->owner);
	free(s->group);
	free(s->mode);
	free(s->state);
	free(s->isolation);
	free(s);
}

void description_free(struct description *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->nregions; i++)
		free(d->regions[i].name);
	for (size_t i = 0; i < d->nirqs; i++)
		free(d->irqs[i].name);
	for (size_t i = 0; i < d->nsettings; i++) {
		free(d->settings[i].key);
		free(d->settings[i].value);
	}
	for (size_t i = 0; i < d->nrecords; i++) {
		free(d->records[i].who);
		free(d->records[i].text);
		free(d->records[i].remedy);
	}
	free(d->values);
	free(d->map);
	free(d->backend);
	free(d->isolation.dma);
	free(d->isolation.interrupts);
	free(d);
}

void device_free(struct device *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->nproblems; i++)
		free(d->problems[i]);
	free(d->problems);
	served_free(d->served);
	description_free(d->description);
	free(d->id.vendor_name);
	free(d->id.device_name);
	free(d->id.class_name);
	free(d->driver);
	free(d->tainted.time);
	free(d->string);
	free(d->name);
	free(d);
}

void device_list_free(struct device_list *list)
{
	struct device *d;

	while ((d = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, d, entry);
		device_free(d);
	}
}

void device_problem(struct device *d, char *what)
{
	size_t size = (d->nproblems + 1) * sizeof(*d->problems);

	d->problems = memory_check(realloc(d->problems, size));
	d->problems[d->nproblems++] = what;
}

struct description *device_describe(struct device *d)
{
	d->description = memory_zeroed(1, sizeof(*d->description));
	return d->description;
}

static char *region_name(uint32_t index)
{
	if (index <= VFIO_PCI_BAR5_REGION_INDEX)
		return memory_printf("BAR%u", index);
	if (index == VFIO_PCI_ROM_REGION_INDEX)
		return memory_copy("ROM");
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return memory_copy("config");
	if (index == VFIO_PCI_VGA_REGION_INDEX)
		return memory_copy("VGA");
	return memory_printf("region%u", index);
}

static char *irq_name(uint32_t index)
{
	static const char *const names[] = {
		[VFIO_PCI_INTX_IRQ_INDEX] = "INTx", [VFIO_PCI_MSI_IRQ_INDEX] = "MSI",
		[VFIO_PCI_MSIX_IRQ_INDEX] = "MSI-X", [VFIO_PCI_ERR_IRQ_INDEX] = "ERR",
		[VFIO_PCI_REQ_IRQ_INDEX] = "REQ",
	};

	if (index < sizeof(names) / sizeof(names[0]))
		return memory_copy(names[index]);
	return memory_printf("irq%u", index);
}

struct region *description_region(struct description *d, uint32_t index)
{
	struct region *r = &d->regions[d->nregions++];

	r->index = index;
	r->name = region_name(index);
	return r;
}

struct irq *description_irq(struct description *d, uint32_t index)
{
	struct irq *i = &d->irqs[d->nirqs++];

	i->index = index;
	i->name = irq_name(index);
	return i;
}
