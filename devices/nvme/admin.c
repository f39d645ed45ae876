/* SPDX-License-Identifier: MIT */
/* 5: admin commands: which there are, and what is checked of all of them (4.2). */
#include <endian.h>

#include "nvme.h"

/*
 * 4.2: the namespace of a command: it has none, and then the field is 0; or the command looks at it
 * itself.
 */
enum nsid_rule { NSID_UNUSED, NSID_OWN };

static const struct admin_command {
	enum nsid_rule nsid;
	uint16_t (*execute)(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result);
} commands[256] = {
	[VFIO_NVME_DELETE_SQ]		= { NSID_UNUSED, delete_sq },
	[VFIO_NVME_CREATE_SQ]		= { NSID_UNUSED, create_sq },
	[VFIO_NVME_GET_LOG_PAGE]	= { NSID_OWN, get_log_page },
	[VFIO_NVME_DELETE_CQ]		= { NSID_UNUSED, delete_cq },
	[VFIO_NVME_CREATE_CQ]		= { NSID_UNUSED, create_cq },
	[VFIO_NVME_IDENTIFY]		= { NSID_OWN, identify },
	[VFIO_NVME_ABORT]		= { NSID_UNUSED, abort_command },
	[VFIO_NVME_SET_FEATURES]	= { NSID_OWN, set_features },
	[VFIO_NVME_GET_FEATURES]	= { NSID_OWN, get_features },
	[VFIO_NVME_ASYNC_EVENT]		= { NSID_UNUSED, async_event },
	[VFIO_NVME_DOORBELL_BUFFERS]	= { NSID_UNUSED, doorbell_buffers },
	[VFIO_NVME_FORMAT]		= { NSID_OWN, format_nvm },
};

bool admin_supports(uint8_t opcode)
{
	return commands[opcode].execute;
}

static uint16_t execute(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	const struct admin_command *c = &commands[cmd->opcode];

	if (!c->execute)
		return VFIO_NVME_INVALID_OPCODE;
	/* Admin commands are not fused, and their data are given as PRPs. */
	if (cmd->flags & (VFIO_NVME_FUSE_MASK | VFIO_NVME_PSDT_MASK))
		return VFIO_NVME_INVALID_FIELD;
	if (c->nsid == NSID_UNUSED && cmd->nsid)
		return VFIO_NVME_INVALID_FIELD;
	return c->execute(n, cmd, result);
}

/* 4.6.1: would the same command fail again? */
static bool passes(uint16_t status)
{
	return status == VFIO_NVME_EVENT_LIMIT || status == VFIO_NVME_DATA_TRANSFER ||
	       status == VFIO_NVME_INTERNAL || status == VFIO_NVME_WRITE_FAULT;
}

uint16_t admin_execute(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint16_t status = execute(n, cmd, result);

	if (status == VFIO_NVME_SUCCESS || status == LATER || status == NOT_YET || passes(status))
		return status;
	return status | VFIO_NVME_STATUS_DNR;
}
