/* SPDX-License-Identifier: MIT */
/* The device's way to memory: the bus-master gate, then the IOMMU. */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "base/fd.h"
#include "function/function.h"

/* Spans that the model keeps would be a way past the gate: it lets go of them before that is shut. */
static void let_go(struct vfio_function *fn)
{
	if (fn->ops->dma_gone && (fn->space.gate & GATE_OPEN) && fn->space.ranges.count)
		fn->ops->dma_gone(fn, 0, UINT64_MAX);
}

void function_gate_dma(struct vfio_function *fn)
{
	bool open = function_masters_bus(fn);

	if (!open)
		let_go(fn);
	space_gate(&fn->space, open);
}

EXPORT int vfio_function_dma_read(struct vfio_function *fn, uint64_t iova, void *buf, size_t len)
{
	return space_copy(&fn->space, iova, buf, len, VFIO_DMA_READ);
}

EXPORT int vfio_function_dma_write(struct vfio_function *fn, uint64_t iova, const void *buf,
				   size_t len)
{
	/* The space writes from the buffer, not to it. */
	return space_copy(&fn->space, iova, (void *)buf, len, VFIO_DMA_WRITE);
}

EXPORT int vfio_function_dma_spans(struct vfio_function *fn, uint64_t iova, size_t len,
				   uint32_t prot, struct vfio_span *spans, unsigned int max)
{
	return space_spans(&fn->space, iova, len, prot, spans, max);
}

EXPORT void vfio_function_dma_dirty(struct vfio_function *fn, uint64_t iova, size_t len)
{
	space_dirty(&fn->space, iova, len);
}

EXPORT bool vfio_function_fault(const struct vfio_function *fn, struct vfio_fault *fault)
{
	return space_fault((struct space *)&fn->space, fault);	/* it takes a lock */
}

/* ---- threads of the model's --------------------------------------------------------------- */

struct vfio_dma_engine {
	struct reader reader;
};

EXPORT int vfio_dma_engine_new(struct vfio_dma_engine **engine, struct vfio_function *fn)
{
	*engine = aligned_alloc(64, align_up(sizeof(**engine), 64));	/* its thread's alone */
	if (!*engine)
		return -ENOMEM;
	reader_init(&(*engine)->reader, &fn->space);
	return 0;
}

EXPORT void vfio_dma_engine_free(struct vfio_dma_engine *engine)
{
	if (engine)
		reader_finish(&engine->reader);
	free(engine);
}

EXPORT void vfio_dma_engine_begin(struct vfio_dma_engine *engine)
{
	reader_enter(&engine->reader);
}

EXPORT void vfio_dma_engine_end(struct vfio_dma_engine *engine)
{
	reader_leave(&engine->reader);
}

EXPORT int vfio_dma_engine_read(struct vfio_dma_engine *engine, uint64_t iova, void *buf, size_t len)
{
	return reader_copy(&engine->reader, iova, buf, len, VFIO_DMA_READ);
}

EXPORT int vfio_dma_engine_write(struct vfio_dma_engine *engine, uint64_t iova, const void *buf,
				 size_t len)
{
	return reader_copy(&engine->reader, iova, (void *)buf, len, VFIO_DMA_WRITE);
}

EXPORT int vfio_dma_engine_spans(struct vfio_dma_engine *engine, uint64_t iova, size_t len,
				 uint32_t prot, struct vfio_span *spans, unsigned int max)
{
	return reader_spans(&engine->reader, iova, len, prot, spans, max);
}

/* ---- the user's maps ---------------------------------------------------------------------- */

static void gone(void *arg, uint64_t iova, uint64_t size)
{
	struct vfio_function *fn = arg;

	fn->ops->dma_gone(fn, iova, size);
}

static space_gone_fn *gone_of(const struct vfio_function *fn)
{
	return fn->ops->dma_gone ? gone : NULL;
}

int function_dma_map(struct vfio_function *fn, const struct dma_map *map)
{
	return side_keep(fn, space_map(&fn->space, map, fn->err));
}

int function_dma_unmap(struct vfio_function *fn, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	return side_keep(fn, space_unmap(&fn->space, iova, size, unmapped, gone_of(fn), fn, fn->err));
}

void function_dma_clear(struct vfio_function *fn)
{
	space_clear(&fn->space, gone_of(fn), fn);
}

/* ---- faults ------------------------------------------------------------------------------- */

void function_forget_fault_event(struct vfio_function *fn)
{
	fd_close(&fn->fault_event);
}

/* Any thread faults into an eventfd of ours; the user's, who may do anything to it, is told here. */
void function_faulted(struct vfio_function *fn)
{
	fd_take(fn->space.fault_event);
	space_record_lost(&fn->space);
	if (fn->fault_event >= 0)
		signaler_signal(&fn->signaler, fn->fault_event);
}

int function_set_fault_event(struct vfio_function *fn, int fd)
{
	int copy = -1;

	if (fd >= 0 && !fd_is_eventfd(fd))
		return error_set(fn->err, EINVAL, VFIO_E_IRQ_FD, VFIO_BY_FUNCTION,
				 "make it with eventfd(2)",
				 "asking to be told of faults: descriptor %d is not an eventfd", fd);
	if (fd >= 0)
		copy = fd_copy(fd);
	if (fd >= 0 && copy < 0)
		return error_system(fn->err, -copy, "asking to be told of faults");
	function_forget_fault_event(fn);
	fn->fault_event = copy;
	return 0;
}
