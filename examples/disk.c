/* SPDX-License-Identifier: MIT */
/*
 * A disk: read its first block, and write it back. Several commands can be under way at once, and are
 * answered in any order: each has a tag.
 *
 *     disk [DEVICE]        without DEVICE: $VFIO_DEVICE
 */
#include <inttypes.h>
#include <stdio.h>

#include <vfio-nvme.h>

/* Ring, and wait for the one answer. */
static int finish(struct vfio_nvme_queue *queue, const char *what)
{
	struct vfio_nvme_done done;
	int n = vfio_nvme_wait(queue, &done, 1, 5000);

	if (n == 1 && done.status == 0)
		return 0;
	fprintf(stderr, "%s: %s\n", what, n == 1 ? vfio_nvme_status_text(done.status) : "no answer");
	return 1;
}

static int use(struct vfio_nvme *nvme, struct vfio_nvme_queue *queue)
{
	const struct vfio_nvme_namespace *ns = vfio_nvme_next_namespace(nvme, 0);
	struct vfio_dev *dev = vfio_nvme_device(nvme);
	struct vfio_dma buffer;
	uint64_t *count;

	if (!ns || vfio_dma_alloc(dev, &buffer, 4096, VFIO_DMA_RW) < 0)
		return vfio_error_print(stderr, "memory", vfio_last_error(dev));
	printf("namespace %u: %" PRIu64 " blocks of %u bytes\n", ns->nsid, ns->blocks,
	       1u << ns->block_shift);
	/* Nothing is refused here: the queue is empty, and the block is there. */
	vfio_nvme_read(queue, ns, 0, 1, buffer.iova, NULL);
	if (finish(queue, "read"))
		return 1;
	count = buffer.vaddr;
	printf("block 0 begins with %" PRIu64 "; now it is one more\n", (*count)++);
	vfio_nvme_write(queue, ns, 0, 1, buffer.iova, NULL);
	if (finish(queue, "write"))
		return 1;
	vfio_nvme_flush(queue, ns, NULL);
	return finish(queue, "flush");
}

int main(int argc, char **argv)
{
	struct vfio_nvme_queue *queue;
	struct vfio_nvme *nvme;
	struct vfio_error err;
	int ret = 1;

	if (vfio_nvme_open(&nvme, argc > 1 ? argv[1] : NULL, NULL, &err) < 0)
		return vfio_error_print(stderr, argv[0], &err);
	if (vfio_nvme_queue_new(&queue, nvme, NULL) == 0)
		ret = use(nvme, queue);
	else
		vfio_error_print(stderr, argv[0], vfio_nvme_error(nvme));
	vfio_nvme_close(nvme);
	return ret;
}
