/* SPDX-License-Identifier: MIT */
/* Waiting for answers: look for some microseconds, then sleep until the interrupt. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "private.h"

#define SPINS     400u			/* looks at the queue before sleeping */
#define HERE      4u			/* every so many, let a device in this process work; */
#define ELSEWHERE 128u			/* one elsewhere has little to ask, and each is a system call */
#define SLICE_MS  100			/* of sleep: an interrupt that was lost costs no more */

static void pause_a_little(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

/* The owner's thread serves what the device asks of it. -ENODEV: it has gone. */
static int serve(struct vfio_nvme_queue *queue)
{
	int ret;

	if (queue->threaded)
		return 0;
	ret = vfio_dispatch(queue->nvme->dev);
	if (ret < 0) {
		nvme_library_failed(queue->nvme, ret);
		nvme_stop(queue->nvme);
		return -ESHUTDOWN;
	}
	return 0;
}

unsigned int nvme_serve_each(const char *backend)
{
	return strcmp(backend, "inprocess") == 0 ? HERE : ELSEWHERE;
}

static int spin(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done, unsigned int max,
		unsigned int spins, unsigned int each)
{
	int n = vfio_nvme_poll(queue, done, max);

	for (unsigned int i = 1; n == 0 && i < spins; i++) {
		int ret = i % each == 0 ? serve(queue) : 0;

		pause_a_little();
		n = vfio_nvme_poll(queue, done, max);
		if (n == 0 && ret < 0)
			return ret;
	}
	return n;
}

/*
 * Sleep until the interrupt, or for a slice. The level of INTx lasts as long as some queue has
 * answers that the controller does not know to be taken; and it has masked itself when it fired.
 */
static int sleep_for(struct vfio_nvme_queue *queue, int ms)
{
	struct vfio_nvme *nvme = queue->nvme;
	uint64_t count;
	int64_t ret;

	if (queue->threaded) {
		struct pollfd p = { .fd = queue->fd, .events = POLLIN };
		struct iovec iov = { .iov_base = &count, .iov_len = sizeof(count) };

		/* The device can empty the eventfd, too, and let reads of it wait: not this one. */
		if (poll(&p, 1, ms) > 0 && preadv2(queue->fd, &iov, 1, -1, RWF_NOWAIT) < 0)
			pause_a_little();
		return 0;
	}
	if (nvme->irq_index == VFIO_PCI_INTX_IRQ_INDEX)
		vfio_irq_unmask(nvme->dev, VFIO_PCI_INTX_IRQ_INDEX, 0);
	ret = vfio_irq_wait(nvme->dev, queue->fd, ms);
	if (ret < 0) {
		nvme_library_failed(nvme, ret);
		nvme_stop(nvme);
		return -ESHUTDOWN;
	}
	return 0;
}

/*
 * A controller that has gone never answers, and no interrupt says so: its owner looks. Registers
 * are no business of other threads.
 */
static int look(struct vfio_nvme_queue *queue, int64_t now, int64_t *next)
{
	if (queue->threaded || now < *next)
		return 0;
	*next = now + SLICE_MS;
	if (nvme_check_alive(queue->nvme) == 0)
		return 0;
	nvme_stop(queue->nvme);
	return -ESHUTDOWN;
}

/*
 * Nothing is lost between the last look and the sleep: what comes after the look signals the
 * eventfd, which only this thread reads.
 */
static int wait_longer(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done, unsigned int max,
		       int timeout_ms)
{
	int64_t now = nvme_now_ms(), next = now + SLICE_MS;
	int64_t end = timeout_ms < 0 ? INT64_MAX : now + timeout_ms;
	int n, ret = 0;

	for (;; now = nvme_now_ms()) {
		int64_t left = end - now;

		nvme_queue_report(queue);
		n = spin(queue, done, max, queue->fd < 0 ? SPINS : 1, queue->nvme->serve_each);
		if (n != 0 || left <= 0)
			return n;
		if (queue->fd >= 0)
			ret = sleep_for(queue, left < SLICE_MS ? (int)left : SLICE_MS);
		if (ret == 0)
			ret = look(queue, now, &next);
		if (ret < 0) {
			n = vfio_nvme_poll(queue, done, max);
			return n ? n : ret;
		}
	}
}

int vfio_nvme_wait(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done, unsigned int max,
		   int timeout_ms)
{
	int n;

	vfio_nvme_ring(queue);
	if (timeout_ms == 0)
		return spin(queue, done, max, 2, 1);
	n = spin(queue, done, max, SPINS, queue->nvme->serve_each);
	return n != 0 ? n : wait_longer(queue, done, max, timeout_ms);
}
