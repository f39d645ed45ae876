/* SPDX-License-Identifier: MIT */
/*
 * What libvfio knows beside PCI: where a write went, what was refused and why, how bits behave, how
 * to reset, what the policy is. Where the other end cannot tell, what can be worked out is.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include <vfio/device.h>
#include <vfio/pci.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"
#include "pci/reset.h"

/* The errors by which servers say that they do not know a feature. */
bool driver_is_unknown(int r)
{
	return r == -ENOTTY || r == -EINVAL || r == -ENOTSUP || r == -ENOSYS;
}

int driver_cannot_tell(struct vfio_dev *dev, const char *what)
{
	return error_set(&dev->error, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY,
			 "devices in this process, and those of vfiod, can",
			 "%s: the other end cannot tell", what);
}

int driver_get(struct vfio_dev *dev, uint32_t number, void *data, size_t len)
{
	struct vfio_error before = dev->error;
	int r = -ENOTTY;

	if (dev->backend->feature)
		r = dev->backend->feature(dev, number | VFIO_DEVICE_FEATURE_GET, data, len);
	if (driver_is_unknown(r))
		dev->error = before;
	return r;
}

/* ---- where a write went ------------------------------------------------------------------- */

EXPORT ssize_t vfio_pwrite_where(struct vfio_dev *dev, uint32_t region, uint64_t offset,
				 const void *buf, size_t len, uint32_t *where)
{
	ssize_t n;
	int r;

	*where = 0;
	r = driver_get(dev, FEATURE_WRITE_WHERE, where, sizeof(*where));
	if (driver_is_unknown(r))
		return driver_cannot_tell(dev, "where a write went");
	if (r < 0)
		return r;
	n = dev->backend->write(dev, region, offset, buf, len);
	if (n < 0)
		return n;
	r = driver_get(dev, FEATURE_WRITE_WHERE, where, sizeof(*where));
	return r < 0 ? r : n;
}

EXPORT int vfio_record(struct vfio_dev *dev, uint64_t *cursor, struct vfio_error *record)
{
	struct feature_record q = { .cursor = *cursor };
	int r = driver_get(dev, FEATURE_RECORD, &q, sizeof(q));

	if (driver_is_unknown(r))
		return driver_cannot_tell(dev, "what was refused");
	if (r < 0 || !q.found)
		return r;
	if (q.cursor <= *cursor)
		return error_set(&dev->error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "the server's records do not go on");
	*cursor = q.cursor;
	error_import(record, -1, &q.record);
	return 1;
}

/* ---- what a bit does ---------------------------------------------------------------------- */

static int no_such_dword(struct vfio_dev *dev, uint32_t offset)
{
	return error_set(&dev->error, EFAULT, VFIO_E_RANGE, VFIO_BY_LIBRARY, NULL,
			 "%#x is no dword of the device's configuration space", offset);
}

/* By the table: what the kernel does for its user. */
static int predict_dword(struct vfio_dev *dev, struct vfio_config_info *info)
{
	struct vfio_config_info map[VFIO_PCI_MAX_DWORDS];
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE];
	ssize_t len = driver_config(dev, config);

	if (len < 0)
		return len;
	if (!is_aligned(info->offset, 4) || info->offset / 4 >= vfio_pci_config_map(config, len, map))
		return no_such_dword(dev, info->offset);
	*info = map[info->offset / 4];
	return 0;
}

EXPORT int vfio_config_info(struct vfio_dev *dev, uint32_t offset, struct vfio_config_info *info)
{
	int r;

	if (offset > UINT16_MAX)
		return no_such_dword(dev, offset);
	*info = (struct vfio_config_info){ .offset = offset };
	r = driver_get(dev, FEATURE_CONFIG_INFO, info, sizeof(*info));
	if (r == -EFAULT)
		return no_such_dword(dev, offset);
	if (r == 0 && info->offset != offset)
		return error_set(&dev->error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "the server explains another dword than %#x", offset);
	if (!driver_is_unknown(r))
		return r;
	*info = (struct vfio_config_info){ .offset = offset };
	return predict_dword(dev, info);
}

/* ---- reset, vectors ----------------------------------------------------------------------- */

/* The device is a bus, too, for those who have all of it. */
static void probe_hot_reset(struct vfio_dev *dev, struct vfio_reset_info *info)
{
	const struct vfio_error before = dev->error;
	struct vfio_hot_reset_device list[32];
	int n = dev->backend->hot_reset_info ? dev->backend->hot_reset_info(dev, list, 32) : 0;
	bool allowed = n > 0 && n <= 32;

	for (int i = 0; allowed && i < n; i++)
		allowed = list[i].flags & VFIO_HOT_RESET_ALLOWED;
	if (allowed)
		info->methods |= VFIO_RESET_HOT;
	info->others = n > 0 ? (uint32_t)n - 1 : 0;
	dev->error = before;
}

EXPORT int vfio_reset_probe(struct vfio_dev *dev, struct vfio_reset_info *info)
{
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE];
	struct vfio_device_info device;
	ssize_t len;
	int r;

	memset(info, 0, sizeof(*info));
	r = driver_get(dev, FEATURE_RESET_INFO, info, sizeof(*info));
	if (!driver_is_unknown(r))
		return r;
	memset(info, 0, sizeof(*info));
	probe_hot_reset(dev, info);
	r = dev->backend->info(dev, &device);
	if (r < 0 || !(device.flags & VFIO_DEVICE_FLAGS_RESET))
		return r;
	info->methods |= VFIO_RESET_DEVICE;
	len = driver_config(dev, config);
	if (len < 0)
		return len;
	info->methods |= reset_methods(config, len);
	return 0;
}

EXPORT int vfio_irq_vectors(struct vfio_dev *dev, uint32_t index, struct vfio_vectors *vectors)
{
	struct feature_vectors q = { .index = index };
	struct vfio_irq_info info;
	int r = dev->backend->irq_info(dev, index, &info);

	if (r < 0)
		return r;
	r = driver_get(dev, FEATURE_VECTORS, &q, sizeof(q));
	if (r < 0 && !driver_is_unknown(r))
		return r;
	*vectors = r < 0 ? (struct vfio_vectors){ info.count, info.count } : q.vectors;
	return 0;
}

static unsigned int count_bits(const uint64_t *set)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < VFIO_MAX_VECTORS / 64; i++)
		n += (unsigned int)__builtin_popcountll(set[i]);
	return n;
}

EXPORT int vfio_irq_signalled(struct vfio_dev *dev, uint32_t index,
			      uint64_t set[VFIO_MAX_VECTORS / 64])
{
	struct feature_signalled q = { .index = index };
	struct vfio_irq_info info;
	int r = dev->backend->irq_info(dev, index, &info);

	if (r < 0)
		return r;
	r = driver_get(dev, FEATURE_SIGNALLED, &q, sizeof(q));
	if (driver_is_unknown(r))
		return driver_cannot_tell(dev, "which vectors have an eventfd");
	if (r < 0)
		return r;
	memcpy(set, q.set, sizeof(q.set));
	return count_bits(set);
}

/* ---- policy ------------------------------------------------------------------------------- */

static int no_policy(struct vfio_dev *dev)
{
	return error_set(&dev->error, ENOTSUP, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY,
			 "it is decided where the device is served: see vfiod.conf(5)",
			 "the policy of a device that is not in this process");
}

/* These do not make the device, and with it the memory that is mapped, anew. */
static bool leaves_memory(const char *key)
{
	static const char *const keys[] = { 
		"vectors", "at-close", "max-maps", "max-dma", "process-memory",
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

EXPORT int vfio_policy_set(struct vfio_dev *dev, const char *key, const char *value)
{
	if (dev->driver && !SLIST_EMPTY(&dev->driver->maps) && !leaves_memory(key))
		return error_set(&dev->error, EBUSY, VFIO_E_BUSY, VFIO_BY_LIBRARY,
				 "decide before vfio_map() is called",
				 "the policy cannot change while registers are mapped");
	if (dev->driver)
		dev->driver->nranges = 0;	/* it may be about I/O addresses */
	return dev->backend->policy_set ? dev->backend->policy_set(dev, key, value) : no_policy(dev);
}

EXPORT int vfio_policy_get(struct vfio_dev *dev, const char *key, char *value, size_t size)
{
	return dev->backend->policy_get ? dev->backend->policy_get(dev, key, value, size)
					: no_policy(dev);
}
