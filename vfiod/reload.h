/* SPDX-License-Identifier: MIT */
/* Reading the configuration again while devices are served. */
#ifndef VFIOD_RELOAD_H
#define VFIOD_RELOAD_H

#include "config.h"
#include "device.h"

/*
 * Read config's file again. A file with errors changes nothing. Otherwise the policies of the
 * devices are changed; whatever else is different is named in the log, since it takes a restart.
 */
void reload(struct config *config, struct device *devices, unsigned int ndevices);

#endif
