/* SPDX-License-Identifier: MIT */
/* Commands one at a time, and what they do to blocks. */
#include <string.h>

#include "nvme_host.h"

/* Before it, and then as it has to be after it; and after it. */
static struct contents before, after;

static void check_unchanged(struct host *h)
{
	CHECK(host_look(h, 1, &after));
	CHECK(memcmp(&before, &after, sizeof(before)) == 0);
}

/* ---- anybody's ----------------------------------------------------------------------------- */

static bool can_write(const struct vfio_nvme_command *cmd, unsigned int q)
{
	return q ? cmd->opcode == VFIO_NVME_WRITE || cmd->opcode == VFIO_NVME_WRITE_ZEROES ||
		   cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT :
		   cmd->opcode == VFIO_NVME_FORMAT;
}

static bool is_media_error(uint16_t status)
{
	return (status >> 8 & 7) == VFIO_NVME_MEDIA && status != VFIO_NVME_COMPARE_FAILURE;
}

void check_alone(struct host *h, unsigned int q, struct vfio_nvme_command cmd)
{
	uint16_t status;

	if (!host_look(h, 1, &before))
		return;
	status = host_run(h, q, cmd);
	if (!is_media_error(status) && (status || !can_write(&cmd, q)))
		check_unchanged(h);
}

/* ---- the honest driver's ------------------------------------------------------------------- */

/* Data of an I/O command: where in the data pages, and how it is said. */
static void place_data(struct host *h, struct vfio_nvme_command *cmd, uint32_t offset, size_t len,
		       uint8_t how)
{
	uint64_t *lists = (uint64_t *)(void *)host_bytes(h, LIST_PAGE);
	uint64_t first = DATA_AT + offset;
	unsigned int at = PAGE / 8 - 1 - how % 20, n = 0;

	if (how & 0x80) {
		cmd->flags = VFIO_NVME_PSDT_SGL;
		cmd->sgl = (struct vfio_nvme_sgl){ .address = first, .length = (uint32_t)len };
		return;
	}
	cmd->prp1 = first;
	if (offset % PAGE + len <= 2 * PAGE) {
		cmd->prp2 = first - first % PAGE + PAGE;
		return;
	}
	/* From somewhere in one page on to the next one. */
	cmd->prp2 = HONEST_AT + LIST_PAGE * PAGE + 8 * at;
	for (uint64_t page = first - first % PAGE + PAGE; page < first + len; page += PAGE, n++) {
		if (at == PAGE / 8 - 1 && page + PAGE < first + len)
			lists[at++] = HONEST_AT + (LIST_PAGE + 1) * PAGE;
		lists[at++] = page;
	}
}

/* What is to be there after a command that succeeds. */
static void expect(const struct vfio_nvme_command *cmd, uint8_t *data, size_t at, size_t len)
{
	uint8_t *bytes = before.bytes[cmd->nsid - 1] + at;

	switch (cmd->opcode) {
	case VFIO_NVME_WRITE:
		memcpy(bytes, data, len);
		break;
	case VFIO_NVME_READ:
		memcpy(data, bytes, len);
		break;
	case VFIO_NVME_WRITE_ZEROES:
		memset(bytes, 0, len);
		break;
	}
}

static uint16_t expected_status(const struct vfio_nvme_command *cmd, const uint8_t *data, size_t at,
				size_t len)
{
	const uint8_t *bytes = before.bytes[cmd->nsid - 1];

	if (cmd->nsid == NAMESPACES &&
	    (cmd->opcode == VFIO_NVME_WRITE || cmd->opcode == VFIO_NVME_WRITE_ZEROES))
		return VFIO_NVME_WRITE_PROTECTED | VFIO_NVME_STATUS_DNR;
	if (at + len > NS_BYTES)
		return VFIO_NVME_LBA_RANGE | VFIO_NVME_STATUS_DNR;
	if (cmd->opcode == VFIO_NVME_COMPARE && memcmp(data, bytes + at, len))
		return VFIO_NVME_COMPARE_FAILURE;
	return 0;
}

/* Does it do that, and nothing else? */
static void run_io(struct host *h, const struct vfio_nvme_command *cmd, uint32_t offset, size_t at,
		   size_t len)
{
	uint8_t data[DATA_PAGES * PAGE];
	uint16_t status, want;

	memcpy(data, host_bytes(h, DATA_PAGE), sizeof(data));
	want = expected_status(cmd, data + offset, at, len);
	status = host_run(h, 1, *cmd);
	if (cmd->nsid > 2 && !h->files_fit)
		return;
	CHECK(status == want);
	if (!status)
		expect(cmd, data + offset, at, len);
	CHECK(memcmp(data, host_bytes(h, DATA_PAGE), sizeof(data)) == 0);
	check_unchanged(h);
}

void check_io(struct host *h, struct vfio_nvme_command cmd, uint32_t offset, uint8_t how, bool fill)
{
	uint32_t shift;
	size_t len;

	if (!host_look(h, 1, &before))
		return;
	shift = before.shift[cmd.nsid - 1];
	len = ((size_t)(cmd.cdw12 & 0xffff) + 1) << shift;
	if (len > NS_BYTES)
		return;
	place_data(h, &cmd, offset, len, how);
	if (fill)
		memset(host_bytes(h, DATA_PAGE) + offset, how, len);
	run_io(h, &cmd, offset, (size_t)cmd.cdw10 << shift, len);
}
