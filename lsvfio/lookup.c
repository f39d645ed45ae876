/* SPDX-License-Identifier: MIT */
/* Which device somebody means by DEVICE on the command line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool not_found(const char *name, const char *why)
{
	char *clean = text_clean(name, strlen(name));

	fprintf(stderr, "lsvfio: device '%s' cannot be shown: %s\n", clean, why);
	free(clean);
	return false;
}

static bool lookup_pci(struct device_list *list, const struct sources *sources, const char *name,
		       const struct pci_address *address)
{
	int r;

	if (!sources->pci)
		return not_found(name, "it is a PCI address, and --no-pci leaves PCI devices out");
	r = pci_show(list, sources->sysfs, address);
	if (r == 0 && !sources->sysfs_named)
		opened_observe(TAILQ_LAST(list, device_list));
	if (r == 0)
		return true;
	if (r == -ENOENT)
		return not_found(name, "there is no PCI device of this address; lsvfio without "
				 "DEVICE lists those that there are");
	return not_found(name, strerror(-r));
}

static void clean_in_place(char *text, size_t size)
{
	char *clean = text_clean(text, strlen(text));

	snprintf(text, size, "%s", clean);
	free(clean);
}

/* The record quotes what it was given, and a server may have had a word in it too. */
static bool open_or_complain(struct device_list *list, const struct sources *sources,
			     const char *string)
{
	struct vfio_error err;

	if (opened_show(list, string, sources->map, &err) == 0)
		return true;
	clean_in_place(err.what, sizeof(err.what));
	clean_in_place(err.remedy, sizeof(err.remedy));
	vfio_error_print(stderr, "lsvfio", &err);
	return false;
}

/*
 * A name without a form of its own: the name of a device that a vfiod serves comes first, because
 * to ask for it changes nothing.
 */
static bool lookup_name(struct device_list *list, const struct sources *sources, const char *name)
{
	int n = sources->vfiod ? vfiod_show(list, &sources->vfiods, name, sources->map) : 0;

	if (n)
		return n > 0;
	if (open_or_complain(list, sources, name))
		return true;
	return not_found(name, sources->vfiod ?
			 "no vfiod that answers has a device of this name, and as a device "
			 "string it cannot be opened" : "as a device string it cannot be opened");
}

bool lookup_device(struct device_list *list, const struct sources *sources, const char *name)
{
	struct pci_address address;

	if (pci_parse_address(name, &address))
		return lookup_pci(list, sources, name, &address);
	if (starts(name, "unix:") || starts(name, "fd:") || starts(name, "sysfs:"))
		return open_or_complain(list, sources, name);
	return lookup_name(list, sources, name);
}
