/* SPDX-License-Identifier: MIT */
/*
 * Requests of namespaces in files, from their begin to their end. A request that ends may have its
 * data copied to the driver, who is asked for that and meanwhile does what he likes: begin others,
 * reset the controller. So before one ends it is no longer under way, and what waited for it can
 * begin.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "files.h"

/* ---- requests ------------------------------------------------------------------------------ */

struct request *files_request(struct nvme *n)
{
	struct files *f = n->files;
	struct request *r = f->unused;

	if (r)
		f->unused = r->next;
	return r;
}

void files_unused(struct nvme *n, struct request *r)
{
	r->next = n->files->unused;
	n->files->unused = r;
}

/* The bytes that it touches: of several ranges, all from the first to the last. */
static void measure(struct work *w)
{
	const struct request *r = w->request;
	unsigned int shift = r->ns->block_shift;

	w->writes = r->opcode != VFIO_NVME_READ && r->opcode != VFIO_NVME_COMPARE;
	w->from = r->offset;
	w->to = r->offset + r->bytes;
	if (r->opcode == VFIO_NVME_FLUSH)	/* of what has been answered */
		w->from = w->to = 0;
	if (r->opcode != VFIO_NVME_DATASET_MANAGEMENT)
		return;
	w->from = UINT64_MAX;
	w->to = 0;
	for (unsigned int i = 0; i < r->nranges; i++) {
		uint64_t from = r->ranges[i].lba << shift;
		uint64_t to = from + ((uint64_t)r->ranges[i].blocks << shift);

		w->from = from < w->from ? from : w->from;
		w->to = to > w->to ? to : w->to;
	}
}

static void finish(struct files *f, struct work *w, uint16_t status)
{
	struct request *r = w->request;

	free(w->buffer);
	order_leave(f, w);
	request_end(r, status);
	files_unused(f->nvme, r);
}

/*
 * A write into the page cache is a copy, and over at once; so is all else in a file that is memory.
 * Most file systems would have the ring give that to a thread, which takes ten times as long. What
 * has to wait for a disk goes by the ring.
 */
static bool goes_by_ring(const struct files *f, const struct work *w)
{
	const struct namespace *ns = w->request->ns;

	return f->has_ring && !f->is_memory[ns->nsid - 1] &&
	       (w->step.kind != STEP_WRITE || w->step.flags || ns->direct);
}

/* The step that is next, and those that follow, until one goes by the ring. */
static void go_on(struct files *f, struct work *w)
{
	uint16_t status;

	while (!goes_by_ring(f, w))
		if (!steps_answer(f, w, call_step(&w->step), &status)) {
			finish(f, w, status);
			return;
		}
	ring_ask(f, w);
}

static void start(struct files *f, struct work *w)
{
	uint16_t status = steps_begin(f, w);

	if (status == VFIO_NVME_SUCCESS)
		go_on(f, w);
	else
		finish(f, w, status);
}

/* What waited, and need not any more. When one ends here, others may be ready. */
static void start_ready(struct files *f)
{
	struct work *w;

	while ((w = f->ready)) {
		f->ready = w->next;
		if (!f->ready)
			f->ready_end = &f->ready;
		start(f, w);
	}
}

void files_begin(struct nvme *n, struct request *r)
{
	struct work *w = r->backend;

	measure(w);
	if (order_enter(n->files, w))
		start(n->files, w);
	start_ready(n->files);
}

/*
 * The ring cannot make a thread for what would have to wait (-ECANCELED): then it is this one that
 * waits.
 */
static bool collect(struct files *f)
{
	struct work *w;
	uint16_t status;
	bool any = false;
	int result;

	while ((w = ring_answer(f, &result))) {
		if (result == -ECANCELED)
			result = call_step(&w->step);
		if (steps_answer(f, w, result, &status)) {
			go_on(f, w);
		} else {
			finish(f, w, status);
			any = true;
		}
		start_ready(f);
	}
	return any;
}

bool files_poll(struct nvme *n)
{
	struct files *f = n->files;
	bool any;

	if (!f || !f->has_ring)
		return false;
	ring_submit(f, false);
	any = collect(f);
	ring_submit(f, false);
	return any;
}

void files_drain(struct nvme *n)
{
	struct files *f = n->files;

	while (f && f->oldest) {
		start_ready(f);
		if (f->asked)
			ring_submit(f, true);
		collect(f);
	}
}

bool files_left(const struct nvme *n)
{
	return n->files && n->files->has_ring && io_uring_sq_ready(&n->files->ring);
}

int files_fd(const struct nvme *n)
{
	return n->files && n->files->has_ring ? n->files->ring.ring_fd : -1;
}

/* ---- at once ------------------------------------------------------------------------------- */

static int finish_step(struct files *f, struct step *s, struct iovec *zeroes)
{
	int result;

	do {
		result = call_step(s);
		if (s->kind != STEP_ZEROES || result <= 0)
			continue;
		if (!step_advance(s, (uint64_t)result))
			return 0;
		step_zeroes(f, s, zeroes);
	} while (result > 0 || result == -EINTR || result == -EAGAIN);
	return s->kind == STEP_ZEROES && result == 0 ? -EIO : result;
}

static int erase_file(struct files *f, const struct namespace *ns)
{
	struct step s = { .fd = ns->fd };
	struct iovec zeroes;
	int r;

	step_hole(&s, 0, ns->bytes, true);
	r = finish_step(f, &s, &zeroes);
	if (step_unsupported(r)) {
		step_zeroes(f, &s, &zeroes);
		r = finish_step(f, &s, &zeroes);
	}
	return r;
}

int files_flush(struct nvme *n, struct namespace *ns)
{
	const struct step s = { .kind = STEP_SYNC, .fd = ns->fd };
	int r;

	do
		r = ns->memory ? 0 : call_step(&s);
	while (r == -EINTR);
	return r;
}

int files_erase(struct nvme *n, struct namespace *ns)
{
	int r;

	if (ns->memory)
		return madvise(ns->memory, ns->bytes, MADV_DONTNEED) < 0 ? -errno : 0;
	files_drain(n);
	r = erase_file(n->files, ns);
	return r < 0 ? r : files_flush(n, ns);
}

/* ---- making and freeing -------------------------------------------------------------------- */

/* Both are address space until they are used; the zeros stay it. */
static int map(struct files *f)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *zeroes = mmap(NULL, ZEROES, PROT_READ, flags, -1, 0);
	void *iovs = mmap(NULL, DEPTH * sizeof(*f->iovs), PROT_READ | PROT_WRITE, flags, -1, 0);

	f->zeroes = zeroes == MAP_FAILED ? NULL : zeroes;
	f->iovs = iovs == MAP_FAILED ? NULL : iovs;
	return f->zeroes && f->iovs ? 0 : -ENOMEM;
}

int files_ready(struct nvme *n, struct vfio_error *err)
{
	struct files *f = n->files;

	if (!f)
		return 0;
	f->nvme = n;
	f->ready_end = &f->ready;
	if (map(f) < 0)
		return refuse(err, ENOMEM, VFIO_E_NO_MEMORY, "", "nvme: no memory for requests");
	for (unsigned int i = DEPTH; i-- > 0;) {
		f->requests[i].iov = f->iovs[i];
		f->requests[i].backend = &f->works[i];
		f->works[i].request = &f->requests[i];
		files_unused(n, &f->requests[i]);
	}
	if (!n->options.synchronous)
		ring_open(f);
	return 0;
}

void files_close(struct nvme *n)
{
	struct files *f = n->files;

	if (!f)
		return;
	ring_close(f);
	for (unsigned int i = 0; i < n->nnamespaces; i++)
		if (n->namespaces[i].fd >= 0)
			close(n->namespaces[i].fd);
	if (f->zeroes)
		munmap(f->zeroes, ZEROES);
	if (f->iovs)
		munmap(f->iovs, DEPTH * sizeof(*f->iovs));
	free(f);
	n->files = NULL;
}
