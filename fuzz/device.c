/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <string.h>

#include "check.h"

#define PAGE 4096u

static const struct vfio_area bar0_areas[] = { { PAGE, PAGE } };
static const struct vfio_area bar2_areas[] = { { 2 * PAGE, PAGE }, { 4 * PAGE, 2 * PAGE } };

#define BARS {                                                                                     \
	[0] = { .size = 4 * PAGE, .nareas = 1, .areas = bar0_areas },                              \
	[2] = { .size = 16 * PAGE, .flags = VFIO_BAR_MEM64 | VFIO_BAR_PREFETCH,                    \
		.nareas = 2, .areas = bar2_areas },                                                \
	[5] = { .size = 32, .flags = VFIO_BAR_IO },                                                \
}

const struct vfio_bar_description device_bars[DEVICE_BARS] = BARS;

static const struct vfio_function_description description = {
	.size = sizeof(description),
	.name = "fuzz", .vendor = DEVICE_VENDOR, .device = DEVICE_DEVICE,
	.subsystem_vendor = 0x9abc, .subsystem = 0xdef0, .revision = 1, .class_code = 0xff0000,
	.interrupt_pin = 1, .msi_vectors = 4,
	.msix_vectors = 8, .msix_bar = 2, .msix_table = 0, .msix_pba = PAGE,
	.power_management = true, .bars = BARS,
};

/* ---- DMA ---------------------------------------------------------------------------------- */

static void keep_spans(struct vfio_function *fn, struct device *d)
{
	d->nspans = vfio_function_dma_spans(fn, d->iova, d->len, VFIO_DMA_RW, d->spans,
					    DEVICE_SPANS);
	if (d->nspans < 0)
		d->nspans = 0;
}

/* Spans are memory until they were named by dma_gone(). */
static void touch_spans(struct device *d)
{
	for (int i = 0; i < d->nspans; i++) {
		volatile uint8_t *at = d->spans[i].addr;

		if (!d->spans[i].len)
			continue;
		at[0]++;
		at[d->spans[i].len - 1]++;
	}
}

void device_go(struct vfio_function *fn, uint32_t what)
{
	struct device *d = vfio_function_state(fn);

	switch (what) {
	case GO_TWICE:
		vfio_function_dma_read(fn, d->iova, d->buffer, d->len);
		vfio_function_dma_write(fn, d->iova, d->buffer, d->len);
		break;
	case GO_READ:
		vfio_function_dma_read(fn, d->iova, d->buffer, d->len);
		break;
	case GO_WRITE:
		vfio_function_dma_write(fn, d->iova, d->buffer, d->len);
		break;
	case GO_SPANS:
		keep_spans(fn, d);
		break;
	case GO_TOUCH:
		touch_spans(d);
		break;
	}
}

/* ---- registers ---------------------------------------------------------------------------- */

static uint64_t device_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			    unsigned int width)
{
	struct device *d = vfio_function_state(fn);

	CHECK(bar < DEVICE_BARS && offset % width == 0);
	CHECK(offset + width <= device_bars[bar].size);
	switch (bar ? ~0ull : offset) {
	case REG_IOVA:		return d->iova;
	case REG_LEN:		return d->len;
	case REG_INTX:		return d->intx;
	case REG_GONE:		return d->gone;
	case REG_SCRATCH:	return d->scratch;
	}
	return UINT64_MAX;
}

static void device_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			 unsigned int width, uint64_t value)
{
	struct device *d = vfio_function_state(fn);

	CHECK(bar < DEVICE_BARS && offset % width == 0);
	CHECK(offset + width <= device_bars[bar].size);
	CHECK(width == 8 || value >> (8 * width) == 0);
	switch (bar ? ~0ull : offset) {
	case REG_IOVA:
		d->iova = value;
		break;
	case REG_LEN:
		d->len = value > DEVICE_BUFFER ? DEVICE_BUFFER : value;
		break;
	case REG_GO:
		device_go(fn, value);
		break;
	case REG_INTX:
		d->intx = value & 1;
		vfio_function_intx(fn, d->intx);
		break;
	case REG_MSI:
		vfio_function_msi(fn, value);
		break;
	case REG_GONE:
		d->gone = value & 1;
		break;
	case REG_SCRATCH:
		d->scratch = value;
		break;
	}
}

/* ---- life --------------------------------------------------------------------------------- */

static int device_reset(struct vfio_function *fn)
{
	struct device *d = vfio_function_state(fn);
	unsigned int resets = d->resets + 1;

	memset(d, 0, sizeof(*d));
	d->resets = resets;
	return 0;
}

/* A device may well write its last words to memory that is going. */
static void device_dma_gone(struct vfio_function *fn, uint64_t iova, uint64_t size)
{
	struct device *d = vfio_function_state(fn);

	d->nspans = 0;
	if (d->gone) {
		vfio_function_dma_write(fn, d->iova, d->buffer, d->len);
		vfio_function_dma_read(fn, iova, d->buffer, 16);
	}
}

static void rung(struct vfio_function *fn, void *arg)
{
	CHECK(arg == vfio_function_memory(fn, 0));
}

struct vfio_function *device_new(struct device *d)
{
	static const struct vfio_function_ops ops = {
		.size = sizeof(ops), .read = device_read, .write = device_write,
		.reset = device_reset, .dma_gone = device_dma_gone,
	};
	struct vfio_function *fn;

	memset(d, 0, sizeof(*d));
	CHECK(vfio_function_new(&fn, &description, &ops, d, NULL) == 0);
	CHECK(vfio_function_doorbell(fn, 0, PAGE, 8, rung, vfio_function_memory(fn, 0)) == 0);
	return fn;
}
