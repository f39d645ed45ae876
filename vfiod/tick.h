/* SPDX-License-Identifier: MIT */
/*
 * A signal every quarter of a second that does nothing, but ends any system call that waits.
 *
 * A stranger can make calls wait that should not: by a descriptor that it passes and whose last
 * close lingers, or by filling an eventfd between a look and a write.
 */
#ifndef VFIOD_TICK_H
#define VFIOD_TICK_H

/* Begin, in this process; a child that is forked begins anew. 0 or a negative errno. */
int tick_start(void);

#endif
