/* SPDX-License-Identifier: MIT */
#include "function/function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/export.h"

/* The description with its areas, which the caller may free after vfio_function_new(). */
static int copy_description(struct vfio_function *fn, const struct vfio_function_description *d)
{
	fn->description = *d;
	fn->description.name = strdup(d->name ? d->name : "device");
	if (!fn->description.name)
		return -ENOMEM;
	for (unsigned int i = 0; i < NUM_BARS; i++) {
		size_t bytes = d->bars[i].nareas * sizeof(struct vfio_area);

		if (!bytes)
			continue;
		fn->areas[i] = malloc(bytes);
		if (!fn->areas[i])
			return -ENOMEM;
		memcpy(fn->areas[i], d->bars[i].areas, bytes);
		fn->description.bars[i].areas = fn->areas[i];
	}
	return 0;
}

/* Everything but the model, which is not ours until vfio_function_new() has succeeded. */
static void free_engine(struct vfio_function *fn)
{
	if (fn->irq.vectors)
		function_irqs_clear(fn);
	free(fn->irq.vectors);
	space_finish(&fn->space);
	signaler_finish(&fn->signaler);
	function_memory_free(fn);
	for (unsigned int i = 0; i < NUM_BARS; i++)
		free(fn->areas[i]);
	free((char *)fn->description.name);
	free(fn);
}

EXPORT int vfio_function_new(struct vfio_function **out,
			     const struct vfio_function_description *description,
			     const struct vfio_function_ops *ops, void *state,
			     struct vfio_error *err)
{
	struct vfio_function *fn;
	int r;

	*out = NULL;
	r = function_check(description, err);
	if (r < 0)
		return r;
	if (ops->size != sizeof(*ops))
		return error_set(err, EINVAL, VFIO_E_DESCRIPTION, VFIO_BY_FUNCTION, NULL,
				 "the size of struct vfio_function_ops is wrong");
	fn = calloc(1, sizeof(*fn));
	if (!fn)
		return error_system(err, ENOMEM, "making a PCI function");
	fn->ops = ops;
	fn->state = state;
	fn->err = &fn->no_handle;
	space_init(&fn->space);
	signaler_init(&fn->signaler);
	for (unsigned int i = 0; i < NUM_BARS; i++)
		fn->memory[i].fd = -1;
	r = copy_description(fn, description);
	if (r == 0)
		r = function_irqs_init(fn);
	if (r < 0) {
		free_engine(fn);
		return error_system(err, -r, "making a PCI function");
	}
	function_build(fn);
	r = function_power_on(fn);
	if (r < 0) {
		if (err)
			*err = fn->no_handle;
		free_engine(fn);
		return r;
	}
	*out = fn;
	return 0;
}

EXPORT void vfio_function_free(struct vfio_function *fn)
{
	if (!fn)
		return;
	function_dma_clear(fn);
	if (fn->ops->free)
		fn->ops->free(fn);
	free_engine(fn);
}

EXPORT void *vfio_function_state(struct vfio_function *fn)
{
	return fn->state;
}

static void reset_model(struct vfio_function *fn)
{
	if (fn->ops->reset)
		fn->ops->reset(fn);
}

/*
 * As nobody has used it yet: no interrupt, no map, configuration space and memory as built. The
 * model is reset last, so that what it does is not undone.
 */
int function_power_on(struct vfio_function *fn)
{
	int r;

	function_irqs_clear(fn);
	function_dma_clear(fn);
	fn->config = fn->power_on;
	fn->power_state = 0;
	r = function_memory_renew(fn, fn->err);
	if (r < 0)
		return r;
	vfio_function_intx(fn, false);
	reset_model(fn);
	return 0;
}

/*
 * VFIO_DEVICE_RESET: the model starts anew, in D0; configuration space, interrupts and maps are the
 * user's and stay, as the kernel saves and restores them.
 */
int function_reset(struct vfio_function *fn)
{
	if (!fn->ops->reset)
		return error_set(fn->err, EINVAL, VFIO_E_UNSUPPORTED, VFIO_BY_MODEL, NULL,
				 "reset: the device has no way to be reset by its user");
	if (fn->layout.pm)
		fn->config.raw[fn->layout.pm + PCI_PM_CTRL] &= ~PCI_PM_CTRL_STATE_MASK;
	fn->power_state = 0;
	vfio_function_intx(fn, false);
	reset_model(fn);
	return 0;
}
