/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>

#include "place.h"

int place_check(const struct settings *settings)
{
	if (settings->offset != NOT_GIVEN && settings->lba != NOT_GIVEN)
		return usage_error("--offset and --lba: only one of them");
	if (settings->size != NOT_GIVEN && settings->count != NOT_GIVEN)
		return usage_error("--size and --count: only one of them");
	return 0;
}

static int unaligned(struct program *program, const char *option, uint64_t bytes)
{
	const struct vfio_nvme_namespace *ns = program->ns;
	uint32_t block = 1u << ns->block_shift;
	uint64_t below = bytes & ~(uint64_t)(block - 1);
	char remedy[160];

	snprintf(remedy, sizeof(remedy), "give %" PRIu64 " or %" PRIu64
		 "; copy-in and copy-out take files of any length", below, below + block);
	return argument_error(program, EINVAL, remedy,
			      "%s %" PRIu64 " is not a multiple of the %" PRIu32
			      " bytes of a block of namespace %" PRIu32, option, bytes, block,
			      ns->nsid);
}

int place_start(struct program *program, uint64_t *lba)
{
	const struct settings *settings = &program->settings;
	const struct vfio_nvme_namespace *ns = program->ns;

	*lba = settings->lba != NOT_GIVEN ? settings->lba : 0;
	if (settings->offset != NOT_GIVEN) {
		if (settings->offset & ((1u << ns->block_shift) - 1))
			return unaligned(program, "--offset", settings->offset);
		*lba = settings->offset >> ns->block_shift;
	}
	if (*lba <= ns->blocks)
		return 0;
	return argument_error(program, ERANGE, "begin before that",
			      "block %" PRIu64 " lies behind the end of namespace %" PRIu32
			      ", which has %" PRIu64 " blocks of %" PRIu32 " bytes", *lba, ns->nsid,
			      ns->blocks, 1u << ns->block_shift);
}

uint64_t place_rest(const struct program *program, uint64_t lba)
{
	return (program->ns->blocks - lba) << program->ns->block_shift;
}

int place_length(struct program *program, uint64_t lba, bool whole, uint64_t *bytes)
{
	const struct settings *settings = &program->settings;
	const struct vfio_nvme_namespace *ns = program->ns;
	uint64_t rest = place_rest(program, lba);

	if (settings->count != NOT_GIVEN)
		*bytes = settings->count > ns->blocks ? UINT64_MAX :
			 settings->count << ns->block_shift;
	if (settings->size != NOT_GIVEN)
		*bytes = settings->size;
	if (whole && *bytes != UINT64_MAX && *bytes & ((1u << ns->block_shift) - 1))
		return unaligned(program, "--size", *bytes);
	if (*bytes <= rest)
		return 0;
	return argument_error(program, ERANGE, "ask for less, or begin before that",
			      "namespace %" PRIu32 " has only %" PRIu64 " bytes from block %" PRIu64
			      " on", ns->nsid, rest, lba);
}
