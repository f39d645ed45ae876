/* SPDX-License-Identifier: MIT */
/* Tell the service manager, if $NOTIFY_SOCKET names one, how vfiod is: "READY=1". */
#ifndef VFIOD_NOTIFY_H
#define VFIOD_NOTIFY_H

void notify(const char *state);

#endif
