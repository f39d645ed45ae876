/* SPDX-License-Identifier: MIT */
/*
 * A driver that has gone mad: commands, doorbells and registers at random, most nearly right. The
 * controller must not mind: after a reset it works as ever, and no memory but the driver's is
 * touched (the sanitizers look). The numbers are the same each time.
 */
#include <endian.h>
#include <string.h>

#include "test_host.h"

#define DEVICE "nvme,memory=1M,memory=1M,ro,memory=1M,block=4096,queues=4,poll=0"
#define ROUNDS 60
#define STEPS  400

static uint64_t seed = 1;

static uint32_t any(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % below;
}

static uint32_t any_dword(void)
{
	static const uint32_t good[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 255, 0x10001, 0xf0001, 0xf0002, 0x1000f, 0x7f0002,
		0x10000, 0xffff, 0xffffffff, 1 << 9, 1 << 16, 1 << 25, 1 << 30, 2047, 2048,
	};
	uint32_t which = any(32);

	return which < sizeof(good) / sizeof(good[0]) ? good[which] :
						       any(0x10000) << 16 | any(0x10000);
}

/* The driver's memory: data, and the queues themselves; and what is not there. */
static uint64_t any_address(struct host *h)
{
	switch (any(8)) {
	case 0:  return 0;
	case 1:  return (uint64_t)any_dword() << any(32);
	case 2:  return h->queues[any(2)].sq.iova + HOST_PAGE * any(16);
	case 3:  return h->queues[any(2)].cq.iova + HOST_PAGE * any(16);
	case 4:  return h->data.iova + any(HOST_DATA);
	default: return h->data.iova + HOST_PAGE * any(64);
	}
}

static uint8_t any_opcode(void)
{
	static const uint8_t good[] = {
		0, 1, 2, 4, 5, 5, 6, 8, 9, 9, 10, 10, 12, 0x7c, 0x80,
	};

	return any(16) ? good[any(sizeof(good))] : (uint8_t)any(256);
}

static void any_command(struct host *h, uint16_t qid)
{
	struct vfio_nvme_command cmd = {
		.opcode = any_opcode(), .flags = any(8) ? 0 : (uint8_t)any(256),
		.cid = htole16((uint16_t)any(16)), .nsid = htole32(any(3) ? any(4) : any_dword()),
		.prp1 = htole64(any_address(h)), .prp2 = htole64(any_address(h)),
		.cdw10 = htole32(any_dword()), .cdw11 = htole32(any_dword()),
		.cdw12 = htole32(any_dword()), .cdw13 = htole32(any(4) ? 0 : any_dword()),
	};
	struct host_queue *q = &h->queues[qid];

	memcpy((struct vfio_nvme_command *)q->sq.vaddr + q->tail, &cmd, sizeof(cmd));
	q->tail = (q->tail + 1) % q->entries;
	host_ring(h, qid, false, any(50) ? q->tail : any_dword());
	host_ring(h, qid, true, any(50) ? (q->tail + any(2)) % q->entries : any_dword());
}

static void any_step(struct host *h)
{
	switch (any(40)) {
	case 0:
		host_put(h, 4 * any(0x20), any_dword());
		break;
	case 1:
		host_put(h, VFIO_NVME_CC, HOST_CC ^ 1u << any(32));
		break;
	case 2:
		host_put(h, VFIO_NVME_DOORBELLS + 4 * any(1024), any_dword());
		break;
	case 3:
		vfio_write64(h->dev, 0, 8 * any(0x800), (uint64_t)any_dword() << any(32));
		break;
	default:
		any_command(h, (uint16_t)any(2));
		break;
	}
	assert_int_equal(vfio_dispatch(h->dev), 0);
}

/* The last block of the first namespace, whatever its size is by now. */
static void works(struct host *h)
{
	assert_int_equal(vfio_reset(h->dev), 0);
	assert_int_equal(vfio_set_bus_master(h->dev, true), 0);
	host_enable(h);
	host_make_queues(h, 1, 16);
	memset(h->data.vaddr, 0x5a, HOST_PAGE);
	assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, 1, 255, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, 255, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, 2, 0, 1),
			 VFIO_NVME_WRITE_PROTECTED | VFIO_NVME_STATUS_DNR);
}

static void be_mad(struct host *h, unsigned int rounds)
{
	for (unsigned int round = 0; round < rounds; round++) {
		works(h);
		for (unsigned int i = 0; i < STEPS; i++)
			any_step(h);
	}
	works(h);
	host_close(h);
}

static void a_mad_driver(void **state)
{
	struct host h;

	host_open(&h, DEVICE);
	be_mad(&h, ROUNDS);
}

static void behind_a_socket(void **state)
{
	struct host h;

	host_open_served(&h, DEVICE, false);
	be_mad(&h, ROUNDS / 4);
}

/* Its registers are written, also by resets, while the controller waits for its memory. */
static void whose_memory_is_asked_for(void **state)
{
	struct host h;

	host_open_served(&h, DEVICE, true);
	be_mad(&h, ROUNDS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mad_driver), cmocka_unit_test(behind_a_socket),
		cmocka_unit_test(whose_memory_is_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
