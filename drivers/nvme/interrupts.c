/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: vector 0 is the admin queue's, and of all queues of the owner's thread that have none
 * of their own. A queue of another thread has one of its own or none: two threads that read one
 * eventfd would take each other's interrupts.
 */
#include "private.h"

static int enable(struct vfio_nvme *nvme, uint32_t index, unsigned int count)
{
	nvme->fds = calloc(count, sizeof(nvme->fds[0]));
	if (!nvme->fds)
		return nvme_no_memory(nvme);
	if (vfio_irq_enable(nvme->dev, index, count, nvme->fds) < 0) {
		free(nvme->fds);
		nvme->fds = NULL;
		return 0;
	}
	nvme->irq_index = index;
	nvme->nvectors = count;
	return 0;
}

int nvme_enable_interrupts(struct vfio_nvme *nvme)
{
	static const uint32_t kinds[] = {
		VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX,
	};
	int ret = 0;

	if (nvme->options.no_interrupts)
		return 0;
	for (unsigned int i = 0; i < 3 && !nvme->nvectors && ret == 0; i++) {
		struct vfio_vectors vectors = { .granted = 0 };
		unsigned int count = nvme->nqueues + 1;

		if (vfio_irq_vectors(nvme->dev, kinds[i], &vectors) < 0 || !vectors.granted)
			continue;
		ret = enable(nvme, kinds[i], vectors.granted < count ? vectors.granted : count);
	}
	return ret;
}

static bool is_taken(const struct vfio_nvme *nvme, int vector)
{
	for (unsigned int i = 0; i < nvme->nqueues; i++)
		if (nvme->queues[i] && nvme->queues[i]->vector == vector)
			return true;
	return false;
}

int nvme_choose_vector(struct vfio_nvme *nvme, bool threaded)
{
	for (unsigned int vector = 1; vector < nvme->nvectors; vector++)
		if (!is_taken(nvme, (int)vector))
			return (int)vector;
	return threaded || !nvme->nvectors ? -1 : 0;
}
