/* SPDX-License-Identifier: MIT */
/* The memory that the client has given the device. */
#include "describe.h"

#include <stdint.h>
#include <stdio.h>

#include <vfio/driver.h>

#include "message.h"

/* There may be a million: who debugs one wants to see the first ones, and how many there are. */
#define MAX_MAPS 256

static struct json_object *number_or_null(uint64_t n)
{
	return n == UINT64_MAX ? NULL : json_object_new_uint64(n);
}

static struct json_object *describe_quota(const struct vfio_quota *quota)
{
	struct json_object *json = message_new("advertised", number_or_null(quota->advertised));

	json_object_object_add(json, "granted", number_or_null(quota->granted));
	json_object_object_add(json, "used", json_object_new_uint64(quota->used));
	return json;
}

static const char *way(uint32_t access)
{
	switch (access) {
	case VFIO_DMA_IN_PLACE:
		return "in-place";
	case VFIO_DMA_BY_FILE:
		return "by-file";
	case VFIO_DMA_BY_PROCESS:
		return "by-process";
	default:
		return "by-message";
	}
}

static struct json_object *describe_one(const struct vfio_dma_info *map)
{
	struct json_object *json, *prot = json_object_new_array();
	char iova[20];

	if (map->prot & VFIO_DMA_READ)
		json_object_array_add(prot, json_object_new_string("read"));
	if (map->prot & VFIO_DMA_WRITE)
		json_object_array_add(prot, json_object_new_string("write"));
	snprintf(iova, sizeof(iova), "0x%llx", (unsigned long long)map->iova);
	json = message_new("iova", json_object_new_string(iova));
	json_object_object_add(json, "size", json_object_new_uint64(map->size));
	json_object_object_add(json, "prot", prot);
	json_object_object_add(json, "access", json_object_new_string(way(map->access)));
	return json;
}

struct json_object *describe_dma(struct vfio_dev *dev)
{
	struct json_object *json, *list;
	struct vfio_dma_limits limits;
	struct vfio_dma_info map;
	uint64_t cursor = 0, listed = 0;

	if (vfio_dma_limits(dev, &limits) < 0)
		return NULL;
	list = json_object_new_array();
	while (listed < MAX_MAPS && vfio_dma_next(dev, &cursor, &map) == 1) {
		json_object_array_add(list, describe_one(&map));
		listed++;
	}
	json = message_new("maps", describe_quota(&limits.maps));
	json_object_object_add(json, "bytes", describe_quota(&limits.bytes));
	json_object_object_add(json, "list", list);
	json_object_object_add(json, "more", json_object_new_uint64(
		limits.maps.used > listed ? limits.maps.used - listed : 0));
	return json;
}
