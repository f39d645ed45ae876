/* SPDX-License-Identifier: MIT */
/* The device's way to memory: the bus-master gate, then the IOMMU. */
#include <errno.h>

#include "base/export.h"
#include "function/function.h"

static int gate(struct vfio_function *fn, uint64_t iova, size_t len, uint32_t prot)
{
	return function_masters_bus(fn) ? 0 : space_refuse(&fn->space, iova, len, prot, EPERM);
}

EXPORT int vfio_function_dma_read(struct vfio_function *fn, uint64_t iova, void *buf, size_t len)
{
	int r = gate(fn, iova, len, VFIO_DMA_READ);

	return r < 0 ? r : space_copy(&fn->space, iova, buf, len, VFIO_DMA_READ);
}

EXPORT int vfio_function_dma_write(struct vfio_function *fn, uint64_t iova, const void *buf,
				   size_t len)
{
	int r = gate(fn, iova, len, VFIO_DMA_WRITE);

	/* The space writes from the buffer, not to it. */
	return r < 0 ? r : space_copy(&fn->space, iova, (void *)buf, len, VFIO_DMA_WRITE);
}

EXPORT int vfio_function_dma_spans(struct vfio_function *fn, uint64_t iova, size_t len,
				   uint32_t prot, struct vfio_span *spans, unsigned int max)
{
	int r = gate(fn, iova, len, prot);

	return r < 0 ? r : space_spans(&fn->space, iova, len, prot, spans, max);
}

EXPORT bool vfio_function_fault(const struct vfio_function *fn, struct vfio_fault *fault)
{
	*fault = fn->space.fault;
	return fault->count != 0;
}

static void gone(void *arg, uint64_t iova, uint64_t size)
{
	struct vfio_function *fn = arg;

	if (fn->ops->dma_gone)
		fn->ops->dma_gone(fn, iova, size);
}

int function_dma_map(struct vfio_function *fn, const struct dma_map *map)
{
	return side_keep(fn, space_map(&fn->space, map, fn->err));
}

int function_dma_unmap(struct vfio_function *fn, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	return side_keep(fn, space_unmap(&fn->space, iova, size, unmapped, gone, fn, fn->err));
}

void function_dma_clear(struct vfio_function *fn)
{
	space_clear(&fn->space, gone, fn);
}
