/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

/* Blocks of 512 bytes to 1 MiB: what is more cannot be, and would be too much memory. */
#define LEAST_SHIFT 9u
#define MOST_SHIFT  20u

#define SILENCE_MS  5000u		/* of a server, for the library */

const char *disk_name(const struct program *program)
{
	const char *name = program->settings.device ? program->settings.device :
			   getenv("VFIO_DEVICE");

	return name ? name : "";
}

int disk_open(struct program *program, const struct vfio_nvme_options *options)
{
	struct vfio_nvme_options o = { .size = sizeof(o), .queues = 1 };
	struct vfio_dev *dev;
	int ret;

	if (options)
		o = *options;
	o.timeout_ms = (unsigned int)program->settings.timeout * 1000;
	ret = vfio_open(&dev, program->settings.device, &program->error);
	if (ret < 0)
		return ret;
	/* A server that is silent is given less than a disk that is slow. */
	if (o.timeout_ms < SILENCE_MS)
		vfio_set_timeout(dev, o.timeout_ms);
	ret = vfio_nvme_attach(&program->nvme, dev, &o, &program->error);
	if (ret < 0)
		vfio_close(dev);
	else	/* a server that knows no events has none */
		program->watched = vfio_event_fd(dev) >= 0;
	return ret;
}

static int find_namespace(struct program *program)
{
	uint32_t nsid = (uint32_t)program->settings.nsid;

	program->ns = nsid ? vfio_nvme_namespace(program->nvme, nsid) :
		      vfio_nvme_next_namespace(program->nvme, 0);
	if (program->ns)
		return 0;
	if (!nsid)
		return argument_error(program, ENXIO, "use another disk",
				      "the disk '%s' has no namespace", disk_name(program));
	return argument_error(program, ENXIO, "'vfio-nvme identify' shows which there are",
			      "the disk '%s' has no namespace %" PRIu32, disk_name(program), nsid);
}

int disk_open_namespace(struct program *program, const struct vfio_nvme_options *options)
{
	const struct vfio_nvme_namespace *ns;
	int ret = disk_open(program, options);

	if (ret == 0)
		ret = find_namespace(program);
	if (ret < 0)
		return ret;
	ns = program->ns;
	if (ns->block_shift < LEAST_SHIFT || ns->block_shift > MOST_SHIFT || !ns->blocks ||
	    !ns->max_blocks || ns->blocks > UINT64_MAX >> ns->block_shift)
		return argument_error(program, EINVAL, "use another namespace, or format this one",
				      "namespace %" PRIu32 " has %" PRIu64 " blocks of 2^%" PRIu32
				      " bytes, and takes %" PRIu32 " at once: it cannot be used",
				      ns->nsid, ns->blocks, ns->block_shift, ns->max_blocks);
	return 0;
}

int disk_queue(struct program *program, struct vfio_nvme_queue **queue, uint64_t *depth,
	       bool threaded)
{
	const struct vfio_nvme_queue_options options = {
		.size = sizeof(options), .entries = (unsigned int)*depth + 1, .threaded = threaded,
	};
	struct vfio_nvme_registers now;
	uint64_t most;
	int ret;

	vfio_nvme_registers(program->nvme, &now);
	most = VFIO_NVME_GET(now.cap, CAP_MQES);
	if (*depth > most)
		return argument_error(program, EINVAL, "give a smaller --depth",
				      "%" PRIu64 " commands under way at once: a queue of '%s' "
				      "holds %" PRIu64, *depth, disk_name(program), most);
	ret = vfio_nvme_queue_new(queue, program->nvme, &options);
	if (ret < 0)
		return driver_error(program, ret);
	*depth = vfio_nvme_queue_depth(*queue);
	return 0;
}

/* The first is what is freed: it stands for all. */
static void carve(struct vfio_dma *buffers, uint64_t n, uint64_t size)
{
	for (uint64_t i = 1; i < n; i++)
		buffers[i] = (struct vfio_dma){
			.vaddr = (uint8_t *)buffers->vaddr + i * size, .iova = buffers->iova + i * size,
			.fd = -1,
		};
}

int disk_memory(struct program *program, struct vfio_dma *buffers, uint64_t n, uint64_t size)
{
	struct vfio_dev *dev = vfio_nvme_device(program->nvme);
	int ret = vfio_dma_alloc(dev, buffers, n * size, VFIO_DMA_RW);
	uint64_t i = 0;

	if (ret == 0)
		carve(buffers, n, size);
	else if (vfio_last_error(dev)->code == VFIO_E_SCATTERED)
		for (ret = 0; ret == 0 && i < n; i++)
			ret = vfio_dma_alloc(dev, &buffers[i], size, VFIO_DMA_RW);
	if (ret < 0) {
		program->error = *vfio_last_error(dev);
		disk_memory_free(program, buffers, i);
	}
	return ret;
}

void disk_memory_free(struct program *program, struct vfio_dma *buffers, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (buffers[i].size)
			vfio_dma_free(vfio_nvme_device(program->nvme), &buffers[i]);
}

int disk_check_writable(struct program *program)
{
	if (!program->ns->read_only)
		return 0;
	return argument_error(program, EROFS, "use another, or serve it without 'ro'",
			      "namespace %" PRIu32 " of '%s' is read-only", program->ns->nsid,
			      disk_name(program));
}

/* ---- small commands ---------------------------------------------------------------------- */

static int wait_for_one(struct program *program, struct vfio_nvme_queue *queue, const char *doing)
{
	struct vfio_nvme_done done;
	int ret;

	for (;;) {
		ret = vfio_nvme_wait(queue, &done, 1, 1000);
		if (ret < 0)
			return queue_error(program, doing, ret);
		if (ret > 0)
			break;
		ret = check_stop(program, "the disk had not answered");
		if (ret < 0)
			return ret;
		ret = vfio_nvme_check(program->nvme);
		if (ret < 0)
			return driver_error(program, ret);
	}
	return done.status ? status_error(program, doing, 0, 0, done.status) : 0;
}

int disk_flush(struct program *program, struct vfio_nvme_queue *queue)
{
	static const char doing[] = "flushing";
	int ret = vfio_nvme_flush(queue, program->ns, NULL);

	if (ret < 0)
		return queue_error(program, doing, ret);
	return wait_for_one(program, queue, doing);
}

int command_flush(struct program *program)
{
	struct vfio_nvme_queue *queue;
	uint64_t depth = 1;
	int ret = disk_open_namespace(program, NULL);

	if (ret == 0)
		ret = disk_queue(program, &queue, &depth, false);
	if (ret == 0)
		ret = disk_flush(program, queue);
	if (ret == 0 && !program->settings.quiet)
		printf("namespace %" PRIu32 " of '%s' is flushed\n", program->ns->nsid,
		       disk_name(program));
	return ret;
}

int command_reset(struct program *program)
{
	int ret = disk_open(program, NULL);

	if (ret < 0)
		return ret;
	ret = vfio_nvme_reset(program->nvme);
	if (ret < 0)
		return driver_error(program, ret);
	if (!program->settings.quiet)
		printf("'%s' is reset, and ready\n", disk_name(program));
	return 0;
}
