/* SPDX-License-Identifier: MIT */
/*
 * The smallest device: a PCI function with one page of registers that keep what is written.
 *
 *     smallest-device [SOCKET]        without SOCKET: ./scratchpad.sock
 */
#include <stdio.h>
#include <string.h>

#include <vfio/device.h>
#include <vfio/server.h>

static uint32_t scratch[1024];

static uint64_t get(struct vfio_function *fn, unsigned int bar, uint64_t offset, unsigned int width)
{
	return width == 4 ? scratch[offset / 4] : ~UINT64_C(0);
}

static void put(struct vfio_function *fn, unsigned int bar, uint64_t offset, unsigned int width,
		uint64_t value)
{
	if (width == 4)
		scratch[offset / 4] = (uint32_t)value;
}

static int reset(struct vfio_function *fn)
{
	memset(scratch, 0, sizeof(scratch));
	scratch[0] = 0x5c7a7c40;	/* something to recognise it by */
	return 0;
}

static const struct vfio_function_description description = {
	.size = sizeof(description), .name = "scratchpad", .vendor = 0x1234, .device = 0x0001,
	.class_code = 0xff0000, .bars[0].size = sizeof(scratch),
};

static const struct vfio_function_ops ops = {
	.size = sizeof(ops), .read = get, .write = put, .reset = reset,
};

int main(int argc, char **argv)
{
	struct vfio_function *fn = NULL;
	struct vfio_dev *dev = NULL;
	struct vfio_server *server = NULL;
	struct vfio_error err;

	if (vfio_function_new(&fn, &description, &ops, NULL, &err) == 0 &&
	    vfio_function_open(&dev, fn, &err) == 0 &&
	    vfio_server_new(&server, dev, NULL, &err) == 0 &&
	    vfio_server_listen(server, argc > 1 ? argv[1] : "scratchpad.sock", &err) == 0)
		return vfio_server_run(server) < 0;	/* until it is killed */

	/* Each owns the one before it. */
	vfio_server_free(server);
	if (!server)
		vfio_close(dev);
	if (!dev)
		vfio_function_free(fn);
	return vfio_error_print(stderr, argv[0], &err);
}
