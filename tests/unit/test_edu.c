/* SPDX-License-Identifier: MIT */
/* The edu driver on the edu device: in this process, and behind a socket that a thread serves. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/server.h>

#include "edu.h"

static bool use_socket;

struct fixture {
	struct edu *edu;
	struct vfio_server *server;
	pthread_t thread;
};

static void *serve(void *arg)
{
	vfio_server_run(arg);
	return NULL;
}

/* Serve a device in a thread, and name the other end of its connection. */
static int start_server(struct fixture *f, const char *device, char name[16])
{
	struct vfio_dev *dev;
	int sv[2], r = vfio_open(&dev, device, NULL);

	if (r < 0)
		return r;
	r = vfio_server_new(&f->server, dev, NULL, NULL);
	if (r < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	snprintf(name, 16, "fd:%d", sv[1]);
	r = vfio_server_add_client(f->server, sv[0]);
	return r < 0 ? r : -pthread_create(&f->thread, NULL, serve, f->server);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char name[16] = "edu";

	*state = f;
	if (!f || (use_socket && start_server(f, "edu", name) < 0))
		return -1;
	return edu_open(&f->edu, name, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	edu_close(f->edu);
	if (f->server) {
		vfio_server_stop(f->server);
		pthread_join(f->thread, NULL);
	}
	vfio_server_free(f->server);
	free(f);
	return 0;
}

/* ---- registers ---------------------------------------------------------------------------- */

static void it_is_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edu_id(f->edu), 0x010000ed);
	assert_int_equal(edu_alive(f->edu), 0);
	assert_string_equal(vfio_backend_name(edu_device(f->edu)),
			    use_socket ? "socket" : "inprocess");
	assert_string_equal(edu_interrupt_name(f->edu), "MSI");
}

/* n! modulo 2^32, for every n up to where it is 0, and for some far beyond. */
static void factorials(void **state)
{
	struct fixture *f = *state;
	uint32_t want = 1, got;

	for (uint32_t n = 0; n < 40; n++) {
		want *= n ? n : 1;
		assert_int_equal(edu_factorial(f->edu, n, &got), 0);
		assert_int_equal(got, want);
	}
	assert_int_equal(edu_factorial(f->edu, UINT32_MAX, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(edu_interrupts(f->edu), 41);
}

/* ---- interrupts --------------------------------------------------------------------------- */

static void check_interrupts(struct fixture *f)
{
	uint64_t before = edu_interrupts(f->edu);
	uint32_t got;

	for (uint32_t bit = 1; bit; bit <<= 1)
		assert_int_equal(edu_raise(f->edu, bit), 0);
	assert_int_equal(edu_raise(f->edu, UINT32_MAX), 0);
	assert_int_equal(edu_raise(f->edu, 0), -EINVAL);
	assert_int_equal(edu_interrupts(f->edu), before + 33);
	assert_int_equal(edu_factorial(f->edu, 5, &got), 0);
	assert_int_equal(got, 120);
}

static void interrupts_of_both_kinds(void **state)
{
	struct fixture *f = *state;

	check_interrupts(f);
	assert_int_equal(edu_use_interrupt(f->edu, EDU_INTX), 0);
	assert_string_equal(edu_interrupt_name(f->edu), "INTx");
	check_interrupts(f);
	assert_int_equal(edu_use_interrupt(f->edu, EDU_MSI), 0);
	check_interrupts(f);
}

/* ---- DMA ---------------------------------------------------------------------------------- */

/* There and back again: len bytes, through the device's buffer at offset. */
static void round_trip(struct fixture *f, struct vfio_dma *dma, uint32_t offset, uint32_t len)
{
	uint8_t *from = dma->vaddr, *to = from + 8192;
	struct vfio_dev *dev = edu_device(f->edu);

	for (uint32_t i = 0; i < len; i++)
		from[i] = rand();
	memset(to, 0, 8192);
	assert_int_equal(vfio_dma_sync_for_device(dev, dma, 0, dma->size), 0);
	assert_int_equal(edu_copy_to(f->edu, offset, dma->iova, len), 0);
	assert_int_equal(edu_copy_from(f->edu, dma->iova + 8192, offset, len), 0);
	assert_int_equal(vfio_dma_sync_for_cpu(dev, dma, 0, dma->size), 0);
	assert_memory_equal(to, from, len);
	for (uint32_t i = len; i < 8192; i++)
		assert_int_equal(to[i], 0);
}

static void check_round_trips(struct fixture *f, struct vfio_dma *dma)
{
	srand(1);
	round_trip(f, dma, 0, 1);
	round_trip(f, dma, 0, 4096);
	round_trip(f, dma, 4095, 1);
	round_trip(f, dma, 17, 1000);
	for (int i = 0; i < 20; i++) {
		uint32_t len = 1 + rand() % 4096;

		round_trip(f, dma, rand() % (4097 - len), len);
	}
}

static void memory_of_the_librarys(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma dma;

	assert_int_equal(vfio_dma_alloc(edu_device(f->edu), &dma, 16384, VFIO_DMA_RW), 0);
	assert_true(dma.iova + dma.size <= 1u << EDU_DMA_BITS);
	check_round_trips(f, &dma);
	assert_int_equal(vfio_dma_free(edu_device(f->edu), &dma), 0);
}

/* At an odd address, which no map could have: the same driver works on a copy. */
static void memory_that_bounces(void **state)
{
	static uint8_t memory[16384 + 1];
	struct fixture *f = *state;
	struct vfio_dma dma = {
		.vaddr = memory + 1, .iova = VFIO_IOVA_ANY, .size = 16384, .fd = -1,
		.prot = VFIO_DMA_RW, .flags = VFIO_DMA_BOUNCE,
	};

	assert_int_equal(vfio_dma_map(edu_device(f->edu), &dma), 0);
	assert_true(dma.iova + dma.size <= 1u << EDU_DMA_BITS);
	check_round_trips(f, &dma);
	assert_int_equal(vfio_dma_free(edu_device(f->edu), &dma), 0);
}

/* A device that drops what is above 32 bits is told of nothing there. */
static void a_device_of_32_bits(void **state)
{
	struct fixture f = { 0 }, *p = &f;

	assert_int_equal(edu_open(&f.edu, "edu,dma_mask=0xffffffff", NULL), 0);
	assert_int_equal(vfio_dma_set_bits(edu_device(f.edu), 32), 0);
	memory_that_bounces((void **)&p);
	edu_close(f.edu);
}

/* Without a descriptor a server asks for each byte by message, while the driver waits. */
static void memory_of_the_callers(void **state)
{
	static uint8_t memory[16384] __attribute__((aligned(4096)));
	struct fixture *f = *state;
	struct vfio_dma dma = {
		.vaddr = memory, .iova = VFIO_IOVA_ANY, .size = sizeof(memory), .fd = -1,
		.prot = VFIO_DMA_RW,
	};

	assert_int_equal(vfio_dma_map(edu_device(f->edu), &dma), 0);
	check_round_trips(f, &dma);
	assert_int_equal(edu_use_interrupt(f->edu, EDU_INTX), 0);
	check_round_trips(f, &dma);
}

static void copies_that_do_not_fit(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(edu_copy_to(f->edu, 0, 0, 0), -EINVAL);
	assert_int_equal(edu_copy_to(f->edu, 0, 0, 4097), -EINVAL);
	assert_int_equal(edu_copy_to(f->edu, 4096, 0, 1), -EINVAL);
	assert_int_equal(edu_copy_from(f->edu, 0, 1, 4096), -EINVAL);
	assert_int_equal(edu_copy_to(f->edu, 0, 1u << EDU_DMA_BITS, 1), -EINVAL);
	assert_int_equal(edu_copy_from(f->edu, (1u << EDU_DMA_BITS) - 1, 0, 2), -EINVAL);
	assert_int_equal(edu_error(f->edu)->err, EINVAL);
	assert_true(edu_error(f->edu)->what[0] && edu_error(f->edu)->remedy[0]);
}

/* Nothing is mapped there: the device cannot tell, and nothing moves. */
static void a_copy_that_the_iommu_refuses(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma dma;
	struct vfio_fault fault;

	assert_int_equal(vfio_dma_alloc(edu_device(f->edu), &dma, 16384, VFIO_DMA_RW), 0);
	round_trip(f, &dma, 0, 4096);
	assert_int_equal(edu_copy_to(f->edu, 0, 0x8000000, 4096), 0);
	assert_int_equal(edu_copy_from(f->edu, dma.iova + 8192, 0, 4096), 0);
	assert_memory_equal((uint8_t *)dma.vaddr + 8192, dma.vaddr, 4096);
	if (!use_socket) {
		assert_int_equal(vfio_fault(edu_device(f->edu), &fault), 1);
		assert_int_equal(fault.iova, 0x8000000);
	}
}

/* ---- what is no edu ----------------------------------------------------------------------- */

static void strings_that_name_no_edu(void **state)
{
	struct vfio_error e = { 0 };
	struct edu *edu = (struct edu *)&e;

	assert_int_equal(edu_open(&edu, "no-such-device", &e), -ENODEV);
	assert_null(edu);
	assert_int_equal(e.code, VFIO_E_NO_DEVICE);
	assert_int_equal(edu_open(&edu, "edu,dma_mask=x", NULL), -EINVAL);
	edu_close(NULL);
}

static int run(const char *title)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(it_is_there),
		TEST(factorials),
		TEST(interrupts_of_both_kinds),
		TEST(memory_of_the_librarys),
		TEST(memory_of_the_callers),
		TEST(memory_that_bounces),
		cmocka_unit_test(a_device_of_32_bits),
		TEST(copies_that_do_not_fit),
		TEST(a_copy_that_the_iommu_refuses),
		cmocka_unit_test(strings_that_name_no_edu),
	};

	return cmocka_run_group_tests_name(title, tests, NULL, NULL);
}

int main(void)
{
	int failed;

	use_socket = false;
	failed = run("inprocess");
	use_socket = true;
	return failed + run("socket");
}
