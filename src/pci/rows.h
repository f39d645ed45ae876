/* SPDX-License-Identifier: MIT */
/*
 * What the files of the table share: the words of a row, and the rows of each structure, up to one
 * of width 0.
 */
#ifndef LIBVFIO_ROWS_H
#define LIBVFIO_ROWS_H

#include <vfio/pci.h>

#define RO   VFIO_PCI_RO
#define RW   VFIO_PCI_RW
#define RW1C VFIO_PCI_RW1C
#define RAW  VFIO_PCI_RAW
#define VIRT VFIO_PCI_VIRTUAL

/* Of a real device: may its user write the field, or the host alone? */
#define USER true
#define HOST false

#define ALWAYS 0, 0
#define END    { .width = 0 }

/* table_header.c */
extern const struct vfio_pci_field pci_header[], pci_bridge_header[];

/* table_standard.c */
extern const struct vfio_pci_field pci_pm[], pci_agp[], pci_vpd[], pci_slot_id[], pci_msi[],
	pci_x[], pci_x_bridge[], pci_hyper_transport[], pci_vendor[], pci_debug_port[],
	pci_hot_plug[], pci_bridge_subsystem[], pci_msix[], pci_sata[], pci_advanced[],
	pci_enhanced[];

/* table_express.c */
extern const struct vfio_pci_field pci_express[];

/* table_error.c */
extern const struct vfio_pci_field pci_aer[], pci_dpc[];

/* table_extended.c */
extern const struct vfio_pci_field pci_vc[], pci_serial[], pci_power_budget[], pci_link_decl[],
	pci_event_collector[], pci_vsec[], pci_acs[], pci_ari[], pci_ats[], pci_sriov[],
	pci_multicast[], pci_pri[], pci_rebar[], pci_dpa[], pci_tph[], pci_ltr[], pci_secondary[],
	pci_pasid[], pci_lnr[], pci_l1ss[], pci_ptm[], pci_readiness[], pci_dvsec[], pci_dlf[],
	pci_16gt[], pci_npem[], pci_doe[];

#endif
