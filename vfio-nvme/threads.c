/* SPDX-License-Identifier: MIT */
/*
 * One queue is worked by the thread that owns the controller: a device in this process does its
 * work there, too. Several have a thread each, and the owner serves the device and looks whether it
 * lives.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <string.h>

#include "bench.h"

#define CHECK_EVERY 200000000u		/* ns */
#define LOOK_EVERY 20			/* ms: are the threads done? */

/* Give worker i the i-th of the processors that this process may use. */
static void choose_processors(struct bench *bench)
{
	cpu_set_t allowed;
	int cpu = -1;

	if (bench->program->settings.no_pin || sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		CPU_ZERO(&allowed);
	for (unsigned int i = 0; i < bench->queues; i++) {
		if (CPU_COUNT(&allowed))
			do
				cpu = (cpu + 1) % CPU_SETSIZE;
			while (!CPU_ISSET(cpu, &allowed));
		bench->workers[i].cpu = cpu;
	}
}

static void *thread(void *arg)
{
	struct worker *worker = arg;
	struct bench *bench = worker->bench;
	cpu_set_t cpu;

	if (worker->cpu >= 0) {
		CPU_ZERO(&cpu);
		CPU_SET(worker->cpu, &cpu);
		/* It was allowed a moment ago. If it is not any more, any other will do. */
		pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
	}
	if (bench->file >= 0)
		plain_run(worker);
	else
		worker_run(worker);
	atomic_fetch_sub(&bench->running, 1);
	return NULL;
}

/* ---- the owner, while threads work ------------------------------------------------------- */

int bench_check(struct bench *bench)
{
	if (disk_must_be_left(bench->program)) {
		atomic_store(&bench->left, true);
		atomic_store(&bench->stop, true);
	}
	return vfio_nvme_check(bench->program->nvme);
}

static int serve(struct bench *bench, struct pollfd *events, uint64_t *checked)
{
	struct program *program = bench->program;
	uint64_t now = now_ns();
	int ret;

	if (poll(events, events->fd >= 0, LOOK_EVERY) > 0)
		vfio_dispatch(vfio_nvme_device(program->nvme));
	if (now - *checked < CHECK_EVERY)
		return 0;
	*checked = now;
	ret = bench_check(bench);
	return ret < 0 ? driver_error(program, ret) : 0;
}

static int serve_until_done(struct bench *bench)
{
	struct pollfd events = { .fd = -1, .events = POLLIN };
	uint64_t checked = now_ns();
	int ret = 0;

	if (bench->program->nvme)
		events.fd = vfio_poll_fd(vfio_nvme_device(bench->program->nvme));
	while (atomic_load(&bench->running)) {
		if (!bench->program->nvme || ret < 0) {
			poll(NULL, 0, LOOK_EVERY);
			continue;
		}
		/* What has failed lets go of its queues: their threads end. */
		ret = serve(bench, &events, &checked);
		if (ret < 0)
			atomic_store(&bench->stop, true);
	}
	return ret;
}

static int run_threads(struct bench *bench)
{
	unsigned int started = 0;
	int ret = 0, err = 0;

	for (; started < bench->queues && !err; started++) {
		struct worker *worker = &bench->workers[started];

		err = pthread_create(&worker->thread, NULL, thread, worker);
		if (err)
			break;
	}
	if (err) {
		atomic_fetch_sub(&bench->running, bench->queues - started);
		atomic_store(&bench->stop, true);
	}
	ret = serve_until_done(bench);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(bench->workers[i].thread, NULL);
	if (err)
		return argument_error(bench->program, err, "give fewer --queues",
				      "starting thread %u of %u", started + 1, bench->queues);
	return ret;
}

/* ---- what became of it ------------------------------------------------------------------- */

static int worker_error(struct bench *bench, const struct worker *worker)
{
	struct program *program = bench->program;
	const char *doing = worker->failed_read ? "reading" : "writing";

	if (worker->status)
		return status_error(program, doing, worker->lba,
				    bench->size >> program->ns->block_shift, worker->status);
	if (bench->file < 0)
		return queue_error(program, "measuring", worker->ret);
	errno = -worker->ret;
	return file_error(program, "reading", program->settings.plain, "");
}

int bench_run(struct bench *bench)
{
	int ret = 0;

	choose_processors(bench);
	atomic_store(&bench->running, bench->queues);
	bench->deadline = now_ns() + bench->program->settings.milliseconds * 1000000u;
	if (bench->queues == 1)
		thread(&bench->workers[0]);
	else
		ret = run_threads(bench);
	for (unsigned int i = 0; i < bench->queues && ret == 0; i++)
		if (bench->workers[i].status || bench->workers[i].ret < 0)
			ret = worker_error(bench, &bench->workers[i]);
	return ret;
}
