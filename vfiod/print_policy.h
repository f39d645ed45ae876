/* SPDX-License-Identifier: MIT */
/* What an administrator can decide, and has decided, as tables on standard output. */
#ifndef VFIOD_PRINT_POLICY_H
#define VFIOD_PRINT_POLICY_H

#include "config.h"

/* All keys with what they can be. */
void print_policy_keys(void);

/* What holds for each device, and where that comes from. */
void print_policy_of(const struct config *config);

#endif
