/* SPDX-License-Identifier: MIT */
/* What the kernel lets this process do. */
#ifndef LIBVFIO_BASE_CAPABILITY_H
#define LIBVFIO_BASE_CAPABILITY_H

#include <stdbool.h>

/* CAP_… of <linux/capability.h>, effective in this thread's user namespace. */
bool capability_have(unsigned int capability);

/* Is that the machine's own user namespace, where capabilities count for devices? */
bool capability_is_initial(void);

#endif
