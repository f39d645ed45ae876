/* SPDX-License-Identifier: MIT */
/* What keeps a device in its place, and programs that want it to be enough. */
#include <errno.h>

#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

static const char *const names[] = {
	[VFIO_ISOLATED_NOT] = "none",
	[VFIO_ISOLATED_BY_SOFTWARE] = "software",
	[VFIO_ISOLATED_BY_IOMMU] = "iommu",
};

EXPORT const char *vfio_isolation_name(uint32_t level)
{
	return level <= VFIO_ISOLATED_BY_IOMMU ? names[level] : NULL;
}

EXPORT int vfio_isolation(struct vfio_dev *dev, struct vfio_isolation *isolation)
{
	int r = driver_get(dev, FEATURE_ISOLATION, isolation, sizeof(*isolation));

	if (driver_is_unknown(r))
		return driver_cannot_tell(dev, "how the device is isolated");
	if (r < 0)
		return r;
	if (!vfio_isolation_name(isolation->dma) || !vfio_isolation_name(isolation->interrupts))
		return error_set(&dev->error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_SERVER, NULL,
				 "the server says %u and %u of the device's isolation",
				 isolation->dma, isolation->interrupts);
	return 0;
}

static int too_little(struct vfio_dev *dev, const char *has, uint32_t wanted)
{
	const char *remedy = wanted == VFIO_ISOLATED_BY_IOMMU ?
		"use a device behind an IOMMU, by its PCI address or as vfiod serves it; or ask for "
		"less" : "use a device of the kernel's VFIO or of vfiod; or ask for less";

	return error_set(&dev->error, EPERM, VFIO_E_ISOLATION, VFIO_BY_LIBRARY, remedy,
			 "the isolation of the device's DMA is to be '%s' at least, and is %s",
			 names[wanted], has);
}

/* What is not known is not enough. */
EXPORT int vfio_require_isolation(struct vfio_dev *dev, uint32_t dma)
{
	struct vfio_isolation is;
	char has[16];
	int r;

	if (!vfio_isolation_name(dma))
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				 "give one of VFIO_ISOLATED_…", "requiring isolation of level %u",
				 dma);
	if (dma == VFIO_ISOLATED_NOT)
		return 0;
	r = vfio_isolation(dev, &is);
	if (r == -ENOTSUP)
		return too_little(dev, "not known: the other end cannot tell", dma);
	if (r < 0 || is.dma >= dma)
		return r;
	snprintf(has, sizeof(has), "'%s'", names[is.dma]);
	return too_little(dev, has, dma);
}
