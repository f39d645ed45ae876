/* SPDX-License-Identifier: MIT */
/*
 * The line above what is said of a device. A name can mean a device that a vfiod serves, and be a
 * device string too, so it says which of them this is.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

static char *served_by(const struct device *d)
{
	const char *string = d->string ? d->string : "an inherited socket";

	if (!d->served->vfiod)
		return memory_printf("served by vfiod, %s", string);
	return memory_printf("served by vfiod %" PRIu32 ", %s", d->served->vfiod, string);
}

static char *opened_as(const struct device *d)
{
	if (d->description && d->description->backend &&
	    !strcmp(d->description->backend, "inprocess"))
		return memory_copy("a new device, made in lsvfio's own process");
	if (d->description && d->description->backend && !strcmp(d->description->backend, "sysfs"))
		return memory_copy("a PCI device, only looked at");
	return memory_copy("opened by lsvfio as its client");
}

static char *place(const struct device *d)
{
	switch (d->kind) {
	case KIND_VFIOD:
		return served_by(d);
	case KIND_OPENED:
		return opened_as(d);
	case KIND_PCI:
		return memory_copy("a PCI device of this machine");
	case KIND_DUMP:
		return memory_copy("from a file");
	}
	return NULL;
}

void title_print(const struct device *d, const struct look *look)
{
	char *text = place(d);

	printf(look->colour ? "\033[1m%s\033[0m: %s\n" : "%s: %s\n", d->name, text);
	free(text);
}
