/* SPDX-License-Identifier: MIT */
/* A device as JSON, as its process has described it. */
#ifndef VFIOD_DESCRIPTION_H
#define VFIOD_DESCRIPTION_H

#include <stdbool.h>

#include <json-c/json.h>

/* Has this, from a process that is not trusted, the form of what describe() makes? */
bool description_is_valid(struct json_object *description);

/* The same of describe_map(). */
bool description_map_is_valid(struct json_object *map);

#endif
