/* SPDX-License-Identifier: MIT */
/* A client that cuts off a file under its DMA memory is to harm nobody: see vfio_server_mend(3). */
#ifndef VFIOD_MEND_H
#define VFIOD_MEND_H

#include <vfio/server.h>

/* From now on SIGBUS in memory of the server's client is mended. 0 or a negative errno. */
int mend_start(struct vfio_server *server);

#endif
