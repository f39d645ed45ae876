/* SPDX-License-Identifier: MIT */
/* 5.14: log pages. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nvme.h"

#define EFFECT_SUPPORTED 0x1u
#define EFFECT_CONTENT   0x2u		/* changes what is in blocks, */
#define EFFECT_NAMESPACE 0x4u		/* what a namespace can do */
#define EFFECT_ALONE     0x10000u	/* no other command of the namespace meanwhile */

#define WARNING_TEMPERATURE 0x02u

/* ---- 5.14.1.1: errors ---------------------------------------------------------------------- */

static struct vfio_nvme_error_entry *error_entry(struct nvme *n, uint64_t number)
{
	return &n->errors[number % ERROR_ENTRIES];
}

void error_log(struct nvme *n, const struct sq *sq, const struct vfio_nvme_command *cmd,
	       uint16_t status)
{
	*error_entry(n, n->error_count) = (struct vfio_nvme_error_entry){
		.count = htole64(n->error_count + 1),
		.sqid = htole16(sq ? sq->id : 0xffff),
		.cid = cmd ? cmd->cid : 0xffff,
		.status = htole16((uint16_t)(status << 1)),
		.location = 0xffff,		/* not said */
		.nsid = cmd ? cmd->nsid : 0,
		.lba = cmd && sq && sq->id ? htole64(le32toh(cmd->cdw10) |
						     (uint64_t)le32toh(cmd->cdw11) << 32) : 0,
	};
	n->error_count++;
	n->counters.errors++;
}

/* The newest first; entries that never were are zeros. */
static void fill_errors(struct nvme *n, uint8_t *page)
{
	for (uint64_t i = 0; i < ERROR_ENTRIES && i < n->error_count; i++)
		memcpy(page + i * sizeof(n->errors[0]), error_entry(n, n->error_count - 1 - i),
		       sizeof(n->errors[0]));
}

/* ---- 5.14.1.2: health ---------------------------------------------------------------------- */

static void put_count(uint8_t to[16], uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

static uint64_t hours_on(const struct nvme *n)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_sec - n->counters.made_at) / 3600;
}

/* 5.21.1.4: it is as warm as it ever is; a threshold can be on the wrong side of that. */
uint8_t critical_warning(const struct nvme *n)
{
	return n->features.over_temperature <= KELVIN || n->features.under_temperature >= KELVIN ?
	       WARNING_TEMPERATURE : 0;
}

/* There is nothing that wears out, and nothing that warms up: so much is fixed. */
static void fill_smart(struct nvme *n, uint8_t *page)
{
	struct vfio_nvme_smart *s = (struct vfio_nvme_smart *)(void *)page;
	const struct counters *c = &n->counters;

	s->critical_warning = critical_warning(n);
	s->temperature[0] = KELVIN & 0xff;
	s->temperature[1] = KELVIN >> 8;
	s->spare = 100;
	s->spare_threshold = 10;
	put_count(s->units_read, (c->sectors_read + 999) / 1000);
	put_count(s->units_written, (c->sectors_written + 999) / 1000);
	put_count(s->reads, c->reads);
	put_count(s->writes, c->writes);
	put_count(s->busy_minutes, c->busy_us / 60000000);
	put_count(s->power_cycles, c->power_cycles);
	put_count(s->power_on_hours, hours_on(n));
	put_count(s->unsafe_shutdowns, c->unsafe_shutdowns);
	put_count(s->media_errors, c->media_errors);
	put_count(s->error_entries, n->error_count);
}

/* ---- 5.14.1.3 to 5.14.1.5 ------------------------------------------------------------------ */

static void fill_firmware(struct nvme *n, uint8_t *page)
{
	struct vfio_nvme_firmware *f = (struct vfio_nvme_firmware *)(void *)page;

	f->active = 1;
	firmware_revision(f->revisions[0]);
}

/* The namespaces that were formatted since somebody looked. */
static void fill_changed(struct nvme *n, uint8_t *page)
{
	unsigned int count = 0;

	for (uint32_t i = 0; i < n->nnamespaces; i++) {
		uint32_t nsid = htole32(i + 1);

		if (n->changed & 1u << i)
			memcpy(page + 4 * count++, &nsid, sizeof(nsid));
	}
}

static void put_effect(uint8_t *page, unsigned int index, uint32_t effect)
{
	effect = htole32(effect);
	memcpy(page + sizeof(effect) * index, &effect, sizeof(effect));
}

/* 256 dwords of admin commands, then 256 of I/O commands. */
static void fill_effects(struct nvme *n, uint8_t *page)
{
	static const struct {
		uint8_t opcode;
		uint32_t effect;
	} io[] = {
		{ VFIO_NVME_FLUSH, EFFECT_SUPPORTED },
		{ VFIO_NVME_WRITE, EFFECT_SUPPORTED | EFFECT_CONTENT },
		{ VFIO_NVME_READ, EFFECT_SUPPORTED },
		{ VFIO_NVME_COMPARE, EFFECT_SUPPORTED },
		{ VFIO_NVME_WRITE_ZEROES, EFFECT_SUPPORTED | EFFECT_CONTENT },
		{ VFIO_NVME_DATASET_MANAGEMENT, EFFECT_SUPPORTED | EFFECT_CONTENT },
	};

	for (unsigned int i = 0; i < 256; i++)
		if (admin_supports((uint8_t)i))
			put_effect(page, i, EFFECT_SUPPORTED);
	put_effect(page, VFIO_NVME_FORMAT,
		   EFFECT_SUPPORTED | EFFECT_CONTENT | EFFECT_NAMESPACE | EFFECT_ALONE);
	for (unsigned int i = 0; i < sizeof(io) / sizeof(io[0]); i++)
		put_effect(page, 256 + io[i].opcode, io[i].effect);
}

/* ---- the command --------------------------------------------------------------------------- */

#define MAX_LOG PAGE

static const struct log {
	uint8_t id;
	uint16_t size;
	void (*fill)(struct nvme *n, uint8_t *page);
} logs[] = {
	{ VFIO_NVME_LOG_ERRORS, ERROR_ENTRIES * sizeof(struct vfio_nvme_error_entry), fill_errors },
	{ VFIO_NVME_LOG_SMART, sizeof(struct vfio_nvme_smart), fill_smart },
	{ VFIO_NVME_LOG_FIRMWARE, sizeof(struct vfio_nvme_firmware), fill_firmware },
	{ VFIO_NVME_LOG_CHANGED, 4096, fill_changed },
	{ VFIO_NVME_LOG_EFFECTS, 4096, fill_effects },
};

_Static_assert(ERROR_ENTRIES * sizeof(struct vfio_nvme_error_entry) <= MAX_LOG, "fits");

static const struct log *find_log(uint8_t id)
{
	for (unsigned int i = 0; i < sizeof(logs) / sizeof(logs[0]); i++)
		if (logs[i].id == id)
			return &logs[i];
	return NULL;
}

/* Behind the page's end are zeros, as much as was asked for. */
static uint16_t give_log(struct nvme *n, const struct vfio_nvme_command *cmd, const struct log *log,
			 uint64_t offset, size_t len)
{
	uint8_t page[MAX_LOG] = { 0 };
	size_t have = log->size - offset < len ? log->size - (size_t)offset : len;
	uint8_t *buf = calloc(1, len);
	uint16_t status;

	if (!buf)
		return VFIO_NVME_INTERNAL;
	log->fill(n, page);
	memcpy(buf, page + offset, have);
	status = data_give(n, cmd, buf, len);
	free(buf);
	return status;
}

/* Retain Asynchronous Event keeps what the page would clear. */
static void log_was_read(struct nvme *n, const struct log *log, bool retain)
{
	if (retain)
		return;
	if (log->id == VFIO_NVME_LOG_CHANGED)
		n->changed = 0;
	events_read(n, log->id);
}

/* The logs are the controller's: the namespace is none, or all. */
uint16_t get_log_page(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint32_t cdw10 = le32toh(cmd->cdw10), nsid = le32toh(cmd->nsid);
	uint64_t dwords = (cdw10 >> 16 | (uint64_t)(le32toh(cmd->cdw11) & 0xffff) << 16) + 1;
	uint64_t offset = le32toh(cmd->cdw12) | (uint64_t)le32toh(cmd->cdw13) << 32;
	const struct log *log = find_log((uint8_t)cdw10);
	uint64_t life = n->life;
	uint16_t status;

	if (!log)
		return VFIO_NVME_LOG_PAGE_INVALID;
	if (nsid != 0 && nsid != BROADCAST)
		return namespace_of(n, nsid) ? VFIO_NVME_INVALID_FIELD :
					       VFIO_NVME_INVALID_NAMESPACE;
	if (offset % 4 || offset > log->size || dwords > MAX_TRANSFER / 4)
		return VFIO_NVME_INVALID_FIELD;
	status = give_log(n, cmd, log, offset, (size_t)dwords * 4);
	if (n->life != life)
		return LATER;
	if (!status)
		log_was_read(n, log, cdw10 & 1u << 15);
	return status;
}
