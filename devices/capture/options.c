/* SPDX-License-Identifier: MIT */
/* The device string: file=PATH[,slot=…][,bar0=…]…[,rom=PATH][,vpd=PATH][,id=…][,vf=1] */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"

#define REMEDY "capture's options are file=PATH, slot=ADDRESS, bar0=SIZE to bar5=SIZE, rom=PATH, " \
	       "vpd=PATH, id=VENDOR:DEVICE and vf=1; see vfio-capture(7)"

struct option {
	const char *name;
	/* False when the value is none. */
	bool (*parse)(struct options *o, unsigned int bar, char *value);
	const char *wants;
};

static bool set_path(char **to, const char *value)
{
	free(*to);
	*to = *value ? strdup(value) : NULL;
	return *to != NULL;
}

static bool parse_file(struct options *o, unsigned int bar, char *value)
{
	return set_path(&o->file, value);
}

static bool parse_slot(struct options *o, unsigned int bar, char *value)
{
	return set_path(&o->slot, value);
}

static bool parse_rom(struct options *o, unsigned int bar, char *value)
{
	return set_path(&o->rom, value);
}

static bool parse_vpd(struct options *o, unsigned int bar, char *value)
{
	return set_path(&o->vpd, value);
}

static bool parse_id(struct options *o, unsigned int bar, char *value)
{
	char *end;

	if (strspn(value, "0123456789abcdefABCDEF") != 4 || value[4] != ':' ||
	    strspn(value + 5, "0123456789abcdefABCDEF") != 4 || value[9])
		return false;
	o->vendor = (uint16_t)strtoul(value, &end, 16);
	o->device = (uint16_t)strtoul(end + 1, NULL, 16);
	return o->vendor != 0xffff;
}

static bool parse_vf(struct options *o, unsigned int bar, char *value)
{
	o->virtual_function = value[0] == '1';
	return (value[0] == '0' || value[0] == '1') && !value[1];
}

/* "64K", "1048576"; 0 when it is no size. */
static uint64_t parse_size(const char *text, size_t len)
{
	static const char units[] = "KMGT";
	const char *unit = len ? strchr(units, text[len - 1]) : NULL;
	unsigned int shift = unit ? 10 * (unsigned int)(unit - units + 1) : 0;
	size_t digits = strspn(text, "0123456789");
	uint64_t size;

	if (!digits || digits > 15 || digits + (unit != NULL) != len)
		return 0;
	size = strtoull(text, NULL, 10);
	return size > UINT64_MAX >> shift ? 0 : size << shift;
}

/* A word behind the size, for a BAR that the capture does not tell of. */
static bool parse_type(struct vfio_pci_resource *bar, const char *word)
{
	if (!strcmp(word, "io"))
		bar->io = true;
	else if (!strcmp(word, "64bit"))
		bar->mem64 = true;
	else if (!strcmp(word, "prefetchable"))
		bar->prefetchable = true;
	else
		return false;
	return !(bar->io && (bar->mem64 || bar->prefetchable));
}

static bool parse_bar(struct options *o, unsigned int bar, char *value)
{
	char *size = strsep(&value, ":"), *word;

	o->bars[bar] = (struct vfio_pci_resource){ .size = parse_size(size, strlen(size)) };
	while ((word = strsep(&value, ":")))
		if (!parse_type(&o->bars[bar], word))
			return false;
	return o->bars[bar].size != 0;
}

static const struct option options[] = {
	{ "file", parse_file, "a path" },
	{ "slot", parse_slot, "the address of a device in the file, as in 00:1f.2" },
	{ "rom", parse_rom, "a path" },
	{ "vpd", parse_vpd, "a path" },
	{ "id", parse_id, "vendor and device, as in 8086:10d3" },
	{ "vf", parse_vf, "0 or 1" },
	{ "bar", parse_bar, "a size as in 64K, and maybe :io, or :64bit and :prefetchable" },
};

/* "bar3" is the option bar, of number 3. */
static const struct option *find_option(const char *name, unsigned int *bar)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		size_t len = strlen(options[i].name);
		bool numbered = options[i].parse == parse_bar;

		if (strncmp(name, options[i].name, len) || strlen(name) != len + numbered)
			continue;
		*bar = numbered ? (unsigned int)(name[len] - '0') : 0;
		return *bar < BARS ? &options[i] : NULL;
	}
	return NULL;
}

static int parse_option(struct options *o, char *text, struct vfio_error *err)
{
	char *value = text, *name = strsep(&value, "=");
	const struct option *option;
	unsigned int bar;

	option = find_option(name, &bar);
	if (!option)
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "capture: option '%s': there is no such option", name);
	if (!value || !option->parse(o, bar, value))
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "capture: option '%s' wants %s", name, option->wants);
	return 0;
}

int options_parse(struct options *o, const char *text, struct vfio_error *err)
{
	char *copy = strdup(text), *rest = copy, *one;
	int r = copy ? 0 : refuse_memory(err);

	while (r == 0 && *rest && (one = strsep(&rest, ","))) {
		r = parse_option(o, one, err);
		if (!rest)
			break;
	}
	free(copy);
	if (r < 0)
		return r;
	if (!o->file)
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "capture: it is not said of which device; file=PATH is missing");
	if (o->vendor && !o->virtual_function)
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "capture: id is for virtual functions, and vf=1 is not said");
	if (o->rom && o->virtual_function)
		return refuse(err, EINVAL, VFIO_E_OPTION, REMEDY,
			      "capture: a virtual function has no expansion ROM, but rom is said");
	return 0;
}

void options_free(struct options *o)
{
	free(o->file);
	free(o->slot);
	free(o->rom);
	free(o->vpd);
}
