/* SPDX-License-Identifier: MIT */
#include "describe.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <vfio/device.h>

#include "message.h"

/* More than a PCI device has; it may be served by a stranger, who may say any number. */
#define MAX_REGIONS 64
#define MAX_IRQS 32
#define MAX_CONFIG 4096
#define MAX_RECORDS 64
#define MAX_VALUE 1024		/* of a policy */

struct flag {
	uint32_t bit;
	const char *name;
};

static const struct flag device_flags[] = {
	{ VFIO_DEVICE_FLAGS_RESET, "reset" },
	{ VFIO_DEVICE_FLAGS_PCI, "pci" },
	{ 0, NULL },
};

static const struct flag region_flags[] = {
	{ VFIO_REGION_INFO_FLAG_READ, "read" },
	{ VFIO_REGION_INFO_FLAG_WRITE, "write" },
	{ VFIO_REGION_INFO_FLAG_MMAP, "mmap" },
	{ 0, NULL },
};

static const struct flag irq_flags[] = {
	{ VFIO_IRQ_INFO_EVENTFD, "eventfd" },
	{ VFIO_IRQ_INFO_MASKABLE, "maskable" },
	{ VFIO_IRQ_INFO_AUTOMASKED, "automasked" },
	{ VFIO_IRQ_INFO_NORESIZE, "noresize" },
	{ 0, NULL },
};

static const struct flag reset_methods[] = {
	{ VFIO_RESET_DEVICE, "device" },
	{ VFIO_RESET_FLR, "flr" },
	{ VFIO_RESET_AF, "af" },
	{ VFIO_RESET_PM, "pm" },
	{ VFIO_RESET_BUS, "bus" },
	{ VFIO_RESET_SPECIFIC, "specific" },
	{ VFIO_RESET_HOT, "hot" },
	{ 0, NULL },
};

static const char *const region_names[] = {
	"BAR0", "BAR1", "BAR2", "BAR3", "BAR4", "BAR5", "ROM", "config", "VGA",
};

static const char *const irq_names[] = { "INTx", "MSI", "MSI-X", "ERR", "REQ" };

static struct json_object *flag_names(const struct flag *flags, uint32_t value)
{
	struct json_object *names = json_object_new_array();

	for (; flags->name; flags++)
		if (value & flags->bit)
			json_object_array_add(names, json_object_new_string(flags->name));
	return names;
}

/* The name of number index, or KINDn past the end of the table. */
static struct json_object *name_of(const char *const *names, size_t count, const char *kind,
				   uint32_t index)
{
	char name[24];

	if (index < count)
		return json_object_new_string(names[index]);
	snprintf(name, sizeof(name), "%s%u", kind, index);
	return json_object_new_string(name);
}

static struct json_object *describe_areas(const struct vfio_region *region)
{
	struct json_object *areas = json_object_new_array(), *area;

	for (uint32_t i = 0; i < region->nareas && i < VFIO_MAX_AREAS; i++) {
		area = message_new("offset", json_object_new_uint64(region->areas[i].offset));
		json_object_object_add(area, "size", json_object_new_uint64(region->areas[i].size));
		json_object_array_add(areas, area);
	}
	return areas;
}

static struct json_object *describe_region(struct vfio_dev *dev, uint32_t index)
{
	struct vfio_region region = { 0 };
	struct json_object *json;

	/* A region that cannot be looked at is shown as absent. */
	if (vfio_region(dev, index, &region) < 0)
		memset(&region, 0, sizeof(region));
	json = message_new("index", json_object_new_int64(index));
	json_object_object_add(json, "name",
			       name_of(region_names, sizeof(region_names) / sizeof(region_names[0]),
				       "region", index));
	json_object_object_add(json, "size", json_object_new_uint64(region.size));
	json_object_object_add(json, "flags", flag_names(region_flags, region.flags));
	json_object_object_add(json, "areas", describe_areas(&region));
	return json;
}

/* null where the device cannot tell. */
static struct json_object *describe_vectors(struct vfio_dev *dev, uint32_t index)
{
	struct vfio_vectors vectors;
	struct json_object *json;

	if (vfio_irq_vectors(dev, index, &vectors) < 0)
		return NULL;
	json = message_new("advertised", json_object_new_int64(vectors.advertised));
	json_object_object_add(json, "granted", json_object_new_int64(vectors.granted));
	return json;
}

/* Those with an eventfd; null where the device cannot tell. */
static struct json_object *describe_signalled(struct vfio_dev *dev, uint32_t index)
{
	uint64_t set[VFIO_MAX_VECTORS / 64];
	struct json_object *list;

	if (vfio_irq_signalled(dev, index, set) < 0)
		return NULL;
	list = json_object_new_array();
	for (int v = 0; v < VFIO_MAX_VECTORS; v++)
		if (set[v / 64] >> v % 64 & 1)
			json_object_array_add(list, json_object_new_int(v));
	return list;
}

static struct json_object *describe_irq(struct vfio_dev *dev, uint32_t index)
{
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = index };
	struct json_object *json;

	if (vfio_irq_info(dev, index, &irq) < 0)
		irq.flags = irq.count = 0;
	json = message_new("index", json_object_new_int64(index));
	json_object_object_add(json, "name",
			       name_of(irq_names, sizeof(irq_names) / sizeof(irq_names[0]), "irq",
				       index));
	json_object_object_add(json, "count", json_object_new_int64(irq.count));
	json_object_object_add(json, "flags", flag_names(irq_flags, irq.flags));
	json_object_object_add(json, "vectors", describe_vectors(dev, index));
	json_object_object_add(json, "signalled", describe_signalled(dev, index));
	return json;
}

static struct json_object *describe_config(struct vfio_dev *dev)
{
	struct vfio_region region = { 0 };
	uint8_t bytes[MAX_CONFIG];
	char digits[2 * MAX_CONFIG + 1];
	size_t len;
	ssize_t n;

	if (vfio_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &region) < 0)
		return json_object_new_string("");
	len = region.size < MAX_CONFIG ? (size_t)region.size : MAX_CONFIG;
	n = len ? vfio_pread(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, bytes, len) : 0;
	for (ssize_t i = 0; i < n; i++)
		sprintf(digits + 2 * i, "%02x", bytes[i]);
	return json_object_new_string_len(digits, n > 0 ? (int)(2 * n) : 0);
}

static struct json_object *describe_fault(struct vfio_dev *dev)
{
	struct vfio_fault fault;
	struct json_object *json;
	char iova[20];

	if (vfio_fault(dev, &fault) != 1)
		return NULL;
	snprintf(iova, sizeof(iova), "0x%llx", (unsigned long long)fault.iova);
	json = message_new("iova", json_object_new_string(iova));
	json_object_object_add(json, "size", json_object_new_uint64(fault.size));
	json_object_object_add(json, "direction", json_object_new_string(
		fault.prot & VFIO_DMA_WRITE ? "write" : "read"));
	json_object_object_add(json, "errno", json_object_new_int(fault.err));
	json_object_object_add(json, "count", json_object_new_uint64(fault.count));
	return json;
}

/* Empty where the device has none. */
static struct json_object *describe_policy(struct vfio_dev *dev)
{
	struct json_object *json = json_object_new_object();
	size_t count;
	const struct vfio_policy_key *keys = vfio_policy_keys(&count);
	char value[MAX_VALUE];

	for (size_t i = 0; i < count; i++)
		if (vfio_policy_get(dev, keys[i].name, value, sizeof(value)) == 0)
			json_object_object_add(json, keys[i].name, message_text(value));
	return json;
}

static struct json_object *describe_reset(struct vfio_dev *dev)
{
	struct vfio_reset_info info;
	struct json_object *json;

	if (vfio_reset_probe(dev, &info) < 0)
		return NULL;
	json = message_new("methods", flag_names(reset_methods, info.methods));
	json_object_object_add(json, "others", json_object_new_int64(info.others));
	json_object_object_add(json, "count", json_object_new_uint64(info.count));
	json_object_object_add(json, "last", json_object_new_int(-info.last));
	return json;
}

static struct json_object *describe_record(const struct vfio_error *record)
{
	struct json_object *json = message_new("code", json_object_new_int(record->code));

	json_object_object_add(json, "who",
			       json_object_new_string(vfio_refuser_name(record->who)));
	json_object_object_add(json, "errno", json_object_new_int(record->err));
	json_object_object_add(json, "text", message_text(record->what));
	json_object_object_add(json, "remedy", message_text(record->remedy));
	return json;
}

/* The side channel, oldest first; reading takes nothing away. */
static struct json_object *describe_records(struct vfio_dev *dev)
{
	struct json_object *records = json_object_new_array();
	struct vfio_error record;
	uint64_t cursor = 0;

	for (int i = 0; i < MAX_RECORDS && vfio_record(dev, &cursor, &record) == 1; i++)
		json_object_array_add(records, describe_record(&record));
	return records;
}

/* null where nobody can tell. */
static struct json_object *describe_isolation(struct vfio_dev *dev)
{
	struct vfio_isolation is;
	struct json_object *json;

	if (vfio_isolation(dev, &is) < 0)
		return NULL;
	json = message_new("dma", json_object_new_string(vfio_isolation_name(is.dma)));
	json_object_object_add(json, "interrupts",
			       json_object_new_string(vfio_isolation_name(is.interrupts)));
	return json;
}

struct json_object *describe(struct vfio_dev *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct json_object *json, *regions, *irqs;

	if (vfio_info(dev, &info) < 0)
		return NULL;
	regions = json_object_new_array();
	for (uint32_t i = 0; i < info.num_regions && i < MAX_REGIONS; i++)
		json_object_array_add(regions, describe_region(dev, i));
	irqs = json_object_new_array();
	for (uint32_t i = 0; i < info.num_irqs && i < MAX_IRQS; i++)
		json_object_array_add(irqs, describe_irq(dev, i));
	json = message_new("backend", json_object_new_string(vfio_backend_name(dev)));
	json_object_object_add(json, "flags", flag_names(device_flags, info.flags));
	json_object_object_add(json, "isolation", describe_isolation(dev));
	json_object_object_add(json, "regions", regions);
	json_object_object_add(json, "irqs", irqs);
	json_object_object_add(json, "config", describe_config(dev));
	json_object_object_add(json, "fault", describe_fault(dev));
	json_object_object_add(json, "dma", describe_dma(dev));
	json_object_object_add(json, "policy", describe_policy(dev));
	json_object_object_add(json, "reset", describe_reset(dev));
	json_object_object_add(json, "records", describe_records(dev));
	return json;
}
