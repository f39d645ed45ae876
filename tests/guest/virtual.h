/* SPDX-License-Identifier: MIT */
/* The same device by a virtual function of libvfio's, over the configuration space and the BARs that
 * sysfs has of it.
 */
#ifndef GUEST_VIRTUAL_H
#define GUEST_VIRTUAL_H

#include "session.h"

extern const struct road virtual_road;

#endif
