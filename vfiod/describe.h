/* SPDX-License-Identifier: MIT */
/* A device as JSON, as the control socket shows it. */
#ifndef VFIOD_DESCRIBE_H
#define VFIOD_DESCRIBE_H

#include <stdbool.h>

#include <json-c/json.h>

#include <vfio/driver.h>

/* The description of a device, or NULL when the device does not answer. Changes nothing on it. */
struct json_object *describe(struct vfio_dev *dev);

/* Has this, from a process that is not trusted, the form of a description? */
bool description_is_valid(struct json_object *description);

#endif
