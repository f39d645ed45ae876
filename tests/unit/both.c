/* SPDX-License-Identifier: MIT */
#include "both.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "function/function.h"

static bool use_socket;

static void *serve(void *arg)
{
	struct both *b = arg;

	return (void *)(intptr_t)vfio_server_run(b->server);
}

int both_new_server(struct both *b, const struct vfio_server_options *options)
{
	struct vfio_dev *dev;
	int r = model_new(&b->model, NULL);

	if (r < 0)
		return r;
	r = vfio_function_open(&dev, b->model.fn, NULL);
	if (r < 0) {
		vfio_function_free(b->model.fn);
		return r;
	}
	r = vfio_server_new(&b->server, dev, options, NULL);
	if (r < 0)
		vfio_close(dev);
	return r;
}

int both_start_serving(struct both *b)
{
	int r = pthread_create(&b->thread, NULL, serve, b);

	b->serving = r == 0;
	return -r;
}

static int open_socket(struct both *b)
{
	char name[16];
	int sv[2], r = both_new_server(b, NULL);

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	snprintf(name, sizeof(name), "fd:%d", sv[1]);
	r = vfio_policy_set(vfio_server_device(b->server), "process-memory", "allow");
	if (r == 0)
		r = vfio_server_add_client(b->server, sv[0]);
	if (r == 0)
		r = both_start_serving(b);
	if (r == 0)
		r = vfio_open(&b->dev, name, NULL);
	if (r < 0)
		close(sv[1]);
	return r;
}

static int open_inprocess(struct both *b)
{
	int r = model_new(&b->model, NULL);

	return r < 0 ? r : vfio_function_open(&b->dev, b->model.fn, NULL);
}

int both_open(struct both *b, bool is_socket)
{
	*b = (struct both){ .is_socket = is_socket };
	return is_socket ? open_socket(b) : open_inprocess(b);
}

int both_setup(void **state)
{
	struct both *b = malloc(sizeof(*b));

	*state = b;
	return b ? both_open(b, use_socket) : -1;
}

void both_stop_serving(struct both *b)
{
	if (!b->serving)
		return;
	vfio_server_stop(b->server);
	pthread_join(b->thread, NULL);
	b->serving = false;
}

void both_limit(struct both *b, uint64_t maps, uint64_t bytes)
{
	both_stop_serving(b);
	space_limit(&b->model.fn->space, maps, bytes);
	if (b->is_socket)
		assert_int_equal(both_start_serving(b), 0);
}

void both_allow(struct both *b, const struct vfio_iova_range *ranges, unsigned int n)
{
	both_stop_serving(b);
	assert_int_equal(space_allow(&b->model.fn->space, ranges, n, NULL), 0);
	if (b->is_socket)
		assert_int_equal(both_start_serving(b), 0);
}

void both_close(struct both *b)
{
	vfio_close(b->dev);
	b->dev = NULL;
	both_stop_serving(b);
	vfio_server_free(b->server);
	b->server = NULL;
}

int both_teardown(void **state)
{
	both_close(*state);
	free(*state);
	return 0;
}

int both_run(const struct CMUnitTest *tests, size_t count)
{
	int failed;

	use_socket = false;
	failed = _cmocka_run_group_tests("inprocess", tests, count, NULL, NULL);
	use_socket = true;
	return failed + _cmocka_run_group_tests("socket", tests, count, NULL, NULL);
}

void assert_record(const struct vfio_error *e, int err, enum vfio_error_code code)
{
	assert_int_equal(e->err, err);
	assert_int_equal(e->code, code);
	assert_int_not_equal(e->who, VFIO_BY_NOBODY);
	assert_true(e->what[0]);
}

uint32_t model_get(struct both *b, enum model_register reg)
{
	return vfio_read32(b->dev, VFIO_PCI_BAR0_REGION_INDEX, reg);
}

void model_put(struct both *b, enum model_register reg, uint64_t value)
{
	if (reg == MODEL_IOVA)
		vfio_write64(b->dev, VFIO_PCI_BAR0_REGION_INDEX, reg, value);
	else
		vfio_write32(b->dev, VFIO_PCI_BAR0_REGION_INDEX, reg, value);
}

int model_dma(struct both *b, enum model_command command, uint64_t iova, uint32_t length)
{
	model_put(b, MODEL_IOVA, iova);
	model_put(b, MODEL_LENGTH, length);
	model_put(b, MODEL_COMMAND, command);
	return (int32_t)model_get(b, MODEL_RESULT);
}
