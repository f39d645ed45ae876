/* SPDX-License-Identifier: MIT */
/* The lists of capabilities: of the function behind, and of what its user sees of them. */
#ifndef CONFORMANCE_LISTS_H
#define CONFORMANCE_LISTS_H

#include "bed.h"

/* Enough for the captures and for what a test describes. */
#define LIST_ROOM 64

struct list {
	struct vfio_pci_capability caps[LIST_ROOM];
	unsigned int count;
};

struct list list_behind(struct bed *b, bool extended);
struct list list_seen(struct bed *b, bool extended);

/* Does the kernel take capabilities of this ID out of the list? */
bool is_hidden(bool extended, uint16_t id);

/* How many of a list are hidden. */
unsigned int count_hidden(const struct list *list, bool extended);

/* The first hidden one of those behind. */
struct vfio_pci_capability first_hidden(struct bed *b, bool extended);

#endif
