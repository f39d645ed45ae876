/* SPDX-License-Identifier: MIT */
/* From a description to configuration space. */
#include <errno.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

/* ---- is the description one? -------------------------------------------------------------- */

static int bad(struct vfio_error *err, const char *what)
{
	return error_set(err, EINVAL, VFIO_E_DESCRIPTION, VFIO_BY_FUNCTION,
			 "see struct vfio_function_description in <vfio/device.h>",
			 "the description of the PCI function is wrong: %s", what);
}

static const char *check_areas(const struct vfio_bar_description *bar)
{
	uint64_t page = sysconf(_SC_PAGESIZE), end = 0;

	if (bar->nareas > VFIO_MAX_AREAS)
		return "a BAR has more than VFIO_MAX_AREAS areas";
	if (bar->nareas && (bar->flags & VFIO_BAR_IO))
		return "an I/O BAR cannot have areas";
	for (uint32_t i = 0; i < bar->nareas; i++) {
		const struct vfio_area *a = &bar->areas[i];

		if (!a->size || !is_aligned(a->offset | a->size, page))
			return "an area is empty or not page aligned";
		if (!is_inside(a->offset, a->size, bar->size) || a->offset < end)
			return "areas are not ascending, or reach past the end of their BAR";
		end = a->offset + a->size;
	}
	return NULL;
}

static const char *check_bar(const struct vfio_function_description *d, unsigned int i)
{
	const struct vfio_bar_description *bar = &d->bars[i];
	uint64_t least = bar->flags & VFIO_BAR_IO ? 4 : 16;

	if (!bar->size)
		return bar->flags || bar->nareas ? "a BAR of size 0 has flags or areas" : NULL;
	if (!is_power_of_two(bar->size) || bar->size < least)
		return "a BAR's size is not a power of two, or too small";
	if (bar->flags & ~(VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH | VFIO_BAR_IO))
		return "a BAR has unknown flags";
	if ((bar->flags & VFIO_BAR_IO) && (bar->flags != VFIO_BAR_IO || bar->size > 256))
		return "an I/O BAR has memory flags, or more than 256 bytes";
	if (!(bar->flags & VFIO_BAR_MEM64) && bar->size > 1u << 31)
		return "a BAR above 2 GiB must be a 64-bit one";
	if (bar->size > 1ull << 40)
		return "a BAR is larger than 1 TiB";
	if ((bar->flags & VFIO_BAR_MEM64) && (i == 5 || d->bars[i + 1].size))
		return "a 64-bit BAR needs the next BAR's place";
	return check_areas(bar);
}

static bool area_touches(const struct vfio_bar_description *bar, uint64_t offset, uint64_t size)
{
	for (uint32_t i = 0; i < bar->nareas; i++)
		if (bar->areas[i].offset < offset + size &&
		    offset < bar->areas[i].offset + bar->areas[i].size)
			return true;
	return false;
}

static const char *check_interrupts(const struct vfio_function_description *d)
{
	uint64_t table = 16ull * d->msix_vectors, pba = align_up(d->msix_vectors, 64) / 8;
	const struct vfio_bar_description *bar;

	if (d->interrupt_pin > 4)
		return "the interrupt pin is not 0 to 4";
	if (d->msi_vectors && (!is_power_of_two(d->msi_vectors) || d->msi_vectors > MSI_MAX))
		return "the number of MSI vectors is no power of two up to 32";
	if (!d->msix_vectors)
		return NULL;
	if (d->msix_vectors > MSIX_MAX || d->msix_bar >= NUM_BARS)
		return "MSI-X has more than 2048 vectors, or an impossible BAR";
	bar = &d->bars[d->msix_bar];
	if (!bar->size || (bar->flags & VFIO_BAR_IO))
		return "the MSI-X table needs a memory BAR";
	if (!is_aligned(d->msix_table | d->msix_pba, 4096) ||
	    !is_inside(d->msix_table, table, bar->size) || !is_inside(d->msix_pba, pba, bar->size))
		return "the MSI-X table or its pending bits are unaligned or outside their BAR";
	if (d->msix_table < d->msix_pba + pba && d->msix_pba < d->msix_table + table)
		return "the MSI-X table and its pending bits overlap";
	if (area_touches(bar, d->msix_table, table) || area_touches(bar, d->msix_pba, pba))
		return "the MSI-X table or its pending bits lie in a mappable area";
	return NULL;
}

int function_check(const struct vfio_function_description *d, struct vfio_error *err)
{
	const char *what = NULL;

	if (d->size != sizeof(*d))
		return bad(err, "its size member is not sizeof(struct vfio_function_description)");
	if (d->class_code >> 24)
		return bad(err, "the class code has more than 24 bits");
	for (unsigned int i = 0; i < NUM_BARS && !what; i++)
		what = check_bar(d, i);
	if (!what)
		what = check_interrupts(d);
	return what ? bad(err, what) : 0;
}

/* ---- configuration space ------------------------------------------------------------------ */

static void build_header(struct vfio_function *fn, uint8_t *c)
{
	const struct vfio_function_description *d = &fn->description;

	le16_put(c + PCI_VENDOR_ID, d->vendor);
	le16_put(c + PCI_DEVICE_ID, d->device);
	c[PCI_REVISION_ID] = d->revision;
	c[PCI_CLASS_PROG] = d->class_code;
	c[PCI_CLASS_PROG + 1] = d->class_code >> 8;
	c[PCI_CLASS_PROG + 2] = d->class_code >> 16;
	le16_put(c + PCI_SUBSYSTEM_VENDOR_ID, d->subsystem_vendor);
	le16_put(c + PCI_SUBSYSTEM_ID, d->subsystem);
	c[PCI_INTERRUPT_PIN] = d->interrupt_pin;
}

/* As the kernel hands a device to its user: decoders on, bus mastering off. */
static void build_bars(struct vfio_function *fn, uint8_t *c)
{
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		const struct vfio_bar_description *bar = &fn->description.bars[i];
		uint8_t type = 0;

		if (!bar->size)
			continue;
		if (bar->flags & VFIO_BAR_IO)
			type |= PCI_BASE_ADDRESS_SPACE_IO;
		if (bar->flags & VFIO_BAR_MEM64)
			type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
		if (bar->flags & VFIO_BAR_PREFETCH)
			type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
		c[PCI_BASE_ADDRESS_0 + 4 * i] = type;
		c[PCI_COMMAND] |= bar->flags & VFIO_BAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
	}
}

/* Link a capability of len bytes in; returns its offset. */
static uint8_t add_capability(uint8_t *c, uint8_t *next_free, uint8_t id, uint8_t len)
{
	uint8_t at = *next_free, *link = c + PCI_CAPABILITY_LIST;

	while (*link)
		link = c + *link + PCI_CAP_LIST_NEXT;
	*link = at;
	c[at] = id;
	c[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	*next_free = at + align_up(len, 4);
	return at;
}

static void build_capabilities(struct vfio_function *fn, uint8_t *c)
{
	const struct vfio_function_description *d = &fn->description;
	struct layout *l = &fn->layout;
	uint8_t next_free = 0x40;

	if (d->power_management) {
		l->pm = add_capability(c, &next_free, PCI_CAP_ID_PM, PCI_PM_SIZEOF);
		le16_put(c + l->pm + PCI_PM_PMC, 3);	/* version 1.2; no D1, no D2, no PME */
		le16_put(c + l->pm + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	}
	if (d->msi_vectors) {
		unsigned int capable = __builtin_ctz(d->msi_vectors);

		l->msi = add_capability(c, &next_free, PCI_CAP_ID_MSI, 14);
		le16_put(c + l->msi + PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT | capable << 1);
	}
	if (d->msix_vectors) {
		l->msix = add_capability(c, &next_free, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
		le16_put(c + l->msix + PCI_MSIX_FLAGS, d->msix_vectors - 1);
		le32_put(c + l->msix + PCI_MSIX_TABLE, d->msix_table | d->msix_bar);
		le32_put(c + l->msix + PCI_MSIX_PBA, d->msix_pba | d->msix_bar);
	}
}

void function_build(struct vfio_function *fn)
{
	build_header(fn, fn->config.raw);
	build_bars(fn, fn->config.raw);
	build_capabilities(fn, fn->config.raw);
	function_config_masks(fn);
	fn->power_on = fn->config;
}
