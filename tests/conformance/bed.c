/* SPDX-License-Identifier: MIT */
#include "bed.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- coming and going ----------------------------------------------------------------------- */

static void *serve(void *arg)
{
	struct bed *b = arg;

	vfio_server_run(b->server);
	return NULL;
}

static int start_serving(struct bed *b)
{
	int r = pthread_create(&b->thread, NULL, serve, b);

	b->serving = r == 0;
	return -r;
}

static void stop_serving(struct bed *b)
{
	if (!b->serving)
		return;
	vfio_server_stop(b->server);
	pthread_join(b->thread, NULL);
	b->serving = false;
}

/* A driver at the server's door. The server's thread is not running. */
static int connect_driver(struct bed *b)
{
	char name[16];
	int sv[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	snprintf(name, sizeof(name), "fd:%d", sv[1]);
	r = vfio_server_add_client(b->server, sv[0]);
	if (r == 0)
		r = start_serving(b);
	if (r == 0)
		r = vfio_open(&b->dev, name, NULL);
	if (r < 0)
		close(sv[1]);
	return r;
}

static int make_device(const struct rig *rig, struct vfio_dev **dev)
{
	struct vfio_error err = { 0 };
	struct vfio_function *fn;
	int r;

	if (!rig->subject)
		return vfio_open(dev, rig->name, NULL);
	r = subject_new(rig->subject, &fn, &err);
	if (r < 0) {
		print_error("%s: %s\n", rig->subject->name, err.what);
		return r;
	}
	r = vfio_function_open(dev, fn, NULL);
	if (r < 0)
		vfio_function_free(fn);
	return r;
}

int bed_open(struct bed *b, const struct rig *rig, const struct policy *policy)
{
	struct vfio_dev *dev;
	int r;

	*b = (struct bed){ .rig = rig };
	r = rig->subject ? subject_config(rig->subject, b->hw) : 0;
	b->hw_size = r > 0 ? r : 0;
	if (r >= 0)
		r = make_device(rig, &dev);
	if (r < 0)
		return r;
	if (policy->key)
		r = vfio_policy_set(dev, policy->key, policy->value);
	if (r == 0 && rig->socket)
		r = vfio_server_new(&b->server, dev, NULL, NULL);
	if (r < 0) {
		vfio_close(dev);
		return r;
	}
	if (rig->socket)
		return connect_driver(b);
	b->dev = dev;
	return 0;
}

void bed_close(struct bed *b)
{
	vfio_close(b->dev);
	b->dev = NULL;
	stop_serving(b);
	vfio_server_free(b->server);
	b->server = NULL;
	bed_close_eventfds(b);
}

void bed_close_eventfds(struct bed *b)
{
	while (b->nfds > 0)
		close(b->fds[--b->nfds]);
}

void bed_reopen(struct bed *b)
{
	vfio_close(b->dev);
	b->dev = NULL;
	if (!b->server) {
		assert_int_equal(make_device(b->rig, &b->dev), 0);
		return;
	}
	stop_serving(b);
	while (vfio_server_client(b->server, NULL))
		assert_int_equal(vfio_server_dispatch(b->server, -1), 0);
	assert_int_equal(connect_driver(b), 0);
}

bool ours(struct bed *b)
{
	const char *name = vfio_backend_name(b->dev);

	return strcmp(name, "inprocess") == 0 || strcmp(name, "socket") == 0;
}

bool by_uio(struct bed *b)
{
	return strcmp(vfio_backend_name(b->dev), "uio") == 0;
}

int bed_eventfd(struct bed *b)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(b->nfds < BED_EVENTFDS);
	b->fds[b->nfds++] = fd;
	return fd;
}

/* ---- configuration space -------------------------------------------------------------------- */

uint32_t get(struct bed *b, unsigned int at, unsigned int width)
{
	uint8_t bytes[4] = { 0 };

	assert_int_equal(vfio_pread(b->dev, CONFIG, at, bytes, width), width);
	return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

void put(struct bed *b, unsigned int at, unsigned int width, uint32_t value)
{
	const uint8_t bytes[4] = { value, value >> 8, value >> 16, value >> 24 };

	assert_int_equal(vfio_pwrite(b->dev, CONFIG, at, bytes, width), width);
}

int put_where(struct bed *b, unsigned int at, unsigned int width, uint32_t value)
{
	const uint8_t bytes[4] = { value, value >> 8, value >> 16, value >> 24 };
	uint32_t where = ~0u;
	ssize_t n = vfio_pwrite_where(b->dev, CONFIG, at, bytes, width, &where);

	if (n == -ENOTSUP) {
		assert_false(ours(b));
		put(b, at, width, value);
		return -1;
	}
	assert_int_equal(n, width);
	return where;
}

void assert_went(struct bed *b, unsigned int at, unsigned int width, uint32_t value, int where)
{
	int went = put_where(b, at, width, value);

	if (went != -1)
		assert_int_equal(went, where);
}

void assert_behind(struct bed *b, unsigned int at, unsigned int width, uint32_t value)
{
	struct vfio_config_info info;
	unsigned int shift = 8 * (at % 4);
	uint32_t mask = width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;

	assert_int_equal(vfio_config_info(b->dev, at & ~3u, &info), 0);
	assert_true(info.exact || !ours(b));
	if (info.exact)
		assert_int_equal(info.raw >> shift & mask, value);
}

unsigned int cap(struct bed *b, uint8_t id)
{
	int at = vfio_find_capability(b->dev, id);

	assert_true(at >= PCI_STD_HEADER_SIZEOF);
	return at;
}

unsigned int ecap(struct bed *b, uint16_t id)
{
	int at = vfio_find_extended_capability(b->dev, id);

	assert_true(at >= PCI_CFG_SPACE_SIZE);
	return at;
}

size_t see_all(struct bed *b, uint8_t config[4096])
{
	size_t size = region_of(b, CONFIG).size;

	assert_true(size == 256 || size == 4096);
	assert_int_equal(vfio_pread(b->dev, CONFIG, 0, config, size), size);
	return size;
}

/* ---- regions -------------------------------------------------------------------------------- */

struct vfio_region region_of(struct bed *b, unsigned int index)
{
	struct vfio_region region;

	assert_int_equal(vfio_region(b->dev, index, &region), 0);
	return region;
}

enum bar_kind bar_kind(struct bed *b, unsigned int bar)
{
	uint32_t low;

	if (region_of(b, bar).size == 0)
		return NO_BAR;
	low = get(b, PCI_BASE_ADDRESS_0 + 4 * bar, 4);
	if (low & PCI_BASE_ADDRESS_SPACE_IO)
		return IO_BAR;
	return low & PCI_BASE_ADDRESS_MEM_TYPE_64 ? MEM64_BAR : MEM32_BAR;
}

int first_bar(struct bed *b, enum bar_kind kind)
{
	for (unsigned int bar = 0; bar < 6; bar++)
		if (bar_kind(b, bar) == kind)
			return bar;
	return -1;
}

int memory_bar(struct bed *b)
{
	int bar = first_bar(b, MEM32_BAR);

	return bar < 0 ? first_bar(b, MEM64_BAR) : bar;
}

int mappable_bar(struct bed *b)
{
	for (unsigned int bar = 0; bar < 6; bar++)
		if (region_of(b, bar).nareas > 0)
			return bar;
	return -1;
}

ssize_t peek(struct bed *b, unsigned int region)
{
	uint8_t bytes[4];

	return vfio_pread(b->dev, region, region_of(b, region).size - 4, bytes, sizeof(bytes));
}

void set_memory(struct bed *b, bool on)
{
	uint16_t command = get(b, PCI_COMMAND, 2);

	put(b, PCI_COMMAND, 2, on ? command | PCI_COMMAND_MEMORY : command & ~PCI_COMMAND_MEMORY);
}

/* ---- the model's registers ------------------------------------------------------------------ */

bool has_model(struct bed *b)
{
	return b->rig->subject;
}

uint32_t model_get(struct bed *b, unsigned int reg)
{
	uint32_t value;

	assert_int_equal(vfio_pread(b->dev, b->rig->subject->model_bar, reg, &value, 4), 4);
	return value;
}

void model_put(struct bed *b, unsigned int reg, uint32_t value)
{
	assert_int_equal(vfio_pwrite(b->dev, b->rig->subject->model_bar, reg, &value, 4), 4);
}
