/* SPDX-License-Identifier: MIT */
/* Does a description contradict itself? */
#include <errno.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

#define VPD_MAX (1u << 15)
#define ROM_MAX (1u << 24)

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

static const char *check_msix(const struct vfio_function_description *d)
{
	uint64_t table = 16ull * d->msix_vectors, pba = align_up(d->msix_vectors, 64) / 8;
	const struct vfio_bar_description *bar;

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
	return NULL;
}

static const char *check_interrupts(const struct vfio_function_description *d)
{
	if (d->interrupt_pin > 4)
		return "the interrupt pin is not 0 to 4";
	if (d->msi_vectors && (!is_power_of_two(d->msi_vectors) || d->msi_vectors > MSI_MAX))
		return "the number of MSI vectors is no power of two up to 32";
	if (d->msi_mask && !d->msi_vectors)
		return "there are MSI mask bits without MSI vectors";
	return d->msix_vectors ? check_msix(d) : NULL;
}

static const char *check_capabilities(const struct vfio_function_description *d)
{
	for (uint32_t i = 0; i < d->ncapabilities; i++) {
		const struct vfio_capability_description *c = &d->capabilities[i];

		if (c->extended && !d->express)
			return "an extended capability needs PCI Express";
		if (!c->id || (!c->extended && c->id > 0xff) || c->version > 15)
			return "a capability's ID or version is impossible";
		if (c->length > PCI_CFG_SPACE_EXP_SIZE || (c->length && !c->bytes))
			return "a capability is too long, or its bytes are missing";
	}
	return NULL;
}

/* What a dump says of a BAR is its type; that of a virtual function says nothing. */
static const char *check_captured_bar(const struct vfio_function_description *d, unsigned int i)
{
	const struct vfio_bar_description *bar = &d->bars[i];
	uint32_t raw = le32_get((const uint8_t *)d->config + PCI_BASE_ADDRESS_0 + 4 * i);
	uint32_t flags = raw & PCI_BASE_ADDRESS_SPACE_IO ? VFIO_BAR_IO : 0;

	if (!bar->size || !raw || d->virtual_function)
		return NULL;
	if (!flags && (raw & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		flags |= VFIO_BAR_MEM64;
	if (!(flags & VFIO_BAR_IO) && (raw & PCI_BASE_ADDRESS_MEM_PREFETCH))
		flags |= VFIO_BAR_PREFETCH;
	if (flags != bar->flags)
		return "the type of a BAR is not that in the captured configuration space";
	if (raw & ~0xfu & (bar->size - 1))
		return "a BAR is larger than its address in the captured configuration space allows";
	return NULL;
}

static const char *check_captured(const struct vfio_function_description *d)
{
	const uint8_t *c = d->config;
	const char *what = NULL;

	if (d->config_size != PCI_CFG_SPACE_SIZE && d->config_size != PCI_CFG_SPACE_EXP_SIZE)
		return "the captured configuration space has neither 256 nor 4096 bytes";
	if ((c[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL)
		return "the captured configuration space is of a bridge, which VFIO gives to nobody";
	for (unsigned int i = 0; i < NUM_BARS && !what; i++)
		what = check_captured_bar(d, i);
	return what;
}

static const char *check_images(const struct vfio_function_description *d)
{
	if (d->vpd && (!d->vpd_size || d->vpd_size > VPD_MAX))
		return "the vital product data are empty, or more than 32 KiB";
	if (d->rom_size > ROM_MAX || (d->rom && !d->rom_size))
		return "the ROM image is empty, or more than 16 MiB";
	return NULL;
}

static bool touches(const struct vfio_bar_description *bar, uint64_t offset, uint64_t size)
{
	for (uint32_t i = 0; i < bar->nareas; i++)
		if (bar->areas[i].offset < offset + size &&
		    offset < bar->areas[i].offset + bar->areas[i].size)
			return true;
	return false;
}

/*
 * What can be mapped is not guarded: no vector may lie there. A real device keeps its pending bits
 * itself.
 */
int function_check_areas(const struct vfio_function *fn, struct vfio_error *err)
{
	const struct vfio_bar_description *bars = fn->description.bars;
	const struct msix_place *m = &fn->msix;

	if ((m->table_bar >= NUM_BARS || !touches(&bars[m->table_bar], m->table, m->table_size)) &&
	    (m->pending_bar >= NUM_BARS || function_is_real(fn) ||
	     !touches(&bars[m->pending_bar], m->pending, m->pending_size)))
		return 0;
	return error_set(err, EINVAL, VFIO_E_DESCRIPTION, VFIO_BY_FUNCTION,
			 "leave their pages out of the areas",
			 "the description of the PCI function is wrong: the MSI-X table or its "
			 "pending bits lie in a mappable area");
}

int function_check(const struct vfio_function_description *d, struct vfio_error *err)
{
	const char *what = NULL;

	if (d->size != sizeof(*d))
		what = "its size member is not sizeof(struct vfio_function_description)";
	else if (d->class_code >> 24)
		what = "the class code has more than 24 bits";
	for (unsigned int i = 0; i < NUM_BARS && !what; i++)
		what = check_bar(d, i);
	if (!what)
		what = check_images(d);
	if (!what && d->config)
		what = check_captured(d);
	if (!what && !d->config)
		what = check_interrupts(d);
	if (!what && !d->config)
		what = check_capabilities(d);
	if (!what)
		return 0;
	return error_set(err, EINVAL, VFIO_E_DESCRIPTION, VFIO_BY_FUNCTION,
			 "see struct vfio_function_description in <vfio/device.h>",
			 "the description of the PCI function is wrong: %s", what);
}
