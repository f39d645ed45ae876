/* SPDX-License-Identifier: MIT */
/* copy-in and copy-out: a file of any length onto the disk, and back. */
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "file.h"
#include "output.h"
#include "place.h"
#include "transfer.h"

struct copy {
	struct transfer transfer;
	struct file file;
	struct output output;
	uint64_t lba, bytes, ns;	/* ns: how long it took */
};

static void print_summary(const struct program *program, const struct copy *copy, bool in)
{
	if (program->settings.quiet)
		return;
	printf("%" PRIu64 " bytes %s block %" PRIu64 " of namespace %" PRIu32
	       "%s in %.3f s, %.1f MiB/s%s\n", copy->bytes, in ? "to" : "from", copy->lba,
	       program->ns->nsid, in ? ", flushed," : "", (double)copy->ns / 1e9,
	       rate(copy->bytes, copy->ns), program->settings.verify ? ", compared: the same" : "");
}

/* Open the disk, and make ready to move bytes. */
static int begin(struct program *program, struct copy *copy)
{
	int ret = disk_open_namespace(program, NULL);

	if (ret == 0)
		ret = place_start(program, &copy->lba);
	return ret;
}

static int begin_transfer(struct program *program, struct copy *copy)
{
	int ret = transfer_init(&copy->transfer, program);

	copy->transfer.progress = !program->settings.quiet && isatty(STDERR_FILENO);
	return ret;
}

/* Read what is on the disk, again, and compare it with the file. */
static int verify(struct copy *copy)
{
	if (!copy->transfer.program->settings.verify)
		return 0;
	copy->file.at = 0;
	copy->transfer.doing = "comparing";
	return transfer_out(&copy->transfer, copy->lba, copy->bytes, file_compare, &copy->file);
}

static void finish(struct copy *copy)
{
	if (copy->transfer.program)
		transfer_finish(&copy->transfer);
	file_close(&copy->file);
	output_close(&copy->output);
}

/* ---- copy-in ----------------------------------------------------------------------------- */

static int check_room(struct program *program, const struct copy *copy)
{
	uint64_t rest = place_rest(program, copy->lba);
	int ret = disk_check_writable(program);

	if (ret < 0 || copy->bytes <= rest)
		return ret;
	return argument_error(program, ENOSPC, "use a larger disk, or begin before that",
			      "'%s' has %" PRIu64 " bytes, and namespace %" PRIu32 " only %" PRIu64
			      " from block %" PRIu64 " on", program->settings.file, copy->bytes,
			      program->ns->nsid, rest, copy->lba);
}

/* Write the file, and bring it to the medium. */
static int copy_file_in(struct program *program, struct copy *copy)
{
	struct transfer *t = &copy->transfer;
	int ret;

	t->doing = "writing";
	ret = transfer_in(t, copy->lba, copy->bytes, file_read, &copy->file);
	if (ret == 0 && t->moved < copy->bytes)
		ret = argument_error(program, ENODATA, "the file must not change meanwhile",
				     "'%s' ended after %" PRIu64 " bytes of %" PRIu64,
				     program->settings.file, t->moved, copy->bytes);
	if (ret == 0)
		ret = disk_flush(program, t->queue);
	copy->ns = transfer_ns(t);
	return ret < 0 ? ret : verify(copy);
}

int command_copy_in(struct program *program)
{
	struct copy copy = { .file.fd = -1, .output.fd = -1 };
	int ret = place_check(&program->settings);

	if (ret)
		return ret;
	ret = file_open(&copy.file, program, program->settings.file, &copy.bytes);
	if (ret == 0)
		ret = begin(program, &copy);
	if (ret == 0)
		ret = check_room(program, &copy);
	if (ret == 0)
		ret = begin_transfer(program, &copy);
	if (ret == 0)
		ret = copy_file_in(program, &copy);
	if (ret == 0)
		print_summary(program, &copy, true);
	finish(&copy);
	return ret;
}

/* ---- copy-out ---------------------------------------------------------------------------- */

static int copy_file_out(struct program *program, struct copy *copy)
{
	int ret;

	file_use(&copy->file, program, program->settings.file, copy->output.fd);
	copy->transfer.doing = "reading";
	ret = transfer_out(&copy->transfer, copy->lba, copy->bytes, file_write, &copy->file);
	copy->ns = transfer_ns(&copy->transfer);
	if (ret == 0)
		ret = verify(copy);
	copy->file.fd = -1;		/* the output's */
	return ret < 0 ? ret : output_keep(program, &copy->output);
}

int command_copy_out(struct program *program)
{
	struct copy copy = { .file.fd = -1, .output.fd = -1 };
	int ret = place_check(&program->settings);

	if (ret)
		return ret;
	ret = output_open(program, &copy.output, program->settings.file);
	if (ret == 0)
		ret = begin(program, &copy);
	if (ret == 0) {
		copy.bytes = place_rest(program, copy.lba);
		ret = place_length(program, copy.lba, false, &copy.bytes);
	}
	if (ret == 0)
		ret = begin_transfer(program, &copy);
	if (ret == 0)
		ret = copy_file_out(program, &copy);
	if (ret == 0)
		print_summary(program, &copy, false);
	finish(&copy);
	return ret;
}
