/* SPDX-License-Identifier: MIT */
/* 4.6.1: statuses in words. */
#include <stdio.h>

#include "private.h"

struct text {
	uint16_t status;
	const char *text;
};

static const struct text texts[] = {
	{ VFIO_NVME_SUCCESS, "success" },
	{ VFIO_NVME_INVALID_OPCODE, "invalid command opcode" },
	{ VFIO_NVME_INVALID_FIELD, "invalid field in command" },
	{ VFIO_NVME_CID_CONFLICT, "command id conflict" },
	{ VFIO_NVME_DATA_TRANSFER, "data transfer error" },
	{ VFIO_NVME_STATUS(0, 0x05), "aborted: power loss" },
	{ VFIO_NVME_INTERNAL, "internal error" },
	{ VFIO_NVME_ABORT_REQUESTED, "aborted as requested" },
	{ VFIO_NVME_ABORT_SQ_DELETED, "aborted: its queue was deleted" },
	{ VFIO_NVME_STATUS(0, 0x09), "aborted: the other of the fused pair failed" },
	{ VFIO_NVME_STATUS(0, 0x0a), "aborted: the other of the fused pair is missing" },
	{ VFIO_NVME_INVALID_NAMESPACE, "invalid namespace or format" },
	{ VFIO_NVME_SEQUENCE, "command sequence error" },
	{ VFIO_NVME_SGL_SEGMENT_INVALID, "invalid SGL segment descriptor" },
	{ VFIO_NVME_SGL_COUNT_INVALID, "invalid number of SGL descriptors" },
	{ VFIO_NVME_SGL_LENGTH_INVALID, "data SGL length invalid" },
	{ VFIO_NVME_STATUS(0, 0x10), "metadata SGL length invalid" },
	{ VFIO_NVME_SGL_TYPE_INVALID, "SGL descriptor type invalid" },
	{ VFIO_NVME_STATUS(0, 0x12), "invalid use of the controller memory buffer" },
	{ VFIO_NVME_PRP_OFFSET_INVALID, "PRP offset invalid" },
	{ VFIO_NVME_STATUS(0, 0x14), "atomic write unit exceeded" },
	{ VFIO_NVME_STATUS(0, 0x15), "operation denied" },
	{ VFIO_NVME_STATUS(0, 0x16), "SGL offset invalid" },
	{ VFIO_NVME_STATUS(0, 0x1c), "sanitize failed" },
	{ VFIO_NVME_STATUS(0, 0x1d), "sanitize in progress" },
	{ VFIO_NVME_STATUS(0, 0x1e), "SGL data block granularity invalid" },
	{ VFIO_NVME_WRITE_PROTECTED, "namespace is write protected" },
	{ VFIO_NVME_STATUS(0, 0x21), "command interrupted" },
	{ VFIO_NVME_STATUS(0, 0x22), "transient transport error" },
	{ VFIO_NVME_LBA_RANGE, "LBA out of range" },
	{ VFIO_NVME_CAPACITY, "capacity exceeded" },
	{ VFIO_NVME_NOT_READY, "namespace not ready" },
	{ VFIO_NVME_STATUS(0, 0x83), "reservation conflict" },
	{ VFIO_NVME_STATUS(0, 0x84), "format in progress" },
	{ VFIO_NVME_CQ_INVALID, "completion queue invalid" },
	{ VFIO_NVME_QID_INVALID, "invalid queue identifier" },
	{ VFIO_NVME_QUEUE_SIZE_INVALID, "invalid queue size" },
	{ VFIO_NVME_ABORT_LIMIT, "abort command limit exceeded" },
	{ VFIO_NVME_EVENT_LIMIT, "asynchronous event request limit exceeded" },
	{ VFIO_NVME_FIRMWARE_SLOT, "invalid firmware slot" },
	{ VFIO_NVME_STATUS(1, 0x07), "invalid firmware image" },
	{ VFIO_NVME_VECTOR_INVALID, "invalid interrupt vector" },
	{ VFIO_NVME_LOG_PAGE_INVALID, "invalid log page" },
	{ VFIO_NVME_FORMAT_INVALID, "invalid format" },
	{ VFIO_NVME_STATUS(1, 0x0b), "firmware activation needs a conventional reset" },
	{ VFIO_NVME_QUEUE_DELETION, "invalid queue deletion" },
	{ VFIO_NVME_FEATURE_NOT_SAVEABLE, "feature identifier not saveable" },
	{ VFIO_NVME_FEATURE_NOT_CHANGEABLE, "feature not changeable" },
	{ VFIO_NVME_FEATURE_NOT_NAMESPACE, "feature not namespace specific" },
	{ VFIO_NVME_STATUS(1, 0x15), "namespace insufficient capacity" },
	{ VFIO_NVME_STATUS(1, 0x1d), "device self-test in progress" },
	{ VFIO_NVME_STATUS(1, 0x80), "conflicting attributes" },
	{ VFIO_NVME_STATUS(1, 0x81), "invalid protection information" },
	{ VFIO_NVME_READ_ONLY_RANGE, "attempted write to read only range" },
	{ VFIO_NVME_WRITE_FAULT, "write fault" },
	{ VFIO_NVME_READ_ERROR, "unrecovered read error" },
	{ VFIO_NVME_STATUS(2, 0x82), "end-to-end guard check error" },
	{ VFIO_NVME_STATUS(2, 0x83), "end-to-end application tag check error" },
	{ VFIO_NVME_STATUS(2, 0x84), "end-to-end reference tag check error" },
	{ VFIO_NVME_COMPARE_FAILURE, "compare failure" },
	{ VFIO_NVME_STATUS(2, 0x86), "access denied" },
	{ VFIO_NVME_STATUS(2, 0x87), "deallocated or unwritten logical block" },
};

const char *vfio_nvme_status_text(uint16_t status)
{
	static _Thread_local char unknown[32];

	status &= 0x7ff;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			return texts[i].text;
	snprintf(unknown, sizeof(unknown), "status %u/%02x", status >> 8, status & 0xffu);
	return unknown;
}
