/* SPDX-License-Identifier: MIT */
/* What device.c, life and death of a device process, and device_channel.c share. */
#ifndef VFIOD_DEVICE_PRIVATE_H
#define VFIOD_DEVICE_PRIVATE_H

#include "device.h"

#define PULSE_MS 5000		/* a process that misses two of these is stuck */
#define MAX_UNREADY 5		/* starts in a row */

/* device.c */
void device_set_state(struct device *device, enum device_state state);
void device_close_channel(struct device *device);
void device_kill(struct device *device);

/* device_channel.c */
/* Receive once: -EAGAIN when there is nothing, 0 at the end of the channel or after nonsense. */
int device_listen(struct device *device);
void device_on_channel(struct watch *watch, uint32_t events);
/* Whoever waits for a description gets this answer; NULL: there is none. */
void device_answer_all(struct device *device, struct json_object *answer);
void device_on_answer_deadline(struct timer *timer);

#endif
