/* SPDX-License-Identifier: MIT */
#include "contract.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"

ssize_t contract_check_access(uint32_t region, uint64_t size, uint64_t offset, size_t len,
			      const char *verb, struct vfio_error *err)
{
	bool config = region == VFIO_PCI_CONFIG_REGION_INDEX;

	if (len == 0)
		return 0;
	if (!size)
		return error_set(err, EINVAL, VFIO_E_NO_REGION, VFIO_BY_LIBRARY,
				 "vfio_region() says which regions the device has",
				 "%s of region %u, which the device does not have", verb,
				 region);
	if (config ? !is_inside(offset, len, size) : offset >= size)
		return error_set(err, config ? EFAULT : EINVAL, VFIO_E_RANGE, VFIO_BY_LIBRARY,
				 "the size of the region is in vfio_region()",
				 "%s of %zu bytes at %#llx of region %u, which has %#llx bytes", verb,
				 len, (unsigned long long)offset, region,
				 (unsigned long long)size);
	return len < size - offset ? len : size - offset;
}

int contract_isolation(const struct vfio_isolation *answer, uint32_t flags, void *data, size_t len,
		       struct vfio_error *err)
{
	if (!(flags & VFIO_DEVICE_FEATURE_SET) && (flags & VFIO_DEVICE_FEATURE_PROBE))
		return 0;
	if ((flags & VFIO_DEVICE_FEATURE_SET) || !(flags & VFIO_DEVICE_FEATURE_GET) ||
	    len < sizeof(*answer))
		return error_set(err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "feature %#x with flags %#x and %zu bytes", FEATURE_ISOLATION, flags,
				 len);
	memcpy(data, answer, sizeof(*answer));
	return 0;
}
