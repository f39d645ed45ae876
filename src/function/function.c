/* SPDX-License-Identifier: MIT */
#include "function/function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/export.h"

static int copy_areas(struct vfio_function *fn, unsigned int i)
{
	struct vfio_bar_description *bar = &fn->description.bars[i];
	size_t bytes = bar->nareas * sizeof(struct vfio_area);

	if (!bytes)
		return 0;
	fn->areas[i] = malloc(bytes);
	if (!fn->areas[i])
		return -ENOMEM;
	memcpy(fn->areas[i], bar->areas, bytes);
	bar->areas = fn->areas[i];
	return 0;
}

/* The BAR is the next power of two, from 2 KiB (PCI 3.0, 6.2.5.2). */
static int copy_rom(struct vfio_function *fn)
{
	const struct vfio_function_description *d = &fn->description;

	if (!d->rom_size)
		return 0;
	for (fn->rom_size = 2048; fn->rom_size < d->rom_size; )
		fn->rom_size *= 2;
	if (!d->rom)
		return 0;
	fn->rom = malloc(d->rom_size);
	if (!fn->rom)
		return -ENOMEM;
	memcpy(fn->rom, d->rom, d->rom_size);
	return 0;
}

/* What the description points to, which the caller may free after vfio_function_new(). */
static int copy_description(struct vfio_function *fn, const struct vfio_function_description *d)
{
	int r = 0;

	fn->description = *d;
	fn->description.name = strdup(d->name ? d->name : "device");
	if (!fn->description.name)
		return -ENOMEM;
	for (unsigned int i = 0; i < NUM_BARS && r == 0; i++)
		r = copy_areas(fn, i);
	if (r == 0)
		r = copy_rom(fn);
	if (r == 0)
		r = function_vpd_init(fn);
	return r;
}

/* Nothing of the caller's is looked at any more. */
static void forget_caller(struct vfio_function_description *d)
{
	d->config = d->vpd = d->rom = NULL;
	d->capabilities = NULL;
	d->ncapabilities = 0;
}

/* Everything but the model, which is not ours until vfio_function_new() has succeeded. */
static void free_engine(struct vfio_function *fn)
{
	if (fn->irq.vectors)
		function_irqs_clear(fn);
	free(fn->irq.vectors);
	function_forget_fault_event(fn);
	function_forget_doorbell_events(fn);
	space_finish(&fn->space);
	signaler_finish(&fn->signaler);
	events_finish(fn);
	function_memory_free(fn);
	for (unsigned int i = 0; i < NUM_BARS; i++)
		free(fn->areas[i]);
	free(fn->rom);
	free(fn->vpd.bytes);
	free(fn->vpd.power_on);
	free((char *)fn->description.name);
	free(fn);
}

/* Fills fn->no_handle on failure. */
static int make(struct vfio_function *fn, const struct vfio_function_description *description)
{
	struct vfio_error *err = &fn->no_handle;
	int r = events_init(fn);

	if (r == 0)
		r = copy_description(fn, description);
	if (r < 0)
		return error_system(err, -r, "making a PCI function");
	r = function_build(fn, err);
	if (r < 0)
		return r;
	forget_caller(&fn->description);
	r = function_irqs_init(fn);
	if (r < 0)
		return error_system(err, -r, "making a PCI function");
	r = function_check_areas(fn, err);
	if (r == 0)
		r = function_view(fn);
	return r < 0 ? r : function_power_on(fn);
}

static struct vfio_function *allocate(const struct vfio_function_ops *ops, void *state)
{
	struct vfio_function *fn = calloc(1, sizeof(*fn));

	if (!fn)
		return NULL;
	memcpy(&fn->all_ops, ops, ops->size);
	fn->ops = &fn->all_ops;
	fn->state = state;
	fn->err = &fn->no_handle;
	policy_init(&fn->policy);
	space_init(&fn->space);
	fn->fault_event = -1;
	signaler_init(&fn->signaler);
	fn->events = -1;
	for (unsigned int i = 0; i < NUM_BARS; i++)
		fn->memory[i].fd = fn->doorbells.events[i] = -1;
	return fn;
}

/* Those of programs that were made before config_read was there end before it. */
static const char *check_ops(const struct vfio_function_ops *ops,
			     const struct vfio_function_description *d)
{
	if (ops->size == offsetof(struct vfio_function_ops, config_read))
		return NULL;
	if (ops->size != sizeof(*ops))
		return "the size of struct vfio_function_ops is wrong";
	if (!ops->config_read != !ops->config_write)
		return "config_read and config_write belong together";
	if (ops->config_read && !d->config)
		return "a real device's registers need the description's member config";
	return NULL;
}

EXPORT int vfio_function_new(struct vfio_function **out,
			     const struct vfio_function_description *description,
			     const struct vfio_function_ops *ops, void *state,
			     struct vfio_error *err)
{
	struct vfio_function *fn;
	const char *what;
	int r;

	*out = NULL;
	r = function_check(description, err);
	if (r < 0)
		return r;
	what = check_ops(ops, description);
	if (what)
		return error_set(err, EINVAL, VFIO_E_DESCRIPTION, VFIO_BY_FUNCTION, NULL, "%s", what);
	fn = allocate(ops, state);
	if (!fn)
		return error_system(err, ENOMEM, "making a PCI function");
	r = make(fn, description);
	if (r < 0) {
		if (err)
			*err = fn->no_handle;
		free_engine(fn);
		return r;
	}
	fn->resets = 0;
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
