/* SPDX-License-Identifier: MIT */
/* Registers (3.1), and the states of the controller: enabling, resets, shutdown, failures. */
#include <endian.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "test_host.h"

#define DEVICE "nvme,memory=16M,memory=1M,ro,queues=4,serial=ABC"

#define RDY 1u
#define CFS 2u
#define SHST_COMPLETE 8u
#define SHN(kind) ((uint32_t)(kind) << 14)

static int set_up(void **state)
{
	static struct host h;

	host_open(&h, DEVICE);
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	host_close(*state);
	return 0;
}

/* ---- registers ----------------------------------------------------------------------------- */

static void capabilities(void **state)
{
	struct host *h = *state;
	uint64_t cap = host_get64(h, VFIO_NVME_CAP);

	assert_int_equal(VFIO_NVME_GET(cap, CAP_MQES), 4095);
	assert_int_equal(VFIO_NVME_GET(cap, CAP_CQR), 1);
	assert_int_equal(VFIO_NVME_GET(cap, CAP_TO), 30);
	assert_int_equal(VFIO_NVME_GET(cap, CAP_DSTRD), 0);
	assert_int_equal(VFIO_NVME_GET(cap, CAP_NSSRS), 0);
	assert_int_equal(VFIO_NVME_GET(cap, CAP_CSS), 1);
	assert_int_equal(VFIO_NVME_GET(cap, CAP_MPSMIN), 0);
	assert_int_equal(VFIO_NVME_GET(cap, CAP_MPSMAX), 0);
	assert_int_equal(host_get(h, VFIO_NVME_VS), VFIO_NVME_VERSION_1_4);
	assert_int_equal(host_get(h, VFIO_NVME_CC), 0);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 0);
}

/* By halves, whole, and by widths that no register has. */
static void widths(void **state)
{
	struct host *h = *state;
	uint64_t cap = host_get64(h, VFIO_NVME_CAP);

	assert_int_equal(host_get(h, VFIO_NVME_CAP), (uint32_t)cap);
	assert_int_equal(host_get(h, VFIO_NVME_CAP + 4), cap >> 32);
	host_put(h, VFIO_NVME_ASQ, 0x12345000);
	host_put(h, VFIO_NVME_ASQ + 4, 0x9abc);
	assert_int_equal(host_get64(h, VFIO_NVME_ASQ), UINT64_C(0x9abc12345000));
	host_put64(h, VFIO_NVME_ACQ, UINT64_C(0x1122334455667000));
	assert_int_equal(host_get(h, VFIO_NVME_ACQ), 0x55667000);
	assert_int_equal(host_get(h, VFIO_NVME_ACQ + 4), 0x11223344);
	assert_int_equal(vfio_read8(h->dev, 0, VFIO_NVME_VS), 0xff);
	assert_int_equal(vfio_read16(h->dev, 0, VFIO_NVME_VS), 0xffff);
	vfio_write8(h->dev, 0, VFIO_NVME_AQA, 7);
	vfio_write16(h->dev, 0, VFIO_NVME_AQA, 7);
	assert_int_equal(host_get(h, VFIO_NVME_AQA), 0);
}

/* Bits that are read-only, reserved, or of what the controller does not have. */
static void other_bits(void **state)
{
	struct host *h = *state;
	static const uint32_t read_only[] = {
		VFIO_NVME_CAP, VFIO_NVME_CAP + 4, VFIO_NVME_VS, VFIO_NVME_CSTS, VFIO_NVME_NSSR,
		0x18, 0x38, 0x3c, 0x50, 0xe00, 0xffc,
	};

	for (unsigned int i = 0; i < sizeof(read_only) / sizeof(read_only[0]); i++) {
		uint32_t before = host_get(h, read_only[i]);

		host_put(h, read_only[i], ~before);
		assert_int_equal(host_get(h, read_only[i]), before);
	}
	assert_int_equal(host_get(h, 0x38), 0);
	assert_int_equal(host_get(h, 0xe00), 0);
	host_put(h, VFIO_NVME_AQA, UINT32_MAX);
	assert_int_equal(host_get(h, VFIO_NVME_AQA), 0x0fff0fff);
}

static void interrupt_mask(void **state)
{
	struct host *h = *state;

	host_put(h, VFIO_NVME_INTMS, 5);
	host_put(h, VFIO_NVME_INTMS, 2);
	assert_int_equal(host_get(h, VFIO_NVME_INTMS), 7);
	host_put(h, VFIO_NVME_INTMC, 6);
	assert_int_equal(host_get(h, VFIO_NVME_INTMC), 1);
}

static uint16_t submit_identify(struct host *h)
{
	return host_submit(h, 0, (struct vfio_nvme_command){ .opcode = VFIO_NVME_IDENTIFY,
		.prp1 = htole64(h->data.iova), .cdw10 = htole32(1) });
}

static bool pin(struct host *h)
{
	return vfio_read16(h->dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_STATUS) & PCI_STATUS_INTERRUPT;
}

/* 7.5.1: asserted while there are answers that are not taken, and not masked. */
static void the_pin(void **state)
{
	struct host *h = *state;
	int fd;

	host_enable(h);
	assert_int_equal(vfio_irq_enable(h->dev, VFIO_PCI_INTX_IRQ_INDEX, 1, &fd), 0);
	submit_identify(h);
	assert_int_equal(vfio_irq_wait(h->dev, fd, 10000), 1);
	assert_true(pin(h));
	host_put(h, VFIO_NVME_INTMS, 1);
	assert_false(pin(h));
	host_put(h, VFIO_NVME_INTMC, 1);
	assert_true(pin(h));
	assert_int_equal(host_answer(h, 0), VFIO_NVME_SUCCESS);
	assert_true(host_silent(h, 0));
	assert_false(pin(h));
	host_put(h, VFIO_NVME_INTMS, 1);
	assert_int_equal(vfio_irq_unmask(h->dev, VFIO_PCI_INTX_IRQ_INDEX, 0), 0);
	submit_identify(h);
	assert_int_equal(vfio_irq_wait(h->dev, fd, 20), 0);
	host_put(h, VFIO_NVME_INTMC, 1);
	assert_int_equal(vfio_irq_wait(h->dev, fd, 10000), 1);
	host_disable(h);
	assert_false(pin(h));
}

/* Each queue has its vector; one that was made without interrupts is silent. */
static void vectors(void **state)
{
	struct host *h = *state;
	struct vfio_nvme_command cmd;
	int fds[5];

	host_enable(h);
	assert_int_equal(vfio_irq_enable(h->dev, VFIO_PCI_MSIX_IRQ_INDEX, 5, fds), 0);
	host_make_queues(h, 1, 16);
	cmd = host_create_cq(h, 2, 16);
	cmd.cdw11 = htole32(2 << 16 | VFIO_NVME_QUEUE_CONTIGUOUS);
	assert_int_equal(host_run(h, 0, cmd), VFIO_NVME_SUCCESS);
	assert_int_equal(host_run(h, 0, host_create_sq(h, 2, 16)), VFIO_NVME_SUCCESS);
	assert_in_range(vfio_irq_wait(h->dev, fds[0], 10000), 1, 4);
	for (uint16_t q = 1; q <= 2; q++)
		assert_int_equal(host_io(h, q, VFIO_NVME_READ, 1, 0, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(vfio_irq_wait(h->dev, fds[1], 10000), 1);
	assert_int_equal(vfio_irq_wait(h->dev, fds[2], 20), 0);
	assert_int_equal(vfio_irq_wait(h->dev, fds[0], 0), 0);
	assert_false(pin(h));
}

/* ---- enabling ------------------------------------------------------------------------------ */

static void bad_settings(void **state)
{
	struct host *h = *state;
	static const struct {
		const char *what;
		uint32_t aqa;
		uint64_t asq, acq;
		uint32_t cc;
	} rows[] = {
		{ "submission queue of one", 0x00010000, 0x1000, 0x2000, HOST_CC },
		{ "completion queue of one", 0x00000001, 0x1000, 0x2000, HOST_CC },
		{ "submission queue off its page", 0x00010001, 0x1004, 0x2000, HOST_CC },
		{ "completion queue off its page", 0x00010001, 0x1000, 0x2800, HOST_CC },
		{ "command set", 0x00010001, 0x1000, 0x2000, HOST_CC | 1 << 4 },
		{ "all command sets", 0x00010001, 0x1000, 0x2000, HOST_CC | 7 << 4 },
		{ "page size", 0x00010001, 0x1000, 0x2000, HOST_CC | 1 << 7 },
		{ "arbitration", 0x00010001, 0x1000, 0x2000, HOST_CC | 1 << 11 },
		{ "command size", 0x00010001, 0x1000, 0x2000, 0x00470001 },
		{ "answer size", 0x00010001, 0x1000, 0x2000, 0x00560001 },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		host_put(h, VFIO_NVME_AQA, rows[i].aqa);
		host_put64(h, VFIO_NVME_ASQ, rows[i].asq);
		host_put64(h, VFIO_NVME_ACQ, rows[i].acq);
		host_put(h, VFIO_NVME_CC, rows[i].cc);
		if (host_get(h, VFIO_NVME_CSTS) != CFS)
			fail_msg("%s: CSTS %#x", rows[i].what, host_get(h, VFIO_NVME_CSTS));
		host_put(h, VFIO_NVME_CC, 0);
		assert_int_equal(host_get(h, VFIO_NVME_CSTS), 0);
	}
	host_enable(h);
}

/* 3.1.5: what can be set of CC while it is enabled. */
static void frozen_while_enabled(void **state)
{
	struct host *h = *state;

	host_enable(h);
	host_put(h, VFIO_NVME_CC, HOST_CC | 1 << 4 | 1 << 7 | 1 << 11 | 1u << 24);
	assert_int_equal(host_get(h, VFIO_NVME_CC), HOST_CC);
	host_put(h, VFIO_NVME_CC, 1);
	assert_int_equal(host_get(h, VFIO_NVME_CC), 1);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), RDY);
	/* Without the sizes of entries there are no I/O queues. */
	for (unsigned int i = 0; i < 3; i++) {
		static const uint32_t sizes[] = { 0x00000001, 0x00060001, 0x00400001 };

		host_put(h, VFIO_NVME_CC, sizes[i]);
		assert_int_equal(host_run(h, 0, host_create_cq(h, 1, 16)),
				 VFIO_NVME_QUEUE_SIZE_INVALID | VFIO_NVME_STATUS_DNR);
	}
	host_put(h, VFIO_NVME_CC, HOST_CC);
	host_make_queues(h, 1, 16);
}

/* A ring that is not the driver's memory: the controller fails, and a reset helps. */
static void lost_queue(void **state)
{
	struct host *h = *state;

	host_put(h, VFIO_NVME_AQA, 0x003f003f);
	host_put64(h, VFIO_NVME_ASQ, UINT64_C(0x7000000000));
	host_put64(h, VFIO_NVME_ACQ, UINT64_C(0x7000001000));
	host_put(h, VFIO_NVME_CC, HOST_CC);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), RDY);
	host_put(h, VFIO_NVME_DOORBELLS, 1);
	for (int i = 0; i < 1000 && !(host_get(h, VFIO_NVME_CSTS) & CFS); i++)
		assert_int_equal(vfio_dispatch(h->dev), 0);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS) & CFS, CFS);
	host_disable(h);
	host_enable(h);
	assert_int_equal(host_admin(h, (struct vfio_nvme_command){
		.opcode = VFIO_NVME_IDENTIFY, .cdw10 = htole32(1) }), VFIO_NVME_SUCCESS);
}

/* ---- resets -------------------------------------------------------------------------------- */

/* 7.3.2: queues are gone, commands with them; the admin queues' registers stay. */
static void controller_reset(void **state)
{
	struct host *h = *state;
	uint64_t asq, acq;

	host_enable(h);
	host_make_queues(h, 1, 16);
	asq = host_get64(h, VFIO_NVME_ASQ);
	acq = host_get64(h, VFIO_NVME_ACQ);
	host_submit(h, 0, (struct vfio_nvme_command){ .opcode = VFIO_NVME_ASYNC_EVENT });
	assert_true(host_silent(h, 0));
	host_submit(h, 1, (struct vfio_nvme_command){ .opcode = VFIO_NVME_FLUSH, .nsid = 1 });
	host_put(h, VFIO_NVME_INTMS, 1);
	host_disable(h);
	assert_int_equal(host_get64(h, VFIO_NVME_ASQ), asq);
	assert_int_equal(host_get64(h, VFIO_NVME_ACQ), acq);
	assert_int_equal(host_get(h, VFIO_NVME_AQA), 0x003f003f);
	assert_int_equal(host_get(h, VFIO_NVME_INTMS), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(host_get(h, VFIO_NVME_DOORBELLS + 4 * i), 0);
	assert_true(host_silent(h, 0));
	host_enable(h);
	host_make_queues(h, 1, 16);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, 0, 8), VFIO_NVME_SUCCESS);
	assert_true(host_silent(h, 0));
}

static void device_reset(void **state)
{
	struct host *h = *state;

	host_enable(h);
	host_make_queues(h, 1, 16);
	assert_int_equal(vfio_reset(h->dev), 0);
	assert_int_equal(host_get(h, VFIO_NVME_CC), 0);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 0);
	assert_int_equal(host_get(h, VFIO_NVME_AQA), 0);
	assert_int_equal(host_get64(h, VFIO_NVME_ASQ), 0);
	assert_int_equal(host_get64(h, VFIO_NVME_ACQ), 0);
	vfio_set_bus_master(h->dev, true);
	host_enable(h);
}

/* ---- shutdown ------------------------------------------------------------------------------ */

static uint8_t unsafe_shutdowns(struct host *h)
{
	const struct vfio_nvme_smart *smart = h->data.vaddr;

	host_enable(h);
	assert_int_equal(host_admin(h, (struct vfio_nvme_command){
		.opcode = VFIO_NVME_GET_LOG_PAGE, .nsid = UINT32_MAX,
		.cdw10 = htole32(127 << 16 | VFIO_NVME_LOG_SMART) }), VFIO_NVME_SUCCESS);
	return smart->unsafe_shutdowns[0];
}

/* Both kinds; of CC.SHN only the first word counts, until a reset. */
static void shut_down(void **state)
{
	struct host *h = *state;
	uint8_t before = unsafe_shutdowns(h);

	for (unsigned int kind = VFIO_NVME_SHN_NORMAL; kind <= VFIO_NVME_SHN_ABRUPT; kind++) {
		host_put(h, VFIO_NVME_CC, HOST_CC | SHN(kind));
		assert_int_equal(host_get(h, VFIO_NVME_CSTS), RDY | SHST_COMPLETE);
		host_put(h, VFIO_NVME_CC, HOST_CC);
		assert_int_equal(host_get(h, VFIO_NVME_CSTS), RDY | SHST_COMPLETE);
		host_disable(h);
		host_enable(h);
	}
	host_put(h, VFIO_NVME_CC, HOST_CC | SHN(VFIO_NVME_SHN_NORMAL));
	assert_int_equal(vfio_reset(h->dev), 0);
	vfio_set_bus_master(h->dev, true);
	assert_int_equal(unsafe_shutdowns(h), before);
	assert_int_equal(vfio_reset(h->dev), 0);
	vfio_set_bus_master(h->dev, true);
	assert_int_equal(unsafe_shutdowns(h), before + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(capabilities, set_up, tear_down),
		cmocka_unit_test_setup_teardown(widths, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_bits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(interrupt_mask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_pin, set_up, tear_down),
		cmocka_unit_test_setup_teardown(vectors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bad_settings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(frozen_while_enabled, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lost_queue, set_up, tear_down),
		cmocka_unit_test_setup_teardown(controller_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(device_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(shut_down, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
