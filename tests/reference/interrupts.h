/* SPDX-License-Identifier: MIT */
/* What the reference's configuration space and interrupts have of each other. */
#ifndef TESTS_REFERENCE_INTERRUPTS_H
#define TESTS_REFERENCE_INTERRUPTS_H

#include "reference.h"

#define NO_INDEX (-1)

/* MSI with 64-bit addresses and masks: PCI 3.0, 6.8.1. */
#define MSI_CONTROL 2
#define MSI_MASKS   16
#define MSI_PENDING 20

/* Little-endian bytes. */
uint32_t reference_get(const uint8_t *at, unsigned int width);

/* Is this bit of the Command register set? */
bool reference_command(const struct reference *r, uint16_t bit);

/* After every change: deliver what can be delivered, and show it. */
void reference_settle(struct reference *r);

/* Let INTx through again, if it may. */
void reference_unmask(struct reference *r);

/* No interrupt type is active any more. */
void reference_tear_down(struct reference *r);

#endif
