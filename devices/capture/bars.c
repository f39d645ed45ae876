/* SPDX-License-Identifier: MIT */
/*
 * BARs: how large each is, and which parts of it can be shared memory. Configuration space tells
 * their types; sizes come from the device string, or from what lspci or sysfs say.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture.h"

/* Of a part of MSI-X: [offset, end) of a BAR. */
struct part {
	unsigned int bar;
	uint64_t offset, end;
};

static uint32_t dword(const struct vfio_pci_dump *dump, unsigned int at)
{
	const uint8_t *c = dump->config + at;

	return c[0] | c[1] << 8 | c[2] << 16 | (uint32_t)c[3] << 24;
}

/* ---- type and size ----------------------------------------------------------------------- */

static uint32_t flags_of_register(uint32_t bar)
{
	uint32_t flags = 0;

	if (bar & PCI_BASE_ADDRESS_SPACE_IO)
		return VFIO_BAR_IO;
	if ((bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		flags |= VFIO_BAR_MEM64;
	return bar & PCI_BASE_ADDRESS_MEM_PREFETCH ? flags | VFIO_BAR_PREFETCH : flags;
}

static uint32_t flags_of_resource(const struct vfio_pci_resource *r)
{
	return (r->io ? VFIO_BAR_IO : 0) | (r->mem64 ? VFIO_BAR_MEM64 : 0) |
	       (r->prefetchable ? VFIO_BAR_PREFETCH : 0);
}

static int refuse_unknown(const struct options *o, unsigned int i, uint32_t bar,
			  struct vfio_error *err)
{
	return refuse(err, EINVAL, VFIO_E_DESCRIPTION,
		      "add barN=SIZE, as in bar0=64K, or capture with lspci -vvxxxx, which says "
		      "how large BARs are",
		      "capture: '%s' has a BAR%u (its register is 0x%08x), and does not say how "
		      "large it is", o->file, i, bar);
}

/* The BAR at i. The registers of a virtual function's are all zero: then the type is as said. */
static int describe_bar(struct capture *c, const struct options *o, unsigned int i,
			struct vfio_error *err)
{
	const struct vfio_pci_resource *said = o->bars[i].size ? &o->bars[i] : &c->dump.bars[i];
	struct vfio_bar_description *bar = &c->description.bars[i];
	uint32_t reg = dword(&c->dump, PCI_BASE_ADDRESS_0 + 4 * i);

	if (!said->size && reg)
		return refuse_unknown(o, i, reg, err);
	if (!said->size)
		return 0;
	bar->size = said->size;
	bar->flags = reg ? flags_of_register(reg) : flags_of_resource(said);
	return 0;
}

/* ---- where MSI-X lies -------------------------------------------------------------------- */

static struct part part(const struct vfio_pci_dump *dump, unsigned int at, uint64_t size)
{
	uint32_t reg = dword(dump, at);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), offset = reg & ~PCI_MSIX_TABLE_BIR;

	return (struct part){
		.bar = reg & PCI_MSIX_TABLE_BIR, .offset = offset / page * page,
		.end = (offset + size + page - 1) / page * page,
	};
}

/* The pages of the vector table and of the pending bits; an empty part is in no BAR. */
static void find_msix(const struct vfio_pci_dump *dump, struct part parts[2])
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(dump->config, dump->length, caps, NULL);

	parts[0] = parts[1] = (struct part){ .bar = BARS };
	for (unsigned int i = 0; i < n; i++) {
		uint64_t vectors;

		if (caps[i].id != PCI_CAP_ID_MSIX || caps[i].length < PCI_CAP_MSIX_SIZEOF)
			continue;
		vectors = 1 + (dword(dump, caps[i].offset) >> 16 & PCI_MSIX_FLAGS_QSIZE);
		parts[0] = part(dump, caps[i].offset + PCI_MSIX_TABLE,
				vectors * PCI_MSIX_ENTRY_SIZE);
		parts[1] = part(dump, caps[i].offset + PCI_MSIX_PBA, (vectors + 63) / 64 * 8);
		return;
	}
}

/* ---- areas and trapped bytes ------------------------------------------------------------- */

static int add_trapped(struct capture *c, unsigned int bar, uint64_t offset, uint64_t size,
		       struct vfio_error *err)
{
	struct trapped *t = &c->trapped[c->ntrapped];

	*t = (struct trapped){ bar, offset, size, calloc(1, size) };
	if (!t->bytes)
		return refuse_memory(err);
	c->ntrapped++;
	return 0;
}

static void add_area(struct capture *c, unsigned int bar, uint64_t offset, uint64_t end)
{
	struct vfio_bar_description *d = &c->description.bars[bar];

	if (offset == end)
		return;
	c->areas[bar][d->nareas++] = (struct vfio_area){ offset, end - offset };
	d->areas = c->areas[bar];
}

/* All of the BAR can be mapped, except the pages where MSI-X is; parts are in order. */
static int divide(struct capture *c, unsigned int bar, const struct part parts[2],
		  struct vfio_error *err)
{
	uint64_t size = c->description.bars[bar].size, done = 0;
	int r = 0;

	for (unsigned int i = 0; i < 2 && r == 0; i++) {
		uint64_t offset = parts[i].offset, end = parts[i].end;

		if (parts[i].bar != bar || end > size || end <= done)
			continue;
		if (offset < done)	/* the table and the pending bits share a page */
			offset = done;
		add_area(c, bar, done, offset);
		r = add_trapped(c, bar, offset, end - offset, err);
		done = end;
	}
	add_area(c, bar, done, size);
	return r;
}

static int divide_bar(struct capture *c, unsigned int i, const struct part parts[2],
		      struct vfio_error *err)
{
	const struct vfio_bar_description *bar = &c->description.bars[i];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!bar->size)
		return 0;
	if (!(bar->flags & VFIO_BAR_IO) && bar->size % page == 0)
		return divide(c, i, parts, err);
	/* Ports, or less than a page; what is larger and no multiple of it is refused later. */
	return add_trapped(c, i, 0, bar->size < page ? bar->size : page, err);
}

int describe_bars(struct capture *c, const struct options *o, struct vfio_error *err)
{
	struct part parts[2];
	int r = 0;

	/* Others have no six BARs; the library says that they cannot be served at all. */
	if ((c->dump.config[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
		return 0;
	find_msix(&c->dump, parts);
	if (parts[1].offset < parts[0].offset) {
		struct part second = parts[0];

		parts[0] = parts[1];
		parts[1] = second;
	}
	for (unsigned int i = 0; i < BARS && r == 0; i++) {
		bool upper = i && c->description.bars[i - 1].flags & VFIO_BAR_MEM64;

		if (!upper || o->bars[i].size)
			r = describe_bar(c, o, i, err);
		if (r == 0)
			r = divide_bar(c, i, parts, err);
	}
	return r;
}
