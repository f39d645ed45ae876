/* SPDX-License-Identifier: MIT */
/* A device as JSON, as the control socket shows it. */
#ifndef VFIOD_DESCRIBE_H
#define VFIOD_DESCRIBE_H

#include <json-c/json.h>

#include <vfio/driver.h>

/* The description of a device, or NULL when the device does not answer. Changes nothing on it. */
struct json_object *describe(struct vfio_dev *dev);

/* The client's memory, or NULL when the device cannot tell. */
struct json_object *describe_dma(struct vfio_dev *dev);

/*
 * How each bit of its configuration space behaves, as docs/control.md has it, or NULL when the
 * device cannot tell.
 */
struct json_object *describe_map(struct vfio_dev *dev);

#endif
