/* SPDX-License-Identifier: MIT */
#include "lists.h"

#include <linux/pci_regs.h>
#include <string.h>

static struct list walk(const uint8_t *config, size_t size, bool extended)
{
	struct vfio_pci_capability all[VFIO_PCI_MAX_EXTENDED];
	struct list list;

	list.count = extended ? vfio_pci_walk_extended(config, size, all, NULL)
			      : vfio_pci_walk(config, size, all, NULL);
	assert_true(list.count <= LIST_ROOM);
	memcpy(list.caps, all, list.count * sizeof(all[0]));
	return list;
}

struct list list_behind(struct bed *b, bool extended)
{
	return walk(b->hw, b->hw_size, extended);
}

struct list list_seen(struct bed *b, bool extended)
{
	uint8_t config[4096];

	return walk(config, see_all(b, config), extended);
}

bool is_hidden(bool extended, uint16_t id)
{
	static const uint8_t standard_shown[] = {
		PCI_CAP_ID_PM, PCI_CAP_ID_AGP, PCI_CAP_ID_VPD, PCI_CAP_ID_MSI, PCI_CAP_ID_PCIX,
		PCI_CAP_ID_HT, PCI_CAP_ID_VNDR, PCI_CAP_ID_EXP, PCI_CAP_ID_MSIX, PCI_CAP_ID_SATA,
		PCI_CAP_ID_AF,
	};
	static const uint8_t extended_shown[] = {
		PCI_EXT_CAP_ID_ERR, PCI_EXT_CAP_ID_VC, PCI_EXT_CAP_ID_VC9, PCI_EXT_CAP_ID_MFVC,
		PCI_EXT_CAP_ID_DSN, PCI_EXT_CAP_ID_PWR, PCI_EXT_CAP_ID_VNDR, PCI_EXT_CAP_ID_ACS,
		PCI_EXT_CAP_ID_ARI, PCI_EXT_CAP_ID_ATS, PCI_EXT_CAP_ID_SRIOV, PCI_EXT_CAP_ID_MCAST,
		PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_ID_REBAR, PCI_EXT_CAP_ID_DPA, PCI_EXT_CAP_ID_TPH,
		PCI_EXT_CAP_ID_LTR, PCI_EXT_CAP_ID_DVSEC,
	};
	const uint8_t *shown = extended ? extended_shown : standard_shown;
	size_t count = extended ? sizeof(extended_shown) : sizeof(standard_shown);

	return id > 0xff || !memchr(shown, id, count);
}

unsigned int count_hidden(const struct list *list, bool extended)
{
	unsigned int hidden = 0;

	for (unsigned int i = 0; i < list->count; i++)
		hidden += is_hidden(extended, list->caps[i].id);
	return hidden;
}

struct vfio_pci_capability first_hidden(struct bed *b, bool extended)
{
	struct list list = list_behind(b, extended);

	for (unsigned int i = 0; i < list.count; i++)
		if (is_hidden(extended, list.caps[i].id))
			return list.caps[i];
	fail_msg("no capability is hidden");
	return list.caps[0];
}
