/* SPDX-License-Identifier: MIT */
/*
 * When the controller works, and when it sleeps.
 *
 * Doorbells are memory that the driver writes; nobody is called. While there is work, and for some
 * time after, the controller looks at them without end: its busy descriptor is readable, and whoever
 * drives the function calls turn() again and again. Then it sleeps until somebody tells it:
 *
 *   - a driver that uses doorbell buffers (5.7) reads in the event index that it should ring the
 *     doorbell itself; and does that by eventfd, if the library gave it one, or by a write that is
 *     a call.
 *   - one that knows nothing of this writes to the page, and waits. Whoever has not asked for the
 *     eventfd may be such a one, so for him there is a timer, and a look.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "nvme.h"

#define SLICE_NS  100000u	/* others want to be served, too */
#define LOOKS     48u		/* in vain, before others are asked; some two microseconds */
#define FIRST_LOOK_US 1000u	/* then twice as long each time */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* ---- doorbells ----------------------------------------------------------------------------- */

/* The admin queue's stay registers, whatever 5.7 has set up: drivers differ about that. */
static uint32_t *bells(const struct nvme *n, uint16_t qid)
{
	return qid && n->shadow.at ? (uint32_t *)(void *)n->shadow.at : n->doorbells;
}

uint32_t sq_doorbell(const struct nvme *n, const struct sq *sq)
{
	return le32toh(__atomic_load_n(bells(n, sq->id) + 2 * sq->id, __ATOMIC_ACQUIRE));
}

uint32_t cq_doorbell(const struct nvme *n, const struct cq *cq)
{
	return le32toh(__atomic_load_n(bells(n, cq->id) + 2 * cq->id + 1, __ATOMIC_ACQUIRE));
}

void doorbell_clear(struct nvme *n, uint16_t qid, bool completion)
{
	__atomic_store_n(n->doorbells + 2 * qid + completion, 0, __ATOMIC_RELAXED);
	if (qid && n->shadow.at)
		__atomic_store_n((uint32_t *)(void *)n->shadow.at + 2 * qid + completion, 0,
				 __ATOMIC_RELAXED);
}

/* The driver rings when the doorbell passes this value. */
static void ask(struct nvme *n, uint16_t qid, bool completion, uint32_t value)
{
	if (n->events.at)
		__atomic_store_n((uint32_t *)(void *)n->events.at + 2 * qid + completion,
				 htole32(value), __ATOMIC_RELAXED);
}

/* The value that is the last to be reached from this one on. */
static uint32_t last_from(const struct ring *ring, uint32_t value)
{
	return value ? value - 1 : ring->entries - 1;
}

/*
 * Do not ring: that value is to be moved on before it is reached. The head of the completion queue is
 * looked at for this only; it may be nonsense, which then is asked for.
 */
static void ask_late(struct nvme *n, struct sq *sq)
{
	struct cq *cq = sq->cq;

	sq->told_at = sq->head;
	if (!sq->id)
		return;
	ask(n, sq->id, false, last_from(&sq->ring, sq->head));
	ask(n, cq->id, true, last_from(&cq->ring, cq_doorbell(n, cq)));
}

static bool half_way(const struct sq *sq)
{
	uint32_t entries = sq->ring.entries, told = sq->told_at;

	return (sq->head >= told ? sq->head : sq->head + entries) - told >= entries / 2;
}

/* Ring at the next change; of the completion queue, too, for which the controller may wait. */
static void ask_soon(struct nvme *n, struct sq *sq)
{
	ask(n, sq->id, false, sq->head);
	ask(n, sq->cq->id, true, sq->cq->head);
}

/* Both pages can be used in place, or else the controller has failed. */
static bool find_shadow(struct nvme *n)
{
	bool lost, lost_too;

	if (!n->shadow.iova || (n->shadow.at && n->events.at))
		return true;
	ring_find(n, &n->shadow, VFIO_DMA_RW, &lost);	/* doorbell_clear() writes */
	ring_find(n, &n->events, VFIO_DMA_WRITE, &lost_too);
	if (n->shadow.at && n->events.at) {
		for (unsigned int i = 0; i < n->nlive; i++)
			ask_late(n, &n->sqs[n->live[i]]);
		return true;
	}
	if (lost || lost_too || n->shadow.by_copy || n->events.by_copy)
		controller_fail(n);
	return false;
}

/* ---- work ---------------------------------------------------------------------------------- */

/* Only in D0 (PCI Power Management 1.2, 5.4.1): in D3hot nothing of memory is touched. */
static bool masters_bus(const struct nvme *n)
{
	return (vfio_function_config_read(n->fn, PCI_COMMAND, 2) & PCI_COMMAND_MASTER) &&
	       !(vfio_function_config_read(n->fn, n->power + PCI_PM_CTRL, 2) &
		 PCI_PM_CTRL_STATE_MASK);
}

/* Until it may master the bus nothing is lost: doorbells wait. */
static bool can_work(struct nvme *n)
{
	return controller_runs(n) && masters_bus(n) && find_shadow(n);
}

/* A driver that has shadows of the admin queue's registers, too, is to write the registers always. */
static void ask_admin(struct nvme *n)
{
	uint32_t tail = sq_doorbell(n, &n->sqs[0]);

	if (tail == n->sqs[0].head)
		return;
	ask(n, 0, false, tail);
	ask(n, 0, true, cq_doorbell(n, &n->cqs[0]));
}

/* The queue with which a slice ends has been served; the next slice begins behind it. */
static struct sq *next_turn(struct nvme *n, unsigned int i)
{
	unsigned int turn = n->first + i < n->nlive ? n->first + i : n->first + i - n->nlive;

	return &n->sqs[n->live[turn]];
}

static bool work_once(struct nvme *n)
{
	uint64_t life = n->life;
	bool worked = false;

	ask_admin(n);
	for (unsigned int i = 0; i < n->nlive && !n->slice_over; i++) {
		struct sq *sq = next_turn(n, i);

		if (!sq_work(n, sq))
			continue;
		worked = true;
		if (n->life != life)
			return true;
		if (half_way(sq))
			ask_late(n, sq);
		if (n->slice_over)
			n->first = (n->first + i + 1) % n->nlive;
	}
	if (n->under_way)
		worked |= files_poll(n);
	if (n->nfresh || n->intx)
		queues_tell(n);
	return worked;
}

/*
 * A doorbell that has changed since it was looked at, of a completion queue if that was waited for; or
 * commands that were left when the time was over, or that the kernel had no room for.
 */
static bool anything_there(const struct nvme *n)
{
	if (files_left(n))
		return true;
	for (unsigned int i = 0; i < n->nlive; i++) {
		const struct sq *sq = &n->sqs[n->live[i]];

		if (sq_doorbell(n, sq) != sq->tail)
			return true;
		if (sq->head != sq->tail && !sq->bad_doorbell && !sq->waits)
			return true;
		if (sq->head != sq->tail && !sq->bad_doorbell && !sq->cq->bad_doorbell &&
		    cq_doorbell(n, sq->cq) != sq->cq->head)
			return true;
	}
	return false;
}

/* ---- sleep --------------------------------------------------------------------------------- */

static void set_timer(struct nvme *n, uint32_t us)
{
	const struct itimerspec spec = {
		.it_value = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 },
	};

	timerfd_settime(n->timer_fd, 0, &spec, NULL);
}

static void files_done(struct vfio_function *fn, int fd, void *arg)
{
	poll_wake(arg);
}

static void watch_files(struct nvme *n, bool watch)
{
	int fd = n->files ? files_fd(n) : -1;

	if (fd >= 0)
		vfio_function_watch(n->fn, fd, watch ? files_done : NULL, n);
}

/* A driver without eventfd is looked after; so is one that may not master the bus just now. */
static bool needs_looks(const struct nvme *n, bool able)
{
	return n->nlive && controller_runs(n) &&
	       (!able || !vfio_function_doorbell_asked(n->fn, 0));
}

static void fall_asleep(struct nvme *n, bool able)
{
	uint64_t unused;

	for (unsigned int i = 0; able && i < n->nlive; i++)
		ask_soon(n, &n->sqs[n->live[i]]);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* Whoever rang before has not seen that, and will not ring again. */
	if (able && anything_there(n)) {
		for (unsigned int i = 0; i < n->nlive; i++)
			ask_late(n, &n->sqs[n->live[i]]);
		n->last_work = now_ns();
		return;
	}
	if (read(n->busy_fd, &unused, sizeof(unused)) < 0 && errno != EAGAIN)
		return;
	n->awake = false;
	/* What ends now is not to be answered yet: nobody would take it from there. */
	watch_files(n, able);
	n->look_us = FIRST_LOOK_US < n->options.look ? FIRST_LOOK_US : n->options.look;
	set_timer(n, needs_looks(n, able) ? n->look_us : 0);
}

void poll_wake(struct nvme *n)
{
	const uint64_t one = 1;

	n->last_work = now_ns();
	if (n->awake || !n->nlive || write(n->busy_fd, &one, sizeof(one)) < 0)
		return;
	n->awake = true;
	watch_files(n, false);
	set_timer(n, 0);
	for (unsigned int i = 0; i < n->nlive; i++)
		ask_late(n, &n->sqs[n->live[i]]);
}

static void look(struct vfio_function *fn, int fd, void *arg)
{
	struct nvme *n = arg;
	uint64_t unused;

	if (read(fd, &unused, sizeof(unused)) < 0)
		return;
	if (can_work(n) && (n->under_way || anything_there(n))) {
		poll_wake(n);
		return;
	}
	if (!controller_runs(n))
		return;
	n->look_us = n->look_us * 2 < n->options.look ? n->look_us * 2 : n->options.look;
	set_timer(n, n->look_us);
}

/* ---- a turn -------------------------------------------------------------------------------- */

/*
 * Work until there is none, or the slice is over. The time is asked for seldom: that, too, costs.
 * Returns the time.
 */
static uint64_t work(struct nvme *n)
{
	uint64_t start = now_ns(), now = start;
	unsigned int vain = 0;

	n->slice_end = start + SLICE_NS;
	n->slice_over = false;
	for (unsigned int i = 1; now < n->slice_end && !n->slice_over && vain < LOOKS; i++) {
		if (work_once(n)) {
			vain = 0;
			n->last_work = now;
		} else {
			vain++;
			relax();
		}
		if (!controller_runs(n))
			break;
		if (i % 32 == 0)
			now = now_ns();
	}
	now = now_ns();
	if (n->last_work >= start) {
		n->counters.busy_us += (now - start) / 1000;
		n->last_work = now;
	}
	return now;
}

static void turn(struct vfio_function *fn, int fd, void *arg)
{
	struct nvme *n = arg;
	uint64_t now;

	if (!can_work(n)) {
		fall_asleep(n, false);
		return;
	}
	now = work(n);
	if (!controller_runs(n) || now - n->last_work >= n->options.poll * UINT64_C(1000))
		fall_asleep(n, controller_runs(n));
}

static void rung(struct vfio_function *fn, void *arg)
{
	poll_wake(arg);
}

void poll_took_time(struct nvme *n)
{
	n->slice_over = now_ns() >= n->slice_end;
}

void poll_queues_changed(struct nvme *n)
{
	n->nlive = n->first = 0;
	for (uint16_t i = 0; i < MAX_QUEUES; i++)
		if (n->sqs[i].exists)
			n->live[n->nlive++] = i;
	poll_wake(n);
}

int poll_init(struct nvme *n)
{
	int ret;

	n->busy_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	n->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (n->busy_fd < 0 || n->timer_fd < 0)
		return -errno;
	n->power = find_capability(n, PCI_CAP_ID_PM);
	ret = vfio_function_watch(n->fn, n->busy_fd, turn, n);
	if (ret == 0)
		ret = vfio_function_watch(n->fn, n->timer_fd, look, n);
	if (ret == 0)
		ret = vfio_function_doorbell(n->fn, 0, VFIO_NVME_DOORBELLS, PAGE, rung, n);
	return ret;
}

/* The descriptors are taken out by whoever frees the function. */
void poll_finish(struct nvme *n)
{
	if (n->busy_fd >= 0)
		close(n->busy_fd);
	if (n->timer_fd >= 0)
		close(n->timer_fd);
	n->busy_fd = n->timer_fd = -1;
}
