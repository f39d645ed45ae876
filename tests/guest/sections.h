/* SPDX-License-Identifier: MIT */
/* What is recorded, in this order. */
#ifndef GUEST_SECTIONS_H
#define GUEST_SECTIONS_H

#include "session.h"

/* config.c */
void record_info(struct session *s);
void record_reads(struct session *s);
void record_patterns(struct session *s);
void record_command(struct session *s);
void record_bars(struct session *s);
void record_regions(struct session *s);
void record_dump(struct session *s, const char *when);
void record_reset(struct session *s);
bool worth_reading(const struct session *s, unsigned offset);

/* capabilities.c */
void record_power(struct session *s);
void record_msi(struct session *s);
void record_msix(struct session *s);
void record_pcie(struct session *s);
void record_af(struct session *s);
void record_vpd(struct session *s);
void record_extended(struct session *s);

/* interrupts.c */
void record_irq_matrix(struct session *s);
void record_irq_descriptors(struct session *s);
void record_irq_life(struct session *s);

/* asserts.c */
void record_asserts(struct session *s);

/* hardware.c: after the device was closed */
void print_writable(struct session *s);

#endif
