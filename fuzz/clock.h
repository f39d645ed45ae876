/* SPDX-License-Identifier: MIT */
/* Time that passes only when somebody waits for a device: linked in, the library has no other. */
#ifndef FUZZ_CLOCK_H
#define FUZZ_CLOCK_H

#include <stdint.h>

extern int64_t clock_now;		/* milliseconds */

#endif
