/* SPDX-License-Identifier: MIT */
/* The floor: the same pattern by pread(2), one call at a time for each worker. */
#include <errno.h>
#include <unistd.h>

#include "bench.h"

void plain_run(struct worker *worker)
{
	struct bench *bench = worker->bench;
	uint64_t now = now_ns(), start;

	worker->begun = now;
	while (worker_goes_on(worker, now)) {
		off_t at = (off_t)(worker_place(worker) * bench->size);
		ssize_t n;

		start = now;
		n = pread(bench->file, worker->data, bench->size, at);
		now = now_ns();
		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)bench->size) {
			/* It was long enough when it was opened. */
			worker->ret = n < 0 ? -errno : -ENODATA;
			atomic_store(&bench->stop, true);
			return;
		}
		histogram_add(&worker->latency, now - start);
		worker->reads++;
		worker->ended = now;
	}
}
