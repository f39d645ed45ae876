/* SPDX-License-Identifier: MIT */
/* What to paste to use a device. */
#ifndef VFIOD_HINT_H
#define VFIOD_HINT_H

/* Log where the device is, and how a driver and QEMU are told; path NULL: a socket without one. */
void hint(const char *device, const char *path);

#endif
