/* SPDX-License-Identifier: MIT */
/* A device as JSON, as the control socket shows it. */
#ifndef VFIOD_DESCRIBE_H
#define VFIOD_DESCRIBE_H

#include <json-c/json.h>

#include <vfio/driver.h>

/* The description of a device, or NULL when the device does not answer. Changes nothing on it. */
struct json_object *describe(struct vfio_dev *dev);

#endif
