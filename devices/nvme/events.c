/* SPDX-License-Identifier: MIT */
/* 5.2: asynchronous events, and 5.1: Abort, of which their requests are what can be aborted. */
#include <endian.h>
#include <string.h>

#include "nvme.h"

#define MAX_PENDING (sizeof(((struct nvme *)NULL)->pending_events) / sizeof(uint32_t))

/* Dword 0 of the answer: type, what happened, and the log page that clears it. */
static uint32_t event_of(uint8_t type, uint8_t info, uint8_t log_page)
{
	return type | (uint32_t)info << 8 | (uint32_t)log_page << 16;
}

static uint32_t type_bit(uint32_t event)
{
	return 1u << (event & 7);
}

static void forget_event(struct nvme *n, unsigned int i)
{
	memmove(&n->pending_events[i], &n->pending_events[i + 1],
		(--n->npending - i) * sizeof(n->pending_events[0]));
}

static void forget_request(struct nvme *n, unsigned int i)
{
	memmove(&n->async_cids[i], &n->async_cids[i + 1],
		(--n->nasync - i) * sizeof(n->async_cids[0]));
}

/* One event of a type is told; the next of it when its log page has been read. */
void events_tell(struct nvme *n)
{
	uint64_t life = n->life;

	for (unsigned int i = 0; i < n->npending && n->nasync && n->life == life;) {
		uint32_t event = n->pending_events[i];
		uint16_t cid = n->async_cids[0];

		if (n->masked_events & type_bit(event)) {
			i++;
			continue;
		}
		n->masked_events |= type_bit(event);
		forget_event(n, i);
		forget_request(n, 0);
		answer(n, &n->sqs[0], cid, VFIO_NVME_SUCCESS, event);
	}
}

/* One that waits already says it all; and when nobody takes them, later ones are lost. */
void event_raise(struct nvme *n, uint8_t type, uint8_t info, uint8_t log_page)
{
	uint32_t event = event_of(type, info, log_page);

	for (unsigned int i = 0; i < n->npending; i++)
		if (n->pending_events[i] == event)
			return;
	if (n->npending == MAX_PENDING)
		return;
	n->pending_events[n->npending++] = event;
	events_tell(n);
	poll_wake(n);
}

/* 5.14: the page has been read: what it told is known, and the next events of its types can be. */
void events_read(struct nvme *n, uint8_t log_page)
{
	switch (log_page) {
	case VFIO_NVME_LOG_ERRORS:
		n->masked_events &= ~(1u << EVENT_ERROR);
		break;
	case VFIO_NVME_LOG_SMART:
		n->masked_events &= ~(1u << EVENT_SMART);
		break;
	case VFIO_NVME_LOG_CHANGED:
		n->masked_events &= ~(1u << EVENT_NOTICE);
		break;
	}
	events_tell(n);
}

void events_reset(struct nvme *n)
{
	n->nasync = n->npending = 0;
	n->masked_events = 0;
}

/*
 * Room for the answer is kept in the completion queue, so that of a small one the requests must
 * leave a place for other commands.
 */
uint16_t async_event(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	if (n->nasync == MAX_EVENTS || n->nasync + 2 >= n->cqs[0].ring.entries)
		return VFIO_NVME_EVENT_LIMIT;
	n->async_cids[n->nasync++] = cmd->cid;
	events_tell(n);
	return LATER;
}

/*
 * 5.1: other commands are done by the time that Abort is looked at, or cannot be stopped. Dword 0,
 * bit 0: not aborted.
 */
uint16_t abort_command(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	uint32_t cdw10 = le32toh(cmd->cdw10);
	uint16_t cid = htole16((uint16_t)(cdw10 >> 16));

	*result = 1;
	for (unsigned int i = 0; (uint16_t)cdw10 == 0 && i < n->nasync; i++) {
		if (n->async_cids[i] != cid)
			continue;
		forget_request(n, i);
		*result = 0;
		answer(n, &n->sqs[0], cid, VFIO_NVME_ABORT_REQUESTED, 0);
		break;
	}
	return VFIO_NVME_SUCCESS;
}
