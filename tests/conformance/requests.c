/* SPDX-License-Identifier: MIT */
#include "requests.h"

#include <string.h>

#define REQUEST_ROOM 16

#define SOON  2000	/* milliseconds: an interrupt that comes at all has come by then */
#define QUIET 50	/* and if it has not come by then, it does not; ours is there at once */

struct request {
	struct vfio_irq_set set;
	union {
		int fds[REQUEST_ROOM];
		uint8_t bools[REQUEST_ROOM];
	} data;
};

int request(struct bed *b, uint32_t flags, uint32_t index, uint32_t start, uint32_t count)
{
	const struct vfio_irq_set set = {
		.argsz = sizeof(set), .flags = flags, .index = index, .start = start,
		.count = count,
	};

	return vfio_irq_set(b->dev, &set);
}

static int send(struct bed *b, struct request *q, uint32_t flags, uint32_t index, uint32_t start,
		uint32_t count)
{
	q->set = (struct vfio_irq_set){
		.argsz = sizeof(*q), .flags = flags, .index = index, .start = start,
		.count = count,
	};
	return vfio_irq_set(b->dev, &q->set);
}

int request_fds(struct bed *b, uint32_t action, uint32_t index, uint32_t start, uint32_t count,
		const int *fds)
{
	struct request q;

	assert_true(count <= REQUEST_ROOM);
	memcpy(q.data.fds, fds, count * sizeof(int));
	return send(b, &q, EVENTFD | action, index, start, count);
}

int request_fd(struct bed *b, uint32_t action, uint32_t index, uint32_t start, int fd)
{
	return request_fds(b, action, index, start, 1, &fd);
}

int request_bools(struct bed *b, uint32_t action, uint32_t index, uint32_t start, uint32_t count,
		  const uint8_t *bools)
{
	struct request q;

	assert_true(count <= REQUEST_ROOM);
	memcpy(q.data.bools, bools, count);
	return send(b, &q, BOOL | action, index, start, count);
}

int assign(struct bed *b, uint32_t index, uint32_t start, uint32_t count)
{
	int fds[REQUEST_ROOM];

	for (uint32_t i = 0; i < count; i++)
		fds[i] = bed_eventfd(b);
	assert_int_equal(request_fds(b, TRIGGER, index, start, count, fds), 0);
	return fds[0];
}

void raise_message(struct bed *b, uint32_t vector)
{
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	model_put(b, MODEL_MESSAGE, vector);
}

void set_pin(struct bed *b, bool asserted)
{
	model_put(b, MODEL_PIN, asserted);
}

void assert_signals(struct bed *b, int fd, int64_t count)
{
	int64_t seen = 0;

	while (seen < count) {
		int64_t n = vfio_irq_wait(b->dev, fd, SOON);

		assert_true(n > 0);
		seen += n;
	}
	assert_int_equal(seen, count);
	assert_int_equal(vfio_irq_wait(b->dev, fd, ours(b) ? 0 : QUIET), 0);
}

uint32_t vectors_of(struct bed *b, uint32_t index)
{
	struct vfio_irq_info info;

	assert_int_equal(vfio_irq_info(b->dev, index, &info), 0);
	return info.count;
}
