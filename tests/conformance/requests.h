/* SPDX-License-Identifier: MIT */
/* VFIO_DEVICE_SET_IRQS in one line each, and what comes out of it. */
#ifndef CONFORMANCE_REQUESTS_H
#define CONFORMANCE_REQUESTS_H

#include "bed.h"

#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK    VFIO_IRQ_SET_ACTION_MASK
#define UNMASK  VFIO_IRQ_SET_ACTION_UNMASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

/* A request without data, whatever the flags say; what the call returned. */
int request(struct bed *b, uint32_t flags, uint32_t index, uint32_t start, uint32_t count);

/* Requests with data: up to 16 eventfds or booleans. */
int request_fds(struct bed *b, uint32_t action, uint32_t index, uint32_t start, uint32_t count,
		const int *fds);
int request_fd(struct bed *b, uint32_t action, uint32_t index, uint32_t start, int fd);
int request_bools(struct bed *b, uint32_t action, uint32_t index, uint32_t start, uint32_t count,
		  const uint8_t *bools);

/* Vectors start to start + count - 1 get new eventfds, which must work; the first of them. */
int assign(struct bed *b, uint32_t index, uint32_t start, uint32_t count);

/* Let the model send a message, as the bus master that it must be; or move its pin. */
void raise_message(struct bed *b, uint32_t vector);
void set_pin(struct bed *b, bool asserted);

/* An eventfd has been signalled just so often since it was looked at. */
void assert_signals(struct bed *b, int fd, int64_t count);

/* The number of vectors of an index. */
uint32_t vectors_of(struct bed *b, uint32_t index);

#endif
