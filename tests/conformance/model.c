/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct model {
	unsigned int bar;
	uint32_t resets, fail;
	uint8_t scratch[MODEL_SCRATCH_SIZE];
	uint32_t log[MODEL_LOG_SIZE], logged;
};

static uint8_t *scratch_at(struct model *m, uint64_t offset)
{
	if (offset < MODEL_SCRATCH || offset >= MODEL_SCRATCH + MODEL_SCRATCH_SIZE)
		return NULL;
	return m->scratch + (offset - MODEL_SCRATCH);
}

static void keep(struct model *m, bool write, unsigned int width, uint64_t offset)
{
	if (m->logged < MODEL_LOG_SIZE)
		m->log[m->logged++] = MODEL_ACCESS(write, width, offset);
}

static uint64_t read_register(const struct model *m, uint64_t offset)
{
	if (offset >= MODEL_LOG && offset < MODEL_LOG + sizeof(m->log))
		return m->log[(offset - MODEL_LOG) / 4];
	switch (offset) {
	case MODEL_ID:		return MODEL_ID_VALUE;
	case MODEL_RESETS:	return m->resets;
	case MODEL_FAIL:	return m->fail;
	case MODEL_LOGGED:	return m->logged;
	}
	return UINT64_MAX;
}

static uint64_t model_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			   unsigned int width)
{
	struct model *m = vfio_function_state(fn);
	const uint8_t *at = scratch_at(m, offset);
	uint64_t value = 0;

	if (bar != m->bar)
		return UINT64_MAX;
	if (!at)
		return read_register(m, offset);
	keep(m, false, width, offset);
	memcpy(&value, at, width);
	return value;
}

static void write_register(struct vfio_function *fn, struct model *m, uint64_t offset,
			   uint32_t value)
{
	switch (offset) {
	case MODEL_MESSAGE:
		vfio_function_msi(fn, value);
		break;
	case MODEL_PIN:
		vfio_function_intx(fn, value);
		break;
	case MODEL_FAIL:
		m->fail = value;
		break;
	case MODEL_BACKDOOR:
		vfio_function_backdoor_reset(fn);
		break;
	case MODEL_ERROR:
		vfio_function_error(fn);
		break;
	case MODEL_REQUEST:
		vfio_function_request(fn);
		break;
	case MODEL_LOGGED:
		m->logged = 0;
		break;
	}
}

static void model_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			unsigned int width, uint64_t value)
{
	struct model *m = vfio_function_state(fn);
	uint8_t *at = scratch_at(m, offset);

	if (bar != m->bar)
		return;
	if (!at) {
		write_register(fn, m, offset, value);
		return;
	}
	keep(m, true, width, offset);
	memcpy(at, &value, width);
}

static int model_reset(struct vfio_function *fn)
{
	struct model *m = vfio_function_state(fn);

	if (m->fail)
		return -(int)m->fail;
	m->resets++;
	m->logged = 0;
	memset(m->scratch, 0, sizeof(m->scratch));
	return 0;
}

static void model_free(struct vfio_function *fn)
{
	free(vfio_function_state(fn));
}

static const struct vfio_function_ops with_reset = {
	.size = sizeof(with_reset),
	.read = model_read,
	.write = model_write,
	.reset = model_reset,
	.free = model_free,
};

static const struct vfio_function_ops without_reset = {
	.size = sizeof(without_reset),
	.read = model_read,
	.write = model_write,
	.free = model_free,
};

int model_new(struct vfio_function **fn, const struct vfio_function_description *description,
	      unsigned int bar, bool resets, struct vfio_error *err)
{
	struct model *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->bar = bar;
	r = vfio_function_new(fn, description, resets ? &with_reset : &without_reset, m, err);
	if (r < 0)
		free(m);
	return r;
}
