/* SPDX-License-Identifier: MIT */
/* Regions of a device of the kernel's: where they are in its descriptor, and what can be mapped. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vfio/pci.h>

#include "backends/areas.h"
#include "backends/kernel.h"
#include "base/bits.h"
#include "base/error.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define ROOM   4096u		/* of an answer with its capabilities: 250 areas */

/* ---- what they are -------------------------------------------------------------------------- */

static bool is_mapped(const struct vfio_region *r)
{
	return (r->flags & VFIO_REGION_INFO_FLAG_MMAP) && r->size;
}

/* Without a list of areas it is all one; the pages of the MSI-X table are never mapped. */
static void find_areas(const struct kernel *k, struct vfio_region *r)
{
	if (!is_mapped(r)) {
		r->flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
		r->nareas = 0;
		return;
	}
	if (!r->nareas) {
		r->areas[0] = (struct vfio_area){ 0, r->size };
		r->nareas = 1;
	}
	if (r->index == k->msix_bar)
		areas_cut(r, k->msix_start, k->msix_end);
	r->fd = k->device;
}

static int ask(struct kernel *k, uint32_t index)
{
	struct vfio_region *r = &k->regions[index];
	uint8_t raw[ROOM] = { 0 };
	struct vfio_region_info q = { .argsz = sizeof(raw), .index = index };

	memcpy(raw, &q, sizeof(q));
	if (ioctl(k->device, VFIO_DEVICE_GET_REGION_INFO, raw) < 0) {
		if (errno != EINVAL || index != VFIO_PCI_VGA_REGION_INDEX)
			return error_system(&k->dev.error, errno, "asking for region %u", index);
		memset(raw, 0, sizeof(raw));	/* most devices have none */
	}
	memcpy(&q, raw, sizeof(q));
	*r = (struct vfio_region){
		.index = index, .size = q.size, .fd = -1, .fd_offset = q.offset,
		.flags = q.flags & ~VFIO_REGION_INFO_FLAG_CAPS,
	};
	if ((q.flags & VFIO_REGION_INFO_FLAG_CAPS) &&
	    !areas_take(r, raw, sizeof(raw), q.cap_offset))
		return error_set(&k->dev.error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_KERNEL, NULL,
				 "asking for region %u: its capabilities are malformed", index);
	find_areas(k, r);
	k->asked[index] = true;
	return 0;
}

static int need(struct kernel *k, uint32_t index)
{
	if (index >= k->info.num_regions)
		return error_set(&k->dev.error, EINVAL, VFIO_E_NO_REGION, VFIO_BY_LIBRARY,
				 "vfio_info() says how many regions there are",
				 "region %u: the device has %u", index, k->info.num_regions);
	return k->asked[index] ? 0 : ask(k, index);
}

int kernel_region(struct vfio_dev *dev, uint32_t index, struct vfio_region *region)
{
	struct kernel *k = kernel_of(dev);
	int r = need(k, index);

	if (r == 0)
		*region = k->regions[index];
	return r;
}

int kernel_find_msix(struct kernel *k)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	const uint64_t page = sysconf(_SC_PAGESIZE);
	uint8_t config[PCI_CFG_SPACE_SIZE];
	ssize_t len = kernel_read(&k->dev, CONFIG, 0, config, sizeof(config));
	unsigned int n;

	k->msix_bar = UINT32_MAX;
	if (len < 0)
		return len;
	n = vfio_pci_walk(config, len, caps, NULL);
	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *cap = config + caps[i].offset;
		uint32_t table, entries;

		if (caps[i].id == PCI_CAP_ID_PM)
			k->pm = caps[i].offset;
		if (caps[i].id != PCI_CAP_ID_MSIX || caps[i].length < PCI_CAP_MSIX_SIZEOF)
			continue;
		table = le32_get(cap + PCI_MSIX_TABLE);
		entries = (le16_get(cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1u;
		k->msix_bar = table & PCI_MSIX_TABLE_BIR;
		table &= PCI_MSIX_TABLE_OFFSET;
		k->msix_start = table & ~(page - 1);
		k->msix_end = align_up((uint64_t)table + entries * PCI_MSIX_ENTRY_SIZE, page);
	}
	return 0;
}

/* ---- accesses ------------------------------------------------------------------------------- */

static int failed(struct vfio_dev *dev, const char *verb, uint32_t region, uint64_t offset,
		  size_t len, int e)
{
	if (e == EIO)
		return error_set(&dev->error, EIO, VFIO_E_MEMORY_OFF, VFIO_BY_KERNEL,
				 "switch memory decoding on (Command, bit 1), and the device to D0",
				 "%s of %zu bytes at %#llx of region %u", verb, len,
				 (unsigned long long)offset, region);
	if (e == ENODEV)
		return error_set(&dev->error, ENODEV, VFIO_E_GONE, VFIO_BY_KERNEL,
				 "close the device", "%s of region %u: the device has gone", verb,
				 region);
	return error_system(&dev->error, e, "%s of %zu bytes at %#llx of region %u", verb, len,
			    (unsigned long long)offset, region);
}

/* How many bytes of the region there are, from offset on; or why not. */
static ssize_t check(struct kernel *k, const char *verb, uint32_t region, uint64_t offset,
		     size_t len)
{
	int r = need(k, region);

	return r < 0 ? r : contract_check_access(region, k->regions[region].size, offset, len, verb,
						 &k->dev.error);
}

ssize_t kernel_read(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf, size_t len)
{
	struct kernel *k = kernel_of(dev);
	ssize_t n = check(k, "read", region, offset, len);

	if (n > 0)
		n = pread(k->device, buf, n, k->regions[region].fd_offset + offset);
	else
		return n;
	return n < 0 ? failed(dev, "read", region, offset, len, errno) : n;
}

ssize_t kernel_write(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
		     size_t len)
{
	struct kernel *k = kernel_of(dev);
	ssize_t n = check(k, "write", region, offset, len);

	if (n > 0)
		n = pwrite(k->device, buf, n, k->regions[region].fd_offset + offset);
	else
		return n;
	return n < 0 ? failed(dev, "write", region, offset, len, errno) : n;
}
