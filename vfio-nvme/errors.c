/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "program.h"

_Atomic int stop_signal;

static void stop(int signal)
{
	stop_signal = signal;
}

void catch_signals(void)
{
	const struct sigaction orderly = { .sa_handler = stop };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &orderly, NULL);
	sigaction(SIGTERM, &orderly, NULL);
	sigaction(SIGHUP, &orderly, NULL);
	sigaction(SIGPIPE, &ignore, NULL);	/* write() says EPIPE */
	sigaction(SIGXFSZ, &ignore, NULL);	/* and EFBIG */
}

static int fill(struct program *program, int err, enum vfio_error_code code, enum vfio_refuser who,
		const char *remedy)
{
	program->error = (struct vfio_error){ .err = err, .code = code, .who = who };
	snprintf(program->error.remedy, sizeof(program->error.remedy), "%s", remedy);
	return -err;
}

#define WHAT(program, ...) \
	snprintf((program)->error.what, sizeof((program)->error.what), __VA_ARGS__)

bool disk_must_be_left(struct program *program)
{
	if (program->watched && !program->event.err) {
		struct vfio_dev *dev = vfio_nvme_device(program->nvme);

		if (vfio_event(dev) < 0)
			program->event = *vfio_last_error(dev);
	}
	return program->event.err != 0;
}

int check_stop(struct program *program, const char *undone)
{
	int signal = stop_signal;

	if (signal) {
		fill(program, EINTR, VFIO_E_SYSTEM, VFIO_BY_KERNEL, "");
		WHAT(program, "stopped by signal %d (%s); %s", signal, strsignal(signal), undone);
		return -EINTR;
	}
	if (!disk_must_be_left(program))
		return 0;
	program->error = program->event;
	WHAT(program, "%.120s; %.110s", program->event.what, undone);
	return -program->event.err;
}

int argument_error(struct program *program, int err, const char *remedy, const char *format, ...)
{
	va_list args;

	fill(program, err, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, remedy);
	va_start(args, format);
	vsnprintf(program->error.what, sizeof(program->error.what), format, args);
	va_end(args);
	return -err;
}

int file_error(struct program *program, const char *doing, const char *path, const char *remedy)
{
	int ret = fill(program, errno, VFIO_E_SYSTEM, VFIO_BY_KERNEL, remedy);

	WHAT(program, "%s '%s'", doing, path);
	return ret;
}

static const char *status_remedy(uint16_t status)
{
	switch (status & (uint16_t)~(VFIO_NVME_STATUS_DNR | VFIO_NVME_STATUS_MORE)) {
	case VFIO_NVME_WRITE_PROTECTED:
	case VFIO_NVME_READ_ONLY_RANGE:
		return "the namespace is read-only: use another, or serve it without 'ro'";
	case VFIO_NVME_WRITE_FAULT:
	case VFIO_NVME_CAPACITY:
		return "the medium took nothing: see whether what lies under the disk is full";
	case VFIO_NVME_READ_ERROR:
		return "the medium cannot be read there: restore what it was from a copy";
	case VFIO_NVME_ABORT_REQUESTED:
	case VFIO_NVME_ABORT_SQ_DELETED:
		return "the controller was reset, and whether it was done is not known: try again";
	default:
		return "'vfio-nvme smart' shows the error log, 'identify' what the disk can do";
	}
}

int status_error(struct program *program, const char *doing, uint64_t lba, uint64_t blocks,
		 uint16_t status)
{
	char where[64] = "";

	if (blocks == 1)
		snprintf(where, sizeof(where), " block %" PRIu64 " of", lba);
	else if (blocks)
		snprintf(where, sizeof(where), " blocks %" PRIu64 " to %" PRIu64 " of", lba,
			 lba + blocks - 1);
	fill(program, EIO, VFIO_E_COMMAND, VFIO_BY_MODEL, status_remedy(status));
	WHAT(program, "%s%s namespace %" PRIu32 ": the disk answered: %s", doing, where,
	     program->ns->nsid, vfio_nvme_status_text(status));
	return -EIO;
}

int driver_error(struct program *program, int ret)
{
	program->error = *vfio_nvme_error(program->nvme);
	return ret;
}

int queue_error(struct program *program, const char *doing, int ret)
{
	int alive = vfio_nvme_check(program->nvme);

	if (alive < 0)
		return driver_error(program, alive);
	fill(program, -ret, VFIO_E_DEVICE, VFIO_BY_MODEL,
	     "'vfio-nvme reset' brings the controller up again");
	WHAT(program, "%s: the queue of commands does not work any more", doing);
	return ret;
}
