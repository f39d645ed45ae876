/* SPDX-License-Identifier: MIT */
/*
 * A device opened by its string. For that moment lsvfio is the device's client, with all that this
 * means: nobody else can be, and the device returns to its power-on state when lsvfio has looked.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <vfio/device.h>

#include "lsvfio.h"

#define PATIENCE_MS 2000

static void last_problem(struct device *d, struct vfio_dev *dev, const char *asked)
{
	const char *what = vfio_last_error(dev)->what;
	char *clean = text_clean(what, strlen(what));

	device_problem(d, memory_printf("%s: %s", asked, clean));
	free(clean);
}

static void look_at_region(struct device *d, struct vfio_dev *dev, uint32_t index)
{
	struct region *to = description_region(d->description, index);
	struct vfio_region region;

	if (vfio_region(dev, index, &region) < 0) {
		last_problem(d, dev, to->name);
		return;
	}
	to->size = region.size;
	to->flags = region.flags;
	to->nareas = region.nareas <= VFIO_MAX_AREAS ? region.nareas : VFIO_MAX_AREAS;
	memcpy(to->areas, region.areas, to->nareas * sizeof(to->areas[0]));
}

static void look_at_irq(struct device *d, struct vfio_dev *dev, uint32_t index)
{
	struct irq *to = description_irq(d->description, index);
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	struct vfio_vectors vectors;

	if (vfio_irq_info(dev, index, &info) < 0) {
		last_problem(d, dev, to->name);
		return;
	}
	to->count = info.count;
	to->flags = info.flags;
	to->told = vfio_irq_signalled(dev, index, to->signalled) >= 0;
	if (vfio_irq_vectors(dev, index, &vectors) < 0)
		return;		/* not every back end knows */
	to->limited = true;
	to->advertised = vectors.advertised;
	to->granted = vectors.granted;
}

static void look_at_config(struct device *d, struct vfio_dev *dev)
{
	struct description *desc = d->description;
	struct vfio_region region;
	ssize_t n;

	if (vfio_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, &region) < 0 || region.size == 0)
		return;
	if (region.size > CONFIG_MAX)
		region.size = CONFIG_MAX;
	n = vfio_pread(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, desc->config, (size_t)region.size);
	if (n < 0) {
		last_problem(d, dev, "configuration space");
		n = vfio_pread(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, desc->config,
			       PCI_STD_HEADER_SIZEOF);	/* that an observer may read */
	}
	if (n < 0)
		return;
	desc->config_len = (size_t)n;
	config_explain(d);
}

static void look_at_isolation(struct description *desc, struct vfio_dev *dev)
{
	struct vfio_isolation is;

	if (vfio_isolation(dev, &is) < 0)
		return;		/* not every server knows */
	desc->isolation.dma = memory_copy(vfio_isolation_name(is.dma));
	desc->isolation.interrupts = memory_copy(vfio_isolation_name(is.interrupts));
}

static void look_at_policy(struct description *desc, struct vfio_dev *dev)
{
	size_t count;
	const struct vfio_policy_key *keys = vfio_policy_keys(&count);
	char value[1024];

	for (size_t i = 0; i < count && i < MAX_SETTINGS; i++) {
		if (vfio_policy_get(dev, keys[i].name, value, sizeof(value)) < 0)
			continue;
		desc->has_policy = true;
		desc->settings[desc->nsettings++] = (struct setting){
			memory_copy(keys[i].name), text_clean(value, strlen(value)),
		};
	}
}

/* A server may send any number for an errno. */
static int plausible_errno(int64_t err)
{
	return err >= 0 && err <= 4095 ? (int)err : 4095;
}

static void look_at_reset(struct description *desc, struct vfio_dev *dev)
{
	struct vfio_reset_info info;

	if (vfio_reset_probe(dev, &info) < 0)
		return;
	desc->reset = (struct reset){
		true, info.methods, info.others, info.count, plausible_errno(-(int64_t)info.last),
	};
}

static void look_at_records(struct description *desc, struct vfio_dev *dev)
{
	struct vfio_error err;
	uint64_t cursor = 0;
	int r = 0;

	while (desc->nrecords < MAX_RECORDS && (r = vfio_record(dev, &cursor, &err)) == 1)
		desc->records[desc->nrecords++] = (struct record){
			(uint32_t)err.code, memory_copy(vfio_refuser_name(err.who)),
			plausible_errno(err.err),
			text_clean(err.what, strlen(err.what)),
			text_clean(err.remedy, strlen(err.remedy)),
		};
	desc->has_records = r >= 0;
}

static uint32_t bounded(struct device *d, uint32_t n, uint32_t max, const char *what)
{
	if (n <= max)
		return n;
	device_problem(d, memory_printf("the device says that it has %u %s; the first %u are shown",
					n, what, max));
	return max;
}

static void look(struct device *d, struct vfio_dev *dev)
{
	struct description *desc = device_describe(d);
	struct vfio_device_info info = { .argsz = sizeof(info) };
	uint32_t nregions, nirqs;

	desc->backend = memory_copy(vfio_backend_name(dev));
	if (vfio_info(dev, &info) < 0) {
		last_problem(d, dev, "device information");
		return;
	}
	desc->flags = info.flags;
	nregions = bounded(d, info.num_regions, MAX_REGIONS, "regions");
	nirqs = bounded(d, info.num_irqs, MAX_IRQS, "interrupt indexes");
	for (uint32_t i = 0; i < nregions; i++)
		look_at_region(d, dev, i);
	for (uint32_t i = 0; i < nirqs; i++)
		look_at_irq(d, dev, i);
	look_at_isolation(desc, dev);
	look_at_policy(desc, dev);
	dma_ask(&desc->dma, dev);
	look_at_reset(desc, dev);
	look_at_records(desc, dev);
	look_at_config(d, dev);
}

void opened_observe(struct device *d)
{
	char *string = memory_printf("sysfs:%s", d->name);
	struct vfio_dev *dev;

	if (vfio_open(&dev, string, NULL) == 0) {
		look_at_reset(d->description, dev);
		vfio_close(dev);
	}
	free(string);
}

int opened_show(struct device_list *list, const char *string, bool map, struct vfio_error *err)
{
	struct vfio_dev *dev;
	struct device *d;
	int r = vfio_open(&dev, string, err);

	if (r < 0)
		return r;
	d = device_new(KIND_OPENED, text_clean(string, strlen(string)),
		       text_clean(string, strlen(string)));
	vfio_set_timeout(dev, PATIENCE_MS);
	look(d, dev);
	if (map)
		config_map_ask(d, dev);
	vfio_close(dev);
	TAILQ_INSERT_TAIL(list, d, entry);
	return 0;
}
