/* SPDX-License-Identifier: MIT */
/*
 * Maps of a device of the kernel's. What is mapped is kept here, too: so that both roads have the
 * same rules, which are type1v2's, so that a refusal can be explained, and so that of several
 * devices of a space the first has memory mapped, and the last has it unmapped.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>

#include "backends/kernel.h"
#include "base/bits.h"
#include "base/capability.h"
#include "base/error.h"
#include "iommu/memory.h"
#include "iommu/space.h"

typedef unsigned long long ull;

/* The rules alone; nothing is in it. */
static const struct space type1 = { .rules = SPACE_TYPE1_V2 };

/* ---- why not? ------------------------------------------------------------------------------- */

uint64_t kernel_memlock(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
	    capability_have(CAP_IPC_LOCK))
		return UINT64_MAX;
	return limit.rlim_cur;
}

static int no_memory(struct kernel *k, const struct dma_map *map)
{
	uint64_t limit = kernel_memlock();

	if (limit == UINT64_MAX)
		return error_system(&k->dev.error, ENOMEM, "mapping %llu bytes for DMA",
				    (ull)map->size);
	return error_set(&k->dev.error, ENOMEM, VFIO_E_DMA_LIMIT, VFIO_BY_KERNEL,
			 KERNEL_MEMLOCK_REMEDY,
			 "mapping %llu KiB for DMA: the memlock limit is %llu KiB, of which %llu are "
			 "used by this device", (ull)map->size / 1024, (ull)limit / 1024,
			 (ull)k->space->bytes / 1024);
}

/* False, too, when it cannot be known. */
static bool is_outside(struct kernel *k, const struct dma_map *map)
{
	struct feature_iova_ranges q;

	if (k->iommu->ranges(k, &q) < 0)
		return false;
	for (uint64_t i = 0; i < q.count; i++)
		if (map->iova >= q.ranges[i].start &&
		    map->iova + (map->size - 1) <= q.ranges[i].end)
			return false;
	return true;
}

static int refused(struct kernel *k, const struct dma_map *map, const void *vaddr, int e)
{
	struct vfio_error *err = &k->dev.error;

	if (e == EINVAL && is_outside(k, map))
		return error_set(err, EINVAL, VFIO_E_IOVA_RANGE, VFIO_BY_KERNEL,
				 "vfio_iova_ranges() says what can be; VFIO_IOVA_ANY chooses",
				 "map of %#llx bytes at IOVA %#llx: the machine's IOMMU does not have "
				 "those addresses, or keeps them", (ull)map->size, (ull)map->iova);
	if (e == ENOMEM)
		return no_memory(k, map);
	if (e == ENOSPC)
		return error_set(err, ENOSPC, VFIO_E_DMA_LIMIT, VFIO_BY_KERNEL,
				 "map fewer, larger ranges, or raise dma_entry_limit of the module "
				 "vfio_iommu_type1",
				 "one more DMA map: the kernel allows no more than the %zu that there "
				 "are", k->space->maps.count - 1);
	if (e == EFAULT)
		return error_set(err, EFAULT, VFIO_E_DMA_MEMORY, VFIO_BY_KERNEL,
				 "map memory that is there, and writable if the device shall write",
				 "map of %#llx bytes at IOVA %#llx: no such memory at %p",
				 (ull)map->size, (ull)map->iova, vaddr);
	return error_system(err, e, "mapping %#llx bytes at IOVA %#llx for DMA", (ull)map->size,
			    (ull)map->iova);
}

/* ---- mapping -------------------------------------------------------------------------------- */

static int give(struct kernel *k, const struct dma_map *map, void *vaddr)
{
	int r = k->iommu->map(k, map->iova, map->size, vaddr, map->prot);

	return r < 0 ? refused(k, map, vaddr, -r) : 0;
}

/* The kernel keeps the pages, so that the file need not stay mapped here. */
static int give_file(struct kernel *k, const struct dma_map *map)
{
	struct memory_part part;
	int r = memory_part_map(&part, map, &k->dev.error);

	if (r == 0)
		r = give(k, map, part.vaddr);
	memory_part_unmap(&part);
	return r;
}

static int map_new(struct kernel *k, const struct dma_map *map)
{
	int r = map->vaddr ? give(k, map, map->vaddr) : give_file(k, map);

	if (r == 0)
		k->space->bytes += map->size;
	else
		range_map_erase(&k->space->maps, map->iova);
	range_map_reap(&k->space->maps);
	return r;
}

/* Another device of the space has it. */
static bool is_same(const struct range *a, const struct range *b)
{
	return a->start == b->start && a->last == b->last && a->value && a->value == b->value &&
	       ((a->word ^ b->word) & VFIO_DMA_RW) == 0;
}

static const struct kernel *owner(const struct kernel *k, const struct range *map)
{
	unsigned int i = 0;

	while (!k->space->users[i] || !(map->word & KERNEL_USER(k->space->users[i])))
		i++;
	return k->space->users[i];
}

static int map_too(struct kernel *k, const struct dma_map *map, const struct range *there)
{
	int r = 0;

	if (!(there->word & kernel_space_peers(k)))
		r = k->iommu->copy(k, owner(k, there), map->iova, map->size, map->prot);
	if (r < 0)
		return refused(k, map, map->vaddr, -r);
	range_map_change(&k->space->maps, there->start, there->word | KERNEL_USER(k), there->value);
	return 0;
}

int kernel_dma_map(struct vfio_dev *dev, const struct dma_map *map)
{
	struct kernel *k = kernel_of(dev);
	const struct range range = {
		.start = map->iova, .last = map->iova + map->size - 1,
		.word = map->prot | KERNEL_USER(k), .value = map->vaddr,
	};
	struct range other;
	int r = rules_check_map(&type1, map, &dev->error);

	if (r < 0)
		return r;
	r = range_map_insert(&k->space->maps, &range, &other);
	if (r == -EEXIST && is_same(&range, &other) && !(other.word & KERNEL_USER(k)))
		return map_too(k, map, &other);
	if (r == -EEXIST)
		return rules_taken(map, &other, &dev->error);
	if (r < 0)
		return error_system(&dev->error, -r, "mapping memory for DMA");
	return map_new(k, map);
}

/* ---- unmapping ------------------------------------------------------------------------------ */

static int check_cut(struct kernel *k, uint64_t iova, uint64_t last)
{
	const uint64_t ends[] = { iova, last };

	for (unsigned int i = 0; i < 2; i++) {
		struct range r;

		if (range_map_find(&k->space->maps, ends[i], &r) && (r.word & KERNEL_USER(k)) &&
		    (r.start < iova || r.last > last))
			return rules_cut(EINVAL, iova, last, &r, &k->dev.error);
	}
	return 0;
}

static int unmap_own(struct kernel *k, uint64_t iova, uint64_t last, uint64_t *unmapped);

/*
 * Alone in a space of ours: everything there is its own. All at once cannot be had of every kernel when
 * a map lies across the middle of the addresses.
 */
static int unmap_all(struct kernel *k, uint64_t iova, uint64_t last, uint64_t *unmapped)
{
	struct range_walk walk = { .at = iova, .last = last };
	struct kernel_space *s = k->space;
	bool all = iova == 0 && last == UINT64_MAX;
	struct range r;
	int e = k->iommu->unmap(k, iova, all ? DMA_ALL : last - iova + 1);

	if (e == -EINVAL && all)
		return unmap_own(k, iova, last, unmapped);
	if (e < 0)
		return e;
	while (range_map_step(&s->maps, &walk, &r)) {
		*unmapped += r.last - r.start + 1;
		range_map_erase(&s->maps, r.start);
	}
	s->bytes -= *unmapped;
	return 0;
}

/* The device has it no more. */
static void forget_one(struct kernel *k, const struct range *r)
{
	const uint64_t others = r->word & ~KERNEL_USER(k);
	struct kernel_space *s = k->space;

	if (others > VFIO_DMA_RW) {
		range_map_change(&s->maps, r->start, others, r->value);
	} else {
		range_map_erase(&s->maps, r->start);
		s->bytes -= r->last - r->start + 1;
	}
}

/* The kernel has it as long as anybody else does. */
static int unmap_one(struct kernel *k, const struct range *r, uint64_t *unmapped)
{
	const uint64_t others = r->word & ~KERNEL_USER(k), size = r->last - r->start + 1;
	int e = 0;

	if (others <= VFIO_DMA_RW || !(others & kernel_space_peers(k)))
		e = k->iommu->unmap(k, r->start, size);
	if (e < 0)
		return e;
	forget_one(k, r);
	*unmapped += size;
	return 0;
}

static int unmap_own(struct kernel *k, uint64_t iova, uint64_t last, uint64_t *unmapped)
{
	struct range_walk walk = { .at = iova, .last = last };
	struct range range;
	int r = 0;

	while (r == 0 && range_map_step(&k->space->maps, &walk, &range)) {
		if (!(range.word & KERNEL_USER(k)))
			continue;
		r = unmap_one(k, &range, unmapped);
	}
	return r;
}

int kernel_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	struct kernel *k = kernel_of(dev);
	bool all = iova == 0 && size == DMA_ALL;
	uint64_t last = all ? UINT64_MAX : iova + size - 1;
	int r = all ? 0 : rules_check_unmap(&type1, iova, size, &dev->error);
	struct range one;
	bool is_one;

	*unmapped = 0;
	/* One map, as it was made, is what is unmapped most often. */
	is_one = r == 0 && !all && range_map_exact(&k->space->maps, iova, last, &one) &&
		 (one.word & KERNEL_USER(k));
	if (r == 0 && !is_one)
		r = check_cut(k, iova, last);
	if (r < 0)
		return r;
	if (is_one)
		r = unmap_one(k, &one, unmapped);
	else if (k->space->nusers > 1 || k->space->is_passed)
		r = unmap_own(k, iova, last, unmapped);
	else
		r = unmap_all(k, iova, last, unmapped);
	range_map_reap(&k->space->maps);
	if (r < 0)
		return error_system(&dev->error, -r, "unmapping %#llx bytes at IOVA %#llx", (ull)size,
				    (ull)iova);
	return 0;
}

/* Whatever the kernel says: the next user of the space may get this one's number. */
void kernel_dma_drop(struct kernel *k)
{
	struct range_walk walk = { .at = 0, .last = UINT64_MAX };
	struct range range;
	uint64_t unused = 0;

	while (range_map_step(&k->space->maps, &walk, &range))
		if ((range.word & KERNEL_USER(k)) && unmap_one(k, &range, &unused) < 0)
			forget_one(k, &range);
	range_map_reap(&k->space->maps);
}
