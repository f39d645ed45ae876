/* SPDX-License-Identifier: MIT */
/* Serve all configured devices until a signal ends it. */
#ifndef VFIOD_SUPERVISOR_H
#define VFIOD_SUPERVISOR_H

#include "config.h"
#include "privileges.h"

/* Returns the program's exit status. Reading the file again changes config. */
int supervise(struct config *config, const struct user *user);

#endif
