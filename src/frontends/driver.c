/* SPDX-License-Identifier: MIT */
#include "frontends/driver.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vfio/pci.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

struct driver *driver_new(struct vfio_dev *dev)
{
	dev->driver = calloc(1, sizeof(*dev->driver));
	if (!dev->driver) {
		error_system(&dev->error, ENOMEM, "keeping a driver's state");
		return NULL;
	}
	dev->driver->dev = dev;
	SLIST_INIT(&dev->driver->maps);
	dev->driver->fault_fd = -1;
	dev->driver->event_fd = -1;
	driver_dma_open(dev->driver);
	return dev->driver;
}

/* All of configuration space; returns how many bytes there are. */
ssize_t driver_config(struct vfio_dev *dev, uint8_t config[PCI_CFG_SPACE_EXP_SIZE])
{
	struct vfio_region region;
	int r = dev->backend->region(dev, CONFIG, &region);

	if (r < 0)
		return r;
	if (region.size > PCI_CFG_SPACE_EXP_SIZE)
		region.size = PCI_CFG_SPACE_EXP_SIZE;
	return dev->backend->read(dev, CONFIG, 0, config, region.size);
}

/* ---- what the device is ------------------------------------------------------------------- */

EXPORT const struct vfio_error *vfio_last_error(const struct vfio_dev *dev)
{
	return &dev->error;
}

EXPORT const char *vfio_backend_name(const struct vfio_dev *dev)
{
	return dev->backend->name;
}

EXPORT int vfio_set_timeout(struct vfio_dev *dev, unsigned int milliseconds)
{
	if (milliseconds == 0)
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give at least one millisecond", "a time-out of 0");
	return dev->backend->set_timeout(dev, milliseconds);
}

EXPORT int vfio_poll_fd(struct vfio_dev *dev)
{
	int fd = dev->backend->poll_fd(dev);

	if (fd == -ENOTSUP)
		return error_set(&dev->error, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY, NULL,
				 "the device has nothing to poll for");
	return fd;
}

EXPORT int vfio_dispatch(struct vfio_dev *dev)
{
	return dev->backend->dispatch(dev);
}

EXPORT int vfio_info(struct vfio_dev *dev, struct vfio_device_info *info)
{
	return dev->backend->info(dev, info);
}

EXPORT int vfio_region(struct vfio_dev *dev, uint32_t index, struct vfio_region *region)
{
	return dev->backend->region(dev, index, region);
}

EXPORT int vfio_reset(struct vfio_dev *dev)
{
	return dev->backend->reset(dev);
}

EXPORT int vfio_find_extended_capability(struct vfio_dev *dev, uint16_t id)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE];
	ssize_t r = driver_config(dev, config);
	unsigned int n;

	if (r < 0)
		return r;
	n = vfio_pci_walk_extended(config, r, caps, NULL);
	for (unsigned int i = 0; i < n; i++)
		if (caps[i].id == id)
			return caps[i].offset;
	return error_set(&dev->error, ENOENT, VFIO_E_NO_CAPABILITY, VFIO_BY_LIBRARY, NULL,
			 "the device has no extended capability %#x", id);
}

EXPORT int vfio_find_capability(struct vfio_dev *dev, uint8_t id)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	uint8_t config[PCI_CFG_SPACE_SIZE];
	ssize_t r = dev->backend->read(dev, CONFIG, 0, config, sizeof(config));
	unsigned int n;

	if (r < 0)
		return r;
	n = vfio_pci_walk(config, r, caps, NULL);
	for (unsigned int i = 0; i < n; i++)
		if (caps[i].id == id)
			return caps[i].offset;
	return error_set(&dev->error, ENOENT, VFIO_E_NO_CAPABILITY, VFIO_BY_LIBRARY, NULL,
			 "the device has no capability %#x", id);
}

/* ---- registers ---------------------------------------------------------------------------- */

EXPORT ssize_t vfio_pread(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf,
			  size_t len)
{
	return dev->backend->read(dev, region, offset, buf, len);
}

EXPORT ssize_t vfio_pwrite(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
			   size_t len)
{
	return dev->backend->write(dev, region, offset, buf, len);
}

/* Where a register is mapped, or NULL. */
static volatile void *mapped(const struct vfio_dev *dev, uint32_t region, uint64_t offset,
			     unsigned int width)
{
	const struct register_map *m;

	if (!dev->driver)
		return NULL;
	SLIST_FOREACH(m, &dev->driver->maps, link)
		if (m->region == region && offset >= m->offset &&
		    is_inside(offset - m->offset, width, m->len) && is_aligned(offset, width))
			return m->addr + (offset - m->offset);
	return NULL;
}

/* An access that ends within the region, or none: a register cannot be read by half. */
static int whole(struct vfio_dev *dev, ssize_t done, unsigned int width)
{
	if (done == (ssize_t)width)
		return 0;
	if (done < 0)
		return done;
	return error_set(&dev->error, EINVAL, VFIO_E_RANGE, VFIO_BY_LIBRARY, NULL,
			 "a register of %u bytes reaches past the end of its region", width);
}

static uint64_t read_register(struct vfio_dev *dev, uint32_t region, uint64_t offset,
			      unsigned int width)
{
	uint8_t bytes[8];

	if (whole(dev, dev->backend->read(dev, region, offset, bytes, width), width) < 0)
		return UINT64_MAX;
	return le_get(bytes, width);
}

static void write_register(struct vfio_dev *dev, uint32_t region, uint64_t offset,
			   unsigned int width, uint64_t value)
{
	uint8_t bytes[8];

	le_put(bytes, width, value);
	whole(dev, dev->backend->write(dev, region, offset, bytes, width), width);
}

#define REGISTER(bits, to_host, to_pci)                                                            \
	EXPORT uint##bits##_t vfio_read##bits(struct vfio_dev *dev, uint32_t region,               \
					      uint64_t offset)                                     \
	{                                                                                          \
		volatile uint##bits##_t *at = mapped(dev, region, offset, bits / 8);               \
												   \
		return at ? to_host(*at) : read_register(dev, region, offset, bits / 8);           \
	}                                                                                          \
	EXPORT void vfio_write##bits(struct vfio_dev *dev, uint32_t region, uint64_t offset,       \
				     uint##bits##_t value)                                         \
	{                                                                                          \
		volatile uint##bits##_t *at = mapped(dev, region, offset, bits / 8);               \
												   \
		if (at)                                                                            \
			*at = to_pci(value);                                                       \
		else                                                                               \
			write_register(dev, region, offset, bits / 8, value);                      \
	}

REGISTER(8, , )
REGISTER(16, le16toh, htole16)
REGISTER(32, le32toh, htole32)
REGISTER(64, le64toh, htole64)

/* ---- mapped registers --------------------------------------------------------------------- */

static bool is_mappable(const struct vfio_region *region, uint64_t offset, size_t len)
{
	for (uint32_t i = 0; i < region->nareas; i++) {
		const struct vfio_area *a = &region->areas[i];

		if (offset >= a->offset && is_inside(offset - a->offset, len, a->size))
			return true;
	}
	return false;
}

static void *not_mappable(struct vfio_dev *dev, uint32_t region, uint64_t offset, size_t len)
{
	error_set(&dev->error, EINVAL, VFIO_E_NOT_MAPPABLE, VFIO_BY_LIBRARY,
		  "use vfio_read32() and its kin, or map whole pages of one area of vfio_region()",
		  "mapping %zu bytes at %#llx of region %u", len, (unsigned long long)offset, region);
	return NULL;
}

EXPORT volatile void *vfio_map(struct vfio_dev *dev, uint32_t index, uint64_t offset, size_t len)
{
	struct driver *d = driver_of(dev);
	uint64_t page = sysconf(_SC_PAGESIZE);
	struct vfio_region region;
	struct register_map *m;

	if (!d || dev->backend->region(dev, index, &region) < 0)
		return NULL;
	if (!len || !is_aligned(offset | len, page) || region.fd < 0 ||
	    !is_mappable(&region, offset, len))
		return not_mappable(dev, index, offset, len);
	m = malloc(sizeof(*m));
	if (!m) {
		error_system(&dev->error, ENOMEM, "mapping registers");
		return NULL;
	}
	*m = (struct register_map){ .region = index, .offset = offset, .len = len };
	m->addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd,
		       region.fd_offset + offset);
	if (m->addr == MAP_FAILED) {
		error_system(&dev->error, errno, "mapping %zu bytes at %#llx of region %u", len,
			     (unsigned long long)offset, index);
		free(m);
		return NULL;
	}
	SLIST_INSERT_HEAD(&d->maps, m, link);
	return m->addr;
}

static void unmap_registers(struct driver *d)
{
	struct register_map *m;

	while ((m = SLIST_FIRST(&d->maps))) {
		SLIST_REMOVE_HEAD(&d->maps, link);
		munmap(m->addr, m->len);
		free(m);
	}
}

/* ---- life --------------------------------------------------------------------------------- */

EXPORT int vfio_set_bus_master(struct vfio_dev *dev, bool on)
{
	uint8_t bytes[2];
	uint16_t command;
	int r = whole(dev, dev->backend->read(dev, CONFIG, PCI_COMMAND, bytes, 2), 2);

	if (r < 0)
		return r;
	command = le16_get(bytes);
	command = on ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER;
	le16_put(bytes, command);
	return whole(dev, dev->backend->write(dev, CONFIG, PCI_COMMAND, bytes, 2), 2);
}

EXPORT void vfio_close(struct vfio_dev *dev)
{
	if (!dev)
		return;
	vfio_set_bus_master(dev, false);
	if (dev->driver) {
		driver_irqs_close(dev);
		driver_events_close(dev);
		driver_faults_close(dev);
		driver_dma_close(dev);
		unmap_registers(dev->driver);
		free(dev->driver);
	}
	free(dev->name);
	dev->backend->close(dev);
}
