/* SPDX-License-Identifier: MIT */
/*
 * The admin queue: one command at a time, which is waited for, and asynchronous event requests
 * beside it. Its data go through a buffer of the driver's own.
 */
#include <errno.h>
#include <string.h>

#include "private.h"

#define LOOKS      200u			/* at the queue before sleeping a millisecond at a time */
#define ALIVE_EACH 64u			/* so many sleeps: is the controller there at all? */

int nvme_admin_new(struct vfio_nvme *nvme)
{
	const struct nvme_shape shape = {
		NVME_ADMIN_ENTRIES, NVME_ADMIN_ENTRIES, VFIO_NVME_ADMIN_DATA,
	};
	int ret = nvme_alloc_most(nvme, &nvme->admin_data, VFIO_NVME_ADMIN_DATA);

	if (ret == 0)
		ret = nvme_queue_alloc(nvme, &shape, &nvme->admin);
	if (ret < 0)
		return ret;
	nvme_place_doorbells(nvme->admin);
	return 0;
}

/* ---- asynchronous events (5.2) -------------------------------------------------------------- */

/* A request that fails is not repeated: the controller takes fewer than it said. */
static void take_event(struct nvme_event *event, const struct vfio_nvme_done *done)
{
	event->asked = false;
	event->told = done->status == 0;
	event->what = done->result;
}

static int ask_event(struct vfio_nvme *nvme, struct nvme_event *event)
{
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_ASYNC_EVENT };
	int ret = vfio_nvme_submit(nvme->admin, &cmd, 0, 0, event);

	event->asked = ret == 0;
	event->told = false;
	if (ret == 0)
		vfio_nvme_ring(nvme->admin);
	return ret;
}

void nvme_ask_events(struct vfio_nvme *nvme)
{
	unsigned int most = nvme->identity.aerl + 1u;

	for (unsigned int i = 0; i < NVME_EVENTS && i < most; i++)
		if (!nvme->events[i].told)
			ask_event(nvme, &nvme->events[i]);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* What it answered that was no event: 1 and *done, 0: nothing. */
static int reap(struct vfio_nvme *nvme, struct vfio_nvme_done *done)
{
	for (;;) {
		int n = vfio_nvme_poll(nvme->admin, done, 1);

		if (n == -EPROTO) {
			nvme_error(nvme, EPROTO, VFIO_E_DEVICE, VFIO_BY_MODEL,
				   "reset the controller: vfio_nvme_reset()",
				   "nvme: the controller answered an admin command that nobody "
				   "sent");
			return nvme_stop(nvme);
		}
		if (n < 0)
			return nvme_check_works(nvme) ?: n;
		if (n == 0 || done->tag == nvme->admin)
			return n;
		take_event(done->tag, done);
	}
}

/* Look often, then every millisecond, and serve the device meanwhile. 0: the time is over. */
static int wait_for_answer(struct vfio_nvme *nvme, struct vfio_nvme_done *done)
{
	int64_t end = nvme_now_ms() + nvme->options.timeout_ms;
	int fd = nvme->fds ? nvme->fds[0] : -1;
	int n = reap(nvme, done);

	for (unsigned int i = 1; n == 0 && nvme_now_ms() < end; i++) {
		int64_t ret = i < LOOKS ? vfio_dispatch(nvme->dev) :
					  vfio_irq_wait(nvme->dev, fd, 1);

		n = reap(nvme, done);
		if (n != 0)
			break;
		if (ret < 0)
			nvme_library_failed(nvme, ret);
		else if (i % ALIVE_EACH == 0)
			ret = nvme_check_alive(nvme);
		if (ret < 0)
			return nvme_stop(nvme);
	}
	return n;
}

static int check_arguments(struct vfio_nvme *nvme, const struct vfio_nvme_command *cmd,
			   const void *data, size_t len)
{
	size_t most = nvme->admin_data.size;

	if (nvme->max_bytes && nvme->max_bytes < most)
		most = nvme->max_bytes;
	if (len <= most && len % 4 == 0 && (data || !len))
		return 0;
	return nvme_error(nvme, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
			  "send or ask for less, in multiples of 4 bytes",
			  "nvme: admin command %02xh: %zu bytes of data: this controller takes up "
			  "to %zu, in whole dwords", cmd->opcode, len, most);
}

static int timed_out(struct vfio_nvme *nvme, const struct vfio_nvme_command *cmd)
{
	nvme_error(nvme, ETIMEDOUT, VFIO_E_TIMEOUT, VFIO_BY_MODEL,
		   "reset the controller: vfio_nvme_reset(); or give it more time, with the option "
		   "timeout_ms",
		   "nvme: admin command %02xh had no answer for %u ms", cmd->opcode,
		   nvme->options.timeout_ms);
	return nvme_stop(nvme);
}

/* After a time-out the controller may write to the buffer at any time: only a reset ends that. */
int vfio_nvme_admin(struct vfio_nvme *nvme, const struct vfio_nvme_command *cmd, void *data,
		    size_t len, bool to_device, uint32_t *result)
{
	struct vfio_nvme_done done = { .status = 0 };
	int ret = nvme_check_works(nvme) ?: check_arguments(nvme, cmd, data, len);

	if (ret < 0)
		return ret;
	if (len && to_device)
		memcpy(nvme->admin_data.vaddr, data, len);
	else if (len)
		memset(nvme->admin_data.vaddr, 0, len);
	nvme->status = 0;
	ret = vfio_nvme_submit(nvme->admin, cmd, nvme->admin_data.iova, len, nvme->admin);
	if (ret < 0)
		return nvme_check_works(nvme) ?: ret;
	vfio_nvme_ring(nvme->admin);
	ret = wait_for_answer(nvme, &done);
	if (ret <= 0)
		return ret < 0 ? ret : timed_out(nvme, cmd);
	nvme->status = done.status;
	if (done.status)
		return nvme_error(nvme, EIO, VFIO_E_COMMAND, VFIO_BY_MODEL,
				  "see the status in the specification of NVM Express, 4.6.1",
				  "nvme: admin command %02xh failed: %s (status %u/%02xh)",
				  cmd->opcode, vfio_nvme_status_text(done.status),
				  done.status >> 8 & 7, done.status & 0xff);
	if (len && !to_device)
		memcpy(data, nvme->admin_data.vaddr, len);
	if (result)
		*result = done.result;
	return 0;
}

uint16_t vfio_nvme_status(const struct vfio_nvme *nvme)
{
	return nvme->status;
}

int vfio_nvme_event(struct vfio_nvme *nvme, uint32_t *what)
{
	struct vfio_nvme_done done;
	int ret = nvme_check_works(nvme);

	if (ret < 0)
		return ret;
	ret = vfio_dispatch(nvme->dev);
	if (ret < 0) {
		nvme_library_failed(nvme, ret);
		return nvme_stop(nvme);
	}
	ret = reap(nvme, &done);
	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < NVME_EVENTS; i++) {
		struct nvme_event *event = &nvme->events[i];

		if (!event->told)
			continue;
		*what = event->what;
		ask_event(nvme, event);
		return 1;
	}
	return 0;
}

/* ---- commands that are needed here ---------------------------------------------------------- */

/* 5.15 */
int nvme_identify(struct vfio_nvme *nvme, uint8_t cns, uint32_t nsid, void *data)
{
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_IDENTIFY, .nsid = htole32(nsid), .cdw10 = htole32(cns),
	};

	return vfio_nvme_admin(nvme, &cmd, data, 4096, false, NULL);
}

/* 5.21 */
int nvme_set_feature(struct vfio_nvme *nvme, uint8_t feature, uint32_t value, uint32_t *result)
{
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_SET_FEATURES, .cdw10 = htole32(feature),
		.cdw11 = htole32(value),
	};

	return vfio_nvme_admin(nvme, &cmd, NULL, 0, false, result);
}

/* 5.14: the number of dwords, less one, is in two halves. */
int vfio_nvme_log(struct vfio_nvme *nvme, uint8_t page, uint32_t nsid, void *data, size_t len)
{
	uint32_t dwords = (uint32_t)(len / 4) - 1;
	const struct vfio_nvme_command cmd = {
		.opcode = VFIO_NVME_GET_LOG_PAGE, .nsid = htole32(nsid),
		.cdw10 = htole32(dwords << 16 | page), .cdw11 = htole32(dwords >> 16),
	};

	if (len == 0)
		return nvme_error(nvme, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY,
				  "ask for at least 4 bytes", "nvme: log page %02xh: no bytes",
				  page);
	return vfio_nvme_admin(nvme, &cmd, data, len, false, NULL);
}
