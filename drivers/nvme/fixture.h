/* SPDX-License-Identifier: MIT */
/* What the tests of failures begin with: a fake, a driver, a queue. Included after <cmocka.h>. */
#ifndef NVME_FIXTURE_H
#define NVME_FIXTURE_H

#include "fake.h"
#include "private.h"

struct fixture {
	struct fake fake;
	struct vfio_nvme *nvme;
	struct vfio_nvme_queue *queue;
	const struct vfio_nvme_namespace *ns;
};

static inline struct fixture *fixture(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_init(&f->fake, FAKE_TRAPPED);
	return f;
}

static inline void start(struct fixture *f)
{
	const struct vfio_nvme_options options = { .size = sizeof(options), .timeout_ms = 100 };
	struct vfio_error err;
	int ret = vfio_nvme_attach(&f->nvme, fake_open(&f->fake), &options, &err);

	if (ret < 0)
		fail_msg("%s", err.what);
	assert_int_equal(vfio_nvme_queue_new(&f->queue, f->nvme, NULL), 0);
	f->ns = vfio_nvme_next_namespace(f->nvme, 0);
}

static inline void end(struct fixture *f)
{
	vfio_nvme_close(f->nvme);
	free(f);
}

static inline int put(struct fixture *f, void *tag)
{
	int ret = vfio_nvme_read(f->queue, f->ns, 0, 1, 0x1000, tag);

	vfio_nvme_ring(f->queue);
	return ret;
}

static inline void works(struct fixture *f)
{
	struct vfio_nvme_done done;

	f->fake.work = NULL;
	assert_int_equal(put(f, f), 0);
	assert_int_equal(vfio_nvme_wait(f->queue, &done, 1, 5000), 1);
	assert_ptr_equal(done.tag, f);
	assert_int_equal(done.status, 0);
}

#endif
