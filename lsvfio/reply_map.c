/* SPDX-License-Identifier: MIT */
/* The map of configuration space, as docs/control.md describes it: digits become numbers. */
#include <json-c/json.h>
#include <linux/pci_regs.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lsvfio.h"

#define DIGITS 8	/* of a dword */

static const struct part {
	const char *key;
	size_t offset;		/* of a mask in struct vfio_config_info */
} parts[] = {
	{ "virtual", offsetof(struct vfio_config_info, virt) },
	{ "writable", offsetof(struct vfio_config_info, write) },
	{ "cleared", offsetof(struct vfio_config_info, clear) },
	{ "trapped", offsetof(struct vfio_config_info, trapped) },
	{ "refused", offsetof(struct vfio_config_info, policy) },
	{ "raw", offsetof(struct vfio_config_info, raw) },
};

/* The number at text, whose digits were checked. */
static uint32_t number(const char *text)
{
	char digits[DIGITS + 1] = "";

	memcpy(digits, text, DIGITS);
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* A member's digits, of as many dwords as the map has; NULL after a complaint. */
static const char *part_digits(struct reader *r, struct json_object *in, const char *key,
			       size_t count)
{
	struct json_object *text;
	const char *digits;

	if (json_object_object_get_ex(in, key, &text) &&
	    json_object_is_type(text, json_type_string)) {
		digits = json_object_get_string(text);
		if (strspn(digits, "0123456789abcdefABCDEF") == DIGITS * count &&
		    !digits[DIGITS * count])
			return digits;
	}
	reader_refuse(r, key, "eight hexadecimal digits for each of at most 1024 dwords");
	return NULL;
}

/* The first member decides; what is too much is found out when it is read. */
static size_t count_dwords(struct json_object *in)
{
	struct json_object *text = json_object_object_get(in, "structure");
	size_t len = (size_t)json_object_get_string_len(text);

	return len / DIGITS < VFIO_PCI_MAX_DWORDS ? len / DIGITS : VFIO_PCI_MAX_DWORDS;
}

static bool take_structures(struct reader *r, struct json_object *in, struct description *d)
{
	const char *digits = part_digits(r, in, "structure", d->nmap);

	for (size_t i = 0; digits && i < d->nmap; i++) {
		uint32_t n = number(digits + DIGITS * i);

		d->map[i].offset = (uint16_t)(4 * i);
		d->map[i].capability = (uint16_t)n;
		d->map[i].base = (uint16_t)(n >> 16);
		d->map[i].extended = d->map[i].base >= PCI_CFG_SPACE_SIZE;
		d->map[i].exact = 1;
	}
	return digits;
}

static bool take_part(struct reader *r, struct json_object *in, struct description *d,
		      const struct part *part)
{
	const char *digits = part_digits(r, in, part->key, d->nmap);

	for (size_t i = 0; digits && i < d->nmap; i++) {
		uint32_t n = number(digits + DIGITS * i);

		memcpy((char *)&d->map[i] + part->offset, &n, sizeof(n));
	}
	return digits;
}

bool reply_map(struct reader *r, struct json_object *in, struct description *d)
{
	struct json_object *map;
	bool ok;

	reader_at(r, "the reply");
	if (!member_is_there(in, "map"))
		return true;
	if (!member_object_or_null(r, in, "map", &map))
		return false;
	if (!map)
		return true;
	reader_at(r, "the map");
	d->nmap = count_dwords(map);
	d->map = memory_zeroed(d->nmap ? d->nmap : 1, sizeof(*d->map));
	ok = take_structures(r, map, d);
	for (size_t i = 0; ok && i < sizeof(parts) / sizeof(parts[0]); i++)
		ok = take_part(r, map, d, &parts[i]);
	return ok;
}
