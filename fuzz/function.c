/* SPDX-License-Identifier: MIT */
/*
 * The virtual function against the reference (tests/reference): whatever a user and the device do,
 * in whatever order, both must look the same from outside.
 */
#include "../tests/reference/host.h"
#include "../tests/reference/roads.h"
#include "check.h"
#include "input.h"

#define MAX_STEPS 256

static int change_users(struct roads *r)
{
	return host_change_users(r->arg);
}

static void walk(struct roads *r, struct input *in)
{
	bool same = roads_start(r);

	while (same && in->left && r->steps < MAX_STEPS)
		same = roads_step(r, in);
	if (!same)
		roads_tell(r, stderr);
	CHECK(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned int before = open_fds();
	struct roads r = { .recycle = change_users };
	struct host host;

	CHECK(host_make(&host, false) == 0);
	r.dev = host.dev;
	r.arg = &host;
	walk(&r, &in);
	roads_finish(&r);
	host_close(&host);
	CHECK(open_fds() == before);
	return 0;
}
