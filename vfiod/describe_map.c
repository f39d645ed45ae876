/* SPDX-License-Identifier: MIT */
/* The map of configuration space: what the device itself says of each bit. */
#include "describe.h"

#include <stdint.h>
#include <stdio.h>

#include <vfio/pci.h>

#include "message.h"

#define DIGITS 8	/* of a dword */

enum { STRUCTURE, VIRTUAL, WRITABLE, CLEARED, TRAPPED, REFUSED, RAW, COLUMNS };

static const char *const keys[COLUMNS] = {
	"structure", "virtual", "writable", "cleared", "trapped", "refused", "raw",
};

static void explain(uint32_t numbers[COLUMNS], const struct vfio_config_info *info)
{
	numbers[STRUCTURE] = (uint32_t)info->base << 16 | info->capability;
	numbers[VIRTUAL] = info->virt;
	numbers[WRITABLE] = info->write;
	numbers[CLEARED] = info->clear;
	numbers[TRAPPED] = info->trapped;
	numbers[REFUSED] = info->policy;
	numbers[RAW] = info->raw;
}

static struct json_object *digits(const struct vfio_config_info *map, unsigned int count,
				  unsigned int column)
{
	char text[DIGITS * VFIO_PCI_MAX_DWORDS + 1] = "";
	uint32_t numbers[COLUMNS];

	for (unsigned int i = 0; i < count; i++) {
		explain(numbers, &map[i]);
		sprintf(text + DIGITS * i, "%08x", numbers[column]);
	}
	return json_object_new_string(text);
}

/* How many dwords the device explains; what it does not know itself is no explanation. */
static unsigned int ask(struct vfio_dev *dev, struct vfio_config_info map[VFIO_PCI_MAX_DWORDS])
{
	struct vfio_region region = { 0 };
	unsigned int count = 0;

	if (vfio_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &region) < 0)
		return 0;
	while (count < VFIO_PCI_MAX_DWORDS && count < region.size / 4 &&
	       vfio_config_info(dev, 4 * count, &map[count]) == 0 && map[count].exact)
		count++;
	return count;
}

struct json_object *describe_map(struct vfio_dev *dev)
{
	struct vfio_config_info map[VFIO_PCI_MAX_DWORDS];
	unsigned int count = ask(dev, map);
	struct json_object *json;

	if (!count)
		return NULL;
	json = json_object_new_object();
	for (unsigned int i = 0; i < COLUMNS; i++)
		json_object_object_add(json, keys[i], digits(map, count, i));
	return json;
}
