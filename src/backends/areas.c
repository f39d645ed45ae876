/* SPDX-License-Identifier: MIT */
#include "backends/areas.h"

#include "base/bits.h"
#include "wire/wire.h"

#define MANY_CAPABILITIES 16

bool areas_take(struct vfio_region *region, const uint8_t *info, size_t len, uint32_t at)
{
	struct wire_sparse cap;

	for (unsigned int hops = 0; at && hops < MANY_CAPABILITIES; hops++, at = cap.next) {
		if (!is_inside(at, 8, len))
			return false;
		memset(&cap, 0, sizeof(cap));
		memcpy(&cap, info + at, is_inside(at, sizeof(cap), len) ? sizeof(cap) : 8);
		if (cap.id != WIRE_CAP_SPARSE)
			continue;
		if (!is_inside(at + sizeof(cap), (uint64_t)cap.nr_areas * sizeof(struct wire_area), len))
			return false;
		for (uint32_t i = 0; i < cap.nr_areas && region->nareas < VFIO_MAX_AREAS; i++) {
			struct wire_area a;

			memcpy(&a, info + at + sizeof(cap) + i * sizeof(a), sizeof(a));
			if (!a.size || !is_inside(a.offset, a.size, region->size))
				return false;
			region->areas[region->nareas++] = (struct vfio_area){ a.offset, a.size };
		}
	}
	return at == 0;
}

static void add(struct vfio_region *region, uint64_t start, uint64_t end)
{
	if (start < end && region->nareas < VFIO_MAX_AREAS)
		region->areas[region->nareas++] = (struct vfio_area){ start, end - start };
}

void areas_cut(struct vfio_region *region, uint64_t start, uint64_t end)
{
	const struct vfio_region before = *region;

	region->nareas = 0;
	for (uint32_t i = 0; i < before.nareas; i++) {
		uint64_t from = before.areas[i].offset, to = from + before.areas[i].size;

		add(region, from, to < start ? to : start);
		add(region, from > end ? from : end, to);
	}
}
