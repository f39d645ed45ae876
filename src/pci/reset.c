/* SPDX-License-Identifier: MIT */
#include "pci/reset.h"

#include <linux/pci_regs.h>

#include <vfio/driver.h>
#include <vfio/pci.h>

#include "base/bits.h"

uint32_t reset_methods(const uint8_t *config, size_t len)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(config, len, caps, NULL);
	const uint8_t af = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
	uint32_t methods = 0;

	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *cap = config + caps[i].offset;

		if (caps[i].id == PCI_CAP_ID_EXP && caps[i].length >= 12 &&
		    (le32_get(cap + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR))
			methods |= VFIO_RESET_FLR;
		if (caps[i].id == PCI_CAP_ID_AF && caps[i].length >= 6 &&
		    (cap[PCI_AF_CAP] & af) == af)
			methods |= VFIO_RESET_AF;
		if (caps[i].id == PCI_CAP_ID_PM && caps[i].length >= 6 &&
		    !(cap[PCI_PM_CTRL] & PCI_PM_CTRL_NO_SOFT_RESET))
			methods |= VFIO_RESET_PM;
	}
	return methods;
}
