/* SPDX-License-Identifier: MIT */
#include "iommu/pin.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"

#define BUFFERS    16384u	/* more than a ring takes there cannot be */
#define BUFFER_MAX (1ul << 30)	/* bytes that the kernel takes as one buffer */

/* Of Linux 5.13 and 5.19; headers may be older. */
#define REGISTER_BUFFERS2       15u
#define REGISTER_BUFFERS_UPDATE 16u
#define SPARSE                  1u	/* all of them are empty at first */

struct register2 {
	uint32_t nr, flags;
	uint64_t resv, data, tags;
};

struct update2 {
	uint32_t offset, resv;
	uint64_t data, tags;
	uint32_t nr, resv2;
};

_Static_assert(sizeof(struct register2) == 32, "struct io_uring_rsrc_register");
_Static_assert(sizeof(struct update2) == 32, "struct io_uring_rsrc_update2");

static bool configure(int ring, unsigned int opcode, const void *data, unsigned int n)
{
	return syscall(SYS_io_uring_register, ring, opcode, data, n) >= 0;
}

/* Room for buffers, which is all that the ring is good for: whoever has it can do nothing by it. */
static bool prepare(int ring)
{
	const struct register2 empty = { .nr = BUFFERS, .flags = SPARSE };
	const struct io_uring_restriction only = {
		.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = REGISTER_BUFFERS_UPDATE,
	};

	return configure(ring, REGISTER_BUFFERS2, &empty, sizeof(empty)) &&
	       configure(ring, IORING_REGISTER_RESTRICTIONS, &only, 1) &&
	       configure(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

void pins_open(struct pins *p)
{
	struct io_uring_params params = { .flags = IORING_SETUP_R_DISABLED };

	*p = (struct pins){ .free = calloc(BUFFERS, sizeof(*p->free)) };
	p->ring = p->free ? syscall(SYS_io_uring_setup, 1, &params) : -1;
	if (p->ring >= 0 && !prepare(p->ring))
		fd_close(&p->ring);
	while (p->ring >= 0 && p->nfree < BUFFERS) {
		p->free[p->nfree] = BUFFERS - 1 - p->nfree;
		p->nfree++;
	}
}

void pins_close(struct pins *p)
{
	if (p->free)
		fd_close(&p->ring);
	free(p->free);
	*p = (struct pins){ .ring = -1 };
}

/* The buffer shows that memory from now on; of size 0: none. */
static int set(struct pins *p, uint16_t buffer, uint8_t *vaddr, size_t size)
{
	const struct iovec memory = { .iov_base = size ? vaddr : NULL, .iov_len = size };
	const struct update2 q = { .offset = buffer, .data = (uintptr_t)&memory, .nr = 1 };

	return syscall(SYS_io_uring_register, p->ring, REGISTER_BUFFERS_UPDATE, &q,
		       sizeof(q)) == 1 ? 0 : -EFAULT;
}

static int register_all(struct pins *p, struct pin *pin, uint8_t *vaddr, size_t size)
{
	int r = 0;

	for (size_t at = 0; at < size && r == 0; at += BUFFER_MAX) {
		size_t len = size - at < BUFFER_MAX ? size - at : BUFFER_MAX;

		r = set(p, p->free[p->nfree - 1], vaddr + at, len);
		if (r == 0)
			pin->buffers[pin->count++] = p->free[--p->nfree];
	}
	return r;
}

int pin_hold(struct pins *p, struct pin *pin, void *vaddr, size_t size)
{
	size_t n = (size - 1) / BUFFER_MAX + 1;

	*pin = (struct pin){ .buffers = n <= p->nfree ? calloc(n, sizeof(*pin->buffers)) : NULL };
	if (pin->buffers && register_all(p, pin, vaddr, size) == 0)
		return 0;
	pin_release(p, pin);
	/* The sanitizers' mlock() does nothing. */
	return syscall(SYS_mlock, vaddr, size) < 0 ? -errno : 0;
}

void pin_release(struct pins *p, struct pin *pin)
{
	for (unsigned int i = 0; i < pin->count; i++) {
		set(p, pin->buffers[i], NULL, 0);
		p->free[p->nfree++] = pin->buffers[i];
	}
	free(pin->buffers);
	*pin = (struct pin){ .count = 0 };
}
