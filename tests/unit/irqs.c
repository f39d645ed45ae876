/* SPDX-License-Identifier: MIT */
#include "irqs.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

int irq_set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || model_new(&f->model, NULL) < 0)
		return -1;
	f->fn = f->model.fn;
	f->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return 0;
}

int irq_tear_down(void **state)
{
	struct fixture *f = *state;

	vfio_function_free(f->fn);
	close(f->fd);
	free(f);
	return 0;
}

int set(struct fixture *f, uint32_t index, uint32_t flags, uint32_t start, uint32_t count)
{
	const uint8_t ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	const int fds[8] = { f->fd, f->fd, f->fd, f->fd, f->fd, f->fd, f->fd, f->fd };
	const struct irq_request q = {
		.flags = flags, .index = index, .start = start, .count = count,
		.bools = ones, .fds = fds,
	};

	return function_set_irqs(f->fn, &q);
}

int set_fd(struct fixture *f, uint32_t index, int fd)
{
	const struct irq_request q = {
		.flags = EVENTFD | TRIGGER, .index = index, .count = 1, .fds = &fd,
	};

	return function_set_irqs(f->fn, &q);
}

int set_bool(struct fixture *f, uint32_t index, uint32_t action, uint8_t value)
{
	const struct irq_request q = {
		.flags = BOOL | action, .index = index, .count = 1, .bools = &value,
	};

	return function_set_irqs(f->fn, &q);
}
