/* SPDX-License-Identifier: MIT */
/* 5.23: Format NVM: other blocks, or nothing in them any more. */
#include <endian.h>

#include "nvme.h"

/* cdw10 */
#define LBAF(cdw10) ((cdw10) & 0xf)
#define PI(cdw10)   ((cdw10) >> 5 & 7)
#define SES(cdw10)  ((cdw10) >> 9 & 7)

#define SES_NONE      0u
#define SES_USER_DATA 1u

uint32_t format_shift(unsigned int format)
{
	static const uint8_t shifts[FORMATS] = { 9, 12 };

	return shifts[format];
}

static uint16_t check_namespace(const struct namespace *ns, unsigned int format)
{
	if (ns->read_only)
		return VFIO_NVME_WRITE_PROTECTED;
	/* Not one block would be left. */
	if (!(ns->bytes >> format_shift(format)))
		return VFIO_NVME_FORMAT_INVALID;
	return VFIO_NVME_SUCCESS;
}

static bool is_meant(const struct namespace *ns, uint32_t nsid)
{
	return nsid == BROADCAST || nsid == ns->nsid;
}

/* All that are meant can be formatted, or none is touched. */
static uint16_t check(struct nvme *n, uint32_t nsid, uint32_t cdw10)
{
	uint16_t status = VFIO_NVME_SUCCESS;

	if (nsid != BROADCAST && !namespace_of(n, nsid))
		return VFIO_NVME_INVALID_NAMESPACE;
	if (SES(cdw10) > SES_USER_DATA)
		return VFIO_NVME_INVALID_FIELD;
	if (LBAF(cdw10) >= FORMATS || PI(cdw10))
		return VFIO_NVME_FORMAT_INVALID;
	for (unsigned int i = 0; !status && i < n->nnamespaces; i++)
		if (is_meant(&n->namespaces[i], nsid))
			status = check_namespace(&n->namespaces[i], LBAF(cdw10));
	return status;
}

/* The bytes stay, unless they are to be erased. A last part of a block is out of reach. */
static uint16_t format_one(struct nvme *n, struct namespace *ns, uint32_t cdw10)
{
	uint32_t shift = format_shift(LBAF(cdw10));

	if (SES(cdw10) == SES_USER_DATA && files_erase(n, ns) < 0) {
		n->counters.media_errors++;
		return VFIO_NVME_WRITE_FAULT;
	}
	if (shift != ns->block_shift)
		n->changed |= 1u << (ns->nsid - 1);
	ns->block_shift = shift;
	ns->blocks = ns->bytes >> shift;
	return VFIO_NVME_SUCCESS;
}

uint16_t format_nvm(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint32_t nsid = le32toh(cmd->nsid), cdw10 = le32toh(cmd->cdw10);
	uint16_t status = check(n, nsid, cdw10);
	uint64_t life = n->life;

	if (status)
		return status;
	files_drain(n);
	if (n->life != life)
		return LATER;
	for (unsigned int i = 0; !status && i < n->nnamespaces; i++)
		if (is_meant(&n->namespaces[i], nsid))
			status = format_one(n, &n->namespaces[i], cdw10);
	if (n->changed && (n->features.async_events & EVENTS_NAMESPACES))
		event_raise(n, EVENT_NOTICE, EVENT_NAMESPACE_CHANGED, VFIO_NVME_LOG_CHANGED);
	return status;
}
