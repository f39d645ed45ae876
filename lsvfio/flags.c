/* SPDX-License-Identifier: MIT */
/* The words for flag bits, as docs/control.md has them. */
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

const struct flag device_flags[] = {
	{ VFIO_DEVICE_FLAGS_RESET, "reset" },
	{ VFIO_DEVICE_FLAGS_PCI, "pci" },
	{ 0, NULL },
};

const struct flag region_flags[] = {
	{ VFIO_REGION_INFO_FLAG_READ, "read" },
	{ VFIO_REGION_INFO_FLAG_WRITE, "write" },
	{ VFIO_REGION_INFO_FLAG_MMAP, "mmap" },
	{ REGION_MEMORY, "memory" },
	{ REGION_IO, "io" },
	{ REGION_64BIT, "64bit" },
	{ REGION_PREFETCH, "prefetchable" },
	{ 0, NULL },
};

const struct flag irq_flags[] = {
	{ VFIO_IRQ_INFO_EVENTFD, "eventfd" },
	{ VFIO_IRQ_INFO_MASKABLE, "maskable" },
	{ VFIO_IRQ_INFO_AUTOMASKED, "automasked" },
	{ VFIO_IRQ_INFO_NORESIZE, "noresize" },
	{ 0, NULL },
};

const struct flag reset_methods[] = {
	{ VFIO_RESET_DEVICE, "device" },
	{ VFIO_RESET_FLR, "flr" },
	{ VFIO_RESET_AF, "af" },
	{ VFIO_RESET_PM, "pm" },
	{ VFIO_RESET_BUS, "bus" },
	{ VFIO_RESET_SPECIFIC, "specific" },
	{ VFIO_RESET_HOT, "hot" },
	{ 0, NULL },
};

const struct flag dma_directions[] = {
	{ VFIO_DMA_READ, "read" },
	{ VFIO_DMA_WRITE, "write" },
	{ 0, NULL },
};

const struct flag dma_ways[] = {
	{ VFIO_DMA_IN_PLACE, "in-place" },
	{ VFIO_DMA_BY_FILE, "by-file" },
	{ VFIO_DMA_BY_PROCESS, "by-process" },
	{ VFIO_DMA_BY_MESSAGE, "by-message" },
	{ 0, NULL },
};

uint32_t flag_bit(const struct flag *table, const char *name)
{
	for (; table->name; table++)
		if (!strcmp(table->name, name))
			return table->bit;
	return 0;
}

char *flag_names(const struct flag *table, uint32_t flags)
{
	char *all = NULL;

	for (; table->name; table++) {
		char *longer;

		if (!(flags & table->bit))
			continue;
		longer = memory_printf("%s%s%s", all ? all : "", all ? "," : "", table->name);
		free(all);
		all = longer;
	}
	return all;
}
