/* SPDX-License-Identifier: MIT */
#include "mill.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <vfio/device.h>

#define MAX_SPANS 16
#define STAMP_NS 100000

struct mill {
	int timer;
	/* Everything from here on is cleared by a reset. */
	struct mill_state {
		uint64_t source, dest, length;
		uint64_t result, checksum;
		uint64_t stamps, stamped_at, stamped_len;
		struct vfio_span held;		/* what is stamped on, if it can be had in place */
	} s;
	uint8_t buffer[MILL_MOST];
};

/* ---- copying ------------------------------------------------------------------------------ */

static int copy(struct vfio_function *fn, struct mill *mill)
{
	struct mill_state *s = &mill->s;
	size_t len = s->length;
	int r = vfio_function_dma_read(fn, s->source, mill->buffer, len);

	if (r < 0)
		return r;
	s->checksum = mill_checksum(0, mill->buffer, len);
	return vfio_function_dma_write(fn, s->dest, mill->buffer, len);
}

static int copy_in_place(struct vfio_function *fn, struct mill *mill)
{
	struct mill_state *s = &mill->s;
	struct vfio_span from[MAX_SPANS], to[MAX_SPANS];
	int nfrom = vfio_function_dma_spans(fn, s->source, s->length, VFIO_DMA_READ, from,
					    MAX_SPANS);
	int nto = vfio_function_dma_spans(fn, s->dest, s->length, VFIO_DMA_WRITE, to, MAX_SPANS);
	uint8_t *at = mill->buffer;

	if (nfrom < 0 || nto < 0)
		return nfrom < 0 ? nfrom : nto;
	if (nfrom > MAX_SPANS || nto > MAX_SPANS)
		return -E2BIG;
	/* Source and dest may overlap, and their spans need not have the same lengths. */
	for (int i = 0; i < nfrom; at += from[i++].len)
		memcpy(at, from[i].addr, from[i].len);
	s->checksum = mill_checksum(0, mill->buffer, s->length);
	at = mill->buffer;
	for (int i = 0; i < nto; at += to[i++].len)
		memcpy(to[i].addr, at, to[i].len);
	return 0;
}

/* ---- stamping ----------------------------------------------------------------------------- */

static void set_timer(struct mill *mill, long ns)
{
	const struct itimerspec every = { .it_interval.tv_nsec = ns, .it_value.tv_nsec = ns };

	timerfd_settime(mill->timer, 0, &every, NULL);
}

static int stamp(struct vfio_function *fn, struct mill *mill)
{
	struct mill_state *s = &mill->s;
	uint8_t *bytes = s->held.addr ? s->held.addr : mill->buffer;

	s->stamps++;
	memset(bytes, (int)s->stamps, s->stamped_len);
	return s->held.addr ? 0 : vfio_function_dma_write(fn, s->stamped_at, bytes, s->stamped_len);
}

static void on_timer(struct vfio_function *fn, int fd, void *arg)
{
	struct mill *mill = arg;
	uint64_t expired;

	if (read(fd, &expired, sizeof(expired)) == sizeof(expired) && stamp(fn, mill) < 0)
		set_timer(mill, 0);
}

static int begin_to_stamp(struct vfio_function *fn, struct mill *mill)
{
	struct mill_state *s = &mill->s;

	if (vfio_function_dma_spans(fn, s->dest, s->length, VFIO_DMA_WRITE, &s->held, 1) != 1)
		s->held.addr = NULL;
	s->stamps = 0;
	s->stamped_at = s->dest;
	s->stamped_len = s->length;
	set_timer(mill, STAMP_NS);
	return 0;
}

static void mill_dma_gone(struct vfio_function *fn, uint64_t iova, uint64_t size)
{
	struct mill *mill = vfio_function_state(fn);
	struct mill_state *s = &mill->s;

	/* Where what is stamped on begins inside what goes, or the other way round. */
	if (s->stamped_at - iova < size || iova - s->stamped_at < s->stamped_len)
		s->held.addr = NULL;
}

/* ---- registers ---------------------------------------------------------------------------- */

static int obey(struct vfio_function *fn, struct mill *mill, uint64_t command)
{
	if (mill->s.length == 0 || mill->s.length > MILL_MOST)
		return -EINVAL;
	switch (command) {
	case MILL_COPY:
		return copy(fn, mill);
	case MILL_IN_PLACE:
		return copy_in_place(fn, mill);
	case MILL_STAMP:
		return begin_to_stamp(fn, mill);
	case MILL_REST:
		set_timer(mill, 0);
		return 0;
	default:
		return -EINVAL;
	}
}

static uint64_t mill_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			  unsigned int width)
{
	const struct mill *mill = vfio_function_state(fn);

	if (width != 8)
		return ~UINT64_C(0);
	switch (offset) {
	case MILL_SOURCE:	return mill->s.source;
	case MILL_DEST:		return mill->s.dest;
	case MILL_LENGTH:	return mill->s.length;
	case MILL_RESULT:	return mill->s.result;
	case MILL_CHECKSUM:	return mill->s.checksum;
	case MILL_STAMPS:	return mill->s.stamps;
	default:		return ~UINT64_C(0);
	}
}

static void mill_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		       unsigned int width, uint64_t value)
{
	struct mill *mill = vfio_function_state(fn);

	if (width != 8)
		return;
	switch (offset) {
	case MILL_SOURCE:
		mill->s.source = value;
		break;
	case MILL_DEST:
		mill->s.dest = value;
		break;
	case MILL_LENGTH:
		mill->s.length = value;
		break;
	case MILL_COMMAND:
		mill->s.result = (uint64_t)-obey(fn, mill, value);
		break;
	}
}

/* ---- life --------------------------------------------------------------------------------- */

static int mill_reset(struct vfio_function *fn)
{
	struct mill *mill = vfio_function_state(fn);

	set_timer(mill, 0);
	mill->s = (struct mill_state){ 0 };
	return 0;
}

static void mill_free(struct vfio_function *fn)
{
	struct mill *mill = vfio_function_state(fn);

	close(mill->timer);
	free(mill);
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = mill_read,
	.write = mill_write,
	.reset = mill_reset,
	.dma_gone = mill_dma_gone,
	.free = mill_free,
};

static const struct vfio_function_description description = {
	.size = sizeof(description),
	.name = "mill",
	.vendor = MILL_VENDOR,
	.device = MILL_DEVICE,
	.class_code = 0xff0000,
	.bars[0] = { .size = 4096 },
};

static int create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	struct mill *mill = calloc(1, sizeof(*mill));
	int r = -ENOMEM;

	if (!mill)
		return r;
	mill->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (mill->timer >= 0)
		r = vfio_function_new(fn, &description, &ops, mill, err);
	if (r == 0) {
		r = vfio_function_watch(*fn, mill->timer, on_timer, mill);
		if (r < 0)
			vfio_function_free(*fn);
		return r;
	}
	if (mill->timer >= 0)
		close(mill->timer);
	free(mill);
	return r;
}

const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "moves much memory, for the torture of vfiod",
	.create = create,
};
