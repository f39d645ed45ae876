/* SPDX-License-Identifier: MIT */
/*
 * I/O commands (6). Namespaces in memory are done on the spot, so that no two commands are ever half
 * done; what concerns files becomes a request.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "nvme.h"

#define DNR VFIO_NVME_STATUS_DNR
#define MUCH 65536u		/* bytes: to copy them takes longer than to look at the clock */

/* Which blocks a command is about, in bytes of the namespace. */
struct extent {
	uint64_t offset, bytes;
};

static uint16_t extent_of(const struct namespace *ns, uint64_t lba, uint64_t blocks,
			  struct extent *e)
{
	if (lba > ns->blocks || blocks > ns->blocks - lba)
		return VFIO_NVME_LBA_RANGE | DNR;
	e->offset = lba << ns->block_shift;
	e->bytes = blocks << ns->block_shift;
	return VFIO_NVME_SUCCESS;
}

/* cdw10 and 11: the first block; bits 15:0 of cdw12: their number, less one. */
static uint16_t extent_of_command(const struct namespace *ns, const struct vfio_nvme_command *cmd,
				  struct extent *e)
{
	uint64_t lba = (uint64_t)le32toh(cmd->cdw11) << 32 | le32toh(cmd->cdw10);

	return extent_of(ns, lba, (le32toh(cmd->cdw12) & 0xffff) + 1, e);
}

static void count(struct nvme *n, uint8_t opcode, uint64_t bytes)
{
	if (opcode == VFIO_NVME_READ || opcode == VFIO_NVME_COMPARE) {
		n->counters.reads++;
		n->counters.sectors_read += bytes / 512;
	} else if (opcode == VFIO_NVME_WRITE) {
		n->counters.writes++;
		n->counters.sectors_written += bytes / 512;
	}
}

/* ---- namespaces in memory ------------------------------------------------------------------ */

static void move(uint8_t *memory, const struct iovec *iov, int n, bool to_driver)
{
	for (int i = 0; i < n; i++) {
		if (to_driver)
			memcpy(iov[i].iov_base, memory, iov[i].iov_len);
		else
			memcpy(memory, iov[i].iov_base, iov[i].iov_len);
		memory += iov[i].iov_len;
	}
}

/* In several pieces, or where it has to be copied by asking for it. */
static __attribute__((noinline)) uint16_t move_pieces(struct nvme *n,
						      const struct vfio_nvme_command *cmd,
						      uint8_t *memory, size_t len, uint32_t prot)
{
	struct piece pieces[MAX_PIECES];
	struct iovec iov[MAX_PIECES];
	unsigned int npieces;
	uint16_t status = data_pieces(n, cmd, len, pieces, &npieces);
	uint8_t *whole;
	int spans;

	if (status != VFIO_NVME_SUCCESS)
		return status;
	spans = data_spans(n, pieces, npieces, prot, iov);
	if (spans < 0)
		return VFIO_NVME_DATA_TRANSFER;
	if (spans) {
		move(memory, iov, spans, prot == VFIO_DMA_WRITE);
		return VFIO_NVME_SUCCESS;
	}
	/* Other commands come between while the driver is asked: it is done in one step after that. */
	whole = malloc(len);
	if (!whole)
		return VFIO_NVME_INTERNAL;
	if (prot == VFIO_DMA_WRITE)
		memcpy(whole, memory, len);
	status = data_copy(n, pieces, npieces, prot, whole);
	if (prot == VFIO_DMA_READ && status == VFIO_NVME_SUCCESS)
		memcpy(memory, whole, len);
	free(whole);
	return status;
}

/* Most commands: inside one page. */
static uint16_t move_data(struct nvme *n, const struct vfio_nvme_command *cmd, uint8_t *memory,
			  size_t len, uint32_t prot)
{
	uint64_t iova = le64toh(cmd->prp1);
	struct vfio_span span;

	if ((cmd->flags & VFIO_NVME_PSDT_MASK) || iova % 4 || len > PAGE - iova % PAGE ||
	    vfio_function_dma_spans(n->fn, iova, len, prot, &span, 1) != 1)
		return move_pieces(n, cmd, memory, len, prot);
	if (prot == VFIO_DMA_WRITE)
		memcpy(span.addr, memory, len);
	else
		memcpy(memory, span.addr, len);
	return VFIO_NVME_SUCCESS;
}

static uint16_t compare_memory(struct nvme *n, const struct vfio_nvme_command *cmd,
			       const uint8_t *memory, size_t len)
{
	uint8_t *data = malloc(len);
	uint16_t status;

	if (!data)
		return VFIO_NVME_INTERNAL;
	status = data_take(n, cmd, data, len);
	if (status == VFIO_NVME_SUCCESS && memcmp(data, memory, len))
		status = VFIO_NVME_COMPARE_FAILURE;
	free(data);
	return status;
}

/* Whole pages are given back to the system, which has zeros when they are used again. */
static void zero_memory(uint8_t *at, size_t len, bool give_back)
{
	size_t head = -(uintptr_t)at % PAGE, pages;

	if (give_back && len > head) {
		pages = (len - head) & ~(size_t)(PAGE - 1);
		if (pages && madvise(at + head, pages, MADV_DONTNEED) == 0) {
			memset(at, 0, head);
			memset(at + head + pages, 0, len - head - pages);
			return;
		}
	}
	memset(at, 0, len);
}

static uint16_t in_memory(struct nvme *n, const struct namespace *ns,
			  const struct vfio_nvme_command *cmd, const struct extent *e)
{
	uint8_t *at = ns->memory + e->offset;

	switch (cmd->opcode) {
	case VFIO_NVME_READ:
		return move_data(n, cmd, at, e->bytes, VFIO_DMA_WRITE);
	case VFIO_NVME_WRITE:
		return move_data(n, cmd, at, e->bytes, VFIO_DMA_READ);
	case VFIO_NVME_COMPARE:
		return compare_memory(n, cmd, at, e->bytes);
	case VFIO_NVME_WRITE_ZEROES:
		zero_memory(at, e->bytes, le32toh(cmd->cdw12) & VFIO_NVME_DEALLOCATE);
		return VFIO_NVME_SUCCESS;
	default:			/* Flush: there is nothing that could be lost later */
		return VFIO_NVME_SUCCESS;
	}
}

/* ---- namespaces in files ------------------------------------------------------------------- */

static void request_clean(struct request *r)
{
	free(r->bounce);
	free(r->ranges);
	r->bounce = NULL;
	r->ranges = NULL;
}

/* The driver's memory cannot be reached in place: a buffer stands in for it. */
static uint16_t bounce(struct request *r, const struct vfio_nvme_command *cmd)
{
	r->bounce = malloc(r->bytes);
	if (!r->bounce)
		return VFIO_NVME_INTERNAL;
	r->copied = true;
	r->iov[0] = (struct iovec){ r->bounce, r->bytes };
	r->niov = 1;
	if (r->opcode == VFIO_NVME_WRITE)
		return data_take(r->nvme, cmd, r->bounce, r->bytes);
	return VFIO_NVME_SUCCESS;
}

static uint16_t place_data(struct request *r, const struct vfio_nvme_command *cmd)
{
	uint32_t prot = r->opcode == VFIO_NVME_READ ? VFIO_DMA_WRITE : VFIO_DMA_READ;
	struct piece pieces[MAX_PIECES];
	unsigned int count;
	uint16_t status = data_pieces(r->nvme, cmd, r->bytes, pieces, &count);
	int spans;

	if (status != VFIO_NVME_SUCCESS)
		return status;
	spans = data_spans(r->nvme, pieces, count, prot, r->iov);
	if (spans < 0)
		return VFIO_NVME_DATA_TRANSFER;
	r->niov = (unsigned int)spans;
	return spans ? VFIO_NVME_SUCCESS : bounce(r, cmd);
}

/* What is compared with what is read: both halves of the buffer. */
static uint16_t place_compare(struct request *r, const struct vfio_nvme_command *cmd)
{
	r->bounce = malloc(2 * r->bytes);
	if (!r->bounce)
		return VFIO_NVME_INTERNAL;
	r->iov[0] = (struct iovec){ r->bounce + r->bytes, r->bytes };
	r->niov = 1;
	return data_take(r->nvme, cmd, r->bounce, r->bytes);
}

static uint16_t prepare(struct request *r, const struct vfio_nvme_command *cmd)
{
	switch (r->opcode) {
	case VFIO_NVME_READ:
	case VFIO_NVME_WRITE:
		return place_data(r, cmd);
	case VFIO_NVME_COMPARE:
		return place_compare(r, cmd);
	default:
		return VFIO_NVME_SUCCESS;
	}
}

/* The ranges, which are the request's from then on, or NULL. */
static uint16_t in_file(struct nvme *n, struct sq *sq, struct namespace *ns,
			const struct vfio_nvme_command *cmd, const struct extent *e,
			struct vfio_nvme_range *ranges, unsigned int nranges)
{
	struct request *r = files_request(n);
	uint16_t status;

	if (!r) {
		free(ranges);
		return NOT_YET;
	}
	r->nvme = n;
	r->sq = sq;
	r->life = n->life;
	r->ns = ns;
	r->cid = cmd->cid;
	r->opcode = cmd->opcode;
	r->fua = le32toh(cmd->cdw12) & VFIO_NVME_FUA;
	r->copied = false;
	r->offset = e->offset;
	r->bytes = e->bytes;
	r->niov = 0;
	r->command = *cmd;
	r->ranges = ranges;
	r->nranges = nranges;
	status = prepare(r, cmd);
	if (status != VFIO_NVME_SUCCESS) {
		request_clean(r);
		files_unused(n, r);
		return status;
	}
	n->under_way++;
	files_begin(n, r);
	return LATER;
}

void io_flush(struct nvme *n, struct namespace *ns)
{
	const struct vfio_nvme_command cmd = { .opcode = VFIO_NVME_FLUSH };
	const struct extent none = { 0, 0 };

	n->flushes++;
	if (in_file(n, NULL, ns, &cmd, &none, NULL, 0) != LATER)
		controller_flushed(n, n->life);
}

static uint16_t outcome(struct request *r, uint16_t status)
{
	if (status != VFIO_NVME_SUCCESS)
		return status;
	if (r->opcode == VFIO_NVME_COMPARE && memcmp(r->bounce, r->bounce + r->bytes, r->bytes))
		return VFIO_NVME_COMPARE_FAILURE;
	if (r->opcode == VFIO_NVME_READ && r->copied)
		return data_give(r->nvme, &r->command, r->bounce, r->bytes);
	return VFIO_NVME_SUCCESS;
}

/* Of a life that is over nobody waits for an answer. */
void request_end(struct request *r, uint16_t status)
{
	struct nvme *n = r->nvme;

	n->under_way--;
	if (!r->sq) {
		controller_flushed(n, r->life);
		return;
	}
	if (r->life == n->life)
		status = outcome(r, status);
	if (r->life == n->life && status != LATER) {
		if (status == VFIO_NVME_SUCCESS)
			count(n, r->opcode, r->bytes);
		else
			error_log(n, r->sq, &r->command, status);
		answer(n, r->sq, r->cid, status, 0);
		/* Who drains while it sleeps does not tell of answers. */
		if (!n->awake)
			poll_wake(n);
	}
	request_clean(r);
}

/* ---- 6.7: Dataset Management --------------------------------------------------------------- */

static uint16_t check_ranges(const struct namespace *ns, struct vfio_nvme_range *ranges,
			     unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct extent e;
		uint16_t status = extent_of(ns, le64toh(ranges[i].lba), le32toh(ranges[i].blocks), &e);

		if (status != VFIO_NVME_SUCCESS)
			return status;
		ranges[i].lba = le64toh(ranges[i].lba);
		ranges[i].blocks = le32toh(ranges[i].blocks);
	}
	return VFIO_NVME_SUCCESS;
}

static uint16_t deallocate(struct nvme *n, struct sq *sq, struct namespace *ns,
			   const struct vfio_nvme_command *cmd)
{
	const struct extent all = { 0, ns->blocks << ns->block_shift };
	unsigned int nranges = (le32toh(cmd->cdw10) & 0xff) + 1;
	struct vfio_nvme_range *ranges;
	uint16_t status;

	if (!(le32toh(cmd->cdw11) & VFIO_NVME_DSM_DEALLOCATE))
		return VFIO_NVME_SUCCESS;	/* the rest are hints */
	ranges = malloc(nranges * sizeof(*ranges));
	if (!ranges)
		return VFIO_NVME_INTERNAL;
	status = data_take(n, cmd, ranges, nranges * sizeof(*ranges));
	if (status == VFIO_NVME_SUCCESS)
		status = check_ranges(ns, ranges, nranges);
	if (status == VFIO_NVME_SUCCESS && !ns->memory)
		return in_file(n, sq, ns, cmd, &all, ranges, nranges);
	for (unsigned int i = 0; i < nranges && status == VFIO_NVME_SUCCESS; i++)
		zero_memory(ns->memory + (ranges[i].lba << ns->block_shift),
			    (size_t)ranges[i].blocks << ns->block_shift, true);
	free(ranges);
	return status;
}

/* ---- the commands -------------------------------------------------------------------------- */

static bool writes(uint8_t opcode)
{
	return opcode == VFIO_NVME_WRITE || opcode == VFIO_NVME_WRITE_ZEROES ||
	       opcode == VFIO_NVME_DATASET_MANAGEMENT;
}

static bool has_data(uint8_t opcode)
{
	return opcode == VFIO_NVME_WRITE || opcode == VFIO_NVME_READ ||
	       opcode == VFIO_NVME_COMPARE;
}

/* What the command is about, when it may be done. */
static uint16_t check(const struct namespace *ns, const struct vfio_nvme_command *cmd,
		      struct extent *e)
{
	uint16_t status;

	if (cmd->flags & VFIO_NVME_FUSE_MASK)
		return VFIO_NVME_INVALID_FIELD | DNR;
	if (ns->read_only && writes(cmd->opcode))
		return VFIO_NVME_WRITE_PROTECTED | DNR;
	if (!has_data(cmd->opcode) && cmd->opcode != VFIO_NVME_WRITE_ZEROES)
		return VFIO_NVME_SUCCESS;
	status = extent_of_command(ns, cmd, e);
	if (status == VFIO_NVME_SUCCESS && has_data(cmd->opcode) && e->bytes > MAX_TRANSFER)
		return VFIO_NVME_INVALID_FIELD | DNR;
	return status;
}

static bool is_known(uint8_t opcode)
{
	return has_data(opcode) || opcode == VFIO_NVME_FLUSH ||
	       opcode == VFIO_NVME_WRITE_ZEROES || opcode == VFIO_NVME_DATASET_MANAGEMENT;
}

static uint16_t execute(struct nvme *n, struct sq *sq, struct namespace *ns,
			const struct vfio_nvme_command *cmd)
{
	struct extent e = { 0, 0 };
	uint16_t status = check(ns, cmd, &e);

	if (status != VFIO_NVME_SUCCESS)
		return status;
	if (cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT)
		return deallocate(n, sq, ns, cmd);
	if (!ns->memory)
		return in_file(n, sq, ns, cmd, &e, NULL, 0);
	status = in_memory(n, ns, cmd, &e);
	if (status == VFIO_NVME_SUCCESS)
		count(n, cmd->opcode, e.bytes);
	return status;
}

/* All may have been done by the call; of memory that is soon done, unless there is much of it. */
static bool takes_time(const struct namespace *ns, const struct vfio_nvme_command *cmd)
{
	return !ns->memory || cmd->opcode == VFIO_NVME_DATASET_MANAGEMENT ||
	       (cmd->flags & VFIO_NVME_PSDT_MASK) ||
	       (le32toh(cmd->cdw12) & 0xffff) >= MUCH >> ns->block_shift;
}

uint16_t io_execute(struct nvme *n, struct sq *sq, const struct vfio_nvme_command *cmd)
{
	struct namespace *ns = namespace_of(n, le32toh(cmd->nsid));
	uint16_t status;

	if (!is_known(cmd->opcode))
		return VFIO_NVME_INVALID_OPCODE | DNR;
	if (!ns)			/* nor is Flush for all of them: VWC, bits 2:1 */
		return VFIO_NVME_INVALID_NAMESPACE | DNR;
	status = execute(n, sq, ns, cmd);
	if (takes_time(ns, cmd))
		poll_took_time(n);
	return status;
}
