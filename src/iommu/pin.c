/* SPDX-License-Identifier: MIT */
#include "iommu/pin.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

#define BUFFER_MAX (1ul << 30)	/* bytes that the kernel takes as one buffer */

static int register_buffers(int ring, uint8_t *vaddr, size_t size)
{
	size_t n = (size - 1) / BUFFER_MAX + 1;
	struct iovec *list = calloc(n, sizeof(*list));
	int r;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct iovec){
			.iov_base = vaddr + i * BUFFER_MAX,
			.iov_len = i < n - 1 ? BUFFER_MAX : size - i * BUFFER_MAX,
		};
	r = syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, list, n) < 0 ? -errno : 0;
	free(list);
	return r;
}

int pin_hold(struct pin *pin, void *vaddr, size_t size)
{
	struct io_uring_params params = { 0 };

	pin->ring = syscall(SYS_io_uring_setup, 1, &params);
	if (pin->ring >= 0 && register_buffers(pin->ring, vaddr, size) == 0)
		return 0;
	fd_close(&pin->ring);
	/* The sanitizers' mlock() does nothing. */
	return syscall(SYS_mlock, vaddr, size) < 0 ? -errno : 0;
}

/* By itself closing a ring lets go of its buffers some time later. */
void pin_release(struct pin *pin)
{
	if (pin->ring >= 0)
		syscall(SYS_io_uring_register, pin->ring, IORING_UNREGISTER_BUFFERS, NULL, 0);
	fd_close(&pin->ring);
}
