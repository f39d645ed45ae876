/* SPDX-License-Identifier: MIT */
/* Requests for interrupts (VFIO_DEVICE_SET_IRQS), of every kind. */
#ifndef TESTS_REFERENCE_REQUESTS_H
#define TESTS_REFERENCE_REQUESTS_H

#include "roads.h"

#define REQUEST_ENTRIES (DEVICE_VECTORS + 2)

struct request {
	struct vfio_irq_set set;
	uint8_t data[REQUEST_ENTRIES * sizeof(int)];
};

/* What in says: a request that mostly makes sense. */
void request_make(const struct roads *r, struct request *q, struct input *in);

/* For people. */
void request_print(const struct request *q, char *text, size_t size);

#endif
