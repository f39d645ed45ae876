/* SPDX-License-Identifier: MIT */
/* A physical function that vfio-pci has, and its virtual one. */
#ifndef GUEST_PARENT_H
#define GUEST_PARENT_H

#include "session.h"

/* With what the virtual function is opened. */
extern const char parent_token[];

/* The physical function is opened, unheard, for as long as the virtual one is of interest. */
void parent_open(struct session *pf, const char *bdf);
/* Only now: opening the physical function resets it, and QEMU's loses its virtual ones by that. */
void parent_enable(const char *bdf);

#endif
