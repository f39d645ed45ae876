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
static void writable(const struct vfio_function *fn, unsigned int at, struct vfio_config_info *info)
{
	const struct registers *own = &fn->registers;
	const struct view *v = &fn->view;
	uint32_t virt = le32_get(v->virt + at), write = le32_get(v->write + at);

	info->virt = virt;
	info->write = write & (virt | le32_get(own->write + at));
	info->clear = (le32_get(v->clear + at) | (write & ~virt)) & le32_get(own->clear + at);
	info->trapped = le32_get(v->trapped + at);
	info->policy = le32_get(v->policy + at);
	info->raw = le32_get(own->value + at);
	for (unsigned int i = 0; i < 4; i++)	/* hidden = zero: not even here */
		if (v->owner[at + i] == NO_OWNER && v->kept[at + i] == 0xff)
			info->raw &= ~(0xffu << 8 * i);
}

static int config_info(struct vfio_function *fn, void *data)
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

static int reset_info(struct vfio_function *fn, void *data)
{
	struct vfio_reset_info info = {
		.methods = function_reset_methods(fn),
		.count = fn->resets, .last = fn->last_reset,
	};

	memcpy(data, &info, sizeof(info));
	return 0;
}

static int write_where(struct vfio_function *fn, void *data)
{
	memcpy(data, &fn->side.where, sizeof(fn->side.where));
	return 0;
}

static int next_record(struct vfio_function *fn, void *data)
{
	struct feature_record *q = data;
	bool of_call = false;

	q->found = side_record(fn, &q->cursor, &q->record, &of_call);
	q->of_call = of_call;
	return 0;
}

static int vectors(struct vfio_function *fn, void *data)
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

static const struct feature {
	uint32_t number;
	size_t size;
	int (*get)(struct vfio_function *fn, void *data);
} features[] = {
	{ FEATURE_CONFIG_INFO, sizeof(struct vfio_config_info), config_info },
	{ FEATURE_WRITE_WHERE, sizeof(uint32_t), write_where },
	{ FEATURE_RECORD, sizeof(struct feature_record), next_record },
	{ FEATURE_RESET_INFO, sizeof(struct vfio_reset_info), reset_info },
	{ FEATURE_VECTORS, sizeof(struct feature_vectors), vectors },
};

static const struct feature *find_feature(uint32_t number)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (features[i].number == number)
			return &features[i];
	return NULL;
}

/* The order of the checks is that of VFIO_DEVICE_FEATURE. All features here can only be got. */
int function_feature(struct vfio_function *fn, uint32_t flags, void *data, size_t len)
{
	const struct feature *f = find_feature(flags & VFIO_DEVICE_FEATURE_MASK);

	if (!f)
		return error_set(fn->err, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_FUNCTION, NULL,
				 "the device has no feature %#x", flags & VFIO_DEVICE_FEATURE_MASK);
	if (flags & VFIO_DEVICE_FEATURE_SET)
		return error_set(fn->err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_FUNCTION, NULL,
				 "feature %#x cannot be set", f->number);
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (!(flags & VFIO_DEVICE_FEATURE_GET) || len < f->size)
		return error_set(fn->err, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_FUNCTION, NULL,
				 "feature %#x: no operation, or less room than %zu bytes",
				 f->number, f->size);
	return f->get(fn, data);
}
