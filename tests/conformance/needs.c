/* SPDX-License-Identifier: MIT */
/* What a device has, as far as a row must know before it can be asked for anything. */
#include <linux/pci_regs.h>
#include <stdio.h>

#include "lists.h"
#include "row.h"

static uint32_t count_of(struct bed *b, uint32_t index)
{
	struct vfio_irq_info info;

	assert_int_equal(vfio_irq_info(b->dev, index, &info), 0);
	return info.count;
}

static bool has(struct bed *b, uint8_t id)
{
	return vfio_find_capability(b->dev, id) > 0;
}

static bool has_extended_cap(struct bed *b, uint16_t id)
{
	return vfio_find_extended_capability(b->dev, id) > 0;
}

/* ---- who and what it is --------------------------------------------------------------------- */

static bool knows_hw(struct bed *b)
{
	return b->hw_size > 0;
}

static bool has_server(struct bed *b)
{
	return b->server;
}

static bool has_4096(struct bed *b)
{
	return region_of(b, CONFIG).size == PCI_CFG_SPACE_EXP_SIZE;
}

/* A kernel shows its user no other sign: without a pin, and the BARs as if at address 0. */
static bool is_vf(struct bed *b)
{
	if (b->rig->subject)
		return b->rig->subject->description->virtual_function;
	return has(b, PCI_CAP_ID_EXP) && get(b, PCI_INTERRUPT_PIN, 1) == 0 &&
	       (get(b, PCI_BASE_ADDRESS_0, 4) & PCI_BASE_ADDRESS_MEM_MASK) == 0;
}

static bool is_no_vf(struct bed *b)
{
	return !is_vf(b);
}

/* ---- BARs ----------------------------------------------------------------------------------- */

static bool has_mem32(struct bed *b)
{
	return first_bar(b, MEM32_BAR) >= 0;
}

static bool has_mem64(struct bed *b)
{
	return first_bar(b, MEM64_BAR) >= 0;
}

static bool has_switched_memory(struct bed *b)
{
	return !is_vf(b) && memory_bar(b) >= 0;
}

static bool has_memory_0(struct bed *b)
{
	return bar_kind(b, 0) == MEM32_BAR || bar_kind(b, 0) == MEM64_BAR;
}

static bool has_io(struct bed *b)
{
	return first_bar(b, IO_BAR) >= 0;
}

static bool has_rom_image(struct bed *b)
{
	return region_of(b, ROM).size > 0;
}

static bool has_bad_rom(struct bed *b)
{
	const struct subject *s = b->rig->subject;
	const uint8_t *rom = s ? s->description->rom : NULL;

	return rom && (rom[0] != 0x55 || rom[1] != 0xaa);
}

static bool has_mappable(struct bed *b)
{
	return mappable_bar(b) >= 0;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static bool has_no_capability(struct bed *b)
{
	return list_seen(b, false).count == 0;
}

static bool hides_some(struct bed *b)
{
	struct list list = list_behind(b, false);

	return count_hidden(&list, false) > 0;
}

static bool hides_middle(struct bed *b)
{
	struct list list = list_behind(b, true);

	for (unsigned int i = 1; i + 1 < list.count; i++)
		if (is_hidden(true, list.caps[i].id))
			return true;
	return false;
}

static bool hides_first(struct bed *b)
{
	struct list list = list_behind(b, true);

	return list.count > 0 && is_hidden(true, list.caps[0].id) &&
	       count_hidden(&list, true) < list.count;
}

static bool hides_all(struct bed *b)
{
	struct list list = list_behind(b, true);

	return list.count > 0 && count_hidden(&list, true) == list.count;
}

static bool has_no_extended(struct bed *b)
{
	return knows_hw(b) && has(b, PCI_CAP_ID_EXP) && has_4096(b) &&
	       list_behind(b, true).count == 0;
}

/* ---- capabilities --------------------------------------------------------------------------- */

static bool has_pm(struct bed *b)
{
	return has(b, PCI_CAP_ID_PM);
}

static bool has_soft_reset(struct bed *b)
{
	return has_pm(b) && !(get(b, cap(b, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2) &
			      PCI_PM_CTRL_NO_SOFT_RESET);
}

static bool has_vpd(struct bed *b)
{
	return has(b, PCI_CAP_ID_VPD);
}

static bool is_express(struct bed *b)
{
	return has(b, PCI_CAP_ID_EXP);
}

static bool is_not_express(struct bed *b)
{
	return !is_express(b);
}

static bool has_flr(struct bed *b)
{
	return is_express(b) &&
	       get(b, cap(b, PCI_CAP_ID_EXP) + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR;
}

static bool has_no_flr(struct bed *b)
{
	return is_express(b) && !has_flr(b);
}

static bool has_af(struct bed *b)
{
	const uint8_t both = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;

	return has(b, PCI_CAP_ID_AF) &&
	       (get(b, cap(b, PCI_CAP_ID_AF) + PCI_AF_CAP, 1) & both) == both;
}

static bool has_aer(struct bed *b)
{
	return has_extended_cap(b, PCI_EXT_CAP_ID_ERR);
}

static bool has_controls(struct bed *b)
{
	return has_extended_cap(b, PCI_EXT_CAP_ID_SRIOV) ||
	       has_extended_cap(b, PCI_EXT_CAP_ID_ATS) ||
	       has_extended_cap(b, PCI_EXT_CAP_ID_ACS) ||
	       has_extended_cap(b, PCI_EXT_CAP_ID_PRI) ||
	       has_extended_cap(b, PCI_EXT_CAP_ID_REBAR);
}

static bool has_vendor(struct bed *b)
{
	return has(b, PCI_CAP_ID_VNDR) || has_extended_cap(b, PCI_EXT_CAP_ID_VNDR) ||
	       has_extended_cap(b, PCI_EXT_CAP_ID_DVSEC);
}

/* ---- interrupts and resets ------------------------------------------------------------------ */

static bool has_pin(struct bed *b)
{
	return count_of(b, INTX) == 1;
}

static bool has_no_pin(struct bed *b)
{
	return get(b, PCI_INTERRUPT_PIN, 1) == 0;
}

static bool has_msi(struct bed *b)
{
	return has(b, PCI_CAP_ID_MSI);
}

static bool has_msi_4(struct bed *b)
{
	return count_of(b, MSI) >= 4;
}

static bool has_msi_mask(struct bed *b)
{
	return has_msi(b) &&
	       get(b, cap(b, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_MASKBIT;
}

static bool has_msix_3(struct bed *b)
{
	return count_of(b, MSIX) >= 3;
}

static bool has_dynamic_msix(struct bed *b)
{
	struct vfio_irq_info info;

	return vfio_irq_info(b->dev, MSIX, &info) == 0 && info.count >= 3 &&
	       !(info.flags & VFIO_IRQ_INFO_NORESIZE);
}

static bool has_messages(struct bed *b)
{
	return count_of(b, MSI) > 0 || count_of(b, MSIX) > 0;
}

static bool has_empty_index(struct bed *b)
{
	return count_of(b, INTX) == 0 || count_of(b, MSI) == 0 || count_of(b, MSIX) == 0;
}

static bool can_reset(struct bed *b)
{
	struct vfio_device_info info;

	assert_int_equal(vfio_info(b->dev, &info), 0);
	return info.flags & VFIO_DEVICE_FLAGS_RESET;
}

static bool cannot_reset(struct bed *b)
{
	return !can_reset(b);
}

/* ---- the rows' words for it ----------------------------------------------------------------- */

static const struct {
	bool (*met)(struct bed *b);
	const char *words;
} needs[] = {
#define NEED_ENTRY(name, function, text) [NEEDS_##name] = { function, text },
	NEEDS(NEED_ENTRY)
#undef NEED_ENTRY
};

const char *row_lacks(const struct row *row, struct bed *b)
{
	for (unsigned int i = 0; i < ROW_NEEDS && row->needs[i] != ANY; i++)
		if (!needs[row->needs[i]].met(b))
			return needs[row->needs[i]].words;
	return NULL;
}

int row_number(const struct row *row)
{
	int number;

	return sscanf(row->name, "row_%3d_", &number) == 1 ? number : 0;
}
