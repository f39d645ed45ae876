/* SPDX-License-Identifier: MIT */
/* 5.9, 5.21: features. None can be saved: what is set lasts until the controller is reset. */
#include <endian.h>
#include <string.h>
#include <time.h>

#include "nvme.h"

#define CAN_CHANGE    4u	/* 5.9, figure of the supported capabilities */
#define OF_NAMESPACE  2u

#define SAVE          (1u << 31)	/* cdw10 of Set Features */

enum select { SELECT_CURRENT, SELECT_DEFAULT, SELECT_SAVED, SELECT_CAPABILITIES };

/* cdw11 of Temperature Threshold. */
#define SENSOR(cdw11)    ((cdw11) >> 16 & 0xf)
#define ALL_SENSORS      0xfu
#define UNDER(cdw11)     ((cdw11) >> 20 & 3)

#define ARBITRATION_BITS 0xffffff07u
#define WORKLOAD_BITS    0xe0u		/* of Power Management; the state is always 0 */
#define EVENTS_BITS      (0x3fu | EVENTS_NAMESPACES)
#define RECOVERY_TIME    0xffffu	/* TLER; no error is made of deallocated blocks (DULBE) */
#define COALESCING_OFF   (1u << 16)	/* of Interrupt Vector Configuration */

/* 5.21.1.14: bits 3:1 of byte 6 */
#define ORIGIN_SET       0x02u
#define TIMESTAMP_MASK   UINT64_C(0xffffffffffff)

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void features_default(const struct nvme *n, struct features *f)
{
	*f = (struct features){
		.write_cache = has_write_cache(n),
		.over_temperature = WARNING_KELVIN,
	};
}

void features_reset(struct nvme *n)
{
	features_default(n, &n->features);
	n->features.timestamp_at = now_ms();
}

/* ---- those that are more than a number ----------------------------------------------------- */

static uint16_t set_power(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value)
{
	if (value & ~WORKLOAD_BITS)
		return VFIO_NVME_INVALID_FIELD;
	n->features.power = value;
	return VFIO_NVME_SUCCESS;
}

/* Which of the two thresholds cdw11 means; NULL: of a sensor that is not there. */
static const uint32_t *threshold(const struct features *f, uint32_t cdw11)
{
	if (SENSOR(cdw11) != 0 || UNDER(cdw11) > 1)
		return NULL;
	return UNDER(cdw11) ? &f->under_temperature : &f->over_temperature;
}

static uint16_t get_temperature(struct nvme *n, const struct vfio_nvme_command *cmd,
				const struct features *f, uint32_t *value)
{
	const uint32_t *at = threshold(f, le32toh(cmd->cdw11));

	if (!at)
		return VFIO_NVME_INVALID_FIELD;
	*value = *at;
	return VFIO_NVME_SUCCESS;
}

static uint16_t set_temperature(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value)
{
	uint32_t which = SENSOR(value) == ALL_SENSORS ? value & ~(ALL_SENSORS << 16) : value;
	uint32_t *at = (uint32_t *)threshold(&n->features, which);

	if (!at)
		return VFIO_NVME_INVALID_FIELD;
	*at = value & 0xffff;
	if (critical_warning(n) & n->features.async_events)
		event_raise(n, EVENT_SMART, EVENT_TEMPERATURE, VFIO_NVME_LOG_SMART);
	return VFIO_NVME_SUCCESS;
}

/* The one feature of a namespace. */
static uint16_t get_recovery(struct nvme *n, const struct vfio_nvme_command *cmd,
			     const struct features *f, uint32_t *value)
{
	const struct namespace *ns = namespace_of(n, le32toh(cmd->nsid));

	if (!ns)
		return VFIO_NVME_INVALID_NAMESPACE;
	*value = f->error_recovery[ns->nsid - 1];
	return VFIO_NVME_SUCCESS;
}

static uint16_t set_recovery(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value)
{
	uint32_t nsid = le32toh(cmd->nsid);

	if (nsid != BROADCAST && !namespace_of(n, nsid))
		return VFIO_NVME_INVALID_NAMESPACE;
	if (value & ~RECOVERY_TIME)
		return VFIO_NVME_INVALID_FIELD;
	for (unsigned int i = 0; i < n->nnamespaces; i++)
		if (nsid == BROADCAST || nsid == i + 1)
			n->features.error_recovery[i] = value;
	return VFIO_NVME_SUCCESS;
}

static uint16_t get_write_cache(struct nvme *n, const struct vfio_nvme_command *cmd,
				const struct features *f, uint32_t *value)
{
	*value = f->write_cache;
	return has_write_cache(n) ? VFIO_NVME_SUCCESS : VFIO_NVME_INVALID_FIELD;
}

/* Off: what was written so far must not stay behind what is written from now on. */
static uint16_t set_write_cache(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value)
{
	uint64_t life = n->life;

	if (!has_write_cache(n))
		return VFIO_NVME_INVALID_FIELD;
	n->features.write_cache = value & 1;
	if (value & 1)
		return VFIO_NVME_SUCCESS;
	files_drain(n);
	if (n->life != life)
		return LATER;
	for (unsigned int i = 0; i < n->nnamespaces; i++)
		if (files_flush(n, &n->namespaces[i]) < 0)
			return VFIO_NVME_INTERNAL;
	return VFIO_NVME_SUCCESS;
}

/* Whatever is asked for, as many are granted as there are; both numbers less one. */
static uint16_t get_queues(struct nvme *n, const struct vfio_nvme_command *cmd,
			   const struct features *f, uint32_t *value)
{
	*value = (n->options.queues - 1) | (n->options.queues - 1) << 16;
	return VFIO_NVME_SUCCESS;
}

static bool has_io_queues(const struct nvme *n)
{
	for (unsigned int i = 1; i < MAX_QUEUES; i++)
		if (n->sqs[i].exists || n->cqs[i].exists)
			return true;
	return false;
}

static uint16_t set_queues(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value)
{
	if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff)
		return VFIO_NVME_INVALID_FIELD;
	return has_io_queues(n) ? VFIO_NVME_SEQUENCE : VFIO_NVME_SUCCESS;
}

static uint16_t get_vector(struct nvme *n, const struct vfio_nvme_command *cmd,
			   const struct features *f, uint32_t *value)
{
	uint32_t vector = le32toh(cmd->cdw11) & 0xffff;

	if (vector > n->options.queues)
		return VFIO_NVME_INVALID_FIELD;
	*value = vector | (f->vectors[vector] ? COALESCING_OFF : 0);
	return VFIO_NVME_SUCCESS;
}

static uint16_t set_vector(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value)
{
	if ((value & 0xffff) > n->options.queues)
		return VFIO_NVME_INVALID_FIELD;
	n->features.vectors[value & 0xffff] = (value & COALESCING_OFF) != 0;
	return VFIO_NVME_SUCCESS;
}

/* 5.21.1.14: milliseconds since 1970 if the host has set them, since the reset if not. */
static uint16_t get_timestamp(struct nvme *n, const struct vfio_nvme_command *cmd,
			      const struct features *f, uint32_t *value)
{
	uint64_t data = 0;

	if (f == &n->features)
		data = ((f->timestamp + now_ms() - f->timestamp_at) & TIMESTAMP_MASK) |
		       (f->timestamp_set ? (uint64_t)ORIGIN_SET << 48 : 0);
	data = htole64(data);
	return data_give(n, cmd, &data, sizeof(data));
}

static uint16_t set_timestamp(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value)
{
	uint64_t data, life = n->life;
	uint16_t status = data_take(n, cmd, &data, sizeof(data));

	if (n->life != life)
		return LATER;
	if (status)
		return status;
	n->features.timestamp = le64toh(data) & TIMESTAMP_MASK;
	n->features.timestamp_at = now_ms();
	n->features.timestamp_set = true;
	return VFIO_NVME_SUCCESS;
}

/* ---- the table ----------------------------------------------------------------------------- */

/* Either a number, and the bits of it that can be set; or functions. */
struct feature {
	uint8_t id;
	uint8_t capabilities;
	uint32_t bits;
	size_t at;			/* in struct features */
	uint16_t (*get)(struct nvme *n, const struct vfio_nvme_command *cmd,
			const struct features *f, uint32_t *value);
	uint16_t (*set)(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t value);
};

#define NUMBER(member, mask) .bits = (mask), .at = offsetof(struct features, member)

static const struct feature features[] = {
	{ VFIO_NVME_FEATURE_ARBITRATION, CAN_CHANGE, NUMBER(arbitration, ARBITRATION_BITS) },
	{ VFIO_NVME_FEATURE_POWER, CAN_CHANGE, NUMBER(power, 0), .set = set_power },
	{ VFIO_NVME_FEATURE_TEMPERATURE, CAN_CHANGE,
	  .get = get_temperature, .set = set_temperature },
	{ VFIO_NVME_FEATURE_ERROR_RECOVERY, CAN_CHANGE | OF_NAMESPACE,
	  .get = get_recovery, .set = set_recovery },
	{ VFIO_NVME_FEATURE_WRITE_CACHE, CAN_CHANGE,
	  .get = get_write_cache, .set = set_write_cache },
	{ VFIO_NVME_FEATURE_QUEUES, CAN_CHANGE, .get = get_queues, .set = set_queues },
	{ VFIO_NVME_FEATURE_COALESCING, CAN_CHANGE, NUMBER(coalescing, 0xffff) },
	{ VFIO_NVME_FEATURE_VECTOR, CAN_CHANGE, .get = get_vector, .set = set_vector },
	{ VFIO_NVME_FEATURE_ATOMICITY, CAN_CHANGE, NUMBER(atomicity, 1) },
	{ VFIO_NVME_FEATURE_ASYNC_EVENTS, CAN_CHANGE, NUMBER(async_events, EVENTS_BITS) },
	{ VFIO_NVME_FEATURE_TIMESTAMP, CAN_CHANGE, .get = get_timestamp, .set = set_timestamp },
};

static const struct feature *find_feature(uint8_t id)
{
	for (unsigned int i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		if (features[i].id == id)
			return &features[i];
	return NULL;
}

static uint16_t get_value(struct nvme *n, const struct vfio_nvme_command *cmd,
			  const struct feature *feature, const struct features *f, uint32_t *value)
{
	if (feature->get)
		return feature->get(n, cmd, f, value);
	memcpy(value, (const char *)f + feature->at, sizeof(*value));
	return VFIO_NVME_SUCCESS;
}

/* 5.9: what cannot be saved has its default as the saved value. */
uint16_t get_features(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint32_t cdw10 = le32toh(cmd->cdw10);
	const struct feature *feature = find_feature((uint8_t)cdw10);
	struct features standard;

	if (!feature)
		return VFIO_NVME_INVALID_FIELD;
	switch (cdw10 >> 8 & 7) {
	case SELECT_CURRENT:
		return get_value(n, cmd, feature, &n->features, result);
	case SELECT_DEFAULT:
	case SELECT_SAVED:
		features_default(n, &standard);
		return get_value(n, cmd, feature, &standard, result);
	case SELECT_CAPABILITIES:
		*result = feature->capabilities;
		return VFIO_NVME_SUCCESS;
	default:
		return VFIO_NVME_INVALID_FIELD;
	}
}

/* 5.21: a feature of the controller is not set for one namespace. */
static uint16_t check_scope(struct nvme *n, const struct feature *feature, uint32_t nsid)
{
	if ((feature->capabilities & OF_NAMESPACE) || nsid == 0 || nsid == BROADCAST)
		return VFIO_NVME_SUCCESS;
	return namespace_of(n, nsid) ? VFIO_NVME_FEATURE_NOT_NAMESPACE :
				       VFIO_NVME_INVALID_NAMESPACE;
}

uint16_t set_features(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint32_t cdw10 = le32toh(cmd->cdw10), value = le32toh(cmd->cdw11);
	const struct feature *feature = find_feature((uint8_t)cdw10);
	uint16_t status;

	if (!feature)
		return VFIO_NVME_INVALID_FIELD;
	if (cdw10 & SAVE)
		return VFIO_NVME_FEATURE_NOT_SAVEABLE;
	status = check_scope(n, feature, le32toh(cmd->nsid));
	if (status)
		return status;
	if (feature->set)
		status = feature->set(n, cmd, value);
	else
		memcpy((char *)&n->features + feature->at, &(uint32_t){ value & feature->bits },
		       sizeof(value));
	if (!status && feature->id == VFIO_NVME_FEATURE_QUEUES)
		return get_queues(n, cmd, &n->features, result);
	return status;
}
