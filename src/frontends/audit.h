/* SPDX-License-Identifier: MIT */
/* The audit of a device: audit.c has the table of clauses, audit_bars.c those of BARs and MSI-X. */
#ifndef LIBVFIO_FRONTENDS_AUDIT_H
#define LIBVFIO_FRONTENDS_AUDIT_H

#include <linux/pci_regs.h>

#include <vfio/check.h>
#include <vfio/pci.h>

#define AUDIT_BARS 6

struct audit {
	struct vfio_dev *dev;
	void (*callback)(void *arg, const struct vfio_finding *finding);
	void *arg;
	const char *topic;		/* the clause */
	int verdict, worst;		/* of this clause; of all */
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE];
	size_t len;			/* that could be read; 64: there are capabilities beyond */
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int ncaps;
	char problem[VFIO_PCI_PROBLEM_ROOM];	/* of their list */
	struct vfio_region bars[AUDIT_BARS];
};

/* A finding of the present clause; code and remedy of a PASS are 0 and NULL. */
void audit_tell(struct audit *a, enum vfio_verdict verdict, enum vfio_error_code code,
		const char *remedy, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* The first capability with this ID and so many bytes, or NULL. */
const uint8_t *audit_capability(const struct audit *a, uint8_t id, unsigned int length);

void audit_bar_pages(struct audit *a);
void audit_msix_place(struct audit *a);
void audit_msix_apart(struct audit *a);

#endif
