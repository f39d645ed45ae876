/* SPDX-License-Identifier: MIT */
/* The system calls that a device process may still make once it serves strangers. */
#ifndef VFIOD_SANDBOX_H
#define VFIOD_SANDBOX_H

#include <stdbool.h>

/* Sanitizers make system calls of their own: builds with one have no filter. */
bool sandbox_is_built_in(void);

/*
 * Let this process make only the calls on the list, and those that the device's back end, by
 * vfio_backend_name(), makes once the device is open; any other kills it with SIGSYS. 0 or a negative
 * errno.
 */
int sandbox_enter(const char *backend);

#endif
