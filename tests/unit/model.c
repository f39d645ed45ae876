/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <errno.h>
#include <string.h>

static void keep(struct model *m, bool write, unsigned int bar, uint64_t offset, unsigned int width,
		 uint64_t value)
{
	if (m->logged < sizeof(m->log) / sizeof(m->log[0]))
		m->log[m->logged++] = (struct model_access){
			.write = write, .bar = bar, .width = width,
			.offset = offset, .value = value,
		};
}

/* Where an access lies in the bytes, or NULL. */
static uint8_t *bytes_at(struct model *m, unsigned int bar, uint64_t offset)
{
	if (bar == 4)
		return m->bytes + offset;
	if (bar == 0 && offset >= MODEL_BYTES && offset < MODEL_BYTES + MODEL_BYTES_SIZE)
		return m->bytes + (offset - MODEL_BYTES);
	return NULL;
}

static uint64_t read_register(const struct model *m, uint64_t offset)
{
	switch (offset) {
	case MODEL_ID:		return MODEL_ID_VALUE;
	case MODEL_RESULT:	return (uint32_t)m->result;
	case MODEL_LENGTH:	return m->length;
	case MODEL_IOVA:	return m->iova;
	}
	return UINT64_MAX;
}

static uint64_t model_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			   unsigned int width)
{
	struct model *m = vfio_function_state(fn);
	const uint8_t *at = bytes_at(m, bar, offset);
	uint64_t value = UINT64_MAX;

	if (at) {
		value = 0;
		memcpy(&value, at, width);
	} else if (bar == 0) {
		value = read_register(m, offset);
	}
	keep(m, false, bar, offset, width, value);
	return value;
}

static int spans(struct model *m)
{
	struct vfio_span s[4];

	return vfio_function_dma_spans(m->fn, m->iova, m->length, VFIO_DMA_RW, s, 4);
}

static void run(struct model *m, enum model_command command)
{
	if (m->length > sizeof(m->bytes))
		m->length = sizeof(m->bytes);
	m->running = true;
	switch (command) {
	case MODEL_DMA_READ:
		m->result = vfio_function_dma_read(m->fn, m->iova, m->bytes, m->length);
		break;
	case MODEL_DMA_WRITE:
		m->result = vfio_function_dma_write(m->fn, m->iova, m->bytes, m->length);
		break;
	case MODEL_SPANS:
		m->result = spans(m);
		break;
	case MODEL_PROBE_GONE:
		m->probe_gone = true;
		break;
	}
	m->running = false;
}

static void write_register(struct model *m, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case MODEL_MSI:
		vfio_function_msi(m->fn, value);
		break;
	case MODEL_INTX:
		vfio_function_intx(m->fn, value);
		break;
	case MODEL_LENGTH:
		m->length = value;
		break;
	case MODEL_IOVA:
		m->iova = value;
		break;
	case MODEL_COMMAND:
		run(m, value);
		break;
	}
}

static void model_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			unsigned int width, uint64_t value)
{
	struct model *m = vfio_function_state(fn);
	uint8_t *at = bytes_at(m, bar, offset);

	keep(m, true, bar, offset, width, value);
	if (at)
		memcpy(at, &value, width);
	else if (bar == 0)
		write_register(m, offset, value);
}

static int model_reset(struct vfio_function *fn)
{
	struct model *m = vfio_function_state(fn);

	if (m->late)
		vfio_function_dma_read(fn, m->iova, m->bytes, 1);
	if (m->stuck)
		return -EIO;

	memset(m->bytes, 0, sizeof(m->bytes));
	m->iova = m->length = m->result = 0;
	m->probe_gone = false;
	m->resets++;
	return 0;
}

static void model_gone(struct vfio_function *fn, uint64_t iova, uint64_t size)
{
	struct model *m = vfio_function_state(fn);
	uint8_t byte;

	m->gone++;
	m->gone_iova = iova;
	m->gone_size = size;
	if (m->probe_gone)
		m->gone_result = vfio_function_dma_read(fn, iova, &byte, 1);
}

static void model_free(struct vfio_function *fn)
{
	struct model *m = vfio_function_state(fn);

	m->freed++;
}

static const struct vfio_area areas[] = {
	{ MODEL_AREA_1, MODEL_AREA_1_SIZE },
	{ MODEL_AREA_2, MODEL_AREA_2_SIZE },
};

const struct vfio_function_description model_description = {
	.size = sizeof(model_description),
	.name = "model",
	.vendor = 0x1b36,
	.device = 0x0005,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.revision = 3,
	.class_code = 0x058000,
	.interrupt_pin = 1,
	.msi_vectors = MODEL_MSI_VECTORS,
	.msix_vectors = MODEL_MSIX_VECTORS,
	.msix_bar = 0,
	.msix_table = MODEL_TABLE,
	.msix_pba = MODEL_PENDING,
	.power_management = true,
	.bars = {
		[0] = { .size = MODEL_BAR_SIZE },
		[2] = { .size = MODEL_BAR_SIZE, .flags = VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH,
			.nareas = 2, .areas = areas },
		[4] = { .size = MODEL_PORTS, .flags = VFIO_BAR_IO },
	},
};

const struct vfio_function_ops model_ops = {
	.size = sizeof(model_ops),
	.read = model_read,
	.write = model_write,
	.reset = model_reset,
	.dma_gone = model_gone,
	.free = model_free,
};

int model_new_as(struct model *m, const struct vfio_function_description *description,
		 const struct vfio_function_ops *ops, struct vfio_error *err)
{
	memset(m, 0, sizeof(*m));
	return vfio_function_new(&m->fn, description, ops, m, err);
}

int model_new(struct model *m, struct vfio_error *err)
{
	return model_new_as(m, &model_description, &model_ops, err);
}
