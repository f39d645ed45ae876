/* SPDX-License-Identifier: MIT */
/*
 * libpci: names from pci.ids, and the selectors that lspci's users know.
 *
 * libpci is not asked to look at devices: it ends the program when a file in sysfs is missing, and
 * waits for ever on one that is a pipe. pci.c reads sysfs, and hands libpci what it read.
 */
#include <err.h>
#include <pci/pci.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

struct ids {
	struct pci_access *access;
	struct pci_filter filter;
};

static void complain(char *format, va_list args)
{
	fputs("lsvfio: libpci: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

/* libpci wants no return from here. Only an unreadable pci.ids leads here. */
__attribute__((noreturn, format(printf, 1, 2)))
static void on_error(char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	va_end(args);
	exit(EXIT_NONE);
}

__attribute__((format(printf, 1, 2)))
static void on_warning(char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(format, args);
	va_end(args);
}

__attribute__((format(printf, 1, 2)))
static void on_debug(char *format, ...)
{
}

struct ids *ids_open(void)
{
	struct ids *ids = memory_zeroed(1, sizeof(*ids));

	ids->access = memory_check(pci_alloc());
	ids->access->error = on_error;
	ids->access->warning = on_warning;
	ids->access->debug = on_debug;
	pci_filter_init(ids->access, &ids->filter);
	return ids;
}

void ids_close(struct ids *ids)
{
	if (!ids)
		return;
	pci_free_name_list(ids->access);
	pci_cleanup(ids->access);
	free(ids);
}

/* The parsers cut their text up. */
static const char *select_by(char *(*parse)(struct pci_filter *, char *), struct ids *ids,
			     const char *text)
{
	char *copy = memory_copy(text);
	const char *wrong = parse(&ids->filter, copy);

	free(copy);
	return wrong;
}

const char *ids_select_slot(struct ids *ids, const char *text)
{
	return select_by(pci_filter_parse_slot, ids, text);
}

const char *ids_select_id(struct ids *ids, const char *text)
{
	return select_by(pci_filter_parse_id, ids, text);
}

static bool selects_slot(const struct ids *ids)
{
	const struct pci_filter *f = &ids->filter;

	return f->domain >= 0 || f->bus >= 0 || f->slot >= 0 || f->func >= 0;
}

bool ids_selects_id(const struct ids *ids)
{
	const struct pci_filter *f = &ids->filter;

	return f->vendor >= 0 || f->device >= 0 || f->device_class >= 0 || f->prog_if >= 0;
}

bool ids_match(struct ids *ids, const struct device *d)
{
	struct pci_dev p = {
		/* Everything is known: libpci need not look. */
		.known_fields = ~0u,
		.access = ids->access,
		.domain = (int)d->address.domain,
		.bus = d->address.bus,
		.dev = d->address.slot,
		.func = d->address.func,
		.vendor_id = d->id.vendor,
		.device_id = d->id.device,
		.device_class = (u16)(d->id.class_code >> 8),
		.prog_if = (u8)d->id.class_code,
	};

	if (selects_slot(ids) && d->kind != KIND_PCI)
		return false;
	if (ids_selects_id(ids) && !d->id.known)
		return false;
	return pci_filter_match(&ids->filter, &p);
}

static char *cleaned(const char *name)
{
	return name ? text_clean(name, strlen(name)) : NULL;
}

void ids_name(struct ids *ids, struct identity *id)
{
	const int flags = PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB;
	struct pci_access *a = ids->access;
	char buf[256];

	if (!id->known || id->vendor_name || id->device_name || id->class_name)
		return;
	id->vendor_name = cleaned(pci_lookup_name(a, buf, sizeof(buf), flags | PCI_LOOKUP_VENDOR,
						  id->vendor));
	id->device_name = cleaned(pci_lookup_name(a, buf, sizeof(buf), flags | PCI_LOOKUP_DEVICE,
						  id->vendor, id->device));
	id->class_name = cleaned(pci_lookup_name(a, buf, sizeof(buf), flags | PCI_LOOKUP_CLASS,
						 id->class_code >> 8));
}
