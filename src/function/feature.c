/* SPDX-License-Identifier: MIT */
/*
 * Questions that are not PCI's, by the numbers of contract.h: what a bit does, where a write went,
 * what was refused, how to reset, how many vectors are granted.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"

/* What the user may write, and the device takes. */
static void writable(struct vfio_function *fn, unsigned int at, struct vfio_config_info *info)
{
	const struct registers *own = &fn->registers;
	const struct view *v = &fn->view;
	uint32_t virt = le32_get(v->virt + at), write = le32_get(v->write + at);

	hardware_refresh(fn, at, 4);
	info->virt = virt;
	info->write = write & (virt | (registers_kept(fn, at) & ~le32_get(own->clear + at)));
	info->clear = (le32_get(v->clear + at) | (write & ~virt)) & le32_get(own->clear + at);
	info->trapped = le32_get(v->trapped + at);
	info->policy = le32_get(v->policy + at);
	info->raw = le32_get(own->value + at);
	for (unsigned int i = 0; i < 4; i++)	/* hidden = zero: not even here */
		if (v->owner[at + i] == NO_OWNER && v->kept[at + i] == 0xff)
			info->raw &= ~(0xffu << 8 * i);
}

static int config_info(struct vfio_function *fn, void *data, size_t len)
{
	const struct view *v = &fn->view;
	struct vfio_config_info *info = data;
	uint32_t at = info->offset;

	if (!is_inside(at, 4, fn->config_size) || !is_aligned(at, 4))
		return error_set(fn->err, EFAULT, VFIO_E_RANGE, VFIO_BY_FUNCTION, NULL,
				 "%#x is no dword of %u bytes of configuration space", at,
				 fn->config_size);
	*info = (struct vfio_config_info){ .offset = at, .exact = 1 };
	if (v->owner[at] != NO_OWNER) {
		const struct vfio_pci_capability *owner = &v->owners[v->owner[at]];

		info->capability = owner->id;
		info->base = owner->offset;
		info->extended = owner->offset >= PCI_CFG_SPACE_SIZE;
	}
	writable(fn, at, info);
	if (at == PCI_ROM_ADDRESS || (at >= PCI_BASE_ADDRESS_0 && at < PCI_CARDBUS_CIS))
		info->write &= function_bar_mask(fn, at);
	return 0;
}

static int reset_info(struct vfio_function *fn, void *data, size_t len)
{
	struct vfio_reset_info info = {
		.methods = function_reset_methods(fn),
		.count = fn->resets, .last = fn->last_reset,
	};

	memcpy(data, &info, sizeof(info));
	return 0;
}

static int write_where(struct vfio_function *fn, void *data, size_t len)
{
	memcpy(data, &fn->side.where, sizeof(fn->side.where));
	return 0;
}

static int next_record(struct vfio_function *fn, void *data, size_t len)
{
	struct feature_record *q = data;
	bool of_call = false;

	q->found = side_record(fn, &q->cursor, &q->record, &of_call);
	q->of_call = of_call;
	return 0;
}

static int vectors(struct vfio_function *fn, void *data, size_t len)
{
	struct feature_vectors *q = data;

	if (q->index >= VFIO_PCI_NUM_IRQS)
		return error_set(fn->err, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_FUNCTION, NULL,
				 "interrupt index %u: the device has %d", q->index,
				 VFIO_PCI_NUM_IRQS);
	q->vectors.advertised = function_vectors_of(fn, q->index);
	q->vectors.granted = vectors_granted(fn, q->index);
	return 0;
}

static int signalled(struct vfio_function *fn, void *data, size_t len)
{
	struct feature_signalled *q = data;

	if (q->index >= VFIO_PCI_NUM_IRQS)
		return error_set(fn->err, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_FUNCTION, NULL,
				 "interrupt index %u: the device has %d", q->index,
				 VFIO_PCI_NUM_IRQS);
	memset(q->set, 0, sizeof(q->set));
	for (uint32_t v = 0; v < function_vectors_of(fn, q->index); v++)
		if (function_eventfd(fn, q->index, v) >= 0)
			q->set[v / 64] |= 1ull << v % 64;
	return 0;
}

/* ---- DMA ---------------------------------------------------------------------------------- */

static int dma_map(struct vfio_function *fn, void *data, size_t len)
{
	struct feature_dma_map *q = data;
	struct range r;

	q->found = space_next(&fn->space, q->cursor, &r);
	if (!q->found)
		return 0;
	q->info = (struct vfio_dma_info){
		.iova = r.start, .size = r.last - r.start + 1, .prot = r.word & MAP_PROT,
		.access = ((const struct mapping *)r.value)->memory.access,
	};
	q->cursor = r.last + 1;
	return 0;
}

static int dma_limits(struct vfio_function *fn, void *data, size_t len)
{
	const struct vfio_dma_limits limits = { fn->space.maps, fn->space.bytes };

	memcpy(data, &limits, sizeof(limits));
	return 0;
}

static int iova_ranges(struct vfio_function *fn, void *data, size_t len)
{
	struct feature_iova_ranges q = {
		.count = fn->space.nallowed, .ranges = { { 0, UINT64_MAX } },
	};

	if (q.count)
		memcpy(q.ranges, fn->space.allowed, q.count * sizeof(q.ranges[0]));
	else
		q.count = 1;
	memcpy(data, &q, sizeof(q));
	return 0;
}

static int fault(struct vfio_function *fn, void *data, size_t len)
{
	struct vfio_fault f;

	space_fault(&fn->space, &f);
	memcpy(data, &f, sizeof(f));
	return 0;
}

static int fault_event(struct vfio_function *fn, void *data, size_t len)
{
	struct feature_fault_event q;

	memcpy(&q, data, sizeof(q));
	return side_keep(fn, function_set_fault_event(fn, q.fd));
}

/*
 * The rest of its process is as safe from a model as the model is written to leave it alone. Of a real
 * device behind the registers nothing is known.
 */
static int isolation(struct vfio_function *fn, void *data, size_t len)
{
	uint32_t level = function_is_real(fn) ? VFIO_ISOLATED_NOT : VFIO_ISOLATED_BY_SOFTWARE;
	const struct vfio_isolation answer = { level, level };

	memcpy(data, &answer, sizeof(answer));
	return 0;
}

/* Everything that is mapped is tracked, whatever ranges are named. */
static int dirty_start(struct vfio_function *fn, void *data, size_t len)
{
	struct dirty_start q;

	memcpy(&q, data, sizeof(q));
	if (q.nranges > (len - sizeof(q)) / (2 * sizeof(uint64_t)))
		return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_FUNCTION, NULL,
				"tracking writes to %u ranges: there are not so many behind it",
				q.nranges));
	return side_keep(fn, space_dirty_start(&fn->space, q.page, fn->err));
}

static int dirty_stop(struct vfio_function *fn, void *data, size_t len)
{
	space_dirty_stop(&fn->space);
	return 0;
}

static int dirty_report(struct vfio_function *fn, void *data, size_t len)
{
	uint64_t bitmap[FEATURE_MAX / sizeof(uint64_t)] = { 0 };
	size_t room = (len - sizeof(struct dirty_report)) / sizeof(uint64_t);
	struct dirty_report q;
	int r;

	memcpy(&q, data, sizeof(q));
	if (fn->space.dirty_page && q.page != fn->space.dirty_page)
		return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_FUNCTION,
				"ask for pages of the size that vfio_dirty_start() was given",
				"dirty pages of %llu bytes: those that are tracked have %llu",
				(unsigned long long)q.page,
				(unsigned long long)fn->space.dirty_page));
	if (len > FEATURE_MAX || (q.page && q.size / q.page > room * 64))
		return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_FUNCTION,
				"ask for some at a time",
				"dirty pages of %llu bytes of memory: the answer has room for %zu",
				(unsigned long long)q.size, room * 64));
	r = side_keep(fn, space_dirty_take(&fn->space, q.iova, q.size, bitmap, fn->err));
	if (r == 0)
		memcpy((uint8_t *)data + sizeof(q), bitmap, room * sizeof(uint64_t));
	return r;
}

/* ---- which there are ---------------------------------------------------------------------- */

#define GET VFIO_DEVICE_FEATURE_GET
#define SET VFIO_DEVICE_FEATURE_SET

static const struct feature {
	uint32_t number, operation;
	size_t size;
	int (*run)(struct vfio_function *fn, void *data, size_t len);
} features[] = {
	{ FEATURE_CONFIG_INFO, GET, sizeof(struct vfio_config_info), config_info },
	{ FEATURE_WRITE_WHERE, GET, sizeof(uint32_t), write_where },
	{ FEATURE_RECORD, GET, sizeof(struct feature_record), next_record },
	{ FEATURE_RESET_INFO, GET, sizeof(struct vfio_reset_info), reset_info },
	{ FEATURE_VECTORS, GET, sizeof(struct feature_vectors), vectors },
	{ FEATURE_SIGNALLED, GET, sizeof(struct feature_signalled), signalled },
	{ FEATURE_DMA_MAP, GET, sizeof(struct feature_dma_map), dma_map },
	{ FEATURE_DMA_LIMITS, GET, sizeof(struct vfio_dma_limits), dma_limits },
	{ FEATURE_IOVA_RANGES, GET, sizeof(struct feature_iova_ranges), iova_ranges },
	{ FEATURE_FAULT, GET, sizeof(struct vfio_fault), fault },
	{ FEATURE_FAULT_EVENT, SET, sizeof(struct feature_fault_event), fault_event },
	{ FEATURE_ISOLATION, GET, sizeof(struct vfio_isolation), isolation },
	{ FEATURE_DIRTY_START, SET, sizeof(struct dirty_start), dirty_start },
	{ FEATURE_DIRTY_STOP, SET, 0, dirty_stop },
	{ FEATURE_DIRTY_REPORT, GET, sizeof(struct dirty_report), dirty_report },
};

static const struct feature *find_feature(uint32_t number)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (features[i].number == number)
			return &features[i];
	return NULL;
}

/* The order of the checks is that of VFIO_DEVICE_FEATURE. Each can be got, or each can be set. */
int function_feature(struct vfio_function *fn, uint32_t flags, void *data, size_t len)
{
	const struct feature *f = find_feature(flags & VFIO_DEVICE_FEATURE_MASK);

	if (!f)
		return error_set(fn->err, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_FUNCTION, NULL,
				 "the device has no feature %#x", flags & VFIO_DEVICE_FEATURE_MASK);
	if (flags & (GET | SET) & ~f->operation)
		return error_set(fn->err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_FUNCTION, NULL,
				 "feature %#x cannot be %s", f->number,
				 f->operation == GET ? "set" : "got");
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(flags & f->operation) || len < f->size)
		return error_set(fn->err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_FUNCTION, NULL,
				 "feature %#x: no operation, or less room than %zu bytes",
				 f->number, f->size);
	return f->run(fn, data, len);
}
