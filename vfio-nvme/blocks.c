/* SPDX-License-Identifier: MIT */
/* read and write: whole blocks, from and to files and pipes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "output.h"
#include "place.h"
#include "transfer.h"

static bool is_stream(const struct settings *settings)
{
	return !settings->file || strcmp(settings->file, "-") == 0;
}

/* ---- read -------------------------------------------------------------------------------- */

static int read_into(struct program *program, struct file *file)
{
	struct transfer transfer;
	uint64_t lba, bytes;
	int ret = disk_open_namespace(program, NULL);

	if (ret == 0)
		ret = place_start(program, &lba);
	if (ret < 0)
		return ret;
	/* One block, unless more is asked for: a disk is large, and a terminal small. */
	bytes = 1u << program->ns->block_shift;
	ret = place_length(program, lba, true, &bytes);
	if (ret < 0)
		return ret;
	ret = transfer_init(&transfer, program);
	transfer.doing = "reading";
	if (ret == 0)
		ret = transfer_out(&transfer, lba, bytes, file_write, file);
	transfer_finish(&transfer);
	return ret;
}

int command_read(struct program *program)
{
	struct output output = { .fd = -1 };
	struct file file;
	int ret = place_check(&program->settings);

	if (ret)
		return ret;
	if (is_stream(&program->settings)) {
		if (isatty(STDOUT_FILENO))
			return usage_error("read: the bytes of a disk are nothing for a terminal: "
					   "name a FILE, or pipe them, into 'hexdump -C' say");
		file_use(&file, program, "standard output", STDOUT_FILENO);
		return read_into(program, &file);
	}
	ret = output_open(program, &output, program->settings.file);
	file_use(&file, program, program->settings.file, output.fd);
	if (ret == 0)
		ret = read_into(program, &file);
	if (ret == 0)
		ret = output_keep(program, &output);
	output_close(&output);
	return ret;
}

/* ---- write ------------------------------------------------------------------------------- */

static int short_input(struct file *file, const char *why)
{
	return argument_error(file->program, ENODATA,
			      "what was before that is written; copy-in takes files of any length",
			      "%s ended after %" PRIu64 " bytes: %s", file->path, file->at, why);
}

/* Nothing is made up here: what is no whole block is an error. */
static int64_t read_blocks(void *arg, void *data, size_t len)
{
	struct file *file = arg;
	int64_t got = file_read(file, data, len);

	if (got > 0 && got & ((1 << file->program->ns->block_shift) - 1))
		return short_input(file, "that is in the middle of a block");
	return got;
}

/* All that was asked for is written: is it all that there is? */
static int check_end(struct file *file, uint64_t bytes)
{
	const struct settings *settings = &file->program->settings;
	char more;
	int64_t got;

	if (settings->size != NOT_GIVEN || settings->count != NOT_GIVEN)
		return file->at < bytes ? short_input(file, "more was asked for") : 0;
	got = file->at < bytes ? 0 : file_read(file, &more, 1);
	if (got <= 0)
		return (int)got;
	return argument_error(file->program, ENOSPC,
			      "what was before that is written; write less, or begin earlier",
			      "%s has more than the %" PRIu64 " bytes that are left of namespace %"
			      PRIu32, file->path, bytes, file->program->ns->nsid);
}

static int write_from(struct program *program, struct file *file)
{
	struct transfer transfer = { .program = program };
	uint64_t lba, bytes = 0;
	int ret = disk_open_namespace(program, NULL);

	if (ret == 0)
		ret = disk_check_writable(program);
	if (ret == 0)
		ret = place_start(program, &lba);
	if (ret == 0) {
		bytes = place_rest(program, lba);
		ret = place_length(program, lba, true, &bytes);
	}
	if (ret == 0)
		ret = transfer_init(&transfer, program);
	transfer.doing = "writing";
	if (ret == 0)
		ret = transfer_in(&transfer, lba, bytes, read_blocks, file);
	if (ret == 0)
		ret = check_end(file, bytes);
	if (ret == 0 && !program->settings.quiet)
		printf("%" PRIu64 " bytes to block %" PRIu64 " of namespace %" PRIu32 "\n",
		       transfer.moved, lba, program->ns->nsid);
	transfer_finish(&transfer);
	return ret;
}

int command_write(struct program *program)
{
	struct file file;
	uint64_t size;
	int ret = place_check(&program->settings);

	if (ret)
		return ret;
	if (is_stream(&program->settings))
		file_use(&file, program, "standard input", STDIN_FILENO);
	else
		ret = file_open(&file, program, program->settings.file, &size);
	if (ret == 0)
		ret = write_from(program, &file);
	file_close(&file);
	return ret;
}
